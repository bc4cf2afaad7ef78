// SPDX-License-Identifier: Apache-2.0
//
// reconciler/plan/plan.h — the ordered changes that a pass wants, with reasons; the only thing that planners produce.
//
// Planners are pure: same view, same seed, same plan; they cannot fail, block or log; plan(apply(view, plan)) is empty. Time is view->now_unix_ms; a planner that waits
// for a moment says so in wake_unix_ms. After Nomad's reconciler (view in, results out) and swarmkit's orchestrators (what to do).
#ifndef MUSTER_RECONCILER_PLAN_PLAN_H
#define MUSTER_RECONCILER_PLAN_PLAN_H

#include "base/prng.h"
#include "reconciler/plan/view.h"

struct plan_change {
    enum change_op op;
    enum object_kind kind;  // TASK mostly; SERVICE (delete when its last task is gone), REVISION (delete)
    const void *object;     // struct task * … for create and update: the whole new object, in the arena; NULL for delete
    struct id id;
    int64_t expected_version; // 0 for create
    const char *why;        // "replicas: slot 3 is empty", "restart: attempt 2 after exit 1"
};

struct plan {
    struct { size_t count; struct plan_change *items; } changes;
    int64_t wake_unix_ms; // look again then at the latest; 0 = only when something changes
};

// All orchestration of one service: replicated or global, restart, update (one task at a time), scale, drain and lost nodes, constraints no longer met, history, removal.
void plan_service(const struct view *view, const struct service *service, struct prng *prng, struct arena *arena, struct plan *plan);

// Places pending tasks of all services in the view (reconciler/schedule); sees what `plan` did so far as done.
// A task without a node gets its funnel and message; one that found its node becomes ASSIGNED.

// The view as it would be after the plan (hypothetical; shares unchanged objects). Versions of changed objects rise by one. For tests, dry runs, and chained passes.
void plan_apply(const struct view *view, const struct plan *plan, struct arena *arena, struct view *out);

#endif
