// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/store_handle.h — what a store and a read of it hold. Private to reconciler/store.
#ifndef MUSTER_RECONCILER_STORE_STORE_HANDLE_H
#define MUSTER_RECONCILER_STORE_STORE_HANDLE_H

#include "reconciler/store/meta.h"
#include "reconciler/store/store.h"

struct store {
    struct environment environment;
    struct store_state state; // as committed
    struct store_local local; // likewise
    struct turn *turn;        // the one that is open; NULL = none
    struct memtable effects;  // of that turn
    const struct store_faults *faults;
    char *dir;
    int lock_fd;
    int64_t map_bytes, reserve_bytes;
    bool is_history_ahead; // of `state`, or may be
    bool was_short;        // of room, when it last committed
    int64_t held_to_bytes; // end of the blocks that the file has, in use or held for it
    int64_t history_bytes, history_age_ms;
    struct store_read *idle; // one that was ended, kept for the next
    int reads;               // open now
    int turn_reads;          // those of them that go through the open turn
};

struct store_read {
    struct store *store;
    MDB_txn *txn;
    struct tables tables;     // of txn, and of what the open turn has applied
    struct store_state state; // of the revision read
    bool is_of_turn;          // txn is that of the open turn
};

// Free space for new data: the least of what the map and the file system have left, minus the reserve; may be
// negative. Asks the file system.
int64_t store_headroom(const struct store *store);
int64_t store_disk_free_bytes(const struct store *store);
// After a failed commit: 0 when the store can still be written. LMDB refuses once a write of its meta page
// has failed, and then so must we.
int store_can_go_on(const struct store *store, struct error *err);
// Holds blocks of the disk beyond the end of the file, a part of the reserve: with them the store can still
// write what makes room when others have filled the disk. After each commit; costs nothing but where the
// file grew.
void store_hold_blocks(struct store *store);

// Ends a write transaction: writes `state` (NULL: unchanged) and `local`, syncs; then the store shows them.
// The transaction is gone either way.
int store_commit(struct store *store, MDB_txn *txn, const struct store_state *state,
                 struct store_local *local, struct error *err);

// Whether the key is that of an event that the state does not have: trimmed, or ahead (history.c).
bool history_lacks(const struct store_state *state, struct bytes key);

// Removes what is in the set of tables that is not live; nothing is written when nothing is there.
int store_empty_other(struct store *store, struct error *err);

// Takes the lock of the directory, which ends with the descriptor. -ERR_BUSY: a process has it (named).
int store_lock_directory(const char *dir, int *out_fd, struct error *err);
// store_check without the lock, for who holds it already.
int check_directory(const char *dir, struct error *err);
// The same, in the words of store_open.
int check_in_process(const char *dir, struct error *err);
// The same in a child process, which the damage may kill: -ERR_CORRUPT then too.
int check_in_child(const char *dir, struct error *err);

#endif
