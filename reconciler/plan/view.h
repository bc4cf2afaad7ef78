// SPDX-License-Identifier: Apache-2.0
//
// reconciler/plan/view.h — what planners see: a consistent, read-only picture at one revision and one instant.
//
// Built in an arena from one read transaction (or by a test, or hypothetically for `why` and `plan`). Arrays are sorted; lookups are binary searches.
#ifndef MUSTER_RECONCILER_PLAN_VIEW_H
#define MUSTER_RECONCILER_PLAN_VIEW_H

#include "specs/cluster.h"
#include "specs/node.h"
#include "specs/service.h"
#include "specs/task.h"

struct view_node {
    const struct node *node;
    // Sums over tasks that hold resources there (assigned and not over).
    int64_t cpus_reserved_nano, memory_reserved_bytes;
    int64_t active_tasks;
};

struct view_revision { struct id service_id; int64_t revision; const struct service_spec *spec; };

struct view {
    int64_t revision;
    int64_t now_unix_ms;
    const struct cluster *cluster;
    struct { size_t count; struct view_node *items; } nodes;              // by id
    struct { size_t count; const struct service **items; } services;      // those to plan, by id
    struct { size_t count; const struct task **items; } tasks;            // of those services, by service id, slot, then newest first (created, id)
    struct { size_t count; struct view_revision *items; } revisions;      // specs that those tasks run, by service id, revision
};

struct view_tasks { size_t count; const struct task *const *items; };

// Adds in any order, then view_seal sorts. The objects are borrowed.
void view_add_node(struct view *view, const struct node *node, struct arena *arena);
void view_add_service(struct view *view, const struct service *service, struct arena *arena);
void view_add_task(struct view *view, const struct task *task, struct arena *arena);
void view_add_revision(struct view *view, const struct id *service_id, int64_t revision, const struct service_spec *spec, struct arena *arena);
// Counts a task of a service that is not planned in this pass against its node (call after view_seal_nodes).
void view_seal(struct view *view, struct arena *arena); // sorts, and counts the view's own tasks against their nodes
void view_count_task(struct view *view, const struct task *task); // only after view_seal; for tasks outside the view

const struct service *view_service(const struct view *view, const struct id *id); // NULL when absent
struct view_node *view_node(const struct view *view, const struct id *id);
struct view_tasks view_tasks_of(const struct view *view, const struct id *service_id);
// The spec of a revision of a service: its current spec, or one of the view's revisions; NULL when not in the view.
const struct service_spec *view_spec(const struct view *view, const struct service *service, int64_t revision);

#endif
