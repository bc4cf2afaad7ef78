// SPDX-License-Identifier: Apache-2.0
//
// reconciler/dispatch/status.h — what agents report, on its way into the store: the newest report of each
// task, many tasks of many nodes in one transaction.
//
// Model        A report waits, travels (is in a proposed transaction) or is settled (stored, or nothing to
//              store). A newer one of the same node for the same task takes the place of what waits. Who came
//              first goes first; after a conflict what travelled waits again, at the front.
// Invariants   Observed state never falls; a task that is over stays as it is; tasks that are unknown, or not
//              on the node that reports, are left alone, and a node cannot displace what another one said. A
//              report of a task that is unknown, or on no node yet, is dropped without being settled: its
//              agent says it again until it has been told that the task is not its any more.
// Limits       STATUS_CHANGES_MAX changes in one transaction, STATUS_LOOKS_MAX reports looked at for it,
//              TASKS_PER_NODE_MAX reports that wait of one node.
#ifndef MUSTER_RECONCILER_DISPATCH_STATUS_H
#define MUSTER_RECONCILER_DISPATCH_STATUS_H

#include "base/map.h"
#include "reconciler/store/store.h"
#include "specs/assignment.h"

#define STATUS_CHANGES_MAX 500
#define STATUS_LOOKS_MAX 2000

struct status_report;

// Zero-initialised is empty. Fields are private but the counts.
struct status {
    struct map by_key;                         // what waits, by node and task
    struct map senders;                        // how much waits of each node
    struct status_report *first, *last;        // what waits, the oldest first
    struct status_report *travelling, *latest; // what travels, in the same order
    size_t waiting_count, travelling_count;
};

struct status_settled {
    struct id node_id, task_id;
    int64_t state;
};
struct status_settled_list {
    size_t count;
    struct status_settled *items;
};

void status_free(struct status *status);
// Takes a copy of what this node says. False: too much of it waits already; it has to say this again.
bool status_post(struct status *status, const struct id *node_id, const struct task_report *report);
// Puts reports that wait into a transaction (without changes when none needs one); they travel from now on.
// Those without effect are settled at once, those of unknown tasks dropped. Only while nothing travels.
int status_compose(struct status *status, struct store_read *read, struct arena *arena,
                   struct transaction *out, struct status_settled_list *settled, struct error *err);
// The transaction is durable: all that travelled is settled.
void status_stored(struct status *status, struct arena *arena, struct status_settled_list *settled);
// It is not: what travelled waits again, unless something newer does.
void status_refused(struct status *status);

#endif
