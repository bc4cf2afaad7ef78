// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/digest.h — a number for each replicated table at one index, worked out in slices.
//
// Managers compare these at every index that is a multiple of DIGEST_INTERVAL: equal entries must have left
// equal records. Reading proves the checksum of each record on the way, so that rot which nobody reads is
// found too.
//
// Model        A read transaction of its own, so one picture at one index; it pins old pages until it ends.
//              A number follows from keys and payloads alone, not from how they are kept.
// Limits       Different records give equal numbers by chance once in four thousand million times.
#ifndef MUSTER_RECONCILER_STORE_DIGEST_H
#define MUSTER_RECONCILER_STORE_DIGEST_H

#include "reconciler/store/format.h"
#include "reconciler/store/store.h"

#define DIGEST_INTERVAL 10000

struct digest {
    uint64_t index;             // applied index of the picture
    uint64_t tables[TABLE_END]; // the replicated ones, and [TABLE_META] for state and membership; else 0
};

struct digest_walk;
// Begins with what is committed, whatever an open turn has applied beyond.
int digest_begin(struct store *store, struct digest_walk **out, struct error *err);
enum { DIGEST_DONE = 1 };
// Reads on for about so many bytes, at least one record: 0 = there is more, DIGEST_DONE, -ERR_CORRUPT naming
// the record.
int digest_step(struct digest_walk *walk, size_t bytes, struct error *err);
const struct digest *digest_result(const struct digest_walk *walk); // after DIGEST_DONE; dies with the walk
void digest_end(struct digest_walk *walk);                          // accepts NULL

#endif
