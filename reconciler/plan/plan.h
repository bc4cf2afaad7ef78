// SPDX-License-Identifier: Apache-2.0
//
// reconciler/plan/plan.h — the ordered changes that a pass wants, with reasons; the only thing that planners
// produce.
//
// Planners are pure: same view, same seed, same plan; they cannot fail, block or log. Time is
// view->now_unix_ms; a planner that waits for a moment says so in wake_unix_ms.
//
// Model        One pass is: plan_service for each service of the view, in any order, then schedule_tasks
//              (reconciler/schedule), all into one plan. There is at most one change per object.
// Invariants   (1) A pass over plan_apply(view, plan of a pass) at the same time is empty. (2) At most one
//              task of a slot is to run; with update_config.order start-first, also a running one that has
//              to go, until the one in its place runs. (3) Observed state never falls, desired state never
//              falls from SHUTDOWN or beyond. (4) A task that was assigned is deleted only once it is over
//              or its node is gone. (5) A change that makes room comes before the one that takes it (stop
//              before create, tasks before their service), so a plan may be cut into several transactions,
//              in order. (6) In a run of a job no slot is filled again once a task of it completed, and no
//              more than max_concurrent slots are begun.
// Source       Nomad's reconciler (view in, results out), swarmkit's orchestrators (what to do).
#ifndef MUSTER_RECONCILER_PLAN_PLAN_H
#define MUSTER_RECONCILER_PLAN_PLAN_H

#include "base/prng.h"
#include "reconciler/plan/view.h"

struct plan_change {
    enum change_op op;
    // TASK mostly; SERVICE, REVISION and ROLLOUT.
    enum object_kind kind;
    // Create and update: the whole new object (struct task *…), in the arena; NULL for delete.
    const void *object;
    struct id id;
    int64_t expected_version; // 0 for create
    const char *why;          // "replicas: slot 3 is empty", "restart: attempt 2 after exit 1"
    bool with_next;           // never without the change after it: both in one transaction
};

// Zero-initialised is empty.
struct plan {
    LIST_OF(struct plan_change) changes;
    int64_t wake_unix_ms; // look again then at the latest; 0 = only when something changes
    bool is_waiting;      // for a service that it depends on: look again when that changes
};

// All orchestration of one service: replicated or global, jobs, restart, rollout and rollback, scale, drain and
// lost nodes, constraints no longer met, history, removal. Ids of new tasks come from `prng`.
void plan_service(const struct view *view, const struct service *service, struct prng *prng,
                  struct arena *arena, struct plan *plan);

// The view as it would be after the plan: hypothetical, sealed, shares unchanged objects; `revision` and the
// versions of changed objects rise by one. For tests, dry runs, and chained passes.
void plan_apply(const struct view *view, const struct plan *plan, struct arena *arena, struct view *out);

// Appends a change.
void plan_add(struct plan *plan, struct arena *arena, const struct plan_change *change);
// Asks for a pass at that time, unless an earlier one is asked for already.
void plan_wake(struct plan *plan, int64_t unix_ms);

#endif
