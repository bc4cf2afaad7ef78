// SPDX-License-Identifier: Apache-2.0
//
// reconciler/dispatch/assign.c — tasks of a node with the spec of their revision, from the store.
//
// What an agent reports itself comes back as an event too; it is no news to the agent, so only changes by
// managers (desired state, assignment, start time) make an increment.
#include "reconciler/dispatch/assign.h"

#include "base/limits.h"
#include "base/map.h"
#include "specs/cluster.h"
#include "specs/node.h"

#define EVENTS_MAX 1024
#define EVENTS_BYTES_MAX (1 * MIB)

// Services met during a step: tasks of one service share its decoded specs.
struct source {
    struct store_read *read;
    struct arena *arena;
    struct strings insecure_registries;
    const char *hostname;
    struct map services; // by id; of struct service
    struct map specs;    // by "<service id>/<revision>"; of const struct service_spec
    size_t without_spec;
};

static int source_init(struct source *source, const struct id *node_id, struct error *err) {
    struct store_cursor cursor;
    struct id id;
    struct bytes bytes;
    void *object = NULL;
    source->hostname = "";
    int rc = store_each_begin(source->read, STORE_ALL, KIND_CLUSTER, NULL, &cursor, err);
    if (rc < 0) {
        return rc;
    }
    rc = store_each_next(&cursor, &id, &bytes, err);
    store_each_end(&cursor);
    rc = rc == 0 ? store_load(source->read, KIND_CLUSTER, &id, source->arena, &object, err) : rc;
    if (rc == 0) {
        source->insecure_registries = ((struct cluster *)object)->spec.insecure_registries;
    }
    rc = rc < 0 ? rc : store_load(source->read, KIND_NODE, node_id, source->arena, &object, err);
    if (rc == 0) {
        source->hostname = ((struct node *)object)->description.hostname;
    }
    return rc < 0 ? rc : 0;
}

static void source_deinit(struct source *source) {
    map_free(&source->services);
    map_free(&source->specs);
}

static int load_service(struct source *source, const struct id *id, const struct service **out,
                        struct error *err) {
    void *object = map_get(&source->services, id->text);
    if (object == NULL) {
        int rc = store_load(source->read, KIND_SERVICE, id, source->arena, &object, err);
        if (rc != 0) {
            *out = NULL;
            return rc < 0 ? rc : 0;
        }
        map_put(&source->services, ((struct service *)object)->meta.id.text, object);
    }
    *out = object;
    return 0;
}

// The spec of a revision that is not the current one. NULL when it is not kept any more.
static int load_revision(struct source *source, const struct task *task, const struct service_spec **out,
                         struct error *err) {
    char *name = arena_printf(source->arena, "%s/%lld", task->service_id.text, (long long)task->revision);
    void *object = map_get(&source->specs, name);
    if (object == NULL) {
        struct id id;
        int rc = store_find_name(source->read, KIND_REVISION, name, &id, err);
        rc = rc == 0 ? store_load(source->read, KIND_REVISION, &id, source->arena, &object, err) : rc;
        if (rc != 0) {
            *out = NULL;
            return rc < 0 ? rc : 0;
        }
        map_put(&source->specs, name, object);
    }
    *out = &((struct revision *)object)->spec;
    return 0;
}

static int add_assignment(struct source *source, const struct task *task, struct assign_step *out,
                          struct error *err) {
    const struct service *service;
    const struct service_spec *spec;
    int rc = load_service(source, &task->service_id, &service, err);
    if (rc < 0) {
        return rc;
    }
    if (service != NULL && service->revision == task->revision) {
        spec = &service->spec;
    } else {
        rc = load_revision(source, task, &spec, err);
    }
    if (rc < 0 || spec == NULL) {
        source->without_spec += rc == 0;
        return rc;
    }
    struct assignment *assignment = ARENA_PUSH(source->arena, &out->changed);
    schema_init(&assignment_schema, assignment);
    assignment->task = *task;
    assignment->spec = *spec;
    assignment->service_name = spec->name;
    assignment->node_hostname = source->hostname;
    assignment->insecure_registries = source->insecure_registries;
    return 0;
}

static bool is_held(const struct assign *assign, const struct task *task) {
    return id_equal(&task->node_id, &assign->node_id) && task->status.state >= TASK_ASSIGNED;
}

static int complete(struct assign *assign, struct source *source, struct assign_step *out,
                    struct error *err) {
    struct store_cursor cursor;
    struct id id;
    struct bytes bytes;
    int rc = store_each_begin(source->read, STORE_TASKS_OF_NODE, KIND_TASK, &assign->node_id, &cursor, err);
    if (rc < 0) {
        return rc;
    }
    while ((rc = store_each_next(&cursor, &id, &bytes, err)) == 0) {
        struct task task;
        rc = wire_decode(&task_schema, bytes, &task, source->arena, err);
        if (rc == 0 && is_held(assign, &task)) {
            rc = add_assignment(source, &task, out, err);
        }
        if (rc < 0) {
            break;
        }
    }
    store_each_end(&cursor);
    out->is_complete = true;
    assign->position = store_position_after(store_read_revision(source->read));
    assign->is_started = true;
    return rc < 0 ? rc : 0;
}

// Did a manager change what the node has to do for this task?
static bool is_news(const struct assign *assign, const struct task *from, const struct task *to) {
    return from == NULL || !is_held(assign, from) || from->desired != to->desired ||
           from->start_after_unix_ms != to->start_after_unix_ms;
}

static int decode_task(struct bytes bytes, struct task *storage, const struct task **out, struct arena *arena,
                       struct error *err) {
    *out = bytes.len > 0 ? storage : NULL;
    return bytes.len > 0 ? wire_decode(&task_schema, bytes, storage, arena, err) : 0;
}

static int take_event(struct assign *assign, struct source *source, const struct event *event,
                      struct map *changed, struct assign_step *out, struct error *err) {
    struct task storage[2];
    const struct task *from, *to;
    int rc = decode_task(event->from, &storage[0], &from, source->arena, err);
    rc = rc < 0 ? rc : decode_task(event->to, &storage[1], &to, source->arena, err);
    if (rc < 0) {
        return rc;
    }
    bool was_held = from != NULL && is_held(assign, from);
    if (to == NULL || !is_held(assign, to)) {
        if (was_held) {
            map_remove(changed, event->id.text);
            *ARENA_PUSH(source->arena, &out->removed) = event->id;
        }
    } else if (is_news(assign, from, to)) {
        struct task *copy = arena_copy(source->arena, to, sizeof *to);
        map_put(changed, copy->meta.id.text, copy);
    } else if (map_get(changed, event->id.text) != NULL) { // the newest state goes out
        *(struct task *)map_get(changed, event->id.text) = *to;
    }
    return 0;
}

static int add_changed(struct source *source, const struct map *changed, struct assign_step *out,
                       struct error *err) {
    size_t cursor = 0;
    int rc = 0;
    for (const struct task *task; rc == 0 && (task = map_next(changed, &cursor)) != NULL;) {
        rc = add_assignment(source, task, out, err);
    }
    return rc;
}

// STORE_SKIPPED when the history does not reach back.
static int increments(struct assign *assign, struct source *source, struct assign_step *out,
                      struct error *err) {
    struct map changed = {0};
    int rc = 0;
    for (size_t count = 1; rc == 0 && count > 0;) {
        struct events events = {0};
        rc = store_history(source->read, &assign->position, UINT64_C(1) << KIND_TASK, EVENTS_MAX,
                           EVENTS_BYTES_MAX, source->arena, &events, err);
        count = events.count;
        for (size_t i = 0; rc == 0 && i < count; i++) {
            rc = take_event(assign, source, &events.items[i], &changed, out, err);
        }
    }
    rc = rc != 0 ? rc : add_changed(source, &changed, out, err);
    map_free(&changed);
    return rc;
}

int assign_next(struct assign *assign, struct store_read *read, struct arena *arena, struct assign_step *out,
                size_t *out_without_spec, struct error *err) {
    *out = (struct assign_step){0};
    struct source source = {.read = read, .arena = arena};
    int rc = source_init(&source, &assign->node_id, err);
    bool is_start = !assign->is_started;
    if (rc == 0 && !is_start) {
        rc = increments(assign, &source, out, err);
        is_start = rc == STORE_SKIPPED;
    }
    if (rc >= 0 && is_start) {
        *out = (struct assign_step){0};
        rc = complete(assign, &source, out, err);
    }
    source_deinit(&source);
    if (out_without_spec != NULL) {
        *out_without_spec = source.without_spec;
    }
    return error_wrap(err, rc, "assignments of node %s", assign->node_id.text);
}
