// SPDX-License-Identifier: Apache-2.0
//
// test/lib/random_object.h — an object of any schema with random contents, valid row by row.
#ifndef MUSTER_TEST_LIB_RANDOM_OBJECT_H
#define MUSTER_TEST_LIB_RANDOM_OBJECT_H

#include "base/prng.h"
#include "specs/schema.h"

// In the arena. Rules across fields are not minded.
void *random_object(struct prng *prng, const struct schema *schema, struct arena *arena);

#endif
