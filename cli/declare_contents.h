// SPDX-License-Identifier: Apache-2.0
//
// cli/declare_contents.h — the part of declare.h about secrets and configs: new contents, and the services
// that get them.
//
// Values of secrets do not come back, so whether one is another now only a manager can tell: it is asked
// with a dry run.
#ifndef MUSTER_CLI_DECLARE_CONTENTS_H
#define MUSTER_CLI_DECLARE_CONTENTS_H

#include "base/map.h"
#include "cli/declare.h"

// The declared spec as far as it can be compared with the stored one.
const void *declare_without_contents(enum object_kind kind, const void *before, const void *spec,
                                     struct arena *arena);
// Are there secrets or configs among them that exist already?
bool declare_has_contents(const struct comparisons *comparisons);
// Adds what is new in them, and what that does to services, declared or not. `stored` are objects by
// "kind/name".
int declare_compare_contents(struct client *client, const struct map *stored, struct arena *arena,
                             struct comparisons *comparisons, struct error *err);

#endif
