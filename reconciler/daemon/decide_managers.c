// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/decide_managers.c — whether the managers can spare some of them, and their good-byes.
//
// Refused here, people are told at once, by what the records say: a moment old. The leader holds the change
// of the group itself against what it knows then (reconciler/store/replica_members.c).
#include "reconciler/daemon/decide.h"
#include "specs/node.h"

static bool is_spared(const struct decision *decision, const struct id *node_id) {
    for (size_t i = 0; i < decision->spared.count; i++) {
        if (id_equal(&decision->spared.items[i], node_id)) {
            return true;
        }
    }
    return false;
}

struct managers_left {
    unsigned count, answering;
};

struct counting {
    const struct decision *decision;
    struct managers_left left;
};

static int count_left(void *context, void *object, struct arena *arena, struct error *err) {
    struct counting *counting = context;
    const struct node *node = object;
    (void)arena;
    (void)err;
    bool is_one = node->spec.role == ROLE_MANAGER && !node->status.left &&
                  !is_spared(counting->decision, &node->meta.id);
    counting->left.count += is_one;
    counting->left.answering += is_one && node->manager != NULL && node->manager->reachable;
    return 0;
}

int decide_spare_manager(struct decision *decision, struct store_read *read, const struct id *node_id,
                         struct arena *arena, struct error *err) {
    struct counting counting = {.decision = decision};
    const struct managers_left *left = &counting.left;
    *ARENA_PUSH(arena, &decision->spared) = *node_id;
    int rc = store_each_object(read, STORE_ALL, KIND_NODE, NULL, arena, count_left, &counting, err);
    if (rc < 0) {
        return rc;
    }
    if (left->count == 0) {
        return error_set(err, ERR_GUARD,
                         "it is the last manager of the swarm: make another node one first "
                         "(muster node promote, muster swarm join)");
    }
    if (left->answering <= left->count / 2) {
        return error_set(err, ERR_GUARD,
                         "of the %u managers left %u would answer, which is no quorum: start the others "
                         "again, or first remove those that are gone for good (muster node rm)",
                         left->count, left->answering);
    }
    return 0;
}

void decide_good_bye(struct decision *decision, struct node *node, const char *message, int64_t now_unix_ms,
                     struct arena *arena) {
    node->spec.role = ROLE_WORKER;
    node->manager = NULL;
    node->status.state = NODE_DOWN;
    node->status.since_unix_ms = now_unix_ms;
    node->status.message = message;
    node->status.left = true;
    transaction_add(&decision->transaction, CHANGE_UPDATE, KIND_NODE, node, arena);
}
