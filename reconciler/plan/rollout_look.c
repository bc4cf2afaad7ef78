// SPDX-License-Identifier: Apache-2.0
//
// reconciler/plan/rollout_look.c — how far a slot is in the rollout, read from its tasks.
#include "reconciler/plan/pass.h"

#define NS_PER_MS 1000000

int64_t rollout_ms(int64_t ns) {
    return ns / NS_PER_MS + (ns % NS_PER_MS != 0);
}

const struct update_config *rollout_policy(const struct draft *draft) {
    const struct deploy *deploy = &draft->service->spec.deploy;
    bool is_rollback = draft->rollout.now != NULL
                           ? rollout_is_rollback(draft->rollout.now)
                           : draft->service->update_status.state == UPDATE_ROLLBACK_STARTED;
    return is_rollback ? &deploy->rollback_config : &deploy->update_config;
}

bool rollout_is_running(const struct draft *draft) {
    return draft->rollout.now != NULL && !rollout_is_paused(draft->rollout.now);
}

// A moment that the task's node told of, by the managers' clock as far as that is known: a clock that is wrong
// must neither hold a rollout up nor let it rush.
static int64_t rollout_clamp(const struct task *task, int64_t since) {
    if (task->meta.updated_unix_ms > 0 && since > task->meta.updated_unix_ms) {
        since = task->meta.updated_unix_ms;
    }
    return since > task->meta.created_unix_ms ? since : task->meta.created_unix_ms;
}

bool rollout_failed_early(const struct draft *draft, const struct task *task) {
    const struct deploy *deploy = &draft->service->spec.deploy;
    if (!task_ended_itself(task) ||
        (task->status.state == TASK_COMPLETE && deploy->restart_policy.condition != RESTART_ANY)) {
        return false;
    }
    return task->running_unix_ms == 0 ||
           task->status.since_unix_ms - task->running_unix_ms < rollout_ms(rollout_policy(draft)->monitor_ns);
}

// The newest of the slot that carries the round's id.
const struct task *rollout_task_of(const struct draft *draft, const struct slot *slot) {
    for (size_t i = 0; draft->rollout.now != NULL && i < slot->tasks.count; i++) {
        const struct draft_task *at = slot->tasks.items[i];
        if (!at->is_deleted && id_equal(&at->task->round_id, &draft->rollout.now->round_id)) {
            return at->task;
        }
    }
    return NULL;
}

static struct slot_outlook rollout_look_at(const struct draft *draft, const struct task *task) {
    const struct update_config *policy = rollout_policy(draft);
    struct slot_outlook look = {.progress = SLOT_DONE, .task = task};
    int64_t since = 0;
    if (rollout_failed_early(draft, task)) {
        look.has_failed = true;
        look.progress = SLOT_FAILED;
        since = rollout_clamp(task, task->status.since_unix_ms);
    } else if (!task_is_live(task)) {
        return look;
    } else if (task->status.state != TASK_RUNNING) {
        look.progress = SLOT_AT_WORK;
        return look;
    } else {
        since = rollout_clamp(task, task->running_unix_ms);
        look.monitored_until = since + rollout_ms(policy->monitor_ns);
    }
    if (since + rollout_ms(policy->delay_ns) > draft->view->now_unix_ms) {
        look.progress = SLOT_RESTING;
        look.rests_until = since + rollout_ms(policy->delay_ns);
    }
    return look;
}

struct slot_outlook rollout_look(const struct draft *draft, const struct slot *slot) {
    struct slot_outlook look = {.progress = SLOT_APART};
    const struct task *task = rollout_task_of(draft, slot);
    if (!slot->is_wanted) {
        return look;
    }
    if (task != NULL) {
        look = rollout_look_at(draft, task);
    }
    bool is_leaving = slot->leaving != NULL && task_is_live(slot->leaving->task);
    const struct draft_task *live = is_leaving ? slot->leaving : slot_live(slot);
    bool is_due = !slot->is_held && live != NULL && update_is_due(draft, live->task);
    if (is_due && look.progress != SLOT_AT_WORK && look.progress != SLOT_RESTING) {
        look.progress = SLOT_DUE;
    }
    return look;
}
