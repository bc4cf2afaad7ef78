// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_store_digest.c — digests: equal where the same happened, whatever the slices; different for
// each record that differs; and a damaged record is named.
#include "test/lib/check.h"
#include "test/lib/store_fixture.h"

#include <stdio.h>
#include <string.h>

#include "reconciler/store/digest.h"
#include "reconciler/store/turn.h"

static struct digest digest_of(struct store_fixture *f, size_t slice, size_t *steps) {
    struct digest_walk *walk = NULL;
    int rc = digest_begin(f->store, &walk, &f->err);
    assert_int_equal(rc, 0);
    for (*steps = 0; rc == 0; ++*steps) {
        rc = digest_step(walk, slice, &f->err);
    }
    assert_int_equal(rc, DIGEST_DONE);
    struct digest digest = *digest_result(walk);
    digest_end(walk);
    return digest;
}

static void fill(struct store_fixture *f, unsigned count) {
    for (unsigned i = 1; i <= count; i++) {
        char name[16];
        snprintf(name, sizeof name, "request%u", i);
        store_add(f, CHANGE_CREATE, store_task(f, i, 1, 900), 0);
        store_add(f, CHANGE_CREATE, store_config(f, 10000 + i, name, 300), 0);
        store_add(f, CHANGE_CREATE, store_revision_object(f, 20000 + i, 1, i), 0);
        f->transaction.request_id = name;
        assert_int_equal(store_send(f).code, 0);
    }
}

static void slices_do_not_matter(void **state) {
    (void)state;
    struct store_fixture f, other;
    size_t many, few, one;
    store_fixture_begin(&f, NULL);
    store_fixture_begin(&other, NULL);
    fill(&f, 100);
    fill(&other, 100);
    struct digest a = digest_of(&f, 1, &many), b = digest_of(&f, 20000, &few);
    struct digest c = digest_of(&other, SIZE_MAX, &one);
    assert_memory_equal(&a, &b, sizeof a);
    assert_memory_equal(&a, &c, sizeof a);
    assert_true(many > few && few > one);
    assert_int_equal(a.index, 100);
    for (int table = TABLE_OBJECTS; table < TABLE_END; table++) {
        assert_true(a.tables[table] != 0);
    }
    assert_true(a.tables[TABLE_META] != 0 && a.tables[TABLE_LOG] == 0);
    store_fixture_end(&f);
    store_fixture_end(&other);
}

static void what_is_written_meanwhile_is_not_seen(void **state) {
    (void)state;
    struct store_fixture f;
    size_t steps;
    struct digest_walk *walk = NULL;
    store_fixture_begin(&f, NULL);
    fill(&f, 50);
    struct digest before = digest_of(&f, SIZE_MAX, &steps);
    assert_int_equal(digest_begin(f.store, &walk, &f.err), 0);
    int rc = 0;
    for (unsigned i = 0; rc == 0; i++) {
        rc = digest_step(walk, 1000, &f.err);
        store_try(&f, CHANGE_UPDATE, store_config(&f, 10001 + i % 50, "other", 10), 0);
    }
    assert_int_equal(rc, DIGEST_DONE);
    assert_memory_equal(digest_result(walk), &before, sizeof before);
    digest_end(walk);
    struct digest after = digest_of(&f, SIZE_MAX, &steps);
    assert_true(after.tables[TABLE_OBJECTS] != before.tables[TABLE_OBJECTS]);
    store_fixture_end(&f);
}

// Each replicated table: one record more, one changed, one less.
static void each_record_counts(void **state) {
    (void)state;
    struct store_fixture f;
    size_t steps;
    store_fixture_begin(&f, NULL);
    fill(&f, 20);
    struct digest before = digest_of(&f, SIZE_MAX, &steps);
    for (int table = TABLE_OBJECTS; table < TABLE_END; table++) {
        struct key key = key_text("another key");
        for (int round = 0; round < 3; round++) {
            struct turn turn;
            struct bytes payload = {(const uint8_t *)(round == 1 ? "B" : "A"), 1};
            assert_int_equal(turn_begin(f.store, &turn, NULL), 0);
            assert_int_equal(round < 2 ? environment_put(&f.store->environment, turn.tables.txn,
                                                         (enum table)table, &key, payload, NULL)
                                       : environment_remove(&f.store->environment, turn.tables.txn,
                                                            (enum table)table, &key, NULL),
                             0);
            assert_int_equal(turn_commit(&turn, NULL), 0);
            struct digest now = digest_of(&f, SIZE_MAX, &steps);
            for (int other = 0; other < TABLE_END; other++) {
                bool is_other = other == table && round < 2;
                assert_true((now.tables[other] != before.tables[other]) == is_other);
            }
        }
    }
    store_fixture_end(&f);
}

static void rot_is_found(void **state) {
    (void)state;
    struct store_fixture f;
    char text[512];
    store_fixture_begin(&f, NULL);
    fill(&f, 20);
    // A record without its right checksum, put there as LMDB would show it.
    struct turn turn;
    struct id id = store_id(7);
    struct key key = key_object(KIND_TASK, id.text);
    assert_int_equal(turn_begin(f.store, &turn, NULL), 0);
    char record[] = "\1\3\0\0----------------";
    MDB_val k = {key.len, key.data}, v = {sizeof record, record};
    assert_int_equal(mdb_put(turn.tables.txn, f.store->environment.tables[TABLE_OBJECTS], &k, &v, 0), 0);
    assert_int_equal(turn_commit(&turn, NULL), 0);
    struct digest_walk *walk = NULL;
    int rc = digest_begin(f.store, &walk, &f.err);
    while (rc == 0) {
        rc = digest_step(walk, 100, &f.err);
    }
    digest_end(walk);
    assert_int_equal(rc, -ERR_CORRUPT);
    assert_non_null(strstr(error_text(&f.err, text, sizeof text), id.text));
    store_fixture_end(&f);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(slices_do_not_matter),
    cmocka_unit_test(what_is_written_meanwhile_is_not_seen),
    cmocka_unit_test(each_record_counts),
    cmocka_unit_test(rot_is_found),
};
CHECK_MAIN(tests)
