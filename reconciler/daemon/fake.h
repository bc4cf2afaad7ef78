// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/fake.h — the fake executor on the wall clock: `musterd --executor fake`, for tests and
// for looking at large clusters without running anything.
//
// Its tasks live in the daemon and end with it. An image named `exits` ends with status 1 after some
// seconds, `completes` with 0, `missing` is refused; any other runs until it is stopped.
#ifndef MUSTER_RECONCILER_DAEMON_FAKE_H
#define MUSTER_RECONCILER_DAEMON_FAKE_H

#include "reconciler/agent/executor.h"

int executor_fake_on_loop_new(const struct executor_options *options, struct executor **out,
                              struct error *err);

#endif
