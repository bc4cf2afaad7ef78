// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/proposer.h — the one door for writes: propose a transaction, learn later whether and
// where it was applied.
//
// Everything in front of this seam (control requests, planners, agents' status) is the same whether one
// voter or seven agree behind it (replica.h).
//
// Contract     submit queues and never blocks; turn makes durable, applies and calls on_result once for each
//              submitted proposal, from the loop thread; proposals of one leader come in the order in which
//              they were submitted. A result with code 0 is durable (on a quorum), and every read that begins
//              from then on shows it. -ERR_TIMEOUT: nobody knows yet what became of it ("outcome unknown");
//              the same request_id again finds out. -ERR_NO_QUORUM: there was no leader, nothing was done.
//              Results may submit again.
#ifndef MUSTER_RECONCILER_STORE_PROPOSER_H
#define MUSTER_RECONCILER_STORE_PROPOSER_H

#include "reconciler/store/store.h"

struct proposal_result {
    uint64_t token;
    int code;         // 0, -ERR_CONFLICT, -ERR_EXISTS, -ERR_NOT_FOUND, -ERR_INVALID, -ERR_NO_SPACE…
    int64_t revision; // of the entry, when code is 0
    const char *text; // why not; borrowed until the callback returns
};
typedef void (*proposal_result_fn)(void *context, const struct proposal_result *result);

struct proposer {
    const struct proposer_ops *ops;
    struct store *store;
    proposal_result_fn on_result;
    void *context;
};

struct proposer_ops {
    // Takes a copy. -ERR_LIMIT (size, changes), -ERR_BUSY (queue full), -ERR_NO_SPACE (reserve reached),
    // -ERR_NO_QUORUM (not for others to decide, and this one does not lead); else 0.
    int (*submit)(struct proposer *proposer, const struct transaction *transaction, uint64_t token,
                  struct error *err);
    // Persists, applies, reports. Returns 0, or the negative code of a storage failure after which the
    // process must end.
    int (*turn)(struct proposer *proposer, struct error *err);
    // Leads, and has applied everything that was committed before: what it decides is based on all of it.
    bool (*is_leader)(const struct proposer *proposer);
    bool (*has_work)(const struct proposer *proposer);
    void (*free)(struct proposer *proposer);
};

#endif
