// SPDX-License-Identifier: Apache-2.0
//
// reconciler/raft/members.c — who belongs to the group: the configuration in force, quorums, changes of one
// voter.
//
// A configuration is in force from the moment it is in the log, committed or not, and gone again when its
// entry is truncated. Two that follow each other differ by one voter, so their quorums overlap; for the
// same to hold across terms, a leader first commits an entry of its own term (Ongaro's note of 2015).
#include <string.h>

#include "reconciler/raft/raft_parts.h"

const struct raft_configuration *raft_configuration_now(const struct raft *raft) {
    return raft->pending_configuration_index > 0 ? &raft->pending_configuration
                                                 : &raft->committed_configuration;
}

bool raft_configuration_has(const struct raft_configuration *configuration, uint64_t id, bool *out_is_voter) {
    for (unsigned i = 0; i < configuration->count; i++) {
        if (configuration->members[i].id == id) {
            *out_is_voter = configuration->members[i].is_voter;
            return true;
        }
    }
    return false;
}

bool members_is_voter(const struct raft *raft, uint64_t id) {
    bool is_voter = false;
    return raft_configuration_has(raft_configuration_now(raft), id, &is_voter) && is_voter;
}

unsigned members_voters(const struct raft *raft) {
    const struct raft_configuration *now = raft_configuration_now(raft);
    unsigned count = 0;
    for (unsigned i = 0; i < now->count; i++) {
        count += now->members[i].is_voter;
    }
    return count;
}

unsigned members_quorum(const struct raft *raft) {
    unsigned voters = members_voters(raft);
    if (PLANTED(BUG_WRONG_QUORUM) && voters > 1) {
        return (voters + 1) / 2;
    }
    return voters / 2 + 1;
}

struct raft_peer *members_peer(struct raft *raft, uint64_t id) {
    for (unsigned i = 0; i < raft->peer_count; i++) {
        if (raft->peers[i].id == id) {
            return &raft->peers[i];
        }
    }
    return NULL;
}

// Keeps what is known of those who stay.
void members_rebuild_peers(struct raft *raft) {
    const struct raft_configuration *now = raft_configuration_now(raft);
    unsigned kept = 0;
    for (unsigned i = 0; i < raft->peer_count; i++) {
        bool is_voter;
        if (raft_configuration_has(now, raft->peers[i].id, &is_voter)) {
            if (kept != i) {
                raft->peers[kept] = raft->peers[i];
            }
            raft->peers[kept++].is_voter = is_voter;
        }
    }
    raft->peer_count = kept;
    for (unsigned i = 0; i < now->count; i++) {
        const struct raft_member *member = &now->members[i];
        if (member->id == raft->options.id || members_peer(raft, member->id) != NULL) {
            continue;
        }
        ASSERT(raft->peer_count < RAFT_MEMBERS_MAX);
        raft->peers[raft->peer_count++] = (struct raft_peer){.id = member->id,
                                                             .is_voter = member->is_voter,
                                                             .next = raft->log.last_index + 1,
                                                             .is_due = true,
                                                             .is_active = true,
                                                             .is_responsive = true};
    }
}

// --- the life of a configuration ---

void members_appended(struct raft *raft, uint64_t index, const struct raft_configuration *configuration) {
    ASSERT(raft->pending_configuration_index == 0 || PLANTED(BUG_TWO_CHANGES) ||
           PLANTED(BUG_KEEP_CONFIGURATION));
    raft->pending_configuration = *configuration;
    raft->pending_configuration_index = index;
    members_rebuild_peers(raft);
}

void members_truncated(struct raft *raft, uint64_t last_index) {
    if (raft->pending_configuration_index > last_index && !PLANTED(BUG_KEEP_CONFIGURATION)) {
        raft->pending_configuration_index = 0;
        members_rebuild_peers(raft);
    }
}

void members_committed(struct raft *raft) {
    if (raft->pending_configuration_index == 0 || raft->pending_configuration_index > raft->commit) {
        return;
    }
    raft->committed_configuration = raft->pending_configuration;
    raft->committed_configuration_index = raft->pending_configuration_index;
    raft->pending_configuration_index = 0;
    if (raft->role == RAFT_LEADER && !members_is_voter(raft, raft->options.id)) {
        raft->is_leaving = true; // at the end of the turn: the others are told first
    }
}

// --- changes ---

static bool is_well_formed(const struct raft_configuration *configuration) {
    unsigned voters = 0;
    for (unsigned i = 0; i < configuration->count; i++) {
        if (configuration->members[i].id == 0 ||
            (i > 0 && configuration->members[i - 1].id >= configuration->members[i].id)) {
            return false;
        }
        voters += configuration->members[i].is_voter;
    }
    return configuration->count <= RAFT_MEMBERS_MAX && voters > 0;
}

// How many voters one has that the other does not have as such; *out_added is the last of them.
static unsigned count_voters_not_in(const struct raft_configuration *one,
                                    const struct raft_configuration *other, uint64_t *out_last) {
    unsigned count = 0;
    for (unsigned i = 0; i < one->count; i++) {
        bool is_voter = false;
        raft_configuration_has(other, one->members[i].id, &is_voter);
        if (one->members[i].is_voter && !is_voter) {
            count++;
            *out_last = one->members[i].id;
        }
    }
    return count;
}

// A member becomes a voter only when its log is nearly ours; else commits would wait for it.
static bool is_caught_up(struct raft *raft, uint64_t id) {
    const struct raft_peer *peer = members_peer(raft, id);
    if (PLANTED(BUG_EARLY_PROMOTION)) {
        return true;
    }
    return peer != NULL && peer->pace == RAFT_REPLICATE && peer->is_active && peer->match >= raft->commit;
}

enum raft_outcome raft_propose_configuration(struct raft *raft,
                                             const struct raft_configuration *configuration, uint32_t bytes,
                                             uint64_t *out_index) {
    if (raft->role != RAFT_LEADER || raft->is_leaving) {
        return RAFT_NOT_LEADER;
    }
    bool is_pending = raft->pending_configuration_index > 0 && !PLANTED(BUG_TWO_CHANGES);
    bool is_early = raft->commit < raft->term_first_index && !PLANTED(BUG_CHANGE_BEFORE_COMMIT);
    const struct raft_configuration *now = raft_configuration_now(raft);
    uint64_t added = 0;
    uint64_t removed = 0;
    unsigned changes =
        count_voters_not_in(configuration, now, &added) + count_voters_not_in(now, configuration, &removed);
    if (is_pending || is_early || changes > 1 || !is_well_formed(configuration)) {
        return RAFT_REFUSED;
    }
    if (raft->transferee != 0 || !log_may_grow(&raft->log, 1)) {
        return RAFT_BUSY;
    }
    if (added != 0 && !is_caught_up(raft, added)) {
        return RAFT_NOT_CAUGHT_UP;
    }
    log_append(&raft->log, &(struct raft_entry){raft->term, bytes, RAFT_ENTRY_CONFIGURATION});
    raft->uncommitted_bytes += bytes;
    *out_index = raft->log.last_index;
    members_appended(raft, raft->log.last_index, configuration);
    return RAFT_DONE;
}

void members_tell_removed(struct raft *raft, uint64_t id) {
    bool is_voter;
    if (PLANTED(BUG_NOT_TOLD)) {
        return;
    }
    if (raft->pending_configuration_index == 0 &&
        !raft_configuration_has(&raft->committed_configuration, id, &is_voter)) {
        raft_send(raft, id,
                  (struct raft_message){.type = RAFT_REMOVED, .index = raft->committed_configuration_index});
    }
}
