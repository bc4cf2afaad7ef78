// SPDX-License-Identifier: Apache-2.0
//
// base/log.h — the structured log of the daemons: one event name, typed pairs, one line.
//
//     log_event(LOG_INFO, "task.state", LOG_STR("task", id), LOG_STR("to", "running"), LOG_INT("pid", pid));
//     2026-01-31T12:00:00.123Z info task.state task=3x9… to=running pid=4711
//
// logfmt by default, JSON by flag; control bytes are escaped; a repeating event is limited to LOG_BURST
// lines a second and the swallowed ones are counted in the next line. Pure code does not log: it returns
// reasons. Writing never blocks the caller for longer than one write(2); a full pipe drops the line and
// counts it.
#ifndef MUSTER_BASE_LOG_H
#define MUSTER_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_kind { LOG_KIND_END, LOG_KIND_STR, LOG_KIND_INT, LOG_KIND_BOOL };

struct log_pair {
    const char *key;
    enum log_kind kind;
    const char *text;
    int64_t number;
};

#define LOG_STR(k, v) ((struct log_pair){.key = (k), .kind = LOG_KIND_STR, .text = (v)})
#define LOG_INT(k, v) ((struct log_pair){.key = (k), .kind = LOG_KIND_INT, .number = (int64_t)(v)})
#define LOG_BOOL(k, v) ((struct log_pair){.key = (k), .kind = LOG_KIND_BOOL, .number = (v)})

#define LOG_NONE ((struct log_pair){.kind = LOG_KIND_END}) // for an event without pairs

#define log_event(level, event, ...)                                                                         \
    log_write((level), (event), (const struct log_pair[]){__VA_ARGS__, {.kind = LOG_KIND_END}})

// An event with the chain of an error as its `error` pair.
#define log_failure(level, event, err, ...)                                                                  \
    log_write_failure((level), (event), (err), (const struct log_pair[]){__VA_ARGS__, {.kind = LOG_KIND_END}})

struct log_options {
    enum log_level level; // what is less urgent is not written
    bool json;
    int fd; // where lines go; 2 by default
};

void log_configure(const struct log_options *options);
bool log_parse_level(const char *text, enum log_level *out);
void log_write(enum log_level level, const char *event, const struct log_pair *pairs);
void log_write_failure(enum log_level level, const char *event, const struct error *err,
                       const struct log_pair *pairs);

// The last 64 lines, oldest first, for assert_fail and `debug`. Appends to fd.
void log_dump_recent(int fd);

#endif
