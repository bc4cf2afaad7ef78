// SPDX-License-Identifier: Apache-2.0
//
// test/sim/raft_check.c — what must hold after every event of a simulated cluster.
//
// Election safety (one leader a term), leader completeness, a leader's log only grows, a vote a term for
// good, term and commit never fall, commit backed by what a quorum has on disk, state machine safety (the
// same entry at the same index everywhere, for ever), nothing is told that is not durable, reads never
// older than what was acknowledged when they were asked. At quiet points: log matching between all pairs.
// At the end: the same is durable everywhere.
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

// What only grows within one life of a node: term, commit, and the log of one who leads.
static void check_growth(struct sim *sim, struct sim_node *node) {
    const struct raft *raft = &node->raft;
    bool is_leader = raft->role == RAFT_LEADER;
    if (raft->term < node->seen_term) {
        world_break(sim, "node %llu: its term fell to %llu", (unsigned long long)node->id,
                    (unsigned long long)raft->term);
    } else if (raft->commit < node->seen_commit || raft->applied > raft->commit) {
        world_break(sim, "node %llu: commit fell from %llu to %llu, applied %llu",
                    (unsigned long long)node->id, (unsigned long long)node->seen_commit,
                    (unsigned long long)raft->commit, (unsigned long long)raft->applied);
    } else if (is_leader && node->led_term == raft->term && raft->log.last_index < node->led_last) {
        world_break(sim, "node %llu: the log of a leader was cut at %llu", (unsigned long long)node->id,
                    (unsigned long long)raft->log.last_index);
    }
    node->seen_term = raft->term;
    node->seen_commit = raft->commit;
    node->led_term = is_leader ? raft->term : 0;
    node->led_last = raft->log.last_index;
}

void check_node(struct sim *sim, struct sim_node *node) {
    const struct raft *raft = &node->raft;
    check_growth(sim, node);
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
    // An answer of an earlier term may be out of date when it leaves, as if it had left in time and was slow.
    bool is_of_now = message->term == node->raft.term;
    if (message->type == RAFT_APPEND_REPLY && is_of_now && !message->is_reject &&
        message->index > disk->last_index) {
        world_break(sim, "node %llu: entry %llu is acknowledged and not durable",
                    (unsigned long long)node->id, (unsigned long long)message->index);
    }
    if (message->type == RAFT_VOTE &&
        (disk->term < message->term || (disk->term == message->term && disk->vote != node->id))) {
        world_break(sim, "node %llu: asks for votes in term %llu, its own is not durable",
                    (unsigned long long)node->id, (unsigned long long)message->term);
    }
    bool is_answer = message->type == RAFT_APPEND_REPLY || message->type == RAFT_HEARTBEAT_REPLY;
    if (is_answer && disk->term < message->term) {
        world_break(sim, "node %llu answers in term %llu, which is not durable", (unsigned long long)node->id,
                    (unsigned long long)message->term);
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

static void check_read(struct sim *sim, const struct raft_read_result *result) {
    struct sim_read *read = &sim->reads[result->context % (sizeof sim->reads / sizeof *sim->reads)];
    if (result->context == 0 || result->context > sim->next_context) {
        world_break(sim, "an answer to a read that nobody asked");
    }
    if (read->context != result->context) {
        return; // long ago
    }
    if (result->index != 0 && result->index < read->floor) {
        world_break(sim, "a read at %llu, though %llu had been acknowledged",
                    (unsigned long long)result->index, (unsigned long long)read->floor);
    } else if (result->index > sim->committed_last) {
        world_break(sim, "a read at %llu, which is not committed", (unsigned long long)result->index);
    }
    sim_totals.reads += result->index != 0 && read->state == SIM_READ_WAITING;
    read->state = result->index != 0 ? SIM_READ_SERVED : SIM_READ_LOST;
}

void check_reads(struct sim *sim, struct sim_node *node) {
    for (size_t i = 0; i < node->raft.result_count; i++) {
        check_read(sim, &node->raft.results[i]);
    }
    node->raft.result_count = 0;
}

// --- at quiet points ---

static bool is_same(const struct sim_entry *a, const struct sim_entry *b) {
    return a->term == b->term && a->value == b->value && a->type == b->type;
}

// If two logs have an entry of the same index and term, they are the same up to there.
static void check_pair(struct sim *sim, const struct sim_node *a, const struct sim_node *b) {
    const struct raft_log *one = &a->raft.log;
    const struct raft_log *two = &b->raft.log;
    uint64_t from = one->base_index > two->base_index ? one->base_index : two->base_index;
    uint64_t at = one->last_index < two->last_index ? one->last_index : two->last_index;
    while (at > from && a->log[at].term != b->log[at].term) {
        at--;
    }
    for (; at > from; at--) {
        if (!is_same(&a->log[at], &b->log[at])) {
            world_break(sim, "log matching: %llu and %llu differ at %llu and agree later",
                        (unsigned long long)a->id, (unsigned long long)b->id, (unsigned long long)at);
            return;
        }
    }
}

void check_pairs(struct sim *sim) {
    for (unsigned i = 0; i < sim->node_count; i++) {
        for (unsigned j = 0; j < i; j++) {
            if (sim->nodes[i].is_member && sim->nodes[i].is_up && sim->nodes[j].is_member &&
                sim->nodes[j].is_up) {
                check_pair(sim, &sim->nodes[i], &sim->nodes[j]);
            }
        }
    }
}

// --- at the end ---

void check_agreement(struct sim *sim, const struct raft_configuration *members) {
    for (unsigned i = 0; i < members->count; i++) {
        const struct sim_node *node = world_node(sim, members->members[i].id);
        const struct sim_disk *disk = &node->disk;
        if (disk->applied != sim->truth_last || disk->state != sim->truth_state[sim->truth_last] ||
            disk->term != node->raft.term || disk->last_index != node->raft.log.last_index) {
            world_break(sim, "node %llu: what is durable at the end is not what was applied",
                        (unsigned long long)node->id);
        }
        for (uint64_t index = disk->base_index + 1; index <= disk->applied; index++) {
            if (!is_same(&node->disk_log[index], &sim->truth[index])) {
                world_break(sim, "node %llu: entry %llu on its disk is not what was applied",
                            (unsigned long long)node->id, (unsigned long long)index);
                return;
            }
        }
    }
}
