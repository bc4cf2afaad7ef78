// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/cgroups.h — the control groups of this machine: version 1, hybrid or 2, and what is
// asked of a task's group outside runc.
//
// The hierarchies are read from mountinfo once. A task's group is <parent>/<task>, the same path in each
// hierarchy, as runc makes it. All functions but cgroups_read may be called from any thread.
#ifndef MUSTER_RECONCILER_AGENT_CGROUPS_H
#define MUSTER_RECONCILER_AGENT_CGROUPS_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/error.h"

enum cgroups_mode { CGROUPS_V1, CGROUPS_HYBRID, CGROUPS_V2 };
extern const char *const cgroups_mode_names[3]; // "v1", "hybrid", "v2"

enum { CGROUPS_MOUNTS_MAX = 24, CGROUPS_PATH_BYTES = 256 };

struct cgroups {
    enum cgroups_mode mode;
    int mount_count;
    char mounts[CGROUPS_MOUNTS_MAX][CGROUPS_PATH_BYTES]; // directories of the hierarchies
    int memory, pids;                                    // index of the hierarchy; -1 = not on this machine
    bool has_cpu, has_swap;                              // has_swap: swap is counted and can be limited
};

// `mountinfo` is normally /proc/self/mountinfo. -ERR_UNSUPPORTED when no hierarchy is mounted.
int cgroups_read(const char *mountinfo, struct cgroups *out, struct error *err);

// The file in which the kernel counts the OOM kills of a group; NULL without a memory controller.
const char *cgroups_memory_events(const struct cgroups *cgroups, const char *group, struct arena *arena);

// The file that lists the processes of a group.
const char *cgroups_procs(const struct cgroups *cgroups, const char *group, struct arena *arena);

// Kills every process in the group. True when there was none (any more).
bool cgroups_kill(const struct cgroups *cgroups, const char *group);

// Removes the group from every hierarchy; absent is fine. -ERR_BUSY when processes are still in it.
int cgroups_remove(const struct cgroups *cgroups, const char *group, struct error *err);

// Removes the group where nothing is in it and no group is below it.
void cgroups_remove_unused(const struct cgroups *cgroups, const char *group);

// Calls `each` with the name of every group directly under `parent`, in any hierarchy (a name may come
// again).
void cgroups_each(const struct cgroups *cgroups, const char *parent,
                  void (*each)(void *context, const char *name), void *context);

#endif
