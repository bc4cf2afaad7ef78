// SPDX-License-Identifier: Apache-2.0
//
// base/id.h — object identities: 25 characters of base 36, about 128 random bits, never reused, as Swarm's.
#ifndef MUSTER_BASE_ID_H
#define MUSTER_BASE_ID_H

#include <stdbool.h>
#include <string.h>

#define ID_LEN 25
#define ID_SHORT_LEN 12

struct prng;

// A value: copy it freely. All zeros (the empty string) means "none".
struct id {
    char text[ID_LEN + 1];
};

struct id id_random(void);                       // from getrandom(2); for the rim
struct id id_from_prng(struct prng *prng);       // for pure code and simulations
bool id_parse(const char *text, struct id *out); // exactly 25 of [0-9a-z]

static inline bool id_is_none(const struct id *id) {
    return id->text[0] == '\0';
}
static inline bool id_equal(const struct id *a, const struct id *b) {
    return memcmp(a->text, b->text, ID_LEN) == 0;
}
static inline int id_compare(const struct id *a, const struct id *b) {
    return memcmp(a->text, b->text, ID_LEN);
}

#endif
