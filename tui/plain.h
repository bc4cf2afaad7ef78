// SPDX-License-Identifier: Apache-2.0
//
// tui/plain.h — the same tables without a terminal: printed once, as wide as they are.
#ifndef MUSTER_TUI_PLAIN_H
#define MUSTER_TUI_PLAIN_H

#include "tui/view.h"

// Nodes, services and tasks, each with all its columns.
void plain_tables(struct model *model, const struct view_env *env, struct buf *out);

#endif
