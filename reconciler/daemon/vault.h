// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/vault.h — values of secrets: sealed before anything is decided on them, opened for the
// nodes that need them.
//
// Model        A client hands a value in over the local socket. Before the request is looked at any
//              further, the value in it is replaced by what seal.h makes of it, and by a fingerprint: a
//              keyed digest, with which decisions tell a new value from the same one again. So neither the
//              store nor its history, log, snapshots or copies ever hold a value, and no answer can show
//              one.
// Failure      -ERR_BUSY: this manager has not been given the cluster's seal key yet.
#ifndef MUSTER_RECONCILER_DAEMON_VAULT_H
#define MUSTER_RECONCILER_DAEMON_VAULT_H

#include "reconciler/daemon/seal.h"
#include "transport/messages.h"

struct daemon;

#define VAULT_FINGERPRINT_BYTES 32

// Seals the secrets among the items, whose bytes are wiped. What is given with a fingerprint already is
// refused.
int vault_seal_request(struct daemon *daemon, struct apply_request *request, struct arena *arena,
                       struct error *err);
// Appends the value of a secret of that name; the caller wipes it. The context is the daemon
// (dispatch/source.h).
int vault_open(void *daemon, const char *name, struct bytes sealed, struct buf *out, struct error *err);

// With a key at hand. The fingerprint is of VAULT_FINGERPRINT_BYTES.
int vault_seal(const struct seal_key *key, const struct id *cluster_id, const char *name, struct bytes value,
               struct buf *out_sealed, uint8_t *out_fingerprint, struct error *err);

// Overwrites what held a value.
void vault_wipe(struct bytes bytes);

#endif
