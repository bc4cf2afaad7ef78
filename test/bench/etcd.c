// SPDX-License-Identifier: Apache-2.0
//
// test/bench/etcd.c — the contender: etcd 3.4 of Debian, three members on loopback, as it comes.
//
// Its settings are the defaults (heartbeat 100 ms, election 1 s; a put is on the disks of two before it is
// acknowledged). Puts are KV.Put of its own API, asked of the leader over a few links, as its clients do.
// Source       etcd's api/etcdserverpb/rpc.proto, for the numbers of fields.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/prng.h"
#include "test/bench/contender.h"
#include "test/bench/grpc.h"

#define PROGRAM "etcd"
#define LINKS_MAX 4
#define START_MS 60000
#define CALL_MS 10000
#define PAUSE_MS 10 // between two tries
#define PUT_PATH "/etcdserverpb.KV/Put"
#define STATUS_PATH "/etcdserverpb.Maintenance/Status"

struct member {
    pid_t pid;
    int client_port, peer_port;
};

struct etcd {
    char *dir;
    struct member members[MEMBERS];
    int leader; // index
};

// --- processes ---

// Ports that are free now. All are held until the last one is known, so that they differ.
static int find_ports(int *ports, size_t count, struct error *err) {
    int fds[2 * MEMBERS], rc = 0;
    size_t opened = 0;
    for (; opened < count && rc == 0; opened++) {
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof address;
        fds[opened] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fds[opened] < 0 || bind(fds[opened], (struct sockaddr *)&address, sizeof address) != 0 ||
            getsockname(fds[opened], (struct sockaddr *)&address, &len) != 0) {
            rc = error_sys(err, errno, "find a free port");
        }
        ports[opened] = ntohs(address.sin_port);
    }
    while (opened > 0) {
        close(fds[--opened]);
    }
    return rc;
}

static const char *url(struct arena *arena, int port) {
    return arena_printf(arena, "http://127.0.0.1:%d", port);
}

static int spawn(struct etcd *e, int index, struct error *err) {
    AUTO_ARENA arena = {0};
    struct member *m = &e->members[index];
    const char *client = url(&arena, m->client_port), *peer = url(&arena, m->peer_port);
    const char *cluster =
        arena_printf(&arena, "m0=http://127.0.0.1:%d,m1=http://127.0.0.1:%d,m2=http://127.0.0.1:%d",
                     e->members[0].peer_port, e->members[1].peer_port, e->members[2].peer_port);
    const char *argv[] = {PROGRAM,
                          "--name",
                          arena_printf(&arena, "m%d", index),
                          "--data-dir",
                          arena_printf(&arena, "%s/m%d", e->dir, index),
                          "--listen-client-urls",
                          client,
                          "--advertise-client-urls",
                          client,
                          "--listen-peer-urls",
                          peer,
                          "--initial-advertise-peer-urls",
                          peer,
                          "--initial-cluster",
                          cluster,
                          "--initial-cluster-token",
                          e->dir,
                          "--logger",
                          "zap",
                          "--log-level",
                          "error",
                          NULL};
    const char *log = arena_printf(&arena, "%s/m%d.log", e->dir, index);
    m->pid = fork();
    if (m->pid == 0) {
        int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(fd, 1);
        dup2(fd, 2);
        execvp(PROGRAM, (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    return m->pid > 0 ? 0 : error_sys(err, errno, "start " PROGRAM);
}

static void kill_member(struct member *m) {
    if (m->pid > 0) {
        kill(m->pid, SIGKILL);
        waitpid(m->pid, NULL, 0);
        m->pid = 0;
    }
}

static double resident_mib(pid_t pid) {
    char path[64], line[256];
    long long kib = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL && sscanf(line, "VmRSS: %lld", &kib) != 1) {
    }
    if (file != NULL) {
        fclose(file);
    }
    return (double)kib / 1024;
}

// --- messages ---

static void add_varint(struct buf *out, uint64_t value) {
    for (; value >= 0x80; value >>= 7) {
        buf_addc(out, (char)(value | 0x80));
    }
    buf_addc(out, (char)value);
}

static void add_bytes(struct buf *out, uint64_t number, const void *data, size_t len) {
    add_varint(out, number << 3 | 2);
    add_varint(out, len);
    buf_add(out, data, len);
}

static bool take_varint(struct bytes *in, uint64_t *out) {
    *out = 0;
    for (unsigned shift = 0; shift < 64 && in->len > 0; shift += 7) {
        uint8_t byte = *in->data++;
        in->len--;
        *out |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            return true;
        }
    }
    return false;
}

// The last field with that number: a varint in *value, or bytes in *part. False when there is none.
static bool find_field(struct bytes in, uint64_t number, uint64_t *value, struct bytes *part) {
    uint64_t tag, content;
    bool is_found = false;
    while (in.len > 0 && take_varint(&in, &tag) && ((tag & 7) == 0 || (tag & 7) == 2) &&
           take_varint(&in, &content)) {
        size_t len = (tag & 7) == 2 ? (size_t)content : 0;
        if (len > in.len) {
            return false;
        }
        if (tag >> 3 == number) {
            *value = content;
            *part = (struct bytes){in.data, len};
            is_found = true;
        }
        in.data += len;
        in.len -= len;
    }
    return is_found;
}

// --- one call at a time ---

struct status {
    bool is_answered;
    int code;
    uint64_t member, leader, raft_index; // leader: 0 = none known
};

static void on_status(void *context, int code, struct bytes message) {
    struct status *status = context;
    struct bytes header = {0}, none;
    uint64_t ignored;
    status->is_answered = true;
    status->code = code;
    if (find_field(message, 1, &ignored, &header)) {
        find_field(header, 2, &status->member, &none);
    }
    find_field(message, 4, &status->leader, &none);
    find_field(message, 5, &status->raft_index, &none);
}

static int ask_status(const struct member *m, struct status *out, struct error *err) {
    struct grpc *link;
    int64_t deadline = clock_mono_ms() + CALL_MS;
    *out = (struct status){0};
    int rc = grpc_open(m->client_port, &link, err);
    if (rc < 0) {
        return rc;
    }
    grpc_call(link, STATUS_PATH, (struct bytes){(const uint8_t *)"", 0}, on_status, out);
    while (!out->is_answered && clock_mono_ms() < deadline) {
        grpc_poll(&link, 1, deadline - clock_mono_ms());
    }
    grpc_close(link);
    return out->is_answered && out->code == GRPC_OK
               ? 0
               : error_set(err, ERR_UNREACHABLE, "status of port %d: code %d", m->client_port, out->code);
}

// All answer, agree on a leader, and have what it has.
static bool has_leader(struct etcd *e) {
    struct status statuses[MEMBERS];
    int leader = -1;
    for (int i = 0; i < MEMBERS; i++) {
        if (ask_status(&e->members[i], &statuses[i], NULL) < 0 || statuses[i].leader == 0) {
            return false;
        }
        leader = statuses[i].member == statuses[i].leader ? i : leader;
    }
    for (int i = 0; leader >= 0 && i < MEMBERS; i++) {
        if (statuses[i].leader != statuses[leader].member ||
            statuses[i].raft_index < statuses[leader].raft_index) {
            return false;
        }
    }
    e->leader = leader;
    return leader >= 0;
}

static int wait_for_leader(struct etcd *e, struct error *err) {
    int64_t deadline = clock_mono_ms() + START_MS;
    while (!has_leader(e)) {
        for (int i = 0; i < MEMBERS; i++) {
            if (waitpid(e->members[i].pid, NULL, WNOHANG) != 0) {
                e->members[i].pid = 0;
                return error_set(err, ERR_SYSTEM,
                                 "member %d ended; is etcd-server installed (make deps-bench)?", i);
            }
        }
        if (clock_mono_ms() > deadline) {
            return error_set(err, ERR_TIMEOUT, "etcd has no leader");
        }
        grpc_poll(NULL, 0, PAUSE_MS);
    }
    return 0;
}

// --- puts ---

static void put(struct grpc *link, struct prng *prng, grpc_answer answer, void *context) {
    char key[32];
    uint64_t value[LOAD_VALUE_BYTES / sizeof(uint64_t)];
    AUTO_BUF message = {0};
    int key_len = snprintf(key, sizeof key, "key-%05d", (int)prng_below(prng, LOAD_KEYS));
    for (size_t i = 0; i < sizeof value / sizeof *value; i++) {
        value[i] = prng_next(prng);
    }
    add_bytes(&message, 1, key, (size_t)key_len);
    add_bytes(&message, 2, value, sizeof value);
    grpc_call(link, PUT_PATH, buf_bytes(&message), answer, context);
}

struct run {
    struct prng prng;
    int64_t from_ns, until_ns; // what is acknowledged between is measured
    int64_t *latencies_ns;
    size_t count, capacity;
    int going, failed; // failed: the last status that was not OK
};

// One of those in flight.
struct lane {
    struct run *run;
    struct grpc *link;
    int64_t sent_ns;
};

static void on_put(void *context, int status, struct bytes message) {
    (void)message;
    struct lane *lane = context;
    struct run *run = lane->run;
    int64_t now_ns = clock_mono_ns();
    if (status == GRPC_OK && now_ns >= run->from_ns && now_ns < run->until_ns) {
        if (run->count == run->capacity) {
            run->capacity = run->capacity * 2 + 1024;
            run->latencies_ns = xrealloc(run->latencies_ns, run->capacity * sizeof *run->latencies_ns);
        }
        run->latencies_ns[run->count++] = now_ns - lane->sent_ns;
    }
    run->failed = status != GRPC_OK ? status : run->failed;
    if (now_ns >= run->until_ns || run->failed != 0) {
        run->going--;
        return;
    }
    lane->sent_ns = now_ns;
    put(lane->link, &run->prng, on_put, lane);
}

static int by_size(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void run_to_end(struct run *run, struct grpc **links, size_t link_count, const struct load *load) {
    AUTO_FREE struct lane *lanes = xcalloc((size_t)load->in_flight, sizeof *lanes);
    prng_seed(&run->prng, load->seed);
    run->from_ns = clock_mono_ns() + load->warm_up_ms * NS_PER_MS;
    run->until_ns = run->from_ns + load->measured_ms * NS_PER_MS;
    for (int i = 0; i < load->in_flight; i++) {
        lanes[i] = (struct lane){run, links[(size_t)i % link_count], clock_mono_ns()};
        run->going++;
        put(lanes[i].link, &run->prng, on_put, &lanes[i]);
    }
    int64_t deadline_ns = run->until_ns + CALL_MS * NS_PER_MS;
    while (run->going > 0 && clock_mono_ns() < deadline_ns) {
        grpc_poll(links, link_count, 100);
    }
    if (run->going > 0 && run->failed == 0) {
        run->failed = GRPC_LOST;
    }
    for (size_t i = 0; i < link_count; i++) {
        grpc_close(links[i]);
    }
}

static int etcd_run(void *self, const struct load *load, struct load_figures *out, struct error *err) {
    struct etcd *e = self;
    struct grpc *links[LINKS_MAX];
    struct run run = {0};
    size_t link_count = load->in_flight < LINKS_MAX ? (size_t)load->in_flight : LINKS_MAX;
    for (size_t i = 0; i < link_count; i++) {
        int rc = grpc_open(e->members[e->leader].client_port, &links[i], err);
        if (rc < 0) {
            while (i > 0) {
                grpc_close(links[--i]);
            }
            return rc;
        }
    }
    run_to_end(&run, links, link_count, load);
    AUTO_FREE int64_t *latencies_ns = run.latencies_ns;
    if (run.failed != 0 || run.count == 0) {
        return error_set(err, ERR_SYSTEM, "etcd: a put failed with code %d", run.failed);
    }
    qsort(latencies_ns, run.count, sizeof *latencies_ns, by_size);
    *out = (struct load_figures){
        .puts_per_s = (double)run.count * 1000 / (double)load->measured_ms,
        .median_ms = (double)latencies_ns[run.count / 2] / NS_PER_MS,
        .p99_ms = (double)latencies_ns[run.count * 99 / 100] / NS_PER_MS,
        .resident_mib = resident_mib(e->members[e->leader].pid),
    };
    return 0;
}

// --- the leader's end ---

static void on_try(void *context, int status, struct bytes message) {
    (void)message;
    int64_t *acknowledged_ns = context;
    if (status == GRPC_OK && *acknowledged_ns == 0) {
        *acknowledged_ns = clock_mono_ns();
    }
}

static int put_until_acknowledged(struct grpc **links, size_t count, int64_t *out_ns, struct error *err) {
    struct prng prng;
    int64_t deadline = clock_mono_ms() + START_MS;
    prng_seed(&prng, 1);
    *out_ns = 0;
    while (*out_ns == 0) {
        if (clock_mono_ms() > deadline) {
            return error_set(err, ERR_TIMEOUT, "no put was acknowledged after the leader's end");
        }
        for (size_t i = 0; i < count; i++) {
            put(links[i], &prng, on_try, out_ns);
        }
        for (int64_t next = clock_mono_ms() + PAUSE_MS; *out_ns == 0 && clock_mono_ms() < next;) {
            grpc_poll(links, count, next - clock_mono_ms());
        }
    }
    return 0;
}

static int etcd_fail_over(void *self, double *out_ms, struct error *err) {
    struct etcd *e = self;
    struct grpc *links[MEMBERS];
    size_t count = 0;
    int rc = 0, killed = e->leader;
    int64_t acknowledged_ns = 0, start_ns = 0;
    for (int i = 0; i < MEMBERS && rc == 0; i++) {
        if (i != killed && (rc = grpc_open(e->members[i].client_port, &links[count], err)) == 0) {
            count++;
        }
    }
    if (rc == 0) {
        start_ns = clock_mono_ns();
        kill_member(&e->members[killed]);
        rc = put_until_acknowledged(links, count, &acknowledged_ns, err);
    }
    while (count > 0) {
        grpc_close(links[--count]);
    }
    if (rc == 0) {
        *out_ms = (double)(acknowledged_ns - start_ns) / NS_PER_MS;
        rc = spawn(e, killed, err);
    }
    return rc < 0 ? rc : wait_for_leader(e, err);
}

// --- begin and end ---

static void etcd_stop(void *self) {
    struct etcd *e = self;
    if (e != NULL) {
        for (int i = 0; i < MEMBERS; i++) {
            kill_member(&e->members[i]);
        }
        xfree(e->dir);
        xfree(e);
    }
}

static int etcd_start(const char *dir, void **out, struct error *err) {
    int ports[2 * MEMBERS];
    int rc = find_ports(ports, 2 * MEMBERS, err);
    if (rc < 0) {
        return rc;
    }
    struct etcd *e = NEW(struct etcd);
    e->dir = xstrdup(dir);
    for (int i = 0; i < MEMBERS; i++) {
        e->members[i] = (struct member){0, ports[2 * i], ports[2 * i + 1]};
    }
    for (int i = 0; i < MEMBERS && rc == 0; i++) {
        rc = spawn(e, i, err);
    }
    if (rc == 0) {
        rc = wait_for_leader(e, err);
    }
    if (rc < 0) {
        etcd_stop(e);
        return rc;
    }
    *out = e;
    return 0;
}

const struct contender etcd_contender = {"etcd", etcd_start, etcd_run, etcd_fail_over, NULL, etcd_stop};
