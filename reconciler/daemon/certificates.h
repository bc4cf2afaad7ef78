// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/certificates.h — the files of a cluster's certificates in the state directory: this
// node's own, and, where the cluster was made, its authority's key.
//
//     STATE/certificates/CLUSTER/ 0700; CLUSTER is the cluster's id: an init that came to nothing harms no
//                                       other one
//         node.pem authorities.pem      transport/credentials.h
//         authority.key                 0600
//
// They are made before the cluster is, so that there is no cluster without an authority; what an init
// leaves that came to nothing goes with `swarm leave`.
#ifndef MUSTER_RECONCILER_DAEMON_CERTIFICATES_H
#define MUSTER_RECONCILER_DAEMON_CERTIFICATES_H

#include <stdint.h>

#include "base/error.h"
#include "base/id.h"

struct certificates_order {
    const char *state_dir;
    struct id cluster_id, node_id;
    int64_t unix_ms, valid_ms; // of the node's
};
// Makes an authority and a manager's certificate by it, and keeps them. Nothing is left on failure but
// files that nobody looks at.
int certificates_make(const struct certificates_order *order, struct error *err);
// Removes those of all clusters.
int certificates_forget(const char *state_dir, struct error *err);

#endif
