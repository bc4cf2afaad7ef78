// SPDX-License-Identifier: Apache-2.0
//
// reconciler/dispatch/status.h — what agents report, on its way into the store: the newest report of each
// task, many tasks in one transaction.
//
// Model        A report waits, travels (is in a proposed transaction) or is settled (stored, or nothing to
//              store). A newer one for the same task replaces what waits. After a conflict what travelled
//              waits again.
// Invariants   Observed state never falls; a task that is over stays as it is; tasks that are unknown, or not
//              on the node that reports, are left alone. A report of a task that is unknown, or on no node
//              yet, is dropped without being settled: its agent says it again until it has been told that
//              the task is not its any more.
// Limits       STATUS_CHANGES_MAX changes in one transaction.
#ifndef MUSTER_RECONCILER_DISPATCH_STATUS_H
#define MUSTER_RECONCILER_DISPATCH_STATUS_H

#include "base/map.h"
#include "reconciler/store/store.h"
#include "specs/assignment.h"

#define STATUS_CHANGES_MAX 500

struct status_report;

// Zero-initialised is empty. Fields are private but the counts.
struct status {
    struct map waiting, travelling; // of struct status_report, by task id
    size_t waiting_count, travelling_count;
};

struct status_settled {
    struct id task_id;
    int64_t state;
};
struct status_settled_list {
    size_t count;
    struct status_settled *items;
};

void status_free(struct status *status);
// Takes a copy.
void status_post(struct status *status, const struct task_report *report);
// Puts the reports that wait into a transaction (without changes when none needs one); they travel from now
// on. Those without effect are settled at once, those of unknown tasks dropped. Only while nothing travels.
int status_compose(struct status *status, struct store_read *read, const struct id *node_id,
                   struct arena *arena, struct transaction *out, struct status_settled_list *settled,
                   struct error *err);
// The transaction is durable: all that travelled is settled.
void status_stored(struct status *status, struct arena *arena, struct status_settled_list *settled);
// It is not: what travelled waits again, unless something newer does.
void status_refused(struct status *status);

#endif
