// SPDX-License-Identifier: Apache-2.0
//
// reconciler/plan/depend.c — the state of a service in three answers, and conditions held against them.
#include "reconciler/plan/depend.h"

#include <string.h>

// --- how far a service is ---

static bool has_started(const struct task *task) {
    return task->status.state == TASK_STARTING || task->status.state == TASK_RUNNING ||
           task->status.state == TASK_COMPLETE || task->status.exit.kind != EXIT_NONE;
}

static bool is_current(const struct service *service, const struct task *task) {
    return mode_is_job(service->spec.deploy.mode) ? task->job_iteration == service->job_iteration
                                                  : !service_is_outdated(service, task->revision);
}

struct tally {
    int64_t started, running, out_of_date; // tasks that are to run and are not over
    int64_t arriving;                      // … in the place of one of an older spec, and do not run yet
    int64_t completed;                     // ended with 0, at the current revision
    int64_t unfinished;                    // to run or failed, at the current revision
};

static struct tally count_tasks(const struct service *service, const struct task *const *tasks,
                                size_t count) {
    struct tally tally = {0};
    for (size_t i = 0; i < count; i++) {
        const struct task *task = tasks[i];
        bool is_live = view_wants_to_run(task) && !task_state_is_over(task->status.state);
        bool counts = is_current(service, task);
        tally.started += is_live && counts && has_started(task);
        tally.running += is_live && counts && task->status.state == TASK_RUNNING;
        tally.out_of_date += is_live && !counts;
        tally.arriving += is_live && counts && task->attempt == 0 && !id_is_none(&task->replaces) &&
                          task->status.state != TASK_RUNNING;
        tally.completed += counts && task->status.state == TASK_COMPLETE;
        tally.unfinished += is_live && counts;
    }
    return tally;
}

static bool is_global(const struct service *service) {
    return mode_is_global(service->spec.deploy.mode);
}

struct dependency_state depend_state(const struct service *service, const struct task *const *tasks,
                                     size_t count) {
    struct tally tally = count_tasks(service, tasks, count);
    int64_t done = tally.completed;
    int64_t wanted = is_global(service) ? tally.unfinished + done : service->spec.deploy.replicas;
    bool is_any = !is_global(service) || wanted > 0;
    return (struct dependency_state){
        .is_started = is_any && tally.started + done >= wanted,
        .is_running = is_any && tally.running + done >= wanted,
        .is_completed = is_any && tally.unfinished == 0 && done >= wanted,
        .is_updated = tally.out_of_date == 0 && tally.arriving == 0,
    };
}

// --- conditions ---

static const struct {
    const char *condition, *words;
    size_t offset;
} conditions[] = {
    {"service_started", "to start", offsetof(struct dependency_state, is_started)},
    {"service_healthy", "to run and be healthy", offsetof(struct dependency_state, is_running)},
    {"service_completed_successfully", "to complete", offsetof(struct dependency_state, is_completed)},
};

static const char *waits_for(const struct view *view, const struct dependency *dependency,
                             struct arena *arena) {
    const struct view_dependency *on = view_dependency(view, dependency->name);
    if (on == NULL) {
        return dependency->required
                   ? arena_printf(arena, "waits for %s, which is not there", dependency->name)
                   : NULL;
    }
    for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++) {
        if (strcmp(conditions[i].condition, dependency->condition) == 0) {
            bool is_met = *((const bool *)(const void *)((const char *)&on->state + conditions[i].offset));
            return is_met ? NULL
                          : arena_printf(arena, "waits for %s %s", dependency->name, conditions[i].words);
        }
    }
    return NULL; // a condition of a newer version: nothing we could wait for
}

const char *depend_start_waits_for(const struct view *view, const struct service *service,
                                   struct view_tasks tasks, struct arena *arena) {
    const char *why = NULL;
    for (size_t i = 0; i < service->spec.depends_on.count && why == NULL; i++) {
        why = waits_for(view, &service->spec.depends_on.items[i], arena);
    }
    for (size_t i = 0; i < tasks.count && why != NULL; i++) {
        why = has_started(tasks.items[i]) ? NULL : why;
    }
    return why;
}

const char *depend_update_waits_for(const struct view *view, const struct service *service,
                                    struct arena *arena) {
    for (size_t i = 0; i < service->spec.depends_on.count; i++) {
        const char *name = service->spec.depends_on.items[i].name;
        const struct view_dependency *on = view_dependency(view, name);
        if (on != NULL && !on->state.is_updated) {
            return arena_printf(arena, "waits for the update of %s", name);
        }
    }
    return NULL;
}
