// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_specs_interpolate.c — variables in values, as Compose has them.
#include "specs/interpolate.h"

#include <string.h>

#include "test/lib/check.h"

static struct pair items[] = {{"EMPTY", ""}, {"NAME", "bob"}, {"TRICK", "${NAME} $NAME: {a: b}"}};
static const struct pairs given = {3, items};
static const struct variables variables = {.given = &given};

static void forms_of_variables(void **state) {
    (void)state;
    static const struct {
        const char *text, *wanted, *unset;
    } cases[] = {
        {"plain", "plain", NULL},
        {"$NAME", "bob", NULL},
        {"x${NAME}y", "xboby", NULL},
        {"$NAME_x", "", "NAME_x"},
        {"${NONE}", "", "NONE"},
        {"${NONE:-d}", "d", NULL},
        {"${NONE-d}", "d", NULL},
        {"${EMPTY:-d}", "d", NULL},
        {"${EMPTY-d}", "", NULL},
        {"${NAME:-d}", "bob", NULL},
        {"${NAME:?e}", "bob", NULL},
        {"${EMPTY?e}", "", NULL},
        {"${NAME:+alt}", "alt", NULL},
        {"${EMPTY:+alt}", "", NULL},
        {"${EMPTY+alt}", "alt", NULL},
        {"${NONE+alt}", "", NULL},
        {"${NONE:-${NAME}}", "bob", NULL},
        {"${NONE:-${EMPTY:-x}y}z", "xyz", NULL},
        {"${NONE:-}", "", NULL},
        {"$$NAME $${NAME}", "$NAME ${NAME}", NULL},
        {"$TRICK", "${NAME} $NAME: {a: b}", NULL}, // a value is not looked into again
        {"100%", "100%", NULL},
    };
    AUTO_ARENA arena = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *out;
        const char *unset;
        assert_int_equal(interpolate(cases[i].text, &variables, &arena, &out, &unset), INTERPOLATION_DONE);
        assert_string_equal(out, cases[i].wanted);
        assert_string_equal(unset != NULL ? unset : "-", cases[i].unset != NULL ? cases[i].unset : "-");
    }
}

static void what_is_no_variable_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *text;
        enum interpolation wanted;
        const char *reason;
    } cases[] = {
        {"${NONE:?set it}", INTERPOLATION_REQUIRED, "variable NONE is needed: set it"},
        {"${EMPTY:?}", INTERPOLATION_REQUIRED, "a variable is needed that is not set: EMPTY"},
        {"${NONE?}", INTERPOLATION_REQUIRED, "a variable is needed that is not set: NONE"},
        {"a$", INTERPOLATION_SYNTAX, "a '$' that starts no variable in: $"},
        {"$1", INTERPOLATION_SYNTAX, "a '$' that starts no variable in: $1"},
        {"${", INTERPOLATION_SYNTAX, "'${' is not closed in: ${"},
        {"${}", INTERPOLATION_SYNTAX, "no variable name after ${ in: ${}"},
        {"${NAME", INTERPOLATION_SYNTAX, "'${' is not closed in: ${NAME"},
        {"${NAME:}", INTERPOLATION_SYNTAX, "after the name only :- - :? ? :+ + are known, in: ${NAME:}"},
        {"${NAME!x}", INTERPOLATION_SYNTAX, "after the name only :- - :? ? :+ + are known, in: ${NAME!x}"},
    };
    AUTO_ARENA arena = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *out;
        const char *unset;
        assert_int_equal(interpolate(cases[i].text, &variables, &arena, &out, &unset), cases[i].wanted);
        assert_string_equal(out, cases[i].reason);
    }
}

static void growth_and_depth_are_bounded(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    AUTO_BUF text = buf_make(0);
    for (int i = 0; i < INTERPOLATION_DEPTH_MAX + 2; i++) {
        buf_adds(&text, "${NONE:-");
    }
    for (int i = 0; i < INTERPOLATION_DEPTH_MAX + 2; i++) {
        buf_addc(&text, '}');
    }
    const char *out;
    const char *unset;
    assert_int_equal(interpolate(buf_text(&text), &variables, &arena, &out, &unset), INTERPOLATION_SYNTAX);
    buf_clear(&text);
    for (int i = 0; i < INTERPOLATION_BYTES_MAX / 3; i++) {
        buf_adds(&text, "$NAME.");
    }
    assert_int_equal(interpolate(buf_text(&text), &variables, &arena, &out, &unset), INTERPOLATION_SYNTAX);
}

static void the_environment_goes_before_the_file(void **state) {
    (void)state;
    static struct pair file[] = {{"NAME", "file"}, {"ONLY", "file"}};
    const struct variables both = {.given = &given, .dotenv = {2, file}};
    assert_string_equal(variables_get(&both, "NAME"), "bob");
    assert_string_equal(variables_get(&both, "ONLY"), "file");
    assert_null(variables_get(&both, "NONE"));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(forms_of_variables),
    cmocka_unit_test(what_is_no_variable_is_refused),
    cmocka_unit_test(growth_and_depth_are_bounded),
    cmocka_unit_test(the_environment_goes_before_the_file),
};
CHECK_MAIN(tests)
