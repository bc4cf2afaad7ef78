// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/capabilities.h — which capabilities a container gets: Docker's, less the ones that reach
// too far, with the spec's additions and removals.
#ifndef MUSTER_RECONCILER_AGENT_CAPABILITIES_H
#define MUSTER_RECONCILER_AGENT_CAPABILITIES_H

#include <stdint.h>

#include "specs/service.h"

// Bit N is capability number N (linux/capability.h).
extern const uint64_t capabilities_default;

// Docker's rules: the default less what is dropped, with what is added; ALL added means everything
// `available`
// (what the daemon itself may pass on) less what is dropped; ALL dropped means only what is added. Those that
// were added by name and are not available are left out, and told in `missing`.
uint64_t capabilities_of(const struct service_spec *spec, uint64_t available, uint64_t *missing);

// The bounding set of this process.
uint64_t capabilities_available(void);

#endif
