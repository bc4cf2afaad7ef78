// SPDX-License-Identifier: Apache-2.0
//
// reconciler/plan/depend.h — services that wait for others: depends_on, at their first start and when they are
// updated.
//
// Model        A service that has never run holds its tasks at READY (image there, nothing started) until every
//              service it depends on is as its condition says; from then on it is on its own, as in Compose: what
//              fails later does not stop it. An update waits until the services it depends on have no task left
//              that is out of date, and what replaced them runs, so that what is deployed together is rolled out
//              in order.
//              "Started" is every wanted task started, "healthy" every one running (which, with a health check,
//              is only said of a healthy task), "completed successfully" every one ended with 0.
// Deviation    Compose needs one container of a service; here all replicas that are wanted.
// Source       the Compose Specification, depends_on; Docker's `stack deploy` ignores it.
#ifndef MUSTER_RECONCILER_PLAN_DEPEND_H
#define MUSTER_RECONCILER_PLAN_DEPEND_H

#include "reconciler/plan/view.h"

// How far a service is, of those that others depend on. `tasks` are all of its tasks, in any order.
struct dependency_state depend_state(const struct service *service, const struct task *const *tasks,
                                     size_t count);

// The first thing that keeps a service from starting; NULL = nothing. `tasks` are its own. The words are for
// people: "waits for db to be healthy".
const char *depend_start_waits_for(const struct view *view, const struct service *service,
                                   struct view_tasks tasks, struct arena *arena);
// The same for what keeps its update from going on: "waits for the update of db".
const char *depend_update_waits_for(const struct view *view, const struct service *service,
                                    struct arena *arena);

#endif
