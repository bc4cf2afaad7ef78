// SPDX-License-Identifier: Apache-2.0
//
// test/lib/snapshot_chunks.h — all chunks of a snapshot at once, to be kept, cut anew, spoilt and given to
// another store.
#ifndef MUSTER_TEST_LIB_SNAPSHOT_CHUNKS_H
#define MUSTER_TEST_LIB_SNAPSHOT_CHUNKS_H

#include "reconciler/store/snapshot.h"
#include "test/lib/store_fixture.h"

struct snapshot_chunks {
    LIST_OF(struct bytes) all; // in the arena of who made them; writable
    uint64_t index, term;
};

// Aborts on failure.
struct snapshot_chunks snapshot_chunks_of(struct store_fixture *f, struct arena *arena);
// The same stream in pieces of so many bytes.
struct snapshot_chunks snapshot_chunks_cut(const struct snapshot_chunks *chunks, size_t piece_bytes,
                                           struct arena *arena);
// Begins, adds them one after the other and installs with this hard state; the first result that is not 0 or
// SNAPSHOT_COMPLETE, else 0. Ends either way.
int snapshot_chunks_install(const struct snapshot_chunks *chunks, struct store *store, uint64_t term,
                            uint64_t vote, struct error *err);

#endif
