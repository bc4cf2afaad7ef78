// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/relay_exec.c — runs a command beside a task of this node for a manager.
//
// Model        The stream's credit is the command's: output that is not taken stays in its pipe, and input is
//              counted as dealt with once the command took it.
#include "reconciler/daemon/relay_exec.h"

#include "base/mem.h"
#include "reconciler/agent/exec_process.h"
#include "reconciler/daemon/daemon.h"

struct exec_answer {
    struct daemon *daemon;
    struct relay_end *end; // NULL once it ended
    struct exec_process *process;
    bool is_over; // what is left to say is the exit
    struct exec_exit exit;
    char *message;
};

static void answer_free(struct exec_answer *answer) {
    xfree(answer->message);
    xfree(answer);
}

// --- what the command does ---

static bool on_output(void *context, bool is_stderr, struct bytes data) {
    struct exec_answer *answer = context;
    return relay_send(answer->end, is_stderr ? EXEC_FRAME_ERRORS : EXEC_FRAME_OUTPUT, data);
}

static void on_input(void *context, size_t bytes) {
    struct exec_answer *answer = context;
    relay_consumed(answer->end, bytes);
}

// False: not now.
static bool say_exit(struct exec_answer *answer) {
    AUTO_BUF body = {0};
    answer->exit.message = answer->message;
    wire_encode(&exec_exit_schema, &answer->exit, &body);
    if (!relay_send(answer->end, EXEC_FRAME_EXIT, buf_bytes(&body))) {
        return false;
    }
    relay_close(answer->end, NULL);
    answer_free(answer);
    return true;
}

static void on_exit(void *context, int exit_code, const char *message) {
    struct exec_answer *answer = context;
    answer->process = NULL;
    answer->is_over = true;
    schema_init(&exec_exit_schema, &answer->exit);
    answer->exit.code = exit_code & 255;
    answer->message = xstrdup(message);
    (void)say_exit(answer); // or on_writable does
}

// --- what the other side does ---

static void on_writable(void *context) {
    struct exec_answer *answer = context;
    if (answer->is_over) {
        (void)say_exit(answer);
    } else {
        exec_process_resume(answer->process);
    }
}

static void resize(struct exec_answer *answer, struct bytes data) {
    AUTO_ARENA arena = {0};
    struct exec_resize size;
    if (answer->process != NULL && wire_decode(&exec_resize_schema, data, &size, &arena, NULL) == 0) {
        exec_process_resize(answer->process, size.rows, size.columns);
    }
}

static void on_frame(void *context, int64_t number, struct bytes data) {
    struct exec_answer *answer = context;
    if (number == EXEC_FRAME_INPUT && answer->process != NULL) {
        exec_process_write(answer->process, data); // on_input follows
        return;
    }
    if (number == EXEC_FRAME_INPUT_END && answer->process != NULL) {
        exec_process_end_input(answer->process);
    } else if (number == EXEC_FRAME_RESIZE) {
        resize(answer, data);
    }
    relay_consumed(answer->end, data.len);
}

static void on_end(void *context, const struct error *err) {
    struct exec_answer *answer = context;
    (void)err;
    if (answer->process != NULL) {
        exec_process_hang_up(answer->process);
    }
    answer_free(answer);
}

// --- beginning ---

static int make_plan(struct daemon *daemon, const struct exec_request *request, struct exec_plan *out,
                     struct arena *arena, struct error *err) {
    struct executor *executor = daemon->executor;
    struct exec_wish wish = {.command = request->command,
                             .environment = request->environment,
                             .user = request->user,
                             .working_dir = request->working_dir,
                             .is_tty = request->is_tty,
                             .id = id_random()};
    if (request->command.count == 0) {
        return error_set(err, ERR_INVALID, "no command");
    }
    if (executor->ops->exec == NULL) {
        return error_set(err, ERR_UNSUPPORTED, "the %s executor runs no commands beside tasks",
                         executor->ops->name);
    }
    return executor->ops->exec(executor, &request->task, &wish, out, arena, err);
}

int relay_exec_open(struct daemon *daemon, struct relay_end *end, struct bytes body,
                    struct relay_events *out_events, void **out_context, struct error *err) {
    AUTO_ARENA arena = {0};
    struct exec_request request;
    struct exec_plan plan;
    int rc = wire_decode(&exec_request_schema, body, &request, &arena, err);
    rc = rc < 0 ? rc : make_plan(daemon, &request, &plan, &arena, err);
    if (rc < 0) {
        return rc;
    }
    struct exec_answer *answer = NEW(struct exec_answer);
    answer->daemon = daemon;
    answer->end = end;
    struct exec_options options = {.loop = daemon->loop,
                                   .plan = &plan,
                                   .is_tty = request.is_tty,
                                   .has_input = request.has_input,
                                   .rows = request.rows,
                                   .columns = request.columns,
                                   .callbacks = {on_output, on_input, on_exit},
                                   .context = answer};
    rc = exec_process_start(&options, &answer->process, err);
    if (rc < 0) {
        answer_free(answer);
        return rc;
    }
    *out_events = (struct relay_events){.on_frame = on_frame, .on_writable = on_writable, .on_end = on_end};
    *out_context = answer;
    return 0;
}
