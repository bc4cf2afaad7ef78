// SPDX-License-Identifier: Apache-2.0
//
// cli/quorum.h — how many managers there are, and how many of them may fail.
#ifndef MUSTER_CLI_QUORUM_H
#define MUSTER_CLI_QUORUM_H

#include "cli/connect.h"

// After the managers have become more or fewer: warns of an even number of them, on standard error. What it
// cannot find out it does not tell, for the command is done.
void quorum_warn(struct client *client, struct arena *arena);

#endif
