// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_transport_messages.c — the message table is sound, and every payload survives the wire.
#include "test/lib/check.h"
#include "test/lib/random_object.h"

#include <string.h>

#include "base/assert.h"
#include "base/str.h"
#include "transport/messages.h"

static const uint16_t numbers[] = {
#define X(name, number, payload, sender, bytes, retry) number,
#include "transport/messages.def"
#undef X
};
enum { MESSAGES = sizeof numbers / sizeof *numbers };

static void every_number_has_one_row_in_the_range_of_its_sort(void **state) {
    (void)state;
    for (size_t i = 0; i < MESSAGES; i++) {
        const struct message_row *row = message_row(numbers[i]);
        assert_non_null(row);
        assert_int_equal(row->number, numbers[i]);
        assert_true(row->bytes_max <= FRAME_BYTES_MAX);
        if (row->number >= 16 && row->number < 64) {
            assert_int_equal(row->sender, SENDER_CLIENT);
        } else if (row->number >= 64 && row->number < 128) {
            assert_int_equal(row->sender, SENDER_SERVER);
        } else {
            assert_true(row->number < 16);
        }
        assert_true(IMPLIES(row->is_retryable, row->sender == SENDER_CLIENT));
        for (size_t j = 0; j < i; j++) {
            assert_int_not_equal(numbers[i], numbers[j]);
            assert_string_not_equal(row->name, message_row(numbers[j])->name);
        }
    }
}

static void all_other_numbers_have_none(void **state) {
    (void)state;
    unsigned rows = 0;
    for (unsigned number = 0; number <= UINT16_MAX; number++) {
        rows += message_row((uint16_t)number) != NULL;
    }
    assert_int_equal(rows, MESSAGES);
    assert_null(message_row(MESSAGE_NONE));
}

static void check_round_trip(const struct schema *schema, const void *object, struct arena *arena) {
    AUTO_BUF bytes = {0};
    AUTO_BUF again = {0};
    struct error err = {0};
    void *read = arena_alloc(arena, schema->bytes);
    wire_encode(schema, object, &bytes);
    assert_false(bytes.overflow);
    if (wire_decode(schema, buf_bytes(&bytes), read, arena, &err) != 0) {
        fail_msg("%s: %s", schema->name, err.root);
    }
    assert_true(schema_equal(schema, object, read));
    wire_encode(schema, read, &again);
    assert_int_equal(bytes.len, again.len);
    assert_memory_equal(buf_text(&bytes), buf_text(&again), bytes.len);
}

static void every_payload_survives_the_wire(void **state) {
    (void)state;
    struct prng prng;
    prng_seed(&prng, 20);
    for (size_t i = 0; i < MESSAGES; i++) {
        for (int round = 0; round < 60; round++) {
            AUTO_ARENA arena = {0};
            const struct schema *schema = message_row(numbers[i])->payload;
            check_round_trip(schema, random_object(&prng, schema, &arena), &arena);
        }
    }
}

// A field of a newer version: tag 2000, a number.
static void a_field_of_a_newer_version_is_kept(void **state) {
    (void)state;
    struct prng prng;
    prng_seed(&prng, 21);
    static const char newer[] = "\x80\x7d\x2a";
    for (size_t i = 0; i < MESSAGES; i++) {
        AUTO_ARENA arena = {0};
        AUTO_BUF bytes = {0};
        AUTO_BUF again = {0};
        const struct schema *schema = message_row(numbers[i])->payload;
        wire_encode(schema, random_object(&prng, schema, &arena), &bytes);
        buf_add(&bytes, newer, 3);
        void *read = arena_alloc(&arena, schema->bytes);
        assert_int_equal(wire_decode(schema, buf_bytes(&bytes), read, &arena, NULL), 0);
        wire_encode(schema, read, &again);
        assert_int_equal(bytes.len, again.len);
        assert_memory_equal(buf_text(&bytes), buf_text(&again), bytes.len);
    }
}

static void damaged_payloads_are_refused_or_read_but_never_more(void **state) {
    (void)state;
    struct prng prng;
    prng_seed(&prng, 22);
    for (size_t i = 0; i < MESSAGES; i++) {
        for (int round = 0; round < 200; round++) {
            AUTO_ARENA arena = {0};
            AUTO_BUF bytes = {0};
            const struct schema *schema = message_row(numbers[i])->payload;
            wire_encode(schema, random_object(&prng, schema, &arena), &bytes);
            if (bytes.len == 0) {
                continue;
            }
            bytes.data[prng_below(&prng, bytes.len)] ^= (char)(1 << prng_below(&prng, 8));
            struct bytes cut = {(const uint8_t *)bytes.data, (size_t)prng_below(&prng, bytes.len + 1)};
            void *read = arena_alloc(&arena, schema->bytes);
            if (wire_decode(schema, cut, read, &arena, NULL) == 0) {
                check_round_trip(schema, read, &arena);
            }
        }
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_number_has_one_row_in_the_range_of_its_sort),
    cmocka_unit_test(all_other_numbers_have_none),
    cmocka_unit_test(every_payload_survives_the_wire),
    cmocka_unit_test(a_field_of_a_newer_version_is_kept),
    cmocka_unit_test(damaged_payloads_are_refused_or_read_but_never_more),
};
CHECK_MAIN(tests)
