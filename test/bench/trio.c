// SPDX-License-Identifier: Apache-2.0
//
// test/bench/trio.c — three members of a group as three processes on loopback; the words the parent sends
// them over a socket, and their answers.
//
// Each process is a store, a replica and its links, in the order of the daemon's turn, and nothing else. Load
// is proposed inside whichever leads: each proposal creates, later updates, one of LOAD_KEYS objects of about
// LOAD_VALUE_BYTES.
#include "test/bench/contender.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/prng.h"
#include "base/str.h"
#include "reconciler/store/log.h"
#include "reconciler/store/replica.h"
#include "test/lib/store_fixture.h"
#include "transport/peers.h"

#define OBJECTS LOAD_KEYS
#define PAYLOAD_BYTES 206
#define SAMPLES_MAX 2000000
#define FRAMES_MAX 512

enum word { WORD_LOAD, WORD_PING, WORD_HAND_OVER, WORD_QUIT };
struct order {
    enum word word;
    unsigned in_flight;
    double warm_seconds, seconds;
};

struct trio {
    char dir[256];
    int ports[MEMBERS];
    pid_t pids[MEMBERS];
    int sockets[MEMBERS]; // to each member
    bool is_made;
};

// --- a member ---

struct member_process {
    unsigned number;
    int socket;
    const int *ports;
    struct store *store;
    struct replica *replica;
    struct peers *peers;
    struct prng prng;
    bool has_news;
    struct arena arena;
    struct bytes objects[OBJECTS];
    bool is_created[OBJECTS];
    // the order under way
    struct order order;
    bool is_loading;
    unsigned open, next_object;
    uint64_t next_token;
    int64_t begun_ns, measure_ns, end_ns;
    int64_t sent_ns[65536];
    uint32_t *samples;
    size_t sample_count;
};

static void on_send(void *context, const struct replica_packet *packet) {
    struct member_process *me = context;
    (void)peers_send(me->peers, packet->to, packet->number, packet->body, packet->is_bulk);
}

static void on_members(void *context, const struct membership *membership) {
    (void)membership;
    ((struct member_process *)context)->has_news = true;
}

static void on_packet(void *context, uint64_t from, uint16_t number, struct bytes body, uint64_t via) {
    (void)via;
    struct member_process *me = context;
    if (replica_receive(me->replica, from, number, body, NULL) < 0) {
        _exit(2);
    }
}

static void nothing_up(void *context, uint64_t raft_id) {
    (void)context;
    (void)raft_id;
}
static void on_down(void *context, uint64_t raft_id) {
    replica_link_lost(((struct member_process *)context)->replica, raft_id);
}
static void nothing_refused(void *context, uint64_t raft_id, const struct error *err) {
    (void)context;
    (void)raft_id;
    (void)err;
}
static void nothing_answered(void *context, uint64_t ask, const struct error *err, uint16_t number,
                             struct bytes body) {
    (void)context;
    (void)ask;
    (void)err;
    (void)number;
    (void)body;
}
static bool anybody(void *context, uint64_t raft_id) {
    (void)context;
    (void)raft_id;
    return true;
}

static int64_t resident_bytes(void) {
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL || fscanf(file, "%*d %ld", &pages) != 1) {
        pages = 0;
    }
    if (file != NULL) {
        fclose(file);
    }
    return pages * sysconf(_SC_PAGESIZE);
}

static int by_number(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void finish_load(struct member_process *me) {
    me->is_loading = false;
    store_trim(me->store); // as the daemon does every ten seconds
    qsort(me->samples, me->sample_count, sizeof *me->samples, by_number);
    struct load_figures figures = {
        .puts_per_s = (double)me->sample_count * 1e9 / (double)(me->end_ns - me->measure_ns),
        .median_ms = me->sample_count > 0 ? me->samples[me->sample_count / 2] / 1e6 : 0,
        .p99_ms = me->sample_count > 0 ? me->samples[me->sample_count * 99 / 100] / 1e6 : 0,
        .resident_mib = (double)resident_bytes() / MIB,
    };
    (void)!write(me->socket, &figures, sizeof figures);
}

static void propose_one(struct member_process *me) {
    unsigned number = me->next_object++ % OBJECTS;
    unsigned at = number * 7919U % OBJECTS;
    struct change change = {.op = me->is_created[at] ? CHANGE_UPDATE : CHANGE_CREATE,
                            .kind = KIND_CONFIG,
                            .id = store_id(at + 1),
                            .object = me->objects[at]};
    struct transaction transaction = {.request_id = "",
                                      .who = "bench",
                                      .why = "",
                                      .time_unix_ms = 1700000000000,
                                      .only_here = true,
                                      .changes = {1, &change}};
    struct proposer *proposer = replica_proposer(me->replica);
    uint64_t token = ++me->next_token;
    if (proposer->ops->submit(proposer, &transaction, token, NULL) == 0) {
        me->is_created[at] = true;
        me->sent_ns[token % 65536] = clock_mono_ns();
        me->open++;
    }
}

static void on_result(void *context, const struct proposal_result *result) {
    struct member_process *me = context;
    int64_t now_ns = clock_mono_ns();
    me->open--;
    if (!me->is_loading) {
        return;
    }
    if (me->order.word == WORD_PING) {
        if (result->code == 0 || result->code == -ERR_EXISTS) {
            me->is_loading = false;
            struct load_figures figures = {.puts_per_s = 1};
            (void)!write(me->socket, &figures, sizeof figures);
        }
        return;
    }
    if (result->code == 0 && now_ns >= me->measure_ns && me->sample_count < SAMPLES_MAX) {
        me->samples[me->sample_count++] = (uint32_t)(now_ns - me->sent_ns[result->token % 65536]);
    }
    if (now_ns >= me->end_ns) {
        finish_load(me);
    }
}

static void take_order(struct member_process *me) {
    struct order order;
    ssize_t got = recv(me->socket, &order, sizeof order, MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN)) {
        _exit(0); // the parent is gone
    }
    if (got != sizeof order) {
        return;
    }
    if (order.word == WORD_QUIT) {
        _exit(0);
    }
    if (order.word == WORD_HAND_OVER) {
        (void)replica_transfer(me->replica, 0, NULL);
        return;
    }
    me->order = order;
    me->is_loading = true;
    me->sample_count = 0;
    me->begun_ns = clock_mono_ns();
    me->measure_ns = me->begun_ns + (int64_t)(order.warm_seconds * 1e9);
    me->end_ns = me->measure_ns + (int64_t)(order.seconds * 1e9);
}

static void load(struct member_process *me) {
    const struct proposer *proposer = replica_proposer(me->replica);
    if (!me->is_loading || !proposer->ops->is_leader(proposer)) {
        return;
    }
    unsigned wanted = me->order.word == WORD_PING ? 1 : me->order.in_flight;
    while (me->is_loading && me->open < wanted) {
        unsigned before = me->open;
        propose_one(me);
        if (me->open == before) {
            break;
        }
    }
}

static void follow(struct member_process *me) {
    const struct membership *membership = replica_membership(me->replica);
    struct peers_member members[PEERS_MEMBERS_MAX];
    for (size_t i = 0; i < membership->members.count; i++) {
        members[i] = (struct peers_member){(uint64_t)membership->members.items[i].raft_id,
                                           membership->members.items[i].address};
    }
    (void)peers_set_members(me->peers, members, membership->members.count, NULL);
}

static void sleep_until_news(struct member_process *me, int64_t now_ms) {
    struct proposer *proposer = replica_proposer(me->replica);
    int64_t wait_ms = replica_wake_mono_ms(me->replica) - now_ms;
    struct pollfd fds[] = {{peers_fd(me->peers), POLLIN, 0}, {me->socket, POLLIN, 0}};
    wait_ms = wait_ms < 0 || proposer->ops->has_work(proposer) ? 0 : wait_ms;
    (void)poll(fds, 2, (int)wait_ms);
}

static void turn(struct member_process *me) {
    int64_t now_ms = clock_mono_ms();
    struct proposer *proposer = replica_proposer(me->replica);
    replica_advance(me->replica, now_ms);
    peers_take(me->peers, FRAMES_MAX);
    peers_tick(me->peers, now_ms);
    if (TAKE(me->has_news)) {
        follow(me);
    }
    take_order(me);
    load(me);
    if (proposer->ops->turn(proposer, NULL) < 0) {
        _exit(2);
    }
    load(me); // what its results made room for; has_work then
    sleep_until_news(me, now_ms);
}

static uint64_t raft_id_of(unsigned number) {
    return 1000 + number;
}

// All three know each other from the first day: what an operator's join would make of them.
static void make_group(struct member_process *me) {
    struct member members[MEMBERS];
    char addresses[MEMBERS][32];
    struct membership membership = {.members = {MEMBERS, members}};
    for (unsigned i = 0; i < MEMBERS; i++) {
        snprintf(addresses[i], sizeof addresses[i], "127.0.0.1:%d", me->ports[i]);
        members[i] = (struct member){.raft_id = (int64_t)raft_id_of(i),
                                     .node_id = store_id(i + 1),
                                     .address = addresses[i],
                                     .is_voter = true,
                                     .wants_vote = true};
    }
    if (store_local(me->store)->raft_id == 0 &&
        store_join_group(me->store, raft_id_of(me->number), &membership, NULL) < 0) {
        _exit(3);
    }
}

static void make_objects(struct member_process *me) {
    struct store_fixture maker = {0};
    for (unsigned i = 0; i < OBJECTS; i++) {
        struct bytes bytes = store_config(&maker, i + 1, "", PAYLOAD_BYTES).bytes;
        me->objects[i] = (struct bytes){arena_copy(&me->arena, bytes.data, bytes.len), bytes.len};
        arena_clear(&maker.arena);
        struct id id = store_id(i + 1);
        struct store_read *read;
        if (store_read_begin(me->store, &read, NULL) == 0) {
            me->is_created[i] = store_get(read, KIND_CONFIG, &id, &bytes, NULL) == 0;
            store_read_end(read);
        }
    }
    arena_free(&maker.arena);
}

_Noreturn static void run_member(const struct trio *trio, unsigned number, int socket) {
    struct member_process *me = NEW(struct member_process);
    char dir[300], address[32];
    me->number = number;
    me->socket = socket;
    me->ports = trio->ports;
    me->samples = xcalloc(SAMPLES_MAX, sizeof *me->samples);
    snprintf(dir, sizeof dir, "%s/%u", trio->dir, number);
    snprintf(address, sizeof address, "127.0.0.1:%d", trio->ports[number]);
    prng_seed(&me->prng, (uint64_t)clock_unix_ns());
    struct error err = {0};
    int rc = store_open(&(struct store_options){.dir = dir}, &me->store, &err);
    if (rc == 0) {
        make_group(me);
    }
    const struct replica_options options = {
        .store = me->store,
        .node_id = store_id(number + 1),
        .callbacks = {.on_result = on_result, .send = on_send, .on_members = on_members, .context = me},
        .seed = prng_next(&me->prng),
        .now_mono_ms = clock_mono_ms(),
    };
    const struct peers_options links = {.listen = address,
                                        .prng = &me->prng,
                                        .callbacks = {.on_packet = on_packet,
                                                      .on_up = nothing_up,
                                                      .on_down = on_down,
                                                      .on_refused = nothing_refused,
                                                      .on_answer = nothing_answered,
                                                      .is_member = anybody,
                                                      .context = me}};
    rc = rc < 0 ? rc : peers_open(&links, &me->peers, &err);
    rc = rc < 0 ? rc : replica_open(&options, &me->replica, &err);
    if (rc < 0) {
        char text[512];
        fprintf(stderr, "%s\n", error_text(&err, text, sizeof text));
        _exit(3);
    }
    make_objects(me);
    peers_set_self(
        me->peers,
        &(struct peers_self){.cluster_id = store_id(99), .raft_id = raft_id_of(number), .address = address});
    for (;;) {
        turn(me);
    }
}

// --- the parent ---

static void start_member(struct trio *trio, unsigned number) {
    int ends[2];
    int rc = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends);
    ASSERT(rc == 0);
    fflush(NULL);
    pid_t pid = fork();
    ASSERT(pid >= 0);
    if (pid == 0) {
        close(ends[0]);
        run_member(trio, number, ends[1]);
    }
    close(ends[1]);
    trio->pids[number] = pid;
    trio->sockets[number] = ends[0];
}

static void kill_member(struct trio *trio, unsigned number) {
    kill(trio->pids[number], SIGKILL);
    waitpid(trio->pids[number], NULL, 0);
    close(trio->sockets[number]);
    trio->pids[number] = 0;
}

// All are told; who leads answers. Returns its number.
static unsigned order_all(struct trio *trio, const struct order *order, struct load_figures *out) {
    struct pollfd fds[MEMBERS];
    for (unsigned i = 0; i < MEMBERS; i++) {
        fds[i] = (struct pollfd){.fd = trio->pids[i] != 0 ? trio->sockets[i] : -1, .events = POLLIN};
        if (trio->pids[i] != 0) {
            (void)!write(trio->sockets[i], order, sizeof *order);
        }
    }
    for (;;) {
        int ready = poll(fds, MEMBERS, 60000);
        ASSERT(ready > 0);
        for (unsigned i = 0; i < MEMBERS; i++) {
            if ((fds[i].revents & POLLIN) != 0 && read(trio->sockets[i], out, sizeof *out) == sizeof *out) {
                return i;
            }
        }
    }
}

static unsigned ping(struct trio *trio) {
    struct load_figures figures;
    return order_all(trio, &(struct order){.word = WORD_PING}, &figures);
}

static int free_port(void) {
    struct sockaddr_storage storage = {0};
    struct sockaddr *address = (struct sockaddr *)&storage;
    socklen_t len = sizeof storage;
    uint8_t loopback[16] = {AF_INET & 0xFF, AF_INET >> 8, 0, 0, 127, 0, 0, 1};
    memcpy(&storage, loopback, sizeof loopback);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int rc = bind(fd, address, 16);
    ASSERT(rc == 0);
    rc = getsockname(fd, address, &len);
    ASSERT(rc == 0);
    close(fd);
    const uint8_t *bytes = (const uint8_t *)&storage;
    return bytes[2] << 8 | bytes[3];
}

static void stop(void *self) {
    struct trio *trio = self;
    for (unsigned i = 0; trio != NULL && i < MEMBERS; i++) {
        kill_member(trio, i);
    }
    xfree(trio);
}

static int start(const char *dir, void **out, struct error *err) {
    struct trio *trio = NEW(struct trio);
    (void)err;
    str_copy(trio->dir, sizeof trio->dir, dir);
    for (unsigned i = 0; i < MEMBERS; i++) {
        trio->ports[i] = free_port();
    }
    for (unsigned i = 0; i < MEMBERS; i++) {
        start_member(trio, i);
    }
    ping(trio);
    *out = trio;
    return 0;
}

static int run(void *self, const struct load *load, struct load_figures *out, struct error *err) {
    (void)err;
    order_all(self,
              &(struct order){WORD_LOAD, (unsigned)load->in_flight, (double)load->warm_up_ms / 1e3,
                              (double)load->measured_ms / 1e3},
              out);
    return 0;
}

// The one that was killed last is back, caught up and linked, before the next is killed.
#define REST_MS 1500

static int fail_over(void *self, double *out_ms, struct error *err) {
    struct trio *trio = self;
    (void)err;
    (void)poll(NULL, 0, REST_MS);
    unsigned leader = ping(trio);
    int64_t start_ns = clock_mono_ns();
    kill_member(trio, leader);
    ping(trio);
    *out_ms = (double)(clock_mono_ns() - start_ns) / 1e6;
    start_member(trio, leader);
    return 0;
}

static int hand_over(void *self, double *out_ms, struct error *err) {
    struct trio *trio = self;
    (void)err;
    unsigned leader = ping(trio);
    int64_t start_ns = clock_mono_ns();
    (void)!write(trio->sockets[leader], &(struct order){.word = WORD_HAND_OVER}, sizeof(struct order));
    while (ping(trio) == leader) {
        // not yet
    }
    *out_ms = (double)(clock_mono_ns() - start_ns) / 1e6;
    return 0;
}

const struct contender replica_contender = {"replica", start, run, fail_over, hand_over, stop};
