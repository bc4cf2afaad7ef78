// SPDX-License-Identifier: Apache-2.0
//
// specs/task_template.h — placeholders in a service's spec, filled in for each task: `data-{{.Task.Slot}}`.
//
// Swarm's words, in Swarm's places: hostname, values of the environment, source and target of mounts.
// Checked where a spec is declared, filled in where a task is prepared.
#ifndef MUSTER_SPECS_TASK_TEMPLATE_H
#define MUSTER_SPECS_TASK_TEMPLATE_H

#include "specs/assignment.h"

struct task_template_node {
    const char *architecture, *os; // of the node, "x86_64", "linux"
};

// Whether all placeholders of the text are ones that can be filled in. The error's root names the one that
// cannot.
int task_template_check(const char *text, struct error *err);
bool task_template_is(const char *text); // it has any
// The text with the placeholders of a checked text replaced by x: for rules about what a name may hold.
const char *task_template_blank(const char *text, struct arena *arena);

// The assignment's spec with everything filled in: copies what changes into the arena. -ERR_INVALID as above.
int task_template_fill(struct assignment *assignment, const struct task_template_node *node,
                       struct arena *arena, struct error *err);

#endif
