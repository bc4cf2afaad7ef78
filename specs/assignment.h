// SPDX-License-Identifier: Apache-2.0
//
// specs/assignment.h — what a node should hold: a task with everything needed to run it. The agent's input.
#ifndef MUSTER_SPECS_ASSIGNMENT_H
#define MUSTER_SPECS_ASSIGNMENT_H

#include "specs/service.h"
#include "specs/task.h"

struct assignment {
    struct task task;
    struct service_spec spec;  // at task.revision
    const char *service_name;
    const char *node_hostname;
    struct strings insecure_registries;
    struct bytes unknown;
};
extern const struct schema assignment_schema;

// What an agent reports: the status of one task.
struct task_report {
    struct id task_id;
    struct task_status status;
    struct bytes unknown;
};
extern const struct schema task_report_schema;

#endif
