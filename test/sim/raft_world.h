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
    uint64_t stream; // its number
    // What is not a message of the core: a stream is complete and can be installed; it ended at message.from
    // with the state up to message.index, 0 = it failed.
    bool is_install, is_snapshot_end;
};

enum sim_read_state { SIM_READ_WAITING, SIM_READ_SERVED, SIM_READ_LOST };
struct sim_read {
    uint64_t context, floor; // what had been acknowledged when it was asked
    enum sim_read_state state;
};

struct sim {
    uint64_t seed, now_ms, next_order, next_value, next_id, next_stream;
    struct prng prng;      // of the world
    struct prng node_prng; // of the cores
    struct sim_knobs knobs;
    struct sim_node nodes[SIM_NODES_MAX];
    unsigned node_count;
    bool cut[SIM_NODES_MAX][SIM_NODES_MAX]; // from, to
    bool is_healed;
    bool is_manual; // a script delivers, and nothing happens by itself
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
    struct sim_read reads[64]; // by context, the last ones
    uint64_t next_context;
    struct sim_result *result; // NULL = nobody looks
    uint64_t events_before;
    char broken[512];
    struct buf *trace;
};

struct sim_node *world_node(struct sim *sim, uint64_t id); // NULL = no such node
void world_note(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
void world_note_nodes(struct sim *sim);
void world_break(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));

void world_start(struct sim *sim, struct sim_node *node); // from its disk
void world_crash(struct sim *sim, struct sim_node *node);
// Dies after the sync of its turn and before the messages that waited for it.
void world_crash_after_sync(struct sim *sim, struct sim_node *node);
struct sim_node *world_add(struct sim *sim, const struct raft_configuration *configuration);

// One turn of a node's loop. Draws whether it crashes in the middle.
void world_turn(struct sim *sim, struct sim_node *node);
void world_deliver(struct sim *sim, struct sim_parcel *parcel); // frees it
void world_post(struct sim *sim, struct sim_parcel *parcel, uint64_t delay_ms);
struct sim_parcel *world_take(struct sim *sim);               // the next to arrive, or NULL
struct sim_parcel *world_pick(struct sim *sim, size_t place); // out of the heap
struct sim_parcel *world_copy(const struct sim_parcel *parcel);
void world_lose(struct sim *sim, struct sim_parcel *parcel); // a stream that breaks is noticed; frees it
void parcel_free(struct sim_parcel *parcel);
const char *parcel_name(const struct sim_parcel *parcel); // "append-reply"

// Clients.
enum raft_outcome world_propose(struct sim *sim, struct sim_node *node, size_t count, uint64_t *out_first);
enum raft_outcome world_read(struct sim *sim, struct sim_node *node);
enum raft_outcome world_configure(struct sim *sim, struct sim_node *leader,
                                  const struct raft_configuration *next);
void world_change(struct sim *sim, struct sim_node *leader); // at random
void configuration_insert(struct raft_configuration *configuration, struct raft_member member);
void configuration_remove(struct raft_configuration *configuration, unsigned place);

// --- raft_check.c ---

void check_node(struct sim *sim, struct sim_node *node);
void check_commit(struct sim *sim, struct sim_node *leader, uint64_t index);
void check_follower_commit(struct sim *sim, const struct sim_node *node);
void check_send(struct sim *sim, struct sim_node *node, const struct raft_message *message);
void check_persist(struct sim *sim, const struct sim_node *node, uint64_t term, uint64_t vote);
void check_apply(struct sim *sim, const struct sim_node *node, uint64_t index, const struct sim_entry *entry);
void check_restore(struct sim *sim, const struct sim_node *node, uint64_t index, uint64_t state);
void check_reads(struct sim *sim, struct sim_node *node);
// At quiet points: the logs of all pairs match.
void check_pairs(struct sim *sim);
// At the end: what is durable is the same everywhere, and is what was applied.
void check_agreement(struct sim *sim, const struct raft_configuration *members);
uint64_t sim_hash(uint64_t state, const struct sim_entry *entry, uint64_t index);

#endif
