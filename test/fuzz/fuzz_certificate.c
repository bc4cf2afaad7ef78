// SPDX-License-Identifier: Apache-2.0
//
// test/fuzz/fuzz_certificate.c — any bytes as a node's certificate, as an authority's, and as a join token; a
// token that is read must be written as the same.
#include "test/lib/fuzz.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "transport/certificate.h"
#include "transport/join_token.h"

static void try_token(const char *text) {
    struct join_token token;
    char again[JOIN_TOKEN_LEN + 1];
    if (join_token_parse(text, &token, NULL) == 0) {
        join_token_format(&token, again);
        ASSERT(strcmp(again, text) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bytes pem = {data, size};
    struct identity who;
    struct certificate_wanted wanted = {.unix_ms = 1800000000000LL};
    uint8_t digest[CERTIFICATE_DIGEST_BYTES];
    AUTO_FREE char *text = xcalloc(size + 1, 1);
    if (size > 0) {
        memcpy(text, data, size);
    }
    try_token(text);
    if (certificate_read(pem, &who, NULL) == 0) {
        ASSERT(strlen(who.node_id.text) == ID_LEN && strlen(who.cluster_id.text) == ID_LEN);
    }
    (void)certificate_verify(pem, pem, &wanted, &who, NULL);
    (void)certificate_digest(pem, digest, NULL);
    return 0;
}
