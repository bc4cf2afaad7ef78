// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/seal.h — what may lie in the store for anybody to copy, and only managers can open.
//
// Model        The cluster has one seal key: 32 random bytes, in a file of each manager, never in the store.
//              What is sealed can be opened with that key, for the cluster and the purpose that it was sealed
//              for, and unchanged; else not at all. So no sealed field can take another one's place.
// Not here     Which fields are sealed: trust.h.
//
// FORMAT of what is sealed, version 1:
//     offset  bytes
//     0       1      version: 1
//     1       12     nonce, random: good for 2^32 seals under one key
//     13      …      AES-256-GCM of the plain bytes; authenticated with it: version, cluster id (25), purpose
//     -16     16     tag
// FORMAT of the key's file, version 1, one line:
//     muster-seal-key-1 <64 hexadecimal digits>
#ifndef MUSTER_RECONCILER_DAEMON_SEAL_H
#define MUSTER_RECONCILER_DAEMON_SEAL_H

#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/id.h"

#define SEAL_KEY_BYTES 32
#define SEAL_OVERHEAD_BYTES 29
#define SEAL_BYTES_MAX (1024 * 1024) // sealed

struct seal_key {
    uint8_t bytes[SEAL_KEY_BYTES];
};
void seal_key_wipe(
    struct seal_key *key); // `struct seal_key AUTO_SEAL_KEY key;` does it at the end of the scope
#define AUTO_SEAL_KEY __attribute__((cleanup(seal_key_wipe)))
int seal_key_make(struct seal_key *out, struct error *err);
// The file in the directory of a cluster's certificates. -ERR_NOT_FOUND; -ERR_CORRUPT: it holds something
// else.
int seal_key_load(const char *dir, struct seal_key *out, struct error *err);
int seal_key_save(const char *dir, const struct seal_key *key, struct error *err);

// What a sealed thing is: nothing else is opened in its place.
struct seal_label {
    const struct id *cluster_id;
    const char *purpose;
};
// Appends the sealed bytes.
int seal_close(const struct seal_key *key, const struct seal_label *label, struct bytes plain,
               struct buf *out, struct error *err);
// Appends the plain bytes, growing `out` once; the caller wipes it (certificate_wipe_key). -ERR_CORRUPT:
// damaged, cut, or of another key, cluster or purpose, which cannot be told apart. -ERR_UNSUPPORTED: of a
// newer version.
int seal_open(const struct seal_key *key, const struct seal_label *label, struct bytes sealed,
              struct buf *out, struct error *err);

#endif
