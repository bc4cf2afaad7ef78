// SPDX-License-Identifier: Apache-2.0
//
// reconciler/plan/view.c — the sorted arrays of a view, their lookups, and the sums of its nodes.
//
// All orders are total (ids break ties), so the result does not depend on how the view was put together.
#include "reconciler/plan/view.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

static int compare_int(int64_t a, int64_t b) {
    return (a > b) - (a < b);
}

static int compare_nodes(const void *a, const void *b) {
    const struct view_node *x = a;
    const struct view_node *y = b;
    return id_compare(&x->node->meta.id, &y->node->meta.id);
}

static int compare_services(const void *a, const void *b) {
    const struct service *const *x = a;
    const struct service *const *y = b;
    return id_compare(&(*x)->meta.id, &(*y)->meta.id);
}

static int compare_tasks(const void *a, const void *b) {
    const struct task *x = *(const struct task *const *)a;
    const struct task *y = *(const struct task *const *)b;
    int order = id_compare(&x->service_id, &y->service_id);
    order = order != 0 ? order : compare_int(x->slot, y->slot);
    order = order != 0 ? order : compare_int(y->meta.created, x->meta.created);
    return order != 0 ? order : id_compare(&x->meta.id, &y->meta.id);
}

static int compare_revisions(const void *a, const void *b) {
    const struct view_revision *x = a;
    const struct view_revision *y = b;
    int order = id_compare(&x->service_id, &y->service_id);
    order = order != 0 ? order : compare_int(x->revision, y->revision);
    return order != 0 ? order : id_compare(&y->id, &x->id); // the stored record before a spec alone
}

static int compare_rollouts(const void *a, const void *b) {
    const struct rollout *x = *(const struct rollout *const *)a;
    const struct rollout *y = *(const struct rollout *const *)b;
    int order = id_compare(&x->service_id, &y->service_id);
    order = order != 0 ? order : compare_int(x->number, y->number);
    return order != 0 ? order : id_compare(&x->meta.id, &y->meta.id);
}

void view_add_node(struct view *view, const struct node *node, struct arena *arena) {
    ARENA_PUSH(arena, &view->nodes)->node = node;
}

void view_add_service(struct view *view, const struct service *service, struct arena *arena) {
    *ARENA_PUSH(arena, &view->services) = service;
}

void view_add_task(struct view *view, const struct task *task, struct arena *arena) {
    *ARENA_PUSH(arena, &view->tasks) = task;
}

void view_add_revision(struct view *view, const struct id *service_id, int64_t revision,
                       const struct service_spec *spec, struct arena *arena) {
    *ARENA_PUSH(arena, &view->revisions) =
        (struct view_revision){.service_id = *service_id, .revision = revision, .spec = spec};
}

void view_add_revision_record(struct view *view, const struct revision *revision, struct arena *arena) {
    *ARENA_PUSH(arena, &view->revisions) = (struct view_revision){
        .service_id = revision->service_id,
        .revision = revision->revision,
        .spec = &revision->spec,
        .id = revision->meta.id,
        .version = revision->meta.version,
    };
}

void view_add_rollout(struct view *view, const struct rollout *rollout, struct arena *arena) {
    *ARENA_PUSH(arena, &view->rollouts) = rollout;
}

static void sort(void *items, size_t count, size_t bytes, int (*compare)(const void *, const void *)) {
    if (count > 1) {
        qsort(items, count, bytes, compare);
    }
}

void view_add_dependency(struct view *view, const char *name, struct dependency_state state,
                         struct arena *arena) {
    *ARENA_PUSH(arena, &view->dependencies) = (struct view_dependency){name, state};
}

const struct view_dependency *view_dependency(const struct view *view, const char *name) {
    for (size_t i = 0; i < view->dependencies.count; i++) {
        if (strcmp(view->dependencies.items[i].name, name) == 0) {
            return &view->dependencies.items[i];
        }
    }
    return NULL;
}

void view_seal(struct view *view, struct arena *arena) {
    sort(view->nodes.items, view->nodes.count, sizeof *view->nodes.items, compare_nodes);
    sort(view->services.items, view->services.count, sizeof *view->services.items, compare_services);
    sort(view->tasks.items, view->tasks.count, sizeof *view->tasks.items, compare_tasks);
    sort(view->revisions.items, view->revisions.count, sizeof *view->revisions.items, compare_revisions);
    sort(view->rollouts.items, view->rollouts.count, sizeof *view->rollouts.items, compare_rollouts);
    for (size_t i = 0; i < view->tasks.count; i++) {
        view_count_task(view, view->tasks.items[i], arena);
    }
}

void view_count_task(struct view *view, const struct task *task, struct arena *arena) {
    struct view_node *node = view_holds_resources(task) ? view_node(view, &task->node_id) : NULL;
    if (node != NULL) {
        node->cpus_reserved_nano += task->cpus_nano;
        node->memory_reserved_bytes += task->memory_bytes;
        node->active_tasks += view_wants_to_run(task);
        claims_add_task(&node->claims, task, 1, arena);
    }
}

const struct service *view_service(const struct view *view, const struct id *id) {
    size_t low = 0;
    size_t high = view->services.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = id_compare(&view->services.items[middle]->meta.id, id);
        if (order == 0) {
            return view->services.items[middle];
        }
        *(order < 0 ? &low : &high) = order < 0 ? middle + 1 : middle;
    }
    return NULL;
}

struct view_node *view_node(const struct view *view, const struct id *id) {
    size_t low = 0;
    size_t high = view->nodes.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = id_compare(&view->nodes.items[middle].node->meta.id, id);
        if (order == 0) {
            return &view->nodes.items[middle];
        }
        *(order < 0 ? &low : &high) = order < 0 ? middle + 1 : middle;
    }
    return NULL;
}

// The first task whose service id is not before (`after`: is after) the given one.
static size_t task_bound(const struct view *view, const struct id *service_id, bool after) {
    size_t low = 0;
    size_t high = view->tasks.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = id_compare(&view->tasks.items[middle]->service_id, service_id);
        bool is_before = order < 0 || (after && order == 0);
        *(is_before ? &low : &high) = is_before ? middle + 1 : middle;
    }
    return low;
}

struct view_tasks view_tasks_of(const struct view *view, const struct id *service_id) {
    size_t start = task_bound(view, service_id, false);
    size_t end = task_bound(view, service_id, true);
    return (struct view_tasks){end - start, end > start ? view->tasks.items + start : NULL};
}

static size_t revision_bound(const struct view *view, const struct id *service_id, int64_t revision) {
    size_t low = 0;
    size_t high = view->revisions.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct view_revision *at = &view->revisions.items[middle];
        int order = id_compare(&at->service_id, service_id);
        bool is_before = order < 0 || (order == 0 && at->revision < revision);
        *(is_before ? &low : &high) = is_before ? middle + 1 : middle;
    }
    return low;
}

struct view_revision *view_revisions_of(const struct view *view, const struct id *service_id,
                                        size_t *out_count) {
    size_t start = revision_bound(view, service_id, INT64_MIN);
    size_t end = start;
    while (end < view->revisions.count && id_equal(&view->revisions.items[end].service_id, service_id)) {
        end++;
    }
    *out_count = end - start;
    return end > start ? view->revisions.items + start : NULL;
}

size_t view_rollouts_of(const struct view *view, const struct id *service_id,
                        const struct rollout *const **out) {
    size_t low = 0;
    size_t high = view->rollouts.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        bool is_before = id_compare(&view->rollouts.items[middle]->service_id, service_id) < 0;
        *(is_before ? &low : &high) = is_before ? middle + 1 : middle;
    }
    size_t end = low;
    while (end < view->rollouts.count && id_equal(&view->rollouts.items[end]->service_id, service_id)) {
        end++;
    }
    *out = end > low ? view->rollouts.items + low : NULL;
    return end - low;
}

const struct service_spec *view_spec(const struct view *view, const struct service *service,
                                     int64_t revision) {
    if (revision == service->revision) {
        return &service->spec;
    }
    size_t i = revision_bound(view, &service->meta.id, revision);
    if (i < view->revisions.count && view->revisions.items[i].revision == revision &&
        id_equal(&view->revisions.items[i].service_id, &service->meta.id)) {
        return view->revisions.items[i].spec;
    }
    return NULL;
}

void view_add_zone(struct view *view, const struct zone *zone, struct arena *arena) {
    const struct zone *known;
    if (!view_zone(view, zone->name, &known)) {
        *ARENA_PUSH(arena, &view->zones) = zone;
    }
}

bool view_zone(const struct view *view, const char *name, const struct zone **out) {
    *out = NULL;
    for (size_t i = 0; i < view->zones.count && *out == NULL && name[0] != '\0'; i++) {
        *out = strcmp(view->zones.items[i]->name, name) == 0 ? view->zones.items[i] : NULL;
    }
    return name[0] == '\0' || *out != NULL;
}

bool view_is_moving(const struct view *view, const struct id *task_id) {
    for (size_t i = 0; i < view->moving.count; i++) {
        if (id_equal(&view->moving.items[i], task_id)) {
            return true;
        }
    }
    return false;
}
