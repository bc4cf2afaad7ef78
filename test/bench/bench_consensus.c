// SPDX-License-Identifier: Apache-2.0
//
// test/bench/bench_consensus.c — clusters of three on this machine: acknowledged puts a second, their
// latency, the leader's memory, and how long nothing is acknowledged when the leader is killed.
//
//     bench_consensus [--rounds N] [--trials N] [--only NAME]       3 rounds, 10 trials
//
// Method       All contenders are up at once and take turns within each round, so that what else the machine
//              does falls on all; a figure is the median of the rounds, with the least and the greatest. One
//              JSON line a figure. The disk's own figure is beside them: one synced append after the other.
//              Client and members share the processors: the figures compare, they do not promise.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "test/bench/contender.h"

#define ROUNDS_MAX 100
#define SYNCS 200

static const struct contender *const contenders[] = {&etcd_contender, &replica_contender};
#define CONTENDERS (sizeof contenders / sizeof *contenders)
static const int in_flights[] = {1, 16, 128};
#define IN_FLIGHTS (sizeof in_flights / sizeof *in_flights)

struct series {
    size_t count;
    double values[ROUNDS_MAX];
};

struct bench {
    char dir[64];
    int64_t rounds, trials;
    const char *only;
    void *running[CONTENDERS]; // NULL: left out
    struct series puts[CONTENDERS][IN_FLIGHTS], median[CONTENDERS][IN_FLIGHTS], p99[CONTENDERS][IN_FLIGHTS],
        resident[CONTENDERS][IN_FLIGHTS], fail_over[CONTENDERS], hand_over[CONTENDERS];
};

static void add(struct series *series, double value) {
    series->values[series->count++] = value;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void print(struct series *series, const char *unit, const char *contender, const char *figure) {
    if (series->count == 0) {
        return;
    }
    qsort(series->values, series->count, sizeof *series->values, by_size);
    printf("{\"bench\":\"consensus\",\"figure\":\"%s: %s\",\"value\":%.3f,\"unit\":\"%s\",\"least\":%.3f,"
           "\"greatest\":%.3f,\"rounds\":%zu}\n",
           contender, figure, series->values[series->count / 2], unit, series->values[0],
           series->values[series->count - 1], series->count);
    fflush(stdout);
}

static int start(struct bench *b, struct error *err) {
    for (size_t i = 0; i < CONTENDERS; i++) {
        char dir[128];
        if (b->only != NULL && !str_equal(b->only, contenders[i]->name)) {
            continue;
        }
        snprintf(dir, sizeof dir, "%s/%s", b->dir, contenders[i]->name);
        int rc = fs_make_dirs(dir, 0700, err);
        if (rc == 0) {
            rc = contenders[i]->start(dir, &b->running[i], err);
        }
        if (rc < 0) {
            return error_wrap(err, rc, "start %s", contenders[i]->name);
        }
    }
    return 0;
}

static int round_of_load(struct bench *b, size_t round, size_t f, struct error *err) {
    for (size_t i = 0; i < CONTENDERS; i++) {
        struct load load = {in_flights[f], 1000, 4000, round * IN_FLIGHTS + f + 1};
        struct load_figures figures;
        if (b->running[i] == NULL) {
            continue;
        }
        int rc = contenders[i]->run(b->running[i], &load, &figures, err);
        if (rc < 0) {
            return error_wrap(err, rc, "%s, %d in flight", contenders[i]->name, in_flights[f]);
        }
        add(&b->puts[i][f], figures.puts_per_s);
        add(&b->median[i][f], figures.median_ms);
        add(&b->p99[i][f], figures.p99_ms);
        add(&b->resident[i][f], figures.resident_mib);
    }
    return 0;
}

static int trial_of_fail_over(struct bench *b, struct error *err) {
    for (size_t i = 0; i < CONTENDERS; i++) {
        double ms;
        if (b->running[i] == NULL) {
            continue;
        }
        int rc = contenders[i]->fail_over(b->running[i], &ms, err);
        if (rc < 0) {
            return error_wrap(err, rc, "%s, leader killed", contenders[i]->name);
        }
        add(&b->fail_over[i], ms);
    }
    return 0;
}

static int trial_of_hand_over(struct bench *b, struct error *err) {
    for (size_t i = 0; i < CONTENDERS; i++) {
        double ms;
        if (b->running[i] == NULL || contenders[i]->hand_over == NULL) {
            continue;
        }
        int rc = contenders[i]->hand_over(b->running[i], &ms, err);
        if (rc < 0) {
            return error_wrap(err, rc, "%s, leadership handed over", contenders[i]->name);
        }
        add(&b->hand_over[i], ms);
    }
    return 0;
}

static int synced_appends(struct bench *b, struct error *err) {
    char path[128], data[LOAD_VALUE_BYTES] = {0};
    struct series series = {0};
    snprintf(path, sizeof path, "%s/raw", b->dir);
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) {
        return error_set(err, ERR_SYSTEM, "open %s", path);
    }
    for (int64_t round = 0; round < b->rounds; round++) {
        int64_t start_ns = clock_mono_ns();
        for (int i = 0; i < SYNCS; i++) {
            if (fs_write_all(fd, data, sizeof data) != 0 || fdatasync(fd) != 0) {
                return error_set(err, ERR_SYSTEM, "append to %s", path);
            }
        }
        add(&series, SYNCS / ((double)(clock_mono_ns() - start_ns) / NS_PER_S));
    }
    print(&series, "1/s", "disk", "synced appends of the size of a value, one at a time");
    return 0;
}

static int measure(struct bench *b, struct error *err) {
    int rc = 0;
    for (size_t round = 0; round < (size_t)b->rounds; round++) {
        for (size_t f = 0; f < IN_FLIGHTS && rc == 0; f++) {
            rc = round_of_load(b, round, f, err);
        }
    }
    for (int64_t trial = 0; trial < b->trials && rc == 0; trial++) {
        rc = trial_of_fail_over(b, err);
        rc = rc < 0 ? rc : trial_of_hand_over(b, err);
    }
    return rc;
}

static void print_all(struct bench *b) {
    for (size_t i = 0; i < CONTENDERS; i++) {
        const char *name = contenders[i]->name;
        for (size_t f = 0; f < IN_FLIGHTS; f++) {
            char figure[64];
            snprintf(figure, sizeof figure, "puts, %d in flight", in_flights[f]);
            print(&b->puts[i][f], "1/s", name, figure);
            snprintf(figure, sizeof figure, "latency, median, %d in flight", in_flights[f]);
            print(&b->median[i][f], "ms", name, figure);
            snprintf(figure, sizeof figure, "latency, p99, %d in flight", in_flights[f]);
            print(&b->p99[i][f], "ms", name, figure);
            snprintf(figure, sizeof figure, "leader, resident, %d in flight", in_flights[f]);
            print(&b->resident[i][f], "MiB", name, figure);
        }
        print(&b->fail_over[i], "ms", name, "leader killed, to the next acknowledged put");
        print(&b->hand_over[i], "ms", name, "leadership handed over, to the next acknowledged put");
    }
}

static bool read_options(struct bench *b, int argc, char **argv) {
    for (int i = 1; i + 1 < argc; i += 2) {
        int64_t *number = str_equal(argv[i], "--rounds")   ? &b->rounds
                          : str_equal(argv[i], "--trials") ? &b->trials
                                                           : NULL;
        if (str_equal(argv[i], "--only")) {
            b->only = argv[i + 1];
        } else if (number == NULL || !str_to_int(argv[i + 1], number) || *number < 0 ||
                   *number > ROUNDS_MAX) {
            return false;
        }
    }
    return argc % 2 == 1;
}

int main(int argc, char **argv) {
    AUTO_FREE struct bench *b = NEW(struct bench);
    struct error err = {0};
    char text[1024];
    *b = (struct bench){.dir = "/tmp/muster-bench-consensus-XXXXXX", .rounds = 3, .trials = 10};
    if (!read_options(b, argc, argv) || mkdtemp(b->dir) == NULL) {
        fputs("usage: bench_consensus [--rounds N] [--trials N] [--only NAME]\n", stderr);
        return 2;
    }
    int rc = synced_appends(b, &err);
    rc = rc < 0 ? rc : start(b, &err);
    rc = rc < 0 ? rc : measure(b, &err);
    print_all(b);
    for (size_t i = 0; i < CONTENDERS; i++) {
        contenders[i]->stop(b->running[i]);
    }
    if (rc < 0) {
        fprintf(stderr, "bench_consensus: %s\n", error_text(&err, text, sizeof text));
    }
    fs_remove_tree(AT_FDCWD, b->dir, NULL);
    return rc < 0;
}
