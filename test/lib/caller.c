// SPDX-License-Identifier: Apache-2.0
//
// test/lib/caller.c — a cover over a plain socket.
#include "test/lib/caller.h"
#include "test/lib/check.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test/lib/peer.h"

size_t caller_receive(int fd, uint8_t *out, size_t out_bytes) {
    sides_await(fd);
    ssize_t got = recv(fd, out, out_bytes, MSG_DONTWAIT);
    assert_true(got >= 0 || errno == ECONNRESET);
    return got > 0 ? (size_t)got : 0;
}

static struct cover *cover_of(const struct side *as) {
    uint8_t plain[1];
    struct tls *tls = side_tls(as);
    struct cover *cover = tls_dial(tls);
    assert_int_equal(cover->ops->read(cover, plain, sizeof plain, NULL), 0);
    tls_free(tls);
    return cover;
}

struct buf caller_first_flight(const struct side *as) {
    struct cover *cover = cover_of(as);
    struct buf out = cover->ops->give(cover);
    cover->ops->free(cover);
    return out;
}

static void caller_flush(struct caller *caller) {
    AUTO_BUF out = caller->cover->ops->give(caller->cover);
    (void)peer_send_bytes(caller->fd, out.data, out.len);
}

void caller_read(struct caller *caller) {
    uint8_t bytes[4096], plain[4096];
    ssize_t count;
    size_t got = caller_receive(caller->fd, bytes, sizeof bytes);
    caller->is_over = got == 0;
    if (caller->is_over) {
        return;
    }
    caller->cover->ops->lend(caller->cover, bytes, got);
    while ((count = caller->cover->ops->read(caller->cover, plain, sizeof plain, NULL)) > 0) {
        buf_add(&caller->heard, plain, (size_t)count);
    }
    caller_flush(caller);
}

bool caller_hears(struct caller *caller) {
    struct pollfd waited = {.fd = caller->fd, .events = POLLIN};
    while (!caller->is_over && poll(&waited, 1, 0) == 1) {
        caller_read(caller);
    }
    return true;
}

static void shake_hands(struct caller *caller) {
    caller_flush(caller);
    while (!caller->is_over && !caller->cover->ops->is_ready(caller->cover)) {
        caller_read(caller);
    }
}

struct caller caller_connect(const struct side *as) {
    struct caller caller = {.fd = peer_connect_port(sides[0].port), .cover = cover_of(as)};
    shake_hands(&caller);
    return caller;
}

struct caller caller_accept(int listening_fd, const struct side *as) {
    struct tls *tls = side_tls(as);
    struct caller caller = {.fd = peer_accept(listening_fd), .cover = tls_accept(tls)};
    tls_free(tls);
    shake_hands(&caller);
    return caller;
}

void caller_say(struct caller *caller, const struct frame_header *header, struct bytes body) {
    uint8_t bytes[FRAME_HEADER_BYTES];
    frame_header_encode(header, bytes);
    assert_int_equal(caller->cover->ops->write(caller->cover, bytes, sizeof bytes, NULL), 0);
    if (body.len > 0) {
        assert_int_equal(caller->cover->ops->write(caller->cover, body.data, body.len, NULL), 0);
    }
    caller_flush(caller);
}

void caller_say_payload(struct caller *caller, uint16_t number, const void *payload) {
    AUTO_BUF body = {0};
    wire_encode(message_row(number)->payload, payload, &body);
    caller_say(caller, &(struct frame_header){.number = number, .len = (uint32_t)body.len}, buf_bytes(&body));
}

uint16_t caller_first(struct caller *caller) {
    struct frame_header header = {0};
    while (!caller->is_over && caller->heard.len < FRAME_HEADER_BYTES) {
        caller_read(caller);
    }
    if (caller->heard.len >= FRAME_HEADER_BYTES) {
        frame_header_decode((const uint8_t *)caller->heard.data, &header);
    }
    return header.number;
}

static uint16_t last_heard(const struct caller *caller, struct bytes *out_body) {
    struct frame_header header = {0};
    uint16_t number = MESSAGE_NONE;
    const uint8_t *data = (const uint8_t *)caller->heard.data;
    for (size_t at = 0; caller->heard.len - at >= FRAME_HEADER_BYTES; at += FRAME_HEADER_BYTES + header.len) {
        frame_header_decode(data + at, &header);
        if (caller->heard.len - at - FRAME_HEADER_BYTES < header.len) {
            break;
        }
        number = header.number;
        *out_body = (struct bytes){data + at + FRAME_HEADER_BYTES, header.len};
    }
    return number;
}

uint16_t caller_last(struct caller *caller, struct bytes *out_body) {
    uint16_t number = last_heard(caller, out_body);
    while (!caller->is_over &&
           (number == MESSAGE_NONE || number == MESSAGE_AGENT_WELCOME || number == MESSAGE_PEER_WELCOME)) {
        caller_read(caller);
        number = last_heard(caller, out_body);
    }
    return number;
}

void caller_free(struct caller *caller) {
    caller->cover->ops->free(caller->cover);
    buf_free(&caller->heard);
    close(caller->fd);
}

void caller_await_end(struct caller *caller) {
    while (!caller->is_over) {
        caller_read(caller);
    }
    caller_free(caller);
}
