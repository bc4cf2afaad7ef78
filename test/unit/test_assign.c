// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_assign.c — the set of a node: complete at first, then what changed, with the right specs.
#include "test/lib/check.h"
#include "test/lib/store_fixture.h"

#include <string.h>

#include "reconciler/dispatch/assign.h"
#include "specs/cluster.h"
#include "specs/node.h"

struct dispatched {
    struct store_fixture store;
    struct assign assign;
    struct assign_step step;
    size_t without_spec;
};

static struct store_object encode(struct dispatched *d, enum object_kind kind, const void *object) {
    AUTO_BUF bytes = {0};
    wire_encode(object_schema(kind), object, &bytes);
    return (struct store_object){
        kind, object_meta_const(object)->id, {arena_copy(&d->store.arena, bytes.data, bytes.len), bytes.len}};
}

static void put(struct dispatched *d, enum change_op op, enum object_kind kind, const void *object) {
    assert_int_equal(store_try(&d->store, op, encode(d, kind, object), 0).code, 0);
}

static void put_service(struct dispatched *d, enum change_op op, int64_t revision, const char *image) {
    struct service service;
    struct revision kept;
    schema_init(&service_schema, &service);
    service.meta.id = store_id(10);
    service.meta.name = service.spec.name = "web";
    service.spec.image = image;
    service.revision = revision;
    put(d, op, KIND_SERVICE, &service);
    schema_init(&revision_schema, &kept);
    kept.meta.id = store_id(100 + (unsigned)revision);
    kept.meta.name = arena_printf(&d->store.arena, "%s/%lld", service.meta.id.text, (long long)revision);
    kept.service_id = service.meta.id;
    kept.revision = revision;
    kept.spec = service.spec;
    put(d, CHANGE_CREATE, KIND_REVISION, &kept);
}

static struct task new_task(unsigned number, unsigned node, int64_t state) {
    struct task task;
    schema_init(&task_schema, &task);
    task.meta.id = store_id(number);
    task.service_id = store_id(10);
    task.node_id = node != 0 ? store_id(node) : (struct id){{0}};
    task.slot = number;
    task.revision = 1;
    task.desired = TASK_RUNNING;
    task.status.state = state;
    return task;
}

static void next(struct dispatched *d) {
    struct store_read *read = store_begin_read(&d->store);
    struct error err = {0};
    assert_int_equal(assign_next(&d->assign, read, &d->store.arena, &d->step, &d->without_spec, &err), 0);
    for (size_t i = 0; i < d->step.changed.count; i++) { // outlives the read
        d->step.changed.items[i] =
            *(struct assignment *)schema_copy(&assignment_schema, &d->step.changed.items[i], &d->store.arena);
    }
    store_read_end(read);
}

static void begin(struct dispatched *d, const struct store_options *options) {
    store_fixture_begin(&d->store, options);
    d->assign.node_id = store_id(1);
    struct cluster cluster;
    schema_init(&cluster_schema, &cluster);
    cluster.meta.id = store_id(5);
    cluster.meta.name = "default";
    const char *registry = "reg:5000";
    cluster.spec.insecure_registries.count = 1;
    cluster.spec.insecure_registries.items = &registry;
    put(d, CHANGE_CREATE, KIND_CLUSTER, &cluster);
    struct node node;
    schema_init(&node_schema, &node);
    node.meta.id = store_id(1);
    node.meta.name = "n1";
    node.description.hostname = "host1";
    put(d, CHANGE_CREATE, KIND_NODE, &node);
    put_service(d, CHANGE_CREATE, 1, "busybox:1");
}

static int setup(void **state) {
    struct dispatched *d = test_calloc(1, sizeof *d);
    begin(d, NULL);
    *state = d;
    return 0;
}

static int teardown(void **state) {
    struct dispatched *d = *state;
    store_fixture_end(&d->store);
    test_free(d);
    return 0;
}

static void the_first_step_is_the_complete_set(void **state) {
    struct dispatched *d = *state;
    struct task tasks[] = {new_task(20, 1, TASK_ASSIGNED), new_task(21, 1, TASK_FAILED),
                           new_task(22, 2, TASK_RUNNING), new_task(23, 0, TASK_PENDING),
                           new_task(24, 1, TASK_PENDING)};
    for (size_t i = 0; i < 5; i++) {
        put(d, CHANGE_CREATE, KIND_TASK, &tasks[i]);
    }
    next(d);
    assert_true(d->step.is_complete);
    assert_int_equal(d->step.changed.count, 2); // its own that were assigned, ended ones too
    const struct assignment *first = &d->step.changed.items[0];
    assert_string_equal(first->spec.image, "busybox:1");
    assert_string_equal(first->service_name, "web");
    assert_string_equal(first->node_hostname, "host1");
    assert_string_equal(first->insecure_registries.items[0], "reg:5000");
    next(d);
    assert_false(d->step.is_complete);
    assert_int_equal(d->step.changed.count + d->step.removed.count, 0);
}

static void increments_hold_what_managers_changed(void **state) {
    struct dispatched *d = *state;
    struct task task = new_task(20, 0, TASK_PENDING);
    next(d);
    put(d, CHANGE_CREATE, KIND_TASK, &task);
    next(d);
    assert_int_equal(d->step.changed.count, 0);
    task.node_id = store_id(1);
    task.status.state = TASK_ASSIGNED;
    put(d, CHANGE_UPDATE, KIND_TASK, &task);
    next(d);
    assert_int_equal(d->step.changed.count, 1);
    task.status.state = TASK_RUNNING; // what the node said itself
    put(d, CHANGE_UPDATE, KIND_TASK, &task);
    next(d);
    assert_int_equal(d->step.changed.count, 0);
    task.desired = TASK_SHUTDOWN;
    put(d, CHANGE_UPDATE, KIND_TASK, &task);
    task.status.state = TASK_SHUTDOWN;
    put(d, CHANGE_UPDATE, KIND_TASK, &task);
    next(d);
    assert_int_equal(d->step.changed.count, 1);
    assert_int_equal(d->step.changed.items[0].task.status.state, TASK_SHUTDOWN); // the newest
    put(d, CHANGE_DELETE, KIND_TASK, &task);
    next(d);
    assert_int_equal(d->step.changed.count, 0);
    assert_int_equal(d->step.removed.count, 1);
    assert_true(id_equal(&d->step.removed.items[0], &task.meta.id));
}

static void a_task_gets_the_spec_of_its_revision(void **state) {
    struct dispatched *d = *state;
    struct task old = new_task(20, 1, TASK_ASSIGNED), new = new_task(21, 1, TASK_ASSIGNED),
                lost = new_task(22, 1, TASK_ASSIGNED);
    put_service(d, CHANGE_UPDATE, 2, "busybox:2");
    new.revision = 2;
    lost.revision = 7;
    put(d, CHANGE_CREATE, KIND_TASK, &old);
    put(d, CHANGE_CREATE, KIND_TASK, &new);
    put(d, CHANGE_CREATE, KIND_TASK, &lost);
    next(d);
    assert_int_equal(d->step.changed.count, 2);
    assert_int_equal(d->without_spec, 1);
    for (size_t i = 0; i < 2; i++) {
        const struct assignment *at = &d->step.changed.items[i];
        assert_string_equal(at->spec.image, at->task.revision == 1 ? "busybox:1" : "busybox:2");
    }
}

static void resources_of_a_task_are_in_its_environment(void **state) {
    struct dispatched *d = *state;
    struct task task = new_task(20, 1, TASK_ASSIGNED);
    assert_int_equal(generic_add(&task.generic_resources, "nvidia-gpu=u1,u2", &d->store.arena, NULL), 0);
    assert_int_equal(generic_add(&task.generic_resources, "ssd=3", &d->store.arena, NULL), 0);
    put(d, CHANGE_CREATE, KIND_TASK, &task);
    next(d);
    const struct pairs *environment = &d->step.changed.items[0].spec.environment;
    assert_string_equal(pairs_get(environment, "DOCKER_RESOURCE_NVIDIA-GPU"), "u1,u2");
    assert_string_equal(pairs_get(environment, "MUSTER_RESOURCE_NVIDIA_GPU"), "u1,u2");
    assert_string_equal(pairs_get(environment, "DOCKER_RESOURCE_SSD"), "3");
    assert_int_equal(environment->count, 4);
}

static void a_gap_in_the_history_makes_it_complete_again(void **state) {
    struct dispatched *d = *state;
    store_fixture_end(&d->store);
    d->assign = (struct assign){0};
    begin(d, &(struct store_options){.history_bytes = 1, .reserve_bytes = -1});
    next(d);
    for (unsigned number = 20; number < 30; number++) {
        struct task task = new_task(number, 1, TASK_ASSIGNED);
        put(d, CHANGE_CREATE, KIND_TASK, &task);
    }
    next(d);
    assert_true(d->step.is_complete);
    assert_int_equal(d->step.changed.count, 10);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(the_first_step_is_the_complete_set),
        TEST(increments_hold_what_managers_changed),
        TEST(a_task_gets_the_spec_of_its_revision),
        TEST(resources_of_a_task_are_in_its_environment),
        TEST(a_gap_in_the_history_makes_it_complete_again),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL);
}
