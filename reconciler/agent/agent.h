// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/agent.h — the worker side: drives each assigned task towards its desired state and
// reports what it observes.
//
// Each task is advanced by one pure step at a time (taskrun.h: state + event -> state + effects); effects
// go to the executor. What is assigned is kept on disk (<state>/assignments/<id>), with whether it was
// started and how it ended, so a restarted agent goes on where it was, before any manager has spoken.
//
// Secrets      Their bytes are on the shelf (shelf.h) while a task needs them, never on disk. A task whose
//              bytes are not there, because the machine went down and no manager has spoken since, waits
//              for them.
// Failure      An assignment that cannot be kept (disk full) is not begun: its task waits at ACCEPTED, says
//              why, and is tried again. A kept one that is damaged becomes a task that FAILED, INTERNAL.
// Ownership    Loop thread only. Assignments and reports are borrowed for the call.
#ifndef MUSTER_RECONCILER_AGENT_AGENT_H
#define MUSTER_RECONCILER_AGENT_AGENT_H

#include "reconciler/agent/executor.h"

struct agent;

struct reports {
    size_t count;
    const struct task_report *items;
};
// Called at most once per turn with everything new. A report that was not acknowledged (agent_reported) is
// sent again.
typedef void (*agent_reports_fn)(void *context, const struct reports *reports);

struct agent_options {
    struct uv_loop_s *loop; // NULL: the caller calls agent_flush and agent_tick (simulations)
    const char *state_dir;
    int64_t (*now_unix_ms)(void *context); // NULL: the wall clock
    struct executor *executor;             // its on_event must be agent_on_event with the agent as context
    agent_reports_fn on_reports;
    void *context;
};

int agent_new(const struct agent_options *options, struct agent **out, struct error *err);
void agent_on_event(void *agent, const struct executor_event *event);
// Reads what was assigned before and what the executor still has; call once after agent_new.
int agent_recover(struct agent *agent, struct error *err);

struct assignments {
    size_t count;
    const struct assignment *items;
    size_t content_count; // secrets and configs that they name; those held already may be missing
    const struct assigned_content *contents;
};
// The complete set: tasks that are not in it are stopped and removed. Then increments: update or add; remove.
void agent_assign(struct agent *agent, const struct assignments *set);
void agent_assign_update(struct agent *agent, const struct assignments *changed, const struct id *removed,
                         size_t removed_count);
// The manager has stored the report of this task up to this state.
void agent_reported(struct agent *agent, const struct id *task_id, int64_t state);

// Reports what is new; the loop calls it at the end of a turn that brought something.
void agent_flush(struct agent *agent);
// Sends again what was not acknowledged for some seconds, tries again what could not be kept, and compares
// with the executor's list, so that an event that was lost holds nothing up. The loop calls it every
// second.
void agent_tick(struct agent *agent);

// Tasks that the machine lost when it went down, and whose end nobody was told yet, begin anew under their
// own ids: for a node that has come up where no manager is. How many.
size_t agent_start_again(struct agent *agent);

// Reports again, at the next flush, all that was not acknowledged: whoever heard it may be gone.
void agent_resend(struct agent *agent);

// Whether a task that is not over has the named volume mounted, or is to have it.
bool agent_uses_volume(struct agent *agent, const char *name);

size_t agent_task_count(const struct agent *agent);
void agent_free(struct agent *agent); // tasks go on running

#endif
