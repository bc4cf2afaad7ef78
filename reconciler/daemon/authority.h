// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/authority.h — the cluster's own certificate authority: made once, when the cluster is,
// and asked for each node's certificate.
//
// Model        A self-signed P-256 certificate that lives AUTHORITY_VALID_MS, with the cluster's id as O, and
//              its key. Whoever holds the key can let anybody into the cluster: it belongs to managers only.
//              A request shows that its sender has a key; what the certificate says, the caller decides.
// Pure         All is in the parameters but the random numbers, which are OpenSSL's.
// Not here     Keeping the key: the store. Checking: transport/certificate.h. This is no part of transport,
//              since links need none of it.
#ifndef MUSTER_RECONCILER_DAEMON_AUTHORITY_H
#define MUSTER_RECONCILER_DAEMON_AUTHORITY_H

#include "transport/certificate.h"

#define AUTHORITY_VALID_MS (20 * 365LL * 24 * 3600 * 1000)
#define AUTHORITY_NODE_VALID_MS_DEFAULT (90LL * 24 * 3600 * 1000)
#define AUTHORITY_NODE_VALID_MS_MIN (3600LL * 1000)

// Appends a new authority's certificate and its private key, both PEM.
int authority_make(const struct id *cluster_id, int64_t unix_ms, struct buf *out_certificate,
                   struct buf *out_key, struct error *err);

struct authority_order {
    struct id node_id, cluster_id;
    enum node_role role;
    int64_t unix_ms;  // now
    int64_t valid_ms; // from now on, at least AUTHORITY_NODE_VALID_MS_MIN; never longer than the authority
};
// Appends the certificate that was ordered for the key of the request; all PEM. -ERR_INVALID: a request
// that is damaged, of another kind of key, or not signed by its own key; a life too short. -ERR_GUARD: the
// authority has expired. -ERR_CONFLICT: its key is not its certificate's.
int authority_sign(struct bytes certificate, struct bytes key, struct bytes request,
                   const struct authority_order *order, struct buf *out, struct error *err);

#endif
