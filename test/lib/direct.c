// SPDX-License-Identifier: Apache-2.0
//
// test/lib/direct.c — what a turn collects is one synced transaction: entries and their effects.
#include "test/lib/direct.h"

#include <string.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/mem.h"
#include "reconciler/store/admission.h"
#include "reconciler/store/turn.h"

#define QUEUE_ENTRIES_MAX 4096
#define QUEUE_BYTES_MAX ((size_t)64 * MIB)
#define TURN_ENTRIES_MAX 512
#define TURN_BYTES_MAX ((size_t)8 * MIB)
#define LOG_ENTRIES_MAX 4096
#define LOG_BYTES_MAX (16 * MIB)
#define LOG_SLICE 8

struct pending {
    struct list_node node;
    uint64_t token;
    struct buf entry;
    struct outcome outcome;
};

struct direct {
    struct proposer proposer;
    struct admission admission;
    struct list queue;
    size_t queued, queued_bytes;
};

static struct direct *direct_of(const struct proposer *proposer) {
    return (struct direct *)(void *)(uintptr_t)proposer;
}

static void pending_free(struct pending *pending) {
    buf_free(&pending->entry);
    xfree(pending);
}

static int direct_submit(struct proposer *proposer, const struct transaction *transaction, uint64_t token,
                         struct error *err) {
    struct direct *direct = direct_of(proposer);
    int rc = admission_check(transaction, err);
    if (rc == 0 && (direct->queued >= QUEUE_ENTRIES_MAX || direct->queued_bytes >= QUEUE_BYTES_MAX)) {
        rc = error_set(err, ERR_BUSY, "%zu proposals are waiting", direct->queued);
    }
    rc = rc < 0 ? rc : admission_check_space(&direct->admission, transaction, direct->queued_bytes, err);
    if (rc < 0) {
        return rc;
    }
    struct pending *pending = NEW(struct pending);
    pending->token = token;
    rc = admission_encode(transaction, &pending->entry, err);
    if (rc < 0) {
        pending_free(pending);
        return rc;
    }
    list_append(&direct->queue, &pending->node);
    direct->queued++;
    direct->queued_bytes += pending->entry.len;
    return 0;
}

// --- turn ---

static struct pending *take_first(struct direct *direct, struct list *batch) {
    struct list_node *node = list_first(&direct->queue);
    struct pending *pending = LIST_ENTRY(node, struct pending, node);
    list_remove(node);
    list_append(batch, node);
    direct->queued--;
    direct->queued_bytes -= pending->entry.len;
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

static int apply_batch(struct direct *direct, struct list *batch, struct error *err) {
    struct turn turn;
    int rc = turn_begin(direct->proposer.store, &turn, err);
    if (rc < 0) {
        return rc;
    }
    size_t bytes = 0, count = 0;
    for (; rc == 0 && direct->queued > 0 && count < TURN_ENTRIES_MAX && bytes < TURN_BYTES_MAX; count++) {
        struct pending *pending = take_first(direct, batch);
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

static void answer_no_space(const struct list *batch, const struct error *why) {
    LIST_EACH(node, batch) {
        struct outcome *outcome = &LIST_ENTRY(node, struct pending, node)->outcome;
        *outcome = (struct outcome){.code = -ERR_NO_SPACE};
        error_text(why, outcome->text, sizeof outcome->text);
    }
}

static void report(struct direct *direct, struct list *batch) {
    LIST_EACH(node, batch) {
        struct pending *pending = LIST_ENTRY(node, struct pending, node);
        struct proposal_result result = {pending->token, pending->outcome.code, pending->outcome.revision,
                                         pending->outcome.text};
        direct->proposer.on_result(direct->proposer.context, &result);
    }
}

static void free_all(struct list *batch) {
    LIST_EACH(node, batch) {
        list_remove(node);
        pending_free(LIST_ENTRY(node, struct pending, node));
    }
}

static int direct_turn(struct proposer *proposer, struct error *err) {
    struct direct *direct = direct_of(proposer);
    admission_turn(&direct->admission);
    if (direct->queued == 0) {
        return 0;
    }
    struct list batch;
    list_init(&batch);
    struct error failure = {0};
    int rc = apply_batch(direct, &batch, &failure);
    if (rc == -ERR_NO_SPACE) {
        answer_no_space(&batch, &failure);
        rc = store_can_go_on(proposer->store, &failure);
    }
    if (rc == 0) {
        report(direct, &batch);
    } else if (err != NULL) {
        *err = failure;
    }
    free_all(&batch);
    return rc;
}

static bool direct_is_leader(const struct proposer *proposer) {
    (void)proposer;
    return true;
}

static bool direct_has_work(const struct proposer *proposer) {
    return direct_of(proposer)->queued > 0;
}

static void direct_free(struct proposer *proposer) {
    struct direct *direct = direct_of(proposer);
    free_all(&direct->queue);
    xfree(direct);
}

struct proposer *direct_new(struct store *store, proposal_result_fn on_result, void *context) {
    static const struct proposer_ops ops = {direct_submit, direct_turn, direct_is_leader, direct_has_work,
                                            direct_free};
    ASSERT(store != NULL && on_result != NULL);
    struct direct *direct = NEW(struct direct);
    direct->proposer = (struct proposer){&ops, store, on_result, context};
    direct->admission.store = store;
    list_init(&direct->queue);
    return &direct->proposer;
}
