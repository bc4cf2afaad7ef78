// SPDX-License-Identifier: Apache-2.0
//
// cli/progress_model.h — what progress.c knows, for progress_view.c to show. Private to these two.
#ifndef MUSTER_CLI_PROGRESS_MODEL_H
#define MUSTER_CLI_PROGRESS_MODEL_H

#include "base/map.h"
#include "cli/progress.h"

#define PROGRESS_TEXT_BYTES 240

struct progress_task {
    struct id id, node_id;
    int64_t slot, revision, iteration, state, desired, attempt, created;
    bool was_told_to_stop; // by the managers, not because it ended
    bool is_snapshot;               // was there before the watching began
    bool is_told;                   // its end is no news any more
    char text[PROGRESS_TEXT_BYTES]; // why it failed or waits
};

struct progress_node {
    struct arena arena;
    struct node node;
};

struct progress_service {
    struct progress_target target; // `name` is owned
    struct arena arena;
    struct service service; // meta.id is none until it was seen
    bool is_gone, is_replacing, has_failed;
    enum update_state first_state; // of a rollout before this one
    int64_t first_started_unix_ms;
    struct map tasks; // struct progress_task by id
    // Counted by progress_look.
    int64_t running, finished, surplus, wanted;
    int64_t live; // of a job: slots that are being worked at
    int64_t stable_since_mono_ms; // 0 = not stable
    enum progress_verdict verdict;
    int64_t told_running, told_finished, told_wanted;
    char told_wait[PROGRESS_TEXT_BYTES], told_rollout[PROGRESS_TEXT_BYTES];
    bool is_told;
};

struct progress {
    int64_t monitor_ns;
    size_t count;
    struct progress_service **services;
    struct map by_id; // of services
    struct map nodes;
    struct buf failures, notes; // lines not yet taken
};

// The task that speaks for each slot, in order of slots (nodes for a global service).
struct progress_slots {
    size_t count;
    const struct progress_task **items;
};
struct progress_slots progress_slots_of(const struct progress *progress,
                                        const struct progress_service *service, struct arena *arena);
bool progress_is_job(const struct progress_service *service);
bool progress_is_scheduled(const struct progress_service *service);
// Of a spec, or a run of a job, before the one that is wanted.
bool progress_task_is_old(const struct progress_service *service, const struct progress_task *task);
bool progress_task_counts(const struct progress *progress, const struct progress_service *service,
                          const struct progress_task *task);
int64_t progress_monitor_ms(const struct progress *progress, const struct progress_service *service);
// "web.3", or "web on w1" for a global service.
void progress_task_name(const struct progress *progress, const struct progress_service *service,
                        const struct progress_task *task, struct buf *out);
// Why the rollout stands still for the time being; NULL = it does not.
const char *progress_rollout_waits(const struct progress_service *service);
// The first task that fails or cannot be placed, NULL when there is none.
const struct progress_task *progress_culprit(const struct progress_service *service);

#endif
