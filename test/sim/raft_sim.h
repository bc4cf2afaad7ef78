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
    uint64_t stream;   // number of the snapshot stream under way to us; 0 = none
    bool is_disk_slow; // turns end before their sync
    // What check_node saw last in this life.
    uint64_t seen_term, seen_commit, led_term, led_last;
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

// What can be switched off in a run, to see whether it still fails without.
#define SIM_KNOB_LIST(X)                                                                                     \
    X(LOSS, loss)                                                                                            \
    X(DUPLICATE, duplicate)                                                                                  \
    X(CRASH, crash)                                                                                          \
    X(CUT, cut)                                                                                              \
    X(STALL, stall)                                                                                          \
    X(TRANSFER, transfer)                                                                                    \
    X(CHANGE, change)                                                                                        \
    X(COMPACT, compact)                                                                                      \
    X(READ, read)                                                                                            \
    X(CAMPAIGN, campaign)                                                                                    \
    X(SKEW, skews_clocks)

enum sim_knob {
#define X(name, member) SIM_##name,
    SIM_KNOB_LIST(X)
#undef X
        SIM_KNOBS
};
extern const char *const sim_knob_names[SIM_KNOBS]; // "loss"

// What makes a run: the same case gives the same run, byte for byte.
struct sim_case {
    uint64_t seed, virtual_ms;
    unsigned off; // bit 1 << enum sim_knob: that knob is 0, whatever the seed says
};

struct sim_result {
    bool is_fine, is_healed; // is_healed: it failed (or ended) after everything was healed
    uint64_t at_ms, events;
    char what[512]; // was found, and when
};

struct sim;

// Runs for `virtual_ms`, then heals everything and wants the cluster to elect, to go on and to agree. With
// `trace`, every event is appended to it. Returns out->is_fine. `out` is kept up to date meanwhile, for who
// shares it with a process that may die.
bool sim_run(const struct sim_case *run, struct sim_result *out, struct buf *trace);

// What runs did, added up over all of this process.
#define SIM_TOTALS_LIST(X)                                                                                   \
    X(runs)                                                                                                  \
    X(virtual_ms)                                                                                            \
    X(events)                                                                                                \
    X(messages)                                                                                              \
    X(committed)                                                                                             \
    X(elections)                                                                                             \
    X(snapshots)                                                                                             \
    X(reads)                                                                                                 \
    X(changes)                                                                                               \
    X(losses)                                                                                                \
    X(duplicates)                                                                                            \
    X(cuts)                                                                                                  \
    X(crashes)                                                                                               \
    X(stalls)
struct sim_totals {
#define X(name) uint64_t name;
    SIM_TOTALS_LIST(X)
#undef X
    uint64_t election_ms_max; // from healing to a leader that commits
};
extern struct sim_totals sim_totals;
void sim_totals_add(struct sim_totals *sum, const struct sim_totals *more);
uint64_t sim_faults(const struct sim_totals *totals);

// --- for scripts: one step at a time ---

// Nodes 1 … voters + learners, all up, in one configuration; nothing happens by itself.
struct sim *sim_new_manual(unsigned voters, unsigned learners);
void sim_free(struct sim *sim);

#endif
