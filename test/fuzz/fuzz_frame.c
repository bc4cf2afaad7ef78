// SPDX-License-Identifier: Apache-2.0
//
// test/fuzz/fuzz_frame.c — any bytes as what a client says on a link, over a real socket.
//
// A reading of the format as short as it can be (expected_frames) tells which frames must come out before
// the link ends, and whether it ends because of them.
#include "test/lib/fuzz.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "test/lib/peer.h"
#include "test/lib/scratch.h"
#include "transport/frame.h"
#include "transport/link.h"

static char dir[64], path[96];
static struct mailbox mailbox;
static struct listener *listener;

static void shut_down(void) {
    listener_close(listener);
    unlink(path);
    rmdir(dir);
}

static void start_once(void) {
    if (listener != NULL) {
        return;
    }
    char url[112];
    scratch_name(dir, sizeof dir, "fuzz");
    char *made = mkdtemp(dir);
    ASSERT(made != NULL);
    snprintf(path, sizeof path, "%s/sock", dir);
    snprintf(url, sizeof url, "ipc://%s", path);
    int rc = mailbox_init(&mailbox, NULL);
    rc = rc == 0 ? listener_open(url, &mailbox, &listener, NULL) : rc;
    ASSERT(rc == 0);
    atexit(shut_down);
}

static struct link_letter *next_letter(void) {
    struct pollfd fd = {.fd = mailbox_fd(&mailbox), .events = POLLIN};
    int rc = poll(&fd, 1, 10000);
    ASSERT(rc == 1);
    return (struct link_letter *)mailbox_take(&mailbox);
}

// The length of the good frame at `data`; 0 when none is there.
static size_t expected_frame(const uint8_t *data, size_t size) {
    struct frame_header header;
    if (size < FRAME_HEADER_BYTES) {
        return 0;
    }
    frame_header_decode(data, &header);
    const struct message_row *row = message_row(header.number);
    bool is_good = row != NULL && row->sender == SENDER_CLIENT && header.flags == 0 &&
                   header.len <= row->bytes_max && header.len <= LINK_UNTRUSTED_BYTES_MAX;
    return is_good && size - FRAME_HEADER_BYTES >= header.len ? FRAME_HEADER_BYTES + header.len : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    start_once();
    int fd = peer_connect(path);
    struct link_letter *letter = next_letter();
    ASSERT(letter->kind == LINK_ACCEPTED);
    struct link *link = link_new(letter->stream, &mailbox, SENDER_CLIENT);
    link_letter_free(letter);
    (void)fcntl(fd, F_SETFL, O_NONBLOCK); // what does not fit into the socket is not said
    ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
    size = sent < 0 ? 0 : (size_t)sent;
    shutdown(fd, SHUT_WR);
    for (size_t at = 0;;) {
        letter = next_letter();
        size_t expected = expected_frame(data + at, size - at);
        ASSERT((letter->kind == LINK_FRAME) == (expected > 0));
        if (letter->kind != LINK_FRAME) {
            break;
        }
        ASSERT(expected == FRAME_HEADER_BYTES + letter->header.len);
        ASSERT(memcmp(letter->body, data + at + FRAME_HEADER_BYTES, letter->header.len) == 0);
        at += expected;
        link_consumed(letter);
        link_letter_free(letter);
    }
    ASSERT(letter->kind == LINK_DOWN);
    link_letter_free(letter);
    link_free(link);
    close(fd);
    return 0;
}
