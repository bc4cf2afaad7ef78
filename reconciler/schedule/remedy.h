// SPDX-License-Identifier: Apache-2.0
//
// reconciler/schedule/remedy.h — "would run if": the least that would have to be otherwise for a task to find
// a node.
//
// Model        For each node the rules that it breaks are listed. The nodes that break the fewest are the
//              nearest: what each of them would have to have more, or be, is one remedy; nodes that would need
//              the same are one remedy together. Where a single rule is in the way, what the service would
//              have to ask less is one as well. Each is tried on a copy of the node, or of the demand, with the
//              scheduler's own filters, before it is given: what is said here is true.
#ifndef MUSTER_RECONCILER_SCHEDULE_REMEDY_H
#define MUSTER_RECONCILER_SCHEDULE_REMEDY_H

#include "reconciler/schedule/filter.h"

#define REMEDIES_MAX 8

// For a task of this demand among the rooms. None when a room passes, or nothing can help.
void remedies_find(const struct demand *demand, const struct room *rooms, size_t count, struct arena *arena,
                   struct remedies *out);

#endif
