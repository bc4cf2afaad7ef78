// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/taskrun.c — one task on its node: what is wanted and what is seen become calls of the
// executor.
//
// Model        An event changes what is known (state, status, flags); then `advance` compares that with what
//              is wanted and asks for what misses. Each call is asked for once in the life of the daemon,
//              remembered by its flag; that an answer got lost shows in the executor's list.
// Invariants   (1) The observed state only rises (base/sm.h asserts it). (2) What is over stays over, but for
//              what a machine lost that has no manager (taskrun_again). (3) A
//              task is started from READY only; or again when the list says that it is still PREPARED though
//              its start was kept, which means that the executor never heard of it. (4) Nothing that stood at
//              STARTING or above is prepared anew.
// Source       swarmkit's agent/exec.Do, whose words are kept: users know them.
#include "reconciler/agent/taskrun.h"

#include <string.h>

#include "base/assert.h"
#include "base/str.h"

#define ENDS (SM_TO(TASKRUN_COMPLETE) | SM_TO(TASKRUN_SHUTDOWN) | SM_TO(TASKRUN_FAILED))
#define EARLY_ENDS (ENDS | SM_TO(TASKRUN_REJECTED))

// A state may be left out: after a restart of the daemon a task is found where it has come to meanwhile.
static const struct sm_state taskrun_states[TASKRUN_STATE_COUNT] = {
    [TASKRUN_ASSIGNED] = {"assigned", SM_TO(TASKRUN_ACCEPTED) | ENDS, false},
    [TASKRUN_ACCEPTED] = {"accepted",
                          SM_TO(TASKRUN_PREPARING) | SM_TO(TASKRUN_READY) | SM_TO(TASKRUN_STARTING) |
                              SM_TO(TASKRUN_RUNNING) | EARLY_ENDS,
                          false},
    [TASKRUN_PREPARING] = {"preparing",
                           SM_TO(TASKRUN_READY) | SM_TO(TASKRUN_STARTING) | SM_TO(TASKRUN_RUNNING) |
                               EARLY_ENDS,
                           false},
    [TASKRUN_READY] = {"ready", SM_TO(TASKRUN_STARTING) | SM_TO(TASKRUN_RUNNING) | EARLY_ENDS, false},
    [TASKRUN_STARTING] = {"starting", SM_TO(TASKRUN_RUNNING) | ENDS, false},
    [TASKRUN_RUNNING] = {"running", ENDS, false},
    [TASKRUN_COMPLETE] = {"complete", 0, true},
    [TASKRUN_SHUTDOWN] = {"shutdown", 0, true},
    [TASKRUN_FAILED] = {"failed", 0, true},
    [TASKRUN_REJECTED] = {"rejected", 0, true},
};
const struct sm_table taskrun_table = {"taskrun", taskrun_states, TASKRUN_STATE_COUNT};

// The number in specs/task.h, and what Swarm says of the state.
static const struct {
    int64_t number;
    const char *message;
} state_rows[TASKRUN_STATE_COUNT] = {
    [TASKRUN_ASSIGNED] = {TASK_ASSIGNED, "assigned"},    [TASKRUN_ACCEPTED] = {TASK_ACCEPTED, "accepted"},
    [TASKRUN_PREPARING] = {TASK_PREPARING, "preparing"}, [TASKRUN_READY] = {TASK_READY, "prepared"},
    [TASKRUN_STARTING] = {TASK_STARTING, "starting"},    [TASKRUN_RUNNING] = {TASK_RUNNING, "started"},
    [TASKRUN_COMPLETE] = {TASK_COMPLETE, "finished"},    [TASKRUN_SHUTDOWN] = {TASK_SHUTDOWN, "shutdown"},
    [TASKRUN_FAILED] = {TASK_FAILED, "failed"},          [TASKRUN_REJECTED] = {TASK_REJECTED, "rejected"},
};

// A step in work.
struct work {
    struct taskrun *run;
    struct taskrun_effects *effects;
    int64_t now_unix_ms;
    struct arena *arena;
};

static bool wants_stop(const struct taskrun *run) {
    return run->is_released || run->wish.desired >= TASK_SHUTDOWN;
}

// Found so by its checks: it is stopped, whatever is wanted. Kept on disk with the status.
static bool is_unhealthy(const struct taskrun *run) {
    return run->status.reason == REASON_UNHEALTHY;
}

static bool wants_removal(const struct taskrun *run) {
    return run->is_released || run->wish.desired >= TASK_REMOVE;
}

// --- status ---

static void say(struct work *work, int64_t reason, const char *message, const char *error) {
    struct task_status *status = &work->run->status;
    if (status->reason != reason || !str_equal(status->message, message) ||
        !str_equal(status->error, error)) {
        status->reason = reason;
        status->message = message;
        status->error = error;
        work->effects->mask |= EFFECT_REPORT;
    }
}

static void rise(struct work *work, enum taskrun_state to, int64_t time_unix_ms, const char *why) {
    struct taskrun *run = work->run;
    sm_move(&run->machine, to, why);
    run->status.state = state_rows[to].number;
    run->status.since_unix_ms = time_unix_ms > 0 ? time_unix_ms : work->now_unix_ms;
    say(work, REASON_NONE, state_rows[to].message, "");
    work->effects->mask |= EFFECT_REPORT;
}

static void end(struct work *work, enum taskrun_state to, int64_t time_unix_ms, int64_t reason,
                const char *error) {
    rise(work, to, time_unix_ms, error);
    say(work, reason, work->run->status.message, error);
    work->run->status.pid = 0;
    work->effects->mask |= EFFECT_KEEP;
}

// Nothing is left of it here, and nothing tells how it ended.
static void end_lost(struct work *work, const char *error) {
    work->run->status.exit = (struct task_exit){.kind = EXIT_UNKNOWN, .time_unix_ms = work->now_unix_ms};
    bool is_stopped = wants_stop(work->run);
    end(work, is_stopped ? TASKRUN_SHUTDOWN : TASKRUN_FAILED, 0,
        is_stopped ? REASON_NONE : REASON_SUPERVISOR_LOST, is_stopped ? "" : error);
}

// --- events of the executor ---

static int64_t reason_of(const struct executor_event *event) {
    const struct task_exit *exit = &event->exit;
    if (event->reason != REASON_NONE) {
        return event->reason;
    }
    if (exit->kind == EXIT_UNKNOWN || exit->kind == EXIT_NONE) {
        return REASON_SUPERVISOR_LOST;
    }
    if (exit->oom) {
        return REASON_OUT_OF_MEMORY;
    }
    return exit->kind == EXIT_SIGNAL ? REASON_EXIT_SIGNAL : REASON_EXIT_NONZERO;
}

static const char *error_of(const struct work *work, const struct executor_event *event) {
    const struct task_exit *exit = &event->exit;
    int64_t reason = reason_of(event);
    const char *text;
    if (exit->kind == EXIT_UNKNOWN || exit->kind == EXIT_NONE) {
        text = arena_printf(work->arena, "task: exit status unknown: %s", task_reason_text(reason));
    } else if (reason == REASON_OUT_OF_MEMORY) {
        text = arena_printf(work->arena, "task: out of memory (exit %lld)", (long long)exit->code);
    } else if (exit->kind == EXIT_SIGNAL) {
        const char *name = sigabbrev_np((int)exit->signal);
        text = name != NULL ? arena_printf(work->arena, "task: non-zero exit (%lld): killed by SIG%s",
                                           (long long)exit->code, name)
                            : arena_printf(work->arena, "task: non-zero exit (%lld): killed by signal %lld",
                                           (long long)exit->code, (long long)exit->signal);
    } else {
        text = arena_printf(work->arena, "task: non-zero exit (%lld)", (long long)exit->code);
    }
    return str_is_empty(event->message) ? text : arena_printf(work->arena, "%s: %s", text, event->message);
}

static void on_exited(struct work *work, const struct executor_event *event) {
    struct taskrun *run = work->run;
    bool was_started = run->machine.state >= TASKRUN_STARTING;
    if (was_started || !wants_stop(run)) { // what was given up before its start did not exit
        run->status.exit = event->exit;
        run->status.exit.unknown = (struct bytes){0};
    }
    if (wants_stop(run)) {
        end(work, TASKRUN_SHUTDOWN, event->time_unix_ms, REASON_NONE, "");
    } else if (is_unhealthy(run)) {
        end(work, TASKRUN_FAILED, event->time_unix_ms, REASON_UNHEALTHY, run->status.error);
    } else if (event->exit.kind == EXIT_CODE && event->exit.code == 0) {
        end(work, TASKRUN_COMPLETE, event->time_unix_ms, REASON_NONE, "");
    } else {
        end(work, TASKRUN_FAILED, event->time_unix_ms, reason_of(event), error_of(work, event));
    }
}

static void on_failed(struct work *work, const struct executor_event *event) {
    bool was_started = work->run->machine.state >= TASKRUN_STARTING;
    int64_t reason = event->reason;
    if (reason == REASON_NONE) {
        reason = event->class_ == CLASS_INTERNAL ? REASON_INTERNAL
                 : was_started                   ? REASON_START_FAILED
                                                 : REASON_CREATE_FAILED;
    }
    const char *why = str_is_empty(event->message) ? task_reason_text(reason) : event->message;
    const char *error = was_started ? arena_printf(work->arena, "starting container failed: %s", why)
                                    : arena_strdup(work->arena, why);
    enum taskrun_state to = event->class_ == CLASS_REJECT && !was_started ? TASKRUN_REJECTED : TASKRUN_FAILED;
    end(work, to, event->time_unix_ms, reason, error);
}

static void on_progress(struct work *work, const struct executor_event *event) {
    unsigned state = work->run->machine.state;
    if (state == TASKRUN_PREPARING || state == TASKRUN_STARTING) {
        const char *word = state_rows[state].message;
        say(work, event->reason,
            str_is_empty(event->message) ? word : arena_printf(work->arena, "%s: %s", word, event->message),
            "");
    }
}

static void note_health(struct work *work, const struct executor_event *event) {
    struct task_status *status = &work->run->status;
    if (status->health == event->health) {
        return;
    }
    status->health = event->health;
    if (event->health_results != NULL) {
        status->health_results = *event->health_results;
    }
    work->effects->mask |= EFFECT_REPORT;
}

// It runs, but others are to wait until it is well. What was well before a restart of the daemon counts as
// such until checks say otherwise.
static void on_starting(struct work *work, const struct executor_event *event) {
    if (work->run->machine.state < TASKRUN_STARTING) {
        rise(work, TASKRUN_STARTING, event->time_unix_ms, "found starting");
    }
    if (work->run->machine.state == TASKRUN_STARTING) {
        say(work, REASON_NONE,
            str_is_empty(event->message) ? "health: starting"
                                         : arena_printf(work->arena, "health: starting: %s", event->message),
            "");
    }
}

static void on_unhealthy(struct work *work, const struct executor_event *event) {
    if (is_unhealthy(work->run)) {
        return;
    }
    say(work, REASON_UNHEALTHY, "health: unhealthy, stopping",
        str_is_empty(event->message)
            ? "task: unhealthy container"
            : arena_printf(work->arena, "task: unhealthy container: %s", event->message));
    work->effects->mask |= EFFECT_KEEP; // a daemon that comes next must not take it for one that exited
}

static void on_running(struct work *work, const struct executor_event *event) {
    struct taskrun *run = work->run;
    note_health(work, event);
    if (event->health == HEALTH_STARTING) {
        on_starting(work, event);
    } else if (event->health == HEALTH_UNHEALTHY) {
        on_unhealthy(work, event);
    } else if (run->machine.state < TASKRUN_RUNNING && !is_unhealthy(run)) {
        rise(work, TASKRUN_RUNNING, event->time_unix_ms, "running");
        // The next daemon must know it: that it runs will not tell it.
        work->effects->mask |= event->health != HEALTH_NONE ? EFFECT_KEEP : 0;
    }
    if (event->time_unix_ms > 0 && event->time_unix_ms < run->status.since_unix_ms) {
        run->status.since_unix_ms = event->time_unix_ms; // it was found running: now it is known since when
        work->effects->mask |= EFFECT_REPORT;
    }
    if (event->pid > 0 && run->status.pid != event->pid) {
        run->status.pid = event->pid;
        work->effects->mask |= EFFECT_REPORT;
    }
}

static void on_executor(struct work *work, const struct executor_event *event) {
    struct taskrun *run = work->run;
    run->is_held = event->kind != EXECUTOR_REMOVED;
    if (taskrun_is_over(run)) {
        return;
    }
    switch (event->kind) {
    case EXECUTOR_PROGRESS:
        on_progress(work, event);
        break;
    case EXECUTOR_PREPARED:
        if (run->machine.state < TASKRUN_READY) {
            rise(work, TASKRUN_READY, event->time_unix_ms, "prepared");
        }
        break;
    case EXECUTOR_RUNNING:
        on_running(work, event);
        break;
    case EXECUTOR_EXITED:
        on_exited(work, event);
        break;
    case EXECUTOR_FAILED:
        on_failed(work, event);
        break;
    case EXECUTOR_REMOVED:
        end_lost(work, "task: removed from the node while it was wanted");
        break;
    }
}

// --- the executor's list ---

// Its event was lost, or is about to come: asking does no harm.
static void ask_how_it_ended(struct work *work) {
    if (!taskrun_is_over(work->run)) {
        work->effects->mask |= EFFECT_STOP;
        work->effects->signal = 0;
        work->effects->grace_ms = 0;
    }
}

static void on_present(struct work *work, enum executor_presence presence) {
    struct taskrun *run = work->run;
    switch (presence) {
    case PRESENCE_PREPARING: // asked for again by `advance` when the daemon is new
        break;
    case PRESENCE_PREPARED:
        if (run->machine.state < TASKRUN_READY) {
            run->is_prepare_asked = true;
            rise(work, TASKRUN_READY, 0, "found prepared");
        }
        break;
    case PRESENCE_STARTING:
        if (run->machine.state < TASKRUN_STARTING) {
            rise(work, TASKRUN_STARTING, 0, "found starting");
        }
        if (run->machine.state == TASKRUN_STARTING && !wants_stop(run)) {
            run->is_start_asked = true;
            work->effects->mask |= EFFECT_START; // it runs already: the answer tells its health
        }
        break;
    case PRESENCE_RUNNING:
        if (run->machine.state < TASKRUN_RUNNING && !is_unhealthy(run)) {
            rise(work, TASKRUN_RUNNING, 0, "found running");
        }
        break;
    case PRESENCE_EXITED:
    case PRESENCE_FAILED:
    case PRESENCE_LOST:
        ask_how_it_ended(work);
        break;
    }
    if (presence == PRESENCE_PREPARED && run->machine.state == TASKRUN_STARTING && !run->is_start_asked &&
        !wants_stop(run)) {
        run->is_start_asked = true;
        work->effects->mask |= EFFECT_START;
    }
}

static void on_list(struct work *work, const struct taskrun_event *event) {
    struct taskrun *run = work->run;
    run->is_held = event->is_present;
    if (event->is_present && !taskrun_is_over(run)) {
        on_present(work, event->presence);
    } else if (!event->is_present && !taskrun_is_over(run)) {
        run->is_prepare_asked = false;
        if (run->machine.state >= TASKRUN_STARTING) {
            end_lost(work, "task: exit status unknown: nothing of it was found on the node");
        }
    } else if (event->is_present) {
        run->is_remove_asked = false; // still there: the call, or its answer, was lost
    }
}

// --- what is wanted ---

static void on_wish(struct work *work, const struct taskrun_wish *wish) {
    struct taskrun *run = work->run;
    bool is_new = run->machine.state == TASKRUN_ASSIGNED;
    // What managers want only rises; an older word that comes late does not count.
    int64_t desired = wish->desired > run->wish.desired ? wish->desired : run->wish.desired;
    bool is_changed = desired != run->wish.desired || run->is_released;
    if (run->is_released) { // what became of it meanwhile was told nobody
        work->effects->mask |= EFFECT_REPORT;
    }
    if (run->drain_until_unix_ms > 0 && desired > run->wish.desired) {
        run->drain_until_unix_ms = work->now_unix_ms; // told a second time: no more waiting
    }
    run->wish = *wish;
    run->wish.desired = desired;
    run->is_released = false;
    if (is_new || is_changed) {
        work->effects->mask |= EFFECT_KEEP;
    }
    if (is_new) {
        rise(work, TASKRUN_ACCEPTED, 0, "assigned");
    }
}

static void on_damage(struct work *work, const char *text) {
    struct taskrun *run = work->run;
    run->is_held = true;
    run->wish.desired = TASK_REMOVE; // nothing says how to go on with what may be there
    if (taskrun_is_over(run)) {
        return;
    }
    run->status.exit = (struct task_exit){.kind = EXIT_UNKNOWN, .time_unix_ms = work->now_unix_ms};
    end(work, TASKRUN_FAILED, 0, REASON_INTERNAL,
        arena_printf(work->arena, "task: what was kept of it on the node is damaged: %s", text));
    work->effects->mask &= ~(unsigned)EFFECT_KEEP; // there is nothing to keep
}

static void on_event(struct work *work, const struct taskrun_event *event) {
    switch (event->kind) {
    case TASKRUN_ON_WISH:
        on_wish(work, &event->wish);
        break;
    case TASKRUN_ON_RELEASE:
        work->run->is_released = true;
        break;
    case TASKRUN_ON_KEPT:
        work->run->is_kept = true;
        break;
    case TASKRUN_ON_NOT_KEPT:
        if (work->run->machine.state == TASKRUN_ACCEPTED && !work->run->is_kept) {
            say(work, REASON_NO_SPACE, "accepted: the assignment cannot be kept on the node",
                arena_strdup(work->arena, event->text));
        }
        break;
    case TASKRUN_ON_LIST:
        on_list(work, event);
        break;
    case TASKRUN_ON_EXECUTOR:
        on_executor(work, event->executor);
        break;
    case TASKRUN_ON_TIME:
        break; // `advance_to_stop` looks at it
    case TASKRUN_ON_DAMAGE:
        on_damage(work, event->text);
        break;
    }
}

// --- what misses ---

// Only what served has to be seen going; what nobody has assigned any more, nobody sends work to. A clock
// that jumps back makes no delay longer than it is.
static bool is_draining(struct work *work) {
    struct taskrun *run = work->run;
    int64_t now_unix_ms = work->now_unix_ms;
    int64_t drain_ms = run->wish.drain_ms;
    if (drain_ms <= 0 || run->machine.state != TASKRUN_RUNNING || run->is_released || is_unhealthy(run)) {
        return false;
    }
    if (run->drain_until_unix_ms == 0 || run->drain_until_unix_ms > now_unix_ms + drain_ms) {
        run->drain_until_unix_ms = now_unix_ms + drain_ms;
        say(work, REASON_NONE, "started, draining before it stops", "");
    }
    return now_unix_ms < run->drain_until_unix_ms;
}

static void advance_to_stop(struct work *work) {
    struct taskrun *run = work->run;
    if (!run->is_held && run->machine.state < TASKRUN_STARTING) {
        end(work, TASKRUN_SHUTDOWN, 0, REASON_NONE, "");
    } else if (!run->is_stop_asked && !is_draining(work)) {
        run->drain_until_unix_ms = 0;
        run->is_stop_asked = true;
        work->effects->mask |= EFFECT_STOP;
        work->effects->signal = run->wish.signal;
        work->effects->grace_ms = run->wish.grace_ms;
    }
}

static void advance_to_run(struct work *work) {
    struct taskrun *run = work->run;
    if (run->machine.state == TASKRUN_ACCEPTED && run->is_kept) {
        rise(work, TASKRUN_PREPARING, 0, "prepare");
    }
    if (run->machine.state == TASKRUN_PREPARING && !run->is_prepare_asked) {
        run->is_prepare_asked = run->is_held = true;
        work->effects->mask |= EFFECT_PREPARE;
    }
    if (run->machine.state == TASKRUN_READY && run->wish.desired >= TASK_RUNNING) {
        rise(work, TASKRUN_STARTING, 0, "start");
        run->is_start_asked = true;
        work->effects->mask |= EFFECT_KEEP | EFFECT_START;
    }
}

static void advance_to_removal(struct work *work) {
    struct taskrun *run = work->run;
    if (run->is_held && !run->is_remove_asked) {
        run->is_remove_asked = true;
        work->effects->mask |= EFFECT_REMOVE;
    }
    if (run->is_released && !run->is_held) {
        work->effects->mask |= EFFECT_FORGET;
    }
}

void taskrun_step(const struct taskrun *before, const struct taskrun_event *event, int64_t now_unix_ms,
                  struct arena *arena, struct taskrun *after, struct taskrun_effects *effects) {
    struct taskrun run = *before;
    struct work work = {&run, effects, now_unix_ms, arena};
    *effects = (struct taskrun_effects){0};
    on_event(&work, event);
    if (!taskrun_is_over(&run)) {
        if (wants_stop(&run) || is_unhealthy(&run)) {
            advance_to_stop(&work);
        } else {
            advance_to_run(&work);
        }
    }
    if (taskrun_is_over(&run) && wants_removal(&run)) {
        advance_to_removal(&work);
    }
    ASSERT(IMPLIES(taskrun_is_over(before), run.machine.state == before->machine.state));
    *after = run;
}

// --- beginnings ---

static enum taskrun_state state_of(int64_t number) {
    enum taskrun_state state = TASKRUN_ASSIGNED;
    for (unsigned i = 0; i < TASKRUN_STATE_COUNT; i++) {
        if (state_rows[i].number <= number) {
            state = (enum taskrun_state)i;
        }
    }
    return state;
}

static struct taskrun at(enum taskrun_state state, const struct task_status *status) {
    struct taskrun run = {.status = *status};
    run.status.state = state_rows[state].number;
    run.status.unknown = run.status.exit.unknown = (struct bytes){0};
    sm_init(&run.machine, &taskrun_table, state);
    return run;
}

struct taskrun taskrun_new(const struct task_status *known) {
    enum taskrun_state state = state_of(known->state);
    if (state >= TASKRUN_COMPLETE) {
        return at(state, known);
    }
    if (state < TASKRUN_STARTING) {
        struct taskrun run = at(TASKRUN_ASSIGNED, known);
        run.status.reason = REASON_NONE;
        run.status.message = run.status.error = "";
        run.status.health = HEALTH_NONE;
        run.status.health_results = (struct health_results){0};
        return run;
    }
    struct task_status lost = *known;
    lost.reason = REASON_SUPERVISOR_LOST;
    lost.message = state_rows[TASKRUN_FAILED].message;
    lost.error = "task: exit status unknown: this node has no record of it";
    lost.pid = 0;
    lost.exit = (struct task_exit){.kind = EXIT_UNKNOWN};
    return at(TASKRUN_FAILED, &lost);
}

struct taskrun taskrun_recovered(const struct task_status *kept, const struct taskrun_wish *wish) {
    enum taskrun_state state = state_of(kept->state);
    struct taskrun run = at(state == TASKRUN_ASSIGNED ? TASKRUN_ACCEPTED : state, kept);
    run.wish = *wish;
    run.is_kept = run.is_held = true; // until the list says otherwise
    return run;
}

bool taskrun_is_lost(const struct taskrun *run) {
    int64_t reason = run->status.reason;
    return run->machine.state == TASKRUN_FAILED && run->status.exit.kind == EXIT_UNKNOWN &&
           !wants_stop(run) && (reason == REASON_NODE_REBOOTED || reason == REASON_SUPERVISOR_LOST);
}

struct taskrun taskrun_again(const struct taskrun *lost) {
    ASSERT(taskrun_is_lost(lost) && !lost->is_held);
    struct task_status status = {
        .since_unix_ms = lost->status.since_unix_ms, .message = "assigned", .error = ""};
    struct taskrun run = at(TASKRUN_ACCEPTED, &status);
    run.wish = lost->wish;
    return run;
}
