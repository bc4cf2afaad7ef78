// SPDX-License-Identifier: Apache-2.0
//
// test/sim/raft_world.h — the inside of a simulated cluster: shared by the runner, the checkers and the
// scripts.
#ifndef MUSTER_TEST_SIM_RAFT_WORLD_H
#define MUSTER_TEST_SIM_RAFT_WORLD_H

#include "base/arena.h"
#include "test/sim/raft_sim.h"

// A message on its way, with what the core does not carry.
struct sim_parcel {
    uint64_t at_ms, order;
    struct raft_message message;
    struct raft_entry *entries; // of an APPEND; freed with the parcel
    struct sim_entry *payloads;
    struct raft_configuration configuration;
    // Of a SNAPSHOT: the state that is streamed.
    uint64_t state, configuration_index;
    bool is_snapshot_end; // not a message: tells the sender how its stream to message.from ended
};

struct sim_read {
    uint64_t context, floor; // what had been acknowledged when it was asked
};

struct sim {
    uint64_t seed, now_ms, next_order, next_value, next_id;
    struct prng prng;      // of the world
    struct prng node_prng; // of the cores
    struct sim_knobs knobs;
    struct sim_node nodes[SIM_NODES_MAX];
    unsigned node_count;
    bool cut[SIM_NODES_MAX][SIM_NODES_MAX]; // from, to
    bool is_healed;
    struct sim_parcel **heap;
    size_t heap_count, heap_capacity;
    // What is true, once anybody applied it.
    struct sim_entry *truth;
    uint64_t *truth_state; // after applying that index
    uint64_t truth_last;
    uint64_t *committed_term; // by index: of the entry that a leader found committed
    uint64_t committed_last;
    uint64_t acknowledged; // the highest index whose effect was told to a client
    // Who led which term (by term, the last ones), to find two.
    struct {
        uint64_t term, leader;
    } leaders[1024];
    size_t read_count;
    struct sim_read reads[64];
    uint64_t next_context;
    char broken[512];
    struct buf *trace;
};

struct sim_node *world_node(struct sim *sim, uint64_t id); // NULL = no such node
void world_note(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
void world_break(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));

void world_start(struct sim *sim, struct sim_node *node); // from its disk
void world_crash(struct sim *sim, struct sim_node *node);
struct sim_node *world_add(struct sim *sim, const struct raft_configuration *configuration);

// One turn of a node's loop. Draws whether it crashes in the middle.
void world_turn(struct sim *sim, struct sim_node *node);
void world_deliver(struct sim *sim, struct sim_parcel *parcel); // frees it
void world_post(struct sim *sim, struct sim_parcel *parcel, uint64_t delay_ms);
struct sim_parcel *world_take(struct sim *sim); // the next to arrive, or NULL
void parcel_free(struct sim_parcel *parcel);

// Clients.
bool world_propose(struct sim *sim, struct sim_node *node);
void world_read(struct sim *sim, struct sim_node *node);
void world_change(struct sim *sim, struct sim_node *leader);

// --- raft_check.c ---

void check_node(struct sim *sim, struct sim_node *node);
void check_commit(struct sim *sim, struct sim_node *leader, uint64_t index);
void check_follower_commit(struct sim *sim, const struct sim_node *node);
void check_send(struct sim *sim, struct sim_node *node, const struct raft_message *message);
void check_persist(struct sim *sim, const struct sim_node *node, uint64_t term, uint64_t vote);
void check_apply(struct sim *sim, const struct sim_node *node, uint64_t index, const struct sim_entry *entry);
void check_restore(struct sim *sim, const struct sim_node *node, uint64_t index, uint64_t state);
void check_reads(struct sim *sim, struct sim_node *node);
uint64_t sim_hash(uint64_t state, const struct sim_entry *entry, uint64_t index);

#endif
