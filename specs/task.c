// SPDX-License-Identifier: Apache-2.0
//
// specs/task.c — the words of task states and reasons, and the field tables of tasks.
//
// States and reasons are stored as numbers and shown as words. A number of a newer version is kept, passed
// on and shown as "unknown": that is why they are INT rows with words, not ENUM rows.
#include "specs/task.h"

#include <string.h>

#include "base/str.h"
#include "specs/row.h"

const char *task_state_name(int64_t state) {
    switch (state) {
#define X(name, number, word, over)                                                                          \
    case number:                                                                                             \
        return word;
        TASK_STATE_LIST(X)
#undef X
    default:
        return "unknown";
    }
}

bool task_state_parse(const char *name, int64_t *out) {
    static const struct {
        const char *word;
        int64_t number;
    } states[] = {
#define X(name, number, word, over) {word, number},
        TASK_STATE_LIST(X)
#undef X
    };
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        if (str_equal_nocase(states[i].word, name)) {
            *out = states[i].number;
            return true;
        }
    }
    return false;
}

const char *task_reason_text(int64_t reason) {
    switch (reason) {
#define X(name, number, text)                                                                                \
    case number:                                                                                             \
        return text;
        TASK_REASON_LIST(X)
#undef X
    default:
        return "unknown";
    }
}

const char *health_state_name(int64_t health) {
    static const char *const names[] = {"none", "starting", "healthy", "unhealthy"};
    return health >= 0 && health < 4 ? names[health] : "unknown";
}

static const char *const exit_kind_names[] = {"none", "code", "signal", "unknown"};

static const struct field task_exit_fields[] = {
    ENUM(struct task_exit, 1, kind, exit_kind_names, EXIT_NONE,
         .help = "How the process ended, as far as that is known."),
    INT(struct task_exit, 2, code, INT32_MIN, INT32_MAX,
        .help = "Exit code; 128 and the signal if a signal ended it."),
    INT(struct task_exit, 3, signal, 0, 128, .help = "Signal that ended it."),
    BOOL(struct task_exit, 4, oom, .help = "The kernel ended it for lack of memory."),
    TIME(struct task_exit, 5, time_unix_ms, .name = "at", .help = "When it ended."),
};
const struct schema task_exit_schema =
    SCHEMA("task_exit", struct task_exit, task_exit_fields, .help = "How a task's process ended.");

static const struct field funnel_step_fields[] = {
    STRING(struct funnel_step, 1, rule, .help = "The rule that nodes had to pass."),
    STRING(struct funnel_step, 2, reason, .help = "What it says of the nodes that it ruled out."),
    INT(struct funnel_step, 3, left, 0, INT32_MAX, .help = "How many nodes were left after it."),
    INT(struct funnel_step, 4, ruled_out, 0, INT32_MAX, .help = "How many nodes it ruled out."),
    STRINGS(struct funnel_step, 5, nodes, .help = "Some of the nodes ruled out, with details."),
};
const struct schema funnel_step_schema = SCHEMA("funnel_step", struct funnel_step, funnel_step_fields,
                                                .help = "One rule of the search for a node.");

static const struct field health_result_fields[] = {
    TIME(struct health_result, 1, time_unix_ms, .name = "at", .help = "When it ended."),
    INT(struct health_result, 2, exit_code, -1, INT32_MAX,
        .help = "0 if the task was well; -1 if the check took too long."),
    STRING(struct health_result, 3, output, .help = "What the check said, cut to a length."),
};
static const struct schema health_result_schema = SCHEMA("health_result", struct health_result,
                                                         health_result_fields, .help = "One health check.");
static const struct field remedy_fields[] = {
    STRING(struct remedy, 1, change, .help = "What would have to be true of a node, or of the service.",
           .example = "had 0.30 more CPUs free"),
    BOOL(struct remedy, 2, of_service, .help = "Of the service, not of a node."),
    STRINGS(struct remedy, 3, nodes, .help = "Nodes that could run the task then, the nearest first."),
};
const struct schema remedy_schema = SCHEMA("remedy", struct remedy, remedy_fields,
                                           .help = "A change that would let a task find a node.");

static const struct field task_status_fields[] = {
    INT(struct task_status, 1, state, 0, INT32_MAX, .word = task_state_name, .number = task_state_parse,
        .help = "Observed state; it only rises."),
    TIME(struct task_status, 2, since_unix_ms, .name = "since", .help = "When the state was reached."),
    INT(struct task_status, 3, reason, 0, INT32_MAX, .word = task_reason_text, .help = "Why, for programs."),
    STRING(struct task_status, 4, message, .help = "What is going on, for people.",
           .example = "starting container"),
    STRING(struct task_status, 5, error, .help = "What went wrong, for people."),
    INT(struct task_status, 6, pid, 0, INT32_MAX,
        .help = "First process of the container, as the node counts."),
    STRUCT(struct task_status, 7, exit, &task_exit_schema, struct task_exit,
           .help = "How its process ended."),
    INT(struct task_status, 20, health, 0, INT32_MAX, .word = health_state_name,
        .help = "Health by its check: none, starting, healthy or unhealthy."),
    LIST(struct task_status, 21, health_results, &health_result_schema, struct health_result,
         .max = HEALTH_RESULTS_MAX, .help = "The last health checks up to its last change of health."),
};
const struct schema task_status_schema =
    SCHEMA("task_status", struct task_status, task_status_fields, .help = "What a node observes of a task.");

static const struct field task_fields[] = {
    STRUCT(struct task, 1, meta, &meta_schema, struct meta, .help = "What all objects share."),
    ID(struct task, 2, service_id, .help = "The service it belongs to."),
    ID(struct task, 3, node_id, .help = "The node it is assigned to."),
    INT(struct task, 4, slot, 0, INT32_MAX,
        .help = "Its place among the replicas, from 1; 0 for a global service."),
    INT(struct task, 5, revision, 0, INT64_MAX, .help = "Revision of the service's spec that it runs."),
    INT(struct task, 6, desired, 0, INT32_MAX, .word = task_state_name, .number = task_state_parse,
        .help = "State that the managers want."),
    INT(struct task, 7, desired_reason, 0, INT32_MAX, .word = task_reason_text, .help = "Why it is to stop."),
    STRUCT(struct task, 8, status, &task_status_schema, struct task_status,
           .help = "What its node observes."),
    INT(struct task, 9, attempt, 0, INT64_MAX, .help = "Tries of this slot at this revision before it."),
    ID(struct task, 10, replaces, .help = "The task whose slot it took over."),
    TIME(struct task, 11, start_after_unix_ms, .name = "start_after",
         .help = "It does not start before this time."),
    LIST(struct task, 12, funnel, &funnel_step_schema, struct funnel_step,
         .help = "How the last search for a node went, rule by rule."),
    CPUS(struct task, 13, cpus_nano, .name = "cpus", .help = "CPUs set aside for it."),
    SIZE(struct task, 14, memory_bytes, .name = "memory", .help = "Memory set aside for it."),
    TIME(struct task, 20, running_unix_ms, .name = "running_since", .help = "When it came to run."),
    ID(struct task, 21, round_id, .help = "Round of the rollout that made it."),
    INT(struct task, 23, job_iteration, 0, INT64_MAX,
        .help = "Of a job: the run it belongs to; 0 for other services."),
    LIST(struct task, 32, generic_resources, &generic_stock_schema, struct generic_stock,
         .help = "Counted resources set aside for it, and which those with names are."),
    STRINGS(struct task, 33, host_ports, .help = "Ports of its node that it publishes.",
            .example = "[8080/tcp]"),
    BOOL(struct task, 34, moved, .help = "It took over from a task that was to leave a fuller node."),
};
const struct schema task_schema =
    SCHEMA("task", struct task, task_fields,
           .help = "One attempt to fill a slot of a service; it runs once and is never restarted.");

void task_name(const struct task *task, const char *service_name, struct buf *out) {
    if (task->slot > 0) {
        buf_addf(out, "%s.%lld", service_name, (long long)task->slot);
    } else {
        buf_addf(out, "%s.%s", service_name, task->node_id.text);
    }
}
