// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/certificates.h — the files of a cluster's certificates in the state directory.
//
//     STATE/certificates/CLUSTER/ 0700; CLUSTER is the cluster's id: an init that came to nothing harms no
//                                       other one
//         node.pem authorities.pem      transport/credentials.h
//         seal.key                      0600, on managers: reconciler/daemon/seal.h
//         authority.key                 0600, where a version before the seal made the cluster: the store has
//                                       it now, and the file goes (reconciler/daemon/trust.h)
//
// They are made before the cluster is, so that there is no cluster without an authority; what an init
// leaves that came to nothing goes with `swarm leave`.
#ifndef MUSTER_RECONCILER_DAEMON_CERTIFICATES_H
#define MUSTER_RECONCILER_DAEMON_CERTIFICATES_H

#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/id.h"

char *certificates_dir(const char *state_dir, const struct id *cluster_id); // the caller frees

struct certificates_order {
    const char *state_dir;
    struct id cluster_id, node_id;
    int64_t unix_ms, valid_ms; // of the node's
};
// Makes an authority, and keeps a manager's certificate by it. Appends the authority's certificate and its
// key, which is the caller's to keep: no file has it. Nothing is left on failure but files that nobody looks
// at.
int certificates_make(const struct certificates_order *order, struct buf *out_authority,
                      struct buf *out_authority_key, struct error *err);
// Removes those of all clusters.
int certificates_forget(const char *state_dir, struct error *err);

// The authority of a version before, as its files have it; appends as certificates_make. -ERR_NOT_FOUND:
// there is no key. -ERR_CONFLICT, -ERR_CORRUPT, -ERR_INVALID: it has no certificate that fits.
int certificates_find_authority(const char *dir, struct buf *out_authority, struct buf *out_authority_key,
                                struct error *err);
// Removes the file of its key; none is fine.
int certificates_drop_authority_key(const char *dir, struct error *err);

#endif
