// SPDX-License-Identifier: Apache-2.0
//
// cli/help.c — lays the rows of commands out as help, as roff and as a list.
#include "cli/help.h"

#include <ctype.h>
#include <string.h>

#include "base/str.h"
#include "transport/messages.h"

#define PAGE_COLUMNS 80
#define LEFT_COLUMNS_MAX 28 // of the options' names; longer ones stand on a line of their own

static const char about[] = "muster keeps a cluster of machines in the state that is written in YAML files.";

// --- words and lines ---

// Appends words, broken at PAGE_COLUMNS; `column` is where the first one goes, `indent` where lines begin.
static void add_wrapped(struct buf *out, const char *text, size_t column, size_t indent) {
    bool is_first = true;
    for (const char *p = text; *p != '\0';) {
        p += strspn(p, " ");
        size_t len = strcspn(p, " \n");
        // metavars and help are short; what is not ASCII counts too much, which is harmless
        size_t width = len;
        if (!is_first && column + 1 + width > PAGE_COLUMNS) {
            buf_addc(out, '\n');
            buf_pad(out, ' ', indent);
            column = indent;
        } else if (!is_first) {
            buf_addc(out, ' ');
            column++;
        }
        buf_add(out, p, len);
        column += width;
        is_first = false;
        p += len;
        if (*p == '\n') {
            buf_addc(out, '\n');
            buf_pad(out, ' ', indent);
            column = indent;
            is_first = true;
            p++;
        }
    }
    buf_addc(out, '\n');
}

// "  name      text", the text hanging at `at`.
static void add_item(struct buf *out, const char *name, const char *text, size_t at) {
    size_t len = str_columns(name);
    buf_adds(out, name);
    if (len + 2 > at) {
        buf_addc(out, '\n');
        len = 0;
    }
    buf_pad(out, ' ', at - len);
    add_wrapped(out, text, at, at);
}

static void option_name(const struct option_row *row, struct buf *out) {
    if (row->letter != '\0') {
        buf_addf(out, "  -%c, --%s", row->letter, row->name);
    } else {
        buf_addf(out, "      --%s", row->name);
    }
    const char *metavar = option_metavar(row);
    buf_addf(out, "%s%s", metavar[0] != '\0' ? " " : "", metavar);
}

static bool has_own_name(const struct command *command, const struct option_row *row) {
    for (size_t i = 0; i < command->option_count; i++) {
        if (str_equal(command->options[i].name, row->name)) {
            return true;
        }
    }
    return false;
}

// The rows a command shows: its own, or the shared ones it takes. A letter that the command uses itself is
// left out of the shared row.
static bool is_shown(const struct command *command, const struct option_row *row, bool is_shared) {
    uint32_t taken = SHARED_ALWAYS | command->shared;
    return !row->is_hidden && (!is_shared || ((row->set & taken) != 0 && !has_own_name(command, row)));
}

static struct option_row shown_row(const struct command *command, const struct option_row *row,
                                   bool is_shared) {
    struct option_row shown = *row;
    for (size_t i = 0; is_shared && i < command->option_count; i++) {
        if (command->options[i].letter == row->letter) {
            shown.letter = '\0';
        }
    }
    return shown;
}

static void option_text(const struct option_row *row, struct buf *out) {
    buf_adds(out, row->help);
    bool has_default = !str_is_empty(row->initial) && row->kind != OPTION_FLAG;
    if (has_default || (row->kind == OPTION_FLAG && str_equal(row->initial, "true"))) {
        buf_addf(out, " (default %s)", row->initial);
    }
}

typedef void (*option_visitor)(const struct option_row *row, void *context, struct buf *out);

static void each_option(const struct command *command, option_visitor visit, void *context, struct buf *out) {
    const struct {
        const struct option_row *rows;
        size_t count;
    } tables[] = {{command->options, command->option_count}, {shared_rows, shared_row_count}};
    for (size_t t = 0; t < 2; t++) {
        for (size_t i = 0; i < tables[t].count; i++) {
            if (is_shown(command, &tables[t].rows[i], t == 1)) {
                struct option_row row = shown_row(command, &tables[t].rows[i], t == 1);
                visit(&row, context, out);
            }
        }
    }
}

static void measure_option(const struct option_row *row, void *context, struct buf *out) {
    (void)out;
    AUTO_BUF name = {0};
    option_name(row, &name);
    size_t columns = str_columns(buf_text(&name)) + 2;
    size_t *widest = context;
    *widest = columns > *widest && columns <= LEFT_COLUMNS_MAX ? columns : *widest;
}

static void show_option(const struct option_row *row, void *context, struct buf *out) {
    AUTO_BUF name = {0};
    AUTO_BUF text = {0};
    option_name(row, &name);
    option_text(row, &text);
    add_item(out, buf_text(&name), buf_text(&text), *(const size_t *)context);
}

// --- help ---

static void command_path(const struct command_group *group, const struct command *command, char separator,
                         struct buf *out) {
    buf_adds(out, "muster");
    if (group != NULL && group->noun != NULL) {
        buf_addf(out, "%c%s", separator, group->noun);
    }
    if (command != NULL) {
        buf_addf(out, "%c%s", separator, command->name);
    }
}

static void add_usage(const struct command_group *group, const struct command *command, struct buf *out) {
    command_path(group, command, ' ', out);
    buf_addf(out, " [OPTIONS]%s%s", command->usage != NULL ? " " : "",
             command->usage != NULL ? command->usage : "");
}

static void add_lines(struct buf *out, const char *lines, size_t indent) {
    for (const char *p = lines; *p != '\0';) {
        size_t len = strcspn(p, "\n");
        buf_pad(out, ' ', indent);
        buf_add(out, p, len);
        buf_addc(out, '\n');
        p += len + (p[len] == '\n');
    }
}

static void page_of_command(const struct command_group *group, const struct command *command,
                            struct buf *out) {
    buf_adds(out, "Usage:  ");
    add_usage(group, command, out);
    buf_addf(out, "\n\n%s\n", command->summary);
    if (command->details != NULL) {
        buf_addc(out, '\n');
        add_wrapped(out, command->details, 0, 0);
    }
    if (command->aliases != NULL) {
        buf_addf(out, "\nAliases:  %s\n", command->aliases);
    }
    if (command->example != NULL) {
        buf_adds(out, "\nExamples:\n");
        add_lines(out, command->example, 2);
    }
    buf_adds(out, "\nOptions:\n");
    size_t widest = 0;
    each_option(command, measure_option, &widest, out);
    each_option(command, show_option, &widest, out);
}

static size_t widest_name(const struct command_table *table) {
    size_t widest = 0;
    for (size_t i = 0; i < table->count; i++) {
        const struct command_group *group = table->groups[i];
        size_t len = group->noun != NULL ? strlen(group->noun) : 0;
        widest = len > widest ? len : widest;
        for (size_t j = 0; j < group->count; j++) {
            len = group->commands[j].is_hidden ? 0 : strlen(group->commands[j].name);
            widest = len > widest ? len : widest;
        }
    }
    return widest;
}

static void list_commands(const struct command_group *group, size_t at, struct buf *out) {
    for (size_t i = 0; i < group->count; i++) {
        if (!group->commands[i].is_hidden) {
            AUTO_BUF name = {0};
            buf_addf(&name, "  %s", group->commands[i].name);
            add_item(out, buf_text(&name), group->commands[i].summary, at);
        }
    }
}

static void page_of_noun(const struct command_table *table, const struct command_group *group,
                         struct buf *out) {
    buf_addf(out, "Usage:  muster %s COMMAND\n\n%s\n\nCommands:\n", group->noun, group->summary);
    list_commands(group, widest_name(table) + 4, out);
    buf_addf(out, "\n'muster %s COMMAND --help' says more about a command.\n", group->noun);
}

static void page_of_all(const struct command_table *table, struct buf *out) {
    size_t at = widest_name(table) + 4;
    buf_addf(out, "Usage:  muster [-H HOST] COMMAND\n\n%s\n", about);
    const char *heading = NULL;
    for (size_t i = 0; i < table->count; i++) {
        const struct command_group *group = table->groups[i];
        if (group->noun == NULL) { // groups of several files may share a heading
            if (!str_equal(heading, group->summary)) {
                buf_addf(out, "\n%s:\n", group->summary);
            }
            heading = group->summary;
            list_commands(group, at, out);
        }
    }
    bool has_nouns = false;
    for (size_t i = 0; i < table->count; i++) {
        if (table->groups[i]->noun != NULL) {
            AUTO_BUF name = {0};
            buf_adds(out, has_nouns ? "" : "\nBy noun:\n");
            has_nouns = true;
            buf_addf(&name, "  %s", table->groups[i]->noun);
            add_item(out, buf_text(&name), table->groups[i]->summary, at);
        }
    }
    buf_adds(out, "\n'muster COMMAND --help' says more about a command, 'muster explain' about the fields of "
                  "spec files.\n");
}

void help_page(const struct command_table *table, const struct command_group *group,
               const struct command *command, struct buf *out) {
    if (command != NULL) {
        page_of_command(group, command, out);
    } else if (group != NULL) {
        page_of_noun(table, group, out);
    } else {
        page_of_all(table, out);
    }
}

// --- man ---

// What has a meaning to roff is escaped, what is not ASCII is named, for old formatters read bytes.
static void add_roff(struct buf *out, const char *text) {
    bool is_start = true;
    for (const char *p = text; *p != '\0';) {
        uint32_t codepoint = 0;
        size_t len = str_decode(p, strlen(p), &codepoint);
        if (is_start && (*p == '.' || *p == '\'')) {
            buf_adds(out, "\\&");
        }
        if (len > 1) {
            buf_addf(out, "\\[u%04X]", codepoint);
        } else if (*p == '-' || *p == '\\') {
            buf_adds(out, *p == '-' ? "\\-" : "\\e");
        } else {
            buf_addc(out, *p);
        }
        is_start = *p == '\n';
        p += len > 0 ? len : 1;
    }
}

static void roff_text(struct buf *out, const char *macro, const char *text) {
    buf_adds(out, macro);
    add_roff(out, text);
    buf_addc(out, '\n');
}

static void roff_option(const struct option_row *row, void *context, struct buf *out) {
    (void)context;
    AUTO_BUF text = {0};
    option_text(row, &text);
    buf_adds(out, ".TP\n");
    if (row->letter != '\0') {
        buf_addf(out, "\\fB\\-%c\\fR, ", row->letter);
    }
    buf_adds(out, "\\fB\\-\\-");
    add_roff(out, row->name);
    buf_adds(out, "\\fR");
    const char *metavar = option_metavar(row);
    if (metavar[0] != '\0') {
        buf_adds(out, " \\fI");
        add_roff(out, metavar);
        buf_adds(out, "\\fR");
    }
    buf_addc(out, '\n');
    add_roff(out, buf_text(&text));
    buf_adds(out, ".\n");
}

static void roff_head(const struct command_group *group, const struct command *command, const char *summary,
                      struct buf *out) {
    AUTO_BUF name = {0};
    command_path(group, command, '-', &name);
    AUTO_BUF title = {0};
    for (size_t i = 0; i < name.len; i++) {
        buf_addc(&title, (char)toupper((unsigned char)name.data[i]));
    }
    buf_adds(out, ".TH \"");
    add_roff(out, buf_text(&title));
    buf_addf(out, "\" 1 \"\" \"muster %s\" \"muster\"\n.SH NAME\n", MUSTER_VERSION);
    add_roff(out, buf_text(&name));
    buf_adds(out, " \\- ");
    add_roff(out, summary);
    buf_adds(out, "\n.SH SYNOPSIS\n");
}

static void roff_statuses(struct buf *out) {
    // tidy: table
    static const struct {
        int status;
        const char *meaning;
    } rows[] = {
        {0, "Done, converged, yes, or the same."},
        {1, "A truthful no: differs, not ready, not there."},
        {2, "The input is wrong; nothing was sent."},
        {3, "No manager can be reached, or there is no quorum."},
        {4, "Not allowed."},
        {5, "Conflict: what the change was based on has moved."},
        {6, "The rollout stopped itself and waits."},
        {7, "Rolled back."},
        {8, "Still going when the timeout ended."},
        {9, "A guard refused."},
        {10, "Internal error."},
        {130, "Interrupted; the work goes on."},
    };
    buf_adds(out, ".SH EXIT STATUS\n");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        buf_addf(out, ".TP\n%d\n%s\n", rows[i].status, rows[i].meaning);
    }
}

static void man_of_command(const struct command_group *group, const struct command *command,
                           struct buf *out) {
    roff_head(group, command, command->summary, out);
    AUTO_BUF usage = {0};
    add_usage(group, command, &usage);
    roff_text(out, "", buf_text(&usage));
    roff_text(out, ".SH DESCRIPTION\n", command->summary);
    if (command->details != NULL) {
        roff_text(out, ".PP\n", command->details);
    }
    if (command->aliases != NULL) {
        roff_text(out, ".PP\nAliases: ", command->aliases);
    }
    buf_adds(out, ".SH OPTIONS\n");
    each_option(command, roff_option, NULL, out);
    if (command->example != NULL) {
        roff_text(out, ".SH EXAMPLES\n.nf\n", command->example);
        buf_adds(out, ".fi\n");
    }
    roff_statuses(out);
    buf_adds(out, ".SH SEE ALSO\n\\fBmuster\\fR(1)\n");
}

static void roff_list(const struct command_group *group, struct buf *out) {
    for (size_t i = 0; i < group->count; i++) {
        if (!group->commands[i].is_hidden) {
            AUTO_BUF name = {0};
            command_path(group, &group->commands[i], '-', &name);
            buf_adds(out, ".TP\n\\fB");
            add_roff(out, buf_text(&name));
            buf_adds(out, "\\fR(1)\n");
            add_roff(out, group->commands[i].summary);
            buf_adds(out, ".\n");
        }
    }
}

static void man_of_list(const struct command_table *table, const struct command_group *group,
                        struct buf *out) {
    roff_head(group, NULL,
              group != NULL ? group->summary : "keep machines in the state written in YAML files", out);
    AUTO_BUF path = {0};
    command_path(group, NULL, ' ', &path);
    buf_addf(out, "%s [\\-H HOST] COMMAND\n", buf_text(&path));
    roff_text(out, ".SH DESCRIPTION\n", group != NULL ? group->summary : about);
    for (size_t i = 0; i < table->count; i++) {
        if (group == NULL || table->groups[i] == group) {
            roff_text(out, ".SS ", table->groups[i]->summary);
            roff_list(table->groups[i], out);
        }
    }
    roff_statuses(out);
    buf_adds(out, ".SH ENVIRONMENT\n.TP\nMUSTER_HOST\nThe daemon to talk to, when \\-H is not given.\n"
                  ".TP\nNO_COLOR\nWhen not empty: no colour.\n");
}

void help_man(const struct command_table *table, const struct command_group *group,
              const struct command *command, struct buf *out) {
    if (command != NULL) {
        man_of_command(group, command, out);
    } else {
        man_of_list(table, group, out);
    }
}

// --- list ---

static void dump_option(const struct option_row *row, void *context, struct buf *out) {
    (void)context;
    const char *metavar = option_metavar(row);
    buf_addf(out, "\t--%s%s%s", row->name, metavar[0] != '\0' ? "=" : "", metavar);
}

void help_dump(const struct command_table *table, struct buf *out) {
    for (size_t i = 0; i < table->count; i++) {
        const struct command_group *group = table->groups[i];
        for (size_t j = 0; j < group->count; j++) {
            command_path(group, &group->commands[j], ' ', out);
            buf_addf(out, "\t%s", group->commands[j].summary);
            each_option(&group->commands[j], dump_option, NULL, out);
            buf_addc(out, '\n');
        }
    }
}
