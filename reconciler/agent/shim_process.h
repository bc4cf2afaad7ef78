// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/shim_process.h — a plain process in place of a container: made, held, let go.
//
// For development without root and without runc. There is no isolation: what it started is found as our own
// orphans, since the shim adopts them.
#ifndef MUSTER_RECONCILER_AGENT_SHIM_PROCESS_H
#define MUSTER_RECONCILER_AGENT_SHIM_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

#include "reconciler/agent/shim_text.h"

struct shim_process {
    const char *bundle;        // its file `process` says what to run; format in shim_process.c
    const char *oom_score_adj; // what the process gets
    int go, result;            // pipes: to the process that waits, from the one that cannot run
};

// Makes the process, which waits; `out` and `err` are lent and become its own. Returns the pid, or -1 with
// errno set.
pid_t shim_process_create(struct shim_process *process, int out, int err);

// Lets it run its program. Returns false, with the reason, when that could not be run.
bool shim_process_start(struct shim_process *process, struct shim_text *why);

// Kills all children of the caller. Returns whether there were any.
bool shim_process_kill_rest(void);

#endif
