// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/upgrade.c — a store of an earlier format version becomes one of the present version.
#include "reconciler/store/upgrade.h"

#include <errno.h>
#include <sys/random.h>

#include "base/assert.h"
#include "reconciler/store/membership.h"
#include "reconciler/store/meta.h"

struct store_local upgrade_local(const struct store_state *state) {
    return (struct store_local){
        .term = (uint64_t)state->term,
        .base_index = (uint64_t)state->was_log_first - 1,
        .base_term = (uint64_t)state->term,
        .last_index = (uint64_t)state->applied,
        .log_bytes = (uint64_t)state->was_log_bytes,
        .txn_id = (uint64_t)state->was_txn_id,
    };
}

static bool has_objects(const struct store_state *state) {
    for (int kind = 0; kind < KIND_END; kind++) {
        if (state->objects[kind] > 0) {
            return true;
        }
    }
    return false;
}

static uint64_t fresh_raft_id(void) {
    uint64_t id = 0;
    while (id == 0) {
        ssize_t got = getrandom(&id, sizeof id, 0);
        ASSERT(got == (ssize_t)sizeof id || (got < 0 && errno == EINTR));
        id = got == (ssize_t)sizeof id ? id : 0;
    }
    return id;
}

static int found_group(const struct environment *environment, MDB_txn *txn, uint64_t index, uint64_t raft_id,
                       struct error *err) {
    struct member self = {.raft_id = (int64_t)raft_id, .address = "", .is_voter = true};
    struct membership membership = {.members = {1, &self}};
    AUTO_BUF wire = {0};
    wire_encode(&membership_schema, &membership, &wire);
    return meta_membership_put(environment, txn, index, buf_bytes(&wire), err);
}

int upgrade_from_2(const struct environment *environment, MDB_txn *txn, struct format_head *head,
                   struct error *err) {
    head->write_version = head->read_version_min = FORMAT_VERSION;
    return meta_head_put(environment, txn, head, err);
}

int upgrade_from_1(struct environment *environment, MDB_txn *txn, struct format_head *head,
                   struct store_state *state, struct store_local *local, struct error *err) {
    *local = upgrade_local(state);
    local->base_index = local->last_index;
    local->log_bytes = 0;
    local->raft_id = has_objects(state) ? fresh_raft_id() : 0;
    state->was_log_first = state->was_log_bytes = state->was_txn_id = 0;
    head->write_version = head->read_version_min = FORMAT_VERSION;
    int rc = environment_add_shadows(environment, txn, err);
    rc = rc < 0 ? rc : environment_empty(environment, txn, TABLE_LOG, err);
    rc = rc < 0 ? rc : meta_head_put(environment, txn, head, err);
    rc = rc < 0 ? rc : meta_state_put(environment, txn, state, err);
    if (rc == 0 && local->raft_id != 0) {
        rc = found_group(environment, txn, local->last_index, local->raft_id, err);
    }
    return rc;
}
