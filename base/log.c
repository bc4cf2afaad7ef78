// SPDX-License-Identifier: Apache-2.0
//
// base/log.c — lines built on the stack, one write(2) each, the last ones kept in a ring.
//
// The only static mutable data of the tree lives here: a log has no owner to be passed down from. One lock
// guards it.
//
// Invariants   (1) Nothing is allocated: a log works when memory is what failed. (2) A line is at most
//              PIPE_BUF bytes, so that lines of two processes on one pipe never mix. (3) A value is cut
//              rather than the line's end lost.
// Failure      A full pipe or a bad descriptor drops the line; the next one that gets out says `dropped=N`.
//              A repeating event says `swallowed=N` in its first line of the next second.
#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/str.h"

#define LINE_BYTES 4096 // PIPE_BUF of Linux
#define LINE_END "}\n"
#define LINE_KEPT_BYTES 16   // for the ellipsis, the quote and the end
#define PLAIN_BYTES_MAX 1024 // longer values are quoted, which can be cut
#define RECENT_LINES 64
#define RECENT_BYTES 256
#define LOG_BURST 50 // lines of one event in a second
#define LIMITED_EVENTS 32

static const char *const level_names[] = {"error", "warn", "info", "debug"};

static struct {
    pthread_mutex_t lock;
    struct log_options options;
    char recent[RECENT_LINES][RECENT_BYTES];
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

// --- one line, in fixed memory ---

struct line {
    char text[LINE_BYTES];
    size_t len;
};

// Room for the end of the line is always kept.
static void put(struct line *line, const char *text) {
    size_t len = strlen(text);
    if (line->len + len <= LINE_BYTES - sizeof LINE_END) {
        memcpy(line->text + line->len, text, len);
        line->len += len;
    }
}

static bool is_plain(const char *text) {
    for (const char *p = text; *p != '\0'; p++) {
        if (*p <= ' ' || *p > '~' || *p == '"' || *p == '=' || *p == '\\') {
            return false;
        }
    }
    return *text != '\0';
}

static void put_quoted(struct line *line, const char *text) {
    put(line, "\"");
    size_t left = strlen(text);
    while (left > 0) {
        char safe[STR_ESCAPED_BYTES];
        size_t taken = str_escape_next(text, left, safe);
        if (line->len + STR_ESCAPED_BYTES > LINE_BYTES - LINE_KEPT_BYTES) {
            put(line, "…");
            break;
        }
        if (safe[0] == '"' || safe[0] == '\\') {
            put(line, "\\");
        }
        put(line, safe);
        text += taken;
        left -= taken;
    }
    put(line, "\"");
}

static void put_pair(struct line *line, const struct log_pair *pair, bool json) {
    char number[24];
    const char *text = pair->text != NULL ? pair->text : "";
    if (line->len + strlen(pair->key) + sizeof number + 8 > LINE_BYTES - LINE_KEPT_BYTES) {
        return; // the line is full: a pair is written whole or not at all
    }
    put(line, json ? ",\"" : " ");
    put(line, pair->key);
    put(line, json ? "\":" : "=");
    if (pair->kind == LOG_KIND_INT) {
        snprintf(number, sizeof number, "%lld", (long long)pair->number);
        put(line, number);
    } else if (pair->kind == LOG_KIND_BOOL) {
        put(line, pair->number != 0 ? "true" : "false");
    } else if (!json && is_plain(text) && strlen(text) <= PLAIN_BYTES_MAX) {
        put(line, text);
    } else {
        put_quoted(line, text);
    }
}

static void put_head(struct line *line, enum log_level level, const char *event, bool json) {
    char now[40];
    clock_format_rfc3339(clock_unix_ms(), now, sizeof now);
    put(line, json ? "{\"time\":\"" : "");
    put(line, now);
    put(line, json ? "\",\"level\":\"" : " ");
    put(line, level_names[level]);
    put(line, json ? "\",\"event\":\"" : " ");
    put(line, event);
    put(line, json ? "\"" : "");
}

static void line_build(struct line *line, enum log_level level, const char *event, int swallowed,
                       const struct log_pair *pairs) {
    bool json = logger.options.json;
    line->len = 0;
    put_head(line, level, event, json);
    if (swallowed > 0) {
        put_pair(line, &LOG_INT("swallowed", swallowed), json);
    }
    if (logger.dropped > 0) {
        put_pair(line, &LOG_INT("dropped", logger.dropped), json);
    }
    for (; pairs->kind != LOG_KIND_END; pairs++) {
        put_pair(line, pairs, json);
    }
    const char *end = json ? "}\n" : "\n";
    memcpy(line->text + line->len, end, strlen(end) + 1);
    line->len += strlen(end);
}

// --- writing ---

// A pipe that polls writable takes PIPE_BUF bytes at once, and a line is no longer than that: the write
// does not block.
static bool line_write(const struct line *line) {
    struct pollfd target = {.fd = logger.options.fd, .events = POLLOUT};
    if (poll(&target, 1, 0) != 1 || (target.revents & POLLOUT) == 0) {
        return false;
    }
    return write(logger.options.fd, line->text, line->len) == (ssize_t)line->len;
}

static void line_keep(const struct line *line) {
    char *kept = logger.recent[logger.recent_next++ % RECENT_LINES];
    size_t len = line->len < RECENT_BYTES ? line->len : RECENT_BYTES - 1;
    memcpy(kept, line->text, len);
    kept[len] = '\0';
}

void log_write(enum log_level level, const char *event, const struct log_pair *pairs) {
    int saved = errno; // logging an error must not change it
    pthread_mutex_lock(&logger.lock);
    int swallowed = level <= logger.options.level ? log_limit(event, clock_mono_ms() / 1000) : -1;
    if (swallowed >= 0) {
        struct line line;
        line_build(&line, level, event, swallowed, pairs);
        line_keep(&line);
        logger.dropped = line_write(&line) ? 0 : logger.dropped + 1;
    }
    pthread_mutex_unlock(&logger.lock);
    errno = saved;
}

void log_write_failure(enum log_level level, const char *event, const struct error *err,
                       const struct log_pair *pairs) {
    struct log_pair all[24];
    size_t count = 0;
    while (count < sizeof all / sizeof *all - 2 && pairs[count].kind != LOG_KIND_END) {
        all[count] = pairs[count];
        count++;
    }
    char text[ERROR_ROOT_BYTES + ERROR_FRAMES_MAX * (ERROR_FRAME_BYTES + 2)];
    all[count++] = LOG_STR("error", error_text(err, text, sizeof text));
    all[count] = LOG_NONE;
    log_write(level, event, all);
}

void log_dump_recent(int fd) {
    // Called when all is lost, perhaps with the lock held by this very thread: a torn line is better than
    // none.
    bool locked = pthread_mutex_trylock(&logger.lock) == 0;
    for (unsigned i = 0; i < RECENT_LINES; i++) {
        const char *text = logger.recent[(logger.recent_next + i) % RECENT_LINES];
        if (text[0] != '\0') {
            dprintf(fd, "  %s%s", text, str_ends(text, "\n") ? "" : "…\n");
        }
    }
    if (locked) {
        pthread_mutex_unlock(&logger.lock);
    }
}
