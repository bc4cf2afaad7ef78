// SPDX-License-Identifier: Apache-2.0
//
// reconciler/plan/restart.c — fills wanted slots that have no live task, each in its time.
//
// One place decides for every way a slot can become empty. What managers stopped (update, drain, lost node,
// constraints) is replaced at once, whatever the restart policy: it did not end on its own account. What
// ended by itself is replaced as the policy says. All that is needed is read from the tasks kept of the slot,
// so a new leader decides the same.
//
// Model        Restart delay: a new task exists from the start, at desired READY, so that it is prepared while
//              it waits; it is raised to RUNNING when start_after has come and the older ones are over. With
//              back-off, the next delay is the last one times the factor, until a task ends well or lives
//              longer than the longest delay. A task that ends while it waits (its image is not there) is
//              replaced when its own delay is over, and the next delay counts from then.
// Limits       max_attempts counts tries of the slot at the service's current revision. With a window only
//              those count that were started within it before the last end; time spent waiting for a delay is
//              left out, so that a window shorter than the delay works (in Swarm the limit never trips then).
// Source       swarmkit's restart supervisor; back-off is ours.
#include "reconciler/plan/pass.h"

#define NS_PER_MS 1000000
#define CLOCK_SKEW_MS 60000 // between managers that lead one after the other; more is a clock that was set

static const struct restart_policy *policy_of(const struct draft *draft) {
    return &draft->service->spec.deploy.restart_policy;
}

// When the task was over; a node's clock that runs ahead must not stretch the delay.
static int64_t restart_ended_at(const struct task *task, int64_t now_unix_ms) {
    int64_t since = task->status.since_unix_ms;
    return since > 0 && since < now_unix_ms ? since : now_unix_ms;
}

// Until when it waits; 0 = not any more. The clock was set back when a task is of a later time: how much of
// its delay is left is not known then, and to wait until that time comes again could take years.
static int64_t restart_waits_until(const struct task *task, int64_t now_unix_ms) {
    return task->meta.created_unix_ms > now_unix_ms + CLOCK_SKEW_MS ? 0 : task->start_after_unix_ms;
}

// From when on its successor's delay counts: what ends while it still waits for its own delay (an image that is
// not there) keeps the slot's rhythm, for else the policy's delay would delay nothing.
static int64_t restart_over_at(const struct task *task, int64_t now_unix_ms) {
    int64_t ended = restart_ended_at(task, now_unix_ms), until = restart_waits_until(task, now_unix_ms);
    return until > ended ? until : ended;
}

static int64_t restart_begun_at(const struct task *task) {
    return task->start_after_unix_ms > task->meta.created_unix_ms ? task->start_after_unix_ms
                                                                  : task->meta.created_unix_ms;
}

// --- whether ---

static int64_t restart_tries_in_window(const struct draft *draft, const struct slot *slot,
                                       const struct task *ended, int64_t window_ms) {
    int64_t from = restart_ended_at(ended, draft->view->now_unix_ms) - window_ms;
    int64_t count = 0;
    int64_t last_attempt = -1; // what replaced a drained task carries its number on
    for (size_t i = 0; i < slot->tasks.count; i++) {
        const struct task *task = slot->tasks.items[i]->task;
        int64_t begun = restart_begun_at(task);
        if (task->revision != draft->service->revision || task_is_of_earlier_run(draft, task) ||
            task->attempt == 0 || begun < from) {
            break;
        }
        count += task->attempt != last_attempt;
        last_attempt = task->attempt;
        const struct task *older = i + 1 < slot->tasks.count ? slot->tasks.items[i + 1]->task : task;
        from -= begun - restart_ended_at(older, task->meta.created_unix_ms); // the wait between the two
    }
    return count;
}

static bool restart_is_spent(const struct draft *draft, const struct slot *slot, const struct task *ended) {
    const struct restart_policy *policy = policy_of(draft);
    if (policy->max_attempts == 0 || ended->revision != draft->service->revision) {
        return false;
    }
    int64_t tries = policy->window_ns == 0
                        ? ended->attempt
                        : restart_tries_in_window(draft, slot, ended, policy->window_ns / NS_PER_MS);
    return tries >= policy->max_attempts;
}

bool restart_is_due(const struct draft *draft, const struct slot *slot, const struct task *ended) {
    enum restart_condition condition = policy_of(draft)->condition;
    switch (condition == RESTART_ANY && draft->is_job ? RESTART_ON_FAILURE : condition) {
    case RESTART_NONE:
        return false;
    case RESTART_ON_FAILURE:
        return ended->status.state != TASK_COMPLETE && !restart_is_spent(draft, slot, ended);
    case RESTART_ANY:
        return !restart_is_spent(draft, slot, ended);
    }
    return false;
}

// --- when ---

// The delay that `ended` itself had to wait.
static int64_t restart_last_delay_ms(const struct slot *slot, const struct task *ended) {
    if (ended->start_after_unix_ms == 0) {
        return 0;
    }
    int64_t from = ended->meta.created_unix_ms;
    for (size_t i = 0; i < slot->tasks.count; i++) {
        const struct task *before = slot->tasks.items[i]->task;
        if (id_equal(&before->meta.id, &ended->replaces)) {
            from = restart_over_at(before, from);
        }
    }
    return ended->start_after_unix_ms - from;
}

static int64_t restart_delay_ms(const struct draft *draft, const struct slot *slot,
                                const struct task *ended) {
    const struct restart_policy *policy = policy_of(draft);
    int64_t delay = policy->delay_ns / NS_PER_MS + (policy->delay_ns % NS_PER_MS != 0);
    int64_t longest = policy->backoff.max_delay_ns / NS_PER_MS;
    int64_t lived = restart_ended_at(ended, draft->view->now_unix_ms) - restart_begun_at(ended);
    bool is_over_it =
        ended->status.state == TASK_COMPLETE || (ended->status.state != TASK_REJECTED && lived >= longest);
    if (policy->backoff.factor <= 1 || is_over_it || ended->revision != draft->service->revision) {
        return delay;
    }
    double grown = (double)restart_last_delay_ms(slot, ended) * policy->backoff.factor;
    int64_t next = grown >= (double)longest ? longest : (int64_t)grown;
    return next > delay ? next : delay;
}

// --- filling ---

static bool restart_lost_its_node(const struct draft *draft, const struct task *task) {
    const struct view_node *on = view_node(draft->view, &task->node_id);
    return on == NULL || on->node->status.state == NODE_DOWN ||
           on->node->spec.availability == AVAILABILITY_DRAIN;
}

static const char *restart_cause(const struct draft *draft, const struct task *task) {
    const struct task_status *status = &task->status;
    if (status->state == TASK_COMPLETE) {
        return "exit 0";
    }
    if (status->exit.kind == EXIT_CODE && status->reason == REASON_EXIT_NONZERO) {
        return arena_printf(draft->arena, "exit %lld", (long long)status->exit.code);
    }
    return status->reason != REASON_NONE ? task_reason_text(status->reason) : task_state_name(status->state);
}

static const char *restart_why_new(const struct draft *draft, const struct slot *slot) {
    long long run = draft->service->job_iteration;
    if (!draft->is_global) {
        return draft->is_job
                   ? arena_printf(draft->arena, "job: slot %lld of run %lld", (long long)slot->number, run)
                   : arena_printf(draft->arena, "replicas: slot %lld is empty", (long long)slot->number);
    }
    const struct view_node *on = view_node(draft->view, &slot->node_id);
    if (draft->is_job) {
        return arena_printf(draft->arena, "job: run %lld has to reach node %s", run, on->node->spec.name);
    }
    return arena_printf(draft->arena, "global: node %s has no task", on->node->spec.name);
}

// After a task that ended on its own account. Nothing when the policy says so.
static void restart_after_end(struct draft *draft, struct slot *slot, struct draft_task *at) {
    const struct task *ended = at->task;
    if (!restart_is_due(draft, slot, ended)) {
        return;
    }
    int64_t start_after = 0;
    if (!restart_lost_its_node(draft, ended)) {
        int64_t over = restart_over_at(ended, draft->view->now_unix_ms);
        if (over > draft->view->now_unix_ms) {
            plan_wake(draft->plan, over);
            return;
        }
        int64_t delay = restart_delay_ms(draft, slot, ended);
        start_after = delay > 0 ? over + delay : 0;
    }
    int64_t attempt = ended->revision == draft->service->revision ? ended->attempt + 1 : 0;
    const char *why = arena_printf(draft->arena, "restart: attempt %lld after %s", (long long)attempt,
                                   restart_cause(draft, ended));
    struct task *task = draft_create(draft, slot, start_after, why);
    task->replaces = ended->meta.id;
    task->attempt = attempt;
}

// After a task that was stopped, or that is of no more use.
// What takes the place of a task that is out of date is the rollout's, and so is what takes the place of one
// that is, as long as it did not fail.
static struct id restart_round(const struct draft *draft, const struct slot *slot, const struct task *old) {
    bool is_rolled = slot->is_rolled || task_is_out_of_date(draft, old);
    bool is_running = rollout_is_running(draft);
    bool is_same = is_running && id_equal(&old->round_id, &draft->rollout.now->round_id);
    return is_running && (is_rolled || is_same) ? draft->rollout.now->round_id : (struct id){{0}};
}

static void restart_replace(struct draft *draft, struct slot *slot, const struct task *old) {
    bool is_moving = old->desired_reason == REASON_REBALANCED || view_is_moving(draft->view, &old->meta.id);
    const char *cause = is_moving                          ? task_reason_text(REASON_REBALANCED)
                        : old->desired_reason != REASON_NONE ? task_reason_text(old->desired_reason)
                        : task_is_live(old)                ? task_reason_text(REASON_NODE_DRAINED)
                                                           : "it was stopped";
    const char *why = task_is_out_of_date(draft, old) ? arena_printf(draft->arena, "update: to revision %lld",
                                                                     (long long)draft->service->revision)
                                                      : arena_printf(draft->arena, "replace: %s", cause);
    struct task *task = draft_create(draft, slot, /* start_after */ 0, why);
    task->replaces = old->meta.id;
    task->moved = is_moving || (old->moved && old->status.state < TASK_RUNNING); // it stands in for that one
    task->attempt = old->revision == draft->service->revision ? old->attempt : 0;
    task->round_id = restart_round(draft, slot, old);
}

static void restart_raise(struct draft *draft, struct slot *slot, struct draft_task *at) {
    const struct task *task = at->task;
    if (task->desired >= TASK_RUNNING || draft->must_wait) {
        return;
    }
    int64_t until = restart_waits_until(task, draft->view->now_unix_ms);
    if (draft->view->now_unix_ms < until) {
        plan_wake(draft->plan, until);
    } else if (slot_is_quiet(draft, slot, /* except */ task)) {
        bool was_waiting = id_is_none(&task->replaces) && draft->service->spec.depends_on.count > 0;
        draft_edit(draft, at,
                   task->start_after_unix_ms > 0 ? "restart: the delay is over"
                   : was_waiting                 ? "start: what it depends on is there"
                                                 : "replace: the old task is over")
            ->desired = TASK_RUNNING;
    }
}

// The rollout gives up a task that runs for the one to be made: what failed before in the slot is no reason to
// wait.
static bool restart_is_first_of_round(const struct draft *draft, const struct slot *slot) {
    return slot->is_rolled && rollout_task_of(draft, slot) == NULL;
}

static void restart_fill_slot(struct draft *draft, struct slot *slot) {
    struct draft_task *newest = slot_newest(slot);
    const struct task *moving = move_of_slot(draft, slot);
    if (moving != NULL) {
        restart_replace(draft, slot, moving);
    } else if (slot_is_vacant(slot) || task_is_of_earlier_run(draft, newest->task)) {
        draft_create(draft, slot, /* start_after */ 0, restart_why_new(draft, slot));
    } else if (task_ended_itself(newest->task) && !task_is_out_of_date(draft, newest->task) &&
               !restart_is_first_of_round(draft, slot)) {
        restart_after_end(draft, slot, newest);
    } else {
        restart_replace(draft, slot, newest->task);
    }
}

void restart_fill(struct draft *draft) {
    for (size_t i = 0; i < draft->slots.count; i++) {
        struct slot *slot = draft->slots.items[i];
        if (slot->is_wanted && !slot->is_held && slot_live(slot) == NULL) {
            restart_fill_slot(draft, slot);
        }
        struct draft_task *live = slot_live(slot);
        if (live != NULL) {
            restart_raise(draft, slot, live);
        }
    }
}
