// SPDX-License-Identifier: Apache-2.0
//
// cli/builtin.h — the table of all commands.
#ifndef MUSTER_CLI_BUILTIN_H
#define MUSTER_CLI_BUILTIN_H

#include "cli/command.h"

// The groups of cli/commands.def, and `extra` (may be NULL; from main) after them. Called once, first.
const struct command_table *builtin_table(const struct command_group *extra);

#endif
