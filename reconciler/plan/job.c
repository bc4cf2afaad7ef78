// SPDX-License-Identifier: Apache-2.0
//
// reconciler/plan/job.c — which slots of a job are to be filled: those whose work is not done, so many at once.
//
// A job is a service whose tasks end. A run (service.job_iteration) is over when each slot's work is done, or
// given up by the restart policy; a newer run does everything anew and clears the tasks of those before away.
//
// Model        replicated-job: slots 1 to replicas, at most max_concurrent of them busy; the lowest numbers
//              first. global-job: the nodes that a global service would run on, also those that join later.
//              A slot is *done* when any task of it completed in this run, whatever managers made of the slot
//              meanwhile: a node that was given up for lost may come back with good news. It is *busy* while
//              a task of it is to run, or may still run.
// Limits       Lowering max_concurrent stops nothing: what runs, runs to its end.
// Source       swarmkit's jobs orchestrators. There a slot that keeps failing keeps all its tasks for ever;
//              here the reaper trims it as any other, and what is given up stays given up.
#include "reconciler/plan/pass.h"

static bool job_is_done(const struct draft *draft, const struct slot *slot) {
    for (size_t i = 0; i < slot->tasks.count; i++) {
        const struct task *task = slot->tasks.items[i]->task;
        if (task->status.state == TASK_COMPLETE && !task_is_of_earlier_run(draft, task)) {
            return true;
        }
    }
    return false;
}

static bool job_is_given_up(const struct draft *draft, const struct slot *slot) {
    const struct draft_task *newest = slot_newest(slot);
    return !slot_is_vacant(slot) && !task_is_of_earlier_run(draft, newest->task) &&
           task_ended_itself(newest->task) && !restart_is_due(draft, slot, newest->task);
}

// --- runs before the present one ---

// Stops the tasks of a run; removes them, or keeps them as history.
static void job_end_run(struct draft *draft, int64_t run, enum task_state desired) {
    const char *why =
        arena_printf(draft->arena, "job: run %lld begins", (long long)draft->service->job_iteration);
    for (size_t i = 0; i < draft->slots.count; i++) {
        const struct slot *slot = draft->slots.items[i];
        for (size_t j = 0; j < slot->tasks.count; j++) {
            if (slot->tasks.items[j]->task->job_iteration == run) {
                draft_stop(draft, slot->tasks.items[j], desired, REASON_JOB_RUN_OVER, why);
            }
        }
    }
}

// The newest run before that one of which there are tasks; -1 = none.
static int64_t job_run_before(const struct draft *draft, int64_t run) {
    int64_t found = -1;
    for (size_t i = 0; i < draft->slots.count; i++) {
        const struct slot *slot = draft->slots.items[i];
        for (size_t j = 0; j < slot->tasks.count; j++) {
            int64_t of_task = slot->tasks.items[j]->task->job_iteration;
            found = of_task < run && of_task > found ? of_task : found;
        }
    }
    return found;
}

// Did each slot that had a task in the run complete?
static bool job_run_succeeded(const struct draft *draft, int64_t run) {
    for (size_t i = 0; i < draft->slots.count; i++) {
        const struct slot *slot = draft->slots.items[i];
        bool was_tried = false;
        bool is_done = false;
        for (size_t j = 0; j < slot->tasks.count; j++) {
            const struct task *task = slot->tasks.items[j]->task;
            was_tried = was_tried || task->job_iteration == run;
            is_done = is_done || (task->job_iteration == run && task->status.state == TASK_COMPLETE);
        }
        if (was_tried && !is_done) {
            return false;
        }
    }
    return true;
}

// A plain job begins anew with nothing left; of a cronjob some runs are kept.
static void job_end_earlier_runs(struct draft *draft) {
    const struct schedule *schedule = draft->service->spec.deploy.schedule;
    int64_t left[] = {schedule != NULL ? schedule->failed_history : 0,
                      schedule != NULL ? schedule->successful_history : 0};
    int64_t run = draft->service->job_iteration;
    while ((run = job_run_before(draft, run)) >= 0) {
        bool is_kept = left[job_run_succeeded(draft, run)]-- > 0;
        job_end_run(draft, run, is_kept ? TASK_SHUTDOWN : TASK_REMOVE);
    }
}

// --- the present run ---

// Nobody needs to begin what is done; who is at it already may end it in peace.
static void job_call_off(struct draft *draft, const struct slot *slot) {
    for (size_t i = 0; i < slot->tasks.count; i++) {
        struct draft_task *at = slot->tasks.items[i];
        if (task_is_live(at->task) && at->task->status.state < TASK_STARTING) {
            draft_stop(draft, at, TASK_SHUTDOWN, REASON_JOB_DONE, "job: its work is done already");
        }
    }
}

// Is there nothing to be done in the slot? Then it is wanted no more.
static bool job_is_over(struct draft *draft, struct slot *slot) {
    bool is_done = job_is_done(draft, slot);
    if (is_done) {
        job_call_off(draft, slot);
    }
    bool is_over = is_done || job_is_given_up(draft, slot);
    slot->is_wanted = slot->is_wanted && !is_over;
    return is_over;
}

static bool job_is_busy(const struct draft *draft, const struct slot *slot) {
    return slot_live(slot) != NULL || !slot_is_quiet(draft, slot, /* except */ NULL);
}

static void job_drop(struct draft *draft, const struct slot *slot) {
    for (size_t i = 0; i < slot->tasks.count; i++) {
        draft_stop(draft, slot->tasks.items[i], TASK_REMOVE, REASON_SCALED_DOWN,
                   "job: it has fewer slots now");
    }
}

// What is busy goes on; returns how many slots that are.
static int64_t job_keep_busy(struct draft *draft, int64_t total) {
    int64_t busy = 0;
    for (size_t i = 0; i < draft->slots.count; i++) {
        struct slot *slot = draft->slots.items[i];
        bool is_over = slot->number < 1 || slot->number > total;
        if (is_over) {
            job_drop(draft, slot);
        } else {
            is_over = job_is_over(draft, slot);
        }
        bool is_busy = job_is_busy(draft, slot); // as it is now, so that the next pass sees the same
        slot->is_wanted = is_busy && !is_over;
        busy += is_busy;
    }
    return busy;
}

// Wants up to `room` more slots; slots are sorted by number.
static void job_begin(struct draft *draft, int64_t total, int64_t room) {
    size_t existing = draft->slots.count;
    size_t i = 0;
    for (int64_t number = 1; number <= total && room > 0; number++) {
        while (i < existing && draft->slots.items[i]->number < number) {
            i++;
        }
        struct slot *slot =
            i < existing && draft->slots.items[i]->number == number ? draft->slots.items[i] : NULL;
        if (slot != NULL && (job_is_busy(draft, slot) || job_is_over(draft, slot))) {
            continue;
        }
        if (slot == NULL) {
            slot = draft_add_slot(draft);
            slot->number = number;
        }
        slot->is_wanted = true;
        room--;
    }
}

void job_want(struct draft *draft) {
    const struct deploy *deploy = &draft->service->spec.deploy;
    job_end_earlier_runs(draft);
    if (draft->service->job_iteration == 0 && draft->service->spec.deploy.schedule != NULL) {
        return; // it waits for its time
    }
    if (!draft->is_global) {
        int64_t at_once = deploy->max_concurrent > 0 ? deploy->max_concurrent : deploy->replicas;
        int64_t busy = job_keep_busy(draft, deploy->replicas);
        job_begin(draft, deploy->replicas, at_once - busy);
        return;
    }
    global_want(draft);
    for (size_t i = 0; i < draft->slots.count; i++) {
        job_is_over(draft, draft->slots.items[i]);
    }
}

bool job_is_going(const struct draft *draft) {
    int64_t ended = 0;
    for (size_t i = 0; i < draft->slots.count; i++) {
        const struct slot *slot = draft->slots.items[i];
        const struct draft_task *newest = slot_newest(slot);
        bool is_ended = job_is_done(draft, slot) || job_is_given_up(draft, slot);
        bool is_begun = newest != NULL && !task_is_of_earlier_run(draft, newest->task);
        if (slot_live(slot) != NULL || (draft->is_global && is_begun && !is_ended)) {
            return true;
        }
        ended += is_ended;
    }
    bool has_begun = draft->service->job_iteration > 0;
    return has_begun && !draft->is_global && ended < draft->service->spec.deploy.replicas;
}
