// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/task_log.c — reads the log files that muster-shim writes, across rotation, piece by piece.
//
// Model        A queue of open files, oldest first; the first is being read. A file that is open can neither
//              vanish nor have its inode used again, so files are told apart by inode, whatever their names
//              became. At the end of the last one the names are looked at again for newer files.
// Invariants   (1) Names are opened upwards from FILE while rotation renames upwards too: a file may be met
//              twice (and is then known), but is never missed. (2) Before a file is left for a newer one it
//              is read once more, for it may have grown between its end and its rotation. (3) Only whole
//              records are given out; the beginning of one that is not whole yet is read again, since the
//              shim may take it back (disk full).
// Limits       One buffer of BUFFER_BYTES a reader, whatever the files hold. FILES_MAX open files.
#include "reconciler/agent/task_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

enum { BUFFER_BYTES = 64 * 1024, FILES_MAX = 64, MISSES_MAX = 2 };
// "2026-01-31T12:00:00.123456789Z stdout F "
enum { STAMP_LEN = 30, FRACTION_AT = 19, STREAM_AT = 31, TAG_AT = 38, TEXT_AT = 40 };
enum { BLOCK_BYTES = BUFFER_BYTES - TEXT_AT };

struct log_file {
    int fd;
    dev_t device;
    ino_t inode;
};

struct task_log {
    char *path;
    int64_t since_unix_ns, until_unix_ns;
    int64_t last_unix_ns; // of the line before
    struct log_file files[FILES_MAX];
    size_t count;
    bool is_last_look; // at files[0]: newer ones are in the queue
    int64_t offset;    // in files[0], of the first byte not given out
    size_t begin, end; // of what is in the buffer; `begin` stands at `offset`
    char buffer[BUFFER_BYTES];
};

// --- records ---

struct head {
    int64_t time_unix_ns;
    bool is_stderr, is_partial;
};

static bool parse_time(const char *at, int64_t *out) {
    char seconds[FRACTION_AT + 2];
    int64_t unix_ms, fraction_ns = 0;
    memcpy(seconds, at, FRACTION_AT);
    memcpy(seconds + FRACTION_AT, "Z", 2);
    if (at[FRACTION_AT] != '.' || at[STAMP_LEN - 1] != 'Z' || clock_parse_rfc3339(seconds, &unix_ms) != 0) {
        return false;
    }
    for (int i = FRACTION_AT + 1; i < STAMP_LEN - 1; i++) {
        if (at[i] < '0' || at[i] > '9') {
            return false;
        }
        fraction_ns = fraction_ns * 10 + (at[i] - '0');
    }
    if (unix_ms > INT64_MAX / NS_PER_MS - 1000 || unix_ms < 0) {
        return false; // far beyond the years that nanoseconds can count
    }
    *out = unix_ms * NS_PER_MS + fraction_ns;
    return true;
}

static bool parse_head(const char *at, size_t len, struct head *out) {
    if (len < TEXT_AT || at[STAMP_LEN] != ' ' || at[TAG_AT - 1] != ' ' || at[TEXT_AT - 1] != ' ' ||
        (at[TAG_AT] != 'F' && at[TAG_AT] != 'P')) {
        return false;
    }
    bool is_stderr = memcmp(at + STREAM_AT, "stderr", 6) == 0;
    if ((!is_stderr && memcmp(at + STREAM_AT, "stdout", 6) != 0) || !parse_time(at, &out->time_unix_ns)) {
        return false;
    }
    out->is_stderr = is_stderr;
    out->is_partial = at[TAG_AT] == 'P';
    return true;
}

// --- files ---

static bool is_known(const struct log_file *files, size_t count, const struct stat *status) {
    for (size_t i = 0; i < count; i++) {
        if (files[i].inode == status->st_ino && files[i].device == status->st_dev) {
            return true;
        }
    }
    return false;
}

enum found { FOUND_NEW, FOUND_KNOWN, FOUND_NOTHING };

// Opens FILE.number unless it is in the queue or among those found before.
static int open_number(const struct task_log *log, unsigned number, struct log_file *found, size_t count,
                       enum found *out, struct error *err) {
    AUTO_FREE char *path = number == 0 ? xstrdup(log->path) : xasprintf("%s.%u", log->path, number);
    struct stat status;
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    *out = FOUND_NOTHING;
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
        return 0;
    }
    if (fd < 0 || fstat(fd, &status) != 0) {
        return error_sys(err, errno, "open log %s", path);
    }
    if (!S_ISREG(status.st_mode)) {
        return error_set(err, ERR_INVALID, "log %s is not a file", path);
    }
    *out = FOUND_KNOWN;
    if (!is_known(log->files, log->count, &status) && !is_known(found, count, &status)) {
        *out = FOUND_NEW;
        found[count] = (struct log_file){take_fd(&fd), status.st_dev, status.st_ino};
    }
    return 0;
}

// Puts files that are newer than those of the queue behind them.
static int look_for_files(struct task_log *log, struct error *err) {
    struct log_file found[FILES_MAX];
    size_t count = 0, room = FILES_MAX - log->count;
    int rc = 0, misses = 0;
    for (unsigned number = 0; rc == 0 && count < room && misses < MISSES_MAX; number++) {
        enum found what;
        rc = open_number(log, number, found, count, &what, err);
        // in the midst of a rotation, one name may be missing
        misses = what == FOUND_NOTHING ? misses + 1 : 0;
        count += rc == 0 && what == FOUND_NEW;
        if (what == FOUND_KNOWN && log->count > 0) {
            break; // what is behind it is older
        }
    }
    while (count > 0) {
        log->files[log->count++] = found[--count];
    }
    return rc;
}

static void leave_file(struct task_log *log) {
    close(log->files[0].fd);
    memmove(log->files, log->files + 1, --log->count * sizeof *log->files);
    log->offset = 0;
    log->begin = log->end = 0;
    log->is_last_look = false;
}

// --- the last lines ---

struct tail {
    int64_t wanted, until_unix_ns;
    bool seen[2];   // a later record of stdout, stderr
    size_t file;    // where to begin…
    int64_t offset; // …
    char block[BUFFER_BYTES];
};

// Whether the record begins the lines that are wanted; takes it among them if it is.
static bool tail_takes(struct tail *tail, size_t file, int64_t offset, const char *at, size_t len) {
    struct head head = {0};
    bool is_record = parse_head(at, len, &head);
    if (is_record && tail->until_unix_ns > 0 && head.time_unix_ns > tail->until_unix_ns) {
        return true;
    }
    bool is_piece = is_record && head.is_partial && tail->seen[head.is_stderr];
    if (!is_piece && tail->wanted-- <= 0) {
        return false;
    }
    tail->seen[head.is_stderr] = true;
    tail->file = file;
    tail->offset = offset;
    return true;
}

// Goes through a file from its end. Returns 1 when no more lines are wanted.
static int tail_walk(struct task_log *log, struct tail *tail, size_t file, struct error *err) {
    struct stat status;
    int fd = log->files[file].fd;
    bool is_whole = false; // behind the last newline is no record
    if (fstat(fd, &status) != 0) {
        return error_sys(err, errno, "read log %s", log->path);
    }
    for (int64_t high = status.st_size, low; high > 0; high = low) {
        low = high > BLOCK_BYTES ? high - BLOCK_BYTES : 0;
        ssize_t got = pread(fd, tail->block, (size_t)(high - low) + TEXT_AT, low);
        if (got < 0) {
            return error_sys(err, errno, "read log %s", log->path);
        }
        for (int64_t at = (got < high - low ? got : high - low) - 1; at >= 0; at--) {
            if (tail->block[at] != '\n') {
                continue;
            }
            size_t start = (size_t)at + 1;
            if (is_whole &&
                !tail_takes(tail, file, low + (int64_t)start, tail->block + start, (size_t)got - start)) {
                return 1;
            }
            if (!is_whole && tail->file == SIZE_MAX) { // the end of all lines
                tail->file = file;
                tail->offset = low + (int64_t)start;
            }
            is_whole = true;
        }
        if (low == 0 && is_whole && !tail_takes(tail, file, 0, tail->block, (size_t)got)) {
            return 1;
        }
    }
    return 0;
}

static int seek_tail(struct task_log *log, int64_t lines, struct error *err) {
    AUTO_FREE struct tail *tail = NEW(struct tail);
    tail->wanted = lines;
    tail->until_unix_ns = log->until_unix_ns;
    tail->file = SIZE_MAX;
    int rc = 0;
    for (size_t file = log->count; file-- > 0 && rc == 0;) {
        rc = tail_walk(log, tail, file, err);
    }
    for (size_t i = 0; rc >= 0 && tail->file != SIZE_MAX && i < tail->file; i++) {
        leave_file(log);
    }
    log->offset = tail->file != SIZE_MAX ? tail->offset : 0;
    return rc < 0 ? rc : 0;
}

// --- reading on ---

int task_log_open(const struct task_log_options *options, struct task_log **out, struct error *err) {
    struct task_log *log = xmalloc(sizeof *log); // the buffer needs no zeroes
    memset(log, 0, offsetof(struct task_log, buffer));
    log->path = xstrdup(options->path);
    log->since_unix_ns = options->since_unix_ns;
    log->until_unix_ns = options->until_unix_ns;
    int rc = look_for_files(log, err);
    if (rc == 0 && options->tail >= 0) {
        rc = seek_tail(log, options->tail, err);
    }
    if (rc < 0) {
        task_log_close(log);
        return rc;
    }
    *out = log;
    return 0;
}

// Reads more of the current file behind what is in the buffer. Returns 1 at its end.
static int fill(struct task_log *log, struct error *err) {
    size_t have = log->end - log->begin;
    struct stat status;
    memmove(log->buffer, log->buffer + log->begin, have);
    log->begin = 0;
    log->end = have;
    ssize_t got =
        pread(log->files[0].fd, log->buffer + have, sizeof log->buffer - have, log->offset + (int64_t)have);
    if (got < 0) {
        return error_sys(err, errno, "read log %s", log->path);
    }
    log->end += (size_t)got;
    if (got == 0) {
        log->end = log->begin; // (3)
        if (fstat(log->files[0].fd, &status) == 0 && status.st_size < log->offset) {
            log->offset = status.st_size; // somebody emptied it
        }
    }
    return got == 0;
}

// The next bytes up to a newline, which is left out; or a full buffer without one.
static int next_bytes(struct task_log *log, struct bytes *out, bool *is_cut, struct error *err) {
    size_t searched = 0;
    for (;;) {
        const char *at = log->buffer + log->begin;
        size_t have = log->end - log->begin;
        const char *newline = have > searched ? memchr(at + searched, '\n', have - searched) : NULL;
        if (newline != NULL || have == sizeof log->buffer) {
            size_t len = newline != NULL ? (size_t)(newline - at) : have;
            size_t taken = len + (newline != NULL);
            *out = (struct bytes){(const uint8_t *)at, len};
            *is_cut = newline == NULL;
            log->begin += taken;
            log->offset += (int64_t)taken;
            return 0;
        }
        searched = have;
        int rc = fill(log, err);
        if (rc != 0) {
            return rc;
        }
    }
}

// Returns 1 when there is nothing more in any file.
static int next_raw(struct task_log *log, struct bytes *out, bool *is_cut, struct error *err) {
    for (;;) {
        int rc = log->count == 0 ? 1 : next_bytes(log, out, is_cut, err);
        if (rc <= 0) {
            return rc;
        }
        if (log->count > 1 && log->is_last_look) {
            leave_file(log);
            continue;
        }
        size_t count = log->count;
        rc = count > 1 ? 0 : look_for_files(log, err);
        if (rc < 0) {
            return rc;
        }
        if (log->count <= 1 && log->count == count) {
            return 1;
        }
        log->is_last_look = count > 0;
    }
}

int task_log_next(struct task_log *log, struct task_log_line *out, struct error *err) {
    for (;;) {
        struct bytes raw;
        struct head head = {.time_unix_ns = log->last_unix_ns};
        bool is_cut;
        int rc = next_raw(log, &raw, &is_cut, err);
        if (rc != 0) {
            return rc < 0 ? rc : TASK_LOG_END;
        }
        if (parse_head((const char *)raw.data, raw.len, &head)) {
            raw.data += TEXT_AT;
            raw.len -= TEXT_AT;
        }
        log->last_unix_ns = head.time_unix_ns;
        if (head.time_unix_ns < log->since_unix_ns ||
            (log->until_unix_ns > 0 && head.time_unix_ns > log->until_unix_ns)) {
            continue;
        }
        *out = (struct task_log_line){head.time_unix_ns, head.is_stderr, head.is_partial || is_cut, raw};
        return 0;
    }
}

void task_log_close(struct task_log *log) {
    if (log == NULL) {
        return;
    }
    for (size_t i = 0; i < log->count; i++) {
        close(log->files[i].fd);
    }
    xfree(log->path);
    xfree(log);
}
