// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/replica_members.c — who belongs to the group: changes as the leader, following as a
// member.
//
// One change of a voter at a time (raft.h). A new member comes as a learner and becomes a voter when its log
// is nearly the leader's, so that commits never wait for one that has everything still to fetch.
#include <string.h>

#include "base/log.h"
#include "reconciler/store/replica_parts.h"

// --- following the log ---

static int load_membership(struct replica *replica, uint64_t index, struct arena *arena,
                           struct membership *out, struct error *err) {
    const struct cached_entry *cached = entries_at(&replica->entries, index);
    if (cached != NULL) {
        return membership_read(cached->entry.payload, out, arena, err);
    }
    struct store_read *read;
    struct log_entry entry;
    uint64_t at = 0;
    int rc = store_read_begin(replica->proposer.store, &read, err);
    if (rc < 0) {
        return rc;
    }
    rc = store_membership(read, arena, out, &at, err);
    if (rc == 0 && at != index) {
        rc = log_get(read, index, &entry, err);
        rc = rc == 0
                 ? membership_read((struct bytes){arena_copy(arena, entry.payload.data, entry.payload.len),
                                                  entry.payload.len},
                                   out, arena, err)
                 : error_set(err, ERR_CORRUPT, "the membership of entry %llu misses",
                             (unsigned long long)index);
    }
    store_read_end(read);
    return rc;
}

// In force is what the newest configuration entry of the log says, and what the one before it says once that
// one is truncated.
int members_follow(struct replica *replica, struct error *err) {
    const struct raft *raft = &replica->raft;
    uint64_t index = raft->pending_configuration_index > 0 ? raft->pending_configuration_index
                                                           : raft->committed_configuration_index;
    bool stays = REPLICA_PLANTED(MEMBERSHIP_STAYS) && index < replica->membership_index;
    if (index == replica->membership_index || stays) {
        return 0;
    }
    AUTO_ARENA arena = arena_make(0);
    struct membership membership;
    int rc = load_membership(replica, index, &arena, &membership, err);
    if (rc == 0) {
        replica_set_membership(replica, &membership, index);
    }
    return rc;
}

// --- changes ---

static int refuse_outcome(enum raft_outcome outcome, struct error *err) {
    switch (outcome) {
    case RAFT_DONE:
        return 0;
    case RAFT_NOT_LEADER:
        return error_set(err, ERR_NO_QUORUM, "this manager does not lead");
    case RAFT_NOT_CAUGHT_UP:
        return error_set(err, ERR_BUSY, "the new manager has not caught up yet");
    case RAFT_BUSY:
    case RAFT_REFUSED:
        return error_set(err, ERR_BUSY, "another change of the managers is under way");
    }
    UNREACHABLE("an outcome of no kind");
}

static int propose_membership(struct replica *replica, const struct membership *next, uint64_t token,
                              struct error *err) {
    struct raft_configuration configuration = membership_configuration(next);
    AUTO_BUF payload = buf_make(MEMBERSHIP_BYTES_MAX);
    uint64_t index;
    wire_encode(&membership_schema, next, &payload);
    if (payload.overflow) {
        return error_set(err, ERR_LIMIT, "the list of managers is over %d bytes", MEMBERSHIP_BYTES_MAX);
    }
    enum raft_outcome outcome =
        raft_propose_configuration(&replica->raft, &configuration, (uint32_t)payload.len, &index);
    if (outcome != RAFT_DONE) {
        return refuse_outcome(outcome, err);
    }
    propose_change(replica, token, buf_bytes(&payload), index);
    replica_set_membership(replica, next, index);
    return 0;
}

static bool is_reachable(const struct replica *replica, uint64_t raft_id) {
    if (raft_id == replica->raft.options.id) {
        return true;
    }
    for (unsigned i = 0; i < replica->raft.peer_count; i++) {
        if (replica->raft.peers[i].id == raft_id) {
            return replica->raft.peers[i].is_active;
        }
    }
    return false;
}

// After the change, those voters that answer must be a quorum: else nothing could ever be changed back.
static int guard_quorum(const struct replica *replica, const struct membership *next, struct error *err) {
    unsigned voters = 0, reachable = 0;
    for (size_t i = 0; i < next->members.count; i++) {
        const struct member *member = &next->members.items[i];
        voters += member->is_voter;
        reachable += member->is_voter && is_reachable(replica, (uint64_t)member->raft_id);
    }
    if (voters == 0) {
        return error_set(err, ERR_GUARD, "the last manager that votes stays one");
    }
    return reachable > voters / 2 ? 0
                                  : error_set(err, ERR_GUARD,
                                              "of the %u managers left %u would answer: not a quorum; bring "
                                              "the others back first",
                                              voters, reachable);
}

static int add_member(struct replica *replica, const struct member *member, uint64_t token,
                      struct arena *arena, struct error *err) {
    const struct membership *now = &replica->membership;
    struct member added = *member;
    if (membership_was_removed(now, (uint64_t)member->raft_id) && !REPLICA_PLANTED(REMOVED_COMES_BACK)) {
        return error_set(err, ERR_DENIED, "this identity was removed: join again");
    }
    if (now->members.count >= RAFT_MEMBERS_MAX) {
        return error_set(err, ERR_LIMIT, "there are %d managers already", RAFT_MEMBERS_MAX);
    }
    if (membership_find(now, (uint64_t)member->raft_id) != NULL) {
        return error_set(err, ERR_EXISTS, "this manager is a member already");
    }
    if (membership_find_node(now, &member->node_id) != NULL) {
        return error_set(err, ERR_CONFLICT,
                         "its node is a manager under another identity: remove that first");
    }
    added.is_voter = false;
    struct membership next = membership_with(now, &added, arena);
    return propose_membership(replica, &next, token, err);
}

static int change_member(struct replica *replica, enum replica_change change, const struct member *member,
                         uint64_t token, struct arena *arena, struct error *err) {
    const struct membership *now = &replica->membership;
    const struct member *found = membership_find(now, (uint64_t)member->raft_id);
    if (found == NULL) {
        return error_set(err, ERR_NOT_FOUND, "no such manager");
    }
    struct member changed = *found;
    changed.wants_vote = change == MEMBER_PROMOTE;
    changed.is_voter = false;
    if (change == MEMBER_PROMOTE) {
        changed.is_voter = found->is_voter; // members_step makes it one when it has caught up
    }
    struct membership next = change == MEMBER_REMOVE
                                 ? membership_without(now, (uint64_t)member->raft_id, arena)
                                 : membership_with(now, &changed, arena);
    int rc = change == MEMBER_PROMOTE ? 0 : guard_quorum(replica, &next, err);
    return rc < 0 ? rc : propose_membership(replica, &next, token, err);
}

int replica_change(struct replica *replica, enum replica_change change, const struct member *member,
                   uint64_t token, struct error *err) {
    AUTO_ARENA arena = arena_make(0);
    if (!replica->has_group || replica->raft.role != RAFT_LEADER) {
        return error_set(err, ERR_NO_QUORUM, "this manager does not lead");
    }
    return change == MEMBER_ADD ? add_member(replica, member, token, &arena, err)
                                : change_member(replica, change, member, token, &arena, err);
}

// Who wants to vote and has caught up, becomes a voter.
void members_step(struct replica *replica) {
    const struct raft *raft = &replica->raft;
    if (raft->role != RAFT_LEADER || raft->pending_configuration_index > 0 ||
        raft->commit < raft->term_first_index) {
        return;
    }
    for (size_t i = 0; i < replica->membership.members.count; i++) {
        struct member member = replica->membership.members.items[i];
        if (member.is_voter || !member.wants_vote) {
            continue;
        }
        AUTO_ARENA arena = arena_make(0);
        member.is_voter = true;
        struct membership next = membership_with(&replica->membership, &member, &arena);
        if (propose_membership(replica, &next, /*token=*/0, NULL) == 0) {
            log_event(LOG_INFO, "managers.promote", LOG_STR("node", member.node_id.text));
            return;
        }
    }
}

bool replica_is_changing(const struct replica *replica) {
    return replica->has_group && replica->raft.pending_configuration_index > 0;
}

// --- leadership ---

static uint64_t furthest_voter(const struct raft *raft) {
    uint64_t best = 0, match = 0;
    for (unsigned i = 0; i < raft->peer_count; i++) {
        const struct raft_peer *peer = &raft->peers[i];
        if (peer->is_voter && peer->is_active && peer->pace == RAFT_REPLICATE && peer->match >= match) {
            best = peer->id;
            match = peer->match;
        }
    }
    return best;
}

int replica_transfer(struct replica *replica, uint64_t raft_id, struct error *err) {
    if (!replica->has_group) {
        return error_set(err, ERR_NO_QUORUM, "this manager does not lead");
    }
    uint64_t to = raft_id != 0 ? raft_id : furthest_voter(&replica->raft);
    enum raft_outcome outcome = to != 0 ? raft_transfer(&replica->raft, to) : RAFT_REFUSED;
    if (outcome == RAFT_REFUSED) {
        return error_set(err, ERR_NOT_FOUND, "no manager there that could lead");
    }
    return refuse_outcome(outcome, err);
}

// --- how it is ---

static const struct raft_peer *find_peer(const struct raft *raft, uint64_t id) {
    for (unsigned i = 0; i < raft->peer_count; i++) {
        if (raft->peers[i].id == id) {
            return &raft->peers[i];
        }
    }
    return NULL;
}

static void fill_member(const struct replica *replica, const struct member *member, uint64_t leader,
                        struct replica_member_status *out) {
    const struct raft *raft = &replica->raft;
    uint64_t id = (uint64_t)member->raft_id;
    const struct raft_peer *peer = raft->role == RAFT_LEADER ? find_peer(raft, id) : NULL;
    *out = (struct replica_member_status){
        .raft_id = id,
        .node_id = member->node_id,
        .address = member->address,
        .is_voter = member->is_voter,
        .wants_vote = member->wants_vote,
        .is_leader = id == leader,
        .is_reachable = id == raft->options.id || id == leader || (peer != NULL && peer->is_responsive),
        .match = peer != NULL             ? peer->match
                 : id == raft->options.id ? raft->persisted
                                          : 0,
    };
}

void replica_status(const struct replica *replica, struct replica_status *out) {
    *out = (struct replica_status){.role = raft_role_names[RAFT_FOLLOWER]};
    if (!replica->has_group) {
        return;
    }
    const struct raft *raft = &replica->raft;
    *out = (struct replica_status){
        .role = raft_role_names[raft->role],
        .raft_id = raft->options.id,
        .leader = raft->role == RAFT_LEADER ? raft->options.id : raft->leader,
        .term = raft->term,
        .last_index = raft->log.last_index,
        .commit = raft->commit,
        .applied = replica_applied(replica),
        .is_full = replica->is_full,
        .is_removed = raft->is_removed,
        .diverged_index = replica->diverged_index,
        .count = (unsigned)replica->membership.members.count,
    };
    for (unsigned i = 0; i < out->count; i++) {
        fill_member(replica, &replica->membership.members.items[i], out->leader, &out->members[i]);
        out->voters += out->members[i].is_voter;
    }
}
