// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_transport_agent_links.c — agents and a manager in one process, over TLS on loopback: who is
// let in, what each may say, what happens when there is no room, and how links end.
//
// Time is the test's (test/lib/sides.h). The manager is side 0.
#include "test/lib/check.h"
#include "test/lib/sides.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "transport/agent_links.h"

static const struct bytes no_bytes = {(const uint8_t *)"", 0};

// What the agents heard; the last one's.
static struct {
    unsigned ups, downs, messages;
    uint64_t link;
    uint16_t number;
    size_t len;
    char reason[ERROR_ROOT_BYTES];
} heard;

static void on_connected(void *context, uint64_t link) {
    (void)context;
    heard.ups++;
    heard.link = link;
}

static void on_message(void *context, uint64_t link, uint16_t number, struct bytes body) {
    (void)context;
    heard.messages++;
    heard.link = link;
    heard.number = number;
    heard.len = body.len;
}

static void on_down(void *context, uint64_t link, const char *reason) {
    (void)context;
    heard.downs++;
    heard.link = link;
    snprintf(heard.reason, sizeof heard.reason, "%s", reason);
}

static int begin(void **state) {
    int rc = sides_begin_secure(state);
    memset(&heard, 0, sizeof heard);
    struct agent_links_options options = {{on_connected, on_message, on_down, NULL}};
    return rc != 0 ? rc : agent_links_open(&options, &sides_agents, NULL);
}

static int end(void **state) {
    agent_links_close(sides_agents);
    sides_agents = NULL;
    return sides_end(state);
}

// A node's agent: its certificate is as `shown` of side 1 says.
static uint64_t dial_as(const struct side *as, struct id cluster_id) {
    char address[32];
    uint64_t link = 0;
    struct tls *tls = side_tls(as);
    snprintf(address, sizeof address, "127.0.0.1:%d", sides[0].port);
    struct agent_dial dial = {address, tls, cluster_id};
    assert_int_equal(agent_links_dial(sides_agents, &dial, &link, NULL), 0);
    tls_free(tls);
    return link;
}

static uint64_t dial(void) {
    return dial_as(&sides[1], sides_cluster);
}

static uint64_t connect_agent(void) {
    unsigned ups = heard.ups;
    uint64_t link = dial();
    AWAIT(heard.ups == ups + 1);
    assert_int_equal(heard.link, link);
    return link;
}

#define EXPECT_REFUSED(words)                                                                                \
    do {                                                                                                     \
        AWAIT(heard.downs == 1);                                                                             \
        assert_non_null(strstr(heard.reason, words));                                                        \
        assert_int_equal(heard.ups, 0);                                                                      \
        assert_int_equal(peers_agent_count(sides[0].peers), 0);                                              \
        assert_int_equal(sides[0].agent.messages + sides[0].agent.downs, 0);                                 \
    } while (0)

// --- who is let in ---

static void an_agent_is_known_by_its_certificate(void **state) {
    (void)state;
    static const enum node_role roles[] = {ROLE_WORKER, ROLE_MANAGER};
    sides[0].agent.answers = true;
    for (unsigned i = 0; i < 2; i++) {
        sides[1].shown.role = roles[i];
        sides[1].shown.node_id = id_random();
        uint64_t link = connect_agent();
        assert_true(agent_links_send(sides_agents, link, MESSAGE_SESSION_HEARTBEAT,
                                     (struct bytes){(const uint8_t *)"abc", 3}));
        AWAIT(heard.messages == i + 1);
        assert_int_equal(heard.link, link);
        assert_int_equal(heard.number, MESSAGE_SESSION_HEARTBEAT_REPLY);
        assert_int_equal(heard.len, 3);
        assert_int_equal(sides[0].agent.messages, i + 1);
        assert_int_equal(sides[0].agent.number, MESSAGE_SESSION_HEARTBEAT);
        assert_string_equal(sides[0].agent.node_id.text, sides[1].shown.node_id.text);
        assert_int_equal(peers_agent_count(sides[0].peers), i + 1);
    }
    assert_int_equal(heard.downs + sides[0].agent.downs, 0);
}

static void one_without_a_certificate_is_refused(void **state) {
    (void)state;
    sides[1].shown.is_joiner = true;
    (void)dial();
    EXPECT_REFUSED("no certificate");
}

static void one_of_another_cluster_is_refused(void **state) {
    (void)state;
    (void)dial_as(&sides[1], id_random());
    EXPECT_REFUSED("of cluster");
}

static void one_that_was_removed_is_refused(void **state) {
    (void)state;
    sides[0].blocked = sides[1].shown.node_id;
    (void)dial();
    EXPECT_REFUSED("was removed");
}

static void one_that_has_expired_is_refused(void **state) {
    (void)state;
    sides[1].shown.age_ms = 3 * DAY_MS;
    (void)dial();
    EXPECT_REFUSED("out of date");
}

static void a_worker_is_not_called(void **state) {
    (void)state;
    side_close(&sides[0]);
    sides[0].shown.role = ROLE_WORKER;
    side_open(&sides[0]);
    (void)dial();
    EXPECT_REFUSED("worker");
}

static void nobody_there_is_told(void **state) {
    (void)state;
    uint64_t link = 0;
    struct error err = {0};
    struct tls *tls = side_tls(&sides[1]);
    assert_int_equal(
        agent_links_dial(sides_agents, &(struct agent_dial){"nowhere", tls, sides_cluster}, &link, &err),
        -ERR_INVALID);
    tls_free(tls);
    side_close(&sides[0]);
    (void)dial();
    AWAIT(heard.downs == 1);
    side_open(&sides[0]);
}

// --- how links end ---

static void who_hangs_up_hears_nothing_more(void **state) {
    (void)state;
    uint64_t link = connect_agent();
    agent_links_hang_up(sides_agents, link);
    agent_links_hang_up(sides_agents, link);
    assert_false(agent_links_send(sides_agents, link, MESSAGE_SESSION_HEARTBEAT, no_bytes));
    AWAIT(sides[0].agent.downs == 1);
    assert_int_equal(peers_agent_count(sides[0].peers), 0);
    agent_links_hang_up(sides_agents, dial()); // before it is there
    sides_live(500);
    assert_int_equal(heard.downs, 0);
    assert_int_equal(heard.ups, 1);
}

static void what_is_queued_when_the_manager_closes_arrives(void **state) {
    (void)state;
    static const uint8_t body[4000];
    uint64_t at_agent = connect_agent();
    assert_true(agent_links_send(sides_agents, at_agent, MESSAGE_SESSION_HEARTBEAT, no_bytes));
    AWAIT(sides[0].agent.messages == 1);
    uint64_t link = sides[0].agent.link;
    assert_true(
        peers_agent_send(sides[0].peers, link, MESSAGE_SESSION_END, (struct bytes){body, sizeof body}));
    peers_agent_close(sides[0].peers, link);
    assert_false(peers_agent_send(sides[0].peers, link, MESSAGE_SESSION_END, no_bytes));
    assert_int_equal(peers_agent_count(sides[0].peers), 0);
    AWAIT(heard.messages == 1);
    assert_int_equal(heard.len, sizeof body);
    AWAIT(heard.downs == 1);
    assert_int_equal(sides[0].agent.downs, 0);
}

static void a_cut_ends_all_links_of_a_node_at_once(void **state) {
    (void)state;
    (void)connect_agent();
    (void)connect_agent(); // two of one node are no matter
    struct side other = sides[2];
    (void)dial_as(&other, sides_cluster);
    AWAIT(heard.ups == 3);
    sides_connect(2); // as a member, too
    sides_are_frozen = true;
    sides[0].blocked = sides[1].shown.node_id;
    peers_cut(sides[0].peers, &sides[1].shown.node_id, "removed");
    AWAIT(heard.downs == 2 && sides[0].agent.downs == 2 && sides[1].downs == 1);
    assert_int_equal(peers_agent_count(sides[0].peers), 1);
    sides_are_frozen = false;
    AWAIT(sides[1].refusals == 1);
    assert_int_equal(sides[1].refused, ERR_DENIED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
static const struct CMUnitTest tests[] = {
    TEST(an_agent_is_known_by_its_certificate),
    TEST(one_without_a_certificate_is_refused),
    TEST(one_of_another_cluster_is_refused),
    TEST(one_that_was_removed_is_refused),
    TEST(one_that_has_expired_is_refused),
    TEST(a_worker_is_not_called),
    TEST(nobody_there_is_told),
    TEST(who_hangs_up_hears_nothing_more),
    TEST(what_is_queued_when_the_manager_closes_arrives),
    TEST(a_cut_ends_all_links_of_a_node_at_once),
};
CHECK_MAIN(tests)
