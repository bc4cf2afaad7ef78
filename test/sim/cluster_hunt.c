// SPDX-License-Identifier: Apache-2.0
//
// test/sim/cluster_hunt.c — runs in child processes, one after the other; a child that ends early has found
// something, and the next one goes on behind it.
#include "test/sim/cluster_hunt.h"
#include "test/lib/scratch.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"

#define RUN_SECONDS_MAX 300 // of a run that does not end
#define STDERR_BYTES 65536

// What a child tells, also when it dies.
struct slate {
    struct cluster_totals totals;
    struct cluster_run run; // the present one
    char what[1024];
};

static struct slate *slate_new(void) {
    struct slate *slate =
        mmap(NULL, sizeof *slate, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT(slate != MAP_FAILED);
    return slate;
}

static void child(const struct cluster_hunt *hunt, uint64_t from, struct slate *slate) {
    cluster_totals = &slate->totals;
    if (hunt->before != NULL) {
        hunt->before(hunt->context);
    }
    for (uint64_t seed = from; seed < hunt->first + hunt->count; seed++) {
        AUTO_BUF why = buf_make(0);
        slate->run = (struct cluster_run){seed, hunt->virtual_ms, hunt->off};
        alarm(RUN_SECONDS_MAX);
        if (!cluster_run(&slate->run, &why, NULL)) {
            str_copy(slate->what, sizeof slate->what, buf_text(&why));
            _exit(1);
        }
    }
    _exit(0);
}

// The line about a broken assertion, if there is one.
static void read_last_words(int fd, char *out, size_t out_bytes) {
    char *text = xcalloc(1, STDERR_BYTES + 1);
    ssize_t len = pread(fd, text, STDERR_BYTES, 0);
    char *at = len > 0 ? strstr(text, "broken invariant") : NULL;
    if (at != NULL) {
        while (at > text && at[-1] != '\n') {
            at--;
        }
        at[strcspn(at, "\n")] = '\0';
        str_copy(out, out_bytes, at);
    }
    xfree(text);
}

static bool run_child(const struct cluster_hunt *hunt, uint64_t from, struct slate *slate) {
    FILE *words = tmpfile();
    ASSERT(words != NULL);
    slate->what[0] = '\0';
    fflush(NULL);
    pid_t pid = fork();
    ASSERT(pid >= 0);
    if (pid == 0) {
        dup2(fileno(words), STDERR_FILENO);
        child(hunt, from, slate);
    }
    int status = 0;
    pid_t ended = waitpid(pid, &status, 0);
    ASSERT(ended == pid);
    bool is_fine = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (!is_fine && slate->what[0] == '\0') {
        snprintf(slate->what, sizeof slate->what, "the process ended with status %#x", (unsigned)status);
        read_last_words(fileno(words), slate->what, sizeof slate->what);
    }
    fclose(words);
    return is_fine;
}

static const char *make_base(char path[64]) {
    snprintf(path, 64, "%s/muster-sim.XXXXXX", scratch_memory());
    char *made = mkdtemp(path);
    ASSERT(made != NULL);
    cluster_base_dir = path;
    return path;
}

static void remove_base(const char *path) {
    struct error err = {0};
    int rc = fs_remove_tree(AT_FDCWD, path, &err);
    ASSERT(rc == 0);
    cluster_base_dir = NULL;
}

void cluster_hunt(const struct cluster_hunt *hunt, struct cluster_report *out) {
    struct slate *slate = slate_new();
    char path[64];
    uint64_t from = hunt->first, end = hunt->first + hunt->count;
    size_t max = hunt->findings_max > 0 ? hunt->findings_max : CLUSTER_FINDINGS_MAX;
    make_base(path);
    *out = (struct cluster_report){0};
    while (from < end && out->found_count < max && !run_child(hunt, from, slate)) {
        struct cluster_finding *finding = &out->found[out->found_count++];
        finding->run = slate->run;
        str_copy(finding->what, sizeof finding->what, slate->what);
        from = slate->run.seed + 1;
    }
    out->totals = slate->totals;
    remove_base(path);
    munmap(slate, sizeof *slate);
}

// --- making smaller ---

static bool still_fails(struct cluster_finding *finding, const struct cluster_run *run) {
    struct cluster_report report;
    cluster_hunt(
        &(struct cluster_hunt){
            .first = run->seed, .count = 1, .virtual_ms = run->virtual_ms, .off = run->without},
        &report);
    if (report.found_count > 0) {
        *finding = report.found[0];
    }
    return report.found_count > 0;
}

void cluster_shrink(struct cluster_finding *finding) {
    for (int i = 0; i < TROUBLE_END; i++) {
        struct cluster_run run = finding->run;
        run.without |= UINT32_C(1) << i;
        if (run.without != finding->run.without) {
            still_fails(finding, &run);
        }
    }
    for (int64_t part = finding->run.virtual_ms / 2; part > 1000; part /= 2) {
        struct cluster_run run = finding->run;
        run.virtual_ms -= part;
        still_fails(finding, &run);
    }
}

// --- words ---

bool cluster_parse_off(const char *text, uint32_t *out) {
    *out = 0;
    while (*text != '\0' && !str_equal(text, "-")) {
        size_t len = strcspn(text, ",");
        int i = 0;
        while (i < TROUBLE_END && (strlen(cluster_trouble_words[i]) != len ||
                                   strncmp(cluster_trouble_words[i], text, len) != 0)) {
            i++;
        }
        if (i == TROUBLE_END) {
            return false;
        }
        *out |= UINT32_C(1) << i;
        text += len + (text[len] == ',');
    }
    return true;
}

static void add_off(uint32_t off, struct buf *out) {
    const char *separator = "";
    for (int i = 0; i < TROUBLE_END; i++) {
        if ((off >> i & 1) != 0) {
            buf_addf(out, "%s%s", separator, cluster_trouble_words[i]);
            separator = ",";
        }
    }
    buf_adds(out, off == 0 ? "-" : "");
}

void cluster_run_text(const struct cluster_run *run, struct buf *out) {
    buf_addf(out, "SEED=%llu SEED_MS=%lld SIM_OFF=", (unsigned long long)run->seed,
             (long long)run->virtual_ms);
    add_off(run->without, out);
}

bool cluster_kept(const char *path, size_t number, struct cluster_run *out) {
    FILE *file = fopen(path, "r");
    ASSERT(file != NULL);
    char line[2048], off[512];
    unsigned long long seed;
    long long ms;
    bool is_there = false;
    while (!is_there && fgets(line, sizeof line, file) != NULL) {
        if (line[0] != '#' && number-- == 0) {
            is_there = sscanf(line, "%llu %lld %511s", &seed, &ms, off) == 3;
            ASSERT(is_there && cluster_parse_off(off, &out->without));
            out->seed = seed;
            out->virtual_ms = ms;
        }
    }
    fclose(file);
    return is_there;
}

void cluster_keep(const char *path, const struct cluster_finding *finding) {
    AUTO_BUF line = buf_make(0);
    buf_addf(&line, "%llu %lld ", (unsigned long long)finding->run.seed, (long long)finding->run.virtual_ms);
    add_off(finding->run.without, &line);
    buf_addf(&line, " %s\n", finding->what);
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    int rc = fd >= 0 ? fs_write_all(fd, line.data, line.len) : -1;
    ASSERT(rc == 0);
}
