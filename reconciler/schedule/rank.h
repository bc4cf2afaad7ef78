// SPDX-License-Identifier: Apache-2.0
//
// reconciler/schedule/rank.h — which of the nodes that can take a task is to have it: a heap, best on top.
//
// Placing a task costs the logarithm of the number of nodes, whatever their number: 100,000 tasks on 1,000
// nodes is the yardstick (test/bench/bench_schedule.c).
#ifndef MUSTER_RECONCILER_SCHEDULE_RANK_H
#define MUSTER_RECONCILER_SCHEDULE_RANK_H

#include "reconciler/schedule/filter.h"

struct rank {
    struct room **items; // private; room for all nodes
    size_t count;
};

// Has the revision failed there so often of late that it goes last?
bool rank_is_failing(const struct room *room);
// Is `a` the better place? Nodes with many failures of late last, the fewer the better; then fewer tasks of
// the service; then fewer tasks in all; then the smaller id.
bool rank_is_better(const struct room *a, const struct room *b);
void rank_add(struct rank *rank, struct room *room);
struct room *rank_best(const struct rank *rank); // NULL when empty
void rank_best_changed(struct rank *rank);       // after the counts of the best have grown
void rank_remove_best(struct rank *rank);

#endif
