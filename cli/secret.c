// SPDX-License-Identifier: Apache-2.0
//
// cli/secret.c — `muster secret …`: values that tasks get as files and nobody is shown.
#include "cli/content.h"
#include "cli/inspect.h"

static const struct option_row create_rows[] = {
    OPT_PAIRS(struct content_create_args, labels, "label", 'l', .metavar = "KEY[=VALUE]",
              .help = "Labels of the secret"),
    OPT_STRING(struct content_create_args, driver, "driver", 'd', .metavar = "DRIVER",
               .help = "Who supplies the value in the place of a file (kept, not yet acting)"),
    OPT_STRING(struct content_create_args, template_driver, "template-driver", '\0', .metavar = "DRIVER",
               .help = "How it is filled in for each task (kept, not yet acting)"),
};

static int run_create(struct invocation *in, struct error *err) {
    return content_create(in, KIND_SECRET, err);
}

static int run_ls(struct invocation *in, struct error *err) {
    return content_ls(in, KIND_SECRET, err);
}

static int run_inspect(struct invocation *in, struct error *err) {
    return content_inspect(in, KIND_SECRET, err);
}

static int run_rm(struct invocation *in, struct error *err) {
    return content_rm(in, KIND_SECRET, err);
}

// tidy: table
static const struct command rows[] = {
    {.name = "create",
     .summary = "Create a secret from a file or standard input",
     .usage = "SECRET [FILE|-]",
     .details =
         "At most 500 KiB. The value is sealed in the store, sent to nodes whose tasks need it, and there in "
         "memory "
         "only. A name that exists is refused; to replace a value, change the file and apply it (`muster "
         "explain secret`): the services that use it follow.",
     .example = "printf %s \"$PASSWORD\" | muster secret create db_password -",
     COMMAND_OPTIONS(struct content_create_args, create_rows),
     .shared = SHARED_WHY,
     .min = 1,
     .max = 2,
     .names = NAMES_FILE,
     .run = run_create},
    {.name = "ls",
     .aliases = "list",
     .summary = "List secrets",
     .example = "muster secret ls --filter label=shop",
     .shared = SHARED_LIST,
     .run = run_ls},
    {.name = "inspect",
     .summary = "Show all there is to know about secrets, but not their values",
     .usage = "SECRET…",
     .example = "muster secret inspect --pretty db_password",
     .options = inspect_rows,
     .option_count = INSPECT_ROWS,
     .args_bytes = sizeof(struct inspect_args),
     .min = 1,
     .max = COMMAND_MANY,
     .run = run_inspect},
    {.name = "rm",
     .aliases = "remove",
     .summary = "Remove secrets",
     .details = "Refused while a service uses it; the services are named.",
     .usage = "SECRET…",
     .example = "muster secret rm db_password",
     .shared = SHARED_WHY,
     .min = 1,
     .max = COMMAND_MANY,
     .run = run_rm},
};
const struct command_group secret_commands =
    COMMAND_GROUP("secret", "Values that tasks get as files, and nobody is shown", rows);
