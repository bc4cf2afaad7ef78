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

// The request that declares all of it.
void apply_make_request(const struct invocation *in, const struct declare_source *source,
                        const struct declarations *declared, bool dry_run, struct apply_request *out);
// Each object that differs, and its fields with their consequences; then how many there are.
void apply_diff_text(const struct comparisons *comparisons, bool color, struct buf *out);
// The files of a command: those of -f, and its arguments. -ERR_USAGE when there are none.
int apply_want_files(const struct invocation *in, struct declare_source *source, struct error *err);

// -f, --set, --stack, --profile: of commands that read files.
#define SOURCE_OPTIONS(type)                                                                                 \
    OPT_LIST(type, source.files, "file", 'f', .metavar = "PATH", .names = NAMES_FILE,                        \
             .help = "Spec file, directory of them, or - for standard input; again for more"),               \
        OPT_STRING(type, source.set, "set", '\0', .metavar = "NAME",                                         \
                   .help = "Set that declares these objects (default: the stack, file or directory)"),       \
        OPT_STRING(type, source.stack, "stack", '\0', .metavar = "NAME",                                     \
                   .help = "Name of the stack that a Compose file becomes"),                                 \
        OPT_LIST(type, source.profiles, "profile", '\0', .metavar = "NAME",                                  \
                 .help = "Profile to take in; again for more")

// Sends the declarations as one transaction, tells what was done, removes what is to be pruned (guarded), and
// waits until all of it has converged.
int apply_send(const struct invocation *in, const struct apply_job *job, const struct declarations *declared,
               const struct diagnostics *diagnostics, struct client *client, struct error *err);

#endif
