// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/certificates.h — the files of a cluster's certificates in the state directory.
//
//     STATE/certificates/joining.key 0600   of who asks to be let in: it is there before anybody is asked, so
//                                           that who was killed meanwhile can show that it is the same node
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

#include "transport/credentials.h"

// An authority for people: the first 16 hexadecimal digits of the SHA-256 of its certificate. "" = unreadable.
#define CERTIFICATES_FINGERPRINT_BYTES 17
void certificates_fingerprint(struct bytes pem, char out[CERTIFICATES_FINGERPRINT_BYTES]);

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
// What a node says of its certificate: who signed it, and whom it believes. In the arena; "" and none without
// one.
void certificates_describe(const char *dir, struct node_description *out, struct arena *arena);
// Removes those of all clusters.
int certificates_forget(const char *state_dir, struct error *err);

// The authority of a version before, as its files have it; appends as certificates_make. -ERR_NOT_FOUND:
// there is no key. -ERR_CONFLICT, -ERR_CORRUPT, -ERR_INVALID: it has no certificate that fits.
int certificates_find_authority(const char *dir, struct buf *out_authority, struct buf *out_authority_key,
                                struct error *err);
// Removes the file of its key; none is fine.
int certificates_drop_authority_key(const char *dir, struct error *err);

// Those of the cluster that has this authority. -ERR_NOT_FOUND
int certificates_find(const char *state_dir, const uint8_t authority_digest[CERTIFICATE_DIGEST_BYTES],
                      struct credentials *out, struct error *err);
// The key to join with, as PEM: of the last attempt that came to nothing, or a new one. certificate_wipe_key it.
int certificates_joining_key(const char *state_dir, struct buf *out, struct error *err);
int certificates_joined(const char *state_dir, struct error *err); // it is needed no more

#endif
