// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/shim_init.h — muster-shim as the first process inside a container (`init: true`).
//
// Many programs do not reap children they never started, and as first process of a pid namespace ignore
// signals they have no handler for. `muster-shim --init COMMAND…` takes that place: it starts the command,
// hands on every signal, reaps orphans, and ends as the command ended (128 + signal when a signal did it).
// 126 and 127 say that the command could not be executed, or was not found.
#ifndef MUSTER_RECONCILER_AGENT_SHIM_INIT_H
#define MUSTER_RECONCILER_AGENT_SHIM_INIT_H

_Noreturn void shim_init(char **command);

#endif
