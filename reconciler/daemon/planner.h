// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/planner.h — drives the pure planners: which services to look at, when, and what comes of
// it.
//
// Model        The history says which services became dirty; a pass takes some of them, builds one view, runs
//              plan_service for each and schedule_tasks for all, and proposes the changes, cut into
//              transactions that follow each other. While one is under way nothing is planned. At start, and
//              whenever the history has a gap, everything is dirty, so nothing depends on remembered events.
// Invariants   A transaction is proposed only after the one before it was applied; after a refusal what is
//              left of the plan is dropped and its services are dirty again.
// Limits       PASS_SERVICES_MAX and about PASS_TASKS_MAX tasks in one pass, PLAN_CHANGES_MAX changes and
//              PLAN_BYTES_MAX in one transaction. A service whose pass was long waits for a multiple of that
//              time before the next one, so planning never takes more than a share of the CPU.
#ifndef MUSTER_RECONCILER_DAEMON_PLANNER_H
#define MUSTER_RECONCILER_DAEMON_PLANNER_H

#include "base/limits.h"
#include "reconciler/daemon/picture.h"
#include "reconciler/daemon/proposals.h"
#include "reconciler/daemon/zones.h"
#include "reconciler/plan/plan.h"

#define PASS_SERVICES_MAX 64
#define PASS_TASKS_MAX 10000
#define PLAN_CHANGES_MAX 1000
#define PLAN_BYTES_MAX (1 * MIB)

struct now {
    int64_t unix_ms, mono_ms;
};

// Zero-initialised but for the first two members. Fields are private.
struct planner {
    struct store *store;
    struct proposals *proposals;

    bool is_started;
    struct store_position position; // of the history read so far
    struct map subjects;            // struct subject, by service id
    size_t dirty_count, waiting_count;
    struct loads loads;
    struct zones zones;
    struct prng prng;
    uint64_t passes;     // made so far, for tests
    int64_t now_mono_ms; // of the last step
    bool is_simulated;   // time is virtual: no pass takes any

    // the plan under way
    struct arena arena;
    struct plan plan;
    size_t proposed, in_flight; // changes: applied or under way; of the transaction under way
    LIST_OF(struct id) subjects_planned;
    bool must_drop_plan;
    bool is_short_of_space; // the last proposal was refused for it: only what makes room is proposed
    int64_t retry_mono_ms;  // after a refusal that is not a conflict; 0 = none
};

void planner_init(struct planner *planner, struct store *store, struct proposals *proposals, uint64_t seed);
// Forgets what it knows: this manager has come to lead, and others have planned meanwhile.
void planner_restart(struct planner *planner);
void planner_deinit(struct planner *planner);
// Reads what happened, makes at most one pass, proposes at most one transaction. Failure: of the store.
int planner_step(struct planner *planner, const struct now *now, struct error *err);
// Seals a view for a request: by the sums that the planner keeps, if this manager leads and they are of this very
// read; else by sums over all tasks of the store.
int planner_seal(const struct planner *planner, struct view *view, struct store_read *read, struct arena *arena,
                 struct error *err);
bool planner_is_waiting(const struct planner *planner); // for the result of a transaction
// When planner_step has something to do without a change of the store; 0 = at once; INT64_MAX = not.
int64_t planner_wake_mono_ms(const struct planner *planner, const struct now *now);

#endif
