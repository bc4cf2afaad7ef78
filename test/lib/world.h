// SPDX-License-Identifier: Apache-2.0
//
// test/lib/world.h — a store in memory for tests of the planners: objects, a clock, passes, and fake agents.
//
// Plans are put into effect as the real store would: versions must be as expected, and each object changes at
// most once in a plan. What a plan may never do is checked here, so that every test of the planners checks it
// (world_check says what).
#ifndef MUSTER_TEST_LIB_WORLD_H
#define MUSTER_TEST_LIB_WORLD_H

#include "reconciler/plan/plan.h"
#include "reconciler/schedule/rebalance.h"
#include "reconciler/schedule/schedule.h"

struct world {
    struct arena arena; // of all objects, for the life of the world
    struct prng prng;   // for ids
    int64_t now_unix_ms;
    int64_t revision;
    struct cluster cluster;
    LIST_OF(struct node *) nodes;
    LIST_OF(struct service *) services;
    LIST_OF(struct task *) tasks;
    LIST_OF(struct revision *) revisions;
    LIST_OF(struct rollout *) rollouts;
    const char *broken; // the first rule that was broken; NULL = none
};

void world_init(struct world *world, uint64_t seed);
void world_free(struct world *world);

struct node *world_add_node(struct world *world, const char *name);
struct node *world_node(const struct world *world, const char *name); // NULL when absent
void world_remove_node(struct world *world, struct node *node);
// The service is stored as given; a second time it becomes a new revision of that name, as the control
// server would write it.
struct service *world_put_service(struct world *world, const struct service_spec *spec);
struct service *world_service(const struct world *world, const char *name); // NULL when absent

// The view of now. `shuffle`, when not NULL, chooses the order in which it is put together.
void world_view(const struct world *world, struct prng *shuffle, struct arena *arena, struct view *out);
// Plans all services, then schedules. `prng` is a copy: the same view gives the same plan.
void world_plan(const struct view *view, struct prng prng, struct arena *arena, struct plan *plan);
// Checks the plan against the rules, and puts it into effect.
void world_commit(struct world *world, const struct plan *plan);
// View, plan, commit; the plan is in the arena.
void world_pass(struct world *world, struct arena *arena, struct plan *plan);

// A task's agent reports a state (nothing when it is not higher).
void world_report(struct world *world, struct task *task, int64_t state, int64_t reason);
// All agents of nodes that are up do at once what is wanted of them.
void world_run_agents(struct world *world);

// At most one task of a slot is to run, or two while a running one waits for its successor; reservations
// within capacity. Sets `broken`.
void world_check(struct world *world);
// The service's spec becomes that of an older revision, as `service rollback` has it. False when that is gone.
bool world_roll_back(struct world *world, struct service *service, int64_t revision);
// The last rollout of the service; NULL = there was none.
struct rollout *world_rollout(const struct world *world, const struct service *service);
// Pauses it, or has it go on.
void world_pause(struct world *world, struct service *service, bool is_paused);
size_t world_count_running(const struct world *world, const struct service *service);

#endif
