// SPDX-License-Identifier: Apache-2.0
//
// cli/config.c — `muster config …`: files that tasks get.
#include "cli/content.h"
#include "cli/inspect.h"

static const struct option_row create_rows[] = {
    OPT_PAIRS(struct content_create_args, labels, "label", 'l', .metavar = "KEY[=VALUE]",
              .help = "Labels of the config"),
    OPT_STRING(struct content_create_args, template_driver, "template-driver", '\0', .metavar = "DRIVER",
               .help = "How it is filled in for each task (kept, not yet acting)"),
};

static int run_create(struct invocation *in, struct error *err) {
    return content_create(in, KIND_CONFIG, err);
}

static int run_ls(struct invocation *in, struct error *err) {
    return content_ls(in, KIND_CONFIG, err);
}

static int run_inspect(struct invocation *in, struct error *err) {
    return content_inspect(in, KIND_CONFIG, err);
}

static int run_rm(struct invocation *in, struct error *err) {
    return content_rm(in, KIND_CONFIG, err);
}

// tidy: table
static const struct command rows[] = {
    {.name = "create",
     .summary = "Create a config from a file or standard input",
     .usage = "CONFIG FILE|-",
     .details = "At most 1000 KiB. A name that exists is refused; to replace a content, change the file and "
                "apply it "
                "(`muster explain config`): the services that use it follow.",
     .example = "muster config create nginx_conf ./nginx.conf",
     COMMAND_OPTIONS(struct content_create_args, create_rows),
     .shared = SHARED_WHY,
     .min = 2,
     .max = 2,
     .names = NAMES_FILE,
     .run = run_create},
    {.name = "ls",
     .aliases = "list",
     .summary = "List configs",
     .example = "muster config ls --filter label=shop",
     .shared = SHARED_LIST,
     .run = run_ls},
    {.name = "inspect",
     .summary = "Show all there is to know about configs",
     .usage = "CONFIG…",
     .example = "muster config inspect --pretty nginx_conf",
     .options = inspect_rows,
     .option_count = INSPECT_ROWS,
     .args_bytes = sizeof(struct inspect_args),
     .min = 1,
     .max = COMMAND_MANY,
     .run = run_inspect},
    {.name = "rm",
     .aliases = "remove",
     .summary = "Remove configs",
     .details = "Refused while a service uses it; the services are named.",
     .usage = "CONFIG…",
     .example = "muster config rm nginx_conf",
     .shared = SHARED_WHY,
     .min = 1,
     .max = COMMAND_MANY,
     .run = run_rm},
};
const struct command_group config_commands = COMMAND_GROUP("config", "Files that tasks get", rows);
