// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/environment.c — the LMDB environment behind its own codes and records.
//
// Sync is LMDB's default and nothing else: data, then the meta page, each synced before commit returns.
#include "reconciler/store/environment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "reconciler/store/planted.h"
#include "reconciler/store/store.h"

#define ENVIRONMENT_FILE_MODE 0600
#define TABLES_MAX (2 * TABLE_END)

static MDB_val val_of(struct bytes bytes) {
    // LMDB's struct has no const; it does not write through it.
    return (MDB_val){bytes.len, (void *)(uintptr_t)bytes.data};
}

static struct bytes bytes_of(const MDB_val *val) {
    return (struct bytes){val->mv_data, val->mv_size};
}

int environment_error(struct error *err, int result, const char *what) {
    switch (result) {
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
        return error_set(err, ERR_NO_SPACE, "%s: the store has reached its largest size", what);
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_NOTFOUND:
    case MDB_INCOMPATIBLE:
    case MDB_BAD_TXN:
        return error_set(err, ERR_CORRUPT, "%s: %s", what, mdb_strerror(result));
    default:
        return result > 0 ? error_sys(err, result, "%s", what)
                          : error_set(err, ERR_SYSTEM, "%s: %s", what, mdb_strerror(result));
    }
}

#define SHADOW_SUFFIX ".1"

// MDB_NOTFOUND when the table is not there and flags do not say that it is to be made.
static int open_table(MDB_txn *txn, enum table table, const char *suffix, unsigned flags, MDB_dbi *out) {
    char name[64];
    snprintf(name, sizeof name, "%s%s", table_name(table), suffix);
    return mdb_dbi_open(txn, name, flags, out);
}

static int open_set(struct environment *environment, MDB_txn *txn, unsigned flags, struct error *err) {
    for (int table = TABLE_NONE + 1; table < TABLE_END; table++) {
        int result = open_table(txn, (enum table)table, "", flags, &environment->tables[table]);
        if (result != 0) {
            return environment_error(err, result, table_name((enum table)table));
        }
    }
    return 0;
}

static int open_shadows(struct environment *environment, MDB_txn *txn, unsigned flags, struct error *err) {
    for (int table = TABLE_OBJECTS; table < TABLE_END; table++) {
        int result = open_table(txn, (enum table)table, SHADOW_SUFFIX, flags, &environment->shadows[table]);
        if (result == MDB_NOTFOUND && table == TABLE_OBJECTS) {
            return 0; // a store of version 1
        }
        if (result != 0) {
            return environment_error(err, result, table_name((enum table)table));
        }
    }
    environment->has_shadows = true;
    return 0;
}

static int open_tables(struct environment *environment, enum environment_mode mode, struct error *err) {
    MDB_txn *txn;
    unsigned flags = mode == ENVIRONMENT_CREATE ? MDB_CREATE : 0;
    int rc = environment_begin(environment, mode == ENVIRONMENT_CREATE, &txn, err);
    if (rc < 0) {
        return rc;
    }
    rc = open_set(environment, txn, flags, err);
    rc = rc < 0 ? rc : open_shadows(environment, txn, flags, err);
    if (rc < 0) {
        mdb_txn_abort(txn);
        return rc;
    }
    return environment_commit(txn, err);
}

int environment_add_shadows(struct environment *environment, MDB_txn *txn, struct error *err) {
    return open_shadows(environment, txn, MDB_CREATE, err);
}

struct environment environment_other(const struct environment *environment) {
    struct environment other = *environment;
    for (int table = TABLE_OBJECTS; table < TABLE_END; table++) {
        other.tables[table] = environment->shadows[table];
        other.shadows[table] = environment->tables[table];
    }
    other.generation = 1 - environment->generation;
    return other;
}

void environment_show(struct environment *environment, uint64_t generation) {
    ASSERT(generation <= 1);
    if (environment->generation != generation) {
        *environment = environment_other(environment);
    }
}

int environment_empty(const struct environment *environment, MDB_txn *txn, enum table table,
                      struct error *err) {
    int result = mdb_drop(txn, environment->tables[table], /*del=*/0);
    return result == 0 ? 0 : environment_error(err, result, table_name(table));
}

int environment_empty_set(const struct environment *environment, MDB_txn *txn, bool *out_had_any,
                          struct error *err) {
    bool had_any = false;
    for (int table = TABLE_OBJECTS; table < TABLE_END; table++) {
        MDB_stat stat;
        int result = mdb_stat(txn, environment->tables[table], &stat);
        if (result != 0) {
            return environment_error(err, result, table_name((enum table)table));
        }
        if (stat.ms_entries > 0) {
            int rc = environment_empty(environment, txn, (enum table)table, err);
            if (rc < 0) {
                return rc;
            }
            had_any = true;
        }
    }
    *out_had_any = had_any;
    return 0;
}

// LMDB leaves its descriptor open for programs that are started.
static int close_on_exec(MDB_env *env) {
    int fd;
    int result = mdb_env_get_fd(env, &fd);
    return result != 0 ? result : fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 ? 0 : errno;
}

int environment_open(const char *dir, size_t map_bytes, enum environment_mode mode, struct environment *out,
                     struct error *err) {
    struct environment environment = {0};
    int result = mdb_env_create(&environment.env);
    if (result != 0) {
        return environment_error(err, result, "make an LMDB environment");
    }
    // Several read transactions may be open in the loop thread, hence NOTLS.
    unsigned flags = MDB_NOTLS | (mode == ENVIRONMENT_READ ? MDB_RDONLY | MDB_NOLOCK | MDB_NORDAHEAD : 0);
    result = mdb_env_set_maxdbs(environment.env, TABLES_MAX);
    result = result != 0 ? result : mdb_env_set_mapsize(environment.env, map_bytes);
    result = result != 0 ? result : mdb_env_open(environment.env, dir, flags, ENVIRONMENT_FILE_MODE);
    result = result != 0 ? result : close_on_exec(environment.env);
    int rc = result == 0 ? 0 : environment_error(err, result, "open " ENVIRONMENT_FILE);
    rc = rc < 0 ? rc : open_tables(&environment, mode, err);
    if (rc < 0) {
        environment_close(&environment);
        return rc;
    }
    *out = environment;
    return 0;
}

void environment_close(struct environment *environment) {
    if (environment->env != NULL) {
        mdb_env_close(environment->env);
        environment->env = NULL;
    }
}

int environment_begin(const struct environment *environment, bool write, MDB_txn **out, struct error *err) {
    int result = mdb_txn_begin(environment->env, NULL, write ? 0 : MDB_RDONLY, out);
    return result == 0 ? 0 : environment_error(err, result, "begin a transaction of the store");
}

int environment_commit(MDB_txn *txn, struct error *err) {
    int result = mdb_txn_commit(txn);
    if (STORE_PLANTED(MAP_FULL_IS_SUCCESS) && (result == MDB_MAP_FULL || result == MDB_BAD_TXN)) {
        return 0;
    }
    return result == 0 ? 0 : environment_error(err, result, "commit to the store");
}

int environment_get(const struct environment *environment, MDB_txn *txn, enum table table,
                    const struct key *key, struct bytes *out, struct error *err) {
    MDB_val k = val_of(key_bytes(key)), v;
    int result = mdb_get(txn, environment->tables[table], &k, &v);
    if (result == MDB_NOTFOUND) {
        return STORE_ABSENT;
    }
    return result == 0 ? record_read(table, key_bytes(key), bytes_of(&v), out, err)
                       : environment_error(err, result, table_name(table));
}

static int put_failed(enum table table, struct bytes key, int result, struct error *err) {
    if (result == MDB_KEYEXIST) {
        char text[KEY_TEXT_BYTES];
        return error_set(err, ERR_CORRUPT, "%s: out of order", key_describe(table, key, text));
    }
    if (STORE_PLANTED(MAP_FULL_IS_SUCCESS) && (result == MDB_MAP_FULL || result == MDB_BAD_TXN)) {
        return 0;
    }
    return environment_error(err, result, table_name(table));
}

static int put(const struct environment *environment, MDB_txn *txn, enum table table, const struct key *key,
               struct bytes payload, unsigned flags, struct error *err) {
    ASSERT(key->len > 0 && key->len < KEY_BYTES_MAX);
    MDB_val k = val_of(key_bytes(key)), v = {RECORD_HEAD_BYTES + payload.len, NULL};
    int result = mdb_put(txn, environment->tables[table], &k, &v, flags | MDB_RESERVE);
    if (result != 0) {
        return put_failed(table, key_bytes(key), result, err);
    }
    record_write(table, key_bytes(key), payload, v.mv_data);
    return 0;
}

int environment_put(const struct environment *environment, MDB_txn *txn, enum table table,
                    const struct key *key, struct bytes payload, struct error *err) {
    return put(environment, txn, table, key, payload, 0, err);
}

int environment_append(const struct environment *environment, MDB_txn *txn, enum table table,
                       const struct key *key, struct bytes payload, struct error *err) {
    return put(environment, txn, table, key, payload, MDB_APPEND, err);
}

int environment_put_at(MDB_cursor *cursor, enum table table, struct bytes key, struct bytes payload,
                       bool is_append, struct error *err) {
    ASSERT(key.len > 0 && key.len < KEY_BYTES_MAX);
    MDB_val k = val_of(key), v = {RECORD_HEAD_BYTES + payload.len, NULL};
    int result = mdb_cursor_put(cursor, &k, &v, MDB_RESERVE | (is_append ? MDB_APPEND : 0));
    if (result != 0) {
        return put_failed(table, key, result, err);
    }
    record_write(table, key, payload, v.mv_data);
    return 0;
}

static int removed(enum table table, int result, struct error *err) {
    return result == 0              ? 0
           : result == MDB_NOTFOUND ? STORE_ABSENT
                                    : environment_error(err, result, table_name(table));
}

int environment_remove(const struct environment *environment, MDB_txn *txn, enum table table,
                       const struct key *key, struct error *err) {
    MDB_val k = val_of(key_bytes(key));
    return removed(table, mdb_del(txn, environment->tables[table], &k, NULL), err);
}

int environment_remove_at(MDB_cursor *cursor, enum table table, struct bytes key, struct error *err) {
    MDB_val k = val_of(key), v;
    int result = mdb_cursor_get(cursor, &k, &v, MDB_SET);
    return removed(table, result != 0 ? result : mdb_cursor_del(cursor, 0), err);
}

int environment_cursor(const struct environment *environment, MDB_txn *txn, enum table table,
                       MDB_cursor **out, struct error *err) {
    int result = mdb_cursor_open(txn, environment->tables[table], out);
    return result == 0 ? 0 : environment_error(err, result, table_name(table));
}

int environment_move(MDB_cursor *cursor, enum table table, MDB_cursor_op op, const struct key *from,
                     struct bytes *key, struct bytes *payload, struct error *err) {
    MDB_val k = {0}, v;
    if (from != NULL) {
        k = val_of(key_bytes(from));
    }
    int result = mdb_cursor_get(cursor, &k, &v, op);
    if (result == MDB_NOTFOUND) {
        return STORE_END;
    }
    if (result != 0) {
        return environment_error(err, result, table_name(table));
    }
    struct bytes found = bytes_of(&k);
    int rc = record_read(table, found, bytes_of(&v), payload, err);
    if (rc == 0) {
        *key = found;
    }
    return rc;
}

static int show_removed(MDB_cursor *cursor, enum table table, const MDB_val *k, const MDB_val *v,
                        environment_visit *visit, void *context, struct error *err) {
    struct bytes payload;
    int rc = visit == NULL ? 0 : record_read(table, bytes_of(k), bytes_of(v), &payload, err);
    rc = rc < 0 || visit == NULL ? rc : visit(context, bytes_of(k), payload, err);
    return rc < 0 ? rc : removed(table, mdb_cursor_del(cursor, 0), err);
}

int environment_remove_until(const struct environment *environment, MDB_txn *txn, enum table table,
                             const struct key *last, environment_visit *visit, void *context,
                             struct error *err) {
    MDB_cursor *cursor;
    int rc = environment_cursor(environment, txn, table, &cursor, err);
    if (rc < 0) {
        return rc;
    }
    MDB_val k, v;
    int result = mdb_cursor_get(cursor, &k, &v, MDB_FIRST);
    while (rc == 0 && result == 0 && key_compare(bytes_of(&k), key_bytes(last)) <= 0) {
        rc = show_removed(cursor, table, &k, &v, visit, context, err);
        result = mdb_cursor_get(cursor, &k, &v, MDB_NEXT); // of what was removed
    }
    mdb_cursor_close(cursor);
    return rc < 0 || result == 0 || result == MDB_NOTFOUND
               ? rc
               : environment_error(err, result, table_name(table));
}

int environment_remove_from(const struct environment *environment, MDB_txn *txn, enum table table,
                            const struct key *first, struct error *err) {
    MDB_cursor *cursor;
    int rc = environment_cursor(environment, txn, table, &cursor, err);
    if (rc < 0) {
        return rc;
    }
    MDB_val k = val_of(key_bytes(first)), v;
    int result = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
    while (result == 0) {
        result = mdb_cursor_del(cursor, 0);
        result = result != 0 ? result : mdb_cursor_get(cursor, &k, &v, MDB_NEXT); // of what was removed
    }
    mdb_cursor_close(cursor);
    return result == MDB_NOTFOUND ? 0 : environment_error(err, result, table_name(table));
}
