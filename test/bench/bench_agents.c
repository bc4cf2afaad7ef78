// SPDX-License-Identifier: Apache-2.0
//
// test/bench/bench_agents.c — a thousand agents, or as many as the argument says, on one manager, over TLS
// links: what they cost, and that none is lost when the manager is killed or strangers call.
//
// Three processes that share a page of figures: the manager (links, sessions, a real store), the crowd that
// plays the agents (test/lib/crowd.h), and this one, which asks nothing but the figures. Each agent's node
// has two tasks. One JSON line a figure. Manager and agents share the machine's cores, so what takes a while
// takes about half as long where they do not.
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/dispatch/sessions.h"
#include "specs/cluster.h"
#include "test/lib/crowd.h"
#include "test/lib/peer.h"
#include "test/lib/store_fixture.h"
#include "transport/peers.h"

#define TASKS_PER_AGENT 2
#define BATCH 500
#define STRANGERS 1500
#define WINDOW_MS 20000
#define PATIENCE_MS 180000
#define LOOK_MS 20

struct figures { // each written by one process
    atomic_int port;
    atomic_size_t links, sessions, downs; // downs: how often a node was taken for it
    atomic_llong silent_ms;               // the longest that any was
    atomic_llong resident_kib, cpu_us;
    atomic_size_t open, troubles;
    atomic_size_t to_cut; // agents, by the crowd
};

static size_t agents = 1000;
static struct figures *figures;
static struct papers papers;
static struct id *nodes;
static char dir[] = "/tmp/muster-agents.XXXXXX";

static void print(const char *figure, double value, const char *unit) {
    printf("{\"bench\":\"agents\",\"agents\":%zu,\"figure\":\"%s\",\"value\":%.2f,\"unit\":\"%s\"}\n", agents,
           figure, value, unit);
    fflush(stdout);
}

// --- the manager ---

struct manager {
    struct store_fixture store;
    struct sessions *sessions;
    struct peers *peers;
    struct prng prng;
    bool *is_down;
    int64_t counted_ms;
};

static bool on_send(void *context, uint64_t link, uint16_t number, struct bytes body) {
    const struct manager *m = context;
    return peers_agent_send(m->peers, link, number, body);
}

static void on_close(void *context, uint64_t link) {
    const struct manager *m = context;
    peers_agent_close(m->peers, link);
}

static void on_agent(void *context, uint64_t link, const struct id *node_id, uint16_t number,
                     struct bytes body) {
    const struct manager *m = context;
    sessions_take(m->sessions, link, node_id, number, body);
}

static void on_agent_down(void *context, uint64_t link) {
    const struct manager *m = context;
    sessions_link_down(m->sessions, link);
}

static void on_agent_writable(void *context, uint64_t link) {
    const struct manager *m = context;
    sessions_link_writable(m->sessions, link);
}

static bool is_its_node(void *context, uint64_t raft_id, const struct id *node_id) {
    (void)context;
    (void)raft_id;
    (void)node_id;
    return false;
}

static void add(struct manager *m, enum object_kind kind, const void *object) {
    AUTO_BUF bytes = {0};
    wire_encode(object_schema(kind), object, &bytes);
    void *copy = arena_copy(&m->store.arena, bytes.data, bytes.len);
    store_add(&m->store, CHANGE_CREATE,
              (struct store_object){kind, object_meta_const(object)->id, {copy, bytes.len}}, 0);
    if (m->store.transaction.changes.count == BATCH || kind == KIND_CLUSTER) {
        ASSERT(store_send(&m->store).code == 0);
    }
}

static void add_node(struct manager *m, size_t number) {
    struct node node;
    schema_init(&node_schema, &node);
    node.meta.id = nodes[number];
    node.meta.name = node.spec.name = arena_printf(&m->store.arena, "n%zu", number);
    add(m, KIND_NODE, &node);
}

static void add_task(struct manager *m, size_t number) {
    struct task task;
    schema_init(&task_schema, &task);
    task.meta.id = store_id((unsigned)(100000 + number));
    task.service_id = store_id(10);
    task.node_id = nodes[number % agents];
    task.slot = (int64_t)number + 1;
    task.revision = 1;
    task.desired = TASK_RUNNING;
    task.status.state = TASK_RUNNING;
    add(m, KIND_TASK, &task);
}

static void fill(struct manager *m) {
    struct cluster cluster;
    struct service service;
    schema_init(&service_schema, &service);
    service.meta.id = store_id(10);
    service.meta.name = service.spec.name = "web";
    service.spec.image = "registry.example/web:1";
    service.revision = 1;
    add(m, KIND_SERVICE, &service);
    for (size_t i = 0; i < agents; i++) {
        add_node(m, i);
    }
    for (size_t i = 0; i < agents * TASKS_PER_AGENT; i++) {
        add_task(m, i);
    }
    schema_init(&cluster_schema, &cluster);
    cluster.meta.id = papers.cluster_id;
    cluster.meta.name = "default";
    add(m, KIND_CLUSTER, &cluster);
    arena_free(&m->store.arena);
}

// As a daemon does.
static void prepare_memory(void) {
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_TRIM_THRESHOLD, 256 * KIB);
    mallopt(M_MMAP_THRESHOLD, 128 * KIB);
}

static void open_peers(struct manager *m) {
    char listen[32];
    struct id node_id = id_random();
    struct credentials credentials = papers_issue(&papers, &node_id, ROLE_MANAGER, clock_unix_ms(), DAY_MS);
    struct peers_options options = {.listen = listen,
                                    .prng = &m->prng,
                                    .callbacks = {.context = m,
                                                  .is_its_node = is_its_node,
                                                  .on_agent = on_agent,
                                                  .on_agent_down = on_agent_down,
                                                  .on_agent_writable = on_agent_writable}};
    struct tls_options tls = {.credentials = &credentials, .admits_strangers = true};
    snprintf(listen, sizeof listen, "127.0.0.1:%d", atomic_load(&figures->port));
    int rc = tls_new(&tls, &options.tls, NULL);
    rc = rc < 0 ? rc : peers_open(&options, &m->peers, NULL);
    ASSERT(rc == 0);
    credentials_free(&credentials);
    peers_set_self(m->peers, &(struct peers_self){.cluster_id = papers.cluster_id, .raft_id = 1, .epoch = 1});
}

static void open_manager(struct manager *m, bool is_first) {
    m->store.options.dir = m->store.dir;
    m->store.options.map_bytes = (size_t)256 * MIB;
    m->store.options.reserve_bytes = -1;
    snprintf(m->store.dir, sizeof m->store.dir, "%s", dir);
    int rc = store_fixture_open(&m->store);
    ASSERT(rc == 0);
    prng_seed(&m->prng, (uint64_t)clock_mono_ns());
    m->is_down = xcalloc(agents, 1);
    if (is_first) {
        fill(m);
    }
    m->sessions = sessions_new(&(struct sessions_options){
        .cluster_id = papers.cluster_id, .prng = &m->prng, .callbacks = {on_send, on_close, m}});
    sessions_lead(m->sessions);
    open_peers(m);
}

static void work(struct manager *m) {
    struct store_read *read = store_begin_read(&m->store);
    int rc = sessions_step(m->sessions, read, NULL);
    ASSERT(rc == 0);
    if (sessions_has_news(m->sessions)) {
        AUTO_ARENA arena = {0};
        struct transaction news;
        schema_init(&transaction_schema, &news);
        rc = sessions_compose(m->sessions, read, &arena, &news, NULL);
        ASSERT(rc == 0 && news.changes.count == 0); // all tasks run already
    }
    store_read_end(read);
}

static long long resident_kib(void) {
    AUTO_BUF statm = {0};
    unsigned long total, resident;
    int rc = fs_read(AT_FDCWD, "/proc/self/statm", 1000, &statm, NULL);
    ASSERT(rc == 0 && sscanf(buf_text(&statm), "%lu %lu", &total, &resident) == 2);
    return (long long)resident * 4;
}

static long long cpu_us(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000LL + usage.ru_utime.tv_usec +
           usage.ru_stime.tv_usec;
}

static void count_nodes(struct manager *m) {
    int64_t longest_ms = 0;
    for (size_t i = 0; i < agents; i++) {
        int64_t silent_ms = 0;
        enum session_presence presence = sessions_presence(m->sessions, &nodes[i], &silent_ms);
        longest_ms = presence == SESSION_HEARD && silent_ms > longest_ms ? silent_ms : longest_ms;
        figures->downs += presence == SESSION_DOWN && !m->is_down[i];
        m->is_down[i] = presence == SESSION_DOWN;
    }
    figures->silent_ms = longest_ms > figures->silent_ms ? longest_ms : figures->silent_ms;
    figures->resident_kib = resident_kib();
    figures->cpu_us = cpu_us();
}

static void manager_turn(struct manager *m) {
    struct pollfd fd = {.fd = peers_fd(m->peers), .events = POLLIN};
    (void)poll(&fd, 1, 100);
    peers_take(m->peers, 1000);
    int64_t now_ms = clock_mono_ms();
    peers_tick(m->peers, now_ms);
    sessions_tick(m->sessions, now_ms);
    if (sessions_has_work(m->sessions) || sessions_has_news(m->sessions)) {
        work(m);
    }
    figures->links = peers_agent_count(m->peers);
    figures->sessions = sessions_count(m->sessions);
    if (now_ms >= m->counted_ms + 500) {
        m->counted_ms = now_ms;
        count_nodes(m);
    }
}

// --- the processes ---

static void allow_descriptors(void) {
    struct rlimit files;
    int rc = getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    rc = rc == 0 ? setrlimit(RLIMIT_NOFILE, &files) : rc;
    ASSERT(rc == 0);
}

// The child is killed when it is not wanted any more.
static pid_t start(void (*run)(bool is_first), bool is_first) {
    pid_t pid = fork();
    ASSERT(pid >= 0);
    if (pid == 0) {
        run(is_first);
        _exit(0);
    }
    return pid;
}

static void stop(pid_t pid) {
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}

static void run_manager(bool is_first) {
    struct manager m = {0};
    prepare_memory();
    open_manager(&m, is_first);
    figures->port = peers_port(m.peers);
    for (;;) {
        manager_turn(&m);
    }
}

static void run_crowd(bool is_first) {
    char address[32];
    (void)is_first;
    snprintf(address, sizeof address, "127.0.0.1:%d", atomic_load(&figures->port));
    struct crowd *crowd = crowd_new(&(struct crowd_options){.papers = &papers,
                                                            .nodes = nodes,
                                                            .count = agents,
                                                            .managers = (const char *const[]){address, NULL},
                                                            .seed = 7});
    for (;;) {
        crowd_turn(crowd, 10);
        size_t to_cut = atomic_exchange(&figures->to_cut, 0);
        if (to_cut > 0) {
            crowd_cut(crowd, to_cut);
        }
        struct crowd_status status = crowd_status(crowd);
        figures->open = status.open;
        figures->troubles = status.troubles;
    }
}

// --- what is measured ---

static void look(void) {
    (void)poll(NULL, 0, LOOK_MS);
}

static void rest(int64_t ms) {
    for (int64_t end_ms = clock_mono_ms() + ms; clock_mono_ms() < end_ms;) {
        look();
    }
}

static bool are_all_there(void) {
    return figures->sessions == agents && figures->open == agents;
}

// How long it takes until all are there; the program ends when they do not come.
static double await_all(void) {
    int64_t start_ms = clock_mono_ms();
    while (!are_all_there()) {
        ASSERT(clock_mono_ms() - start_ms < PATIENCE_MS);
        look();
    }
    return (double)(clock_mono_ms() - start_ms) / 1000;
}

static void measure_rest(void) {
    rest(WINDOW_MS / 2); // all have said a few things by then
    long long us = figures->cpu_us;
    int64_t start_ms = clock_mono_ms();
    rest(WINDOW_MS);
    double window_us = (double)(clock_mono_ms() - start_ms) * 1000;
    print("share of a core at heartbeats of 5 s", (double)(figures->cpu_us - us) / window_us * 100, "%");
    print("resident memory of the manager", (double)figures->resident_kib / 1024, "MiB");
    print("longest silence of an agent", (double)figures->silent_ms, "ms");
}

static size_t count_gone(const int *fds, bool *is_gone) {
    size_t gone = 0;
    for (size_t i = 0; i < STRANGERS; i++) {
        uint8_t bytes[4096];
        ssize_t got = 1;
        while (!is_gone[i] && (got = recv(fds[i], bytes, sizeof bytes, MSG_DONTWAIT)) > 0) {
        }
        is_gone[i] = is_gone[i] || got == 0 || (got < 0 && errno != EAGAIN);
        gone += is_gone[i];
    }
    return gone;
}

static struct buf first_flight(void) {
    uint8_t plain[1];
    struct tls *tls;
    struct credentials credentials = papers_issue(&papers, &nodes[0], ROLE_WORKER, clock_unix_ms(), DAY_MS);
    int rc = tls_new(&(struct tls_options){.credentials = &credentials}, &tls, NULL);
    ASSERT(rc == 0);
    struct cover *cover = tls_dial(tls);
    (void)cover->ops->read(cover, plain, sizeof plain, NULL);
    struct buf out = cover->ops->give(cover);
    cover->ops->free(cover);
    tls_free(tls);
    credentials_free(&credentials);
    return out;
}

// One says nothing, one the half of a hello, one a whole one.
static void call_as_strangers(int *fds) {
    AUTO_BUF flight = first_flight();
    for (size_t i = 0; i < STRANGERS; i++) {
        fds[i] = peer_connect_port(figures->port);
        (void)peer_send_bytes(fds[i], flight.data, flight.len * (i % 3) / 2);
    }
}

static void measure_strangers(void) {
    static int fds[STRANGERS];
    static bool is_gone[STRANGERS];
    size_t troubles = figures->troubles;
    figures->silent_ms = 0;
    int64_t start_ms = clock_mono_ms();
    call_as_strangers(fds);
    print("1500 strangers have called", (double)(clock_mono_ms() - start_ms), "ms");
    while (count_gone(fds, is_gone) < STRANGERS) {
        ASSERT(clock_mono_ms() - start_ms < PATIENCE_MS);
        look();
    }
    print("all strangers are gone, since the first called", (double)(clock_mono_ms() - start_ms), "ms");
    rest(WINDOW_MS / 2);
    print("agents that lost their session", (double)(figures->troubles - troubles), "agents");
    print("longest silence of an agent, with strangers", (double)figures->silent_ms, "ms");
    for (size_t i = 0; i < STRANGERS; i++) {
        close(fds[i]);
    }
}

// The agents' links are cut when the strangers have just called.
static void measure_return_among_strangers(void) {
    static int fds[STRANGERS];
    call_as_strangers(fds);
    figures->to_cut = agents / 10;
    while (are_all_there()) {
        look();
    }
    print("a tenth of the agents are back, among 1500 strangers", await_all(), "s");
    for (size_t i = 0; i < STRANGERS; i++) {
        close(fds[i]);
    }
}

int main(int argc, char **argv) {
    int64_t count = 0;
    agents =
        argc > 1 && str_to_int(argv[1], &count) && count > 0 && count <= AGENTS_MAX ? (size_t)count : agents;
    bool is_made = mkdtemp(dir) != NULL;
    ASSERT(is_made);
    allow_descriptors();
    figures = mmap(NULL, sizeof *figures, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT(figures != MAP_FAILED);
    papers = papers_make(clock_unix_ms());
    nodes = xcalloc(agents, sizeof *nodes);
    for (size_t i = 0; i < agents; i++) {
        nodes[i] = id_random();
    }
    pid_t manager = start(run_manager, true);
    while (figures->port == 0) {
        look();
    }
    rest(1000);
    print("resident memory of the manager without agents", (double)figures->resident_kib / 1024, "MiB");
    pid_t crowd = start(run_crowd, true);
    while (figures->open == 0) { // certificates are made
        look();
    }
    print("all agents are there, after the first", await_all(), "s");
    figures->downs = 0; // while their certificates were made, they were not there
    measure_rest();
    measure_strangers();
    measure_return_among_strangers();
    stop(manager);
    figures->sessions = 0;
    manager = start(run_manager, false);
    print("all agents are back after the manager was killed and started", await_all(), "s");
    measure_rest();
    print("nodes that were taken for down", (double)figures->downs, "nodes");
    stop(crowd);
    stop(manager);
    papers_free(&papers);
    xfree(nodes);
    return fs_remove_tree(AT_FDCWD, dir, NULL) == 0 ? 0 : 1;
}
