// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_cli_command.c — promises that hold for every command there is, the pages made from the
// rows, and what is said of words that are no commands.
#include "cli/command.h"

#include <ctype.h>
#include <string.h>

#include "base/str.h"
#include "cli/builtin.h"
#include "cli/complete.h"
#include "cli/help.h"
#include "test/lib/check.h"
#include "test/lib/golden.h"

#define PAGE_COLUMNS 80

static const struct command_table *table(void) {
    return builtin_table(/* extra= */ NULL);
}

static void each_command(void (*visit)(const struct command_group *group, const struct command *command)) {
    for (size_t i = 0; i < table()->count; i++) {
        for (size_t j = 0; j < table()->groups[i]->count; j++) {
            visit(table()->groups[i], &table()->groups[i]->commands[j]);
        }
    }
}

static bool is_phrase(const char *text) {
    size_t len = text != NULL ? strlen(text) : 0;
    return len > 0 && !islower((unsigned char)text[0]) && text[len - 1] != '.' && text[len - 1] != ' ';
}

static void check_words(const struct command_group *group, const struct command *command) {
    if (!is_phrase(command->summary) || command->run == NULL) {
        fail_msg("%s %s: a summary is a phrase, and there is something to run",
                 group->noun != NULL ? group->noun : "", command->name);
    }
    if (command->max > 0 && command->usage == NULL) {
        fail_msg("%s takes arguments, but its usage does not name them", command->name);
    }
    if (command->min > command->max || command->option_count > OPTION_ROWS_MAX) {
        fail_msg("%s: min, max or the number of options is wrong", command->name);
    }
    assert_ptr_equal(command_find(table(), group->noun, command->name), command);
}

static void every_command_says_what_it_does(void **state) {
    (void)state;
    each_command(check_words);
}

static void check_option(const struct command *command, size_t i) {
    const struct option_row *row = &command->options[i];
    if (!is_phrase(row->help)) {
        fail_msg("--%s of %s: the help is a phrase, capital first, no full stop: '%s'", row->name,
                 command->name, row->help != NULL ? row->help : "");
    }
    if (row->kind == OPTION_FLAG && row->metavar != NULL) {
        fail_msg("--%s of %s is a flag and takes no value", row->name, command->name);
    }
    for (size_t j = 0; j < i; j++) {
        bool has_letter = row->letter != '\0' && row->letter == command->options[j].letter;
        if (has_letter || str_equal(row->name, command->options[j].name)) {
            fail_msg("--%s of %s: its name or letter is taken", row->name, command->name);
        }
    }
}

static void check_options(const struct command_group *group, const struct command *command) {
    (void)group;
    for (size_t i = 0; i < command->option_count; i++) {
        check_option(command, i);
    }
}

static void every_option_has_help_and_a_name_of_its_own(void **state) {
    (void)state;
    each_command(check_options);
}

// What a value looks like is told by its option's name alone, whatever the command.
static void check_shared_spelling(const struct command_group *group, const struct command *command) {
    (void)group;
    const struct option_target shared = {.rows = shared_rows, .count = shared_row_count, .set = UINT32_MAX};
    for (size_t i = 0; i < command->option_count; i++) {
        const struct option_row *same = option_find(&shared, command->options[i].name);
        if (same != NULL && (command->shared & same->set) != 0) {
            fail_msg("%s has --%s of its own and takes the shared one too", command->name, same->name);
        }
    }
}

static void an_option_is_either_shared_or_ones_own(void **state) {
    (void)state;
    each_command(check_shared_spelling);
}

static void check_page(const struct command_group *group, const struct command *command) {
    AUTO_BUF page = {0};
    help_page(table(), group, command, &page);
    for (const char *p = buf_text(&page); *p != '\0';) {
        size_t len = strcspn(p, "\n");
        AUTO_BUF line = {0};
        buf_add(&line, p, len);
        bool is_usage = str_starts(buf_text(&line), "Usage:") || str_starts(buf_text(&line), "  muster ");
        if (!is_usage && str_columns(buf_text(&line)) > PAGE_COLUMNS) {
            fail_msg("help of %s is wider than %d columns: %s", command->name, PAGE_COLUMNS, buf_text(&line));
        }
        p += len + (p[len] == '\n');
    }
    AUTO_BUF man = {0};
    help_man(table(), group, command, &man);
    assert_true(str_starts(buf_text(&man), ".TH \"MUSTER"));
    assert_non_null(strstr(buf_text(&man), ".SH OPTIONS"));
    assert_non_null(strstr(buf_text(&man), ".SH EXIT STATUS"));
}

static void every_command_has_a_page_of_80_columns(void **state) {
    (void)state;
    each_command(check_page);
}

// One file a group, named after its first command or its noun.
static void pages_of_groups_are_as_agreed(void **state) {
    (void)state;
    for (size_t i = 0; i < table()->count; i++) {
        const struct command_group *group = table()->groups[i];
        char path[128];
        AUTO_BUF pages = {0};
        snprintf(path, sizeof path, "test/golden/cli/help-%s.txt",
                 group->noun != NULL ? group->noun : group->commands[0].name);
        if (group->noun != NULL) {
            help_page(table(), group, NULL, &pages);
        }
        for (size_t j = 0; j < group->count; j++) {
            buf_addf(&pages, "%s==== %s\n", pages.len > 0 ? "\n" : "", group->commands[j].name);
            help_page(table(), group, &group->commands[j], &pages);
        }
        golden_check(path, buf_text(&pages));
    }
}

static void a_man_page_is_as_agreed(void **state) {
    (void)state;
    AUTO_BUF page = {0};
    help_man(table(), NULL, command_find(table(), NULL, "apply"), &page);
    golden_check("test/golden/cli/apply.1", buf_text(&page));
}

// --- words that are no commands, and arguments too many or too few ---

static int read_line(const char *line, struct arena *arena, struct invocation *in, struct error *err) {
    struct strings argv = {0};
    const struct command_group *group;
    for (const char *p = line; *p != '\0';) {
        size_t len = strcspn(p, " ");
        *ARENA_PUSH(arena, &argv) = arena_strndup(arena, p, len);
        p += len + (p[len] == ' ');
    }
    *ARENA_PUSH(arena, &argv) = NULL;
    *in = (struct invocation){.arena = arena};
    return command_read(table(), (char *const *)argv.items, in, &group, err);
}

static void wrong_lines_are_refused_with_a_remedy(void **state) {
    (void)state;
    static const struct {
        const char *line, *wanted;
    } cases[] = {
        {"aply", "unknown command 'aply': did you mean 'muster apply'?"},
        {"frobnicate", "unknown command 'frobnicate' (muster --help lists them)"},
        {"info x", "muster info takes no arguments, but was given 'x'"},
        {"why", "muster why wants 1 argument: muster why SERVICE[.SLOT]|TASK"},
        {"why a b",
         "muster why takes at most 1 argument; 'b' is one too many: muster why SERVICE[.SLOT]|TASK"},
        {"get", "muster get wants at least 1 argument: muster get KIND [NAME…]"},
        {"ls --deatch", "unknown option '--deatch' (muster ls --help lists them)"},
        {"apply --detatch", "unknown option '--detatch': did you mean '--detach'? (muster apply --help)"},
        {"--hst x ls", "unknown option '--hst': did you mean '--host'? (muster --help)"},
        {"ls -o xml", "'xml' is no value of --output: write one of: table, wide, json, yaml, name"},
        {"apply --timeout soon", "'soon' is no value of --timeout: write a duration, like 30s or 1m30s"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO_ARENA arena = {0};
        struct invocation in;
        struct error err = {0};
        assert_int_equal(read_line(cases[i].line, &arena, &in, &err), -ERR_USAGE);
        assert_string_equal(err.root, cases[i].wanted);
    }
}

static void shared_options_stand_before_or_after(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    struct invocation in;
    struct error err = {0};
    assert_int_equal(read_line("-H /a ls --host unix:///b -q -f name=x --filter name=y", &arena, &in, &err),
                     0);
    assert_string_equal(in.shared.host, "unix:///b");
    assert_true(in.shared.quiet && invocation_has(&in, "quiet") && !invocation_has(&in, "no-trunc"));
    assert_int_equal(in.shared.filter.count, 2);
    assert_string_equal(in.path, "muster ls");
    assert_int_equal(read_line("--help", &arena, &in, &err), COMMAND_HELP);
    assert_int_equal(read_line("apply -h", &arena, &in, &err), COMMAND_HELP);
    assert_int_equal(read_line("list", &arena, &in, &err), 0); // an alias
    assert_string_equal(in.path, "muster ls");
}

static void letters_of_a_command_win_over_shared_ones(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    struct invocation in;
    struct error err = {0};
    assert_int_equal(read_line("log -f -n 5", &arena, &in, &err), 0);
    assert_int_equal(in.shared.filter.count, 0);
}

// --- completion ---

static void some_names(void *context, enum option_names names, const char *kind_word, struct buf *out) {
    (void)context;
    if (names == NAMES_SERVICE || (names == NAMES_KIND && str_equal(kind_word, "service"))) {
        buf_adds(out, "web\tservice\napi\tservice\n");
    }
}

static void words_are_completed(void **state) {
    (void)state;
    static const struct {
        const char *line, *wanted; // the first words of the lines
    } cases[] = {
        {"expl", "explain "},
        {"ap", "apply "},
        {"apply --dr", "--dry-run "},
        {"apply --progress ", "auto tty plain none "},
        {"apply --progress=p", "--progress=plain "},
        {"apply --progress plain --pro", "--profile --progress "},
        {"apply -f ", ":files "},
        {"apply -f x.yaml --y", "--yes "},
        {"-H /x ps w", "web "},
        {"ps web a", "api "},
        {"get serv", "service "},
        {"get service ", "web api "},
        {"help dif", "diff "},
        {"why web ", ""},
        {"completion -- --h", ""},
        {"ls -o ", "table wide json yaml name "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO_ARENA arena = {0};
        AUTO_BUF out = {0};
        AUTO_BUF got = {0};
        struct strings words = {0};
        for (const char *p = cases[i].line;; p++) {
            size_t len = strcspn(p, " ");
            *ARENA_PUSH(&arena, &words) = arena_strndup(&arena, p, len);
            p += len;
            if (*p == '\0') {
                break;
            }
        }
        complete_words(table(), (char *const *)words.items, words.count, some_names, NULL, &out);
        for (const char *p = buf_text(&out); *p != '\0';) {
            size_t len = strcspn(p, "\t\n");
            buf_addf(&got, "%.*s ", (int)len, p);
            p += strcspn(p, "\n") + 1;
        }
        if (!str_equal(buf_text(&got), cases[i].wanted)) {
            fail_msg("'%s' is completed to '%s', not '%s'", cases[i].line, buf_text(&got), cases[i].wanted);
        }
    }
}

static void only_three_shells_have_a_script(void **state) {
    (void)state;
    assert_non_null(strstr(complete_script("bash"), "complete -F _muster muster"));
    assert_non_null(strstr(complete_script("zsh"), "#compdef muster"));
    assert_non_null(strstr(complete_script("fish"), "complete -c muster"));
    assert_null(complete_script("tcsh"));
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_says_what_it_does),
        cmocka_unit_test(every_option_has_help_and_a_name_of_its_own),
        cmocka_unit_test(an_option_is_either_shared_or_ones_own),
        cmocka_unit_test(every_command_has_a_page_of_80_columns),
        cmocka_unit_test(pages_of_groups_are_as_agreed),
        cmocka_unit_test(a_man_page_is_as_agreed),
        cmocka_unit_test(wrong_lines_are_refused_with_a_remedy),
        cmocka_unit_test(shared_options_stand_before_or_after),
        cmocka_unit_test(letters_of_a_command_win_over_shared_ones),
        cmocka_unit_test(words_are_completed),
        cmocka_unit_test(only_three_shells_have_a_script),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL);
}
