// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/shown.h — what of the store clients are shown: not what is sealed, nor contents that
// were before.
#ifndef MUSTER_RECONCILER_DAEMON_SHOWN_H
#define MUSTER_RECONCILER_DAEMON_SHOWN_H

#include "specs/object.h"

// False: not at all. Else the bytes, or others in their place, which lie in the arena.
bool shown_object(enum object_kind kind, struct bytes *bytes, struct arena *arena);
bool shown_event(struct event *event, struct arena *arena); // likewise

#endif
