// SPDX-License-Identifier: Apache-2.0
//
// test/fuzz/fuzz_seal.c — any bytes as something sealed: it opens only if it is what was sealed. And any
// bytes as a join token: what is one says itself again.
#include "test/lib/fuzz.h"

#include <string.h>

#include "base/assert.h"
#include "reconciler/daemon/seal.h"
#include "transport/certificate.h"
#include "transport/join_token.h"

static void try_seal(struct bytes in) {
    static const struct id cluster = {"cluster00000000000000clus"};
    static const char golden[] = "the secret of the example"; // test/golden/format/v1/seal
    struct seal_key key;
    struct buf plain = {0};
    for (size_t i = 0; i < SEAL_KEY_BYTES; i++) {
        key.bytes[i] = (uint8_t)(7 * i);
    }
    if (seal_open(&key, &(struct seal_label){&cluster, "example"}, in, &plain, NULL) == 0) {
        ASSERT(strcmp(buf_text(&plain), golden) == 0);
    } else {
        ASSERT(plain.len == 0);
    }
    certificate_wipe_key(&plain);
}

static void try_token(struct bytes in) {
    AUTO_BUF text = {0};
    struct join_token token;
    char again[JOIN_TOKEN_LEN + 1];
    buf_add(&text, in.data, in.len);
    if (join_token_parse(buf_text(&text), &token, NULL) == 0) {
        join_token_format(&token, again);
        ASSERT(strcmp(again, buf_text(&text)) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    try_seal((struct bytes){data, size});
    try_token((struct bytes){data, size});
    return 0;
}
