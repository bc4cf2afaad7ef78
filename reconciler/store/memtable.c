// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/memtable.c — a sorted array of records for each table: events come in order and are
// appended, of the others a few thousand pointers are moved at most.
#include "reconciler/store/memtable.h"

#include <endian.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "reconciler/store/store.h"

#define CAPACITY_FIRST 64

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

size_t memtable_seek(const struct memtable *memtable, enum table table, struct bytes key) {
    const struct memtable_table *in = &memtable->tables[table];
    uint64_t prefix = prefix_of(key);
    size_t from = 0, to = in->count;
    if (to > 0 && compare(&in->slots[to - 1], prefix, key) < 0) {
        return to; // events come in order
    }
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        bool is_before = compare(&in->slots[middle], prefix, key) < 0;
        from = is_before ? middle + 1 : from;
        to = is_before ? to : middle;
    }
    return from;
}

const struct memtable_record *memtable_at(const struct memtable *memtable, enum table table, size_t place) {
    const struct memtable_table *in = &memtable->tables[table];
    return place < in->count ? in->slots[place].record : NULL;
}

static bool is_at(const struct memtable_table *in, size_t place, struct bytes key) {
    return place < in->count && compare(&in->slots[place], prefix_of(key), key) == 0;
}

const struct memtable_record *memtable_find(const struct memtable *memtable, enum table table,
                                            struct bytes key) {
    size_t place = memtable_seek(memtable, table, key);
    return is_at(&memtable->tables[table], place, key) ? memtable->tables[table].slots[place].record : NULL;
}

static void make_room(struct memtable_table *in, size_t place) {
    if (in->count == in->capacity) {
        in->capacity = in->capacity == 0 ? CAPACITY_FIRST : 2 * in->capacity;
        in->slots = xrealloc(in->slots, in->capacity * sizeof *in->slots);
    }
    memmove(in->slots + place + 1, in->slots + place, (in->count - place) * sizeof *in->slots);
    in->count++;
}

static struct bytes copy(struct memtable *memtable, struct bytes bytes) {
    memtable->bytes += bytes.len;
    return (struct bytes){bytes.len > 0 ? arena_copy(&memtable->arena, bytes.data, bytes.len) : NULL,
                          bytes.len};
}

static struct memtable_record *record_of(struct memtable *memtable, enum table table, struct bytes key) {
    struct memtable_table *in = &memtable->tables[table];
    size_t place = memtable_seek(memtable, table, key);
    if (is_at(in, place, key)) {
        return in->slots[place].record;
    }
    make_room(in, place);
    struct memtable_record *record = ARENA_NEW(&memtable->arena, struct memtable_record);
    record->key = copy(memtable, key);
    memtable->bytes += sizeof *record + sizeof *in->slots;
    in->slots[place] = (struct memtable_slot){prefix_of(key), record};
    return record;
}

void memtable_put(struct memtable *memtable, enum table table, struct bytes key, struct bytes payload,
                  bool is_append) {
    struct memtable_record *record = record_of(memtable, table, key);
    record->payload = copy(memtable, payload);
    record->is_append = is_append;
    record->is_gone = false;
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

static int write_table(const struct memtable_table *in, const struct environment *environment, MDB_txn *txn,
                       enum table table, struct error *err) {
    MDB_cursor *cursor;
    int rc = in->count == 0 ? STORE_END : environment_cursor(environment, txn, table, &cursor, err);
    if (rc != 0) {
        return rc == STORE_END ? 0 : rc;
    }
    for (size_t i = 0; rc == 0 && i < in->count; i++) {
        rc = write_one(cursor, table, in->slots[i].record, err);
    }
    mdb_cursor_close(cursor);
    return rc;
}

int memtable_write(const struct memtable *memtable, const struct environment *environment, MDB_txn *txn,
                   struct error *err) {
    int rc = 0;
    for (int table = TABLE_NONE + 1; rc == 0 && table < TABLE_END; table++) {
        rc = write_table(&memtable->tables[table], environment, txn, (enum table)table, err);
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
        xfree(memtable->tables[table].slots);
    }
    *memtable = (struct memtable){0};
}
