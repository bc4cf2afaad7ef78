// SPDX-License-Identifier: Apache-2.0
//
// reconciler/schedule/schedule.h — pending task -> node, with reasons.
//
// Filters (filter.h: const rows of name, check, explain) leave the nodes that can; ranking (rank.h) picks
// among them, as Swarm's: nodes where this service's revision failed 5 times in 5 minutes last, then fewer
// active tasks of the service, then fewer in all, then id. Pure.
#ifndef MUSTER_RECONCILER_SCHEDULE_SCHEDULE_H
#define MUSTER_RECONCILER_SCHEDULE_SCHEDULE_H

#include "reconciler/plan/plan.h"

// Assigns every task of the view with status PENDING (and desired ≤ RUNNING, its service not removing) to a
// node, or records its funnel and "no suitable node (…)". Adds only real changes to the plan, and sees what
// the plan holds so far as done: tasks it creates are placed in the same change. Global tasks come with their
// node already set: they are checked against the filters and become ASSIGNED.
void schedule_tasks(const struct view *view, struct arena *arena, struct plan *plan);

struct funnel {
    size_t count;
    struct funnel_step *items;
};
// The funnel for one task of this spec against all nodes, whatever its state: for `why`. `nodes_left` gets
// the ids that pass.
void schedule_explain(const struct view *view, const struct service *service, const struct service_spec *spec,
                      struct arena *arena, struct funnel *out, struct strings *nodes_left);

struct remedies {
    size_t count;
    struct remedy *items;
};
// What would let one more task of this spec find a node: each by itself enough, tried with the same filters.
// For a task that comes with its node, only that one counts; `node_id` NULL = any will do.
void schedule_remedies(const struct view *view, const struct service *service, const struct service_spec *spec,
                       const struct id *node_id, struct arena *arena, struct remedies *out);

// "no suitable node (insufficient memory on 2 nodes; node not available on 1 node)": appended.
void schedule_summary(const struct funnel *funnel, struct buf *out);

// Does this node satisfy the spec's constraints and platform?
bool schedule_node_fits(const struct node *node, const struct service_spec *spec, struct arena *arena);

#endif
