// SPDX-License-Identifier: Apache-2.0
//
// test/bench/bench_manifest.c — what reading spec files costs: 200 ordinary services, and 1 MiB of the
// worst texts known.
//
// One JSON line a figure. CPU time, not wall clock; the budget for anything of 1 MiB is 100 ms and 16 MiB.
#include "specs/manifest.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/limits.h"

static const struct pairs no_variables;
static const struct manifest_options options = {.variables = &no_variables, .stack_name = "bench"};

static double cpu_ms(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e3 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e3;
}

struct cost {
    double ms;
    size_t arena_bytes;
    size_t declarations, errors;
};

// The best of three: noise only adds.
static struct cost measure(const struct buf *text) {
    struct cost best = {.ms = 1e9};
    for (int i = 0; i < 3; i++) {
        AUTO_ARENA arena = {0};
        struct declarations out;
        struct diagnostics found;
        double start = cpu_ms();
        manifest_parse("bench", buf_text(text), text->len, &options, &arena, &out, &found, NULL);
        double ms = cpu_ms() - start;
        best = (struct cost){ms < best.ms ? ms : best.ms, arena.used_bytes, out.count, found.error_count};
    }
    return best;
}

static void report(const char *name, const struct cost *cost, double budget_ms) {
    printf("{\"bench\":\"manifest\",\"figure\":\"%s\",\"value\":%.2f,\"unit\":\"ms\",\"budget\":%.0f,\"arena_"
           "kib\":%zu,\"declarations\":%zu,"
           "\"errors\":%zu}\n",
           name, cost->ms, budget_ms, cost->arena_bytes / KIB, cost->declarations, cost->errors);
}

static void bench_services(void) {
    AUTO_BUF text = buf_make(0);
    buf_adds(&text, "services:\n");
    for (int i = 0; i < 200; i++) {
        buf_addf(&text,
                 "  web%d:\n    image: reg.local:5000/team/web:1.%d\n    command: [serve, --port, '80']\n"
                 "    environment: {MODE: fast, LEVEL: info, NAME: web%d}\n    ports: ['%d:80']\n    "
                 "volumes: ['data:/var/lib/web', /tmp]\n"
                 "    healthcheck: {test: curl -f localhost, interval: 10s}\n    deploy:\n      replicas: 3\n"
                 "      resources: {limits: {cpus: 0.5, memory: 64M}, reservations: {memory: 32M}}\n"
                 "      placement: {constraints: [node.labels.disk == ssd]}\n",
                 i, i, i, 10000 + i);
    }
    buf_adds(&text, "volumes: {data: {}}\n");
    struct cost cost = measure(&text);
    report("200 services", &cost, 50);
}

static void bench_hostile(void) {
    static const struct {
        const char *name, *before, *part, *after;

    } texts[] = {
        {"deep lists", "", "[", ""},
        {"deep maps", "", "{a: ", ""},
        {"%TAG directives", "", "%TAG !a! b\n", "--- x"},
        {"empty documents", "", "---\n", ""},
        {"small documents", "", "--- a\n", ""},
        {"typed documents", "", "---\nkind: service\nname: a\nimage: b\n", ""},
        {"wrong documents", "", "---\nkind: service\nzz: a\n", ""},
        {"one long word", "a: ", "x", "\n"},
        {"line ends in quotes", "\"", "\n", ""},
        {"lists of lists", "a:\n", "[],", ""},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        AUTO_BUF text = buf_make(0);
        buf_adds(&text, texts[i].before);
        while (text.len + strlen(texts[i].part) + strlen(texts[i].after) <= MIB) {
            buf_adds(&text, texts[i].part);
        }
        buf_adds(&text, texts[i].after);
        struct cost cost = measure(&text);
        report(texts[i].name, &cost, 100);
    }
}

// Long lists in many services: the most that fits below the limit of values.
static void bench_lists(void) {
    static const struct {
        const char *name, *key, *item;
    } texts[] = {{"short ports", "ports", "1"},          {"wrong ports", "ports", "x"},
                 {"wrong capabilities", "cap_add", "x"}, {"bare labels", "labels", "a%x"},
                 {"mounts", "volumes", "/%x"},           {"names of networks", "networks", "x"},
                 {"environment", "environment", "a%x"},  {"extra hosts", "extra_hosts", "a%x:b"}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        AUTO_BUF text = buf_make(0);
        buf_adds(&text, "services:\n");
        for (int service = 0; service < 19 && text.len < 960 * KIB; service++) {
            buf_addf(&text, " s%d: {image: a, %s: [", service, texts[i].key);
            for (unsigned k = 0; k < LIST_ITEMS_MAX - 1; k++) {
                char item[32];
                const char *percent = strchr(texts[i].item, '%');
                snprintf(item, sizeof item, "%.*s%x%s", percent != NULL ? (int)(percent - texts[i].item) : 0,
                         texts[i].item, k, percent != NULL ? percent + 2 : "");
                buf_adds(&text, percent != NULL ? item : texts[i].item);
                buf_addc(&text, ',');
            }
            buf_adds(&text, "]}\n");
        }
        struct cost cost = measure(&text);
        report(texts[i].name, &cost, 100);
    }
}

int main(void) {
    bench_services();
    bench_hostile();
    bench_lists();
    return 0;
}
