// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_store_snapshot.c — snapshots: what goes in is what came out, however it is cut; and what is
// not a whole snapshot of this cluster never shows.
#include "test/lib/check.h"
#include "test/lib/snapshot_chunks.h"

#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/prng.h"
#include "reconciler/store/log.h"
#include "reconciler/store/snapshot_stream.h"
#include "reconciler/store/turn.h"

static void fill(struct store_fixture *f, unsigned count) {
    for (unsigned i = 1; i <= count; i++) {
        char name[16];
        snprintf(name, sizeof name, "request%u", i);
        store_add(f, CHANGE_CREATE, store_task(f, i, 1 + i % 7, 900), 0);
        store_add(f, CHANGE_CREATE, store_config(f, 10000 + i, name, 10 + i % 3000), 0);
        store_add(f, CHANGE_CREATE, store_revision_object(f, 20000 + i, 1 + i % 7, i), 0);
        f->transaction.request_id = name;
        assert_int_equal(store_submit(f, i), 0);
        if (i == count || i % 100 == 0) { // many a commit
            store_turn(f);
        }
    }
}

static void name_membership(struct store_fixture *f) {
    struct member member = {.raft_id = 7, .node_id = store_id(3), .address = "192.0.2.1:7443"};
    struct membership none = {0}, membership = membership_with(&none, &member, &f->arena);
    AUTO_BUF wire = {0};
    wire_encode(&membership_schema, &membership, &wire);
    struct turn turn;
    struct outcome outcome;
    struct log_entry entry = {f->store->local.term, RAFT_ENTRY_CONFIGURATION, buf_bytes(&wire)};
    assert_int_equal(turn_begin(f->store, &turn, NULL), 0);
    assert_int_equal(turn_put_entry(&turn, turn.local.last_index + 1, &entry, NULL), 0);
    assert_int_equal(turn_apply(&turn, &entry, &outcome, NULL), 0);
    assert_int_equal(turn_commit(&turn, NULL), 0);
}

static void reopen(struct store_fixture *f) {
    store_fixture_close(f);
    assert_int_equal(store_fixture_open(f), 0); // and checks
}

static void is_copy(struct store_fixture *copy, struct store_fixture *of) {
    assert_true(store_digest_now(copy) == store_digest_now(of));
    const struct store_local *local = store_local(copy->store);
    assert_int_equal(local->base_index, store_revision(of->store));
    assert_int_equal(local->last_index, store_revision(of->store));
    assert_int_equal(local->base_term, of->store->state.term);
    assert_int_equal(local->log_bytes, 0);
    assert_memory_equal(&copy->store->state, &of->store->state, sizeof of->store->state);
}

// --- round trips ---

static void round_trip(unsigned count, unsigned there_before) {
    struct store_fixture from, to;
    store_fixture_begin(&from, NULL);
    store_fixture_begin(&to, NULL);
    fill(&from, count);
    name_membership(&from);
    assert_int_equal(store_join_group(to.store, 4711, NULL, &to.err), 0);
    for (unsigned i = 1; i <= there_before; i++) { // another past
        store_try(&to, CHANGE_CREATE, store_task(&to, 50000 + i, 2, 901), 0);
    }
    struct snapshot_chunks chunks = snapshot_chunks_of(&from, &from.arena);
    assert_int_equal(snapshot_chunks_install(&chunks, to.store, 9, 77, &to.err), 0);
    is_copy(&to, &from);
    assert_int_equal(store_local(to.store)->term, 9);
    assert_int_equal(store_local(to.store)->vote, 77);
    assert_int_equal(store_local(to.store)->generation, 1);
    assert_int_equal(store_local(to.store)->raft_id, 4711);
    reopen(&to);
    is_copy(&to, &from);
    // It lives on from there like the one it came from, and a snapshot of it is the same.
    for (unsigned i = 0; i < 20; i++) {
        store_try(&from, CHANGE_CREATE, store_task(&from, 60000 + i, 1, 0), 0);
        store_try(&to, CHANGE_CREATE, store_task(&to, 60000 + i, 1, 0), 0);
    }
    reopen(&to);
    assert_int_equal(store_revision(to.store), store_revision(from.store));
    // The term of the entries differs, and with it the state.
    to.store->state.term = from.store->state.term;
    assert_memory_equal(&to.store->state, &from.store->state, sizeof from.store->state);
    store_fixture_end(&from);
    store_fixture_end(&to);
}

static void an_empty_store_goes_over(void **state) {
    (void)state;
    round_trip(0, 0);
}

static void a_small_store_goes_over(void **state) {
    (void)state;
    round_trip(5, 3);
}

static void a_store_of_many_chunks_goes_over(void **state) {
    (void)state;
    round_trip(700, 400); // about 3 MB
}

static void it_goes_there_and_back(void **state) {
    (void)state;
    struct store_fixture a, b;
    store_fixture_begin(&a, NULL);
    store_fixture_begin(&b, NULL);
    fill(&a, 40);
    for (uint64_t round = 0; round < 6; round++) {
        struct store_fixture *from = round % 2 == 0 ? &a : &b, *to = round % 2 == 0 ? &b : &a;
        store_try(from, CHANGE_CREATE, store_task(from, 60000 + (unsigned)round, 1, 0), 0);
        struct snapshot_chunks chunks = snapshot_chunks_of(from, &from->arena);
        assert_int_equal(snapshot_chunks_install(&chunks, to->store, round, 0, &to->err), 0);
        is_copy(to, from);
        assert_int_equal(store_local(to->store)->generation, 1 - round / 2 % 2);
    }
    reopen(&a);
    reopen(&b);
    store_fixture_end(&a);
    store_fixture_end(&b);
}

// --- where it is cut ---

static void it_may_be_cut_anywhere(void **state) {
    (void)state;
    struct store_fixture from, to;
    store_fixture_begin(&from, NULL);
    store_fixture_begin(&to, NULL);
    fill(&from, 2);
    struct snapshot_chunks chunks = snapshot_chunks_of(&from, &from.arena);
    size_t pieces[] = {13, 29, 100, 333, 1000, 5000};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        AUTO_ARENA arena = {0};
        struct snapshot_chunks cut = snapshot_chunks_cut(&chunks, pieces[i], &arena);
        assert_int_equal(snapshot_chunks_install(&cut, to.store, 1, 0, &to.err), 0);
        is_copy(&to, &from);
    }
    store_fixture_end(&from);
    store_fixture_end(&to);
}

struct items_seen {
    uint64_t count;
    struct buf all;
};

static int see(void *context, const struct snapshot_item *item, struct error *err) {
    struct items_seen *seen = context;
    (void)err;
    seen->count++;
    snapshot_item_write(item, &seen->all);
    return 0;
}

static void every_cut_in_two_yields_the_same_items(void **state) {
    (void)state;
    struct store_fixture from;
    store_fixture_begin(&from, NULL);
    fill(&from, 1);
    struct snapshot_chunks chunks = snapshot_chunks_of(&from, &from.arena);
    assert_int_equal(chunks.all.count, 2);
    struct bytes stream = chunks.all.items[0];
    stream.data += SNAPSHOT_CHUNK_HEAD_BYTES;
    stream.len -= SNAPSHOT_CHUNK_HEAD_BYTES;
    for (size_t cut = 0; cut <= stream.len; cut++) {
        struct snapshot_reader reader = {0};
        struct items_seen seen = {0};
        struct bytes first = {stream.data, cut}, second = {stream.data + cut, stream.len - cut};
        assert_int_equal(snapshot_reader_feed(&reader, first, see, &seen, NULL), 0);
        assert_int_equal(snapshot_reader_feed(&reader, second, see, &seen, NULL), 0);
        assert_int_equal(seen.count, reader.items);
        assert_int_equal(seen.all.len, stream.len);
        assert_memory_equal(seen.all.data, stream.data, stream.len);
        snapshot_reader_free(&reader);
        buf_free(&seen.all);
    }
    store_fixture_end(&from);
}

// A record that ends at each place around the end of a chunk.
static void the_end_of_a_chunk_may_fall_anywhere(void **state) {
    (void)state;
    struct store_fixture from, to;
    struct store_options options = {.history_bytes = 1000};
    store_fixture_begin(&from, &options);
    store_fixture_begin(&to, &options);
    store_try(&from, CHANGE_CREATE, store_task(&from, 1, 1, 900), 0);
    store_try(&from, CHANGE_CREATE, store_config(&from, 2, "filler", 10), 0);
    for (size_t bytes = SNAPSHOT_CHUNK_BYTES - 1200; bytes < SNAPSHOT_CHUNK_BYTES - 560; bytes += 7) {
        AUTO_ARENA arena = {0};
        assert_int_equal(store_try(&from, CHANGE_UPDATE, store_config(&from, 2, "filler", bytes), 0).code, 0);
        struct snapshot_chunks chunks = snapshot_chunks_of(&from, &arena);
        assert_int_equal(snapshot_chunks_install(&chunks, to.store, 1, 0, &to.err), 0);
        is_copy(&to, &from);
    }
    store_fixture_end(&from);
    store_fixture_end(&to);
}

static void the_largest_records_go_over(void **state) {
    (void)state;
    struct store_fixture from, to;
    store_fixture_begin(&from, NULL);
    store_fixture_begin(&to, NULL);
    // An event holds the object as it was and as it is.
    for (unsigned i = 0; i < 3; i++) {
        enum change_op op = i == 0 ? CHANGE_CREATE : CHANGE_UPDATE;
        struct store_object object = store_config(&from, 1, "big", OBJECT_BYTES_MAX - 300 + i);
        assert_int_equal(store_try(&from, op, object, 0).code, 0);
    }
    struct snapshot_chunks chunks = snapshot_chunks_of(&from, &from.arena);
    assert_true(chunks.all.count > 16);
    assert_int_equal(snapshot_chunks_install(&chunks, to.store, 1, 0, &to.err), 0);
    is_copy(&to, &from);
    reopen(&to);
    store_fixture_end(&from);
    store_fixture_end(&to);
}

// --- meanwhile ---

static void what_is_written_meanwhile_is_not_in_it(void **state) {
    (void)state;
    struct store_fixture from, to;
    store_fixture_begin(&from, NULL);
    store_fixture_begin(&to, NULL);
    fill(&from, 300);
    uint64_t digest = store_digest_now(&from);
    struct snapshot_out *out = NULL;
    struct snapshot_in *in = NULL;
    struct bytes chunk;
    bool is_last = false;
    assert_int_equal(snapshot_out_begin(from.store, &out, NULL), 0);
    assert_int_equal(snapshot_in_begin(to.store, &in, NULL), 0);
    for (uint32_t number = 0; !is_last; number++) {
        assert_int_equal(snapshot_in_next(in), number);
        assert_int_equal(snapshot_out_chunk(out, number, &chunk, &is_last, NULL), 0);
        for (unsigned i = 0; i < 30; i++) {
            unsigned at = 10001 + (number * 31 + i) % 300;
            struct store_object object = store_config(&from, at, "", 2000);
            assert_int_equal(store_try(&from, CHANGE_UPDATE, object, 0).code, 0);
        }
        // And the receiver's own life goes on beside it: entries, votes.
        assert_int_equal(store_try(&to, CHANGE_CREATE, store_task(&to, 70000 + number, 1, 0), 0).code, 0);
        struct bytes again;
        bool is_last_again;
        assert_int_equal(snapshot_out_chunk(out, number, &again, &is_last_again, NULL), 0);
        assert_true(again.len == chunk.len && is_last_again == is_last);
        assert_int_equal(snapshot_in_add(in, again, NULL), is_last ? SNAPSHOT_COMPLETE : 0);
        assert_int_equal(snapshot_in_add(in, again, NULL), is_last ? SNAPSHOT_COMPLETE : 0);
        assert_int_equal(snapshot_in_index(in), 300);
    }
    assert_int_equal(snapshot_out_index(out), 300);
    assert_int_equal(snapshot_out_chunk(out, 0, &chunk, &is_last, NULL), -ERR_INVALID);
    assert_int_equal(snapshot_out_chunk(out, snapshot_in_next(in), &chunk, &is_last, NULL), -ERR_INVALID);
    snapshot_out_end(out);
    assert_int_equal(snapshot_in_install(in, 4, 0, NULL), 0);
    snapshot_in_end(in);
    assert_true(store_digest_now(&to) == digest);
    assert_int_equal(store_revision(to.store), 300);
    store_fixture_end(&from);
    store_fixture_end(&to);
}

static void a_picture_survives_an_installation_here(void **state) {
    (void)state;
    struct store_fixture a, b, c;
    store_fixture_begin(&a, NULL);
    store_fixture_begin(&b, NULL);
    store_fixture_begin(&c, NULL);
    fill(&a, 400);
    fill(&b, 200);
    uint64_t digest = store_digest_now(&b);
    struct snapshot_out *out = NULL;
    struct snapshot_in *in = NULL;
    struct bytes chunk;
    bool is_last = false;
    assert_int_equal(snapshot_out_begin(b.store, &out, NULL), 0);
    assert_int_equal(snapshot_in_begin(c.store, &in, NULL), 0);
    assert_int_equal(snapshot_out_chunk(out, 0, &chunk, &is_last, NULL), 0);
    assert_int_equal(snapshot_in_add(in, chunk, NULL), 0);
    for (int i = 0; i < 3; i++) { // b becomes a, then gets more and becomes a again
        struct snapshot_chunks chunks = snapshot_chunks_of(&a, &a.arena);
        assert_int_equal(snapshot_chunks_install(&chunks, b.store, 1, 0, &b.err), 0);
        store_try(&a, CHANGE_CREATE, store_task(&a, 70000 + (unsigned)i, 1, 0), 0);
    }
    for (uint32_t number = 1; !is_last; number++) {
        assert_int_equal(snapshot_out_chunk(out, number, &chunk, &is_last, NULL), 0);
        assert_int_equal(snapshot_in_add(in, chunk, NULL), is_last ? SNAPSHOT_COMPLETE : 0);
    }
    snapshot_out_end(out);
    assert_int_equal(snapshot_in_install(in, 1, 0, NULL), 0);
    snapshot_in_end(in);
    assert_true(store_digest_now(&c) == digest);
    store_fixture_end(&a);
    store_fixture_end(&b);
    store_fixture_end(&c);
}

static void what_was_not_installed_is_thrown_away(void **state) {
    (void)state;
    struct store_fixture from, to;
    struct snapshot_in *in = NULL;
    store_fixture_begin(&from, NULL);
    store_fixture_begin(&to, NULL);
    fill(&from, 200);
    fill(&to, 10);
    uint64_t digest = store_digest_now(&to);
    struct snapshot_chunks chunks = snapshot_chunks_of(&from, &from.arena);
    for (int i = 0; i < 3; i++) { // ended, or begun again after the store was opened again
        assert_int_equal(snapshot_in_begin(to.store, &in, NULL), 0);
        for (size_t j = 0; j + (i == 0) < chunks.all.count; j++) {
            assert_true(snapshot_in_add(in, chunks.all.items[j], NULL) >= 0);
        }
        assert_true(store_digest_now(&to) == digest);
        snapshot_in_end(in);
        if (i == 1) {
            reopen(&to);
        }
        MDB_stat stat;
        MDB_txn *txn;
        assert_int_equal(environment_begin(&to.store->environment, /*write=*/false, &txn, NULL), 0);
        mdb_stat(txn, to.store->environment.shadows[TABLE_OBJECTS], &stat);
        assert_int_equal(stat.ms_entries, 0);
        mdb_txn_abort(txn);
    }
    assert_int_equal(snapshot_chunks_install(&chunks, to.store, 1, 0, &to.err), 0);
    is_copy(&to, &from);
    store_fixture_end(&from);
    store_fixture_end(&to);
}

// --- what is refused ---

struct refusal {
    struct store_fixture from, to;
    struct snapshot_chunks chunks;
    uint64_t digest; // of the receiver
    struct arena arena;
    char text[1024];
};

static void refusal_begin(struct refusal *r) {
    *r = (struct refusal){0};
    store_fixture_begin(&r->from, NULL);
    store_fixture_begin(&r->to, NULL);
    fill(&r->from, 500);
    fill(&r->to, 3);
    r->digest = store_digest_now(&r->to);
    r->chunks = snapshot_chunks_of(&r->from, &r->from.arena);
    assert_true(r->chunks.all.count > 3);
}

static void refusal_end(struct refusal *r) {
    store_fixture_end(&r->from);
    store_fixture_end(&r->to);
    arena_free(&r->arena);
}

static struct snapshot_chunks copy_of(struct refusal *r) {
    struct snapshot_chunks copy = {.index = r->chunks.index, .term = r->chunks.term};
    arena_clear(&r->arena);
    for (size_t i = 0; i < r->chunks.all.count; i++) {
        struct bytes chunk = r->chunks.all.items[i];
        *ARENA_PUSH(&r->arena, &copy.all) =
            (struct bytes){arena_copy(&r->arena, chunk.data, chunk.len), chunk.len};
    }
    return copy;
}

// The receiver refuses, says why, and is as before; then takes the right one.
static void refuses(struct refusal *r, const struct snapshot_chunks *chunks, int code, const char *why) {
    error_clear(&r->to.err);
    int rc = snapshot_chunks_install(chunks, r->to.store, 5, 0, &r->to.err);
    assert_int_equal(rc, code);
    error_text(&r->to.err, r->text, sizeof r->text);
    if (strstr(r->text, why) == NULL) {
        fail_msg("'%s' is not in '%s'", why, r->text);
    }
    assert_true(store_digest_now(&r->to) == r->digest);
    assert_int_equal(store_revision(r->to.store), 3);
    assert_int_equal(store_local(r->to.store)->last_index, 3);
}

static void reseal(struct bytes chunk, uint32_t number, bool is_last) {
    snapshot_chunk_seal((uint8_t *)(uintptr_t)chunk.data, chunk.len, number, is_last);
}

static void damaged_chunks_are_refused(void **state) {
    (void)state;
    struct refusal r;
    struct prng prng;
    refusal_begin(&r);
    prng_seed(&prng, 11);
    for (int i = 0; i < 60; i++) {
        struct snapshot_chunks copy = copy_of(&r);
        size_t at = prng_below(&prng, copy.all.count);
        uint8_t *data = (uint8_t *)(uintptr_t)copy.all.items[at].data;
        data[prng_below(&prng, copy.all.items[at].len)] ^= (uint8_t)(1U << prng_below(&prng, 8));
        refuses(&r, &copy, -ERR_CORRUPT, "a chunk with a wrong checksum");
    }
    for (size_t len = 0; len < 40; len++) {
        struct snapshot_chunks copy = copy_of(&r);
        copy.all.items[1].len = len;
        refuses(&r, &copy, -ERR_CORRUPT, len < 9 ? "is cut short" : "wrong checksum");
    }
    refusal_end(&r);
}

// Their checksums are right, but the stream is not.
static void streams_that_are_not_whole_are_refused(void **state) {
    (void)state;
    struct refusal r;
    refusal_begin(&r);
    struct snapshot_chunks copy = copy_of(&r); // two swapped
    struct bytes held = copy.all.items[1];
    copy.all.items[1] = copy.all.items[2];
    copy.all.items[2] = held;
    refuses(&r, &copy, -ERR_CORRUPT, "chunk 2 of a snapshot where 1 is wanted");
    reseal(copy.all.items[1], 1, false); // and numbered as if they belonged there
    reseal(copy.all.items[2], 2, false);
    refuses(&r, &copy, -ERR_CORRUPT, "take chunk 1 of a snapshot: ");
    copy = copy_of(&r); // one left out
    for (size_t i = 1; i + 1 < copy.all.count; i++) {
        copy.all.items[i] = copy.all.items[i + 1];
    }
    copy.all.count--;
    refuses(&r, &copy, -ERR_CORRUPT, "where 1 is wanted");
    for (size_t i = 1; i < copy.all.count; i++) {
        reseal(copy.all.items[i], (uint32_t)i, i + 1 == copy.all.count);
    }
    refuses(&r, &copy, -ERR_CORRUPT, "of a snapshot: ");
    copy = copy_of(&r); // ended too early
    copy.all.count -= 2;
    reseal(copy.all.items[copy.all.count - 1], (uint32_t)copy.all.count - 1, true);
    refuses(&r, &copy, -ERR_CORRUPT, "without its right end");
    copy = copy_of(&r); // going on after its end
    reseal(copy.all.items[copy.all.count - 1], (uint32_t)copy.all.count - 1, false);
    refuses(&r, &copy, -ERR_CORRUPT, "goes on after its end");
    copy = copy_of(&r); // begun in the middle
    reseal(copy.all.items[1], 0, false);
    copy.all.items++;
    copy.all.count--;
    refuses(&r, &copy, -ERR_CORRUPT, "of a snapshot: ");
    assert_int_equal(snapshot_chunks_install(&r.chunks, r.to.store, 5, 0, &r.to.err), 0);
    is_copy(&r.to, &r.from);
    refusal_end(&r);
}

static void refuse_glued(struct refusal *r, const struct snapshot_chunks *first,
                         const struct snapshot_chunks *second) {
    for (size_t glue = 1; glue < first->all.count && glue < second->all.count; glue++) {
        struct snapshot_chunks glued = {0};
        arena_clear(&r->arena);
        for (size_t i = 0; i < second->all.count; i++) {
            *ARENA_PUSH(&r->arena, &glued.all) = i < glue ? first->all.items[i] : second->all.items[i];
        }
        refuses(r, &glued, -ERR_CORRUPT, "of a snapshot: ");
    }
}

// The beginning of one snapshot and the end of another, of the same store a moment later.
static void two_streams_do_not_make_one(void **state) {
    (void)state;
    struct refusal r;
    refusal_begin(&r);
    struct store_object object = store_config(&r.from, 10001, "request1", 11);
    assert_int_equal(store_try(&r.from, CHANGE_UPDATE, object, 0).code, 0);
    struct snapshot_chunks later = snapshot_chunks_of(&r.from, &r.from.arena);
    refuse_glued(&r, &r.chunks, &later);
    refusal_end(&r);
}

// Of two stores that differ in one byte, so that nothing but the chain of checksums can tell.
static void not_even_if_they_are_nearly_equal(void **state) {
    (void)state;
    struct refusal r;
    struct store_fixture twins[2];
    struct snapshot_chunks chunks[2];
    refusal_begin(&r);
    for (int i = 0; i < 2; i++) {
        store_fixture_begin(&twins[i], NULL);
        struct store_object object = store_config(&twins[i], 1, "blob", 300);
        ((uint8_t *)(uintptr_t)object.bytes.data)[200] = (uint8_t)i;
        assert_int_equal(store_try(&twins[i], CHANGE_CREATE, object, 0).code, 0);
        fill(&twins[i], 500);
        chunks[i] = snapshot_chunks_of(&twins[i], &twins[i].arena);
    }
    assert_int_equal(chunks[0].all.count, chunks[1].all.count);
    refuse_glued(&r, &chunks[0], &chunks[1]);
    store_fixture_end(&twins[0]);
    store_fixture_end(&twins[1]);
    refusal_end(&r);
}

static void another_clusters_snapshot_is_refused(void **state) {
    (void)state;
    struct refusal r;
    refusal_begin(&r);
    store_fixture_close(&r.from);
    r.from.options.cluster_id = store_id(77);
    assert_int_equal(store_fixture_open(&r.from), 0);
    store_fixture_close(&r.to);
    r.to.options.cluster_id = store_id(78);
    assert_int_equal(store_fixture_open(&r.to), 0);
    struct snapshot_chunks chunks = snapshot_chunks_of(&r.from, &r.from.arena);
    refuses(&r, &chunks, -ERR_CORRUPT, "a snapshot of cluster");
    refusal_end(&r);
}

static void who_belongs_to_no_cluster_yet_takes_its(void **state) {
    (void)state;
    struct store_fixture from, to;
    struct store_options options = {.cluster_id = store_id(77)};
    store_fixture_begin(&from, &options);
    store_fixture_begin(&to, NULL);
    fill(&from, 3);
    struct snapshot_chunks chunks = snapshot_chunks_of(&from, &from.arena);
    assert_int_equal(snapshot_chunks_install(&chunks, to.store, 1, 0, &to.err), 0);
    store_fixture_close(&to);
    to.options.cluster_id = store_id(78);
    assert_int_equal(store_fixture_open(&to), -ERR_CONFLICT);
    to.options.cluster_id = store_id(77);
    assert_int_equal(store_fixture_open(&to), 0);
    store_fixture_end(&from);
    store_fixture_end(&to);
}

// --- made by hand: what no store would send ---

struct hand {
    struct buf stream;
    uint64_t items;
};

static void hand_item(struct hand *hand, enum table table, const char *key, const struct buf *payload) {
    struct bytes key_bytes = {(const uint8_t *)key, strlen(key)};
    snapshot_item_write(&(struct snapshot_item){table, key_bytes, buf_bytes(payload)}, &hand->stream);
    hand->items++;
}

static void hand_meta(struct hand *hand, uint64_t head_index, const struct store_state *numbers,
                      uint64_t membership_index) {
    AUTO_BUF head = {0}, state = {0}, membership = {0};
    snapshot_head_write(&(struct snapshot_head){head_index, (uint64_t)numbers->term, {""}}, &head);
    format_state_write(numbers, &state);
    format_membership_write(membership_index, (struct bytes){NULL, 0}, &membership);
    hand_item(hand, TABLE_META, "snapshot", &head);
    hand_item(hand, TABLE_META, "state", &state);
    hand_item(hand, TABLE_META, "membership", &membership);
}

static struct snapshot_chunks hand_chunks(struct hand *hand, struct refusal *r) {
    struct snapshot_chunks chunks = {0};
    AUTO_BUF tail = {0}, first = {0}, last = {0};
    buf_pad(&first, '\0', SNAPSHOT_CHUNK_HEAD_BYTES);
    buf_pad(&last, '\0', SNAPSHOT_CHUNK_HEAD_BYTES);
    buf_add(&first, hand->stream.data, hand->stream.len);
    uint32_t checksum = snapshot_chunk_seal((uint8_t *)first.data, first.len, 0, false);
    snapshot_tail_write(&(struct snapshot_tail){hand->items, snapshot_chain(0, checksum)}, &tail);
    struct key key = key_text("end");
    snapshot_item_write(&(struct snapshot_item){TABLE_META, key_bytes(&key), buf_bytes(&tail)}, &last);
    snapshot_chunk_seal((uint8_t *)last.data, last.len, 1, true);
    arena_clear(&r->arena);
    *ARENA_PUSH(&r->arena, &chunks.all) =
        (struct bytes){arena_copy(&r->arena, first.data, first.len), first.len};
    *ARENA_PUSH(&r->arena, &chunks.all) =
        (struct bytes){arena_copy(&r->arena, last.data, last.len), last.len};
    buf_free(&hand->stream);
    *hand = (struct hand){0};
    return chunks;
}

static void what_no_store_would_send_is_refused(void **state) {
    (void)state;
    struct refusal r;
    struct hand hand = {0};
    AUTO_BUF payload = {0};
    buf_adds(&payload, "x");
    refusal_begin(&r);
    struct store_state numbers = {.applied = 100, .term = 2};
    hand_meta(&hand, 101, &numbers, 0);
    struct snapshot_chunks chunks = hand_chunks(&hand, &r);
    refuses(&r, &chunks, -ERR_CORRUPT, "a snapshot at 101 with the state of 100");
    hand_meta(&hand, 100, &numbers, 101);
    chunks = hand_chunks(&hand, &r);
    refuses(&r, &chunks, -ERR_CORRUPT, "a snapshot at 100 with the membership of 101");
    hand_meta(&hand, 100, &numbers, 0);
    hand_item(&hand, TABLE_LOG, "12345678", &payload);
    chunks = hand_chunks(&hand, &r);
    refuses(&r, &chunks, -ERR_CORRUPT, "a record of log out of place");
    hand_meta(&hand, 100, &numbers, 0);
    hand_item(&hand, TABLE_META, "local", &payload);
    chunks = hand_chunks(&hand, &r);
    refuses(&r, &chunks, -ERR_CORRUPT, "a record of meta out of place");
    hand_meta(&hand, 100, &numbers, 0);
    hand_item(&hand, TABLE_NAMES, "b", &payload);
    hand_item(&hand, TABLE_NAMES, "a", &payload);
    chunks = hand_chunks(&hand, &r);
    refuses(&r, &chunks, -ERR_CORRUPT, "out of order");
    hand_meta(&hand, 100, &numbers, 0);
    hand_item(&hand, TABLE_NAMES, "a", &payload);
    hand_item(&hand, TABLE_OBJECTS, "a", &payload);
    chunks = hand_chunks(&hand, &r);
    refuses(&r, &chunks, -ERR_CORRUPT, "a record of objects out of place");
    hand_meta(&hand, 100, &numbers, 0);
    hand_item(&hand, TABLE_REQUESTS, "a", &payload); // which the state does not count
    chunks = hand_chunks(&hand, &r);
    refuses(&r, &chunks, -ERR_CORRUPT, "not those that its state counts");
    hand_meta(&hand, 100, &numbers, 0);
    hand_meta(&hand, 100, &numbers, 0);
    chunks = hand_chunks(&hand, &r);
    refuses(&r, &chunks, -ERR_CORRUPT, "a record of meta out of place");
    hand_item(&hand, TABLE_OBJECTS, "a", &payload);
    chunks = hand_chunks(&hand, &r);
    refuses(&r, &chunks, -ERR_CORRUPT, "an item of objects out of place");
    numbers.applied = 2;
    hand_meta(&hand, 2, &numbers, 0);
    chunks = hand_chunks(&hand, &r);
    refuses(&r, &chunks, -ERR_INVALID, "a snapshot at 2 that cannot be installed over 3");
    numbers = (struct store_state){.applied = 100, .term = 6};
    hand_meta(&hand, 100, &numbers, 0);
    chunks = hand_chunks(&hand, &r);
    refuses(&r, &chunks, -ERR_INVALID, "cannot be installed"); // the hard state's term is 5
    AUTO_BUF head = {0};
    snapshot_head_write(&(struct snapshot_head){100, 2, {""}}, &head);
    head.data[0] = 3;
    head.data[4] = 2;
    hand_item(&hand, TABLE_META, "snapshot", &head);
    chunks = hand_chunks(&hand, &r);
    refuses(&r, &chunks, -ERR_UNSUPPORTED, "a snapshot of a newer muster in format 3");
    refusal_end(&r);
}

// --- a record that is damaged at the sender ---

static void a_damaged_record_ends_the_stream(void **state) {
    (void)state;
    struct store_fixture from;
    struct snapshot_out *out = NULL;
    struct bytes chunk;
    bool is_last = false;
    char record[] = "\1\3\0\0----------------", text[512];
    store_fixture_begin(&from, NULL);
    fill(&from, 250);
    struct turn turn;
    struct id id = store_id(20100);
    struct key key = key_object(KIND_REVISION, id.text);
    assert_int_equal(turn_begin(from.store, &turn, NULL), 0);
    MDB_val k = {key.len, key.data}, v = {sizeof record, record};
    assert_int_equal(mdb_put(turn.tables.txn, from.store->environment.tables[TABLE_OBJECTS], &k, &v, 0), 0);
    assert_int_equal(turn_commit(&turn, NULL), 0);
    assert_int_equal(snapshot_out_begin(from.store, &out, NULL), 0);
    int rc = 0;
    uint32_t number = 0;
    for (; rc == 0 && !is_last; number++) {
        rc = snapshot_out_chunk(out, number, &chunk, &is_last, &from.err);
    }
    assert_int_equal(rc, -ERR_CORRUPT);
    assert_false(is_last);
    assert_non_null(strstr(error_text(&from.err, text, sizeof text), id.text));
    assert_int_equal(snapshot_out_chunk(out, number - 1, &chunk, &is_last, &from.err), -ERR_INVALID);
    snapshot_out_end(out);
    store_fixture_end(&from);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(an_empty_store_goes_over),
    cmocka_unit_test(a_small_store_goes_over),
    cmocka_unit_test(a_store_of_many_chunks_goes_over),
    cmocka_unit_test(it_goes_there_and_back),
    cmocka_unit_test(it_may_be_cut_anywhere),
    cmocka_unit_test(every_cut_in_two_yields_the_same_items),
    cmocka_unit_test(the_end_of_a_chunk_may_fall_anywhere),
    cmocka_unit_test(the_largest_records_go_over),
    cmocka_unit_test(what_is_written_meanwhile_is_not_in_it),
    cmocka_unit_test(a_picture_survives_an_installation_here),
    cmocka_unit_test(what_was_not_installed_is_thrown_away),
    cmocka_unit_test(damaged_chunks_are_refused),
    cmocka_unit_test(streams_that_are_not_whole_are_refused),
    cmocka_unit_test(two_streams_do_not_make_one),
    cmocka_unit_test(not_even_if_they_are_nearly_equal),
    cmocka_unit_test(another_clusters_snapshot_is_refused),
    cmocka_unit_test(who_belongs_to_no_cluster_yet_takes_its),
    cmocka_unit_test(what_no_store_would_send_is_refused),
    cmocka_unit_test(a_damaged_record_ends_the_stream),
};
CHECK_MAIN(tests)
