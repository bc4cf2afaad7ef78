// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_cli_docker.c — what the page about Docker says is what our tables have.
#include "cli/docker.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "cli/builtin.h"
#include "cli/service_flags.h"
#include "test/lib/check.h"
#include "test/lib/golden.h"

static const struct command *find_command(const char *words) {
    char noun[64];
    const char *blank = strchr(words, ' ');
    if (blank == NULL) {
        return command_find(builtin_table(NULL), NULL, words);
    }
    snprintf(noun, sizeof noun, "%.*s", (int)(blank - words), words);
    return command_noun(builtin_table(NULL), noun) != NULL
               ? command_find(builtin_table(NULL), noun, blank + 1)
               : NULL;
}

static bool has_row(const struct option_row *rows, size_t count, uint32_t sets, const char *name) {
    for (size_t i = 0; i < count; i++) {
        if (str_equal(rows[i].name, name) && (sets == 0 || (rows[i].set & sets) != 0)) {
            return true;
        }
    }
    return false;
}

static bool has_flag(const struct command *command, const char *name) {
    return has_row(command->options, command->option_count, 0, name) ||
           has_row(shared_rows, shared_row_count, SHARED_ALWAYS | command->shared, name);
}

// Whether the field behind a flag of `service create` is kept, but does not act yet.
static bool is_later(const char *words, const char *flag) {
    char name[64];
    size_t len = strlen(flag);
    bool is_create = str_equal(words, "service create");
    if (!is_create && !str_equal(words, "service update")) {
        return false;
    }
    len -= !is_create && str_ends(flag, "-add")  ? strlen("-add")
           : !is_create && str_ends(flag, "-rm") ? strlen("-rm")
                                                 : 0;
    snprintf(name, sizeof name, "%.*s", (int)len, flag);
    for (size_t i = 0; i < SERVICE_FLAG_COUNT; i++) {
        const struct field *field = str_equal(service_flags[i].name, name) && service_flags[i].path != NULL
                                        ? schema_field(&service_spec_schema, service_flags[i].path)
                                        : NULL;
        if (field != NULL) {
            return (field->flags & FIELD_LATER) != 0;
        }
    }
    return false;
}

struct tally {
    const struct command *command; // under way; NULL = we do not have it
    size_t rows, wrong;
};

static void check_row(void *context, const char *words, const char *flag, enum docker_verdict verdict,
                      const char *why) {
    struct tally *tally = context;
    tally->rows++;
    if (flag[0] == '\0') {
        tally->command = find_command(words);
    }
    bool is_there = tally->command != NULL && (flag[0] == '\0' || has_flag(tally->command, flag));
    bool is_said = verdict != DOCKER_NOT;
    bool is_of_missing_command = tally->command == NULL && flag[0] != '\0'; // told once, with the command
    if (is_later(words, flag) && verdict != DOCKER_LATER) {
        tally->wrong++;
        print_error("docker %s --%s does not act yet\n", words, flag);
    }
    if (!is_of_missing_command && (is_there != is_said || (verdict == DOCKER_SAME) != (why[0] == '\0'))) {
        tally->wrong++;
        print_error("docker %s%s%s: %s, but said to be %s\n", words, flag[0] != '\0' ? " --" : "", flag,
                    is_there ? "we have it" : "we do not have it", is_said ? "there" : "missing");
    }
}

static void the_page_says_what_our_tables_have(void **state) {
    (void)state;
    struct tally tally = {0};
    docker_each(check_row, &tally);
    assert_true(tally.rows > 300);
    assert_int_equal(tally.wrong, 0);
    if (docker_stray_exception() != NULL) {
        fail_msg("docker.def excepts something of '%s' that Docker does not have", docker_stray_exception());
    }
}

static void the_page_is_as_agreed(void **state) {
    (void)state;
    AUTO_BUF page = {0};
    docker_page(&page);
    golden_check("test/golden/cli/docker.txt", buf_text(&page));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_page_says_what_our_tables_have),
    cmocka_unit_test(the_page_is_as_agreed),
};

CHECK_MAIN(tests)
