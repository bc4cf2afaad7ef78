// SPDX-License-Identifier: Apache-2.0
//
// test/bench/bench_daemon.c — what a daemon costs: idle, applying 200 services, carrying 1,000 and 10,000
// tasks of the fake executor.
//
// Prints one JSON line a figure. The raw limit beside the apply is the disk's: one synced write of the same
// size in the same directory.
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "test/lib/check.h"
#include "test/lib/daemon_fixture.h"

static void print(const char *figure, double value, const char *unit, double budget) {
    printf("{\"bench\":\"daemon\",\"figure\":\"%s\",\"value\":%.3f,\"unit\":\"%s\"", figure, value, unit);
    if (budget > 0) {
        printf(",\"budget\":%.1f", budget);
    }
    printf("}\n");
    fflush(stdout);
}

static double ms_since(int64_t start_ns) {
    return (double)(clock_mono_ns() - start_ns) / 1e6;
}

// Memory and processor time of the daemon.
static int64_t resident_kib(const struct daemon_fixture *f) {
    char path[64], line[256];
    long long kib = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)f->pid);
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL && sscanf(line, "VmRSS: %lld", &kib) != 1) {
    }
    if (file != NULL) {
        fclose(file);
    }
    return kib;
}

static int64_t cpu_ms(const struct daemon_fixture *f) {
    char path[64];
    long long user = 0, kernel = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)f->pid);
    FILE *file = fopen(path, "re");
    if (file != NULL) {
        if (fscanf(file, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lld %lld", &user,
                   &kernel) != 2) {
            user = kernel = 0;
        }
        fclose(file);
    }
    return (user + kernel) * 1000 / sysconf(_SC_CLK_TCK);
}

static void bench_idle(struct daemon_fixture *f, const char *what, double budget_mib) {
    char figure[96];
    snprintf(figure, sizeof figure, "resident, %s", what);
    print(figure, (double)resident_kib(f) / 1024, "MiB", budget_mib);
    int64_t before = cpu_ms(f);
    int64_t end = clock_mono_ms() + 5000;
    // The span over which it is watched: its own timers go on meanwhile.
    while (clock_mono_ms() < end) {
        struct client_frame frame;
        (void)client_next(f->client, end - clock_mono_ms() > 0 ? end - clock_mono_ms() : 0, &frame, &f->err);
    }
    snprintf(figure, sizeof figure, "processor while idle, %s", what);
    print(figure, (double)(cpu_ms(f) - before) / 50, "%", 0.3);
}

static double synced_write_ms(const struct daemon_fixture *f, size_t bytes) {
    char path[128];
    snprintf(path, sizeof path, "%s/raw", f->dir);
    AUTO_FREE char *data = xcalloc(1, bytes);
    int64_t start = clock_mono_ns();
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, data, bytes) != (ssize_t)bytes || fdatasync(fd) != 0) {
        return 0;
    }
    return ms_since(start);
}

static void bench_apply(struct daemon_fixture *f) {
    AUTO_BUF yaml = {0};
    for (int i = 0; i < 200; i++) {
        buf_addf(&yaml,
                 "---\nkind: service\nname: svc-%03d\nimage: registry.local:5000/team/svc-%03d:1.%d\n"
                 "command: [serve, --port, '8080', --name, svc-%03d]\n"
                 "environment: {MODE: production, LEVEL: info, INDEX: '%d'}\n"
                 "deploy:\n  replicas: 0\n  resources: {limits: {cpus: 0.5, memory: 64M}}\n"
                 "  placement: {constraints: [node.labels.disk == ssd]}\n",
                 i, i, i, i, i);
    }
    struct applied *applied;
    int64_t start = clock_mono_ns();
    assert_int_equal(daemon_apply(f, buf_text(&yaml), &applied), 0);
    print("200 services, validated and stored", ms_since(start), "ms", 200);
    print("raw: one synced write of the same size", synced_write_ms(f, yaml.len * 3), "ms", 0);
    start = clock_mono_ns();
    assert_int_equal(daemon_apply(f, buf_text(&yaml), &applied), 0);
    print("the same 200 services applied again", ms_since(start), "ms", 0);
}

static void bench_tasks(struct daemon_fixture *f, int replicas) {
    char yaml[160], what[64];
    snprintf(yaml, sizeof yaml, "kind: service\nname: big\nimage: busybox\ndeploy: {replicas: %d}\n",
             replicas);
    snprintf(what, sizeof what, "%d tasks from apply to running", replicas);
    int64_t start = clock_mono_ns(), cpu = cpu_ms(f);
    assert_int_equal(daemon_apply(f, yaml, NULL), 0);
    daemon_wait_count(f, "big", TASK_RUNNING, (size_t)replicas);
    print(what, ms_since(start) / 1000, "s", 0);
    snprintf(what, sizeof what, "processor time for %d tasks", replicas);
    print(what, (double)(cpu_ms(f) - cpu) / 1000, "s", 0);
    struct object_list list;
    start = clock_mono_ns();
    assert_int_equal(daemon_list(f, KIND_TASK, NULL, &list), 0);
    snprintf(what, sizeof what, "%zu tasks listed", list.count);
    print(what, ms_since(start), "ms", 0);
    snprintf(what, sizeof what, "%d fake tasks", replicas);
    bench_idle(f, what, 0);
}

int main(int argc, char **argv) {
    struct daemon_fixture f;
    daemon_begin(&f, "fake");
    assert_int_equal(daemon_init(&f), 0);
    bench_idle(&f, "no tasks", 12);
    bench_apply(&f);
    bench_tasks(&f, 1000);
    if (argc > 1 && strcmp(argv[1], "--large") == 0) {
        bench_tasks(&f, 10000);
    }
    daemon_end(&f);
    return 0;
}
