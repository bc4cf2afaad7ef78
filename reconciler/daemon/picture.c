// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/picture.c — decoded objects of one read, put into a view.
#include "reconciler/daemon/picture.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "reconciler/plan/depend.h"

// --- loads ---

static void claims_free(struct map *claims) {
    size_t cursor = 0;
    for (struct load_claim *claim; (claim = map_next(claims, &cursor)) != NULL;) {
        xfree(claim);
    }
    map_free(claims);
}

void loads_free(struct loads *loads) {
    size_t cursor = 0;
    for (struct load *load; (load = map_next(&loads->by_node, &cursor)) != NULL;) {
        claims_free(&load->claims);
        xfree(load);
    }
    map_free(&loads->by_node);
}

struct claiming {
    struct map *claims;
    int sign;
};

static void claim(void *context, const char *key, int64_t count) {
    const struct claiming *claiming = context;
    struct load_claim *found = map_get(claiming->claims, key);
    if (found == NULL) {
        found = xmalloc(sizeof *found + strlen(key) + 1);
        found->count = 0;
        memcpy(found->key, key, strlen(key) + 1);
        map_put(claiming->claims, found->key, found);
    }
    found->count += claiming->sign * count;
    if (found->count == 0) {
        map_remove(claiming->claims, key);
        xfree(found);
    }
}

void loads_add(struct loads *loads, const struct task *task, int sign) {
    if (!view_holds_resources(task)) {
        return;
    }
    struct load *load = map_get(&loads->by_node, task->node_id.text);
    if (load == NULL) {
        load = NEW(struct load);
        load->node_id = task->node_id;
        map_put(&loads->by_node, load->node_id.text, load);
    }
    load->cpus_nano += sign * task->cpus_nano;
    load->memory_bytes += sign * task->memory_bytes;
    load->active_tasks += view_wants_to_run(task) ? sign : 0;
    if (task_has_claims(task)) {
        claims_each(task, claim, &(struct claiming){&load->claims, sign});
    }
}

// --- walking ---

static int take_load(void *context, void *object, struct arena *arena, struct error *err) {
    (void)err;
    loads_add(context, object, 1);
    arena_clear(arena);
    return 0;
}

int loads_read(struct loads *loads, struct store_read *read, struct error *err) {
    AUTO_ARENA arena = arena_make(0);
    loads_free(loads);
    return store_each_object(read, STORE_ALL, KIND_TASK, NULL, &arena, take_load, loads, err);
}

// --- views ---

static int take_cluster(void *context, void *object, struct arena *arena, struct error *err) {
    (void)arena;
    (void)err;
    ((struct view *)context)->cluster = object;
    return 0;
}

static int take_node(void *context, void *object, struct arena *arena, struct error *err) {
    (void)err;
    view_add_node(context, object, arena);
    return 0;
}

static int take_task(void *context, void *object, struct arena *arena, struct error *err) {
    (void)err;
    view_add_task(context, object, arena);
    return 0;
}

static int take_revision(void *context, void *object, struct arena *arena, struct error *err) {
    (void)err;
    view_add_revision_record(context, object, arena);
    return 0;
}

// Rollouts have no index of their own: their numbers say how they are called.
static int take_rollout(struct view *view, struct store_read *read, const struct service *service,
                        int64_t number, struct arena *arena, struct error *err) {
    struct id id;
    void *object;
    if (number < 1) {
        return 0;
    }
    int rc = store_find_name(read, KIND_ROLLOUT, rollout_name(&service->meta.id, number, arena), &id, err);
    rc = rc == 0 ? store_load(read, KIND_ROLLOUT, &id, arena, &object, err) : rc;
    if (rc == 0) {
        view_add_rollout(view, object, arena);
    }
    return rc < 0 ? rc : 0;
}

// The last one, and those that are next to go: all, of a service that goes.
static int take_rollouts(struct view *view, struct store_read *read, const struct service *service,
                         struct arena *arena, struct error *err) {
    int64_t last = service->rollout_number;
    int64_t oldest = last - ROLLOUTS_MAX;
    int64_t end = service->removing ? last - 1 : oldest + 1;
    int rc = take_rollout(view, read, service, last, arena, err);
    for (int64_t number = oldest; rc == 0 && number <= end; number++) {
        rc = take_rollout(view, read, service, number, arena, err);
    }
    return rc;
}

int picture_begin(struct view *view, struct store_read *read, int64_t now_unix_ms, struct arena *arena,
                  struct error *err) {
    *view = (struct view){.revision = store_read_revision(read), .now_unix_ms = now_unix_ms};
    int rc = store_each_object(read, STORE_ALL, KIND_CLUSTER, NULL, arena, take_cluster, view, err);
    return rc < 0 ? rc : store_each_object(read, STORE_ALL, KIND_NODE, NULL, arena, take_node, view, err);
}

struct companions {
    LIST_OF(const struct task *) tasks;
};

static int take_companion(void *context, void *object, struct arena *arena, struct error *err) {
    (void)err;
    struct companions *companions = context;
    *ARENA_PUSH(arena, &companions->tasks) = object;
    return 0;
}

static int add_dependency(struct view *view, struct store_read *read, const char *name, struct arena *arena,
                          struct error *err) {
    AUTO_ARENA scratch = arena_make(0);
    struct companions companions = {0};
    struct id id;
    void *service;
    int rc = view_dependency(view, name) != NULL ? STORE_ABSENT
                                                 : store_find_name(read, KIND_SERVICE, name, &id, err);
    rc = rc != 0 ? rc : store_load(read, KIND_SERVICE, &id, &scratch, &service, err);
    rc = rc != 0 ? rc
                 : store_each_object(read, STORE_TASKS_OF_SERVICE, KIND_TASK, &id, &scratch, take_companion,
                                     &companions, err);
    if (rc == 0) {
        view_add_dependency(view, name, depend_state(service, companions.tasks.items, companions.tasks.count),
                            arena);
    }
    return rc < 0 ? rc : 0;
}

int picture_add(struct view *view, struct store_read *read, const struct id *service_id, struct arena *arena,
                struct error *err) {
    void *object;
    int rc = store_load(read, KIND_SERVICE, service_id, arena, &object, err);
    if (rc != 0) {
        return rc;
    }
    const struct service *service = object;
    view_add_service(view, service, arena);
    rc = take_rollouts(view, read, service, arena, err);
    for (size_t i = 0; rc >= 0 && i < service->spec.depends_on.count; i++) {
        rc = add_dependency(view, read, service->spec.depends_on.items[i].name, arena, err);
    }
    rc = rc < 0 ? rc
                : store_each_object(read, STORE_TASKS_OF_SERVICE, KIND_TASK, service_id, arena, take_task,
                                    view, err);
    return rc < 0 ? rc
                  : store_each_object(read, STORE_REVISIONS_OF_SERVICE, KIND_REVISION, service_id, arena,
                                      take_revision, view, err);
}

static struct claims claims_of(const struct load *load, struct arena *arena) {
    struct claims claims = {0};
    size_t cursor = 0;
    for (const struct load_claim *at; (at = map_next(&load->claims, &cursor)) != NULL;) {
        claims_add(&claims, at->key, at->count, arena);
    }
    return claims;
}

void picture_seal(struct view *view, const struct loads *loads, struct arena *arena) {
    view_seal(view, arena);
    for (size_t i = 0; i < view->nodes.count; i++) {
        struct view_node *at = &view->nodes.items[i];
        const struct load *load = map_get(&loads->by_node, at->node->meta.id.text);
        ASSERT(IMPLIES(load == NULL, at->active_tasks == 0));
        if (load != NULL) { // all tasks, whether in the view or not
            at->cpus_reserved_nano = load->cpus_nano;
            at->memory_reserved_bytes = load->memory_bytes;
            at->active_tasks = load->active_tasks;
            at->claims = claims_of(load, arena);
        }
    }
}
