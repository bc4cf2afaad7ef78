// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/health.c — when a task is checked, and what the results make of it.
//
// Source       Docker's daemon/health.go, with early looks at the start.
#include "reconciler/agent/health.h"

#include "base/assert.h"

#define EARLY_MS 500

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

// From when on failures count, unless it has been well before.
static int64_t counts_from_ms(const struct health *health) {
    const struct health_times *times = &health->times;
    return health->began_ms + (times->start_period_ms > 0 ? times->start_period_ms : times->interval_ms);
}

struct health health_begin(const struct health_times *times, int64_t now_ms) {
    ASSERT(times->interval_ms > 0 && times->start_interval_ms > 0 && times->retries > 0);
    struct health health = {
        .times = *times, .state = HEALTH_STARTING, .began_ms = now_ms, .early_ms = EARLY_MS};
    health.due_ms = now_ms + least(EARLY_MS, least(times->interval_ms, times->start_interval_ms));
    return health;
}

static void fail_early(struct health *health, int64_t now_ms) {
    int64_t wait_ms = least(health->early_ms, health->times.start_interval_ms);
    health->early_ms = least(health->early_ms * 2, health->times.start_interval_ms);
    int64_t due_ms = least(now_ms + wait_ms, counts_from_ms(health));
    health->due_ms = due_ms > now_ms ? due_ms : now_ms;
}

bool health_result_take(struct health *health, bool is_well, int64_t asked_ms, int64_t now_ms) {
    enum health_state before = health->state;
    if (before == HEALTH_UNHEALTHY) {
        return false;
    }
    health->due_ms = now_ms + health->times.interval_ms;
    if (is_well) {
        health->failures = 0;
        health->state = HEALTH_HEALTHY;
    } else if (before == HEALTH_STARTING && asked_ms < counts_from_ms(health)) {
        fail_early(health, now_ms);
    } else if (++health->failures >= health->times.retries) {
        health->state = HEALTH_UNHEALTHY;
    }
    return health->state != before;
}
