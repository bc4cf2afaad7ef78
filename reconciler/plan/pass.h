// SPDX-License-Identifier: Apache-2.0
//
// reconciler/plan/pass.h — the steps of planning one service, in their order.
//
// Each step is a rule on its own; together they are plan_service. The order matters: first what must stop,
// then which slots there are, then who is next in an update, then one place that fills every slot without a
// live task, whatever emptied it; last, history.
//
//   judge     the rollout in work: is there one, does it go on, is it to be rolled back (not of jobs)
//   cronjob   begins a run of a job whose time has come
//   enforce   nodes drained, down or gone; constraints a node no longer meets; more than one task in a slot
//   want      replicated: which numbers; global: which nodes; jobs: which of them have work left, so many
//             at once
//   update    (not of jobs) stops the next tasks that are out of date, or has them replaced while they run on
//   move      (not of jobs) stops tasks that are to run elsewhere, or has them replaced while they run on
//   restart   fills wanted slots: at once, after the restart delay, or not at all; starts tasks in waiting
//   reaper    trims history and old revisions; removes what is left of a removed service
//   tell      what has become of the rollout
#ifndef MUSTER_RECONCILER_PLAN_PASS_H
#define MUSTER_RECONCILER_PLAN_PASS_H

#include "reconciler/plan/draft.h"

// Before all else: a rollback changes what the service is.
void rollout_judge(struct draft *draft);
// A rollout for the slots that are due; there is none.
void rollout_begin(struct draft *draft);
bool rollout_is_running(const struct draft *draft); // one is open, and not paused
const struct update_config *rollout_policy(const struct draft *draft);
// Counts, and whether it is done: after all steps.
void rollout_close(struct draft *draft);
// Adds the rollout, and with it the service, to the plan; to be called before and after draft_close.
void rollout_write(struct draft *draft, bool is_before_tasks);

enum slot_progress {
    SLOT_APART,   // nothing to do with the rollout
    SLOT_DUE,     // its task is out of date
    SLOT_AT_WORK, // its new task does not run yet
    SLOT_RESTING, // it does, or has failed, but not for as long as `delay` says
    SLOT_FAILED,
    SLOT_DONE
};
struct slot_outlook {
    enum slot_progress progress;
    bool has_failed;                      // in this round
    const struct task *task;              // of this round; NULL = none
    int64_t rests_until, monitored_until; // Unix ms; 0 = not
};
struct slot_outlook rollout_look(const struct draft *draft, const struct slot *slot);
// The newest task of the slot that is of the round; NULL = none.
const struct task *rollout_task_of(const struct draft *draft, const struct slot *slot);
bool rollout_failed_early(const struct draft *draft, const struct task *task); // a failure of the rollout
int64_t rollout_ms(int64_t ns);                                                // rounded up

void enforce_tasks(struct draft *draft);

void replicated_want(struct draft *draft);
void global_want(struct draft *draft);
void job_want(struct draft *draft);
// Has the present run work left that is not given up?
bool job_is_going(const struct draft *draft);
void cronjob_look(struct draft *draft);

void update_next(struct draft *draft);
// Whether a newer spec is to reach this task: by a task in its place.
bool update_is_due(const struct draft *draft, const struct task *task);

void move_next(struct draft *draft);
// The task of the slot that is to move, whose place a new one takes; NULL = none.
const struct task *move_of_slot(const struct draft *draft, const struct slot *slot);
// Was it made by a move, and does it stand in for that running task?
bool move_is_successor(const struct task *task, const struct task *before);

void restart_fill(struct draft *draft);
// Would the policy fill a slot again after this task, which ended on its own account?
bool restart_is_due(const struct draft *draft, const struct slot *slot, const struct task *ended);

// Is there room for the new task of a slot? To be asked for one slot after the other: each takes what it found.
struct room_book;
enum room_answer {
    ROOM_NONE,
    ROOM_BESIDE, // also while the old task runs
    ROOM_INSTEAD // once the old one has stopped
};
struct room_book *room_open(const struct draft *draft);
enum room_answer room_take(struct room_book *book, const struct task *old, bool starts_first);
// "0.5 cpus, 64M of memory, …": what the new tasks ask for.
const char *room_wish(const struct draft *draft);

void reaper_trim(struct draft *draft);
void reaper_remove(struct draft *draft);
// Revisions no longer needed, and the record of a removed service once its tasks are gone. Adds to the plan
// itself: after draft_close.
void reaper_finish(struct draft *draft);

#endif
