// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/exec_process.h — a command that runs beside a task for a person: what is typed goes in,
// what it says comes out, both no faster than the other side takes it.
//
//     daemon ── pipes, or a terminal of its own ── runc exec ── the command in the container
//
// Ownership    Loop thread only. Callbacks come from the loop, never inside a call; the handle lives until
//              on_end returns.
// Bounds       One chunk of output is held, and nothing is read until it was taken. Input is queued as the
//              caller queues it: who gives credit by on_input bounds it.
// End          on_end comes when the command has ended and what it said was taken. What it left running in
//              the container runs on, but its output goes nowhere.
#ifndef MUSTER_RECONCILER_AGENT_EXEC_PROCESS_H
#define MUSTER_RECONCILER_AGENT_EXEC_PROCESS_H

#include "reconciler/agent/executor.h"

#define EXEC_CHUNK_BYTES 32768

struct uv_loop_s;
struct exec_process;

struct exec_callbacks {
    // False: not taken, nor is anything more until exec_process_resume. The data is borrowed.
    bool (*on_output)(void *context, bool is_stderr, struct bytes data);
    // The oldest input, of that length, was taken by the command, or nobody is there any more to take it.
    void (*on_input)(void *context, size_t bytes);
    // As a shell tells it: the command's exit code, 128 and a signal, 127 or 126 when it could not be run;
    // then `message` says why not. The last call.
    void (*on_end)(void *context, int exit_code, const char *message);
};
struct exec_options {
    struct uv_loop_s *loop;
    const struct exec_plan *plan; // copied as far as it is needed
    bool is_tty, has_input;       // without input the command reads nothing
    int64_t rows, columns;        // of the terminal; 0 = unknown
    struct exec_callbacks callbacks;
    void *context;
};
int exec_process_start(const struct exec_options *options, struct exec_process **out, struct error *err);
void exec_process_write(struct exec_process *process, struct bytes data);
void exec_process_end_input(struct exec_process *process); // after what was written
void exec_process_resize(struct exec_process *process, int64_t rows, int64_t columns);
void exec_process_resume(struct exec_process *process);
// Nobody is there any more: the command gets a hangup, and what of it runs on after HANGUP_MS is killed. No
// callback comes any more.
void exec_process_hang_up(struct exec_process *process);

#endif
