// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_log_merge.c — lines of several nodes come in order, as late as they must and no later.
#include "test/lib/check.h"

#include <stdio.h>
#include <string.h>

#include "base/prng.h"
#include "reconciler/daemon/log_merge.h"

static size_t consumed[8];

static void on_consumed(void *owner, size_t bytes) {
    consumed[(uintptr_t)owner] += bytes;
}

static struct log_merge merge;

static void start(bool follow) {
    memset(consumed, 0, sizeof consumed);
    log_merge_init(&merge, follow, on_consumed);
}

static struct log_feed *feed_new(uintptr_t owner, int64_t now_ms) {
    return log_feed_new(&merge, (void *)owner, now_ms);
}

// A frame with lines of these times; their texts are the same numbers.
static size_t push(struct log_feed *feed, int64_t now_ms, const int64_t *times, size_t count) {
    AUTO_ARENA arena = arena_make(0);
    AUTO_BUF body = {0};
    struct log_lines lines = {0};
    for (size_t i = 0; i < count; i++) {
        struct log_line *line = ARENA_PUSH(&arena, &lines.lines);
        schema_init(&log_line_schema, line);
        const char *text = arena_printf(&arena, "%lld", (long long)times[i]);
        line->time_unix_ns = times[i];
        line->text = (struct bytes){(const uint8_t *)text, strlen(text)};
    }
    wire_encode(&log_lines_schema, &lines, &body);
    log_feed_push(feed, buf_bytes(&body), now_ms);
    return body.len;
}
#define PUSH(feed, now_ms, ...)                                                                              \
    push((feed), (now_ms), (const int64_t[]){__VA_ARGS__},                                                   \
         sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

// All lines that come now, as text, and then what it says.
static const char *read_all(int64_t now_ms) {
    static const char *const outcomes[] = {"line", "wait", "later", "end"};
    static char text[400];
    size_t len = 0;
    const struct log_line *line;
    int outcome;
    while ((outcome = log_merge_next(&merge, now_ms, &line, NULL)) == LOG_MERGE_LINE) {
        len += (size_t)snprintf(text + len, sizeof text - len, "%.*s ", (int)line->text.len,
                                (const char *)line->text.data);
    }
    snprintf(text + len, sizeof text - len, "%s", outcomes[outcome]);
    log_merge_flush(&merge);
    return text;
}

static void lines_wait_for_every_node_that_has_not_ended(void **state) {
    (void)state;
    start(/*follow=*/false);
    struct log_feed *a = feed_new(1, 0), *b = feed_new(2, 0);
    assert_string_equal(read_all(0), "wait");
    PUSH(a, 0, 1, 4, 5);
    assert_string_equal(read_all(60000), "wait"); // however long it takes
    PUSH(b, 60000, 2, 4);
    assert_string_equal(read_all(60000), "1 2 4 4 wait");
    PUSH(b, 60000, 4, 9);
    assert_string_equal(read_all(60000), "4 5 wait");
    log_feed_end(a);
    assert_string_equal(read_all(60000), "9 wait");
    log_feed_end(b);
    assert_string_equal(read_all(60000), "end");
    log_merge_deinit(&merge);
}

static void what_a_node_said_before_its_end_is_still_read(void **state) {
    (void)state;
    start(/*follow=*/false);
    struct log_feed *a = feed_new(1, 0), *b = feed_new(2, 0);
    PUSH(a, 0, 3);
    log_feed_end(a);
    PUSH(b, 0, 1, 2, 4);
    log_feed_end(b);
    assert_string_equal(read_all(0), "1 2 3 4 end");
    log_merge_deinit(&merge);
}

static void followed_a_line_waits_a_while_for_nodes_at_their_end(void **state) {
    (void)state;
    start(/*follow=*/true);
    struct log_feed *a = feed_new(1, 0), *b = feed_new(2, 0);
    log_feed_mark(b, 100);
    PUSH(a, 1000, 90, 100, 110);
    assert_string_equal(read_all(1000), "90 100 later"); // b was at its end later than these
    assert_string_equal(read_all(1000 + LOG_REORDER_MS - 1), "later");
    PUSH(b, 1000 + LOG_REORDER_MS - 1, 105);
    assert_string_equal(read_all(1000 + LOG_REORDER_MS - 1), "105 later"); // b may say more before 110
    log_feed_mark(b, 106);
    assert_string_equal(read_all(1000 + LOG_REORDER_MS), "110 wait");
    log_merge_deinit(&merge);
}

static void followed_a_node_that_owes_lines_is_not_waited_for_for_ever(void **state) {
    (void)state;
    start(/*follow=*/true);
    struct log_feed *a = feed_new(1, 0);
    struct log_feed *b = feed_new(2, 500);
    PUSH(a, 500, 1);
    assert_string_equal(read_all(500 + LOG_STALL_MS - 1), "later");
    assert_string_equal(read_all(500 + LOG_STALL_MS), "1 wait");
    PUSH(b, 9000, 2); // it says something: that is heard, however late
    log_feed_mark(a, 1);
    assert_string_equal(read_all(9000 + LOG_REORDER_MS), "2 wait");
    log_merge_deinit(&merge);
}

static void a_single_node_never_waits(void **state) {
    (void)state;
    start(/*follow=*/true);
    struct log_feed *a = feed_new(1, 0);
    PUSH(a, 0, 5, 6);
    assert_string_equal(read_all(0), "5 6 wait");
    log_feed_mark(a, 7);
    assert_string_equal(read_all(0), "wait");
    log_merge_deinit(&merge);
}

static void credit_goes_back_when_a_frame_is_read_to_its_end_and_never_to_who_is_gone(void **state) {
    (void)state;
    start(/*follow=*/false);
    struct log_feed *a = feed_new(1, 0), *b = feed_new(2, 0);
    size_t first = PUSH(a, 0, 1, 2), second = PUSH(b, 0, 2, 3);
    (void)second;
    assert_string_equal(read_all(0), "1 2 wait");
    assert_int_equal(consumed[1], first);
    assert_int_equal(consumed[2], 0);
    log_feed_end(a);
    log_feed_end(b);
    assert_string_equal(read_all(0), "2 3 end");
    assert_int_equal(consumed[1], first);
    assert_int_equal(consumed[2], 0);
    log_merge_deinit(&merge);
}

static void what_cannot_be_read_is_said_and_left_out(void **state) {
    (void)state;
    start(/*follow=*/false);
    struct log_feed *a = feed_new(1, 0);
    struct error err = {0};
    const struct log_line *line;
    PUSH(a, 0, 1);
    log_feed_push(a, (struct bytes){(const uint8_t *)"\x0a\xff\xff", 3}, 0);
    PUSH(a, 0, 2);
    log_feed_end(a);
    assert_int_equal(log_merge_next(&merge, 0, &line, &err), LOG_MERGE_LINE);
    assert_true(log_merge_next(&merge, 0, &line, &err) < 0);
    assert_int_not_equal(err.code, ERR_NONE);
    assert_string_equal(read_all(0), "2 end");
    log_merge_deinit(&merge);
}

// Whatever comes when, all comes out, once, in order.
static void random_feeds_come_out_sorted(void **state) {
    (void)state;
    struct prng prng;
    prng_seed(&prng, 31);
    for (int round = 0; round < 200; round++) {
        struct log_feed *feeds[5];
        int64_t at[5] = {0}, last = 0;
        size_t said = 0, heard = 0, count = 1 + prng_below(&prng, 5);
        start(/*follow=*/false);
        for (size_t i = 0; i < count; i++) {
            feeds[i] = feed_new(i, 0);
        }
        for (int step = 0; step < 60; step++) {
            size_t i = prng_below(&prng, count);
            int64_t times[4];
            size_t lines = prng_below(&prng, 5);
            for (size_t j = 0; j < lines; j++) {
                times[j] = at[i] += (int64_t)prng_below(&prng, 10);
            }
            push(feeds[i], step, times, lines);
            said += lines;
            const struct log_line *line;
            while (prng_below(&prng, 8) > 0 && log_merge_next(&merge, step, &line, NULL) == LOG_MERGE_LINE) {
                assert_true(line->time_unix_ns >= last);
                last = line->time_unix_ns;
                heard++;
            }
            log_merge_flush(&merge);
        }
        for (size_t i = 0; i < count; i++) {
            log_feed_end(feeds[i]);
        }
        const struct log_line *line;
        int outcome;
        while ((outcome = log_merge_next(&merge, 100, &line, NULL)) == LOG_MERGE_LINE) {
            assert_true(line->time_unix_ns >= last);
            last = line->time_unix_ns;
            heard++;
        }
        assert_int_equal(outcome, LOG_MERGE_END);
        assert_int_equal(heard, said);
        log_merge_deinit(&merge);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(lines_wait_for_every_node_that_has_not_ended),
    cmocka_unit_test(what_a_node_said_before_its_end_is_still_read),
    cmocka_unit_test(followed_a_line_waits_a_while_for_nodes_at_their_end),
    cmocka_unit_test(followed_a_node_that_owes_lines_is_not_waited_for_for_ever),
    cmocka_unit_test(a_single_node_never_waits),
    cmocka_unit_test(credit_goes_back_when_a_frame_is_read_to_its_end_and_never_to_who_is_gone),
    cmocka_unit_test(what_cannot_be_read_is_said_and_left_out),
    cmocka_unit_test(random_feeds_come_out_sorted),
};
CHECK_MAIN(tests)
