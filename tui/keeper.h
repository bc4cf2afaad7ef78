// SPDX-License-Identifier: Apache-2.0
//
// tui/keeper.h — runs something that takes over the terminal in a child, and gives the terminal back whatever
// happens to the child.
//
// A process that is killed cannot tidy up. The parent keeps the terminal's settings, waits, restores them,
// leaves full-screen mode with a fixed string, says why the child ended, and prints what it wrote to stderr
// meanwhile. A parent that is killed takes the child with it: it gets SIGTERM and leaves in good order.
#ifndef MUSTER_TUI_KEEPER_H
#define MUSTER_TUI_KEEPER_H

#include "base/error.h"

typedef int (*keeper_body_fn)(void *context, struct error *err);

// The body's result and error. -ERR_INTERNAL when a signal ended the child. `tty_fd` is the terminal;
// `restore` are the bytes that bring it back. Call it before the process has threads.
int keeper_run(int tty_fd, const char *restore, keeper_body_fn body, void *context, struct error *err);

#endif
