// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/shim_file.h — small files that appear whole or not at all.
//
// All functions return -1 with errno set on failure. `dir` is a descriptor of the task's directory, or
// AT_FDCWD with an absolute name.
#ifndef MUSTER_RECONCILER_AGENT_SHIM_FILE_H
#define MUSTER_RECONCILER_AGENT_SHIM_FILE_H

#include <stddef.h>
#include <sys/types.h>

#include "reconciler/agent/shim_text.h"

enum { SHIM_FILE_OUTCOME_BYTES_MAX = 4096 };

// Reads at most `cap` - 1 bytes and puts a NUL behind them. Returns their number.
ssize_t shim_file_read(int dir, const char *name, char *out, size_t cap);

// Writes NAME.tmp and renames it. A crash of the machine may lose it.
int shim_file_put(int dir, const char *name, const struct shim_text *text);

// Takes the disk space that shim_file_settle will need: how a task ended must be kept even on a disk that
// became full.
int shim_file_reserve(int dir);

// Writes the task's outcome, at most SHIM_FILE_OUTCOME_BYTES_MAX, into the reserved space and renames it to
// `name`. Done once; on disk when it returns 0.
int shim_file_settle(int dir, const char *name, const struct shim_text *text);

#endif
