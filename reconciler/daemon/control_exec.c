// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/control_exec.c — EXEC: a command beside a task, on whichever node that is.
//
// Model        A session ties a client's conversation to a stream (relay.h) of the node (relay_exec.h).
//              Frames are handed on as they come; each side's room is the other's: what the client's link
//              has no room for is not counted as dealt with, and input is answered once the stream has
//              taken it.
// Bounds       The stream's window towards the client; EXEC_INPUTS_MAX inputs towards the node.
// End          Of the command: its exit, then the conversation's end. Of the client: the stream's end, which
//              hangs up. Of the node: a failure that says so.
#include "reconciler/daemon/control.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "reconciler/daemon/daemon.h"
#include "reconciler/daemon/relay_exec.h"

struct session {
    struct answer answer; // first: the conversation's state
    struct list_node node;
    struct id id, task_id;
    struct relay_end *end; // NULL once it ended
    struct list inputs;    // of struct input, in their order
    size_t input_count;
    struct buf owed; // sizes of frames that wait for room at the client
};

// One that waits for room in the stream.
struct input {
    struct answer answer; // first: the conversation's state
    struct list_node node;
    struct session *session;
    bool is_end;
    size_t len;
    char data[];
};

// --- the end ---

static void input_free(struct input *input) {
    list_remove(&input->node);
    input->session->input_count--;
    xfree(input);
}

static void answer_input(struct input *input) {
    struct conversation *conversation = input->answer.conversation;
    input_free(input);
    if (conversation != NULL) {
        conversation_set_state(conversation, NULL);
        server_done(conversation, 0);
    }
}

static void session_free(struct session *session) {
    for (struct list_node *node; (node = list_first(&session->inputs)) != NULL;) {
        answer_input(LIST_ENTRY(node, struct input, node));
    }
    if (session->end != NULL) {
        relay_close(session->end, NULL);
    }
    list_remove(&session->node);
    buf_free(&session->owed);
    xfree(session);
}

static void on_client_gone(struct answer *answer) {
    session_free((struct session *)answer);
}

static void finish(struct session *session, const struct error *err) {
    struct conversation *conversation = session->answer.conversation;
    conversation_set_state(conversation, NULL);
    if (err != NULL) {
        server_fail(conversation, err);
    } else {
        server_done(conversation, 0);
    }
    session_free(session);
}

// --- output ---

static void pay(struct session *session) {
    for (size_t at = 0; at < session->owed.len && session->end != NULL; at += sizeof(size_t)) {
        size_t bytes;
        memcpy(&bytes, session->owed.data + at, sizeof bytes);
        relay_consumed(session->end, bytes);
    }
    buf_clear(&session->owed);
}

static void on_client_writable(struct answer *answer) {
    pay((struct session *)answer);
}

static void on_exit(struct session *session, struct bytes data) {
    AUTO_ARENA arena = {0};
    struct exec_exit outcome;
    struct error err = {0};
    if (wire_decode(&exec_exit_schema, data, &outcome, &arena, &err) < 0) {
        finish(session, &err);
        return;
    }
    (void)server_send(session->answer.conversation, MESSAGE_EXEC_EXIT, &outcome);
    finish(session, NULL);
}

static void on_frame(void *context, int64_t number, struct bytes data) {
    struct session *session = context;
    if (number == EXEC_FRAME_EXIT) {
        on_exit(session, data);
        return;
    }
    struct exec_output output;
    schema_init(&exec_output_schema, &output);
    output.is_stderr = number == EXEC_FRAME_ERRORS;
    output.data = data;
    bool has_room = server_send(session->answer.conversation, MESSAGE_EXEC_OUTPUT, &output);
    buf_add(&session->owed, &data.len, sizeof data.len);
    if (has_room) {
        pay(session);
    }
}

static void on_open(void *context) {
    struct session *session = context;
    struct exec_started started;
    schema_init(&exec_started_schema, &started);
    started.session = session->id;
    started.task = session->task_id;
    (void)server_send(session->answer.conversation, MESSAGE_EXEC_STARTED, &started);
}

static void on_end(void *context, const struct error *err) {
    struct session *session = context;
    struct error failure = {0};
    session->end = NULL;
    if (err != NULL) {
        failure = *err;
    } else {
        error_set(&failure, ERR_UNREACHABLE, "its node ended it");
    }
    error_wrap(&failure, -(int)failure.code, "exec in task %s", session->task_id.text);
    finish(session, &failure);
}

// --- input ---

static bool hand_on(struct session *session, const struct input *input) {
    struct bytes data = {(const uint8_t *)input->data, input->len};
    return input->len == 0 || relay_send(session->end, EXEC_FRAME_INPUT, data);
}

static void hand_on_all(struct session *session) {
    for (struct list_node *node; (node = list_first(&session->inputs)) != NULL;) {
        struct input *input = LIST_ENTRY(node, struct input, node);
        if (!hand_on(session, input)) {
            return;
        }
        input->len = 0;
        if (input->is_end && !relay_send(session->end, EXEC_FRAME_INPUT_END, (struct bytes){0})) {
            return;
        }
        answer_input(input);
    }
}

static void on_writable(void *context) {
    hand_on_all(context);
}

// What was typed still arrives.
static void on_input_gone(struct answer *answer) {
    answer->conversation = NULL;
}

static struct session *find_session(struct daemon *daemon, const struct id *id) {
    LIST_EACH(node, &daemon->execs) {
        struct session *session = LIST_ENTRY(node, struct session, node);
        if (id_equal(&session->id, id)) {
            return session;
        }
    }
    return NULL;
}

void control_exec_input(const struct request *request) {
    const struct exec_input *asked = request->payload;
    struct session *session = find_session(request->daemon, &asked->session);
    struct error err = {0};
    if (session == NULL || asked->data.len > EXEC_INPUT_BYTES_MAX ||
        session->input_count >= EXEC_INPUTS_MAX) {
        error_set(&err, session == NULL ? ERR_NOT_FOUND : ERR_LIMIT, "%s",
                  session == NULL ? "the command has ended" : "more input than may be on its way");
        server_fail(request->conversation, &err);
        return;
    }
    struct input *input = xmalloc(sizeof *input + asked->data.len);
    *input = (struct input){.answer = {.daemon = request->daemon,
                                       .conversation = request->conversation,
                                       .on_closed = on_input_gone},
                            .session = session,
                            .is_end = asked->is_end,
                            .len = asked->data.len};
    if (asked->data.len > 0) {
        memcpy(input->data, asked->data.data, asked->data.len);
    }
    conversation_set_state(request->conversation, input);
    list_append(&session->inputs, &input->node);
    session->input_count++;
    hand_on_all(session);
}

void control_exec_resize(const struct request *request) {
    const struct exec_resize *asked = request->payload;
    struct session *session = find_session(request->daemon, &asked->session);
    AUTO_BUF body = {0};
    if (session != NULL) {
        wire_encode(&exec_resize_schema, asked, &body);
        (void)relay_send(session->end, EXEC_FRAME_RESIZE, buf_bytes(&body)); // the next one counts
    }
    server_done(request->conversation, 0);
}

// --- beginning ---

struct choice {
    struct id node_id, id;
    int64_t state, slot;
    bool is_local;
};

static bool is_better(const struct choice *a, const struct choice *b) {
    if (a->state != b->state) {
        return a->state > b->state; // running before starting
    }
    return a->is_local != b->is_local ? a->is_local : a->slot < b->slot;
}

static bool is_executable(const struct task *task) {
    return task->status.state == TASK_RUNNING || task->status.state == TASK_STARTING;
}

struct choosing {
    const struct daemon *daemon;
    struct choice best;
};

static int choose(void *context, void *object, struct arena *arena, struct error *err) {
    struct choosing *choosing = context;
    const struct task *task = object;
    struct choice choice = {.node_id = task->node_id,
                            .id = task->meta.id,
                            .state = task->status.state,
                            .slot = task->slot,
                            .is_local = id_equal(&task->node_id, &choosing->daemon->node_id)};
    (void)err;
    if (is_executable(task) && (choosing->best.state == 0 || is_better(&choice, &choosing->best))) {
        choosing->best = choice;
    }
    arena_clear(arena);
    return 0;
}

// A service: its first running task, one of this node before others.
static int choose_of_service(struct choosing *choosing, struct store_read *read, const struct id *service,
                             const char *reference, struct error *err) {
    AUTO_ARENA arena = {0};
    int rc =
        store_each_object(read, STORE_TASKS_OF_SERVICE, KIND_TASK, service, &arena, choose, choosing, err);
    if (rc >= 0 && choosing->best.state == 0) {
        return error_set(err, ERR_CONFLICT, "service %s has no running task", reference);
    }
    return rc < 0 ? rc : 0;
}

static int choose_task(struct choosing *choosing, struct store_read *read, const char *reference,
                       struct error *err) {
    AUTO_ARENA arena = {0};
    struct id id;
    void *task;
    int rc = store_resolve(read, KIND_SERVICE, reference, &id, err);
    if (rc == 0) {
        return choose_of_service(choosing, read, &id, reference, err);
    }
    rc = control_resolve(read, KIND_TASK, reference, &arena, &id, err);
    rc = rc < 0 ? rc : store_load(read, KIND_TASK, &id, &arena, &task, err);
    if (rc < 0) {
        return rc;
    }
    if (!is_executable(task)) {
        return error_set(err, ERR_CONFLICT, "task %s is not running: it is %s", reference,
                         task_state_name(((struct task *)task)->status.state));
    }
    AUTO_ARENA scratch = {0};
    return choose(choosing, task, &scratch, err);
}

static int open_session(struct session *session, const struct exec_request *asked,
                        const struct choice *choice, struct error *err) {
    static const struct relay_events events = {
        .on_open = on_open, .on_frame = on_frame, .on_writable = on_writable, .on_end = on_end};
    AUTO_BUF body = {0};
    struct exec_request request = *asked;
    request.task = choice->id;
    wire_encode(&exec_request_schema, &request, &body);
    struct relay_order order = {.node_id = choice->node_id, .kind = RELAY_EXEC, .request = buf_bytes(&body)};
    return body.len > RELAY_REQUEST_BYTES_MAX
               ? error_set(err, ERR_LIMIT, "the command is longer than %d bytes",
                           (int)RELAY_REQUEST_BYTES_MAX)
               : relay_open(session->answer.daemon, &order, &events, session, &session->end, err);
}

void control_exec(const struct request *request) {
    const struct exec_request *asked = request->payload;
    struct choosing choosing = {.daemon = request->daemon};
    struct error err = {0};
    struct store_read *read;
    int rc = store_read_begin(request->daemon->store, &read, &err);
    if (rc == 0) {
        rc = choose_task(&choosing, read, asked->reference, &err);
        store_read_end(read);
    }
    if (rc < 0) {
        server_fail(request->conversation, &err);
        return;
    }
    struct session *session = NEW(struct session);
    session->answer = (struct answer){.daemon = request->daemon,
                                      .conversation = request->conversation,
                                      .on_closed = on_client_gone,
                                      .on_writable = on_client_writable};
    session->id = id_random();
    session->task_id = choosing.best.id;
    list_init(&session->inputs);
    list_append(&request->daemon->execs, &session->node);
    conversation_set_state(request->conversation, session);
    if (open_session(session, asked, &choosing.best, &err) < 0) {
        finish(session, &err);
    }
}
