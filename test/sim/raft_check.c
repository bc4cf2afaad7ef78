// SPDX-License-Identifier: Apache-2.0
//
// test/sim/raft_check.c — what must hold after every event of a simulated cluster.
//
// Election safety (one leader a term), leader completeness, a vote a term for good, commit backed by what a
// quorum has on disk, state machine safety (the same entry at the same index everywhere, for ever), reads
// never older than what was acknowledged when they were asked.
#include "test/sim/raft_world.h"

uint64_t sim_hash(uint64_t state, const struct sim_entry *entry, uint64_t index) {
    uint64_t x = state ^ (entry->value * 0x9e3779b97f4a7c15ULL) ^ (index << 32) ^ entry->type;
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9ULL;
    x ^= x >> 27;
    return x * 0x94d049bb133111ebULL;
}

static void check_leader_log(struct sim *sim, const struct raft *raft) {
    uint64_t known = raft->log.base_index;
    for (uint64_t index = known > 0 ? known : 1; index <= sim->truth_last; index++) {
        uint64_t term;
        if (!raft_term_at(raft, index, &term)) {
            world_break(sim, "leader completeness: node %llu leads term %llu without entry %llu",
                        (unsigned long long)raft->options.id, (unsigned long long)raft->term,
                        (unsigned long long)index);
            return;
        }
        if (term != sim->truth[index].term) {
            world_break(sim, "leader completeness: node %llu leads with another entry %llu",
                        (unsigned long long)raft->options.id, (unsigned long long)index);
            return;
        }
    }
}

static bool disk_has(const struct sim_node *node, uint64_t index, uint64_t term) {
    if (index <= node->disk.base_index) {
        return true;
    }
    return index <= node->disk.last_index && node->disk_log[index].term == term;
}

// What a leader believes a member to have must be on that member's disk, until a later leader overwrites it.
static void check_matches(struct sim *sim, const struct raft *raft) {
    for (unsigned i = 0; i < raft->peer_count; i++) {
        const struct raft_peer *peer = &raft->peers[i];
        const struct sim_node *node = world_node(sim, peer->id);
        uint64_t term;
        if (node != NULL && node->disk.term <= raft->term && peer->match > 0 &&
            raft_term_at(raft, peer->match, &term) && !disk_has(node, peer->match, term)) {
            world_break(sim, "log matching: %llu believes that %llu has entry %llu (its disk: %llu to %llu)",
                        (unsigned long long)raft->options.id, (unsigned long long)peer->id,
                        (unsigned long long)peer->match, (unsigned long long)node->disk.base_index,
                        (unsigned long long)node->disk.last_index);
        }
    }
}

void check_node(struct sim *sim, struct sim_node *node) {
    const struct raft *raft = &node->raft;
    check_follower_commit(sim, node);
    if (raft->role != RAFT_LEADER) {
        return;
    }
    check_matches(sim, raft);
    size_t slot = raft->term % 1024;
    if (sim->leaders[slot].term == raft->term) {
        if (sim->leaders[slot].leader != node->id) {
            world_break(sim, "election safety: %llu and %llu lead term %llu",
                        (unsigned long long)sim->leaders[slot].leader, (unsigned long long)node->id,
                        (unsigned long long)raft->term);
        }
        return;
    }
    sim->leaders[slot].term = raft->term;
    sim->leaders[slot].leader = node->id;
    sim_totals.elections++;
    check_leader_log(sim, raft);
}

// Called with the highest index that a leader has just found committed.
void check_commit(struct sim *sim, struct sim_node *leader, uint64_t index) {
    const struct raft_configuration *now = raft_configuration_now(&leader->raft);
    unsigned voters = 0;
    unsigned have = 0;
    uint64_t term = leader->log[index].term;
    for (unsigned i = 0; i < now->count; i++) {
        struct sim_node *node = now->members[i].is_voter ? world_node(sim, now->members[i].id) : NULL;
        voters += now->members[i].is_voter;
        have += node != NULL && disk_has(node, index, term);
    }
    if (have < voters / 2 + 1) {
        world_break(sim, "commit: entry %llu of term %llu is on %u of %u disks", (unsigned long long)index,
                    (unsigned long long)term, have, voters);
    }
    if (term != leader->raft.term) {
        world_break(sim, "commit: entry %llu of the earlier term %llu is committed by counting",
                    (unsigned long long)index, (unsigned long long)term);
    }
    while (sim->committed_last < index) {
        uint64_t next = ++sim->committed_last;
        raft_term_at(&leader->raft, next, &sim->committed_term[next]);
    }
}

void check_follower_commit(struct sim *sim, const struct sim_node *node) {
    uint64_t commit = node->raft.commit;
    uint64_t term;
    if (node->raft.role == RAFT_LEADER || commit == 0) {
        return;
    }
    if (commit > sim->committed_last) {
        world_break(sim, "node %llu: commit %llu is beyond that of any leader", (unsigned long long)node->id,
                    (unsigned long long)commit);
    } else if (raft_term_at(&node->raft, commit, &term) && term != sim->committed_term[commit]) {
        world_break(sim, "node %llu: another entry %llu is committed", (unsigned long long)node->id,
                    (unsigned long long)commit);
    }
}

// What a message promises must be durable when it leaves.
void check_send(struct sim *sim, struct sim_node *node, const struct raft_message *message) {
    const struct sim_disk *disk = &node->disk;
    if (message->type == RAFT_VOTE_REPLY && !message->is_reject &&
        (disk->term < message->term || (disk->term == message->term && disk->vote != message->to))) {
        world_break(sim, "node %llu: its vote for %llu is told and not durable", (unsigned long long)node->id,
                    (unsigned long long)message->to);
    }
    if (message->type == RAFT_APPEND_REPLY && !message->is_reject && message->index > disk->last_index) {
        world_break(sim, "node %llu: entry %llu is acknowledged and not durable",
                    (unsigned long long)node->id, (unsigned long long)message->index);
    }
    bool is_of_leader = message->type == RAFT_APPEND || message->type == RAFT_HEARTBEAT;
    if (is_of_leader && disk->term < message->term) {
        world_break(sim, "node %llu leads term %llu, which is not durable", (unsigned long long)node->id,
                    (unsigned long long)message->term);
    }
}

void check_persist(struct sim *sim, const struct sim_node *node, uint64_t term, uint64_t vote) {
    if (term < node->disk.term) {
        world_break(sim, "node %llu: its term fell", (unsigned long long)node->id);
    } else if (term == node->disk.term && node->disk.vote != 0 && vote != node->disk.vote) {
        world_break(sim, "node %llu: two votes in term %llu", (unsigned long long)node->id,
                    (unsigned long long)term);
    }
}

void check_apply(struct sim *sim, const struct sim_node *node, uint64_t index,
                 const struct sim_entry *entry) {
    if (index > sim->truth_last) {
        if (index != sim->truth_last + 1) {
            world_break(sim, "node %llu applies %llu with a gap", (unsigned long long)node->id,
                        (unsigned long long)index);
            return;
        }
        sim->truth[index] = *entry;
        sim->truth_state[index] = sim_hash(sim->truth_state[index - 1], entry, index);
        sim->truth_last = index;
        sim_totals.committed++;
    } else if (sim->truth[index].value != entry->value || sim->truth[index].term != entry->term) {
        world_break(sim, "state machine safety: node %llu applies another entry %llu",
                    (unsigned long long)node->id, (unsigned long long)index);
    }
}

void check_restore(struct sim *sim, const struct sim_node *node, uint64_t index, uint64_t state) {
    if (index > sim->truth_last || sim->truth_state[index] != state) {
        world_break(sim, "node %llu: a snapshot at %llu is not what was applied",
                    (unsigned long long)node->id, (unsigned long long)index);
    }
}

void check_reads(struct sim *sim, struct sim_node *node) {
    for (size_t i = 0; i < node->raft.result_count; i++) {
        const struct raft_read_result *result = &node->raft.results[i];
        for (size_t j = 0; j < sim->read_count; j++) {
            if (sim->reads[j].context != result->context) {
                continue;
            }
            if (result->index != 0 && result->index < sim->reads[j].floor) {
                world_break(sim, "a read at %llu, though %llu had been acknowledged",
                            (unsigned long long)result->index, (unsigned long long)sim->reads[j].floor);
            }
            sim_totals.reads += result->index != 0;
            sim->reads[j] = sim->reads[--sim->read_count];
            break;
        }
    }
    node->raft.result_count = 0;
}
