// SPDX-License-Identifier: Apache-2.0
//
// reconciler/plan/reaper.c — bounded history: which records of tasks, revisions and rollouts go, and the end
// of a removed service.
//
// Kept of each slot are the newest tasks up to the cluster's limit (at least one, and as many as counting
// restart attempts needs), and what completed in the present run of a job. Gone at once: what was to be
// removed and is over, and what was stopped before any node knew of it. Never trimmed: a task that a node
// was given and that is not known to be over.
#include "reconciler/plan/pass.h"

#include "base/limits.h"

#define TASK_HISTORY_DEFAULT 5

static bool reaper_may_delete(const struct draft_task *at) {
    return at->before != NULL && !task_is_live(at->task) &&
           (!task_is_assigned(at->task) || task_state_is_over(at->task->status.state));
}

static int64_t reaper_limit(const struct draft *draft) {
    const struct cluster *cluster = draft->view->cluster;
    int64_t limit = cluster != NULL ? cluster->spec.task_history_limit : TASK_HISTORY_DEFAULT;
    if (limit < 0) {
        return INT64_MAX;
    }
    int64_t attempts = draft->service->spec.deploy.restart_policy.max_attempts;
    int64_t least = attempts > 0 ? attempts + 1 : 1;
    return limit > least ? limit : least;
}

// That the slot's work is done in this run must not be forgotten.
static bool reaper_is_proof(const struct draft *draft, const struct task *task) {
    return draft->is_job && task->status.state == TASK_COMPLETE && !task_is_of_earlier_run(draft, task) &&
           task->desired < TASK_REMOVE;
}

static void reaper_trim_slot(const struct draft *draft, struct slot *slot, int64_t limit) {
    int64_t kept = 0;
    int64_t run = 0;
    for (size_t i = 0; i < slot->tasks.count; i++) {
        struct draft_task *at = slot->tasks.items[i];
        bool is_assigned = task_is_assigned(at->task);
        kept = at->task->job_iteration == run ? kept : 0; // each run that is kept has its own history
        run = at->task->job_iteration;
        if (!reaper_may_delete(at) || reaper_is_proof(draft, at->task)) {
            kept++;
        } else if (at->task->desired >= TASK_REMOVE) {
            draft_delete(at, task_is_of_earlier_run(draft, at->task) ? "history: of a run before"
                                                                     : "history: its slot is gone");
        } else if (!is_assigned) {
            draft_delete(at, "history: it was stopped before it had a node");
        } else if (kept >= limit) {
            draft_delete(at, "history: over the limit of the slot");
        } else {
            kept++;
        }
    }
}

void reaper_trim(struct draft *draft) {
    int64_t limit = reaper_limit(draft);
    for (size_t i = 0; i < draft->slots.count; i++) {
        reaper_trim_slot(draft, draft->slots.items[i], limit);
    }
}

void reaper_remove(struct draft *draft) {
    for (size_t i = 0; i < draft->slots.count; i++) {
        struct slot *slot = draft->slots.items[i];
        for (size_t j = 0; j < slot->tasks.count; j++) {
            struct draft_task *at = slot->tasks.items[j];
            draft_stop(draft, at, TASK_REMOVE, REASON_SERVICE_REMOVED, "remove: the service goes");
            if (reaper_may_delete(at)) {
                draft_delete(at, "remove: the service goes");
            }
        }
    }
}

// --- revisions and the record ---

static bool reaper_runs(const struct draft *draft, int64_t revision, bool *any_left) {
    bool is_run = false;
    for (size_t i = 0; i < draft->slots.count; i++) {
        const struct slot *slot = draft->slots.items[i];
        for (size_t j = 0; j < slot->tasks.count; j++) {
            const struct draft_task *at = slot->tasks.items[j];
            *any_left = *any_left || !at->is_deleted;
            is_run = is_run || (!at->is_deleted && at->task->revision == revision);
        }
    }
    return is_run;
}

static void reaper_finish_revisions(struct draft *draft, bool all) {
    size_t count;
    const struct view_revision *revisions = view_revisions_of(draft->view, &draft->service->meta.id, &count);
    size_t beyond = count > SPEC_REVISIONS_MAX ? count - SPEC_REVISIONS_MAX : 0; // oldest first
    bool any_left = false;
    for (size_t i = 0; i < (all ? count : beyond); i++) {
        const struct view_revision *at = &revisions[i];
        if (id_is_none(&at->id) || (!all && reaper_runs(draft, at->revision, &any_left))) {
            continue;
        }
        plan_add(draft->plan, draft->arena,
                 &(struct plan_change){
                     .op = CHANGE_DELETE,
                     .kind = KIND_REVISION,
                     .id = at->id,
                     .expected_version = at->version,
                     .why = all ? "remove: the service goes" : "history: over the limit of revisions",
                 });
    }
}

static void reaper_finish_rollouts(struct draft *draft, bool all) {
    const struct rollout *const *rollouts;
    size_t count = view_rollouts_of(draft->view, &draft->service->meta.id, &rollouts);
    for (size_t i = 0; i < count; i++) {
        if (all || rollouts[i]->number <= draft->service->rollout_number - ROLLOUTS_MAX) {
            plan_add(draft->plan, draft->arena,
                     &(struct plan_change){
                         .op = CHANGE_DELETE,
                         .kind = KIND_ROLLOUT,
                         .id = rollouts[i]->meta.id,
                         .expected_version = rollouts[i]->meta.version,
                         .why = all ? "remove: the service goes" : "history: over the limit of rollouts",
                     });
        }
    }
}

void reaper_finish(struct draft *draft) {
    bool any_left = false;
    reaper_runs(draft, /* revision */ -1, &any_left);
    bool is_gone = draft->service->removing && !any_left;
    reaper_finish_revisions(draft, is_gone);
    reaper_finish_rollouts(draft, is_gone);
    if (is_gone) {
        plan_add(draft->plan, draft->arena,
                 &(struct plan_change){
                     .op = CHANGE_DELETE,
                     .kind = KIND_SERVICE,
                     .id = draft->service->meta.id,
                     .expected_version = draft->service->meta.version,
                     .why = "remove: its last task is gone",
                 });
    }
}
