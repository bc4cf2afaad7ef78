// SPDX-License-Identifier: Apache-2.0
//
// base/prng.c — xoshiro256**, seeded by splitmix64 (Blackman, Vigna: "Scrambled linear pseudorandom number
// generators", 2018).
#include "base/prng.h"

#include "base/assert.h"

static uint64_t rotate(uint64_t x, int k) {
    return x << k | x >> (64 - k);
}

void prng_seed(struct prng *prng, uint64_t seed) {
    for (int i = 0; i < 4; i++) {
        seed += UINT64_C(0x9E3779B97F4A7C15);
        uint64_t z = seed;
        z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
        prng->state[i] = z ^ (z >> 31);
    }
}

uint64_t prng_next(struct prng *prng) {
    uint64_t *s = prng->state;
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t prng_below(struct prng *prng, uint64_t bound) {
    ASSERT(bound > 0);
    uint64_t threshold = (UINT64_MAX - bound + 1) % bound; // values below would favour small results
    for (;;) {
        uint64_t value = prng_next(prng);
        if (value >= threshold) {
            return value % bound;
        }
    }
}

double prng_unit(struct prng *prng) {
    return (double)(prng_next(prng) >> 11) * 0x1.0p-53;
}
