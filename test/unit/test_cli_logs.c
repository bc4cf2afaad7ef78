// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_cli_logs.c — the lines of `service logs`, and the times and counts it understands.
#include "test/lib/check.h"

#include <string.h>

#include "base/str.h"
#include "cli/logs.h"

static struct id id_of(char c) {
    struct id id = {{0}};
    memset(id.text, c, ID_LEN);
    return id;
}

static struct logs_source sources[2];
static struct logs_sources all = {2, sources, 0};

static int begin(void **state) {
    (void)state;
    sources[0] = (struct logs_source){id_of('a'), "web.1", "alpha"};
    sources[1] = (struct logs_source){id_of('b'), "web.10", "beta"};
    return 0;
}

static const char *line_of(char task, const char *text, const struct logs_args *args, bool full_ids,
                           bool is_safe) {
    static char out[300];
    AUTO_BUF buf = {0};
    struct log_line line;
    schema_init(&log_line_schema, &line);
    line.task = id_of(task);
    line.time_unix_ns = 1700000000000000042;
    line.text = (struct bytes){(const uint8_t *)text, strlen(text)};
    const struct logs_style style = {.full_ids = full_ids, .is_safe = is_safe};
    logs_sources_settle(&all, args, full_ids);
    logs_line(&line, &all, args, &style, &buf);
    assert_true(str_copy(out, sizeof out, buf_text(&buf)));
    return out;
}

static void a_line_says_who_wrote_it(void **state) {
    (void)state;
    const struct logs_args plain = {0}, no_ids = {.no_task_ids = true}, raw = {.raw = true},
                           times = {.timestamps = true, .raw = true};
    assert_string_equal(line_of('a', "hello\n", &plain, false, false),
                        "web.1.aaaaaaaaaaaa@alpha    | hello\n");
    assert_string_equal(line_of('b', "hello", &plain, false, false), "web.10.bbbbbbbbbbbb@beta    | hello\n");
    assert_string_equal(line_of('a', "hello", &plain, true, false),
                        "web.1.aaaaaaaaaaaaaaaaaaaaaaaaa@alpha    | hello\n");
    assert_string_equal(line_of('a', "hello", &no_ids, false, false), "web.1@alpha    | hello\n");
    assert_string_equal(line_of('a', "hello", &raw, false, false), "hello\n");
    assert_string_equal(line_of('a', "", &raw, false, false), "\n");
    assert_string_equal(line_of('a', "hello", &times, false, false),
                        "2023-11-14T22:13:20.000000042Z hello\n");
}

static void prefixes_are_as_wide_as_the_widest(void **state) {
    (void)state;
    const struct logs_args plain = {.no_task_ids = true};
    sources[1].node_name = "a-longer-name";
    assert_string_equal(line_of('a', "x", &plain, false, false), "web.1@alpha             | x\n");
    assert_string_equal(line_of('b', "x", &plain, false, false), "web.10@a-longer-name    | x\n");
}

static void a_task_that_is_gone_is_shown_by_its_id(void **state) {
    (void)state;
    const struct logs_args plain = {.no_task_ids = true};
    assert_string_equal(line_of('z', "x", &plain, false, false), "zzzzzzzzzzzzzzzzzzzzzzzzz@    | x\n");
}

static void a_terminal_is_shown_nothing_that_moves_it(void **state) {
    (void)state;
    const struct logs_args raw = {.raw = true};
    assert_string_equal(line_of('a', "\x1b[2Jgone\ttab", &raw, false, true), "\\x1B[2Jgone\ttab\n");
    // a file gets it all
    assert_string_equal(line_of('a', "\x1b[2Jgone", &raw, false, false), "\x1b[2Jgone\n");
}

static void times_are_ago_or_points(void **state) {
    (void)state;
    const int64_t now = 1700000000000000000;
    static const struct {
        const char *text;
        int64_t unix_ns;
    } good[] = {{"10m", 1699999400000000000},
                {"1h30m", 1699994600000000000},
                {"0s", 1700000000000000000},
                {"1600000000", 1600000000000000000},
                {"1600000000.5", 1600000000500000000},
                {"2020-09-13T12:26:40Z", 1600000000000000000},
                {"2020-09-13T12:26:40", 1600000000000000000},
                {"2020-09-13T14:26:40+02:00", 1600000000000000000},
                {"2020-09-13", 1599955200000000000}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        int64_t got = 0;
        assert_int_equal(logs_parse_time(good[i].text, now, &got, NULL), 0);
        assert_int_equal(got, good[i].unix_ns);
    }
    static const char *const bad[] = {"",           "yesterday", "-10m",         "10 minutes",
                                      "2020-13-01", "1e99",      "9999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t got = 7;
        assert_int_equal(logs_parse_time(bad[i], now, &got, NULL), -ERR_USAGE);
        assert_int_equal(got, 7);
    }
}

static void a_tail_is_a_number_or_all(void **state) {
    (void)state;
    int64_t tail;
    assert_int_equal(logs_parse_tail("all", &tail, NULL), 0);
    assert_int_equal(tail, -1);
    assert_int_equal(logs_parse_tail("0", &tail, NULL), 0);
    assert_int_equal(tail, 0);
    assert_int_equal(logs_parse_tail("25", &tail, NULL), 0);
    assert_int_equal(tail, 25);
    assert_int_equal(logs_parse_tail("some", &tail, NULL), -ERR_USAGE);
    assert_int_equal(logs_parse_tail("-2", &tail, NULL), -ERR_USAGE);
}

#define TEST(name) cmocka_unit_test_setup(name, begin)
static const struct CMUnitTest tests[] = {
    TEST(a_line_says_who_wrote_it),
    TEST(prefixes_are_as_wide_as_the_widest),
    TEST(a_task_that_is_gone_is_shown_by_its_id),
    TEST(a_terminal_is_shown_nothing_that_moves_it),
    TEST(times_are_ago_or_points),
    TEST(a_tail_is_a_number_or_all),
};
CHECK_MAIN(tests)
