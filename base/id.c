// SPDX-License-Identifier: Apache-2.0
//
// base/id.c — 128 random bits written as 25 digits of base 36, most significant first.
#include "base/id.h"

#include <stdint.h>
#include <sys/random.h>

#include "base/assert.h"
#include "base/prng.h"

__extension__ typedef unsigned __int128 wide;

static struct id id_from_bits(wide bits) {
    struct id id = {{0}};
    for (int i = ID_LEN - 1; i >= 0; i--) {
        id.text[i] = "0123456789abcdefghijklmnopqrstuvwxyz"[(unsigned)(bits % 36)];
        bits /= 36;
    }
    return id;
}

struct id id_random(void) {
    wide bits;
    ssize_t got = getrandom(&bits, sizeof bits, 0);
    ASSERT(got == sizeof bits); // up to 256 bytes are never interrupted once the pool is ready
    return id_from_bits(bits);
}

struct id id_from_prng(struct prng *prng) {
    wide high = prng_next(prng);
    return id_from_bits(high << 64 | prng_next(prng));
}

bool id_parse(const char *text, struct id *out) {
    if (strlen(text) != ID_LEN || strspn(text, "0123456789abcdefghijklmnopqrstuvwxyz") != ID_LEN) {
        return false;
    }
    memcpy(out->text, text, ID_LEN + 1);
    return true;
}
