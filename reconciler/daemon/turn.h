// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/turn.h — one trip round the loop.
#ifndef MUSTER_RECONCILER_DAEMON_TURN_H
#define MUSTER_RECONCILER_DAEMON_TURN_H

#include "reconciler/daemon/daemon.h"

// All phases once. Failure: of the store; the process must end.
int turn_run(struct daemon *daemon, struct error *err);
// How long the loop may wait for events before the next turn: 0 = not at all.
int64_t turn_wait_ms(const struct daemon *daemon);

#endif
