// SPDX-License-Identifier: Apache-2.0
//
// test/sim/cluster.h — whole clusters in one process: managers with real stores, replicas, planners and
// agents, and clients; on virtual time, from one seed.
//
// Model        A manager is what musterd is, without its sockets: a store in a directory (on tmpfs), a
//              replica, proposals, the planner while it leads, and the agent of its node over a fake
//              machine that outlives it. Its turn has the phases of reconciler/daemon/turn.c. Packets are
//              real bytes on a simulated network. Clients ask any manager, give up, and ask again. An
//              operator adds, removes and replaces managers.
//              Time jumps from one event to the next. Everything follows from the seed: what a run is like
//              (cluster_knobs), then each event.
// Troubles     the list below; each may be switched off, which is how failing runs are made smaller.
// Checks       after every event, at quiet points and at the end: cluster_check.c. `out` says what was found.
#ifndef MUSTER_TEST_SIM_CLUSTER_H
#define MUSTER_TEST_SIM_CLUSTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

// name, word for the command that repeats a run
#define CLUSTER_TROUBLE_LIST(X)                                                                              \
    X(LOSS, "loss")                   /* of packets */                                                       \
    X(DUPLICATE, "duplicate")         /* … */                                                              \
    X(DELAY, "delay")                 /* long ones, and so reordering */                                     \
    X(CUT, "cut")                     /* one from all, of one pair, one way only */                          \
    X(CRASH, "crash")                 /* between two turns */                                                \
    X(CRASH_BEFORE, "crash-before")   /* a commit: what was to become durable is lost */                     \
    X(CRASH_AFTER, "crash-after")     /* a commit: it is durable and nobody was told */                      \
    X(CRASH_INSTALL, "crash-install") /* while a snapshot comes in */                                        \
    X(RESTART_ALL, "restart-all")     /* power is lost everywhere */                                         \
    X(STOP, "stop")                   /* SIGSTOP, up to minutes */                                           \
    X(FULL, "full")                   /* disk */                                                             \
    X(BROKEN, "broken")               /* disk: a write fails, the process ends */                            \
    X(SLOW, "slow")                   /* disk: commits take long */                                          \
    X(CLOCK, "clock")                 /* jumps of the wall clock */                                          \
    X(DAMAGE, "damage")               /* of a store that is not open */                                      \
    X(MEMBERS, "members")             /* leave, come back under a new id, stop voting, vote again */         \
    X(TRANSFER, "transfer")           /* of leadership */                                                    \
    X(EXECUTOR, "executor")           /* loses and repeats events; its machine reboots */                    \
    X(ROLLBACK, "rollback")           /* an old copy of a store is put back; only when asked for */

enum cluster_trouble {
#define X(name, word) TROUBLE_##name,
    CLUSTER_TROUBLE_LIST(X)
#undef X
        TROUBLE_END
};
extern const char *const cluster_trouble_words[TROUBLE_END];

struct cluster_run {
    uint64_t seed;
    int64_t virtual_ms; // of troubles; healing and the last checks come on top
    uint32_t without;   // bits 1 << enum cluster_trouble
};

// True when nothing was found; else `out` tells what and when. With `trace`, what happens is appended to it.
bool cluster_run(const struct cluster_run *run, struct buf *out, struct buf *trace);
// Where runs make their directories; NULL = in tmpfs. The caller removes what processes leave that die.
extern const char *cluster_base_dir;
// The command line variables that repeat a run: "SEED=7 SEED_MS=60000 SIM_OFF=cut,stop".
void cluster_run_text(const struct cluster_run *run, struct buf *out);

// What runs did, added up over all runs of the process. Where they are may be changed (to memory that
// processes share).
struct cluster_totals {
    uint64_t runs, virtual_ms, events, packets, commits, entries, elections, snapshots;
    uint64_t reads, writes, refused, unknown, increments, judged, registers;
    uint64_t tasks_started, services, joins, changes, removals, quarantines, digests;
    uint64_t troubles[TROUBLE_END];
};
extern struct cluster_totals *cluster_totals;

#endif
