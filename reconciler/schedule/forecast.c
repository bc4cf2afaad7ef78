// SPDX-License-Identifier: Apache-2.0
//
// reconciler/schedule/forecast.c — passes on paper, and the view at their end compared with that at the start.
#include "reconciler/schedule/forecast.h"

#include "base/limits.h"
#include "base/str.h"
#include "reconciler/schedule/schedule.h"

#define PASSES_MAX 2000
#define PAPER_BYTES_MAX ((size_t)256 * MIB)
#define TASKS_SEEN_MAX 100000 // in all passes together: some 0.3 s of a loop that others wait for
#define PASS_MS 1000          // that agents on paper take
#define HORIZON_MS (INT64_C(24) * 3600 * 1000) // waits beyond it are not followed

struct course {
    struct arena *arena;
    struct prng *prng;
    const struct id *ids;
    size_t count;
    LIST_OF(struct id) planned;
    struct view view; // as it is by now
    int64_t end_unix_ms;
    bool is_cut;
};

// --- agents on paper ---

static const struct task *obeyed(const struct task *task, int64_t now_unix_ms, struct arena *arena) {
    bool is_done = task->status.state < TASK_ASSIGNED || task_state_is_over(task->status.state) ||
                   (task->desired <= TASK_RUNNING && task->status.state >= task->desired);
    if (is_done) {
        return task;
    }
    struct task *copy = arena_copy(arena, task, sizeof *task);
    copy->status.state = task->desired > TASK_RUNNING ? (int64_t)TASK_SHUTDOWN : task->desired;
    copy->status.since_unix_ms = now_unix_ms;
    return copy;
}

// The agents of nodes that answer do as told.
static bool obey(struct course *course, const struct view *planned) {
    struct plan reports = {0};
    for (size_t i = 0; i < planned->tasks.count; i++) {
        const struct task *task = planned->tasks.items[i];
        const struct view_node *on = view_node(planned, &task->node_id);
        const struct task *after = on != NULL && on->node->status.state == NODE_READY
                                       ? obeyed(task, course->view.now_unix_ms, course->arena)
                                       : task;
        if (after != task) {
            plan_add(&reports, course->arena,
                     &(struct plan_change){.op = CHANGE_UPDATE,
                                           .kind = KIND_TASK,
                                           .object = after,
                                           .id = task->meta.id,
                                           .expected_version = task->meta.version,
                                           .why = "an agent on paper"});
        }
    }
    plan_apply(planned, &reports, course->arena, &course->view);
    return reports.changes.count > 0;
}

static bool is_among(const struct id *ids, size_t count, const struct id *id) {
    for (size_t i = 0; i < count; i++) {
        if (id_equal(&ids[i], id)) {
            return true;
        }
    }
    return false;
}

// Those that were chosen, and all that have a task without a node: they take room that becomes free.
static void choose_planned(struct course *course) {
    for (size_t i = 0; i < course->view.services.count; i++) {
        const struct id *id = &course->view.services.items[i]->meta.id;
        struct view_tasks tasks = view_tasks_of(&course->view, id);
        bool is_planned = is_among(course->ids, course->count, id);
        for (size_t j = 0; j < tasks.count && !is_planned; j++) {
            is_planned = tasks.items[j]->status.state <= TASK_PENDING && view_wants_to_run(tasks.items[j]);
        }
        if (is_planned) {
            *ARENA_PUSH(course->arena, &course->planned) = *id;
        }
    }
}

// One pass. False: nothing is left to do, nor to wait for.
static bool step(struct course *course) {
    struct plan plan = {0};
    struct view planned;
    for (size_t i = 0; i < course->view.services.count; i++) {
        const struct service *service = course->view.services.items[i];
        if (is_among(course->planned.items, course->planned.count, &service->meta.id)) {
            plan_service(&course->view, service, course->prng, course->arena, &plan);
        }
    }
    schedule_tasks(&course->view, course->arena, &plan);
    int64_t wake_unix_ms = plan.wake_unix_ms;
    plan_apply(&course->view, &plan, course->arena, &planned);
    course->view.now_unix_ms += PASS_MS;
    planned.now_unix_ms = course->view.now_unix_ms;
    bool is_going_on = obey(course, &planned) || plan.changes.count > 0;
    if (!is_going_on && wake_unix_ms > 0 && wake_unix_ms <= course->end_unix_ms) {
        course->view.now_unix_ms =
            wake_unix_ms > course->view.now_unix_ms ? wake_unix_ms : course->view.now_unix_ms;
        return true;
    }
    return is_going_on;
}

static void run(struct course *course) {
    size_t start = course->arena->used_bytes;
    course->end_unix_ms = course->view.now_unix_ms + HORIZON_MS;
    size_t seen = 0;
    for (int i = 0; step(course); i++) {
        seen += course->view.tasks.count;
        if (i == PASSES_MAX || seen > TASKS_SEEN_MAX || course->arena->used_bytes - start > PAPER_BYTES_MAX) {
            course->is_cut = true;
            return;
        }
    }
}

// --- comparing ---

static bool is_live(const struct task *task) {
    return view_wants_to_run(task) && !task_state_is_over(task->status.state);
}

static bool is_same_slot(const struct task *a, const struct task *b) {
    return a->slot == b->slot && (a->slot > 0 || id_equal(&a->node_id, &b->node_id));
}

// The live task in the slot of that one; NULL = none. Tasks of a slot stand together, but for those of global
// services, which all have slot 0.
static const struct task *live_in_slot(const struct view_tasks *tasks, const struct task *of) {
    size_t low = 0;
    size_t high = tasks->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (tasks->items[middle]->slot < of->slot) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (; low < tasks->count && tasks->items[low]->slot == of->slot; low++) {
        if (is_live(tasks->items[low]) && is_same_slot(tasks->items[low], of)) {
            return tasks->items[low];
        }
    }
    return NULL;
}

static void compare_before(const struct view_tasks *before, const struct view_tasks *after,
                           struct forecast *out) {
    for (size_t i = 0; i < before->count; i++) {
        const struct task *task = before->items[i];
        const struct task *now = is_live(task) ? live_in_slot(after, task) : NULL;
        if (!is_live(task)) {
            continue;
        }
        bool is_kept = now != NULL && id_equal(&now->meta.id, &task->meta.id);
        bool is_due = is_kept && out->is_cut && service_is_outdated(out->service, task->revision);
        out->kept += is_kept && !is_due;
        out->replaced += (now != NULL && !is_kept) || is_due;
        out->moved += now != NULL && !is_kept && task->status.state >= TASK_ASSIGNED &&
                      now->status.state >= TASK_ASSIGNED && !id_equal(&now->node_id, &task->node_id);
        out->stopped += now == NULL;
    }
}

static void compare_after(const struct view_tasks *before, const struct view_tasks *after,
                          struct forecast *out) {
    for (size_t i = 0; i < after->count; i++) {
        const struct task *task = after->items[i];
        if (!is_live(task)) {
            continue;
        }
        out->created += live_in_slot(before, task) == NULL;
        if (task->status.state <= TASK_PENDING) {
            out->waiting++;
            out->reason = task->status.error[0] != '\0' ? task->status.error : out->reason;
        }
    }
}

static void count_on(const struct view_tasks *tasks, const struct view *view, int64_t *counts) {
    for (size_t i = 0; i < tasks->count; i++) {
        const struct view_node *on = view_node(view, &tasks->items[i]->node_id);
        if (on != NULL && is_live(tasks->items[i]) && tasks->items[i]->status.state >= TASK_ASSIGNED) {
            counts[on - view->nodes.items]++;
        }
    }
}

static void compare(const struct view *start, const struct course *course, const struct service *service,
                    struct forecast *out) {
    struct view_tasks before = view_tasks_of(start, &service->meta.id);
    struct view_tasks after = view_tasks_of(&course->view, &service->meta.id);
    *out = (struct forecast){.service = service, .reason = "", .is_cut = course->is_cut};
    compare_before(&before, &after, out);
    compare_after(&before, &after, out);
    int64_t *counts[2] = {ARENA_ARRAY(course->arena, int64_t, start->nodes.count),
                          ARENA_ARRAY(course->arena, int64_t, start->nodes.count)};
    count_on(&before, start, counts[0]);
    count_on(&after, start, counts[1]);
    for (size_t i = 0; i < start->nodes.count; i++) {
        if (counts[0][i] > 0 || counts[1][i] > 0) {
            *ARENA_PUSH(course->arena, &out->places) =
                (struct forecast_place){start->nodes.items[i].node, counts[0][i], counts[1][i]};
        }
    }
}

void forecast_services(const struct view *view, const struct id *ids, size_t count, struct prng *prng,
                       struct arena *arena, struct forecasts *out) {
    struct course course = {.arena = arena, .prng = prng, .ids = ids, .count = count, .view = *view};
    *out = (struct forecasts){0};
    choose_planned(&course);
    run(&course);
    for (size_t i = 0; i < view->services.count; i++) {
        const struct service *service = view->services.items[i];
        if (is_among(ids, count, &service->meta.id)) {
            compare(view, &course, service, ARENA_PUSH(arena, out));
        }
    }
}
