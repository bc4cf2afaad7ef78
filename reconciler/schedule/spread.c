// SPDX-License-Identifier: Apache-2.0
//
// reconciler/schedule/spread.c — the tree of branches, and the way down to the best node.
#include "reconciler/schedule/spread.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

struct branch {
    int64_t tasks;         // of the service on all its nodes
    size_t count;          // branches below it that can take a task,
    struct branch **items; // the best first: a heap
    struct rank rank;      // of a leaf
};

// A room, and where it is in the tree.
struct leaf_room {
    struct room *room;
    const char *values[PREFERENCES_MAX];
};

// --- order ---

static int compare_leaf_rooms(const void *a, const void *b) {
    const struct leaf_room *x = a;
    const struct leaf_room *y = b;
    for (size_t i = 0; i < PREFERENCES_MAX && x->values[i] != NULL; i++) {
        int order = strcmp(x->values[i], y->values[i]);
        if (order != 0) {
            return order;
        }
    }
    return id_compare(&x->room->node->meta.id, &y->room->node->meta.id);
}

static struct room *best_of(const struct branch *branch) {
    while (branch->count > 0) {
        branch = branch->items[0];
    }
    return rank_best(&branch->rank);
}

static bool is_better(const struct branch *a, const struct branch *b) {
    return a->tasks != b->tasks ? a->tasks < b->tasks : rank_is_better(best_of(a), best_of(b));
}

// Puts the branch at `i` in its place among those below it.
static void sift_down(struct branch *parent, size_t i) {
    for (;;) {
        size_t best = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < parent->count; child++) {
            best = is_better(parent->items[child], parent->items[best]) ? child : best;
        }
        if (best == i) {
            return;
        }
        struct branch *kept = parent->items[i];
        parent->items[i] = parent->items[best];
        parent->items[best] = kept;
        i = best;
    }
}

// --- making ---

struct making {
    struct spread *spread;
    const struct demand *demand;
    size_t levels;
};

static void make_leaf(const struct making *making, struct branch *branch, size_t start, size_t end) {
    struct spread *spread = making->spread;
    branch->rank.items = spread->places + start;
    for (size_t i = start; i < end; i++) {
        struct room *room = making->levels > 0 ? spread->sorted[i].room : &spread->rooms[i];
        branch->tasks += room->service_tasks;
        if (filter_passes(making->demand, room)) {
            rank_add(&branch->rank, room);
        }
    }
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as there are preferences
static struct branch *make_branch(const struct making *making, size_t start, size_t end, size_t level) {
    struct arena *arena = making->spread->arena;
    struct branch *branch = ARENA_NEW(arena, struct branch);
    if (level == making->levels) {
        make_leaf(making, branch, start, end);
        return branch;
    }
    while (start < end) {
        const struct leaf_room *sorted = making->spread->sorted;
        size_t next = start + 1;
        while (next < end && strcmp(sorted[next].values[level], sorted[start].values[level]) == 0) {
            next++;
        }
        struct branch *below = make_branch(making, start, next, level + 1);
        branch->tasks += below->tasks;
        if (best_of(below) != NULL) {
            *ARENA_PUSH(arena, branch) = below;
        }
        start = next;
    }
    for (size_t i = branch->count / 2; i-- > 0;) {
        sift_down(branch, i);
    }
    return branch;
}

void spread_open(struct spread *spread, struct room *rooms, size_t count, struct arena *arena) {
    *spread = (struct spread){
        .arena = arena, .rooms = rooms, .count = count, .places = ARENA_ARRAY(arena, struct room *, count)};
}

static void sort(struct spread *spread, const struct placement *placement, size_t levels) {
    if (spread->sorted == NULL) {
        spread->sorted = ARENA_ARRAY(spread->arena, struct leaf_room, spread->count);
    }
    for (size_t i = 0; i < spread->count; i++) {
        struct leaf_room *at = &spread->sorted[i];
        *at = (struct leaf_room){.room = &spread->rooms[i]};
        for (size_t level = 0; level < levels; level++) {
            at->values[level] = constraint_value(placement->preferences.items[level].spread, at->room->node);
        }
    }
    if (spread->count > 1) {
        qsort(spread->sorted, spread->count, sizeof *spread->sorted, compare_leaf_rooms);
    }
}

void spread_group(struct spread *spread, const struct demand *demand) {
    const struct placement *placement = &demand->spec->deploy.placement;
    size_t levels = placement->preferences.count;
    levels = levels < PREFERENCES_MAX ? levels : PREFERENCES_MAX;
    if (levels > 0) {
        sort(spread, placement, levels);
    }
    const struct making making = {spread, demand, levels};
    spread->root = make_branch(&making, 0, spread->count, 0);
}

// --- using ---

struct room *spread_best(const struct spread *spread) {
    return best_of(spread->root);
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as there are preferences
static void best_changed(struct branch *branch, bool still_passes) {
    branch->tasks++;
    if (branch->count == 0 && still_passes) {
        rank_best_changed(&branch->rank);
    } else if (branch->count == 0) {
        rank_remove_best(&branch->rank);
    } else {
        best_changed(branch->items[0], still_passes);
        if (best_of(branch->items[0]) == NULL) {
            branch->items[0] = branch->items[--branch->count];
        }
        sift_down(branch, 0);
    }
}

void spread_best_changed(struct spread *spread, bool still_passes) {
    best_changed(spread->root, still_passes);
}
