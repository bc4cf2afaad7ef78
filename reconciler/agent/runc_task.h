// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/runc_task.h — the inside of the executor of containers: its tasks, and the work done on
// them beside the loop.
//
// Mounting, writing a bundle and removing trees may take milliseconds each; they run on libuv's threads
// (runc_work.c), one piece of work a task at a time, on copies and constants only. Private to
// executor_runc.c and its parts.
#ifndef MUSTER_RECONCILER_AGENT_RUNC_TASK_H
#define MUSTER_RECONCILER_AGENT_RUNC_TASK_H

#include <uv.h>

#include "base/list.h"
#include "base/map.h"
#include "reconciler/agent/bundle.h"
#include "reconciler/agent/executor.h"
#include "reconciler/agent/health_watch.h"
#include "reconciler/agent/runc_place.h"
#include "reconciler/agent/seccomp.h"
#include "reconciler/agent/supervisor.h"

struct runc_executor {
    struct executor base;
    uv_loop_t *loop;
    struct runc_place place;
    struct cgroups cgroups;
    struct bundle_host host;
    struct seccomp *seccomp;
    struct image_store *images;
    char *shim_path, *runc_path, *self_path, *allow_bind;
    struct health_pool health;
    int64_t runc_timeout_ms;
    struct map tasks;
    struct list asked;          // tasks whose state is told again from the idle handle
    struct list waiting, ready; // for their files to be made; for a slot: to be created, to be started
    int slots_free, makes_free;
    uv_idle_t *idle;
    char *runc_version;
    int references; // itself, and each piece of work under way
    bool is_scanned, is_closing;
};

enum runc_work { RUNC_WORK_NONE, RUNC_WORK_MAKE, RUNC_WORK_END, RUNC_WORK_REMOVE };

struct runc_task {
    struct id id;
    struct runc_executor *executor;
    enum executor_presence presence;
    struct supervisor *supervisor; // while a shim lives
    // Called for, so that what comes late is dealt with as it should be.
    bool is_start_asked, is_stop_asked, is_remove_asked;
    bool is_known;       // something of it is on disk
    bool is_old;         // found ended: only its end is told
    bool is_half_made;   // by an earlier daemon: wiped before it is made
    bool is_told_at_end; // once nothing of it can run any more
    bool has_slot, has_make, is_made, holds_image, is_freed;
    enum runc_work work;
    int failures;       // of undoing, in a row
    struct arena arena; // of what follows, until the container is made
    const struct assignment *assignment;
    const struct image *image;
    struct shelf_items contents; // of the assignment's files
    bool follows_contents;       // some are written anew while it runs
    int stop_signal;
    struct arena check_arena;         // of the check; empty without one
    const struct health_check *check; // effective; NULL = none
    struct health_watch *health;      // while it runs and is not to stop
    int64_t pid, end_unix_ms;
    struct task_exit exit;
    int64_t reason;
    enum executor_class class_;
    char *message;
    uv_timer_t *timer; // the end of the grace, or the next try; NULL = none runs
    int64_t kill_at_ms;
    struct list_node asked, waiting;
};

// --- executor_runc.c ---

struct runc_task *runc_task_get(const struct runc_executor *executor, const struct id *id);
struct runc_task *runc_task_add(struct runc_executor *executor, const struct id *id);
void runc_on_supervisor(void *task, const struct supervisor_event *event);
void runc_executor_unref(struct runc_executor *executor);
void runc_tell(struct runc_task *task); // what is so, once more
// Ends of the pieces of work; *reason and err are of MAKE.
void runc_made(struct runc_task *task, int rc, int64_t reason, const struct error *err);
void runc_undone(struct runc_task *task, enum runc_work work, int rc, const struct error *err);

// --- runc_work.c ---

// Makes root file system and bundle. -ERR_* of seccomp at once, else runc_made follows.
int runc_work_make(struct runc_task *task, struct error *err);
// END: kills what is left and undoes what running needed. REMOVE: everything. runc_undone follows.
void runc_work_undo(struct runc_task *task, enum runc_work work);
// The command line of the shim, in the arena; `runc` is the path of the program.
const char *const *runc_work_shim_argv(const struct runc_task *task, const char *runc, struct arena *arena);

// --- runc_health.c ---

// Remembers what to check, from the service and its image (NULL: not known any more).
void runc_health_keep(struct runc_task *task, const struct service_spec *spec,
                      const struct image_config *image);
// It runs: checks begin, if there are any. Repeating does no harm.
void runc_health_begin(struct runc_task *task);
void runc_health_end(struct runc_task *task);
// There is a check, and it has not found the task well yet.
bool runc_health_is_awaited(const struct runc_task *task);

// --- runc_exec.c ---

int runc_exec(struct executor *executor, const struct id *task_id, const struct exec_wish *wish,
              struct exec_plan *out, struct arena *arena, struct error *err);

// --- runc_recover.c ---

// What is on this machine, once: tasks get added, strays of unknown tasks go.
int runc_recover(struct runc_executor *executor, struct error *err);

// --- runc_probe.c ---

int runc_probe(struct runc_executor *executor, struct node_description *out, struct arena *arena,
               struct error *err);
// The absolute path of a program, looked up in PATH unless it has a slash; NULL when it is not there.
char *runc_find_program(const char *name);

#endif
