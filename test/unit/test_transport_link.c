// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_transport_link.c — frames out of any cutting of the stream, reading that stops in time, one
// end for each link.
#include "test/lib/check.h"
#include "test/lib/peer.h"
#include "test/lib/scratch.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/prng.h"
#include "transport/frame.h"
#include "transport/link.h"

static const struct bytes no_bytes = {(const uint8_t *)"", 0};

struct side {
    char dir[64];
    char path[96];
    char url[112];
    struct mailbox mailbox;
    struct listener *listener;
};

static int begin(void **state) {
    struct side *side = NEW(struct side);
    scratch_name(side->dir, sizeof side->dir, "link");
    assert_non_null(mkdtemp(side->dir));
    snprintf(side->path, sizeof side->path, "%s/sock", side->dir);
    snprintf(side->url, sizeof side->url, "ipc://%s", side->path);
    assert_int_equal(mailbox_init(&side->mailbox, NULL), 0);
    assert_int_equal(listener_open(side->url, &side->mailbox, &side->listener, NULL), 0);
    *state = side;
    return 0;
}

static int end(void **state) {
    struct side *side = *state;
    listener_close(side->listener);
    assert_null(mailbox_take(&side->mailbox));
    mailbox_deinit(&side->mailbox);
    fs_remove_tree(AT_FDCWD, side->dir, NULL);
    xfree(side);
    return 0;
}

// The next letter; NULL after a silence of `timeout_ms`.
static struct link_letter *take(struct side *side, int timeout_ms) {
    struct pollfd fd = {.fd = mailbox_fd(&side->mailbox), .events = POLLIN};
    (void)poll(&fd, 1, timeout_ms);
    return (struct link_letter *)mailbox_take(&side->mailbox);
}

static struct link_letter *expect(struct side *side, enum link_letter_kind kind) {
    struct link_letter *letter = take(side, 10000);
    assert_non_null(letter);
    assert_int_equal(letter->kind, kind);
    return letter;
}

// A peer and our end of its link, which may send what `sender` may.
static int connect_pair(struct side *side, enum message_sender sender, struct link **out) {
    int fd = peer_connect(side->path);
    struct link_letter *letter = expect(side, LINK_ACCEPTED);
    *out = link_new(letter->stream, &side->mailbox, sender);
    link_letter_free(letter);
    return fd;
}

static const char *await_down(struct side *side, struct link *link) {
    for (;;) {
        struct link_letter *letter = take(side, 10000);
        assert_non_null(letter);
        enum link_letter_kind kind = letter->kind;
        const char *reason = letter->reason;
        assert_ptr_equal(letter->link, link);
        link_letter_free(letter);
        if (kind == LINK_DOWN) {
            link_free(link);
            return reason;
        }
    }
}

static void add_frame(struct buf *out, uint16_t number, uint64_t conversation, struct bytes body) {
    struct frame_header header = {.number = number, .len = (uint32_t)body.len, .conversation = conversation};
    uint8_t bytes[FRAME_HEADER_BYTES];
    frame_header_encode(&header, bytes);
    buf_add(out, bytes, sizeof bytes);
    buf_add(out, body.data, body.len);
}

static void expect_frame(struct side *side, uint64_t conversation, struct bytes body) {
    struct link_letter *letter = expect(side, LINK_FRAME);
    assert_int_equal(letter->header.conversation, conversation);
    assert_int_equal(letter->header.len, body.len);
    assert_memory_equal(letter->body, body.data, body.len);
    link_consumed(letter);
    link_letter_free(letter);
}

static void frames_arrive_however_the_stream_is_cut(void **state) {
    struct side *side = *state;
    static const struct bytes bodies[] = {
        {(const uint8_t *)"", 0}, {(const uint8_t *)"x", 1}, {(const uint8_t *)"0123456789abcdef01", 18}};
    AUTO_BUF stream = {0};
    for (size_t i = 0; i < 3; i++) {
        add_frame(&stream, MESSAGE_LIST, i + 1, bodies[i]);
    }
    for (size_t cut = 0; cut <= stream.len; cut++) {
        struct link *link;
        int fd = connect_pair(side, SENDER_CLIENT, &link);
        peer_send_bytes(fd, stream.data, cut);
        // All that is whole must be there before the rest is sent.
        size_t at = 0, whole = 0;
        while (whole < 3 && at + FRAME_HEADER_BYTES + bodies[whole].len <= cut) {
            at += FRAME_HEADER_BYTES + bodies[whole].len;
            expect_frame(side, whole + 1, bodies[whole]);
            whole++;
        }
        peer_send_bytes(fd, stream.data + cut, stream.len - cut);
        for (; whole < 3; whole++) {
            expect_frame(side, whole + 1, bodies[whole]);
        }
        close(fd);
        await_down(side, link);
    }
}

static void frames_of_all_sizes_arrive_whole_and_in_order(void **state) {
    struct side *side = *state;
    struct prng prng;
    prng_seed(&prng, 3);
    AUTO_FREE uint8_t *data = xmalloc(300000);
    for (size_t i = 0; i < 300000; i++) {
        data[i] = (uint8_t)prng_next(&prng);
    }
    struct link *link, *dialled;
    struct side far = {0};
    assert_int_equal(mailbox_init(&far.mailbox, NULL), 0);
    assert_int_equal(link_dial(side->url, 1000, &far.mailbox, SENDER_SERVER, &dialled, NULL), 0);
    struct link_letter *accepted = expect(side, LINK_ACCEPTED);
    link = link_new(accepted->stream, &side->mailbox, SENDER_CLIENT);
    link_letter_free(accepted);
    link_trust(link);
    for (uint64_t i = 1; i <= 300; i++) {
        struct bytes body = {data, (size_t)prng_below(&prng, i % 10 == 0 ? 300000 : 6000)};
        link_send(dialled, MESSAGE_APPLY, i, body);
    }
    prng_seed(&prng, 3);
    for (size_t i = 0; i < 300000; i++) {
        (void)prng_next(&prng);
    }
    for (uint64_t i = 1; i <= 300; i++) {
        expect_frame(side, i, (struct bytes){data, (size_t)prng_below(&prng, i % 10 == 0 ? 300000 : 6000)});
    }
    link_close(dialled, "done");
    await_down(side, link);
    await_down(&far, dialled);
    mailbox_deinit(&far.mailbox);
}

// Frames in the mailbox once no more come.
static unsigned count_waiting(struct side *side, struct letter **chain) {
    unsigned count = 0;
    struct letter **last = chain;
    struct link_letter *letter;
    while ((letter = take(side, 100)) != NULL) {
        assert_int_equal(letter->kind, LINK_FRAME);
        *last = &letter->letter;
        last = &letter->letter.next;
        count++;
    }
    return count;
}

static void reading_stops_when_frames_or_bytes_are_ahead(void **state) {
    struct side *side = *state;
    enum { SMALL = 500 };
    struct link *link;
    AUTO_BUF stream = {0};
    for (uint64_t i = 1; i <= SMALL; i++) {
        add_frame(&stream, MESSAGE_INFO, i, (struct bytes){(const uint8_t *)"", 0});
    }
    int fd = connect_pair(side, SENDER_CLIENT, &link);
    assert_true(peer_send_bytes(fd, stream.data, stream.len));
    struct letter *chain = NULL;
    assert_int_equal(count_waiting(side, &chain), LINK_FRAMES_AHEAD);
    mailbox_put_back(&side->mailbox, chain);
    for (uint64_t i = 1; i <= SMALL; i++) {
        expect_frame(side, i, (struct bytes){(const uint8_t *)"", 0});
    }
    link_trust(link);
    AUTO_FREE uint8_t *big = xcalloc(1, 3 * MIB);
    assert_int_equal(0, fcntl(fd, F_SETFL, O_NONBLOCK));
    struct frame_header header = {.number = MESSAGE_APPLY, .len = 3 * MIB, .conversation = 9};
    uint8_t head[FRAME_HEADER_BYTES];
    frame_header_encode(&header, head);
    size_t sent = 0;
    for (int silent = 0; silent < 2;) { // all that the other side takes
        size_t at = sent % (sizeof head + 3 * MIB);
        const uint8_t *from = at < sizeof head ? head + at : big;
        size_t len = at < sizeof head ? sizeof head - at : sizeof head + 3 * MIB - at;
        ssize_t got = send(fd, from, len, MSG_NOSIGNAL);
        struct pollfd writable = {.fd = fd, .events = POLLOUT};
        silent = got > 0 ? 0 : silent + (poll(&writable, 1, 100) == 0);
        sent += got > 0 ? (size_t)got : 0;
    }
    assert_in_range(sent, LINK_BYTES_AHEAD, LINK_BYTES_AHEAD + 4 * MIB);
    close(fd);
    link_close(link, "not read any more"); // it would notice the peer's end when it reads on
    await_down(side, link);
}

static void a_link_says_its_end_once_and_last(void **state) {
    struct side *side = *state;
    struct link *link;
    int fd = connect_pair(side, SENDER_CLIENT, &link);
    for (int i = 0; i < 5; i++) {
        link_send(link, MESSAGE_DONE, 1, (struct bytes){(const uint8_t *)"", 0});
        link_close(link, "first reason");
        link_close(link, "second reason");
    }
    assert_int_equal(link_queue_bytes(link), 0);
    assert_string_equal(await_down(side, link), "first reason");
    assert_null(take(side, 20));
    close(fd);
}

static void who_is_there_is_asked_of_the_kernel(void **state) {
    struct side *side = *state;
    struct link *link;
    uint32_t uid, pid;
    int fd = connect_pair(side, SENDER_CLIENT, &link);
    assert_true(link_peer(link, &uid, &pid));
    assert_int_equal(uid, geteuid());
    assert_int_equal(pid, getpid());
    link_set_owner(link, side);
    assert_ptr_equal(link_owner(link), side);
    close(fd);
    await_down(side, link);
}

// Whether the link hears the message from a peer that is this sort of sender.
static enum link_letter_kind fate_of(struct side *side, enum message_sender sender, uint16_t number) {
    struct link *link;
    int fd = connect_pair(side, sender, &link);
    peer_send_frame(fd, number, 1, (struct bytes){(const uint8_t *)"", 0});
    struct link_letter *letter = take(side, 10000);
    assert_non_null(letter);
    enum link_letter_kind kind = letter->kind;
    close(fd);
    if (kind == LINK_DOWN) {
        assert_non_null(
            strstr(letter->reason, message_row(number) == NULL ? "unknown message" : "wrong side"));
        link_free(link);
    } else {
        await_down(side, link);
    }
    link_letter_free(letter);
    return kind;
}

static void a_link_hears_only_what_its_peer_may_say(void **state) {
    struct side *side = *state;
    for (unsigned number = 0; number < 260; number++) {
        const struct message_row *row = message_row((uint16_t)number);
        for (enum message_sender sender = SENDER_CLIENT; sender <= SENDER_MANAGER; sender++) {
            bool may = row != NULL && row->sender == sender;
            assert_int_equal(fate_of(side, sender, (uint16_t)number), may ? LINK_FRAME : LINK_DOWN);
        }
    }
}

// Closed from here, from there, or both, at random moments of traffic in both directions.
static void links_closed_under_traffic_all_end_and_leave_nothing(void **state) {
    struct side *side = *state;
    struct prng prng;
    prng_seed(&prng, 11);
    AUTO_FREE uint8_t *body = xcalloc(1, 20000);
    unsigned before = peer_descriptors();
    for (int i = 0; i < 1500; i++) {
        struct link *link;
        int fd = connect_pair(side, SENDER_CLIENT, &link);
        for (uint64_t j = prng_below(&prng, 4); j > 0; j--) {
            link_send(link, MESSAGE_OBJECTS, j, (struct bytes){body, (size_t)prng_below(&prng, 20000)});
            peer_send_frame(fd, MESSAGE_LIST, j, (struct bytes){body, (size_t)prng_below(&prng, 4000)});
        }
        if (prng_below(&prng, 2) == 0) {
            link_close(link, "ours");
        } else if (prng_below(&prng, 2) == 0) {
            shutdown(fd, SHUT_RDWR);
        }
        close(fd);
        await_down(side, link);
    }
    while (peer_descriptors() > before) { // nng closes on a thread of its own
        (void)poll(NULL, 0, 1);
    }
}

static void dialling_says_why_it_fails(void **state) {
    struct side *side = *state;
    struct link *link = NULL;
    struct error err = {0};
    AUTO_FREE char *absent = xasprintf("ipc://%s/absent", side->dir);
    assert_int_equal(link_dial(absent, 100, &side->mailbox, SENDER_SERVER, &link, &err), -ERR_UNREACHABLE);
    assert_non_null(strstr(err.root, "refused"));
    AUTO_FREE char *dead = xasprintf("%s/dead", side->dir);
    AUTO_FREE char *dead_url = xasprintf("ipc://%s", dead);
    close(peer_listen(dead, 1));
    assert_int_equal(link_dial(dead_url, 100, &side->mailbox, SENDER_SERVER, &link, &err), -ERR_UNREACHABLE);
    AUTO_FREE char *full = xasprintf("%s/full", side->dir);
    AUTO_FREE char *full_url = xasprintf("ipc://%s", full);
    int listening = peer_listen(full, 0), first = peer_connect(full);
    assert_int_equal(link_dial(full_url, 20, &side->mailbox, SENDER_SERVER, &link, &err), -ERR_UNREACHABLE);
    assert_null(link);
    close(first);
    close(listening);
}

static void a_listener_accepts_no_more_than_it_may(void **state) {
    struct side *side = *state;
    int fds[4];
    listener_limit(side->listener, 2);
    for (unsigned i = 0; i < 4; i++) {
        fds[i] = peer_connect(side->path); // the kernel keeps those that are too many
    }
    for (unsigned may = 2; may <= 4; may++) {
        listener_limit(side->listener, may);
        for (unsigned i = 0; i < (may == 2 ? 2 : 1); i++) {
            struct link_letter *letter = expect(side, LINK_ACCEPTED);
            link_discard(letter->stream);
            link_letter_free(letter);
        }
        assert_null(take(side, 20));
    }
    for (unsigned i = 0; i < 4; i++) {
        close(fds[i]);
    }
}

static void nobody_says_what_the_link_was_narrowed_to_exclude(void **state) {
    struct side *side = *state;
    struct link *link;
    int fd = connect_pair(side, SENDER_CLIENT, &link);
    link_narrow(link, LINK_FROM(SENDER_CLIENT) | LINK_FROM(SENDER_AGENT));
    for (unsigned i = 0; i < 2; i++) {
        assert_true(peer_send_frame(fd, i == 0 ? MESSAGE_INFO : MESSAGE_SESSION_HEARTBEAT, 1, no_bytes));
        expect_frame(side, 1, no_bytes);
    }
    link_narrow(link, LINK_FROM(SENDER_AGENT));
    assert_true(peer_send_frame(fd, MESSAGE_INFO, 1, no_bytes));
    assert_string_equal(await_down(side, link), "message from the wrong side");
    close(fd);
}

static void a_full_queue_says_when_it_has_room(void **state) {
    enum { ROOM = 256 * KIB };
    struct side *side = *state;
    struct link *link;
    AUTO_FREE uint8_t *body = xcalloc(1, ROOM / 4);
    struct bytes part = {body, ROOM / 4};
    int fd = connect_pair(side, SENDER_CLIENT, &link);
    while (link_send_within(link, MESSAGE_OBJECTS, 1, part, ROOM)) {
    }
    struct link_letter *letter;
    while ((letter = take(side, 0)) == NULL) {
        uint8_t bytes[4096];
        struct pollfd fds[] = {{.fd = fd, .events = POLLIN},
                               {.fd = mailbox_fd(&side->mailbox), .events = POLLIN}};
        assert_true(poll(fds, 2, 10000) > 0);
        (void)recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    }
    assert_int_equal(letter->kind, LINK_WRITABLE);
    link_letter_free(letter);
    assert_true(link_send_within(link, MESSAGE_OBJECTS, 1, part, ROOM));
    link_close(link, "done");
    (void)await_down(side, link);
    close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
static const struct CMUnitTest tests[] = {
    TEST(frames_arrive_however_the_stream_is_cut),
    TEST(frames_of_all_sizes_arrive_whole_and_in_order),
    TEST(reading_stops_when_frames_or_bytes_are_ahead),
    TEST(a_link_says_its_end_once_and_last),
    TEST(who_is_there_is_asked_of_the_kernel),
    TEST(a_link_hears_only_what_its_peer_may_say),
    TEST(links_closed_under_traffic_all_end_and_leave_nothing),
    TEST(dialling_says_why_it_fails),
    TEST(a_listener_accepts_no_more_than_it_may),
    TEST(nobody_says_what_the_link_was_narrowed_to_exclude),
    TEST(a_full_queue_says_when_it_has_room),
};
CHECK_MAIN(tests)
