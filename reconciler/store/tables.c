// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/tables.c — looking through waiting records at a transaction.
#include "reconciler/store/tables.h"

#include "base/assert.h"
#include "reconciler/store/store.h"

int tables_get(const struct tables *tables, enum table table, const struct key *key, struct bytes *out,
               struct error *err) {
    const struct memtable_record *record =
        tables->memtable == NULL ? NULL : memtable_find(tables->memtable, table, key_bytes(key));
    if (record == NULL) {
        return environment_get(tables->environment, tables->txn, table, key, out, err);
    }
    *out = record->payload;
    return record->is_gone ? STORE_ABSENT : 0;
}

void tables_put(const struct tables *tables, enum table table, const struct key *key, struct bytes payload) {
    memtable_put(tables->memtable, table, key_bytes(key), payload);
}

int tables_append(const struct tables *tables, enum table table, const struct key *key, struct bytes payload,
                  struct error *err) {
    struct bytes bytes = key_bytes(key);
    if (!memtable_append(tables->memtable, table, bytes, payload)) {
        char text[KEY_TEXT_BYTES];
        return error_set(err, ERR_CORRUPT, "%s: out of order", key_describe(table, bytes, text));
    }
    return 0;
}

int tables_remove(const struct tables *tables, enum table table, const struct key *key, struct error *err) {
    struct bytes payload;
    int rc = tables_get(tables, table, key, &payload, err);
    if (rc == 0) {
        memtable_remove(tables->memtable, table, key_bytes(key));
    }
    return rc;
}

// --- walking ---

int table_cursor_begin(const struct tables *tables, enum table table, struct table_cursor *out,
                       struct error *err) {
    *out = (struct table_cursor){.tables = *tables, .table = table};
    return environment_cursor(tables->environment, tables->txn, table, &out->base, err);
}

void table_cursor_end(struct table_cursor *cursor) {
    if (cursor->base != NULL) {
        mdb_cursor_close(cursor->base);
        cursor->base = NULL;
    }
}

static int move_base(struct table_cursor *cursor, MDB_cursor_op op, const struct key *from,
                     struct error *err) {
    int rc = environment_move(cursor->base, cursor->table, op, from, &cursor->base_key, &cursor->base_payload,
                              err);
    cursor->has_base = rc == 0;
    return rc == STORE_END ? 0 : rc;
}

static const struct memtable_record *waiting(const struct table_cursor *cursor) {
    const struct memtable *memtable = cursor->tables.memtable;
    return memtable == NULL ? NULL : memtable_at(memtable, cursor->table, cursor->place);
}

// Where the next of both are equal, both were shown: the waiting one, for the other.
static int step_over(struct table_cursor *cursor, struct error *err) {
    if (cursor->is_waiting_last) {
        cursor->place = memtable_next(cursor->tables.memtable, cursor->table, cursor->place);
    }
    return cursor->is_base_last ? move_base(cursor, MDB_NEXT, NULL, err) : 0;
}

// Shows the lesser of the two; what is gone is stepped over.
static int show(struct table_cursor *cursor, struct bytes *key, struct bytes *payload, struct error *err) {
    for (;;) {
        const struct memtable_record *record = waiting(cursor);
        if (record == NULL && !cursor->has_base) {
            cursor->is_waiting_last = cursor->is_base_last = false;
            return STORE_END;
        }
        int order = record == NULL ? 1 : !cursor->has_base ? -1 : key_compare(record->key, cursor->base_key);
        cursor->is_waiting_last = order <= 0;
        cursor->is_base_last = order >= 0;
        if (order > 0 || !record->is_gone) {
            *key = order > 0 ? cursor->base_key : record->key;
            *payload = order > 0 ? cursor->base_payload : record->payload;
            return 0;
        }
        int rc = step_over(cursor, err);
        if (rc < 0) {
            return rc;
        }
    }
}

int table_seek(struct table_cursor *cursor, const struct key *from, struct bytes *key, struct bytes *payload,
               struct error *err) {
    const struct memtable *memtable = cursor->tables.memtable;
    cursor->is_begun = true;
    if (memtable != NULL) {
        struct bytes bytes = from == NULL ? (struct bytes){NULL, 0} : key_bytes(from);
        cursor->place = memtable_seek(memtable, cursor->table, from == NULL ? NULL : &bytes);
    }
    int rc = move_base(cursor, from == NULL ? MDB_FIRST : MDB_SET_RANGE, from, err);
    return rc < 0 ? rc : show(cursor, key, payload, err);
}

int table_next(struct table_cursor *cursor, struct bytes *key, struct bytes *payload, struct error *err) {
    if (!cursor->is_begun) {
        return table_seek(cursor, NULL, key, payload, err);
    }
    int rc = step_over(cursor, err);
    return rc < 0 ? rc : show(cursor, key, payload, err);
}
