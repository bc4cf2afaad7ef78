// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/shim_options.h — the command line of muster-shim, checked.
#ifndef MUSTER_RECONCILER_AGENT_SHIM_OPTIONS_H
#define MUSTER_RECONCILER_AGENT_SHIM_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum { SHIM_OPTIONS_PATH_BYTES_MAX = 1000, SHIM_OPTIONS_ID_BYTES_MAX = 128 };

struct shim_options {
    const char *id;
    const char *bundle, *dir, *log; // absolute, shorter than SHIM_OPTIONS_PATH_BYTES_MAX
    const char *runc, *runc_root;   // the same; NULL for a plain process
    const char *memory_events;      // the same, or NULL
    bool is_process;
    uint64_t log_max_bytes, log_files, timeout_ms; // > 0
};

// Reads argv, which it borrows. Ends the process with status 2 and a line on stderr when something is wrong.
void shim_options_parse(struct shim_options *options, char **argv);

#endif
