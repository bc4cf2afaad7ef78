// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_relay_end.c — two ends of a stream, whose frames go from one to the other when the test
// says so: credit, silence, and how it ends.
#include "test/lib/check.h"

#include <string.h>

#include "base/str.h"
#include "reconciler/daemon/relay_end.h"

#define WAY_MAX 1000

// What is on the way to one end, as bytes.
static struct side {
    struct relay_end end;
    struct buf way[WAY_MAX];
    size_t way_count;
    size_t frames, bytes, writables, opens, ends, drops;
    int end_code; // 0: closed as it should be
    bool keeps;   // does not give credit back
    int64_t number;
} asker, node;

static struct side *other_of(const struct relay_end *end) {
    return end == &asker.end ? &node : &asker;
}

static bool carry(struct relay_end *end, const struct relay_frame *frame) {
    struct side *to = other_of(end);
    assert_true(to->way_count < WAY_MAX);
    to->way[to->way_count] = (struct buf){0};
    wire_encode(&relay_frame_schema, frame, &to->way[to->way_count++]);
    return true;
}

static void drop(struct relay_end *end) {
    (end == &asker.end ? &asker : &node)->drops++;
}

static const struct relay_carrier carrier = {carry, drop};

static void on_open(void *context) {
    ((struct side *)context)->opens++;
}

static void on_frame(void *context, int64_t number, struct bytes data) {
    struct side *side = context;
    side->frames++;
    side->bytes += data.len;
    side->number = number;
    if (!side->keeps) {
        relay_consumed(&side->end, data.len);
    }
}

static void on_writable(void *context) {
    ((struct side *)context)->writables++;
}

static void on_end(void *context, const struct error *err) {
    struct side *side = context;
    side->ends++;
    side->end_code = err != NULL ? (int)err->code : 0;
}

static const struct relay_events events = {
    .on_open = on_open, .on_frame = on_frame, .on_writable = on_writable, .on_end = on_end};

static void side_init(struct side *side) {
    *side = (struct side){.end_code = -1};
    side->end.window = side->end.allowed = RELAY_WINDOW_BYTES;
    side->end.carrier = &carrier;
    side->end.events = events;
    side->end.context = side;
}

static int begin(void **state) {
    (void)state;
    side_init(&asker);
    side_init(&node);
    relay_end_run(&asker.end, RELAY_WINDOW_BYTES);
    relay_end_run(&node.end, RELAY_WINDOW_BYTES);
    return 0;
}

static int finish(void **state) {
    (void)state;
    for (struct side *side = &asker;; side = &node) {
        for (size_t i = 0; i < side->way_count; i++) {
            buf_free(&side->way[i]);
        }
        if (side == &node) {
            return 0;
        }
    }
}

// All that is on the way to it arrives.
static void arrive(struct side *side) {
    for (size_t i = 0; i < side->way_count; i++) {
        AUTO_ARENA arena = arena_make(0);
        struct relay_frame frame;
        assert_int_equal(wire_decode(&relay_frame_schema, buf_bytes(&side->way[i]), &frame, &arena, NULL), 0);
        relay_end_hear(&side->end, &frame);
        buf_free(&side->way[i]);
    }
    side->way_count = 0;
}

static bool send(struct side *side, size_t bytes) {
    static uint8_t data[RELAY_DATA_BYTES_MAX];
    return relay_send(&side->end, 3, (struct bytes){data, bytes});
}

static void what_one_says_the_other_hears(void **state) {
    (void)state;
    assert_int_equal(asker.opens, 1);
    assert_true(send(&node, 10));
    assert_true(send(&asker, 0));
    arrive(&asker);
    arrive(&node);
    assert_int_equal(asker.bytes, 10);
    assert_int_equal(asker.number, 3);
    assert_int_equal(node.frames, 1); // of no bytes
}

static void who_does_not_read_is_said_a_window_and_a_frame_and_no_more(void **state) {
    (void)state;
    size_t sent = 0;
    asker.keeps = true;
    while (send(&node, 1000)) {
        sent += 1000;
    }
    assert_true(sent <= RELAY_WINDOW_BYTES + RELAY_DATA_BYTES_MAX);
    arrive(&asker);
    assert_int_equal(asker.bytes, sent);
    assert_false(send(&node, 1));
    assert_int_equal(node.writables, 0);
    for (size_t i = 0; i < sent / 1000; i++) {
        relay_consumed(&asker.end, 1000);
    }
    arrive(&node);
    assert_int_equal(node.writables, 1); // once
    assert_true(send(&node, 1));
}

static void credit_comes_back_for_ever(void **state) {
    (void)state;
    size_t said = 0;
    for (int i = 0; i < 20000; i++) {
        size_t bytes = (size_t)(i * 37 % 70000);
        assert_true(send(&node, bytes));
        said += bytes;
        arrive(&asker);
        arrive(&node);
        assert_true(asker.end.allowed <= asker.end.window);
    }
    assert_int_equal(asker.bytes, said);
}

static void many_small_frames_cost_too(void **state) {
    (void)state;
    size_t sent = 0;
    asker.keeps = true;
    node.end.credit = 100 * RELAY_FRAME_COST;
    while (send(&node, 0)) {
        sent++;
    }
    assert_int_equal(sent, 100);
}

static void who_says_more_than_it_may_is_cut_off(void **state) {
    (void)state;
    asker.keeps = true;
    node.end.credit = INT64_MAX / 2; // it lies to itself
    for (int i = 0; i < 10; i++) {
        assert_true(send(&node, RELAY_DATA_BYTES_MAX));
    }
    arrive(&asker);
    assert_int_equal(asker.ends, 1);
    assert_int_equal(asker.end_code, ERR_INVALID);
    assert_true(asker.bytes <= RELAY_WINDOW_BYTES + RELAY_DATA_BYTES_MAX);
    assert_int_equal(asker.drops, 1);
}

static void a_close_arrives_behind_what_was_said_with_its_reason(void **state) {
    (void)state;
    struct error err = {0};
    error_set(&err, ERR_NOT_FOUND, "no such task");
    assert_true(send(&node, 5));
    relay_close(&node.end, &err);
    assert_false(send(&node, 5));
    arrive(&asker);
    assert_int_equal(asker.bytes, 5);
    assert_int_equal(asker.ends, 1);
    assert_int_equal(asker.end_code, ERR_NOT_FOUND);
    assert_int_equal(node.ends, 0); // who closes is not called
    assert_int_equal(node.end.state, RELAY_LINGERING);
    relay_end_tick(&node.end, RELAY_LINGER_MS);
    assert_int_equal(node.end.state, RELAY_OVER);
}

static void a_plain_close_is_no_failure_and_nothing_comes_after_it(void **state) {
    (void)state;
    relay_close(&asker.end, /*err=*/NULL);
    assert_true(send(&node, 5)); // it does not know yet
    arrive(&node);
    assert_int_equal(node.end_code, 0);
    arrive(&asker);
    assert_int_equal(asker.frames, 0);
    assert_int_equal(asker.ends, 0);
    relay_consumed(&node.end, 100); // harmless
    assert_int_equal(asker.way_count, 0);
}

static void silence_ends_it_and_signs_of_life_keep_it(void **state) {
    (void)state;
    int64_t now_ms = 0;
    for (; now_ms < 10 * RELAY_SILENCE_MS; now_ms += 1000) {
        relay_end_tick(&asker.end, now_ms);
        relay_end_tick(&node.end, now_ms);
        arrive(&asker);
        arrive(&node);
    }
    assert_int_equal(asker.ends + node.ends, 0);
    for (int64_t until_ms = now_ms + RELAY_SILENCE_MS + 1000; now_ms < until_ms; now_ms += 1000) {
        relay_end_tick(&asker.end, now_ms); // nothing arrives
    }
    assert_int_equal(asker.ends, 1);
    assert_int_equal(asker.end_code, ERR_UNREACHABLE);
    assert_int_equal(asker.frames + node.frames, 0); // signs of life are nobody's frames
}

static void who_is_not_there_in_time_is_given_up_with_the_reason_known(void **state) {
    (void)state;
    asker.end.state = RELAY_SETTING_UP;
    asker.end.deadline_ms = RELAY_SETUP_MS;
    str_copy(asker.end.trouble, sizeof asker.end.trouble, "no manager leads");
    relay_end_tick(&asker.end, RELAY_SETUP_MS - 1);
    assert_int_equal(asker.ends, 0);
    assert_false(send(&asker, 1));
    relay_end_tick(&asker.end, RELAY_SETUP_MS);
    assert_int_equal(asker.ends, 1);
    assert_int_equal(asker.end_code, ERR_UNREACHABLE);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(what_one_says_the_other_hears, begin, finish),
    cmocka_unit_test_setup_teardown(who_does_not_read_is_said_a_window_and_a_frame_and_no_more, begin,
                                    finish),
    cmocka_unit_test_setup_teardown(credit_comes_back_for_ever, begin, finish),
    cmocka_unit_test_setup_teardown(many_small_frames_cost_too, begin, finish),
    cmocka_unit_test_setup_teardown(who_says_more_than_it_may_is_cut_off, begin, finish),
    cmocka_unit_test_setup_teardown(a_close_arrives_behind_what_was_said_with_its_reason, begin, finish),
    cmocka_unit_test_setup_teardown(a_plain_close_is_no_failure_and_nothing_comes_after_it, begin, finish),
    cmocka_unit_test_setup_teardown(silence_ends_it_and_signs_of_life_keep_it, begin, finish),
    cmocka_unit_test_setup_teardown(who_is_not_there_in_time_is_given_up_with_the_reason_known, begin,
                                    finish),
};
CHECK_MAIN(tests)
