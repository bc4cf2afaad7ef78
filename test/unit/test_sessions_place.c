// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_sessions_place.c — a node's place in the cluster, as its session tells it: manager, gone, silent.
#include "test/lib/check.h"
#include "test/lib/session_host.h"

static bool told_manager(struct host *h, uint64_t link) {
    const struct session_heartbeat_reply *told = host_last(h, link, MESSAGE_SESSION_HEARTBEAT_REPLY);
    return told != NULL && told->is_manager;
}

static void a_node_that_is_to_be_a_manager_is_told_at_once_and_goes_on_with_its_session(void **state) {
    struct host *h = *state;
    host_enter(h, 100, 1);
    host_step(h);
    assert_null(host_last(h, 100, MESSAGE_SESSION_HEARTBEAT_REPLY)); // it is a worker, as it knows
    struct node *node = host_record_of(h, 1);
    node->spec.role = ROLE_MANAGER;
    host_put(h, CHANGE_UPDATE, KIND_NODE, node);
    h->room = 0;
    host_step(h);
    assert_false(told_manager(h, 100));
    h->room = -1;
    sessions_link_writable(h->sessions, 100);
    host_step(h);
    assert_true(told_manager(h, 100));
    assert_int_equal(sessions_count(h->sessions), 1);
    sessions_link_down(h->sessions, 100);
    host_enter(h, 101, 1); // it was started anew meanwhile
    host_step(h);
    assert_true(told_manager(h, 101));
    node->spec.role = ROLE_WORKER;
    host_put(h, CHANGE_UPDATE, KIND_NODE, node);
    host_pass(h, 1000); // its second set rests
    host_step(h);
    assert_false(told_manager(h, 101));
}

static void a_node_that_cannot_run_tasks_says_so_until_it_can(void **state) {
    struct host *h = *state;
    struct id id = store_id(1);
    struct session_describe said;
    schema_init(&session_describe_schema, &said);
    assert_string_equal(sessions_trouble(h->sessions, &id), "");
    said.session_id = host_enter(h, 100, 1);
    uint64_t turns = sessions_turns(h->sessions);
    said.trouble = "no runc";
    host_take(h, 100, 1, MESSAGE_SESSION_DESCRIBE, &said);
    host_take(h, 100, 1, MESSAGE_SESSION_DESCRIBE, &said);
    assert_string_equal(sessions_trouble(h->sessions, &id), "no runc");
    assert_int_equal(sessions_turns(h->sessions), turns + 1);
    said.trouble = "";
    host_take(h, 100, 1, MESSAGE_SESSION_DESCRIBE, &said);
    assert_string_equal(sessions_trouble(h->sessions, &id), "");
    assert_int_equal(sessions_turns(h->sessions), turns + 2);
}

static void silence_of_a_node_without_an_agent_is_forgotten(void **state) {
    struct host *h = *state;
    struct id id = store_id(1);
    uint64_t turns = sessions_turns(h->sessions);
    host_enter(h, 100, 1);
    assert_int_equal(sessions_turns(h->sessions), ++turns);
    sessions_release(h->sessions, &id); // it has a session
    assert_int_equal(host_presence(h, 1), SESSION_HEARD);
    sessions_link_down(h->sessions, 100);
    host_pass(h, 15000);
    assert_int_equal(host_presence(h, 1), SESSION_DOWN);
    assert_int_equal(sessions_turns(h->sessions), ++turns);
    sessions_release(h->sessions, &id);
    assert_int_equal(host_presence(h, 1), SESSION_AWAITED);
}

static void who_leaves_is_down_at_once_and_told_when_that_is_stored(void **state) {
    struct host *h = *state;
    struct session_leave leave;
    struct session_describe described;
    schema_init(&session_leave_schema, &leave);
    schema_init(&session_describe_schema, &described);
    leave.session_id = described.session_id = host_enter(h, 100, 1);
    host_step(h);
    described.description.hostname = "host2";
    host_take(h, 100, 1, MESSAGE_SESSION_DESCRIBE, &described);
    host_take(h, 100, 1, MESSAGE_SESSION_LEAVE, &leave);
    described.description.hostname = "host3"; // of no consequence
    host_take(h, 100, 1, MESSAGE_SESSION_DESCRIBE, &described);
    struct transaction transaction;
    host_compose(h, &transaction);
    assert_null(host_last(h, 100, MESSAGE_SESSION_END));
    sessions_refused(h->sessions);
    host_settle(h);
    const struct session_end *end = host_last(h, 100, MESSAGE_SESSION_END);
    assert_true(end != NULL && end->is_removed);
    assert_true(host_is_closed(h, 100));
    const struct node *record = host_record_of(h, 1);
    assert_true(record->status.left);
    assert_int_equal(record->status.state, NODE_DOWN);
    assert_string_equal(record->status.message, "it left the swarm");
    host_enter(h, 101, 1); // it has not forgotten its certificate
    host_step(h);
    end = host_last(h, 101, MESSAGE_SESSION_END);
    assert_true(end != NULL && end->is_removed);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, host_setup, host_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_node_that_is_to_be_a_manager_is_told_at_once_and_goes_on_with_its_session),
        TEST(a_node_that_cannot_run_tasks_says_so_until_it_can),
        TEST(silence_of_a_node_without_an_agent_is_forgotten),
        TEST(who_leaves_is_down_at_once_and_told_when_that_is_stored),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL);
}
