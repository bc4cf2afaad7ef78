// SPDX-License-Identifier: Apache-2.0
//
// specs/task.c — the field tables of tasks, and the words for states and reasons.
#include "specs/task.h"

#include <stdio.h>
#include <string.h>

#include "specs/row.h"

static const struct {
    int64_t number;
    const char *word;
} states[] = {
#define X(name, number, word, over) {number, word},
    TASK_STATE_LIST(X)
#undef X
}, reasons[] = {
#define X(name, number, text) {number, text},
    TASK_REASON_LIST(X)
#undef X
};

const char *task_state_name(int64_t state) {
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        if (states[i].number == state) {
            return states[i].word;
        }
    }
    return "unknown";
}

bool task_state_parse(const char *name, int64_t *out) {
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        if (strcmp(states[i].word, name) == 0) {
            *out = states[i].number;
            return true;
        }
    }
    return false;
}

const char *task_reason_text(int64_t reason) {
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        if (reasons[i].number == reason) {
            return reasons[i].word;
        }
    }
    return "unknown";
}

#define STATE(type, tag, member, ...) INT(type, tag, member, 0, 1000, .word = task_state_name, .number = task_state_parse, __VA_ARGS__)
#define REASON(type, tag, member, ...) INT(type, tag, member, 0, 100000, .word = task_reason_text, __VA_ARGS__)

static const char *const exit_kind_names[] = {"none", "code", "signal", "unknown"};

static const struct field task_exit_fields[] = {
    ENUM(struct task_exit, 1, kind, exit_kind_names, EXIT_NONE, .help = "How it ended."),
    INT(struct task_exit, 2, code, 0, 255, .help = "Exit code; 128 + signal for signals."),
    INT(struct task_exit, 3, signal, 0, 64, .help = "Signal that ended it."),
    BOOL(struct task_exit, 4, oom, .help = "The kernel killed it for want of memory."),
    TIME(struct task_exit, 5, time_unix_ms, .name = "at", .help = "When."),
};
const struct schema task_exit_schema = SCHEMA("task_exit", struct task_exit, task_exit_fields, .help = "The end of a task.");

static const struct field funnel_step_fields[] = {
    STRING(struct funnel_step, 1, rule, .help = "The rule."),
    STRING(struct funnel_step, 2, reason, .help = "Why it rules nodes out."),
    INT(struct funnel_step, 3, left, 0, INT64_MAX, .help = "Nodes left after it."),
    INT(struct funnel_step, 4, ruled_out, 0, INT64_MAX, .help = "Nodes it ruled out."),
    STRINGS(struct funnel_step, 5, nodes, .help = "Some of those, with what they lack."),
};
const struct schema funnel_step_schema = SCHEMA("funnel_step", struct funnel_step, funnel_step_fields, .help = "One rule of the scheduler.");

static const struct field task_status_fields[] = {
    STATE(struct task_status, 1, state, .help = "Observed state."),
    TIME(struct task_status, 2, since_unix_ms, .name = "since", .help = "Since when."),
    REASON(struct task_status, 3, reason, .help = "Why, for programs."),
    STRING(struct task_status, 4, message, .help = "What goes on."),
    STRING(struct task_status, 5, error, .help = "What went wrong."),
    INT(struct task_status, 6, pid, 0, INT64_MAX, .help = "Process id on its node."),
    STRUCT(struct task_status, 7, exit, &task_exit_schema, struct task_exit, .help = "How it ended."),
};
const struct schema task_status_schema = SCHEMA("task_status", struct task_status, task_status_fields, .help = "What is observed of a task.");

static const struct field task_fields[] = {
    STRUCT(struct task, 1, meta, &meta_schema, struct meta, .help = "What all objects share."),
    ID(struct task, 2, service_id, .help = "Its service."),
    ID(struct task, 3, node_id, .help = "Its node."),
    INT(struct task, 4, slot, 0, INT64_MAX, .help = "Its slot; 0 for global services."),
    INT(struct task, 5, revision, 0, INT64_MAX, .help = "Revision of the spec that it runs."),
    STATE(struct task, 6, desired, .help = "How far it should go."),
    REASON(struct task, 7, desired_reason, .help = "Why it should stop."),
    STRUCT(struct task, 8, status, &task_status_schema, struct task_status, .help = "What is observed."),
    INT(struct task, 9, attempt, 0, INT64_MAX, .help = "Tries of this slot before it."),
    ID(struct task, 10, replaces, .help = "Task whose slot it took over."),
    TIME(struct task, 11, start_after_unix_ms, .name = "start_after", .help = "Not started before."),
    LIST(struct task, 12, funnel, &funnel_step_schema, struct funnel_step, .help = "Why no node was found."),
    CPUS(struct task, 13, cpus_nano, .name = "cpus", .help = "CPUs reserved."),
    SIZE(struct task, 14, memory_bytes, .name = "memory", .help = "Memory reserved."),
};
const struct schema task_schema = SCHEMA("task", struct task, task_fields, .help = "One attempt to fill a slot.");

void task_name(const struct task *task, const char *service_name, struct buf *out) {
    if (task->slot > 0) {
        buf_addf(out, "%s.%lld", service_name, (long long)task->slot);
    } else {
        buf_addf(out, "%s.%s", service_name, task->node_id.text);
    }
}
