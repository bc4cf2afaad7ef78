// SPDX-License-Identifier: Apache-2.0
//
// reconciler/schedule/rebalance.h — which running tasks should move so that a service is spread again as the
// scheduler would spread it anew: after a node joined or came back.
//
// Off unless asked for, by `muster rebalance` or deploy.rebalance.on_join. Pure.
//
// Model        Two places differ by the level of preferences at which they part: by data centre, say, else by
//              node. A task moves from the one that has the most to the one that has the fewest, if the
//              difference there is two or more: then both are better off, and it is the node that the
//              scheduler chooses once the task stops. The outer levels come first.
// Invariants   (1) A balanced service has no moves; each move brings the difference nearer to it, so moves
//              come to an end. (2) Only a service at rest moves: all tasks run, none is being stopped or
//              updated. So never more are away than the batch has. (3) A move that failed is not repeated.
#ifndef MUSTER_RECONCILER_SCHEDULE_REBALANCE_H
#define MUSTER_RECONCILER_SCHEDULE_REBALANCE_H

#include "reconciler/plan/plan.h"

#define REBALANCE_ASKED_MS_MAX (INT64_C(3600) * 1000) // so long after it was asked for, moves go on
#define REBALANCE_MOVES_MAX 1000                      // of one plan

struct move {
    const struct task *task;
    const struct node *from, *to;
    const char *why; // "n1 has 5 tasks, n4 has 1": at the time of the move
};
struct moves {
    size_t count;
    struct move *items;
};

// All moves that would balance the service, one after the other, whether it was asked for or not. When it is
// not at rest there are none, and *out_obstacle says why; else that is NULL.
void rebalance_plan(const struct view *view, const struct service *service, struct arena *arena,
                    struct moves *out, const char **out_obstacle);
struct rebalance_wake {
    struct id service_id;
    int64_t unix_ms;
};
struct rebalance {
    size_t moving; // tasks in the view's `moving`, with which the pass is to be planned anew
    LIST_OF(struct rebalance_wake) wakes; // when to look again at services
};
// What is to move now, as many at once as update_config.parallelism, or deploy.rebalance.max_moves, says: put
// into view->moving. Comes last in a pass, and sees what its plan holds as done, so that a second pass finds
// nothing more. If there is anything, the pass is planned anew from the same seed, now with moves.
void rebalance_find(struct view *view, const struct plan *plan, struct arena *arena, struct rebalance *out);

#endif
