// SPDX-License-Identifier: Apache-2.0
//
// test/lib/answerer.c — the loop thread, its handlers, and a condition that tells of every round.
#include "test/lib/answerer.h"
#include "test/lib/scratch.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"

// What is left to send of a WATCH.
struct stream {
    int64_t next, left;
};

static void answerer_count(struct answerer *answerer, unsigned *counter) {
    pthread_mutex_lock(&answerer->lock);
    (*counter)++;
    pthread_mutex_unlock(&answerer->lock);
}

static void answerer_remember(struct answerer *answerer, struct conversation *conversation) {
    for (size_t i = 0; i < ANSWERER_CONVERSATIONS_MAX; i++) {
        if (answerer->open[i] == NULL) {
            answerer->open[i] = conversation;
            return;
        }
    }
    UNREACHABLE("too many conversations for this test");
}

static void answerer_forget(struct answerer *answerer, struct conversation *conversation) {
    xfree(conversation_state(conversation));
    for (size_t i = 0; i < ANSWERER_CONVERSATIONS_MAX; i++) {
        if (answerer->open[i] == conversation) {
            answerer->open[i] = NULL;
        }
    }
}

static void answerer_fail_all(struct answerer *answerer) {
    struct error err = {0};
    error_set(&err, ERR_STOPPED, "all is over");
    for (size_t i = 0; i < ANSWERER_CONVERSATIONS_MAX; i++) {
        struct conversation *conversation = answerer->open[i];
        if (conversation != NULL) {
            answerer_forget(answerer, conversation);
            server_fail(conversation, &err);
        }
    }
}

static void answerer_stream(struct answerer *answerer, struct conversation *conversation) {
    struct stream *stream = conversation_state(conversation);
    AUTO_FREE char *chunk = xcalloc(1, FRAME_CHUNK_BYTES);
    while (stream->left > 0 && server_is_writable(conversation)) {
        struct object_item item;
        struct objects objects;
        schema_init(&object_item_schema, &item);
        schema_init(&objects_schema, &objects);
        snprintf(chunk, FRAME_CHUNK_BYTES, "%lld", (long long)stream->next);
        item.object = (struct bytes){(const uint8_t *)chunk, FRAME_CHUNK_BYTES};
        objects.items.count = 1;
        objects.items.items = &item;
        (void)server_send(conversation, MESSAGE_OBJECTS, &objects);
        stream->next++;
        stream->left--;
        pthread_mutex_lock(&answerer->lock);
        answerer->bytes_sent += FRAME_CHUNK_BYTES;
        pthread_mutex_unlock(&answerer->lock);
    }
    if (stream->left == 0) {
        int64_t next = stream->next;
        answerer_forget(answerer, conversation);
        server_done(conversation, next);
    }
}

static void answer_watch(struct answerer *answerer, const struct server_request *request) {
    const struct watch_request *watch = request->payload;
    struct stream *stream = xcalloc(1, sizeof *stream);
    *stream = (struct stream){watch->from_revision, watch->kinds};
    conversation_set_state(request->conversation, stream);
    answerer_remember(answerer, request->conversation);
    answerer_stream(answerer, request->conversation);
}

static void answer_info(const struct server_request *request) {
    struct info_reply reply;
    schema_init(&info_reply_schema, &reply);
    reply.node_name = "answerer";
    reply.revision = (int64_t)request->peer_pid;
    (void)server_send(request->conversation, MESSAGE_INFO_REPLY, &reply);
    server_done(request->conversation, 1);
}

static void answer_too_much(const struct server_request *request) {
    AUTO_FREE uint8_t *data = xcalloc(1, FRAME_BYTES_MAX + 1);
    struct object_item item;
    struct objects objects;
    schema_init(&object_item_schema, &item);
    schema_init(&objects_schema, &objects);
    item.object = (struct bytes){data, FRAME_BYTES_MAX + 1};
    objects.items.count = 1;
    objects.items.items = &item;
    (void)server_send(request->conversation, MESSAGE_OBJECTS, &objects);
    server_done(request->conversation, 2);
}

static void answer_why(const struct server_request *request) {
    struct error err = {0};
    const struct why_request *why = request->payload;
    error_set(&err, ERR_NOT_FOUND, "no task %s", why->reference);
    server_fail(request->conversation, error_wrap(&err, 0, "explain") == 0 ? &err : NULL);
}

static void on_request(void *context, const struct server_request *request) {
    struct answerer *answerer = context;
    switch (request->number) {
    case MESSAGE_INFO:
        answer_info(request);
        break;
    case MESSAGE_WHY:
        answer_why(request);
        break;
    case MESSAGE_LIST:
        answer_too_much(request);
        break;
    case MESSAGE_WATCH:
        answer_watch(answerer, request);
        break;
    case MESSAGE_APPLY:
        server_done(request->conversation,
                    (int64_t)((const struct apply_request *)request->payload)->items.count);
        break;
    case MESSAGE_REMOVE:
        answerer_remember(answerer, request->conversation);
        answerer_fail_all(answerer);
        break;
    default:
        answerer_remember(answerer, request->conversation);
        break;
    }
    answerer_count(answerer, &answerer->requests);
}

static void on_closed(void *context, struct conversation *conversation) {
    struct answerer *answerer = context;
    answerer_forget(answerer, conversation);
    answerer_count(answerer, &answerer->closed);
}

static void on_writable(void *context, struct conversation *conversation) {
    struct answerer *answerer = context;
    if (answerer->is_ending_all) {
        answerer_fail_all(answerer);
    } else if (conversation_state(conversation) != NULL) {
        answerer_stream(answerer, conversation);
    }
    answerer_count(answerer, &answerer->writable);
}

static void *answerer_loop(void *context) {
    struct answerer *answerer = context;
    for (;;) {
        pthread_mutex_lock(&answerer->lock);
        bool is_stopping = answerer->is_stopping, is_paused = answerer->is_paused;
        int64_t ahead = answerer->clock_ahead_ms;
        answerer->rounds++;
        pthread_cond_broadcast(&answerer->changed);
        pthread_mutex_unlock(&answerer->lock);
        if (is_stopping) {
            return NULL;
        }
        struct pollfd fd = {.fd = is_paused ? -1 : server_fd(answerer->server), .events = POLLIN};
        (void)poll(&fd, 1, 5);
        if (!is_paused) {
            server_take(answerer->server, 64);
            server_tick(answerer->server, clock_mono_ms() + ahead);
        }
    }
}

void answerer_begin(struct answerer *answerer) {
    *answerer = (struct answerer){0};
    scratch_name(answerer->dir, sizeof answerer->dir, "answerer");
    char *made = mkdtemp(answerer->dir);
    ASSERT(made != NULL);
    snprintf(answerer->socket_path, sizeof answerer->socket_path, "%s/run/muster.sock", answerer->dir);
    snprintf(answerer->host, sizeof answerer->host, "unix://%s", answerer->socket_path);
    pthread_mutex_init(&answerer->lock, NULL);
    pthread_cond_init(&answerer->changed, NULL);
    struct server_options options = {.socket_path = answerer->socket_path,
                                     .callbacks = {on_request, on_closed, on_writable, answerer}};
    schema_init(&welcome_schema, &options.welcome);
    options.welcome.node_name = "answerer";
    options.welcome.server_version = MUSTER_VERSION;
    options.welcome.is_manager = true;
    int rc = server_open(&options, &answerer->server, NULL);
    ASSERT(rc == 0);
    rc = pthread_create(&answerer->thread, NULL, answerer_loop, answerer);
    ASSERT(rc == 0);
}

void answerer_halt(struct answerer *answerer) {
    pthread_mutex_lock(&answerer->lock);
    answerer->is_stopping = true;
    pthread_mutex_unlock(&answerer->lock);
    pthread_join(answerer->thread, NULL);
}

void answerer_end(struct answerer *answerer) {
    if (!answerer->is_stopping) {
        answerer_halt(answerer);
        server_close(answerer->server);
    }
    fs_remove_tree(AT_FDCWD, answerer->dir, NULL);
    pthread_mutex_destroy(&answerer->lock);
    pthread_cond_destroy(&answerer->changed);
}

void answerer_pass_time(struct answerer *answerer, int64_t ms) {
    pthread_mutex_lock(&answerer->lock);
    answerer->clock_ahead_ms += ms;
    pthread_mutex_unlock(&answerer->lock);
}

void answerer_pause(struct answerer *answerer, bool is_paused) {
    pthread_mutex_lock(&answerer->lock);
    answerer->is_paused = is_paused;
    pthread_mutex_unlock(&answerer->lock);
}

void answerer_await(struct answerer *answerer, const unsigned *counter, unsigned count) {
    struct timespec deadline;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += 10;
    pthread_mutex_lock(&answerer->lock);
    while (*counter < count) {
        int rc = pthread_cond_timedwait(&answerer->changed, &answerer->lock, &deadline);
        ASSERT(rc == 0);
    }
    pthread_mutex_unlock(&answerer->lock);
}

unsigned answerer_read(struct answerer *answerer, const unsigned *counter) {
    pthread_mutex_lock(&answerer->lock);
    unsigned value = *counter;
    pthread_mutex_unlock(&answerer->lock);
    return value;
}

void answerer_settle(struct answerer *answerer) {
    answerer_await(answerer, &answerer->rounds, answerer_read(answerer, &answerer->rounds) + 2);
}
