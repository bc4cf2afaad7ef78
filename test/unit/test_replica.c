// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_replica.c — members of a group: elections, proposals, reads, restarts, on virtual time.
#include "test/lib/check.h"
#include "test/lib/replicas.h"

#include <string.h>

#include "reconciler/store/replica_parts.h"

static void one_alone_leads_and_keeps_what_it_acknowledged(void **state) {
    (void)state;
    struct replicas r;
    replicas_begin(&r, 1, 1, NULL);
    for (unsigned i = 1; i <= 20; i++) {
        assert_int_equal(replicas_put(&r, &r.nodes[0], i).code, 0);
    }
    replicas_kill(&r, &r.nodes[0]);
    assert_int_equal(replicas_start(&r, &r.nodes[0]), 0);
    replicas_wait_leader(&r);
    for (unsigned i = 1; i <= 20; i++) {
        assert_true(replicas_has_config(&r, &r.nodes[0], i));
    }
    replicas_end(&r);
}

static void three_hold_the_same(void **state) {
    (void)state;
    struct replicas r;
    replicas_begin(&r, 3, 2, NULL);
    for (unsigned i = 1; i <= 50; i++) {
        assert_int_equal(replicas_put(&r, &r.nodes[i % 3], i).code, 0); // leader and followers
    }
    replicas_agree(&r);
    for (unsigned i = 1; i <= 50; i++) {
        assert_true(replicas_has_config(&r, &r.nodes[(i + 1) % 3], i));
    }
    replicas_end(&r);
}

static void a_killed_leader_is_replaced_and_nothing_acknowledged_is_lost(void **state) {
    (void)state;
    struct replicas r;
    replicas_begin(&r, 3, 3, NULL);
    for (unsigned i = 1; i <= 10; i++) {
        struct replica_node *leader = replicas_wait_leader(&r);
        assert_int_equal(replicas_put(&r, replicas_follower(&r), i).code, 0);
        replicas_kill(&r, leader);
        assert_int_equal(replicas_put(&r, replicas_wait_leader(&r), 100 + i).code, 0);
        assert_int_equal(replicas_start(&r, leader), 0);
    }
    replicas_agree(&r);
    for (unsigned i = 1; i <= 10; i++) {
        assert_true(replicas_has_config(&r, &r.nodes[0], i) && replicas_has_config(&r, &r.nodes[1], 100 + i));
    }
    replicas_end(&r);
}

static void a_read_shows_what_was_acknowledged_elsewhere(void **state) {
    (void)state;
    struct replicas r;
    replicas_begin(&r, 3, 4, NULL);
    for (unsigned i = 1; i <= 30; i++) {
        assert_int_equal(replicas_put(&r, replicas_wait_leader(&r), i).code, 0);
        assert_true(replicas_read(&r, &r.nodes[i % 3]));
        assert_true(replicas_has_config(&r, &r.nodes[i % 3], i));
    }
    replicas_end(&r);
}

// --- traps of what is around the core; the numbers are those of test/sim/test_raft_scenario.c ---

static const struct replica_pace forgetful = {.keep_entries = 8};

// 8: told once a quorum has it, though our own effects are not synced; so losing us loses nothing.
static void what_is_acknowledged_survives_who_acknowledged_it(void **state) {
    (void)state;
    struct replicas r;
    replicas_begin(&r, 3, 8, NULL);
    for (unsigned i = 1; i <= 20; i++) {
        struct replica_node *leader = replicas_wait_leader(&r);
        assert_int_equal(replicas_put(&r, leader, i).code, 0);
        assert_true(replicas_has_config(&r, leader, i)); // a read that begins now
        replicas_kill(&r, leader);                       // before it has synced that
        assert_true(replicas_has_config(&r, replicas_wait_leader(&r), i));
        assert_int_equal(replicas_start(&r, leader), 0);
    }
    replicas_agree(&r);
    replicas_end(&r);
}

// 8, alone: nobody else has it, so it is told only after the sync.
static void one_alone_acknowledges_nothing_it_has_not_synced(void **state) {
    (void)state;
    struct replicas r;
    replicas_begin(&r, 1, 9, NULL);
    struct replica_node *node = &r.nodes[0];
    for (unsigned i = 1; i <= 10; i++) {
        uint64_t token;
        struct store_object object = store_config(&r.objects, i, "c", 50);
        node->die_at_commit = node->commits + 1;
        assert_int_equal(replicas_propose(&r, node, CHANGE_CREATE, object, 0, "", &token), 0);
        replicas_run(&r, 500);
        assert_null(node->replica);
        assert_false(replicas_has_result(node, token));
        assert_int_equal(replicas_start(&r, node), 0);
        replicas_wait_leader(&r);
        assert_false(replicas_has_config(&r, node, i));
    }
    replicas_end(&r);
}

// 9
static void a_failed_sync_ends_the_process_and_the_others_go_on(void **state) {
    (void)state;
    struct replicas r;
    replicas_begin(&r, 3, 10, NULL);
    struct replica_node *leader = replicas_wait_leader(&r);
    leader->disk = DISK_BROKEN;
    uint64_t token;
    struct store_object object = store_config(&r.objects, 1, "c1", 50);
    assert_int_equal(replicas_propose(&r, leader, CHANGE_CREATE, object, 0, "", &token), 0);
    replicas_run(&r, 100);
    assert_null(leader->replica);
    assert_non_null(strstr(leader->failure, "Input/output error"));
    assert_int_equal(replicas_put(&r, replicas_wait_leader(&r), 2).code, 0);
    leader->disk = DISK_GOOD;
    assert_int_equal(replicas_start(&r, leader), 0);
    replicas_agree(&r);
    replicas_end(&r);
}

static void put_many(struct replicas *r, unsigned from, unsigned count) {
    for (unsigned i = from; i < from + count; i++) {
        assert_int_equal(replicas_put(r, replicas_wait_leader(r), i).code, 0);
    }
}

static void a_member_that_lags_too_far_gets_the_whole_state(void **state) {
    (void)state;
    struct replicas r;
    replicas_begin(&r, 3, 11, &forgetful);
    struct replica_node *away = replicas_follower(&r);
    replicas_kill(&r, away);
    put_many(&r, 1, 100);
    assert_int_equal(replicas_start(&r, away), 0);
    replicas_agree(&r);
    assert_true(replicas_has_config(&r, away, 1) && replicas_has_config(&r, away, 100));
    assert_true(store_local(away->store)->base_index >= 50); // it was not told entry by entry
    replicas_end(&r);
}

static bool is_compact(struct replicas *r, void *context) {
    (void)r;
    const struct raft_log *log = &((struct replica_node *)context)->replica->raft.log;
    return log->last_index - log->base_index <= 8 + 1;
}

// A state of several chunks, and a member that has none of it.
static struct replica_node *begin_long_stream(struct replicas *r, uint64_t seed) {
    replicas_begin(r, 3, seed, &forgetful);
    struct replica_node *away = replicas_follower(r);
    replicas_kill(r, away);
    for (unsigned i = 1; i <= 40; i++) {
        uint64_t token;
        struct replica_node *leader = replicas_wait_leader(r);
        struct store_object object =
            store_config(&r->objects, i, arena_printf(&r->objects.arena, "big%u", i), 60000);
        assert_int_equal(replicas_propose(r, leader, CHANGE_CREATE, object, 0, "", &token), 0);
        assert_int_equal(replicas_result(r, leader, token).code, 0);
    }
    // Its effects are durable now, and the log, from which it could have had the same, is short.
    assert_true(replicas_until(r, is_compact, replicas_wait_leader(r), 20000));
    assert_int_equal(replicas_start(r, away), 0);
    return away;
}

static bool is_in_the_middle(struct replicas *r, void *context) {
    (void)r;
    const struct replica_node *node = context;
    const struct snapshot_in *in = node->replica->incoming.in;
    return in != NULL && snapshot_in_next(in) >= 4;
}

// 20
static void a_stream_that_breaks_leaves_nothing_behind(void **state) {
    (void)state;
    struct replicas r;
    struct replica_node *away = begin_long_stream(&r, 12);
    assert_true(replicas_until(&r, is_in_the_middle, away, 20000));
    struct replica_node *sender = replicas_wait_leader(&r);
    replicas_kill(&r, sender); // in mid-stream; the receiver has part of it
    assert_int_equal(replicas_start(&r, sender), 0);
    replicas_agree(&r);
    // And when the receiver dies in mid-stream, it begins anew.
    replicas_kill(&r, away);
    put_many(&r, 1000, 60);
    assert_true(replicas_until(&r, is_compact, replicas_wait_leader(&r), 20000));
    assert_int_equal(replicas_start(&r, away), 0);
    assert_true(replicas_until(&r, is_in_the_middle, away, 20000));
    replicas_kill(&r, away);
    assert_int_equal(replicas_start(&r, away), 0);
    replicas_agree(&r);
    replicas_end(&r);
}

static bool has_the_last(struct replicas *r, void *context) {
    return replicas_has_config(r, context, 40);
}

// Its link tells that it is gone; to wait whether its stream goes on would take half a minute.
static void who_dies_in_mid_stream_is_offered_the_state_at_its_return(void **state) {
    (void)state;
    struct replicas r;
    struct replica_node *away = begin_long_stream(&r, 14);
    r.tells_links = true;
    assert_true(replicas_until(&r, is_in_the_middle, away, 20000));
    replicas_kill(&r, away);
    replicas_run(&r, 500);
    assert_int_equal(replicas_start(&r, away), 0);
    assert_true(replicas_until(&r, has_the_last, away, 5000));
    replicas_end(&r);
}

// And a link that breaks under a stream ends nothing.
static void a_stream_goes_on_over_the_next_link(void **state) {
    (void)state;
    struct replicas r;
    struct replica_node *away = begin_long_stream(&r, 15);
    assert_true(replicas_until(&r, is_in_the_middle, away, 20000));
    struct replica_node *sender = replicas_wait_leader(&r);
    uint64_t stream = away->replica->incoming.stream;
    replica_link_lost(sender->replica, replica_id(away->replica));
    replicas_run(&r, 300);
    assert_true(away->replica->incoming.in == NULL || away->replica->incoming.stream == stream);
    assert_true(replicas_until(&r, has_the_last, away, 5000));
    replicas_end(&r);
}

static bool holds_a_picture(struct replicas *r, void *context) {
    (void)r;
    return snapshots_hold(((struct replica_node *)context)->replica) != UINT64_MAX;
}

static bool holds_none(struct replicas *r, void *context) {
    return !holds_a_picture(r, context);
}

// 21
static void a_picture_is_not_held_for_one_who_is_gone(void **state) {
    (void)state;
    struct replicas r;
    struct replica_node *away = begin_long_stream(&r, 13);
    assert_true(replicas_until(&r, is_in_the_middle, away, 20000));
    struct replica_node *sender = replicas_wait_leader(&r);
    assert_true(holds_a_picture(&r, sender));
    replicas_kill(&r, away);
    assert_true(replicas_until(&r, holds_none, sender, 60000));
    replicas_end(&r);
}

// 24
static void of_two_managers_one_is_no_quorum(void **state) {
    (void)state;
    struct replicas r;
    replicas_begin(&r, 2, 14, NULL);
    struct replica_node *left = replicas_wait_leader(&r);
    replicas_kill(&r, replicas_follower(&r));
    struct store_result result = replicas_put(&r, left, 1);
    assert_true(result.code == -ERR_NO_QUORUM || result.code == -ERR_TIMEOUT);
    replicas_run(&r, 3000);
    result = replicas_put(&r, left, 2);
    assert_int_equal(result.code, -ERR_NO_QUORUM);
    assert_non_null(strstr(result.text, "no manager leads: nothing was changed"));
    assert_false(replicas_read(&r, left));
    replicas_end(&r);
}

// A process that ends breaks its links, and the leader sees that before it notices that nobody answers.
static void who_reaches_no_quorum_says_for_sure_that_nothing_was_done(void **state) {
    (void)state;
    struct replicas r;
    replicas_begin(&r, 3, 25, NULL);
    r.tells_links = true;
    struct replica_node *leader = replicas_wait_leader(&r), *others[2];
    unsigned count = 0;
    for (unsigned i = 0; i < r.count; i++) {
        if (&r.nodes[i] != leader) {
            others[count++] = &r.nodes[i];
        }
    }
    replicas_kill(&r, others[0]);
    assert_int_equal(replicas_put(&r, leader, 1).code, 0); // two of three
    replicas_kill(&r, others[1]);
    struct store_result result = replicas_put(&r, leader, 2);
    assert_int_equal(result.code, -ERR_NO_QUORUM);
    assert_non_null(strstr(result.text, "nothing was changed"));
    assert_int_equal(replicas_start(&r, others[1]), 0);
    assert_int_equal(replicas_put(&r, replicas_wait_leader(&r), 3).code, 0);
    assert_false(replicas_has_config(&r, leader, 2));
    replicas_end(&r);
}

// 26
// Sent at once it would be lost, and sent again after two seconds.
static void a_proposal_waits_for_the_link_to_the_leader(void **state) {
    (void)state;
    struct replicas r;
    replicas_begin(&r, 3, 23, NULL);
    r.tells_links = true;
    struct replica_node *leader = replicas_wait_leader(&r), *follower = replicas_follower(&r);
    struct proposer *proposer = replica_proposer(follower->replica);
    uint64_t token;
    r.cut[follower->number][leader->number] = true;
    replicas_run(&r, 300);
    assert_int_equal(
        replicas_propose(&r, follower, CHANGE_CREATE, store_config(&r.objects, 1, "", 50), 0, "mine", &token),
        0);
    replicas_run(&r, 300);
    assert_false(replicas_has_result(follower, token));
    assert_false(proposer->ops->has_work(proposer)); // it does not spin
    r.cut[follower->number][leader->number] = false;
    replicas_run(&r, 200);
    assert_true(replicas_has_result(follower, token));
    assert_int_equal(replicas_result(&r, follower, token).code, 0);
    replicas_end(&r);
}

static void a_flood_of_proposals_costs_nobody_the_lead(void **state) {
    (void)state;
    struct replicas r;
    struct replica_status before, after;
    uint64_t last = 0;
    replicas_begin(&r, 3, 15, NULL);
    struct replica_node *leader = replicas_wait_leader(&r);
    replica_status(leader->replica, &before);
    for (unsigned i = 1; i <= 4000; i++) {
        struct store_object object =
            store_config(&r.objects, i, arena_printf(&r.objects.arena, "c%u", i), 100);
        assert_int_equal(replicas_propose(&r, leader, CHANGE_CREATE, object, 0, "", &last), 0);
    }
    uint64_t applied = before.applied;
    while (!replicas_has_result(leader, last)) {
        replicas_run(&r, 1);
        replica_status(leader->replica, &after);
        applied = after.applied;
    }
    assert_true(applied >= before.applied + 4000);
    assert_int_equal(after.term, before.term);
    assert_string_equal(after.role, "leader");
    // One over what may wait is refused, and told so.
    int rc = 0;
    for (unsigned i = 1; rc == 0 && i <= 5000; i++) {
        struct store_object object = store_config(&r.objects, 10000 + i, "", 10);
        rc = replicas_propose(&r, leader, CHANGE_CREATE, object, 0, "", &last);
    }
    assert_int_equal(rc, -ERR_BUSY);
    replicas_end(&r);
}

// 28
static void an_unknown_outcome_is_called_that_and_a_retry_finds_out(void **state) {
    (void)state;
    struct replicas r;
    uint64_t token, again;
    replicas_begin(&r, 3, 16, NULL);
    struct replica_node *leader = replicas_wait_leader(&r);
    struct store_object object = store_config(&r.objects, 1, "c1", 50);
    // The entry reaches the others, their answers do not come back.
    assert_int_equal(replicas_propose(&r, leader, CHANGE_CREATE, object, 0, "request-1", &token), 0);
    for (unsigned i = 0; i < r.count; i++) {
        r.nodes[i].keeps_quiet = &r.nodes[i] != leader;
    }
    replicas_run(&r, 50);
    replicas_isolate(&r, leader, true);
    for (unsigned i = 0; i < r.count; i++) {
        r.nodes[i].keeps_quiet = false;
    }
    struct store_result result = replicas_result(&r, leader, token);
    assert_int_equal(result.code, -ERR_TIMEOUT);
    assert_non_null(strstr(result.text, "outcome unknown"));
    struct replica_node *next = replicas_wait_leader(&r);
    assert_ptr_not_equal(next, leader);
    assert_int_equal(replicas_propose(&r, next, CHANGE_CREATE, object, 0, "request-1", &again), 0);
    result = replicas_result(&r, next, again);
    assert_int_equal(result.code, 0); // not -ERR_EXISTS: it was recognised
    replicas_heal(&r);
    replicas_agree(&r);
    replicas_end(&r);
}

static void what_another_leader_overwrote_is_proposed_again(void **state) {
    (void)state;
    struct replicas r;
    uint64_t token;
    replicas_begin(&r, 3, 17, NULL);
    struct replica_node *leader = replicas_wait_leader(&r);
    replicas_isolate(&r, leader, true); // its entry goes nowhere
    struct store_object object = store_config(&r.objects, 1, "c1", 50);
    assert_int_equal(replicas_propose(&r, leader, CHANGE_CREATE, object, 0, "", &token), 0);
    replicas_run(&r, 100);
    leader->is_stopped = true; // it does not see the time pass
    struct replica_node *next = replicas_wait_leader(&r);
    assert_int_equal(replicas_put(&r, next, 2).code, 0);
    replicas_heal(&r);
    assert_int_equal(replicas_result(&r, leader, token).code, 0);
    replicas_agree(&r);
    assert_true(replicas_has_config(&r, next, 1));
    replicas_end(&r);
}

// 29
static void members_apply_the_same_at_other_times_and_in_other_turns(void **state) {
    (void)state;
    struct replicas r;
    replicas_begin(&r, 3, 18, NULL);
    struct replica_node *slow = replicas_follower(&r);
    for (unsigned i = 1; i <= 60; i++) {
        slow->is_stopped = i % 10 < 5; // what it missed comes in one turn
        assert_int_equal(replicas_put(&r, replicas_wait_leader(&r), i).code, 0);
    }
    replicas_heal(&r);
    replicas_agree(&r); // digests of all records
    replicas_end(&r);
}

// 30
static void a_full_disk_of_one_stops_nobody_else(void **state) {
    (void)state;
    struct replicas r;
    replicas_begin(&r, 3, 19, NULL);
    struct replica_node *full = replicas_follower(&r);
    full->disk = DISK_FULL;
    put_many(&r, 1, 20);
    struct replica_status status;
    replica_status(full->replica, &status);
    assert_true(status.is_full && status.applied < 10);
    full->disk = DISK_GOOD;
    replicas_agree(&r);
    replicas_end(&r);
}

static void a_full_disk_of_the_leader_moves_the_lead(void **state) {
    (void)state;
    struct replicas r;
    uint64_t token;
    replicas_begin(&r, 3, 20, NULL);
    struct replica_node *full = replicas_wait_leader(&r);
    full->disk = DISK_FULL;
    struct store_object object = store_config(&r.objects, 1, "c1", 50);
    assert_int_equal(replicas_propose(&r, full, CHANGE_CREATE, object, 0, "", &token), 0);
    replicas_run(&r, 1500);
    struct replica_node *next = replicas_wait_leader(&r);
    assert_ptr_not_equal(next, full);
    put_many(&r, 10, 20);
    full->disk = DISK_GOOD;
    assert_int_equal(replicas_result(&r, full, token).code, 0);
    replicas_agree(&r);
    replicas_end(&r);
}

static void a_full_disk_of_one_alone_refuses_and_goes_on_later(void **state) {
    (void)state;
    struct replicas r;
    replicas_begin(&r, 1, 21, NULL);
    r.nodes[0].disk = DISK_FULL;
    assert_int_equal(replicas_put(&r, &r.nodes[0], 1).code, -ERR_NO_SPACE);
    r.nodes[0].disk = DISK_GOOD;
    replicas_run(&r, 1500);
    const struct proposer *proposer = replica_proposer(r.nodes[0].replica);
    assert_true(proposer->ops->is_leader(proposer)); // nothing need be written first
    assert_int_equal(replicas_put(&r, &r.nodes[0], 1).code, 0);
    replicas_end(&r);
}

// --- members ---

static void a_member_is_removed_and_joins_again_under_a_new_id(void **state) {
    (void)state;
    struct replicas r;
    replicas_begin(&r, 3, 22, &forgetful);
    struct replica_node *gone = replicas_follower(&r);
    uint64_t old_id = replica_id(gone->replica), token = 1 << 20;
    struct replica_node *leader = replicas_wait_leader(&r);
    replicas_kill(&r, gone);
    put_many(&r, 1, 30);
    struct member member = {.raft_id = (int64_t)old_id};
    assert_int_equal(replica_change(leader->replica, MEMBER_REMOVE, &member, token, &r.err), 0);
    assert_int_equal(replicas_result(&r, leader, token).code, 0);
    replicas_join(&r, replicas_add(&r)); // the same machine, an empty store
    replicas_agree(&r);
    assert_true(membership_was_removed(replica_membership(leader->replica), old_id));
    // Who comes back under the removed id disturbs nobody, and learns of it.
    assert_int_equal(replicas_start(&r, gone), 0);
    struct replica_status before, after;
    replica_status(leader->replica, &before);
    replicas_run(&r, 20000);
    replica_status(leader->replica, &after);
    assert_int_equal(after.term, before.term);
    replica_status(gone->replica, &after);
    assert_true(after.is_removed);
    replicas_end(&r);
}

static void the_group_is_not_reduced_to_those_who_do_not_answer(void **state) {
    (void)state;
    struct replicas r;
    replicas_begin(&r, 3, 23, NULL);
    struct replica_node *leader = replicas_wait_leader(&r), *dead = replicas_follower(&r);
    replicas_kill(&r, dead);
    replicas_run(&r, 5000);
    for (unsigned i = 0; i < r.count; i++) {
        struct replica_node *node = &r.nodes[i];
        if (node != leader && node != dead) {
            struct member member = {.raft_id = (int64_t)replica_id(node->replica)};
            assert_int_equal(replica_change(leader->replica, MEMBER_REMOVE, &member, 77, &r.err), -ERR_GUARD);
        }
    }
    replicas_end(&r);
}

// --- alone, by force ---

static int no_changes(void *context, struct arena *arena, struct transaction *out, struct error *err) {
    (void)context;
    (void)arena;
    (void)out;
    (void)err;
    return 0;
}

// One config more; what it reads first is the whole log.
static int one_change(void *context, struct arena *arena, struct transaction *out, struct error *err) {
    (void)err;
    struct replica_node *node = context;
    struct store_object object = store_config(&node->group->objects, 900, "c900", 50);
    struct change *change = ARENA_NEW(arena, struct change);
    assert_true(replicas_has_config(node->group, node, 99));
    *change =
        (struct change){.op = CHANGE_CREATE, .kind = object.kind, .id = object.id, .object = object.bytes};
    *out = (struct transaction){.request_id = "", .who = "test", .why = "alone", .changes = {1, change}};
    return 0;
}

static int refused_change(void *context, struct arena *arena, struct transaction *out, struct error *err) {
    one_change(context, arena, out, err);
    out->changes.items->op = CHANGE_UPDATE; // of what is not there
    return 0;
}

// Three voters with configs 1 to 20, and one, the leader, with config 99 in its log that no other has; the
// others are dead.
static struct replica_node *begin_last_one(struct replicas *r, uint64_t seed) {
    uint64_t token;
    replicas_begin(r, 3, seed, &forgetful);
    struct replica_node *last = replicas_wait_leader(r);
    put_many(r, 1, 20);
    replicas_agree(r);
    replicas_isolate(r, last, true);
    struct store_object object = store_config(&r->objects, 99, "c99", 50);
    assert_int_equal(replicas_propose(r, last, CHANGE_CREATE, object, 0, "", &token), 0);
    replicas_run(r, 5000);
    for (unsigned i = 0; i < 3; i++) {
        if (&r->nodes[i] != last) {
            replicas_kill(r, &r->nodes[i]);
        }
    }
    replicas_heal(r);
    assert_false(replicas_has_config(r, last, 99)); // not committed, as far as anybody knows
    assert_null(replicas_leader(r));
    return last;
}

static void holds_20(struct replicas *r, struct replica_node *node) {
    for (unsigned i = 1; i <= 20; i++) {
        assert_true(replicas_has_config(r, node, i));
    }
}

static bool has_three_voters(struct replicas *r, void *context) {
    (void)r;
    struct replica_status status;
    replica_status(((const struct replica_node *)context)->replica, &status);
    return status.voters == 3;
}

static void one_goes_on_alone_with_all_that_its_log_holds(void **state) {
    (void)state;
    struct replicas r;
    struct replica_node *last = begin_last_one(&r, 40);
    struct replica_status before, after;
    replica_status(last->replica, &before);
    assert_int_equal(replica_go_alone(last->replica, "new:1", one_change, last, &r.err), 0);
    assert_false(replica_has_group(last->replica));
    replicas_kill(&r, last);
    assert_int_equal(replicas_start(&r, last), 0);
    assert_ptr_equal(replicas_wait_leader(&r), last);
    holds_20(&r, last);
    assert_true(replicas_has_config(&r, last, 99) && replicas_has_config(&r, last, 900));
    const struct membership *membership = replica_membership(last->replica);
    replica_status(last->replica, &after);
    assert_int_equal(membership->epoch, 1);
    assert_int_equal(after.voters, 1);
    assert_int_equal(after.count, 1);
    assert_true(after.term > before.term);
    assert_string_equal(after.members[0].address, "new:1");
    for (unsigned i = 0; i < before.count; i++) { // of itself, too
        assert_true(membership_was_removed(membership, before.members[i].raft_id));
    }
    // Those of before go on without it, and it without them; then they come as new ones.
    for (unsigned i = 0; i < 3; i++) {
        if (&r.nodes[i] != last) {
            assert_int_equal(replicas_start(&r, &r.nodes[i]), 0);
        }
    }
    assert_int_equal(replicas_put(&r, last, 50).code, 0);
    replicas_run(&r, 10000);
    replica_status(last->replica, &after);
    assert_int_equal(after.count, 1);
    for (unsigned i = 0; i < 3; i++) {
        if (&r.nodes[i] != last) {
            assert_false(replicas_has_config(&r, &r.nodes[i], 50));
            replicas_kill(&r, &r.nodes[i]);
        }
    }
    replicas_join(&r, replicas_add(&r));
    replicas_join(&r, replicas_add(&r));
    assert_true(replicas_until(&r, has_three_voters, last, 20000));
    replicas_agree(&r);
    assert_true(replicas_has_config(&r, &r.nodes[4], 99) && replicas_has_config(&r, &r.nodes[4], 50));
    assert_int_equal(replica_membership(r.nodes[4].replica)->epoch, 1);
    replicas_kill(&r, last); // of three voters again
    assert_int_equal(replicas_put(&r, &r.nodes[3], 51).code, 0);
    replicas_end(&r);
}

// The follower that lags: what it was sent and has not applied counts too.
static void one_that_only_followed_goes_on_alone(void **state) {
    (void)state;
    struct replicas r;
    replicas_begin(&r, 3, 41, NULL);
    put_many(&r, 1, 20);
    replicas_agree(&r);
    struct replica_node *last = replicas_follower(&r), *leader = replicas_wait_leader(&r);
    uint64_t token;
    struct store_object object = store_config(&r.objects, 99, "c99", 50);
    assert_int_equal(replicas_propose(&r, leader, CHANGE_CREATE, object, 0, "", &token), 0);
    struct replica_status before, after;
    replica_status(last->replica, &before);
    do {
        replicas_run(&r, 1);
        replica_status(last->replica, &after);
    } while (after.last_index == before.last_index);
    assert_false(replicas_has_config(&r, last, 99)); // in its log alone
    for (unsigned i = 0; i < 3; i++) {
        if (&r.nodes[i] != last) {
            replicas_kill(&r, &r.nodes[i]);
        }
    }
    assert_int_equal(replica_go_alone(last->replica, "", no_changes, NULL, &r.err), 0);
    replicas_kill(&r, last);
    assert_int_equal(replicas_start(&r, last), 0);
    assert_ptr_equal(replicas_wait_leader(&r), last);
    holds_20(&r, last);
    assert_true(replicas_has_config(&r, last, 99));
    replicas_end(&r);
}

static void what_is_refused_or_fails_on_the_way_alone_leaves_the_old_group(void **state) {
    (void)state;
    static const struct {
        replica_compose_fn compose;
        enum replica_disk disk;
        int rc;
    } rows[] = {{refused_change, DISK_GOOD, -ERR_NOT_FOUND},
                {one_change, DISK_FULL, -ERR_NO_SPACE},
                {one_change, DISK_BROKEN, -ERR_SYSTEM}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct replicas r;
        struct replica_node *last = begin_last_one(&r, 42);
        last->disk = rows[i].disk;
        assert_int_equal(replica_go_alone(last->replica, "", rows[i].compose, last, &r.err), rows[i].rc);
        last->disk = DISK_GOOD;
        if (rows[i].rc == -ERR_SYSTEM) { // as a process that was killed before its commit
            replicas_kill(&r, last);
            assert_int_equal(replicas_start(&r, last), 0);
        }
        replicas_run(&r, 5000);
        assert_null(replicas_leader(&r));
        assert_false(replicas_has_config(&r, last, 99));
        for (unsigned j = 0; j < 3; j++) {
            assert_true(&r.nodes[j] == last || replicas_start(&r, &r.nodes[j]) == 0);
        }
        replicas_agree(&r);
        assert_int_equal(replica_membership(last->replica)->epoch, 0);
        assert_int_equal(replica_membership(last->replica)->members.count, 3);
        assert_int_equal(replicas_put(&r, last, 50).code, 0);
        replicas_end(&r);
    }
}

static void leadership_is_handed_over_at_once(void **state) {
    (void)state;
    struct replicas r;
    replicas_begin(&r, 3, 24, NULL);
    for (unsigned i = 1; i <= 10; i++) {
        struct replica_node *leader = replicas_wait_leader(&r);
        assert_int_equal(replicas_put(&r, leader, i).code, 0);
        assert_int_equal(replica_transfer(leader->replica, 0, &r.err), 0);
        int64_t begun = r.now_ms;
        while (replicas_leader(&r) == leader || replicas_leader(&r) == NULL) {
            replicas_run(&r, 1);
        }
        assert_true(r.now_ms - begun < 300); // of virtual time
        replicas_run(&r, 500);
    }
    replicas_agree(&r);
    replicas_end(&r);
}

static void a_broken_link_brings_the_election_forward(void **state) {
    (void)state;
    struct replicas r;
    replicas_begin(&r, 3, 26, NULL);
    r.tells_links = true;
    for (unsigned i = 1; i <= 10; i++) {
        struct replica_node *leader = replicas_wait_leader(&r);
        int64_t begun = r.now_ms;
        replicas_kill(&r, leader);
        replicas_wait_leader(&r);
        assert_true(r.now_ms - begun < 1000); // of virtual time; a timeout is 1000 at least
        assert_int_equal(replicas_start(&r, leader), 0);
        replicas_agree(&r);
    }
    replicas_end(&r);
}

static void a_broken_link_to_a_leader_that_lives_changes_nothing(void **state) {
    (void)state;
    struct replicas r;
    struct replica_status before, after;
    replicas_begin(&r, 3, 27, NULL);
    struct replica_node *leader = replicas_wait_leader(&r);
    replica_status(leader->replica, &before);
    for (unsigned i = 1; i <= 20; i++) {
        replica_link_lost(replicas_follower(&r)->replica, replica_id(leader->replica));
        replicas_run(&r, 150);
    }
    replicas_run(&r, 3000);
    replica_status(leader->replica, &after);
    assert_string_equal(after.role, "leader");
    assert_int_equal(after.term, before.term);
    replicas_end(&r);
}

// --- digests ---

static void records_that_differ_are_found_and_their_member_ends(void **state) {
    (void)state;
    struct replicas r;
    const struct replica_pace pace = {.digest_interval = 50, .digest_ms = 1};
    replicas_begin(&r, 3, 25, &pace);
    put_many(&r, 1, 10);
    replicas_agree(&r);
    struct replica_node *bad = replicas_follower(&r);
    // A record that is whole and wrong: one object is another one.
    struct turn turn;
    struct key key = key_object(KIND_CONFIG, store_id(3).text);
    struct store_object other = store_config(&r.objects, 3, "c3", 51);
    assert_int_equal(replica_commit_turn(bad->replica, &r.err), 0);
    assert_int_equal(turn_begin(bad->store, &turn, &r.err), 0);
    assert_int_equal(
        environment_put(&bad->store->environment, turn.tables.txn, TABLE_OBJECTS, &key, other.bytes, &r.err),
        0);
    assert_int_equal(turn_commit(&turn, &r.err), 0);
    put_many(&r, 100, 100);
    replicas_run(&r, 500);
    assert_null(bad->replica);
    assert_non_null(strstr(bad->failure, "differ from those of the others"));
    assert_int_equal(replicas_put(&r, replicas_wait_leader(&r), 1000).code, 0);
    replicas_end(&r);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(one_alone_leads_and_keeps_what_it_acknowledged),
    cmocka_unit_test(three_hold_the_same),
    cmocka_unit_test(a_killed_leader_is_replaced_and_nothing_acknowledged_is_lost),
    cmocka_unit_test(a_read_shows_what_was_acknowledged_elsewhere),
    cmocka_unit_test(what_is_acknowledged_survives_who_acknowledged_it),
    cmocka_unit_test(one_alone_acknowledges_nothing_it_has_not_synced),
    cmocka_unit_test(a_failed_sync_ends_the_process_and_the_others_go_on),
    cmocka_unit_test(a_member_that_lags_too_far_gets_the_whole_state),
    cmocka_unit_test(a_stream_that_breaks_leaves_nothing_behind),
    cmocka_unit_test(who_dies_in_mid_stream_is_offered_the_state_at_its_return),
    cmocka_unit_test(a_stream_goes_on_over_the_next_link),
    cmocka_unit_test(a_picture_is_not_held_for_one_who_is_gone),
    cmocka_unit_test(of_two_managers_one_is_no_quorum),
    cmocka_unit_test(who_reaches_no_quorum_says_for_sure_that_nothing_was_done),
    cmocka_unit_test(a_proposal_waits_for_the_link_to_the_leader),
    cmocka_unit_test(a_flood_of_proposals_costs_nobody_the_lead),
    cmocka_unit_test(an_unknown_outcome_is_called_that_and_a_retry_finds_out),
    cmocka_unit_test(what_another_leader_overwrote_is_proposed_again),
    cmocka_unit_test(members_apply_the_same_at_other_times_and_in_other_turns),
    cmocka_unit_test(a_full_disk_of_one_stops_nobody_else),
    cmocka_unit_test(a_full_disk_of_the_leader_moves_the_lead),
    cmocka_unit_test(a_full_disk_of_one_alone_refuses_and_goes_on_later),
    cmocka_unit_test(a_member_is_removed_and_joins_again_under_a_new_id),
    cmocka_unit_test(the_group_is_not_reduced_to_those_who_do_not_answer),
    cmocka_unit_test(one_goes_on_alone_with_all_that_its_log_holds),
    cmocka_unit_test(one_that_only_followed_goes_on_alone),
    cmocka_unit_test(what_is_refused_or_fails_on_the_way_alone_leaves_the_old_group),
    cmocka_unit_test(leadership_is_handed_over_at_once),
    cmocka_unit_test(a_broken_link_brings_the_election_forward),
    cmocka_unit_test(a_broken_link_to_a_leader_that_lives_changes_nothing),
    cmocka_unit_test(records_that_differ_are_found_and_their_member_ends),
};

CHECK_MAIN(tests)
