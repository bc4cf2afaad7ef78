// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/dispatcher.h — a manager's end of the sessions with workers' agents: links in, what is
// stored out.
//
// Model        Every manager takes agents' links and leads them on; the one that leads has the sessions
//              (reconciler/dispatch/sessions.h). Settings come from the cluster's object, addresses from the
//              membership. What agents say becomes proposals, one at a time; what changes in the store goes
//              to them in the same turn.
// Managers     have no session: their agents follow the store of their own.
#ifndef MUSTER_RECONCILER_DAEMON_DISPATCHER_H
#define MUSTER_RECONCILER_DAEMON_DISPATCHER_H

#include "reconciler/dispatch/sessions.h"

struct daemon;

// Zero-initialised is closed. Fields are private.
struct dispatcher {
    struct sessions *sessions; // NULL: not a manager of any cluster
    bool leads;
    int64_t settings_revision;  // of the store when they were read last
    int64_t delivered_revision; // likewise, when sessions were told
    int64_t retry_mono_ms;      // after a proposal that was refused
};

// Callbacks of the links (transport/peers.h); the context is the daemon.
void dispatcher_on_agent(void *daemon, uint64_t link, const struct id *node_id, uint16_t number,
                         struct bytes body);
void dispatcher_on_agent_down(void *daemon, uint64_t link);
void dispatcher_on_agent_writable(void *daemon, uint64_t link);

// Time, who leads, and what agents said: proposed. Failure: of the store.
int dispatcher_step(struct daemon *daemon, struct error *err);
// Tells agents what the store says now. Likewise.
int dispatcher_deliver(struct daemon *daemon, struct error *err);
// When dispatcher_step is due, without news; INT64_MAX = with news only.
int64_t dispatcher_wake_mono_ms(const struct daemon *daemon);
void dispatcher_free(struct daemon *daemon); // the links are closed by then

// Of a node without a place in the group of managers, while this one leads.
enum session_presence dispatcher_presence(struct daemon *daemon, const struct id *node_id,
                                          int64_t *out_silent_ms);
// Why it cannot run tasks, as it says; "" = it can. Borrowed until the next call.
const char *dispatcher_trouble(const struct daemon *daemon, const struct id *node_id);
// The node is a manager now: what its agent said, or did not say, is of no consequence any more.
void dispatcher_release(struct daemon *daemon, const struct id *node_id);
// Changes whenever some presence, or trouble, did.
uint64_t dispatcher_turns(const struct daemon *daemon);

#endif
