// SPDX-License-Identifier: Apache-2.0
//
// test/bench/bench_planner.c — 10,000, 100,000 and 1,000,000 tasks placed by one manager through its store: from
// services that were declared to tasks that are all assigned, and seen to be as they should.
//
// One JSON line a figure, each size in a process of its own: a replica that is a voter alone, the daemon's planner, a
// store on disk. 1,000 replicas a service, 100 tasks a node. `value` is the time until the last
// one is stored, settled_s until nothing is left to plan, cpu_s what that takes of a core. TASKS=n for one size alone.
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/daemon/decide.h"
#include "reconciler/daemon/planner.h"
#include "specs/node.h"
#include "test/lib/scratch.h"

#define REPLICAS 1000
#define TASKS_A_NODE 100
#define CHANGES 500 // of one transaction that declares

struct bench {
    size_t tasks;
    char dir[SCRATCH_BYTES];
    struct store *store;
    struct replica *replica;
    struct proposals proposals;
    struct planner planner;
    struct prng prng;
    struct error err;
    size_t open; // proposals of ours
};

static void must(struct bench *b, int rc, const char *what) {
    char text[1024];
    if (rc < 0) {
        fprintf(stderr, "%s: %s\n", what, error_text(&b->err, text, sizeof text));
        exit(1);
    }
}

static double cpu_s(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static long resident_mib(const char *name) { // VmRSS, VmHWM
    AUTO_BUF status = buf_make(0);
    long kib = 0;
    int rc = fs_read(AT_FDCWD, "/proc/self/status", 65536, &status, NULL);
    const char *at = rc == 0 ? strstr(buf_text(&status), name) : NULL;
    return at != NULL && sscanf(at + strlen(name), ": %ld", &kib) == 1 ? kib / 1024 : 0;
}

// --- the manager ---

static void turn(struct bench *b) {
    struct proposer *proposer = b->proposals.proposer;
    replica_advance(b->replica, clock_mono_ms());
    must(b, proposer->ops->turn(proposer, &b->err), "turn");
}

static void begin(struct bench *b) {
    scratch_name(b->dir, sizeof b->dir, "bench-planner");
    ASSERT(mkdtemp(b->dir) != NULL);
    prng_seed(&b->prng, 1);
    struct id node_id = id_from_prng(&b->prng);
    must(b, store_open(&(struct store_options){.dir = b->dir}, &b->store, &b->err), "open");
    const struct replica_options options = {
        .store = b->store, .node_id = node_id, .seed = 1, .now_mono_ms = clock_mono_ms()};
    must(b, replica_open(&options, &b->replica, &b->err), "open");
    proposals_init(&b->proposals, replica_proposer(b->replica));
    must(b, replica_found(b->replica, &node_id, "127.0.0.1:2377", &b->err), "found");
    planner_init(&b->planner, b->store, &b->proposals, 1);
    while (!b->proposals.proposer->ops->is_leader(b->proposals.proposer)) {
        turn(b);
    }
}

static void end(struct bench *b) {
    planner_deinit(&b->planner);
    proposals_deinit(&b->proposals);
    store_close(b->store);
    must(b, fs_remove_tree(AT_FDCWD, b->dir, &b->err), "remove");
}

// --- what is declared ---

static void on_declared(void *context, const struct proposal_result *result) {
    ASSERT(result->code == 0);
    ((struct bench *)context)->open--;
}

static void submit(struct bench *b, struct transaction *transaction, struct arena *arena) {
    transaction->request_id = "";
    transaction->who = "bench";
    transaction->why = "declared";
    transaction->time_unix_ms = clock_unix_ms();
    b->open++;
    must(b, proposals_submit(&b->proposals, transaction, on_declared, b, &b->err), "declare");
    while (b->open > 0) {
        turn(b);
    }
    *transaction = (struct transaction){0};
    arena_clear(arena);
}

static void add_node(struct bench *b, struct transaction *transaction, size_t number, struct arena *arena) {
    struct node node;
    schema_init(&node_schema, &node);
    node.meta.id = id_from_prng(&b->prng);
    node.meta.name = node.spec.name = arena_printf(arena, "n%zu", number);
    node.status.state = NODE_READY;
    node.description.cpus_nano = 64 * INT64_C(1000000000);
    node.description.memory_bytes = INT64_C(256) << 30;
    node.spec.labels = pairs_set(arena, &node.spec.labels, "zone", number % 3 == 0 ? "a" : "b");
    transaction_add(transaction, CHANGE_CREATE, KIND_NODE, &node, arena);
}

static void add_service(struct bench *b, struct transaction *transaction, size_t number,
                        struct arena *arena) {
    static const char *constraint[] = {"node.labels.zone == b"};
    struct service service;
    schema_init(&service_schema, &service);
    service.meta.id = id_from_prng(&b->prng);
    service.meta.name = service.spec.name = arena_printf(arena, "s%zu", number);
    service.spec.image = "registry.example/web:1";
    service.spec.deploy.replicas = REPLICAS;
    service.spec.deploy.resources.reservations.cpus_nano = 100000000;
    service.spec.deploy.resources.reservations.memory_bytes = 64 * MIB;
    if (number % 2 == 0) {
        service.spec.deploy.placement.constraints = (struct strings){1, constraint};
    }
    service.revision = service.restart_revision = 1;
    transaction_add(transaction, CHANGE_CREATE, KIND_SERVICE, &service, arena);
}

static void declare(struct bench *b, size_t count,
                    void (*add)(struct bench *, struct transaction *, size_t, struct arena *)) {
    struct arena arena = arena_make(0);
    struct transaction transaction = {0};
    for (size_t i = 0; i < count; i++) {
        add(b, &transaction, i, &arena);
        if (transaction.changes.count == CHANGES || i + 1 == count) {
            submit(b, &transaction, &arena);
        }
    }
    arena_free(&arena);
}

// --- planning ---

static struct now now(void) {
    return (struct now){.unix_ms = clock_unix_ms(), .mono_ms = clock_mono_ms()};
}

// Until all is as it should be: every service was looked at once more after its tasks had come. Returns when the last
// of them was stored.
static int64_t plan(struct bench *b) {
    const struct proposer *proposer = b->proposals.proposer;
    int64_t revision = store_revision(b->store), placed_ns = clock_mono_ns();
    for (bool is_done = false; !is_done;) {
        struct now at = now();
        must(b, planner_step(&b->planner, &at, &b->err), "plan");
        if (proposer->ops->has_work(proposer)) {
            turn(b);
            placed_ns = store_revision(b->store) > revision ? clock_mono_ns() : placed_ns;
            revision = store_revision(b->store);
        } else if (!planner_is_waiting(&b->planner)) {
            int64_t wake = planner_wake_mono_ms(&b->planner, &at);
            is_done = wake == INT64_MAX;
            if (!is_done && wake > at.mono_ms) { // a service rests after a long pass
                poll(NULL, 0, (int)(wake - at.mono_ms));
            }
        }
    }
    return placed_ns;
}

static size_t count_assigned(struct bench *b) {
    AUTO_ARENA arena = arena_make(0);
    struct store_read *read;
    struct store_cursor cursor;
    struct id id;
    struct bytes bytes;
    size_t count = 0;
    must(b, store_read_begin(b->store, &read, &b->err), "read");
    must(b, store_each_begin(read, STORE_ALL, KIND_TASK, NULL, &cursor, &b->err), "read");
    while (store_each_next(&cursor, &id, &bytes, &b->err) == 0) {
        struct task task;
        must(b, wire_decode(&task_schema, bytes, &task, &arena, &b->err), "decode");
        count += task.status.state == TASK_ASSIGNED && !id_is_none(&task.node_id);
        arena_clear(&arena);
    }
    store_each_end(&cursor);
    store_read_end(read);
    return count;
}

static void measure(size_t tasks, double goal_s) {
    struct bench b = {.tasks = tasks};
    begin(&b);
    declare(&b, tasks / TASKS_A_NODE, add_node);
    declare(&b, tasks / REPLICAS, add_service);
    double cpu = cpu_s();
    int64_t begun_ns = clock_mono_ns();
    double placed_s = (double)(plan(&b) - begun_ns) / 1e9,
           settled_s = (double)(clock_mono_ns() - begun_ns) / 1e9;
    cpu = cpu_s() - cpu;
    printf("{\"bench\":\"planner\",\"name\":\"place_%zu_on_%zu\",\"value\":%.2f,\"unit\":\"s\",\"goal\":%.1f,"
           "\"settled_s\":%.2f,\"cpu_s\":%.2f,\"cpu_us_per_task\":%.1f,\"passes\":%llu,\"revisions\":%lld,"
           "\"resident_mib\":%ld,"
           "\"resident_highest_mib\":%ld}\n",
           tasks, tasks / TASKS_A_NODE, placed_s, goal_s, settled_s, cpu, cpu * 1e6 / (double)tasks,
           (unsigned long long)b.planner.passes, (long long)store_revision(b.store), resident_mib("VmRSS"),
           resident_mib("VmHWM"));
    ASSERT(count_assigned(&b) == tasks);
    end(&b);
}

static void measure_apart(size_t tasks, double goal_s) {
    fflush(stdout);
    pid_t child = fork();
    ASSERT(child >= 0);
    if (child == 0) {
        measure(tasks, goal_s);
        exit(0);
    }
    int status;
    ASSERT(waitpid(child, &status, 0) == child && status == 0);
}

int main(void) {
    const char *text = getenv("TASKS");
    int64_t tasks;
    log_configure(&(struct log_options){.level = LOG_WARN, .fd = 2});
    if (text != NULL && str_to_int(text, &tasks) && tasks >= REPLICAS) {
        measure((size_t)tasks, 0);
        return 0;
    }
    measure_apart(10000, 1);
    measure_apart(100000, 5);
    measure_apart(1000000, 90);
    return 0;
}
