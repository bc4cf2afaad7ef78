// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/fake.c — a timer that lets the virtual time of a fake machine pass as real time does.
//
// The operations are those of the fake executor; this one wraps it only to end the machine with it.
#include "reconciler/daemon/fake.h"

#include <uv.h>

#include "base/clock.h"
#include "base/mem.h"
#include "reconciler/agent/executor_fake.h"

struct fake {
    struct executor executor; // first: what the agent sees
    struct executor *inner;
    struct fake_machine *machine;
    uv_prepare_t before_wait;
    uv_timer_t timer;
    int open_handles;
};

static struct fake *fake_of(struct executor *executor) {
    return (struct fake *)executor;
}

// The machine's time stands still while nothing happens; what is asked of it is asked now.
static struct fake *fake_now(struct executor *executor) {
    struct fake *fake = fake_of(executor);
    fake_machine_set_now(fake->machine, clock_unix_ms());
    return fake;
}

// --- the operations, handed on ---

static int probe(struct executor *executor, struct node_description *out, struct arena *arena,
                 struct error *err) {
    struct fake *fake = fake_of(executor);
    return fake->inner->ops->probe(fake->inner, out, arena, err);
}

static void prepare(struct executor *executor, const struct assignment *assignment) {
    struct fake *fake = fake_now(executor);
    fake->inner->ops->prepare(fake->inner, assignment);
}

static void start(struct executor *executor, const struct id *task_id) {
    struct fake *fake = fake_now(executor);
    fake->inner->ops->start(fake->inner, task_id);
}

static void stop(struct executor *executor, const struct id *task_id, int signal, int64_t grace_ms) {
    struct fake *fake = fake_now(executor);
    fake->inner->ops->stop(fake->inner, task_id, signal, grace_ms);
}

static void remove_task(struct executor *executor, const struct id *task_id) {
    struct fake *fake = fake_now(executor);
    fake->inner->ops->remove(fake->inner, task_id);
}

static int list(struct executor *executor, executor_list_fn each, void *context, struct error *err) {
    struct fake *fake = fake_of(executor);
    return fake->inner->ops->list(fake->inner, each, context, err);
}

static const char *log_path(struct executor *executor, const struct id *task_id, struct arena *arena) {
    struct fake *fake = fake_of(executor);
    return fake->inner->ops->log_path(fake->inner, task_id, arena);
}

static void on_closed(uv_handle_t *handle) {
    struct fake *fake = handle->data;
    if (--fake->open_handles == 0) {
        xfree(fake);
    }
}

static void free_fake(struct executor *executor) {
    struct fake *fake = fake_of(executor);
    fake->inner->ops->free(fake->inner);
    fake_machine_free(fake->machine);
    uv_close((uv_handle_t *)&fake->before_wait, on_closed);
    uv_close((uv_handle_t *)&fake->timer, on_closed);
}

static const struct executor_ops ops = {
    .name = "fake",
    .probe = probe,
    .prepare = prepare,
    .start = start,
    .stop = stop,
    .remove = remove_task,
    .list = list,
    .log_path = log_path,
    .free = free_fake,
};

// --- time ---

static void on_event(void *context, const struct executor_event *event) {
    struct fake *fake = context;
    fake->executor.on_event(fake->executor.context, event);
}

static void on_timer(uv_timer_t *handle) {
    struct fake *fake = handle->data;
    fake_machine_advance(fake->machine, clock_unix_ms());
}

// Calls made since the last wait may have changed when the next thing happens.
static void on_before_wait(uv_prepare_t *handle) {
    struct fake *fake = handle->data;
    int64_t next = fake_machine_next_ms(fake->machine);
    if (next == INT64_MAX) {
        uv_timer_stop(&fake->timer);
        return;
    }
    int64_t wait_ms = next - clock_unix_ms();
    uv_update_time(handle->loop);
    uv_timer_start(&fake->timer, on_timer, wait_ms > 0 ? (uint64_t)wait_ms : 0, 0);
}

int executor_fake_on_loop_new(const struct executor_options *options, struct executor **out,
                              struct error *err) {
    static const struct fake_profile profiles[] = {
        {.image = "exits",
         .prepare_ms = 200,
         .start_ms = 50,
         .remove_ms = 20,
         .run_ms = 5000,
         .exit_code = 1},
        {.image = "completes", .prepare_ms = 200, .start_ms = 50, .remove_ms = 20, .run_ms = 2000},
        {.image = "missing", .prepare_ms = 200, .reject_permille = 1000, .remove_ms = 20},
        {.image = "sick",
         .prepare_ms = 200,
         .start_ms = 50,
         .remove_ms = 20,
         .stop_ms = 100,
         .health_ms = 2000,
         .sick_permille = 1000},
        {.image = "", .prepare_ms = 200, .start_ms = 50, .remove_ms = 20, .stop_ms = 100, .health_ms = 300},
    };
    (void)err;
    struct fake *fake = NEW(struct fake);
    fake->executor = (struct executor){&ops, options->on_event, options->context, NULL};
    fake->machine =
        fake_machine_new(&(struct fake_options){.seed = (uint64_t)clock_unix_ns(),
                                                .now_unix_ms = clock_unix_ms(),
                                                .profile_count = sizeof profiles / sizeof *profiles,
                                                .profiles = profiles});
    fake->inner = executor_fake_new(fake->machine, on_event, fake);
    uv_prepare_init(options->loop, &fake->before_wait);
    uv_timer_init(options->loop, &fake->timer);
    fake->before_wait.data = fake->timer.data = fake;
    fake->open_handles = 2;
    uv_prepare_start(&fake->before_wait, on_before_wait);
    uv_unref((uv_handle_t *)&fake->before_wait);
    *out = &fake->executor;
    return 0;
}
