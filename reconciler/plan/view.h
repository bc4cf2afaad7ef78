// SPDX-License-Identifier: Apache-2.0
//
// reconciler/plan/view.h — what planners see: a consistent, read-only picture at one revision and one
// instant.
//
// Built in an arena from one read transaction (or by a test, or hypothetically for `why` and `plan`), and
// read by all planners of a pass, so that they cannot disagree about what they saw.
//
// Model        Add everything in any order, then view_seal. Arrays are then sorted, so plans do not depend on
//              the order of adding; lookups are binary searches.
// Invariants   (1) Nothing is added after view_seal. (2) A node's sums count each task that was assigned and
//              is not over exactly once, whether the view holds the task or view_count_task was told of it.
// Ownership    Objects are borrowed and must live as long as the view; the arrays are in the arena.
#ifndef MUSTER_RECONCILER_PLAN_VIEW_H
#define MUSTER_RECONCILER_PLAN_VIEW_H

#include "reconciler/plan/claims.h"
#include "specs/cluster.h"
#include "specs/cron.h"
#include "specs/node.h"
#include "specs/rollout.h"
#include "specs/service.h"
#include "specs/task.h"

struct view_node {
    const struct node *node;
    // Sums over the tasks that hold resources there (assigned and not over).
    int64_t cpus_reserved_nano, memory_reserved_bytes;
    int64_t active_tasks; // those of them that are to run; the others are being stopped
    struct claims claims; // counted resources and ports that they hold
};

struct view_revision {
    struct id service_id;
    int64_t revision;
    const struct service_spec *spec;
    // Of the stored record, which the planners delete when it is of no more use; none = only the spec is known.
    struct id id;
    int64_t version;
};

// How far a service is, of those that others depend on (depend.h).
struct dependency_state {
    bool is_started, is_running, is_completed;
    bool is_updated; // no task that is to run is out of date, and what took their place runs
};
struct view_dependency {
    const char *name;
    struct dependency_state state;
};

struct view {
    int64_t revision;
    int64_t now_unix_ms;
    const struct cluster *cluster;            // NULL = all defaults
    LIST_OF(struct view_node) nodes;          // by id
    LIST_OF(const struct service *) services; // those to plan, by id
    // Of those services, by service id, slot, then newest first (created, id).
    LIST_OF(const struct task *) tasks;
    // Time zones that schedules of those services name, as far as this manager knows them.
    LIST_OF(const struct zone *) zones;
    // Running tasks that are to make room on their nodes, as reconciler/schedule/rebalance.h found; with
    // them a pass moves them.
    LIST_OF(struct id) moving;
    LIST_OF(struct view_revision) revisions; // kept specs of those services, by service id, revision
    LIST_OF(struct view_dependency) dependencies; // what those services depend on, as far as it is there
    // Of those services, by service id, number: the last one at least, and the one that is next to go.
    LIST_OF(const struct rollout *) rollouts;
};

struct view_tasks {
    size_t count;
    const struct task *const *items;
};

// Add in any order, then view_seal sorts.
void view_add_node(struct view *view, const struct node *node, struct arena *arena);
void view_add_service(struct view *view, const struct service *service, struct arena *arena);
void view_add_task(struct view *view, const struct task *task, struct arena *arena);
// A spec that tasks run. Without its record (view_add_revision_record) it is never cleaned up.
void view_add_revision(struct view *view, const struct id *service_id, int64_t revision,
                       const struct service_spec *spec, struct arena *arena);
// A kept revision as the store holds it. Add all of a service's: the reaper deletes those beyond the limit,
// and the rest when the service is removed.
void view_add_revision_record(struct view *view, const struct revision *revision, struct arena *arena);
// A service that one of the view depends on. Once for each.
void view_add_dependency(struct view *view, const char *name, struct dependency_state state, struct arena *arena);

void view_add_rollout(struct view *view, const struct rollout *rollout, struct arena *arena);
void view_add_zone(struct view *view, const struct zone *zone, struct arena *arena);

// Sorts, and counts the view's own tasks against their nodes.
void view_seal(struct view *view, struct arena *arena);
// Counts a task of a service that is not in the view against its node; only after view_seal.
void view_count_task(struct view *view, const struct task *task, struct arena *arena);

const struct service *view_service(const struct view *view, const struct id *id); // NULL when absent
struct view_node *view_node(const struct view *view, const struct id *id);        // NULL when absent
struct view_tasks view_tasks_of(const struct view *view, const struct id *service_id);
const struct view_dependency *view_dependency(const struct view *view, const char *name); // NULL when absent
// All kept revisions of a service, oldest first: items of view->revisions.
struct view_revision *view_revisions_of(const struct view *view, const struct id *service_id,
                                        size_t *out_count);
// Those of a service, oldest first; `out` is an item of view->rollouts.
size_t view_rollouts_of(const struct view *view, const struct id *service_id,
                        const struct rollout *const **out);
// The spec of a revision of a service: its current spec, or one of the view's revisions; NULL when not in the
// view.
const struct service_spec *view_spec(const struct view *view, const struct service *service,
                                     int64_t revision);

// *out is NULL for UTC (""). False when the view does not have that zone.
bool view_zone(const struct view *view, const char *name, const struct zone **out);

bool view_is_moving(const struct view *view, const struct id *task_id);
// Does the task hold its reservations: assigned, and not over?
static inline bool view_holds_resources(const struct task *task) {
    return task->status.state >= TASK_ASSIGNED && !task_state_is_over(task->status.state) &&
           !id_is_none(&task->node_id);
}
// Is the task to run, or to get ready for it?
static inline bool view_wants_to_run(const struct task *task) {
    return task->desired <= TASK_RUNNING;
}

#endif
