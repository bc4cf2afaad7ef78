// SPDX-License-Identifier: Apache-2.0
//
// cli/raw_terminal.h — the terminal that a command in a container is typed into: raw while it runs, as it was
// afterwards, whatever ends us.
//
// One at a time. SIGTERM, SIGHUP, SIGINT, SIGQUIT and the signals of a crash put it back before they end the
// process as they would have; SIGKILL alone does not.
#ifndef MUSTER_CLI_RAW_TERMINAL_H
#define MUSTER_CLI_RAW_TERMINAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

int raw_terminal_enter(int fd, struct error *err);
void raw_terminal_leave(void); // does nothing when none was entered
// False when it cannot be told.
bool raw_terminal_size(int fd, int64_t *out_rows, int64_t *out_columns);
// A descriptor that is readable when the size has changed; read it with raw_terminal_take_change. -1: none. To
// be called before other threads start: one that does not hold the signal back loses it.
int raw_terminal_watch_size(void);
void raw_terminal_take_change(int fd);

#endif
