// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/health.h — when a task is checked, and what the results make of it: (state, result, time)
// -> state, pure.
//
//     starting ──well──> healthy ──retries failures in a row──> unhealthy
//        └────────────────retries failures that count───────────────┘
//
// Unhealthy is the end: the task is stopped. Failures count as Docker counts them: not within start_period,
// or, without one, not before the first check that Docker would have made, one interval after the start.
// Until then we look early and ever more rarely (0.5 s, 1 s, 2 s… up to start_interval), since the first
// success lets the task run: nobody waits 30 s for what is well after one.
#ifndef MUSTER_RECONCILER_AGENT_HEALTH_H
#define MUSTER_RECONCILER_AGENT_HEALTH_H

#include "specs/task.h"

struct health_times {
    int64_t interval_ms, start_period_ms, start_interval_ms; // above 0, but for the period
    int64_t retries;
};

// A value: copy it freely.
struct health {
    struct health_times times;
    enum health_state state;
    int64_t failures; // in a row, of those that count
    int64_t began_ms;
    int64_t early_ms; // wait after the next failure that does not count
    int64_t due_ms;   // of the next check; no check follows UNHEALTHY
};

struct health health_begin(const struct health_times *times, int64_t now_ms);
// A check that began at `asked_ms` has a result. True when the state changed.
bool health_result_take(struct health *health, bool is_well, int64_t asked_ms, int64_t now_ms);

#endif
