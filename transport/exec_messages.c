// SPDX-License-Identifier: Apache-2.0
//
// transport/exec_messages.c — the schemas of what is said about a command that runs beside a task.
#include "transport/exec_messages.h"

#include "specs/row.h"

static const struct field exec_request_fields[] = {
    STRING(struct exec_request, 1, reference, .help = "Task id, web.3, or a service."),
    ID(struct exec_request, 2, task, .help = "The task that is meant."),
    STRINGS(struct exec_request, 3, command, .help = "Program and arguments."),
    PAIRS(struct exec_request, 4, environment, .help = "Variables beside the task's."),
    STRING(struct exec_request, 5, user, .help = "User, if not the task's."),
    STRING(struct exec_request, 6, working_dir, .help = "Directory, if not the task's."),
    BOOL(struct exec_request, 7, is_tty, .help = "It gets a terminal."),
    BOOL(struct exec_request, 8, has_input, .help = "It gets input."),
    INT(struct exec_request, 9, rows, 0, 65535, .help = "Of the terminal."),
    INT(struct exec_request, 10, columns, 0, 65535, .help = "Of the terminal."),
};
const struct schema exec_request_schema = SCHEMA("exec_request", struct exec_request, exec_request_fields,
                                                 .help = "A command to run beside a task.");

static const struct field exec_input_fields[] = {
    ID(struct exec_input, 1, session, .help = "Whose input."),
    BLOB(struct exec_input, 2, data, .help = "What is typed."),
    BOOL(struct exec_input, 3, is_end, .help = "Nothing follows."),
};
const struct schema exec_input_schema =
    SCHEMA("exec_input", struct exec_input, exec_input_fields, .help = "Input of a command.");

static const struct field exec_resize_fields[] = {
    ID(struct exec_resize, 1, session, .help = "Whose terminal."),
    INT(struct exec_resize, 2, rows, 0, 65535, .help = "Its rows."),
    INT(struct exec_resize, 3, columns, 0, 65535, .help = "Its columns."),
};
const struct schema exec_resize_schema =
    SCHEMA("exec_resize", struct exec_resize, exec_resize_fields, .help = "The size of a terminal.");

static const struct field exec_started_fields[] = {
    ID(struct exec_started, 1, session, .help = "Name of the run."),
    ID(struct exec_started, 2, task, .help = "The task that was meant."),
};
const struct schema exec_started_schema =
    SCHEMA("exec_started", struct exec_started, exec_started_fields, .help = "A command is being run.");

static const struct field exec_output_fields[] = {
    BOOL(struct exec_output, 1, is_stderr, .help = "Written to standard error."),
    BLOB(struct exec_output, 2, data, .help = "What it says."),
};
const struct schema exec_output_schema =
    SCHEMA("exec_output", struct exec_output, exec_output_fields, .help = "Output of a command.");

static const struct field exec_exit_fields[] = {
    INT(struct exec_exit, 1, code, 0, 255, .help = "Exit code, as a shell has it."),
    STRING(struct exec_exit, 2, message, .help = "Why it could not be run."),
};
const struct schema exec_exit_schema =
    SCHEMA("exec_exit", struct exec_exit, exec_exit_fields, .help = "How a command ended.");
