// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/shim_detach.h — cuts the shim off from the daemon that started it.
#ifndef MUSTER_RECONCILER_AGENT_SHIM_DETACH_H
#define MUSTER_RECONCILER_AGENT_SHIM_DETACH_H

#include <stddef.h>

// Own session, no descriptors but /dev/null at 0 to 2, deaf to signals that ask to end, adopter of orphans,
// and spared by the OOM killer as far as that is allowed. Writes the OOM score from before, as text, to
// `oom_score_adj`.
void shim_detach(char *oom_score_adj, size_t cap);

#endif
