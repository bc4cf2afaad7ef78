// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/daemon.h — one musterd: its parts, and the order in which they are made and ended.
//
// Model        Everything happens in turns of one loop (turn.h). Parts meet at the store: a request proposes
//              a change, the planner sees it in the history, the node's agent gets what the planner assigned,
//              streams show all of it.
// Failure      Crash-only: a failure of the store ends the process at once (exit status by its code); what
//              was acknowledged is there at the next start. Tasks go on running without the daemon.
#ifndef MUSTER_RECONCILER_DAEMON_DAEMON_H
#define MUSTER_RECONCILER_DAEMON_DAEMON_H

#include "reconciler/agent/agent.h"
#include "reconciler/daemon/dispatcher.h"
#include "reconciler/daemon/group.h"
#include "reconciler/daemon/leftovers.h"
#include "reconciler/daemon/options.h"
#include "reconciler/daemon/planner.h"
#include "reconciler/daemon/proposals.h"
#include "reconciler/daemon/relay.h"
#include "reconciler/daemon/roles.h"
#include "reconciler/daemon/self.h"
#include "reconciler/daemon/trust.h"
#include "reconciler/daemon/worker.h"
#include "reconciler/dispatch/assign.h"
#include "reconciler/dispatch/status.h"
#include "transport/server.h"

struct uv_loop_s;

struct daemon {
    const struct daemon_options *options;
    const char *node_name, *hostname;
    struct id node_id;    // of this machine, before it is in a cluster too
    struct id cluster_id; // none before `swarm init`
    int64_t started_unix_ms;
    struct now now; // sampled once a turn

    struct uv_loop_s *loop;
    struct store *store;
    struct replica *replica; // freed by `proposals`, whose proposer it is
    struct proposals proposals;
    bool leads; // as of the last turn
    struct group group;
    struct dispatcher dispatcher; // of a manager
    struct worker *worker;        // NULL = it is none
    struct relay relay;
    struct executor *executor;
    struct agent *agent;
    struct server *server;

    struct self self;
    struct trust trust;
    struct rotation rotation;
    struct leftovers leftovers;
    struct planner planner;
    struct assign assign;
    int64_t looked_revision;   // of the store when a cluster was last looked for
    bool is_current;           // shows what had been decided when this process started, and more
    bool is_asking;            // for that
    int64_t assigned_revision; // the agent has everything up to here
    struct status status;
    int64_t status_retry_mono_ms;
    struct list execs;            // of control_exec.c: commands beside tasks
    struct list streams;          // struct stream: answers that take more than a turn
    int64_t streams_revision;     // of the store when they last ran
    unsigned streams_doubt_count; // likewise, of the group
    int64_t streams_poll_mono_ms; // when one wants to look at files again; 0 = none
    bool must_stop;
    bool begins_anew;      // after that, in the same process: without the cluster that was left, or alone
    bool discards_store; // before it begins anew: it is a worker now
    bool is_broken;        // the store failed: nothing is written any more
};

static inline bool daemon_is_initialized(const struct daemon *daemon) {
    return !id_is_none(&daemon->cluster_id);
}

// Opens everything in `daemon`, zero-initialised. On failure what was opened stays for daemon_close.
int daemon_open(struct daemon *daemon, const struct daemon_options *options, struct error *err);
void daemon_close(struct daemon *daemon);

// Looks whether this node is part of a cluster, and tells clients; at start and after `swarm init`.
int daemon_find_cluster(struct daemon *daemon, struct error *err);
void daemon_introduce(struct daemon *daemon); // to clients that connect from now on

// Runs until SIGTERM or SIGINT. 0, or the failure that ends the process.
int loop_run(struct daemon *daemon, struct error *err);

#endif
