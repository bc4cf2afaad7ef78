// SPDX-License-Identifier: Apache-2.0
//
// reconciler/plan/plan.c — the steps of planning a service put together, and plans put into effect on paper.
#include "reconciler/plan/plan.h"

#include <stdlib.h>

#include "base/assert.h"
#include "reconciler/plan/depend.h"
#include "reconciler/plan/pass.h"

void plan_add(struct plan *plan, struct arena *arena, const struct plan_change *change) {
    ASSERT(change->why != NULL);
    *ARENA_PUSH(arena, &plan->changes) = *change;
}

void plan_wake(struct plan *plan, int64_t unix_ms) {
    if (plan->wake_unix_ms == 0 || unix_ms < plan->wake_unix_ms) {
        plan->wake_unix_ms = unix_ms;
    }
}

static void plan_job(struct draft *draft) {
    if (!draft->service->removing) {
        cronjob_look(draft);
    }
    enforce_tasks(draft);
    if (draft->service->removing) {
        reaper_remove(draft);
    } else {
        job_want(draft);
        restart_fill(draft);
        reaper_trim(draft);
    }
    draft_close(draft);
}

static void plan_running(struct draft *draft) {
    rollout_judge(draft);
    enforce_tasks(draft);
    if (draft->service->removing) {
        reaper_remove(draft);
    } else {
        (draft->is_global ? global_want : replicated_want)(draft);
        draft->rollout.waits_for = depend_update_waits_for(draft->view, draft->service, draft->arena);
        if (draft->rollout.waits_for == NULL) {
            update_next(draft);
        } else {
            draft->plan->is_waiting = true;
        }
        move_next(draft);
        restart_fill(draft);
        reaper_trim(draft);
        rollout_close(draft);
    }
    rollout_write(draft, /* is_before_tasks */ true);
    draft_close(draft);
    rollout_write(draft, /* is_before_tasks */ false);
}

void plan_service(const struct view *view, const struct service *service, struct prng *prng,
                  struct arena *arena, struct plan *plan) {
    struct draft draft;
    draft_open(&draft, view, service, prng, arena, plan);
    if (draft.is_job) {
        plan_job(&draft);
    } else {
        plan_running(&draft);
    }
    reaper_finish(&draft);
}

// --- on paper ---

static int compare_changes(const void *a, const void *b) {
    const struct plan_change *x = *(const struct plan_change *const *)a;
    const struct plan_change *y = *(const struct plan_change *const *)b;
    int order = (int)x->kind - (int)y->kind;
    return order != 0 ? order : id_compare(&x->id, &y->id);
}

struct index {
    size_t count;
    const struct plan_change **items; // by kind, id
};

static struct index index_changes(const struct plan *plan, struct arena *arena) {
    struct index index = {plan->changes.count,
                          ARENA_ARRAY(arena, const struct plan_change *, plan->changes.count)};
    for (size_t i = 0; i < index.count; i++) {
        index.items[i] = &plan->changes.items[i];
    }
    if (index.count > 1) {
        qsort(index.items, index.count, sizeof *index.items, compare_changes);
    }
    return index;
}

static const struct plan_change *index_find(const struct index *index, enum object_kind kind,
                                            const struct id *id) {
    const struct plan_change key = {.kind = kind, .id = *id};
    const struct plan_change *wanted = &key;
    const struct plan_change **found =
        index->count > 0 ? bsearch(&wanted, index->items, index->count, sizeof *index->items, compare_changes)
                         : NULL;
    return found != NULL ? *found : NULL;
}

// An object as it is stored once the change is made.
static const void *applied_object(const struct plan_change *change, int64_t revision, struct arena *arena) {
    void *object = arena_copy(arena, change->object, object_schema(change->kind)->bytes);
    struct meta *meta = object_meta(object);
    meta->version = change->op == CHANGE_CREATE ? revision : meta->version + 1;
    meta->created = change->op == CHANGE_CREATE ? revision : meta->created;
    return object;
}

static void apply_tasks(const struct view *view, const struct index *index, struct arena *arena,
                        struct view *out) {
    out->tasks.items = NULL;
    out->tasks.count = 0;
    for (size_t i = 0; i < view->tasks.count; i++) {
        const struct task *task = view->tasks.items[i];
        const struct plan_change *change = index_find(index, KIND_TASK, &task->meta.id);
        if (change == NULL) {
            view_add_task(out, task, arena);
        } else if (change->op == CHANGE_UPDATE) {
            view_add_task(out, applied_object(change, out->revision, arena), arena);
        }
    }
    for (size_t i = 0; i < index->count; i++) {
        const struct plan_change *change = index->items[i];
        if (change->kind == KIND_TASK && change->op == CHANGE_CREATE) {
            view_add_task(out, applied_object(change, out->revision, arena), arena);
        }
    }
}

static void apply_services(const struct view *view, const struct index *index, struct arena *arena,
                           struct view *out) {
    out->services.items = NULL;
    out->services.count = 0;
    for (size_t i = 0; i < view->services.count; i++) {
        const struct plan_change *change = index_find(index, KIND_SERVICE, &view->services.items[i]->meta.id);
        if (change == NULL) {
            view_add_service(out, view->services.items[i], arena);
        } else if (change->op == CHANGE_UPDATE) {
            view_add_service(out, applied_object(change, out->revision, arena), arena);
        }
    }
}

static void apply_revisions(const struct view *view, const struct index *index, struct arena *arena,
                            struct view *out) {
    out->revisions.items = NULL;
    out->revisions.count = 0;
    for (size_t i = 0; i < view->revisions.count; i++) {
        const struct view_revision *revision = &view->revisions.items[i];
        if (id_is_none(&revision->id) || index_find(index, KIND_REVISION, &revision->id) == NULL) {
            *ARENA_PUSH(arena, &out->revisions) = *revision;
        }
    }
    for (size_t i = 0; i < index->count; i++) {
        const struct plan_change *change = index->items[i];
        if (change->kind == KIND_REVISION && change->op == CHANGE_CREATE) {
            view_add_revision_record(out, applied_object(change, out->revision, arena), arena);
        }
    }
}

static void apply_rollouts(const struct view *view, const struct index *index, struct arena *arena,
                           struct view *out) {
    out->rollouts.items = NULL;
    out->rollouts.count = 0;
    for (size_t i = 0; i < view->rollouts.count; i++) {
        const struct rollout *rollout = view->rollouts.items[i];
        const struct plan_change *change = index_find(index, KIND_ROLLOUT, &rollout->meta.id);
        if (change == NULL) {
            view_add_rollout(out, rollout, arena);
        } else if (change->op == CHANGE_UPDATE) {
            view_add_rollout(out, applied_object(change, out->revision, arena), arena);
        }
    }
    for (size_t i = 0; i < index->count; i++) {
        const struct plan_change *change = index->items[i];
        if (change->kind == KIND_ROLLOUT && change->op == CHANGE_CREATE) {
            view_add_rollout(out, applied_object(change, out->revision, arena), arena);
        }
    }
}

// Sums of nodes also hold tasks that the view does not: they are kept, and the view's own counted anew.
static void apply_nodes(const struct view *view, struct arena *arena, struct view *out) {
    struct view own = *view;
    own.nodes.items = arena_copy(arena, view->nodes.items, view->nodes.count * sizeof *view->nodes.items);
    for (size_t i = 0; i < own.nodes.count; i++) {
        own.nodes.items[i] = (struct view_node){.node = own.nodes.items[i].node};
    }
    for (size_t i = 0; i < view->tasks.count; i++) {
        view_count_task(&own, view->tasks.items[i], arena);
    }
    out->nodes.items = arena_copy(arena, view->nodes.items, view->nodes.count * sizeof *view->nodes.items);
    for (size_t i = 0; i < own.nodes.count; i++) {
        out->nodes.items[i].cpus_reserved_nano -= own.nodes.items[i].cpus_reserved_nano;
        out->nodes.items[i].memory_reserved_bytes -= own.nodes.items[i].memory_reserved_bytes;
        out->nodes.items[i].active_tasks -= own.nodes.items[i].active_tasks;
        out->nodes.items[i].claims =
            claims_without(&view->nodes.items[i].claims, &own.nodes.items[i].claims, arena);
    }
}

void plan_apply(const struct view *view, const struct plan *plan, struct arena *arena, struct view *out) {
    struct index index = index_changes(plan, arena);
    struct view after = *view;
    after.revision = view->revision + 1;
    after.moving.count = 0; // that is done
    after.moving.items = NULL;
    apply_nodes(view, arena, &after);
    apply_services(view, &index, arena, &after);
    apply_revisions(view, &index, arena, &after);
    apply_rollouts(view, &index, arena, &after);
    apply_tasks(view, &index, arena, &after);
    view_seal(&after, arena);
    *out = after;
}
