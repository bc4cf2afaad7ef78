// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/log.h — reading the log of entries, and what only this member knows.
//
// Model        The log holds the entries after local.base_index up to local.last_index, without a gap. What
//              is before is compacted away: its effects are the state. It is written by turns alone
//              (reconciler/store/turn.h).
// Ownership    As of reads: bytes are borrowed from the read.
#ifndef MUSTER_RECONCILER_STORE_LOG_H
#define MUSTER_RECONCILER_STORE_LOG_H

#include "reconciler/store/format.h"
#include "reconciler/store/membership.h"
#include "reconciler/store/store.h"

// What is local to this member, as committed.
const struct store_local *store_local(const struct store *store);

// 0, STORE_ABSENT (compacted, or not there yet), -ERR_CORRUPT.
int log_get(struct store_read *read, uint64_t index, struct log_entry *out, struct error *err);
// All entries, in order; a visit that does not yield 0 ends the walk, which yields the same.
typedef int (*log_visit_fn)(void *context, uint64_t index, const struct log_entry *entry, struct error *err);
int log_each(struct store_read *read, log_visit_fn visit, void *context, struct error *err);

// The membership in force at the revision of the read, in the arena, and the index of the entry that brought
// it; no members and 0 in a store that was told of none.
int store_membership(struct store_read *read, struct arena *arena, struct membership *out,
                     uint64_t *out_index, struct error *err);
// Makes a fresh store (nothing in its log, no members) the only voter of a new group, or a member that waits
// to be told (membership NULL). Durable on return. -ERR_CONFLICT when it belongs to a group already.
int store_join_group(struct store *store, uint64_t raft_id, const struct membership *membership,
                     struct error *err);

#endif
