// SPDX-License-Identifier: Apache-2.0
//
// tui/stream.c — the states of the link, and the frames of the watch.
#include "tui/stream.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "transport/client.h"
#include "tui/recording.h"

#define DIAL_TIMEOUT_MS 3000
#define RETRY_MS_MIN 250
#define RETRY_MS_MAX 5000
#define ASK_AFTER_MS 5000    // of quiet
#define SILENT_AFTER_MS 3000 // without an answer
#define REASON_BYTES 512

// A connection being made beside the loop. Whoever is last frees it: the loop may have left meanwhile.
struct dial {
    pthread_mutex_t lock;
    char *host;
    int done_fd; // the loop's; readable when the result is there
    struct client *client;
    struct error err;
    bool is_done, is_abandoned;
};

enum stream_phase { PHASE_WAITING, PHASE_DIALING, PHASE_WATCHING, PHASE_REPLAY };

struct stream {
    enum stream_phase phase;
    char *host;
    struct dial *dial;
    struct client *client;
    uint64_t watch, question; // conversations; 0 = none
    struct id cluster_id;     // that the picture is of
    bool from_start;          // the picture cannot be continued
    int64_t retry_at_ms, retry_after_ms;
    int64_t heard_ms, asked_ms;
    bool was_silent;
    char reason[REASON_BYTES];
    char doubt[REASON_BYTES]; // of the daemon about what it shows; "" = none
    int64_t doubt_ms;         // since when
    char node_name[64];
    int record_fd;
    struct buf recording;
    struct bytes replay; // rest of the recording
};

// --- dialling ---

static void dial_free(struct dial *dial) {
    client_close(dial->client);
    pthread_mutex_destroy(&dial->lock);
    close(dial->done_fd);
    xfree(dial->host);
    xfree(dial);
}

static void *dial_run(void *argument) {
    struct dial *dial = argument;
    struct client *client = NULL;
    struct error err = {0};
    (void)client_open(dial->host, "muster console", DIAL_TIMEOUT_MS, &client, &err);
    pthread_mutex_lock(&dial->lock);
    dial->client = client;
    dial->err = err;
    dial->is_done = true;
    bool is_mine = dial->is_abandoned;
    eventfd_write(dial->done_fd, 1);
    pthread_mutex_unlock(&dial->lock);
    if (is_mine) {
        dial_free(dial);
    }
    return NULL;
}

static int dial_start(struct stream *stream, struct error *err) {
    struct dial *dial = NEW(struct dial);
    pthread_mutex_init(&dial->lock, NULL);
    dial->host = xstrdup(stream->host);
    dial->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_t thread;
    int sys = dial->done_fd < 0 ? errno : pthread_create(&thread, &attributes, dial_run, dial);
    pthread_attr_destroy(&attributes);
    if (sys != 0) {
        dial_free(dial);
        return error_sys(err, sys, "start a thread that connects");
    }
    stream->dial = dial;
    return 0;
}

static void dial_abandon(struct dial *dial) {
    pthread_mutex_lock(&dial->lock);
    bool is_mine = dial->is_done;
    dial->is_abandoned = true;
    pthread_mutex_unlock(&dial->lock);
    if (is_mine) {
        dial_free(dial);
    }
}

// --- losing and finding the daemon ---

static void stream_lost(struct stream *stream, const struct error *err, int64_t now_ms) {
    client_close(TAKE(stream->client));
    stream->watch = stream->question = 0;
    error_text(err, stream->reason, sizeof stream->reason);
    stream->retry_after_ms = stream->retry_after_ms == 0 ? RETRY_MS_MIN : stream->retry_after_ms * 2;
    stream->retry_after_ms = stream->retry_after_ms > RETRY_MS_MAX ? RETRY_MS_MAX : stream->retry_after_ms;
    stream->retry_at_ms = now_ms + stream->retry_after_ms;
    stream->phase = PHASE_WAITING;
}

static void stream_dial(struct stream *stream, int64_t now_ms) {
    struct error err = {0};
    if (dial_start(stream, &err) < 0) {
        stream_lost(stream, &err, now_ms);
        return;
    }
    stream->phase = PHASE_DIALING;
}

// Asks for what is missing: all, or what came after the picture, if it is of this cluster.
static int stream_watch(struct stream *stream, struct model *model, struct error *err) {
    const struct welcome *welcome = client_welcome(stream->client);
    struct watch_request request;
    schema_init(&watch_request_schema, &request);
    bool continues = !stream->from_start && model->is_caught_up && !model->is_loading &&
                     id_equal(&welcome->cluster_id, &stream->cluster_id);
    request.from_revision = continues ? model->revision : 0;
    request.kinds = MODEL_KINDS;
    int rc = client_send(stream->client, MESSAGE_WATCH, &request, &stream->watch, err);
    if (rc < 0) {
        return rc;
    }
    if (request.from_revision == 0) {
        model_begin_snapshot(model);
    }
    stream->cluster_id = welcome->cluster_id;
    stream->from_start = false;
    if (!str_copy(stream->node_name, sizeof stream->node_name, welcome->node_name)) {
        stream->node_name[0] = '\0';
    }
    return 0;
}

static void stream_dialled(struct stream *stream, struct model *model, int64_t now_ms) {
    struct dial *dial = stream->dial;
    pthread_mutex_lock(&dial->lock);
    bool is_done = dial->is_done;
    pthread_mutex_unlock(&dial->lock);
    if (!is_done) {
        return;
    }
    struct error err = dial->err;
    stream->client = TAKE(dial->client);
    stream->dial = NULL;
    dial_free(dial);
    stream->heard_ms = stream->client != NULL ? now_ms : stream->heard_ms;
    if (stream->client == NULL || stream_watch(stream, model, &err) < 0) {
        stream_lost(stream, &err, now_ms);
        return;
    }
    stream->phase = PHASE_WATCHING;
}

// --- frames ---

static int stream_apply(struct stream *stream, struct model *model, struct bytes body, int64_t now_ms,
                        struct error *err) {
    AUTO_ARENA arena = {0};
    struct event_batch batch;
    int rc = wire_decode(&event_batch_schema, body, &batch, &arena, err);
    if (rc == 0) {
        rc = model_apply(model, &batch, now_ms, err);
    }
    if (rc < 0) {
        stream->from_start = true;
        return error_wrap(err, rc, "the stream cannot be read");
    }
    if (stream->doubt[0] == '\0') {
        stream->doubt_ms = now_ms;
    }
    (void)str_copy(stream->doubt, sizeof stream->doubt, batch.doubt);
    if (batch.caught_up) {
        stream->retry_after_ms = 0; // all is well: a loss from now on is tried again soon
        stream->reason[0] = '\0';
    }
    return 0;
}

static int stream_ended(struct stream *stream, const struct client_frame *frame, struct error *err) {
    stream->from_start = true; // whatever it did not like, a snapshot is always an answer
    if (frame->number == MESSAGE_FAILURE) {
        return client_failure(frame, err);
    }
    return error_set(err, ERR_UNREACHABLE, "the daemon ended the stream");
}

static int stream_frame(struct stream *stream, struct model *model, const struct client_frame *frame,
                        int64_t now_ms, struct error *err) {
    bool is_end = frame->number == MESSAGE_DONE || frame->number == MESSAGE_FAILURE;
    stream->heard_ms = now_ms;
    if (frame->conversation == stream->watch && frame->number == MESSAGE_EVENTS) {
        int rc = stream->record_fd >= 0 ? recording_append(stream->record_fd, frame->body, err) : 0;
        return rc < 0 ? rc : stream_apply(stream, model, frame->body, now_ms, err);
    }
    if (frame->conversation == stream->watch && is_end) {
        return stream_ended(stream, frame, err);
    }
    if (frame->conversation == stream->question && is_end) {
        stream->question = 0;
    }
    return 0;
}

// Asks whether anybody is there when it has been quiet for long.
static int stream_ask(struct stream *stream, int64_t now_ms, struct error *err) {
    if (stream->question != 0 || now_ms - stream->heard_ms < ASK_AFTER_MS) {
        return 0;
    }
    struct nothing nothing = {0};
    stream->asked_ms = now_ms;
    return client_send(stream->client, MESSAGE_INFO, &nothing, &stream->question, err);
}

static bool stream_is_silent(const struct stream *stream, int64_t now_ms) {
    return stream->phase == PHASE_WATCHING && stream->question != 0 &&
           now_ms - stream->asked_ms >= SILENT_AFTER_MS;
}

static bool stream_take(struct stream *stream, struct model *model, int64_t now_ms, int64_t budget_ms) {
    struct error err = {0};
    bool is_changed = false;
    int64_t until = clock_mono_ms() + budget_ms;
    int rc = 0;
    while (rc == 0) {
        struct client_frame frame;
        rc = client_next(stream->client, 0, &frame, &err);
        if (rc == 0) {
            is_changed = is_changed || frame.conversation == stream->watch;
            rc = stream_frame(stream, model, &frame, now_ms, &err);
        }
        if (clock_mono_ms() >= until) {
            break;
        }
    }
    rc = rc < 0 ? rc : stream_ask(stream, now_ms, &err);
    if (rc < 0) {
        stream_lost(stream, &err, now_ms);
        is_changed = true;
    }
    return is_changed;
}

bool stream_turn(struct stream *stream, struct model *model, int64_t now_ms, int64_t budget_ms) {
    enum stream_phase before = stream->phase;
    bool is_changed = false;
    if (stream->phase == PHASE_WAITING && now_ms >= stream->retry_at_ms) {
        stream_dial(stream, now_ms);
    }
    if (stream->phase == PHASE_DIALING) {
        stream_dialled(stream, model, now_ms);
    }
    if (stream->phase == PHASE_WATCHING) {
        is_changed = stream_take(stream, model, now_ms, budget_ms);
    }
    bool is_silent = stream_is_silent(stream, now_ms);
    is_changed = is_changed || before != stream->phase || is_silent != stream->was_silent;
    stream->was_silent = is_silent;
    return is_changed;
}

// --- for the loop ---

int stream_fd(const struct stream *stream) {
    switch (stream->phase) {
    case PHASE_DIALING:
        return stream->dial->done_fd;
    case PHASE_WATCHING:
        return client_fd(stream->client);
    case PHASE_WAITING:
    case PHASE_REPLAY:
        break;
    }
    return -1;
}

int64_t stream_wake_ms(const struct stream *stream) {
    if (stream->phase == PHASE_WAITING) {
        return stream->retry_at_ms;
    }
    if (stream->phase == PHASE_WATCHING) {
        return stream->question != 0 ? stream->asked_ms + SILENT_AFTER_MS : stream->heard_ms + ASK_AFTER_MS;
    }
    return INT64_MAX;
}

void stream_describe(const struct stream *stream, const struct model *model, int64_t now_ms,
                     struct view_env *env) {
    env->link_reason = stream->reason;
    env->node_name = stream->node_name;
    env->link_age_ms = now_ms - stream->heard_ms;
    env->link_retry_ms = 0;
    if (stream->phase == PHASE_REPLAY) {
        env->link = LINK_REPLAY;
    } else if (stream_is_silent(stream, now_ms)) {
        env->link = LINK_SILENT;
        env->link_reason = "the daemon does not answer";
    } else if (stream->phase == PHASE_WATCHING && model->is_caught_up && stream->doubt[0] != '\0') {
        env->link = LINK_DOUBTFUL;
        env->link_age_ms = now_ms - stream->doubt_ms;
        env->link_reason = stream->doubt;
    } else if (stream->phase == PHASE_WATCHING) {
        env->link = model->is_loading || !model->is_caught_up ? LINK_LOADING : LINK_LIVE;
    } else {
        env->link = model->is_caught_up ? LINK_STALE : LINK_CONNECTING;
        env->link_retry_ms = stream->phase == PHASE_WAITING ? stream->retry_at_ms - now_ms : 0;
    }
}

int stream_feed(struct stream *stream, struct model *model, size_t count, int64_t now_ms, struct error *err) {
    ASSERT(stream->phase == PHASE_REPLAY);
    struct bytes body;
    while (count-- > 0 && recording_next(&stream->replay, &body)) {
        int rc = stream_apply(stream, model, body, now_ms, err);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

static int stream_open_files(struct stream *stream, const struct stream_options *options, struct error *err) {
    if (options->record_path != NULL) {
        int fd = recording_create(options->record_path, err);
        if (fd < 0) {
            return fd;
        }
        stream->record_fd = fd;
    }
    if (options->replay_path == NULL) {
        return 0;
    }
    int rc = recording_read(options->replay_path, &stream->recording, err);
    if (rc < 0) {
        return rc;
    }
    stream->phase = PHASE_REPLAY;
    stream->replay = buf_bytes(&stream->recording);
    return recording_begin(&stream->replay, err);
}

int stream_open(const struct stream_options *options, struct stream **out, struct error *err) {
    struct stream *stream = NEW(struct stream);
    stream->record_fd = -1;
    stream->host = xstrdup(options->host != NULL ? options->host : "");
    int rc = stream_open_files(stream, options, err);
    if (rc < 0) {
        stream_close(stream);
        return rc;
    }
    *out = stream;
    return 0;
}

void stream_close(struct stream *stream) {
    if (stream == NULL) {
        return;
    }
    if (stream->dial != NULL) {
        dial_abandon(stream->dial);
    }
    client_close(stream->client);
    close_at(&stream->record_fd);
    buf_free(&stream->recording);
    xfree(stream->host);
    xfree(stream);
}
