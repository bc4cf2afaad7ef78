// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_cli_option.c — options in all their spellings, and what is said of wrong ones.
#include "cli/option.h"

#include <string.h>

#include "base/str.h"
#include "test/lib/check.h"

struct args {
    bool force, on;
    const char *name, *mode;
    int64_t count, delay_ns, bytes, cpus_nano;
    double ratio;
    struct strings list;
    struct pairs labels;
};
static const char *const modes[] = {"fast", "slow", NULL};
static const struct option_row rows[] = {
    OPT_FLAG(struct args, force, "force", 'f', .help = "Force"),
    OPT_FLAG(struct args, on, "on", '\0', .help = "On", .initial = "true"),
    OPT_STRING(struct args, name, "name", 'n', .help = "Name"),
    OPT_STRING(struct args, mode, "mode", '\0', .help = "Mode", .words = modes, .initial = "fast"),
    OPT_INT(struct args, count, "count", 'c', .help = "Count", .initial = "7"),
    OPT_DURATION(struct args, delay_ns, "delay", '\0', .help = "Delay"),
    OPT_SIZE(struct args, bytes, "bytes", '\0', .help = "Bytes"),
    OPT_CPUS(struct args, cpus_nano, "cpus", '\0', .help = "CPUs"),
    OPT_RATIO(struct args, ratio, "ratio", '\0', .help = "Ratio"),
    OPT_LIST(struct args, list, "list", 'l', .help = "List"),
    OPT_PAIRS(struct args, labels, "label", '\0', .help = "Labels"),
    OPT_FLAG(struct args, force, "only-there", '\0', .help = "Of another set", .set = 2),
};

struct parsed {
    struct arena arena;
    struct args args;
    struct option_target target;
    struct option_arguments rest;
    struct error err;
    int rc;
};

static void parse(struct parsed *out, const char *line, bool options_first) {
    memset(out, 0, sizeof *out);
    struct strings argv = {0};
    for (const char *p = line; *p != '\0';) {
        size_t len = strcspn(p, " ");
        *ARENA_PUSH(&out->arena, &argv) = arena_strndup(&out->arena, p, len);
        p += len + (p[len] == ' ');
    }
    *ARENA_PUSH(&out->arena, &argv) = NULL;
    out->target = (struct option_target){
        .rows = rows, .count = sizeof rows / sizeof *rows, .set = 1, .object = &out->args};
    option_init(&out->target, &out->arena);
    out->rc = option_parse(&out->target, 1, (char *const *)argv.items, options_first, "muster x", &out->arena,
                           &out->rest, &out->err);
}

static void values_fill_the_struct(void **state) {
    (void)state;
    struct parsed p;
    parse(&p,
          "--force --name web --count=3 --delay 1m30s --bytes 64M --cpus 0.5 --ratio 0.25 a --mode slow b",
          false);
    assert_int_equal(p.rc, 0);
    assert_true(p.args.force && p.args.on);
    assert_string_equal(p.args.name, "web");
    assert_string_equal(p.args.mode, "slow");
    assert_int_equal(p.args.count, 3);
    assert_int_equal(p.args.delay_ns, 90LL * 1000000000);
    assert_int_equal(p.args.bytes, 64LL << 20);
    assert_int_equal(p.args.cpus_nano, 500000000);
    assert_true(p.args.ratio == 0.25);
    assert_int_equal(p.rest.count, 2);
    assert_string_equal(p.rest.items[1], "b");
    arena_free(&p.arena);
}

static void what_is_not_given_has_its_initial_value(void **state) {
    (void)state;
    struct parsed p;
    parse(&p, "", false);
    assert_int_equal(p.rc, 0);
    assert_int_equal(p.args.count, 7);
    assert_string_equal(p.args.mode, "fast");
    assert_null(p.args.name);
    assert_false(p.target.given[4]);
    arena_free(&p.arena);
    parse(&p, "--count 7", false);
    assert_true(p.target.given[4]);
    arena_free(&p.arena);
}

static void letters_stand_together_and_take_values(void **state) {
    (void)state;
    struct parsed p;
    parse(&p, "-fc3 -n=web -l a -lb --on=false", false);
    assert_int_equal(p.rc, 0);
    assert_true(p.args.force);
    assert_false(p.args.on);
    assert_int_equal(p.args.count, 3);
    assert_string_equal(p.args.name, "web");
    assert_int_equal(p.args.list.count, 2);
    assert_string_equal(p.args.list.items[1], "b");
    arena_free(&p.arena);
}

static void pairs_are_sorted_and_the_last_one_holds(void **state) {
    (void)state;
    struct parsed p;
    parse(&p, "--label b=1 --label a=x=y --label b=2 --label c", false);
    assert_int_equal(p.rc, 0);
    assert_int_equal(p.args.labels.count, 3);
    assert_string_equal(p.args.labels.items[0].value, "x=y");
    assert_string_equal(p.args.labels.items[1].value, "2");
    assert_string_equal(p.args.labels.items[2].value, "");
    arena_free(&p.arena);
}

static void two_dashes_or_a_first_argument_end_the_options(void **state) {
    (void)state;
    struct parsed p;
    parse(&p, "a -- --force -", false);
    assert_int_equal(p.rc, 0);
    assert_false(p.args.force);
    assert_int_equal(p.rest.count, 3);
    arena_free(&p.arena);
    parse(&p, "--force image ls -l --name x --", true);
    assert_int_equal(p.rc, 0);
    assert_int_equal(p.rest.count, 6);
    assert_null(p.args.name);
    arena_free(&p.arena);
}

static void wrong_options_are_named(void **state) {
    (void)state;
    static const struct {
        const char *line, *wanted;
    } cases[] = {
        {"--forse", "unknown option '--forse': did you mean '--force'? (muster x --help)"},
        {"--zzzzzz", "unknown option '--zzzzzz' (muster x --help lists them)"},
        {"-fz", "unknown option '-fz' (muster x --help lists them)"},
        {"--only-there", "unknown option '--only-there' (muster x --help lists them)"},
        {"--count x", "'x' is no value of --count: write a whole number, like 3"},
        {"--count=", "'' is no value of --count: write a whole number, like 3"},
        {"--count", "--count wants a value: a whole number, like 3"},
        {"-c", "--count wants a value: a whole number, like 3"},
        {"--delay 5", "'5' is no value of --delay: write a duration, like 30s or 1m30s"},
        {"--delay -1s", "'-1s' is no value of --delay: write a duration, like 30s or 1m30s"},
        {"--bytes 1x", "'1x' is no value of --bytes: write a size, like 64M or 1G"},
        {"--cpus nan", "'nan' is no value of --cpus: write a number of CPUs, like 0.5"},
        {"--ratio inf", "'inf' is no value of --ratio: write a fraction, like 0.25"},
        {"--mode medium", "'medium' is no value of --mode: write one of: fast, slow"},
        {"--force=maybe", "'maybe' is no value of --force: write true or false"},
        {"--label =x", "'=x' is no value of --label: write KEY=VALUE"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct parsed p;
        parse(&p, cases[i].line, false);
        assert_int_equal(p.rc, -ERR_USAGE);
        assert_string_equal(p.err.root, cases[i].wanted);
        arena_free(&p.arena);
    }
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_fill_the_struct),
        cmocka_unit_test(what_is_not_given_has_its_initial_value),
        cmocka_unit_test(letters_stand_together_and_take_values),
        cmocka_unit_test(pairs_are_sorted_and_the_last_one_holds),
        cmocka_unit_test(two_dashes_or_a_first_argument_end_the_options),
        cmocka_unit_test(wrong_options_are_named),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL);
}
