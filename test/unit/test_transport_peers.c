// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_transport_peers.c — managers in one process, over loopback: who gets in, what arrives, what
// is lost when somebody dies, and that nobody waits for anybody.
//
// Time is the test's (test/lib/sides.h).
#include "test/lib/check.h"
#include "test/lib/peer.h"
#include "test/lib/sides.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "transport/frame.h"
#include "transport/peer_address.h"
#include "transport/peers.h"

#define STRANGER 77

static const struct bytes no_bytes = {(const uint8_t *)"", 0};
static const struct id other_cluster = {"another000000000000cluster"};

// --- members ---

static void what_one_says_the_other_hears_in_order_link_by_link(void **state) {
    (void)state;
    enum { MESSAGES = 2000 };
    sides_connect(2);
    for (uint64_t i = 1; i <= MESSAGES; i++) {
        for (int bulk = 0; bulk < 2; bulk++) {
            assert_true(side_say(&sides[0], 2, i, bulk, i % 100 == 0 ? 20000 : 9 + i % 400));
            assert_true(side_say(&sides[1], 1, i, bulk, 9 + i % 50));
        }
        if (i % 64 == 0) {
            sides_pump();
        }
    }
    AWAIT(sides[0].packets == 2 * MESSAGES && sides[1].packets == 2 * MESSAGES);
    assert_true(sides[0].is_in_order && sides[1].is_in_order);
    assert_int_equal(sides[0].ups, 1);
    struct peers_status status;
    assert_true(peers_status(sides[0].peers, 2, &status));
    assert_int_equal(status.sent, 2 * MESSAGES);
    assert_int_equal(status.dropped, 0);
    assert_string_equal(status.trouble, "");
    AWAIT(peers_status(sides[0].peers, 2, &status) && status.queue_bytes == 0);
    assert_false(peers_status(sides[0].peers, 3, &status));
}

static void three_hear_each_other(void **state) {
    (void)state;
    sides_connect(3);
    for (unsigned i = 0; i < 3; i++) {
        for (uint64_t to = 1; to <= 3; to++) {
            assert_int_equal(side_say(&sides[i], to, 1, false, 300), to != sides[i].raft_id);
        }
    }
    for (unsigned i = 0; i < 3; i++) {
        AWAIT(sides[i].packets == 2);
        assert_true(sides[i].is_in_order);
    }
}

static void the_largest_messages_arrive(void **state) {
    (void)state;
    sides_connect(2);
    assert_true(side_say(&sides[0], 2, 1, false, FRAME_BYTES_MAX));
    assert_true(side_say(&sides[0], 2, 1, true, FRAME_BYTES_MAX));
    AWAIT(sides[1].packets == 2);
    assert_int_equal(sides[1].len, FRAME_BYTES_MAX);
}

static void what_is_said_to_nobody_is_dropped_and_counted(void **state) {
    (void)state;
    struct peers_status status;
    assert_false(side_say(&sides[0], 2, 1, false, 10)); // no member
    sides_make_members(2);
    assert_false(side_say(&sides[0], 2, 1, false, 10)); // not up yet
    assert_false(side_say(&sides[0], 2, 1, true, 10));
    assert_true(peers_status(sides[0].peers, 2, &status));
    assert_int_equal(status.dropped, 2);
    AWAIT(sides_are_up(2));
    assert_int_equal(sides[1].packets, 0);
}

static void one_that_dies_and_comes_back_is_dialed_again(void **state) {
    (void)state;
    sides_connect(2);
    for (unsigned round = 1; round <= 5; round++) {
        side_close(&sides[1]);
        AWAIT(sides[0].downs == round);
        assert_false(side_say(&sides[0], 2, 1, false, 10));
        sides_pass(2000); // refused meanwhile
        side_open(&sides[1]);
        sides_connect(2);
        assert_int_equal(sides[0].ups, round + 1);
        sides[1].packets = 0;
        assert_true(side_say(&sides[0], 2, 1, false, 10));
        AWAIT(sides[1].packets == 1);
    }
    assert_int_equal(sides[0].refusals, 0);
}

static void one_that_calls_is_dialed_without_a_rest(void **state) {
    (void)state;
    sides_connect(2);
    side_close(&sides[1]);
    AWAIT(sides[0].downs == 1);
    sides_live(2000); // rests get longer
    sides_are_frozen = true;
    while (sides_pump()) {
    }
    side_open(&sides[1]);
    sides_connect(2);
}

static void the_membership_says_where_members_are(void **state) {
    (void)state;
    sides_connect(2);
    int old_port = sides[1].port;
    side_close(&sides[1]);
    sides[1].port = 0;
    side_open(&sides[1]);
    assert_int_not_equal(sides[1].port, old_port);
    sides_connect(2);
    assert_true(side_say(&sides[0], 2, 1, false, 10));
    AWAIT(sides[1].packets == 1);
}

static void who_is_a_member_no_more_is_hung_up_on_and_kept_out(void **state) {
    (void)state;
    sides_connect(3);
    sides[0].no_member = 3;
    sides_make_members(2);
    assert_int_equal(sides[0].downs, 1); // ours to it
    AWAIT(sides[2].downs == 1 && sides[2].refusals == 1);
    assert_int_equal(sides[2].refused, ERR_DENIED);
    assert_false(side_say(&sides[0], 3, 1, false, 10));
    sides_live(5000);
    assert_int_equal(sides[2].refusals, 1); // told once
    assert_int_equal(sides[0].downs, 1);
    sides[0].no_member = 0;
    sides_connect(3);
}

static void another_identity_ends_all_links_and_makes_new_ones(void **state) {
    (void)state;
    sides_connect(2);
    sides[0].epoch = sides[1].epoch = 2;
    side_set_self(&sides[0], sides_cluster);
    assert_int_equal(sides[0].downs, 1);
    AWAIT(sides[0].refusals == 1);
    assert_int_equal(sides[0].refused, ERR_CONFLICT);
    side_set_self(&sides[1], sides_cluster);
    AWAIT(sides_are_up(2));
    side_set_self(&sides[1], sides_cluster); // the same: nothing happens
    assert_true(sides_are_up(2));
}

// --- who is let in ---

static struct peer_hello good_hello(void) {
    struct peer_hello hello;
    schema_init(&peer_hello_schema, &hello);
    hello.version_min = PROTOCOL_VERSION_MIN;
    hello.version_max = PROTOCOL_VERSION;
    hello.cluster_id = sides_cluster;
    hello.epoch = 1;
    hello.from = 2;
    hello.to = 1;
    hello.address = "127.0.0.1:1";
    return hello;
}

// The next frame of the first side on a raw connection, or its end.
static bool read_frame(int fd, struct arena *arena, struct peer_frame *out) {
    sides_await(fd);
    return peer_read(fd, arena, out);
}

static void expect_refusal(const struct peer_hello *hello, const char *code) {
    AUTO_ARENA arena = {0};
    struct peer_frame frame;
    struct peer_failure failure;
    int fd = peer_connect_port(sides[0].port);
    assert_true(peer_send(fd, MESSAGE_PEER_HELLO, 0, hello));
    assert_true(read_frame(fd, &arena, &frame));
    assert_int_equal(frame.number, MESSAGE_PEER_FAILURE);
    assert_int_equal(wire_decode(&peer_failure_schema, frame.body, &failure, &arena, NULL), 0);
    assert_string_equal(failure.code, code);
    close(fd);
}

static int expect_welcome(const struct peer_hello *hello) {
    AUTO_ARENA arena = {0};
    struct peer_frame frame;
    struct peer_welcome welcome;
    int fd = peer_connect_port(sides[0].port);
    assert_true(peer_send(fd, MESSAGE_PEER_HELLO, 0, hello));
    assert_true(read_frame(fd, &arena, &frame));
    assert_int_equal(frame.number, MESSAGE_PEER_WELCOME);
    assert_int_equal(wire_decode(&peer_welcome_schema, frame.body, &welcome, &arena, NULL), 0);
    assert_int_equal(welcome.raft_id, 1);
    return fd;
}

// Until the other side hangs up, or says why it will.
static void await_end(int fd) {
    AUTO_ARENA arena = {0};
    struct peer_frame frame;
    while (read_frame(fd, &arena, &frame) && frame.number != MESSAGE_PEER_FAILURE) {
    }
    close(fd);
}

static void a_caller_of_another_sort_is_told_why_it_is_refused(void **state) {
    (void)state;
    struct peer_hello hello = good_hello();
    hello.version_min = PROTOCOL_VERSION + 1;
    hello.version_max = PROTOCOL_VERSION + 2;
    expect_refusal(&hello, "UNSUPPORTED");
    hello = good_hello();
    hello.cluster_id = other_cluster;
    expect_refusal(&hello, "CONFLICT");
    hello.to = 0;
    expect_refusal(&hello, "CONFLICT");
    hello = good_hello();
    hello.cluster_id = (struct id){{0}};
    expect_refusal(&hello, "CONFLICT");
    hello = good_hello();
    hello.epoch = 2;
    expect_refusal(&hello, "CONFLICT");
    hello.epoch = 0;
    expect_refusal(&hello, "OUTDATED");
    hello.to = 3; // nor does it know the identities of the later one
    expect_refusal(&hello, "OUTDATED");
    hello = good_hello();
    hello.to = 3;
    expect_refusal(&hello, "NOT_FOUND");
    static const uint64_t nobodies[] = {0, 1, STRANGER};
    for (size_t i = 0; i < 3; i++) {
        hello = good_hello();
        hello.from = (int64_t)nobodies[i];
        expect_refusal(&hello, "DENIED");
    }
    hello = good_hello();
    close(expect_welcome(&hello));
    sides[0].raft_id = 0;
    side_set_self(&sides[0], sides_cluster);
    expect_refusal(&hello, "NOT_FOUND");
}

static void a_stranger_may_only_ask_to_join(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    struct peer_frame frame;
    struct peer_hello hello = good_hello();
    struct join_request join;
    hello.cluster_id = (struct id){{0}};
    hello.from = STRANGER;
    hello.to = 0;
    int fd = expect_welcome(&hello);
    schema_init(&join_request_schema, &join);
    assert_true(peer_send(fd, MESSAGE_JOIN, 0, &join));
    assert_true(read_frame(fd, &arena, &frame));
    assert_int_equal(frame.number, MESSAGE_JOIN_REPLY);
    assert_int_equal(sides[0].from, STRANGER);
    uint64_t via = sides[0].via;
    assert_true(peer_send_frame(fd, MESSAGE_RAFT, 0, no_bytes));
    await_end(fd);
    assert_int_equal(sides[0].packets, 1);
    assert_false(peers_reply(sides[0].peers, via, MESSAGE_JOIN_REPLY, no_bytes));
    assert_false(peers_reply(sides[0].peers, 0, MESSAGE_JOIN_REPLY, no_bytes));
}

static void a_member_that_dials_anew_replaces_its_old_link(void **state) {
    (void)state;
    struct peer_hello hello = good_hello(), bulk = good_hello();
    bulk.is_bulk = true;
    int first = expect_welcome(&hello), second = expect_welcome(&bulk), third = expect_welcome(&hello);
    await_end(first);
    assert_true(peer_send_frame(second, MESSAGE_RAFT, 0, no_bytes));
    assert_true(peer_send_frame(third, MESSAGE_RAFT, 0, no_bytes));
    AWAIT(sides[0].packets == 2);
    close(second);
    close(third);
}

static void of_two_with_one_identity_the_first_stays_until_it_is_silent(void **state) {
    (void)state;
    struct peer_hello first = good_hello(), copy = good_hello(), older = good_hello();
    first.instance = 7;
    copy.instance = 8;
    int fds[3] = {expect_welcome(&first)};
    expect_refusal(&copy, "CONFLICT");
    fds[1] = expect_welcome(&first); // the same process dials anew
    await_end(fds[0]);
    expect_refusal(&copy, "CONFLICT");
    copy.is_bulk = true;
    expect_refusal(&copy, "CONFLICT");
    assert_true(peer_send_frame(fds[1], MESSAGE_RAFT, 0, no_bytes)); // it was not disturbed
    AWAIT(sides[0].packets == 1);
    copy.is_bulk = false;
    sides_pass(PEERS_SILENCE_MS + 100);
    fds[2] = expect_welcome(&copy);
    await_end(fds[1]);
    fds[0] = expect_welcome(&older); // of a version that does not say
    await_end(fds[2]);
    close(fds[0]);
}

static void garbage_does_no_harm(void **state) {
    (void)state;
    struct prng prng;
    prng_seed(&prng, 4);
    sides_connect(2);
    for (unsigned i = 0; i < 200; i++) {
        uint8_t bytes[200];
        int fd = peer_connect_port(sides[0].port);
        if (i % 2 == 0) {
            struct peer_hello hello = good_hello();
            hello.from = 3;
            close(fd);
            fd = expect_welcome(&hello);
        }
        for (size_t j = 0; j < sizeof bytes; j++) {
            bytes[j] = (uint8_t)prng_next(&prng);
        }
        size_t len = (size_t)prng_below(&prng, sizeof bytes) + FRAME_HEADER_BYTES;
        (void)peer_send_bytes(fd, bytes, len < sizeof bytes ? len : sizeof bytes);
        await_end(fd);
    }
    sides[0].packets = 0;
    assert_true(side_say(&sides[1], 1, 1, false, 10));
    AWAIT(sides[0].packets == 1);
    assert_int_equal(sides[0].downs + sides[1].downs, 0);
}

static void what_is_out_of_place_or_too_long_ends_the_link(void **state) {
    (void)state;
    static const uint16_t out_of_place[] = {MESSAGE_PEER_HELLO,   MESSAGE_PEER_WELCOME, MESSAGE_PEER_FAILURE,
                                            MESSAGE_PEER_PONG,    MESSAGE_JOIN_REPLY,   MESSAGE_HELLO,
                                            MESSAGE_PEER_PONG + 1};
    struct peer_hello hello = good_hello();
    for (size_t i = 0; i < sizeof out_of_place / sizeof *out_of_place; i++) {
        int fd = expect_welcome(&hello);
        assert_true(peer_send_frame(fd, out_of_place[i], 0, no_bytes));
        await_end(fd);
    }
    struct frame_header header = {.number = MESSAGE_RAFT, .len = FRAME_BYTES_MAX + 1};
    uint8_t bytes[FRAME_HEADER_BYTES];
    frame_header_encode(&header, bytes);
    int fd = expect_welcome(&hello);
    assert_true(peer_send_bytes(fd, bytes, sizeof bytes));
    await_end(fd);
    // A stranger's may not be that long.
    hello.to = 0;
    header.len = 64 * KIB + 1;
    frame_header_encode(&header, bytes);
    fd = expect_welcome(&hello);
    assert_true(peer_send_bytes(fd, bytes, sizeof bytes));
    await_end(fd);
    assert_int_equal(sides[0].packets, 0);
}

static void silent_callers_keep_nobody_out_and_are_hung_up_on(void **state) {
    (void)state;
    int silent[2 * PEERS_STRANGERS_MAX], strangers[2 * PEERS_STRANGERS_MAX];
    struct peer_hello hello = good_hello();
    hello.to = 0;
    for (unsigned i = 0; i < 2 * PEERS_STRANGERS_MAX; i++) {
        strangers[i] = expect_welcome(&hello);
        silent[i] = peer_connect_port(sides[0].port);
    }
    sides_connect(2);
    sides_are_frozen = true;
    for (unsigned i = 0; i < PEERS_STRANGERS_MAX; i++) { // pushed out by later ones
        await_end(silent[i]);
        await_end(strangers[i]);
    }
    sides_are_frozen = false;
    sides_pass(PEERS_HELLO_MS + 1000);
    for (unsigned i = PEERS_STRANGERS_MAX; i < 2 * PEERS_STRANGERS_MAX; i++) {
        await_end(silent[i]);
    }
    sides_pass(10000);
    for (unsigned i = PEERS_STRANGERS_MAX; i < 2 * PEERS_STRANGERS_MAX; i++) {
        await_end(strangers[i]);
    }
    AWAIT(sides_are_up(2));
}

// --- members that do not do their part ---

// Side 0 has a member that is the test itself.
static int listen_as_member(uint64_t raft_id) {
    char address[32];
    int port = 0;
    int fd = peer_listen_port(&port);
    snprintf(address, sizeof address, "127.0.0.1:%d", port);
    struct peers_member member = {raft_id, address};
    assert_int_equal(peers_set_members(sides[0].peers, &member, 1, NULL), 0);
    return fd;
}

static int accept_call(int listening_fd, struct peer_hello *hello, struct arena *arena) {
    struct peer_frame frame;
    sides_await(listening_fd);
    int fd = peer_accept(listening_fd);
    assert_true(read_frame(fd, arena, &frame));
    assert_int_equal(frame.number, MESSAGE_PEER_HELLO);
    assert_int_equal(wire_decode(&peer_hello_schema, frame.body, hello, arena, NULL), 0);
    return fd;
}

static void welcome_call(int fd, uint64_t raft_id) {
    struct peer_welcome welcome;
    schema_init(&peer_welcome_schema, &welcome);
    welcome.version = PROTOCOL_VERSION;
    welcome.raft_id = (int64_t)raft_id;
    assert_true(peer_send(fd, MESSAGE_PEER_WELCOME, 0, &welcome));
}

// Both links of the member; the consensus link is fds[0].
static void accept_both(int listening_fd, uint64_t raft_id, int fds[2]) {
    AUTO_ARENA arena = {0};
    struct peer_hello hello;
    for (int i = 0; i < 2; i++) {
        int fd = accept_call(listening_fd, &hello, &arena);
        assert_int_equal(hello.from, 1);
        assert_int_equal(hello.to, raft_id);
        assert_true(id_equal(&hello.cluster_id, &sides_cluster));
        fds[hello.is_bulk ? 1 : 0] = fd;
        welcome_call(fd, raft_id);
    }
    AWAIT(side_reaches(&sides[0], raft_id));
}

static void a_full_queue_drops_and_a_link_that_does_not_move_is_closed(void **state) {
    (void)state;
    int fds[2], listening = listen_as_member(2);
    accept_both(listening, 2, fds);
    unsigned sent = 0;
    for (; side_say(&sides[0], 2, sent, false, 64 * KIB); sent++) {
        assert_in_range(sent, 0, 100000);
    }
    struct peers_status status;
    assert_true(peers_status(sides[0].peers, 2, &status));
    assert_int_equal(status.sent, sent);
    assert_int_equal(status.dropped, 1);
    assert_in_range(status.queue_bytes, PEERS_QUEUE_BYTES_MAX - 128 * KIB, PEERS_QUEUE_BYTES_MAX);
    assert_true(side_say(&sides[0], 2, 1, true, 64 * KIB)); // bulk has a queue of its own
    sides_pass(PEERS_PING_MS + PEERS_SILENCE_MS + 1000);
    AWAIT(sides[0].downs == 1);
    assert_true(peers_status(sides[0].peers, 2, &status));
    assert_string_equal(status.trouble, "no sign of life");
    assert_int_equal(status.queue_bytes, 0); // dead with its link
    close(fds[0]);
    close(fds[1]);
    accept_both(listening, 2, fds);
    close(fds[0]);
    close(fds[1]);
    close(listening);
}

static void a_slow_reader_is_not_taken_for_dead(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    struct peer_frame frame;
    int fds[2], listening = listen_as_member(2), small = 64 * KIB;
    assert_int_equal(setsockopt(listening, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    accept_both(listening, 2, fds);
    uint64_t sent = 0;
    while (side_say(&sides[0], 2, ++sent, false, 64 * KIB)) {
    }
    // All that takes longer to read than a link may be silent.
    assert_in_range(sent, 100, UINT32_MAX);
    for (uint64_t i = 1; i < sent;) {
        assert_true(read_frame(fds[0], &arena, &frame));
        if (frame.number == MESSAGE_PEER_PING) {
            assert_true(peer_send_frame(fds[0], MESSAGE_PEER_PONG, 0, no_bytes));
        } else {
            assert_int_equal(side_value(frame.body), i++);
        }
        arena_clear(&arena);
        sides_pass(100);
        sides_pump(); // nng's threads have the moment they need
    }
    assert_int_equal(sides[0].downs, 0);
    close(fds[0]);
    close(fds[1]);
    close(listening);
}

static void a_bulk_link_is_asked_seldom_while_it_rests(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    struct peer_frame frame;
    int fds[2], listening = listen_as_member(2);
    uint8_t byte;
    accept_both(listening, 2, fds);
    sides_pass(PEERS_PING_MS + 500);
    assert_true(read_frame(fds[0], &arena, &frame));
    assert_int_equal(frame.number, MESSAGE_PEER_PING);
    assert_int_equal(recv(fds[1], &byte, 1, MSG_DONTWAIT), -1);
    assert_true(side_say(&sides[0], 2, 7, true, 64));
    sides_pass(PEERS_PING_MS + 100);
    assert_true(read_frame(fds[1], &arena, &frame));
    assert_int_equal(side_value(frame.body), 7);
    assert_true(read_frame(fds[1], &arena, &frame));
    assert_int_equal(frame.number, MESSAGE_PEER_PING);
    close(fds[0]);
    close(fds[1]);
    close(listening);
}

static void one_that_never_welcomes_is_dialed_again(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    struct peer_hello hello;
    int listening = listen_as_member(2);
    int first = accept_call(listening, &hello, &arena), second = accept_call(listening, &hello, &arena);
    sides_pass(PEERS_DIAL_DEADLINE_MS + 500);
    int fds[2];
    await_end(first);
    await_end(second);
    accept_both(listening, 2, fds);
    close(fds[0]);
    close(fds[1]);
    close(listening);
}

static void one_that_says_what_it_should_not_is_hung_up_on(void **state) {
    (void)state;
    static const uint16_t numbers[] = {MESSAGE_RAFT, MESSAGE_JOIN_REPLY, MESSAGE_PEER_WELCOME,
                                       MESSAGE_PEER_HELLO};
    int listening = listen_as_member(2);
    for (unsigned i = 0; i < 4; i++) {
        int fds[2];
        accept_both(listening, 2, fds);
        assert_true(peer_send_frame(fds[0], numbers[i], 0, no_bytes));
        AWAIT(sides[0].downs == i + 1);
        close(fds[0]);
        close(fds[1]);
        AWAIT(!side_reaches(&sides[0], 2));
    }
    AUTO_ARENA arena = {0};
    struct peer_hello hello;
    int fd = accept_call(listening, &hello, &arena);
    welcome_call(fd, 3); // not who was called
    await_end(fd);
    assert_int_equal(sides[0].packets + sides[0].refusals, 0);
    close(listening);
}

// --- questions ---

static uint64_t ask(struct side *side, int port, int64_t timeout_ms) {
    char address[32];
    uint64_t number = 0;
    snprintf(address, sizeof address, "127.0.0.1:%d", port);
    struct bytes body = {(const uint8_t *)"\x50\x01", 2};
    assert_int_equal(peers_ask(side->peers, address, MESSAGE_JOIN, body, timeout_ms, &number, NULL), 0);
    return number;
}

static void a_question_has_one_answer(void **state) {
    (void)state;
    sides[2].raft_id = 0;
    side_set_self(&sides[2], (struct id){{0}});
    uint64_t number = ask(&sides[2], sides[0].port, 10000);
    AWAIT(sides[2].answers == 1);
    assert_true(sides[2].answer == number);
    assert_int_equal(sides[2].answer_code, ERR_NONE);
    assert_int_equal(sides[2].number, MESSAGE_JOIN_REPLY);
    assert_int_equal(sides[2].len, 2);
    assert_int_equal(sides[2].ups + sides[2].downs, 0);
}

static void a_question_that_nobody_answers_ends_too(void **state) {
    (void)state;
    int port = sides[1].port;
    side_close(&sides[1]);
    (void)ask(&sides[2], port, 10000);
    AWAIT(sides[2].answers == 1);
    assert_int_equal(sides[2].answer_code, ERR_UNREACHABLE);
    sides[0].keeps_join = true;
    (void)ask(&sides[2], sides[0].port, 10000);
    AWAIT(sides[0].packets == 1);
    sides_pass(11000);
    assert_int_equal(sides[2].answers, 2);
    assert_int_equal(sides[2].answer_code, ERR_UNREACHABLE);
    side_set_self(&sides[2], other_cluster);
    (void)ask(&sides[2], sides[0].port, 10000);
    AWAIT(sides[2].answers == 3);
    assert_int_equal(sides[2].answer_code, ERR_CONFLICT);
    for (unsigned i = 0; i < PEERS_ASKS_MAX; i++) {
        (void)ask(&sides[2], sides[0].port, 10000);
    }
    uint64_t number;
    assert_int_equal(peers_ask(sides[2].peers, "127.0.0.1:1", MESSAGE_JOIN, no_bytes, 10000, &number, NULL),
                     -ERR_BUSY);
    side_open(&sides[1]);
}

// --- addresses ---

static void only_numeric_loopback_addresses_are_taken(void **state) {
    (void)state;
    static const struct {
        const char *address;
        int rc;
        const char *url;
    } rows[] = {
        {"127.0.0.1:4242", 0, "tcp://127.0.0.1:4242"},
        {"127.255.0.3:0", 0, "tcp://127.255.0.3:0"},
        {"[::1]:65535", 0, "tcp://[::1]:65535"},
        {"128.0.0.1:1", -ERR_UNSUPPORTED, ""},
        {"0.0.0.0:1", -ERR_UNSUPPORTED, ""},
        {"[::]:1", -ERR_UNSUPPORTED, ""},
        {"[::ffff:127.0.0.1]:1", -ERR_UNSUPPORTED, ""},
        {"[2001:db8::1]:1", -ERR_UNSUPPORTED, ""},
        {"localhost:1", -ERR_INVALID, ""},
        {"", -ERR_INVALID, ""},
        {":1", -ERR_INVALID, ""},
        {"[]:1", -ERR_INVALID, ""},
        {"]:1", -ERR_INVALID, ""},
        {"::1:1", -ERR_INVALID, ""},
        {"[127.0.0.1]:1", -ERR_INVALID, ""},
        {"127.0.0.1", -ERR_INVALID, ""},
        {"127.0.0.1:", -ERR_INVALID, ""},
        {"127.0.0.1:65536", -ERR_INVALID, ""},
        {"127.0.0.1:-1", -ERR_INVALID, ""},
        {"127.0.0.1:1x", -ERR_INVALID, ""},
        {"1270000000000000000000000000000000000000000000000000.0.0.1:1", -ERR_INVALID, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char url[PEER_URL_BYTES] = "";
        assert_int_equal(peer_address_url(rows[i].address, /*is_secure=*/false, url, NULL), rows[i].rc);
        assert_string_equal(url, rows[i].url);
    }
}

static bool knows_all(void *context, uint64_t raft_id) {
    (void)context;
    (void)raft_id;
    return true;
}

static void an_address_that_must_not_be_used_is_refused_and_the_others_served(void **state) {
    (void)state;
    struct error err = {0};
    struct peers *peers;
    struct peers_options options = {.listen = "0.0.0.0:0", .prng = &sides[0].prng};
    assert_int_equal(peers_open(&options, &peers, &err), -ERR_UNSUPPORTED);
    assert_non_null(strstr(err.root, "links without TLS"));
    char address[32];
    snprintf(address, sizeof address, "127.0.0.1:%d", sides[1].port);
    options.listen = address;
    assert_int_equal(peers_open(&options, &peers, NULL), -ERR_BUSY);
    struct peers_member members[] = {{1, address}, {3, "192.0.2.1:4242"}, {2, address}};
    assert_int_equal(peers_set_members(sides[0].peers, members, 3, &err), -ERR_UNSUPPORTED);
    AWAIT(side_reaches(&sides[0], 2));
    struct peers_status status;
    assert_true(peers_status(sides[0].peers, 3, &status));
    assert_non_null(strstr(status.trouble, "links without TLS"));
    uint64_t number;
    assert_int_equal(peers_ask(sides[0].peers, "192.0.2.1:1", MESSAGE_JOIN, no_bytes, 1000, &number, NULL),
                     -ERR_UNSUPPORTED);
    options = (struct peers_options){.prng = &sides[0].prng, .callbacks = {.is_member = knows_all}};
    assert_int_equal(peers_open(&options, &peers, NULL), 0);
    assert_int_equal(peers_port(peers), 0);
    peers_close(peers);
    peers_close(NULL);
}

static void links_over_ipv6_are_the_same(void **state) {
    (void)state;
    side_close(&sides[1]);
    side_open_at(&sides[1], "[::1]:0");
    char address[32];
    snprintf(address, sizeof address, "[::1]:%d", peers_port(sides[1].peers));
    struct peers_member members[] = {{2, address}};
    assert_int_equal(peers_set_members(sides[0].peers, members, 1, NULL), 0);
    AWAIT(side_reaches(&sides[0], 2));
    assert_true(side_say(&sides[0], 2, 1, false, 10));
    AWAIT(sides[1].packets == 1);
}

// --- ends ---

static void a_stopped_process_does_not_find_its_links_too_late(void **state) {
    (void)state;
    sides_connect(2);
    sides[0].mono_ms += 3600 * 1000;
    sides[1].mono_ms += 3600 * 1000;
    for (int i = 0; i < 100; i++) {
        sides_pump();
    }
    assert_true(sides_are_up(2));
    assert_int_equal(sides[0].downs + sides[1].downs, 0);
}

static void links_live_as_long_as_they_are_asked(void **state) {
    (void)state;
    sides_connect(2);
    sides_live(60000);
    assert_true(sides_are_up(2));
    assert_int_equal(sides[0].downs + sides[1].downs, 0);
}

static void closed_under_traffic_nothing_is_left(void **state) {
    (void)state;
    struct prng prng;
    prng_seed(&prng, 9);
    for (unsigned i = 0; i < SIDES; i++) {
        side_close(&sides[i]);
    }
    unsigned before = peer_descriptors();
    for (unsigned round = 0; round < 100; round++) {
        for (unsigned i = 0; i < SIDES; i++) {
            sides[i].port = 0; // the one it had may be the end of another's call by now
            side_open(&sides[i]);
        }
        sides_make_members(SIDES);
        for (uint64_t step = prng_below(&prng, 40); step > 0; step--) {
            for (unsigned i = 0; i < SIDES; i++) {
                for (uint64_t to = 1; to <= SIDES; to++) {
                    (void)side_say(&sides[i], to, 1, step % 4 == 0, 9 + (size_t)prng_below(&prng, 40000));
                }
            }
            sides_pump();
        }
        (void)ask(&sides[0], sides[1].port, 1000);
        for (unsigned i = 0; i < SIDES; i++) {
            side_close(&sides[i]);
        }
    }
    while (peer_descriptors() > before) { // nng closes on a thread of its own
        (void)poll(NULL, 0, 1);
    }
    for (unsigned i = 0; i < SIDES; i++) {
        sides[i].port = 0;
        side_open(&sides[i]);
    }
}

// Over plain links, and over secure ones.
#define TEST(name) cmocka_unit_test_setup_teardown(name, sides_begin, sides_end)
#define BOTH(name)                                                                                           \
    TEST(name), {                                                                                            \
#name "_securely", name, sides_begin_secure, sides_end, NULL                                         \
    }
static const struct CMUnitTest tests[] = {
    BOTH(what_one_says_the_other_hears_in_order_link_by_link),
    BOTH(three_hear_each_other),
    BOTH(the_largest_messages_arrive),
    BOTH(what_is_said_to_nobody_is_dropped_and_counted),
    BOTH(one_that_dies_and_comes_back_is_dialed_again),
    BOTH(one_that_calls_is_dialed_without_a_rest),
    BOTH(the_membership_says_where_members_are),
    BOTH(who_is_a_member_no_more_is_hung_up_on_and_kept_out),
    BOTH(another_identity_ends_all_links_and_makes_new_ones),
    TEST(a_caller_of_another_sort_is_told_why_it_is_refused),
    TEST(a_stranger_may_only_ask_to_join),
    TEST(a_member_that_dials_anew_replaces_its_old_link),
    TEST(of_two_with_one_identity_the_first_stays_until_it_is_silent),
    TEST(garbage_does_no_harm),
    TEST(what_is_out_of_place_or_too_long_ends_the_link),
    TEST(silent_callers_keep_nobody_out_and_are_hung_up_on),
    TEST(a_full_queue_drops_and_a_link_that_does_not_move_is_closed),
    TEST(a_slow_reader_is_not_taken_for_dead),
    TEST(a_bulk_link_is_asked_seldom_while_it_rests),
    TEST(one_that_never_welcomes_is_dialed_again),
    TEST(one_that_says_what_it_should_not_is_hung_up_on),
    BOTH(a_question_has_one_answer),
    BOTH(a_question_that_nobody_answers_ends_too),
    TEST(only_numeric_loopback_addresses_are_taken),
    TEST(an_address_that_must_not_be_used_is_refused_and_the_others_served),
    TEST(links_over_ipv6_are_the_same),
    BOTH(a_stopped_process_does_not_find_its_links_too_late),
    BOTH(links_live_as_long_as_they_are_asked),
    BOTH(closed_under_traffic_nothing_is_left),
};
CHECK_MAIN(tests)
