// SPDX-License-Identifier: Apache-2.0
//
// reconciler/plan/global.c — which nodes a global service runs on: each that is ready, active and fits.
//
// The node is the slot. A paused node, or one that managers have lost sight of but not given up, is held:
// nothing is added or updated there, nothing is stopped. Drained and lost nodes are enforce.c's business.
#include "reconciler/plan/pass.h"

static void global_stop(struct draft *draft, struct slot *slot, enum task_state desired,
                        enum task_reason reason, const char *why) {
    for (size_t i = 0; i < slot->tasks.count; i++) {
        draft_stop(draft, slot->tasks.items[i], desired, reason, why);
    }
}

static void global_want_node(struct draft *draft, struct slot *slot, const struct node *node) {
    if (!fit_node(&draft->fit, node)) {
        global_stop(draft, slot, TASK_SHUTDOWN, REASON_CONSTRAINT_BROKEN,
                    "constraints: its node does not meet them");
        return;
    }
    slot->is_wanted =
        node->spec.availability != AVAILABILITY_DRAIN && node->status.state != NODE_DOWN;
    slot->is_held =
        node->spec.availability == AVAILABILITY_PAUSE || node->status.state != NODE_READY;
}

void global_want(struct draft *draft) {
    size_t existing = draft->slots.count;
    size_t at = 0;
    for (size_t i = 0; i < draft->view->nodes.count; i++) { // both are sorted by node id
        const struct node *node = draft->view->nodes.items[i].node;
        for (; at < existing && id_compare(&draft->slots.items[at]->node_id, &node->meta.id) < 0; at++) {
            global_stop(draft, draft->slots.items[at], TASK_REMOVE, REASON_NODE_LOST, "node: it was removed");
        }
        struct slot *slot = NULL;
        if (at < existing && id_equal(&draft->slots.items[at]->node_id, &node->meta.id)) {
            slot = draft->slots.items[at++];
        } else {
            slot = draft_add_slot(draft);
            slot->node_id = node->meta.id;
        }
        global_want_node(draft, slot, node);
    }
    for (; at < existing; at++) {
        global_stop(draft, draft->slots.items[at], TASK_REMOVE, REASON_NODE_LOST, "node: it was removed");
    }
}
