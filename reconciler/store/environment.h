// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/environment.h — the LMDB environment: one file, its tables, and records in and out of
// them.
//
// Model        All values are records (format.h): written with their checksum, read only through it. LMDB's
//              codes end here; above are `-ERR_x`.
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
    MDB_dbi tables[TABLE_END];
};

enum environment_mode {
    ENVIRONMENT_CREATE, // makes the tables; the directory must hold no environment yet
    ENVIRONMENT_WRITE,
    ENVIRONMENT_READ, // without LMDB's lock file, for checking: nobody may write meanwhile
};
int environment_open(const char *dir, size_t map_bytes, enum environment_mode mode, struct environment *out,
                     struct error *err);
void environment_close(struct environment *environment);

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
// 0 or STORE_ABSENT.
int environment_remove(const struct environment *environment, MDB_txn *txn, enum table table,
                       const struct key *key, struct error *err);

// --- walking a table ---

int environment_cursor(const struct environment *environment, MDB_txn *txn, enum table table,
                       MDB_cursor **out, struct error *err);
// Moves as `op` says (MDB_FIRST, MDB_LAST, MDB_NEXT, or MDB_SET_RANGE to the first key at or after `from`)
// and reads the record there. 0, STORE_END, or a failure.
int environment_move(MDB_cursor *cursor, enum table table, MDB_cursor_op op, const struct key *from,
                     struct bytes *key, struct bytes *payload, struct error *err);

#endif
