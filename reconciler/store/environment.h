// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/environment.h — the LMDB environment: one file, its tables, and records in and out of
// them.
//
// Model        All values are records (format.h): written with their checksum, read only through it. LMDB's
//              codes end here; above are `-ERR_x`. The replicated tables are there twice: what names a table
//              means the one of the live set; environment_other shows the same environment with the sets
//              changed.
// Ownership    Payloads are borrowed from the transaction: until it ends and, in a write transaction, until
//              its next write.
// Failure      -ERR_NO_SPACE (map or disk full: abort the transaction, all is as before), -ERR_CORRUPT,
//              -ERR_SYSTEM.
#ifndef MUSTER_RECONCILER_STORE_ENVIRONMENT_H
#define MUSTER_RECONCILER_STORE_ENVIRONMENT_H

#include <lmdb.h>

#include "reconciler/store/format.h"

#define ENVIRONMENT_FILE "data.mdb"
#define ENVIRONMENT_LOCK_FILE "lock.mdb"

struct environment {
    MDB_env *env;
    MDB_dbi tables[TABLE_END];  // live
    MDB_dbi shadows[TABLE_END]; // the other set, of the tables that are replicated
    uint64_t generation;        // number of the live set
    bool has_shadows;           // not in a store of version 1
};

// Opened with the set 0 live.
enum environment_mode {
    ENVIRONMENT_CREATE, // makes the tables; the directory must hold no environment yet
    ENVIRONMENT_WRITE,
    ENVIRONMENT_READ, // without LMDB's lock file, for checking: nobody may write meanwhile
};
int environment_open(const char *dir, size_t map_bytes, enum environment_mode mode, struct environment *out,
                     struct error *err);
void environment_close(struct environment *environment);

// Makes this set the live one.
void environment_show(struct environment *environment, uint64_t generation);
// The same with the sets changed: for writing and reading what is not live.
struct environment environment_other(const struct environment *environment);
// Makes the second set of tables within a write transaction; they are there when it has been committed.
int environment_add_shadows(struct environment *environment, MDB_txn *txn, struct error *err);
// Removes all records of a table; of a set of tables, whether any was there.
int environment_empty(const struct environment *environment, MDB_txn *txn, enum table table,
                      struct error *err);
int environment_empty_set(const struct environment *environment, MDB_txn *txn, bool *out_had_any,
                          struct error *err);

// The failure for an LMDB result that is not 0, with what was tried.
int environment_error(struct error *err, int result, const char *what);
int environment_begin(const struct environment *environment, bool write, MDB_txn **out, struct error *err);
// Commits durably. On failure the transaction is gone and nothing of it is kept.
int environment_commit(MDB_txn *txn, struct error *err);

// 0, STORE_ABSENT, -ERR_CORRUPT naming the record.
int environment_get(const struct environment *environment, MDB_txn *txn, enum table table,
                    const struct key *key, struct bytes *out, struct error *err);
// Writes or replaces.
int environment_put(const struct environment *environment, MDB_txn *txn, enum table table,
                    const struct key *key, struct bytes payload, struct error *err);
// Writes behind all that is in the table: -ERR_CORRUPT for a key that does not belong there.
int environment_append(const struct environment *environment, MDB_txn *txn, enum table table,
                       const struct key *key, struct bytes payload, struct error *err);
// 0 or STORE_ABSENT.
int environment_remove(const struct environment *environment, MDB_txn *txn, enum table table,
                       const struct key *key, struct error *err);

// The same through a cursor of a write transaction, which for keys in order spares the way down the tree.
int environment_put_at(MDB_cursor *cursor, enum table table, struct bytes key, struct bytes payload,
                       bool is_append, struct error *err);
int environment_remove_at(MDB_cursor *cursor, enum table table, struct bytes key, struct error *err);

// Removes all records up to `last`, after each was shown; with visit == NULL unread. A failure of the visitor is
// the result, and what it was shown stays.
// environment_remove_from: all records from `first` on, unread.
typedef int environment_visit(void *context, struct bytes key, struct bytes payload, struct error *err);
int environment_remove_until(const struct environment *environment, MDB_txn *txn, enum table table,
                             const struct key *last, environment_visit *visit, void *context,
                             struct error *err);
int environment_remove_from(const struct environment *environment, MDB_txn *txn, enum table table,
                            const struct key *first, struct error *err);

// --- walking a table ---

int environment_cursor(const struct environment *environment, MDB_txn *txn, enum table table,
                       MDB_cursor **out, struct error *err);
// Moves as `op` says (MDB_FIRST, MDB_LAST, MDB_NEXT, or MDB_SET_RANGE to the first key at or after `from`)
// and reads the record there. 0, STORE_END, or a failure.
int environment_move(MDB_cursor *cursor, enum table table, MDB_cursor_op op, const struct key *from,
                     struct bytes *key, struct bytes *payload, struct error *err);

#endif
