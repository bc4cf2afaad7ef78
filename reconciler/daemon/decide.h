// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/decide.h — what a declaration would change: from specs and the store to one transaction
// and the answer.
//
// Nothing is written here, so a dry run is the same work without the proposal. All mistakes of a request are
// collected; one of them refuses all of it.
#ifndef MUSTER_RECONCILER_DAEMON_DECIDE_H
#define MUSTER_RECONCILER_DAEMON_DECIDE_H

#include "reconciler/store/store.h"
#include "transport/messages.h"

struct decision {
    struct transaction transaction; // no changes: all is as declared already
    // A result for each item, in their order, then of services that follow them; versions of changes are 0
    struct applied applied;
    struct strings mistakes;   // one line each, when it fails
    LIST_OF(struct id) spared; // managers that would be none any more
};

// `who` and the time go into the history. 0, or the failure that names the first mistake. All is in the
// arena.
int decide_apply(struct store_read *read, const struct apply_request *request, const char *who,
                 int64_t now_unix_ms, struct arena *arena, struct decision *out, struct error *err);
int decide_remove(struct store_read *read, const struct remove_request *request, const char *who,
                  int64_t now_unix_ms, struct arena *arena, struct decision *out, struct error *err);

int decide_rollout(struct store_read *read, const struct rollout_request *request, const char *who,
                   int64_t now_unix_ms, struct arena *arena, struct decision *out, struct error *err);

// Whether the managers that are left without this one, and without those spared before, are a quorum that
// answers. -ERR_GUARD: why not, and what to do.
int decide_spare_manager(struct decision *decision, struct store_read *read, const struct id *node_id,
                         struct arena *arena, struct error *err);

// The record of a node that is no part of the cluster any more: its tasks are replaced, and it may join
// again.
void decide_good_bye(struct decision *decision, struct node *node, const char *message, int64_t now_unix_ms,
                     struct arena *arena);

#endif
