// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/quarantine.h — a store that is damaged or disagrees with its cluster is moved aside whole:
// never served, never deleted. One that is sound and that nobody needs any more is put away for good.
//
// Model        DIR/data.mdb and DIR/lock.mdb go to DIR/quarantine-N/, N counting up from 1, with a file
//              `reason`: what was found, when, and in which format this program writes. What stays is what
//              is not the environment: the lock, the group's card (reconciler/store/group_card.h). The next
//              opening makes an empty store, so whoever calls this must know what to do about that.
// Failure      Killed at any moment, the environment is at its place or in quarantine. A full disk costs the
//              reason, not the move.
#ifndef MUSTER_RECONCILER_STORE_QUARANTINE_H
#define MUSTER_RECONCILER_STORE_QUARANTINE_H

#include "base/error.h"

#define QUARANTINE_NAME_BYTES 32

// Durable on return; the name within `dir` ("quarantine-3"). The store is closed: -ERR_BUSY while a process
// has it, this one too. -ERR_NOT_FOUND when there is no environment. -ERR_NO_SPACE, -ERR_SYSTEM: as before.
int quarantine(const char *dir, const char *reason, char out_name[QUARANTINE_NAME_BYTES], struct error *err);
// Removes the environment: for a node that is no manager any more. Durable on return; failures as above.
int quarantine_discard(const char *dir, struct error *err);

#endif
