// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/rotation.h — the cluster's authority is replaced by another one, while all nodes go on
// talking to each other.
//
// Model        Two steps, and the next begins when all nodes say of themselves that they are through:
//              ANNOUNCED  the new authority is believed as well; the one before signs
//              SIGNING    the new one signs, and nodes get certificates by it
//              Then the one before is believed no more. So nobody ever shows a certificate by an authority
//              that another node has not heard of, and no node is left with one that is believed no more.
// Who counts   All nodes that have not left, also those that are down: they hold it open until they are back,
//              or removed. Each says in its description what it has (certificates_describe).
// Key          Of the one that signs, and the next; the key of the one before is gone as soon as it does not
//              sign any more.
// Tokens       Hold the digest of the authority that signs: they change with the second step, their secrets do
//              not.
// Pure         But rotation_step, which whoever leads takes in each turn.
#ifndef MUSTER_RECONCILER_DAEMON_ROTATION_H
#define MUSTER_RECONCILER_DAEMON_ROTATION_H

#include "base/arena.h"
#include "reconciler/daemon/seal.h"
#include "specs/cluster.h"
#include "specs/node.h"

struct daemon;

#define ROTATION_KEY_PURPOSE "authority's key" // what both keys are sealed for

struct rotation {     // of a daemon; zeroed
    int64_t revision; // of the store when it was last looked at
    bool is_proposed;
};

enum rotation_state { ROTATION_NONE, ROTATION_ANNOUNCED, ROTATION_SIGNING };
enum rotation_state rotation_state(const struct cluster_trust *trust);
// The certificate of the authority that signs, PEM; NULL: there is none.
const char *rotation_signer(const struct cluster_trust *trust);

// Adds an authority. -ERR_CONFLICT: one is being replaced already.
int rotation_begin(const struct seal_key *key, const struct id *cluster_id, int64_t unix_ms,
                   struct cluster_trust *trust, struct arena *arena, struct error *err);
// Whether the node is through with the step.
bool rotation_has(const struct cluster_trust *trust, const struct node *node);
// Whether a node had better ask for another certificate: its own is not by the authority that signs.
bool rotation_wants(const struct cluster_trust *trust, const struct node_description *node);
// The next step, or the end of it.
void rotation_advance(struct cluster_trust *trust);

int rotation_step(struct daemon *daemon, struct error *err);

#endif
