// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/shim_child.h — the container's first process, as its parent sees it.
#ifndef MUSTER_RECONCILER_AGENT_SHIM_CHILD_H
#define MUSTER_RECONCILER_AGENT_SHIM_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

// In a child before exec: every signal acts as by default, none is blocked.
void shim_child_reset_signals(void);

struct shim_child {
    pid_t pid;           // 0: not known yet
    uint64_t start_time; // in clock ticks since boot; with the pid it names a process for good
    bool ended;          // and reaped: the pid may be another's by now
    int status;          // as waitpid tells
    uint64_t oom_kills;
    uint64_t end_unix_ns;
};

// Takes the pid that stands in a file, if it is that of a child of ours. Returns whether it is.
bool shim_child_adopt(struct shim_child *child, const char *pid_path);

// Sends a signal; does nothing when there is nobody (any more) to get it.
void shim_child_kill(const struct shim_child *child, int number);

// Notes how it ended. `memory_events` is the cgroup's file, or NULL. To be called before anything else is
// done: the cgroup may go at any time from now on.
void shim_child_on_end(struct shim_child *child, int status, uint64_t now_unix_ns, const char *memory_events);

#endif
