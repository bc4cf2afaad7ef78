// SPDX-License-Identifier: Apache-2.0
//
// test/lib/executor_suite.h — what every executor must do, as one list of tests: runc, process, fake.
//
// A test program fills the struct and returns executor_suite_main from its main. Each test begins with an
// executor of its own on the same machine and removes what it made, through the executor.
#ifndef MUSTER_TEST_LIB_EXECUTOR_SUITE_H
#define MUSTER_TEST_LIB_EXECUTOR_SUITE_H

#include "reconciler/agent/executor.h"

// What the tasks do. `suite_shape_shell` says it in sh; a fake has an image for each. WELL and SICK have a
// health check: its first result, or its second, says so.
#define SUITE_PROGRAM_LIST(X)                                                                                \
    X(FOREVER, "forever", "trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done")                    \
    X(DEAF, "deaf", "trap '' TERM; echo ready; while :; do sleep 0.05; done")                                \
    X(EXIT_7, "exit-7", "exit 7")                                                                            \
    X(EXIT_0, "exit-0", "exit 0")                                                                            \
    X(CRASH, "crash", "kill -SEGV $$")                                                                       \
    X(PRINT, "print", "echo one; echo two; echo three >&2; printf 'no newline'")                             \
    X(WELL, "well", "trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done")                          \
    X(SICK, "sick", "trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done")                          \
    X(MISSING, "missing", "")

enum suite_program {
#define X(name, image, script) PROGRAM_##name,
    SUITE_PROGRAM_LIST(X)
#undef X
        PROGRAM_COUNT
};
extern const char *const suite_program_names[PROGRAM_COUNT]; // "exit-7"

struct executor_suite {
    const char *name;
    void *context;
    bool has_logs;
    // A life of the daemon. It ends by the executor's `free`, after which tasks run on.
    struct executor *(*open)(void *context, executor_event_fn on_event, void *event_context);
    // Lets something happen: a turn of the loop that may wait, for some milliseconds at most.
    void (*turn)(void *context);
    // Completes an assignment (ids are set; the rest are defaults) so that it does this.
    void (*shape)(void *context, enum suite_program program, struct assignment *assignment,
                  struct arena *arena);
};

// Sets the entrypoint to /bin/sh with the script; a missing program for MISSING.
void suite_shape_shell(enum suite_program program, struct assignment *assignment, struct arena *arena);
// The muster-shim to test with: SHIM in the environment, else the one of the build this program is part of.
bool suite_find_shim(char *out, size_t out_bytes);
int executor_suite_main(const struct executor_suite *suite);

#endif
