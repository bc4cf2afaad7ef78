// SPDX-License-Identifier: Apache-2.0
//
// transport/join_token.h — what a new node is given by hand: which authority to believe, and a secret to be
// let in by.
//
// The digest comes first: the joiner compares it with the certificate of the authority that vouches for the
// manager it reached, and only then says the secret. So a stranger between the two learns nothing.
//
// FORMAT, version 1 (Swarm's, with another name):
//     MUSTKN-1-<SHA-256 of the authority's certificate, 50 digits of base 36>-<secret, 25 digits of base 36>
#ifndef MUSTER_TRANSPORT_JOIN_TOKEN_H
#define MUSTER_TRANSPORT_JOIN_TOKEN_H

#include <stdint.h>

#include "base/error.h"
#include "base/id.h"

#define JOIN_TOKEN_PREFIX "MUSTKN-1-"
#define JOIN_TOKEN_DIGEST_BYTES 32
#define JOIN_TOKEN_DIGEST_DIGITS 50
#define JOIN_TOKEN_LEN (sizeof JOIN_TOKEN_PREFIX - 1 + JOIN_TOKEN_DIGEST_DIGITS + 1 + ID_LEN)

struct join_token {
    uint8_t digest[JOIN_TOKEN_DIGEST_BYTES]; // of the authority
    struct id secret;
};

// A token with a new secret.
struct join_token join_token_make(const uint8_t authority_digest[JOIN_TOKEN_DIGEST_BYTES]);
void join_token_format(const struct join_token *token, char out[JOIN_TOKEN_LEN + 1]);
// -ERR_INVALID tells what is wrong without repeating the secret.
int join_token_parse(const char *text, struct join_token *out, struct error *err);
// Whether this is the authority that the token names. -ERR_DENIED
int join_token_check_authority(const struct join_token *token,
                               const uint8_t authority_digest[JOIN_TOKEN_DIGEST_BYTES], struct error *err);
// Whether both have the same secret, in a time that does not tell where they differ.
bool join_token_has_secret(const struct join_token *token, const struct id *secret);

#endif
