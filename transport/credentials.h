// SPDX-License-Identifier: Apache-2.0
//
// transport/credentials.h — what a node shows and whom it believes: its key, its certificate, the
// authorities; and the two files that they live in.
//
//     DIR/node.pem 0600: the certificate, then its private key, in one file so that they change together
//     DIR/authorities.pem 0644: the certificates of the authorities, the newest first; two while one is
//     replaced
//
// Both are replaced atomically and synced. The authorities are written first: after a crash in between, the
// old certificate is still signed by one of them.
#ifndef MUSTER_TRANSPORT_CREDENTIALS_H
#define MUSTER_TRANSPORT_CREDENTIALS_H

#include "base/buf.h"
#include "transport/certificate.h"

struct credentials { // each PEM text
    struct buf key;
    struct buf certificate;
    struct buf authorities;
};
// -ERR_NOT_FOUND: there are none. -ERR_CORRUPT: what is there cannot be read, or does not fit together.
int credentials_load(const char *dir, struct credentials *out, struct error *err);
int credentials_save(const char *dir, const struct credentials *credentials, struct error *err);
// Who they say that we are; as certificate_verify.
int credentials_check(const struct credentials *credentials, int64_t unix_ms, struct identity *out,
                      struct error *err);
void credentials_free(struct credentials *credentials); // wipes the key; zeroed ones are accepted

#endif
