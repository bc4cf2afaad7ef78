// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_transport_peers_tls.c — whom managers' links let in when they are TLS, and what becomes of
// those who are silent, talk nonsense, or are not who they should be.
//
// Time is the test's (test/lib/sides.h). What works as over plain links is tested in test_transport_peers.c.
#include "test/lib/caller.h"
#include "test/lib/check.h"
#include "test/lib/peer.h"
#include "test/lib/sides.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "transport/link.h"

static const struct bytes no_bytes = {(const uint8_t *)"", 0};

// --- members that are not who they should be ---

static const char *trouble_of(const struct side *from, uint64_t to) {
    struct peers_status status;
    assert_true(peers_status(from->peers, to, &status));
    return status.trouble;
}

// Side 1 comes anew with what it shows now.
static void reopen_second(void) {
    side_close(&sides[1]);
    side_open(&sides[1]);
    sides_make_members(2);
}

#define AWAIT_TROUBLE(from, to, text)                                                                        \
    do {                                                                                                     \
        AWAIT(trouble_of(from, to)[0] != '\0');                                                              \
        if (strstr(trouble_of(from, to), text) == NULL) {                                                    \
            fail_msg("'%s' is not '%s'", trouble_of(from, to), text);                                        \
        }                                                                                                    \
    } while (0)

static void both_know_the_others_certificate(void **state) {
    (void)state;
    sides_connect(2);
    assert_true(side_say(&sides[0], 2, 1, false, 10));
    AWAIT(sides[1].packets == 1);
    const struct identity *peer = peers_identity(sides[1].peers, sides[1].via);
    assert_true(id_equal(&peer->node_id, &sides_nodes[0]) && peer->role == ROLE_MANAGER);
    assert_null(peers_identity(sides[1].peers, 0));
}

static void a_worker_is_no_manager(void **state) {
    (void)state;
    sides[1].shown.role = ROLE_WORKER;
    reopen_second();
    AWAIT_TROUBLE(&sides[0], 2, "is a worker, where only managers are let in");
    AWAIT(sides[1].refusals > 0);
    assert_int_equal(sides[1].refused, ERR_CONFLICT); // not ERR_DENIED: it would think that it was removed
    AWAIT_TROUBLE(&sides[1], 1, "the certificate of a worker");
    assert_int_equal(sides[0].ups + sides[1].ups + sides[0].packets, 0);
}

static void another_node_is_not_that_member(void **state) {
    (void)state;
    sides[1].shown.node_id = sides_nodes[2];
    reopen_second();
    AWAIT_TROUBLE(&sides[0], 2, "the node that answers there is another one");
    AWAIT(sides[1].refusals > 0);
    assert_int_equal(sides[1].refused, ERR_CONFLICT);
    AWAIT_TROUBLE(&sides[1], 1, "which is not manager 0000000000000002");
    assert_int_equal(sides[0].ups + sides[1].ups, 0);
}

// The new group has it as one that left: that is no removal.
static void one_of_an_earlier_epoch_is_told_that_first_whatever_the_records_say(void **state) {
    (void)state;
    sides[0].epoch++;
    sides[0].blocked = sides_nodes[1];
    side_set_self(&sides[0], sides_cluster);
    sides_make_members(2);
    AWAIT(sides[1].refusals > 0);
    assert_int_equal(sides[1].refused, ERR_OUTDATED);
}

static void one_of_another_cluster_is_refused_by_both(void **state) {
    (void)state;
    struct papers theirs = papers_make(clock_unix_ms());
    sides[1].shown.signer = &theirs;
    reopen_second();
    AWAIT_TROUBLE(&sides[0], 2, "not signed by this cluster's authority");
    AWAIT_TROUBLE(&sides[1], 1, "not signed by this cluster's authority");
    assert_int_equal(sides[0].ups + sides[1].ups + sides[0].refusals + sides[1].refusals, 0);
    papers_free(&theirs);
}

static void one_that_has_expired_is_refused_and_told(void **state) {
    (void)state;
    sides[1].shown.age_ms = 3 * DAY_MS;
    reopen_second();
    AWAIT_TROUBLE(&sides[0], 2, "expired at");
    AWAIT_TROUBLE(&sides[1], 1, "certificate is out of date");
    assert_int_equal(sides[0].ups + sides[1].ups, 0);
    sides[1].shown.age_ms = 0; // renewed
    reopen_second();
    AWAIT(sides_are_up(2));
}

static void a_renewed_certificate_is_shown_by_the_next_links(void **state) {
    (void)state;
    char serial[CERTIFICATE_SERIAL_BYTES];
    sides_connect(2);
    assert_true(side_say(&sides[0], 2, 1, false, 10));
    AWAIT(sides[1].packets == 1);
    memcpy(serial, peers_identity(sides[1].peers, sides[1].via)->serial, sizeof serial);
    peers_set_tls(sides[0].peers, side_tls(&sides[0]));
    assert_true(side_say(&sides[0], 2, 2, false, 10));
    AWAIT(sides[1].packets == 2);
    assert_int_equal(sides[0].downs + sides[1].downs, 0);
    assert_string_equal(peers_identity(sides[1].peers, sides[1].via)->serial, serial);
    reopen_second();
    AWAIT(sides_are_up(2));
    assert_true(side_say(&sides[0], 2, 1, false, 10));
    AWAIT(sides[1].packets == 3);
    assert_string_not_equal(peers_identity(sides[1].peers, sides[1].via)->serial, serial);
}

static void a_link_ends_with_its_certificate(void **state) {
    (void)state;
    sides[1].shown.age_ms = sides[1].shown.valid_ms - 2000;
    reopen_second();
    AWAIT(sides_are_up(2));
    AWAIT(sides[0].downs == 1 && sides[1].downs == 1);
    AWAIT(strstr(trouble_of(&sides[1], 1), "certificate is out of date") != NULL);
    sides[1].shown.age_ms = 0;
    peers_set_tls(sides[1].peers, side_tls(&sides[1]));
    AWAIT(sides_are_up(2));
}

static void plain_links_end_when_there_are_secure_ones(void **state) {
    (void)state;
    sides_connect(2);
    sides_papers = papers_make(clock_unix_ms());
    sides_papers.cluster_id = sides_cluster;
    peers_set_tls(sides[0].peers, side_tls(&sides[0]));
    assert_int_equal(sides[0].downs, 1);
    AWAIT(sides[1].downs == 1);
    peers_set_tls(sides[1].peers, side_tls(&sides[1]));
    AWAIT(sides_are_up(2));
}

static void ask_first_to(struct side *side, uint16_t message) {
    char address[32];
    uint64_t number;
    snprintf(address, sizeof address, "127.0.0.1:%d", sides[0].port);
    assert_int_equal(peers_ask(side->peers, address, message, no_bytes, 10000, &number, NULL), 0);
}

static void ask_first(struct side *side) {
    ask_first_to(side, MESSAGE_JOIN);
}

static void plain_questions_are_asked_anew_over_secure_links(void **state) {
    (void)state;
    sides[0].keeps_join = true;
    ask_first(&sides[1]);
    AWAIT(sides[0].packets == 1);
    assert_null(peers_identity(sides[0].peers, sides[0].via));
    sides_papers = papers_make(clock_unix_ms());
    peers_set_tls(sides[0].peers, side_tls(&sides[0]));
    peers_set_tls(sides[1].peers, side_tls(&sides[1]));
    AWAIT(sides[0].packets == 2);
    assert_non_null(peers_identity(sides[0].peers, sides[0].via));
    assert_true(peers_reply(sides[0].peers, sides[0].via, MESSAGE_JOIN_REPLY, no_bytes));
    AWAIT(sides[1].answers == 1);
    assert_int_equal(sides[1].answer_code, ERR_NONE);
    assert_int_equal(sides[1].downs, 0);
}

// 0.0.0.0 is no loopback address; who dials it comes out at this machine all the same.
static void members_that_plain_links_may_not_reach_are_dialed_over_secure_ones(void **state) {
    (void)state;
    char address[32];
    struct peers_status status;
    snprintf(address, sizeof address, "0.0.0.0:%d", sides[1].port);
    struct peers_member members[] = {{1, "127.0.0.1:1"}, {2, address}};
    assert_int_equal(peers_set_members(sides[0].peers, members, 2, NULL), -ERR_UNSUPPORTED);
    sides_papers = papers_make(clock_unix_ms());
    peers_set_tls(sides[0].peers, side_tls(&sides[0]));
    peers_set_tls(sides[1].peers, side_tls(&sides[1]));
    AWAIT(side_reaches(&sides[0], 2));
    assert_true(peers_status(sides[0].peers, 2, &status));
    assert_string_equal(status.trouble, "");
}

// --- joining ---

static void a_joiner_may_ask_and_nothing_else(void **state) {
    (void)state;
    sides[1].shown.is_joiner = true;
    side_close(&sides[1]);
    side_open(&sides[1]);
    ask_first(&sides[1]);
    AWAIT(sides[1].answers == 1);
    assert_int_equal(sides[1].answer_code, ERR_NONE);
    assert_int_equal(sides[0].packets, 1);
    sides_make_members(2); // and as a member?
    AWAIT(sides[1].refusals > 0);
    assert_int_equal(sides[1].refused, ERR_CONFLICT);
    AWAIT_TROUBLE(&sides[1], 1, "no certificate");
    AWAIT_TROUBLE(&sides[0], 2, ""); // it takes no calls
    assert_int_equal(sides[0].ups + sides[1].ups, 0);
}

static void who_has_a_certificate_may_ask_for_another_one(void **state) {
    (void)state;
    for (int role = ROLE_WORKER; role <= ROLE_MANAGER; role++) {
        sides[1].shown.role = (enum node_role)role;
        peers_set_tls(sides[1].peers, side_tls(&sides[1]));
        ask_first_to(&sides[1], MESSAGE_RENEW);
        AWAIT(sides[1].answers == (unsigned)role + 1);
        assert_int_equal(sides[1].answer_code, ERR_NONE);
        assert_int_equal(sides[1].number, MESSAGE_RENEW_REPLY);
        assert_int_equal(sides[0].number, MESSAGE_RENEW);
    }
    sides[1].shown.is_joiner = true;
    peers_set_tls(sides[1].peers, side_tls(&sides[1]));
    ask_first_to(&sides[1], MESSAGE_RENEW);
    AWAIT(sides[1].answers == 3);
    assert_int_equal(sides[1].answer_code, ERR_DENIED);
    assert_int_equal(sides[0].packets, 2);
}

static void it_may_listen_later(void **state) {
    (void)state;
    struct error err = {0};
    side_close(&sides[0]);
    side_open_at(&sides[0], NULL);
    assert_int_equal(sides[0].port, 0);
    assert_int_equal(peers_listen(sides[0].peers, "127.0.0.1:99999", &err), -ERR_INVALID);
    assert_int_equal(peers_listen(sides[0].peers, "127.0.0.1:0", &err), 0);
    sides[0].port = peers_port(sides[0].peers);
    ask_first(&sides[1]);
    AWAIT(sides[1].answers == 1);
    assert_int_equal(sides[1].answer_code, ERR_NONE);
}

static void a_joiner_tells_its_secret_to_no_other_cluster(void **state) {
    (void)state;
    struct papers theirs = papers_make(clock_unix_ms());
    sides[1].shown.is_joiner = true;
    sides[1].shown.signer = &theirs; // whose token it has
    side_close(&sides[1]);
    side_open(&sides[1]);
    ask_first(&sides[1]);
    AWAIT(sides[1].answers == 1);
    assert_int_equal(sides[1].answer_code, ERR_DENIED);
    assert_int_equal(sides[0].packets, 0);
    papers_free(&theirs);
}

// --- strangers on bare sockets ---

// Until the other side hangs up, whatever it says.
static void await_hang_up(int fd) {
    uint8_t bytes[4096];
    while (caller_receive(fd, bytes, sizeof bytes) > 0) {
    }
    close(fd);
}

static bool is_hung_up(int fd) {
    uint8_t bytes[4096];
    ssize_t got;
    while ((got = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0) {
    }
    return got == 0 || errno == ECONNRESET;
}

static void who_does_not_finish_the_handshake_is_gone_in_time(void **state) {
    (void)state;
    AUTO_BUF hello = caller_first_flight(&sides[2]);
    int silent = peer_connect_port(sides[0].port), half = peer_connect_port(sides[0].port),
        whole = peer_connect_port(sides[0].port);
    assert_true(peer_send_bytes(half, hello.data, hello.len / 2));
    assert_true(peer_send_bytes(whole, hello.data, hello.len));
    sides_await(whole); // it has been answered
    sides_are_frozen = true;
    while (sides_pump()) {
    }
    sides_pass(2200);
    assert_false(is_hung_up(silent) || is_hung_up(half) || is_hung_up(whole));
    sides_pass(600); // within three seconds in all
    await_hang_up(silent);
    await_hang_up(half);
    await_hang_up(whole);
    sides_are_frozen = false;
}

// Whatever their number, and however far each has come.
static void half_open_handshakes_keep_nobody_out(void **state) {
    (void)state;
    enum { CALLERS = 300 };
    static int fds[CALLERS];
    AUTO_BUF hello = caller_first_flight(&sides[2]);
    unsigned before = peer_descriptors();
    for (unsigned i = 0; i < CALLERS; i++) {
        fds[i] = peer_connect_port(sides[0].port);
        (void)peer_send_bytes(fds[i], hello.data, i % 3 == 0 ? 0 : i % 3 == 1 ? hello.len / 2 : hello.len);
        if (i % 50 == 0) {
            sides_pump();
        }
    }
    sides_connect(2);
    assert_true(side_say(&sides[1], 1, 1, false, 10));
    AWAIT(sides[0].packets == 1);
    sides_live(PEERS_PATIENCE_MS);
    sides_are_frozen = true;
    // Those that still may speak, and both ends of two links in each direction; nng closes on its own thread.
    AWAIT(peer_descriptors() - before <= CALLERS + PEERS_STRANGERS_MAX + 2 * 4);
    sides_are_frozen = false;
    sides_live(PEERS_HELLO_MS + 1000);
    for (unsigned i = 0; i < CALLERS; i++) {
        await_hang_up(fds[i]);
    }
    assert_true(sides_are_up(2));
    assert_int_equal(sides[0].downs + sides[1].downs, 0);
}

static void nonsense_instead_of_a_handshake_is_hung_up_on(void **state) {
    (void)state;
    struct prng prng;
    prng_seed(&prng, 5);
    AUTO_BUF hello = caller_first_flight(&sides[2]);
    for (unsigned round = 0; round < 10; round++) {
        int fds[20];
        for (unsigned i = 0; i < 20; i++) {
            uint8_t bytes[300];
            fds[i] = peer_connect_port(sides[0].port);
            for (size_t j = 0; j < sizeof bytes; j++) {
                bytes[j] = i % 2 == 0 ? (uint8_t)prng_next(&prng) : (uint8_t)hello.data[j % hello.len];
            }
            bytes[prng_below(&prng, sizeof bytes)] ^= 0x55;
            (void)peer_send_bytes(fds[i], bytes, sizeof bytes);
        }
        sides_live(PEERS_HELLO_MS + 1000);
        for (unsigned i = 0; i < 20; i++) {
            await_hang_up(fds[i]);
        }
    }
    sides_connect(2);
    assert_int_equal(sides[0].packets, 0);
}

// Somebody who speaks plain frames to one who wants TLS.
static void a_plain_caller_is_hung_up_on(void **state) {
    (void)state;
    int fd = peer_connect_port(sides[0].port);
    struct peer_hello hello;
    schema_init(&peer_hello_schema, &hello);
    hello.version_max = PROTOCOL_VERSION;
    hello.cluster_id = sides_cluster;
    hello.epoch = 1;
    hello.from = 2;
    hello.to = 1;
    assert_true(peer_send(fd, MESSAGE_PEER_HELLO, 0, &hello));
    await_hang_up(fd);
    assert_int_equal(sides[0].packets, 0);
}

// Taken in while it was somebody, heard when it is nobody any more: it has no certificate to answer with.
static void who_calls_a_node_that_leaves_its_cluster_is_hung_up_on(void **state) {
    (void)state;
    AUTO_BUF hello = caller_first_flight(&sides[2]);
    int early = peer_connect_port(sides[0].port);
    AWAIT(peers_caller_count(sides[0].peers) == 1);
    sides[0].shown.is_joiner = true;
    peers_set_tls(sides[0].peers, side_tls(&sides[0]));
    assert_true(peer_send_bytes(early, hello.data, hello.len));
    await_hang_up(early);
    int late = peer_connect_port(sides[0].port);
    await_hang_up(late);
}

// --- callers that talk TLS by hand ---

static void a_frame_that_is_too_long_ends_the_link_before_it_comes(void **state) {
    (void)state;
    AUTO_BUF body = {0};
    struct peer_hello hello;
    schema_init(&peer_hello_schema, &hello);
    hello.version_max = PROTOCOL_VERSION;
    hello.cluster_id = sides_cluster;
    hello.epoch = 1;
    hello.from = 3;
    hello.to = 1;
    hello.address = "";
    wire_encode(&peer_hello_schema, &hello, &body);
    struct frame_header first = {.number = MESSAGE_PEER_HELLO, .len = (uint32_t)body.len};
    struct frame_header longest = {.number = MESSAGE_RAFT, .len = FRAME_BYTES_MAX + 1};
    struct frame_header strangers = {.number = MESSAGE_JOIN, .len = LINK_UNTRUSTED_BYTES_MAX + 1};
    struct caller member = caller_connect(&sides[2]), early = caller_connect(&sides[2]);
    sides_are_frozen = true; // no deadline does it
    caller_say(&member, &first, buf_bytes(&body));
    caller_read(&member); // it is welcome
    caller_say(&member, &longest, no_bytes);
    caller_await_end(&member);
    caller_say(&early, &strangers, no_bytes); // before its hello
    caller_await_end(&early);
    sides_are_frozen = false;
    assert_int_equal(sides[0].packets, 0);
}

// TLS 1.3 has a caller ready before it has been looked at: what it says at once must not count.
static void what_a_refused_caller_says_is_not_heard(void **state) {
    (void)state;
    struct side expired = sides[2];
    expired.shown.age_ms = 3 * DAY_MS;
    struct frame_header join = {.number = MESSAGE_JOIN};
    struct caller caller = caller_connect(&expired);
    if (!caller.is_over) {
        caller_say(&caller, &join, no_bytes);
    }
    caller_await_end(&caller);
    assert_int_equal(sides[0].packets, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sides_begin_secure, sides_end)
#define PLAIN(name) cmocka_unit_test_setup_teardown(name, sides_begin, sides_end)
static const struct CMUnitTest tests[] = {
    TEST(both_know_the_others_certificate),
    TEST(a_worker_is_no_manager),
    TEST(another_node_is_not_that_member),
    TEST(one_of_an_earlier_epoch_is_told_that_first_whatever_the_records_say),
    TEST(one_of_another_cluster_is_refused_by_both),
    TEST(one_that_has_expired_is_refused_and_told),
    TEST(a_renewed_certificate_is_shown_by_the_next_links),
    TEST(a_link_ends_with_its_certificate),
    PLAIN(plain_links_end_when_there_are_secure_ones),
    PLAIN(plain_questions_are_asked_anew_over_secure_links),
    PLAIN(members_that_plain_links_may_not_reach_are_dialed_over_secure_ones),
    TEST(a_joiner_may_ask_and_nothing_else),
    TEST(who_has_a_certificate_may_ask_for_another_one),
    TEST(it_may_listen_later),
    TEST(a_joiner_tells_its_secret_to_no_other_cluster),
    TEST(who_does_not_finish_the_handshake_is_gone_in_time),
    TEST(half_open_handshakes_keep_nobody_out),
    TEST(nonsense_instead_of_a_handshake_is_hung_up_on),
    TEST(a_plain_caller_is_hung_up_on),
    TEST(who_calls_a_node_that_leaves_its_cluster_is_hung_up_on),
    TEST(a_frame_that_is_too_long_ends_the_link_before_it_comes),
    TEST(what_a_refused_caller_says_is_not_heard),
};
CHECK_MAIN(tests)
