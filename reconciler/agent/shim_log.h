// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/shim_log.h — writes what a container prints: stamped, line by line, rotated, bounded.
//
// Format       The CRI's: `2026-01-31T12:00:00.123456789Z stdout F text\n`. Time is UTC, always with nine
//              digits; lines that came in one read share it. The tag is F for a full line, P for a piece
//              that the next record of the same stream goes on with: a line of more than
//              SHIM_LOG_PIECE_BYTES is cut, and so is a last line that no newline ended.
// Rotation     FILE.1 is older than FILE, FILE.2 older than FILE.1. A file exceeds its limit by a single
//              record or by a notice at most. The new file is open before any old one is renamed or
//              replaced.
// Failure      The container never waits for a disk that is full or broken: records that cannot be written
//              are dropped whole and counted, and the next that can be is preceded by `… stderr F [muster:
//              7 lines lost: No space left on device]`.
#ifndef MUSTER_RECONCILER_AGENT_SHIM_LOG_H
#define MUSTER_RECONCILER_AGENT_SHIM_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SHIM_LOG_PIECE_BYTES = 16 * 1024,
    SHIM_LOG_READ_BYTES = 24 * 1024, // a piece that waits for its newline, and half as much again
    SHIM_LOG_WRITE_BYTES = 32 * 1024,
    SHIM_LOG_PATH_MAX = 1024,
};

struct shim_log_stream {
    int fd;           // read end of the pipe, not blocking; -1 after its end. Owned
    const char *name; // "stdout" or "stderr"
    size_t len;       // bytes of an unfinished line
    char data[SHIM_LOG_READ_BYTES];
};

struct shim_log {
    const char *path; // borrowed, shorter than SHIM_LOG_PATH_MAX
    uint64_t max_bytes;
    unsigned files; // >= 2
    int fd;         // -1: not open (yet)
    uint64_t size;
    uint64_t lost_lines, lost_lines_total; // not yet told in the log; ever
    int lost_errno;
    uint64_t stamp_s; // of the second that `stamp` shows
    char stamp[32];
    size_t out_len;
    char out[SHIM_LOG_WRITE_BYTES];
};

// One file alone would lose the newest lines at each rotation: it is taken as two of half the size.
void shim_log_init(struct shim_log *log, const char *path, uint64_t max_bytes, unsigned files);

// Reads once from the stream and writes the lines that are complete. Returns false when there was nothing
// to read; at its end the stream is closed.
bool shim_log_take(struct shim_log *log, struct shim_log_stream *stream);

// Writes what is left of an unfinished line, and closes the stream.
void shim_log_end(struct shim_log *log, struct shim_log_stream *stream);

// Tells of lost lines if that is possible now, and syncs the file.
void shim_log_finish(struct shim_log *log);

#endif
