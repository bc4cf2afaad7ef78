// SPDX-License-Identifier: Apache-2.0
//
// cli/help.h — pages for people, made from the rows of commands: help, man pages, the list of all commands.
#ifndef MUSTER_CLI_HELP_H
#define MUSTER_CLI_HELP_H

#include "cli/command.h"

// The page of a command, of a noun (`command` NULL), or of the whole program (both NULL); 80 columns.
void help_page(const struct command_table *table, const struct command_group *group,
               const struct command *command, struct buf *out);
// The same as a page for man(1), section 1.
void help_man(const struct command_table *table, const struct command_group *group,
              const struct command *command, struct buf *out);
// Every command with its options, one line each, tab-separated: for scripts and tests.
void help_dump(const struct command_table *table, struct buf *out);

#endif
