// SPDX-License-Identifier: Apache-2.0
//
// reconciler/plan/pass.h — the steps of planning one service, in their order.
//
// Each step is a rule on its own; together they are plan_service. The order matters: first what must stop,
// then which slots there are, then who is next in an update, then one place that fills every slot without a
// live task, whatever emptied it; last, history.
//
//   enforce   nodes drained, down or gone; constraints a node no longer meets; more than one task in a slot
//   want      replicated: which numbers; global: which nodes
//   update    stops the next task that is out of date, or has it replaced while it runs on
//   restart   fills wanted slots: at once, after the restart delay, or not at all; starts tasks in waiting
//   reaper    trims history and old revisions; removes what is left of a removed service
#ifndef MUSTER_RECONCILER_PLAN_PASS_H
#define MUSTER_RECONCILER_PLAN_PASS_H

#include "reconciler/plan/draft.h"

void enforce_tasks(struct draft *draft);

void replicated_want(struct draft *draft);
void global_want(struct draft *draft);

void update_next(struct draft *draft);
// Whether a newer spec is to reach this task: by a task in its place.
bool update_is_due(const struct draft *draft, const struct task *task);

void restart_fill(struct draft *draft);
// Would the policy fill a slot again after this task, which ended on its own account?
bool restart_is_due(const struct draft *draft, const struct slot *slot, const struct task *ended);

void reaper_trim(struct draft *draft);
void reaper_remove(struct draft *draft);
// Revisions no longer needed, and the record of a removed service once its tasks are gone. Adds to the plan
// itself: after draft_close.
void reaper_finish(struct draft *draft);

#endif
