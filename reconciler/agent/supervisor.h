// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/supervisor.h — the daemon's side of one muster-shim: started or found again, watched,
// commanded.
//
// The files, FIFO and lock of a shim (shim.c describes them) become events. Executors that run tasks under
// shims share this.
//
// Removing     TASKDIR and bundle are renamed away before they are removed: a shim that was started a
//              second time may come late, and must not find half of them.
// Ownership    Loop thread only. Events come from the loop, never inside a call. Closing leaves the shim
//              alone.
#ifndef MUSTER_RECONCILER_AGENT_SUPERVISOR_H
#define MUSTER_RECONCILER_AGENT_SUPERVISOR_H

#include "specs/task.h"

struct uv_loop_s;
struct supervisor;

// In this order; each once at most, and those that were before are told too when a shim is found again.
enum supervisor_event_kind {
    SUPERVISOR_CREATED,
    SUPERVISOR_RUNNING,
    SUPERVISOR_EXITED, // the last…
    SUPERVISOR_FAILED, // …or this, with `text`…
    SUPERVISOR_LOST,   // …or this: the shim is gone and left no word
};
struct supervisor_event {
    enum supervisor_event_kind kind;
    int64_t time_unix_ms;
    int64_t pid;           // CREATED, RUNNING
    struct task_exit exit; // EXITED
    int64_t lost_log_lines;
    bool was_started; // FAILED at `start`, LOST after `running`
    const char *text; // FAILED; borrowed for the call
};
typedef void (*supervisor_fn)(void *context, const struct supervisor_event *event);

struct supervisor_options {
    struct uv_loop_s *loop;
    const char *dir;         // TASKDIR of the shim; exists
    const char *const *argv; // of the shim; NULL: it was started by an earlier daemon
    supervisor_fn on_event;
    void *context;
};
// -ERR_NOT_FOUND when there is no such program; -ERR_SYSTEM.
int supervisor_open(const struct supervisor_options *options, struct supervisor **out, struct error *err);
void supervisor_start(struct supervisor *supervisor);
void supervisor_kill(struct supervisor *supervisor, int signal);
void supervisor_close(struct supervisor *supervisor); // accepts NULL; no events any more

// What the directory tells now, without a shim to talk to.
struct supervisor_view {
    bool is_alive; // a shim holds the lock
    int64_t shim_pid;
    bool is_created, is_running, is_exited, is_failed;
};
struct supervisor_view supervisor_look(const char *dir);
// Kills the first process of a shim that is lost, and its process group, if the process in the files is still
// that one.
void supervisor_kill_orphan(const char *dir);

#endif
