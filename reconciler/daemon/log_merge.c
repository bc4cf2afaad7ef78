// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/log_merge.c — the earliest line first, as far as that can be known.
#include "reconciler/daemon/log_merge.h"

#include "base/mem.h"

struct log_frame {
    struct list_node node;
    struct buf body;
    struct arena arena;
    struct log_lines lines;
    size_t next;
    bool is_read; // `lines` is there
    int64_t arrived_ms;
};

static void frame_free(struct log_frame *frame) {
    list_remove(&frame->node);
    buf_free(&frame->body);
    arena_free(&frame->arena);
    xfree(frame);
}

static void frames_free(struct list *frames) {
    LIST_EACH(node, frames) {
        frame_free(LIST_ENTRY(node, struct log_frame, node));
    }
}

static void feed_free(struct log_feed *feed) {
    list_remove(&feed->node);
    frames_free(&feed->frames);
    xfree(feed);
}

void log_merge_init(struct log_merge *merge, bool follow, void (*on_consumed)(void *owner, size_t bytes)) {
    *merge = (struct log_merge){.follow = follow, .on_consumed = on_consumed};
    list_init(&merge->feeds);
    list_init(&merge->spent);
}

void log_merge_deinit(struct log_merge *merge) {
    LIST_EACH(node, &merge->feeds) {
        feed_free(LIST_ENTRY(node, struct log_feed, node));
    }
    log_merge_flush(merge);
}

void log_merge_flush(struct log_merge *merge) {
    frames_free(&merge->spent);
}

struct log_feed *log_feed_new(struct log_merge *merge, void *owner, int64_t now_ms) {
    struct log_feed *feed = NEW(struct log_feed);
    feed->owner = owner;
    feed->awaited_ms = now_ms;
    list_init(&feed->frames);
    list_append(&merge->feeds, &feed->node);
    return feed;
}

void log_feed_push(struct log_feed *feed, struct bytes lines, int64_t now_ms) {
    struct log_frame *frame = NEW(struct log_frame);
    buf_add(&frame->body, lines.data, lines.len);
    frame->arrived_ms = now_ms;
    list_append(&feed->frames, &frame->node);
    feed->has_mark = false;
    feed->awaited_ms = now_ms;
}

void log_feed_mark(struct log_feed *feed, int64_t time_unix_ns) {
    feed->has_mark = true;
    feed->mark_unix_ns = time_unix_ns;
}

void log_feed_end(struct log_feed *feed) {
    feed->has_ended = true;
    feed->owner = NULL;
}

// --- the next line ---

static void spend(struct log_merge *merge, struct log_feed *feed, struct log_frame *frame) {
    list_remove(&frame->node);
    list_append(&merge->spent, &frame->node);
    if (feed->owner != NULL) {
        merge->on_consumed(feed->owner, frame->body.len);
    }
}

// The frame whose line comes next of this feed; NULL = it has none now.
static int head_of(struct log_merge *merge, struct log_feed *feed, struct log_frame **out,
                   struct error *err) {
    *out = NULL;
    while (!list_is_empty(&feed->frames)) {
        struct log_frame *frame = LIST_ENTRY(list_first(&feed->frames), struct log_frame, node);
        int rc = frame->is_read ? 0
                                : wire_decode(&log_lines_schema, buf_bytes(&frame->body), &frame->lines,
                                              &frame->arena, err);
        frame->is_read = rc == 0;
        if (rc == 0 && frame->next < frame->lines.lines.count) {
            *out = frame;
            return 0;
        }
        spend(merge, feed, frame);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

static int64_t time_of(const struct log_frame *frame) {
    return frame->lines.lines.items[frame->next].time_unix_ns;
}

static struct log_frame *first_of(const struct log_feed *feed) {
    return feed->frames.head.next == &feed->frames.head
               ? NULL
               : LIST_ENTRY(feed->frames.head.next, struct log_frame, node);
}

// Whether the line must wait for a feed that has none.
static enum log_merge_outcome waits_for(const struct log_merge *merge, const struct log_feed *feed,
                                        const struct log_frame *frame, int64_t now_ms) {
    if (!feed->has_mark) {
        bool is_stalled = merge->follow && now_ms - feed->awaited_ms >= LOG_STALL_MS;
        return is_stalled ? LOG_MERGE_LINE : merge->follow ? LOG_MERGE_LATER : LOG_MERGE_WAIT;
    }
    bool is_early = time_of(frame) <= feed->mark_unix_ns;
    return is_early || now_ms - frame->arrived_ms >= LOG_REORDER_MS ? LOG_MERGE_LINE : LOG_MERGE_LATER;
}

static int choose(struct log_merge *merge, struct log_frame **out, struct error *err) {
    *out = NULL;
    LIST_EACH(node, &merge->feeds) {
        struct log_feed *feed = LIST_ENTRY(node, struct log_feed, node);
        struct log_frame *frame;
        int rc = head_of(merge, feed, &frame, err);
        if (rc < 0) {
            return rc;
        }
        if (frame == NULL && feed->has_ended) {
            feed_free(feed);
        } else if (frame != NULL && (*out == NULL || time_of(frame) < time_of(*out))) {
            *out = frame;
        }
    }
    return 0;
}

int log_merge_next(struct log_merge *merge, int64_t now_ms, const struct log_line **out, struct error *err) {
    struct log_frame *frame;
    int rc = choose(merge, &frame, err);
    if (rc < 0) {
        return rc;
    }
    if (frame == NULL) {
        return list_is_empty(&merge->feeds) ? LOG_MERGE_END : LOG_MERGE_WAIT;
    }
    LIST_EACH(node, &merge->feeds) {
        const struct log_feed *feed = LIST_ENTRY(node, const struct log_feed, node);
        enum log_merge_outcome outcome =
            first_of(feed) != NULL ? LOG_MERGE_LINE : waits_for(merge, feed, frame, now_ms);
        if (outcome != LOG_MERGE_LINE) {
            return outcome;
        }
    }
    *out = &frame->lines.lines.items[frame->next++];
    return LOG_MERGE_LINE;
}
