// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/turn.h — what a member must not forget, made durable by one sync, and the effects of what
// is committed, which may follow.
//
// Model        turn_begin; then, in this order, any number of turn_put_entry (the log's new suffix),
//              turn_set_hard_state, turn_apply (entries that are known committed, in the order of their
//              indexes), turn_compact; then turn_commit, or turn_sync and on from there. What is applied
//              waits in memory until turn_commit writes it in one transaction with the applied index;
//              turn_sync leaves it waiting and makes durable only the log and the hard state, from which the
//              next start would apply it again. A turn may so stay open while the loop goes round: what it
//              has applied is seen by reads (store_read_begin reads through an open turn), because committed
//              entries are durable on a quorum whether or not this member has synced their effects. A sole
//              voter commits before anybody reads.
//              An entry that is refused (conflict, name taken…) leaves nothing but its outcome. What entries
//              leave behind depends on them only, not on how they were spread over turns.
// Ownership    The struct is the caller's and stays where it is until the turn has ended. One turn at a time.
// Failure      A negative result of any call ends the turn: turn_abort, and all is as before it.
#ifndef MUSTER_RECONCILER_STORE_TURN_H
#define MUSTER_RECONCILER_STORE_TURN_H

#include "reconciler/raft/raft.h"
#include "reconciler/store/store_handle.h"

// What came of one entry: code 0 with the revision, or why not.
struct outcome {
    int code;
    int64_t revision;
    char text[ERROR_ROOT_BYTES];
};

// The oldest events that are not trimmed, read ahead: a walk for one costs about as much as for many.
#define OLDEST_EVENTS_FIRST 4
#define OLDEST_EVENTS_MAX 64
struct oldest_events {
    struct oldest_event {
        int64_t revision, index, time_unix_ms, bytes;
    } items[OLDEST_EVENTS_MAX];
    size_t next, count;
};

struct turn {
    struct store *store;
    struct tables tables;     // of the open transaction, and over it what has been applied
    struct store_state state; // as it will be after the commit
    struct store_local local; // likewise
    struct arena arena;       // of the entry in work
    struct buf scratch;       // for whatever is encoded and then copied elsewhere at once
    struct oldest_events oldest;
    int64_t oldest_request_unix_ms; // so that not each entry looks it up; -1 = not known
    int64_t forgotten_revision;     // of the last request that was forgotten in this turn
};

int turn_begin(struct store *store, struct turn *out, struct error *err);
// Writes entry `index`, after the applied ones and at most one beyond the last. What the log holds from there
// on is removed first: truncation is this and nothing else.
int turn_put_entry(struct turn *turn, uint64_t index, const struct log_entry *entry, struct error *err);
void turn_set_hard_state(struct turn *turn, uint64_t term, uint64_t vote);
// Effects of the next entry (state.applied + 1), which the log holds. DATA: a transaction. NOOP: nothing.
// CONFIGURATION: becomes the membership in force. Does not touch the log; `entry` may be borrowed from
// anywhere but a read through this turn. 0 with the outcome, or a failure.
int turn_apply(struct turn *turn, const struct log_entry *entry, struct outcome *out, struct error *err);
// Removes up to `slice` entries from the front of the log, none beyond `index`, which is applied; durably so
// already, unless turn_commit follows.
int turn_compact(struct turn *turn, uint64_t index, size_t slice, struct error *err);
// About how much memory the effects take that wait.
size_t turn_waiting_bytes(const struct turn *turn);
// Syncs what was put; the turn stays open, unless that failed. No read through it is open.
int turn_sync(struct turn *turn, struct error *err);
// Syncs all; on success the store shows the new state. Ends the turn either way. No read through it is open.
int turn_commit(struct turn *turn, struct error *err);
void turn_abort(struct turn *turn); // accepts one that has ended

// --- parts, used by turn.c ---

// apply.c: all changes of the transaction as revision `turn->state.applied`, or none; 0 with the outcome,
// or a failure.
int apply_transaction(struct turn *turn, const struct transaction *transaction, struct outcome *out,
                      struct error *err);

// history.c: at the beginning, those that are ahead are cut off; one event more; up to `slice` events less
// while there are too many or too old ones; and, before the commit, those that were trimmed out of the table.
int history_cut(const struct turn *turn, struct error *err);
int history_add(struct turn *turn, const struct event *event, struct error *err);
int history_trim(struct turn *turn, size_t slice, struct error *err);
int history_sweep(const struct turn *turn, struct error *err);

// request.c: the outcome of a request seen before (0, or STORE_ABSENT); remembering one, forgetting old ones.
int request_recall(struct turn *turn, const char *request_id, struct outcome *out, struct error *err);
int request_remember(struct turn *turn, const char *request_id, const struct outcome *outcome,
                     struct error *err);
int request_forget(struct turn *turn, size_t slice, struct error *err);

#endif
