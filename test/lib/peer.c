// SPDX-License-Identifier: Apache-2.0
//
// test/lib/peer.c — frames over a plain socket, every wait with a deadline.
#include "test/lib/peer.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/assert.h"
#include "transport/frame.h"

#define SILENCE_MS_MAX 10000

static struct sockaddr_un peer_address(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    ASSERT(strlen(path) < sizeof address.sun_path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    return address;
}

static int peer_socket(void) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT(fd >= 0);
    return fd;
}

int peer_connect(const char *path) {
    struct sockaddr_un address = peer_address(path);
    int fd = peer_socket();
    int rc = connect(fd, (const struct sockaddr *)&address, sizeof address);
    ASSERT(rc == 0);
    return fd;
}

int peer_listen(const char *path, int backlog) {
    struct sockaddr_un address = peer_address(path);
    int fd = peer_socket();
    int rc = bind(fd, (const struct sockaddr *)&address, sizeof address);
    rc = rc == 0 ? listen(fd, backlog) : rc;
    ASSERT(rc == 0);
    return fd;
}

static struct sockaddr_in peer_address_port(int port) {
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

int peer_connect_port(int port) {
    struct sockaddr_in address = peer_address_port(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT(fd >= 0);
    int rc = connect(fd, (const struct sockaddr *)&address, sizeof address);
    ASSERT(rc == 0);
    return fd;
}

int peer_listen_port(int *port) {
    struct sockaddr_in address = peer_address_port(*port);
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT(fd >= 0);
    int rc = bind(fd, (const struct sockaddr *)&address, sizeof address);
    rc = rc == 0 ? listen(fd, 16) : rc;
    rc = rc == 0 ? getsockname(fd, (struct sockaddr *)&address, &len) : rc;
    ASSERT(rc == 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static void peer_await(int fd) {
    struct pollfd waited = {.fd = fd, .events = POLLIN};
    int rc = poll(&waited, 1, SILENCE_MS_MAX);
    ASSERT(rc == 1);
}

int peer_accept(int listening_fd) {
    peer_await(listening_fd);
    int fd = accept(listening_fd, NULL, NULL);
    ASSERT(fd >= 0);
    return fd;
}

bool peer_send_bytes(int fd, const void *data, size_t len) {
    const char *at = data;
    while (len > 0) {
        ssize_t sent = send(fd, at, len, MSG_NOSIGNAL);
        if (sent < 0) {
            return false;
        }
        at += sent;
        len -= (size_t)sent;
    }
    return true;
}

bool peer_send_frame(int fd, uint16_t number, uint64_t conversation, struct bytes body) {
    struct frame_header header = {.len = (uint32_t)body.len, .number = number, .conversation = conversation};
    uint8_t bytes[FRAME_HEADER_BYTES];
    frame_header_encode(&header, bytes);
    return peer_send_bytes(fd, bytes, sizeof bytes) && peer_send_bytes(fd, body.data, body.len);
}

bool peer_send(int fd, uint16_t number, uint64_t conversation, const void *payload) {
    AUTO_BUF body = {0};
    wire_encode(message_row(number)->payload, payload, &body);
    return peer_send_frame(fd, number, conversation, buf_bytes(&body));
}

bool peer_hello(int fd, int64_t version_min, int64_t version_max) {
    struct hello hello;
    schema_init(&hello_schema, &hello);
    hello.version_min = version_min;
    hello.version_max = version_max;
    hello.client = "peer";
    return peer_send(fd, MESSAGE_HELLO, 0, &hello);
}

static bool peer_read_bytes(int fd, uint8_t *out, size_t len) {
    while (len > 0) {
        peer_await(fd);
        ssize_t got = recv(fd, out, len, 0);
        if (got <= 0) {
            return false;
        }
        out += got;
        len -= (size_t)got;
    }
    return true;
}

bool peer_read(int fd, struct arena *arena, struct peer_frame *out) {
    uint8_t bytes[FRAME_HEADER_BYTES];
    struct frame_header header;
    if (!peer_read_bytes(fd, bytes, sizeof bytes)) {
        return false;
    }
    frame_header_decode(bytes, &header);
    ASSERT(header.len <= FRAME_BYTES_MAX && header.flags == 0);
    uint8_t *body = arena_alloc(arena, header.len + 1);
    bool is_whole = peer_read_bytes(fd, body, header.len);
    *out = (struct peer_frame){header.number, header.conversation, {body, header.len}};
    return is_whole;
}

void peer_read_end(int fd) {
    uint8_t bytes[4096];
    ssize_t got;
    do {
        peer_await(fd);
        got = recv(fd, bytes, sizeof bytes, 0);
    } while (got > 0);
}

int peer_read_failure(int fd, struct error *err) {
    AUTO_ARENA arena = {0};
    struct peer_frame frame;
    struct failure failure;
    bool is_there = peer_read(fd, &arena, &frame);
    ASSERT(is_there && frame.number == MESSAGE_FAILURE);
    int rc = wire_decode(&failure_schema, frame.body, &failure, &arena, err);
    return rc < 0 ? rc : error_set(err, error_code_from_name(failure.code), "%s", failure.text);
}

unsigned peer_descriptors(void) {
    unsigned count = 0;
    DIR *dir = opendir("/proc/self/fd");
    ASSERT(dir != NULL);
    while (readdir(dir) != NULL) {
        count++;
    }
    closedir(dir);
    return count - 3; // ".", ".." and the listing's own
}
