// SPDX-License-Identifier: Apache-2.0
//
// reconciler/schedule/filter.h — the rules that a node must pass to take a task, one row each, in Swarm's
// order.
//
// A row says when it has anything to say for a spec, whether a node passes, and what to tell of one that
// does not. Constraints are one row but one step of the funnel each. Adding a rule is adding a row.
#ifndef MUSTER_RECONCILER_SCHEDULE_FILTER_H
#define MUSTER_RECONCILER_SCHEDULE_FILTER_H

#include "reconciler/plan/fit.h"
#include "reconciler/schedule/schedule.h"

// A node as the scheduler changes it in its mind while it places tasks.
struct room {
    const struct node *node;
    int64_t cpus_free_nano, memory_free_bytes;
    int64_t active_tasks;     // in all
    int64_t service_tasks;    // of them of the service in work
    int64_t service_failures; // of the revision in work, of late
    struct claims claims;     // counted resources and ports that are held
    bool has_own_claims;      // not the view's any more
};

// What the tasks of one revision need.
struct demand {
    const struct service_spec *spec;
    struct fit fit;
    int64_t cpus_nano, memory_bytes;
    int64_t max_replicas_per_node; // 0 = no limit
    struct generic_stocks generic;
    struct strings host_ports;
};

// All nodes of the view as one more task of this spec finds them, in the view's order; and what it needs.
struct room *rooms_for(const struct view *view, const struct service *service, const struct service_spec *spec,
                       struct arena *arena, struct demand *out);
// How many of the kind are to be had, and, for those with names, the first of them: up to `wanted`, pushed to
// `out` unless that is NULL.
int64_t room_generic_free(const struct room *room, const char *kind, int64_t wanted, struct arena *arena,
                          struct strings *out);
void demand_init(struct demand *demand, const struct service_spec *spec, struct arena *arena);
bool filter_passes(const struct demand *demand, const struct room *room);
// Only those rules whose answer changes as tasks are placed: for a node that passed them all before.
bool filter_still_passes(const struct demand *demand, const struct room *room);
// The rules, in their order.
enum filter_kind {
    FILTER_AVAILABLE,
    FILTER_CPU,
    FILTER_MEMORY,
    FILTER_GENERIC,
    FILTER_CONSTRAINT,
    FILTER_PLATFORM,
    FILTER_PORT,
    FILTER_REPLICAS,
    FILTER_COUNT
};
size_t filter_steps(enum filter_kind kind, const struct demand *demand);
bool filter_check(enum filter_kind kind, const struct demand *demand, const struct room *room, size_t step);
const char *room_name(const struct room *room);
// How all rules in turn thin out `rooms`; a step for each rule that has something to say. `is_left`, one for
// each room, may be NULL.
void filter_funnel(const struct demand *demand, const struct room *rooms, size_t count, struct arena *arena,
                   struct funnel *out, bool *is_left);

#endif
