// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/picture.h — views for planners and explanations, taken from one read of the store.
//
// Model        picture_begin takes the cluster and all nodes, picture_add the services asked for, each with
//              its tasks and kept revisions. What the nodes carry for services that are not in the view comes
//              from `loads`, the sums over all tasks, which whoever follows the history keeps.
// Ownership    Everything is in the arena.
#ifndef MUSTER_RECONCILER_DAEMON_PICTURE_H
#define MUSTER_RECONCILER_DAEMON_PICTURE_H

#include "base/map.h"
#include "reconciler/plan/view.h"
#include "reconciler/store/store.h"

// So many of something that tasks hold, as reconciler/plan/claims.h words it.
struct load_claim {
    int64_t count;
    char key[];
};
// What all tasks on one node that are assigned and not over hold.
struct load {
    struct id node_id;
    int64_t cpus_nano, memory_bytes;
    int64_t active_tasks;
    struct map claims; // struct load_claim, by key
};
// Zero-initialised is empty.
struct loads {
    struct map by_node; // of struct load
};
void loads_free(struct loads *loads);
void loads_add(struct loads *loads, const struct task *task, int sign);          // sign: 1 or -1
int loads_read(struct loads *loads, struct store_read *read, struct error *err); // over all tasks

int picture_begin(struct view *view, struct store_read *read, int64_t now_unix_ms, struct arena *arena,
                  struct error *err);
// STORE_ABSENT when there is no such service.
int picture_add(struct view *view, struct store_read *read, const struct id *service_id, struct arena *arena,
                struct error *err);
void picture_seal(struct view *view, const struct loads *loads, struct arena *arena);

#endif
