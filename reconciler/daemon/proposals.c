// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/proposals.c — a list of open proposals in the order they were made, which is nearly
// that of their results.
#include "reconciler/daemon/proposals.h"

#include "base/mem.h"

struct proposal {
    struct list_node node;
    uint64_t token;
    proposal_fn on_result;
    void *context;
};

static void proposals_on_result(void *context, const struct proposal_result *result) {
    struct proposals *proposals = context;
    LIST_EACH(node, &proposals->open) {
        struct proposal *proposal = LIST_ENTRY(node, struct proposal, node);
        if (proposal->token == result->token) {
            list_remove(&proposal->node);
            proposal->on_result(proposal->context, result);
            xfree(proposal);
            return;
        }
    }
    UNREACHABLE("a result without its proposal");
}

void proposals_init(struct proposals *proposals, struct proposer *proposer) {
    list_init(&proposals->open);
    proposals->proposer = proposer;
    proposer->on_result = proposals_on_result;
    proposer->context = proposals;
}

void proposals_deinit(struct proposals *proposals) {
    if (proposals->proposer == NULL) {
        return;
    }
    proposals->proposer->ops->free(proposals->proposer);
    proposals->proposer = NULL;
    LIST_EACH(node, &proposals->open) {
        list_remove(node);
        xfree(LIST_ENTRY(node, struct proposal, node));
    }
}

static void note(struct proposals *proposals, uint64_t token, proposal_fn on_result, void *context) {
    struct proposal *proposal = NEW(struct proposal);
    *proposal = (struct proposal){.token = token, .on_result = on_result, .context = context};
    proposals->last_token = token;
    list_append(&proposals->open, &proposal->node);
}

int proposals_change(struct proposals *proposals, struct replica *replica, enum replica_change change,
                     const struct member *member, proposal_fn on_result, void *context, struct error *err) {
    uint64_t token = proposals->last_token + 1;
    int rc = replica_change(replica, change, member, token, err);
    if (rc == 0) {
        note(proposals, token, on_result, context);
    }
    return rc;
}

int proposals_submit(struct proposals *proposals, const struct transaction *transaction,
                     proposal_fn on_result, void *context, struct error *err) {
    uint64_t token = proposals->last_token + 1;
    int rc = proposals->proposer->ops->submit(proposals->proposer, transaction, token, err);
    if (rc == 0) {
        note(proposals, token, on_result, context);
    }
    return rc;
}
