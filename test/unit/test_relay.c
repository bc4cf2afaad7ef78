// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_relay.c — a manager takes the link of a stream from the node that it asked, over TLS, and
// from nobody else; and a stream of a node to itself.
//
// The manager is side 0 (test/lib/sides.h), with a daemon that has links and nothing else; nodes are links
// that the test dials with certificates of its choice.
#include "test/lib/check.h"
#include "test/lib/sides.h"

#include <stdio.h>
#include <string.h>

#include "reconciler/daemon/daemon.h"
#include "reconciler/daemon/relay_parts.h"

static struct daemon manager;

// What the node heard over its links; the last one's.
static struct {
    unsigned ups, downs;
    uint64_t link;
    unsigned begins, inputs;
    int64_t kind, credit;
    char request[40];
    bool is_last;
} node;

// What came of the stream at the manager.
static struct {
    unsigned opens, frames, ends;
    size_t bytes;
    int64_t number;
    enum error_code code;
    bool keeps;
} stream;
static struct relay_end *asked;

static void on_connected(void *context, uint64_t link) {
    (void)context;
    node.ups++;
    node.link = link;
}

static void on_message(void *context, uint64_t link, uint16_t number, struct bytes body) {
    AUTO_ARENA arena = arena_make(0);
    struct relay_begin begin;
    struct relay_frame frame;
    (void)context;
    node.link = link;
    if (number == MESSAGE_RELAY_BEGIN) {
        assert_int_equal(wire_decode(&relay_begin_schema, body, &begin, &arena, NULL), 0);
        node.begins++;
        node.kind = begin.kind;
        node.credit = begin.credit;
        snprintf(node.request, sizeof node.request, "%.*s", (int)begin.request.len,
                 (const char *)begin.request.data);
    } else if (number == MESSAGE_RELAY_INPUT) {
        assert_int_equal(wire_decode(&relay_frame_schema, body, &frame, &arena, NULL), 0);
        node.inputs++;
        node.credit += frame.credit;
        node.is_last |= frame.is_last;
    }
}

static void on_down(void *context, uint64_t link, const char *reason) {
    (void)context;
    (void)reason;
    node.downs++;
    node.link = link;
}

static void on_open(void *context) {
    (void)context;
    stream.opens++;
}

static void on_frame(void *context, int64_t number, struct bytes data) {
    (void)context;
    stream.frames++;
    stream.bytes += data.len;
    stream.number = number;
    if (!stream.keeps) {
        relay_consumed(asked, data.len);
    }
}

static void on_end(void *context, const struct error *err) {
    (void)context;
    stream.ends++;
    stream.code = err != NULL ? err->code : ERR_NONE;
}

static const struct relay_events events = {.on_open = on_open, .on_frame = on_frame, .on_end = on_end};

static bool takes(uint64_t link, const struct id *node_id, uint16_t number, struct bytes body) {
    return relay_on_agent(&manager, link, node_id, number, body);
}

static bool takes_down(uint64_t link) {
    return relay_on_agent_down(&manager, link);
}

static int begin(void **state) {
    static const struct agent_links_options options = {{on_connected, on_message, on_down, NULL, NULL}};
    int rc = sides_begin_secure(state);
    memset(&node, 0, sizeof node);
    memset(&stream, 0, sizeof stream);
    manager = (struct daemon){.node_id = sides_nodes[0], .now = {.mono_ms = 1000}};
    manager.group.peers = sides[0].peers;
    sides[0].agent.takes = takes;
    sides[0].agent.takes_down = takes_down;
    return rc != 0 ? rc : agent_links_open(&options, &sides_agents, NULL);
}

static int end(void **state) {
    relay_free(&manager);
    agent_links_close(sides_agents);
    sides_agents = NULL;
    return sides_end(state);
}

static struct id ask(void) {
    const struct relay_order order = {
        .node_id = sides[1].shown.node_id, .kind = RELAY_EXEC, .request = {(const uint8_t *)"sh", 2}};
    assert_int_equal(relay_open(&manager, &order, &events, NULL, &asked, NULL), 0);
    return asked->stream_id;
}

// With the certificate of side 1.
static uint64_t connect(void) {
    char address[32];
    uint64_t link = 0;
    unsigned ups = node.ups;
    struct tls *tls = side_tls(&sides[1]);
    snprintf(address, sizeof address, "127.0.0.1:%d", sides[0].port);
    struct agent_dial dial = {address, tls, sides_cluster};
    assert_int_equal(agent_links_dial(sides_agents, &dial, &link, NULL), 0);
    tls_free(tls);
    AWAIT(node.ups == ups + 1);
    return link;
}

static void say(uint64_t link, uint16_t number, const void *payload) {
    AUTO_BUF body = {0};
    wire_encode(message_row(number)->payload, payload, &body);
    assert_true(agent_links_send(sides_agents, link, number, buf_bytes(&body)));
}

static void say_hello(uint64_t link, struct id stream_id) {
    struct relay_hello hello;
    schema_init(&relay_hello_schema, &hello);
    hello.stream_id = stream_id;
    hello.credit = 1000;
    say(link, MESSAGE_RELAY_HELLO, &hello);
}

static void say_frame(uint64_t link, size_t bytes, bool is_last, const char *code) {
    static const uint8_t data[RELAY_DATA_BYTES_MAX];
    struct relay_frame frame;
    schema_init(&relay_frame_schema, &frame);
    frame.number = bytes > 0 ? 9 : 0;
    frame.data = (struct bytes){data, bytes};
    frame.is_last = is_last;
    frame.code = code;
    say(link, MESSAGE_RELAY_ANSWER, &frame);
}

static uint64_t open_stream(void) {
    struct id stream_id = ask();
    uint64_t link = connect();
    say_hello(link, stream_id);
    AWAIT(node.begins == 1);
    return link;
}

static void the_node_that_was_asked_brings_the_link_and_is_told_what_is_wanted(void **state) {
    (void)state;
    uint64_t link = open_stream();
    assert_int_equal(stream.opens, 1);
    assert_int_equal(node.kind, RELAY_EXEC);
    assert_string_equal(node.request, "sh");
    assert_int_equal(node.credit, RELAY_WINDOW_BYTES);
    say_frame(link, 100, false, "");
    AWAIT(stream.bytes == 100);
    assert_int_equal(stream.number, 9);
    assert_true(relay_send(asked, 3, (struct bytes){(const uint8_t *)"x", 1}));
    AWAIT(node.inputs == 1);
    say_frame(link, 0, true, "NOT_FOUND");
    AWAIT(stream.ends == 1);
    assert_int_equal(stream.code, ERR_NOT_FOUND);
    AWAIT(node.downs == 1); // the manager hangs up
}

static void another_node_cannot_bring_it_though_it_knows_its_name(void **state) {
    (void)state;
    struct id stream_id = ask();
    struct id own = sides[1].shown.node_id;
    sides[1].shown.node_id = sides_nodes[2];
    uint64_t link = connect();
    say_hello(link, stream_id);
    AWAIT(node.downs == 1);
    assert_int_equal(stream.opens + stream.ends + node.begins, 0);
    sides[1].shown.node_id = own; // and who may, still can
    say_hello(connect(), stream_id);
    AWAIT(stream.opens == 1);
}

static void a_stream_that_nobody_asked_for_is_hung_up_on(void **state) {
    (void)state;
    struct id stream_id = ask();
    say_hello(connect(), id_random());
    AWAIT(node.downs == 1);
    say_frame(connect(), 10, false, ""); // without hello
    AWAIT(node.downs == 2);
    struct relay_hello empty;
    schema_init(&relay_hello_schema, &empty);
    say(connect(), MESSAGE_RELAY_HELLO, &empty);
    AWAIT(node.downs == 3);
    assert_int_equal(stream.opens + stream.frames + stream.ends, 0);
    say_hello(connect(), stream_id);
    AWAIT(stream.opens == 1);
}

static void a_second_link_for_a_stream_is_hung_up_on(void **state) {
    (void)state;
    uint64_t first = open_stream();
    say_hello(connect(), asked->stream_id);
    AWAIT(node.downs == 1);
    assert_int_not_equal(node.link, first);
    say_frame(first, 10, false, "");
    AWAIT(stream.bytes == 10);
}

static void who_asks_for_a_session_over_it_is_cut_off(void **state) {
    (void)state;
    uint64_t link = open_stream();
    assert_true(agent_links_send(sides_agents, link, MESSAGE_SESSION_REGISTER, (struct bytes){0}));
    AWAIT(stream.ends == 1);
    AWAIT(node.downs == 1);
    assert_int_equal(sides[0].agent.messages, 0); // nobody else heard it
}

static void a_link_that_is_cut_ends_it(void **state) {
    (void)state;
    uint64_t link = open_stream();
    agent_links_hang_up(sides_agents, link);
    AWAIT(stream.ends == 1);
    assert_int_equal(stream.code, ERR_UNREACHABLE);
}

static void who_says_more_than_the_window_is_cut_off(void **state) {
    (void)state;
    uint64_t link = open_stream();
    stream.keeps = true;
    for (int i = 0; i < 5; i++) {
        say_frame(link, RELAY_DATA_BYTES_MAX, false, "");
    }
    AWAIT(stream.ends == 1);
    assert_int_equal(stream.code, ERR_INVALID);
    assert_true(stream.bytes <= RELAY_WINDOW_BYTES + RELAY_DATA_BYTES_MAX);
}

static void a_client_that_goes_closes_it(void **state) {
    (void)state;
    (void)open_stream();
    relay_close(asked, /*err=*/NULL);
    AWAIT(node.is_last);
    AWAIT(node.downs == 1);
    assert_int_equal(stream.ends, 0);
}

static void who_refuses_for_good_ends_it_and_who_may_yet_come_does_not(void **state) {
    (void)state;
    struct id stream_id = ask();
    struct relay_forward_refused refused;
    AUTO_BUF busy = {0};
    AUTO_BUF old = {0};
    AUTO_BUF other = {0};
    schema_init(&relay_forward_refused_schema, &refused);
    refused.stream_id = stream_id;
    refused.node_id = sides[1].shown.node_id;
    refused.code = "BUSY";
    refused.text = "there is no room";
    wire_encode(&relay_forward_refused_schema, &refused, &busy);
    relay_on_manager(&manager, 2, MESSAGE_RELAY_FORWARD_REFUSED, buf_bytes(&busy));
    assert_int_equal(stream.ends, 0);
    assert_string_equal(asked->trouble, "there is no room");
    refused.code = "UNSUPPORTED";
    refused.node_id = sides_nodes[2]; // it is not asked
    wire_encode(&relay_forward_refused_schema, &refused, &other);
    relay_on_manager(&manager, 2, MESSAGE_RELAY_FORWARD_REFUSED, buf_bytes(&other));
    assert_int_equal(stream.ends, 0);
    refused.node_id = sides[1].shown.node_id;
    wire_encode(&relay_forward_refused_schema, &refused, &old);
    relay_on_manager(&manager, 2, MESSAGE_RELAY_FORWARD_REFUSED, buf_bytes(&old));
    assert_int_equal(stream.ends, 1);
    assert_int_equal(stream.code, ERR_UNSUPPORTED);
}

static void of_a_node_to_itself_a_kind_that_it_does_not_know_is_refused(void **state) {
    (void)state;
    const struct relay_order order = {.node_id = sides_nodes[0], .kind = (enum relay_kind)900};
    assert_int_equal(relay_open(&manager, &order, &events, NULL, &asked, NULL), 0);
    assert_int_equal(stream.opens, 0); // not from within
    for (int i = 0; i < 3; i++) {
        relay_step(&manager);
    }
    assert_int_equal(stream.opens, 1);
    assert_int_equal(stream.ends, 1);
    assert_int_equal(stream.code, ERR_UNSUPPORTED);
    assert_int_equal(manager.relay.asked_count + manager.relay.answered_count, 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(the_node_that_was_asked_brings_the_link_and_is_told_what_is_wanted, begin,
                                    end),
    cmocka_unit_test_setup_teardown(another_node_cannot_bring_it_though_it_knows_its_name, begin, end),
    cmocka_unit_test_setup_teardown(a_stream_that_nobody_asked_for_is_hung_up_on, begin, end),
    cmocka_unit_test_setup_teardown(a_second_link_for_a_stream_is_hung_up_on, begin, end),
    cmocka_unit_test_setup_teardown(who_asks_for_a_session_over_it_is_cut_off, begin, end),
    cmocka_unit_test_setup_teardown(a_link_that_is_cut_ends_it, begin, end),
    cmocka_unit_test_setup_teardown(who_says_more_than_the_window_is_cut_off, begin, end),
    cmocka_unit_test_setup_teardown(a_client_that_goes_closes_it, begin, end),
    cmocka_unit_test_setup_teardown(who_refuses_for_good_ends_it_and_who_may_yet_come_does_not, begin, end),
    cmocka_unit_test_setup_teardown(of_a_node_to_itself_a_kind_that_it_does_not_know_is_refused, begin, end),
};
CHECK_MAIN(tests)
