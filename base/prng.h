// SPDX-License-Identifier: Apache-2.0
//
// base/prng.h — seedable randomness for pure code: xoshiro256** (Blackman, Vigna 2018), seeded by splitmix64.
//
// Never for secrets: those come from OpenSSL or getrandom(2).
#ifndef MUSTER_BASE_PRNG_H
#define MUSTER_BASE_PRNG_H

#include <stdint.h>

struct prng {
    uint64_t state[4];
};

void prng_seed(struct prng *prng, uint64_t seed);
uint64_t prng_next(struct prng *prng);
uint64_t prng_below(struct prng *prng, uint64_t bound); // 0 ≤ result < bound, unbiased; bound > 0
double prng_unit(struct prng *prng);                    // 0 ≤ result < 1

#endif
