// SPDX-License-Identifier: Apache-2.0
//
// transport/tls.h — TLS 1.3 between nodes: a cover for links that knows who is at the other end.
//
// Model        Both sides show the certificates of their nodes (transport/certificate.h), and each checks the
//              other's by itself: signed by an authority that it trusts, valid now, of its cluster; who is
//              dialed must be a manager. What a worker may say is decided where messages are taken, by
//              link_identity.
// Joining      Who has no certificate yet dials with the digest of the authority out of its join token: a
//              manager shows its authorities with its certificate, and is believed when the one with that
//              digest has signed it. Only then is anything said, so the token's secret goes to nobody else.
//              Who is called takes callers without a certificate only when told to; one with a bad
//              certificate is refused all the same.
// Choice       OpenSSL on our own memory over nng's plain streams, not a TLS engine inside nng: its tls
//              streams time out and cancel badly once TCP is dead, keep 64 KiB of buffers a connection, and
//              tell nobody who the peer is (measured). Here a deadline is link_close on a plain stream,
//              which never hung.
// Narrow       TLS 1.3 only, X25519 and P-256, ECDSA with SHA-256, AEAD suites; no tickets, so each
//              connection shows its certificate anew and who is removed is out at the next one; no early
//              data.
// Loss         A connection that just ends may have been cut by anybody: frames carry their length, so a cut
//              one is never taken for whole.
// Threads      A tls is made, used and freed by its owner; covers of it may outlive it, on any thread.
#ifndef MUSTER_TRANSPORT_TLS_H
#define MUSTER_TRANSPORT_TLS_H

#include "transport/cover.h"
#include "transport/credentials.h"
#include "transport/join_token.h"

struct tls;

struct tls_options {
    // What is shown, and whose authorities are trusted; NULL = a joiner's: nothing, and the one of the token.
    // Copied.
    const struct credentials *credentials;
    const struct join_token *token; // only without credentials; its secret is not kept
    bool admits_strangers;          // callers without a certificate come in, and link_identity is NULL
};
// -ERR_INVALID, -ERR_CONFLICT: credentials that cannot be used. Expired ones can: the others refuse them.
int tls_new(const struct tls_options *options, struct tls **out, struct error *err);
void tls_free(struct tls *tls); // NULL is accepted; connections that were begun go on

// The two ends of a connection, for link_new_covered.
struct cover *tls_dial(struct tls *tls);
struct cover *tls_accept(struct tls *tls); // not of one without a certificate
bool tls_has_certificate(const struct tls *tls);

#endif
