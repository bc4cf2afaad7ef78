// SPDX-License-Identifier: Apache-2.0
//
// test/sim/raft_hunt.c — workers, shrinking, kept seeds and the ledger.
#include "test/sim/raft_hunt.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/fs.h"
#include "base/str.h"

#define WORKERS_MAX 64
#define FILE_BYTES_MAX ((size_t)1 << 20)

static void *share(size_t bytes) {
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT(memory != MAP_FAILED);
    return memory;
}

static void be_quiet(void) {
    if (freopen("/dev/null", "w", stderr) == NULL) {
        _exit(3);
    }
}

static void note_death(int status, struct sim_result *out) {
    out->is_fine = false;
    snprintf(out->what, sizeof out->what, "at %llu ms: the process died (signal %d): a broken assertion?",
             (unsigned long long)out->at_ms, WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

bool hunt_try(const struct sim_case *run, struct sim_result *out) {
    struct sim_result *shared = share(sizeof *shared);
    fflush(NULL);
    pid_t child = fork();
    ASSERT(child >= 0);
    if (child == 0) {
        be_quiet();
        sim_run(run, shared, NULL);
        _exit(0);
    }
    int status;
    ASSERT(waitpid(child, &status, 0) == child);
    *out = *shared;
    munmap(shared, sizeof *shared);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        note_death(status, out);
    }
    return out->is_fine;
}

// --- workers ---

struct worker {
    pid_t pid;
    bool is_running;
    struct hunt_finding now; // what it is at
    struct sim_totals totals;
};

struct shared {
    uint64_t next_seed; // atomic
    uint64_t found;     // atomic
    struct worker workers[WORKERS_MAX];
};

static uint64_t mono_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec;
}

static void work(const struct hunt *hunt, struct shared *shared, struct worker *worker, uint64_t until) {
    if (hunt->is_quiet) {
        be_quiet();
    }
    sim_totals = (struct sim_totals){0};
    while (__atomic_load_n(&shared->found, __ATOMIC_SEQ_CST) < HUNT_FOUND_MAX &&
           (hunt->seconds == 0 || mono_seconds() < until)) {
        uint64_t number = __atomic_fetch_add(&shared->next_seed, 1, __ATOMIC_SEQ_CST);
        if (number >= hunt->count) {
            break;
        }
        worker->now.run = (struct sim_case){.seed = hunt->first + number, .virtual_ms = hunt->virtual_ms};
        bool is_fine = sim_run(&worker->now.run, &worker->now.result, NULL);
        worker->totals = sim_totals;
        if (!is_fine) {
            __atomic_fetch_add(&shared->found, 1, __ATOMIC_SEQ_CST);
            _exit(1);
        }
    }
    _exit(0);
}

static void start(const struct hunt *hunt, struct shared *shared, struct worker *worker, uint64_t until) {
    fflush(NULL);
    *worker = (struct worker){.is_running = true};
    pid_t child = fork();
    ASSERT(child >= 0);
    if (child == 0) {
        work(hunt, shared, worker, until);
    }
    worker->pid = child;
}

static struct worker *wait_for_one(struct shared *shared, unsigned count, int *out_status) {
    for (unsigned i = 0; i < count; i++) { // any order will do: each is waited for
        if (shared->workers[i].is_running) {
            ASSERT(waitpid(shared->workers[i].pid, out_status, 0) == shared->workers[i].pid);
            shared->workers[i].is_running = false;
            return &shared->workers[i];
        }
    }
    return NULL;
}

void hunt_run(const struct hunt *hunt, struct hunt_report *out) {
    ASSERT(hunt->processes > 0 && hunt->processes <= WORKERS_MAX);
    struct shared *shared = share(sizeof *shared);
    uint64_t until = mono_seconds() + hunt->seconds;
    *out = (struct hunt_report){0};
    for (unsigned i = 0; i < hunt->processes; i++) {
        start(hunt, shared, &shared->workers[i], until);
    }
    struct worker *ended;
    int status;
    while ((ended = wait_for_one(shared, hunt->processes, &status)) != NULL) {
        sim_totals_add(&out->totals, &ended->totals);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
            continue;
        }
        if (!WIFEXITED(status)) {
            note_death(status, &ended->now.result);
            __atomic_fetch_add(&shared->found, 1, __ATOMIC_SEQ_CST);
        }
        if (out->found_count < HUNT_FOUND_MAX) {
            out->found[out->found_count++] = ended->now;
        }
        start(hunt, shared, ended, until);
    }
    out->next_seed = hunt->first + (shared->next_seed < hunt->count ? shared->next_seed : hunt->count);
    munmap(shared, sizeof *shared);
}

// --- shrinking ---

static bool try_smaller(struct hunt_finding *finding, struct sim_case candidate) {
    struct sim_result result;
    if (hunt_try(&candidate, &result) || result.events > finding->result.events) {
        return false;
    }
    finding->run = candidate;
    finding->result = result;
    return true;
}

static void shorten(struct hunt_finding *finding) {
    struct sim_case candidate = finding->run;
    if (!finding->result.is_healed && finding->result.at_ms < candidate.virtual_ms) {
        candidate.virtual_ms = finding->result.at_ms; // the same, without what would have come
        try_smaller(finding, candidate);
    }
    // What fails only after healing may fail at one length and not at a longer one: short ones first.
    uint64_t whole = finding->run.virtual_ms;
    for (uint64_t length = whole / 64; finding->result.is_healed && length < whole;
         length += length / 4 + 1) {
        candidate.virtual_ms = length;
        if (try_smaller(finding, candidate)) {
            break;
        }
    }
    for (uint64_t step = finding->run.virtual_ms / 2; step >= 10; step /= 2) {
        candidate = finding->run;
        candidate.virtual_ms -= step;
        try_smaller(finding, candidate);
    }
}

void hunt_shrink(struct hunt_finding *finding) {
    uint64_t virtual_ms = finding->run.virtual_ms;
    shorten(finding);
    for (unsigned knob = 0; knob < SIM_KNOBS; knob++) {
        struct sim_case candidate = finding->run;
        candidate.off |= 1U << knob;
        if (candidate.off == finding->run.off) {
            continue;
        }
        candidate.virtual_ms = virtual_ms; // without the knob it is another run, which may fail later
        bool is_smaller = try_smaller(finding, candidate);
        candidate.virtual_ms = finding->run.virtual_ms;
        if (is_smaller || try_smaller(finding, candidate)) {
            shorten(finding);
        }
    }
}

// --- lines ---

static void add_off(unsigned off, struct buf *out) {
    const char *comma = "";
    for (unsigned knob = 0; knob < SIM_KNOBS; knob++) {
        if ((off >> knob) & 1) {
            buf_addf(out, "%s%s", comma, sim_knob_names[knob]);
            comma = ",";
        }
    }
    buf_adds(out, off == 0 ? "-" : "");
}

void hunt_describe(const struct sim_case *run, struct buf *out) {
    buf_addf(out, "SEED=%llu SEED_MS=%llu SIM_OFF=", (unsigned long long)run->seed,
             (unsigned long long)run->virtual_ms);
    add_off(run->off, out);
}

bool hunt_parse_off(const char *text, unsigned *out) {
    *out = 0;
    if (str_equal(text, "-")) {
        return true;
    }
    while (*text != '\0') {
        size_t len = strcspn(text, ",");
        unsigned knob = 0;
        while (knob < SIM_KNOBS &&
               (strlen(sim_knob_names[knob]) != len || strncmp(text, sim_knob_names[knob], len) != 0)) {
            knob++;
        }
        if (knob == SIM_KNOBS) {
            return false;
        }
        *out |= 1U << knob;
        text += len + (text[len] == ',');
    }
    return true;
}

// --- files ---

static void append(const char *path, const struct buf *line) {
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    ASSERT(fd >= 0);
    ASSERT(fs_write_all(fd, line->data, line->len) == 0);
    close(fd);
}

void hunt_keep(const char *path, const struct hunt_finding *finding, const char *note) {
    AUTO_BUF line = buf_make(0);
    buf_addf(&line, "%llu %llu ", (unsigned long long)finding->run.seed,
             (unsigned long long)finding->run.virtual_ms);
    add_off(finding->run.off, &line);
    buf_addf(&line, " %s\n", note);
    append(path, &line);
}

static bool parse_kept(const char *line, struct sim_case *out) {
    char off[128];
    unsigned long long seed;
    unsigned long long virtual_ms;
    if (sscanf(line, "%llu %llu %127s", &seed, &virtual_ms, off) != 3) {
        return false;
    }
    out->seed = seed;
    out->virtual_ms = virtual_ms;
    return hunt_parse_off(off, &out->off);
}

bool hunt_kept(const char *path, size_t line, struct sim_case *out) {
    AUTO_BUF text = buf_make(0);
    int rc = fs_read(AT_FDCWD, path, FILE_BYTES_MAX, &text, NULL);
    ASSERT(rc == 0);
    for (const char *p = buf_text(&text); *p != '\0';) {
        size_t len = strcspn(p, "\n");
        if (len > 0 && *p != '#' && line-- == 0) {
            bool is_line = parse_kept(p, out);
            ASSERT(is_line);
            return true;
        }
        p += len + (p[len] == '\n');
    }
    return false;
}

// Its second and third columns are the first and the last seed of a soak.
uint64_t hunt_ledger_next(const char *path) {
    AUTO_BUF text = buf_make(0);
    uint64_t next = 0;
    if (fs_read(AT_FDCWD, path, FILE_BYTES_MAX, &text, NULL) != 0) {
        return 0;
    }
    for (const char *p = buf_text(&text); *p != '\0';) {
        unsigned long long last;
        if (sscanf(p, "%*s\t%*u\t%llu", &last) == 1 && last + 1 > next) {
            next = last + 1;
        }
        size_t len = strcspn(p, "\n");
        p += len + (p[len] == '\n');
    }
    return next;
}

void hunt_ledger_add(const char *path, const char *commit, uint64_t first_seed,
                     const struct hunt_report *report) {
    const struct sim_totals *totals = &report->totals;
    AUTO_BUF line = buf_make(0);
    if (!fs_exists(path)) {
        buf_adds(&line,
                 "commit\tfirst\tlast\thours\tevents\tmessages\tfaults\telections\tcrashes\tsnapshots\t"
                 "violations\n");
    }
    buf_addf(&line, "%s\t%llu\t%llu\t%.1f\t%llu\t%llu\t%llu\t%llu\t%llu\t%llu\t%zu\n", commit,
             (unsigned long long)first_seed, (unsigned long long)report->next_seed - 1,
             (double)totals->virtual_ms / 3600000, (unsigned long long)totals->events,
             (unsigned long long)totals->messages, (unsigned long long)sim_faults(totals),
             (unsigned long long)totals->elections, (unsigned long long)totals->crashes,
             (unsigned long long)totals->snapshots, report->found_count);
    append(path, &line);
}
