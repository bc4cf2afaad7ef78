// SPDX-License-Identifier: Apache-2.0
//
// test/lib/peer.h — the other side of a link as a plain socket: says what no client of ours would say.
#ifndef MUSTER_TEST_LIB_PEER_H
#define MUSTER_TEST_LIB_PEER_H

#include <stdbool.h>

#include "transport/messages.h"

// Each returns a descriptor; a failure ends the test program.
int peer_connect(const char *path);
int peer_listen(const char *path, int backlog);
int peer_accept(int listening_fd);
// The same over TCP on 127.0.0.1; *port 0 = any, and becomes the one that it is.
int peer_connect_port(int port);
int peer_listen_port(int *port);

// False when the other side is gone.
bool peer_send_bytes(int fd, const void *data, size_t len);
bool peer_send_frame(int fd, uint16_t number, uint64_t conversation, struct bytes body);
bool peer_send(int fd, uint16_t number, uint64_t conversation, const void *payload);
bool peer_hello(int fd, int64_t version_min, int64_t version_max);

struct peer_frame {
    uint16_t number;
    uint64_t conversation;
    struct bytes body; // in the arena
};
// The next whole frame; false at the end of the stream. Ten seconds of silence end the test program.
bool peer_read(int fd, struct arena *arena, struct peer_frame *out);
// Reads on until the other side ends the stream.
void peer_read_end(int fd);
// The error that the next frame must carry; its text goes to err.
int peer_read_failure(int fd, struct error *err);

// Open descriptors of this process.
unsigned peer_descriptors(void);

#endif
