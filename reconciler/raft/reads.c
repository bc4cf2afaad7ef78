// SPDX-License-Identifier: Apache-2.0
//
// reconciler/raft/reads.c — linearizable reads without writing: ReadIndex (dissertation §6.4).
//
// The leader notes what is committed, asks a quorum whether it still leads, and then whoever asked may read
// as soon as it has applied that much. One round of heartbeats serves all reads of a turn. No leases: they
// would trust clocks.
#include "reconciler/raft/raft_parts.h"

static void give(struct raft *raft, const struct raft_read *read, uint64_t index) {
    if (read->from != 0) {
        raft_send(
            raft, read->from,
            (struct raft_message){
                .type = RAFT_READ_REPLY, .context = read->context, .index = index, .is_reject = index == 0});
    } else if (raft->result_count < RAFT_READS_MAX) {
        raft->results[raft->result_count++] = (struct raft_read_result){read->context, index};
    }
}

static void keep_rest(struct raft *raft, size_t from) {
    for (size_t i = from; i < raft->read_count; i++) {
        raft->reads[i - from] = raft->reads[i];
    }
    raft->read_count -= from;
}

static enum raft_outcome add(struct raft *raft, uint64_t context, uint64_t from) {
    if (raft->read_count + raft->result_count >= RAFT_READS_MAX) {
        return RAFT_BUSY;
    }
    bool is_early = raft->commit < raft->term_first_index && !PLANTED(BUG_READ_BEFORE_COMMIT);
    raft->reads[raft->read_count++] = (struct raft_read){context, from, is_early ? 0 : raft->commit, 0};
    raft->wants_round = true;
    return RAFT_DONE;
}

enum raft_outcome raft_read_index(struct raft *raft, uint64_t context) {
    if (raft->role == RAFT_LEADER) {
        return add(raft, context, /*from=*/0);
    }
    if (raft->leader == 0) {
        return RAFT_NOT_LEADER;
    }
    raft_send(raft, raft->leader, (struct raft_message){.type = RAFT_READ, .context = context});
    return RAFT_DONE;
}

void reads_on_request(struct raft *raft, const struct raft_message *request) {
    if (members_peer(raft, request->from) != NULL) {
        add(raft, request->context, request->from); // when there is no room, the asker asks again
    }
}

void reads_on_reply(struct raft *raft, const struct raft_message *reply) {
    const struct raft_read read = {.context = reply->context};
    give(raft, &read, reply->is_reject ? 0 : reply->index);
}

void reads_unpark(struct raft *raft) {
    for (size_t i = 0; i < raft->read_count; i++) {
        if (raft->reads[i].index == 0) {
            raft->reads[i].index = raft->commit;
            raft->reads[i].sequence = 0;
            raft->wants_round = true;
        }
    }
}

// Reads that came since the last round wait for this one. Those that are parked keep waiting.
void reads_begin_round(struct raft *raft) {
    raft->sequence += PLANTED(BUG_ROUND_REUSED) && raft->sequence > 0 ? 0 : 1;
    for (size_t i = 0; i < raft->read_count; i++) {
        if (raft->reads[i].index != 0 && raft->reads[i].sequence == 0) {
            raft->reads[i].sequence = raft->sequence;
        }
    }
}

static bool quorum_answered(const struct raft *raft, uint64_t sequence) {
    unsigned count = members_is_voter(raft, raft->options.id) ? 1 : 0;
    for (unsigned i = 0; i < raft->peer_count; i++) {
        count += raft->peers[i].is_voter && raft->peers[i].acked_sequence >= sequence;
    }
    return count >= members_quorum(raft) || PLANTED(BUG_READ_WITHOUT_ROUND);
}

// Reads stand in the order of their rounds.
void reads_count_round(struct raft *raft) {
    size_t done = 0;
    while (done < raft->read_count && raft->reads[done].sequence != 0 &&
           quorum_answered(raft, raft->reads[done].sequence)) {
        if (PLANTED(BUG_FOREIGN_CONTEXT)) {
            raft->reads[done].context = raft->reads[raft->read_count - 1].context;
        }
        give(raft, &raft->reads[done], raft->reads[done].index);
        done++;
    }
    keep_rest(raft, done);
}

void reads_drop_all(struct raft *raft) {
    for (size_t i = 0; i < raft->read_count; i++) {
        give(raft, &raft->reads[i], /*index=*/0);
    }
    raft->read_count = 0;
}
