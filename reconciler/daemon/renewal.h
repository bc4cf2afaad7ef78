// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/renewal.h — certificates are renewed by themselves: each node asks for its own in time,
// and the leader signs.
//
// Model        The time is drawn for each certificate, between 50 and 80 % of its life, so that nodes that
//              joined together do not ask together. At once, or nearly, when it says another role than the
//              node has, when the authorities are others, or when it lives longer than the cluster now allows.
//              The one that leads signs its own; others ask it over a link that shows the old one.
// Failure      Tried again, 1 s to 5 min apart, for as long as the old one is good, and after that in case that
//              clocks were wrong. A manager that has missed it, since it was off, signs its own by the key of
//              the authority; a worker comes back by `muster swarm join --token` (joining.c), as does a
//              manager that lost its store.
// Loss         An answer that does not arrive costs nothing: the old one is good as before.
#ifndef MUSTER_RECONCILER_DAEMON_RENEWAL_H
#define MUSTER_RECONCILER_DAEMON_RENEWAL_H

#include "base/buf.h"
#include "base/error.h"
#include "base/id.h"
#include "specs/cluster.h"

struct daemon;

struct renewal {
    char serial[64];         // of the certificate for which `due` was drawn
    int64_t due_unix_ms;     // when the next one is asked for
    int64_t look_mono_ms;    // when it is next held against the store
    int64_t revision;        // of the store when that was done
    int64_t retry_mono_ms;   // not before
    unsigned failures;       // in a row
    uint64_t ask;            // the question that is open; 0 = none
    struct buf key;          // for the certificate that is asked for
    char leader[64];         // ask there; "" = whom there is
    unsigned asked;          // managers in turn
    enum error_code refused; // the last question; NONE = it was not
};

void renewal_step(struct daemon *daemon);
void renewal_hurry(struct daemon *daemon); // asks at the next turn: the node's role has changed
// What the leader says of certificates, for a node without a store; and how the leader puts it: fingerprints.
void renewal_hear(struct daemon *daemon, const char *trust, int64_t certificate_ms);
void renewal_mark_trust(const struct cluster_trust *trust, struct buf *out); // nothing for NULL
void renewal_on_answer(struct daemon *daemon, const struct error *err, struct bytes body);
void renewal_free(struct renewal *renewal);
// From another node, on the link `via`.
void renewal_on_request(struct daemon *daemon, uint64_t via, struct bytes body);

#endif
