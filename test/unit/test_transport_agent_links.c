// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_transport_agent_links.c — agents and a manager in one process, over TLS on loopback: who is
// let in, what each may say, what happens when there is no room, and how links end.
//
// Time is the test's (test/lib/sides.h). The manager is side 0.
#include "test/lib/caller.h"
#include "test/lib/check.h"
#include "test/lib/peer.h"
#include "test/lib/sides.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/mem.h"
#include "transport/agent_links.h"

static const struct bytes no_bytes = {(const uint8_t *)"", 0};

// What the agents heard; the last one's.
static struct {
    unsigned ups, downs, messages;
    uint64_t link;
    uint16_t number;
    size_t len;
    char reason[ERROR_ROOT_BYTES];
    enum error_code refused;
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

static void on_refused(void *context, uint64_t link, enum error_code code) {
    (void)context;
    (void)link;
    heard.refused = code;
}

static int begin(void **state) {
    int rc = sides_begin_secure(state);
    memset(&heard, 0, sizeof heard);
    struct agent_links_options options = {{on_connected, on_message, on_down, on_refused, NULL}};
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
    assert_int_equal(heard.refused, ERR_DENIED);
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
    char address[32];
    uint64_t number;
    snprintf(address, sizeof address, "127.0.0.1:%d", sides[0].port);
    assert_int_equal(peers_ask(sides[1].peers, address, MESSAGE_RENEW, no_bytes, 10000, &number, NULL), 0);
    AWAIT(sides[1].answers == 1); // it may ask what it is
    assert_int_equal(sides[1].answer_code, ERR_NONE);
}

// --- by hand: what no sound agent says ---

static struct agent_hello good_hello(void) {
    struct agent_hello hello;
    schema_init(&agent_hello_schema, &hello);
    hello.version_min = PROTOCOL_VERSION_MIN;
    hello.version_max = PROTOCOL_VERSION;
    hello.cluster_id = sides_cluster;
    return hello;
}

static struct caller agent_by_hand(void) {
    struct caller caller = caller_connect(&sides[1]);
    struct agent_hello hello = good_hello();
    caller_say_payload(&caller, MESSAGE_AGENT_HELLO, &hello);
    assert_int_equal(caller_first(&caller), MESSAGE_AGENT_WELCOME);
    return caller;
}

static void say_nothing_as(struct caller *caller, uint16_t number) {
    caller_say(caller, &(struct frame_header){.number = number}, no_bytes);
}

static void expect_failure(struct caller *caller, enum error_code code, const char *words) {
    AUTO_ARENA arena = {0};
    struct agent_failure failure;
    struct bytes body = {0};
    assert_int_equal(caller_last(caller, &body), MESSAGE_AGENT_FAILURE);
    assert_int_equal(wire_decode(&agent_failure_schema, body, &failure, &arena, NULL), 0);
    assert_string_equal(failure.code, error_code_name((int)code));
    assert_non_null(strstr(failure.text, words));
    caller_free(caller);
}

static void versions_have_to_overlap(void **state) {
    (void)state;
    static const struct {
        int64_t version_min, version_max;
        bool is_good;
    } ranges[] = {{0, PROTOCOL_VERSION_MIN - 1, false},
                  {PROTOCOL_VERSION + 1, PROTOCOL_VERSION + 9, false},
                  {0, PROTOCOL_VERSION + 9, true}};
    for (unsigned i = 0; i < 3; i++) {
        struct caller caller = caller_connect(&sides[1]);
        struct agent_hello hello = good_hello();
        hello.version_min = ranges[i].version_min;
        hello.version_max = ranges[i].version_max;
        caller_say_payload(&caller, MESSAGE_AGENT_HELLO, &hello);
        if (ranges[i].is_good) {
            assert_int_equal(caller_first(&caller), MESSAGE_AGENT_WELCOME);
            caller_free(&caller);
        } else {
            expect_failure(&caller, ERR_UNSUPPORTED, "protocol");
        }
    }
}

static void a_hello_of_a_newer_version_is_read(void **state) {
    (void)state;
    static const char newer[] = "\x80\x7d\x2a"; // tag 2000, a number
    AUTO_BUF body = {0};
    struct agent_hello hello = good_hello();
    struct caller caller = caller_connect(&sides[1]);
    wire_encode(&agent_hello_schema, &hello, &body);
    buf_add(&body, newer, 3);
    struct frame_header header = {.number = MESSAGE_AGENT_HELLO, .len = (uint32_t)body.len};
    caller_say(&caller, &header, buf_bytes(&body));
    assert_int_equal(caller_first(&caller), MESSAGE_AGENT_WELCOME);
    caller_free(&caller);
}

static void what_is_no_hello_comes_to_nothing(void **state) {
    (void)state;
    struct caller caller = caller_connect(&sides[1]);
    say_nothing_as(&caller, MESSAGE_SESSION_REGISTER);
    expect_failure(&caller, ERR_INVALID, "before hello");
    caller = caller_connect(&sides[1]);
    caller_say(&caller, &(struct frame_header){.number = MESSAGE_AGENT_HELLO, .len = 3},
               (struct bytes){(const uint8_t *)"\xff\xff\xff", 3});
    expect_failure(&caller, ERR_INVALID, "");
    assert_int_equal(sides[0].agent.messages + sides[0].agent.downs, 0);
}

static void an_agent_says_hello_once(void **state) {
    (void)state;
    struct caller caller = agent_by_hand();
    struct agent_hello hello = good_hello();
    caller_say_payload(&caller, MESSAGE_AGENT_HELLO, &hello);
    expect_failure(&caller, ERR_INVALID, "out of place");
    AWAIT(sides[0].agent.downs == 1);
    sides_live(2000);
    assert_int_equal(sides[0].agent.downs, 1);
    assert_int_equal(peers_agent_count(sides[0].peers), 0);
}

// --- who may say what: every role, every message ---

enum role { CALLER, STRANGER, MEMBER, AGENT, ROLES };
enum fate { ENDED, HEARD, ANSWERED };

static struct caller caller_as(enum role role) {
    if (role == AGENT) {
        return agent_by_hand();
    }
    struct caller caller = caller_connect(&sides[1]);
    if (role != CALLER) {
        struct peer_hello hello;
        schema_init(&peer_hello_schema, &hello);
        hello.version_max = PROTOCOL_VERSION;
        hello.cluster_id = sides_cluster;
        hello.epoch = 1;
        hello.from = 2;
        hello.to = role == MEMBER ? 1 : 0;
        hello.address = "";
        caller_say_payload(&caller, MESSAGE_PEER_HELLO, &hello);
        assert_int_equal(caller_first(&caller), MESSAGE_PEER_WELCOME);
    }
    return caller;
}

static enum fate fate_of(enum role role, const struct message_row *row) {
    uint16_t number = row->number;
    if (number == MESSAGE_PEER_PING && (role == MEMBER || role == STRANGER)) {
        return ANSWERED;
    }
    bool is_answer = number == MESSAGE_JOIN_REPLY || number == MESSAGE_RENEW_REPLY;
    bool is_heard[ROLES] = {[STRANGER] = number == MESSAGE_JOIN || number == MESSAGE_RENEW,
                            [MEMBER] = row->sender == SENDER_MANAGER && number >= MESSAGE_RAFT &&
                                       number != MESSAGE_RENEW && !is_answer,
                            [AGENT] = row->sender == SENDER_AGENT && number != MESSAGE_AGENT_HELLO};
    return is_heard[role] ? HEARD : ENDED;
}

static void try_cell(enum role role, const struct message_row *row) {
    unsigned packets = sides[0].packets, messages = sides[0].agent.messages;
    struct caller caller = caller_as(role);
    struct bytes body;
    say_nothing_as(&caller, row->number);
    enum fate fate = fate_of(role, row);
    if (fate == HEARD) {
        AWAIT(sides[0].packets + sides[0].agent.messages == packets + messages + 1);
        assert_int_equal(role == AGENT ? sides[0].agent.number : sides[0].number, row->number);
    } else if (fate == ANSWERED) {
        assert_int_equal(caller_last(&caller, &body), MESSAGE_PEER_PONG);
    } else {
        uint16_t last = caller_last(&caller, &body);
        assert_true(caller.is_over || last == MESSAGE_AGENT_FAILURE || last == MESSAGE_PEER_FAILURE);
    }
    caller_free(&caller);
    assert_int_equal(sides[0].packets, packets + (fate == HEARD && role != AGENT));
    assert_int_equal(sides[0].agent.messages, messages + (fate == HEARD && role == AGENT));
}

static void each_role_may_say_what_its_rows_allow(void **state) {
    (void)state;
    static const uint16_t numbers[] = {
#define X(name, number, payload, sender, bytes, retry) number,
#include "transport/messages.def"
#undef X
    };
    sides[0].keeps_join = true;
    for (enum role role = CALLER; role < ROLES; role++) {
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
            try_cell(role, message_row(numbers[i]));
        }
    }
}

// --- room ---

#define PART_BYTES ((size_t)64 * KIB)

// Until there is no room; how many.
static unsigned fill(uint64_t link) {
    AUTO_FREE uint8_t *body = xcalloc(1, PART_BYTES);
    unsigned count = 0;
    while (peers_agent_send(sides[0].peers, link, MESSAGE_ASSIGN, (struct bytes){body, PART_BYTES})) {
        count++;
    }
    return count;
}

static struct caller agent_that_is_known(uint64_t *out_link) {
    unsigned messages = sides[0].agent.messages;
    struct caller caller = agent_by_hand();
    say_nothing_as(&caller, MESSAGE_SESSION_HEARTBEAT);
    AWAIT(sides[0].agent.messages == messages + 1);
    *out_link = sides[0].agent.link;
    return caller;
}

// Until the kernel takes no more either; how often there was room again by then. What is told after that is of
// the last refusal.
static unsigned fill_up(uint64_t link, size_t *said) {
    unsigned more, writables;
    do {
        writables = sides[0].agent.writables;
        more = fill(link);
        *said += more;
        while (sides_pump()) {
        }
    } while (more > 0 || sides[0].agent.writables > writables);
    return writables;
}

static void one_that_does_not_read_is_waited_for(void **state) {
    (void)state;
    uint64_t link;
    sides_are_frozen = true;
    struct caller caller = agent_that_is_known(&link);
    size_t said = 0;
    for (unsigned round = 0; round < 3; round++) {
        unsigned writables = fill_up(link, &said);
        AWAIT(caller_hears(&caller) && sides[0].agent.writables > writables);
        assert_int_equal(sides[0].agent.link, link);
    }
    AWAIT(caller_hears(&caller) && caller.heard.len >= said * (PART_BYTES + FRAME_HEADER_BYTES));
    caller_free(&caller);
}

static void say_when_there_is_room(uint64_t link, struct bytes part) {
    while (!peers_agent_send(sides[0].peers, link, MESSAGE_ASSIGN, part)) {
        unsigned writables = sides[0].agent.writables;
        AWAIT(sides[0].agent.writables > writables);
    }
}

static void a_part_that_is_longer_than_the_queue_is_taken_alone(void **state) {
    (void)state;
    AUTO_FREE uint8_t *body = xcalloc(1, ASSIGN_PART_BYTES_MAX);
    uint64_t at_agent = connect_agent();
    assert_true(agent_links_send(sides_agents, at_agent, MESSAGE_SESSION_HEARTBEAT, no_bytes));
    AWAIT(sides[0].agent.messages == 1);
    struct bytes longest = {body, ASSIGN_PART_BYTES_MAX};
    for (unsigned i = 1; i <= 3; i++) {
        say_when_there_is_room(sides[0].agent.link, longest);
        AWAIT(heard.messages == i);
        assert_int_equal(heard.len, ASSIGN_PART_BYTES_MAX);
    }
}

static void one_that_reads_late_has_all_that_was_queued(void **state) {
    (void)state;
    uint64_t link;
    size_t said = 0;
    struct caller caller = agent_that_is_known(&link);
    (void)fill_up(link, &said);
    peers_agent_close(sides[0].peers, link);
    sides_live(2000);
    AWAIT(caller_hears(&caller) && caller.is_over);
    assert_true(caller.heard.len >= said * (PART_BYTES + FRAME_HEADER_BYTES));
    caller_free(&caller);
}

static void one_that_never_reads_is_left_at_last(void **state) {
    (void)state;
    uint64_t link;
    size_t said = 0;
    struct caller caller = agent_that_is_known(&link);
    (void)fill_up(link, &said);
    unsigned before = peer_descriptors();
    peers_agent_close(sides[0].peers, link);
    sides_live(5000);
    AWAIT(peer_descriptors() < before); // one of an earlier test may end only now, too
    AWAIT(caller_hears(&caller) && caller.is_over);
    assert_true(caller.heard.len < said * (PART_BYTES + FRAME_HEADER_BYTES));
    assert_int_equal(sides[0].agent.downs, 0);
    caller_free(&caller);
}

// --- silence ---

static void only_one_that_never_says_anything_is_hung_up_on(void **state) {
    (void)state;
    uint64_t link = connect_agent();
    assert_true(agent_links_send(sides_agents, link, MESSAGE_SESSION_HEARTBEAT, no_bytes));
    uint64_t silent = connect_agent();
    sides_live(AGENT_FIRST_MS - 1000);
    assert_int_equal(peers_agent_count(sides[0].peers), 2);
    sides_live(3000);
    AWAIT(heard.downs == 1 && sides[0].agent.downs == 1);
    assert_int_equal(heard.link, silent);
    sides_live(10 * AGENT_FIRST_MS);
    assert_int_equal(heard.downs, 1);
}

static void links_end_when_the_manager_is_another_one(void **state) {
    (void)state;
    (void)connect_agent();
    sides[0].epoch = 2;
    side_set_self(&sides[0], sides_cluster);
    AWAIT(heard.downs == 1 && sides[0].agent.downs == 1);
}

// --- managers that are none ---

static struct caller manager_by_hand(int listening_fd) {
    unsigned downs = heard.downs;
    sides_await(listening_fd);
    struct caller manager = caller_accept(listening_fd, &sides[0]);
    assert_int_equal(heard.downs, downs);
    assert_int_equal(caller_first(&manager), MESSAGE_AGENT_HELLO);
    return manager;
}

static void a_manager_says_what_is_its_to_say(void **state) {
    (void)state;
    static const struct {
        unsigned welcomes;
        uint16_t number;
    } wrong[] = {{0, MESSAGE_SESSION_END},
                 {1, MESSAGE_AGENT_WELCOME},
                 {1, MESSAGE_SESSION_REGISTER},
                 {0, MESSAGE_RAFT}};
    int port = 0, fd = peer_listen_port(&port);
    sides[0].port = port;
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        sides[0].port = port;
        (void)dial();
        struct caller manager = manager_by_hand(fd);
        for (unsigned j = 0; j < wrong[i].welcomes; j++) {
            say_nothing_as(&manager, MESSAGE_AGENT_WELCOME);
        }
        say_nothing_as(&manager, wrong[i].number);
        AWAIT(heard.downs == i + 1);
        caller_await_end(&manager);
    }
    assert_int_equal(heard.ups, 2);
    assert_int_equal(heard.messages, 0);
    close(fd);
}

static void a_manager_that_says_nothing_is_given_up(void **state) {
    (void)state;
    int port = 0, fd = peer_listen_port(&port);
    sides[0].port = port;
    (void)dial();
    struct caller manager = manager_by_hand(fd);
    sides_live(AGENT_LINK_DEADLINE_MS - 1000);
    assert_int_equal(heard.downs, 0);
    sides_live(2000);
    AWAIT(heard.downs == 1);
    assert_string_equal(heard.reason, "no welcome in time");
    caller_await_end(&manager);
    close(fd);
}

// --- many ---

#define MANY 2000

static void allow_descriptors(void) {
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void dial_many(unsigned count) {
    char address[32];
    struct tls *tls = side_tls(&sides[1]);
    snprintf(address, sizeof address, "127.0.0.1:%d", sides[0].port);
    for (unsigned i = 0; i < count; i++) {
        uint64_t link;
        struct agent_dial dial = {address, tls, sides_cluster};
        assert_int_equal(agent_links_dial(sides_agents, &dial, &link, NULL), 0);
    }
    tls_free(tls);
}

// Silent, half a hello, a whole one and then nothing: from the same address as the agents.
static void call_without_purpose(int *fds, unsigned count) {
    AUTO_BUF flight = caller_first_flight(&sides[1]);
    for (unsigned i = 0; i < count; i++) {
        fds[i] = peer_connect_port(sides[0].port);
        (void)peer_send_bytes(fds[i], flight.data, i % 3 == 0 ? 0 : i % 3 == 1 ? flight.len / 2 : flight.len);
        if (i % 50 == 0) {
            sides_pump();
        }
    }
}

// More than there are places, in all.
static void thousands_at_once_get_through(void **state) {
    (void)state;
    allow_descriptors();
    dial_many(MANY);
    AWAIT(heard.ups == MANY);
    assert_int_equal(peers_agent_count(sides[0].peers), MANY);
    dial_many(PEERS_CALLERS_MAX - MANY + 500);
    AWAIT(heard.ups == PEERS_CALLERS_MAX + 500);
    unsigned first = heard.ups;
    side_close(&sides[0]); // and when it comes back
    AWAIT(heard.downs == first);
    side_open(&sides[0]);
    dial_many(MANY);
    AWAIT(heard.ups == first + MANY);
    assert_int_equal(heard.downs, first);
}

static void strangers_by_the_hundred_keep_no_agent_out(void **state) {
    (void)state;
    enum { STRANGERS = 900, AGENTS = 200 };
    static int fds[STRANGERS];
    allow_descriptors();
    dial_many(AGENTS);
    AWAIT(heard.ups == AGENTS);
    call_without_purpose(fds, STRANGERS);
    int64_t before_ms = sides[0].mono_ms;
    dial_many(AGENTS);
    AWAIT(heard.ups == 2 * AGENTS);
    assert_true(sides[0].mono_ms - before_ms < PEERS_PATIENCE_MS);
    sides_live(2 * PEERS_HELLO_MS);
    assert_int_equal(heard.downs, 0);
    for (unsigned i = 0; i < STRANGERS; i++) {
        uint8_t bytes[4096];
        while (caller_receive(fds[i], bytes, sizeof bytes) > 0) {
        }
        close(fds[i]);
    }
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
    TEST(versions_have_to_overlap),
    TEST(a_hello_of_a_newer_version_is_read),
    TEST(what_is_no_hello_comes_to_nothing),
    TEST(an_agent_says_hello_once),
    TEST(each_role_may_say_what_its_rows_allow),
    TEST(one_that_does_not_read_is_waited_for),
    TEST(a_part_that_is_longer_than_the_queue_is_taken_alone),
    TEST(one_that_reads_late_has_all_that_was_queued),
    TEST(one_that_never_reads_is_left_at_last),
    TEST(only_one_that_never_says_anything_is_hung_up_on),
    TEST(links_end_when_the_manager_is_another_one),
    TEST(a_manager_says_what_is_its_to_say),
    TEST(a_manager_that_says_nothing_is_given_up),
    TEST(thousands_at_once_get_through),
    TEST(strangers_by_the_hundred_keep_no_agent_out),
};
CHECK_MAIN(tests)
