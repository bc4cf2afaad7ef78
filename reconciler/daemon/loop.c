// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/loop.c — waiting: libuv sleeps until something happened, then a turn deals with it.
//
// The daemon itself has three handles here: the server's descriptor, one timer for whatever comes next, and
// the signals that ask it to end. Agent and executors have their own. All of them only record.
#include <malloc.h>
#include <signal.h>
#include <uv.h>

#include "base/log.h"
#include "reconciler/daemon/turn.h"

#define QUIET_MS 500
#define TRIM_MS 10000
#define HAND_OVER_MS 1000

struct loop {
    struct daemon *daemon;
    uv_poll_t server, group;
    uv_timer_t timer;
    uv_signal_t terminate, interrupt;
    bool was_busy;
    int64_t trim_mono_ms, store_trim_mono_ms;
};

static void on_readable(uv_poll_t *handle, int status, int events) {
    (void)handle;
    (void)status;
    (void)events;
}

static void on_timer(uv_timer_t *handle) {
    (void)handle;
}

static void on_signal(uv_signal_t *handle, int number) {
    struct loop *loop = handle->data;
    log_event(LOG_INFO, "daemon.stop", LOG_STR("signal", number == SIGINT ? "SIGINT" : "SIGTERM"));
    loop->daemon->must_stop = true;
}

static int loop_open(struct loop *loop, struct daemon *daemon, struct error *err) {
    loop->daemon = daemon;
    int rc = uv_poll_init(daemon->loop, &loop->server, server_fd(daemon->server));
    rc = rc != 0 ? rc : uv_poll_start(&loop->server, UV_READABLE, on_readable);
    if (rc == 0 && group_fd(daemon) >= 0) {
        rc = uv_poll_init(daemon->loop, &loop->group, group_fd(daemon));
        rc = rc != 0 ? rc : uv_poll_start(&loop->group, UV_READABLE, on_readable);
    }
    rc = rc != 0 ? rc : uv_timer_init(daemon->loop, &loop->timer);
    rc = rc != 0 ? rc : uv_signal_init(daemon->loop, &loop->terminate);
    rc = rc != 0 ? rc : uv_signal_init(daemon->loop, &loop->interrupt);
    loop->terminate.data = loop->interrupt.data = loop;
    rc = rc != 0 ? rc : uv_signal_start(&loop->terminate, on_signal, SIGTERM);
    rc = rc != 0 ? rc : uv_signal_start(&loop->interrupt, on_signal, SIGINT);
    return rc == 0 ? 0 : error_set(err, ERR_SYSTEM, "set up the event loop: %s", uv_strerror(rc));
}

static void loop_close(struct loop *loop) {
    uv_handle_t *handles[] = {(uv_handle_t *)&loop->server, (uv_handle_t *)&loop->group,
                              (uv_handle_t *)&loop->timer, (uv_handle_t *)&loop->terminate,
                              (uv_handle_t *)&loop->interrupt};
    for (size_t i = 0; i < sizeof handles / sizeof *handles; i++) {
        if (uv_handle_get_type(handles[i]) != UV_UNKNOWN_HANDLE) {
            uv_close(handles[i], NULL);
        }
    }
    uv_run(loop->daemon->loop, UV_RUN_NOWAIT);
}

// What a burst of work needed goes back to the system, once it is quiet again.
static void trim(struct loop *loop, int64_t wait_ms) {
    int64_t now_mono_ms = loop->daemon->now.mono_ms;
    if (now_mono_ms - loop->store_trim_mono_ms >= TRIM_MS) { // also when it is never quiet
        store_trim(loop->daemon->store);
        loop->store_trim_mono_ms = now_mono_ms;
    }
    if (wait_ms < QUIET_MS) {
        loop->was_busy = true;
    } else if (loop->was_busy && now_mono_ms - loop->trim_mono_ms >= TRIM_MS) {
        malloc_trim(0);
        loop->was_busy = false;
        loop->trim_mono_ms = now_mono_ms;
    }
}

static void wait(struct loop *loop) {
    int64_t wait_ms = turn_wait_ms(loop->daemon);
    trim(loop, wait_ms);
    if (wait_ms > 0) {
        uv_update_time(loop->daemon->loop);
        uv_timer_start(&loop->timer, on_timer, (uint64_t)wait_ms, 0);
    }
    uv_run(loop->daemon->loop, wait_ms > 0 ? UV_RUN_ONCE : UV_RUN_NOWAIT);
}

// From here on a signal is a clean end.
static void say_ready(const struct daemon *daemon) {
    const struct daemon_options *options = daemon->options;
    log_event(LOG_INFO, "daemon.ready", LOG_STR("version", MUSTER_VERSION),
              LOG_STR("node", daemon->node_name),
              LOG_STR("executor", executor_choice_names[options->executor]),
              LOG_STR("state_dir", options->state_dir), LOG_STR("run_dir", options->run_dir),
              LOG_BOOL("in_cluster", daemon_is_initialized(daemon)));
}

// Whoever ends while it leads hands over first, so that nobody has to wait for an election.
static int hand_over(struct loop *loop, struct error *err) {
    struct daemon *daemon = loop->daemon;
    int64_t deadline_mono_ms = daemon->now.mono_ms + HAND_OVER_MS;
    int rc = 0;
    if (!group_hand_over(daemon)) {
        return 0;
    }
    while (rc == 0 && group_leads(daemon) && daemon->now.mono_ms < deadline_mono_ms) {
        rc = turn_run(daemon, err);
        if (rc == 0) {
            wait(loop);
        }
    }
    log_event(LOG_INFO, "manager.hand_over", LOG_BOOL("done", !group_leads(daemon)));
    return rc;
}

int loop_run(struct daemon *daemon, struct error *err) {
    struct loop loop = {0};
    int rc = loop_open(&loop, daemon, err);
    if (rc == 0) {
        say_ready(daemon);
    }
    while (rc == 0 && !daemon->must_stop) {
        rc = turn_run(daemon, err);
        if (rc == 0) {
            wait(&loop);
        }
    }
    rc = rc < 0 ? rc : hand_over(&loop, err);
    daemon->is_broken = rc < 0;
    loop_close(&loop);
    return rc;
}
