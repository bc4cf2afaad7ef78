// SPDX-License-Identifier: Apache-2.0
//
// cli/columns.h — what lists of services, tasks and nodes show: Docker's columns, words and filters.
//
// A row is an object joined with what its cells need (names instead of ids, counts of tasks). The builders
// join, and sort in natural order of names; within a slot the newest task comes first.
#ifndef MUSTER_CLI_COLUMNS_H
#define MUSTER_CLI_COLUMNS_H

#include "cli/output.h"
#include "specs/node.h"
#include "specs/service.h"
#include "specs/task.h"
#include "transport/client.h"

struct service_row {
    const struct service *service;
    int64_t running, desired; // tasks
    int64_t completed;        // of jobs, this run
};
struct task_row {
    const struct task *task;
    const char *service_name; // the service's id when the service is gone
    const char *name;         // "web.3"
    const char *image;
    const char *node_name;           // "" = none yet
    const struct service_spec *spec; // of the revision it runs; NULL when unknown
    bool is_older;                   // not the newest of its slot
};
struct node_row {
    const struct node *node;
    bool is_self;
};

extern const struct listing columns_services, columns_tasks, columns_nodes;

// All lists are borrowed; NULL = not there. `revisions` gives the images of tasks that do not run the
// newest spec.
struct columns_source {
    const struct object_list *services, *tasks, *nodes, *revisions;
    struct id self; // node the daemon runs on
};
struct rows columns_service_rows(const struct columns_source *source, struct arena *arena);
struct rows columns_task_rows(const struct columns_source *source, struct arena *arena);
struct rows columns_node_rows(const struct columns_source *source, struct arena *arena);

// Fetches what the rows of these kinds need and joins. `services` narrows tasks to those of one service;
// NULL = all.
int columns_fetch_services(struct client *client, const struct strings *references, struct arena *arena,
                           struct rows *out, struct error *err);
int columns_fetch_tasks(struct client *client, const struct strings *services, const struct id *node,
                        struct arena *arena, struct rows *out, struct error *err);
int columns_fetch_nodes(struct client *client, const struct strings *references, struct arena *arena,
                        struct rows *out, struct error *err);

// "*:8080->80/tcp, *:90-92->90-92/udp": published ports of one mode, neighbours folded into ranges.
void columns_ports(const struct service_spec *spec, enum publish_mode mode, struct buf *out);
// "5 minutes ago"
void columns_ago(int64_t unix_ms, int64_t now_unix_ms, struct buf *out);

#endif
