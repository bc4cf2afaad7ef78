// SPDX-License-Identifier: Apache-2.0
//
// test/bench/bench_peers.c — what messages between two managers cost, on two threads over loopback: one way,
// there and back, and the coding of a full batch of entries.
//
// One JSON line a figure. Rates are wall clock, cost is CPU of both ends and of nng's threads.
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "transport/peers.h"

#define ENTRIES 256
#define ENTRY_BYTES 300

struct side {
    struct peers *peers;
    struct prng prng;
    uint64_t raft_id, count;
    bool is_up;
};
static atomic_bool is_over;

static double cpu_us(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void on_packet(void *context, uint64_t from, uint16_t number, struct bytes body, uint64_t via) {
    struct side *side = context;
    (void)via;
    side->count++;
    if (body.data[0] == 1) { // wants an answer, which wants none
        AUTO_FREE uint8_t *answer = xcalloc(1, body.len);
        (void)peers_send(side->peers, from, number, (struct bytes){answer, body.len}, /*is_bulk=*/false);
    }
}

static void on_up(void *context, uint64_t raft_id) {
    struct side *side = context;
    (void)raft_id;
    side->is_up = true;
}

static void on_down(void *context, uint64_t raft_id) {
    (void)context;
    (void)raft_id;
}

static void on_refused(void *context, uint64_t raft_id, const struct error *err) {
    (void)context;
    (void)raft_id;
    (void)err;
}

static bool is_member(void *context, uint64_t raft_id) {
    (void)context;
    (void)raft_id;
    return true;
}

static void side_open(struct side *side, uint64_t raft_id) {
    *side = (struct side){.raft_id = raft_id};
    prng_seed(&side->prng, raft_id);
    struct peers_callbacks callbacks = {.on_packet = on_packet,
                                        .on_up = on_up,
                                        .on_down = on_down,
                                        .on_refused = on_refused,
                                        .is_member = is_member,
                                        .context = side};
    int rc = peers_open(&(struct peers_options){"127.0.0.1:0", &side->prng, callbacks}, &side->peers, NULL);
    ASSERT(rc == 0);
    peers_set_self(side->peers, &(struct peers_self){.raft_id = raft_id, .address = ""});
}

static void side_knows(struct side *side, const struct side *other) {
    char address[32];
    snprintf(address, sizeof address, "127.0.0.1:%d", peers_port(other->peers));
    int rc = peers_set_members(side->peers, &(struct peers_member){other->raft_id, address}, 1, NULL);
    ASSERT(rc == 0);
}

static void side_turn(struct side *side) {
    struct pollfd fd = {.fd = peers_fd(side->peers), .events = POLLIN};
    (void)poll(&fd, 1, 5);
    peers_take(side->peers, 1000);
    peers_tick(side->peers, clock_mono_ms());
}

static void *side_run(void *context) {
    while (!atomic_load(&is_over)) {
        side_turn(context);
    }
    return NULL;
}

static void report(const char *figure, size_t bytes, uint64_t messages, double us, double cpu) {
    printf("{\"bench\":\"peers\",\"figure\":\"%s\",\"bytes\":%zu,\"per_second\":%.0f,\"us\":%.2f,"
           "\"cpu_us\":%.2f}\n",
           figure, bytes, (double)messages / us * 1e6, us / (double)messages, cpu / (double)messages);
}

// Sends until the queue is full, rests until it has emptied a little. The last message is answered.
static void measure_one_way(struct side *near, struct side *far, size_t bytes, uint64_t messages) {
    AUTO_FREE uint8_t *body = xcalloc(1, bytes);
    double cpu = cpu_us();
    uint64_t before = near->count;
    int64_t begin_ns = clock_mono_ns();
    for (uint64_t sent = 0; sent < messages;) {
        body[0] = sent + 1 == messages;
        if (peers_send(near->peers, far->raft_id, MESSAGE_RAFT, (struct bytes){body, bytes}, false)) {
            sent++;
        } else {
            side_turn(near);
        }
    }
    while (near->count == before) {
        side_turn(near);
    }
    report("one_way", bytes, messages, (double)(clock_mono_ns() - begin_ns) / 1e3, cpu_us() - cpu);
}

static void measure_there_and_back(struct side *near, struct side *far, size_t bytes, uint64_t messages) {
    AUTO_FREE uint8_t *body = xcalloc(1, bytes);
    body[0] = 1;
    double cpu = cpu_us();
    int64_t begin_ns = clock_mono_ns();
    for (uint64_t i = 0; i < messages; i++) {
        uint64_t before = near->count;
        bool is_sent =
            peers_send(near->peers, far->raft_id, MESSAGE_RAFT, (struct bytes){body, bytes}, false);
        ASSERT(is_sent);
        while (near->count == before) {
            side_turn(near);
        }
    }
    report("there_and_back", bytes, messages, (double)(clock_mono_ns() - begin_ns) / 1e3, cpu_us() - cpu);
}

// What a leader sends to a follower that catches up.
static void measure_coding(void) {
    enum { ROUNDS = 2000 };
    static uint8_t payload[ENTRY_BYTES];
    static struct raft_packet_entry entries[ENTRIES];
    struct raft_packet packet = {.term = 7, .entries = {ENTRIES, entries}}, read;
    AUTO_ARENA arena = arena_make(0);
    AUTO_BUF bytes = {0};
    for (size_t i = 0; i < ENTRIES; i++) {
        entries[i] = (struct raft_packet_entry){7, 1, {payload, sizeof payload}};
    }
    double cpu = cpu_us();
    for (int i = 0; i < ROUNDS; i++) {
        buf_clear(&bytes);
        raft_packet_encode(&packet, &bytes);
    }
    double encoded = cpu_us();
    for (int i = 0; i < ROUNDS; i++) {
        arena_clear(&arena);
        int rc = raft_packet_decode(buf_bytes(&bytes), &read, &arena, NULL);
        ASSERT(rc == 0);
    }
    report("encode_entry", ENTRY_BYTES, (uint64_t)ROUNDS * ENTRIES, encoded - cpu, encoded - cpu);
    report("decode_entry", ENTRY_BYTES, (uint64_t)ROUNDS * ENTRIES, cpu_us() - encoded, cpu_us() - encoded);
}

int main(void) {
    struct side near, far;
    pthread_t thread;
    measure_coding();
    side_open(&near, 1);
    side_open(&far, 2);
    side_knows(&near, &far);
    side_knows(&far, &near);
    while (!near.is_up || !far.is_up) {
        side_turn(&near);
        side_turn(&far);
    }
    pthread_create(&thread, NULL, side_run, &far);
    measure_one_way(&near, &far, 300, 300000);
    measure_one_way(&near, &far, 64 * KIB, 20000);
    measure_there_and_back(&near, &far, 300, 20000);
    measure_there_and_back(&near, &far, 64 * KIB, 5000);
    atomic_store(&is_over, true);
    pthread_join(thread, NULL);
    peers_close(near.peers);
    peers_close(far.peers);
    return 0;
}
