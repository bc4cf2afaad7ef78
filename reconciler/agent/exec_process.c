// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/exec_process.c — a command beside a task: its descriptors, its input in order, its end.
//
// Model        Three descriptors of ours: input, output, errors; with a terminal the first two are its
//              master, and errors are the words of the runtime alone. Each is polled while there is
//              something to do with it. After the program has ended, what is there is read to its end, and
//              then it is over.
// Not started  The runtime writes a file with the pid once the command runs: without the file it never did,
//              and what came as errors until then are the runtime's own words: they become the message.
// Hangup       Closing the terminal, or SIGHUP handed on by the runtime, ends what cares; a mark in the
//              environment finds the rest (health_probe.h).
#include "reconciler/agent/exec_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <uv.h>

#include "base/assert.h"
#include "base/fs.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/agent/child.h"

#define READS_A_TURN 8
#define HANGUP_MS 2000
#define BEGIN_LOOK_MS 10 // for the runtime to write its file, once something was said
#define SWEEP_DEADLINE_MS 10000
#define ERRORS_BYTES 4096

enum { INPUT, OUTPUT, ERRORS, STREAM_COUNT };

struct input {
    struct list_node node;
    size_t len, at;
    bool is_end;
    char data[];
};

struct exec_process {
    struct exec_callbacks callbacks;
    void *context;
    uv_loop_t *loop;
    uv_poll_t polls[STREAM_COUNT];
    uv_timer_t timer; // the next try of what was not taken; then the end of patience after a hangup
    int fds[STREAM_COUNT];
    int open; // handles
    struct child *child, *sweep;
    struct list inputs;
    bool is_tty, has_begun, is_ended, is_hung_up, is_closing;
    bool is_pending; // a chunk is not taken yet…
    bool is_refused; // …nor will be until exec_process_resume
    bool pending_is_errors;
    size_t pending_len;
    char pending[EXEC_CHUNK_BYTES];
    char *pid_file, *process_file, *procs, *mark, *self_path;
    char errors[ERRORS_BYTES];
    size_t errors_len;
    int exit_code;
};

static void pump(struct exec_process *process);

// --- the end ---

static void process_free(struct exec_process *process) {
    for (struct list_node *node; (node = list_first(&process->inputs)) != NULL;) {
        list_remove(node);
        xfree(LIST_ENTRY(node, struct input, node));
    }
    xfree(process->pid_file);
    xfree(process->process_file);
    xfree(process->procs);
    xfree(process->mark);
    xfree(process->self_path);
    xfree(process);
}

// The command runs, or ran.
static bool has_begun(struct exec_process *process) {
    process->has_begun =
        process->has_begun || process->pid_file == NULL || access(process->pid_file, F_OK) == 0;
    return process->has_begun;
}

// 127: there is no such program; 126: there is, but it cannot be run. As shells and Docker say it.
static int code_of_failure(const char *text) {
    return strstr(text, "not found") != NULL || strstr(text, "no such file or directory") != NULL ? 127 : 126;
}

// The runtime's words without those that say only that it is one.
static const char *words_of(const char *text) {
    const char *const begins[] = {"exec failed: ", "unable to start container process: "};
    const char *found = text;
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++) {
        const char *at = strstr(found, begins[i]);
        found = at != NULL ? at + strlen(begins[i]) : found;
    }
    return found;
}

static void on_closed(uv_handle_t *handle) {
    struct exec_process *process = handle->data;
    if (--process->open > 0) {
        return;
    }
    for (int i = 0; i < STREAM_COUNT; i++) {
        close_at(&process->fds[i]);
    }
    bool was_started = has_begun(process);
    if (process->pid_file != NULL) {
        unlink(process->pid_file);
    }
    if (process->process_file != NULL) {
        unlink(process->process_file);
    }
    if (!process->is_hung_up) {
        process->errors[process->errors_len] = '\0';
        const char *words = words_of(process->errors);
        AUTO_FREE char *line = xasprintf("%.*s", (int)strcspn(words, "\n"), words);
        int code = was_started ? process->exit_code : code_of_failure(words);
        process->callbacks.on_end(process->context, code, was_started ? "" : line);
    }
    process_free(process);
}

static void close_stream(struct exec_process *process, int index) {
    uv_handle_t *handle = (uv_handle_t *)&process->polls[index];
    if (handle->loop != NULL && !uv_is_closing(handle)) {
        uv_close(handle, on_closed);
    }
}

// Once nobody needs any of it: no child, no chunk that waits, outputs at their end.
static void close_when_over(struct exec_process *process) {
    bool is_read =
        process->polls[OUTPUT].loop == NULL || uv_is_closing((uv_handle_t *)&process->polls[OUTPUT]);
    is_read = is_read && uv_is_closing((uv_handle_t *)&process->polls[ERRORS]);
    bool is_over = process->is_ended && process->sweep == NULL && (is_read || process->is_hung_up);
    if (!is_over || process->is_closing || (process->is_pending && !process->is_hung_up)) {
        return;
    }
    process->is_closing = true;
    for (int i = 0; i < STREAM_COUNT; i++) {
        close_stream(process, i);
    }
    uv_close((uv_handle_t *)&process->timer, on_closed);
}

static void on_child_done(void *context, const struct child_result *result) {
    struct exec_process *process = context;
    process->child = NULL;
    process->is_ended = true;
    process->exit_code = result->exit_code >= 0 ? result->exit_code : 128 + result->signal;
    close_stream(process, INPUT);
    pump(process); // what it said last
    close_when_over(process);
}

// --- output ---

static void keep_errors(struct exec_process *process, const char *data, size_t len) {
    size_t room = ERRORS_BYTES - 1 - process->errors_len;
    size_t kept = len < room ? len : room;
    memcpy(process->errors + process->errors_len, data, kept);
    process->errors_len += kept;
}

static void watch(struct exec_process *process, int index, bool is_on);

// The chunk that waits. False: it still does.
static bool hand_on(struct exec_process *process) {
    if (process->is_pending && !process->is_refused && !process->is_hung_up) {
        struct bytes data = {(const uint8_t *)process->pending, process->pending_len};
        process->is_pending =
            !process->callbacks.on_output(process->context, process->pending_is_errors, data);
        process->is_refused = process->is_pending;
    }
    return !process->is_pending || process->is_hung_up;
}

static void on_resumed(uv_timer_t *timer);

static void pump_one(struct exec_process *process, int index) {
    if (index == ERRORS && !has_begun(process) && !process->is_ended) {
        watch(process, index, false); // whose words they are is not known yet
        uv_timer_start(&process->timer, on_resumed, BEGIN_LOOK_MS, 0);
        return;
    }
    // After its end what is there is all there is.
    for (int i = 0; i < READS_A_TURN || process->is_ended; i++) {
        if (!hand_on(process)) {
            watch(process, index, false);
            return;
        }
        ssize_t got = read(process->fds[index], process->pending, sizeof process->pending);
        if (got > 0) {
            process->pending_len = (size_t)got;
            process->pending_is_errors = index == ERRORS;
            process->is_pending = index == OUTPUT || (!process->is_tty && process->has_begun);
            if (index == ERRORS) {
                keep_errors(process, process->pending, (size_t)got);
            }
        } else if (got == 0 || (errno != EINTR && errno != EAGAIN) ||
                   (errno == EAGAIN && process->is_ended)) {
            close_stream(process, index); // a terminal without anybody says EIO
            return;
        } else if (errno == EAGAIN) {
            break;
        }
    }
    watch(process, index, hand_on(process));
}

static void pump(struct exec_process *process) {
    for (int i = OUTPUT; i <= ERRORS; i++) {
        if (process->polls[i].loop != NULL && !uv_is_closing((uv_handle_t *)&process->polls[i])) {
            pump_one(process, i);
        }
    }
    if (process->is_ended && !hand_on(process)) {
        return; // exec_process_resume goes on
    }
    close_when_over(process);
}

static void on_readable(uv_poll_t *poll, int status, int events) {
    struct exec_process *process = poll->data;
    (void)status, (void)events;
    pump_one(process, poll == &process->polls[OUTPUT] ? OUTPUT : ERRORS);
    if (!process->is_pending || hand_on(process)) {
        close_when_over(process);
    }
}

static void on_resumed(uv_timer_t *timer) {
    struct exec_process *process = timer->data;
    process->is_refused = false;
    pump(process);
}

// Not inside the call: callbacks come from the loop.
void exec_process_resume(struct exec_process *process) {
    if (!process->is_hung_up) {
        uv_timer_start(&process->timer, on_resumed, 0, 0);
    }
}

// --- input ---

static void input_done(struct exec_process *process, struct input *input) {
    size_t len = input->len;
    bool is_end = input->is_end;
    list_remove(&input->node);
    xfree(input);
    if (!is_end && !process->is_hung_up) {
        process->callbacks.on_input(process->context, len);
    }
}

static void end_input(struct exec_process *process) {
    static const char end_of_file = 4; // as a terminal knows it, at the beginning of a line
    if (process->is_tty) {
        ssize_t put = write(process->fds[INPUT], &end_of_file, 1);
        (void)put;
        watch(process, INPUT, false);
        return;
    }
    close_stream(process, INPUT);
    close_at(&process->fds[INPUT]);
    process->fds[INPUT] = -1;
}

// Whoever does not read any more, or never will, takes all.
static void on_input_ready(uv_poll_t *poll, int status, int events) {
    struct exec_process *process = poll->data;
    (void)status, (void)events;
    for (struct list_node *node; (node = list_first(&process->inputs)) != NULL;) {
        struct input *input = LIST_ENTRY(node, struct input, node);
        if (input->is_end) {
            input_done(process, input);
            end_input(process);
            return;
        }
        ssize_t put = write(process->fds[INPUT], input->data + input->at, input->len - input->at);
        if (put < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        input->at = put < 0 ? input->len : input->at + (size_t)put;
        if (input->at == input->len) {
            input_done(process, input);
        }
    }
    watch(process, INPUT, false);
}

static void add_input(struct exec_process *process, struct bytes data, bool is_end) {
    struct input *input = xmalloc(sizeof *input + data.len);
    *input = (struct input){.len = data.len, .is_end = is_end};
    if (data.len > 0) {
        memcpy(input->data, data.data, data.len);
    }
    list_append(&process->inputs, &input->node);
    if (process->fds[INPUT] >= 0 && !process->is_ended) {
        watch(process, INPUT, true);
    }
}

void exec_process_write(struct exec_process *process, struct bytes data) {
    add_input(process, data, false);
}

void exec_process_end_input(struct exec_process *process) {
    add_input(process, (struct bytes){0}, true);
}

static void watch(struct exec_process *process, int index, bool is_on) {
    static const uv_poll_cb callbacks[] = {on_input_ready, on_readable, on_readable};
    uv_poll_t *poll = &process->polls[index];
    if (poll->loop == NULL || uv_is_closing((uv_handle_t *)poll)) {
        return;
    }
    if (is_on) {
        uv_poll_start(poll, index == INPUT ? UV_WRITABLE : UV_READABLE, callbacks[index]);
    } else {
        uv_poll_stop(poll);
    }
}

void exec_process_resize(struct exec_process *process, int64_t rows, int64_t columns) {
    struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
    if (process->is_tty && process->fds[OUTPUT] >= 0 && rows > 0 && columns > 0) {
        ioctl(process->fds[OUTPUT], TIOCSWINSZ, &size);
    }
}

// --- hangup ---

static void on_swept(void *context, const struct child_result *result) {
    struct exec_process *process = context;
    (void)result;
    process->sweep = NULL;
    if (process->child != NULL) {
        child_kill(process->child);
    }
    close_when_over(process);
}

static void on_patience_over(uv_timer_t *timer) {
    struct exec_process *process = timer->data;
    struct error err = {0};
    const char *const argv[] = {process->self_path, "probe", "sweep", process->procs, process->mark, NULL};
    struct child_options options = {.loop = process->loop,
                                    .argv = argv,
                                    .deadline_ms = SWEEP_DEADLINE_MS,
                                    .on_done = on_swept,
                                    .context = process};
    if (process->procs != NULL && child_start(&options, &process->sweep, &err) == 0) {
        return;
    }
    if (process->child != NULL) {
        child_kill(process->child);
    }
    close_when_over(process);
}

void exec_process_hang_up(struct exec_process *process) {
    if (process->is_hung_up) {
        return;
    }
    process->is_hung_up = true;
    for (int i = 0; i < STREAM_COUNT; i++) {
        watch(process, i, false);
    }
    if (process->child == NULL) {
        close_when_over(process);
        return;
    }
    if (process->is_tty) {
        close_stream(process, INPUT);
        close_stream(process, OUTPUT);
        close_at(&process->fds[INPUT]);
        close_at(&process->fds[OUTPUT]);
        process->fds[INPUT] = process->fds[OUTPUT] = -1;
    }
    child_signal(process->child, SIGHUP);
    uv_timer_start(&process->timer, on_patience_over, HANGUP_MS, 0);
}

// --- start ---

static int make_terminal(const struct exec_options *options, int ours[STREAM_COUNT], int theirs[STREAM_COUNT],
                         struct error *err) {
    char name[64];
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    ours[OUTPUT] = master;
    if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0 ||
        ptsname_r(master, name, sizeof name) != 0) {
        return error_sys(err, errno, "make a terminal");
    }
    // Two descriptors of its own for each side: each is watched, or closed, apart.
    ours[INPUT] = fcntl(master, F_DUPFD_CLOEXEC, 3);
    theirs[INPUT] = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    theirs[OUTPUT] = theirs[INPUT] < 0 ? -1 : fcntl(theirs[INPUT], F_DUPFD_CLOEXEC, 3);
    if (ours[INPUT] < 0 || theirs[OUTPUT] < 0) {
        return error_sys(err, errno, "open a terminal");
    }
    struct winsize size = {.ws_row = (unsigned short)options->rows,
                           .ws_col = (unsigned short)options->columns};
    if (options->rows > 0 && options->columns > 0) {
        ioctl(master, TIOCSWINSZ, &size);
    }
    return 0;
}

static int make_pipe(int *ours, int *theirs, bool is_input, struct error *err) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return error_sys(err, errno, "make a pipe");
    }
    *ours = ends[is_input];
    *theirs = ends[!is_input];
    return fcntl(*ours, F_SETFL, O_NONBLOCK) != 0 ? error_sys(err, errno, "make a pipe") : 0;
}

static int make_streams(const struct exec_options *options, int ours[STREAM_COUNT], int theirs[STREAM_COUNT],
                        struct error *err) {
    int rc = 0;
    if (options->is_tty) {
        rc = make_terminal(options, ours, theirs, err);
    } else {
        rc = options->has_input ? make_pipe(&ours[INPUT], &theirs[INPUT], /*is_input=*/true, err) : 0;
        rc = rc < 0 ? rc : make_pipe(&ours[OUTPUT], &theirs[OUTPUT], /*is_input=*/false, err);
    }
    return rc < 0 ? rc : make_pipe(&ours[ERRORS], &theirs[ERRORS], /*is_input=*/false, err);
}

static char *copy_of(const char *text) {
    return text != NULL ? xstrdup(text) : NULL;
}

static void begin(struct exec_process *process, const struct exec_options *options) {
    const struct exec_plan *plan = options->plan;
    process->loop = options->loop;
    process->callbacks = options->callbacks;
    process->context = options->context;
    process->is_tty = options->is_tty;
    process->pid_file = copy_of(plan->pid_file);
    process->process_file = copy_of(plan->process_file);
    process->procs = copy_of(plan->procs);
    process->mark = copy_of(plan->mark);
    process->self_path = copy_of(plan->self_path);
    list_init(&process->inputs);
    uv_timer_init(process->loop, &process->timer);
    process->timer.data = process;
    process->open = 1;
    for (int i = 0; i < STREAM_COUNT; i++) {
        if (process->fds[i] >= 0) {
            int failed = uv_poll_init(process->loop, &process->polls[i], process->fds[i]);
            ASSERT(failed == 0); // a descriptor of a kind that can be polled
            process->polls[i].data = process;
            process->open++;
            watch(process, i, i != INPUT);
        }
    }
}

int exec_process_start(const struct exec_options *options, struct exec_process **out, struct error *err) {
    int ours[STREAM_COUNT] = {-1, -1, -1};
    int theirs[STREAM_COUNT] = {-1, -1, -1};
    struct exec_process *process = NEW(struct exec_process);
    struct child_options child = {.loop = options->loop,
                                  .argv = options->plan->argv,
                                  .directory = options->plan->directory,
                                  .standard = theirs,
                                  .dies_with_us = true,
                                  .on_done = on_child_done,
                                  .context = process};
    int rc = make_streams(options, ours, theirs, err);
    rc = rc < 0 ? rc : child_start(&child, &process->child, err);
    for (int i = 0; i < STREAM_COUNT; i++) {
        close_at(&theirs[i]);
        if (rc < 0) {
            close_at(&ours[i]);
        }
        process->fds[i] = ours[i];
    }
    if (rc < 0) {
        xfree(process);
        return rc;
    }
    begin(process, options);
    *out = process;
    return 0;
}
