// SPDX-License-Identifier: Apache-2.0
//
// transport/exec_messages.h — a command run beside a task: payloads of the rows EXEC to EXEC_EXIT of
// transport/messages.def.
#ifndef MUSTER_TRANSPORT_EXEC_MESSAGES_H
#define MUSTER_TRANSPORT_EXEC_MESSAGES_H

#include "specs/schema.h"

// A command beside a task. Answered by EXEC_STARTED, whose session EXEC_INPUT and EXEC_RESIZE name, by
// EXEC_OUTPUT, and by EXEC_EXIT at the end. Each input is answered by DONE once it is on its way: a client has no
// more than EXEC_INPUTS_MAX of them unanswered. The end of the conversation ends the command.
#define EXEC_INPUTS_MAX 8
#define EXEC_INPUT_BYTES_MAX 32768

struct exec_request {
    const char *reference; // of the client: a task's id or name, or a service
    struct id task;        // of the manager, to the node
    struct strings command;
    struct pairs environment;
    const char *user, *working_dir;
    bool is_tty, has_input;
    int64_t rows, columns;
    struct bytes unknown;
};
struct exec_input {
    struct id session;
    struct bytes data;
    bool is_end;
    struct bytes unknown;
};
struct exec_resize {
    struct id session;
    int64_t rows, columns;
    struct bytes unknown;
};
struct exec_started {
    struct id session, task;
    struct bytes unknown;
};
struct exec_output {
    bool is_stderr;
    struct bytes data;
    struct bytes unknown;
};
struct exec_exit {
    int64_t code;        // as a shell has it
    const char *message; // why the command could not be run; "" = it ran
    struct bytes unknown;
};

extern const struct schema exec_request_schema, exec_input_schema, exec_resize_schema, exec_started_schema,
    exec_output_schema, exec_exit_schema;

#endif
