// SPDX-License-Identifier: Apache-2.0
//
// cli/complete.h — what may stand next on a command line, for the shells' completion.
//
// The scripts for bash, zsh and fish are thin: each asks `muster complete-words -- WORD…` and gets lines of
// "candidate<TAB>description". So there is one completion, made from the rows, and the scripts never age.
#ifndef MUSTER_CLI_COMPLETE_H
#define MUSTER_CLI_COMPLETE_H

#include "cli/command.h"

// Appends lines for what the cluster holds (services, nodes…); `kind_word` is the word before, for
// NAMES_TASK and objects of NAMES_KIND. Does nothing when no daemon answers at once.
typedef void (*complete_names_fn)(void *context, enum option_names names, const char *kind_word,
                                  struct buf *out);

// Candidates for the last of `words` (what follows "muster"; the last one may be empty). A first line
// ":files" asks the shell to complete paths itself.
void complete_words(const struct command_table *table, char *const *words, size_t count,
                    complete_names_fn names, void *context, struct buf *out);
// The script for a shell (bash, zsh, fish); NULL for another one.
const char *complete_script(const char *shell);

#endif
