// SPDX-License-Identifier: Apache-2.0
//
// base/assert.c — the last words of a process whose invariant broke.
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"

void assert_fail(const char *condition, const char *file, int line, const char *function) {
    log_dump_recent(STDERR_FILENO);
    dprintf(STDERR_FILENO, "%s:%d: %s: broken invariant: %s\n", file, line, function, condition);
    abort();
}
