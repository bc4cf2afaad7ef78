// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/control_plan.c — PLAN: declarations decided as APPLY would, put into a view on paper, and
// followed to their end (reconciler/schedule/forecast.h). Nothing is written.
//
// Dependencies are left out of the paper: there all services start well, so they change when tasks start, not
// which.
#include "reconciler/daemon/control.h"

#include "base/mem.h"
#include "reconciler/daemon/daemon.h"
#include "reconciler/daemon/decide.h"
#include "reconciler/schedule/forecast.h"

struct planning {
    struct daemon *daemon;
    struct store_read *read;
    struct arena arena;
    struct decision decision;
    struct view view;
    LIST_OF(struct id) changed; // services
    struct plan_reply reply;
};

// --- the view as it would be ---

static int add_stored(struct planning *planning, struct error *err) {
    struct store_cursor cursor;
    struct id id;
    struct bytes bytes;
    LIST_OF(struct id) ids = {0};
    int rc = store_each_begin(planning->read, STORE_ALL, KIND_SERVICE, NULL, &cursor, err);
    if (rc < 0) {
        return rc;
    }
    while ((rc = store_each_next(&cursor, &id, &bytes, err)) == 0) {
        *ARENA_PUSH(&planning->arena, &ids) = id;
    }
    store_each_end(&cursor);
    for (size_t i = 0; rc >= 0 && i < ids.count; i++) {
        rc = picture_add(&planning->view, planning->read, &ids.items[i], &planning->arena, err);
    }
    return rc < 0 ? rc : 0;
}

static void put_service(struct planning *planning, struct service *service, const struct change *change) {
    struct view *view = &planning->view;
    service->spec.depends_on.count = 0;
    if (change->op == CHANGE_CREATE) {
        view_add_service(view, service, &planning->arena);
        *ARENA_PUSH(&planning->arena, &planning->changed) = service->meta.id;
        return;
    }
    for (size_t i = 0; i < view->services.count; i++) {
        const struct service *before = view->services.items[i];
        if (id_equal(&before->meta.id, &service->meta.id)) {
            if (before->revision != service->revision) { // else its owner changes, or its name
                *ARENA_PUSH(&planning->arena, &planning->changed) = service->meta.id;
            }
            view->services.items[i] = service;
        }
    }
}

static void put_node(struct planning *planning, const struct node *node) {
    for (size_t i = 0; i < planning->view.nodes.count; i++) {
        if (id_equal(&planning->view.nodes.items[i].node->meta.id, &node->meta.id)) {
            planning->view.nodes.items[i].node = node;
        }
    }
}

static int put_changes(struct planning *planning, struct error *err) {
    const struct transaction *transaction = &planning->decision.transaction;
    for (size_t i = 0; i < transaction->changes.count; i++) {
        const struct change *change = &transaction->changes.items[i];
        if (change->op == CHANGE_DELETE || (change->kind != KIND_SERVICE && change->kind != KIND_NODE)) {
            continue;
        }
        const struct schema *schema = object_schema(change->kind);
        void *object = arena_alloc(&planning->arena, schema->bytes);
        int rc = wire_decode(schema, change->object, object, &planning->arena, err);
        if (rc < 0) {
            return rc;
        }
        object_meta(object)->id = change->id;
        if (change->kind == KIND_SERVICE) {
            put_service(planning, object, change);
        } else {
            put_node(planning, object);
        }
    }
    return 0;
}

// --- the answer ---

static void add_forecast(struct planning *planning, const struct forecast *forecast) {
    struct plan_service *out = ARENA_PUSH(&planning->arena, &planning->reply.services);
    schema_init(&plan_service_schema, out);
    out->name = forecast->service->spec.name;
    out->kept = forecast->kept;
    out->replaced = forecast->replaced;
    out->moved = forecast->moved;
    out->created = forecast->created;
    out->stopped = forecast->stopped;
    out->waiting = forecast->waiting;
    out->reason = forecast->reason;
    out->is_cut = forecast->is_cut;
    for (size_t i = 0; i < forecast->places.count; i++) {
        struct rebalance_place *place = ARENA_PUSH(&planning->arena, &out->places);
        schema_init(&rebalance_place_schema, place);
        place->node = forecast->places.items[i].node->spec.name;
        place->before = forecast->places.items[i].before;
        place->after = forecast->places.items[i].after;
    }
}

static int find(struct planning *planning, const struct request *request, struct error *err) {
    int64_t now = planning->daemon->now.unix_ms;
    struct forecasts forecasts = {0};
    struct prng prng = planning->daemon->planner.prng; // ids that nothing has yet
    int rc = decide_apply(planning->read, request->payload, request->who, now, &planning->arena,
                          &planning->decision, err);
    rc = rc < 0 ? rc : picture_begin(&planning->view, planning->read, now, &planning->arena, err);
    rc = rc < 0 ? rc : add_stored(planning, err);
    rc = rc < 0 ? rc : put_changes(planning, err);
    rc = rc < 0 ? rc
                : planner_seal(&planning->daemon->planner, &planning->view, planning->read, &planning->arena, err);
    if (rc < 0) {
        return rc;
    }
    forecast_services(&planning->view, planning->changed.items, planning->changed.count, &prng,
                      &planning->arena, &forecasts);
    schema_init(&plan_reply_schema, &planning->reply);
    planning->reply.results.count = planning->decision.applied.results.count;
    planning->reply.results.items = planning->decision.applied.results.items;
    planning->reply.revision = planning->view.revision;
    for (size_t i = 0; i < forecasts.count; i++) {
        add_forecast(planning, &forecasts.items[i]);
    }
    return 0;
}

void control_plan(const struct request *request) {
    struct planning planning = {.daemon = request->daemon};
    struct error err = {0};
    int rc = store_read_begin(request->daemon->store, &planning.read, &err);
    if (rc == 0) {
        rc = find(&planning, request, &err);
        store_read_end(planning.read);
    }
    if (rc < 0) {
        server_fail_with(request->conversation, &err, &planning.decision.mistakes);
    } else {
        server_send(request->conversation, MESSAGE_PLAN_REPLY, &planning.reply);
        server_done(request->conversation, planning.view.revision);
    }
    arena_free(&planning.arena);
}
