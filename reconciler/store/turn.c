// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/turn.c — one write transaction: entries into the log, their effects, the state, one sync.
//
// The log keeps a tail of LOG_ENTRIES_MAX entries and LOG_BYTES_MAX bytes; what goes is already applied, and
// the history has it for longer. Trimming goes entry by entry, a few records each, so no turn pays for many.
#include "reconciler/store/turn.h"

#include <errno.h>
#include <string.h>

#include "reconciler/store/environment.h"

#define LOG_ENTRIES_MAX 4096
#define LOG_BYTES_MAX (16 * MIB)
#define LOG_SLICE 8
#define HISTORY_SLICE 64
#define REQUEST_SLICE 8
#define SHORT_WRITE_BYTES (32LL * MIB) // more than the pages of any turn

int turn_begin(struct store *store, struct turn *out, struct error *err) {
    *out = (struct turn){.store = store, .state = store->state};
    int rc = environment_begin(&store->environment, /*write=*/true, &out->txn, err);
    if (rc == 0) {
        out->state.txn_id = (int64_t)mdb_txn_id(out->txn);
    }
    return rc;
}

static int log_append(struct turn *turn, int64_t term, struct bytes transaction, int code,
                      struct error *err) {
    struct key key = key_number(turn->state.applied);
    AUTO_BUF payload = {0};
    format_entry_write(&(struct log_entry){term, code, transaction}, &payload);
    turn->state.log_bytes += (int64_t)payload.len;
    return environment_put(&turn->store->environment, turn->txn, TABLE_LOG, &key, buf_bytes(&payload), err);
}

static int log_drop_first(struct turn *turn, struct error *err) {
    struct key key = key_number(turn->state.log_first);
    struct bytes payload;
    int rc = environment_get(&turn->store->environment, turn->txn, TABLE_LOG, &key, &payload, err);
    if (rc != 0) {
        return rc < 0
                   ? rc
                   : error_set(err, ERR_CORRUPT, "log entry %lld misses", (long long)turn->state.log_first);
    }
    turn->state.log_bytes -= (int64_t)payload.len;
    turn->state.log_first++;
    return environment_remove(&turn->store->environment, turn->txn, TABLE_LOG, &key, err);
}

static int log_trim(struct turn *turn, struct error *err) {
    const struct store_state *state = &turn->state;
    int rc = 0;
    for (int i = 0; rc == 0 && i < LOG_SLICE && state->log_first < state->applied; i++) {
        if (state->applied - state->log_first < LOG_ENTRIES_MAX && state->log_bytes <= LOG_BYTES_MAX) {
            break;
        }
        rc = log_drop_first(turn, err);
    }
    return rc;
}

// Bytes that are no transaction are an outcome too: every manager must see the same.
static int apply_entry(struct turn *turn, struct bytes entry, struct outcome *out, size_t *changes,
                       struct error *err) {
    struct transaction transaction;
    struct error reason = {0};
    int rc = wire_decode(&transaction_schema, entry, &transaction, &turn->arena, &reason);
    if (rc < 0) {
        out->code = -ERR_INVALID;
        error_text(&reason, out->text, sizeof out->text);
        return 0;
    }
    *changes = transaction.changes.count;
    if (transaction.time_unix_ms > turn->state.time_unix_ms) {
        turn->state.time_unix_ms = transaction.time_unix_ms;
    }
    rc = request_recall(turn, transaction.request_id, out, err);
    if (rc != STORE_ABSENT) {
        return rc;
    }
    rc = apply_transaction(turn, &transaction, out, err);
    return rc < 0 ? rc : request_remember(turn, transaction.request_id, out, err);
}

int turn_apply(struct turn *turn, int64_t term, struct bytes entry, struct outcome *out, struct error *err) {
    size_t changes = 0;
    arena_clear(&turn->arena);
    turn->state.applied++;
    turn->state.term = term;
    *out = (struct outcome){.revision = turn->state.applied};
    int rc = apply_entry(turn, entry, out, &changes, err);
    rc = rc < 0 ? rc : log_append(turn, term, entry, out->code, err);
    rc = rc < 0 ? rc : log_trim(turn, err);
    rc = rc < 0 ? rc : history_trim(turn, HISTORY_SLICE + 2 * changes, err);
    rc = rc < 0 ? rc : request_forget(turn, REQUEST_SLICE, err);
    return error_wrap(err, rc, "apply entry %lld", (long long)turn->state.applied);
}

// LMDB says EIO when a write was cut short, as a full disk does it. Either way the pages of this
// transaction are free pages of the one before, which is whole.
static int commit(struct turn *turn, struct error *err) {
    struct error failure = {0};
    int rc = environment_commit(turn->txn, &failure);
    turn->txn = NULL;
    if (rc < 0 && failure.sys == EIO && store_disk_free_bytes(turn->store) < SHORT_WRITE_BYTES) {
        return error_sys(err, ENOSPC, "commit to the store: a write was cut short");
    }
    if (rc < 0 && err != NULL) {
        *err = failure;
    }
    return rc;
}

int turn_commit(struct turn *turn, struct error *err) {
    int rc = store_state_put(&turn->store->environment, turn->txn, &turn->state, err);
    rc = rc < 0 ? rc : commit(turn, err);
    if (rc == 0) {
        turn->store->state = turn->state;
        store_hold_blocks(turn->store);
    }
    turn_abort(turn);
    return rc;
}

void turn_abort(struct turn *turn) {
    if (turn->txn != NULL) {
        mdb_txn_abort(turn->txn);
        turn->txn = NULL;
    }
    arena_free(&turn->arena);
}
