// SPDX-License-Identifier: Apache-2.0
//
// specs/task.h — one attempt to fill a slot: runs once, is never restarted; a new task fills the slot.
//
// Observed state only rises and is written by the agent from ASSIGNED on; desired state is written by
// managers only. Numbers are Swarm's, with its gaps, so that later states fit in between.
#ifndef MUSTER_SPECS_TASK_H
#define MUSTER_SPECS_TASK_H

#include "specs/generic.h"
#include "specs/object.h"

// name, number, word on the screen, is it over (nothing runs any more)
#define TASK_STATE_LIST(X)                                                                                   \
    X(NEW, 0, "new", 0)                                                                                      \
    X(PENDING, 64, "pending", 0)                                                                             \
    X(ASSIGNED, 192, "assigned", 0)                                                                          \
    X(ACCEPTED, 256, "accepted", 0)                                                                          \
    X(PREPARING, 320, "preparing", 0)                                                                        \
    X(READY, 384, "ready", 0)                                                                                \
    X(STARTING, 448, "starting", 0)                                                                          \
    X(RUNNING, 512, "running", 0)                                                                            \
    X(COMPLETE, 576, "complete", 1)                                                                          \
    X(SHUTDOWN, 640, "shutdown", 1)                                                                          \
    X(FAILED, 704, "failed", 1)                                                                              \
    X(REJECTED, 768, "rejected", 1)                                                                          \
    X(REMOVE, 800, "remove", 1)                                                                              \
    X(ORPHANED, 832, "orphaned", 1)

enum task_state {
#define X(name, number, word, over) TASK_##name = number,
    TASK_STATE_LIST(X)
#undef X
};
const char *task_state_name(int64_t state); // "running"; "unknown" for a number of a newer version
bool task_state_parse(const char *name, int64_t *out);
static inline bool task_state_is_over(int64_t state) {
    return state >= TASK_COMPLETE;
}

// Why the task is in its state, for programs (the message is for people). Numbers are stored: never reused.
#define TASK_REASON_LIST(X)                                                                                  \
    X(NONE, 0, "")                                                                                           \
    X(NO_SUITABLE_NODE, 1, "no suitable node")                                                               \
    X(IMAGE_NOT_FOUND, 2, "image not found")                                                                 \
    X(IMAGE_UNREACHABLE, 3, "registry not reachable")                                                        \
    X(IMAGE_DENIED, 4, "registry refused access")                                                            \
    X(IMAGE_INVALID, 5, "image is damaged or hostile")                                                       \
    X(IMAGE_PULLING, 6, "pulling image")                                                                     \
    X(MOUNT_INVALID, 7, "mount not possible")                                                                \
    X(CREATE_FAILED, 8, "container not created")                                                             \
    X(START_FAILED, 9, "container not started")                                                              \
    X(EXIT_NONZERO, 10, "non-zero exit")                                                                     \
    X(EXIT_SIGNAL, 11, "killed by a signal")                                                                 \
    X(OUT_OF_MEMORY, 12, "out of memory")                                                                    \
    X(UNHEALTHY, 13, "unhealthy container")                                                                  \
    X(SUPERVISOR_LOST, 14, "supervisor lost")                                                                \
    X(NODE_REBOOTED, 15, "node rebooted")                                                                    \
    X(NO_SPACE, 16, "no space left on the node")                                                             \
    X(RUNTIME_MISSING, 17, "container runtime missing or hanging")                                           \
    X(UNSUPPORTED, 18, "not supported on this node")                                                         \
    X(SUPERSEDED, 19, "replaced by a newer revision")                                                        \
    X(SCALED_DOWN, 20, "scaled down")                                                                        \
    X(SERVICE_REMOVED, 21, "service removed")                                                                \
    X(NODE_DRAINED, 22, "node drained")                                                                      \
    X(NODE_LOST, 23, "node lost")                                                                            \
    X(CONSTRAINT_BROKEN, 24, "assigned node no longer meets constraints")                                    \
    X(RESTART_DELAY, 25, "waiting before restart")                                                           \
    X(INTERNAL, 26, "internal error")                                                                        \
    X(JOB_RUN_OVER, 30, "a newer run of the job began")                                                      \
    X(JOB_DONE, 31, "another task has done its work")                                                        \
    X(CONTENT_NOT_FOUND, 36, "secret or config not found")                                                   \
    X(CONTENT_AWAITED, 37, "waiting for secrets from a manager")                                             \
    X(MEMORY_MISSING, 38, "no place in memory for secrets")                                                  \
    X(REBALANCED, 39, "moved to a node with fewer tasks")

enum task_reason {
#define X(name, number, text) REASON_##name = number,
    TASK_REASON_LIST(X)
#undef X
};
const char *task_reason_text(int64_t reason);

enum exit_kind { EXIT_NONE, EXIT_CODE, EXIT_SIGNAL, EXIT_UNKNOWN }; // "unknown" is a value, never 0

struct task_exit {
    enum exit_kind kind;
    int64_t code; // exit code (128 + signal for EXIT_SIGNAL)
    int64_t signal;
    bool oom;
    int64_t time_unix_ms;
    struct bytes unknown;
};

// One row of the filter funnel: what the rule left and whom it ruled out.
struct funnel_step {
    const char *rule;   // "available", "cpu", "memory", "constraint node.labels.ssd == yes"…
    const char *reason; // "insufficient memory": as joined in "no suitable node (…)"
    int64_t left;
    int64_t ruled_out;
    struct strings nodes; // names ruled out here, at most 16; details after a colon: "w4: has 0.2G"
    struct bytes unknown;
};

// As the node's checks see a task; numbers are stored.
enum health_state { HEALTH_NONE, HEALTH_STARTING, HEALTH_HEALTHY, HEALTH_UNHEALTHY };
const char *health_state_name(int64_t health);

#define HEALTH_RESULTS_MAX 5         // the last ones are kept
#define HEALTH_OUTPUT_BYTES_MAX 4096 // of each

struct health_result {
    int64_t time_unix_ms;
    int64_t exit_code; // 0 = well; -1 = it took too long
    const char *output;
    struct bytes unknown;
};
struct health_results {
    size_t count;
    struct health_result *items; // the oldest first
};

// What would let a task find a node: one thing that is not so.
struct remedy {
    const char *change;   // of the nodes: "had 0.30 more CPUs free"; of the service: "reserved at most 0.70 CPUs"
    bool of_service;      // else of any one of the nodes
    struct strings nodes; // that could run it then, the nearest first
    struct bytes unknown;
};

struct task_status {
    int64_t state; // enum task_state
    int64_t since_unix_ms;
    int64_t reason;      // enum task_reason
    const char *message; // "starting container", "preparing: pulling busybox"
    const char *error;   // "task: non-zero exit (1)"; "" = none
    int64_t pid;
    struct task_exit exit;
    int64_t health;                       // enum health_state; NONE: it has no check
    struct health_results health_results; // up to the last change of health
    struct bytes unknown;
};

struct task {
    struct meta meta;
    struct id service_id;
    struct id node_id;      // none until assigned
    int64_t slot;           // replicated: 1, 2, …; global: 0 (the node is the slot)
    int64_t revision;       // of the service's spec that it runs
    int64_t desired;        // enum task_state: READY, RUNNING, SHUTDOWN, REMOVE…
    int64_t desired_reason; // enum task_reason: why it is to stop
    struct task_status status;
    int64_t attempt;                    // tries of this slot at this revision before it, 0 for the first
    struct id replaces;                 // the task whose slot it took over; none for the first
    int64_t start_after_unix_ms;        // restart delay: desired becomes RUNNING at this time and not before
    LIST_OF(struct funnel_step) funnel; // of the last scheduling try, while pending
    // Taken from the spec when the task is made, so that counting reservations needs no spec.
    int64_t cpus_nano, memory_bytes;
    int64_t running_unix_ms; // when it came to run, as its node said; 0 = it has not, as far as is known
    struct id round_id;      // of the rollout that made it (struct rollout); none = nothing to do with one
    int64_t job_iteration; // of a job: the run it belongs to; 0 for other services
    struct generic_stocks generic_resources; // those with names get them together with the node
    struct strings host_ports;               // of its node: "8080/tcp"
    bool moved;                              // it is in its slot because the one before was to leave a full node
    struct bytes unknown;
};
extern const struct schema task_schema;
extern const struct schema task_status_schema, task_exit_schema, funnel_step_schema, remedy_schema;

// What managers want of the task, as people are told: a job's task is meant to run to its end, and to have done
// so is what was wanted.
static inline int64_t task_desired_shown(const struct task *task) {
    bool is_ended = task->status.state == TASK_COMPLETE && task->desired_reason == REASON_NONE;
    return task->job_iteration > 0 && (task->desired == TASK_RUNNING || is_ended) ? TASK_COMPLETE
                                                                                  : task->desired;
}

// "web.3", or "agent.<node id>" for a global service.
void task_name(const struct task *task, const char *service_name, struct buf *out);

#endif
