// SPDX-License-Identifier: Apache-2.0
//
// specs/assignment.h — what a node should hold: a task with everything needed to run it. The agent's input.
#ifndef MUSTER_SPECS_ASSIGNMENT_H
#define MUSTER_SPECS_ASSIGNMENT_H

#include "specs/service.h"
#include "specs/task.h"

// One secret or config of the task: which content. The bytes are not here: they travel beside, are held in
// memory, and never become part of anything that is kept.
struct assigned_file {
    int64_t kind;     // KIND_SECRET, KIND_CONFIG
    const char *name; // as the spec says
    struct id content;
    bool is_missing;     // there is no such object
    const char *trouble; // why the manager cannot give it; "" = it can
    struct bytes unknown;
};
struct assigned_content { // the bytes
    struct id id;
    struct bytes data;
    struct bytes unknown;
};
struct assignment {
    struct task task;
    struct service_spec spec; // at task.revision
    const char *service_name;
    const char *node_hostname;
    struct strings insecure_registries;
    LIST_OF(struct assigned_file) files; // what the spec's secrets and configs stand for
    struct bytes unknown;
};
extern const struct schema assignment_schema, assigned_file_schema, assigned_content_schema;
const struct assigned_file *assignment_file(const struct assignment *assignment, int64_t kind,
                                            const char *name); // NULL = none

// What an agent reports: the status of one task.
struct task_report {
    struct id task_id;
    struct task_status status;
    struct bytes unknown;
};
extern const struct schema task_report_schema;

#endif
