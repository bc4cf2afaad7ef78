// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/health_watch.c — the timer, the processes and the last results of one task's checks.
//
// Model        waits (timer) -> wants a turn (pool) -> a child runs the check -> its result is taken ->
//              waits. After a check that took too long, and before the first of a task that was adopted, a
//              child sweeps what is left of checks in the container: only then the next one is begun.
#include "reconciler/agent/health_watch.h"

#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/agent/child.h"
#include "reconciler/agent/health.h"

#define HEALTH_PARALLEL_MAX 16
#define SWEEP_DEADLINE_MS 10000
#define TEXT_BYTES 256

struct kept {
    int64_t time_unix_ms, exit_code;
    char *output;
};

struct health_watch {
    struct health_pool *pool; // NULL once it is closed
    uv_timer_t timer;
    struct list_node waiting;
    struct health health;
    struct arena arena; // of what follows
    struct strings check, sweep;
    const char *directory;
    int64_t timeout_ms;
    struct child *child;
    bool is_sweeping, has_slot, is_timer_closed;
    int64_t asked_ms;
    struct kept kept[HEALTH_RESULTS_MAX];
    size_t kept_count;
    struct health_result items[HEALTH_RESULTS_MAX];
    struct health_results results;
    char text[TEXT_BYTES];
    health_news_fn on_news;
    void *context;
};

void health_pool_init(struct health_pool *pool, struct uv_loop_s *loop, const char *self_path) {
    *pool = (struct health_pool){.loop = loop, .self_path = self_path};
    list_init(&pool->waiting);
}

// --- turns ---

static void begin(struct health_watch *watch);

static void pump(struct health_pool *pool) {
    struct list_node *node;
    while (pool->running < HEALTH_PARALLEL_MAX && (node = list_first(&pool->waiting)) != NULL) {
        struct health_watch *watch = LIST_ENTRY(node, struct health_watch, waiting);
        list_remove(node);
        pool->running++;
        watch->has_slot = true;
        begin(watch);
    }
}

static void give_slot_back(struct health_watch *watch) {
    if (TAKE(watch->has_slot)) {
        watch->pool->running--;
    }
}

static void on_due(uv_timer_t *timer) {
    struct health_watch *watch = timer->data;
    list_append(&watch->pool->waiting, &watch->waiting);
    pump(watch->pool);
}

static void wait_until(struct health_watch *watch, int64_t due_ms) {
    int64_t wait_ms = due_ms - clock_mono_ms();
    uv_timer_start(&watch->timer, on_due, (uint64_t)(wait_ms > 0 ? wait_ms : 0), 0);
}

// --- results ---

static void keep(struct health_watch *watch, int64_t exit_code, const char *output) {
    struct kept *kept = watch->kept;
    if (watch->kept_count == HEALTH_RESULTS_MAX) {
        xfree(kept[0].output);
        memmove(kept, kept + 1, sizeof *kept * --watch->kept_count);
    }
    kept[watch->kept_count++] = (struct kept){clock_unix_ms(), exit_code, xstrdup(output)};
    for (size_t i = 0; i < watch->kept_count; i++) {
        watch->items[i] = (struct health_result){
            .time_unix_ms = kept[i].time_unix_ms, .exit_code = kept[i].exit_code, .output = kept[i].output};
    }
    watch->results = (struct health_results){watch->kept_count, watch->items};
}

// One line of it is enough where a person waits.
static void put_in_short(struct health_watch *watch, int64_t exit_code, const char *output) {
    size_t len = strcspn(output, "\n");
    if (exit_code == 0) {
        watch->text[0] = '\0';
    } else if (exit_code < 0) {
        snprintf(watch->text, sizeof watch->text, "%.*s", (int)len, output);
    } else {
        snprintf(watch->text, sizeof watch->text, "exit %lld%s%.*s", (long long)exit_code,
                 len > 0 ? ": " : "", (int)len, output);
    }
}

static void take(struct health_watch *watch, int64_t exit_code, const char *output) {
    char before[TEXT_BYTES];
    memcpy(before, watch->text, sizeof before);
    keep(watch, exit_code, output);
    put_in_short(watch, exit_code, output);
    bool is_news = health_result_take(&watch->health, exit_code == 0, watch->asked_ms, clock_mono_ms());
    is_news = is_news || (watch->health.state == HEALTH_STARTING && !str_equal(before, watch->text));
    if (watch->health.state != HEALTH_UNHEALTHY && !watch->is_sweeping) {
        wait_until(watch, watch->health.due_ms);
    }
    if (is_news) {
        struct health_news news = health_watch_news(watch);
        watch->on_news(watch->context, &news); // which may close the watch
    }
}

// --- checks ---

static void free_when_over(struct health_watch *watch) {
    if (watch->pool != NULL || watch->child != NULL || !watch->is_timer_closed) {
        return;
    }
    for (size_t i = 0; i < watch->kept_count; i++) {
        xfree(watch->kept[i].output);
    }
    arena_free(&watch->arena);
    xfree(watch);
}

static void on_swept(void *context, const struct child_result *result) {
    struct health_watch *watch = context;
    (void)result;
    watch->child = NULL;
    watch->is_sweeping = false;
    if (watch->pool == NULL) {
        free_when_over(watch);
        return;
    }
    if (watch->health.state != HEALTH_UNHEALTHY) {
        wait_until(watch, watch->health.due_ms);
    }
}

static bool sweep(struct health_watch *watch) {
    struct child_options options = {.loop = watch->pool->loop,
                                    .argv = watch->sweep.items,
                                    .deadline_ms = SWEEP_DEADLINE_MS,
                                    .on_done = on_swept,
                                    .context = watch};
    struct error err = {0};
    if (watch->sweep.count == 0) {
        return false;
    }
    if (child_start(&options, &watch->child, &err) < 0) {
        log_failure(LOG_WARN, "health.sweep", &err, LOG_NONE);
        return false;
    }
    watch->is_sweeping = true;
    return true;
}

static void on_checked(void *context, const struct child_result *result) {
    struct health_watch *watch = context;
    AUTO_BUF output = {0};
    char took_too_long[80];
    watch->child = NULL;
    if (watch->pool == NULL) {
        free_when_over(watch);
        return;
    }
    struct health_pool *pool = watch->pool;
    give_slot_back(watch);
    if (result->is_timeout) {
        snprintf(took_too_long, sizeof took_too_long, "Health check exceeded timeout (%lld ms)%s",
                 (long long)watch->timeout_ms, result->output[0] != '\0' ? ": " : "");
        buf_adds(&output, took_too_long);
        sweep(watch);
    }
    buf_adds(&output, result->output);
    buf_adds(&output, result->errors);
    size_t len = output.len < HEALTH_OUTPUT_BYTES_MAX ? output.len : HEALTH_OUTPUT_BYTES_MAX;
    AUTO_FREE char *text = xasprintf("%.*s", (int)len, buf_text(&output));
    int64_t exit_code = result->is_timeout       ? -1
                        : result->exit_code >= 0 ? result->exit_code
                                                 : 128 + result->signal;
    take(watch, exit_code, text);
    pump(pool);
}

static void begin(struct health_watch *watch) {
    struct child_options options = {.loop = watch->pool->loop,
                                    .argv = watch->check.items,
                                    .directory = watch->directory,
                                    .deadline_ms = watch->timeout_ms,
                                    .output_bytes_max = HEALTH_OUTPUT_BYTES_MAX,
                                    .on_done = on_checked,
                                    .context = watch};
    struct error err = {0};
    watch->asked_ms = clock_mono_ms();
    if (child_start(&options, &watch->child, &err) < 0) {
        // This machine's trouble (out of processes) is not the task's: no result.
        log_failure(LOG_WARN, "health.check", &err, LOG_NONE);
        give_slot_back(watch);
        wait_until(watch, watch->asked_ms + watch->health.times.interval_ms);
    }
}

// --- open and close ---

static void add(struct strings *argv, struct arena *arena, const char *text) {
    *ARENA_PUSH(arena, argv) = text != NULL ? arena_strdup(arena, text) : NULL;
}

static void make_argv(struct health_watch *watch, const struct health_watch_options *options,
                      const struct health_test *test) {
    struct arena *arena = &watch->arena;
    struct strings *argv = &watch->check;
    bool is_command = test->kind == HEALTH_TEST_CMD || test->kind == HEALTH_TEST_SHELL;
    for (size_t i = 0; is_command && options->prefix[i] != NULL; i++) {
        add(argv, arena, options->prefix[i]);
    }
    if (test->kind == HEALTH_TEST_SHELL) {
        add(argv, arena, "/bin/sh");
        add(argv, arena, "-c");
    }
    for (size_t i = 0; is_command && i < test->argv.count; i++) {
        add(argv, arena, test->argv.items[i]);
    }
    if (!is_command) {
        bool is_http = test->kind == HEALTH_TEST_HTTP;
        const char *port = arena_printf(arena, "%lld", (long long)test->port);
        const char *const words[] = {
            options->pool->self_path,   "probe", is_http ? "http" : "tcp", options->netns, test->host, port,
            is_http ? test->path : NULL};
        for (size_t i = 0; i < 6 + (size_t)is_http; i++) {
            add(argv, arena, words[i]);
        }
    }
    add(argv, arena, NULL);
    if (is_command && options->procs != NULL) {
        const char *const words[] = {options->pool->self_path, "probe",       "sweep",
                                     options->procs,           options->mark, NULL};
        for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
            add(&watch->sweep, arena, words[i]);
        }
    }
}

static int64_t to_ms(int64_t ns) {
    return ns / NS_PER_MS > 0 ? ns / NS_PER_MS : 1;
}

int health_watch_open(const struct health_watch_options *options, struct health_watch **out,
                      struct error *err) {
    const struct health_check *check = options->check;
    AUTO_ARENA scratch = {0};
    struct health_test test;
    int rc = health_test_parse(&check->test, &scratch, &test, err);
    if (rc < 0) {
        return error_wrap(err, rc, "health check");
    }
    struct health_watch *watch = NEW(struct health_watch);
    struct health_times times = {.interval_ms = to_ms(check->interval_ns),
                                 .start_period_ms = check->start_period_ns / NS_PER_MS,
                                 .start_interval_ms = to_ms(check->start_interval_ns),
                                 .retries = check->retries};
    watch->pool = options->pool;
    watch->arena = arena_make(0);
    watch->timeout_ms = to_ms(check->timeout_ns);
    watch->directory = options->directory != NULL ? arena_strdup(&watch->arena, options->directory) : NULL;
    watch->on_news = options->on_news;
    watch->context = options->context;
    watch->health = health_begin(&times, clock_mono_ms());
    make_argv(watch, options, &test);
    uv_timer_init(options->pool->loop, &watch->timer);
    watch->timer.data = watch;
    if (!options->is_adopted || !sweep(watch)) {
        wait_until(watch, watch->health.due_ms);
    }
    *out = watch;
    return 0;
}

struct health_news health_watch_news(const struct health_watch *watch) {
    return (struct health_news){watch->health.state, &watch->results, watch->text};
}

static void on_timer_closed(uv_handle_t *handle) {
    struct health_watch *watch = handle->data;
    watch->is_timer_closed = true;
    free_when_over(watch);
}

void health_watch_close(struct health_watch *watch) {
    if (watch == NULL) {
        return;
    }
    if (list_is_linked(&watch->waiting)) {
        list_remove(&watch->waiting);
    }
    struct health_pool *pool = watch->pool;
    give_slot_back(watch);
    watch->pool = NULL;
    if (watch->child != NULL) {
        child_kill(watch->child);
    }
    uv_close((uv_handle_t *)&watch->timer, on_timer_closed);
    pump(pool);
}
