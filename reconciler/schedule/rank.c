// SPDX-License-Identifier: Apache-2.0
//
// reconciler/schedule/rank.c — Swarm's order of nodes, and the heap that keeps it.
#include "reconciler/schedule/rank.h"

#include "base/assert.h"

// Fewer failures than this within FAILURE_WINDOW (schedule.c) are bad luck, as in Swarm.
#define FAILURES_MIN 5

static int64_t rank_failures(const struct room *room) {
    return room->service_failures >= FAILURES_MIN ? room->service_failures : 0;
}

bool rank_is_failing(const struct room *room) {
    return rank_failures(room) > 0;
}

bool rank_is_better(const struct room *a, const struct room *b) {
    if (rank_failures(a) != rank_failures(b)) {
        return rank_failures(a) < rank_failures(b);
    }
    if (a->service_tasks != b->service_tasks) {
        return a->service_tasks < b->service_tasks;
    }
    if (a->active_tasks != b->active_tasks) {
        return a->active_tasks < b->active_tasks;
    }
    return id_compare(&a->node->meta.id, &b->node->meta.id) < 0;
}

static void swap(struct rank *rank, size_t i, size_t j) {
    struct room *kept = rank->items[i];
    rank->items[i] = rank->items[j];
    rank->items[j] = kept;
}

void rank_add(struct rank *rank, struct room *room) {
    size_t i = rank->count++;
    rank->items[i] = room;
    while (i > 0 && rank_is_better(rank->items[i], rank->items[(i - 1) / 2])) {
        swap(rank, i, (i - 1) / 2);
        i = (i - 1) / 2;
    }
}

struct room *rank_best(const struct rank *rank) {
    return rank->count > 0 ? rank->items[0] : NULL;
}

void rank_best_changed(struct rank *rank) {
    for (size_t i = 0;;) {
        size_t best = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < rank->count; child++) {
            best = rank_is_better(rank->items[child], rank->items[best]) ? child : best;
        }
        if (best == i) {
            return;
        }
        swap(rank, i, best);
        i = best;
    }
}

void rank_remove_best(struct rank *rank) {
    ASSERT(rank->count > 0);
    rank->items[0] = rank->items[--rank->count];
    rank_best_changed(rank);
}
