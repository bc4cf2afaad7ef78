// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/turn.c — entries into the log, effects of entries into memory; all of it, with the state,
// into one write transaction.
//
// History and memory of requests are trimmed entry by entry, a few records each, so that no turn pays for
// many and all managers trim alike. The log is not replicated state: each member compacts its own when asked.
#include "reconciler/store/turn.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "reconciler/store/membership.h"
#include "reconciler/store/planted.h"

#define HISTORY_SLICE 64
#define REQUEST_SLICE 8

int turn_begin(struct store *store, struct turn *out, struct error *err) {
    ASSERT(store->turn == NULL);
    *out = (struct turn){
        .store = store, .state = store->state, .local = store->local, .oldest_request_unix_ms = -1};
    out->tables = (struct tables){&store->environment, NULL, &store->effects};
    int rc = environment_begin(&store->environment, /*write=*/true, &out->tables.txn, err);
    rc = rc == 0 && store->is_history_ahead ? history_cut(out, err) : rc;
    if (rc == 0) {
        store->turn = out;
    } else if (out->tables.txn != NULL) {
        mdb_txn_abort(TAKE(out->tables.txn));
    }
    return rc;
}

// --- the log ---

static int missing(uint64_t index, struct error *err) {
    return error_set(err, ERR_CORRUPT, "log entry %llu misses", (unsigned long long)index);
}

static int log_remove(struct turn *turn, uint64_t index, struct error *err) {
    const struct environment *environment = &turn->store->environment;
    struct key key = key_number((int64_t)index);
    struct bytes payload;
    struct log_entry entry;
    int rc = environment_get(environment, turn->tables.txn, TABLE_LOG, &key, &payload, err);
    if (rc == STORE_ABSENT) {
        return missing(index, err);
    }
    rc = rc < 0 ? rc : format_entry_read(payload, &entry, err);
    if (rc < 0) {
        return rc;
    }
    turn->local.log_bytes -= entry.payload.len;
    return environment_remove(environment, turn->tables.txn, TABLE_LOG, &key, err);
}

static int truncate_from(struct turn *turn, uint64_t index, struct error *err) {
    int rc = 0;
    if (STORE_PLANTED(TRUNCATE_KEEPS_TAIL)) {
        return turn->local.last_index >= index ? log_remove(turn, index, err) : 0;
    }
    while (rc == 0 && turn->local.last_index >= index) {
        rc = log_remove(turn, turn->local.last_index, err);
        turn->local.last_index -= rc == 0;
    }
    return rc;
}

int turn_put_entry(struct turn *turn, uint64_t index, const struct log_entry *entry, struct error *err) {
    ASSERT(index > (uint64_t)turn->state.applied && index <= turn->local.last_index + 1);
    const struct environment *environment = &turn->store->environment;
    struct key key = key_number((int64_t)index);
    buf_clear(&turn->scratch);
    format_entry_write(entry, &turn->scratch);
    struct bytes payload = buf_bytes(&turn->scratch);
    int rc = truncate_from(turn, index, err);
    bool keeps_tail = STORE_PLANTED(TRUNCATE_KEEPS_TAIL) && turn->local.last_index > index;
    if (rc == 0) {
        rc = keeps_tail ? environment_put(environment, turn->tables.txn, TABLE_LOG, &key, payload, err)
                        : environment_append(environment, turn->tables.txn, TABLE_LOG, &key, payload, err);
    }
    if (rc == 0) {
        turn->local.last_index = keeps_tail ? turn->local.last_index : index;
        turn->local.log_bytes += entry->payload.len;
    }
    return error_wrap(err, rc, "write log entry %llu", (unsigned long long)index);
}

void turn_set_hard_state(struct turn *turn, uint64_t term, uint64_t vote) {
    ASSERT(term >= turn->local.term);
    turn->local.term = STORE_PLANTED(TERM_NOT_STORED) ? turn->local.term : term;
    turn->local.vote = STORE_PLANTED(VOTE_NOT_STORED) ? turn->local.vote : vote;
}

static int compact_one(void *context, struct bytes key, struct bytes payload, struct error *err) {
    struct store_local *local = context;
    struct log_entry entry;
    int rc = format_entry_read(payload, &entry, err);
    if (rc == 0 && (key.len != 8 || (uint64_t)key_number_at(key, 0) != local->base_index + 1)) {
        rc = missing(local->base_index + 1, err);
    }
    if (rc == 0) {
        local->base_index++;
        local->base_term = STORE_PLANTED(STALE_BASE_TERM) ? local->base_term : entry.term;
        local->log_bytes -= entry.payload.len;
    }
    return rc;
}

int turn_compact(struct turn *turn, uint64_t index, size_t slice, struct error *err) {
    ASSERT(index <= (uint64_t)turn->state.applied);
    struct store_local *local = &turn->local;
    if (local->base_index >= index) {
        return 0;
    }
    uint64_t last = index - local->base_index > slice ? local->base_index + slice : index;
    struct key key = key_number((int64_t)last);
    int rc = environment_remove_until(&turn->store->environment, turn->tables.txn, TABLE_LOG, &key,
                                      compact_one, local, err);
    if (rc == 0 && local->base_index != last) {
        rc = missing(local->base_index + 1, err);
    }
    return error_wrap(err, rc, "compact the log");
}

// --- effects ---

// Bytes that are no transaction are an outcome too: every manager must see the same.
static int refuse(struct outcome *out, enum error_code code, const struct error *reason) {
    out->code = -(int)code;
    error_text(reason, out->text, sizeof out->text);
    return 0;
}

static int apply_data(struct turn *turn, struct bytes payload, struct outcome *out, struct error *err) {
    struct transaction transaction;
    struct error reason = {0};
    if (wire_decode(&transaction_schema, payload, &transaction, &turn->arena, &reason) < 0) {
        return refuse(out, ERR_INVALID, &reason);
    }
    if (transaction.time_unix_ms > turn->state.time_unix_ms) {
        turn->state.time_unix_ms = transaction.time_unix_ms;
    }
    int rc = request_recall(turn, transaction.request_id, out, err);
    if (rc != STORE_ABSENT) {
        return rc;
    }
    rc = apply_transaction(turn, &transaction, out, err);
    rc = rc < 0 ? rc : request_remember(turn, transaction.request_id, out, err);
    return rc < 0 ? rc : history_trim(turn, HISTORY_SLICE + 2 * transaction.changes.count, err);
}

static int apply_configuration(struct turn *turn, struct bytes payload, struct outcome *out) {
    struct membership membership;
    struct error reason = {0};
    int rc = payload.len > MEMBERSHIP_BYTES_MAX
                 ? error_set(&reason, ERR_LIMIT, "a membership of %zu bytes", payload.len)
                 : membership_read(payload, &membership, &turn->arena, &reason);
    if (rc < 0) {
        return refuse(out, ERR_INVALID, &reason);
    }
    meta_membership_stage(&turn->tables, (uint64_t)turn->state.applied, payload);
    return 0;
}

static int apply_entry(struct turn *turn, const struct log_entry *entry, struct outcome *out,
                       struct error *err) {
    switch ((enum raft_entry_type)entry->type) {
    case RAFT_ENTRY_DATA:
        return apply_data(turn, entry->payload, out, err);
    case RAFT_ENTRY_CONFIGURATION:
        return apply_configuration(turn, entry->payload, out);
    case RAFT_ENTRY_NOOP:
        break;
    }
    return 0;
}

int turn_apply(struct turn *turn, const struct log_entry *entry, struct outcome *out, struct error *err) {
    ASSERT((uint64_t)turn->state.applied < turn->local.last_index);
    arena_clear(&turn->arena);
    turn->state.applied++;
    turn->state.term = (int64_t)entry->term;
    *out = (struct outcome){.revision = turn->state.applied};
    int rc = apply_entry(turn, entry, out, err);
    rc = rc < 0 ? rc : request_forget(turn, REQUEST_SLICE, err);
    return error_wrap(err, rc, "apply entry %lld", (long long)turn->state.applied);
}

// --- the end ---

static void end(struct turn *turn) {
    ASSERT(turn->store->turn_reads == 0);
    memtable_clear(&turn->store->effects);
    turn->store->turn = NULL;
    turn->tables.txn = NULL;
    arena_free(&turn->arena);
    buf_free(&turn->scratch);
}

size_t turn_waiting_bytes(const struct turn *turn) {
    return memtable_bytes(turn->tables.memtable);
}

int turn_sync(struct turn *turn, struct error *err) {
    struct store *store = turn->store;
    ASSERT(store->turn == turn && store->turn_reads == 0);
    ASSERT(turn->local.base_index <= (uint64_t)store->state.applied);
    int rc = store_commit(store, turn->tables.txn, NULL, &turn->local, err);
    store->is_history_ahead = true;
    rc = rc < 0 ? rc : environment_begin(&store->environment, /*write=*/true, &turn->tables.txn, err);
    if (rc < 0) {
        end(turn);
    }
    return rc;
}

int turn_commit(struct turn *turn, struct error *err) {
    struct store *store = turn->store;
    ASSERT(store->turn == turn);
    int rc = memtable_write(turn->tables.memtable, &store->environment, turn->tables.txn, err);
    rc = rc < 0 ? rc : history_sweep(turn, err);
    if (rc < 0) {
        turn_abort(turn);
        return error_wrap(err, rc, "write what is applied");
    }
    rc = store_commit(store, turn->tables.txn, &turn->state, &turn->local, err);
    store->is_history_ahead = store->is_history_ahead && rc < 0;
    end(turn);
    return rc;
}

void turn_abort(struct turn *turn) {
    if (turn->tables.txn != NULL) {
        mdb_txn_abort(turn->tables.txn);
        end(turn);
    }
}
