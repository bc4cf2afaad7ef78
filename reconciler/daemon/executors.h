// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/executors.h — the executor that --executor names, made.
#ifndef MUSTER_RECONCILER_DAEMON_EXECUTORS_H
#define MUSTER_RECONCILER_DAEMON_EXECUTORS_H

#include "reconciler/daemon/daemon.h"

int executors_open(struct daemon *daemon, struct executor **out, struct error *err);

#endif
