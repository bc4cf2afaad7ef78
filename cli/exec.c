// SPDX-License-Identifier: Apache-2.0
//
// cli/exec.c — runs a command beside a task: what is typed here goes there, what it says comes here.
//
// Model        One loop over three descriptors: the connection, our input, changes of the terminal's size.
//              Input is read only while less than INPUTS_MAX pieces are unanswered, so a command that does
//              not read stops us, not the daemon; output is written before more is taken.
// Exit status  The command's; 126 and 127 when it could not be run, as a shell has it.
#include "cli/exec.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/connect.h"
#include "cli/raw_terminal.h"

#define INPUTS_MAX 8

_Static_assert(INPUTS_MAX <= EXEC_INPUTS_MAX, "the daemon takes so many");

const struct option_row exec_rows[EXEC_ROWS] = {
    OPT_FLAG(struct exec_args, is_interactive, "interactive", 'i', .help = "Give it our standard input"),
    OPT_FLAG(struct exec_args, is_tty, "tty", 't', .help = "Give it a terminal"),
    OPT_LIST(struct exec_args, environment, "env", 'e', .metavar = "NAME=VALUE",
             .help = "Variables beside the task's; NAME alone takes its value from here"),
    OPT_STRING(struct exec_args, user, "user", 'u', .metavar = "USER[:GROUP]",
               .help = "Run it as this user of the container"),
    OPT_STRING(struct exec_args, working_dir, "workdir", 'w', .metavar = "DIRECTORY",
               .help = "Run it in this directory of the container"),
    OPT_FLAG(struct exec_args, is_privileged, "privileged", '\0',
             .help = "Refused: a task gets no more rights"),
};

struct running {
    struct client *client;
    uint64_t conversation;
    struct id session;
    bool is_started, is_over, has_input, is_input_over;
    int unanswered;
    int size_fd; // -1: no terminal
    int exit_code;
};

static int read_environment(const struct strings *given, struct arena *arena, struct pairs *out,
                            struct error *err) {
    for (size_t i = 0; i < given->count; i++) {
        const char *text = given->items[i];
        const char *equals = strchr(text, '=');
        size_t len = equals != NULL ? (size_t)(equals - text) : strlen(text);
        const char *name = arena_strndup(arena, text, len);
        const char *value = equals != NULL ? equals + 1 : getenv(name);
        if (len == 0) {
            return error_set(err, ERR_USAGE, "--env: '%s' has no name", text);
        }
        if (value != NULL) {
            *out = pairs_set(arena, out, name, value);
        }
    }
    return 0;
}

static int make_request(const struct invocation *in, struct exec_request *out, struct error *err) {
    const struct exec_args *args = in->args;
    schema_init(&exec_request_schema, out);
    if (args->is_privileged) {
        return error_set(err, ERR_DENIED,
                         "--privileged: a command gets the rights of its task and no more "
                         "(cap_add in its service gives it others)");
    }
    if (args->is_tty && args->is_interactive && !isatty(STDIN_FILENO)) {
        return error_set(err, ERR_USAGE,
                         "the input device is not a TTY (leave -t out to feed it from a pipe)");
    }
    if (args->working_dir != NULL && args->working_dir[0] != '/') {
        return error_set(err, ERR_USAGE, "--workdir: '%s' is not an absolute path", args->working_dir);
    }
    out->reference = in->arguments.items[0];
    for (size_t i = 1; i < in->arguments.count; i++) {
        *ARENA_PUSH(in->arena, &out->command) = in->arguments.items[i];
    }
    out->user = args->user != NULL ? args->user : "";
    out->working_dir = args->working_dir != NULL ? args->working_dir : "";
    out->is_tty = args->is_tty;
    out->has_input = args->is_interactive;
    if (args->is_tty) {
        (void)raw_terminal_size(STDIN_FILENO, &out->rows, &out->columns);
    }
    return read_environment(&args->environment, in->arena, &out->environment, err);
}

// --- to the command ---

static int send_size(struct running *running, struct error *err) {
    struct exec_resize size;
    uint64_t ignored;
    schema_init(&exec_resize_schema, &size);
    size.session = running->session;
    raw_terminal_take_change(running->size_fd);
    if (!running->is_started || !raw_terminal_size(STDIN_FILENO, &size.rows, &size.columns)) {
        return 0;
    }
    return client_send(running->client, MESSAGE_EXEC_RESIZE, &size, &ignored, err);
}

static int send_input(struct running *running, struct error *err) {
    static uint8_t data[EXEC_INPUT_BYTES_MAX];
    struct exec_input input;
    uint64_t ignored;
    ssize_t got = read(STDIN_FILENO, data, sizeof data);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) {
        return 0;
    }
    schema_init(&exec_input_schema, &input);
    input.session = running->session;
    input.data = (struct bytes){data, got > 0 ? (size_t)got : 0};
    input.is_end = running->is_input_over = got <= 0;
    running->unanswered++;
    return client_send(running->client, MESSAGE_EXEC_INPUT, &input, &ignored, err);
}

// --- from the command ---

static int put_output(const struct client_frame *frame, struct error *err) {
    AUTO_ARENA arena = {0};
    struct exec_output output;
    int rc = wire_decode(&exec_output_schema, frame->body, &output, &arena, err);
    if (rc == 0 && fs_write_all(output.is_stderr ? STDERR_FILENO : STDOUT_FILENO, output.data.data,
                                output.data.len) != 0) {
        return error_sys(err, errno, "write what the command says");
    }
    return rc;
}

static int on_exit_frame(struct running *running, const struct client_frame *frame, struct error *err) {
    AUTO_ARENA arena = {0};
    struct exec_exit outcome;
    int rc = wire_decode(&exec_exit_schema, frame->body, &outcome, &arena, err);
    if (rc < 0) {
        return rc;
    }
    running->exit_code = (int)outcome.code;
    if (outcome.message[0] != '\0') {
        AUTO_BUF text = {0};
        raw_terminal_leave();
        str_escape(&text, outcome.message, strlen(outcome.message), /* keep_newlines= */ false);
        fprintf(stderr, "muster: exec: %s\n", buf_text(&text));
    }
    return 0;
}

static int on_started(struct running *running, const struct client_frame *frame, struct error *err) {
    AUTO_ARENA arena = {0};
    struct exec_started started;
    int rc = wire_decode(&exec_started_schema, frame->body, &started, &arena, err);
    if (rc == 0) {
        running->session = started.session;
        running->is_started = true;
        rc = running->size_fd >= 0 ? send_size(running, err) : 0; // it may have changed meanwhile
    }
    return rc;
}

static int take_frame(struct running *running, const struct client_frame *frame, struct error *err) {
    if (frame->conversation != running->conversation) { // the answer to input, or to a size
        running->unanswered -= running->unanswered > 0 && frame->number != 0;
        return 0;
    }
    switch (frame->number) {
    case MESSAGE_EXEC_STARTED:
        return on_started(running, frame, err);
    case MESSAGE_EXEC_OUTPUT:
        return put_output(frame, err);
    case MESSAGE_EXEC_EXIT:
        return on_exit_frame(running, frame, err);
    case MESSAGE_FAILURE:
        return client_failure(frame, err);
    case MESSAGE_DONE:
        running->is_over = true;
        return 0;
    default:
        return 0;
    }
}

static int take_frames(struct running *running, struct error *err) {
    int rc = 0;
    while (rc == 0 && !running->is_over) {
        struct client_frame frame;
        rc = client_next(running->client, 0, &frame, err);
        if (rc == CLIENT_TIMEOUT) {
            return 0;
        }
        rc = rc == 0 ? take_frame(running, &frame, err) : rc;
    }
    return rc;
}

static int converse(struct running *running, struct error *err) {
    int rc = take_frames(running, err); // what came already makes nothing readable
    while (rc == 0 && !running->is_over) {
        bool wants_input = running->is_started && running->has_input && !running->is_input_over &&
                           running->unanswered < INPUTS_MAX;
        struct pollfd fds[] = {{.fd = client_fd(running->client), .events = POLLIN},
                               {.fd = wants_input ? STDIN_FILENO : -1, .events = POLLIN},
                               {.fd = running->size_fd, .events = POLLIN}};
        if (poll(fds, 3, -1) < 0 && errno != EINTR) {
            return error_sys(err, errno, "wait");
        }
        rc = fds[0].revents != 0 ? take_frames(running, err) : 0;
        if (rc == 0 && !running->is_over && fds[1].revents != 0) {
            rc = send_input(running, err);
        }
        if (rc == 0 && !running->is_over && fds[2].revents != 0) {
            rc = send_size(running, err);
        }
    }
    return rc;
}

int exec_run(struct invocation *in, struct error *err) {
    const struct exec_args *args = in->args;
    AUTO_CLIENT *client = NULL;
    struct exec_request request;
    struct running running = {.size_fd = -1, .has_input = args->is_interactive};
    int rc = make_request(in, &request, err);
    bool has_terminal = args->is_tty && isatty(STDIN_FILENO);
    if (has_terminal) {
        running.size_fd = raw_terminal_watch_size();
    }
    rc = rc < 0 ? rc : connect_open(in, &client, err);
    if (rc == 0 && has_terminal) {
        rc = args->is_interactive ? raw_terminal_enter(STDIN_FILENO, err) : 0;
    }
    running.client = client;
    rc = rc < 0 ? rc : client_send(client, MESSAGE_EXEC, &request, &running.conversation, err);
    rc = rc < 0 ? rc : converse(&running, err);
    raw_terminal_leave();
    close_at(&running.size_fd);
    return rc < 0 ? rc : running.exit_code;
}

static const struct command rows[] = {
    {.name = "exec",
     .summary = "Run a command beside a task, wherever it runs",
     .usage = "TASK|SERVICE[.SLOT] COMMAND [ARGUMENT…]",
     .details = "The command runs in the task's container as the task does: its user, environment, "
                "directory, rights and limits. Of a service the first running task is taken, one on this "
                "manager's node before others. When this command ends, so does that one. The exit status "
                "is the command's; 126 or 127 when it could not be run.",
     .example = "muster exec -it web.1 sh\nmuster exec db pg_dump shop >shop.sql\n"
                "muster exec -i db psql shop <shop.sql",
     .names = NAMES_SERVICE,
     EXEC_COMMAND,
     .run = exec_run},
};
const struct command_group exec_commands = COMMAND_GROUP(NULL, "Look", rows);
