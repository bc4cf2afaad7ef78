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
        } else if (row->number >= 128 && row->number < 192) {
            assert_true(row->sender == SENDER_AGENT || row->sender == SENDER_DISPATCHER);
        } else if (row->number >= 192 && row->number < 256) {
            assert_int_equal(row->sender, SENDER_MANAGER);
        } else {
            assert_true(row->number < 16);
        }
        assert_true(
            IMPLIES(row->is_retryable, row->sender != SENDER_SERVER && row->sender != SENDER_DISPATCHER));
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

// --- RAFT has a coding of its own ---

static struct raft_packet packet_of(struct prng *prng, size_t count, struct arena *arena) {
    struct raft_packet packet = {.type = (uint8_t)prng_below(prng, 13),
                                 .is_reject = prng_below(prng, 2) == 1,
                                 .is_transfer = prng_below(prng, 2) == 1,
                                 .term = prng_next(prng),
                                 .index = prng_next(prng),
                                 .log_term = prng_next(prng),
                                 .commit = prng_next(prng),
                                 .hint_index = prng_next(prng),
                                 .hint_term = prng_next(prng),
                                 .sequence = prng_next(prng),
                                 .context = prng_next(prng)};
    packet.entries.items = ARENA_ARRAY(arena, struct raft_packet_entry, count);
    packet.entries.count = count;
    for (size_t i = 0; i < count; i++) {
        size_t len = prng_below(prng, 40);
        packet.entries.items[i] = (struct raft_packet_entry){
            prng_next(prng), (uint8_t)prng_below(prng, 3), {arena_alloc(arena, len + 1), len}};
    }
    return packet;
}

static void a_raft_packet_comes_back_as_it_was(void **state) {
    (void)state;
    AUTO_ARENA arena = arena_make(0);
    struct prng prng;
    prng_seed(&prng, 5);
    for (size_t count = 0; count < 300; count += 1 + count / 3) {
        struct raft_packet packet = packet_of(&prng, count, &arena), read;
        AUTO_BUF bytes = {0};
        AUTO_BUF again = {0};
        raft_packet_encode(&packet, &bytes);
        assert_int_equal(raft_packet_decode(buf_bytes(&bytes), &read, &arena, NULL), 0);
        assert_int_equal(read.entries.count, count);
        assert_true(read.term == packet.term && read.context == packet.context &&
                    read.is_transfer == packet.is_transfer && read.is_reject == packet.is_reject);
        raft_packet_encode(&read, &again);
        assert_int_equal(bytes.len, again.len);
        assert_memory_equal(bytes.data, again.data, bytes.len);
    }
}

static void a_raft_packet_that_is_cut_or_longer_is_refused(void **state) {
    (void)state;
    AUTO_ARENA arena = arena_make(0);
    struct prng prng;
    prng_seed(&prng, 6);
    struct raft_packet packet = packet_of(&prng, 5, &arena), read;
    AUTO_BUF bytes = {0};
    raft_packet_encode(&packet, &bytes);
    assert_true(bytes.len > 72 + 5 * 16);
    for (size_t len = 0; len < bytes.len; len++) {
        struct bytes cut = {(const uint8_t *)bytes.data, len};
        assert_int_equal(raft_packet_decode(cut, &read, &arena, NULL), -ERR_INVALID);
    }
    buf_addc(&bytes, 'x');
    assert_int_equal(raft_packet_decode(buf_bytes(&bytes), &read, &arena, NULL), -ERR_INVALID);
    bytes.data[4] = (char)0xFF; // more entries than there are bytes for
    bytes.data[7] = (char)0xFF;
    assert_int_equal(raft_packet_decode(buf_bytes(&bytes), &read, &arena, NULL), -ERR_INVALID);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_raft_packet_comes_back_as_it_was),
    cmocka_unit_test(a_raft_packet_that_is_cut_or_longer_is_refused),
    cmocka_unit_test(every_number_has_one_row_in_the_range_of_its_sort),
    cmocka_unit_test(all_other_numbers_have_none),
    cmocka_unit_test(every_payload_survives_the_wire),
    cmocka_unit_test(a_field_of_a_newer_version_is_kept),
    cmocka_unit_test(damaged_payloads_are_refused_or_read_but_never_more),
};
CHECK_MAIN(tests)
