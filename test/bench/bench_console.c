// SPDX-License-Identifier: Apache-2.0
//
// test/bench/bench_console.c — what the console costs at 10,000 tasks: CPU of 500 changes a second painted
// ten times, bytes to the terminal, a key, the first picture, memory.
//
// One JSON line a figure. CPU time, not wall clock; share = CPU of a second of that load. Budgets:
// reference/ux.md §2.11.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "test/lib/shop.h"
#include "tui/term.h"
#include "tui/view_screen.h"

#define TASKS 10000
#define FRAMES 200
#define CHANGES_PER_FRAME 50

static double cpu_ms(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e3 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e3;
}

static void report(const char *figure, double value, const char *unit, double budget) {
    printf("{\"bench\":\"console\",\"figure\":\"%s\",\"value\":%.3f,\"unit\":\"%s\",\"budget\":%.3f}\n",
           figure, value, unit, budget);
}

struct bench {
    struct shop shop;
    struct model model;
    struct screen screen;
    struct view_env env;
    struct term *term;
    FILE *out;
    struct arena frames[2];
    struct grid shown;
    bool has_shown;
    int next;
    struct prng prng;
};

static void paint(struct bench *bench) {
    struct arena *arena = &bench->frames[bench->next];
    arena_clear(arena);
    screen_settle(&bench->screen, &bench->model, &bench->env);
    struct grid grid = screen_draw(&bench->screen, &bench->model, &bench->env, arena);
    term_paint(bench->term, bench->has_shown ? &bench->shown : NULL, &grid);
    bench->shown = grid;
    bench->has_shown = true;
    bench->next ^= 1;
}

static void wire_bytes(struct buf *out, const struct event_batch *batch) {
    buf_clear(out);
    wire_encode(&event_batch_schema, batch, out);
}

// As the stream does: decode the frame, apply it.
static void take(struct bench *bench, struct bytes frame) {
    AUTO_ARENA arena = {0};
    struct event_batch batch;
    if (wire_decode(&event_batch_schema, frame, &batch, &arena, NULL) == 0) {
        (void)model_apply(&bench->model, &batch, bench->env.now_ms, NULL);
    }
}

// A task of a random place changes its state, or a new try takes over.
static void make_changes(struct bench *bench, struct buf *frame) {
    static const int64_t states[] = {TASK_STARTING, TASK_RUNNING, TASK_RUNNING, TASK_FAILED};
    arena_clear(&bench->shop.arena);
    bench->shop.now_unix_ms += 100;
    for (int i = 0; i < CHANGES_PER_FRAME; i++) {
        int64_t number = (int64_t)prng_below(&bench->prng, TASKS);
        struct id service = shop_id('s', number / 10 + 1);
        struct id node = shop_id('n', number % 100 + 1);
        struct task *task = shop_task(&bench->shop, number + 1, &service, number % 10 + 1, &node,
                                      states[prng_below(&bench->prng, 4)]);
        task->meta.version = 1;
        shop_put(&bench->shop, KIND_TASK, task, "status of tasks");
    }
    struct event_batch batch = shop_take(&bench->shop);
    wire_bytes(frame, &batch);
    bench->env.now_ms += 100;
    bench->env.now_unix_ms = bench->shop.now_unix_ms;
}

static void bench_view(struct bench *bench, const char *keys, const char *name) {
    AUTO_BUF frame = buf_make(0);
    char figure[64];
    for (const char *key = keys; *key != '\0'; key++) {
        screen_press(&bench->screen, &bench->model, &bench->env, (uint32_t)*key);
    }
    paint(bench);
    long before = ftell(bench->out);
    double spent = 0;
    for (int i = 0; i < FRAMES; i++) {
        make_changes(bench, &frame);
        double start = cpu_ms();
        take(bench, buf_bytes(&frame));
        paint(bench);
        spent += cpu_ms() - start;
    }
    snprintf(figure, sizeof figure, "cpu_%s", name);
    report(figure, spent / (FRAMES * 100.0) * 100, "percent of a core", 2);
    snprintf(figure, sizeof figure, "bytes_%s", name);
    report(figure, (double)(ftell(bench->out) - before) / FRAMES / 1e3, "kB per frame", 1.6);
}

static void bench_keys(struct bench *bench) {
    double start = cpu_ms();
    for (int i = 0; i < FRAMES; i++) {
        screen_press(&bench->screen, &bench->model, &bench->env, i % 10 == 9 ? PRESS_PAGE_DOWN : 'j');
        paint(bench);
    }
    report("key_to_paint", (cpu_ms() - start) / FRAMES, "ms", 30);
}

static void bench_first_picture(struct bench *bench) {
    AUTO_BUF frame = buf_make(0);
    shop_fill_large(&bench->shop, TASKS);
    struct event_batch batch = shop_take(&bench->shop);
    wire_bytes(&frame, &batch);
    double start = cpu_ms();
    take(bench, buf_bytes(&frame));
    paint(bench);
    report("first_picture", cpu_ms() - start, "ms", 400);
    report("model_memory", (double)(bench->model.objects.used_bytes + bench->model.rows.used_bytes) / 1048576,
           "MiB", 64);
}

int main(void) {
    static struct bench bench = {
        .env = {.link = LINK_LIVE, .link_reason = "", .node_name = "w1", .now_ms = 10000}};
    (void)setenv("COLUMNS", "160", 1); // the size that ncurses takes where it cannot ask
    (void)setenv("LINES", "48", 1);
    (void)term_is_utf8();
    FILE *in = fopen("/dev/null", "re");
    bench.out = tmpfile();
    struct term_options options = {.type = "xterm-256color", .in = in, .out = bench.out};
    if (in == NULL || bench.out == NULL || term_open(&options, &bench.term, NULL) != 0) {
        fprintf(stderr, "bench_console: no terminal description of xterm-256color\n");
        return 1;
    }
    prng_seed(&bench.prng, 1);
    shop_init(&bench.shop);
    model_init(&bench.model);
    screen_init(&bench.screen, 160, 48);
    bench_first_picture(&bench);
    bench_view(&bench, "2", "services");
    bench_view(&bench, "3", "tasks");
    bench_view(&bench, "s", "tasks_by_node");
    bench_keys(&bench);
    bench_view(&bench, "/running", "tasks_filtered");
    term_close(bench.term);
    screen_deinit(&bench.screen);
    model_deinit(&bench.model);
    shop_free(&bench.shop);
    arena_free(&bench.frames[0]);
    arena_free(&bench.frames[1]);
    fclose(bench.out);
    fclose(in);
    return 0;
}
