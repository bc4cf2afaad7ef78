// SPDX-License-Identifier: Apache-2.0
//
// transport/client.c — one link, its hello, and the reading of answers on the caller's thread.
#include "transport/client.h"

#include <poll.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "transport/link.h"

struct client {
    struct mailbox mailbox;
    struct link *link;
    bool is_down;
    char down_reason[120];
    uint64_t last_conversation;
    struct link_letter *current; // holds the body that client_next lent out
    struct arena arena;          // of welcome
    struct welcome welcome;
};

const struct welcome *client_welcome(const struct client *client) {
    return &client->welcome;
}

int client_fd(const struct client *client) {
    return mailbox_fd(&client->mailbox);
}

static int client_send_as(struct client *client, uint16_t number, uint64_t conversation, const void *payload,
                          struct error *err) {
    const struct message_row *row = message_row(number);
    ASSERT(row != NULL && row->sender == SENDER_CLIENT);
    AUTO_BUF body = buf_make(FRAME_BYTES_MAX);
    wire_encode(row->payload, payload, &body);
    if (body.overflow || body.len > row->bytes_max) {
        return error_set(err, ERR_LIMIT, "the request has %zu bytes, over the limit of %u: send less at once",
                         body.len, row->bytes_max);
    }
    link_send(client->link, number, conversation, buf_bytes(&body));
    return 0;
}

int client_send(struct client *client, uint16_t number, const void *payload, uint64_t *out,
                struct error *err) {
    int rc = client_send_as(client, number, client->last_conversation + 1, payload, err);
    if (rc == 0) {
        *out = ++client->last_conversation;
    }
    return rc;
}

void client_cancel(struct client *client, uint64_t conversation) {
    struct nothing nothing = {0};
    (void)client_send_as(client, MESSAGE_CANCEL, conversation, &nothing, NULL);
}

static int client_is_down(const struct client *client, struct error *err) {
    return error_set(err, ERR_UNREACHABLE, "the connection to the daemon was lost: %s", client->down_reason);
}

// Takes letters until a frame; false when the mailbox is empty.
static bool client_take(struct client *client) {
    for (;;) {
        struct link_letter *letter = (struct link_letter *)mailbox_take(&client->mailbox);
        if (letter == NULL) {
            return false;
        }
        if (letter->kind == LINK_FRAME) {
            link_consumed(client->link);
            client->current = letter;
            return true;
        }
        if (letter->kind == LINK_DOWN) {
            client->is_down = true;
            snprintf(client->down_reason, sizeof client->down_reason, "%s", letter->reason);
        }
        link_letter_free(letter);
    }
}

int client_next(struct client *client, int64_t timeout_ms, struct client_frame *out, struct error *err) {
    link_letter_free(TAKE(client->current));
    int64_t deadline = timeout_ms < 0 ? INT64_MAX : clock_mono_ms() + timeout_ms;
    while (!client_take(client)) {
        if (client->is_down) {
            return client_is_down(client, err);
        }
        int64_t left = deadline == INT64_MAX ? INT32_MAX : deadline - clock_mono_ms();
        struct pollfd fd = {.fd = client_fd(client), .events = POLLIN};
        if (left <= 0 || poll(&fd, 1, (int)(left > INT32_MAX ? INT32_MAX : left)) < 0) {
            return CLIENT_TIMEOUT; // a signal ends the wait too, so that the caller can look
        }
    }
    *out = (struct client_frame){.conversation = client->current->header.conversation,
                                 .number = client->current->header.number,
                                 .body = {client->current->body, client->current->header.len}};
    return 0;
}

int client_failure(const struct client_frame *frame, struct error *err) {
    AUTO_ARENA arena = arena_make(0);
    struct failure failure;
    int rc = wire_decode(&failure_schema, frame->body, &failure, &arena, err);
    return rc < 0 ? rc : error_set(err, error_code_from_name(failure.code), "%s", failure.text);
}

// --- opening ---

// "unix:///path", "unix://path", "/path" → "ipc:///path".
static int host_url(const char *host, char **out, struct error *err) {
    const char *path = str_starts(host, "unix://") ? host + 7 : host;
    if (path[0] != '/') {
        return error_set(err, ERR_USAGE, "'%s' is not a host: write unix:///PATH/TO/muster.sock", host);
    }
    *out = xasprintf("ipc://%s", path);
    return 0;
}

static int client_greet(struct client *client, const char *name, int64_t timeout_ms, struct error *err) {
    struct hello hello;
    schema_init(&hello_schema, &hello);
    hello.version_min = PROTOCOL_VERSION_MIN;
    hello.version_max = PROTOCOL_VERSION;
    hello.client = name;
    int rc = client_send_as(client, MESSAGE_HELLO, 0, &hello, err);
    if (rc < 0) {
        return rc;
    }
    struct client_frame frame;
    rc = client_next(client, timeout_ms, &frame, err);
    if (rc == CLIENT_TIMEOUT) {
        return error_set(err, ERR_UNREACHABLE, "the daemon did not answer within %lld ms",
                         (long long)timeout_ms);
    }
    if (rc < 0) {
        return rc;
    }
    if (frame.number == MESSAGE_FAILURE) {
        return client_failure(&frame, err);
    }
    if (frame.number != MESSAGE_WELCOME) {
        return error_set(err, ERR_UNSUPPORTED, "the daemon answered hello with message %u", frame.number);
    }
    return wire_decode(&welcome_schema, frame.body, &client->welcome, &client->arena, err);
}

int client_open(const char *host, const char *client_name, int64_t timeout_ms, struct client **out,
                struct error *err) {
    AUTO_FREE char *url = NULL;
    int rc = host_url(host, &url, err);
    if (rc < 0) {
        return rc;
    }
    struct client *client = NEW(struct client);
    rc = mailbox_init(&client->mailbox, err);
    if (rc < 0) {
        xfree(client);
        return rc;
    }
    rc = link_dial(url, timeout_ms, &client->mailbox, SENDER_SERVER, &client->link, err);
    if (rc == 0) {
        rc = client_greet(client, client_name, timeout_ms, err);
    }
    if (rc < 0) {
        client_close(client);
        return error_wrap(err, rc, "no musterd answers at %s (start it with: musterd)", host);
    }
    *out = client;
    return 0;
}

void client_close(struct client *client) {
    if (client == NULL) {
        return;
    }
    link_letter_free(TAKE(client->current));
    if (client->link != NULL) {
        link_close(client->link, "client closed");
        while (!client->is_down) {
            if (client_take(client)) {
                link_letter_free(TAKE(client->current));
                continue;
            }
            struct pollfd fd = {.fd = client_fd(client), .events = POLLIN};
            (void)poll(&fd, 1, -1);
        }
        link_free(client->link);
    }
    mailbox_deinit(&client->mailbox);
    arena_free(&client->arena);
    xfree(client);
}

// --- calls ---

// The next frame of one conversation; others' frames do not come while a call is made on an otherwise idle
// link.
static int client_next_of(struct client *client, uint64_t conversation, int64_t deadline_mono_ms,
                          struct client_frame *out, struct error *err) {
    for (;;) {
        int64_t left = deadline_mono_ms - clock_mono_ms();
        int rc = client_next(client, left > 0 ? left : 0, out, err);
        if (rc == CLIENT_TIMEOUT && clock_mono_ms() >= deadline_mono_ms) {
            return error_set(err, ERR_UNREACHABLE, "the daemon did not answer in time");
        }
        if (rc < 0) {
            return rc;
        }
        if (rc == 0 && (out->conversation == conversation || out->conversation == 0)) {
            return out->number == MESSAGE_FAILURE ? client_failure(out, err) : 0;
        }
    }
}

int client_call(struct client *client, uint16_t number, const void *payload, uint16_t expected,
                struct arena *arena, void **out_payload, int64_t timeout_ms, struct error *err) {
    uint64_t conversation;
    int rc = client_send(client, number, payload, &conversation, err);
    int64_t deadline = clock_mono_ms() + timeout_ms;
    void *answer = NULL;
    while (rc == 0) {
        struct client_frame frame;
        rc = client_next_of(client, conversation, deadline, &frame, err);
        if (rc < 0) {
            return rc;
        }
        if (frame.number == MESSAGE_DONE) {
            break;
        }
        if (frame.number == expected && answer == NULL) {
            const struct schema *schema = message_row(expected)->payload;
            answer = arena_alloc(arena, schema->bytes);
            struct bytes body = {arena_copy(arena, frame.body.data, frame.body.len), frame.body.len};
            rc = wire_decode(schema, body, answer, arena, err);
        }
    }
    if (rc == 0 && answer == NULL) {
        return error_set(err, ERR_INTERNAL, "the daemon ended its answer without %s",
                         message_row(expected)->name);
    }
    *out_payload = answer;
    return rc;
}

static int object_list_add(const struct objects *chunk, struct arena *arena, struct object_list *out,
                           struct error *err) {
    const struct schema *schema = object_schema((enum object_kind)chunk->kind);
    if (schema == NULL) {
        return error_set(err, ERR_UNSUPPORTED,
                         "the daemon sent objects of kind %lld, which this client does not know",
                         (long long)chunk->kind);
    }
    for (size_t i = 0; i < chunk->items.count; i++) {
        void *object = arena_alloc(arena, schema->bytes);
        int rc = wire_decode(schema, chunk->items.items[i].object, object, arena, err);
        if (rc < 0) {
            return rc;
        }
        *ARENA_PUSH(arena, out) = object;
    }
    return 0;
}

int client_list(struct client *client, const struct list_request *request, struct arena *arena,
                struct object_list *out, struct error *err) {
    const int64_t timeout_ms = 30000;
    uint64_t conversation;
    struct object_list list = {0};
    int rc = client_send(client, MESSAGE_LIST, request, &conversation, err);
    int64_t deadline = clock_mono_ms() + timeout_ms;
    while (rc == 0) {
        struct client_frame frame;
        rc = client_next_of(client, conversation, deadline, &frame, err);
        if (rc < 0) {
            return rc;
        }
        if (frame.number == MESSAGE_DONE) {
            struct done done;
            rc = wire_decode(&done_schema, frame.body, &done, arena, err);
            list.revision = done.revision;
            break;
        }
        struct bytes body = {arena_copy(arena, frame.body.data, frame.body.len), frame.body.len};
        struct objects chunk;
        rc = wire_decode(&objects_schema, body, &chunk, arena, err);
        rc = rc < 0 ? rc : object_list_add(&chunk, arena, &list, err);
    }
    if (rc == 0) {
        *out = list;
    }
    return rc;
}
