// SPDX-License-Identifier: Apache-2.0
//
// reconciler/plan/fit.h — may a task of this spec be on that node: its constraints and platform, parsed once.
//
// Here are the lasting properties of a node, which the enforcer and global services watch too. What comes and
// goes with its load is the scheduler's business (reconciler/schedule/filter.h).
#ifndef MUSTER_RECONCILER_PLAN_FIT_H
#define MUSTER_RECONCILER_PLAN_FIT_H

#include "specs/constraint.h"

struct fit {
    LIST_OF(struct constraint) constraints;
    const char *platform_os, *platform_arch; // "" = any
};

// Reads the rules of a spec; the strings are in the arena. A constraint that cannot be read (of a newer
// version, say) matches no node, so that its tasks stay pending rather than run anywhere.
void fit_init(struct fit *fit, const struct service_spec *spec, struct arena *arena);
bool fit_platform(const struct fit *fit, const struct node *node);
bool fit_node(const struct fit *fit, const struct node *node); // all of it

#endif
