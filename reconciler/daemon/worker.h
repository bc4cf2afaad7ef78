// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/worker.h — a daemon that is a worker: it has a session with the leader instead of a store.
//
// Model        Its store is empty, and its replica of no group; which cluster it is in, its certificate says,
//              and STATE/managers where the managers are. The agent holds what comes over the session, and
//              reports over it. What the session does is decided by reconciler/agent/session.h; here is what
//              carries that out.
// Cut off      The agent goes by its own files and what runs goes on: nothing is stopped for want of a
//              manager. Nor is anything started that no manager has assigned. When the machine itself went
//              down, and no manager is heard for WORKER_ALONE_MS after it came up, what it lost begins anew:
//              nobody else can see to that.
// Begins       in a daemon that joins, or at the start of one that has a worker's certificate (roles.h); it
//              ends with its daemon.
#ifndef MUSTER_RECONCILER_DAEMON_WORKER_H
#define MUSTER_RECONCILER_DAEMON_WORKER_H

#include "reconciler/agent/agent.h"
#include "transport/messages.h"

#define WORKER_ALONE_MS 15000

struct daemon;
struct worker;

// The certificate and the file of managers are there. Repeating is harmless.
int worker_start(struct daemon *daemon, const struct id *cluster_id, struct error *err);
bool worker_is(const struct daemon *daemon);
void worker_step(struct daemon *daemon);
int64_t worker_wake_mono_ms(const struct daemon *daemon); // when the next step is due without news
void worker_report(struct daemon *daemon, const struct reports *reports);
// To the manager it has a session with; lost when there is none.
void worker_say(struct daemon *daemon, uint16_t number, struct bytes body);
// Says that this node leaves, as soon as somebody hears it.
void worker_leave(struct daemon *daemon);
void worker_fill_info(const struct daemon *daemon, struct info_reply *info, struct arena *arena);
void worker_free(struct daemon *daemon); // before the loop is closed; tasks go on running

#endif
