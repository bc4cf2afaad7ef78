// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/child.h — helper programs (skopeo, runc, ourselves) run beside the loop: bounded output, a
// deadline, one callback.
//
// Ownership    Loop thread only. The child's handle lives until on_done returns; what on_done is given is
//              borrowed for the call. The program leads a process group of its own, which is killed at the
//              deadline and by child_kill, with all that it started. It inherits no descriptor but the three
//              standard ones (nothing to read, no terminal), no blocked or ignored signal.
// End          on_done comes when the program has ended, even if something it left running still holds its
//              output open: what runs on purpose (a container) is not waited for.
#ifndef MUSTER_RECONCILER_AGENT_CHILD_H
#define MUSTER_RECONCILER_AGENT_CHILD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct uv_loop_s;
struct child;

struct child_result {
    int exit_code; // -1 when it did not exit by itself
    int signal;    // that ended it; 0 = none
    bool is_timeout;
    const char *output, *errors; // of stdout and stderr: the newest output_bytes_max of each
};
typedef void (*child_done_fn)(void *context, const struct child_result *result);

struct child_options {
    struct uv_loop_s *loop;
    const char *const *argv; // argv[0] is a path or is looked up in PATH; ends in NULL
    const char *directory;   // to start in; NULL = ours
    int64_t deadline_ms;     // 0 = none
    uint32_t output_bytes_max;
    // The child's three standard descriptors, the caller's to close after the call; NULL = nothing to read,
    // and output as output_bytes_max says. A terminal as the first one becomes the child's controlling
    // terminal.
    const int *standard;
    bool is_low_priority; // nice 10, idle I/O: work that nobody waits for
    bool dies_with_us;    // killed when the daemon dies, however that happens: half-done work is swept then
    child_done_fn on_done;
    void *context;
};

// -ERR_NOT_FOUND when the program is not there, -ERR_SYSTEM (out of processes, of descriptors); then on_done
// is not called.
int child_start(const struct child_options *options, struct child **out, struct error *err);
// Kills it with all that it started; on_done follows.
void child_kill(struct child *child);
// A signal to the program itself; to none that has ended.
void child_signal(struct child *child, int number);

#endif
