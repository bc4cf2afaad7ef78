// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/health_watch.h — checks one running task again and again, and tells what health it is in.
//
// The executors that run tasks share this. What to check and when is specs/health.h and health.h; here are
// the timer, the processes (child.h: the loop never waits) and the last results.
//
// Ownership    Loop thread only. Options are copied. on_change comes from the loop, never inside a call; what
//              it is given is borrowed for the call, and it may close the watch. The loop must run once more
//              after a close until its handles are closed.
// Limits       HEALTH_PARALLEL_MAX checks run at once on a node; the others wait for their turn, and their
//              timeout begins with it.
#ifndef MUSTER_RECONCILER_AGENT_HEALTH_WATCH_H
#define MUSTER_RECONCILER_AGENT_HEALTH_WATCH_H

#include "base/list.h"
#include "specs/health.h"
#include "specs/task.h"

struct uv_loop_s;
struct health_watch;

// What the watches of one executor share. All watches must be closed before it goes.
struct health_pool {
    struct uv_loop_s *loop;
    const char *self_path; // musterd, which is run as `musterd probe`
    struct list waiting;
    int running;
};
void health_pool_init(struct health_pool *pool, struct uv_loop_s *loop, const char *self_path);

struct health_news {
    enum health_state state;
    const struct health_results *results;
    const char *text; // of the last result, in short: "exit 1: connection refused"
};
typedef void (*health_news_fn)(void *context, const struct health_news *news);

struct health_watch_options {
    struct health_pool *pool;
    const struct health_check *check; // effective
    // What comes before a command, so that it runs where the task does ("runc exec ID"); NULL at its end.
    const char *const *prefix;
    const char *directory; // for the command; NULL = ours
    const char *netns;     // of the task: a path, or "-" for ours
    // What is left of a check that took too long, or of one of an earlier daemon, is found by this variable
    // (NAME=VALUE, which `prefix` sets) in that list; NULL: the process group is all there is.
    const char *procs, *mark;
    bool is_adopted; // checks of an earlier daemon may be left
    // When the health changes, and, while STARTING, when the text of a failure does.
    health_news_fn on_news;
    void *context;
};
// -ERR_INVALID: the check makes no sense. The first check follows within half a second.
int health_watch_open(const struct health_watch_options *options, struct health_watch **out,
                      struct error *err);
// What is so now; borrowed until the loop runs.
struct health_news health_watch_news(const struct health_watch *watch);
void health_watch_close(struct health_watch *watch); // accepts NULL; kills a check that runs

#endif
