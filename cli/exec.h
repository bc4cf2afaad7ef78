// SPDX-License-Identifier: Apache-2.0
//
// cli/exec.h — `exec`, which stands at the top level and under `task`.
#ifndef MUSTER_CLI_EXEC_H
#define MUSTER_CLI_EXEC_H

#include "cli/command.h"

struct exec_args {
    bool is_interactive, is_tty, is_privileged;
    struct strings environment;
    const char *user, *working_dir;
};
enum { EXEC_ROWS = 6 };
extern const struct option_row exec_rows[EXEC_ROWS];
#define EXEC_COMMAND                                                                                         \
    .options = exec_rows, .option_count = EXEC_ROWS, .args_bytes = sizeof(struct exec_args), .min = 2,       \
    .max = COMMAND_MANY, .options_first = true

int exec_run(struct invocation *in, struct error *err);

#endif
