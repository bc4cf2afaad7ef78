// SPDX-License-Identifier: Apache-2.0
//
// test/bench/grpc.c — frames by nghttp2, bytes by poll(2).
#include "test/bench/grpc.h"

#if !__has_include(<nghttp2/nghttp2.h>)
#error "the comparison with etcd wants libnghttp2-dev: make deps-bench"
#endif

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/str.h"

#define PREFIX_BYTES 5 // not compressed; length of the message, big-endian
#define LINKS_MAX 64
#define OUTGOING_BYTES 65536

struct call {
    struct call *next, **self; // among the link's calls
    grpc_answer answer;
    void *context;
    int status;
    size_t sent, outgoing_len, incoming_len;
    uint8_t incoming[PREFIX_BYTES + GRPC_ANSWER_BYTES_MAX];
    uint8_t outgoing[];
};

struct grpc {
    int fd;
    bool is_lost;
    char authority[32];
    nghttp2_session *session;
    struct call *calls;
    struct buf out; // taken from the session, not yet by the kernel
    size_t out_sent;
};

// --- calls ---

static void finish(struct call *call, int status) {
    struct bytes message = {call->incoming + PREFIX_BYTES, 0};
    if (call->incoming_len > PREFIX_BYTES) {
        message.len = call->incoming_len - PREFIX_BYTES;
    }
    *call->self = call->next;
    if (call->next != NULL) {
        call->next->self = call->self;
    }
    call->answer(call->context, status, message);
    xfree(call);
}

static ssize_t on_body(nghttp2_session *session, int32_t stream, uint8_t *out, size_t len, uint32_t *flags,
                       nghttp2_data_source *source, void *context) {
    (void)session, (void)stream, (void)context;
    struct call *call = source->ptr;
    size_t left = call->outgoing_len - call->sent;
    size_t taken = left < len ? left : len;
    memcpy(out, call->outgoing + call->sent, taken);
    call->sent += taken;
    *flags |= call->sent == call->outgoing_len ? (uint32_t)NGHTTP2_DATA_FLAG_EOF : 0;
    return (ssize_t)taken;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *context) {
    (void)flags, (void)context, (void)value_len; // nghttp2 ends both with a NUL
    struct call *call = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    int64_t status;
    if (call != NULL && name_len == 11 && memcmp(name, "grpc-status", 11) == 0) {
        call->status = str_to_int((const char *)value, &status) ? (int)status : GRPC_LOST;
    }
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data, size_t len,
                   void *context) {
    (void)flags, (void)context;
    struct call *call = nghttp2_session_get_stream_user_data(session, stream);
    if (call != NULL) {
        size_t room = sizeof call->incoming - call->incoming_len;
        memcpy(call->incoming + call->incoming_len, data, len < room ? len : room);
        call->incoming_len += len < room ? len : room;
    }
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream, uint32_t error, void *context) {
    (void)error, (void)context;
    struct call *call = nghttp2_session_get_stream_user_data(session, stream);
    if (call != NULL) {
        finish(call, call->status);
    }
    return 0;
}

#define FIELD(name, value)                                                                                   \
    {                                                                                                        \
        (uint8_t *)(uintptr_t)(name), (uint8_t *)(uintptr_t)(value), strlen(name), strlen(value),            \
            NGHTTP2_NV_FLAG_NONE                                                                             \
    }

void grpc_call(struct grpc *link, const char *path, struct bytes message, grpc_answer answer, void *context) {
    struct call *call = xcalloc(1, sizeof *call + PREFIX_BYTES + message.len);
    *call = (struct call){.next = link->calls,
                          .self = &link->calls,
                          .answer = answer,
                          .context = context,
                          .status = GRPC_LOST,
                          .outgoing_len = PREFIX_BYTES + message.len};
    uint32_t len = htonl((uint32_t)message.len);
    memcpy(call->outgoing + 1, &len, sizeof len);
    memcpy(call->outgoing + PREFIX_BYTES, message.data, message.len);
    if (call->next != NULL) {
        call->next->self = &call->next;
    }
    link->calls = call;
    const nghttp2_nv fields[] = {
        FIELD(":method", "POST"),
        FIELD(":scheme", "http"),
        FIELD(":path", path),
        FIELD(":authority", link->authority),
        FIELD("content-type", "application/grpc"),
        FIELD("te", "trailers"),
    };
    nghttp2_data_provider body = {.source.ptr = call, .read_callback = on_body};
    if (!link->is_lost && nghttp2_submit_request(link->session, NULL, fields, sizeof fields / sizeof *fields,
                                                 &body, call) < 0) {
        link->is_lost = true; // no stream numbers left, or no memory
    }
}

// --- links ---

static int connect_to(int port, struct error *err) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    AUTO_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return error_sys(err, errno, "make a socket");
    }
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        return error_set(err, ERR_UNREACHABLE, "connect to port %d: %s", port, strerror(errno));
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return take_fd(&fd);
}

static nghttp2_session *session_make(struct grpc *link) {
    nghttp2_session_callbacks *callbacks;
    nghttp2_session *session;
    int rc = nghttp2_session_callbacks_new(&callbacks);
    ASSERT(rc == 0);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    rc = nghttp2_session_client_new(&session, callbacks, link);
    ASSERT(rc == 0);
    nghttp2_session_callbacks_del(callbacks);
    rc = nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, NULL, 0);
    ASSERT(rc == 0);
    return session;
}

int grpc_open(int port, struct grpc **out, struct error *err) {
    int fd = connect_to(port, err);
    if (fd < 0) {
        return fd;
    }
    struct grpc *link = NEW(struct grpc);
    link->fd = fd;
    snprintf(link->authority, sizeof link->authority, "127.0.0.1:%d", port);
    link->session = session_make(link);
    *out = link;
    return 0;
}

void grpc_close(struct grpc *link) {
    if (link == NULL) {
        return;
    }
    for (struct call *call = link->calls, *next; call != NULL; call = next) {
        next = call->next;
        xfree(call);
    }
    nghttp2_session_del(link->session); // tells nobody of the streams that are open
    buf_free(&link->out);
    close(link->fd);
    xfree(link);
}

// --- bytes ---

// As much as the kernel takes of what the session has.
static void send_some(struct grpc *link) {
    while (!link->is_lost) {
        const uint8_t *data;
        ssize_t len = 1;
        while (link->out.len < OUTGOING_BYTES && (len = nghttp2_session_mem_send(link->session, &data)) > 0) {
            buf_add(&link->out, data, (size_t)len);
        }
        if (len < 0) {
            link->is_lost = true;
        }
        if (link->out_sent == link->out.len) {
            return;
        }
        ssize_t sent = send(link->fd, link->out.data + link->out_sent, link->out.len - link->out_sent,
                            MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        link->is_lost |= sent < 0;
        link->out_sent += sent > 0 ? (size_t)sent : 0;
        if (link->out_sent == link->out.len) {
            buf_clear(&link->out);
            link->out_sent = 0;
        }
    }
}

static void receive_some(struct grpc *link) {
    uint8_t data[65536];
    ssize_t got = recv(link->fd, data, sizeof data, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0 || nghttp2_session_mem_recv(link->session, data, (size_t)got) != got) {
        link->is_lost = true;
    }
}

// Those that were waiting when the link was found to be lost; what they start anew waits for the next poll.
static void lose_calls(struct grpc *link) {
    size_t count = 0;
    for (const struct call *call = link->calls; call != NULL; call = call->next) {
        count++;
    }
    for (; count > 0; count--) { // new ones come to the front
        struct call *last = link->calls;
        while (last->next != NULL) {
            last = last->next;
        }
        finish(last, GRPC_LOST);
    }
}

void grpc_poll(struct grpc *const *links, size_t count, int64_t timeout_ms) {
    struct pollfd waited[LINKS_MAX];
    ASSERT(count <= LINKS_MAX);
    for (size_t i = 0; i < count; i++) {
        send_some(links[i]);
        short wants_out = links[i]->out_sent < links[i]->out.len ? POLLOUT : 0;
        waited[i] = (struct pollfd){.fd = links[i]->is_lost ? -1 : links[i]->fd,
                                    .events = (short)(POLLIN | wants_out)};
    }
    if (poll(waited, count, (int)timeout_ms) < 0) {
        return; // EINTR: the caller polls again
    }
    for (size_t i = 0; i < count; i++) {
        if (waited[i].revents != 0 && !links[i]->is_lost) {
            receive_some(links[i]);
            send_some(links[i]);
        }
        if (links[i]->is_lost) {
            lose_calls(links[i]);
        }
    }
}
