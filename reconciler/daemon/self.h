// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/self.h — this node's own record: what the machine is, kept true in the store.
//
// The executor is asked every PROBE_MS; the record is written only when something changed.
#ifndef MUSTER_RECONCILER_DAEMON_SELF_H
#define MUSTER_RECONCILER_DAEMON_SELF_H

#include "base/arena.h"
#include "specs/node.h"

#define PROBE_MS 20000

struct daemon;

struct self {
    struct arena arena; // of description and trouble
    struct node_description description;
    const char *trouble; // why the executor cannot run tasks; "" = it can
    bool is_news;        // not compared with the store yet
    bool is_proposed;
    int64_t probe_mono_ms; // next time
};

// Asks the executor. Trouble of the executor is no failure: it is what `trouble` says.
void self_probe(struct daemon *daemon);
// Probes when it is time, proposes the record when it changed.
int self_step(struct daemon *daemon, struct error *err);
// What the description says of the certificate, anew out of the files: also after they were changed.
void self_see_certificate(struct daemon *daemon, const struct id *cluster_id);
int64_t self_wake_mono_ms(const struct self *self);
void self_deinit(struct self *self);

// The node as it joins a new cluster.
void self_describe(const struct daemon *daemon, struct node *node);
// The address for others: what was asked for, or that of the default route, or loopback. In the arena.
const char *self_address(const char *advertise, struct arena *arena);
// ADDRESS[:PORT] with the port of `listen` where it has none, and ADDRESS alone; in the arena.
const char *self_with_port(const char *address, const char *listen, struct arena *arena);
const char *self_host(const char *address, struct arena *arena);

#endif
