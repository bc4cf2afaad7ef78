// SPDX-License-Identifier: Apache-2.0
//
// cli/declare.h — spec files read for a command, and compared with what the cluster holds.
#ifndef MUSTER_CLI_DECLARE_H
#define MUSTER_CLI_DECLARE_H

#include "cli/command.h"
#include "specs/manifest.h"
#include "transport/client.h"

// What a command was told about its files.
struct declare_source {
    struct strings files;    // -f, at least one
    const char *set;         // --set; NULL = derived
    const char *stack;       // --stack; NULL = derived
    struct strings profiles; // --profile
    bool is_stack;           // the files are layers of one Compose file
};

// Reads the files. All mistakes go to stderr with their places (as one JSON object with -o json), warnings
// too. With mistakes: -ERR_INVALID, "3 errors in the files, nothing was sent".
int declare_read(const struct invocation *in, const struct declare_source *source, struct declarations *out,
                 struct diagnostics *diagnostics, struct error *err);
// The files as one Compose file (specs/manifest.h), printed as declare_read prints.
int declare_config(const struct invocation *in, const struct declare_source *source, bool keeps_variables,
                   struct buf *out, struct error *err);
// Who declares what the files hold: the stack's name, the set given, or the name of the file or directory.
// "" for standard input, which leaves things with the owner they have.
const char *declare_owner(const struct declare_source *source, const struct declaration *declaration,
                          struct arena *arena);

enum declare_action { DECLARE_SAME, DECLARE_NEW, DECLARE_CHANGED, DECLARE_REMOVED };
struct comparison {
    enum declare_action action;
    enum object_kind kind;
    const char *name;
    const struct declaration *declaration; // NULL for what is removed
    const void *object;                    // as it is; NULL for what is new
    struct differences differences;
};
struct comparisons {
    size_t count;
    struct comparison *items;
};

// The declarations against the cluster, in their order; with `prune` also what their owners declared before
// and do not any more.
int declare_compare(struct client *client, const struct declare_source *source,
                    const struct declarations *declared, bool prune, struct arena *arena,
                    struct comparisons *out, struct error *err);
// Refuses (-ERR_GUARD) to remove more than a fifth of the owners' objects, or five when that is more,
// without `yes`.
int declare_guard(const struct comparisons *comparisons, bool yes, struct error *err);

#endif
