// SPDX-License-Identifier: Apache-2.0
//
// test/bench/bench_peers.c — what messages between two managers cost, on two threads over loopback: one way
// and there and back, over plain links and over TLS; the coding of a full batch of entries; and a TLS
// handshake, by itself in memory.
//
// One JSON line a figure; "_tls" figures have their plain rival in the same run. Rates are wall clock, cost
// is CPU of both ends and of nng's threads.
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "test/lib/papers.h"
#include "transport/peers.h"

#define ENTRIES 256
#define ENTRY_BYTES 300

struct side {
    struct peers *peers;
    struct prng prng;
    uint64_t raft_id, count;
    bool is_up, is_tls;
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

static bool is_its_node(void *context, uint64_t raft_id, const struct id *node_id) {
    (void)context;
    (void)raft_id;
    (void)node_id;
    return true;
}

static struct tls *tls_of(const struct papers *papers) {
    struct tls *tls;
    struct id node_id = id_random();
    struct credentials credentials = papers_issue(papers, &node_id, ROLE_MANAGER, clock_unix_ms(), DAY_MS);
    int rc = tls_new(&(struct tls_options){.credentials = &credentials}, &tls, NULL);
    ASSERT(rc == 0);
    credentials_free(&credentials);
    return tls;
}

// `papers` NULL: plain.
static void side_open(struct side *side, uint64_t raft_id, const struct papers *papers) {
    *side = (struct side){.raft_id = raft_id, .is_tls = papers != NULL};
    prng_seed(&side->prng, raft_id);
    struct peers_callbacks callbacks = {.on_packet = on_packet,
                                        .on_up = on_up,
                                        .on_down = on_down,
                                        .on_refused = on_refused,
                                        .is_member = is_member,
                                        .context = side,
                                        .is_its_node = is_its_node};
    struct tls *tls = papers != NULL ? tls_of(papers) : NULL;
    int rc =
        peers_open(&(struct peers_options){"127.0.0.1:0", &side->prng, callbacks, tls}, &side->peers, NULL);
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
    report(near->is_tls ? "one_way_tls" : "one_way", bytes, messages,
           (double)(clock_mono_ns() - begin_ns) / 1e3, cpu_us() - cpu);
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
    report(near->is_tls ? "there_and_back_tls" : "there_and_back", bytes, messages,
           (double)(clock_mono_ns() - begin_ns) / 1e3, cpu_us() - cpu);
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

// --- handshakes ---

// Bytes of one end to the other, which reads them.
static void carry(struct cover *from, struct cover *to, double *cpu) {
    uint8_t plain[1];
    AUTO_BUF given = from->ops->give(from);
    double begin = cpu_us();
    to->ops->lend(to, (const uint8_t *)given.data, given.len);
    ssize_t rc = to->ops->read(to, plain, sizeof plain, NULL);
    ASSERT(rc == 0);
    *cpu += cpu_us() - begin;
}

static void measure_handshake(const struct papers *papers) {
    enum { ROUNDS = 500 };
    struct tls *tls = tls_of(papers);
    double dialer_cpu = 0, acceptor_cpu = 0;
    for (int i = 0; i < ROUNDS; i++) {
        double begin = cpu_us();
        struct cover *acceptor = tls_accept(tls);
        acceptor_cpu += cpu_us() - begin;
        begin = cpu_us();
        struct cover *dialer = tls_dial(tls);
        dialer_cpu += cpu_us() - begin;
        while (!acceptor->ops->is_ready(acceptor)) {
            carry(acceptor, dialer, &dialer_cpu);
            carry(dialer, acceptor, &acceptor_cpu);
        }
        dialer->ops->free(dialer);
        acceptor->ops->free(acceptor);
    }
    tls_free(tls);
    report("handshake_dialer", 0, ROUNDS, dialer_cpu, dialer_cpu);
    report("handshake_acceptor", 0, ROUNDS, acceptor_cpu, acceptor_cpu);
}

static void measure_links(const struct papers *papers) {
    struct side near, far;
    pthread_t thread;
    side_open(&near, 1, papers);
    side_open(&far, 2, papers);
    side_knows(&near, &far);
    side_knows(&far, &near);
    while (!near.is_up || !far.is_up) {
        side_turn(&near);
        side_turn(&far);
    }
    atomic_store(&is_over, false);
    pthread_create(&thread, NULL, side_run, &far);
    measure_one_way(&near, &far, 300, 300000);
    measure_one_way(&near, &far, 64 * KIB, 20000);
    measure_there_and_back(&near, &far, 300, 20000);
    measure_there_and_back(&near, &far, 64 * KIB, 5000);
    atomic_store(&is_over, true);
    pthread_join(thread, NULL);
    peers_close(near.peers);
    peers_close(far.peers);
}

int main(void) {
    struct papers papers = papers_make(clock_unix_ms());
    measure_coding();
    measure_links(NULL);
    measure_links(&papers);
    measure_handshake(&papers);
    papers_free(&papers);
    return 0;
}
