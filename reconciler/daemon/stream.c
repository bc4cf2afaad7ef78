// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/stream.c — every stream gets its share of a turn.
#include "reconciler/daemon/stream.h"

#include "reconciler/daemon/daemon.h"

static void stream_drop(struct stream *stream) {
    list_remove(&stream->node);
    stream->free(stream);
}

static void on_closed(struct answer *answer) {
    stream_drop((struct stream *)answer);
}

void stream_start(struct daemon *daemon, struct stream *stream, struct conversation *conversation) {
    stream->answer = (struct answer){.daemon = daemon, .conversation = conversation, .on_closed = on_closed};
    stream->last = STREAM_MORE;
    conversation_set_state(conversation, stream);
    list_append(&daemon->streams, &stream->node);
}

enum stream_outcome stream_fail(struct stream *stream, const struct error *err) {
    server_fail(stream->answer.conversation, err);
    return STREAM_ENDED;
}

static bool is_runnable(const struct stream *stream) {
    return stream->last == STREAM_MORE && server_is_writable(stream->answer.conversation);
}

static void run(struct stream *stream, struct store_read *read) {
    for (int i = 0; i < STEPS_PER_TURN && is_runnable(stream); i++) {
        stream->last = stream->step(stream, read);
        if (stream->last == STREAM_ENDED) {
            stream_drop(stream);
            return;
        }
    }
}

static bool has_news(const struct daemon *daemon) {
    return daemon->streams_revision != store_revision(daemon->store) ||
           daemon->streams_doubt_count != daemon->group.doubt_count;
}

// Idle streams run again when the store has changed, or the group, or it is time to look at files.
static void wake(struct daemon *daemon) {
    bool is_changed = has_news(daemon);
    bool is_time = daemon->streams_poll_mono_ms != 0 && daemon->streams_poll_mono_ms <= daemon->now.mono_ms;
    daemon->streams_revision = store_revision(daemon->store);
    daemon->streams_doubt_count = daemon->group.doubt_count;
    LIST_EACH(node, &daemon->streams) {
        struct stream *stream = LIST_ENTRY(node, struct stream, node);
        if ((is_changed && stream->last != STREAM_MORE) || (is_time && stream->last == STREAM_POLL)) {
            stream->last = STREAM_MORE;
        }
    }
}

// A time that is set stays: turns come more often than that, and each would put it off.
static void note_poll(struct daemon *daemon) {
    bool wants_poll = false;
    LIST_EACH(node, &daemon->streams) {
        wants_poll = wants_poll || LIST_ENTRY(node, struct stream, node)->last == STREAM_POLL;
    }
    if (!wants_poll) {
        daemon->streams_poll_mono_ms = 0;
    } else if (daemon->streams_poll_mono_ms <= daemon->now.mono_ms) {
        daemon->streams_poll_mono_ms = daemon->now.mono_ms + STREAM_POLL_MS;
    }
}

bool streams_have_work(const struct daemon *daemon) {
    if (list_is_empty((struct list *)(uintptr_t)&daemon->streams)) {
        return false;
    }
    bool is_changed = has_news(daemon);
    for (const struct list_node *node = daemon->streams.head.next; node != &daemon->streams.head;
         node = node->next) {
        if (is_changed || is_runnable(LIST_ENTRY(node, const struct stream, node))) {
            return true;
        }
    }
    return false;
}

int streams_step(struct daemon *daemon, struct error *err) {
    wake(daemon);
    if (!streams_have_work(daemon)) {
        note_poll(daemon);
        return 0;
    }
    struct store_read *read;
    int rc = store_read_begin(daemon->store, &read, err);
    if (rc < 0) {
        return error_wrap(err, rc, "answer");
    }
    LIST_EACH(node, &daemon->streams) {
        run(LIST_ENTRY(node, struct stream, node), read);
    }
    store_read_end(read);
    note_poll(daemon);
    return 0;
}

void streams_free(struct daemon *daemon) {
    if (daemon->streams.head.next == NULL) {
        return;
    }
    LIST_EACH(node, &daemon->streams) {
        stream_drop(LIST_ENTRY(node, struct stream, node));
    }
}
