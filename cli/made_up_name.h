// SPDX-License-Identifier: Apache-2.0
//
// cli/made_up_name.h — a name for a service that was given none: "quiet_hopper".
#ifndef MUSTER_CLI_MADE_UP_NAME_H
#define MUSTER_CLI_MADE_UP_NAME_H

#include "base/arena.h"
#include "base/prng.h"

const char *made_up_name(struct prng *prng, struct arena *arena);

#endif
