// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/solo.c — the proposer with one voter: what a turn collects is one synced transaction.
//
// Model        submit encodes the transaction - the bytes in the queue are the log entry - and the turn
//              applies entries from the front of the queue, at most TURN_ENTRIES_MAX and TURN_BYTES_MAX of
//              them. What arrives during the sync is the next batch: group commit without a writer thread.
// Failure      Disk or map full: everything of the turn is answered -ERR_NO_SPACE, nothing of it is kept,
//              and the store goes on. Any other failure of storage is the caller's end; proposals of that
//              turn stay unanswered, because what became of them is unknown.
#include "reconciler/store/proposer.h"

#include <string.h>

#include "base/assert.h"
#include "base/list.h"
#include "base/mem.h"
#include "reconciler/store/turn.h"

#define QUEUE_ENTRIES_MAX 4096
#define QUEUE_BYTES_MAX ((size_t)64 * MIB)
#define TURN_ENTRIES_MAX 512
#define TURN_BYTES_MAX ((size_t)8 * MIB)
#define LOG_ENTRIES_MAX 4096
#define LOG_BYTES_MAX (16 * MIB)
#define LOG_SLICE 8 // entries that go for each that comes
#define WHO_BYTES_MAX 256
#define WHY_BYTES_MAX (4 * KIB)

struct pending {
    struct list_node node;
    uint64_t token;
    struct buf entry;
    struct outcome outcome;
};

struct solo {
    struct proposer proposer;
    struct list queue;
    size_t queued, queued_bytes;
    bool is_headroom_known; // asked once a turn
    int64_t headroom;
};

static struct solo *solo_of(const struct proposer *proposer) {
    return (struct solo *)(void *)(uintptr_t)proposer;
}

static void pending_free(struct pending *pending) {
    buf_free(&pending->entry);
    xfree(pending);
}

// --- submit ---

static int check_texts(const struct transaction *transaction, struct error *err) {
    const struct {
        const char *name, *text;
        size_t max;
    } texts[] = {
        {"request_id", transaction->request_id, REQUEST_ID_BYTES_MAX},
        {"who", transaction->who, WHO_BYTES_MAX},
        {"why", transaction->why, WHY_BYTES_MAX},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (strlen(texts[i].text) > texts[i].max) {
            return error_set(err, ERR_LIMIT, "'%s' of the transaction is longer than %zu bytes",
                             texts[i].name, texts[i].max);
        }
    }
    return 0;
}

static int check_size(const struct transaction *transaction, struct error *err) {
    if (transaction->changes.count > TRANSACTION_CHANGES_MAX) {
        return error_set(err, ERR_LIMIT, "%zu changes in one transaction, over %d",
                         transaction->changes.count, TRANSACTION_CHANGES_MAX);
    }
    for (size_t i = 0; i < transaction->changes.count; i++) {
        const struct change *change = &transaction->changes.items[i];
        if (change->object.len > OBJECT_BYTES_MAX) {
            return error_set(err, ERR_LIMIT, "%s %s has %zu bytes, over %d",
                             object_kind_name((enum object_kind)change->kind), change->id.text,
                             change->object.len, OBJECT_BYTES_MAX);
        }
    }
    return check_texts(transaction, err);
}

static bool only_deletes(const struct transaction *transaction) {
    for (size_t i = 0; i < transaction->changes.count; i++) {
        if (transaction->changes.items[i].op != CHANGE_DELETE) {
            return false;
        }
    }
    return transaction->changes.count > 0;
}

// Deleting may take half of the reserve: a full store must be able to become less full. What stops or removes
// tasks is always tried, for they may be what fills the disk (store_hold_blocks).
static int check_space(struct solo *solo, const struct transaction *transaction, struct error *err) {
    const struct store *store = solo->proposer.store;
    if (store->reserve_bytes == 0 || transaction->makes_room) {
        return 0;
    }
    if (!solo->is_headroom_known) {
        solo->headroom = store_headroom(store);
        solo->is_headroom_known = true;
    }
    int64_t extra = only_deletes(transaction) ? store->reserve_bytes / 2 : 0;
    if (solo->headroom + extra >= (int64_t)solo->queued_bytes) {
        return 0;
    }
    solo->is_headroom_known = false; // ask again for the next one: nothing queued, no turn may come
    return error_set(err, ERR_NO_SPACE, "less than %lld MiB are free for the store in '%s'",
                     (long long)(store->reserve_bytes / MIB), store->dir);
}

static int solo_submit(struct proposer *proposer, const struct transaction *transaction, uint64_t token,
                       struct error *err) {
    struct solo *solo = solo_of(proposer);
    int rc = check_size(transaction, err);
    if (rc == 0 && (solo->queued >= QUEUE_ENTRIES_MAX || solo->queued_bytes >= QUEUE_BYTES_MAX)) {
        rc = error_set(err, ERR_BUSY, "%zu proposals are waiting", solo->queued);
    }
    rc = rc < 0 ? rc : check_space(solo, transaction, err);
    if (rc < 0) {
        return rc;
    }
    struct pending *pending = NEW(struct pending);
    pending->token = token;
    pending->entry = buf_make(TRANSACTION_BYTES_MAX);
    wire_encode(&transaction_schema, transaction, &pending->entry);
    if (pending->entry.overflow) {
        pending_free(pending);
        return error_set(err, ERR_LIMIT, "the transaction has more than %d bytes", TRANSACTION_BYTES_MAX);
    }
    list_append(&solo->queue, &pending->node);
    solo->queued++;
    solo->queued_bytes += pending->entry.len;
    return 0;
}

// --- turn ---

static struct pending *take_first(struct solo *solo, struct list *batch) {
    struct list_node *node = list_first(&solo->queue);
    struct pending *pending = LIST_ENTRY(node, struct pending, node);
    list_remove(node);
    list_append(batch, node);
    solo->queued--;
    solo->queued_bytes -= pending->entry.len;
    return pending;
}

static int apply_one(struct turn *turn, struct pending *pending, struct error *err) {
    struct log_entry entry = {turn->local.term, RAFT_ENTRY_DATA, buf_bytes(&pending->entry)};
    int rc = turn_put_entry(turn, turn->local.last_index + 1, &entry, err);
    return rc < 0 ? rc : turn_apply(turn, &entry, &pending->outcome, err);
}

// The log keeps a tail; what goes is applied, and the history has it for longer.
static int compact(struct turn *turn, size_t applied, struct error *err) {
    uint64_t last = turn->local.last_index;
    int rc = 0;
    if (last > LOG_ENTRIES_MAX) {
        rc = turn_compact(turn, last - LOG_ENTRIES_MAX, LOG_SLICE * applied, err);
    }
    for (size_t i = 0; rc == 0 && i < LOG_SLICE * applied && turn->local.log_bytes > LOG_BYTES_MAX; i++) {
        rc = turn_compact(turn, last, 1, err);
    }
    return rc;
}

static int apply_batch(struct solo *solo, struct list *batch, struct error *err) {
    struct turn turn;
    int rc = turn_begin(solo->proposer.store, &turn, err);
    if (rc < 0) {
        return rc;
    }
    size_t bytes = 0, count = 0;
    for (; rc == 0 && solo->queued > 0 && count < TURN_ENTRIES_MAX && bytes < TURN_BYTES_MAX; count++) {
        struct pending *pending = take_first(solo, batch);
        bytes += pending->entry.len;
        rc = apply_one(&turn, pending, err);
    }
    rc = rc < 0 ? rc : compact(&turn, count, err);
    if (rc < 0) {
        turn_abort(&turn);
        return rc;
    }
    return turn_commit(&turn, err);
}

// After a failed sync of its meta page LMDB refuses to go on; then so do we.
static int can_go_on(const struct store *store, struct error *err) {
    MDB_txn *txn;
    int rc = environment_begin(&store->environment, /*write=*/true, &txn, err);
    if (rc == 0) {
        mdb_txn_abort(txn);
    }
    return rc;
}

static void answer_no_space(const struct list *batch, const struct error *why) {
    LIST_EACH(node, batch) {
        struct outcome *outcome = &LIST_ENTRY(node, struct pending, node)->outcome;
        *outcome = (struct outcome){.code = -ERR_NO_SPACE};
        error_text(why, outcome->text, sizeof outcome->text);
    }
}

static void report(struct solo *solo, struct list *batch) {
    LIST_EACH(node, batch) {
        struct pending *pending = LIST_ENTRY(node, struct pending, node);
        struct proposal_result result = {pending->token, pending->outcome.code, pending->outcome.revision,
                                         pending->outcome.text};
        solo->proposer.on_result(solo->proposer.context, &result);
    }
}

static void free_all(struct list *batch) {
    LIST_EACH(node, batch) {
        list_remove(node);
        pending_free(LIST_ENTRY(node, struct pending, node));
    }
}

static int solo_turn(struct proposer *proposer, struct error *err) {
    struct solo *solo = solo_of(proposer);
    solo->is_headroom_known = false;
    if (solo->queued == 0) {
        return 0;
    }
    struct list batch;
    list_init(&batch);
    struct error failure = {0};
    int rc = apply_batch(solo, &batch, &failure);
    if (rc == -ERR_NO_SPACE) {
        answer_no_space(&batch, &failure);
        rc = can_go_on(proposer->store, &failure);
    }
    if (rc == 0) {
        report(solo, &batch);
    } else if (err != NULL) {
        *err = failure;
    }
    free_all(&batch);
    return rc;
}

static bool solo_is_leader(const struct proposer *proposer) {
    (void)proposer;
    return true;
}

static bool solo_has_work(const struct proposer *proposer) {
    return solo_of(proposer)->queued > 0;
}

static void solo_free(struct proposer *proposer) {
    struct solo *solo = solo_of(proposer);
    free_all(&solo->queue);
    xfree(solo);
}

struct proposer *proposer_solo_new(struct store *store, proposal_result_fn on_result, void *context) {
    static const struct proposer_ops ops = {solo_submit, solo_turn, solo_is_leader, solo_has_work, solo_free};
    ASSERT(store != NULL && on_result != NULL);
    struct solo *solo = NEW(struct solo);
    solo->proposer = (struct proposer){&ops, store, on_result, context};
    list_init(&solo->queue);
    return &solo->proposer;
}
