// SPDX-License-Identifier: Apache-2.0
//
// reconciler/plan/draft.c — tasks grouped into slots, copied when first written to, and compared at the end.
#include "reconciler/plan/draft.h"

#include <stdlib.h>

#include "base/assert.h"
#include "reconciler/plan/depend.h"

// --- opening: tasks of the view -> slots ---

static int compare_by_node(const void *a, const void *b) {
    const struct task *x = *(const struct task *const *)a;
    const struct task *y = *(const struct task *const *)b;
    int order = id_compare(&x->node_id, &y->node_id);
    order = order != 0 ? order : (x->meta.created < y->meta.created) - (x->meta.created > y->meta.created);
    return order != 0 ? order : id_compare(&x->meta.id, &y->meta.id);
}

struct slot *draft_add_slot(struct draft *draft) {
    struct slot *slot = ARENA_NEW(draft->arena, struct slot);
    *ARENA_PUSH(draft->arena, &draft->slots) = slot;
    return slot;
}

static bool slot_holds(const struct draft *draft, const struct slot *slot, const struct task *task) {
    return draft->is_global ? id_equal(&slot->node_id, &task->node_id) : slot->number == task->slot;
}

// `tasks` are sorted by slot, newest first.
static void draft_group(struct draft *draft, const struct task *const *tasks, size_t count) {
    struct draft_task *all = ARENA_ARRAY(draft->arena, struct draft_task, count);
    struct slot *slot = NULL;
    for (size_t i = 0; i < count; i++) {
        if (slot == NULL || !slot_holds(draft, slot, tasks[i])) {
            slot = draft_add_slot(draft);
            slot->number = draft->is_global ? 0 : tasks[i]->slot;
            slot->node_id = draft->is_global ? tasks[i]->node_id : (struct id){{0}};
        }
        all[i].task = all[i].before = tasks[i];
        *ARENA_PUSH(draft->arena, &slot->tasks) = &all[i];
    }
}

void draft_open(struct draft *draft, const struct view *view, const struct service *service,
                struct prng *prng, struct arena *arena, struct plan *plan) {
    *draft = (struct draft){.view = view, .service = service, .prng = prng, .arena = arena, .plan = plan};
    draft->rollout.service_before = service;
    enum service_mode mode = service->spec.deploy.mode;
    draft->is_global = mode_is_global(mode);
    draft->is_job = mode_is_job(mode);
    fit_init(&draft->fit, &service->spec, arena);
    struct view_tasks tasks = view_tasks_of(view, &service->meta.id);
    draft->must_wait = depend_start_waits_for(view, service, tasks, arena) != NULL;
    plan->is_waiting = plan->is_waiting || draft->must_wait;
    if (!draft->is_global || tasks.count == 0) {
        draft_group(draft, tasks.items, tasks.count);
        return;
    }
    const struct task **sorted = arena_copy(arena, tasks.items, tasks.count * sizeof(*tasks.items));
    qsort(sorted, tasks.count, sizeof *sorted, compare_by_node);
    draft_group(draft, sorted, tasks.count);
}

// --- changing ---

struct task *draft_edit(struct draft *draft, struct draft_task *at, const char *why) {
    if (at->copy == NULL) {
        at->copy = arena_copy(draft->arena, at->task, sizeof *at->task);
        at->task = at->copy;
        at->why = why;
    }
    return at->copy;
}

void draft_stop(struct draft *draft, struct draft_task *at, enum task_state desired, enum task_reason reason,
                const char *why) {
    ASSERT(desired == TASK_SHUTDOWN || desired == TASK_REMOVE);
    if (at->task->desired >= (int64_t)desired) {
        return;
    }
    struct task *task = draft_edit(draft, at, why);
    task->desired = desired;
    task->desired_reason = reason;
}

void draft_delete(struct draft_task *at, const char *why) {
    at->is_deleted = true;
    at->why = why;
}

struct task *draft_create(struct draft *draft, struct slot *slot, int64_t start_after_unix_ms,
                          const char *why) {
    ASSERT(slot_live(slot) == NULL);
    int64_t now = draft->view->now_unix_ms;
    struct task *task = ARENA_NEW(draft->arena, struct task);
    schema_init(&task_schema, task);
    task->meta.id = id_from_prng(draft->prng);
    task->meta.created_unix_ms = task->meta.updated_unix_ms = now;
    task->service_id = draft->service->meta.id;
    task->slot = slot->number;
    task->node_id = slot->node_id;
    task->revision = draft->service->revision;
    task->job_iteration = draft->is_job ? draft->service->job_iteration : 0;
    task->status.state = TASK_PENDING;
    task->status.since_unix_ms = now;
    task->status.message = "pending task scheduling";
    task->start_after_unix_ms = start_after_unix_ms;
    task->cpus_nano = draft->service->spec.deploy.resources.reservations.cpus_nano;
    task->memory_bytes = draft->service->spec.deploy.resources.reservations.memory_bytes;
    claims_of_spec(&draft->service->spec, draft->arena, &task->generic_resources, &task->host_ports);
    bool may_run = !draft->must_wait && now >= start_after_unix_ms && slot_is_quiet(draft, slot, /* except */ NULL);
    task->desired = may_run ? TASK_RUNNING : TASK_READY;

    struct draft_task *made = ARENA_NEW(draft->arena, struct draft_task);
    *made = (struct draft_task){.task = task, .copy = task, .why = why};
    ARENA_PUSH(draft->arena, &slot->tasks);
    for (size_t i = slot->tasks.count - 1; i > 0; i--) {
        slot->tasks.items[i] = slot->tasks.items[i - 1];
    }
    slot->tasks.items[0] = made;
    return task;
}

// --- asking ---

struct draft_task *slot_newest(const struct slot *slot) {
    for (size_t i = 0; i < slot->tasks.count; i++) {
        if (!slot->tasks.items[i]->is_deleted) {
            return slot->tasks.items[i];
        }
    }
    return NULL;
}

struct draft_task *slot_live(const struct slot *slot) {
    for (size_t i = 0; i < slot->tasks.count; i++) {
        struct draft_task *at = slot->tasks.items[i];
        if (!at->is_deleted && at != slot->leaving && task_is_live(at->task)) {
            return at;
        }
    }
    return NULL;
}

bool slot_is_vacant(const struct slot *slot) {
    const struct draft_task *newest = slot_newest(slot);
    return newest == NULL || newest->task->desired >= TASK_REMOVE;
}

bool slot_is_quiet(const struct draft *draft, const struct slot *slot, const struct task *except) {
    for (size_t i = 0; i < slot->tasks.count; i++) {
        const struct draft_task *at = slot->tasks.items[i];
        const struct task *task = at->task;
        if (task == except || at == slot->leaving || at->is_deleted || !task_is_assigned(task) ||
            task_state_is_over(task->status.state)) {
            continue;
        }
        const struct view_node *on = view_node(draft->view, &task->node_id);
        if (on != NULL && on->node->status.state != NODE_DOWN) {
            return false;
        }
    }
    return true;
}

// --- closing: what became different -> plan ---

static void draft_close_task(struct draft *draft, const struct draft_task *at) {
    struct plan_change change = {.kind = KIND_TASK, .id = at->task->meta.id, .why = at->why};
    if (at->before == NULL) {
        change.op = CHANGE_CREATE;
        change.object = at->task;
    } else if (at->is_deleted) {
        change.op = CHANGE_DELETE;
        change.expected_version = at->before->meta.version;
    } else if (at->copy != NULL) {
        change.op = CHANGE_UPDATE;
        change.object = at->task;
        change.expected_version = at->before->meta.version;
    } else {
        return;
    }
    ASSERT(at->before != NULL || !at->is_deleted);
    plan_add(draft->plan, draft->arena, &change);
}

void draft_close(struct draft *draft) {
    for (size_t i = 0; i < draft->slots.count; i++) {
        const struct slot *slot = draft->slots.items[i];
        for (size_t j = slot->tasks.count; j > 0; j--) {
            draft_close_task(draft, slot->tasks.items[j - 1]);
        }
    }
}
