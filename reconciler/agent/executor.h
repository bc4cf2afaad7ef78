// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/executor.h — the seam between the agent and what really runs tasks: runc, plain
// processes (for development), or a fake on virtual time.
//
// All calls are "ensure" operations keyed by a task id that is never reused: repeating one is harmless.
// Each returns at once; the outcome arrives as an event on the loop thread, never inside the call. A call for
// what is so already sends its event again (start of a running task: RUNNING; stop of one that ended: its
// EXITED or FAILED; remove of what is gone: REMOVED): so whoever missed an event can ask. The same
// conformance suite (test/lib/executor_suite.c) runs against all three.
#ifndef MUSTER_RECONCILER_AGENT_EXECUTOR_H
#define MUSTER_RECONCILER_AGENT_EXECUTOR_H

#include "reconciler/agent/shelf.h"
#include "specs/assignment.h"
#include "specs/node.h"

enum executor_event_kind {
    // `message` says what goes on ("pulling image busybox"); `reason` may tell why it takes long (a retry)
    EXECUTOR_PROGRESS,
    EXECUTOR_PREPARED, // ready to start
    EXECUTOR_RUNNING,  // pid, time, health; told again whenever its health changes
    EXECUTOR_EXITED,   // exit: final for the id
    EXECUTOR_FAILED,   // could not be prepared or started: final for the id
    EXECUTOR_REMOVED,  // nothing of it is left
};

// What the agent does about EXECUTOR_FAILED: REJECT before STARTING becomes REJECTED, from STARTING on
// FAILED; INTERNAL is a bug or a broken node.
enum executor_class { CLASS_REJECT, CLASS_FAIL, CLASS_INTERNAL };

struct executor_event {
    enum executor_event_kind kind;
    struct id task_id;
    int64_t time_unix_ms;
    int64_t pid;
    struct task_exit exit;
    enum executor_class class_;
    int64_t reason;      // enum task_reason
    const char *message; // borrowed until the callback returns; "" = none
    // RUNNING: as its health check sees it, if it has one; `message` then says what misses to be healthy
    enum health_state health;
    const struct health_results *health_results; // borrowed; NULL = none
};
typedef void (*executor_event_fn)(void *context, const struct executor_event *event);

// What list() finds of an id that exists on this machine.
enum executor_presence {
    PRESENCE_PREPARING, // under way, or begun before the daemon ended: prepare goes on with it
    PRESENCE_PREPARED,
    PRESENCE_STARTING, // runs, but has a health check that has not found it well yet
    PRESENCE_RUNNING,
    PRESENCE_EXITED,
    PRESENCE_FAILED,
    PRESENCE_LOST // how it ended will never be known; stop kills the rest and ends in EXITED, EXIT_UNKNOWN
};
typedef void (*executor_list_fn)(void *context, const struct id *task_id, enum executor_presence presence);

struct executor {
    const struct executor_ops *ops;
    executor_event_fn on_event;
    void *context;
    // Bytes of secrets and configs that assignments name; the agent's. NULL: there are none. When prepare is
    // called, those of its task are there; it uses them for as long as it needs them.
    struct shelf *shelf;
};

// A command beside a task.
struct exec_wish {
    struct strings command;
    struct pairs environment; // beside the task's
    const char *user;         // "" = the task's; names are the container's
    const char *working_dir;  // "" = the task's
    bool is_tty;
    struct id id; // of this run, never used twice
};
// What to run for it, on this machine.
struct exec_plan {
    const char *const *argv;
    const char *directory;    // NULL = ours
    const char *pid_file;     // is there once the command runs, goes afterwards; NULL: it runs at once
    const char *process_file; // goes afterwards; NULL = none
    // All that it starts has `mark` in its environment and is listed in `procs`; NULL = a group of processes.
    const char *procs, *mark;
    const char *self_path; // musterd, which finds them
};

struct executor_ops {
    const char *name; // "runc", "process", "fake"
    // Node resources and features. May block for some milliseconds; called at start and every 20 s.
    int (*probe)(struct executor *executor, struct node_description *out, struct arena *arena,
                 struct error *err);
    // Image, root file system, mounts, configuration, container created but not started. Ends in PREPARED
    // or FAILED; trouble that may pass (registry down) is retried with back-off and reported as PROGRESS
    // with its true reason, for ever. The assignment is borrowed for the call.
    void (*prepare)(struct executor *executor, const struct assignment *assignment);
    // At most once per id, after PREPARED. Ends in RUNNING or FAILED; later EXITED. From RUNNING until `stop`
    // the health check of the service, or of its image, is made.
    void (*start)(struct executor *executor, const struct id *task_id);
    // Signal (0 = the image's, else SIGTERM), then after the grace everything of the task is killed. A task
    // that was never started is just given up; so is an id that is not known. Ends in EXITED always (or
    // FAILED if that came first). Repeating may shorten the grace.
    void (*stop)(struct executor *executor, const struct id *task_id, int signal, int64_t grace_ms);
    // From any state, any number of times; kills what runs. Ends in REMOVED. Logs go too.
    void (*remove)(struct executor *executor, const struct id *task_id);
    // Files of a prepared or running task that follow the newest content are written anew where it is
    // another by now, and the task gets the signal it wants for that. May be NULL; the assignment is
    // borrowed.
    void (*refresh)(struct executor *executor, const struct assignment *assignment);
    // Recovery at start: tells what exists, adopts what runs (its events will arrive: EXITED for what ended
    // meanwhile, with the kept exit code), removes nothing by itself. The agent calls it again every now and
    // then, to compare: it is cheap, and then adopts nothing anew.
    int (*list)(struct executor *executor, executor_list_fn each, void *context, struct error *err);
    // How to run a command beside a running task; the plan is in the arena. -ERR_NOT_FOUND, -ERR_CONFLICT (it
    // does not run), -ERR_INVALID (no such user). NULL: this executor cannot.
    int (*exec)(struct executor *executor, const struct id *task_id, const struct exec_wish *wish,
                struct exec_plan *out, struct arena *arena, struct error *err);
    // The log files of a task (reconciler/agent/task_log.h reads them); NULL when there are none.
    const char *(*log_path)(struct executor *executor, const struct id *task_id, struct arena *arena);
    void (*free)(struct executor *executor); // leaves running tasks running
};

struct uv_loop_s;
struct executor_options {
    struct uv_loop_s *loop;
    const char *state_dir, *run_dir; // of the daemon
    const char *self_path;           // musterd, re-executed for helpers
    const char *shim_path, *runc_path, *skopeo_path;
    const char *seccomp_path; // NULL = Debian's profile (seccomp.h)
    const char *allow_bind;   // paths that binds may be at or below, with colons; NULL, "" = any; "none"
    int64_t runc_timeout_ms;  // for one run of runc; 0 = 30 s
    int64_t parallel_max;     // prepares and starts at once; 0 = cores + 1
    executor_event_fn on_event;
    void *context;
};
int executor_runc_new(const struct executor_options *options, struct executor **out, struct error *err);
int executor_process_new(const struct executor_options *options, struct executor **out, struct error *err);

#endif
