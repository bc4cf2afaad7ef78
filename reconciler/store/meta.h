// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/meta.h — the records of table meta: the head of the store, its state, what is local, the
// membership.
//
// Each of head, state and local is always there: -ERR_CORRUPT when it misses.
#ifndef MUSTER_RECONCILER_STORE_META_H
#define MUSTER_RECONCILER_STORE_META_H

#include "reconciler/store/tables.h"

// Checks format and features: -ERR_UNSUPPORTED for a store that this version must not touch.
int meta_head_get(const struct environment *environment, MDB_txn *txn, struct format_head *out,
                  struct error *err);
int meta_head_put(const struct environment *environment, MDB_txn *txn, const struct format_head *head,
                  struct error *err);
int meta_state_get(const struct environment *environment, MDB_txn *txn, struct store_state *out,
                   struct error *err);
int meta_state_put(const struct environment *environment, MDB_txn *txn, const struct store_state *state,
                   struct error *err);
int meta_local_get(const struct environment *environment, MDB_txn *txn, struct store_local *out,
                   struct error *err);
// Sets local->txn_id to the transaction's: each transaction of a store ends with this.
int meta_local_put(const struct environment *environment, MDB_txn *txn, struct store_local *local,
                   struct error *err);
// The membership in wire form, borrowed from the transaction; none = index 0, no bytes.
int meta_membership_get(const struct tables *tables, uint64_t *out_index, struct bytes *out,
                        struct error *err);
int meta_membership_put(const struct environment *environment, MDB_txn *txn, uint64_t index,
                        struct bytes membership, struct error *err);
void meta_membership_stage(const struct tables *tables, uint64_t index, struct bytes membership);

#endif
