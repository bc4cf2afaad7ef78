// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/unpack_root.h — the place where a layer is unpacked: the layers below it and a new upper
// directory seen as one tree, with nothing else in sight and few rights.
#ifndef MUSTER_RECONCILER_AGENT_UNPACK_ROOT_H
#define MUSTER_RECONCILER_AGENT_UNPACK_ROOT_H

#include <stddef.h>

#include "base/error.h"

struct unpack_root {
    const char *work_dir;      // absolute; made anew
    const char *const *lowers; // absolute directories, the lowest first
    size_t lower_count;
};

// Makes the work directory with an empty `upper`, which looks like the topmost layer's root. What an earlier
// try left there goes first.
int unpack_root_make(const struct unpack_root *root, struct error *err);
// Moves this process into the tree: own mounts, the root of it, no other file in reach but what is open;
// only the capabilities that unpacking wants. `out_upper_fd` is the upper directory by itself (-1 for the
// first layer), from which no way leads out either.
int unpack_root_enter(const struct unpack_root *root, int *out_upper_fd, struct error *err);

#endif
