// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/entries.h — payloads of the newest log entries, in memory: those that are not durable here
// yet, and as many before them as others are likely to ask for.
//
// A run of indexes without a gap, whose end is the end of the log. What is older is read from the store.
#ifndef MUSTER_RECONCILER_STORE_ENTRIES_H
#define MUSTER_RECONCILER_STORE_ENTRIES_H

#include "reconciler/store/format.h"

struct pending; // a proposal of this member that waits for its entry (replica_parts.h)

struct cached_entry {
    struct log_entry entry; // its payload is owned here
    struct pending *owner;  // NULL = nobody here waits for it
};

// Fields are private.
struct entries {
    struct cached_entry *ring;
    size_t capacity;
    uint64_t base; // the index before the first one held
    uint64_t last;
    size_t bytes;
};

void entries_init(struct entries *entries, size_t capacity, uint64_t last);
void entries_deinit(struct entries *entries);
// Holds a copy as index last + 1. There is room: the log is never longer than `capacity`.
void entries_push(struct entries *entries, const struct log_entry *entry, struct pending *owner);
void entries_cut(struct entries *entries, uint64_t last); // forgets what comes after
void entries_reset(struct entries *entries, uint64_t last);
// Forgets from the front what is over `bytes_max`, none after `index`.
void entries_evict(struct entries *entries, uint64_t index, size_t bytes_max);
struct cached_entry *entries_at(struct entries *entries, uint64_t index); // NULL = not held

#endif
