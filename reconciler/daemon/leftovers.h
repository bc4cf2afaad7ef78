// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/leftovers.h — contents of secrets and configs that came before, and that nobody names
// any more: the leader removes them, within minutes.
#ifndef MUSTER_RECONCILER_DAEMON_LEFTOVERS_H
#define MUSTER_RECONCILER_DAEMON_LEFTOVERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct daemon;

struct leftovers { // of a daemon; zeroed
    int64_t due_mono_ms;
    int64_t looked_revision; // of the store
    bool is_proposed;
};

int leftovers_step(struct daemon *daemon, struct error *err); // failure: of the store

#endif
