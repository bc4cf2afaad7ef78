// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/control_watch.c — WATCH and HISTORY: what is, what was, and what happens next.
//
// WATCH is a snapshot (each object as an event with `snapshot` set) and then the history from the revision of
// the snapshot's first read. Where the history was trimmed beyond the reader's place it is told so, and
// gets a fresh snapshot. HISTORY looks for its first event from the end backwards in growing steps, for the
// history can only be read forwards.
#include "reconciler/daemon/control.h"

#include "base/mem.h"
#include "base/str.h"
#include "reconciler/daemon/daemon.h"
#include "reconciler/daemon/shown.h"
#include "reconciler/daemon/stream.h"

#define BATCH_EVENTS_MAX 512
#define SEARCH_EVENTS_MAX 4096
#define WINDOW_MAX (INT64_C(1) << 60)

struct watch_stream {
    struct stream stream;
    uint64_t kinds;
    bool in_snapshot;
    int snapshot_kind;
    struct id snapshot_last;
    struct store_position position;
    bool is_caught_up; // and has been told so
    bool must_say_skipped;
    bool has_more;        // in the history, after the last batch
    unsigned doubt_count; // of the group, as was told
};

static bool is_kind_wanted(uint64_t kinds, int64_t kind) {
    return kinds == 0 || (kind >= 0 && kind < 64 && (kinds >> kind & 1) != 0);
}

// --- snapshot ---

static void snapshot_begin(struct watch_stream *watch) {
    watch->in_snapshot = true;
    watch->snapshot_kind = KIND_NONE + 1;
    watch->snapshot_last = (struct id){{0}};
    watch->position = (struct store_position){0, 0};
}

// Only the name is wanted, but it lies in the middle of the object.
static const char *name_of(enum object_kind kind, struct bytes bytes, struct arena *arena) {
    const struct schema *schema = object_schema(kind);
    void *object = arena_alloc(arena, schema->bytes);
    return kind != KIND_TASK && wire_decode(schema, bytes, object, arena, NULL) == 0
               ? object_meta(object)->name
               : "";
}

static int snapshot_kind(struct watch_stream *watch, struct store_read *read, struct event_batch *batch,
                         struct arena *arena, size_t *len, struct error *err) {
    enum object_kind kind = (enum object_kind)watch->snapshot_kind;
    struct store_cursor cursor;
    struct id id;
    struct bytes bytes;
    int rc = store_each_begin(read, STORE_ALL, kind, NULL, &cursor, err);
    if (rc < 0) {
        return rc;
    }
    if (!id_is_none(&watch->snapshot_last)) {
        store_each_after(&cursor, &watch->snapshot_last);
    }
    while (*len < FRAME_CHUNK_BYTES && (rc = store_each_next(&cursor, &id, &bytes, err)) == 0) {
        watch->snapshot_last = id;
        if (!shown_object(kind, &bytes, arena)) {
            continue;
        }
        struct event *event = ARENA_PUSH(arena, &batch->events);
        schema_init(&event_schema, event);
        event->op = CHANGE_CREATE;
        event->snapshot = true;
        event->kind = kind;
        event->id = id;
        event->name = name_of(kind, bytes, arena);
        event->revision = watch->position.revision;
        event->to = bytes;
        *len += bytes.len;
    }
    store_each_end(&cursor);
    return rc;
}

static int snapshot_step(struct watch_stream *watch, struct store_read *read, struct event_batch *batch,
                         struct arena *arena, struct error *err) {
    size_t len = 0;
    if (watch->position.revision == 0) {
        watch->position = store_position_after(store_read_revision(read));
    }
    while (watch->snapshot_kind < KIND_END && len < FRAME_CHUNK_BYTES) {
        int rc = is_kind_wanted(watch->kinds, watch->snapshot_kind)
                     ? snapshot_kind(watch, read, batch, arena, &len, err)
                     : STORE_END;
        if (rc < 0) {
            return rc;
        }
        if (rc == STORE_END) {
            watch->snapshot_kind++;
            watch->snapshot_last = (struct id){{0}};
        }
    }
    watch->in_snapshot = watch->snapshot_kind < KIND_END;
    batch->revision = watch->position.revision;
    return 0;
}

// --- deltas ---

// Kinds are picked here and not by store_history, which would look for them as far as the history goes: a
// turn reads a bounded piece.
static int has_more(const struct watch_stream *watch, struct store_read *read, struct arena *arena, bool *out,
                    struct error *err) {
    struct store_position position = watch->position;
    struct events next = {0};
    int rc = store_history(read, &position, 0, 1, SIZE_MAX, arena, &next, err);
    *out = rc == 0 && next.count > 0;
    return rc < 0 ? rc : 0;
}

static int delta_step(struct watch_stream *watch, struct store_read *read, struct event_batch *batch,
                      struct arena *arena, struct error *err) {
    struct events events = {0};
    int rc =
        store_history(read, &watch->position, 0, BATCH_EVENTS_MAX, FRAME_CHUNK_BYTES, arena, &events, err);
    if (rc == STORE_SKIPPED || (rc == 0 && watch->position.revision > store_read_revision(read))) {
        snapshot_begin(watch);
        watch->must_say_skipped = true;
        return 0;
    }
    for (size_t i = 0; rc == 0 && i < events.count; i++) {
        if (is_kind_wanted(watch->kinds, events.items[i].kind) && shown_event(&events.items[i], arena)) {
            *ARENA_PUSH(arena, &batch->events) = events.items[i];
        }
    }
    bool more = false;
    rc = rc < 0 || events.count == 0 ? rc : has_more(watch, read, arena, &more, err);
    watch->is_caught_up = watch->is_caught_up && batch->events.count == 0;
    batch->caught_up = rc == 0 && !more && !watch->is_caught_up;
    batch->revision = more ? watch->position.revision : store_read_revision(read);
    watch->has_more = more;
    return rc;
}

static enum stream_outcome watch_step(struct stream *stream, struct store_read *read) {
    struct watch_stream *watch = (struct watch_stream *)stream;
    AUTO_ARENA arena = arena_make(0);
    struct error err = {0};
    struct event_batch batch;
    schema_init(&event_batch_schema, &batch);
    int rc = watch->in_snapshot ? snapshot_step(watch, read, &batch, &arena, &err)
                                : delta_step(watch, read, &batch, &arena, &err);
    if (rc < 0) {
        return stream_fail(stream, &err);
    }
    if (TAKE(watch->must_say_skipped)) {
        batch.skipped = true;
        batch.revision = store_read_revision(read);
    }
    const struct group *group = &stream->answer.daemon->group;
    batch.doubt = group->doubt;
    if (batch.events.count > 0 || batch.caught_up || batch.skipped ||
        watch->doubt_count != group->doubt_count) {
        server_send(stream->answer.conversation, MESSAGE_EVENTS, &batch);
        watch->doubt_count = group->doubt_count;
    }
    watch->is_caught_up = batch.caught_up || (watch->is_caught_up && !batch.skipped);
    return watch->is_caught_up && !watch->has_more ? STREAM_IDLE : STREAM_MORE;
}

static void watch_free(struct stream *stream) {
    xfree(stream);
}

void control_watch(const struct request *request) {
    const struct watch_request *asked = request->payload;
    struct watch_stream *watch = NEW(struct watch_stream);
    watch->stream.step = watch_step;
    watch->stream.free = watch_free;
    watch->kinds = (uint64_t)asked->kinds;
    if (asked->from_revision == 0) {
        snapshot_begin(watch);
    } else {
        watch->position = store_position_after(asked->from_revision);
    }
    stream_start(request->daemon, &watch->stream, request->conversation);
}

// --- HISTORY ---

struct history_stream {
    struct stream stream;
    struct arena arena; // of ids
    int64_t since_unix_ms, until_unix_ms, limit;
    uint64_t kinds;
    bool follow;
    LIST_OF(struct id) ids;
    bool is_found;   // the first event to send
    int64_t window;  // revisions from the end that the search looks at
    int64_t end;     // revision at which the search began: newer ones are follow's
    int64_t matches; // seen by the search in this window
    int64_t to_skip; // matches before the first that is wanted
    struct store_position position;
    bool is_caught_up;
};

static bool names_one_of(const struct history_stream *history, const struct id *id) {
    for (size_t i = 0; i < history->ids.count; i++) {
        if (id_equal(&history->ids.items[i], id)) {
            return true;
        }
    }
    return false;
}

// An event concerns an object that it changes, and the service and node of a task that it changes.
static bool concerns(const struct history_stream *history, const struct event *event, struct arena *arena) {
    struct bytes bytes = event->to.len > 0 ? event->to : event->from;
    if (history->ids.count == 0 || names_one_of(history, &event->id)) {
        return true;
    }
    if (event->kind == KIND_TASK) {
        struct task task;
        return wire_decode(&task_schema, bytes, &task, arena, NULL) == 0 &&
               (names_one_of(history, &task.service_id) || names_one_of(history, &task.node_id));
    }
    struct revision revision;
    return event->kind == KIND_REVISION &&
           wire_decode(&revision_schema, bytes, &revision, arena, NULL) == 0 &&
           names_one_of(history, &revision.service_id);
}

static bool is_match(const struct history_stream *history, const struct event *event, struct arena *arena) {
    return is_kind_wanted(history->kinds, event->kind) && event->time_unix_ms >= history->since_unix_ms &&
           (history->until_unix_ms == 0 || event->time_unix_ms <= history->until_unix_ms) &&
           concerns(history, event, arena);
}

static void window_begin(struct history_stream *history, int64_t first) {
    int64_t start = history->end - history->window;
    history->position = store_position_after(start < first ? first - 1 : start);
    history->matches = 0;
}

// Counts the matches of a window; with enough of them, or with the whole history in it, the search is over.
static int search_step(struct history_stream *history, struct store_read *read, struct arena *arena,
                       struct error *err) {
    struct store_usage usage;
    store_usage(history->stream.answer.daemon->store, &usage);
    int64_t first = usage.history_first_revision;
    if (history->end == 0) {
        history->end = store_read_revision(read);
        history->window = history->limit == 0 ? WINDOW_MAX : 2 * history->limit;
        window_begin(history, first);
    }
    if (history->limit == 0) {
        history->is_found = true;
        return 0;
    }
    struct events events = {0};
    int rc = store_history(read, &history->position, 0, SEARCH_EVENTS_MAX, 1 * MIB, arena, &events, err);
    if (rc != 0) {
        // Trimmed under way, maybe in the middle of a revision.
        window_begin(history, first);
        history->position = store_position_after(first);
        return rc < 0 ? rc : 0;
    }
    for (size_t i = 0; i < events.count; i++) {
        history->matches += events.items[i].revision <= history->end &&
                            is_match(history, &events.items[i], arena) &&
                            shown_event(&events.items[i], arena);
    }
    if (events.count > 0) {
        return 0;
    }
    history->is_found = history->matches >= history->limit || history->end - history->window < first;
    history->to_skip = history->matches > history->limit ? history->matches - history->limit : 0;
    history->window *= history->is_found || history->window > WINDOW_MAX / 4 ? 1 : 4;
    window_begin(history, first);
    return 0;
}

static void select_events(struct history_stream *history, const struct events *events,
                          struct event_batch *batch, struct arena *arena) {
    for (size_t i = 0; i < events->count; i++) {
        struct event *event = &events->items[i];
        if (!shown_event(event, arena) || (!history->follow && event->revision > history->end) ||
            !is_match(history, event, arena)) {
            continue;
        }
        if (history->to_skip > 0) {
            history->to_skip--;
        } else {
            *ARENA_PUSH(arena, &batch->events) = *event;
        }
    }
}

static enum stream_outcome history_send(struct history_stream *history, struct store_read *read,
                                        struct arena *arena) {
    struct stream *stream = &history->stream;
    struct error err = {0};
    struct events events = {0};
    struct event_batch batch;
    schema_init(&event_batch_schema, &batch);
    int rc =
        store_history(read, &history->position, 0, BATCH_EVENTS_MAX, FRAME_CHUNK_BYTES, arena, &events, &err);
    if (rc < 0) {
        return stream_fail(stream, &err);
    }
    if (rc == STORE_SKIPPED) {
        struct store_usage usage;
        store_usage(stream->answer.daemon->store, &usage);
        history->position = store_position_after(usage.history_first_revision);
        batch.skipped = true;
    }
    select_events(history, &events, &batch, arena);
    bool is_end = rc == 0 && events.count == 0;
    batch.caught_up = is_end && history->follow && !history->is_caught_up;
    batch.revision = is_end ? store_read_revision(read) : history->position.revision;
    if (batch.events.count > 0 || batch.caught_up || batch.skipped) {
        server_send(stream->answer.conversation, MESSAGE_EVENTS, &batch);
    }
    history->is_caught_up = is_end;
    if (is_end && !history->follow) {
        server_done(stream->answer.conversation, history->end);
        return STREAM_ENDED;
    }
    return is_end ? STREAM_IDLE : STREAM_MORE;
}

static enum stream_outcome history_step(struct stream *stream, struct store_read *read) {
    struct history_stream *history = (struct history_stream *)stream;
    AUTO_ARENA arena = arena_make(0);
    struct error err = {0};
    if (history->is_found) {
        return history_send(history, read, &arena);
    }
    int rc = search_step(history, read, &arena, &err);
    return rc < 0 ? stream_fail(stream, &err) : STREAM_MORE;
}

static void history_free(struct stream *stream) {
    arena_free(&((struct history_stream *)stream)->arena);
    xfree(stream);
}

static int take_ids(struct history_stream *history, const struct history_request *asked, struct error *err) {
    for (size_t i = 0; i < asked->ids.count; i++) {
        struct bytes given = asked->ids.items[i].object;
        const char *text = arena_strndup(&history->arena, (const char *)given.data, given.len);
        if (!id_parse(text, ARENA_PUSH(&history->arena, &history->ids))) {
            return error_set(err, ERR_INVALID, "'%s' is not an id", text);
        }
    }
    return 0;
}

void control_history(const struct request *request) {
    const struct history_request *asked = request->payload;
    struct history_stream *history = NEW(struct history_stream);
    struct error err = {0};
    history->stream.step = history_step;
    history->stream.free = history_free;
    history->since_unix_ms = asked->since_unix_ms;
    history->until_unix_ms = asked->until_unix_ms;
    history->limit = asked->limit < WINDOW_MAX / 2 ? asked->limit : WINDOW_MAX / 2;
    history->kinds = (uint64_t)asked->kinds;
    history->follow = asked->follow;
    if (take_ids(history, asked, &err) < 0) {
        server_fail(request->conversation, &err);
        history_free(&history->stream);
        return;
    }
    stream_start(request->daemon, &history->stream, request->conversation);
}
