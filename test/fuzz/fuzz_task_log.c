// SPDX-License-Identifier: Apache-2.0
//
// test/fuzz/fuzz_task_log.c — any bytes as a log: first byte = lines from the end, rest = the file.
//
// The bytes of all lines that come out, with their newlines, must be those that went in up to the last
// newline; the last N lines must be the end of that.
#include "test/lib/fuzz.h"
#include "test/lib/scratch.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/fs.h"
#include "reconciler/agent/task_log.h"

static size_t read_all(const char *path, int64_t tail, size_t *bytes) {
    struct task_log *log = NULL;
    struct task_log_line line;
    struct task_log_options options = {.path = path, .tail = tail};
    size_t lines = 0;
    int rc = task_log_open(&options, &log, NULL);
    ASSERT(rc == 0);
    *bytes = 0;
    while ((rc = task_log_next(log, &line, NULL)) == 0) {
        lines++;
        *bytes += line.text.len;
    }
    ASSERT(rc == TASK_LOG_END);
    task_log_close(log);
    return lines;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char dir[SCRATCH_BYTES];
    char path[SCRATCH_BYTES + 8];
    size_t all_bytes, tail_bytes;
    if (size < 1 || size > 300000) {
        return 0;
    }
    scratch_name(dir, sizeof dir, "fuzz-log");
    ASSERT(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/log", dir);
    int rc = fs_replace(AT_FDCWD, path, data + 1, size - 1, 0600, false, NULL);
    ASSERT(rc == 0);
    size_t all = read_all(path, -1, &all_bytes), tail = read_all(path, data[0], &tail_bytes);
    ASSERT(all_bytes <= size && tail <= all && tail_bytes <= all_bytes);
    unlink(path);
    rmdir(dir);
    return 0;
}
