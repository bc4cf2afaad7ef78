// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_specs_cron.c — schedules: what is read, what is refused and where, and the next moment, also
// when the clocks are set.
//
// Two oracles: the C library says what time it is in a zone; and a walk over every minute says what the next
// moment is, by the rule as it stands in specs/cron.h.
#include "specs/cron.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/prng.h"
#include "base/str.h"
#include "test/lib/check.h"

static struct arena arena;

static const struct zone *zone_of(const char *name) {
    AUTO_BUF bytes = {0};
    struct error err = {0};
    struct zone *zone = ARENA_NEW(&arena, struct zone);
    char path[128];
    snprintf(path, sizeof path, "/usr/share/zoneinfo/%s", name);
    assert_int_equal(fs_read(AT_FDCWD, path, ZONE_BYTES_MAX, &bytes, &err), 0);
    if (zone_parse(name, buf_bytes(&bytes), &arena, zone, &err) < 0) {
        fail_msg("%s: %s", name, err.root);
    }
    return zone;
}

static int64_t seconds(const char *rfc3339) {
    int64_t unix_ms;
    assert_int_equal(clock_parse_rfc3339(rfc3339, &unix_ms), 0);
    return unix_ms / 1000;
}

// --- reading ---

static void expressions_are_read(void **state) {
    (void)state;
    static const struct {
        const char *text, *minutes, *hours; // those that are in, as the first, the last and how many
    } cases[] = {
        {"* * * * *", "0-59 60", "0-23 24"},
        {"*/15 8-18/2 * * *", "0-45 4", "8-18 6"},
        {"5,10-12,59 0 1 jan sun", "5-59 5", "0-0 1"},
        {"  0\t23 * * *  ", "0-0 1", "23-23 1"},
        {"@hourly", "0-0 1", "0-23 24"},
        {"@Daily", "0-0 1", "0-0 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cron cron;
        struct error err = {0};
        if (cron_parse(cases[i].text, &cron, &err) < 0) {
            fail_msg("%s: %s", cases[i].text, err.root);
        }
        const uint64_t sets[] = {cron.minutes, cron.hours};
        const char *const wanted[] = {cases[i].minutes, cases[i].hours};
        for (int k = 0; k < 2; k++) {
            char got[64];
            snprintf(got, sizeof got, "%d-%d %d", __builtin_ctzll(sets[k]), 63 - __builtin_clzll(sets[k]),
                     __builtin_popcountll(sets[k]));
            assert_string_equal(got, wanted[k]);
        }
    }
}

static void mistakes_are_shown_where_they_are(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"", "'' has 0 of 5 fields: minute, hour, day of the month, month, day of the week"},
        {"5 4 * *", "'5 4 * *' has 4 of 5 fields: minute, hour, day of the month, month, day of the week"},
        {"60 * * * *", "'60 * * * *': character 1: '60' is not a value for minute, 0 to 59"},
        {"0 24 * * *", "'0 24 * * *': character 3: '24' is not a value for hour, 0 to 23"},
        {"0 0 0 * *", "'0 0 0 * *': character 5: '0' is not a value for day of the month, 1 to 31"},
        {"0 0 * foo *", "'0 0 * foo *': character 7: 'foo' is not a value for month, 1 to 12 or jan to dec"},
        {"0 0 * * 8",
         "'0 0 * * 8': character 9: '8' is not a value for day of the week, 0 to 7 or sun to sat"},
        {"0 0 * * fri-mon", "'0 0 * * fri-mon': character 9: the range ends before it begins: write two"},
        {"*/0 * * * *", "'*/0 * * * *': character 3: a step is a number from 1 to 999"},
        {"5/2 * * * *", "'5/2 * * * *': character 2: a step goes with * or a range, like */5"},
        {"1,,2 * * * *", "'1,,2 * * * *': character 3: '' is not a value for minute, 0 to 59"},
        {"*5 * * * *", "'*5 * * * *': character 2: '5' has no meaning here"},
        {"0 0 * * * *", "'0 0 * * * *': character 11: more than 5 fields (there are no seconds)"},
        {"@dayly",
         "'@dayly' is not one of @hourly, @daily, @weekly, @monthly, @yearly; did you mean '@daily'?"},
        {"-1 * * * *", "'-1 * * * *': character 1: '' is not a value for minute, 0 to 59"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cron cron;
        struct error err = {0};
        assert_int_equal(cron_parse(cases[i][0], &cron, &err), -ERR_INVALID);
        assert_string_equal(err.root, cases[i][1]);
    }
}

// --- the next ---

static void check_next(const char *text, const char *zone, const char *after, const char *const *wanted) {
    struct cron cron;
    assert_int_equal(cron_parse(text, &cron, NULL), 0);
    int64_t at = seconds(after);
    for (; *wanted != NULL; wanted++) {
        char got[32];
        at = cron_next(&cron, zone != NULL ? zone_of(zone) : NULL, at);
        clock_format_rfc3339(at * 1000, got, sizeof got);
        got[16] = '\0';
        if (!str_equal(got, *wanted)) {
            fail_msg("%s in %s after %s: %s, not %s", text, zone, after, got, *wanted);
        }
    }
}
#define NEXT(text, zone, after, ...) check_next(text, zone, after, (const char *const[]){__VA_ARGS__, NULL})

static void the_next_moment_is_found(void **state) {
    (void)state;
    NEXT("*/5 * * * *", NULL, "2026-03-01T12:03:59Z", "2026-03-01T12:05", "2026-03-01T12:10");
    NEXT("0 12 * * *", NULL, "2026-03-01T12:00:00Z", "2026-03-02T12:00");
    NEXT("0 0 29 2 *", NULL, "2026-03-01T00:00:00Z", "2028-02-29T00:00", "2032-02-29T00:00");
    NEXT("0 0 29 2 *", NULL, "2096-03-01T00:00:00Z", "2104-02-29T00:00");
    NEXT("0 0 13 * fri", NULL, "2026-11-01T00:00:00Z", "2026-11-06T00:00", "2026-11-13T00:00");  // either
    NEXT("0 0 */2 * fri", NULL, "2026-11-01T00:00:00Z", "2026-11-13T00:00", "2026-11-27T00:00"); // both
    NEXT("0 0 * * 7", NULL, "2026-11-01T00:00:00Z", "2026-11-08T00:00");
    NEXT("59 23 31 dec *", NULL, "2026-12-31T23:59:00Z", "2027-12-31T23:59");
    struct cron cron;
    assert_int_equal(cron_parse("0 0 30 2 *", &cron, NULL), 0);
    assert_int_equal(cron_next(&cron, NULL, 0), -1);
}

// Berlin: 2026-03-29 02:00 becomes 03:00 (at 01:00 UTC), 2026-10-25 03:00 becomes 02:00 (at 01:00 UTC).
static void no_run_is_lost_or_doubled_when_clocks_are_set(void **state) {
    (void)state;
    NEXT("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", "2026-03-28T01:30", "2026-03-29T01:00",
         "2026-03-30T00:30");
    NEXT("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T00:30", "2026-10-26T01:30");
    NEXT("0 3 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:00", "2026-03-30T01:00");
    NEXT("0,30 2,3 * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-29T01:00", "2026-03-29T01:30",
         "2026-03-30T00:00");
    NEXT("0 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T00:00", "2026-10-26T01:00");
    NEXT("*/30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", "2026-10-25T00:30", "2026-10-25T01:00",
         "2026-10-25T01:30", "2026-10-25T02:00");
    NEXT("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:30:00Z", "2026-03-29T01:00", "2026-03-29T01:30");
    // Half an hour, south of the equator; a zone with minutes; a day that was left out altogether.
    NEXT("45 1 * * *", "Australia/Lord_Howe", "2026-04-03T20:00:00Z", "2026-04-04T14:45", "2026-04-05T15:15");
    NEXT("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", "2026-10-03T15:30", "2026-10-04T15:15");
    NEXT("0 9 * * *", "Asia/Kathmandu", "2026-01-01T00:00:00Z", "2026-01-01T03:15");
    NEXT("0 12 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z", "2011-12-30T10:00", "2012-12-29T22:00");
    // Far behind the list of changes in the file the rule at its end goes on.
    NEXT("30 2 * * *", "Europe/Berlin", "2087-03-29T12:00:00Z", "2087-03-30T01:00", "2087-03-31T00:30");
}

static const char *const zones[] = {
    "Europe/Berlin", "America/New_York",  "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kathmandu",
    "Pacific/Apia",  "America/Sao_Paulo", "Asia/Gaza",           "Europe/Dublin",     "Etc/UTC"};
#define ZONES (sizeof zones / sizeof *zones)

static void offsets_are_those_of_the_c_library(void **state) {
    (void)state;
    struct prng prng;
    prng_seed(&prng, 7);
    for (size_t i = 0; i < ZONES; i++) {
        const struct zone *zone = zone_of(zones[i]);
        setenv("TZ", zones[i], 1);
        tzset();
        for (int k = 0; k < 3000; k++) {
            time_t at = (time_t)prng_below(&prng, (uint64_t)4102444800 + 6000); // to 2100
            struct tm tm;
            localtime_r(&at, &tm);
            if (zone_span_at(zone, at).offset_s != tm.tm_gmtoff) {
                fail_msg("%s at %lld: %lld, not %ld", zones[i], (long long)at,
                         (long long)zone_span_at(zone, at).offset_s, tm.tm_gmtoff);
            }
        }
    }
    unsetenv("TZ");
    tzset();
}

static bool matches(const struct cron *cron, int64_t local_minute) {
    time_t at = local_minute * 60;
    struct tm tm;
    gmtime_r(&at, &tm);
    bool is_day = cron->days >> tm.tm_mday & 1;
    bool is_weekday = cron->weekdays >> tm.tm_wday & 1;
    return (cron->minutes >> tm.tm_min & 1) && (cron->hours >> tm.tm_hour & 1) &&
           (cron->months >> (tm.tm_mon + 1) & 1) &&
           (cron->either_day_will_do ? is_day || is_weekday : is_day && is_weekday);
}

// Minute by minute, by the rule of the header.
static int64_t slow_next(const struct cron *cron, const struct zone *zone, int64_t after, int64_t until) {
    bool is_tied = __builtin_popcount(cron->hours) < 24;
    for (int64_t at = (after / 60 + 1) * 60; at < until; at += 60) {
        struct zone_span span = zone_span_at(zone, at);
        int64_t local = (at + span.offset_s) / 60;
        bool was_seen =
            is_tied && span.from_unix_s != INT64_MIN && local * 60 < span.from_unix_s + span.offset_before_s;
        if (matches(cron, local) && !was_seen) {
            return at;
        }
        for (int64_t gone = (at + span.offset_before_s) / 60;
             is_tied && at == span.from_unix_s && gone < local; gone++) {
            if (matches(cron, gone)) {
                return at;
            }
        }
    }
    return -1;
}

static void every_moment_is_that_of_a_walk(void **state) {
    (void)state;
    static const char *const texts[] = {"*/7 * * * *",  "30 2 * * *",   "15,45 0-3 * * *",  "0 */2 * * *",
                                        "59 1 * * sun", "0 0 1,15 * *", "30 1-3/2 * 3,10 *"};
    struct prng prng;
    prng_seed(&prng, 9);
    for (int i = 0; i < 400; i++) {
        const struct zone *zone = zone_of(zones[prng_below(&prng, ZONES)]);
        struct cron cron;
        assert_int_equal(cron_parse(texts[prng_below(&prng, sizeof texts / sizeof *texts)], &cron, NULL), 0);
        int64_t after = (int64_t)prng_below(&prng, INT64_C(3000000000));
        if (zone->changes.count > 0 && prng_below(&prng, 2) == 0) { // around a change of the clocks
            after = zone->changes.items[prng_below(&prng, zone->changes.count)].at_unix_s +
                    (int64_t)prng_below(&prng, 14400) - 7200;
        }
        if (after < INT64_C(400000000)) {
            continue; // offsets were no whole minutes once
        }
        int64_t until = after + INT64_C(12) * 86400;
        int64_t slow = slow_next(&cron, zone, after, until);
        int64_t fast = cron_next(&cron, zone, after);
        if (slow != (fast < until ? fast : -1)) {
            fail_msg("%s after %lld: %lld, not %lld", zone->name, (long long)after, (long long)fast,
                     (long long)slow);
        }
    }
}

static void damaged_zone_files_are_refused(void **state) {
    (void)state;
    AUTO_BUF bytes = {0};
    struct prng prng;
    struct zone zone;
    prng_seed(&prng, 3);
    assert_int_equal(fs_read(AT_FDCWD, "/usr/share/zoneinfo/Europe/Berlin", ZONE_BYTES_MAX, &bytes, NULL), 0);
    for (size_t len = 0; len < bytes.len; len++) { // cut off anywhere
        struct bytes part = {arena_copy(&arena, bytes.data, len + 1), len};
        assert_int_equal(zone_parse("x", part, &arena, &zone, NULL), -ERR_INVALID);
    }
    for (int i = 0; i < 3000; i++) { // or with a wrong byte: refused or read, within bounds
        AUTO_ARENA scratch = {0};
        unsigned char *copy = arena_copy(&scratch, bytes.data, bytes.len);
        copy[prng_below(&prng, bytes.len)] ^= (unsigned char)(1 + prng_below(&prng, 255));
        (void)zone_parse("x", (struct bytes){copy, bytes.len}, &scratch, &zone, NULL);
    }
    assert_true(zone_name_is_valid("America/Argentina/Buenos_Aires") && zone_name_is_valid("Etc/GMT+5"));
    assert_false(zone_name_is_valid("../../etc/passwd") || zone_name_is_valid("/etc/passwd") ||
                 zone_name_is_valid(""));
}

static int teardown(void **state) {
    (void)state;
    arena_free(&arena);
    return 0;
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(expressions_are_read),
        cmocka_unit_test(mistakes_are_shown_where_they_are),
        cmocka_unit_test(the_next_moment_is_found),
        cmocka_unit_test(no_run_is_lost_or_doubled_when_clocks_are_set),
        cmocka_unit_test(offsets_are_those_of_the_c_library),
        cmocka_unit_test(every_moment_is_that_of_a_walk),
        cmocka_unit_test(damaged_zone_files_are_refused),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, NULL, teardown);
}
