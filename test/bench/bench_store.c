// SPDX-License-Identifier: Apache-2.0
//
// test/bench/bench_store.c — what an entry costs a member: put into the log, applied, committed; and how
// fast a snapshot goes out and in.
//
// One JSON line a figure. An entry is a transaction that updates one of 20,000 objects of 256 bytes. The
// parts of a turn are medians, cpu_us is of the whole process. STORE_BYTES=n for what is
// added to the store before its snapshot is taken, 20 MB else; heap_kib is of both ends.
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/str.h"
#include "reconciler/store/snapshot.h"
#include "reconciler/store/turn.h"
#include "specs/resource.h"
#include "test/lib/store_fixture.h"

#define OBJECTS 20000
#define PAYLOAD_BYTES 206 // makes an object of 256 bytes in the store
#define WAITING 16384
#define LOG_TAIL 5000
#define TURNS_MAX 2000

struct bench {
    struct store_fixture f;
    struct log_entry entries[OBJECTS];
    struct arena arena;
    size_t turns;
    int64_t put_ns[TURNS_MAX], apply_ns[TURNS_MAX], commit_ns[TURNS_MAX]; // of each turn
};

static void encode(struct bench *bench, unsigned number, enum change_op op, const char *request_id) {
    AUTO_BUF wire = {0};
    struct store_object object = store_config(&bench->f, number + 1, "", PAYLOAD_BYTES);
    struct change change = {.op = op, .kind = object.kind, .id = object.id, .object = object.bytes};
    struct transaction transaction = {.request_id = request_id,
                                      .who = "manager:1",
                                      .why = "status of a task",
                                      .time_unix_ms = 1700000000000,
                                      .changes = {1, &change}};
    wire_encode(&transaction_schema, &transaction, &wire);
    bench->entries[number] =
        (struct log_entry){0, RAFT_ENTRY_DATA, {arena_copy(&bench->arena, wire.data, wire.len), wire.len}};
}

static void encode_all(struct bench *bench, enum change_op op, bool has_request) {
    arena_clear(&bench->arena);
    arena_clear(&bench->f.arena);
    for (unsigned i = 0; i < OBJECTS; i++) {
        char request[40] = "";
        if (has_request) {
            snprintf(request, sizeof request, "0123456789abcdefghi%06u", i);
        }
        encode(bench, i, op, request);
    }
}

static void one_turn(struct bench *bench, unsigned first, unsigned count) {
    struct turn turn;
    struct outcome outcome;
    int rc = turn_begin(bench->f.store, &turn, NULL);
    int64_t start = clock_mono_ns();
    for (unsigned i = 0; rc == 0 && i < count; i++) {
        const struct log_entry *entry = &bench->entries[(first + i) * 7919U % OBJECTS];
        rc = turn_put_entry(&turn, turn.local.last_index + 1, entry, NULL);
    }
    int64_t put = clock_mono_ns();
    for (unsigned i = 0; rc == 0 && i < count; i++) {
        rc = turn_apply(&turn, &bench->entries[(first + i) * 7919U % OBJECTS], &outcome, NULL);
        ASSERT(outcome.code == 0);
    }
    int64_t applied = clock_mono_ns();
    if (rc == 0 && turn.local.last_index > LOG_TAIL) {
        rc = turn_compact(&turn, turn.local.last_index - LOG_TAIL, 2 * count, NULL);
    }
    ASSERT(rc == 0);
    rc = turn_commit(&turn, NULL);
    ASSERT(rc == 0);
    ASSERT(bench->turns < TURNS_MAX);
    bench->put_ns[bench->turns] = put - start;
    bench->apply_ns[bench->turns] = applied - put;
    bench->commit_ns[bench->turns] = clock_mono_ns() - applied;
    bench->turns++;
}

// As a member of several: each batch is synced, its effects wait for a commit of many.
static void waiting_turns(struct bench *bench, unsigned entries, unsigned batch) {
    struct turn turn;
    struct outcome outcome;
    int rc = turn_begin(bench->f.store, &turn, NULL);
    for (unsigned done = 0; rc == 0 && done < entries; done++) {
        const struct log_entry *entry = &bench->entries[done * 7919U % OBJECTS];
        rc = turn_put_entry(&turn, turn.local.last_index + 1, entry, NULL);
        rc = rc < 0 ? rc : turn_apply(&turn, entry, &outcome, NULL);
        if (rc == 0 && done % WAITING == WAITING - 1) {
            rc = turn_compact(&turn, turn.local.last_index - LOG_TAIL, 2 * (size_t)WAITING, NULL);
            rc = rc < 0 ? rc : turn_commit(&turn, NULL);
            rc = rc < 0 ? rc : turn_begin(bench->f.store, &turn, NULL);
        } else if (rc == 0 && done % batch == batch - 1) {
            rc = turn_sync(&turn, NULL);
        }
    }
    ASSERT(rc == 0);
    rc = turn_commit(&turn, NULL);
    ASSERT(rc == 0);
}

static double cpu_us(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static int compare(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

// The median, for an entry: other programs run here too.
static double median_us(int64_t *ns, size_t turns, unsigned batch) {
    qsort(ns, turns, sizeof *ns, compare);
    return (double)ns[turns / 2] / 1e3 / batch;
}

static void run(struct bench *bench, const char *figure, unsigned entries, unsigned batch) {
    double cpu = cpu_us();
    int64_t start = clock_mono_ns();
    bench->turns = 0;
    for (unsigned i = 0; i < entries; i += batch) {
        one_turn(bench, i, batch);
    }
    double all_ns = (double)(clock_mono_ns() - start);
    printf("{\"bench\":\"store\",\"figure\":\"%s, %u a commit\",\"value\":%.0f,\"unit\":\"entries/s\","
           "\"put_us\":%.2f,\"apply_us\":%.2f,\"compact_and_commit_us\":%.2f,\"cpu_us\":%.2f}\n",
           figure, batch, entries * 1e9 / all_ns, median_us(bench->put_ns, bench->turns, batch),
           median_us(bench->apply_ns, bench->turns, batch), median_us(bench->commit_ns, bench->turns, batch),
           (cpu_us() - cpu) / entries);
}

static void run_waiting(struct bench *bench, unsigned entries, unsigned batch) {
    double cpu = cpu_us();
    int64_t start = clock_mono_ns();
    waiting_turns(bench, entries, batch);
    double all_ns = (double)(clock_mono_ns() - start);
    printf("{\"bench\":\"store\",\"figure\":\"update, %u a sync, %d a commit\",\"value\":%.0f,"
           "\"unit\":\"entries/s\",\"cpu_us\":%.2f}\n",
           batch, WAITING, entries * 1e9 / all_ns, (cpu_us() - cpu) / entries);
}

static void bench_entries(struct bench *bench) {
    encode_all(bench, CHANGE_CREATE, false);
    run(bench, "create", OBJECTS, 500);
    encode_all(bench, CHANGE_UPDATE, false);
    run(bench, "update", 100000, 500);
    run(bench, "update", 20000, 100);
    run(bench, "update", 5000, 10);
    run(bench, "update", 1000, 1);
    run_waiting(bench, 100000, 128);
    encode_all(bench, CHANGE_UPDATE, true);
    run(bench, "update with a request id", 20000, 500); // each id once: a second time it would be recalled
}

// --- snapshots ---

static void grow(struct bench *bench, int64_t bytes) {
    struct store_fixture *f = &bench->f;
    for (unsigned i = 0; i * INT64_C(2100) < bytes; i++) {
        struct store_object object = store_config(f, 1000000 + i, "", 2000);
        store_add(f, CHANGE_CREATE, object, 0);
        store_submit(f, i);
        if (i % 200 == 199) {
            store_turn(f);
            arena_clear(&f->arena);
            f->results.count = 0;
            f->results.items = NULL;
        }
    }
}

static size_t heap_kib(void) {
    struct mallinfo2 info = mallinfo2();
    return (info.uordblks + info.hblkhd) / KIB;
}

static void report(const char *figure, int64_t bytes, int64_t ns, size_t extra_kib) {
    printf("{\"bench\":\"store\",\"figure\":\"%s\",\"value\":%.0f,\"unit\":\"MB/s\",\"mb\":%.1f,\"ms\":%.0f,"
           "\"heap_kib\":%zu}\n",
           figure, (double)bytes * 1e3 / (double)ns, (double)bytes / 1e6, (double)ns / 1e6, extra_kib);
}

static void one_snapshot(struct bench *bench, struct store_fixture *to, const char *installed) {
    struct snapshot_out *out = NULL;
    struct snapshot_in *in = NULL;
    struct bytes chunk;
    bool is_last = false;
    int64_t out_ns = 0, in_ns = 0, bytes = 0;
    size_t heap_before_kib = heap_kib(), heap_most_kib = 0;
    int rc = snapshot_out_begin(bench->f.store, &out, NULL);
    rc = rc < 0 ? rc : snapshot_in_begin(to->store, &in, NULL);
    for (uint32_t number = 0; rc == 0 && !is_last; number++) {
        int64_t start = clock_mono_ns();
        rc = snapshot_out_chunk(out, number, &chunk, &is_last, NULL);
        int64_t made = clock_mono_ns();
        rc = rc < 0 ? rc : snapshot_in_add(in, chunk, NULL);
        out_ns += made - start;
        in_ns += clock_mono_ns() - made;
        bytes += (int64_t)chunk.len;
        size_t heap_now_kib = heap_kib() - heap_before_kib;
        heap_most_kib = heap_now_kib > heap_most_kib ? heap_now_kib : heap_most_kib;
    }
    ASSERT(rc == SNAPSHOT_COMPLETE);
    report("snapshot out", bytes, out_ns, heap_most_kib);
    report("snapshot in", bytes, in_ns, heap_most_kib);
    int64_t start = clock_mono_ns();
    rc = snapshot_in_install(in, 0, 0, NULL);
    ASSERT(rc == 0);
    report(installed, bytes, clock_mono_ns() - start, heap_most_kib);
    snapshot_out_end(out);
    snapshot_in_end(in);
    ASSERT(store_digest_now(to) == store_digest_now(&bench->f));
}

static void bench_snapshot(struct bench *bench) {
    struct store_fixture to;
    store_fixture_begin(&to, &(struct store_options){.map_bytes = (size_t)4096 * MIB});
    one_snapshot(bench, &to, "snapshot installed over nothing");
    one_snapshot(bench, &to, "snapshot installed over one of its size");
    store_fixture_end(&to);
}

int main(void) {
    static struct bench bench;
    int64_t bytes = 20 * (int64_t)MIB;
    const char *given = getenv("STORE_BYTES");
    ASSERT(given == NULL || str_to_int(given, &bytes));
    store_fixture_begin(&bench.f, &(struct store_options){.map_bytes = (size_t)4096 * MIB});
    bench_entries(&bench);
    grow(&bench, bytes);
    bench_snapshot(&bench);
    store_fixture_end(&bench.f);
    arena_free(&bench.arena);
    return 0;
}
