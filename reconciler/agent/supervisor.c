// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/supervisor.c — the daemon's side of one muster-shim.
//
// Model        Whatever wakes us (a file that moved into the directory, the end of the shim) only causes a
//              look at the files, in their order. So it does not matter what was missed before.
// Invariants   (1) Lost is told only if the lock is free and, looked at after that, there is no outcome: the
//              shim writes its outcome before it gives up the lock. (2) A shim of ours that ends because
//              another one holds the lock is no end: that one is watched instead.
#include "reconciler/agent/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <uv.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"

enum { FILE_BYTES_MAX = 8192, RECHECK_MS = 200, LINGER_MS = 5000 };

struct supervisor {
    struct supervisor_options options;
    char *dir;
    uv_fs_event_t watch;
    uv_process_t process;
    uv_poll_t end;   // of a shim that is not our child
    uv_timer_t look; // soon, for what was there before we watched
    int pidfd;       // -1: none
    int open;        // handles
    bool is_watching, is_child, is_polling, is_closing, is_over;
    bool is_lingering; // closed, but a child of ours that has not been waited for
    bool is_spawned_ended;
    int64_t spawned_status, spawned_signal;
    bool is_created_told, is_running_told;
};

// --- files ---

static int64_t number_of(const char *text, const char *key, int64_t otherwise) {
    char line[32];
    size_t key_len = strlen(key);
    for (const char *at = text; at != NULL && *at != '\0'; at = strchr(at, '\n'), at = at ? at + 1 : NULL) {
        if (strncmp(at, key, key_len) == 0 && at[key_len] == '=') {
            const char *value = at + key_len + 1;
            size_t len = strcspn(value, "\n");
            int64_t number;
            if (len < sizeof line && snprintf(line, sizeof line, "%.*s", (int)len, value) > 0 &&
                str_to_int(line, &number)) {
                return number;
            }
        }
    }
    return otherwise;
}

static bool read_file(const char *dir, const char *name, struct buf *out) {
    char path[1100];
    buf_clear(out);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return fs_read(AT_FDCWD, path, FILE_BYTES_MAX, out, NULL) == 0;
}

static int64_t lock_holder(const char *dir) {
    char path[1100];
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    snprintf(path, sizeof path, "%s/lock", dir);
    AUTO_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fcntl(fd, F_GETLK, &lock) != 0 || lock.l_type == F_UNLCK) {
        return 0;
    }
    return lock.l_pid;
}

static bool has_file(const char *dir, const char *name) {
    char path[1100];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return fs_exists(path);
}

struct supervisor_view supervisor_look(const char *dir) {
    struct supervisor_view view = {.shim_pid = lock_holder(dir)};
    view.is_alive = view.shim_pid != 0; // before the rest: (1)
    view.is_created = has_file(dir, "created");
    view.is_running = has_file(dir, "running");
    view.is_exited = has_file(dir, "exit");
    view.is_failed = has_file(dir, "failed");
    return view;
}

static int64_t start_time_of(int64_t pid) {
    char path[64];
    AUTO_BUF stat = {0};
    int64_t value = 0;
    snprintf(path, sizeof path, "/proc/%lld/stat", (long long)pid);
    if (fs_read(AT_FDCWD, path, FILE_BYTES_MAX, &stat, NULL) != 0) {
        return -1;
    }
    const char *at = strrchr(buf_text(&stat), ')'); // ends field 2, which may hold anything
    for (int field = 2; at != NULL && field < 22; field++) {
        at = strchr(at + 1, ' ');
    }
    if (at == NULL) {
        return -1;
    }
    AUTO_FREE char *text = xasprintf("%.*s", (int)strcspn(at + 1, " "), at + 1);
    return str_to_int(text, &value) ? value : -1;
}

void supervisor_kill_orphan(const char *dir) {
    AUTO_BUF text = {0};
    if (!read_file(dir, "created", &text)) {
        return;
    }
    int64_t pid = number_of(buf_text(&text), "pid", 0);
    if (pid > 1 && start_time_of(pid) == number_of(buf_text(&text), "start_time", -2)) {
        kill(-(pid_t)pid, SIGKILL);
        kill((pid_t)pid, SIGKILL);
    }
}

// --- telling ---

static void tell(struct supervisor *supervisor, const struct supervisor_event *event) {
    if (!supervisor->is_closing) {
        supervisor->options.on_event(supervisor->options.context, event);
    }
}

static struct supervisor_event event_of(enum supervisor_event_kind kind, const struct buf *text) {
    int64_t now_ns = clock_unix_ns();
    return (struct supervisor_event){.kind = kind,
                                     .time_unix_ms =
                                         number_of(buf_text(text), "time_unix_ns", now_ns) / NS_PER_MS,
                                     .pid = number_of(buf_text(text), "pid", 0),
                                     .text = ""};
}

static void tell_exit(struct supervisor *supervisor, const struct buf *text) {
    struct supervisor_event event = event_of(SUPERVISOR_EXITED, text);
    int64_t code = number_of(buf_text(text), "code", -1);
    int64_t signal_number = number_of(buf_text(text), "signal", 0);
    event.exit = (struct task_exit){.kind = code < 0            ? EXIT_UNKNOWN
                                            : signal_number > 0 ? EXIT_SIGNAL
                                                                : EXIT_CODE,
                                    .code = code < 0 ? 0 : code,
                                    .signal = signal_number,
                                    .oom = number_of(buf_text(text), "oom_kills", 0) > 0,
                                    .time_unix_ms = event.time_unix_ms};
    event.lost_log_lines = number_of(buf_text(text), "lost_log_lines", 0);
    supervisor->is_over = true;
    tell(supervisor, &event);
}

static void tell_failure(struct supervisor *supervisor, const struct buf *text) {
    struct supervisor_event event = event_of(SUPERVISOR_FAILED, text);
    const char *why = strstr(buf_text(text), "\ntext=");
    AUTO_FREE char *line =
        why == NULL ? xstrdup("it left no reason") : xasprintf("%.*s", (int)strcspn(why + 6, "\n"), why + 6);
    event.was_started = strstr(buf_text(text), "stage=start") != NULL;
    event.text = line;
    supervisor->is_over = true;
    tell(supervisor, &event);
}

// A shim that never came to life: of ours, with no word in its directory.
static void tell_no_shim(struct supervisor *supervisor) {
    struct supervisor_event event = {
        .kind = SUPERVISOR_FAILED, .time_unix_ms = clock_unix_ms(), .text = "muster-shim did not start"};
    AUTO_FREE char *text =
        supervisor->spawned_signal > 0
            ? xasprintf("muster-shim was killed by signal %lld", (long long)supervisor->spawned_signal)
            : xasprintf("muster-shim ended with status %lld", (long long)supervisor->spawned_status);
    event.text = text;
    supervisor->is_over = true;
    tell(supervisor, &event);
}

static void tell_progress(struct supervisor *supervisor, const char *name, enum supervisor_event_kind kind,
                          bool *is_told) {
    AUTO_BUF text = {0};
    if (!*is_told && read_file(supervisor->dir, name, &text)) {
        struct supervisor_event event = event_of(kind, &text);
        *is_told = true;
        tell(supervisor, &event);
    }
}

static void poll_end(struct supervisor *supervisor, int64_t shim_pid);

// The shim may be closed, or its end told, by any of the callbacks.
static void look(struct supervisor *supervisor) {
    AUTO_BUF text = {0};
    if (supervisor->is_closing || supervisor->is_over) {
        return;
    }
    int64_t holder = lock_holder(supervisor->dir);
    tell_progress(supervisor, "created", SUPERVISOR_CREATED, &supervisor->is_created_told);
    tell_progress(supervisor, "running", SUPERVISOR_RUNNING, &supervisor->is_running_told);
    if (supervisor->is_closing) {
        return;
    }
    if (read_file(supervisor->dir, "exit", &text)) {
        tell_exit(supervisor, &text);
    } else if (read_file(supervisor->dir, "failed", &text)) {
        tell_failure(supervisor, &text);
    } else if (holder == 0 && supervisor->is_spawned_ended && !supervisor->is_created_told) {
        tell_no_shim(supervisor);
    } else if (holder == 0 && (supervisor->is_spawned_ended || !supervisor->is_child)) {
        supervisor->is_over = true;
        tell(supervisor, &(struct supervisor_event){.kind = SUPERVISOR_LOST,
                                                    .time_unix_ms = clock_unix_ms(),
                                                    .was_started = supervisor->is_running_told,
                                                    .text = ""});
    } else if (holder != 0 && !supervisor->is_polling &&
               (supervisor->is_spawned_ended || !supervisor->is_child)) {
        poll_end(supervisor, holder);
    }
}

// --- waking ---

// The shim writes more than these, and several times a container.
static bool is_telling(const char *name) {
    static const char *const names[] = {"created", "running", "exit", "failed"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (str_equal(name, names[i])) {
            return true;
        }
    }
    return false;
}

static void on_moved(uv_fs_event_t *watch, const char *name, int events, int status) {
    (void)events, (void)status;
    if (name == NULL || is_telling(name)) {
        look(watch->data);
    }
}

static void on_look(uv_timer_t *timer) {
    look(timer->data);
}

static void close_handles(struct supervisor *supervisor);

static void on_child_end(uv_process_t *process, int64_t status, int signal_number) {
    struct supervisor *supervisor = process->data;
    supervisor->is_spawned_ended = true;
    supervisor->spawned_status = status;
    supervisor->spawned_signal = signal_number;
    if (supervisor->is_lingering) {
        close_handles(supervisor);
    } else {
        look(supervisor);
    }
}

static void on_end(uv_poll_t *poll, int status, int events) {
    struct supervisor *supervisor = poll->data;
    (void)status, (void)events;
    uv_poll_stop(poll);
    look(supervisor);
}

// Without pidfds, or when it is gone already, the timer looks again.
static void poll_end(struct supervisor *supervisor, int64_t shim_pid) {
    int fd = (int)syscall(SYS_pidfd_open, (pid_t)shim_pid, 0);
    if (fd < 0 || lock_holder(supervisor->dir) != shim_pid ||
        uv_poll_init(supervisor->options.loop, &supervisor->end, fd) != 0) {
        close_at(&fd);
        uv_timer_start(&supervisor->look, on_look, RECHECK_MS, 0);
        return;
    }
    supervisor->pidfd = fd;
    supervisor->is_polling = true;
    supervisor->open++;
    uv_poll_start(&supervisor->end, UV_READABLE, on_end);
}

// --- commands ---

static void command(struct supervisor *supervisor, const char *line) {
    char path[1100];
    snprintf(path, sizeof path, "%s/control", supervisor->dir);
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0) { // else nobody reads: its end is about to be told
        (void)fs_write_all(fd, line, strlen(line));
    }
}

void supervisor_start(struct supervisor *supervisor) {
    command(supervisor, "start\n");
}

void supervisor_kill(struct supervisor *supervisor, int signal_number) {
    char line[32];
    snprintf(line, sizeof line, "kill %d\n", signal_number);
    command(supervisor, line);
}

// --- opening and closing ---

static int spawn(struct supervisor *supervisor, struct error *err) {
    // The program reads its arguments only; libuv wants them without const.
    union {
        const char *const *in;
        char **out;
    } argv = {.in = supervisor->options.argv};
    uv_process_options_t options = {
        .file = argv.out[0], .args = argv.out, .flags = UV_PROCESS_DETACHED, .exit_cb = on_child_end};
    supervisor->process.data = supervisor;
    supervisor->is_child = true;
    supervisor->open++; // even if it fails, the handle is one to be closed
    int rc = uv_spawn(supervisor->options.loop, &supervisor->process, &options);
    if (rc == UV_ENOENT) {
        return error_set(err, ERR_NOT_FOUND, "no program %s", argv.in[0]);
    }
    return rc < 0 ? error_sys(err, -rc, "start %s", argv.in[0]) : 0;
}

static void on_closed(uv_handle_t *handle) {
    struct supervisor *supervisor = handle->data;
    if (--supervisor->open == 0) {
        close_at(&supervisor->pidfd);
        xfree(supervisor->dir);
        xfree(supervisor);
    }
}

static void close_handles(struct supervisor *supervisor) {
    supervisor->is_lingering = false;
    uv_close((uv_handle_t *)&supervisor->look, on_closed);
    if (supervisor->is_child) {
        uv_close((uv_handle_t *)&supervisor->process, on_closed);
    }
    if (supervisor->is_polling) {
        uv_close((uv_handle_t *)&supervisor->end, on_closed);
    }
}

static void on_lingered(uv_timer_t *timer) {
    close_handles(timer->data);
}

// A shim that has told its outcome is about to end. libuv waits for children only as long as it has their
// handle; who closes it earlier leaves a zombie behind, one for each task that ever ended.
void supervisor_close(struct supervisor *supervisor) {
    if (supervisor == NULL || supervisor->is_closing) {
        return;
    }
    supervisor->is_closing = true;
    uv_close((uv_handle_t *)&supervisor->watch, on_closed);
    supervisor->is_lingering = supervisor->is_over && supervisor->is_child && !supervisor->is_spawned_ended;
    if (supervisor->is_lingering) {
        uv_timer_start(&supervisor->look, on_lingered, LINGER_MS, 0);
    } else {
        close_handles(supervisor);
    }
}

int supervisor_open(const struct supervisor_options *options, struct supervisor **out, struct error *err) {
    struct supervisor *supervisor = NEW(struct supervisor);
    supervisor->options = *options;
    supervisor->dir = xstrdup(options->dir);
    supervisor->pidfd = -1;
    supervisor->open = 2;
    supervisor->watch.data = supervisor->look.data = supervisor->end.data = supervisor;
    uv_timer_init(options->loop, &supervisor->look);
    uv_fs_event_init(options->loop, &supervisor->watch);
    int rc = uv_fs_event_start(&supervisor->watch, on_moved, supervisor->dir, 0);
    rc = rc < 0 ? error_sys(err, -rc, "watch %s", options->dir) : 0;
    if (rc == 0 && options->argv != NULL) {
        rc = spawn(supervisor, err);
    } else if (rc == 0) {
        uv_timer_start(&supervisor->look, on_look, 0, 0);
    }
    if (rc < 0) {
        supervisor_close(supervisor);
        return rc;
    }
    *out = supervisor;
    return 0;
}
