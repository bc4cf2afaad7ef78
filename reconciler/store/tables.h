// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/tables.h — the tables as a turn leaves them: a transaction, and over it the effects that
// wait for the next commit.
//
// Model        Writes go to what waits; a look-up asks there first; a walk goes through both and shows of
//              two records with one key the waiting one. Without anything waiting it is the plain transaction.
// Ownership    As environment.h; what comes from waiting records stays until they are cleared.
#ifndef MUSTER_RECONCILER_STORE_TABLES_H
#define MUSTER_RECONCILER_STORE_TABLES_H

#include "reconciler/store/memtable.h"

struct tables {
    const struct environment *environment;
    MDB_txn *txn;
    struct memtable *memtable; // NULL: for reading only
};

// 0, STORE_ABSENT, -ERR_CORRUPT naming the record.
int tables_get(const struct tables *tables, enum table table, const struct key *key, struct bytes *out,
               struct error *err);
// Write what tables_get and walks show from now on; the last adds behind all that is in the table
// (-ERR_CORRUPT for a key that does not belong there, at the latest when all is written).
void tables_put(const struct tables *tables, enum table table, const struct key *key, struct bytes payload);
int tables_append(const struct tables *tables, enum table table, const struct key *key, struct bytes payload,
                  struct error *err);
// 0, STORE_ABSENT, or a failure.
int tables_remove(const struct tables *tables, enum table table, const struct key *key, struct error *err);

// --- walking a table; nothing is written between table_seek and the table_next that follow it ---

struct table_cursor {
    struct tables tables;
    enum table table;
    MDB_cursor *base;
    struct bytes base_key, base_payload;
    bool is_begun;
    bool has_base;               // those two are a record
    struct memtable_place place; // of the next among those that wait
    bool is_base_last;           // what was shown last was a record of the transaction
    bool is_waiting_last;        // … a waiting one
};

int table_cursor_begin(const struct tables *tables, enum table table, struct table_cursor *out,
                       struct error *err);
void table_cursor_end(struct table_cursor *cursor); // accepts one that has ended
// The first record at or after `from` (NULL: of all), or the next one (at first, the first): 0, STORE_END,
// or a failure.
int table_seek(struct table_cursor *cursor, const struct key *from, struct bytes *key, struct bytes *payload,
               struct error *err);
int table_next(struct table_cursor *cursor, struct bytes *key, struct bytes *payload, struct error *err);

#endif
