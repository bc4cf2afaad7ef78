// SPDX-License-Identifier: Apache-2.0
//
// reconciler/plan/draft.h — one service in work: its slots and tasks, as the pass has changed them so far.
//
// The steps of a pass (pass.h) see each other's decisions here and never the plan; draft_close turns what
// became different into changes, one per task.
//
// Model        A slot is a number (replicated) or a node (global). Its tasks stand newest first; the newest
//              one tells the slot's story, the others are history, or still stopping, or leaving. A slot is
//              *live* when one of its tasks is to run and is not over, nor leaving.
// Invariants   (1) A task's desired state never falls from SHUTDOWN or beyond. (2) draft_create makes no
//              second live task in a slot.
// Ownership    Everything is in the arena of the pass.
#ifndef MUSTER_RECONCILER_PLAN_DRAFT_H
#define MUSTER_RECONCILER_PLAN_DRAFT_H

#include "reconciler/plan/fit.h"
#include "reconciler/plan/plan.h"

struct draft_task {
    const struct task *task;   // as the pass leaves it
    const struct task *before; // as the view has it; NULL = made by this pass
    struct task *copy;         // private; the one being written, when it differs
    const char *why;           // of its first change
    bool is_deleted;
};

struct slot {
    int64_t number;    // replicated: from 1; global: 0
    struct id node_id; // global: the node that is the slot
    // Newest first. Those deleted by the pass stay in the list.
    LIST_OF(struct draft_task *) tasks;
    bool is_wanted; // the service wants it filled (replicated.c, global.c, job.c decide)
    bool is_held;   // global, node paused or out of sight: nothing is added or updated
    // Start-first: it runs on until the task that replaces it does, and is no task of the slot meanwhile.
    struct draft_task *leaving;
    bool is_rolled; // the rollout has the slot's task replaced, in this pass
};

// The service's rollout in work, and what the pass writes beside tasks.
struct draft_rollout {
    const struct rollout *before; // as the view has it; NULL = none is open, or this pass began it
    struct rollout *now;          // NULL = none is open
    const struct rollout *closed_before;
    struct rollout *closed; // what this pass ended: superseded, or rolled back
    const char *why, *closed_why;
    const struct service *service_before;
    struct service *service; // as the pass leaves it; NULL = unchanged
    const char *service_why;
    struct revision *revision; // new, of a rollback
    const char *waits_for;     // "waits for the update of db": no further slot is begun; NULL = nothing
    bool has_no_room;          // a slot that was due was left alone for want of it
};

struct draft {
    const struct view *view;
    const struct service *service;
    struct prng *prng;
    struct arena *arena;
    struct plan *plan;
    struct fit fit; // of the current spec
    bool is_global;
    bool is_job;
    bool must_wait;    // for what it depends on: nothing is started
    bool starts_first; // as the policy in force says
    struct draft_rollout rollout;
    LIST_OF(struct slot *) slots; // by number, or by node id
};

void draft_open(struct draft *draft, const struct view *view, const struct service *service,
                struct prng *prng, struct arena *arena, struct plan *plan);
// Adds what changed to the plan: in each slot, older tasks first.
void draft_close(struct draft *draft);

// The task as something to write to; `why` is kept if it is the first change.
struct task *draft_edit(struct draft *draft, struct draft_task *at, const char *why);
// Raises the desired state to SHUTDOWN or REMOVE; no change if it is there already.
void draft_stop(struct draft *draft, struct draft_task *at, enum task_state desired, enum task_reason reason,
                const char *why);
void draft_delete(struct draft_task *at, const char *why);
// A new task at the head of the slot: pending, reservations from the current spec. It is to run at once if
// its time has come and the older ones are over, else to get ready. Returns it for the caller to complete.
struct task *draft_create(struct draft *draft, struct slot *slot, int64_t start_after_unix_ms,
                          const char *why);
struct slot *draft_add_slot(struct draft *draft); // at the end; the caller fills it in

// The newest task, as if those deleted were not there; NULL = none.
struct draft_task *slot_newest(const struct slot *slot);
struct draft_task *slot_live(const struct slot *slot); // NULL = none
bool slot_is_vacant(const struct slot *slot);          // nothing there, or only what is being removed
// No task but `except`, and who is leaving, can still be running: each is over, was never assigned, or its
// node is down or gone.
bool slot_is_quiet(const struct draft *draft, const struct slot *slot, const struct task *except);

static inline bool task_is_live(const struct task *task) {
    return view_wants_to_run(task) && !task_state_is_over(task->status.state);
}
static inline bool task_is_assigned(const struct task *task) {
    return task->status.state >= TASK_ASSIGNED;
}
// Over on its own account: nobody told it to stop, and its node is not what failed.
static inline bool task_ended_itself(const struct task *task) {
    return task_state_is_over(task->status.state) && task->desired_reason == REASON_NONE &&
           task->status.state != TASK_ORPHANED;
}
// Must a newer revision replace it?
static inline bool task_is_out_of_date(const struct draft *draft, const struct task *task) {
    return service_is_outdated(draft->service, task->revision);
}

// Of a run of the job before the present one? Never for other services.
static inline bool task_is_of_earlier_run(const struct draft *draft, const struct task *task) {
    return draft->is_job && task->job_iteration != draft->service->job_iteration;
}

#endif
