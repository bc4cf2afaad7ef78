// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_store_turn.c — turns and the log: put, truncate, apply, compact, commit or not; reads
// through an open turn; joining a group.
#include "test/lib/check.h"
#include "test/lib/store_fixture.h"

#include <string.h>

#include "reconciler/store/log.h"
#include "reconciler/store/turn.h"

static int setup(void **state) {
    struct store_fixture *f = test_malloc(sizeof *f);
    store_fixture_begin(f, NULL);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    store_fixture_end(*state);
    test_free(*state);
    return 0;
}

static void reopen(struct store_fixture *f) {
    store_fixture_close(f);
    assert_int_equal(store_fixture_open(f), 0); // and checks
}

// --- entries ---

static struct bytes wire_of(struct store_fixture *f, const struct schema *schema, const void *object) {
    AUTO_BUF out = {0};
    wire_encode(schema, object, &out);
    return (struct bytes){arena_copy(&f->arena, out.data, out.len), out.len};
}

static struct log_entry data_entry(struct store_fixture *f, uint64_t term, enum change_op op,
                                   struct store_object object) {
    struct change change = {.op = op, .kind = object.kind, .id = object.id, .object = object.bytes};
    struct transaction transaction = {.request_id = "",
                                      .who = "test",
                                      .why = "because",
                                      .time_unix_ms = 1700000000000,
                                      .changes = {1, &change}};
    return (struct log_entry){term, RAFT_ENTRY_DATA, wire_of(f, &transaction_schema, &transaction)};
}

static struct log_entry task_entry(struct store_fixture *f, uint64_t term, unsigned number) {
    return data_entry(f, term, CHANGE_CREATE, store_task(f, number, 1, 900));
}

static struct membership group_of(struct store_fixture *f, size_t count) {
    struct membership membership = {0};
    for (size_t i = 1; i <= count; i++) {
        struct member member = {.raft_id = (int64_t)i, .node_id = store_id((unsigned)i), .is_voter = true};
        member.address = arena_printf(&f->arena, "192.0.2.%zu:7443", i);
        membership = membership_with(&membership, &member, &f->arena);
    }
    return membership;
}

static void put(struct turn *turn, uint64_t index, const struct log_entry *entry) {
    assert_int_equal(turn_put_entry(turn, index, entry, NULL), 0);
}

static struct outcome apply(struct turn *turn, const struct log_entry *entry) {
    struct outcome outcome;
    assert_int_equal(turn_apply(turn, entry, &outcome, NULL), 0);
    return outcome;
}

static void begin(struct store_fixture *f, struct turn *turn) {
    assert_int_equal(turn_begin(f->store, turn, &f->err), 0);
}

static void commit(struct turn *turn) {
    assert_int_equal(turn_commit(turn, NULL), 0);
}

static bool has_task(struct store_fixture *f, unsigned number) {
    struct store_read *read = store_begin_read(f);
    struct id id = store_id(number);
    struct bytes bytes;
    int rc = store_get(read, KIND_TASK, &id, &bytes, &f->err);
    store_read_end(read);
    assert_true(rc == 0 || rc == STORE_ABSENT);
    return rc == 0;
}

static int64_t term_in_log(struct store_fixture *f, uint64_t index) {
    struct store_read *read = store_begin_read(f);
    struct log_entry entry;
    int rc = log_get(read, index, &entry, &f->err);
    store_read_end(read);
    assert_true(rc == 0 || rc == STORE_ABSENT);
    return rc == 0 ? (int64_t)entry.term : -1;
}

// --- the log ---

static void what_is_put_is_kept_and_not_yet_applied(void **state) {
    struct store_fixture *f = *state;
    struct turn turn;
    struct log_entry noop = {.term = 3}, task = task_entry(f, 3, 1);
    begin(f, &turn);
    turn_set_hard_state(&turn, 3, 77);
    put(&turn, 1, &noop);
    put(&turn, 2, &task);
    commit(&turn);
    reopen(f);
    const struct store_local *local = store_local(f->store);
    assert_int_equal(local->term, 3);
    assert_int_equal(local->vote, 77);
    assert_int_equal(local->last_index, 2);
    assert_int_equal(local->log_bytes, task.payload.len);
    assert_int_equal(store_revision(f->store), 0);
    assert_false(has_task(f, 1));
    begin(f, &turn);
    struct outcome outcome = apply(&turn, &noop);
    assert_true(outcome.code == 0 && outcome.revision == 1);
    outcome = apply(&turn, &task);
    assert_true(outcome.code == 0 && outcome.revision == 2);
    commit(&turn);
    reopen(f);
    assert_true(has_task(f, 1));
    assert_int_equal(f->store->state.term, 3);
}

static void an_overwritten_suffix_is_gone(void **state) {
    struct store_fixture *f = *state;
    struct turn turn;
    struct log_entry entries[6];
    begin(f, &turn);
    turn_set_hard_state(&turn, 1, 1);
    for (unsigned i = 1; i <= 5; i++) {
        entries[i] = task_entry(f, 1, i);
        put(&turn, i, &entries[i]);
    }
    apply(&turn, &entries[1]);
    commit(&turn);
    struct log_entry other = task_entry(f, 2, 30);
    begin(f, &turn);
    turn_set_hard_state(&turn, 2, 0);
    put(&turn, 3, &other);
    commit(&turn);
    assert_int_equal(term_in_log(f, 2), 1);
    assert_int_equal(term_in_log(f, 3), 2);
    assert_int_equal(term_in_log(f, 4), -1);
    assert_int_equal(term_in_log(f, 5), -1);
    assert_int_equal(store_local(f->store)->last_index, 3);
    assert_int_equal(store_local(f->store)->log_bytes,
                     entries[1].payload.len + entries[2].payload.len + other.payload.len);
    reopen(f);
    assert_int_equal(store_local(f->store)->last_index, 3);
}

static void compaction_goes_in_slices_and_not_too_far(void **state) {
    struct store_fixture *f = *state;
    struct turn turn;
    begin(f, &turn);
    turn_set_hard_state(&turn, 9, 0);
    for (unsigned i = 1; i <= 20; i++) {
        struct log_entry entry = task_entry(f, i <= 10 ? 4 : 9, i);
        put(&turn, i, &entry);
        apply(&turn, &entry);
    }
    assert_int_equal(turn_compact(&turn, 15, 7, NULL), 0);
    assert_int_equal(turn.local.base_index, 7);
    assert_int_equal(turn.local.base_term, 4);
    assert_int_equal(turn_compact(&turn, 15, 100, NULL), 0);
    commit(&turn);
    assert_int_equal(store_local(f->store)->base_index, 15);
    assert_int_equal(store_local(f->store)->base_term, 9);
    assert_int_equal(term_in_log(f, 15), -1);
    assert_int_equal(term_in_log(f, 16), 9);
    reopen(f);
    begin(f, &turn);
    assert_int_equal(turn_compact(&turn, 20, 100, NULL), 0); // all of it
    commit(&turn);
    assert_int_equal(store_local(f->store)->log_bytes, 0);
    reopen(f);
    struct log_entry next = task_entry(f, 9, 50);
    begin(f, &turn);
    put(&turn, 21, &next);
    apply(&turn, &next);
    commit(&turn);
    assert_true(has_task(f, 50));
}

static void a_log_with_a_hole_is_not_compacted(void **state) {
    struct store_fixture *f = *state;
    struct turn turn;
    begin(f, &turn);
    turn_set_hard_state(&turn, 1, 0);
    for (unsigned i = 1; i <= 5; i++) {
        struct log_entry entry = task_entry(f, 1, i);
        put(&turn, i, &entry);
        apply(&turn, &entry);
    }
    struct key third = key_number(3);
    assert_int_equal(environment_remove(&f->store->environment, turn.tables.txn, TABLE_LOG, &third, NULL), 0);
    assert_int_equal(turn_compact(&turn, 2, 100, NULL), 0);
    assert_int_equal(turn_compact(&turn, 4, 100, &f->err), -ERR_CORRUPT);
    assert_string_equal(f->err.root, "log entry 3 misses");
    turn_abort(&turn);
}

struct seen {
    uint64_t first, last, bytes;
    int stop_at;
};

static int see(void *context, uint64_t index, const struct log_entry *entry, struct error *err) {
    struct seen *seen = context;
    (void)err;
    seen->first = seen->first == 0 ? index : seen->first;
    seen->last = index;
    seen->bytes += entry->payload.len;
    return seen->stop_at == (int)index ? 7 : 0;
}

static void the_log_is_walked_in_order(void **state) {
    struct store_fixture *f = *state;
    struct turn turn;
    begin(f, &turn);
    turn_set_hard_state(&turn, 1, 0);
    for (unsigned i = 1; i <= 300; i++) {
        struct log_entry entry = task_entry(f, 1, i);
        put(&turn, i, &entry);
        if (i <= 10) {
            apply(&turn, &entry);
        }
    }
    assert_int_equal(turn_compact(&turn, 4, 100, NULL), 0);
    struct store_read *read = store_begin_read(f); // through the turn
    struct seen seen = {0};
    assert_int_equal(log_each(read, see, &seen, NULL), 0);
    assert_true(seen.first == 5 && seen.last == 300 && seen.bytes == turn.local.log_bytes);
    store_read_end(read);
    commit(&turn);
    read = store_begin_read(f);
    seen = (struct seen){.stop_at = 42};
    assert_int_equal(log_each(read, see, &seen, NULL), 7);
    assert_true(seen.first == 5 && seen.last == 42);
    store_read_end(read);
}

// --- turns ---

static void an_aborted_turn_leaves_nothing(void **state) {
    struct store_fixture *f = *state;
    struct turn turn;
    struct log_entry one = task_entry(f, 1, 1), two = task_entry(f, 1, 2);
    begin(f, &turn);
    turn_set_hard_state(&turn, 1, 1);
    put(&turn, 1, &one);
    apply(&turn, &one);
    commit(&turn);
    uint64_t digest = store_digest_now(f);
    struct store_local before = *store_local(f->store);
    begin(f, &turn);
    turn_set_hard_state(&turn, 5, 5);
    put(&turn, 2, &two);
    apply(&turn, &two);
    assert_int_equal(turn_compact(&turn, 2, 9, NULL), 0);
    turn_abort(&turn);
    turn_abort(&turn); // harmless
    assert_memory_equal(store_local(f->store), &before, sizeof before);
    assert_int_equal(store_revision(f->store), 1);
    assert_true(store_digest_now(f) == digest);
    reopen(f);
    assert_true(store_digest_now(f) == digest);
}

static void an_open_turn_is_seen_by_reads(void **state) {
    struct store_fixture *f = *state;
    struct turn turn;
    struct log_entry one = task_entry(f, 1, 1), two = task_entry(f, 1, 2);
    struct id id = store_id(2), found;
    struct bytes bytes;
    struct store_read *early = store_begin_read(f); // a picture of its own
    begin(f, &turn);
    turn_set_hard_state(&turn, 1, 1);
    put(&turn, 1, &one);
    put(&turn, 2, &two);
    apply(&turn, &one);
    assert_int_equal(store_revision(f->store), 1);
    assert_true(has_task(f, 1));
    assert_false(has_task(f, 2));
    apply(&turn, &two);
    struct store_read *late = store_begin_read(f);
    assert_int_equal(store_read_revision(late), 2);
    assert_int_equal(store_count(late, KIND_TASK), 2);
    assert_int_equal(store_get(late, KIND_TASK, &id, &bytes, NULL), 0);
    struct store_cursor cursor;
    struct id service = store_id(1);
    int count = 0;
    store_each_begin(late, STORE_TASKS_OF_SERVICE, KIND_TASK, &service, &cursor, NULL);
    while (store_each_next(&cursor, &found, &bytes, NULL) == 0) {
        count++;
    }
    store_each_end(&cursor);
    assert_int_equal(count, 2);
    store_read_end(late);
    assert_int_equal(store_get(early, KIND_TASK, &id, &bytes, NULL), STORE_ABSENT);
    commit(&turn);
    assert_int_equal(store_get(early, KIND_TASK, &id, &bytes, NULL), STORE_ABSENT);
    store_read_end(early);
    assert_true(has_task(f, 2));
}

// Synced, the log is durable and the effects wait: the next start applies the entries again.
static void effects_wait_for_the_commit(void **state) {
    struct store_fixture *f = *state;
    struct turn turn;
    struct log_entry one = task_entry(f, 1, 1), two = task_entry(f, 1, 2);
    begin(f, &turn);
    turn_set_hard_state(&turn, 1, 1);
    put(&turn, 1, &one);
    apply(&turn, &one);
    assert_int_equal(turn_sync(&turn, NULL), 0);
    assert_true(turn_waiting_bytes(&turn) > 0);
    put(&turn, 2, &two);
    assert_int_equal(turn_sync(&turn, NULL), 0);
    assert_int_equal(store_revision(f->store), 1);
    assert_true(has_task(f, 1));
    turn_abort(&turn);
    assert_int_equal(store_revision(f->store), 0);
    assert_false(has_task(f, 1));
    reopen(f);
    assert_int_equal(store_local(f->store)->last_index, 2);
    assert_int_equal(store_local(f->store)->term, 1);
    assert_int_equal(store_revision(f->store), 0);
    begin(f, &turn);
    apply(&turn, &one);
    apply(&turn, &two);
    assert_int_equal(turn_sync(&turn, NULL), 0);
    commit(&turn);
    reopen(f);
    assert_int_equal(store_revision(f->store), 2);
    assert_true(has_task(f, 1) && has_task(f, 2));
}

static void a_membership_comes_by_the_log(void **state) {
    struct store_fixture *f = *state;
    struct turn turn;
    struct membership group = group_of(f, 3), now;
    struct log_entry configuration = {1, RAFT_ENTRY_CONFIGURATION, wire_of(f, &membership_schema, &group)};
    struct log_entry nonsense = {1, RAFT_ENTRY_CONFIGURATION, {(const uint8_t *)"\xFF\xFF", 2}};
    uint64_t index;
    begin(f, &turn);
    turn_set_hard_state(&turn, 1, 1);
    put(&turn, 1, &configuration);
    assert_int_equal(apply(&turn, &configuration).code, 0);
    put(&turn, 2, &nonsense);
    assert_int_equal(apply(&turn, &nonsense).code, -ERR_INVALID);
    commit(&turn);
    reopen(f);
    struct store_read *read = store_begin_read(f);
    assert_int_equal(store_membership(read, &f->arena, &now, &index, &f->err), 0);
    assert_int_equal(index, 1);
    assert_true(schema_equal(&membership_schema, &now, &group));
    store_read_end(read);
}

static void assert_same(struct store_fixture *f, struct store_fixture *other) {
    assert_true(store_digest_now(f) == store_digest_now(other));
    assert_memory_equal(&f->store->state, &other->store->state, sizeof other->store->state);
}

static size_t count_events(struct store_fixture *f) {
    struct store_read *read = store_begin_read(f);
    struct table_cursor cursor;
    struct bytes key, payload;
    size_t count = 0;
    assert_int_equal(table_cursor_begin(&read->tables, TABLE_HISTORY, &cursor, NULL), 0);
    while (table_next(&cursor, &key, &payload, NULL) == 0) {
        count++;
    }
    table_cursor_end(&cursor);
    store_read_end(read);
    return count;
}

// The same entries in one turn, each in its own, put and applied apart, synced and left waiting: equal, and
// so is what was trimmed of the history.
static void how_entries_are_spread_does_not_matter(void **state) {
    struct store_fixture *f = *state, other, third;
    struct turn turn, open;
    store_fixture_begin(&other, NULL);
    store_fixture_begin(&third, NULL);
    f->store->history_bytes = other.store->history_bytes = third.store->history_bytes = 4000;
    begin(&third, &open);
    struct log_entry entries[60];
    begin(f, &turn);
    turn_set_hard_state(&turn, 1, 0);
    for (unsigned i = 0; i < 60; i++) {
        entries[i] = i % 7 == 6 ? (struct log_entry){.term = 1} : task_entry(f, 1, 1 + i % 50);
        put(&turn, i + 1, &entries[i]);
    }
    for (unsigned i = 0; i < 60; i++) {
        apply(&turn, &entries[i]);
    }
    commit(&turn);
    for (unsigned i = 0; i < 60; i++) {
        begin(&other, &turn);
        turn_set_hard_state(&turn, 1, 0);
        put(&turn, i + 1, &entries[i]);
        if (i > 0) {
            apply(&turn, &entries[i - 1]);
        }
        commit(&turn);
        put(&open, i + 1, &entries[i]);
        apply(&open, &entries[i]);
        assert_int_equal(turn_sync(&open, NULL), 0);
    }
    begin(&other, &turn);
    apply(&turn, &entries[59]);
    commit(&turn);
    commit(&open);
    assert_same(f, &other);
    assert_same(f, &third);
    assert_true(f->store->state.trimmed_revision > 10 && f->store->state.history_count > 2);
    assert_int_equal(count_events(f), f->store->state.history_count);
    store_fixture_end(&other);
    store_fixture_end(&third);
}

static size_t count_shown(struct store_fixture *f) {
    struct store_position position = store_position_after(0);
    struct store_read *read = store_begin_read(f);
    struct events events = {0};
    assert_int_equal(store_history(read, &position, 0, 1000, MIB, &f->arena, &events, &f->err), 0);
    store_read_end(read);
    return events.count;
}

static void apply_all(struct store_fixture *f, struct turn *turn, const struct log_entry *entries,
                      unsigned count, bool puts) {
    begin(f, turn);
    turn_set_hard_state(turn, 1, 0);
    for (unsigned i = 0; i < count; i++) {
        if (puts) {
            put(turn, i + 1, &entries[i]);
        }
        apply(turn, &entries[i]);
    }
}

// Events are synced with the log, the state they belong to is not: nothing shows them, and they come once.
static void events_ahead_of_the_state_are_not_there(void **state) {
    struct store_fixture *f = *state, other;
    struct turn turn;
    struct log_entry entries[40];
    store_fixture_begin(&other, NULL);
    for (unsigned i = 0; i < 40; i++) {
        entries[i] = task_entry(f, 1, 1 + i);
    }
    uint64_t digest = store_digest_now(f);
    apply_all(f, &turn, entries, 40, /*puts=*/true);
    assert_int_equal(count_shown(f), 40);
    assert_int_equal(turn_sync(&turn, NULL), 0);
    turn_abort(&turn);
    assert_int_equal(count_events(f), 40);
    for (int life = 0; life < 2; life++) { // in this process, and in the next
        assert_int_equal(store_revision(f->store), 0);
        assert_int_equal(count_shown(f), 0);
        assert_true(store_digest_now(f) == digest);
        reopen(f);
    }
    apply_all(f, &turn, entries, 25, /*puts=*/false);
    commit(&turn);
    assert_int_equal(count_shown(f), 25);
    assert_int_equal(count_events(f), 25);
    apply_all(&other, &turn, entries, 25, /*puts=*/true);
    commit(&turn);
    assert_same(f, &other);
    store_fixture_end(&other);
}

// --- a disk that fails ---

struct failing {
    int commits, fail_at;
    enum error_code code;
};

static int before_commit(void *context, struct error *err) {
    struct failing *failing = context;
    return ++failing->commits == failing->fail_at ? error_set(err, failing->code, "by order") : 0;
}

static void a_commit_that_fails_leaves_what_was(void **state) {
    struct store_fixture *f = *state;
    struct failing failing = {.fail_at = 2, .code = ERR_NO_SPACE};
    struct store_faults faults = {before_commit, &failing};
    struct turn turn;
    store_fixture_close(f);
    f->options.faults = &faults;
    f->options.check_here = true;
    assert_int_equal(store_fixture_open(f), 0);
    assert_int_equal(store_try(f, CHANGE_CREATE, store_task(f, 1, 1, 0), 0).code, 0);
    begin(f, &turn);
    struct log_entry entry = task_entry(f, 0, 2);
    put(&turn, 2, &entry);
    apply(&turn, &entry);
    assert_int_equal(turn_commit(&turn, &f->err), -ERR_NO_SPACE);
    assert_null(f->store->turn);
    assert_int_equal(store_revision(f->store), 1);
    assert_int_equal(store_local(f->store)->last_index, 1);
    assert_false(has_task(f, 2));
    assert_int_equal(store_try(f, CHANGE_CREATE, store_task(f, 2, 1, 0), 0).code, 0);
    assert_int_equal(failing.commits, 3);
    failing.fail_at = 4; // the same of a sync
    begin(f, &turn);
    entry = task_entry(f, 0, 3);
    put(&turn, 3, &entry);
    apply(&turn, &entry);
    assert_int_equal(turn_sync(&turn, &f->err), -ERR_NO_SPACE);
    assert_null(f->store->turn);
    assert_int_equal(store_revision(f->store), 2);
    assert_int_equal(store_local(f->store)->last_index, 2);
    assert_false(has_task(f, 3));
}

static void a_store_may_be_checked_here_or_not_at_all(void **state) {
    struct store_fixture *f = *state;
    store_fixture_close(f);
    struct store_local local = {.raft_id = 1}; // not what is there, and a wrong number of the transaction
    AUTO_BUF payload = {0};
    format_local_write(&local, &payload);
    f->options.check_here = true;
    assert_int_equal(store_fixture_open(f), 0);
    store_fixture_close(f);
    struct environment environment;
    MDB_txn *txn;
    struct key key = key_text("local");
    assert_int_equal(environment_open(f->dir, (size_t)1 << 20, ENVIRONMENT_WRITE, &environment, NULL), 0);
    assert_int_equal(environment_begin(&environment, /*write=*/true, &txn, NULL), 0);
    assert_int_equal(environment_put(&environment, txn, TABLE_META, &key, buf_bytes(&payload), NULL), 0);
    assert_int_equal(environment_commit(txn, NULL), 0);
    environment_close(&environment);
    assert_int_equal(store_fixture_open(f), -ERR_CORRUPT);
    char text[512];
    assert_non_null(strstr(error_text(&f->err, text, sizeof text), "the store was written by 0"));
    f->options.skip_check = true;
    assert_int_equal(store_fixture_open(f), 0);
}

// --- groups ---

static void a_fresh_store_joins_one_group(void **state) {
    struct store_fixture *f = *state;
    struct membership group = group_of(f, 1), now;
    uint64_t index;
    assert_int_equal(store_join_group(f->store, 1, &group, &f->err), 0);
    assert_int_equal(store_join_group(f->store, 2, &group, &f->err), -ERR_CONFLICT);
    reopen(f);
    assert_int_equal(store_local(f->store)->raft_id, 1);
    assert_int_equal(store_join_group(f->store, 2, NULL, &f->err), -ERR_CONFLICT);
    struct store_read *read = store_begin_read(f);
    assert_int_equal(store_membership(read, &f->arena, &now, &index, &f->err), 0);
    assert_int_equal(index, 0);
    assert_int_equal(now.members.count, 1);
    store_read_end(read);
}

static void or_waits_to_be_told(void **state) {
    struct store_fixture *f = *state;
    struct membership now;
    uint64_t index = 9;
    assert_int_equal(store_join_group(f->store, UINT64_MAX, NULL, &f->err), 0);
    reopen(f);
    assert_true(store_local(f->store)->raft_id == UINT64_MAX);
    struct store_read *read = store_begin_read(f);
    assert_int_equal(store_membership(read, &f->arena, &now, &index, &f->err), 0);
    assert_true(index == 0 && now.members.count == 0);
    store_read_end(read);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
static const struct CMUnitTest tests[] = {
    TEST(what_is_put_is_kept_and_not_yet_applied),
    TEST(an_overwritten_suffix_is_gone),
    TEST(compaction_goes_in_slices_and_not_too_far),
    TEST(a_log_with_a_hole_is_not_compacted),
    TEST(the_log_is_walked_in_order),
    TEST(an_aborted_turn_leaves_nothing),
    TEST(an_open_turn_is_seen_by_reads),
    TEST(effects_wait_for_the_commit),
    TEST(a_membership_comes_by_the_log),
    TEST(how_entries_are_spread_does_not_matter),
    TEST(events_ahead_of_the_state_are_not_there),
    TEST(a_commit_that_fails_leaves_what_was),
    TEST(a_store_may_be_checked_here_or_not_at_all),
    TEST(a_fresh_store_joins_one_group),
    TEST(or_waits_to_be_told),
};
CHECK_MAIN(tests)
