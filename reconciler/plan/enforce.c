// SPDX-License-Identifier: Apache-2.0
//
// reconciler/plan/enforce.c — tasks that must not go on where they are.
//
// A node that is drained, down or gone, or no longer meets the constraints that a task was placed by, loses
// the task at once. (A change of the *service's* constraints is an update instead: update.c moves those tasks
// one at a time; and a node that meets the new ones may keep the task.) A lost node's tasks are only told
// to stop: whether they still run, nobody knows, so their records stay until the node is back or removed.
// Where a new task is to start before the old one stops, a running task that has to go from a drained node,
// or in an update, runs on until the one in its place does.
#include "reconciler/plan/pass.h"

// The constraints that the task was placed by.
static const struct fit *enforce_fit(const struct draft *draft, const struct task *task, struct fit *cache,
                                     int64_t *cached_revision) {
    const struct service_spec *spec = view_spec(draft->view, draft->service, task->revision);
    if (spec == NULL || spec == &draft->service->spec) {
        return &draft->fit;
    }
    if (*cached_revision != task->revision) {
        fit_init(cache, spec, draft->arena);
        *cached_revision = task->revision;
    }
    return cache;
}

static void enforce_orphan(struct draft *draft, struct draft_task *at) {
    static const char why[] = "node: it was removed";
    draft_stop(draft, at, TASK_SHUTDOWN, REASON_NODE_LOST, why);
    if (!task_is_assigned(at->task)) {
        return;
    }
    struct task *task = draft_edit(draft, at, why);
    task->status.state = TASK_ORPHANED;
    task->status.since_unix_ms = draft->view->now_unix_ms;
    task->status.reason = REASON_NODE_LOST;
    task->status.message = "node removed";
}

static bool enforce_is_drained(const struct draft *draft, const struct task *task) {
    const struct view_node *on = view_node(draft->view, &task->node_id);
    return on != NULL && on->node->spec.availability == AVAILABILITY_DRAIN;
}

// The policy lets nobody follow after the slot's last task: nothing is to be waited for.
static bool enforce_is_given_up(const struct draft *draft, const struct slot *slot) {
    const struct task *newest = slot_newest(slot)->task;
    return task_ended_itself(newest) && !task_is_out_of_date(draft, newest) &&
           !restart_is_due(draft, slot, newest);
}

static bool enforce_runs_elsewhere(const struct draft *draft, const struct slot *slot,
                                   const struct draft_task *except) {
    for (size_t i = 0; i < slot->tasks.count; i++) {
        const struct draft_task *at = slot->tasks.items[i];
        if (at != except && task_is_live(at->task) && at->task->status.state == TASK_RUNNING &&
            !enforce_is_drained(draft, at->task)) {
            return true;
        }
    }
    return false;
}

// It has to go, but not before another task of the slot runs.
static bool enforce_may_wait(const struct draft *draft, const struct slot *slot,
                             const struct draft_task *at) {
    if (!task_is_live(at->task) || at->task->status.state != TASK_RUNNING ||
        enforce_runs_elsewhere(draft, slot, at)) {
        return false;
    }
    return enforce_is_drained(draft, at->task) ? !draft->is_global && !enforce_is_given_up(draft, slot)
                                               : at != slot_live(slot) &&
                                                     (update_is_due(draft, at->task) ||
                                                      move_is_successor(slot_live(slot)->task, at->task));
}

static struct draft_task *enforce_leaving(const struct draft *draft, const struct slot *slot) {
    for (size_t i = 0; draft->starts_first && slot_live(slot) != NULL && i < slot->tasks.count; i++) {
        if (enforce_may_wait(draft, slot, slot->tasks.items[i])) {
            return slot->tasks.items[i];
        }
    }
    return NULL;
}

static void enforce_node(struct draft *draft, const struct slot *slot, struct draft_task *at,
                         const struct node *node, const struct fit *fit) {
    if (node->status.state == NODE_DOWN) {
        draft_stop(draft, at, TASK_SHUTDOWN, REASON_NODE_LOST, "node: it is down");
    } else if (node->spec.availability == AVAILABILITY_DRAIN && at == slot->leaving) {
        return;
    } else if (node->spec.availability == AVAILABILITY_DRAIN) {
        draft_stop(draft, at, TASK_SHUTDOWN, REASON_NODE_DRAINED, "drain: its node is to be empty");
    } else if (!fit_node(fit, node) && !fit_node(&draft->fit, node)) {
        draft_stop(draft, at, TASK_SHUTDOWN, REASON_CONSTRAINT_BROKEN,
                   "constraints: its node no longer meets them");
    }
}

// What ended is wanted no more: a new task fills the slot, or none does.
static void enforce_ended(struct draft *draft, struct draft_task *at) {
    draft_stop(draft, at, TASK_SHUTDOWN, REASON_NONE, "ended: a task runs once");
}

static bool enforce_is_better(const struct draft *draft, const struct task *a, const struct task *b) {
    if (a->status.state != b->status.state) {
        return a->status.state > b->status.state;
    }
    return !update_is_due(draft, a) && update_is_due(draft, b);
}

// Of several live tasks of a slot the one that got furthest stays, then one that is up to date, then the newest.
static void enforce_single(struct draft *draft, struct slot *slot) {
    struct draft_task *best = slot_live(slot);
    for (size_t i = 0; i < slot->tasks.count; i++) {
        struct draft_task *at = slot->tasks.items[i];
        if (at != slot->leaving && task_is_live(at->task) && enforce_is_better(draft, at->task, best->task)) {
            best = at;
        }
    }
    for (size_t i = 0; i < slot->tasks.count; i++) {
        struct draft_task *at = slot->tasks.items[i];
        if (at != best && at != slot->leaving && task_is_live(at->task)) {
            bool is_moved = move_is_successor(best->task, at->task);
            draft_stop(draft, at, TASK_SHUTDOWN, is_moved ? REASON_REBALANCED : REASON_SUPERSEDED,
                       "slot: another task fills it");
        }
    }
}

void enforce_tasks(struct draft *draft) {
    struct fit cache;
    int64_t cached_revision = -1;
    for (size_t i = 0; i < draft->slots.count; i++) {
        struct slot *slot = draft->slots.items[i];
        slot->leaving = enforce_leaving(draft, slot);
        for (size_t j = 0; j < slot->tasks.count; j++) {
            struct draft_task *at = slot->tasks.items[j];
            const struct view_node *on = view_node(draft->view, &at->task->node_id);
            if (task_state_is_over(at->task->status.state)) {
                enforce_ended(draft, at);
            } else if (on == NULL && !id_is_none(&at->task->node_id)) {
                enforce_orphan(draft, at);
            } else if (on != NULL && task_is_live(at->task)) {
                enforce_node(draft, slot, at, on->node,
                             enforce_fit(draft, at->task, &cache, &cached_revision));
            }
        }
        enforce_single(draft, slot);
    }
}
