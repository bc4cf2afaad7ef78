// SPDX-License-Identifier: Apache-2.0
//
// cli/wait.h — waits until services have converged, and shows how that goes.
//
// On a terminal one live block is redrawn in place, with failures kept above it; elsewhere each change is a
// line with its time. All of it goes to stderr. `--detach`, `--timeout`, `--progress` and `-q` of the
// invocation hold.
//
// Outcome      0 converged (or not waited for). -ERR_TIMEOUT: still going. -ERR_STOPPED, -ERR_ROLLED_BACK:
//              with the reason. -ERR_CONFLICT: a service was removed meanwhile. -ERR_INTERRUPTED: Ctrl-C;
//              the words say that the work goes on and how to look again.
#ifndef MUSTER_CLI_WAIT_H
#define MUSTER_CLI_WAIT_H

#include "cli/command.h"
#include "cli/progress.h"
#include "transport/client.h"

struct wait_targets {
    size_t count;
    struct progress_target *items;
};

// The services among the results of an apply: those that were not changed too, for they need not have
// converged.
struct wait_targets wait_targets_of(const struct applied *applied, struct arena *arena);
// `again` is the command that shows the state later ("muster service ps web"). monitor_ns: -1 = as
// progress.h says.
int wait_converged(const struct invocation *in, struct client *client, const struct wait_targets *targets,
                   int64_t monitor_ns, const char *again, struct error *err);

#endif
