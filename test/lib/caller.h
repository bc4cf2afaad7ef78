// SPDX-License-Identifier: Apache-2.0
//
// test/lib/caller.h — somebody with a good certificate who calls side 0 (test/lib/sides.h) and talks TLS by
// hand, so that it can say what no sound program says.
#ifndef MUSTER_TEST_LIB_CALLER_H
#define MUSTER_TEST_LIB_CALLER_H

#include "base/buf.h"
#include "test/lib/sides.h"
#include "transport/cover.h"
#include "transport/frame.h"

struct caller {
    int fd;
    struct cover *cover;
    bool is_over;     // the other side has hung up
    struct buf heard; // plain bytes: frames
};

// The certificate is as `shown` says. Until the handshake is done, or refused.
struct caller caller_connect(const struct side *as);
// The other way round: takes a call, as `shown` says.
struct caller caller_accept(int listening_fd, const struct side *as);
void caller_say(struct caller *caller, const struct frame_header *header, struct bytes body);
void caller_say_payload(struct caller *caller, uint16_t number, const void *payload);
void caller_read(struct caller *caller);  // what comes next, or the end
bool caller_hears(struct caller *caller); // reads what is there already; true
// The number of the first frame that was heard, waiting for it; 0 = the other side hung up before.
uint16_t caller_first(struct caller *caller);
// The number of the last frame that was heard, once there is another than a welcome, or the other side has
// hung up.
uint16_t caller_last(struct caller *caller, struct bytes *out_body);
void caller_await_end(struct caller *caller); // until the other side hangs up
void caller_free(struct caller *caller);      // hangs up

// On bare sockets: what comes next; 0 at the end. Somebody who neither speaks nor hangs up fails the test.
size_t caller_receive(int fd, uint8_t *out, size_t out_bytes);
// The first flight of a good caller, as bytes.
struct buf caller_first_flight(const struct side *as);

#endif
