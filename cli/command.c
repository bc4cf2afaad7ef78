// SPDX-License-Identifier: Apache-2.0
//
// cli/command.c — from argv to a command that runs: words, options, arguments, exit status.
#include "cli/command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/str.h"
#include "cli/help.h"

#define COLUMNS_DEFAULT 80
#define LINES_DEFAULT 24

static const char *const color_words[] = {"auto", "always", "never", NULL};
static const char *const output_words[] = {"table", "wide", "json", "yaml", "name", NULL};
static const char *const progress_words[] = {"auto", "tty", "plain", "none", NULL};

#define SHARED struct shared_options
// tidy: table
const struct option_row shared_rows[] = {
    OPT_FLAG(SHARED, help, "help", 'h', .set = SHARED_ALWAYS, .help = "Print this help"),
    OPT_STRING(SHARED, host, "host", 'H', .set = SHARED_ALWAYS, .metavar = "HOST",
               .help =
                   "Daemon to talk to: unix://PATH (default: MUSTER_HOST, unix:///run/muster/muster.sock)"),
    OPT_STRING(SHARED, color, "color", '\0', .set = SHARED_ALWAYS, .metavar = "WHEN", .words = color_words,
               .initial = "auto", .help = "Colour: auto, always, never; NO_COLOR is honoured"),
    OPT_STRING(SHARED, output, "output", 'o', .set = SHARED_OUTPUT, .metavar = "FORM", .words = output_words,
               .initial = "table", .help = "Form of the output: table, wide, json, yaml, name"),
    OPT_STRING(SHARED, format, "format", '\0', .set = SHARED_FORMAT, .metavar = "TEMPLATE",
               .help = "Print each object by a Go template; 'table TEMPLATE', 'table' and 'json' too"),
    OPT_FLAG(SHARED, quiet, "quiet", 'q', .set = SHARED_QUIET,
             .help = "Print only ids, or nothing where there are none"),
    OPT_FLAG(SHARED, no_trunc, "no-trunc", '\0', .set = SHARED_TRUNC, .help = "Do not shorten ids and texts"),
    OPT_LIST(SHARED, filter, "filter", 'f', .set = SHARED_FILTER, .metavar = "KEY=VALUE",
             .help = "Only what matches; one key again: either, different keys: both"),
    OPT_FLAG(SHARED, stale, "stale", '\0', .set = SHARED_OUTPUT,
             .help = "Show what this manager last knew, also when no quorum of managers answers"),
    OPT_FLAG(SHARED, detach, "detach", 'd', .set = SHARED_DETACH, .help = "Do not wait until it has converged"),
    OPT_DURATION(SHARED, timeout_ns, "timeout", '\0', .set = SHARED_PATIENCE,
                 .help = "Stop waiting after this time, with exit status 8; the work goes on"),
    OPT_STRING(SHARED, progress, "progress", '\0', .set = SHARED_PATIENCE, .metavar = "HOW",
               .words = progress_words, .initial = "auto", .help = "Show progress: auto, tty, plain, none"),
    OPT_STRING(SHARED, why, "why", '\0', .set = SHARED_WHY, .metavar = "TEXT", .initial = "",
               .help = "Reason of the change, kept in the history"),
    OPT_FLAG(SHARED, yes, "yes", 'y', .set = SHARED_YES, .help = "Yes to what a guard would ask"),
};
#undef SHARED
const size_t shared_row_count = sizeof shared_rows / sizeof *shared_rows;

bool invocation_has(const struct invocation *in, const char *option) {
    const struct option_target *targets[] = {&in->own, &in->common};
    for (size_t i = 0; i < 2; i++) {
        const struct option_row *row = option_find(targets[i], option);
        if (row != NULL) {
            return targets[i]->given[row - targets[i]->rows];
        }
    }
    return false;
}

// --- finding ---

const struct command_group *command_noun(const struct command_table *table, const char *noun) {
    for (size_t i = 0; i < table->count; i++) {
        if (table->groups[i]->noun != NULL && str_equal(table->groups[i]->noun, noun)) {
            return table->groups[i];
        }
    }
    return NULL;
}

static bool has_alias(const struct command *command, const char *name) {
    size_t len = strlen(name);
    const char *p = command->aliases;
    while (p != NULL && len > 0 && (p = strstr(p, name)) != NULL) {
        if ((p == command->aliases || p[-1] == ' ') && (p[len] == ' ' || p[len] == '\0')) {
            return true;
        }
        p += len;
    }
    return false;
}

const struct command *command_find(const struct command_table *table, const char *noun, const char *name) {
    for (size_t i = 0; i < table->count; i++) {
        const struct command_group *group = table->groups[i];
        for (size_t j = 0; str_equal(group->noun, noun) && j < group->count; j++) {
            if (str_equal(group->commands[j].name, name) || has_alias(&group->commands[j], name)) {
                return &group->commands[j];
            }
        }
    }
    return NULL;
}

static int refuse_word(const struct command_table *table, const struct command_group *group, const char *word,
                       struct arena *arena, struct error *err) {
    struct strings names = {0};
    for (size_t i = 0; i < table->count; i++) {
        const struct command_group *each = table->groups[i];
        if (group == NULL && each->noun != NULL) {
            *ARENA_PUSH(arena, &names) = each->noun;
        }
        for (size_t j = 0; str_equal(each->noun, group != NULL ? group->noun : NULL) && j < each->count;
             j++) {
            if (!each->commands[j].is_hidden) {
                *ARENA_PUSH(arena, &names) = each->commands[j].name;
            }
        }
    }
    const char *noun = group != NULL ? arena_printf(arena, "%s ", group->noun) : "";
    const char *nearest = str_nearest(word, names.items, names.count);
    if (nearest != NULL) {
        return error_set(err, ERR_USAGE, "unknown command '%s%s': did you mean 'muster %s%s'?", noun, word,
                         noun, nearest);
    }
    return error_set(err, ERR_USAGE, "unknown command '%s%s' (muster %s--help lists them)", noun, word, noun);
}

// --- reading ---

static int check_arguments(const struct invocation *in, struct error *err) {
    const struct command *command = in->command;
    size_t count = in->arguments.count;
    const char *usage = command->usage != NULL ? command->usage : "";
    if (count < command->min) {
        return error_set(err, ERR_USAGE, "%s wants %s%u argument%s: %s %s", in->path,
                         command->max > command->min ? "at least " : "", command->min,
                         command->min == 1 ? "" : "s", in->path, usage);
    }
    if (count > command->max && command->max == 0) {
        return error_set(err, ERR_USAGE, "%s takes no arguments, but was given '%s'", in->path,
                         in->arguments.items[0]);
    }
    if (count > command->max) {
        return error_set(err, ERR_USAGE, "%s takes at most %u argument%s; '%s' is one too many: %s %s",
                         in->path, command->max, command->max == 1 ? "" : "s",
                         in->arguments.items[command->max], in->path, usage);
    }
    return 0;
}

static int read_options(struct invocation *in, char *const *argv, struct error *err) {
    const struct command *command = in->command;
    void *args = arena_alloc(in->arena, command->args_bytes);
    in->args = args;
    in->own =
        (struct option_target){.rows = command->options, .count = command->option_count, .object = args};
    option_init(&in->own, in->arena);
    in->common.set = SHARED_ALWAYS | command->shared;
    struct option_target targets[] = {in->own, in->common};
    int rc = option_parse(targets, 2, argv, command->options_first, in->path, in->arena, &in->arguments, err);
    in->own = targets[0];
    in->common = targets[1];
    if (rc < 0 || in->shared.help) {
        return rc < 0 ? rc : COMMAND_HELP;
    }
    return check_arguments(in, err);
}

// Options of all commands may stand before the first word.
static int read_leading(struct invocation *in, char *const *argv, struct option_arguments *words,
                        struct error *err) {
    in->common = (struct option_target){
        .rows = shared_rows, .count = shared_row_count, .set = SHARED_ALWAYS, .object = &in->shared};
    option_init(&in->common, in->arena);
    int rc = option_parse(&in->common, 1, argv, /* options_first= */ true, "muster", in->arena, words, err);
    if (rc == 0) {
        *ARENA_PUSH(in->arena, words) = NULL;
        words->count--;
    }
    return rc;
}

int command_read(const struct command_table *table, char *const *argv, struct invocation *out,
                 const struct command_group **group, struct error *err) {
    struct option_arguments words = {0};
    *group = NULL;
    int rc = read_leading(out, argv, &words, err);
    if (rc < 0 || words.count == 0) {
        return rc < 0 ? rc : COMMAND_HELP;
    }
    size_t used = 1;
    *group = command_noun(table, words.items[0]);
    const char *name = words.items[0];
    if (*group != NULL) {
        if (words.count == 1 || str_equal(words.items[1], "--help") || str_equal(words.items[1], "-h")) {
            return COMMAND_HELP;
        }
        name = words.items[used++];
    }
    const char *noun = *group != NULL ? (*group)->noun : NULL;
    out->command = command_find(table, noun, name);
    if (out->command == NULL) {
        return refuse_word(table, *group, name, out->arena, err);
    }
    out->path = noun != NULL ? arena_printf(out->arena, "muster %s %s", noun, out->command->name)
                             : arena_printf(out->arena, "muster %s", out->command->name);
    if (out->shared.help) {
        return COMMAND_HELP;
    }
    return read_options(out, (char *const *)(words.items + used), err);
}

// --- running ---

static bool wants_color(const struct invocation *in, bool is_tty) {
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    if (!str_equal(in->shared.color, "auto")) {
        return str_equal(in->shared.color, "always");
    }
    return is_tty && str_is_empty(no_color) && !str_equal(term, "dumb");
}

static void look_at_screen(struct invocation *in) {
    struct winsize size = {0};
    struct screen *screen = &in->screen;
    screen->out_is_tty = isatty(STDOUT_FILENO);
    screen->err_is_tty = isatty(STDERR_FILENO);
    screen->color = wants_color(in, screen->out_is_tty);
    bool is_known = ioctl(screen->out_is_tty ? STDOUT_FILENO : STDERR_FILENO, TIOCGWINSZ, &size) == 0;
    screen->columns = is_known && size.ws_col > 0 ? size.ws_col : COLUMNS_DEFAULT;
    screen->lines = is_known && size.ws_row > 0 ? size.ws_row : LINES_DEFAULT;
}

static void print_error(const struct invocation *in, const struct error *err) {
    char text[ERROR_ROOT_BYTES + ERROR_FRAMES_MAX * ERROR_FRAME_BYTES + 64];
    error_text(err, text, sizeof text);
    AUTO_BUF out = {0};
    bool has_json = in->command != NULL && (in->command->shared & SHARED_OUTPUT) != 0;
    if (has_json && str_equal(in->shared.output, "json")) {
        buf_addf(&out, "{\"error\":\"%s\",\"message\":", error_code_name((int)err->code));
        json_write_string(&out, text);
        buf_addf(&out, ",\"exit_status\":%d,\"retryable\":%s}\n", error_exit_status((int)err->code),
                 error_is_retryable((int)err->code) ? "true" : "false");
    } else {
        bool color = in->screen.err_is_tty && wants_color(in, /* is_tty= */ true);
        buf_adds(&out, color ? "\x1b[31mmuster:\x1b[0m " : "muster: ");
        str_escape(&out, text, strlen(text), /* keep_newlines= */ true);
        buf_addc(&out, '\n');
    }
    fflush(stdout);
    fputs(buf_text(&out), stderr);
}

int command_complain(const struct invocation *in, int rc, struct error *err) {
    if (err->code != ERR_NONE) {
        print_error(in, err);
        error_clear(err);
    }
    return rc;
}

static int run(const struct command_table *table, char **argv, struct invocation *in, struct error *err) {
    const struct command_group *group = NULL;
    int rc = command_read(table, argv + 1, in, &group, err);
    look_at_screen(in);
    if (rc == COMMAND_HELP) {
        AUTO_BUF page = {0};
        help_page(table, group, in->command, &page);
        fputs(buf_text(&page), stdout);
        return 0;
    }
    return rc < 0 ? rc : in->command->run(in, err);
}

int command_main(const struct command_table *table, int argc, char **argv) {
    AUTO_ARENA arena = {0};
    struct invocation in = {.arena = &arena};
    struct error err = {0};
    ASSERT(argc > 0 && argv[argc] == NULL);
    int rc = run(table, argv, &in, &err);
    errno = EIO; // what failed earlier has not left its number
    if (rc >= 0 && (fflush(stdout) != 0 || ferror(stdout))) {
        rc = error_sys(&err, errno, "write to standard output");
    }
    if (rc < 0) {
        command_complain(&in, rc, &err);
        return error_exit_status(rc);
    }
    return rc;
}
