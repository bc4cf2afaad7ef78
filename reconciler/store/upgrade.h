// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/upgrade.h — a store of format version 1 becomes one of the present version.
//
// Model        In the one transaction that is given, so a store is of the old version or of the new one. All
//              of the old log is applied, so it is dropped. A store with objects becomes the only voter of a
//              group of its own, under a fresh raft id and without an address, which its daemon adds; an
//              empty one belongs to no group.
#ifndef MUSTER_RECONCILER_STORE_UPGRADE_H
#define MUSTER_RECONCILER_STORE_UPGRADE_H

#include "reconciler/store/environment.h"

// Whether the store has to be upgraded before it is used.
static inline bool upgrade_is_due(const struct format_head *head) {
    return head->write_version < 2;
}
// What a store of version 1 would have as its local numbers.
struct store_local upgrade_local(const struct store_state *state);
// Changes head, tables and log; writes head, state and membership; `local` is the caller's to write.
int upgrade(struct environment *environment, MDB_txn *txn, struct format_head *head,
            struct store_state *state, struct store_local *local, struct error *err);

#endif
