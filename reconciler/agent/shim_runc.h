// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/shim_runc.h — runs runc as a child, and finds out what it had to complain about.
//
// runc tells its errors in a log file of its own (TASKDIR/runc.log), because its stderr is that of the
// container.
#ifndef MUSTER_RECONCILER_AGENT_SHIM_RUNC_H
#define MUSTER_RECONCILER_AGENT_SHIM_RUNC_H

#include <sys/types.h>

#include "reconciler/agent/shim_text.h"

struct shim_runc {
    const char *path, *root;         // program; its --root
    const char *id, *bundle;         // of the container
    const char *log_path, *pid_path; // in the task's directory
    const char *oom_score_adj;       // what the container gets unless its bundle says otherwise
};

// Start `runc create` or `runc start` in a process group of its own, with a clean environment. `out` and
// `err` are lent and become the container's. Return the pid, or -1 with errno set. That the program cannot
// be executed shows as its exit status 127 and in its log.
pid_t shim_runc_create(const struct shim_runc *runc, int out, int err);
pid_t shim_runc_start(const struct shim_runc *runc);

// Adds the errors of the last run: as many of the newest as fit, oldest first. Adds nothing when there are
// none.
void shim_runc_errors(const struct shim_runc *runc, struct shim_text *out);

#endif
