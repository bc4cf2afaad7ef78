// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/memtable.h — records that wait in memory for the next commit of the tables.
//
// What entries change lies scattered over the tables, and LMDB writes each page that was touched; a record
// alone costs a page, the records of thousands of entries share theirs. So effects are collected here, sorted
// by key, and written together (the memtable of a log-structured merge tree: O'Neil and others, 1996). They
// follow from the log, which is durable without them.
//
// Ownership    Keys and payloads are copied; what is shown stays as it is until memtable_clear.
#ifndef MUSTER_RECONCILER_STORE_MEMTABLE_H
#define MUSTER_RECONCILER_STORE_MEMTABLE_H

#include "base/arena.h"
#include "reconciler/store/environment.h"

struct memtable_record {
    struct bytes key, payload;
    bool is_gone;   // the table has it no more
    bool is_append; // it belongs behind all that the table had
};

// A search compares the first bytes of keys, which lie side by side, and follows the pointer only when they
// are equal. An insertion moves the slots of one block at most.
struct memtable_slot {
    uint64_t prefix; // the key's first bytes as a number
    struct memtable_record *record;
};
#define MEMTABLE_BLOCK_SLOTS 128
struct memtable_block {
    size_t count; // never 0
    struct memtable_slot slots[MEMTABLE_BLOCK_SLOTS];
};
struct memtable_table {
    struct memtable_block **blocks; // by key
    size_t count, capacity;
};

// Zero-initialised is empty. Fields are private.
struct memtable {
    struct arena arena;
    struct memtable_table tables[TABLE_END];
    size_t bytes;
};

bool memtable_is_empty(const struct memtable *memtable);
// About how much memory it takes, what was replaced included.
size_t memtable_bytes(const struct memtable *memtable);
void memtable_put(struct memtable *memtable, enum table table, struct bytes key, struct bytes payload);
// Behind all that are here; false, and nothing changes, for a key that does not belong there.
bool memtable_append(struct memtable *memtable, enum table table, struct bytes key, struct bytes payload);
void memtable_remove(struct memtable *memtable, enum table table, struct bytes key);
// NULL = nothing is known of that key here.
const struct memtable_record *memtable_find(const struct memtable *memtable, enum table table,
                                            struct bytes key);
// The place of the first record at or after `key` (NULL: of all), and of the one after it; memtable_at is NULL
// behind the last. A place ends with the next change.
struct memtable_place {
    size_t block, slot;
};
struct memtable_place memtable_seek(const struct memtable *memtable, enum table table,
                                    const struct bytes *key);
struct memtable_place memtable_next(const struct memtable *memtable, enum table table,
                                    struct memtable_place place);
const struct memtable_record *memtable_at(const struct memtable *memtable, enum table table,
                                          struct memtable_place place);
// Writes all into the transaction; it stays as it is.
int memtable_write(const struct memtable *memtable, const struct environment *environment, MDB_txn *txn,
                   struct error *err);
void memtable_clear(struct memtable *memtable); // keeps memory for what comes next
void memtable_free(struct memtable *memtable);

#endif
