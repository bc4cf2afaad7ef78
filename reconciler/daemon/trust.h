// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/trust.h — whom the cluster believes: its authority signs, its join tokens let in.
//
// Model        Certificates of the authorities, the key of the one that signs and both join secrets are in the
//              cluster's object; what is secret there is sealed (seal.h). Any manager opens it with the seal
//              key in its state directory, which it is given when it becomes one. Certificates are signed and
//              tokens judged by whoever leads, on the newest state.
// Made         With the cluster. A cluster of a version that had none of it gets it by whoever leads: from
//              that manager's authority.key, which is then removed, or anew.
// Failure      Without the seal key nothing is signed and nobody let in; all else goes on.
#ifndef MUSTER_RECONCILER_DAEMON_TRUST_H
#define MUSTER_RECONCILER_DAEMON_TRUST_H

#include "reconciler/daemon/certificates.h"
#include "reconciler/daemon/rotation.h"
#include "reconciler/daemon/tokens.h"
#include "reconciler/store/store.h"

struct daemon;

struct trust {        // of a daemon; zeroed
    bool is_settled;  // the store has it, and no file has what is in the store
    bool is_proposed; // to take over what a version before made
    int64_t retry_mono_ms;
};

// Makes all of it for a new cluster, with this node's certificate; `cluster` gets what the store keeps, in
// the arena.
int trust_found(const struct certificates_order *order, struct cluster *cluster, struct arena *arena,
                struct error *err);
// Takes over what a version before made, once. Failure: of the store.
int trust_step(struct daemon *daemon, struct error *err);

// Certificates only, PEM, the newest first; in the arena.
int trust_authorities(struct daemon *daemon, struct arena *arena, struct bytes *out_pem, struct error *err);
// Appends a certificate for the key of the request, good for as long as the cluster's settings say.
int trust_sign(struct daemon *daemon, struct bytes csr_pem, const struct id *node_id, enum node_role role,
               struct buf *out_certificate_pem, struct error *err);
// The join token that counts for the role.
int trust_token(struct daemon *daemon, enum node_role role, char out[JOIN_TOKEN_LEN + 1], struct error *err);
// The role that a token gives. -ERR_DENIED as tokens_admit; -ERR_INVALID: it is no token.
int trust_admit(struct daemon *daemon, const char *token_text, enum node_role *out_role, struct error *err);
// Adds the change that counts one use, where uses are limited. -ERR_DENIED: there are none left by now.
int trust_spend(struct daemon *daemon, struct store_read *read, struct arena *arena, enum node_role role,
                struct transaction *transaction, struct error *err);

// Appends the seal key, for a new manager over TLS; wipe it. -ERR_BUSY: this one has none.
int trust_seal_key(struct daemon *daemon, struct buf *out, struct error *err);
// Keeps what another manager's trust_seal_key gave. -ERR_INVALID: it is none.
int trust_keep_seal_key(const char *state_dir, const struct id *cluster_id, struct bytes bytes,
                        struct error *err);

// The cluster's object, and the key that opens what is sealed in it.
struct trust_opened {
    struct cluster *cluster; // in the arena; has a trust
    struct seal_key key;
    struct token_keeper keeper; // points into this: not to be copied
};
void trust_opened_wipe(struct trust_opened *opened);
#define AUTO_TRUST __attribute__((cleanup(trust_opened_wipe)))
// -ERR_BUSY: the cluster has none yet, or this manager has no key.
int trust_open(struct daemon *daemon, struct store_read *read, struct arena *arena, struct trust_opened *out,
               struct error *err);

#endif
