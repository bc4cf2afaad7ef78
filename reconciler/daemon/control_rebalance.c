// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/control_rebalance.c — REBALANCE: which tasks should move, and the word to move them.
//
// The moves are found by the planner's own rule. To make them, the time is noted in each service that has
// any; whoever leads then moves its tasks, some at a time, until it is balanced.
#include "reconciler/daemon/control.h"

#include "base/mem.h"
#include "reconciler/daemon/daemon.h"
#include "reconciler/schedule/rebalance.h"

struct rebalancing {
    struct answer answer; // first: the conversation's state
    struct arena arena;
    struct rebalance_reply reply;
    struct transaction transaction;
    struct view view;
    LIST_OF(struct id) services;
};

// The proposal goes its way; its result finds nobody to tell.
static void on_closed(struct answer *answer) {
    (void)answer;
}

static void rebalancing_free(struct rebalancing *rebalancing) {
    arena_free(&rebalancing->arena);
    xfree(rebalancing);
}

static void reply(struct rebalancing *rebalancing, int64_t revision) {
    server_send(rebalancing->answer.conversation, MESSAGE_REBALANCE_REPLY, &rebalancing->reply);
    server_done(rebalancing->answer.conversation, revision);
}

static void on_result(void *context, const struct proposal_result *result) {
    struct rebalancing *rebalancing = context;
    struct error err = {0};
    if (result->code < 0) {
        error_set(&err, (enum error_code) - result->code, "%s", result->text);
        group_explain(rebalancing->answer.daemon, &err);
    }
    if (rebalancing->answer.conversation != NULL && result->code < 0) {
        server_fail(rebalancing->answer.conversation, &err);
    } else if (rebalancing->answer.conversation != NULL) {
        reply(rebalancing, result->revision);
    }
    rebalancing_free(rebalancing);
}

// --- what moves ---

static int collect_all(struct rebalancing *rebalancing, struct store_read *read, struct error *err) {
    struct store_cursor cursor;
    struct id id;
    struct bytes bytes;
    int rc = store_each_begin(read, STORE_ALL, KIND_SERVICE, NULL, &cursor, err);
    if (rc < 0) {
        return rc;
    }
    while ((rc = store_each_next(&cursor, &id, &bytes, err)) == 0) {
        *ARENA_PUSH(&rebalancing->arena, &rebalancing->services) = id;
    }
    store_each_end(&cursor);
    return rc < 0 ? rc : 0;
}

static int collect(struct rebalancing *rebalancing, struct store_read *read, const struct strings *references,
                   struct error *err) {
    int rc = references->count == 0 ? collect_all(rebalancing, read, err) : 0;
    for (size_t i = 0; rc == 0 && i < references->count; i++) {
        struct id id;
        rc = control_resolve(read, KIND_SERVICE, references->items[i], &rebalancing->arena, &id, err);
        if (rc == 0) {
            *ARENA_PUSH(&rebalancing->arena, &rebalancing->services) = id;
        }
    }
    struct daemon *daemon = rebalancing->answer.daemon;
    struct view *view = &rebalancing->view;
    rc = rc < 0 ? rc : picture_begin(view, read, daemon->now.unix_ms, &rebalancing->arena, err);
    for (size_t i = 0; rc >= 0 && i < rebalancing->services.count; i++) {
        rc = picture_add(view, read, &rebalancing->services.items[i], &rebalancing->arena, err);
    }
    return rc < 0 ? rc : planner_seal(&daemon->planner, view, read, &rebalancing->arena, err);
}

static void add_places(struct rebalancing *rebalancing, const struct service *service,
                       const struct moves *moves, struct rebalance_service *out) {
    const struct view *view = &rebalancing->view;
    struct view_tasks tasks = view_tasks_of(view, &service->meta.id);
    for (size_t i = 0; i < view->nodes.count; i++) {
        const struct node *node = view->nodes.items[i].node;
        struct rebalance_place place;
        schema_init(&rebalance_place_schema, &place);
        place.node = node->spec.name;
        for (size_t j = 0; j < tasks.count; j++) {
            place.before += view_wants_to_run(tasks.items[j]) && view_holds_resources(tasks.items[j]) &&
                            id_equal(&tasks.items[j]->node_id, &node->meta.id);
        }
        place.after = place.before;
        for (size_t j = 0; j < moves->count; j++) {
            place.after += (moves->items[j].to == node) - (moves->items[j].from == node);
        }
        if (place.before > 0 || place.after > 0) {
            *ARENA_PUSH(&rebalancing->arena, &out->places) = place;
        }
    }
}

static void add_service(struct rebalancing *rebalancing, const struct service *service) {
    struct arena *arena = &rebalancing->arena;
    struct moves moves;
    const char *obstacle;
    rebalance_plan(&rebalancing->view, service, arena, &moves, &obstacle);
    struct rebalance_service *out = ARENA_PUSH(arena, &rebalancing->reply.services);
    schema_init(&rebalance_service_schema, out);
    out->name = service->spec.name;
    out->obstacle = obstacle != NULL ? obstacle : "";
    for (size_t i = 0; i < moves.count; i++) {
        const struct move *move = &moves.items[i];
        struct rebalance_move *at = ARENA_PUSH(arena, &out->moves);
        schema_init(&rebalance_move_schema, at);
        at->task = arena_printf(arena, "%s.%lld", service->spec.name, (long long)move->task->slot);
        at->from = move->from->spec.name;
        at->to = move->to->spec.name;
        at->why = move->why;
    }
    if (moves.count == 0) {
        return;
    }
    add_places(rebalancing, service, &moves, out);
    struct service *asked = arena_copy(arena, service, sizeof *service);
    asked->rebalance_asked_unix_ms = rebalancing->view.now_unix_ms;
    transaction_add(&rebalancing->transaction, CHANGE_UPDATE, KIND_SERVICE, asked, arena);
}

static int find(struct rebalancing *rebalancing, const struct request *request, struct error *err) {
    const struct rebalance_request *asked = request->payload;
    struct store_read *read;
    int rc = store_read_begin(request->daemon->store, &read, err);
    if (rc < 0) {
        return rc;
    }
    schema_init(&rebalance_reply_schema, &rebalancing->reply);
    schema_init(&transaction_schema, &rebalancing->transaction);
    rc = collect(rebalancing, read, &asked->references, err);
    for (size_t i = 0; rc == 0 && i < rebalancing->view.services.count; i++) {
        add_service(rebalancing, rebalancing->view.services.items[i]);
    }
    store_read_end(read);
    return rc;
}

void control_rebalance(const struct request *request) {
    const struct rebalance_request *asked = request->payload;
    struct rebalancing *rebalancing = NEW(struct rebalancing);
    struct error err = {0};
    rebalancing->answer = (struct answer){request->daemon, request->conversation, on_closed, NULL};
    int rc = find(rebalancing, request, &err);
    if (rc == 0 && (asked->plan_only || rebalancing->transaction.changes.count == 0)) {
        reply(rebalancing, rebalancing->view.revision);
        rebalancing_free(rebalancing);
        return;
    }
    rebalancing->transaction.who = request->who;
    rebalancing->transaction.why =
        asked->why[0] != '\0' ? arena_strdup(&rebalancing->arena, asked->why) : "rebalance";
    rebalancing->transaction.time_unix_ms = request->daemon->now.unix_ms;
    rc = rc < 0 ? rc
                : proposals_submit(&request->daemon->proposals, &rebalancing->transaction, on_result,
                                   rebalancing, &err);
    if (rc < 0) {
        server_fail(request->conversation, &err);
        rebalancing_free(rebalancing);
        return;
    }
    conversation_set_state(request->conversation, rebalancing);
}
