// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/memtable.c — for each table sorted blocks of pointers to its records, like the leaves of a
// B-tree with one root.
#include "reconciler/store/memtable.h"

#include <endian.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "reconciler/store/store.h"

#define CAPACITY_FIRST 16

bool memtable_is_empty(const struct memtable *memtable) {
    return memtable->bytes == 0;
}

size_t memtable_bytes(const struct memtable *memtable) {
    return memtable->bytes;
}

static uint64_t prefix_of(struct bytes key) {
    uint64_t prefix = 0;
    memcpy(&prefix, key.data, key.len < sizeof prefix ? key.len : sizeof prefix);
    return be64toh(prefix);
}

static int compare(const struct memtable_slot *slot, uint64_t prefix, struct bytes key) {
    return slot->prefix != prefix ? (slot->prefix < prefix ? -1 : 1) : key_compare(slot->record->key, key);
}

// The first block that reaches as far as the key.
static size_t seek_block(const struct memtable_table *in, uint64_t prefix, struct bytes key) {
    size_t from = 0, to = in->count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        const struct memtable_block *block = in->blocks[middle];
        bool is_before = compare(&block->slots[block->count - 1], prefix, key) < 0;
        from = is_before ? middle + 1 : from;
        to = is_before ? to : middle;
    }
    return from;
}

static size_t seek_slot(const struct memtable_block *block, uint64_t prefix, struct bytes key) {
    size_t from = 0, to = block->count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        bool is_before = compare(&block->slots[middle], prefix, key) < 0;
        from = is_before ? middle + 1 : from;
        to = is_before ? to : middle;
    }
    return from;
}

struct memtable_place memtable_seek(const struct memtable *memtable, enum table table,
                                    const struct bytes *key) {
    const struct memtable_table *in = &memtable->tables[table];
    struct memtable_place place = {0};
    if (key != NULL) {
        uint64_t prefix = prefix_of(*key);
        place.block = seek_block(in, prefix, *key);
        place.slot = place.block < in->count ? seek_slot(in->blocks[place.block], prefix, *key) : 0;
    }
    return place;
}

struct memtable_place memtable_next(const struct memtable *memtable, enum table table,
                                    struct memtable_place place) {
    const struct memtable_table *in = &memtable->tables[table];
    bool is_last = place.slot + 1 == in->blocks[place.block]->count;
    return is_last ? (struct memtable_place){place.block + 1, 0}
                   : (struct memtable_place){place.block, place.slot + 1};
}

const struct memtable_record *memtable_at(const struct memtable *memtable, enum table table,
                                          struct memtable_place place) {
    const struct memtable_table *in = &memtable->tables[table];
    return place.block < in->count ? in->blocks[place.block]->slots[place.slot].record : NULL;
}

const struct memtable_record *memtable_find(const struct memtable *memtable, enum table table,
                                            struct bytes key) {
    const struct memtable_record *record = memtable_at(memtable, table, memtable_seek(memtable, table, &key));
    return record != NULL && key_compare(record->key, key) == 0 ? record : NULL;
}

static struct memtable_block *add_block(struct memtable *memtable, struct memtable_table *in, size_t at) {
    if (in->count == in->capacity) {
        in->capacity = in->capacity == 0 ? CAPACITY_FIRST : 2 * in->capacity;
        in->blocks = xrealloc(in->blocks, in->capacity * sizeof(struct memtable_block *));
    }
    memmove(in->blocks + at + 1, in->blocks + at, (in->count - at) * sizeof(struct memtable_block *));
    in->count++;
    return in->blocks[at] = ARENA_NEW(&memtable->arena, struct memtable_block);
}

// The upper half of a full block becomes the next one.
static void split(struct memtable *memtable, struct memtable_table *in, size_t at) {
    struct memtable_block *upper = add_block(memtable, in, at + 1), *lower = in->blocks[at];
    size_t half = lower->count / 2;
    upper->count = lower->count - half;
    memcpy(upper->slots, lower->slots + half, upper->count * sizeof *upper->slots);
    lower->count = half;
}

// A free slot at the place. Behind the last, where events come, blocks are filled whole.
static struct memtable_slot *make_room(struct memtable *memtable, struct memtable_table *in,
                                       struct memtable_place place) {
    if (place.block == in->count) {
        bool has_room = in->count > 0 && in->blocks[in->count - 1]->count < MEMTABLE_BLOCK_SLOTS;
        struct memtable_block *last =
            has_room ? in->blocks[in->count - 1] : add_block(memtable, in, in->count);
        return &last->slots[last->count++];
    }
    if (in->blocks[place.block]->count == MEMTABLE_BLOCK_SLOTS) {
        split(memtable, in, place.block);
        size_t lower = in->blocks[place.block]->count;
        place = place.slot < lower ? place : (struct memtable_place){place.block + 1, place.slot - lower};
    }
    struct memtable_block *block = in->blocks[place.block];
    struct memtable_slot *slot = block->slots + place.slot;
    memmove(slot + 1, slot, (block->count - place.slot) * sizeof *slot);
    block->count++;
    return slot;
}

static struct bytes copy(struct memtable *memtable, struct bytes bytes) {
    memtable->bytes += bytes.len;
    return (struct bytes){bytes.len > 0 ? arena_copy(&memtable->arena, bytes.data, bytes.len) : NULL,
                          bytes.len};
}

static struct memtable_record *add_record(struct memtable *memtable, struct memtable_table *in,
                                          struct memtable_place place, struct bytes key) {
    struct memtable_record *record = ARENA_NEW(&memtable->arena, struct memtable_record);
    record->key = copy(memtable, key);
    memtable->bytes += sizeof *record + sizeof(struct memtable_slot);
    *make_room(memtable, in, place) = (struct memtable_slot){prefix_of(key), record};
    return record;
}

static struct memtable_record *record_of(struct memtable *memtable, enum table table, struct bytes key) {
    struct memtable_place place = memtable_seek(memtable, table, &key);
    const struct memtable_record *found = memtable_at(memtable, table, place);
    struct memtable_table *in = &memtable->tables[table];
    if (found != NULL && key_compare(found->key, key) == 0) {
        return in->blocks[place.block]->slots[place.slot].record;
    }
    return add_record(memtable, in, place, key);
}

void memtable_put(struct memtable *memtable, enum table table, struct bytes key, struct bytes payload) {
    struct memtable_record *record = record_of(memtable, table, key);
    record->payload = copy(memtable, payload);
    record->is_append = false;
    record->is_gone = false;
}

bool memtable_append(struct memtable *memtable, enum table table, struct bytes key, struct bytes payload) {
    struct memtable_table *in = &memtable->tables[table];
    const struct memtable_block *last = in->count > 0 ? in->blocks[in->count - 1] : NULL;
    if (last != NULL && compare(&last->slots[last->count - 1], prefix_of(key), key) >= 0) {
        return false;
    }
    struct memtable_record *record = add_record(memtable, in, (struct memtable_place){in->count, 0}, key);
    record->payload = copy(memtable, payload);
    record->is_append = true;
    return true;
}

void memtable_remove(struct memtable *memtable, enum table table, struct bytes key) {
    struct memtable_record *record = record_of(memtable, table, key);
    record->payload = (struct bytes){NULL, 0};
    record->is_gone = true;
}

static int write_one(MDB_cursor *cursor, enum table table, const struct memtable_record *record,
                     struct error *err) {
    if (record->is_gone) { // which need not be there: it may have come and gone while it waited
        int rc = environment_remove_at(cursor, table, record->key, err);
        return rc == STORE_ABSENT ? 0 : rc;
    }
    return environment_put_at(cursor, table, record->key, record->payload, record->is_append, err);
}

static int write_table(const struct memtable *memtable, const struct environment *environment, MDB_txn *txn,
                       enum table table, struct error *err) {
    struct memtable_place place = {0};
    const struct memtable_record *record = memtable_at(memtable, table, place);
    MDB_cursor *cursor;
    int rc = record == NULL ? STORE_END : environment_cursor(environment, txn, table, &cursor, err);
    if (rc != 0) {
        return rc == STORE_END ? 0 : rc;
    }
    while (rc == 0 && record != NULL) {
        rc = write_one(cursor, table, record, err);
        place = memtable_next(memtable, table, place);
        record = memtable_at(memtable, table, place);
    }
    mdb_cursor_close(cursor);
    return rc;
}

int memtable_write(const struct memtable *memtable, const struct environment *environment, MDB_txn *txn,
                   struct error *err) {
    int rc = 0;
    for (int table = TABLE_NONE + 1; rc == 0 && table < TABLE_END; table++) {
        rc = write_table(memtable, environment, txn, (enum table)table, err);
    }
    return rc;
}

void memtable_clear(struct memtable *memtable) {
    arena_clear(&memtable->arena);
    for (int table = TABLE_NONE + 1; table < TABLE_END; table++) {
        memtable->tables[table].count = 0;
    }
    memtable->bytes = 0;
}

void memtable_free(struct memtable *memtable) {
    arena_free(&memtable->arena);
    for (int table = TABLE_NONE + 1; table < TABLE_END; table++) {
        xfree(memtable->tables[table].blocks);
    }
    *memtable = (struct memtable){0};
}
