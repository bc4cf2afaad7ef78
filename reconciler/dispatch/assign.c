// SPDX-License-Identifier: Apache-2.0
//
// reconciler/dispatch/assign.c — the tasks of one node, and what the history says of them.
#include "reconciler/dispatch/assign.h"

#include <string.h>

#include "base/limits.h"
#include "base/map.h"
#include "reconciler/dispatch/source.h"

#define EVENTS_MAX 1024
#define EVENTS_BYTES_MAX (1 * MIB)

#define ASSIGN_KINDS (UINT64_C(1) << KIND_TASK | UINT64_C(1) << KIND_SECRET | UINT64_C(1) << KIND_CONFIG)

// What a step is made from.
struct making {
    struct task_source source;
    const char *hostname;
    size_t without_spec;
};

static int making_init(struct making *making, const struct id *node_id, struct store_read *read,
                       struct arena *arena, struct error *err) {
    const struct node *node;
    *making = (struct making){.hostname = ""};
    int rc = source_init(&making->source, read, arena, err);
    rc = rc < 0 ? rc : source_node(&making->source, node_id, &node, err);
    if (rc == 0) {
        making->hostname = node->description.hostname;
    }
    return rc < 0 ? rc : 0;
}

static bool has_content(const struct assign_step *step, const struct id *id) {
    for (size_t i = 0; i < step->contents.count; i++) {
        if (id_equal(&step->contents.items[i].id, id)) {
            return true;
        }
    }
    return false;
}

// Copies, which outlive the source.
static void add_contents(struct making *making, const struct assignment *assignment,
                         struct assign_step *out) {
    struct arena *arena = making->source.arena;
    for (size_t i = 0; i < assignment->files.count; i++) {
        const struct id *id = &assignment->files.items[i].content;
        const struct assigned_content *content = source_content(&making->source, id);
        if (content != NULL && !has_content(out, id)) {
            struct assigned_content *copy = ARENA_PUSH(arena, &out->contents);
            *copy = *content;
            copy->data.data = arena_copy(arena, content->data.data, content->data.len);
        }
    }
}

void assign_step_wipe(struct assign_step *step) {
    for (size_t i = 0; i < step->contents.count; i++) {
        struct bytes data = step->contents.items[i].data;
        if (data.len > 0) {
            explicit_bzero((void *)(uintptr_t)data.data, data.len);
        }
    }
}

static int add_assignment(struct making *making, const struct task *task, struct assign_step *out,
                          struct error *err) {
    struct assignment assignment;
    int rc = source_assignment(&making->source, task, making->hostname, &assignment, err);
    making->without_spec += rc == SOURCE_WITHOUT_SPEC;
    if (rc == 0) {
        *ARENA_PUSH(making->source.arena, &out->changed) = assignment;
        add_contents(making, &assignment, out);
    }
    return rc < 0 ? rc : 0;
}

struct completion {
    const struct assign *assign;
    struct making *making;
    struct assign_step *out;
};

static int complete_one(void *context, void *object, struct arena *arena, struct error *err) {
    const struct completion *completion = context;
    (void)arena;
    return source_is_held(object, &completion->assign->node_id)
               ? add_assignment(completion->making, object, completion->out, err)
               : 0;
}

static int complete(struct assign *assign, struct making *making, struct assign_step *out,
                    struct error *err) {
    struct completion completion = {assign, making, out};
    int rc = store_each_object(making->source.read, STORE_TASKS_OF_NODE, KIND_TASK, &assign->node_id,
                               making->source.arena, complete_one, &completion, err);
    out->is_complete = true;
    assign->position = store_position_after(store_read_revision(making->source.read));
    assign->is_started = true;
    return rc;
}

// What the history says of the node.
struct reading {
    const struct assign *assign;
    struct making *making;
    struct map *changed; // of struct task, by id
};

static int take_follower(void *context, const struct task *task, struct error *err) {
    struct reading *reading = context;
    (void)err;
    if (source_is_held(task, &reading->assign->node_id) &&
        map_get(reading->changed, task->meta.id.text) == NULL) {
        struct task *copy = schema_copy(&task_schema, task, reading->making->source.arena);
        map_put(reading->changed, copy->meta.id.text, copy);
    }
    return 0;
}

// A content is new: those who have whatever is the newest get it.
static int take_content(struct reading *reading, const struct event *event, struct error *err) {
    return event->op == CHANGE_UPDATE
               ? source_each_follower(reading->making->source.read, (enum object_kind)event->kind,
                                      event->name, take_follower, reading, err)
               : 0;
}

static int take_event(struct assign *assign, struct making *making, const struct event *event,
                      struct map *changed, struct assign_step *out, struct error *err) {
    struct task storage[2];
    const struct task *from, *to;
    if (event->kind != KIND_TASK) {
        return take_content(&(struct reading){assign, making, changed}, event, err);
    }
    int rc = source_decode_task(event->from, &storage[0], &from, making->source.arena, err);
    rc = rc < 0 ? rc : source_decode_task(event->to, &storage[1], &to, making->source.arena, err);
    if (rc < 0) {
        return rc;
    }
    bool was_held = from != NULL && source_is_held(from, &assign->node_id);
    if (to == NULL || !source_is_held(to, &assign->node_id)) {
        if (was_held) {
            map_remove(changed, event->id.text);
            *ARENA_PUSH(making->source.arena, &out->removed) = event->id;
        }
    } else if (source_is_news(from, to, &assign->node_id)) {
        struct task *copy = arena_copy(making->source.arena, to, sizeof *to);
        map_put(changed, copy->meta.id.text, copy);
    } else if (map_get(changed, event->id.text) != NULL) { // the newest state goes out
        *(struct task *)map_get(changed, event->id.text) = *to;
    }
    return 0;
}

static int add_changed(struct making *making, const struct map *changed, struct assign_step *out,
                       struct error *err) {
    size_t cursor = 0;
    int rc = 0;
    for (const struct task *task; rc == 0 && (task = map_next(changed, &cursor)) != NULL;) {
        rc = add_assignment(making, task, out, err);
    }
    return rc;
}

// STORE_SKIPPED when the history does not reach back.
static int increments(struct assign *assign, struct making *making, struct assign_step *out,
                      struct error *err) {
    struct map changed = {0};
    int rc = 0;
    for (size_t count = 1; rc == 0 && count > 0;) {
        struct events events = {0};
        rc = store_history(making->source.read, &assign->position, ASSIGN_KINDS, EVENTS_MAX, EVENTS_BYTES_MAX,
                           making->source.arena, &events, err);
        count = events.count;
        for (size_t i = 0; rc == 0 && i < count; i++) {
            rc = take_event(assign, making, &events.items[i], &changed, out, err);
        }
    }
    rc = rc != 0 ? rc : add_changed(making, &changed, out, err);
    map_free(&changed);
    return rc;
}

int assign_next(struct assign *assign, struct store_read *read, struct arena *arena, struct assign_step *out,
                size_t *out_without_spec, struct error *err) {
    *out = (struct assign_step){0};
    struct making making;
    int rc = making_init(&making, &assign->node_id, read, arena, err);
    making.source.vault = assign->vault;
    bool is_start = !assign->is_started;
    if (rc == 0 && !is_start) {
        rc = increments(assign, &making, out, err);
        is_start = rc == STORE_SKIPPED;
    }
    if (rc >= 0 && is_start) {
        *out = (struct assign_step){0};
        rc = complete(assign, &making, out, err);
    }
    source_deinit(&making.source);
    if (out_without_spec != NULL) {
        *out_without_spec = making.without_spec;
    }
    return error_wrap(err, rc, "assignments of node %s", assign->node_id.text);
}
