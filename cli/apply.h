// SPDX-License-Identifier: Apache-2.0
//
// cli/apply.h — declarations sent and made true: the part that `apply` and `stack deploy` share.
#ifndef MUSTER_CLI_APPLY_H
#define MUSTER_CLI_APPLY_H

#include "cli/declare.h"

struct apply_job {
    struct declare_source source;
    bool dry_run;
    bool prune;         // what the source declared before and does not any more is removed, after the rest
    int64_t monitor_ns; // -1 = as cli/wait.h says
    // Says what became of one object. Not called with -o json.
    void (*tell)(const struct invocation *in, const struct apply_result *result, bool dry_run);
};

// Sends the declarations as one transaction, tells what was done, removes what is to be pruned (guarded), and
// waits until all of it has converged.
int apply_send(const struct invocation *in, const struct apply_job *job, const struct declarations *declared,
               const struct diagnostics *diagnostics, struct client *client, struct error *err);

#endif
