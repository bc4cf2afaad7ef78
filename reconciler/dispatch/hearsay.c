// SPDX-License-Identifier: Apache-2.0
//
// reconciler/dispatch/hearsay.c — what agents say, on its way into the store: reports of tasks, and what
// nodes are.
//
// Both go in one transaction; it is small, because only the newest of each is kept. What is refused is
// composed again, from what is in the store by then.
#include "reconciler/dispatch/sessions_parts.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

#define DESCRIPTIONS_MAX 100 // in one transaction

// --- descriptions ---

void hearsay_forget(struct session_node *node) {
    if (list_is_linked(&node->described)) {
        list_remove(&node->described);
    }
    xfree(node->description);
    node->description = NULL;
    node->is_description_travelling = node->is_leaving = false;
}

// What it is does not matter any more.
void hearsay_leave(struct sessions *sessions, struct session_node *node) {
    hearsay_forget(node);
    node->is_leaving = true;
    list_append(&sessions->described, &node->described);
}

void hearsay_describe(struct sessions *sessions, struct session_node *node,
                      const struct node_description *description) {
    AUTO_BUF bytes = {0};
    if (node->is_leaving) {
        return;
    }
    wire_encode(&node_description_schema, description, &bytes);
    hearsay_forget(node);
    node->description = memcpy(xmalloc(bytes.len + 1), buf_text(&bytes), bytes.len);
    node->description_len = bytes.len;
    list_append(&sessions->described, &node->described);
}

// Its tasks are replaced at once, and it may join again.
static int say_good_bye(struct node *record, const struct transaction *transaction) {
    bool is_news = !record->status.left;
    record->spec.role = ROLE_WORKER;
    record->status.state = NODE_DOWN;
    record->status.since_unix_ms = transaction->time_unix_ms;
    record->status.message = "it left the swarm";
    record->status.left = true;
    return is_news;
}

// Whether it changes the record.
static int apply_description(const struct session_node *node, struct node *record,
                             const struct transaction *transaction, struct arena *arena, struct error *err) {
    struct node_description said;
    struct bytes bytes = {node->description, node->description_len};
    if (node->is_leaving) {
        return say_good_bye(record, transaction);
    }
    int rc = wire_decode(&node_description_schema, bytes, &said, arena, err);
    if (rc < 0 || schema_equal(&node_description_schema, &record->description, &said)) {
        return rc;
    }
    record->description = said;
    return 1;
}

static int compose_description(struct session_node *node, struct store_read *read, struct arena *arena,
                               struct transaction *out, struct error *err) {
    void *record;
    int rc = store_load(read, KIND_NODE, &node->node_id, arena, &record, err);
    bool is_there = rc == 0;
    rc = is_there ? apply_description(node, record, out, arena, err) : rc;
    if (rc < 0) {
        return rc;
    }
    if (!is_there || rc == 0) {
        hearsay_forget(node);
        return 0;
    }
    transaction_add(out, CHANGE_UPDATE, KIND_NODE, record, arena);
    node->is_description_travelling = true;
    return 0;
}

static int compose_descriptions(struct sessions *sessions, struct store_read *read, struct arena *arena,
                                struct transaction *out, struct error *err) {
    int looks = 0, rc = 0;
    LIST_EACH(node, &sessions->described) {
        if (rc < 0 || looks++ == DESCRIPTIONS_MAX) {
            break;
        }
        rc = compose_description(LIST_ENTRY(node, struct session_node, described), read, arena, out, err);
    }
    return rc;
}

static void description_stored(struct sessions *sessions, struct session_node *node) {
    bool has_left = node->is_leaving;
    hearsay_forget(node);
    if (has_left) {
        sessions_forget(sessions, node, "this node left the cluster");
    }
}

static void descriptions_end(struct sessions *sessions, bool is_stored) {
    LIST_EACH(at, &sessions->described) {
        struct session_node *node = LIST_ENTRY(at, struct session_node, described);
        bool is_done = node->is_description_travelling && is_stored;
        node->is_description_travelling = false;
        if (is_done) {
            description_stored(sessions, node);
        }
    }
}

// --- reports ---

void hearsay_report(struct sessions *sessions, const struct session_node *node,
                    const struct report_batch *batch) {
    for (size_t i = 0; i < batch->reports.count; i++) {
        (void)status_post(&sessions->status, &node->node_id, &batch->reports.items[i]); // it says it again
    }
}

static int compare_nodes(const void *a, const void *b) {
    return id_compare(&((const struct status_settled *)a)->node_id,
                      &((const struct status_settled *)b)->node_id);
}

// The first of `settled`, and those of the same node behind it, as many as one message holds; how many. An
// acknowledgement that does not get there is none: the report comes again, and has no effect then.
static size_t acknowledge_some(struct sessions *sessions, const struct status_settled *settled, size_t count,
                               struct arena *arena) {
    const struct session_node *node = sessions_find(sessions, &settled->node_id);
    struct report_stored stored;
    size_t taken = 0;
    schema_init(&report_stored_schema, &stored);
    for (; taken < count && taken < REPORT_BATCH_MAX && id_equal(&settled[taken].node_id, &settled->node_id);
         taken++) {
        struct report_acknowledged *item = ARENA_PUSH(arena, &stored.reports);
        *item = (struct report_acknowledged){settled[taken].task_id, settled[taken].state, {0}};
    }
    if (node != NULL && node->is_open) {
        stored.session_id = node->id;
        session_send(sessions, node, MESSAGE_REPORT_STORED, &stored);
    }
    return taken;
}

static void acknowledge(struct sessions *sessions, struct status_settled_list *settled, struct arena *arena) {
    if (settled->count > 0) {
        qsort(settled->items, settled->count, sizeof *settled->items, compare_nodes);
    }
    for (size_t i = 0; i < settled->count;) {
        i += acknowledge_some(sessions, &settled->items[i], settled->count - i, arena);
    }
}

// --- both ---

bool sessions_has_news(const struct sessions *sessions) {
    return !sessions->is_travelling &&
           (sessions->status.waiting_count > 0 || sessions->described.head.next != &sessions->described.head);
}

int sessions_compose(struct sessions *sessions, struct store_read *read, struct arena *arena,
                     struct transaction *out, struct error *err) {
    ASSERT(!sessions->is_travelling);
    struct status_settled_list settled = {0};
    int rc = status_compose(&sessions->status, read, arena, out, &settled, err);
    rc = rc < 0 ? rc : compose_descriptions(sessions, read, arena, out, err);
    if (rc < 0) {
        sessions_refused(sessions);
        return error_wrap(err, rc, "store what agents report");
    }
    acknowledge(sessions, &settled, arena);
    sessions->is_travelling = out->changes.count > 0;
    return 0;
}

void sessions_stored(struct sessions *sessions) {
    struct status_settled_list settled = {0};
    arena_clear(&sessions->arena);
    status_stored(&sessions->status, &sessions->arena, &settled);
    descriptions_end(sessions, /*is_stored=*/true);
    sessions->is_travelling = false;
    acknowledge(sessions, &settled, &sessions->arena);
}

void sessions_refused(struct sessions *sessions) {
    status_refused(&sessions->status);
    descriptions_end(sessions, /*is_stored=*/false);
    sessions->is_travelling = false;
}
