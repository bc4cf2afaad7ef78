// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/proposer.h — the one door for writes: propose a transaction, learn later whether and
// where it was applied.
//
// Everything in front of this seam (control requests, planners, agents' status) is the same whether one
// voter or seven agree behind it. Today the log has a single voter (solo.c): what is submitted during a
// turn becomes one synced LMDB transaction in proposer_turn - group commit - and only then are the results
// reported.
//
// Contract     submit queues and never blocks; turn persists, applies and then calls on_result once for
//              each submitted proposal, in order, from the loop thread; a result with code 0 is durable. An
//              unknown outcome (leader lost) is -ERR_TIMEOUT with text "outcome unknown"; retry with the
//              same request_id. Results may submit again.
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
    // -ERR_NO_QUORUM (no leader); else 0.
    int (*submit)(struct proposer *proposer, const struct transaction *transaction, uint64_t token,
                  struct error *err);
    // Persists, applies, reports. Returns 0, or the negative code of a storage failure after which the
    // process must end.
    int (*turn)(struct proposer *proposer, struct error *err);
    bool (*is_leader)(const struct proposer *proposer);
    bool (*has_work)(const struct proposer *proposer);
    void (*free)(struct proposer *proposer);
};

// The single voter: always leader.
struct proposer *proposer_solo_new(struct store *store, proposal_result_fn on_result, void *context);

#endif
