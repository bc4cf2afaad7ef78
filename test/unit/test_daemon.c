// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_daemon.c — a real musterd with the fake executor, asked over its socket.
#include "test/lib/check.h"
#include "test/lib/daemon_fixture.h"

#include <signal.h>
#include <string.h>

#define WEB "kind: service\nname: web\nimage: busybox\n"
#define SCALED(n) WEB "deploy:\n  replicas: " #n "\n"

static int setup(void **state) {
    struct daemon_fixture *f = test_malloc(sizeof *f);
    daemon_begin(f, "fake");
    assert_int_equal(daemon_init(f), 0);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    daemon_end(*state);
    test_free(*state);
    return 0;
}

static void before_init_everything_says_how_to_begin(void **state) {
    struct daemon_fixture f;
    struct object_list list;
    (void)state;
    daemon_begin(&f, "fake");
    assert_int_equal(daemon_list(&f, KIND_SERVICE, NULL, &list), -ERR_UNREACHABLE);
    assert_non_null(strstr(f.err.root, "muster swarm init"));
    assert_int_equal(daemon_apply(&f, WEB, NULL), -ERR_UNREACHABLE);
    assert_false(daemon_info(&f)->is_initialized);
    assert_int_equal(daemon_init(&f), 0);
    assert_true(daemon_info(&f)->is_initialized);
    assert_int_equal(daemon_init(&f), -ERR_CONFLICT);
    assert_non_null(strstr(f.err.root, "This node is already part of a swarm."));
    assert_int_equal(daemon_list(&f, KIND_NODE, NULL, &list), 0);
    assert_int_equal(list.count, 1);
    const struct node *node = list.items[0];
    assert_string_equal(node->spec.name, "n1");
    assert_int_equal(node->status.state, NODE_READY);
    assert_true(node->manager != NULL && node->manager->leader);
    assert_string_equal(node->manager->address, "127.0.0.1:2377");
    daemon_end(&f);
}

static void a_service_runs_scales_and_goes(void **state) {
    struct daemon_fixture *f = *state;
    struct applied *applied;
    assert_int_equal(daemon_apply(f, SCALED(3), &applied), 0);
    assert_int_equal(applied->results.items[0].action, ACTION_CREATED);
    daemon_wait_count(f, "web", TASK_RUNNING, 3);
    assert_int_equal(daemon_apply(f, SCALED(5), &applied), 0);
    assert_int_equal(applied->results.items[0].action, ACTION_UPDATED);
    daemon_wait_count(f, "web", TASK_RUNNING, 5);
    assert_int_equal(daemon_apply(f, SCALED(1), &applied), 0);
    daemon_wait_count(f, "web", TASK_RUNNING, 1);
    assert_int_equal(daemon_remove(f, KIND_SERVICE, "web", &applied), 0);
    assert_int_equal(applied->results.items[0].action, ACTION_REMOVED);
    daemon_wait_count(f, "web", TASK_RUNNING, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(before_init_everything_says_how_to_begin),
        cmocka_unit_test_setup_teardown(a_service_runs_scales_and_goes, setup, teardown),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL);
}
