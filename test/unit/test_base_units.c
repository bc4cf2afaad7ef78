// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_base_units.c — durations, sizes and CPUs as people write them.
#include "base/units.h"

#include <string.h>

#include "base/clock.h"
#include "base/prng.h"
#include "test/lib/check.h"

#define MINUTE_NS (60 * NS_PER_S)

static void durations_follow_go(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t ns;
    } good[] = {{"0", 0},
                {"90s", 90 * NS_PER_S},
                {"1h30m", 90 * MINUTE_NS},
                {"1.5s", 1500 * NS_PER_MS},
                {"100ms", 100 * NS_PER_MS},
                {"-5s", -5 * NS_PER_S},
                {"1us", 1000},
                {"1µs", 1000},
                {"7ns", 7},
                {".5s", 500 * NS_PER_MS},
                {"2m0.25s", 2 * MINUTE_NS + 250 * NS_PER_MS}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        int64_t ns = -1;
        assert_true(units_parse_duration(good[i].text, &ns));
        assert_int_equal(ns, good[i].ns);
    }
    static const char *const bad[] = {"",    "-",   "5",  "5x",          "s",     "1h30",
                                      " 1s", "1s ", "1d", "9999999999h", "1..5s", "."};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t ns = 42;
        assert_false(units_parse_duration(bad[i], &ns));
        assert_int_equal(ns, 42);
    }
}

static void sizes_are_binary(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t bytes;
    } good[] = {{"512", 512},
                {"64m", 64 << 20},
                {"1g", 1 << 30},
                {"1GiB", 1 << 30},
                {"10kb", 10240},
                {"0.5k", 512},
                {"1 GiB", 1 << 30},
                {"3b", 3},
                {"2T", INT64_C(2) << 40},
                {"1.5t", INT64_C(3) << 39},
                {"0.3k", 307},
                {"1p", INT64_C(1) << 50}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        int64_t bytes = -1;
        assert_true(units_parse_bytes(good[i].text, &bytes));
        assert_int_equal(bytes, good[i].bytes);
    }
    static const char *const bad[] = {"",         "k",   "-1", "1x", "1  k", "1k ", "99999999999999999999",
                                      "9999999t", "0x10"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t bytes = 42;
        assert_false(units_parse_bytes(bad[i], &bytes));
        assert_int_equal(bytes, 42);
    }
}

static void cpus_are_billionths(void **state) {
    (void)state;
    int64_t nano = 0;
    assert_true(units_parse_cpus("0.5", &nano));
    assert_int_equal(nano, 500000000);
    assert_true(units_parse_cpus("2", &nano));
    assert_int_equal(nano, 2000000000);
    assert_false(units_parse_cpus("0.1234567891", &nano)); // finer than a billionth
    assert_false(units_parse_cpus("two", &nano));
    assert_false(units_parse_cpus("", &nano));
    assert_false(units_parse_cpus("99999999999", &nano));
}

static void printing_is_short(void **state) {
    (void)state;
    char out[32];
    assert_string_equal(units_format_duration(0, out, sizeof out), "0s");
    assert_string_equal(units_format_duration(90 * MINUTE_NS, out, sizeof out), "1h30m");
    assert_string_equal(units_format_duration(1500 * NS_PER_MS, out, sizeof out), "1.5s");
    assert_string_equal(units_format_duration(1500000, out, sizeof out), "1.5ms");
    assert_string_equal(units_format_duration(-MINUTE_NS, out, sizeof out), "-1m");
    assert_string_equal(units_format_bytes(64 << 20, out, sizeof out), "64M");
    assert_string_equal(units_format_bytes(1234567, out, sizeof out), "1234567");
    assert_string_equal(units_format_bytes(0, out, sizeof out), "0");
    assert_string_equal(units_format_cpus(500000000, out, sizeof out), "0.5");
    assert_string_equal(units_format_cpus(2000000000, out, sizeof out), "2");
}

static void what_is_printed_parses_back(void **state) {
    (void)state;
    struct prng prng;
    prng_seed(&prng, 3);
    for (int i = 0; i < 100000; i++) {
        int64_t value = (int64_t)(prng_next(&prng) >> (1 + prng_below(&prng, 62)));
        value -= value % (i % 3 == 0 ? NS_PER_MS : i % 3 == 1 ? 1024 : 1);
        char out[32];
        int64_t back = -1;
        assert_true(units_parse_duration(units_format_duration(value, out, sizeof out), &back) &&
                    back == value);
        assert_true(units_parse_duration(units_format_duration(-value, out, sizeof out), &back) &&
                    back == -value);
        assert_true(units_parse_bytes(units_format_bytes(value, out, sizeof out), &back) && back == value);
        assert_true(units_parse_cpus(units_format_cpus(value, out, sizeof out), &back) && back == value);
    }
    char out[32];
    assert_true(strlen(units_format_duration(INT64_MIN, out, sizeof out)) < sizeof out - 1);
    assert_true(strlen(units_format_duration(INT64_MAX, out, sizeof out)) < sizeof out - 1);
}

static void people_read_dockers_words(void **state) {
    (void)state;
    static const int64_t second = 1000, minute = 60 * second, hour = 60 * minute, day = 24 * hour;
    const struct {
        int64_t ms;
        const char *words;
    } cases[] = {{0, "Less than a second"},  {999, "Less than a second"},
                 {second, "1 second"},       {5 * second, "5 seconds"},
                 {minute, "About a minute"}, {119 * second, "About a minute"},
                 {3 * minute, "3 minutes"},  {59 * minute, "59 minutes"},
                 {hour, "About an hour"},    {89 * minute, "About an hour"},
                 {90 * minute, "2 hours"},   {47 * hour, "47 hours"},
                 {2 * day, "2 days"},        {4 * day, "4 days"},
                 {13 * day, "13 days"},      {14 * day, "2 weeks"},
                 {59 * day, "8 weeks"},      {60 * day, "2 months"},
                 {729 * day, "24 months"},   {730 * day, "2 years"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[32];
        assert_string_equal(units_human_duration(cases[i].ms, out, sizeof out), cases[i].words);
    }
    char out[32];
    assert_string_equal(units_human_bytes(0, out, sizeof out), "0B");
    assert_string_equal(units_human_bytes(1023, out, sizeof out), "1023B");
    assert_string_equal(units_human_bytes(INT64_C(2087354106), out, sizeof out), "1.944GiB");
    assert_string_equal(units_human_bytes(1536, out, sizeof out), "1.5KiB");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(durations_follow_go),         cmocka_unit_test(sizes_are_binary),
    cmocka_unit_test(cpus_are_billionths),         cmocka_unit_test(printing_is_short),
    cmocka_unit_test(what_is_printed_parses_back), cmocka_unit_test(people_read_dockers_words),
};
CHECK_MAIN(tests)
