// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/shim_log.c — writes what a container prints: stamped, line by line, rotated, bounded.
//
// One read of a pipe becomes one write to the file. Without that, each line would cost a system call of its
// own.
#include "reconciler/agent/shim_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "reconciler/agent/shim_text.h"

enum { STAMP_LEN = sizeof "2026-01-31T12:00:00.123456789Z" - 1, SECONDS_PER_DAY = 86400 };

struct prefix {
    char data[STAMP_LEN + sizeof " stdout "];
    size_t len;
};

void shim_log_init(struct shim_log *log, const char *path, uint64_t max_bytes, unsigned files) {
    log->path = path;
    log->max_bytes = files < 2 ? max_bytes / 2 : max_bytes;
    log->files = files < 2 ? 2 : files;
    log->fd = -1;
}

// --- time ---

static void put_digits(char *at, uint64_t value, int width) {
    while (width-- > 0) {
        at[width] = (char)('0' + value % 10);
        value /= 10;
    }
}

// Gregorian calendar by eras of 400 years that begin in March, so that a leap day is the last of its year.
static void put_date(char *at, uint64_t days_since_1970) {
    uint64_t days = days_since_1970 + 719468;
    uint64_t era = days / 146097, day_of_era = days % 146097;
    uint64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    uint64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint64_t month_from_march = (5 * day_of_year + 2) / 153;
    uint64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    put_digits(at, era * 400 + year_of_era + (month <= 2), 4);
    put_digits(at + 5, month, 2);
    put_digits(at + 8, day_of_year - (153 * month_from_march + 2) / 5 + 1, 2);
}

static void stamp_now(struct shim_log *log) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t seconds = now.tv_sec > 0 ? (uint64_t)now.tv_sec : 0;
    if (seconds != log->stamp_s || log->stamp[0] == '\0') {
        memcpy(log->stamp, "0000-00-00T00:00:00.000000000Z", STAMP_LEN + 1);
        put_date(log->stamp, seconds / SECONDS_PER_DAY);
        put_digits(log->stamp + 11, seconds / 3600 % 24, 2);
        put_digits(log->stamp + 14, seconds / 60 % 60, 2);
        put_digits(log->stamp + 17, seconds % 60, 2);
        log->stamp_s = seconds;
    }
    put_digits(log->stamp + 20, (uint64_t)now.tv_nsec, 9);
}

// --- the file ---

static void lose(struct shim_log *log, uint64_t lines, int cause) {
    log->lost_lines += lines;
    log->lost_lines_total += lines;
    log->lost_errno = cause;
}

static uint64_t line_count(const char *data, size_t len) {
    uint64_t lines = 0;
    for (size_t i = 0; i < len; i++) {
        lines += data[i] == '\n';
    }
    return lines;
}

static bool open_if_needed(struct shim_log *log) {
    if (log->fd < 0) {
        struct stat status;
        log->fd = open(log->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
        log->size = log->fd >= 0 && fstat(log->fd, &status) == 0 ? (uint64_t)status.st_size : 0;
    }
    return log->fd >= 0;
}

// Appends whole records only: what a full disk took of one that was cut is taken back.
static bool append(struct shim_log *log, const char *data, size_t len, size_t *written) {
    size_t done = 0;
    while (done < len) {
        ssize_t put = write(log->fd, data + done, len - done);
        if (put <= 0) {
            break;
        }
        done += (size_t)put;
    }
    int cause = errno;
    size_t whole = done;
    while (whole > 0 && data[whole - 1] != '\n') {
        whole--;
    }
    if (whole != done && ftruncate(log->fd, (off_t)(log->size + whole)) != 0) {
        whole = done;
    }
    log->size += whole;
    *written = whole;
    errno = cause;
    return done == len;
}

static bool tell_lost(struct shim_log *log) {
    char data[192];
    size_t written;
    struct shim_text notice;
    if (log->lost_lines == 0) {
        return true;
    }
    stamp_now(log);
    shim_text_init(&notice, data, sizeof data - 1);
    shim_text_str(&notice, log->stamp);
    shim_text_str(&notice, " stderr F [muster: ");
    shim_text_u64(&notice, log->lost_lines);
    shim_text_str(&notice, log->lost_lines == 1 ? " line lost: " : " lines lost: ");
    shim_text_str(&notice, strerror(log->lost_errno));
    shim_text_str(&notice, "]\n");
    if (!append(log, notice.data, notice.len, &written)) {
        return false;
    }
    log->lost_lines = 0;
    return true;
}

static void flush(struct shim_log *log) {
    size_t written = 0;
    if (log->out_len == 0) {
        return;
    }
    if (!open_if_needed(log) || !tell_lost(log) || !append(log, log->out, log->out_len, &written)) {
        lose(log, line_count(log->out + written, log->out_len - written), errno);
    }
    log->out_len = 0;
}

static void path_of(const struct shim_log *log, unsigned number, char *out) {
    struct shim_text path;
    shim_text_init(&path, out, SHIM_LOG_PATH_MAX + 16);
    shim_text_str(&path, log->path);
    if (number > 0) {
        shim_text_str(&path, ".");
        shim_text_u64(&path, number);
    }
}

// FILE becomes FILE.1, FILE.1 becomes FILE.2 …; the oldest is replaced.
static bool shift(const struct shim_log *log) {
    char from[SHIM_LOG_PATH_MAX + 16], to[SHIM_LOG_PATH_MAX + 16];
    for (unsigned number = log->files - 1; number > 0; number--) {
        path_of(log, number - 1, from);
        path_of(log, number, to);
        if (rename(from, to) != 0 && errno != ENOENT) {
            return false;
        }
    }
    return true;
}

static bool rotate(struct shim_log *log) {
    char fresh_path[SHIM_LOG_PATH_MAX + 16];
    struct shim_text path;
    shim_text_init(&path, fresh_path, sizeof fresh_path);
    shim_text_str(&path, log->path);
    shim_text_str(&path, ".tmp");
    int fresh = open(fresh_path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fresh < 0) {
        return false;
    }
    if (!shift(log) || rename(fresh_path, log->path) != 0) {
        int cause = errno;
        close(fresh);
        unlink(fresh_path);
        errno = cause;
        return false;
    }
    close(log->fd);
    log->fd = fresh;
    log->size = 0;
    return true;
}

// --- records ---

static void put_record(struct shim_log *log, const struct prefix *prefix, char tag, const char *text,
                       size_t len) {
    size_t need = prefix->len + 2 + len + 1;
    if (log->out_len + need > sizeof log->out) {
        flush(log);
    }
    if (log->size + log->out_len + need > log->max_bytes) {
        flush(log);
        if (log->size > 0 && !rotate(log)) {
            lose(log, 1, errno);
            return;
        }
    }
    char *at = log->out + log->out_len;
    memcpy(at, prefix->data, prefix->len);
    at += prefix->len;
    *at++ = tag;
    *at++ = ' ';
    memcpy(at, text, len);
    at[len] = '\n';
    log->out_len += need;
}

static void prefix_now(struct shim_log *log, const struct shim_log_stream *stream, struct prefix *out) {
    struct shim_text text;
    stamp_now(log);
    shim_text_init(&text, out->data, sizeof out->data);
    shim_text_str(&text, log->stamp);
    shim_text_str(&text, " ");
    shim_text_str(&text, stream->name);
    shim_text_str(&text, " ");
    out->len = text.len;
}

// A piece is cut off only when it is known that its line goes on, so that no line ends in an empty record.
static void put_lines(struct shim_log *log, struct shim_log_stream *stream) {
    struct prefix prefix;
    const char *at = stream->data;
    size_t left = stream->len;
    prefix_now(log, stream, &prefix);
    while (left > 0) {
        size_t window = left > SHIM_LOG_PIECE_BYTES ? SHIM_LOG_PIECE_BYTES + 1 : left;
        const char *newline = memchr(at, '\n', window);
        if (newline == NULL && left <= SHIM_LOG_PIECE_BYTES) {
            break;
        }
        size_t len = newline != NULL ? (size_t)(newline - at) : SHIM_LOG_PIECE_BYTES;
        put_record(log, &prefix, newline != NULL ? 'F' : 'P', at, len);
        len += newline != NULL;
        at += len;
        left -= len;
    }
    memmove(stream->data, at, left);
    stream->len = left;
    flush(log);
}

bool shim_log_take(struct shim_log *log, struct shim_log_stream *stream) {
    if (stream->fd < 0) {
        return false;
    }
    ssize_t got = read(stream->fd, stream->data + stream->len, sizeof stream->data - stream->len);
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN) {
            shim_log_end(log, stream);
        }
        return false;
    }
    stream->len += (size_t)got;
    put_lines(log, stream);
    return true;
}

void shim_log_end(struct shim_log *log, struct shim_log_stream *stream) {
    if (stream->len > 0) {
        struct prefix prefix;
        prefix_now(log, stream, &prefix);
        put_record(log, &prefix, 'P', stream->data, stream->len);
        stream->len = 0;
        flush(log);
    }
    if (stream->fd >= 0) {
        close(stream->fd);
        stream->fd = -1;
    }
}

void shim_log_finish(struct shim_log *log) {
    if (log->fd >= 0) {
        tell_lost(log);
        fdatasync(log->fd);
    }
}
