// SPDX-License-Identifier: Apache-2.0
//
// reconciler/plan/move.c — tasks that leave a full node for one with fewer: as an update replaces them, by
// the order that the service asks for.
//
// Which they are was found before (view->moving), and that the service is at rest. The task in its place is
// marked, so that the next pass knows the old one of a start-first move from one that is simply too many,
// and so that moves that fail are not repeated.
#include "reconciler/plan/pass.h"

bool move_is_successor(const struct task *task, const struct task *before) {
    return task->moved && !id_equal(&task->meta.id, &before->meta.id);
}

void move_next(struct draft *draft) {
    for (size_t i = 0; i < draft->slots.count && draft->view->moving.count > 0; i++) {
        struct slot *slot = draft->slots.items[i];
        struct draft_task *live = slot->is_wanted && !slot->is_held ? slot_live(slot) : NULL;
        if (live == NULL || live->task->status.state != TASK_RUNNING ||
            !view_is_moving(draft->view, &live->task->meta.id)) {
            continue;
        }
        if (draft->starts_first) {
            slot->leaving = live;
        } else {
            draft_stop(draft, live, TASK_SHUTDOWN, REASON_REBALANCED,
                       "rebalance: another node has fewer tasks");
        }
    }
}

const struct task *move_of_slot(const struct draft *draft, const struct slot *slot) {
    for (size_t i = 0; i < slot->tasks.count && draft->view->moving.count > 0; i++) {
        if (view_is_moving(draft->view, &slot->tasks.items[i]->task->meta.id)) {
            return slot->tasks.items[i]->task;
        }
    }
    return NULL;
}
