// SPDX-License-Identifier: Apache-2.0
//
// cli/columns_rows.c — objects joined into the rows of cli/columns.h, and fetched for them.
#include <stdlib.h>

#include "base/map.h"
#include "base/str.h"
#include "cli/columns.h"
#include "cli/connect.h"

// By id; the maps are freed by the caller.
struct joined {
    struct map services, nodes, revisions, tallies, completed;
};
#define AUTO_JOINED __attribute__((cleanup(joined_free))) struct joined

static void joined_free(struct joined *joined) {
    map_free(&joined->services);
    map_free(&joined->nodes);
    map_free(&joined->revisions);
    map_free(&joined->tallies);
    map_free(&joined->completed);
}

static void index_ids(const struct object_list *list, struct map *out) {
    for (size_t i = 0; list != NULL && i < list->count; i++) {
        map_put(out, object_meta(list->items[i])->id.text, list->items[i]);
    }
}

static const char *revision_key(struct arena *arena, const struct id *service, int64_t revision) {
    return arena_printf(arena, "%s/%lld", service->text, (long long)revision);
}

static void joined_fill(struct joined *joined, const struct columns_source *source, struct arena *arena) {
    index_ids(source->services, &joined->services);
    index_ids(source->nodes, &joined->nodes);
    for (size_t i = 0; source->revisions != NULL && i < source->revisions->count; i++) {
        struct revision *revision = source->revisions->items[i];
        map_put(&joined->revisions, revision_key(arena, &revision->service_id, revision->revision), revision);
    }
}

// --- services ---

static int by_service_name(const void *a, const void *b) {
    const struct service_row *x = *(const void *const *)a;
    const struct service_row *y = *(const void *const *)b;
    return str_compare_natural(x->service->spec.name, y->service->spec.name);
}

// What was running on a node that is lost now is not counted: it has been replaced, or was to be stopped anyway,
// and nobody hears of it.
static bool is_running(const struct task *task, const struct map *nodes) {
    const struct node *node = map_get(nodes, task->node_id.text);
    bool is_down = node != NULL && node->status.state == NODE_DOWN;
    bool is_lost = task->desired > TASK_RUNNING && (is_down || task->desired_reason == REASON_NODE_LOST);
    return task->status.state == TASK_RUNNING && !is_lost;
}

static void tally(struct service_row *row, const struct task *task, const struct map *nodes) {
    row->running += is_running(task, nodes);
    bool is_wanted = task->desired == TASK_RUNNING || task->desired == TASK_READY;
    row->desired += row->service->spec.deploy.mode != MODE_REPLICATED && is_wanted &&
                    !task_state_is_over(task->status.state);
}

// Slots of jobs whose work is done in this run: a slot counts once, even if two of its tasks completed, as may
// be after a node was lost for a while.
static void tally_completed(struct joined *joined, struct service_row *row, const struct task *task,
                            struct arena *arena) {
    if (!mode_is_job(row->service->spec.deploy.mode) || task->status.state != TASK_COMPLETE ||
        task->job_iteration != row->service->job_iteration) {
        return;
    }
    const char *slot = arena_printf(arena, "%s/%lld/%s", task->service_id.text, (long long)task->slot,
                                    task->slot > 0 ? "" : task->node_id.text);
    row->completed += map_put(&joined->completed, slot, row) == NULL;
}

struct rows columns_service_rows(const struct columns_source *source, struct arena *arena) {
    AUTO_JOINED joined = {0};
    struct rows rows = {0};
    index_ids(source->nodes, &joined.nodes);
    for (size_t i = 0; i < source->services->count; i++) {
        struct service_row *row = ARENA_NEW(arena, struct service_row);
        row->service = source->services->items[i];
        bool is_counted = row->service->spec.deploy.mode == MODE_REPLICATED && !row->service->removing;
        row->desired = is_counted ? row->service->spec.deploy.replicas : 0;
        map_put(&joined.tallies, row->service->meta.id.text, row);
        *ARENA_PUSH(arena, &rows) = row;
    }
    for (size_t i = 0; source->tasks != NULL && i < source->tasks->count; i++) {
        const struct task *task = source->tasks->items[i];
        struct service_row *row = map_get(&joined.tallies, task->service_id.text);
        if (row != NULL) {
            tally(row, task, &joined.nodes);
            tally_completed(&joined, row, task, arena);
        }
    }
    if (rows.count > 0) {
        qsort(rows.items, rows.count, sizeof *rows.items, by_service_name);
    }
    return rows;
}

// --- tasks ---

static const struct service_spec *spec_of(const struct joined *joined, const struct task *task,
                                          struct arena *arena) {
    const struct service *service = map_get(&joined->services, task->service_id.text);
    if (service != NULL && service->revision == task->revision) {
        return &service->spec;
    }
    const struct revision *revision =
        map_get(&joined->revisions, revision_key(arena, &task->service_id, task->revision));
    return revision != NULL ? &revision->spec : NULL;
}

static struct task_row *make_task_row(const struct joined *joined, const struct task *task,
                                      struct arena *arena) {
    struct task_row *row = ARENA_NEW(arena, struct task_row);
    const struct service *service = map_get(&joined->services, task->service_id.text);
    const struct node *node = map_get(&joined->nodes, task->node_id.text);
    AUTO_BUF name = {0};
    row->task = task;
    row->service_name = service != NULL ? service->spec.name : task->service_id.text;
    row->node_name = node != NULL ? node->spec.name : task->node_id.text;
    row->spec = spec_of(joined, task, arena);
    row->image = row->spec != NULL ? row->spec->image : "";
    task_name(task, row->service_name, &name);
    row->name = arena_strdup(arena, buf_text(&name));
    return row;
}

// By service and slot; within a slot those that are wanted first, then the newest.
static int by_slot(const void *a, const void *b) {
    const struct task_row *x = *(const void *const *)a;
    const struct task_row *y = *(const void *const *)b;
    int order = str_compare_natural(x->name, y->name);
    if (order != 0) {
        return order;
    }
    bool is_over_x = x->task->desired > TASK_RUNNING;
    bool is_over_y = y->task->desired > TASK_RUNNING;
    if (is_over_x != is_over_y) {
        return is_over_x ? 1 : -1;
    }
    if (x->task->meta.created != y->task->meta.created) {
        return x->task->meta.created > y->task->meta.created ? -1 : 1;
    }
    return id_compare(&x->task->meta.id, &y->task->meta.id);
}

struct rows columns_task_rows(const struct columns_source *source, struct arena *arena) {
    AUTO_JOINED joined = {0};
    struct rows rows = {0};
    joined_fill(&joined, source, arena);
    for (size_t i = 0; i < source->tasks->count; i++) {
        *ARENA_PUSH(arena, &rows) = make_task_row(&joined, source->tasks->items[i], arena);
    }
    if (rows.count > 0) {
        qsort(rows.items, rows.count, sizeof *rows.items, by_slot);
    }
    for (size_t i = 1; i < rows.count; i++) {
        struct task_row *row = (struct task_row *)(uintptr_t)rows.items[i];
        const struct task_row *before = rows.items[i - 1];
        row->is_older = str_equal(row->name, before->name);
    }
    return rows;
}

// --- nodes ---

static int by_node_name(const void *a, const void *b) {
    const struct node_row *x = *(const void *const *)a;
    const struct node_row *y = *(const void *const *)b;
    return str_compare_natural(x->node->spec.name, y->node->spec.name);
}

struct rows columns_node_rows(const struct columns_source *source, struct arena *arena) {
    struct rows rows = {0};
    for (size_t i = 0; i < source->nodes->count; i++) {
        struct node_row *row = ARENA_NEW(arena, struct node_row);
        row->node = source->nodes->items[i];
        row->is_self = id_equal(&row->node->meta.id, &source->self);
        *ARENA_PUSH(arena, &rows) = row;
    }
    if (rows.count > 0) {
        qsort(rows.items, rows.count, sizeof *rows.items, by_node_name);
    }
    return rows;
}

// --- fetching ---

int columns_fetch_services(struct client *client, const struct strings *references, struct arena *arena,
                           struct rows *out, struct error *err) {
    struct object_list services;
    struct object_list tasks = {0}, nodes = {0};
    int rc = connect_list(client, KIND_SERVICE, references, arena, &services, err);
    if (rc == 0 && services.count > 0) {
        rc = connect_list(client, KIND_TASK, NULL, arena, &tasks, err);
        rc = rc < 0 ? rc : connect_list(client, KIND_NODE, NULL, arena, &nodes, err);
    }
    if (rc == 0) {
        const struct columns_source source = {.services = &services, .tasks = &tasks, .nodes = &nodes};
        *out = columns_service_rows(&source, arena);
    }
    return rc;
}

static int list_tasks(struct client *client, const struct object_list *services, bool only_these,
                      const struct id *node, struct arena *arena, struct object_list *out,
                      struct error *err) {
    struct list_request request;
    schema_init(&list_request_schema, &request);
    request.kind = KIND_TASK;
    request.node = node != NULL ? *node : request.node;
    if (!only_these) {
        return client_list(client, &request, arena, out, err);
    }
    *out = (struct object_list){0};
    for (size_t i = 0; i < services->count; i++) {
        struct object_list some;
        request.service = object_meta(services->items[i])->id;
        int rc = client_list(client, &request, arena, &some, err);
        if (rc < 0) {
            return rc;
        }
        for (size_t j = 0; j < some.count; j++) {
            *ARENA_PUSH(arena, out) = some.items[j];
        }
    }
    return 0;
}

// Specs of older revisions are asked for only when a task runs one.
static int list_revisions(struct client *client, const struct object_list *services,
                          const struct object_list *tasks, struct arena *arena, struct object_list *out,
                          struct error *err) {
    struct map newest = {0};
    bool is_needed = false;
    *out = (struct object_list){0};
    index_ids(services, &newest);
    for (size_t i = 0; i < tasks->count; i++) {
        const struct task *task = tasks->items[i];
        const struct service *service = map_get(&newest, task->service_id.text);
        is_needed = is_needed || service == NULL || service->revision != task->revision;
    }
    map_free(&newest);
    return is_needed ? connect_list(client, KIND_REVISION, NULL, arena, out, err) : 0;
}

int columns_fetch_tasks(struct client *client, const struct strings *services, const struct id *node,
                        struct arena *arena, struct rows *out, struct error *err) {
    struct object_list service_list;
    struct object_list task_list;
    struct object_list node_list;
    struct object_list revision_list;
    bool only_these = services != NULL && services->count > 0;
    int rc = connect_list(client, KIND_SERVICE, services, arena, &service_list, err);
    rc = rc < 0 ? rc : list_tasks(client, &service_list, only_these, node, arena, &task_list, err);
    rc = rc < 0 ? rc : connect_list(client, KIND_NODE, NULL, arena, &node_list, err);
    rc = rc < 0 ? rc : list_revisions(client, &service_list, &task_list, arena, &revision_list, err);
    if (rc == 0) {
        const struct columns_source source = {
            .services = &service_list, .tasks = &task_list, .nodes = &node_list, .revisions = &revision_list};
        *out = columns_task_rows(&source, arena);
    }
    return rc;
}

int columns_fetch_nodes(struct client *client, const struct strings *references, struct arena *arena,
                        struct rows *out, struct error *err) {
    struct object_list nodes;
    int rc = connect_list(client, KIND_NODE, references, arena, &nodes, err);
    if (rc == 0) {
        const struct columns_source source = {.nodes = &nodes, .self = client_welcome(client)->node_id};
        *out = columns_node_rows(&source, arena);
    }
    return rc;
}
