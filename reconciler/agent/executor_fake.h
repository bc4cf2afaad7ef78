// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/executor_fake.h — an executor whose tasks exist on virtual time only: 100,000 of them in
// one process, with faults by script.
//
// Model        A `fake_machine` is what survives the daemon: the tasks and their processes. An executor is
//              one life of the daemon on it; freeing the executor is its death. Time passes in
//              fake_machine_advance only, and events come out of there only. Everything follows from the
//              seed.
// Limits       At most 300 bytes a task.
#ifndef MUSTER_RECONCILER_AGENT_EXECUTOR_FAKE_H
#define MUSTER_RECONCILER_AGENT_EXECUTOR_FAKE_H

#include "base/prng.h"
#include "reconciler/agent/executor.h"

// How the tasks of an image behave. Times vary by up to a quarter of themselves.
struct fake_profile {
    const char *image;
    int64_t prepare_ms, start_ms, remove_ms;
    int64_t run_ms;          // until it ends by itself; 0 = never
    int64_t exit_code;       // with which it does
    int64_t crash_permille;  // of those that end: by SIGSEGV
    int64_t reject_permille; // of those prepared: refused
    int64_t stop_ms;         // from the signal to its end, with exit_code; -1 = deaf, ends by SIGKILL
    // Of tasks whose service has a health check: from the start to the first result that tells; -1 = never by
    // itself.
    int64_t health_ms;
    int64_t sick_permille; // of them: unhealthy by then, instead of healthy
};

struct fake_options {
    uint64_t seed;
    int64_t now_unix_ms;
    size_t profile_count;
    const struct fake_profile *profiles; // borrowed; the first whose image is the task's, or the last
    // Of all events, in a thousandth each.
    int64_t lose_permille, duplicate_permille;
};
struct fake_machine;
struct fake_machine *fake_machine_new(const struct fake_options *options);
void fake_machine_free(struct fake_machine *machine); // after its executor

// At most one at a time. Preparations that were under way end with it, and so do waits for a grace; running
// tasks run on.
struct executor *executor_fake_new(struct fake_machine *machine, executor_event_fn on_event, void *context);

int64_t fake_machine_now_ms(const struct fake_machine *machine);
int64_t fake_machine_next_ms(const struct fake_machine *machine); // when something happens; INT64_MAX = never
// Lets time pass up to then, in order; without an executor, tasks run on and end unseen. Calls of the
// executor from within its events are allowed.
void fake_machine_advance(struct fake_machine *machine, int64_t to_unix_ms);
// What the time is, before a call of the executor that comes long after the last event. It goes no further
// than to where something is due, so that no event comes out of it.
void fake_machine_set_now(struct fake_machine *machine, int64_t now_unix_ms);
// All runs: the machine lost its power. What ran is LOST.
void fake_machine_reboot(struct fake_machine *machine);
void fake_machine_set_faults(struct fake_machine *machine, int64_t lose_permille, int64_t duplicate_permille);

enum fake_fault_kind {
    FAULT_FAIL_PREPARE,    // at phase: 0 pull, 1 unpack, 2 create
    FAULT_RETRY_PREPARE,   // registry not reachable
    FAULT_FAIL_START,      //
    FAULT_LOSE_EVENT,      // of the kind in `event`
    FAULT_DUPLICATE_EVENT, // of the kind in `event`
    FAULT_HANG_STOP,       // the signal has no effect
};
struct fake_fault {
    enum fake_fault_kind kind;
    struct id task_id; // none = any
    int64_t count;     // how often
    int phase;
    enum executor_event_kind event;
};
void fake_machine_fault(struct fake_machine *machine, const struct fake_fault *fault);

// Plays a result of the health check of a task that runs and has one; `text` is why it is not well.
void fake_machine_health(struct fake_machine *machine, const struct id *task_id, enum health_state health,
                         const char *text);

struct fake_counts {
    size_t present, preparing, prepared, running, over;
    uint64_t prepares, starts; // calls that began something
    uint64_t second_starts;    // processes of an id that had one before: never to happen
    uint64_t events;           // given out
};
struct fake_counts fake_machine_counts(const struct fake_machine *machine);
size_t fake_machine_task_bytes(void); // of memory, but for the index

#endif
