// SPDX-License-Identifier: Apache-2.0
//
// reconciler/plan/replicated.c — which slots a replicated service has: as many as it has replicas.
//
// Up: the lowest free numbers. Down: what does not run goes first, then slots on the nodes that have the most
// tasks of the service, then the highest numbers. So after scaling down the numbers may have gaps, which the
// next scaling up fills. A slot whose task ended and is not to be restarted still counts.
// Source: swarmkit's replicated orchestrator.
#include "reconciler/plan/pass.h"

#include <stdlib.h>

// A slot in the order of staying.
struct candidate {
    struct slot *slot;
    bool is_running;
    struct id node_id;
    int64_t rank_on_node; // 1 = would be the last to leave its node
};

static int compare_by_node(const void *a, const void *b) {
    const struct candidate *x = a;
    const struct candidate *y = b;
    int order = (int)y->is_running - (int)x->is_running;
    order = order != 0 ? order : id_compare(&x->node_id, &y->node_id);
    return order != 0 ? order : (x->slot->number > y->slot->number) - (x->slot->number < y->slot->number);
}

static int compare_by_rank(const void *a, const void *b) {
    const struct candidate *x = a;
    const struct candidate *y = b;
    int order = (int)y->is_running - (int)x->is_running;
    order = order != 0 ? order : (x->rank_on_node > y->rank_on_node) - (x->rank_on_node < y->rank_on_node);
    return order != 0 ? order : (x->slot->number > y->slot->number) - (x->slot->number < y->slot->number);
}

// Removing from the fullest node again and again is the same as keeping each node's first, then each
// node's second…
static void replicated_shrink(struct draft *draft, struct candidate *candidates, size_t count, size_t keep) {
    qsort(candidates, count, sizeof *candidates, compare_by_node);
    for (size_t i = 0; i < count; i++) {
        bool is_same = i > 0 && candidates[i].is_running == candidates[i - 1].is_running &&
                       id_equal(&candidates[i].node_id, &candidates[i - 1].node_id);
        candidates[i].rank_on_node = is_same ? candidates[i - 1].rank_on_node + 1 : 1;
    }
    qsort(candidates, count, sizeof *candidates, compare_by_rank);
    const char *why = arena_printf(draft->arena, "replicas: scaled down to %zu", keep);
    for (size_t i = 0; i < count; i++) {
        struct slot *slot = candidates[i].slot;
        slot->is_wanted = i < keep;
        for (size_t j = 0; j < slot->tasks.count && !slot->is_wanted; j++) {
            draft_stop(draft, slot->tasks.items[j], TASK_REMOVE, REASON_SCALED_DOWN, why);
        }
    }
}

// Wants `missing` more slots: the lowest numbers that no wanted slot has. Slots are sorted by number.
static void replicated_grow(struct draft *draft, size_t missing) {
    size_t existing = draft->slots.count;
    size_t i = 0;
    for (int64_t number = 1; missing > 0; number++) {
        while (i < existing && draft->slots.items[i]->number < number) {
            i++;
        }
        struct slot *slot = NULL;
        if (i < existing && draft->slots.items[i]->number == number) {
            slot = draft->slots.items[i];
            if (slot->is_wanted) {
                continue;
            }
        } else {
            slot = draft_add_slot(draft);
            slot->number = number;
        }
        slot->is_wanted = true;
        missing--;
    }
}

void replicated_want(struct draft *draft) {
    struct candidate *candidates = ARENA_ARRAY(draft->arena, struct candidate, draft->slots.count);
    size_t count = 0;
    for (size_t i = 0; i < draft->slots.count; i++) {
        struct slot *slot = draft->slots.items[i];
        slot->is_wanted = slot->number >= 1 && !slot_is_vacant(slot);
        for (size_t j = 0; j < slot->tasks.count && !slot->is_wanted; j++) {
            draft_stop(draft, slot->tasks.items[j], TASK_REMOVE, REASON_SCALED_DOWN, "replicas: scaled down");
        }
        if (slot->is_wanted) {
            const struct draft_task *live = slot_live(slot);
            candidates[count++] = (struct candidate){
                .slot = slot,
                .is_running = live != NULL && live->task->status.state == TASK_RUNNING,
                .node_id = live != NULL ? live->task->node_id : (struct id){{0}},
            };
        }
    }
    size_t replicas = (size_t)draft->service->spec.deploy.replicas;
    if (count > replicas) {
        replicated_shrink(draft, candidates, count, replicas);
    } else {
        replicated_grow(draft, replicas - count);
    }
}
