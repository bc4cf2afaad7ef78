// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/shim.c — muster-shim: the parent of one container, which keeps its log and its exit
// status.
//
// The kernel tells how a process ended to its parent only, and only once. Were the daemon that parent, its
// every restart would lose exit codes and log lines. So each container has a parent of its own: small enough
// to be cheap beside each task, and simple enough never to need a restart. An upgraded daemon manages shims
// of older versions; what passes between them is files, a FIFO and a lock, all described here. This is the
// on-disk format, version 1; golden copies are test/golden/format/v1/shim-*.
//
// Start        muster-shim --id ID --bundle DIR --dir TASKDIR --log FILE --log-max-bytes N --log-files N
//                  (--runc PATH --runc-root DIR | --process) [--memory-events FILE]
//                  [--create-timeout-ms N] [--systemd-none]
//              Paths are absolute. TASKDIR exists, mode 0700, and belongs to this task alone. --log-files
//              counts FILE too; 1 is taken as two of half the size. The file of memory events is cgroup v2's
//              memory.events or v1's memory.oom_control. The timeout (60000) holds for `runc start` as well.
//              --systemd-none says that runc makes the cgroups itself; there is no other way yet. --process:
//              no container but a plain process, as BUNDLE/process says (shim_process.c), for development;
//              with its end all that it started is killed.
// Exit status  0 `exit` is written, or an outcome was there before · 1 `failed` is written, or no file could
//              be · 2 bad arguments, told on stderr · 3 another shim holds the lock; nothing was touched.
//
// Files in TASKDIR. A watcher of IN_MOVED_TO sees each of the last four whole, and in this order.
//
//   lock         fcntl write lock for as long as the shim lives. F_GETLK tells its pid, whatever became of
//                pids since. A free lock without `exit` or `failed`: the supervisor was lost.
//   control      FIFO for commands, one a line. Unknown ones are ignored; those that come before the
//                container is made are kept. Opening it for writing without waiting fails when no shim reads.
//                  start     run the container's process; once
//                  kill N    send signal N to the container's first process. It cannot hit another process,
//                            since the shim has not reaped that one. Before `start` nothing of the user's
//                            runs, and each signal is SIGKILL
//   pid          pid of the first process, by runc
//   runc.log     messages of the last run of runc
//   outcome.tmp  disk space for `exit` or `failed`, so that an end can be told on a disk that became full
//   created      version pid start_time time_unix_ns
//                the container is made and waits for `start`. start_time is field 22 of /proc/PID/stat
//   running      version pid start_time time_unix_ns
//                `start` was done
//   exit         version code signal oom_kills lost_log_lines time_unix_ns
//                the first process ended, started or not. code is 128 + signal when a signal ended it; signal
//                is 0 otherwise. oom_kills counts over the whole life of the cgroup
//   failed       version stage time_unix_ns text
//                instead of `exit`: the container could not be made (stage=create) or run (stage=start). text
//                is one line of at most 2 KiB: runc's errors, else what it left on stderr, else how it ended
//
//   Each field is a line `key=value`. `version=1` is the first; later versions may add keys. `exit` and
//   `failed` are synced to disk, the log is before `exit`. Cleaning up (runc delete, cgroup, mounts) is the
//   agent's, after either.
//
// Model        One process, no threads, no malloc, one ppoll. SIGCHLD is let through only there, and only
//              sets a flag.
//
//                  creating --runc create--> created --`start`--> starting --runc start--> running
//                  any but creating --first process ended, no runc under way--> draining --> end
//
// Invariants   (1) A signal is sent to the first process only while it is not reaped. (2) `running` is
//              written before `exit`, even when the process ended first. (3) A process that inherited the
//              pipes holds the shim up for DRAIN_MS at most. (4) What the shim changed about itself does
//              not reach the container (shim_runc.c).
// Failure      The log is worth less than the container: it may lose lines (counted), and does not wait for
//              space. The outcome is worth more than anything: writing it is tried again for a minute.
//              SIGTERM and its like are ignored: only commands count.
// Not here     Log format and rotation (shim_log.h), how runc is run (shim_runc.h), files (shim_file.h).
// Source       The idea is that of conmon and containerd-shim.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "reconciler/agent/shim_child.h"
#include "reconciler/agent/shim_detach.h"
#include "reconciler/agent/shim_file.h"
#include "reconciler/agent/shim_init.h"
#include "reconciler/agent/shim_log.h"
#include "reconciler/agent/shim_options.h"
#include "reconciler/agent/shim_process.h"
#include "reconciler/agent/shim_runc.h"
#include "reconciler/agent/shim_text.h"

enum { STATUS_DONE = 0, STATUS_FAILED = 1, STATUS_LOCKED = 3 };
enum { DRAIN_MS = 2000, REAP_MS = 2000, OUTCOME_TRIES = 60, OUTCOME_PAUSE_MS = 1000 };
enum { TEXT_BYTES_MAX = 2048 };

enum phase { CREATING, CREATED, STARTING, RUNNING, DRAINING };

struct shim {
    struct shim_options options;
    struct shim_runc runc;
    struct shim_process process;
    struct shim_child child;
    enum phase phase;
    pid_t runc_pid;      // 0: none under way
    int64_t deadline_ms; // of what is under way, on the monotonic clock; -1: none
    bool start_wanted, kill_wanted;
    int dir, control;
    size_t command_len;
    char command[64];
    struct shim_text complaint; // what `runc create` left on stderr
    char complaint_data[TEXT_BYTES_MAX + 1];
    char runc_log_path[SHIM_OPTIONS_PATH_BYTES_MAX + 16], pid_path[SHIM_OPTIONS_PATH_BYTES_MAX + 16],
        oom_score_adj[16];
    struct shim_log_stream streams[2];
    struct shim_log log;
};

static struct shim the_shim; // too large for the stack, and costs nothing until it is written to

static volatile sig_atomic_t child_ended;

static void on_sigchld(int number) {
    child_ended = number;
}

static void watch_children(void) {
    const struct sigaction action = {.sa_handler = on_sigchld};
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    sigaction(SIGCHLD, &action, NULL);
}

// --- time ---

static int64_t now_mono_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static uint64_t now_unix_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

// Waits for descriptors, a child that ends, or the deadline (-1: none), whichever is first.
static void wait_for(struct pollfd *fds, nfds_t count, int64_t deadline_ms) {
    sigset_t none;
    struct timespec timeout = {0};
    int64_t left_ms = deadline_ms - now_mono_ms();
    if (left_ms > 0) {
        timeout.tv_sec = (time_t)(left_ms / 1000);
        timeout.tv_nsec = (long)(left_ms % 1000) * 1000000;
    }
    sigemptyset(&none);
    if (ppoll(fds, count, deadline_ms < 0 ? NULL : &timeout, &none) < 0) {
        for (nfds_t i = 0; i < count; i++) {
            fds[i].revents = 0;
        }
    }
}

// --- files ---

static void put_pair(struct shim_text *text, const char *key, uint64_t value) {
    shim_text_str(text, key);
    shim_text_str(text, "=");
    shim_text_u64(text, value);
    shim_text_str(text, "\n");
}

static int write_progress(const struct shim *shim, const char *name) {
    char data[256];
    struct shim_text text;
    shim_text_init(&text, data, sizeof data);
    shim_text_str(&text, "version=1\n");
    put_pair(&text, "pid", (uint64_t)shim->child.pid);
    put_pair(&text, "start_time", shim->child.start_time);
    put_pair(&text, "time_unix_ns", now_unix_ns());
    return shim_file_put(shim->dir, name, &text);
}

static int write_outcome(const struct shim *shim, const char *name, const struct shim_text *text) {
    int tries = 0;
    while (shim_file_settle(shim->dir, name, text) != 0) {
        if (errno == ENOENT || ++tries == OUTCOME_TRIES) {
            return STATUS_FAILED; // the directory is gone, or it cannot be helped
        }
        wait_for(NULL, 0, now_mono_ms() + OUTCOME_PAUSE_MS);
    }
    return STATUS_DONE;
}

static _Noreturn void write_exit_and_end(const struct shim *shim) {
    char data[512];
    struct shim_text text;
    int status = shim->child.status;
    int number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    shim_text_init(&text, data, sizeof data);
    shim_text_str(&text, "version=1\n");
    put_pair(&text, "code", (uint64_t)(number > 0 ? 128 + number : WEXITSTATUS(status)));
    put_pair(&text, "signal", (uint64_t)number);
    put_pair(&text, "oom_kills", shim->child.oom_kills);
    put_pair(&text, "lost_log_lines", shim->log.lost_lines_total);
    put_pair(&text, "time_unix_ns", shim->child.end_unix_ns);
    _exit(write_outcome(shim, "exit", &text));
}

static void put_printable(struct shim_text *text, const struct shim_text *from) {
    size_t len = from->len < TEXT_BYTES_MAX ? from->len : TEXT_BYTES_MAX;
    while (len > 0 && (unsigned char)from->data[len - 1] <= ' ') {
        len--;
    }
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)from->data[i];
        shim_text_bytes(text, c < ' ' || c == 0x7f ? " " : &from->data[i], 1);
    }
}

static _Noreturn void write_failed_and_end(const struct shim *shim, const char *stage,
                                           const struct shim_text *why) {
    char data[SHIM_FILE_OUTCOME_BYTES_MAX];
    struct shim_text text;
    shim_text_init(&text, data, sizeof data);
    shim_text_str(&text, "version=1\nstage=");
    shim_text_str(&text, stage);
    shim_text_str(&text, "\n");
    put_pair(&text, "time_unix_ns", now_unix_ns());
    shim_text_str(&text, "text=");
    put_printable(&text, why);
    shim_text_str(&text, "\n");
    write_outcome(shim, "failed", &text);
    _exit(STATUS_FAILED);
}

// --- failing ---

static _Noreturn void fail(struct shim *shim, const char *stage, const struct shim_text *why) {
    int64_t deadline_ms = now_mono_ms() + REAP_MS;
    if (shim->runc_pid > 0) {
        kill(-shim->runc_pid, SIGKILL);
    }
    shim_child_kill(&shim->child, SIGKILL);
    for (;;) {
        pid_t pid = waitpid(-1, NULL, WNOHANG);
        if (pid < 0 || (pid == 0 && now_mono_ms() >= deadline_ms)) {
            break;
        }
        if (pid == 0) {
            wait_for(NULL, 0, deadline_ms);
        } else if (pid == shim->child.pid) {
            shim->child.ended = true;
        } else if (pid == shim->runc_pid && shim->child.pid == 0 &&
                   shim_child_adopt(&shim->child, shim->pid_path)) {
            shim_child_kill(&shim->child, SIGKILL); // it had come that far when it was stopped
        }
    }
    for (int i = 0; i < 2; i++) {
        while (shim->phase != CREATING && shim_log_take(&shim->log, &shim->streams[i])) {
        }
        shim_log_end(&shim->log, &shim->streams[i]);
    }
    write_failed_and_end(shim, stage, why);
}

static _Noreturn void fail_with_errno(struct shim *shim, const char *stage, const char *what) {
    char data[256];
    struct shim_text why;
    const char *cause = strerror(errno);
    shim_text_init(&why, data, sizeof data);
    shim_text_str(&why, what);
    shim_text_str(&why, ": ");
    shim_text_str(&why, cause);
    fail(shim, stage, &why);
}

// `status` is how runc ended.
static _Noreturn void fail_with_runc(struct shim *shim, const char *stage, int status) {
    char data[TEXT_BYTES_MAX + 1];
    struct shim_text why;
    shim_text_init(&why, data, sizeof data);
    shim_runc_errors(&shim->runc, &why);
    if (why.len == 0 && status != 0 && shim->phase == CREATING) {
        shim_text_bytes(&why, shim->complaint.data, shim->complaint.len);
    }
    if (why.len == 0) {
        shim_text_str(&why, "runc ");
        shim_text_str(&why, stage);
        shim_text_str(&why, WIFSIGNALED(status) ? " was killed by signal " : " ended with status ");
        shim_text_u64(&why, (uint64_t)(WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status)));
        shim_text_str(&why, status == 0 ? " and left no process" : "");
    }
    fail(shim, stage, &why);
}

static _Noreturn void fail_with_timeout(struct shim *shim, const char *stage) {
    char data[128];
    struct shim_text why;
    uint64_t timeout_ms = shim->options.timeout_ms;
    bool whole = timeout_ms % 1000 == 0;
    shim_text_init(&why, data, sizeof data);
    shim_text_str(&why, "runc ");
    shim_text_str(&why, stage);
    shim_text_str(&why, " did not answer within ");
    shim_text_u64(&why, whole ? timeout_ms / 1000 : timeout_ms);
    shim_text_str(&why, whole ? " s" : " ms");
    fail(shim, stage, &why);
}

// --- from phase to phase ---

static void set_deadline(struct shim *shim, uint64_t after_ms) {
    shim->deadline_ms = now_mono_ms() + (int64_t)after_ms;
}

// Not more than runc would have done by `created`.
static void create_process(struct shim *shim, const int write_ends[2]) {
    char data[32];
    struct shim_text text;
    pid_t pid = shim_process_create(&shim->process, write_ends[0], write_ends[1]);
    if (pid < 0) {
        fail_with_errno(shim, "create", "make the process");
    }
    shim->child.pid = pid; // to be killed, whatever comes
    shim_text_init(&text, data, sizeof data);
    shim_text_u64(&text, (uint64_t)pid);
    if (shim_file_put(shim->dir, "pid", &text) != 0 || !shim_child_adopt(&shim->child, shim->pid_path) ||
        write_progress(shim, "created") != 0) {
        fail_with_errno(shim, "create", "write the file created");
    }
    shim->phase = CREATED;
}

static void start_process(struct shim *shim) {
    char data[256];
    struct shim_text why;
    shim_text_init(&why, data, sizeof data);
    if (!shim_process_start(&shim->process, &why)) {
        fail(shim, "start", &why);
    }
    if (write_progress(shim, "running") != 0) {
        fail_with_errno(shim, "start", "write the file running");
    }
    shim->phase = RUNNING;
}

static void begin_create(struct shim *shim) {
    int write_ends[2];
    for (int i = 0; i < 2; i++) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) != 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) {
            fail_with_errno(shim, "create", "make a pipe");
        }
        shim->streams[i].fd = ends[0];
        write_ends[i] = ends[1];
    }
    if (shim->options.is_process) {
        create_process(shim, write_ends);
    } else {
        shim->runc_pid = shim_runc_create(&shim->runc, write_ends[0], write_ends[1]);
        if (shim->runc_pid < 0) {
            shim->runc_pid = 0;
            fail_with_errno(shim, "create", "start runc");
        }
        set_deadline(shim, shim->options.timeout_ms);
    }
    close(write_ends[0]); // held by the container alone, the pipes end with it
    close(write_ends[1]);
}

static void begin_start(struct shim *shim) {
    shim->phase = STARTING;
    if (shim->options.is_process) {
        start_process(shim);
        return;
    }
    shim->runc_pid = shim_runc_start(&shim->runc);
    if (shim->runc_pid < 0) {
        shim->runc_pid = 0;
        fail_with_errno(shim, "start", "start runc");
    }
    set_deadline(shim, shim->options.timeout_ms);
}

// While runc creates, nothing of the user's runs: what comes through the pipes is runc's.
static bool take_complaint(struct shim *shim, const struct shim_log_stream *stream) {
    char data[512];
    ssize_t got = stream->fd < 0 ? 0 : read(stream->fd, data, sizeof data);
    if (got > 0) {
        shim_text_bytes(&shim->complaint, data, (size_t)got);
    }
    return got > 0;
}

static void on_created(struct shim *shim, int status) {
    for (int i = 0; i < 2; i++) {
        while (take_complaint(shim, &shim->streams[i])) {
        }
    }
    if (status != 0 || !shim_child_adopt(&shim->child, shim->pid_path)) {
        fail_with_runc(shim, "create", status);
    }
    if (write_progress(shim, "created") != 0) {
        fail_with_errno(shim, "create", "write the file created");
    }
    shim->phase = CREATED;
}

// A container that ended before runc came to start it has not failed to start: it tells its own end.
static void on_started(struct shim *shim, int status) {
    if (status != 0 && !shim->child.ended) {
        fail_with_runc(shim, "start", status);
    }
    if (status == 0 && write_progress(shim, "running") != 0) {
        fail_with_errno(shim, "start", "write the file running");
    }
    shim->phase = RUNNING;
}

static void reap(struct shim *shim) {
    bool runc_ended = false;
    int status, runc_status = 0;
    child_ended = 0;
    // Until runc create has told the pid of the first process, anything but runc might be that process.
    pid_t which = shim->phase == CREATING ? shim->runc_pid : -1;
    for (pid_t pid; (pid = waitpid(which, &status, WNOHANG)) > 0;) {
        if (pid == shim->child.pid) {
            shim_child_on_end(&shim->child, status, now_unix_ns(), shim->options.memory_events);
        } else if (pid == shim->runc_pid) {
            runc_ended = true;
            runc_status = status;
            shim->runc_pid = 0;
            shim->deadline_ms = -1;
            if (shim->phase == CREATING) {
                on_created(shim, status);
                which = -1;
            }
        }
    }
    if (runc_ended && shim->phase == STARTING) {
        on_started(shim, runc_status);
    }
}

static void on_deadline(struct shim *shim) {
    if (shim->phase == CREATING) {
        fail_with_timeout(shim, "create");
    }
    if (shim->phase == STARTING && !shim->child.ended) {
        fail_with_timeout(shim, "start");
    }
    if (shim->phase == STARTING) { // it ran and ended, whatever runc is waiting for
        kill(-shim->runc_pid, SIGKILL);
        shim->runc_pid = 0;
        shim->deadline_ms = -1;
        return;
    }
    for (int i = 0; i < 2; i++) {
        shim_log_end(&shim->log, &shim->streams[i]); // draining: somebody else holds the pipes
    }
}

// Does what events and commands have made possible.
static void advance(struct shim *shim) {
    if (shim->deadline_ms >= 0 && now_mono_ms() >= shim->deadline_ms) {
        on_deadline(shim);
    }
    if (shim->phase == CREATED && shim->kill_wanted) {
        shim_child_kill(&shim->child, SIGKILL);
    } else if (shim->phase == CREATED && shim->start_wanted && !shim->child.ended) {
        begin_start(shim);
    }
    if (shim->child.ended && shim->runc_pid == 0 && shim->phase != DRAINING) {
        shim->phase = DRAINING;
        set_deadline(shim, DRAIN_MS);
    }
    bool has_rest = shim->phase == DRAINING && shim->options.is_process && shim_process_kill_rest() &&
                    now_mono_ms() < shim->deadline_ms;
    if (shim->phase == DRAINING && shim->streams[0].fd < 0 && shim->streams[1].fd < 0 && !has_rest) {
        shim_log_finish(&shim->log);
        write_exit_and_end(shim);
    }
}

// --- commands ---

static void on_command(struct shim *shim, const char *line) {
    uint64_t number;
    if (strcmp(line, "start") == 0) {
        shim->start_wanted = true;
    } else if (strncmp(line, "kill ", 5) == 0 && shim_text_parse_u64(line + 5, NSIG - 1, &number) &&
               number > 0) {
        if (shim->phase == CREATING || (shim->phase == CREATED && !shim->start_wanted)) {
            shim->kill_wanted = true;
        } else {
            shim_child_kill(&shim->child, (int)number);
        }
    }
}

// A line that is too long is no command.
static void on_control(struct shim *shim) {
    char data[512];
    ssize_t got = read(shim->control, data, sizeof data);
    for (ssize_t i = 0; i < got; i++) {
        if (data[i] == '\n') {
            if (shim->command_len < sizeof shim->command) {
                shim->command[shim->command_len] = '\0';
                on_command(shim, shim->command);
            }
            shim->command_len = 0;
        } else if (shim->command_len < sizeof shim->command) {
            shim->command[shim->command_len++] = data[i];
        }
    }
}

static _Noreturn void supervise(struct shim *shim) {
    for (;;) {
        struct pollfd fds[] = {
            {.fd = shim->control, .events = POLLIN},
            {.fd = shim->streams[0].fd, .events = POLLIN},
            {.fd = shim->streams[1].fd, .events = POLLIN},
        };
        wait_for(fds, 3, shim->deadline_ms);
        for (int i = 0; i < 2; i++) {
            if (fds[1 + i].revents == 0) {
                continue;
            }
            if (shim->phase != CREATING) {
                shim_log_take(&shim->log, &shim->streams[i]);
            } else if (!take_complaint(shim, &shim->streams[i])) {
                shim_log_end(&shim->log, &shim->streams[i]); // or poll would tell of its end for ever
            }
        }
        if (child_ended) {
            reap(shim);
        }
        if (fds[0].revents != 0) {
            on_control(shim);
        }
        advance(shim);
    }
}

// --- start ---

// Ends here when another shim is at it, or when the work was done before.
static void claim(struct shim *shim) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    shim->dir = open(shim->options.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd = shim->dir < 0 ? -1 : openat(shim->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        _exit(STATUS_FAILED);
    }
    if (fcntl(fd, F_SETLK, &lock) != 0) {
        _exit(errno == EACCES || errno == EAGAIN ? STATUS_LOCKED : STATUS_FAILED);
    }
    if (faccessat(shim->dir, "exit", F_OK, 0) == 0 || faccessat(shim->dir, "failed", F_OK, 0) == 0) {
        _exit(STATUS_DONE);
    }
}

static void prepare(struct shim *shim) {
    struct shim_text path;
    shim_text_init(&shim->complaint, shim->complaint_data, sizeof shim->complaint_data);
    shim_text_init(&path, shim->runc_log_path, sizeof shim->runc_log_path);
    shim_text_str(&path, shim->options.dir);
    shim_text_str(&path, "/runc.log");
    shim_text_init(&path, shim->pid_path, sizeof shim->pid_path);
    shim_text_str(&path, shim->options.dir);
    shim_text_str(&path, "/pid");
    shim->process =
        (struct shim_process){.bundle = shim->options.bundle, .oom_score_adj = shim->oom_score_adj};
    shim->runc = (struct shim_runc){
        .path = shim->options.runc,
        .root = shim->options.runc_root,
        .id = shim->options.id,
        .bundle = shim->options.bundle,
        .log_path = shim->runc_log_path,
        .pid_path = shim->pid_path,
        .oom_score_adj = shim->oom_score_adj,
    };
    shim_log_init(&shim->log, shim->options.log, shim->options.log_max_bytes,
                  (unsigned)shim->options.log_files);
    shim->streams[0].name = "stdout";
    shim->streams[1].name = "stderr";
    if (shim_file_reserve(shim->dir) != 0) {
        fail_with_errno(shim, "create", "reserve space for the outcome");
    }
    if (mkfifoat(shim->dir, "control", 0600) != 0 && errno != EEXIST) {
        fail_with_errno(shim, "create", "make the control fifo");
    }
    // Read and write, so that it has no end when a writer goes.
    shim->control = openat(shim->dir, "control", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (shim->control < 0) {
        fail_with_errno(shim, "create", "open the control fifo");
    }
}

int main(int argc, char **argv) {
    struct shim *shim = &the_shim;
    if (argc > 2 && strcmp(argv[1], "--init") == 0) {
        shim_init(argv + 2);
    }
    shim->deadline_ms = -1;
    shim->control = shim->streams[0].fd = shim->streams[1].fd = -1;
    shim_options_parse(&shim->options, argv);
    shim_detach(shim->oom_score_adj, sizeof shim->oom_score_adj);
    watch_children();
    claim(shim);
    prepare(shim);
    begin_create(shim);
    supervise(shim);
}
