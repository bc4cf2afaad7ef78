// SPDX-License-Identifier: Apache-2.0
//
// cli/task_list.h — the one table of tasks behind `service ps`, `node ps` and `ps`.
#ifndef MUSTER_CLI_TASK_LIST_H
#define MUSTER_CLI_TASK_LIST_H

#include "cli/columns.h"

// Ids in the place of the names of services and nodes (--no-resolve).
void task_list_unresolve(struct rows *rows, struct arena *arena);
// Objects of a kind that the arguments name, one call each: what is not there is complained about, and *out
// holds the others. Returns the last failure.
int task_list_resolve(const struct invocation *in, struct client *client, enum object_kind kind,
                      const struct option_arguments *references, struct object_list *out, struct error *err);
// "self" is the node of the daemon.
const char *task_list_node(struct client *client, const char *reference);
// Tasks of all these services, or on all these nodes, as a table by the options of the invocation.
int task_list_print(const struct invocation *in, struct client *client, const struct object_list *services,
                    const struct object_list *nodes, bool no_resolve, struct error *err);

#endif
