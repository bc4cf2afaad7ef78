// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/shim_runc.c — runs runc as a child, and finds out what it had to complain about.
//
// What the shim changed about itself must not reach the container, which inherits much through runc:
// signals are reset, the OOM score is put back, descriptors close at exec. The environment is made anew,
// since runc acts on some variables (NOTIFY_SOCKET, LISTEN_FDS).
#include "reconciler/agent/shim_runc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reconciler/agent/shim_child.h"
#include "reconciler/agent/shim_file.h"

static void put_file(const char *path, int flags, const char *data, size_t len) {
    int fd = open(path, flags | O_WRONLY | O_CLOEXEC, 0600);
    if (fd >= 0) {
        ssize_t put = write(fd, data, len);
        (void)put; // best effort, both for the OOM score and for the last words of a child
        close(fd);
    }
}

// Leaves the reason where runc leaves its own.
static _Noreturn void exec_failed(const struct shim_runc *runc, int cause) {
    char data[1200];
    struct shim_text text;
    shim_text_init(&text, data, sizeof data);
    shim_text_str(&text, "level=error msg=\"execute ");
    shim_text_str(&text, runc->path);
    shim_text_str(&text, ": ");
    shim_text_str(&text, strerror(cause));
    shim_text_str(&text, "\"\n");
    put_file(runc->log_path, O_CREAT | O_APPEND, text.data, text.len);
    _exit(127);
}

static _Noreturn void become(const struct shim_runc *runc, char *const argv[], int out, int err) {
    static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    char *const environment[] = {path, NULL};
    setpgid(0, 0);
    shim_child_reset_signals();
    umask(022);
    put_file("/proc/self/oom_score_adj", 0, runc->oom_score_adj, strlen(runc->oom_score_adj));
    if ((out >= 0 && dup2(out, STDOUT_FILENO) < 0) || (err >= 0 && dup2(err, STDERR_FILENO) < 0)) {
        exec_failed(runc, errno);
    }
    execve(runc->path, argv, environment);
    exec_failed(runc, errno);
}

static pid_t spawn(const struct shim_runc *runc, char *const argv[], int out, int err) {
    if (unlink(runc->log_path) != 0 && errno != ENOENT) {
        return -1;
    }
    pid_t pid = fork();
    if (pid == 0) {
        become(runc, argv, out, err);
    }
    if (pid > 0) {
        setpgid(pid, pid); // whoever is first: it is to be killed with all that it started
    }
    return pid;
}

// execve takes pointers to what is not const, and changes nothing.
static char *argument(const char *text) {
    union {
        const char *in;
        char *out;
    } same = {.in = text};
    return same.out;
}

pid_t shim_runc_create(const struct shim_runc *runc, int out, int err) {
    char *const argv[] = {
        argument("runc"),         argument("--root"),
        argument(runc->root),     argument("--log"),
        argument(runc->log_path), argument("--log-format"),
        argument("text"),         argument("create"),
        argument("--bundle"),     argument(runc->bundle),
        argument("--pid-file"),   argument(runc->pid_path),
        argument(runc->id),       NULL,
    };
    if (unlink(runc->pid_path) != 0 && errno != ENOENT) {
        return -1;
    }
    return spawn(runc, argv, out, err);
}

pid_t shim_runc_start(const struct shim_runc *runc) {
    char *const argv[] = {
        argument("runc"),         argument("--root"),
        argument(runc->root),     argument("--log"),
        argument(runc->log_path), argument("--log-format"),
        argument("text"),         argument("start"),
        argument(runc->id),       NULL,
    };
    return spawn(runc, argv, -1, -1);
}

// --- its log ---

// Undoes the quoting of logrus, as far as a reader is helped by it.
static void put_unquoted(struct shim_text *out, const char *at, const char *end) {
    bool quoted = at < end && *at == '"';
    for (at += quoted; at < end && !(quoted && *at == '"'); at++) {
        char c = *at;
        if (c == '\\' && quoted && at + 1 < end) {
            c = *++at;
            c = c == 'n' || c == 't' || c == 'r' ? ' ' : c;
        }
        shim_text_bytes(out, &c, 1);
    }
}

// time="…" level=error msg="…"
static void put_error(struct shim_text *out, const char *line, const char *end) {
    char message[SHIM_FILE_OUTCOME_BYTES_MAX / 2];
    struct shim_text text;
    const char *msg = memmem(line, (size_t)(end - line), "msg=", 4);
    if (msg == NULL || memmem(line, (size_t)(msg - line), "level=error", 11) == NULL) {
        return;
    }
    shim_text_init(&text, message, sizeof message);
    put_unquoted(&text, msg + 4, end);
    if (out->len + 2 + text.len >= out->cap) {
        shim_text_init(out, out->data, out->cap); // the newest matter most
    }
    if (out->len > 0) {
        shim_text_str(out, "; ");
    }
    shim_text_bytes(out, text.data, text.len);
}

void shim_runc_errors(const struct shim_runc *runc, struct shim_text *out) {
    char data[8192];
    ssize_t len = shim_file_read(AT_FDCWD, runc->log_path, data, sizeof data);
    const char *line = data, *all_end = data + (len > 0 ? len : 0);
    while (line < all_end) {
        const char *end = memchr(line, '\n', (size_t)(all_end - line));
        if (end == NULL) {
            end = all_end;
        }
        put_error(out, line, end);
        line = end + (end < all_end);
    }
}
