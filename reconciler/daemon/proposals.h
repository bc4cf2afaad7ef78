// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/proposals.h — who asked for which change: leads the result of each proposal back to its
// owner.
//
// Ownership    Loop thread only. A proposal's context must live until its callback, or until
//              proposals_deinit, which calls nobody.
#ifndef MUSTER_RECONCILER_DAEMON_PROPOSALS_H
#define MUSTER_RECONCILER_DAEMON_PROPOSALS_H

#include "base/list.h"
#include "reconciler/store/replica.h"

// Called once, after the change is durable or refused. It may propose again.
typedef void (*proposal_fn)(void *context, const struct proposal_result *result);

// Fields are private but `proposer`.
struct proposals {
    struct proposer *proposer;
    struct list open;
    uint64_t last_token;
};

// Takes the proposer over.
void proposals_init(struct proposals *proposals, struct proposer *proposer);
void proposals_deinit(struct proposals *proposals);
// Takes a copy of the transaction. On failure the callback is not called.
int proposals_submit(struct proposals *proposals, const struct transaction *transaction,
                     proposal_fn on_result, void *context, struct error *err);
// A change of the group of managers, likewise (replica_change).
int proposals_change(struct proposals *proposals, struct replica *replica, enum replica_change change,
                     const struct member *member, proposal_fn on_result, void *context, struct error *err);

#endif
