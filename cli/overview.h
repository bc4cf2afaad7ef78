// SPDX-License-Identifier: Apache-2.0
//
// cli/overview.h — services with a word for their state and what is in the way, for `muster ls`.
#ifndef MUSTER_CLI_OVERVIEW_H
#define MUSTER_CLI_OVERVIEW_H

#include "cli/columns.h"

struct overview_row {
    struct service_row row;
    const char *state;  // running, starting, updating, waiting, failing, paused, removing, stopped
    const char *detail; // "web.2: task: non-zero exit (1)", "" = nothing to say
};
extern const struct listing overview_services;

// Joins services with their tasks.
struct rows overview_rows(const struct columns_source *source, struct arena *arena);
int overview_fetch(struct client *client, struct arena *arena, struct rows *out, struct error *err);

#endif
