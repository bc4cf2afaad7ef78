// SPDX-License-Identifier: Apache-2.0
//
// reconciler/raft/leader.c — what a leader does about its members' logs: how far each is, what to send
// next, what is committed.
//
// Model        A member is probed (one append at a time, until one fits), then replicated to (a window of
//              appends on their way), or gets a snapshot because what it lacks is compacted away. All sending
//              happens in leader_flush: whatever a turn brought goes out in as few messages as it fits into.
// Loss         An append that was lost is noticed when the next one does not fit, or at the next answer to a
//              heartbeat that shows no progress.
#include "reconciler/raft/raft_parts.h"

// --- the window ---

static void flight_clear(struct raft_peer *peer) {
    peer->flight_first = peer->flight_count = 0;
    peer->flight_bytes = 0;
}

static bool flight_is_full(const struct raft *raft, const struct raft_peer *peer) {
    return peer->flight_count >= raft->options.inflight_max ||
           peer->flight_bytes >= raft->options.inflight_bytes_max;
}

static void flight_add(struct raft_peer *peer, uint64_t last, uint64_t bytes) {
    unsigned at = (peer->flight_first + peer->flight_count) % RAFT_INFLIGHT_MAX;
    peer->flight[at].last = last;
    peer->flight[at].bytes = bytes;
    peer->flight_count++;
    peer->flight_bytes += bytes;
}

static void flight_land(struct raft_peer *peer, uint64_t match) {
    while (peer->flight_count > 0 && peer->flight[peer->flight_first].last <= match) {
        peer->flight_bytes -= peer->flight[peer->flight_first].bytes;
        peer->flight_first = (peer->flight_first + 1) % RAFT_INFLIGHT_MAX;
        peer->flight_count--;
    }
}

static void set_pace(struct raft_peer *peer, enum raft_pace pace) {
    peer->pace = pace;
    peer->is_paused = false;
    flight_clear(peer);
    if (pace != RAFT_SNAPSHOTTING) {
        peer->next = peer->match + 1;
    }
}

// --- a term begins ---

static void reset_peers(struct raft *raft) {
    for (unsigned i = 0; i < raft->peer_count; i++) {
        struct raft_peer *peer = &raft->peers[i];
        uint64_t match = PLANTED(BUG_KEEP_MATCH) ? peer->match : 0;
        *peer = (struct raft_peer){
            .id = peer->id, .is_voter = peer->is_voter, .is_active = true, .is_responsive = true};
        peer->match = match;
        peer->next = raft->log.last_index + 1;
        peer->is_due = true;
    }
}

static void begin_uncommitted(struct raft *raft) {
    raft->uncommitted_bytes = 0;
    for (uint64_t index = raft->commit + 1; index <= raft->log.last_index; index++) {
        raft->uncommitted_bytes += log_entry(&raft->log, index)->bytes;
    }
}

void leader_begin(struct raft *raft) {
    ASSERT(raft->role == RAFT_CANDIDATE);
    raft->role = RAFT_LEADER;
    raft->leader = raft->options.id;
    raft->elapsed = raft->heartbeat_elapsed = 0;
    raft->transferee = 0;
    reset_peers(raft);
    begin_uncommitted(raft);
    raft->term_first_index = raft->log.last_index + 1;
    if (!PLANTED(BUG_NO_NOOP)) {
        log_append(&raft->log, &(struct raft_entry){raft->term, 0, RAFT_ENTRY_NOOP});
        raft->noop_index = raft->log.last_index;
    }
    leader_count_commit(raft);
}

// --- committing ---

static uint64_t self_match(const struct raft *raft) {
    return PLANTED(BUG_EARLY_SELF) ? raft->log.last_index : raft->persisted;
}

// The highest index that a quorum of voters has.
static uint64_t quorum_match(const struct raft *raft) {
    uint64_t matches[RAFT_MEMBERS_MAX + 1];
    unsigned count = 0;
    if (members_is_voter(raft, raft->options.id)) {
        matches[count++] = self_match(raft);
    }
    for (unsigned i = 0; i < raft->peer_count; i++) {
        if (raft->peers[i].is_voter || PLANTED(BUG_LEARNER_COUNTS)) {
            matches[count++] = raft->peers[i].match;
        }
    }
    for (unsigned i = 1; i < count; i++) { // insertion sort, descending
        for (unsigned j = i; j > 0 && matches[j] > matches[j - 1]; j--) {
            uint64_t swap = matches[j];
            matches[j] = matches[j - 1];
            matches[j - 1] = swap;
        }
    }
    unsigned quorum = members_quorum(raft);
    return quorum > 0 && quorum <= count ? matches[quorum - 1] : 0;
}

void leader_count_commit(struct raft *raft) {
    uint64_t index = quorum_match(raft);
    uint64_t term;
    // Counting proves nothing about entries of earlier terms (paper, figure 8).
    if (index > raft->commit && log_term(&raft->log, index, &term) &&
        (term == raft->term || PLANTED(BUG_COMMIT_OLD_TERM))) {
        raft_advance_commit(raft, index);
    }
}

// --- sending ---

// How many entries from `next` on fit into one append; a configuration ends it, so that there is one at most.
static uint32_t take_entries(const struct raft *raft, uint64_t next, uint64_t *out_bytes) {
    uint64_t bytes = 0;
    uint32_t count = 0;
    for (uint64_t index = next; index <= raft->log.last_index; index++) {
        const struct raft_entry *entry = log_entry(&raft->log, index);
        if (count > 0 && bytes + entry->bytes > raft->options.append_bytes_max) {
            break;
        }
        bytes += entry->bytes;
        count++;
        if (entry->type == RAFT_ENTRY_CONFIGURATION) {
            break;
        }
    }
    *out_bytes = bytes;
    return count;
}

static bool begin_snapshot(struct raft *raft, struct raft_peer *peer) {
    uint64_t applied_term;
    if (!peer->is_active || !log_term(&raft->log, raft->applied, &applied_term)) {
        return false; // it would be sent into the void
    }
    set_pace(peer, RAFT_SNAPSHOTTING);
    raft_send(raft, peer->id,
              (struct raft_message){.type = RAFT_SNAPSHOT, .index = raft->applied, .log_term = applied_term});
    return true;
}

// False when there is nothing that can be sent now.
static bool send_append(struct raft *raft, struct raft_peer *peer) {
    uint64_t previous = peer->next - 1;
    uint64_t previous_term;
    if (!log_term(&raft->log, previous, &previous_term)) {
        return begin_snapshot(raft, peer);
    }
    uint64_t bytes = 0;
    bool is_full = peer->pace == RAFT_REPLICATE && flight_is_full(raft, peer);
    uint32_t count = is_full ? 0 : take_entries(raft, peer->next, &bytes);
    raft_send(raft, peer->id,
              (struct raft_message){.type = RAFT_APPEND,
                                    .index = previous,
                                    .log_term = previous_term,
                                    .commit = raft->commit,
                                    .count = count});
    peer->told_commit = raft->commit;
    peer->is_due = false;
    if (peer->pace == RAFT_PROBE) {
        peer->is_paused = true;
    } else if (count > 0) {
        peer->next += count;
        flight_add(peer, previous + count, bytes);
    }
    return true;
}

static bool wants_append(const struct raft *raft, const struct raft_peer *peer) {
    if (peer->pace == RAFT_SNAPSHOTTING || (peer->pace == RAFT_PROBE && peer->is_paused)) {
        return false;
    }
    if (peer->is_due) {
        return true;
    }
    bool has_more = peer->next <= raft->log.last_index;
    if (peer->pace == RAFT_REPLICATE && flight_is_full(raft, peer)) {
        return false;
    }
    return has_more || (peer->told_commit < raft->commit && !raft->holds_notices);
}

static void send_heartbeats(struct raft *raft) {
    for (unsigned i = 0; i < raft->peer_count; i++) {
        struct raft_peer *peer = &raft->peers[i];
        bool is_ahead = raft->commit > peer->match && !PLANTED(BUG_HEARTBEAT_COMMIT);
        raft_send(raft, peer->id,
                  (struct raft_message){.type = RAFT_HEARTBEAT,
                                        .commit = is_ahead ? peer->match : raft->commit,
                                        .sequence = raft->sequence});
    }
}

void leader_flush(struct raft *raft) {
    if (raft->wants_round) {
        raft->wants_round = false;
        reads_begin_round(raft);
        send_heartbeats(raft);
        reads_count_round(raft);
    }
    for (unsigned i = 0; i < raft->peer_count; i++) {
        struct raft_peer *peer = &raft->peers[i];
        bool goes_on = true;
        while (goes_on && wants_append(raft, peer) && raft->message_count < raft->options.messages_count) {
            goes_on = send_append(raft, peer);
        }
    }
    if (raft->is_leaving) { // everybody who can be was told that we are no voter any more
        raft_become_follower(raft, raft->term, /*leader=*/0);
    }
}

// --- time ---

static void check_quorum(struct raft *raft) {
    unsigned active = members_is_voter(raft, raft->options.id) ? 1 : 0;
    for (unsigned i = 0; i < raft->peer_count; i++) {
        active += raft->peers[i].is_voter && raft->peers[i].is_active;
        raft->peers[i].is_responsive = raft->peers[i].is_active;
        raft->peers[i].is_active = false;
    }
    if (active < members_quorum(raft) && !PLANTED(BUG_NO_CHECK_QUORUM)) {
        raft_become_follower(raft, raft->term, /*leader=*/0);
    }
}

void leader_tick(struct raft *raft) {
    bool is_over = raft->transferee != 0 && ++raft->transfer_elapsed >= raft->options.election_ticks;
    if (is_over && !PLANTED(BUG_TRANSFER_FOREVER)) {
        raft->transferee = 0;
    }
    if (raft->elapsed >= raft->options.election_ticks) {
        raft->elapsed = 0;
        check_quorum(raft);
    }
    if (raft->role == RAFT_LEADER && ++raft->heartbeat_elapsed >= raft->options.heartbeat_ticks) {
        raft->heartbeat_elapsed = 0;
        raft->wants_round = true;
    }
}

// --- answers ---

static void on_reject(struct raft *raft, struct raft_peer *peer, const struct raft_message *reply) {
    if (peer->pace == RAFT_SNAPSHOTTING || reply->index <= peer->match) {
        return; // old
    }
    if (peer->pace == RAFT_REPLICATE) {
        set_pace(peer, RAFT_PROBE);
        return;
    }
    if (reply->index != peer->next - 1) {
        return;
    }
    // Skips whole terms on both sides (etcd's refinement of the paper's §5.3).
    uint64_t hint = log_find_term(&raft->log, reply->hint_index, reply->hint_term);
    uint64_t next = (hint < reply->index ? hint : reply->index - 1) + 1;
    peer->next = next > peer->match + 1 ? next : peer->match + 1;
    peer->is_paused = false;
    peer->is_due = true;
}

static void on_match(struct raft *raft, struct raft_peer *peer, uint64_t index) {
    if (index > peer->match) {
        peer->match = index;
        peer->next = peer->next > index ? peer->next : index + 1;
        if (peer->pace == RAFT_PROBE || (peer->pace == RAFT_SNAPSHOTTING && index >= raft->log.base_index)) {
            set_pace(peer, RAFT_REPLICATE);
        }
        leader_count_commit(raft);
    } else if (peer->pace == RAFT_PROBE && index == peer->match) {
        set_pace(peer, RAFT_REPLICATE);
    }
    flight_land(peer, index);
    if (raft->role == RAFT_LEADER && raft->transferee == peer->id && peer->match == raft->log.last_index) {
        raft_send(raft, peer->id, (struct raft_message){.type = RAFT_TIMEOUT_NOW});
    }
}

void leader_on_append_reply(struct raft *raft, const struct raft_message *reply) {
    struct raft_peer *peer = members_peer(raft, reply->from);
    if (peer == NULL || reply->index > raft->log.last_index) {
        return;
    }
    peer->is_active = peer->is_responsive = true;
    if (reply->is_reject) {
        on_reject(raft, peer, reply);
    } else {
        on_match(raft, peer, reply->index);
    }
}

void leader_on_heartbeat_reply(struct raft *raft, const struct raft_message *reply) {
    struct raft_peer *peer = members_peer(raft, reply->from);
    if (peer == NULL || reply->sequence > raft->sequence) {
        return;
    }
    peer->is_active = peer->is_responsive = true;
    peer->is_paused = false;
    if (reply->sequence > peer->acked_sequence) {
        peer->acked_sequence = PLANTED(BUG_OLD_ROUND) ? raft->sequence : reply->sequence;
        reads_count_round(raft);
    }
    if (peer->match < raft->log.last_index && peer->match == peer->beat_match) {
        peer->is_due = true; // no progress between two beats: an append at the end of the window finds a gap
    }
    peer->beat_match = peer->match;
}

void raft_snapshot_ended(struct raft *raft, uint64_t id, uint64_t index) {
    struct raft_peer *peer = raft->role == RAFT_LEADER ? members_peer(raft, id) : NULL;
    if (peer == NULL || peer->pace != RAFT_SNAPSHOTTING || (index == 0 && PLANTED(BUG_SNAPSHOT_STUCK))) {
        return;
    }
    set_pace(peer, RAFT_PROBE);
    if (index >= peer->next && index <= raft->log.last_index) {
        peer->next = index + 1;
    }
    peer->is_paused = index == 0; // after a failure, not before the next answer to a heartbeat
}
