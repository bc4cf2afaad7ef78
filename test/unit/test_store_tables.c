// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_store_tables.c — what waits in memory over a transaction looks as if it were written: the
// same changes, some waiting and some written, against all of them written one by one.
#include "test/lib/check.h"

#include <stdio.h>
#include <string.h>

#include "base/prng.h"
#include "reconciler/store/tables.h"
#include "reconciler/store/turn.h"
#include "test/lib/store_fixture.h"

#define KEYS 1500
#define ROUNDS 120
#define CHANGES_MAX 500

struct twins {
    struct store_fixture waiting, plain; // the same is done to both
    struct turn turn, plain_turn;
    struct prng prng;
};

static void begin(struct twins *twins) {
    assert_int_equal(turn_begin(twins->waiting.store, &twins->turn, NULL), 0);
    assert_int_equal(turn_begin(twins->plain.store, &twins->plain_turn, NULL), 0);
}

static struct key random_key(struct twins *twins) {
    char text[32];
    // Some are beginnings of others, and many begin alike.
    snprintf(text, sizeof text, "common-beginning-%.*s", (int)prng_below(&twins->prng, 4), "xyz");
    struct key key = key_text(prng_below(&twins->prng, 4) == 0 ? text : "");
    if (key.len == 0) {
        snprintf(text, sizeof text, "%u", (unsigned)prng_below(&twins->prng, KEYS));
        key = key_text(text);
    }
    return key;
}

static void change(struct twins *twins) {
    const struct tables *tables = &twins->turn.tables;
    struct key key = random_key(twins);
    uint8_t bytes[600];
    size_t len = (size_t)prng_below(&twins->prng, sizeof bytes);
    memset(bytes, (int)prng_below(&twins->prng, 256), sizeof bytes);
    struct bytes payload = {bytes, len};
    if (prng_below(&twins->prng, 3) == 0) {
        int rc = environment_remove(&twins->plain.store->environment, twins->plain_turn.tables.txn,
                                    TABLE_REQUESTS, &key, NULL);
        assert_int_equal(tables_remove(tables, TABLE_REQUESTS, &key, NULL), rc);
    } else {
        tables_put(tables, TABLE_REQUESTS, &key, payload);
        assert_int_equal(environment_put(&twins->plain.store->environment, twins->plain_turn.tables.txn,
                                         TABLE_REQUESTS, &key, payload, NULL),
                         0);
    }
}

static void assert_same_bytes(struct bytes a, struct bytes b) {
    assert_int_equal(a.len, b.len);
    assert_true(a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static void assert_same_look_up(struct twins *twins) {
    struct key key = random_key(twins);
    struct bytes have, want;
    int rc = environment_get(&twins->plain.store->environment, twins->plain_turn.tables.txn, TABLE_REQUESTS,
                             &key, &want, NULL);
    assert_int_equal(tables_get(&twins->turn.tables, TABLE_REQUESTS, &key, &have, NULL), rc);
    if (rc == 0) {
        assert_same_bytes(have, want);
    }
}

// `from` NULL: all.
static void assert_same_walk(struct twins *twins, const struct key *from) {
    struct table_cursor have, want;
    struct bytes have_key, have_payload, want_key, want_payload;
    assert_int_equal(table_cursor_begin(&twins->turn.tables, TABLE_REQUESTS, &have, NULL), 0);
    struct tables plain = twins->plain_turn.tables;
    plain.memtable = NULL;
    assert_int_equal(table_cursor_begin(&plain, TABLE_REQUESTS, &want, NULL), 0);
    int rc = table_seek(&want, from, &want_key, &want_payload, NULL);
    assert_int_equal(table_seek(&have, from, &have_key, &have_payload, NULL), rc);
    while (rc == 0) {
        assert_same_bytes(have_key, want_key);
        assert_same_bytes(have_payload, want_payload);
        rc = table_next(&want, &want_key, &want_payload, NULL);
        assert_int_equal(table_next(&have, &have_key, &have_payload, NULL), rc);
    }
    assert_int_equal(rc, STORE_END);
    table_cursor_end(&have);
    table_cursor_end(&want);
}

static void what_waits_looks_as_if_it_were_written(void **state) {
    struct twins twins = {0};
    (void)state;
    store_fixture_begin(&twins.waiting, NULL);
    store_fixture_begin(&twins.plain, NULL);
    prng_seed(&twins.prng, 20);
    begin(&twins);
    for (int round = 0; round < ROUNDS; round++) {
        for (uint64_t count = prng_below(&twins.prng, CHANGES_MAX); count > 0; count--) {
            change(&twins);
        }
        assert_same_look_up(&twins);
        struct key from = random_key(&twins);
        assert_same_walk(&twins, &from);
        assert_same_walk(&twins, NULL);
        if (prng_below(&twins.prng, 5) == 0) {
            assert_int_equal(turn_commit(&twins.turn, NULL), 0);
            assert_int_equal(turn_commit(&twins.plain_turn, NULL), 0);
            begin(&twins);
            assert_same_walk(&twins, NULL);
        } else if (prng_below(&twins.prng, 5) == 0) {
            assert_int_equal(turn_sync(&twins.turn, NULL), 0);
        }
    }
    turn_abort(&twins.turn);
    turn_abort(&twins.plain_turn);
    store_fixture_end(&twins.waiting);
    store_fixture_end(&twins.plain);
}

static void what_is_added_behind_stays_in_order(void **state) {
    struct store_fixture f;
    struct turn turn;
    struct bytes payload = {(const uint8_t *)"x", 1};
    struct key five = key_event(5, 0), six = key_event(6, 0);
    (void)state;
    store_fixture_begin(&f, NULL);
    assert_int_equal(turn_begin(f.store, &turn, NULL), 0);
    assert_int_equal(tables_append(&turn.tables, TABLE_HISTORY, &six, payload, NULL), 0);
    assert_int_equal(tables_append(&turn.tables, TABLE_HISTORY, &six, payload, NULL), -ERR_CORRUPT);
    assert_int_equal(tables_append(&turn.tables, TABLE_HISTORY, &five, payload, NULL), -ERR_CORRUPT);
    assert_int_equal(turn_commit(&turn, NULL), 0);
    assert_int_equal(turn_begin(f.store, &turn, NULL), 0);
    assert_int_equal(tables_append(&turn.tables, TABLE_HISTORY, &five, payload, NULL), 0);
    assert_int_equal(turn_commit(&turn, NULL), -ERR_CORRUPT); // found when it is written
    assert_null(f.store->turn);
    store_fixture_end(&f);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_waits_looks_as_if_it_were_written),
    cmocka_unit_test(what_is_added_behind_stays_in_order),
};
CHECK_MAIN(tests)
