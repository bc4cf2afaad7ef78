// SPDX-License-Identifier: Apache-2.0
//
// reconciler/plan/update.c — a new spec reaches running tasks one at a time.
//
// Stopping is all that happens here: restart.c fills the slot with the current spec, and the replacement
// waits for the old task's end. Where the new task is to start first, the old one is only said to be leaving:
// the slot is filled all the same, and enforce.c stops the old task once the new one runs. There is no
// record of a running update: each pass derives from the tasks what comes next, so a newer spec, a lost
// leader or a crash in between need no care.
//
// Model        Out of date is a task of a revision before the last one that restarts tasks, or one whose node
//              does not meet the constraints of a newer revision. Tasks that have not been started yet have
//              nothing to lose and are replaced at once. Of the started ones the next is stopped only while
//              every slot is settled: its task runs, or ended well. So replacements that fail hold the update
//              where it is; a retry must moreover have run for the monitor time before the next healthy task
//              is given up.
// Deviation    A slot that was added together with the update and finds no node does not hold it up.
#include "reconciler/plan/pass.h"

#define NS_PER_MS 1000000

static bool update_must_move(const struct draft *draft, const struct task *task) {
    const struct view_node *on = view_node(draft->view, &task->node_id);
    return task->revision < draft->service->revision && on != NULL && !fit_node(&draft->fit, on->node);
}

bool update_is_due(const struct draft *draft, const struct task *task) {
    return task_is_out_of_date(draft, task) || update_must_move(draft, task);
}

static void update_stop(struct draft *draft, struct draft_task *at) {
    bool is_old = task_is_out_of_date(draft, at->task);
    const char *why = is_old
                          ? arena_printf(draft->arena, "update: revision %lld replaces %lld",
                                         (long long)draft->service->revision, (long long)at->task->revision)
                          : "update: its node does not meet the new constraints";
    draft_stop(draft, at, TASK_SHUTDOWN, is_old ? REASON_SUPERSEDED : REASON_CONSTRAINT_BROKEN, why);
}

static void update_replace(struct draft *draft, struct slot *slot) {
    struct draft_task *at = slot_live(slot);
    if (draft->starts_first && at->task->status.state == TASK_RUNNING) {
        slot->leaving = at;
    } else {
        update_stop(draft, at);
    }
}

// Does a live task that is up to date let the update go on? If only time is missing, `wake` tells until when.
static bool update_is_settled(const struct draft *draft, const struct task *task, int64_t *wake_unix_ms) {
    if (!task_is_assigned(task) && id_is_none(&task->replaces)) {
        return true; // a slot that is new, not one that was updated
    }
    if (task->status.state != TASK_RUNNING) {
        return false;
    }
    int64_t proven =
        task->status.since_unix_ms + draft->service->spec.deploy.update_config.monitor_ns / NS_PER_MS;
    if (task->attempt == 0 || draft->view->now_unix_ms >= proven) {
        return true;
    }
    *wake_unix_ms = proven > *wake_unix_ms ? proven : *wake_unix_ms;
    return false;
}

// The slot has no live task: did the last one, of the current revision, end as it should?
static bool update_ended_well(const struct draft *draft, const struct slot *slot) {
    const struct draft_task *newest = slot_newest(slot);
    return newest != NULL && task_ended_itself(newest->task) && !task_is_out_of_date(draft, newest->task) &&
           newest->task->status.state == TASK_COMPLETE &&
           draft->service->spec.deploy.restart_policy.condition != RESTART_ANY;
}

void update_next(struct draft *draft) {
    bool is_settled = true;
    int64_t wake_unix_ms = 0;
    struct slot *next = NULL;
    for (size_t i = 0; i < draft->slots.count; i++) {
        struct slot *slot = draft->slots.items[i];
        if (!slot->is_wanted || slot->is_held) {
            continue;
        }
        struct draft_task *live = slot_live(slot);
        if (live == NULL) {
            is_settled = (slot_is_vacant(slot) || update_ended_well(draft, slot)) && is_settled;
        } else if (!update_is_due(draft, live->task)) {
            is_settled = update_is_settled(draft, live->task, &wake_unix_ms) && is_settled;
        } else if (live->task->status.state < TASK_STARTING) {
            update_stop(draft, live);
            is_settled = false;
        } else if (next == NULL || live->task->status.state < slot_live(next)->task->status.state) {
            next = slot;
        }
    }
    if (is_settled && next != NULL) {
        update_replace(draft, next);
    } else if (next != NULL && wake_unix_ms > 0) {
        plan_wake(draft->plan, wake_unix_ms);
    }
}
