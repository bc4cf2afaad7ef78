// SPDX-License-Identifier: Apache-2.0
//
// reconciler/dispatch/assign.h — what a node should hold: the complete set once, then what changed.
//
// Model        What a node holds is said in source.h. Increments are read from the history after the last
//              position; when that was trimmed meanwhile, the set is complete again.
// Secrets      What a step yields of them is to be overwritten by assign_step_wipe, before the arena goes.
// Ownership    What a step yields is in the arena given and borrows from the read.
#ifndef MUSTER_RECONCILER_DISPATCH_ASSIGN_H
#define MUSTER_RECONCILER_DISPATCH_ASSIGN_H

#include "reconciler/dispatch/source_vault.h"
#include "reconciler/store/store.h"
#include "specs/assignment.h"

// Zero-initialised but for node_id and vault: the next step is complete.
struct assign {
    struct id node_id;
    struct source_vault vault;
    struct store_position position;
    bool is_started;
};

struct assign_step {
    bool is_complete; // `changed` is all there is; else increments
    LIST_OF(struct assignment) changed;
    LIST_OF(struct id) removed;
    LIST_OF(struct assigned_content) contents; // that `changed` names
};

// Everything between the last step and this read. A task whose spec is not in the store (it cannot run) is
// left out and told in `*out_without_spec`, which may be NULL.
int assign_next(struct assign *assign, struct store_read *read, struct arena *arena, struct assign_step *out,
                size_t *out_without_spec, struct error *err);

void assign_step_wipe(struct assign_step *step);

#endif
