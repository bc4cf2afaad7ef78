// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/task_log.h — reads the log files that muster-shim writes (CRI format, rotated),
// forwards, with tail, since, until and follow.
#ifndef MUSTER_RECONCILER_AGENT_TASK_LOG_H
#define MUSTER_RECONCILER_AGENT_TASK_LOG_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

struct task_log;

struct task_log_options {
    const char *path;                     // FILE; FILE.1, FILE.2… are older
    int64_t tail;                         // lines from the end; -1 = all
    int64_t since_unix_ns, until_unix_ns; // 0 = no bound
};
struct task_log_line {
    int64_t time_unix_ns;
    bool is_stderr;
    bool is_partial;   // no newline: the next line of the same stream goes on with it, if one comes
    struct bytes text; // borrowed until the next call
};
enum { TASK_LOG_END = 1 }; // nothing more now; with follow, call again when the file has grown or rotated

// An absent file is an empty log. What is not a record is a line of stdout with the time of the line before
// it. The lines that `tail` counts are those not later than `until`.
int task_log_open(const struct task_log_options *options, struct task_log **out, struct error *err);
int task_log_next(struct task_log *log, struct task_log_line *out, struct error *err);
void task_log_close(struct task_log *log);

#endif
