// SPDX-License-Identifier: Apache-2.0
//
// cli/progress.h — has it converged? A model that is fed with watch events and answers, for each service
// waited for, how far it is and what is in its way.
//
// Pure: events and the time come in, a verdict, notes and a picture go out. cli/wait.h is the rim around it.
//
// Model        A task counts when it runs, is meant to run, has a revision that needs no restart to be the
//              wanted one, and is on no drained node. A service has converged when as many tasks count as it
//              wants, and nothing of older revisions or surplus slots, nor on drained nodes, is left alive
//              where nodes answer. A slot whose task ended
//              well, and whose restart policy leaves it at that, counts as done. One whose task failed, and
//              will not be tried again, stops the service: that can never converge.
// Stability    Where a change replaces running tasks, or a task has failed meanwhile, "all run" is believed
//              only after it held for the service's `update_config.monitor` (5 s), as Docker does. A first
//              start or a change of scale is done when all run; `monitor_ns` overrides both. A rollout watches
//              its tasks itself: while the service's update_status says that it goes on, nothing has converged,
//              and once that says it is done there is nothing left to watch.
// Superseded   A newer change of the same service, by whomever, is followed instead of the one waited for.
#ifndef MUSTER_CLI_PROGRESS_H
#define MUSTER_CLI_PROGRESS_H

#include "specs/node.h"
#include "specs/service.h"
#include "specs/task.h"

struct progress;

struct progress_target {
    struct id service;
    const char *name;
    int64_t revision;  // of the service's spec (apply_result.revision)
    int64_t since;     // revision of the store (applied.revision): tasks made before are no news
    bool is_unchanged; // nothing was changed: what an earlier rollout left behind is told
    bool is_rollback;  // the way back is what is waited for
    bool keeps_tasks;  // no running task is replaced: what runs needs no time to prove itself
    bool wants_run;    // of a cronjob: the run at hand is waited for, not only that it is scheduled
};

enum progress_verdict {
    PROGRESS_GOING,
    PROGRESS_CONVERGED,
    PROGRESS_STOPPED,     // an update paused itself, or a slot has no tries left
    PROGRESS_ROLLED_BACK, // an update was taken back
    PROGRESS_GONE,        // the service was removed meanwhile
};

// monitor_ns: -1 = as "Stability" above. Free it with progress_free.
struct progress *progress_new(int64_t monitor_ns);
void progress_free(struct progress *progress); // accepts NULL
void progress_add(struct progress *progress, const struct progress_target *target);

// One event of a watch stream over services, tasks and nodes that began with a snapshot.
int progress_event(struct progress *progress, const struct event *event, struct error *err);
// The stream says that a fresh snapshot follows: what is known of tasks and nodes is forgotten.
void progress_forget(struct progress *progress);

// The worst of all services; call it when a batch is in, and again at *wake_mono_ms (0 = only at the next
// event).
enum progress_verdict progress_look(struct progress *progress, int64_t now_mono_ms, int64_t *wake_mono_ms);

// What happened since the last call, a line each, oldest first. `only_failures`: without the counting, for
// those who see the block.
void progress_notes(struct progress *progress, bool only_failures, struct buf *out);

// The picture as lines for a terminal of this size; at most half its height. `color` tints bars and errors.
void progress_block(const struct progress *progress, int columns, int lines, bool color, int64_t now_mono_ms,
                    struct buf *out);
// One line for each service: "web: 3 of 3 running"; what is in the way goes with it.
void progress_summary(const struct progress *progress, struct buf *out);
// The services that have not converged and why, in one line, for an error.
void progress_reasons(const struct progress *progress, struct buf *out);

#endif
