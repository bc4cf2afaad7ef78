// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/rootfs.h — the root file system of a task: the image's layers under a writable one of
// its own.
//
// An overlay made with the new mount API, so that neither the number of layers nor the length of their
// names is bounded by a page of mount options; kernels before 6.7 get the same by mount(2) over
// descriptors. The upper directory is thrown away with the task, so the overlay is `volatile`: the kernel
// never syncs it.
//
// What is inside comes from strangers. Every look into it goes through rootfs_open, which cannot leave it.
// All functions may be called from any thread.
#ifndef MUSTER_RECONCILER_AGENT_ROOTFS_H
#define MUSTER_RECONCILER_AGENT_ROOTFS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "specs/schema.h"

struct rootfs_options {
    struct strings layers;    // the lowest first
    const char *upper, *work; // made anew; must not be in use
    const char *target;       // mount point, an existing directory
    bool is_old_kernel;       // use mount(2), for tests
};
// Mounts it, nodev. -ERR_INVALID when /dev, /proc or /sys of the image is not a plain directory: then nothing
// stays mounted.
int rootfs_mount(const struct rootfs_options *options, struct error *err);

// Unmounts what is mounted there, busy or not. Nothing mounted is fine.
int rootfs_unmount(const char *target, struct error *err);

// Opens a path as the container would see it: symlinks, absolute ones too, stay inside; no magic links. -1
// with errno.
int rootfs_open(int root_fd, const char *path, int flags);

// The path inside the root file system to which the longest existing part of `path` leads ("/etc" for
// "/link/new" when link is a symlink to etc). NULL when it cannot be told.
const char *rootfs_resolve(int root_fd, const char *path, struct arena *arena);

#endif
