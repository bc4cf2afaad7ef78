// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/replica_alone.c — a member whose others are gone for good makes a group of itself.
//
// Of the tail of its log nobody is left who could say what was committed. All of it counts: an entry that was
// not acknowledged may be there all the same (its client was told that the outcome is unknown), one that was
// must be. Behind it come the new membership, in a later term, and what the caller wants changed with it.
// Nobody but this member will ever append to that log, so the term need only be later than its own; whoever
// has later ones of the old group is kept away by the epoch and by the new raft id.
#include "base/log.h"
#include "reconciler/store/replica_parts.h"

static int apply_tail(struct replica *replica, struct error *err) {
    int rc = replica_open_turn(replica, err);
    rc = rc < 0 ? rc : replica_write_entries(replica, err);
    for (uint64_t index = replica_applied(replica); rc == 0 && index < replica->raft.log.last_index;) {
        AUTO_ARENA arena = arena_make(0);
        struct log_entry entry;
        struct outcome outcome;
        rc = replica_entry(replica, ++index, &arena, &entry, err);
        rc = rc < 0 ? rc : turn_apply(&replica->turn, &entry, &outcome, err);
    }
    return rc;
}

static int add(struct replica *replica, enum raft_entry_type type, struct bytes payload, struct error *err) {
    struct turn *turn = &replica->turn;
    const struct log_entry entry = {.term = turn->local.term, .type = (uint8_t)type, .payload = payload};
    struct outcome outcome;
    int rc = turn_put_entry(turn, turn->local.last_index + 1, &entry, err);
    rc = rc < 0 ? rc : turn_apply(turn, &entry, &outcome, err);
    return rc < 0 || outcome.code == 0 ? rc
                                       : error_set(err, (enum error_code) - outcome.code, "%s", outcome.text);
}

static int add_membership(struct replica *replica, const char *address, struct arena *arena,
                          struct error *err) {
    struct turn *turn = &replica->turn;
    const struct member *before = membership_find(&replica->membership, replica->raft.options.id);
    AUTO_BUF payload = buf_make(MEMBERSHIP_BYTES_MAX);
    turn->local.raft_id = prng_next(&replica->prng) | 1;
    turn_set_hard_state(turn, replica->raft.term + 1, turn->local.raft_id);
    const struct member self = {.raft_id = (int64_t)turn->local.raft_id,
                                .node_id = before != NULL ? before->node_id : replica->options.node_id,
                                .address = address,
                                .is_voter = true,
                                .wants_vote = true};
    struct membership alone = membership_alone(&replica->membership, &self, arena);
    wire_encode(&membership_schema, &alone, &payload);
    ASSERT(!payload.overflow); // of one member, and of so many removed ones as a membership may have
    return add(replica, RAFT_ENTRY_CONFIGURATION, buf_bytes(&payload), err);
}

static int add_changes(struct replica *replica, replica_compose_fn compose, void *context,
                       struct arena *arena, struct error *err) {
    struct transaction transaction;
    AUTO_BUF payload = {0};
    schema_init(&transaction_schema, &transaction);
    int rc = compose(context, arena, &transaction, err);
    if (rc < 0 || transaction.changes.count == 0) {
        return rc;
    }
    rc = admission_check(&transaction, err);
    rc = rc < 0 ? rc : admission_encode(&transaction, &payload, err);
    return rc < 0 ? rc : add(replica, RAFT_ENTRY_DATA, buf_bytes(&payload), err);
}

static int commit(struct replica *replica, struct error *err) {
    int rc = turn_commit(&replica->turn, err);
    if (rc == 0) {
        replica->is_turn_open = false;
        replica->has_group = false;
        replica->membership = (struct membership){0};
    }
    return rc;
}

int replica_go_alone(struct replica *replica, const char *address, replica_compose_fn compose, void *context,
                     struct error *err) {
    AUTO_ARENA arena = arena_make(0);
    if (!replica->has_group) {
        return error_set(err, ERR_CONFLICT, "this manager belongs to no group");
    }
    int rc = apply_tail(replica, err);
    rc = rc < 0 ? rc : add_membership(replica, address, &arena, err);
    rc = rc < 0 ? rc : add_changes(replica, compose, context, &arena, err);
    rc = rc < 0 ? rc : commit(replica, err);
    if (rc < 0) {
        replica_drop_turn(replica);
    }
    struct error failure = {0};
    int broken = rc == -ERR_NO_SPACE ? store_can_go_on(replica->proposer.store, &failure) : 0;
    return broken < 0 ? error_set(err, failure.code, "%s", failure.root) : rc;
}
