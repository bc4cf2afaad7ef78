// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/bundle.h — turns an assignment and an image's configuration into what runc runs:
// config.json and the files beside it.
//
// Docker's rules for command, environment, user and mounts; safer defaults for the rest: no_new_privs, fewer
// capabilities, seccomp for the native architecture, a limit of processes, masked and read-only paths of
// /proc and /sys, no cgroup file system inside. Limits the machine cannot keep are refused rather than
// forgotten.
//
// Model        bundle_mounts.c decides what is mounted where (and makes the volumes), bundle_limits.c what
//              may be used, bundle_files.c makes /etc/hosts and its like; bundle.c writes it all down.
// Failure      A negative result sets `*reason` (enum task_reason) too: what the task is rejected for.
//              -ERR_NO_SPACE may pass; the rest does not.
// All functions may be called from any thread.
#ifndef MUSTER_RECONCILER_AGENT_BUNDLE_H
#define MUSTER_RECONCILER_AGENT_BUNDLE_H

#include <sys/resource.h>

#include "reconciler/agent/cgroups.h"
#include "reconciler/agent/image_store.h"
#include "reconciler/agent/shelf.h"
#include "specs/assignment.h"

#define BUNDLE_PIDS_DEFAULT 1024 // as the help of `pids` says
#define BUNDLE_SHM_BYTES_DEFAULT (64LL * 1024 * 1024)

// What the daemon itself may do, which no container can go beyond.
struct bundle_host {
    struct cgroups cgroups;
    uint64_t capabilities;
    bool may_raise_limits; // CAP_SYS_RESOURCE
    bool has_cgroup_namespaces;
    int64_t oom_score_adj;
    struct rlimit limits[RLIM_NLIMITS];
};
void bundle_host_read(struct bundle_host *out); // all but cgroups

struct bundle_options {
    const struct assignment *assignment;
    const char *image_reference; // for messages
    const struct image_config *image;
    const struct bundle_host *host;
    const char *directory; // of the bundle; exists; the root file system is mounted on its "rootfs"
    int root_fd;           // of that root file system
    const char *task_dir;  // for anonymous volumes
    const char *volumes_dir;
    const char *group;                  // control group
    const char *seccomp;                // JSON of `linux.seccomp`
    uint64_t capabilities;              // capabilities_of
    const char *shim_path;              // mounted as the init process where one is wanted
    const char *etc_dir;                // of the host: NULL = /etc
    const char *allow_bind;             // as in executor_options
    const struct shelf_items *contents; // of the assignment's files; NULL: it has none
};

// Writes config.json and what it mounts.
int bundle_write(const struct bundle_options *options, int64_t *reason, struct arena *arena,
                 struct error *err);

// The signal that asks the task to stop: the spec's, else the image's, else SIGTERM.
int bundle_stop_signal(const struct service_spec *spec, const struct image_config *image);

// Where and how much is logged, from the spec's logging options.
void bundle_log_limits(const struct service_spec *spec, int64_t *out_bytes, int64_t *out_files);

#endif
