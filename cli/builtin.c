// SPDX-License-Identifier: Apache-2.0
//
// cli/builtin.c — the table of all commands, and those that are about the program itself: help, version,
// completion, man.
#include "cli/builtin.h"

#include <fcntl.h>
#include <string.h>

#include "base/assert.h"
#include "base/fs.h"
#include "base/str.h"
#include "cli/complete.h"
#include "cli/connect.h"
#include "cli/help.h"
#include "cli/output.h"

#define COMPLETE_MS 300

#define GROUPS_MAX 64

static const struct command_group *groups[GROUPS_MAX] = {
#define X(name) &name##_commands,
#include "cli/commands.def"
#undef X
};
static struct command_table all = {.groups = groups};

const struct command_table *builtin_table(const struct command_group *extra) {
    if (all.count == 0) {
        while (groups[all.count] != NULL) {
            all.count++;
        }
        ASSERT(all.count < GROUPS_MAX - 1);
        groups[all.count] = extra;
        all.count += extra != NULL;
    }
    return &all;
}

static void say(const struct buf *text) {
    fwrite(buf_text(text), 1, text->len, stdout);
}

// The group and the command that the words name; both NULL for no words.
static int find_words(const struct option_arguments *words, const struct command_group **group,
                      const struct command **command, struct error *err) {
    *group = NULL;
    *command = NULL;
    if (words->count == 0) {
        return 0;
    }
    const char *first = words->items[0];
    const char *second = words->count > 1 ? words->items[1] : NULL;
    *group = command_noun(&all, first);
    if (*group == NULL || second != NULL) {
        *command = command_find(&all, *group != NULL ? first : NULL, *group != NULL ? second : first);
    }
    if ((*group == NULL && second != NULL) || (*command == NULL && (*group == NULL || second != NULL))) {
        return error_set(err, ERR_NOT_FOUND, "there is no command '%s%s%s' (muster --help lists them)", first,
                         second != NULL ? " " : "", second != NULL ? second : "");
    }
    return 0;
}

static int run_help(struct invocation *in, struct error *err) {
    const struct command_group *group;
    const struct command *command;
    AUTO_BUF page = {0};
    int rc = find_words(&in->arguments, &group, &command, err);
    if (rc == 0) {
        help_page(&all, group, command, &page);
        say(&page);
    }
    return rc;
}

// --- man ---

struct man_args {
    const char *to;
};
static const struct option_row man_options[] = {
    OPT_STRING(struct man_args, to, "to", '\0', .metavar = "DIR", .names = NAMES_FILE,
               .help = "Write all pages into this directory, one file each"),
};

static int write_page(const char *dir, const struct command_group *group, const struct command *command,
                      struct error *err) {
    AUTO_BUF page = {0};
    AUTO_BUF path = {0};
    help_man(&all, group, command, &page);
    buf_addf(&path, "%s/muster", dir);
    if (group != NULL && group->noun != NULL) {
        buf_addf(&path, "-%s", group->noun);
    }
    if (command != NULL) {
        buf_addf(&path, "-%s", command->name);
    }
    buf_adds(&path, ".1");
    return fs_replace(AT_FDCWD, buf_text(&path), buf_text(&page), page.len, 0644, /* sync= */ false, err);
}

static int write_pages(const char *dir, struct error *err) {
    int rc = fs_make_dirs(dir, 0755, err);
    rc = rc < 0 ? rc : write_page(dir, NULL, NULL, err);
    for (size_t i = 0; i < all.count && rc == 0; i++) {
        const struct command_group *group = all.groups[i];
        rc = group->noun != NULL ? write_page(dir, group, NULL, err) : 0;
        for (size_t j = 0; j < group->count && rc == 0; j++) {
            rc = group->commands[j].is_hidden ? 0 : write_page(dir, group, &group->commands[j], err);
        }
    }
    return rc;
}

static int run_man(struct invocation *in, struct error *err) {
    const struct man_args *args = in->args;
    const struct command_group *group;
    const struct command *command;
    if (args->to != NULL) {
        return write_pages(args->to, err);
    }
    AUTO_BUF page = {0};
    int rc = find_words(&in->arguments, &group, &command, err);
    if (rc == 0) {
        help_man(&all, group, command, &page);
        say(&page);
    }
    return rc;
}

static int run_dump_commands(struct invocation *in, struct error *err) {
    (void)in;
    (void)err;
    AUTO_BUF text = {0};
    help_dump(&all, &text);
    say(&text);
    return 0;
}

// --- completion ---

static int run_completion(struct invocation *in, struct error *err) {
    const char *script = complete_script(in->arguments.items[0]);
    if (script == NULL) {
        return error_set(err, ERR_USAGE, "there is no completion for '%s': write bash, zsh or fish",
                         in->arguments.items[0]);
    }
    fputs(script, stdout);
    return 0;
}

static enum object_kind named_kind(enum option_names names, const char *kind_word) {
    switch (names) {
    case NAMES_SERVICE:
        return KIND_SERVICE;
    case NAMES_NODE:
        return KIND_NODE;
    case NAMES_TASK:
        return KIND_TASK;
    case NAMES_KIND:
        return object_kind_parse(kind_word);
    case NAMES_NOTHING:
    case NAMES_FILE:
    case NAMES_COMMAND:
        break;
    }
    return KIND_NONE;
}

static void add_cluster_names(void *context, enum option_names names, const char *kind_word,
                              struct buf *out) {
    const struct invocation *in = context;
    AUTO_CLIENT *client = NULL;
    struct object_list list;
    enum object_kind kind = named_kind(names, kind_word);
    if (kind == KIND_NONE ||
        client_open(connect_host(in), "muster completion", COMPLETE_MS, &client, NULL) < 0 ||
        connect_list(client, kind, NULL, in->arena, &list, NULL) < 0) {
        return;
    }
    for (size_t i = 0; i < list.count; i++) {
        const struct meta *meta = object_meta(list.items[i]);
        buf_addf(out, "%s\t%s\n", kind == KIND_TASK ? meta->id.text : meta->name, object_kind_name(kind));
    }
}

static int run_complete_words(struct invocation *in, struct error *err) {
    (void)err;
    AUTO_BUF lines = {0};
    complete_words(&all, (char *const *)in->arguments.items, in->arguments.count, add_cluster_names, in,
                   &lines);
    say(&lines);
    return 0;
}

// --- version ---

// For templates: {{.Client.Version}}, {{.Server.Version}}. Without a daemon there is no Server.
static int version_template(const char *format, const struct welcome *welcome, struct error *err) {
    AUTO_BUF json = {0};
    AUTO_BUF out = {0};
    buf_addf(&json, "{\"Client\":{\"Version\":\"%s\",\"Protocol\":%d}", MUSTER_VERSION, PROTOCOL_VERSION);
    if (welcome != NULL) {
        buf_adds(&json, ",\"Server\":{\"Version\":");
        json_write_string(&json, welcome->server_version);
        buf_addf(&json, ",\"Protocol\":%lld,\"Node\":", (long long)welcome->version);
        json_write_string(&json, welcome->node_name);
        buf_addc(&json, '}');
    }
    buf_addc(&json, '}');
    int rc = output_template(str_equal(format, "json") ? "{{json .}}" : format, buf_text(&json), &out, err);
    if (rc == 0) {
        say(&out);
    }
    return rc;
}

static void version_text(const struct welcome *welcome) {
    printf("Client:\n Version:           %s\n Protocol:          %d\n", MUSTER_VERSION, PROTOCOL_VERSION);
    if (welcome != NULL) {
        printf("\nServer:\n Version:           %s\n Protocol:          %lld\n Node:              %s\n",
               welcome->server_version, (long long)welcome->version, welcome->node_name);
    }
    fflush(stdout);
}

static int run_version(struct invocation *in, struct error *err) {
    AUTO_CLIENT *client = NULL;
    struct error reason = {0};
    int unreachable = connect_open(in, &client, &reason);
    const struct welcome *welcome = client != NULL ? client_welcome(client) : NULL;
    int rc = 0;
    if (in->shared.format != NULL) {
        rc = version_template(in->shared.format, welcome, err);
    } else {
        version_text(welcome);
    }
    return rc == 0 && unreachable < 0 ? command_complain(in, unreachable, &reason) : rc;
}

// tidy: table
static const struct command rows[] = {
    {.name = "help",
     .summary = "Print the help of a command",
     .usage = "[COMMAND…]",
     .max = 2,
     .names = NAMES_COMMAND,
     .run = run_help},
    {.name = "version",
     .summary = "Show the versions of client and daemon",
     .example = "muster version --format '{{.Server.Version}}'",
     .shared = SHARED_FORMAT,
     .run = run_version},
    {.name = "completion",
     .summary = "Print the completion script of a shell",
     .usage = "bash|zsh|fish",
     .min = 1,
     .max = 1,
     .example = "source <(muster completion bash)",
     .run = run_completion},
    {.name = "man",
     .summary = "Print the man page of a command",
     .usage = "[COMMAND…]",
     .max = 2,
     .names = NAMES_COMMAND,
     .example = "muster man service create | man -l -",
     COMMAND_OPTIONS(struct man_args, man_options),
     .run = run_man},
    {.name = "dump-commands",
     .summary = "List all commands with their options, tab-separated",
     .is_hidden = true,
     .run = run_dump_commands},
    {.name = "complete-words",
     .summary = "Print what completes the last word",
     .usage = "-- WORD…",
     .max = COMMAND_MANY,
     .options_first = true,
     .is_hidden = true,
     .run = run_complete_words},
};
const struct command_group builtin_commands = COMMAND_GROUP(NULL, "The program itself", rows);
