// SPDX-License-Identifier: Apache-2.0
//
// reconciler/schedule/forecast.h — what would come of a view: the real planners and the real scheduler, pass
// after pass, with agents on paper that do what they are told at once.
//
// For `plan`: what would be made, replaced and stopped, and where tasks would land. Agents on paper never
// fail; so what is foretold is what happens when all goes well. Pure.
#ifndef MUSTER_RECONCILER_SCHEDULE_FORECAST_H
#define MUSTER_RECONCILER_SCHEDULE_FORECAST_H

#include "reconciler/plan/plan.h"

struct forecast_place {
    const struct node *node;
    int64_t before, after;
};
struct forecast {
    const struct service *service;
    // Tasks that were to run at the start, or are at the end.
    int64_t kept;       // the same task
    int64_t replaced;   // another task in its slot; if it could not be followed to its end, also what is due
    int64_t moved;      // of those replaced: on another node
    int64_t created;    // in a slot that had none
    int64_t stopped;    // and nothing in its slot
    int64_t waiting;    // of those replaced or created: without a node
    const char *reason; // of one that waits; "" = none does
    bool is_cut;        // an update that is so long that its end was not followed
    LIST_OF(struct forecast_place) places; // nodes with tasks before or after
};
struct forecasts {
    size_t count;
    struct forecast *items;
};

// For the services of the view whose ids are given, in the view's order. The view holds them as they would
// be, with the tasks as they are.
void forecast_services(const struct view *view, const struct id *ids, size_t count, struct prng *prng,
                       struct arena *arena, struct forecasts *out);

#endif
