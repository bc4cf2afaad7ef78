// SPDX-License-Identifier: Apache-2.0
//
// reconciler/schedule/spread.h — spread preferences: nodes grouped by labels into a tree, and the next task
// goes to the branch that has the fewest.
//
// Model        One level of branches for each preference, in the order given: by data centre, within it by
//              rack. Nodes without the label are a branch of their own. A branch's tasks are those of the
//              service on all its nodes, also on nodes that can take no more. The leaves hold the ranks
//              (rank.h) of the nodes that can. Without preferences the tree is one leaf.
// Cost         Grouping n nodes costs n log n; placing a task the logarithm of the branches at each level,
//              and of the nodes of a leaf: branches stand in heaps, and only those on the way to the node
//              that got the task change.
// Source       swarmkit's decision tree, which yields the same counts.
#ifndef MUSTER_RECONCILER_SCHEDULE_SPREAD_H
#define MUSTER_RECONCILER_SCHEDULE_SPREAD_H

#include "reconciler/schedule/rank.h"

struct branch;
struct leaf_room;

struct spread { // private
    struct arena *arena;
    struct room *rooms;
    size_t count;
    struct room **places;     // for the ranks of all leaves: one for each room
    struct leaf_room *sorted; // made when first needed
    struct branch *root;
};

void spread_open(struct spread *spread, struct room *rooms, size_t count, struct arena *arena);
// Groups the rooms anew, whose service_tasks are up to date; only those that pass the filters can be found.
void spread_group(struct spread *spread, const struct demand *demand);
struct room *spread_best(const struct spread *spread); // NULL = no node can take another task
// After a task was placed on the best: whether it can take one more.
void spread_best_changed(struct spread *spread, bool still_passes);

#endif
