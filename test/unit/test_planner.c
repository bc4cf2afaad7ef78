// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_planner.c — the driver of the planners on a real store, with a node that does at once what
// it is told.
#include "test/lib/check.h"
#include "test/lib/store_fixture.h"

#include <string.h>

#include "base/mem.h"
#include "reconciler/daemon/decide.h"
#include "reconciler/daemon/planner.h"
#include "reconciler/dispatch/status.h"
#include "specs/node.h"

#define GIB (INT64_C(1) << 30)

struct cluster_in_test {
    struct store_fixture store;
    struct proposals proposals;
    struct planner planner;
    struct status status;
    struct now now;
    struct error err;
    int refused; // proposals of the test
};

static void on_result(void *context, const struct proposal_result *result) {
    ((struct cluster_in_test *)context)->refused += result->code < 0;
}

static struct arena *arena_of(struct cluster_in_test *c) {
    return &c->store.arena;
}

static void turn(struct cluster_in_test *c) {
    assert_int_equal(c->proposals.proposer->ops->turn(c->proposals.proposer, &c->err), 0);
}

static void submit(struct cluster_in_test *c, struct decision *decision) {
    decision->transaction.request_id = "";
    decision->transaction.who = "test";
    decision->transaction.why = "test";
    decision->transaction.time_unix_ms = c->now.unix_ms;
    assert_int_equal(proposals_submit(&c->proposals, &decision->transaction, on_result, c, &c->err), 0);
}

static void change(struct cluster_in_test *c, enum change_op op, enum object_kind kind, const void *object) {
    struct decision decision = {0};
    transaction_add(&decision.transaction, op, kind, object, arena_of(c));
    submit(c, &decision);
    turn(c);
}

static void add_node(struct cluster_in_test *c, unsigned number, int64_t memory_bytes) {
    struct node node;
    schema_init(&node_schema, &node);
    node.meta.id = store_id(number);
    node.meta.name = node.spec.name = arena_printf(arena_of(c), "n%u", number);
    node.status.state = NODE_READY;
    node.description.cpus_nano = 64 * INT64_C(1000000000);
    node.description.memory_bytes = memory_bytes;
    change(c, CHANGE_CREATE, KIND_NODE, &node);
}

static struct service *load_service(struct cluster_in_test *c, unsigned number) {
    struct store_read *read = store_begin_read(&c->store);
    struct id id = store_id(number);
    void *object = NULL;
    assert_true(store_load(read, KIND_SERVICE, &id, arena_of(c), &object, &c->err) >= 0);
    store_read_end(read);
    return object;
}

static struct service new_service(struct cluster_in_test *c, unsigned number, int64_t replicas) {
    struct service service;
    schema_init(&service_schema, &service);
    service.meta.id = store_id(number);
    service.meta.name = service.spec.name = arena_printf(arena_of(c), "s%u", number);
    service.spec.image = "busybox";
    service.spec.deploy.replicas = replicas;
    service.revision = service.restart_revision = 1;
    return service;
}

static void add_service(struct cluster_in_test *c, unsigned number, int64_t replicas) {
    struct service service = new_service(c, number, replicas);
    change(c, CHANGE_CREATE, KIND_SERVICE, &service);
}

// All tasks, decoded.
struct tasks {
    size_t count;
    struct task **items;
};
static struct tasks all_tasks(struct cluster_in_test *c) {
    struct store_read *read = store_begin_read(&c->store);
    struct store_cursor cursor;
    struct tasks tasks = {0};
    struct id id;
    struct bytes bytes;
    assert_int_equal(store_each_begin(read, STORE_ALL, KIND_TASK, NULL, &cursor, &c->err), 0);
    while (store_each_next(&cursor, &id, &bytes, &c->err) == 0) {
        struct task *task = ARENA_NEW(arena_of(c), struct task);
        struct bytes copy = {arena_copy(arena_of(c), bytes.data, bytes.len), bytes.len};
        assert_int_equal(wire_decode(&task_schema, copy, task, arena_of(c), &c->err), 0);
        *ARENA_PUSH(arena_of(c), &tasks) = task;
    }
    store_each_end(&cursor);
    store_read_end(read);
    return tasks;
}

static void report(struct cluster_in_test *c, const struct task *task, int64_t state) {
    struct task_report told = {.task_id = task->meta.id, .status = task->status};
    told.status.state = state;
    told.status.since_unix_ms = c->now.unix_ms;
    struct id node = store_id(1);
    status_post(&c->status, &node, &told);
}

// The nodes store what they reported.
static void store_status(struct cluster_in_test *c) {
    while (c->status.waiting_count > 0) {
        struct store_read *read = store_begin_read(&c->store);
        struct decision decision = {0};
        struct status_settled_list settled = {0};
        assert_int_equal(
            status_compose(&c->status, read, arena_of(c), &decision.transaction, &settled, &c->err), 0);
        store_read_end(read);
        submit(c, &decision);
        turn(c);
        status_stored(&c->status, arena_of(c), &settled);
    }
}

// Plans until there is nothing to plan.
static void plan(struct cluster_in_test *c) {
    do {
        assert_int_equal(planner_step(&c->planner, &c->now, &c->err), 0);
        turn(c);
        c->now.mono_ms += 1000; // no service has to rest
    } while (planner_wake_mono_ms(&c->planner, &c->now) <= c->now.mono_ms);
}

static void run_assigned(struct cluster_in_test *c) {
    struct tasks tasks = all_tasks(c);
    for (size_t i = 0; i < tasks.count; i++) {
        const struct task *task = tasks.items[i];
        if (task->status.state >= TASK_ASSIGNED && !task_state_is_over(task->status.state)) {
            report(c, task, task->desired <= TASK_RUNNING ? task->desired : TASK_SHUTDOWN);
        }
    }
    store_status(c);
}

static size_t count_state(struct cluster_in_test *c, int64_t state) {
    struct tasks tasks = all_tasks(c);
    size_t count = 0;
    for (size_t i = 0; i < tasks.count; i++) {
        count += tasks.items[i]->status.state == state;
    }
    return count;
}

static int setup(void **state) {
    struct cluster_in_test *c = test_calloc(1, sizeof *c);
    store_fixture_begin(&c->store, NULL);
    proposals_init(&c->proposals, TAKE(c->store.proposer));
    planner_init(&c->planner, c->store.store, &c->proposals, 1);
    c->now = (struct now){1700000000000, 1000};
    *state = c;
    return 0;
}

static int teardown(void **state) {
    struct cluster_in_test *c = *state;
    planner_deinit(&c->planner);
    proposals_deinit(&c->proposals);
    status_free(&c->status);
    store_fixture_end(&c->store);
    test_free(c);
    return 0;
}

// --- tests ---

static void services_get_tasks_and_then_it_is_quiet(void **state) {
    struct cluster_in_test *c = *state;
    add_node(c, 1, 8 * GIB);
    add_service(c, 10, 3);
    add_service(c, 11, 2);
    plan(c);
    assert_int_equal(count_state(c, TASK_ASSIGNED), 5);
    run_assigned(c);
    plan(c);
    assert_int_equal(count_state(c, TASK_RUNNING), 5);
    uint64_t passes = c->planner.passes;
    int64_t revision = store_revision(c->store.store);
    for (int i = 0; i < 10; i++) {
        plan(c);
    }
    assert_int_equal(c->planner.passes, passes);
    assert_int_equal(store_revision(c->store.store), revision);
    assert_true(planner_wake_mono_ms(&c->planner, &c->now) == INT64_MAX);
}

static void progress_of_a_task_makes_no_pass(void **state) {
    struct cluster_in_test *c = *state;
    static const int64_t states[] = {TASK_ACCEPTED, TASK_PREPARING, TASK_READY};
    add_node(c, 1, 8 * GIB);
    add_service(c, 10, 1);
    plan(c);
    plan(c); // sees its own changes
    uint64_t passes = c->planner.passes;
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        report(c, all_tasks(c).items[0], states[i]);
        store_status(c);
        plan(c);
    }
    assert_int_equal(count_state(c, TASK_READY), 1);
    assert_int_equal(c->planner.passes, passes);
    report(c, all_tasks(c).items[0], TASK_RUNNING);
    store_status(c);
    plan(c);
    assert_int_equal(c->planner.passes, passes + 1);
}

static void a_large_plan_goes_in_pieces(void **state) {
    struct cluster_in_test *c = *state;
    static bool seen[2501];
    add_node(c, 1, 8 * GIB);
    add_service(c, 10, 2500);
    int64_t before = store_revision(c->store.store);
    plan(c);
    assert_int_equal(store_revision(c->store.store), before + 3);
    struct tasks tasks = all_tasks(c);
    assert_int_equal(tasks.count, 2500);
    for (size_t i = 0; i < tasks.count; i++) {
        assert_in_range(tasks.items[i]->slot, 1, 2500);
        assert_false(seen[tasks.items[i]->slot]);
        seen[tasks.items[i]->slot] = true;
    }
}

// Which makes the index of a store take them sooner, and a node hear of its own at once.
static void new_tasks_of_a_large_plan_go_node_by_node(void **state) {
    struct cluster_in_test *c = *state;
    for (unsigned node = 1; node <= 5; node++) {
        add_node(c, node, 800 * GIB);
    }
    add_service(c, 10, 2 * PLAN_CHANGES_MAX + 500);
    plan(c);
    struct tasks tasks = all_tasks(c);
    assert_int_equal(tasks.count, 2 * PLAN_CHANGES_MAX + 500);
    for (unsigned node = 1; node <= 5; node++) {
        struct id id = store_id(node);
        int64_t first = INT64_MAX, last = 0; // revisions
        for (size_t i = 0; i < tasks.count; i++) {
            int64_t created = tasks.items[i]->meta.created;
            bool is_its = id_equal(&tasks.items[i]->node_id, &id);
            first = is_its && created < first ? created : first;
            last = is_its && created > last ? created : last;
        }
        assert_in_range(last, first, first + 1); // 500: in one transaction, or in two
    }
}

static void a_plan_that_lost_a_race_is_made_anew(void **state) {
    struct cluster_in_test *c = *state;
    add_node(c, 1, 8 * GIB);
    add_service(c, 10, 4);
    plan(c);
    run_assigned(c);
    plan(c);
    // The service shrinks; while the plan for that is under way, all its tasks are written by somebody else.
    struct service *service = load_service(c, 10);
    service->spec.deploy.replicas = 1;
    service->revision = 2;
    change(c, CHANGE_UPDATE, KIND_SERVICE, service);
    struct tasks tasks = all_tasks(c);
    struct decision decision = {0};
    for (size_t i = 0; i < tasks.count; i++) {
        tasks.items[i]->status.pid = 4711;
        transaction_add(&decision.transaction, CHANGE_UPDATE, KIND_TASK, tasks.items[i], arena_of(c));
    }
    submit(c, &decision);
    assert_int_equal(planner_step(&c->planner, &c->now, &c->err), 0);
    assert_true(planner_is_waiting(&c->planner));
    turn(c);
    assert_int_equal(c->refused, 0);
    plan(c);
    run_assigned(c);
    plan(c);
    assert_int_equal(count_state(c, TASK_RUNNING), 1);
}

static void what_finds_no_room_waits_for_it(void **state) {
    struct cluster_in_test *c = *state;
    add_service(c, 10, 1);
    plan(c);
    assert_int_equal(count_state(c, TASK_PENDING), 1);
    add_node(c, 1, 1 * GIB);
    plan(c);
    assert_int_equal(count_state(c, TASK_ASSIGNED), 1);
    // Two services want most of the memory each.
    for (unsigned number = 20; number < 22; number++) {
        struct service service = new_service(c, number, 1);
        service.spec.deploy.resources.reservations.memory_bytes = GIB * 3 / 4;
        change(c, CHANGE_CREATE, KIND_SERVICE, &service);
        plan(c);
    }
    run_assigned(c);
    plan(c);
    assert_int_equal(count_state(c, TASK_PENDING), 1);
    struct service *first = load_service(c, 20);
    first->removing = true;
    change(c, CHANGE_UPDATE, KIND_SERVICE, first);
    for (int i = 0; i < 3; i++) {
        plan(c);
        run_assigned(c);
    }
    assert_int_equal(count_state(c, TASK_PENDING), 0);
    assert_int_equal(count_state(c, TASK_RUNNING), 2);
    assert_null(load_service(c, 20));
}

static void a_restart_waits_for_its_time(void **state) {
    struct cluster_in_test *c = *state;
    add_node(c, 1, 8 * GIB);
    add_service(c, 10, 1);
    plan(c);
    run_assigned(c);
    report(c, all_tasks(c).items[0], TASK_FAILED);
    store_status(c);
    plan(c);
    int64_t wake = planner_wake_mono_ms(&c->planner, &c->now);
    assert_in_range(wake - c->now.mono_ms, 1, 5000);
    run_assigned(c); // READY
    c->now.unix_ms += 5000;
    c->now.mono_ms += 5000;
    plan(c);
    run_assigned(c);
    assert_int_equal(count_state(c, TASK_RUNNING), 1);
    assert_int_equal(count_state(c, TASK_FAILED), 1);
}

static void a_new_driver_finds_everything_as_it_should_be(void **state) {
    struct cluster_in_test *c = *state;
    add_node(c, 1, 8 * GIB);
    for (unsigned number = 10; number < 110; number++) {
        add_service(c, number, 2);
    }
    plan(c);
    run_assigned(c);
    plan(c);
    assert_int_equal(count_state(c, TASK_RUNNING), 200);
    int64_t revision = store_revision(c->store.store);
    planner_deinit(&c->planner);
    planner_init(&c->planner, c->store.store, &c->proposals, 2);
    plan(c);
    assert_int_equal(c->planner.passes, 2); // all services, PASS_SERVICES_MAX at a time
    assert_int_equal(store_revision(c->store.store), revision);
}

// --- status ---

static void observed_state_never_falls(void **state) {
    struct cluster_in_test *c = *state;
    add_node(c, 1, 8 * GIB);
    add_service(c, 10, 1);
    plan(c);
    struct task *task = all_tasks(c).items[0];
    report(c, task, TASK_RUNNING);
    store_status(c);
    report(c, task, TASK_PREPARING);
    store_status(c);
    assert_int_equal(count_state(c, TASK_RUNNING), 1);
    int64_t revision = store_revision(c->store.store);
    c->now.unix_ms += 1000;
    report(c, task, TASK_RUNNING); // again, after a restart of its agent
    store_status(c);
    assert_int_equal(all_tasks(c).items[0]->status.since_unix_ms, c->now.unix_ms - 1000);
    assert_in_range(store_revision(c->store.store), revision, revision + 1);
    report(c, task, TASK_FAILED);
    store_status(c);
    report(c, task, TASK_ORPHANED);
    store_status(c);
    assert_int_equal(count_state(c, TASK_FAILED), 1);
    struct task stranger = *task;
    stranger.meta.id = store_id(999);
    report(c, &stranger, TASK_RUNNING);
    store_status(c);
    assert_int_equal(all_tasks(c).count, 1);
}

static void a_refused_report_waits_again_unless_a_newer_one_does(void **state) {
    struct cluster_in_test *c = *state;
    add_node(c, 1, 8 * GIB);
    add_service(c, 10, 2);
    plan(c);
    struct tasks tasks = all_tasks(c);
    report(c, tasks.items[0], TASK_PREPARING);
    report(c, tasks.items[1], TASK_PREPARING);
    struct store_read *read = store_begin_read(&c->store);
    struct transaction transaction;
    struct status_settled_list settled = {0};
    schema_init(&transaction_schema, &transaction);
    assert_int_equal(status_compose(&c->status, read, arena_of(c), &transaction, &settled, &c->err), 0);
    store_read_end(read);
    assert_int_equal(transaction.changes.count, 2);
    assert_int_equal(c->status.travelling_count, 2);
    assert_int_equal(settled.count, 0);
    report(c, tasks.items[0], TASK_RUNNING);
    status_refused(&c->status);
    assert_int_equal(c->status.waiting_count, 2);
    store_status(c);
    assert_int_equal(count_state(c, TASK_RUNNING), 1);
    assert_int_equal(count_state(c, TASK_PREPARING), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(services_get_tasks_and_then_it_is_quiet),
        TEST(progress_of_a_task_makes_no_pass),
        TEST(a_large_plan_goes_in_pieces),
        TEST(new_tasks_of_a_large_plan_go_node_by_node),
        TEST(a_plan_that_lost_a_race_is_made_anew),
        TEST(what_finds_no_room_waits_for_it),
        TEST(a_restart_waits_for_its_time),
        TEST(a_new_driver_finds_everything_as_it_should_be),
        TEST(observed_state_never_falls),
        TEST(a_refused_report_waits_again_unless_a_newer_one_does),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL);
}
