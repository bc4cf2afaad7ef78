// SPDX-License-Identifier: Apache-2.0
//
// transport/certificate.h — who a node is, as its certificate says: asking for one, reading it, checking it.
//
// Model        Each cluster has an authority of its own (reconciler/daemon/authority.h signs). A node holds a
//              key that never leaves it and a certificate: CN = node id, OU = muster-manager or
//              muster-worker, O = cluster id; role and node id once more as SANs. Workers may be clients
//              only, managers servers too. Nothing that a peer says on a link is believed about who it is.
// Strict       P-256 and SHA-256; one of each name in the subject and nothing else, in fixed alphabets;
//              signed by an authority that is trusted, without anything in between. What differs was not
//              made by our authority, and is refused.
// Source       The names are those of Swarm's certificates.
// Not here     Revocation: who was removed is refused by node id, where the membership is known.
#ifndef MUSTER_TRANSPORT_CERTIFICATE_H
#define MUSTER_TRANSPORT_CERTIFICATE_H

#include "base/buf.h"
#include "base/error.h"
#include "specs/node.h"

#define CERTIFICATE_SERIAL_BYTES 41
#define CERTIFICATE_DIGEST_BYTES 32
// Longer lived than any clock is wrong: a certificate is valid from that long before it was made.
#define CERTIFICATE_SLACK_MS (3600LL * 1000)

struct identity {
    struct id node_id, cluster_id;
    enum node_role role;
    int64_t not_before_unix_ms, not_after_unix_ms;
    char serial[CERTIFICATE_SERIAL_BYTES]; // hexadecimal
};

// Organisational units and SANs, by role.
extern const char *const certificate_role_names[2];

// A new private key, as PEM. Keep it in memory that certificate_wipe_key is called on.
int certificate_make_key(struct buf *out, struct error *err);
void certificate_wipe_key(struct buf *key); // and frees
// A request for a certificate that shows possession of the key; what the certificate says, the authority
// says.
int certificate_request(struct bytes key, struct buf *out, struct error *err);

// What the certificate says, whoever signed it. -ERR_INVALID: not one of a node.
int certificate_read(struct bytes pem, struct identity *out, struct error *err);

struct certificate_wanted {
    int64_t unix_ms;             // now
    const struct id *cluster_id; // NULL: any
    bool is_server;              // may it be answered by, or does it call?
    bool is_manager;             // no worker will do
};
// The same, and it is signed by one of the authorities (PEM, one or several), valid now, and what is wanted.
// -ERR_DENIED tells what is not; -ERR_INVALID as above.
int certificate_verify(struct bytes pem, struct bytes authorities, const struct certificate_wanted *wanted,
                       struct identity *out, struct error *err);

// 0 when the key is that of the certificate. -ERR_CONFLICT
int certificate_match_key(struct bytes pem, struct bytes key, struct error *err);
// 0 when the request is for the key of the certificate, and signed by it: who sent both is whose certificate
// that is. -ERR_DENIED
int certificate_match_request(struct bytes pem, struct bytes request, struct error *err);
// SHA-256, in hexadecimal, of the public key of a request that is signed by that key. -ERR_INVALID
#define CERTIFICATE_KEY_DIGEST_BYTES (2 * CERTIFICATE_DIGEST_BYTES + 1)
int certificate_request_digest(struct bytes request, char out[CERTIFICATE_KEY_DIGEST_BYTES],
                               struct error *err);
// SHA-256 of the one certificate in `pem`: how a join token names an authority.
int certificate_digest(struct bytes pem, uint8_t out[CERTIFICATE_DIGEST_BYTES], struct error *err);

// For TLS, which holds certificates as OpenSSL does. The code is one of OpenSSL's verification: why not,
// for the other side.
struct x509_st;
struct stack_st_X509;
int certificate_check(struct x509_st *certificate, struct stack_st_X509 *authorities,
                      const struct certificate_wanted *wanted, struct identity *out, int *out_code,
                      struct error *err);

#endif
