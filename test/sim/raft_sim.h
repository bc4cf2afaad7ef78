// SPDX-License-Identifier: Apache-2.0
//
// test/sim/raft_sim.h — whole clusters of the Raft core in one process, on virtual time, from one seed.
//
// Model        A node is the core, a log of payloads in memory, and a disk that changes only in one synced
//              step a turn, as the manager's loop does it. Messages travel through a heap ordered by
//              arrival. What a run does is drawn from its seed: knobs (loss, delay, crashes, changes of
//              members…) first, then every event. After each event the checkers look (raft_check.c);
//              `broken` says what they found.
// Faults       loss, delay, duplication, reordering, two-way and one-way cuts, crash before the sync, crash
//              after the sync and before the messages, slow and jumping clocks, full logs, stalled nodes.
#ifndef MUSTER_TEST_SIM_RAFT_SIM_H
#define MUSTER_TEST_SIM_RAFT_SIM_H

#include "base/buf.h"
#include "reconciler/raft/raft.h"

#define SIM_NODES_MAX 10
#define SIM_LOG_MAX 16384 // indexes of one run
#define SIM_RING 256
#define SIM_MESSAGES 256

struct sim_entry {
    uint64_t term, value;
    uint8_t type;
    struct raft_configuration configuration; // of type CONFIGURATION
};

struct sim_disk {
    uint64_t term, vote;
    uint64_t base_index, base_term, last_index;
    uint64_t applied, state;                 // state: hash chain over the values
    struct raft_configuration configuration; // in force at `applied`
    uint64_t configuration_index;
};

struct sim_node {
    uint64_t id;
    bool is_up, is_member; // is_member: was made and not thrown away
    bool is_stalled;
    struct raft raft;
    struct raft_entry ring[SIM_RING];
    struct raft_message messages[SIM_MESSAGES];
    struct sim_entry *log;      // by index: in memory
    struct sim_entry *disk_log; // by index: durable
    struct sim_disk disk;
    uint64_t applied, state; // in memory, as the next transaction will write it
    struct raft_configuration configuration;
    uint64_t configuration_index;
    uint64_t next_tick_ms;
    unsigned tick_ms;
    uint64_t snapshot_sender; // the stream under way to us; 0 = none
};

struct sim_knobs {
    unsigned nodes;
    unsigned loss, duplicate; // per 1000
    unsigned delay_max_ms;
    unsigned crash, cut, stall, heal; // per 10000 and step of 10 ms
    unsigned propose, read, transfer, change, compact, campaign;
    unsigned ring, append_bytes, inflight;
    bool skews_clocks;
};

struct sim;

// Runs a seed for `virtual_ms`, then heals everything and wants the cluster to agree and to go on. Returns
// true when nothing was found; else `out` tells what and when. With `trace`, every event is appended to it.
bool sim_run(uint64_t seed, uint64_t virtual_ms, struct buf *out, struct buf *trace);

// What a run did, added up over all runs of the process.
struct sim_totals {
    uint64_t runs, virtual_ms, events, messages, committed, elections, crashes, snapshots, reads, changes;
};
extern struct sim_totals sim_totals;

// --- for scenarios: one step at a time (raft_script.c) ---

struct sim *sim_new(uint64_t seed, unsigned nodes);
void sim_free(struct sim *sim);
const char *sim_broken(const struct sim *sim); // NULL = nothing found

#endif
