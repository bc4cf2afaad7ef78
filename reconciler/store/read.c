// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/read.c — reading: read transactions, look-ups, iteration.
//
// A read transaction is renewed rather than made anew: beginning one costs about a microsecond. Keeping one
// open pins old pages and makes the file grow, so it lives within one turn of the loop.
#include "reconciler/store/store.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "reconciler/store/planted.h"
#include "reconciler/store/turn.h"

// --- transactions ---

static struct store_read *take_idle(struct store *store) {
    struct store_read *read = store->idle;
    store->idle = NULL;
    return read;
}

static int begin(struct store *store, struct store_read *read, struct error *err) {
    if (read->txn == NULL) {
        int rc = environment_begin(&store->environment, /*write=*/false, &read->txn, err);
        read->tables = (struct tables){&store->environment, read->txn, NULL};
        return rc;
    }
    int result = mdb_txn_renew(read->txn);
    return result == 0 ? 0 : environment_error(err, result, "renew a read of the store");
}

static void drop(struct store_read *read) {
    if (read->txn != NULL) {
        mdb_txn_abort(read->txn);
    }
    xfree(read);
}

static struct store_read *read_turn(struct store *store) {
    struct store_read *read = NEW(struct store_read);
    *read = (struct store_read){.store = store,
                                .txn = store->turn->tables.txn,
                                .tables = store->turn->tables,
                                .state = store->turn->state,
                                .is_of_turn = true};
    store->turn_reads++;
    store->reads++;
    return read;
}

int store_read_begin(struct store *store, struct store_read **out, struct error *err) {
    if (store->turn != NULL && !STORE_PLANTED(READ_BESIDE_TURN)) {
        *out = read_turn(store);
        return 0;
    }
    struct store_read *read = take_idle(store);
    if (read == NULL) {
        read = NEW(struct store_read);
        read->store = store;
    }
    int rc = begin(store, read, err);
    rc = rc < 0 ? rc : meta_state_get(&store->environment, read->txn, &read->state, err);
    if (rc < 0) {
        drop(read);
        return rc;
    }
    store->reads++;
    *out = read;
    return 0;
}

void store_read_end(struct store_read *read) {
    if (read == NULL) {
        return;
    }
    struct store *store = read->store;
    ASSERT(store->reads > 0);
    store->reads--;
    if (read->is_of_turn) {
        store->turn_reads--;
        xfree(read);
    } else if (store->idle != NULL) {
        drop(read);
    } else {
        mdb_txn_reset(read->txn);
        store->idle = read;
    }
}

int64_t store_read_revision(const struct store_read *read) {
    return read->state.applied;
}

int64_t store_count(struct store_read *read, enum object_kind kind) {
    return kind > KIND_NONE && kind < KIND_END ? read->state.objects[kind] : 0;
}

// --- look-ups ---

static int get(struct store_read *read, enum table table, const struct key *key, struct bytes *out,
               struct error *err) {
    return tables_get(&read->tables, table, key, out, err);
}

int store_get(struct store_read *read, enum object_kind kind, const struct id *id, struct bytes *out,
              struct error *err) {
    struct key key = key_object(kind, id->text);
    return get(read, TABLE_OBJECTS, &key, out, err);
}

int store_find_name(struct store_read *read, enum object_kind kind, const char *name, struct id *out,
                    struct error *err) {
    if (name[0] == '\0' || strlen(name) > STORE_NAME_BYTES_MAX) {
        return STORE_ABSENT;
    }
    struct key key = key_named(kind, name);
    struct bytes payload;
    int rc = get(read, TABLE_NAMES, &key, &payload, err);
    return rc != 0 ? rc : format_id_read(payload, out, err);
}

static int resolve_prefix(struct store_read *read, enum object_kind kind, const char *prefix, struct id *out,
                          struct error *err) {
    struct key from = key_object(kind, prefix);
    struct bytes first, second, payload;
    struct table_cursor cursor;
    int rc = table_cursor_begin(&read->tables, TABLE_OBJECTS, &cursor, err);
    if (rc < 0) {
        return rc;
    }
    rc = table_seek(&cursor, &from, &first, &payload, err);
    if (rc == STORE_END || (rc == 0 && !key_starts(first, &from))) {
        rc = STORE_ABSENT;
    } else if (rc == 0) {
        rc = table_next(&cursor, &second, &payload, err);
        rc = rc == STORE_END ? 0 : rc == 0 && key_starts(second, &from) ? STORE_AMBIGUOUS : rc;
    }
    table_cursor_end(&cursor);
    if (rc == 0 && !key_id_at(first, 1, out)) {
        return error_set(err, ERR_CORRUPT, "malformed key of a %s", object_kind_name(kind));
    }
    return rc;
}

int store_resolve(struct store_read *read, enum object_kind kind, const char *reference, struct id *out,
                  struct error *err) {
    struct id id;
    struct bytes object;
    if (id_parse(reference, &id)) {
        int rc = store_get(read, kind, &id, &object, err);
        if (rc == 0) {
            *out = id;
        }
        if (rc != STORE_ABSENT) {
            return rc;
        }
    }
    int rc = store_find_name(read, kind, reference, out, err);
    if (rc != STORE_ABSENT || reference[0] == '\0' || strlen(reference) >= ID_LEN) {
        return rc;
    }
    return resolve_prefix(read, kind, reference, out, err);
}

int store_load(struct store_read *read, enum object_kind kind, const struct id *id, struct arena *arena,
               void **out, struct error *err) {
    struct bytes bytes;
    const struct schema *schema = object_schema(kind);
    int rc = schema == NULL ? STORE_ABSENT : store_get(read, kind, id, &bytes, err);
    if (rc != 0) {
        return rc;
    }
    void *object = arena_alloc(arena, schema->bytes);
    rc = wire_decode(schema, bytes, object, arena, err);
    if (rc < 0) {
        return error_wrap(err, rc, "%s %s", object_kind_name(kind), id->text);
    }
    *out = object;
    return 0;
}

// --- iteration ---

static enum table table_of(enum store_index index) {
    static const enum table tables[] = {
        [STORE_ALL] = TABLE_OBJECTS,
        [STORE_TASKS_OF_SERVICE] = TABLE_TASKS_BY_SERVICE,
        [STORE_TASKS_OF_NODE] = TABLE_TASKS_BY_NODE,
        [STORE_REVISIONS_OF_SERVICE] = TABLE_REVISIONS,
    };
    return tables[index];
}

static struct key prefix_of(const struct store_cursor *cursor) {
    return cursor->index == STORE_ALL ? key_object(cursor->kind, "") : key_text(cursor->key.text);
}

int store_each_begin(struct store_read *read, enum store_index index, enum object_kind kind,
                     const struct id *key, struct store_cursor *out, struct error *err) {
    ASSERT(IMPLIES(index != STORE_ALL, key != NULL));
    struct table_cursor *position = NEW(struct table_cursor);
    int rc = table_cursor_begin(&read->tables, table_of(index), position, err);
    if (rc < 0) {
        xfree(position);
        return rc;
    }
    *out = (struct store_cursor){.read = read, .position = position, .index = index, .kind = kind};
    if (index != STORE_ALL) {
        out->kind = index == STORE_REVISIONS_OF_SERVICE ? KIND_REVISION : KIND_TASK;
        out->key = *key;
    }
    return 0;
}

void store_each_after(struct store_cursor *cursor, const struct id *id) {
    ASSERT(cursor->index != STORE_REVISIONS_OF_SERVICE && !cursor->started);
    cursor->after = *id;
}

// Moves to the first entry, or to the one after that of `after`.
static int move_first(const struct store_cursor *cursor, const struct key *prefix, struct bytes *key,
                      struct bytes *payload, struct error *err) {
    struct key from = *prefix;
    if (!id_is_none(&cursor->after)) {
        from = cursor->index == STORE_ALL ? key_object(cursor->kind, cursor->after.text)
                                          : key_pair(&cursor->key, &cursor->after);
    }
    int rc = table_seek(cursor->position, &from, key, payload, err);
    if (rc == 0 && !id_is_none(&cursor->after) && key->len == from.len &&
        memcmp(key->data, from.data, from.len) == 0) {
        rc = table_next(cursor->position, key, payload, err);
    }
    return rc;
}

// The id that the entry under the cursor leads to.
static int id_of_entry(const struct store_cursor *cursor, struct bytes key, struct bytes payload,
                       struct id *out, struct error *err) {
    if (cursor->index == STORE_REVISIONS_OF_SERVICE) {
        return format_id_read(payload, out, err);
    }
    bool good = key_id_at(key, cursor->index == STORE_ALL ? 1 : ID_LEN, out);
    return good ? 0 : error_set(err, ERR_CORRUPT, "malformed key in %s", table_name(table_of(cursor->index)));
}

int store_each_next(struct store_cursor *cursor, struct id *out_id, struct bytes *out, struct error *err) {
    struct key prefix = prefix_of(cursor);
    struct bytes key, payload;
    enum table table = table_of(cursor->index);
    int rc = cursor->started ? table_next(cursor->position, &key, &payload, err)
                             : move_first(cursor, &prefix, &key, &payload, err);
    cursor->started = true;
    if (rc != 0 || !key_starts(key, &prefix)) {
        return rc < 0 ? rc : STORE_END;
    }
    struct id id;
    rc = id_of_entry(cursor, key, payload, &id, err);
    if (rc == 0 && cursor->index != STORE_ALL) {
        rc = store_get(cursor->read, cursor->kind, &id, &payload, err);
        rc = rc != STORE_ABSENT ? rc
                                : error_set(err, ERR_CORRUPT, "%s: entry without its %s %s",
                                            table_name(table), object_kind_name(cursor->kind), id.text);
    }
    if (rc == 0) {
        *out_id = id;
        *out = payload;
    }
    return rc;
}

void store_each_end(struct store_cursor *cursor) {
    if (cursor->position != NULL) {
        table_cursor_end(cursor->position);
        xfree(cursor->position);
        cursor->position = NULL;
    }
}

int store_each_object(struct store_read *read, enum store_index index, enum object_kind kind,
                      const struct id *key, struct arena *arena, store_take *take, void *context,
                      struct error *err) {
    const struct schema *schema = object_schema(kind);
    struct store_cursor cursor;
    struct id id;
    struct bytes bytes;
    int rc = store_each_begin(read, index, kind, key, &cursor, err);
    if (rc < 0) {
        return rc;
    }
    while ((rc = store_each_next(&cursor, &id, &bytes, err)) == 0) {
        void *object = arena_alloc(arena, schema->bytes);
        rc = wire_decode(schema, bytes, object, arena, err);
        rc = rc < 0 ? error_wrap(err, rc, "%s %s", object_kind_name(kind), id.text)
                    : take(context, object, arena, err);
        if (rc < 0) {
            break;
        }
    }
    store_each_end(&cursor);
    return rc < 0 ? rc : 0;
}
