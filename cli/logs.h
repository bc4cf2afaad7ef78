// SPDX-License-Identifier: Apache-2.0
//
// cli/logs.h — `logs`, `service logs`, `task logs`: the lines of tasks, each with who wrote it.
#ifndef MUSTER_CLI_LOGS_H
#define MUSTER_CLI_LOGS_H

#include "cli/command.h"
#include "transport/messages.h"

struct logs_args {
    bool follow, timestamps, no_task_ids, raw, details, no_resolve;
    const char *tail, *since, *until;
};
enum { LOGS_ROWS = 9 };
extern const struct option_row logs_rows[LOGS_ROWS];

// All that commands of this sort have in common.
#define LOGS_COMMAND                                                                                         \
    .options = logs_rows, .option_count = LOGS_ROWS, .args_bytes = sizeof(struct logs_args),                 \
    .shared = SHARED_TRUNC, .min = 1, .max = 1

int logs_run(struct invocation *in, struct error *err);

// "10m" (ago), RFC 3339, "2026-01-31", or Unix seconds, as nanoseconds. -ERR_USAGE.
int logs_parse_time(const char *text, int64_t now_unix_ns, int64_t *out_unix_ns, struct error *err);
// "all" = -1. -ERR_USAGE.
int logs_parse_tail(const char *text, int64_t *out, struct error *err);

// Who wrote a line, for its prefix.
struct logs_source {
    struct id task;
    const char *name; // "web.1", of a global service "web.<node id>"
    const char *node_name;
};
struct logs_sources {
    size_t count;
    struct logs_source *items;
    size_t widest; // prefix
};
struct logs_style {
    bool full_ids;
    bool is_safe; // for a terminal
    bool color;   // the prefix, by its task
};
// Sorts them, and measures their prefixes.
void logs_sources_settle(struct logs_sources *sources, const struct logs_args *args, bool full_ids);
// Appends one line as it is printed, with its line end. A task that is not among the sources is shown by
// its id.
void logs_line(const struct log_line *line, const struct logs_sources *sources, const struct logs_args *args,
               const struct logs_style *style, struct buf *out);

#endif
