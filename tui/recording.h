// SPDX-License-Identifier: Apache-2.0
//
// tui/recording.h — the watch stream written down, so that what was on a screen can be shown again.
//
// FORMAT The line "muster-replay 1\n"; then, for each batch as it came: its length in bytes (4 bytes, least
//              significant first), and the event_batch in its binary form. A recording may end anywhere: a
//              batch that is not whole is the end.
#ifndef MUSTER_TUI_RECORDING_H
#define MUSTER_TUI_RECORDING_H

#include "base/buf.h"
#include "base/error.h"

#define RECORDING_BYTES_MAX ((size_t)256 * 1024 * 1024)

// The descriptor of a new file with the first line written, or -ERR_x.
int recording_create(const char *path, struct error *err);
int recording_append(int fd, struct bytes batch, struct error *err);

// Reads a recording whole. `out` is its batches, for recording_next.
int recording_read(const char *path, struct buf *out, struct error *err);
// Checks the first line and steps over it. -ERR_INVALID when this is not a recording.
int recording_begin(struct bytes *rest, struct error *err);
// The next batch, still encoded; false at the end.
bool recording_next(struct bytes *rest, struct bytes *batch);

#endif
