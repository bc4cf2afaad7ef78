// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/unpack_entry.h — a layer's tar becomes files below the root of this process.
#ifndef MUSTER_RECONCILER_AGENT_UNPACK_ENTRY_H
#define MUSTER_RECONCILER_AGENT_UNPACK_ENTRY_H

#include <stdint.h>

#include "base/error.h"

struct unpack_stream;

struct unpack_counts {
    int64_t entries, bytes; // bytes of regular files
};

// Writes what the tar reader gives, inside "/" as it is now; `upper_fd` as of unpack_root_enter. `max` are
// the limits. -ERR_INVALID and -ERR_LIMIT: the layer is hostile or broken; -ERR_NO_SPACE; -ERR_SYSTEM.
int unpack_entries(struct unpack_stream *stream, int upper_fd, const struct unpack_counts *max,
                   struct unpack_counts *out, struct error *err);

#endif
