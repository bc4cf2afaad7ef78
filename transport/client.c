// SPDX-License-Identifier: Apache-2.0
//
// transport/client.c — one link, its hello, and the reading of answers on the caller's thread.
//
// Waiting      A call waits for the frames of its own conversation. Those of others (a watch that is open
//              meanwhile) are set aside, bounded, and put back into the mailbox when the call is over, so
//              that client_fd and client_next go on as if nothing had been.
// The end      The link is lost (LINK_DOWN), or the daemon says on conversation 0 why it ends the
//              connection: then we hang up, and that reason is what every later call tells.
#include "transport/client.h"

#include <poll.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "transport/link.h"

#define ASIDE_BYTES_MAX ((size_t)16 * MIB)
#define LIST_TIMEOUT_MS 30000

struct client {
    struct mailbox mailbox;
    struct link *link;
    bool is_down;        // LINK_DOWN was taken
    bool is_over;        // nothing more comes: down, or told so by the daemon
    struct error ending; // why
    uint64_t last_conversation;
    struct link_letter *current; // holds the body that client_next lent out
    struct letter *aside, **aside_end;
    size_t aside_bytes;
    struct arena arena; // of welcome
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
        return error_set(err, ERR_LIMIT, "the request has more than %u bytes: send less at once",
                         row->bytes_max);
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

static void client_end(struct client *client, enum error_code code, const char *reason) {
    if (!client->is_over) {
        client->is_over = true;
        error_set(&client->ending, code, "%s", reason);
    }
}

// Why there is nothing more to take.
static int client_over(const struct client *client, struct error *err) {
    if (err != NULL) {
        *err = client->ending;
    }
    return error_wrap(err, -(int)client->ending.code, "the connection to the daemon is over");
}

static void client_on_goodbye(struct client *client, const struct link_letter *letter) {
    struct client_frame frame = {.body = {letter->body, letter->header.len}};
    struct error err = {0};
    client_failure(&frame, &err);
    client_end(client, err.code, err.root);
    link_close(client->link, "told to");
}

// Takes letters until a frame; false when the mailbox is empty.
static bool client_take(struct client *client) {
    for (;;) {
        struct link_letter *letter = (struct link_letter *)mailbox_take(&client->mailbox);
        if (letter == NULL) {
            return false;
        }
        if (letter->kind == LINK_FRAME) {
            link_consumed(letter);
            if (letter->header.conversation != 0 || letter->header.number != MESSAGE_FAILURE) {
                client->current = letter;
                return true;
            }
            client_on_goodbye(client, letter);
        }
        if (letter->kind == LINK_DOWN) {
            client->is_down = true;
            client_end(client, ERR_UNREACHABLE, letter->reason);
        }
        link_letter_free(letter);
    }
}

int client_next(struct client *client, int64_t timeout_ms, struct client_frame *out, struct error *err) {
    link_letter_free(TAKE(client->current));
    int64_t deadline = timeout_ms < 0 ? INT64_MAX : clock_mono_ms() + timeout_ms;
    while (!client_take(client)) {
        if (client->is_over) {
            return client_over(client, err);
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

static int client_greet(struct client *client, const char *name, bool is_stale, int64_t timeout_ms,
                        struct error *err) {
    struct hello hello;
    schema_init(&hello_schema, &hello);
    hello.version_min = PROTOCOL_VERSION_MIN;
    hello.version_max = PROTOCOL_VERSION;
    hello.client = name;
    hello.is_stale = is_stale;
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
    if (frame.number != MESSAGE_WELCOME) {
        return error_set(err, ERR_UNSUPPORTED, "the daemon answered hello with message %u", frame.number);
    }
    link_trust(client->link);
    return wire_decode(&welcome_schema, frame.body, &client->welcome, &client->arena, err);
}

static int open_failed(const char *host, int rc, struct error *err) {
    return rc == -ERR_UNREACHABLE
               ? error_wrap(err, rc, "no musterd answers (start it with: musterd) at %s", host) // may be cut
           : rc == -ERR_DENIED
               ? error_wrap(err, rc, "only root may talk to it (use sudo): musterd at %s", host)
               : error_wrap(err, rc, "talk to musterd at %s", host);
}

static int open_as(const char *host, const char *client_name, bool is_stale, int64_t timeout_ms,
                   struct client **out, struct error *err) {
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
        rc = client_greet(client, client_name, is_stale, timeout_ms, err);
    }
    if (rc < 0) {
        client_close(client);
        return open_failed(host, rc, err);
    }
    *out = client;
    return 0;
}

int client_open(const char *host, const char *client_name, int64_t timeout_ms, struct client **out,
                struct error *err) {
    return open_as(host, client_name, /*is_stale=*/false, timeout_ms, out, err);
}

int client_open_stale(const char *host, const char *client_name, int64_t timeout_ms, struct client **out,
                      struct error *err) {
    return open_as(host, client_name, /*is_stale=*/true, timeout_ms, out, err);
}

static void client_put_back(struct client *client) {
    mailbox_put_back(&client->mailbox, TAKE(client->aside));
    client->aside_bytes = 0;
}

void client_close(struct client *client) {
    if (client == NULL) {
        return;
    }
    link_letter_free(TAKE(client->current));
    client_put_back(client);
    if (client->link != NULL) {
        link_close(client->link, "client closed");
        for (;;) {
            while (client_take(client)) {
                link_letter_free(TAKE(client->current));
            }
            if (client->is_down) {
                break;
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

static int client_put_aside(struct client *client, struct error *err) {
    struct link_letter *letter = TAKE(client->current);
    client->aside_bytes += sizeof *letter + letter->header.len;
    if (client->aside == NULL) {
        client->aside_end = &client->aside;
    }
    *client->aside_end = &letter->letter;
    client->aside_end = &letter->letter.next;
    if (client->aside_bytes > ASIDE_BYTES_MAX) {
        return error_set(err, ERR_LIMIT, "over %zu bytes of other conversations came before the answer",
                         ASIDE_BYTES_MAX);
    }
    return 0;
}

// The next frame of one conversation.
static int client_next_of(struct client *client, uint64_t conversation, int64_t deadline_mono_ms,
                          struct client_frame *out, struct error *err) {
    for (;;) {
        int64_t left = deadline_mono_ms - clock_mono_ms();
        int rc = client_next(client, left > 0 ? left : 0, out, err);
        if (rc == CLIENT_TIMEOUT && clock_mono_ms() >= deadline_mono_ms) {
            return error_set(err, ERR_UNREACHABLE, "the daemon did not answer in time");
        }
        if (rc == 0 && out->conversation == conversation) {
            return out->number == MESSAGE_FAILURE ? client_failure(out, err) : 0;
        }
        if (rc == 0) {
            rc = client_put_aside(client, err);
        }
        if (rc < 0) {
            return rc;
        }
    }
}

// An answer that is not waited for any more is not wanted any more; what was set aside is to be had again.
static void client_call_over(struct client *client, uint64_t conversation, int rc) {
    if (rc < 0 && !client->is_over) {
        client_cancel(client, conversation);
    }
    client_put_back(client);
}

static int call_wait(struct client *client, uint64_t conversation, uint16_t expected, struct arena *arena,
                     void **out_payload, int64_t deadline_mono_ms, struct error *err) {
    for (;;) {
        struct client_frame frame;
        int rc = client_next_of(client, conversation, deadline_mono_ms, &frame, err);
        if (rc < 0 || frame.number == MESSAGE_DONE) {
            return rc;
        }
        if (frame.number == expected && *out_payload == NULL) {
            const struct schema *schema = message_row(expected)->payload;
            *out_payload = arena_alloc(arena, schema->bytes);
            rc = wire_decode(schema, frame.body, *out_payload, arena, err);
        }
        if (rc < 0) {
            return rc;
        }
    }
}

int client_call(struct client *client, uint16_t number, const void *payload, uint16_t expected,
                struct arena *arena, void **out_payload, int64_t timeout_ms, struct error *err) {
    uint64_t conversation = 0;
    void *answer = NULL;
    int rc = client_send(client, number, payload, &conversation, err);
    if (rc < 0) {
        return rc;
    }
    rc = call_wait(client, conversation, expected, arena, &answer, clock_mono_ms() + timeout_ms, err);
    client_call_over(client, conversation, rc);
    if (rc == 0 && answer == NULL) {
        return error_set(err, ERR_INTERNAL, "the daemon ended its answer without %s",
                         message_row(expected)->name);
    }
    if (rc == 0) {
        *out_payload = answer;
    }
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

static int list_wait(struct client *client, uint64_t conversation, struct arena *arena,
                     struct object_list *list, struct error *err) {
    int64_t deadline = clock_mono_ms() + LIST_TIMEOUT_MS;
    for (;;) {
        struct client_frame frame;
        int rc = client_next_of(client, conversation, deadline, &frame, err);
        if (rc < 0) {
            return rc;
        }
        if (frame.number == MESSAGE_DONE) {
            struct done done;
            rc = wire_decode(&done_schema, frame.body, &done, arena, err);
            list->revision = rc < 0 ? 0 : done.revision;
            return rc;
        }
        struct objects chunk;
        rc = wire_decode(&objects_schema, frame.body, &chunk, arena, err);
        rc = rc < 0 ? rc : object_list_add(&chunk, arena, list, err);
        if (rc < 0) {
            return rc;
        }
    }
}

int client_list(struct client *client, const struct list_request *request, struct arena *arena,
                struct object_list *out, struct error *err) {
    uint64_t conversation = 0;
    struct object_list list = {0};
    int rc = client_send(client, MESSAGE_LIST, request, &conversation, err);
    if (rc < 0) {
        return rc;
    }
    rc = list_wait(client, conversation, arena, &list, err);
    client_call_over(client, conversation, rc);
    if (rc == 0) {
        *out = list;
    }
    return rc;
}
