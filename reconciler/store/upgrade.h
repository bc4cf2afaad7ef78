// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/upgrade.h — a store of an earlier format version becomes one of the present version.
//
// Model        In the one transaction that is given, so a store is of the old version or of the new one.
//              Version 2 had nothing that is not there still. Of version 1 all of the log is applied, so
//              it is dropped. A store with objects becomes the only voter of a group of its own, under a
//              fresh raft id and without an address, which its daemon adds; an empty one belongs to no
//              group.
#ifndef MUSTER_RECONCILER_STORE_UPGRADE_H
#define MUSTER_RECONCILER_STORE_UPGRADE_H

#include "reconciler/store/environment.h"

// Whether the store has to be upgraded before it is used.
static inline bool upgrade_is_due(const struct format_head *head) {
    return head->write_version < FORMAT_VERSION;
}
static inline bool upgrade_is_of_version_1(const struct format_head *head) {
    return head->write_version == 1;
}
// What a store of version 1 would have as its local numbers.
struct store_local upgrade_local(const struct store_state *state);
// Writes the head.
int upgrade_from_2(const struct environment *environment, MDB_txn *txn, struct format_head *head,
                   struct error *err);
// Changes head, tables and log; writes head, state and membership; `local` is the caller's to write.
int upgrade_from_1(struct environment *environment, MDB_txn *txn, struct format_head *head,
                   struct store_state *state, struct store_local *local, struct error *err);

#endif
