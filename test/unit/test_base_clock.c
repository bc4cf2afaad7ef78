// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_base_clock.c — RFC 3339, both ways and strictly.
#include "base/clock.h"

#include "base/error.h"
#include "base/prng.h"
#include "test/lib/check.h"

static void times_are_printed(void **state) {
    (void)state;
    char out[32];
    assert_string_equal(clock_format_rfc3339(0, out, sizeof out), "1970-01-01T00:00:00.000Z");
    assert_string_equal(clock_format_rfc3339(1769860800123, out, sizeof out), "2026-01-31T12:00:00.123Z");
    assert_string_equal(clock_format_rfc3339(-1, out, sizeof out), "1969-12-31T23:59:59.999Z");
}

static void times_are_read(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"1970-01-01T00:00:00Z", 0},
                {"2026-01-31T12:00:00.123Z", 1769860800123},
                {"2026-01-31T12:00:00.123456789Z", 1769860800123},
                {"2026-01-31T14:30:00.123+02:30", 1769860800123},
                {"2026-01-31T10:00:00.1-02:00", 1769860800100},
                {"2024-02-29T00:00:00z", 1709164800000}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        int64_t ms = -1;
        assert_int_equal(clock_parse_rfc3339(good[i].text, &ms), 0);
        assert_int_equal(ms, good[i].ms);
    }
    static const char *const bad[] = {"",
                                      "2026-01-31",
                                      "2026-01-31T12:00:00",
                                      "2026-01-31 12:00:00Z",
                                      "2026-02-30T12:00:00Z",
                                      "2026-13-01T00:00:00Z",
                                      "2026-01-31T24:00:00Z",
                                      "2026-01-31T12:00:00.Z",
                                      "2026-1-31T12:00:00Z",
                                      "2026-01-31T12:00:00Zx",
                                      "2026-01-31T12:00:00+2:00",
                                      " 2026-01-31T12:00:00Z",
                                      "+026-01-31T12:00:00Z"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t ms = 42;
        assert_int_equal(clock_parse_rfc3339(bad[i], &ms), -ERR_INVALID);
        assert_int_equal(ms, 42);
    }
}

static void a_printed_time_reads_back(void **state) {
    (void)state;
    struct prng prng;
    prng_seed(&prng, 5);
    for (int i = 0; i < 20000; i++) {
        int64_t ms = (int64_t)prng_below(&prng, UINT64_C(200000000000000)) - INT64_C(50000000000000);
        char out[32];
        int64_t back = 0;
        assert_int_equal(clock_parse_rfc3339(clock_format_rfc3339(ms, out, sizeof out), &back), 0);
        assert_int_equal(back, ms);
    }
}

static void the_monotonic_clock_does_not_go_back(void **state) {
    (void)state;
    int64_t before = clock_mono_ns();
    assert_true(clock_mono_ns() >= before);
    assert_true(clock_unix_ms() > 1600000000000);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(times_are_printed),
    cmocka_unit_test(times_are_read),
    cmocka_unit_test(a_printed_time_reads_back),
    cmocka_unit_test(the_monotonic_clock_does_not_go_back),
};
CHECK_MAIN(tests)
