// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_worker.c — a worker's end and a manager's end of a session as daemons have them, in one
// process: a real store and real links over TLS, a fake executor, and no daemon around them.
//
// Time is the test's: TICK_MS pass when nothing has arrived for a millisecond.
#include "test/lib/check.h"
#include "test/lib/papers.h"
#include "test/lib/scratch.h"
#include "test/lib/store_fixture.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/agent/executor_fake.h"
#include "reconciler/agent/managers_file.h"
#include "reconciler/daemon/certificates.h"
#include "reconciler/daemon/daemon.h"

#define TICK_MS 10
#define PATIENCE 20000 // turns
#define SERVICE 10
#define TASK 20

static const struct fake_profile profiles[] = {
    {.image = "forever", .prepare_ms = 3, .start_ms = 3, .stop_ms = 3}};

static struct {
    char dir[64];
    struct papers papers;
    struct arena arena;
    struct daemon_options options[2];
    struct daemon manager, worker;
    struct uv_loop_s loop;
    struct fake_machine *machine;
    bool is_stored;
} world;

// --- the two ends ---

static void on_stored(void *context, const struct proposal_result *result) {
    (void)context;
    assert_int_equal(result->code, 0);
    world.is_stored = true;
}

static void turn_manager(void) {
    struct daemon *daemon = &world.manager;
    struct proposer *proposer = daemon->proposals.proposer;
    replica_advance(daemon->replica, daemon->now.mono_ms);
    peers_take(daemon->group.peers, 64);
    peers_tick(daemon->group.peers, daemon->now.mono_ms);
    assert_int_equal(dispatcher_step(daemon, NULL), 0);
    assert_int_equal(proposer->ops->turn(proposer, NULL), 0);
    daemon->leads = proposer->ops->is_leader(proposer);
    assert_int_equal(dispatcher_deliver(daemon, NULL), 0);
}

static void turn_worker(void) {
    if (worker_is(&world.worker)) {
        worker_step(&world.worker);
    }
    agent_flush(world.worker.agent);
    fake_machine_advance(world.machine, world.worker.now.unix_ms);
    uv_run(&world.loop, UV_RUN_NOWAIT);
}

static void turn(void) {
    struct pollfd fd = {peers_fd(world.manager.group.peers), POLLIN, 0};
    if (poll(&fd, 1, 1) == 0) {
        world.manager.now.mono_ms += TICK_MS;
        world.manager.now.unix_ms += TICK_MS;
    }
    world.worker.now = world.manager.now;
    turn_manager();
    turn_worker();
}

#define AWAIT(condition)                                                                                     \
    do {                                                                                                     \
        for (int tries = 0; !(condition); tries++) {                                                         \
            assert_true(tries < PATIENCE);                                                                   \
            turn();                                                                                          \
        }                                                                                                    \
    } while (0)

static void pass(int64_t ms) {
    for (int64_t end_ms = world.manager.now.mono_ms + ms; world.manager.now.mono_ms < end_ms;) {
        turn();
    }
}

static void put(enum change_op op, enum object_kind kind, const void *object) {
    struct transaction transaction = {
        .request_id = "", .who = "test", .why = "test", .time_unix_ms = world.manager.now.unix_ms};
    transaction_add(&transaction, op, kind, object, &world.arena);
    world.is_stored = false;
    assert_int_equal(proposals_submit(&world.manager.proposals, &transaction, on_stored, NULL, NULL), 0);
    AWAIT(world.is_stored);
}

static void *get(enum object_kind kind, const struct id *id) {
    struct store_read *read;
    void *object;
    assert_int_equal(store_read_begin(world.manager.store, &read, NULL), 0);
    int rc = store_load(read, kind, id, &world.arena, &object, NULL);
    store_read_end(read);
    return rc == 0 ? object : NULL;
}

// --- beginning ---

static char *path_of(const char *name) {
    char *path = arena_alloc(&world.arena, 128);
    snprintf(path, 128, "%s/%s", world.dir, name);
    return path;
}

static void give_papers(struct daemon *daemon, enum node_role role) {
    struct credentials papers =
        papers_issue(&world.papers, &daemon->node_id, role, daemon->now.unix_ms, DAY_MS);
    char *dir = certificates_dir(daemon->options->state_dir, &world.papers.cluster_id);
    assert_int_equal(fs_make_dirs(dir, 0700, NULL), 0);
    assert_int_equal(credentials_save(dir, &papers, NULL), 0);
    credentials_free(&papers);
    xfree(dir);
    assert_int_equal(passport_load(daemon, &world.papers.cluster_id, NULL), 0);
}

static void begin_daemon(struct daemon *daemon, unsigned number, const char *name, enum node_role role) {
    struct daemon_options *options = &world.options[role];
    options->state_dir = path_of(name);
    options->listen = "127.0.0.1:0";
    *daemon = (struct daemon){.options = options,
                              .node_name = name,
                              .hostname = name,
                              .node_id = store_id(number),
                              .now = {clock_unix_ms(), 1000000}};
    prng_seed(&daemon->group.prng, number);
    list_init(&daemon->streams);
    give_papers(daemon, role);
}

static bool is_its_node(void *context, uint64_t raft_id, const struct id *node_id) {
    (void)context;
    (void)raft_id;
    (void)node_id;
    return true;
}

static void open_peers(struct daemon *daemon) {
    struct tls *tls;
    assert_int_equal(passport_tls(daemon, &tls, NULL), 0);
    const struct peers_options options = {.prng = &daemon->group.prng,
                                          .tls = tls,
                                          .callbacks = {.on_agent = dispatcher_on_agent,
                                                        .on_agent_down = dispatcher_on_agent_down,
                                                        .on_agent_writable = dispatcher_on_agent_writable,
                                                        .is_its_node = is_its_node,
                                                        .context = daemon}};
    assert_int_equal(peers_open(&options, &daemon->group.peers, NULL), 0);
    assert_int_equal(peers_listen(daemon->group.peers, "127.0.0.1:0", NULL), 0);
    peers_set_self(daemon->group.peers, &(struct peers_self){.cluster_id = daemon->cluster_id,
                                                             .raft_id = replica_id(daemon->replica),
                                                             .epoch = 1,
                                                             .address = "127.0.0.1:1"});
}

static const char *manager_address(void) {
    char *address = arena_alloc(&world.arena, 32);
    snprintf(address, 32, "127.0.0.1:%d", peers_port(world.manager.group.peers));
    return address;
}

static void begin_manager(void) {
    struct daemon *daemon = &world.manager;
    begin_daemon(daemon, 1, "manager", ROLE_MANAGER);
    daemon->cluster_id = daemon->group.cluster_id = world.papers.cluster_id;
    const struct store_options store = {.dir = path_of("store")};
    assert_int_equal(store_open(&store, &daemon->store, NULL), 0);
    const struct replica_options replica = {
        .store = daemon->store, .node_id = daemon->node_id, .seed = 1, .now_mono_ms = daemon->now.mono_ms};
    assert_int_equal(replica_open(&replica, &daemon->replica, NULL), 0);
    proposals_init(&daemon->proposals, replica_proposer(daemon->replica));
    planner_init(&daemon->planner, daemon->store, &daemon->proposals, 1);
    assert_int_equal(replica_found(daemon->replica, &daemon->node_id, "127.0.0.1:1", NULL), 0);
    open_peers(daemon);
}

static void put_objects(void) {
    struct cluster cluster;
    struct node node;
    struct service service;
    schema_init(&cluster_schema, &cluster);
    cluster.meta.id = world.papers.cluster_id;
    cluster.meta.name = "default";
    cluster.spec.dispatcher_heartbeat_ns = NS_PER_S;
    put(CHANGE_CREATE, KIND_CLUSTER, &cluster);
    schema_init(&node_schema, &node);
    node.meta.id = world.worker.node_id;
    node.meta.name = node.spec.name = "worker";
    put(CHANGE_CREATE, KIND_NODE, &node);
    schema_init(&service_schema, &service);
    service.meta.id = store_id(SERVICE);
    service.meta.name = service.spec.name = "web";
    service.spec.image = "forever";
    service.revision = 1;
    put(CHANGE_CREATE, KIND_SERVICE, &service);
}

static void put_task(unsigned number) {
    struct task task;
    schema_init(&task_schema, &task);
    task.meta.id = store_id(number);
    task.service_id = store_id(SERVICE);
    task.node_id = world.worker.node_id;
    task.revision = 1;
    task.desired = TASK_RUNNING;
    task.status.state = TASK_ASSIGNED;
    put(CHANGE_CREATE, KIND_TASK, &task);
}

static void on_reports(void *context, const struct reports *reports) {
    (void)context;
    if (worker_is(&world.worker)) {
        worker_report(&world.worker, reports);
    }
}

static void begin_worker(void) {
    struct daemon *daemon = &world.worker;
    const char *addresses[] = {"127.0.0.1:1", manager_address()}; // nobody is at the first
    const struct managers_file known = {.cluster_id = world.papers.cluster_id, .addresses = {2, addresses}};
    begin_daemon(daemon, 2, "worker", ROLE_WORKER);
    assert_int_equal(managers_file_write(daemon->options->state_dir, &known, NULL), 0);
    uv_loop_init(&world.loop);
    daemon->loop = &world.loop;
    world.machine = fake_machine_new(&(struct fake_options){
        .seed = 1, .now_unix_ms = daemon->now.unix_ms, .profile_count = 1, .profiles = profiles});
    daemon->executor = executor_fake_new(world.machine, agent_on_event, NULL);
    const struct agent_options options = {
        .state_dir = daemon->options->state_dir, .executor = daemon->executor, .on_reports = on_reports};
    assert_int_equal(agent_new(&options, &daemon->agent, NULL), 0);
    daemon->executor->context = daemon->agent;
    assert_int_equal(agent_recover(daemon->agent, NULL), 0);
}

static int setup(void **state) {
    (void)state;
    memset(&world, 0, sizeof world);
    scratch_name(world.dir, sizeof world.dir, "worker");
    assert_non_null(mkdtemp(world.dir));
    world.papers = papers_make(clock_unix_ms());
    begin_manager();
    begin_worker();
    put_objects();
    put_task(TASK);
    assert_int_equal(worker_start(&world.worker, &world.papers.cluster_id, NULL), 0);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    peers_close(world.manager.group.peers);
    dispatcher_free(&world.manager);
    passport_free(&world.manager.group.passport);
    self_deinit(&world.manager.self);
    planner_deinit(&world.manager.planner);
    proposals_deinit(&world.manager.proposals);
    store_close(world.manager.store);
    worker_free(&world.worker);
    agent_free(world.worker.agent);
    world.worker.executor->ops->free(world.worker.executor);
    fake_machine_free(world.machine);
    self_deinit(&world.worker.self);
    passport_free(&world.worker.group.passport);
    while (uv_run(&world.loop, UV_RUN_NOWAIT) != 0) {
    }
    assert_int_equal(uv_loop_close(&world.loop), 0);
    papers_free(&world.papers);
    arena_free(&world.arena);
    return fs_remove_tree(AT_FDCWD, world.dir, NULL);
}

// --- what is to hold ---

static struct info_reply info(void) {
    struct info_reply info;
    schema_init(&info_reply_schema, &info);
    worker_fill_info(&world.worker, &info, &world.arena);
    return info;
}

static bool is_connected(void) {
    return info().session_manager[0] != '\0';
}

static int64_t state_of(unsigned task) {
    struct id id = store_id(task);
    return ((struct task *)get(KIND_TASK, &id))->status.state;
}

static enum session_presence presence(void) {
    int64_t silent_ms;
    return dispatcher_presence(&world.manager, &world.worker.node_id, &silent_ms);
}

static int64_t silent_ms(void) {
    int64_t out = 0;
    (void)dispatcher_presence(&world.manager, &world.worker.node_id, &out);
    return out;
}

static void a_worker_finds_the_manager_and_runs_what_is_assigned_to_it(void **state) {
    (void)state;
    assert_false(is_connected());
    AWAIT(state_of(TASK) == TASK_RUNNING);
    assert_true(is_connected());
    assert_string_equal(info().session_manager, manager_address());
    assert_int_equal(info().tasks, 1);
    assert_int_equal(presence(), SESSION_HEARD);
    const struct node *node = get(KIND_NODE, &world.worker.node_id);
    AWAIT(str_equal((node = get(KIND_NODE, &world.worker.node_id))->description.hostname, "worker"));
    put_task(TASK + 1);
    AWAIT(state_of(TASK + 1) == TASK_RUNNING);
}

// That the membership has, not those that it was told first.
static void it_keeps_where_the_managers_are(void **state) {
    (void)state;
    struct managers_file kept;
    AWAIT(managers_file_read(world.worker.options->state_dir, &kept, &world.arena, NULL) == 0 &&
          kept.addresses.count == 1);
    assert_string_equal(kept.addresses.items[0], "127.0.0.1:1");
}

static void a_lost_link_is_made_anew_and_what_was_not_said_is_said_then(void **state) {
    (void)state;
    AWAIT(state_of(TASK) == TASK_RUNNING);
    peers_cut(world.manager.group.peers, &world.worker.node_id, "test");
    AWAIT(!is_connected());
    assert_true(info().session_trouble[0] != '\0');
    put_task(TASK + 1);
    AWAIT(state_of(TASK + 1) == TASK_RUNNING);
    assert_int_equal(fake_machine_counts(world.machine).starts, 2);
}

static void the_heartbeat_of_the_cluster_counts(void **state) {
    (void)state;
    AWAIT(is_connected());
    pass(5000);
    assert_int_equal(presence(), SESSION_HEARD);
    AWAIT(silent_ms() <= TICK_MS); // what is on its way takes longer on a machine that is busy
    worker_free(&world.worker); // it dies, and what runs goes on
    pass(2500);
    assert_int_equal(presence(), SESSION_AWAITED);
    uint64_t turns = dispatcher_turns(&world.manager);
    pass(1000);
    assert_int_equal(presence(), SESSION_DOWN);
    assert_int_equal(dispatcher_turns(&world.manager), turns + 1);
    dispatcher_release(&world.manager, &world.worker.node_id);
    assert_int_equal(presence(), SESSION_AWAITED);
    assert_int_equal(fake_machine_counts(world.machine).running, 1);
}

static void one_that_is_removed_is_told(void **state) {
    (void)state;
    AWAIT(is_connected());
    put(CHANGE_DELETE, KIND_NODE, get(KIND_NODE, &world.worker.node_id));
    AWAIT(world.worker.group.is_removed);
    assert_int_equal(fake_machine_counts(world.machine).running,
                     1); // what it does about that, leaving.c knows
}

static void one_that_leaves_is_down_at_once(void **state) {
    (void)state;
    AWAIT(is_connected());
    worker_leave(&world.worker);
    AWAIT(world.worker.group.is_removed);
    const struct node *node = get(KIND_NODE, &world.worker.node_id);
    assert_true(node->status.left);
    assert_int_equal(node->status.state, NODE_DOWN);
}

static void one_that_leaves_before_it_has_a_session_is_heard_all_the_same(void **state) {
    (void)state;
    assert_false(is_connected());
    worker_leave(&world.worker);
    AWAIT(world.worker.group.is_removed);
    assert_true(((const struct node *)get(KIND_NODE, &world.worker.node_id))->status.left);
}

static void one_that_is_to_be_a_manager_asks_for_its_certificate(void **state) {
    (void)state;
    AWAIT(is_connected());
    world.worker.group.renewal.due_unix_ms = INT64_MAX;
    struct node *node = get(KIND_NODE, &world.worker.node_id);
    node->spec.role = ROLE_MANAGER;
    put(CHANGE_UPDATE, KIND_NODE, node);
    AWAIT(world.worker.group.renewal.due_unix_ms == 0);
    assert_true(is_connected());
}

static ino_t managers_inode(void) {
    struct stat now;
    assert_int_equal(stat(path_of("worker/managers"), &now), 0);
    return now.st_ino;
}

static void what_a_node_is_its_certificate_says(void **state) {
    (void)state;
    struct daemon *daemon = &world.worker;
    const char *addresses[] = {"10.0.0.1:2377", "10.0.0.2:2377"};
    struct strings managers = {2, addresses};
    struct managers_file kept;
    assert_true(roles_is_worker(daemon));
    daemon->group.cluster_id = world.papers.cluster_id;
    roles_keep_managers(daemon, &managers);
    assert_int_equal(managers_file_read(daemon->options->state_dir, &kept, &world.arena, NULL), 0);
    assert_int_equal(kept.addresses.count, 2);
    ino_t inode = managers_inode();
    roles_keep_managers(daemon, &managers); // the same
    roles_keep_managers(daemon, &(struct strings){0});
    assert_int_equal(managers_inode(), inode);
    give_papers(daemon, ROLE_MANAGER);
    assert_false(roles_is_worker(daemon));
    assert_int_equal(managers_file_forget(daemon->options->state_dir, NULL), 0);
    give_papers(daemon, ROLE_WORKER);
    assert_false(roles_is_worker(daemon)); // of no cluster that it knows
}

static void a_manager_without_a_cluster_lets_no_agent_wait(void **state) {
    (void)state;
    dispatcher_free(&world.manager);
    struct id none = {{0}};
    dispatcher_on_agent(&world.manager, 77, &none, MESSAGE_SESSION_HEARTBEAT,
                        (struct bytes){0}); // no such link
    dispatcher_on_agent_down(&world.manager, 77);
    dispatcher_on_agent_writable(&world.manager, 77);
    assert_int_equal(dispatcher_wake_mono_ms(&world.manager), INT64_MAX);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_worker_finds_the_manager_and_runs_what_is_assigned_to_it),
        TEST(it_keeps_where_the_managers_are),
        TEST(a_lost_link_is_made_anew_and_what_was_not_said_is_said_then),
        TEST(the_heartbeat_of_the_cluster_counts),
        TEST(one_that_is_removed_is_told),
        TEST(one_that_leaves_is_down_at_once),
        TEST(one_that_leaves_before_it_has_a_session_is_heard_all_the_same),
        TEST(one_that_is_to_be_a_manager_asks_for_its_certificate),
        TEST(what_a_node_is_its_certificate_says),
        TEST(a_manager_without_a_cluster_lets_no_agent_wait),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL);
}
