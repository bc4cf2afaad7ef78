// SPDX-License-Identifier: Apache-2.0
//
// base/log.c — lines built on the stack, one write(2) each, the last ones kept in a ring.
//
// The only static mutable data of the tree lives here: a log has no owner to be passed down from. One lock guards it.
#include "base/log.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/str.h"

#define LINE_BYTES 2048
#define RECENT_LINES 64
#define LOG_BURST 50 // lines of one event in a second
#define LIMITED_EVENTS 32

static const char *const level_names[] = {"error", "warn", "info", "debug"};

static struct {
    pthread_mutex_t lock;
    struct log_options options;
    char recent[RECENT_LINES][256];
    unsigned recent_next;
    struct {
        char event[40];
        int64_t second;
        int count, swallowed;
    } limits[LIMITED_EVENTS];
    int dropped; // lines a full pipe refused
} logger = {.lock = PTHREAD_MUTEX_INITIALIZER, .options = {.level = LOG_INFO, .fd = STDERR_FILENO}};

void log_configure(const struct log_options *options) {
    pthread_mutex_lock(&logger.lock);
    logger.options = *options;
    pthread_mutex_unlock(&logger.lock);
}

bool log_parse_level(const char *text, enum log_level *out) {
    for (unsigned i = 0; i < sizeof level_names / sizeof *level_names; i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *out = (enum log_level)i;
            return true;
        }
    }
    return false;
}

// How many lines of this event were swallowed before this one; -1 = swallow this one too.
static int log_limit(const char *event, int64_t second) {
    unsigned hash = 5381;
    for (const char *p = event; *p != '\0'; p++) {
        hash = hash * 33 + (unsigned char)*p;
    }
    __typeof__(&logger.limits[0]) limit = &logger.limits[hash % LIMITED_EVENTS];
    if (strncmp(limit->event, event, sizeof limit->event - 1) != 0 || limit->second != second) {
        int swallowed = strncmp(limit->event, event, sizeof limit->event - 1) == 0 ? limit->swallowed : 0;
        snprintf(limit->event, sizeof limit->event, "%s", event);
        limit->second = second;
        limit->count = 1;
        limit->swallowed = 0;
        return swallowed;
    }
    if (++limit->count > LOG_BURST) {
        limit->swallowed++;
        return -1;
    }
    return 0;
}

static bool needs_quotes(const char *text) {
    if (*text == '\0') {
        return true;
    }
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text <= ' ' || *text == '"' || *text == '=') {
            return true;
        }
    }
    return false;
}

static void put_quoted(struct buf *out, const char *text) {
    AUTO_BUF safe = buf_make(LINE_BYTES);
    str_escape(&safe, text, strlen(text), /* keep_newlines= */ false);
    buf_addc(out, '"');
    for (const char *p = buf_text(&safe); *p != '\0'; p++) {
        if (*p == '"' || *p == '\\') {
            buf_addc(out, '\\');
        }
        buf_addc(out, *p);
    }
    buf_addc(out, '"');
}

static void put_pair(struct buf *out, const struct log_pair *pair, bool json) {
    if (json) {
        buf_addf(out, ",\"%s\":", pair->key);
    } else {
        buf_addf(out, " %s=", pair->key);
    }
    if (pair->kind == LOG_KIND_INT) {
        buf_addf(out, "%lld", (long long)pair->number);
    } else if (pair->kind == LOG_KIND_BOOL) {
        buf_adds(out, pair->number ? "true" : "false");
    } else if (json || needs_quotes(pair->text != NULL ? pair->text : "")) {
        put_quoted(out, pair->text != NULL ? pair->text : "");
    } else {
        str_escape(out, pair->text, strlen(pair->text), /* keep_newlines= */ false);
    }
}

static void log_build(struct buf *line, enum log_level level, const char *event, int swallowed, const struct log_pair *pairs) {
    bool json = logger.options.json;
    char now[40];
    clock_format_rfc3339(clock_unix_ms(), now, sizeof now);
    if (json) {
        buf_addf(line, "{\"time\":\"%s\",\"level\":\"%s\",\"event\":\"%s\"", now, level_names[level], event);
    } else {
        buf_addf(line, "%s %s %s", now, level_names[level], event);
    }
    for (; pairs->kind != LOG_KIND_END; pairs++) {
        put_pair(line, pairs, json);
    }
    if (swallowed > 0) {
        put_pair(line, &LOG_INT("swallowed", swallowed), json);
    }
    if (logger.dropped > 0) {
        put_pair(line, &LOG_INT("dropped", logger.dropped), json);
    }
    buf_adds(line, json ? "}\n" : "\n");
}

void log_write(enum log_level level, const char *event, const struct log_pair *pairs) {
    pthread_mutex_lock(&logger.lock);
    int swallowed = level <= logger.options.level ? log_limit(event, clock_mono_ms() / 1000) : -1;
    if (swallowed >= 0) {
        AUTO_BUF line = buf_make(4 * LINE_BYTES);
        log_build(&line, level, event, swallowed, pairs);
        snprintf(logger.recent[logger.recent_next++ % RECENT_LINES], sizeof logger.recent[0], "%s", buf_text(&line));
        ssize_t written = write(logger.options.fd, buf_text(&line), line.len);
        logger.dropped = written == (ssize_t)line.len ? 0 : logger.dropped + 1;
    }
    pthread_mutex_unlock(&logger.lock);
}

void log_write_failure(enum log_level level, const char *event, const struct error *err, const struct log_pair *pairs) {
    struct log_pair all[24];
    size_t count = 0;
    while (pairs[count].kind != LOG_KIND_END && count < sizeof all / sizeof *all - 2) {
        all[count] = pairs[count];
        count++;
    }
    char text[LINE_BYTES];
    all[count++] = LOG_STR("error", error_text(err, text, sizeof text));
    all[count] = LOG_NONE;
    log_write(level, event, all);
}

void log_dump_recent(int fd) {
    for (unsigned i = 0; i < RECENT_LINES; i++) {
        const char *line = logger.recent[(logger.recent_next + i) % RECENT_LINES];
        if (line[0] != '\0') {
            dprintf(fd, "  %s%s", line, str_ends(line, "\n") ? "" : "…\n");
        }
    }
}
