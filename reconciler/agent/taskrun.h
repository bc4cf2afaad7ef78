// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/taskrun.h — one task on its node: (state, event, time) -> (state, effects), pure.
//
// The agent feeds it what is wanted of the task (assigned, released) and what is seen of it (events of the
// executor, its list), and carries out the effects. Everything that could start a task twice or take a state
// back is decided here, where it can be tested without a process.
#ifndef MUSTER_RECONCILER_AGENT_TASKRUN_H
#define MUSTER_RECONCILER_AGENT_TASKRUN_H

#include "base/sm.h"
#include "reconciler/agent/executor.h"

// The observed states of specs/task.h from ASSIGNED on, in the same order.
enum taskrun_state {
    TASKRUN_ASSIGNED,
    TASKRUN_ACCEPTED,
    TASKRUN_PREPARING,
    TASKRUN_READY,
    TASKRUN_STARTING,
    TASKRUN_RUNNING,
    TASKRUN_COMPLETE,
    TASKRUN_SHUTDOWN,
    TASKRUN_FAILED,
    TASKRUN_REJECTED,
    TASKRUN_STATE_COUNT
};
extern const struct sm_table taskrun_table;

struct taskrun_wish {
    int64_t desired;  // enum task_state
    int signal;       // to stop it with; 0 = the image's
    int64_t grace_ms; // after it
    int64_t drain_ms; // before it, from the order on, if it was running
};

// A value: copy it freely.
struct taskrun {
    struct sm machine;
    struct task_status status; // what is reported; its texts live in the arena of a step, or for ever
    struct taskrun_wish wish;
    bool is_released; // not assigned any more: stop it, remove it, forget it
    bool is_kept;     // the assignment is on disk
    bool is_held;     // the executor may have something of it
    bool is_prepare_asked, is_start_asked, is_stop_asked, is_remove_asked; // since the daemon started
    // It serves on until then, though it is to stop; 0 = no such time. TASKRUN_ON_TIME is to follow.
    int64_t drain_until_unix_ms;
};

enum taskrun_event_kind {
    TASKRUN_ON_WISH,     // first assignment, or a change of what is wanted
    TASKRUN_ON_RELEASE,  // it is not assigned any more
    TASKRUN_ON_KEPT,     // EFFECT_KEEP was done
    TASKRUN_ON_NOT_KEPT, // or failed; `text` says why
    TASKRUN_ON_LIST,     // the executor's list was read
    TASKRUN_ON_EXECUTOR, // an event of the executor
    TASKRUN_ON_TIME,     // some time has passed
    TASKRUN_ON_DAMAGE,   // its kept assignment cannot be read; `text` says why
};
struct taskrun_event {
    enum taskrun_event_kind kind;
    struct taskrun_wish wish;        // ON_WISH
    bool is_present;                 // ON_LIST: the executor knows it…
    enum executor_presence presence; // … as this
    const struct executor_event *executor;
    const char *text;
};

// To be carried out in this order.
enum taskrun_effect {
    EFFECT_KEEP = 1 << 0, // on disk: assignment and status. Before the effects behind it
    EFFECT_PREPARE = 1 << 1,
    EFFECT_START = 1 << 2,
    EFFECT_STOP = 1 << 3, // with signal and grace_ms
    EFFECT_REMOVE = 1 << 4,
    EFFECT_REPORT = 1 << 5, // the status changed
    EFFECT_FORGET = 1 << 6, // nothing is left and nobody asks: drop the task and what is kept of it
};
struct taskrun_effects {
    unsigned mask;
    int signal;
    int64_t grace_ms;
};

// A task that is new to this node. `known` is what the manager knows of it: one that ended stays ended, and
// one that was started, of which nothing is known here, has been lost; neither is started again.
struct taskrun taskrun_new(const struct task_status *known);
// A task whose assignment was kept, with the status kept beside it. TASKRUN_ON_LIST is to follow.
struct taskrun taskrun_recovered(const struct task_status *kept, const struct taskrun_wish *wish);

// One step. Texts of the status after it that are new are in the arena.
void taskrun_step(const struct taskrun *before, const struct taskrun_event *event, int64_t now_unix_ms,
                  struct arena *arena, struct taskrun *after, struct taskrun_effects *effects);

// Whether it ended without anybody knowing how, for the machine went down, and is wanted to run.
bool taskrun_is_lost(const struct taskrun *run);
// One that is lost, of which nothing is left on the machine, from its beginning: for when nobody can be asked
// for another one in its place, and nobody was told that it ended.
struct taskrun taskrun_again(const struct taskrun *lost);

static inline bool taskrun_is_over(const struct taskrun *run) {
    return run->machine.state >= TASKRUN_COMPLETE;
}

#endif
