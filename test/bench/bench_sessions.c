// SPDX-License-Identifier: Apache-2.0
//
// test/bench/bench_sessions.c — 5,000 agents on one leader: what a session costs when it opens, beats, and is
// told of a change.
//
// The registry alone, without links: encoded messages in, encoded messages out. One JSON line a figure; CPU
// time, not wall clock.
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <sys/resource.h>

#include "base/assert.h"
#include "base/fs.h"
#include "base/str.h"
#include "reconciler/dispatch/sessions.h"
#include "specs/cluster.h"
#include "specs/node.h"
#include "test/lib/store_fixture.h"
#include "transport/messages.h"

#define AGENTS 5000
#define TASKS_PER_AGENT 2
#define BATCH 500
#define BEATS 100 // of each agent
#define HEARTBEAT_S 5.0

struct bench {
    struct store_fixture store;
    struct sessions *sessions;
    struct prng prng;
    struct id nodes[AGENTS], ids[AGENTS];
    size_t messages, bytes;
};

static double cpu_us(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

// Pages of the store's file are the system's, not ours.
static double resident_kib(struct bench *b) {
    AUTO_BUF statm = {0};
    unsigned long total, resident;
    store_trim(b->store.store);
    malloc_trim(0);
    int rc = fs_read(AT_FDCWD, "/proc/self/statm", 1000, &statm, NULL);
    ASSERT(rc == 0 && sscanf(buf_text(&statm), "%lu %lu", &total, &resident) == 2);
    return (double)resident * 4;
}

static void print(const char *figure, double value, const char *unit) {
    printf("{\"bench\":\"sessions\",\"figure\":\"%s\",\"value\":%.2f,\"unit\":\"%s\"}\n", figure, value,
           unit);
}

static bool on_send(void *context, uint64_t link, uint16_t number, struct bytes body) {
    struct bench *b = context;
    b->messages++;
    b->bytes += body.len;
    if (number == MESSAGE_SESSION_REGISTERED) {
        AUTO_ARENA arena = {0};
        struct session_registered registered;
        int rc = wire_decode(&session_registered_schema, body, &registered, &arena, NULL);
        ASSERT(rc == 0);
        b->ids[link] = registered.session_id;
    }
    return true;
}

static void on_close(void *context, uint64_t link) {
    (void)context;
    (void)link;
    ASSERT(false); // nobody is to be sent away
}

// --- the store ---

static void add(struct bench *b, enum change_op op, enum object_kind kind, const void *object) {
    AUTO_BUF bytes = {0};
    wire_encode(object_schema(kind), object, &bytes);
    void *copy = arena_copy(&b->store.arena, bytes.data, bytes.len);
    store_add(&b->store, op, (struct store_object){kind, object_meta_const(object)->id, {copy, bytes.len}},
              0);
    if (b->store.transaction.changes.count == BATCH) {
        ASSERT(store_send(&b->store).code == 0);
    }
}

static void send_rest(struct bench *b) {
    if (b->store.transaction.changes.count > 0) {
        ASSERT(store_send(&b->store).code == 0);
    }
    arena_free(&b->store.arena);
    b->store.results.count = 0;
    b->store.results.items = NULL;
}

static struct task new_task(const struct bench *b, unsigned number) {
    struct task task;
    schema_init(&task_schema, &task);
    task.meta.id = store_id(100000 + number);
    task.service_id = store_id(10);
    task.node_id = b->nodes[number % AGENTS];
    task.slot = number + 1;
    task.revision = 1;
    task.desired = TASK_RUNNING;
    task.status.state = TASK_RUNNING;
    return task;
}

static void fill(struct bench *b) {
    struct cluster cluster;
    struct service service;
    schema_init(&cluster_schema, &cluster);
    cluster.meta.id = store_id(5);
    cluster.meta.name = "default";
    add(b, CHANGE_CREATE, KIND_CLUSTER, &cluster);
    schema_init(&service_schema, &service);
    service.meta.id = store_id(10);
    service.meta.name = service.spec.name = "web";
    service.spec.image = "registry.example/web:1";
    service.revision = 1;
    add(b, CHANGE_CREATE, KIND_SERVICE, &service);
    for (unsigned i = 0; i < AGENTS; i++) {
        struct node node;
        schema_init(&node_schema, &node);
        b->nodes[i] = node.meta.id = store_id(1000 + i);
        node.meta.name = node.spec.name = arena_printf(&b->store.arena, "n%u", i);
        add(b, CHANGE_CREATE, KIND_NODE, &node);
    }
    for (unsigned i = 0; i < AGENTS * TASKS_PER_AGENT; i++) {
        struct task task = new_task(b, i);
        add(b, CHANGE_CREATE, KIND_TASK, &task);
    }
    send_rest(b);
}

// --- what is measured ---

static void take(struct bench *b, unsigned agent, uint16_t number, const void *payload, struct buf *body) {
    buf_clear(body);
    wire_encode(message_row(number)->payload, payload, body);
    sessions_take(b->sessions, agent, &b->nodes[agent], number, buf_bytes(body));
}

static void step(struct bench *b) {
    do {
        struct store_read *read = store_begin_read(&b->store);
        int rc = sessions_step(b->sessions, read, NULL);
        ASSERT(rc == 0);
        store_read_end(read);
    } while (sessions_has_work(b->sessions));
}

// What they say of themselves goes the way of all news.
static void store_news(struct bench *b) {
    while (sessions_has_news(b->sessions)) {
        AUTO_ARENA arena = {0};
        struct transaction transaction;
        struct store_read *read = store_begin_read(&b->store);
        schema_init(&transaction_schema, &transaction);
        int rc = sessions_compose(b->sessions, read, &arena, &transaction, NULL);
        ASSERT(rc == 0 && transaction.changes.count == 0);
        store_read_end(read);
    }
}

static void open_all(struct bench *b) {
    AUTO_BUF body = {0};
    double kib = resident_kib(b), us = cpu_us();
    for (unsigned i = 0; i < AGENTS; i++) {
        struct session_register asked;
        schema_init(&session_register_schema, &asked);
        asked.version_min = PROTOCOL_VERSION_MIN;
        asked.version_max = PROTOCOL_VERSION;
        asked.cluster_id = store_id(5);
        asked.node_id = b->nodes[i];
        take(b, i, MESSAGE_SESSION_REGISTER, &asked, &body);
    }
    store_news(b);
    step(b);
    print("open a session, with a complete set of 2 tasks", (cpu_us() - us) / AGENTS, "us");
    ASSERT(sessions_count(b->sessions) == AGENTS && b->messages >= 2 * AGENTS);
    print("resident memory of a session", (resident_kib(b) - kib) / AGENTS, "KiB");
}

static void beat_all(struct bench *b) {
    AUTO_BUF body = {0};
    size_t before = b->messages;
    double us = cpu_us();
    for (unsigned beat = 1; beat <= BEATS; beat++) {
        for (unsigned i = 0; i < AGENTS; i++) {
            struct session_heartbeat heartbeat;
            schema_init(&session_heartbeat_schema, &heartbeat);
            heartbeat.session_id = b->ids[i];
            take(b, i, MESSAGE_SESSION_HEARTBEAT, &heartbeat, &body);
        }
        sessions_tick(b->sessions, beat * 1000);
    }
    us = (cpu_us() - us) / (BEATS * AGENTS);
    ASSERT(b->messages - before == BEATS * AGENTS);
    print("heartbeat", us, "us");
    print("share of a core for 5000 sessions at 5 s", us * AGENTS / HEARTBEAT_S / 1e6 * 100, "%");
}

static void change_some(struct bench *b) {
    size_t before = b->messages;
    for (unsigned i = 0; i < AGENTS; i++) {
        struct task task = new_task(b, i);
        task.desired = TASK_SHUTDOWN;
        add(b, CHANGE_UPDATE, KIND_TASK, &task);
    }
    send_rest(b);
    double us = cpu_us();
    step(b);
    print("route and tell a change of a task", (cpu_us() - us) / AGENTS, "us");
    ASSERT(b->messages - before >= AGENTS);
}

int main(void) {
    static struct bench bench;
    store_fixture_begin(&bench.store, NULL);
    prng_seed(&bench.prng, 1);
    bench.sessions = sessions_new(&(struct sessions_options){
        .cluster_id = store_id(5), .prng = &bench.prng, .callbacks = {on_send, on_close, &bench}});
    sessions_lead(bench.sessions);
    sessions_tick(bench.sessions, 0);
    fill(&bench);
    open_all(&bench);
    beat_all(&bench);
    change_some(&bench);
    sessions_free(bench.sessions);
    store_fixture_end(&bench.store);
    return 0;
}
