// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/child.c — helper programs beside the loop, on fork, pidfd and polled pipes.
//
// Why not uv_spawn: it hands on every descriptor that somebody forgot to mark, knows no priorities and no
// tie to the life of the parent, and waits by SIGCHLD, which the whole process shares. A pidfd belongs to
// one child, and its number cannot be used by another.
//
// Life         start: fork, then read the report pipe, which the exec closes; a report is a failed step.
//              run: each readable pipe is read at once; the newest bytes are kept. end: the pidfd is
//              readable; the group is killed if it was to be killed, the pipes are read dry without
//              waiting, the child is reaped, all handles are closed, then on_done.
#include "reconciler/agent/child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ioprio.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "base/assert.h"
#include "base/mem.h"

#define LOW_PRIORITY_NICE 10
#define READ_BYTES 16384
#define READS_A_TURN 4
#define READS_AT_END 80 // more than a pipe holds (64 KiB, 1 MiB when someone made it larger)

enum handle_index { HANDLE_END, HANDLE_OUTPUT, HANDLE_ERRORS, HANDLE_DEADLINE, HANDLE_COUNT };

// The newest bytes of one stream: up to twice the maximum are held, so that each byte is moved once at most.
struct tail {
    char *data;
    size_t len;
    size_t bytes_max;
};

struct child {
    union {
        uv_handle_t handle;
        uv_poll_t poll;
        uv_timer_t timer;
    } handles[HANDLE_COUNT];
    int fds[HANDLE_DEADLINE]; // by handle_index
    int handles_open;
    pid_t pid;
    struct tail output, errors;
    bool is_ended, is_killed;
    struct child_result result;
    child_done_fn on_done;
    void *context;
};

// --- the newest output ---

static void tail_add(struct tail *tail, const char *data, size_t len) {
    if (len > tail->bytes_max) {
        data += len - tail->bytes_max;
        len = tail->bytes_max;
    }
    if (tail->len + len > 2 * tail->bytes_max) {
        size_t kept = tail->bytes_max - len;
        memmove(tail->data, tail->data + tail->len - kept, kept);
        tail->len = kept;
    }
    tail->data = xrealloc(tail->data, tail->len + len + 1);
    memcpy(tail->data + tail->len, data, len);
    tail->len += len;
}

static const char *tail_text(struct tail *tail) {
    if (tail->data == NULL) {
        return "";
    }
    tail->data[tail->len] = '\0';
    return tail->len > tail->bytes_max ? tail->data + tail->len - tail->bytes_max : tail->data;
}

// Reads what is there, `reads_max` times at most: a writer that never rests must not keep the loop here.
// False at the end of the stream.
static bool tail_read(struct tail *tail, int fd, int reads_max) {
    char chunk[READ_BYTES];
    while (reads_max-- > 0) {
        ssize_t got = read(fd, chunk, sizeof chunk);
        if (got > 0) {
            tail_add(tail, chunk, (size_t)got);
        } else if (got == 0 || errno != EINTR) {
            return got < 0 && errno == EAGAIN;
        }
    }
    return true;
}

// --- in the child, between fork and exec: system calls only ---

enum step { STEP_DIRECTORY, STEP_EXEC };
static const char *const step_texts[] = {"enter the directory", "execute it"};

struct report {
    int step;
    int sys;
};

static void take_standard_descriptors(const struct child_options *options, const int out_fds[HANDLE_DEADLINE],
                                      int report_fd) {
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    const int wanted[] = {-1, out_fds[HANDLE_OUTPUT], out_fds[HANDLE_ERRORS]};
    for (int i = 0; i < 3; i++) {
        int fd = options->standard != NULL ? options->standard[i] : wanted[i];
        dup2(fd >= 0 ? fd : null, i);
    }
    if (options->standard != NULL && isatty(STDIN_FILENO)) {
        ioctl(STDIN_FILENO, TIOCSCTTY, 0);
    }
    // Whatever was left open, here or by who started the daemon, closes at the exec.
    if (syscall(SYS_close_range, 3U, ~0U, 4U /* CLOSE_RANGE_CLOEXEC */) != 0) {
        long fd_count = sysconf(_SC_OPEN_MAX);
        for (int fd = 3; fd < fd_count; fd++) {
            if (fd != report_fd) {
                close(fd);
            }
        }
    }
}

static void lower_priority(void) {
    setpriority(PRIO_PROCESS, 0, LOW_PRIORITY_NICE);
    syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0));
}

static void reset_signals(void) {
    for (int number = 1; number < NSIG; number++) {
        signal(number, SIG_DFL);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void run(const struct child_options *options, pid_t parent,
                          const int out_fds[HANDLE_DEADLINE], int report_fd) {
    setsid();
    if (options->dies_with_us) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) {
            _exit(127);
        }
    }
    take_standard_descriptors(options, out_fds, report_fd);
    if (options->is_low_priority) {
        lower_priority();
    }
    reset_signals();
    struct report report = {.step = STEP_DIRECTORY};
    if (options->directory == NULL || chdir(options->directory) == 0) {
        report.step = STEP_EXEC;
        execvp(options->argv[0], (char *const *)options->argv);
    }
    report.sys = errno;
    ssize_t put = write(report_fd, &report, sizeof report);
    (void)put;
    _exit(127);
}

// --- start ---

static void close_fds(int *fds, size_t count) {
    for (size_t i = 0; i < count; i++) {
        close_at(&fds[i]);
        fds[i] = -1;
    }
}

// Our ends go to `ours`, which do not block, the child's to `theirs`, which do.
static int make_pipes(uint32_t output_bytes_max, int ours[HANDLE_DEADLINE], int theirs[HANDLE_DEADLINE],
                      int report[2], struct error *err) {
    bool failed = pipe2(report, O_CLOEXEC) != 0;
    for (int i = HANDLE_OUTPUT; !failed && output_bytes_max > 0 && i <= HANDLE_ERRORS; i++) {
        int ends[2];
        failed = pipe2(ends, O_CLOEXEC) != 0;
        if (!failed) {
            ours[i] = ends[0];
            theirs[i] = ends[1];
            failed = fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0;
        }
    }
    return failed ? error_sys(err, errno, "make pipes") : 0;
}

// Signals wait while there are two of us, so that no handler of ours runs in the child.
static pid_t fork_quiet(void) {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid != 0) {
        int kept = errno;
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        errno = kept;
    }
    return pid;
}

static void reap(pid_t pid) {
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
}

// Waits until the child runs its program, or says why not.
static int await_exec(const struct child_options *options, pid_t pid, int report_fd, struct error *err) {
    struct report report;
    ssize_t got;
    do {
        got = read(report_fd, &report, sizeof report);
    } while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof report) {
        return 0;
    }
    reap(pid);
    if (report.step == STEP_DIRECTORY) {
        return error_sys(err, report.sys, "start %s: enter the directory %s", options->argv[0],
                         options->directory);
    }
    return report.sys == ENOENT
               ? error_set(err, ERR_NOT_FOUND, "start %s: no such program", options->argv[0])
               : error_sys(err, report.sys, "start %s: %s", options->argv[0], step_texts[report.step]);
}

static int spawn(const struct child_options *options, int ours[HANDLE_DEADLINE], pid_t *out,
                 struct error *err) {
    int theirs[HANDLE_DEADLINE] = {-1, -1, -1};
    int report[2] = {-1, -1};
    int rc = make_pipes(options->standard == NULL ? options->output_bytes_max : 0, ours, theirs, report, err);
    if (rc == 0) {
        pid_t parent = getpid();
        pid_t pid = fork_quiet();
        if (pid == 0) {
            run(options, parent, theirs, report[1]);
        }
        rc = pid < 0 ? error_sys(err, errno, "start %s", options->argv[0]) : 0;
        close_fds(&report[1], 1);
        rc = rc == 0 ? await_exec(options, pid, report[0], err) : rc;
        *out = pid;
    }
    close_fds(theirs, HANDLE_DEADLINE);
    close_fds(report, 2);
    if (rc == 0) {
        ours[HANDLE_END] = (int)syscall(SYS_pidfd_open, *out, 0); // sets O_CLOEXEC itself
        if (ours[HANDLE_END] < 0) {
            rc = error_sys(err, errno, "watch %s", options->argv[0]);
            kill(-*out, SIGKILL);
            reap(*out);
        }
    }
    if (rc != 0) {
        close_fds(ours, HANDLE_DEADLINE);
    }
    return rc;
}

// --- end ---

static void on_closed(uv_handle_t *handle) {
    struct child *child = handle->data;
    if (--child->handles_open > 0) {
        return;
    }
    close_fds(child->fds, HANDLE_DEADLINE);
    child->result.output = tail_text(&child->output);
    child->result.errors = tail_text(&child->errors);
    child->on_done(child->context, &child->result);
    xfree(child->output.data);
    xfree(child->errors.data);
    xfree(child);
}

static void close_handle(struct child *child, enum handle_index index) {
    uv_handle_t *handle = &child->handles[index].handle;
    if (handle->loop != NULL && !uv_is_closing(handle)) {
        uv_close(handle, on_closed);
    }
}

static struct tail *child_tail(struct child *child, int index) {
    return index == HANDLE_OUTPUT ? &child->output : &child->errors;
}

static void on_end(uv_poll_t *poll, int status, int events) {
    (void)events;
    struct child *child = poll->data;
    ASSERT(status == 0); // epoll has no failures for a pidfd
    if (child->is_killed) {
        kill(-child->pid, SIGKILL); // what was forked meanwhile; the group is ours until the child is reaped
    }
    child->is_ended = true;
    for (int i = HANDLE_OUTPUT; i <= HANDLE_ERRORS; i++) {
        if (child->fds[i] >= 0) {
            tail_read(child_tail(child, i), child->fds[i], READS_AT_END);
        }
    }
    siginfo_t info = {0};
    bool is_known = waitid(P_PID, (id_t)child->pid, &info, WEXITED) == 0;
    child->result.exit_code = is_known && info.si_code == CLD_EXITED ? info.si_status : -1;
    child->result.signal = is_known && info.si_code != CLD_EXITED ? info.si_status : 0;
    for (int i = 0; i < HANDLE_COUNT; i++) {
        close_handle(child, (enum handle_index)i);
    }
}

static void on_readable(uv_poll_t *poll, int status, int events) {
    (void)events;
    struct child *child = poll->data;
    int index = poll == &child->handles[HANDLE_OUTPUT].poll ? HANDLE_OUTPUT : HANDLE_ERRORS;
    if (status != 0 || !tail_read(child_tail(child, index), child->fds[index], READS_A_TURN)) {
        uv_poll_stop(poll);
    }
}

static void on_deadline(uv_timer_t *timer) {
    struct child *child = timer->data;
    child->result.is_timeout = true;
    child_kill(child);
}

void child_kill(struct child *child) {
    if (!child->is_ended) {
        child->is_killed = true;
        kill(-child->pid, SIGKILL);
    }
}

void child_signal(struct child *child, int number) {
    if (!child->is_ended) {
        kill(child->pid, number);
    }
}

static void watch(struct child *child, uv_loop_t *loop, int64_t deadline_ms) {
    static const uv_poll_cb callbacks[] = {on_end, on_readable, on_readable};
    for (int i = 0; i < HANDLE_DEADLINE; i++) {
        if (child->fds[i] < 0) {
            continue;
        }
        uv_poll_t *poll = &child->handles[i].poll;
        int failed = uv_poll_init(loop, poll, child->fds[i]);
        ASSERT(failed == 0); // a descriptor of a kind that can be polled
        poll->data = child;
        child->handles_open++;
        uv_poll_start(poll, UV_READABLE, callbacks[i]);
    }
    if (deadline_ms > 0) {
        uv_timer_t *timer = &child->handles[HANDLE_DEADLINE].timer;
        uv_timer_init(loop, timer);
        timer->data = child;
        child->handles_open++;
        uv_timer_start(timer, on_deadline, (uint64_t)deadline_ms, /*repeat=*/0);
    }
}

int child_start(const struct child_options *options, struct child **out, struct error *err) {
    int fds[HANDLE_DEADLINE] = {-1, -1, -1};
    pid_t pid;
    int rc = spawn(options, fds, &pid, err);
    if (rc != 0) {
        return rc;
    }
    struct child *child = NEW(struct child);
    child->pid = pid;
    memcpy(child->fds, fds, sizeof fds);
    child->output.bytes_max = child->errors.bytes_max = options->output_bytes_max;
    child->on_done = options->on_done;
    child->context = options->context;
    watch(child, options->loop, options->deadline_ms);
    *out = child;
    return 0;
}
