// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/turn.h — one write transaction: the entries of a turn of the loop, applied and then
// synced together.
//
// Model        turn_begin, any number of turn_apply, turn_commit. An entry that is refused (conflict, name
//              taken…) leaves nothing but itself and its outcome in the log. What a turn leaves behind
//              depends on its entries only, not on how they were spread over turns.
// Failure      A negative result of turn_apply or turn_commit ends the turn: turn_abort, and all is as
//              before it.
#ifndef MUSTER_RECONCILER_STORE_TURN_H
#define MUSTER_RECONCILER_STORE_TURN_H

#include "reconciler/store/store_handle.h"

// What came of one entry: code 0 with the revision, or why not.
struct outcome {
    int code;
    int64_t revision;
    char text[ERROR_ROOT_BYTES];
};

struct turn {
    struct store *store;
    MDB_txn *txn;
    struct store_state state; // as it will be after the commit
    struct arena arena;       // of the entry in work
};

int turn_begin(struct store *store, struct turn *out, struct error *err);
// Applies the next entry: the wire form of a transaction.
int turn_apply(struct turn *turn, int64_t term, struct bytes entry, struct outcome *out, struct error *err);
// Syncs; on success the store shows the new state. Ends the turn either way.
int turn_commit(struct turn *turn, struct error *err);
void turn_abort(struct turn *turn);

// --- parts, used by turn.c ---

// apply.c: all changes of the transaction as revision `turn->state.applied`, or none; 0 with the outcome,
// or a failure.
int apply_transaction(struct turn *turn, const struct transaction *transaction, struct outcome *out,
                      struct error *err);

// history.c: one event more; up to `slice` events less while there are too many or too old ones.
int history_add(struct turn *turn, const struct event *event, struct error *err);
int history_trim(struct turn *turn, size_t slice, struct error *err);

// request.c: the outcome of a request seen before (0, or STORE_ABSENT); remembering one, forgetting old ones.
int request_recall(struct turn *turn, const char *request_id, struct outcome *out, struct error *err);
int request_remember(struct turn *turn, const char *request_id, const struct outcome *outcome,
                     struct error *err);
int request_forget(struct turn *turn, size_t slice, struct error *err);

#endif
