// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/control_logs.c — LOGS: the lines of the tasks of a service, or of one task, on whatever
// nodes they are, merged by time.
//
// Model        The store says which tasks there are and where; each node concerned gets a stream (relay.h,
//              relay_logs.h) with the tasks that it has, this node too, and what they say is merged
//              (log_merge.h). With `follow`, tasks that come later join, those that are gone leave, and a
//              node that comes back goes on where it was cut off: of each task it is known which line came
//              last.
// Gaps         What a node cannot say, because it is down, cut off or too old, is told as a note, once, among
//              the lines of the others; it fails nothing.
// Bounds       A slow reader is not waited for and costs the window of each node: what it does not read is
//              not asked for. LOG_SOURCES_MAX tasks a node, the newest ones.
#include "reconciler/daemon/control.h"

#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/daemon/daemon.h"
#include "reconciler/daemon/log_merge.h"
#include "reconciler/daemon/relay_logs.h"
#include "reconciler/daemon/stream.h"

#define LINES_MAX 4000
#define LINE_COST 64
#define WINDOWS_BYTES (16 * MIB) // of all nodes of one request
#define ALL_BYTES (64 * MIB)     // of all requests
#define WINDOW_BYTES_MIN (128 * KIB)
#define RETRY_MS_MIN 500 // doubles
#define RETRY_MS_MAX 8000

struct logs_stream {
    struct stream stream;
    struct logs_request request;
    struct log_merge merge;
    struct list nodes; // of struct log_node
    size_t node_count;
    struct map tasks;      // of struct log_task
    struct log_task *last; // of the line before
    struct buf notes;      // an encoded log_lines
    bool is_started, is_closing;
    int64_t tasks_revision; // of the store when its tasks were looked up
};

struct log_node {
    struct list_node node;
    struct logs_stream *logs;
    struct id id;
    char name[STORE_NAME_BYTES_MAX + 1];
    enum node_state state;
    bool is_known; // it has a record
    struct relay_end *end;
    struct log_feed *feed;
    bool was_open; // this stream, before it ended
    bool is_lost;  // it is told that its logs are missing
    char lost_why[256];
    bool has_news; // tasks that it was not told of
    size_t task_count;
    int64_t mark_unix_ns; // so far all its tasks were heard; 0 = it has not said
    int64_t retry_mono_ms, rest_ms;
};

struct log_task {
    struct log_node *node;
    struct id id;
    int64_t slot, created;
    int64_t tail, since_unix_ns;          // what is wanted, while no line came
    bool is_given, is_over, is_forgotten; // the node was told of it; it says no more; the node was told that
    int64_t last_unix_ns, last_count;     // of the last line; lines of that very time
};

// --- notes ---

static void note(struct log_node *node, const char *text) {
    struct log_lines lines = {0};
    struct log_note item;
    schema_init(&log_note_schema, &item);
    item.node_id = node->id;
    item.text = text;
    lines.notes.items = &item;
    lines.notes.count = 1;
    wire_encode(&log_lines_schema, &lines, &node->logs->notes); // one behind the other is one message
}

// Once, until it is heard again.
static void note_lost(struct log_node *node, const char *why) {
    if (node->is_lost && str_equal(node->lost_why, why)) {
        return;
    }
    AUTO_BUF text = {0};
    buf_addf(&text, "node %s%s%s", node->name, str_starts(why, "is ") ? " " : ": ", why);
    buf_adds(&text, node->was_open ? ": its logs end here" : ": its logs are not here");
    (void)str_copy(node->lost_why, sizeof node->lost_why, why);
    node->is_lost = true;
    note(node, buf_text(&text));
}

static void note_found(struct log_node *node) {
    if (TAKE(node->is_lost)) {
        AUTO_BUF text = {0};
        buf_addf(&text, "node %s is heard again: its logs go on", node->name);
        note(node, buf_text(&text));
    }
}

// --- the stream of a node ---

static void wake(struct logs_stream *logs) {
    logs->stream.last = STREAM_MORE;
}

static void on_consumed(void *owner, size_t bytes) {
    const struct log_node *node = owner;
    if (node->end != NULL) {
        relay_consumed(node->end, bytes);
    }
}

static void on_open(void *context) {
    struct log_node *node = context;
    node->was_open = true;
    node->rest_ms = 0;
    note_found(node);
    wake(node->logs);
}

static void on_frame(void *context, int64_t number, struct bytes data) {
    struct log_node *node = context;
    wake(node->logs);
    if (number == LOG_FRAME_LINES) {
        log_feed_push(node->feed, data, node->logs->stream.answer.daemon->now.mono_ms);
        return;
    }
    relay_consumed(node->end, data.len);
    AUTO_ARENA arena = arena_make(0);
    struct log_mark mark;
    if (number == LOG_FRAME_MARK && wire_decode(&log_mark_schema, data, &mark, &arena, NULL) == 0) {
        log_feed_mark(node->feed, mark.time_unix_ns);
        node->mark_unix_ns = mark.time_unix_ns;
    } else if (number == LOG_FRAME_TROUBLE) {
        AUTO_BUF text = {0};
        buf_addf(&text, "node %s: %.*s", node->name, (int)data.len, (const char *)data.data);
        note(node, buf_text(&text));
    }
}

static void on_writable(void *context) {
    wake(((struct log_node *)context)->logs);
}

// Of a task that had said nothing by the mark, all lines since then are new: its tail was looked at before.
static void forget_given(struct log_node *node) {
    size_t cursor = 0;
    int64_t mark_unix_ns = TAKE(node->mark_unix_ns);
    for (struct log_task *task; (task = map_next(&node->logs->tasks, &cursor)) != NULL;) {
        if (task->node != node) {
            continue;
        }
        if (task->is_given && mark_unix_ns > 0) {
            task->tail = -1;
            task->since_unix_ns = mark_unix_ns;
        }
        task->is_given = task->is_forgotten = false;
    }
}

static void on_end(void *context, const struct error *err) {
    struct log_node *node = context;
    struct logs_stream *logs = node->logs;
    char text[256];
    log_feed_end(TAKE(node->feed));
    node->end = NULL;
    wake(logs);
    if (err != NULL) {
        note_lost(node, error_text(err, text, sizeof text));
    }
    if (logs->request.follow) {
        forget_given(node);
        node->rest_ms = node->rest_ms == 0 ? RETRY_MS_MIN : 2 * node->rest_ms;
        node->rest_ms = node->rest_ms > RETRY_MS_MAX ? RETRY_MS_MAX : node->rest_ms;
        node->retry_mono_ms = logs->stream.answer.daemon->now.mono_ms + (err != NULL ? node->rest_ms : 0);
        node->has_news = true;
    }
}

static const struct relay_events node_events = {
    .on_open = on_open, .on_frame = on_frame, .on_writable = on_writable, .on_end = on_end};

// --- what a node is told ---

// Of a task of which lines came, the rest; else as was asked.
static void add_source(const struct log_task *task, struct log_order *order, struct arena *arena) {
    struct log_source *source = ARENA_PUSH(arena, &order->sources);
    schema_init(&log_source_schema, source);
    source->task_id = task->id;
    source->slot = task->slot;
    source->tail = task->last_count > 0 ? -1 : task->tail;
    source->since_unix_ns = task->last_count > 0 ? task->last_unix_ns : task->since_unix_ns;
    source->skip = task->last_count;
}

static int newest_first(const void *a, const void *b) {
    const struct log_task *x = *(const struct log_task *const *)a, *y = *(const struct log_task *const *)b;
    return (x->created < y->created) - (x->created > y->created);
}

struct found {
    size_t count;
    struct log_task **items;
};

typedef bool (*task_test)(const struct log_task *task);

static bool is_new(const struct log_task *task) {
    return !task->is_given && !task->is_over;
}

static bool is_to_forget(const struct log_task *task) {
    return task->is_given && task->is_over && !task->is_forgotten;
}

// The order with those of the node's tasks; the newest when there are too many.
static struct found compose(const struct log_node *node, task_test test, struct arena *arena,
                            struct buf *out) {
    struct found found = {0};
    struct log_order order;
    size_t cursor = 0;
    for (struct log_task *task; (task = map_next(&node->logs->tasks, &cursor)) != NULL;) {
        if (task->node == node && test(task)) {
            *ARENA_PUSH(arena, &found) = task;
        }
    }
    if (found.count > 1) {
        qsort(found.items, found.count, sizeof *found.items, newest_first);
    }
    schema_init(&log_order_schema, &order);
    order.follow = node->logs->request.follow;
    order.until_unix_ns = node->logs->request.until_unix_ns;
    for (size_t i = 0; i < found.count && i < LOG_SOURCES_MAX; i++) {
        add_source(found.items[i], &order, arena);
    }
    if (found.count > 0) {
        wire_encode(&log_order_schema, &order, out);
    }
    return found;
}

static void set_given(const struct found *found) {
    for (size_t i = 0; i < found->count; i++) {
        found->items[i]->is_given = true;
    }
}

static int64_t window_of(const struct logs_stream *logs) {
    int64_t nodes = (int64_t)logs->node_count;
    int64_t all = (int64_t)logs->stream.answer.daemon->relay.asked_count + nodes;
    int64_t share = WINDOWS_BYTES / (nodes > 0 ? nodes : 1);
    share = share > ALL_BYTES / (all > 0 ? all : 1) ? ALL_BYTES / all : share;
    share = share > RELAY_WINDOW_BYTES ? RELAY_WINDOW_BYTES : share;
    return share < WINDOW_BYTES_MIN ? WINDOW_BYTES_MIN : share;
}

static void open_node(struct log_node *node) {
    struct daemon *daemon = node->logs->stream.answer.daemon;
    AUTO_ARENA arena = arena_make(0);
    AUTO_BUF request = {0};
    struct error err = {0};
    struct found found = compose(node, is_new, &arena, &request);
    const struct relay_order order = {.node_id = node->id,
                                      .kind = RELAY_LOGS,
                                      .request = buf_bytes(&request),
                                      .window_bytes = window_of(node->logs)};
    if (found.count == 0) {
        node->has_news = false;
        return;
    }
    node->was_open = false;
    if (relay_open(daemon, &order, &node_events, node, &node->end, &err) < 0) {
        note_lost(node, err.root);
        return;
    }
    node->feed = log_feed_new(&node->logs->merge, node, daemon->now.mono_ms);
    set_given(&found);
    node->has_news = false;
}

static void tell_node(struct log_node *node) {
    AUTO_ARENA arena = arena_make(0);
    AUTO_BUF news = {0};
    AUTO_BUF past = {0};
    struct found found = compose(node, is_new, &arena, &news);
    if (found.count > 0 && !relay_send(node->end, LOG_FRAME_ORDER, buf_bytes(&news))) {
        return; // when there is room
    }
    node->mark_unix_ns = found.count > 0 ? 0 : node->mark_unix_ns;
    set_given(&found);
    found = compose(node, is_to_forget, &arena, &past);
    if (found.count > 0 && !relay_send(node->end, LOG_FRAME_FORGET, buf_bytes(&past))) {
        return;
    }
    for (size_t i = 0; i < found.count; i++) {
        found.items[i]->is_forgotten = true;
    }
    node->has_news = false;
}

static void follow_node(struct log_node *node) {
    const struct daemon *daemon = node->logs->stream.answer.daemon;
    if (!node->has_news) {
        return;
    }
    if (node->end != NULL) {
        tell_node(node);
    } else if (!node->is_known) {
        node->has_news = false;
        note_lost(node, "is no part of the cluster any more");
    } else if (node->state == NODE_DOWN) {
        note_lost(node, "is down");
    } else if (daemon->now.mono_ms >= node->retry_mono_ms) {
        open_node(node);
    }
}

// --- which tasks, and where ---

static void look_at_node(struct log_node *node, struct store_read *read) {
    AUTO_ARENA arena = arena_make(0);
    void *object;
    node->is_known = store_load(read, KIND_NODE, &node->id, &arena, &object, NULL) == 0;
    if (node->is_known) {
        const struct node *record = object;
        const char *name = str_is_empty(record->spec.name) ? record->description.hostname : record->spec.name;
        (void)str_copy(node->name, sizeof node->name, str_is_empty(name) ? node->id.text : name);
        node->state = record->status.state;
    }
}

static struct log_node *node_of(struct logs_stream *logs, const struct id *id, struct store_read *read) {
    LIST_EACH(at, &logs->nodes) {
        struct log_node *node = LIST_ENTRY(at, struct log_node, node);
        if (id_equal(&node->id, id)) {
            return node;
        }
    }
    struct log_node *node = NEW(struct log_node);
    node->logs = logs;
    node->id = *id;
    (void)str_copy(node->name, sizeof node->name, id->text);
    look_at_node(node, read);
    list_append(&logs->nodes, &node->node);
    logs->node_count++;
    return node;
}

struct looking {
    struct logs_stream *logs;
    struct store_read *read;
};

// Of a task that joins later all lines count. Only who asked for one task is done when it is.
static int look_at_task(void *context, void *object, struct arena *arena, struct error *err) {
    const struct looking *looking = context;
    struct logs_stream *logs = looking->logs;
    const struct task *task = object;
    struct log_task *known = map_get(&logs->tasks, task->meta.id.text);
    bool is_past = !id_is_none(&logs->request.task) && task->status.state > TASK_RUNNING;
    (void)err;
    if (is_past && !logs->is_started) {
        logs->request.follow = logs->merge.follow = false;
    }
    if (known == NULL && !id_is_none(&task->node_id) && task->status.state >= TASK_PREPARING) {
        known = NEW(struct log_task);
        known->id = task->meta.id;
        known->node = node_of(logs, &task->node_id, looking->read);
        known->slot = task->slot;
        known->created = task->meta.created;
        known->tail = logs->is_started ? -1 : logs->request.tail;
        known->since_unix_ns = logs->request.since_unix_ns;
        known->node->has_news = true;
        known->node->task_count++;
        map_put(&logs->tasks, known->id.text, known);
    }
    if (known != NULL && known->is_given && !known->is_over && is_past && logs->request.follow) {
        known->is_over = true;
        known->node->has_news = true;
    }
    arena_clear(arena);
    return 0;
}

// What a task whose record is gone has said still comes.
static void drop_gone(struct logs_stream *logs, struct store_read *read) {
    AUTO_ARENA arena = arena_make(0);
    LIST_OF(struct log_task *) gone = {0};
    struct bytes bytes;
    size_t cursor = 0;
    for (struct log_task *task; (task = map_next(&logs->tasks, &cursor)) != NULL;) {
        if (store_get(read, KIND_TASK, &task->id, &bytes, NULL) == STORE_ABSENT) {
            task->node->has_news |= !task->is_forgotten;
            task->is_over = true;
            if (!task->is_given || task->is_forgotten) {
                *ARENA_PUSH(&arena, &gone) = task;
            }
        }
    }
    for (size_t i = 0; i < gone.count; i++) {
        logs->last = NULL;
        gone.items[i]->node->task_count--;
        map_remove(&logs->tasks, gone.items[i]->id.text);
        xfree(gone.items[i]);
    }
}

static int look(struct logs_stream *logs, struct store_read *read, struct error *err) {
    AUTO_ARENA arena = arena_make(0);
    struct looking looking = {logs, read};
    int rc;
    void *task;
    if (logs->is_started) {
        LIST_EACH(at, &logs->nodes) {
            look_at_node(LIST_ENTRY(at, struct log_node, node), read);
        }
        drop_gone(logs, read);
    }
    if (!id_is_none(&logs->request.service)) {
        rc = store_each_object(read, STORE_TASKS_OF_SERVICE, KIND_TASK, &logs->request.service, &arena,
                               look_at_task, &looking, err);
    } else if ((rc = store_load(read, KIND_TASK, &logs->request.task, &arena, &task, err)) == 0) {
        rc = look_at_task(&looking, task, &arena, err);
    }
    logs->tasks_revision = store_read_revision(read);
    logs->is_started = true;
    return rc < 0 ? rc : 0;
}

// --- lines ---

static void count_line(struct logs_stream *logs, const struct log_line *line) {
    struct log_task *task = logs->last;
    if (task == NULL || !id_equal(&task->id, &line->task)) {
        task = logs->last = map_get(&logs->tasks, line->task.text);
    }
    if (task != NULL) {
        bool is_same = task->last_count > 0 && task->last_unix_ns == line->time_unix_ns;
        task->last_count = is_same ? task->last_count + 1 : 1;
        task->last_unix_ns = line->time_unix_ns;
    }
}

// An outcome of log_merge_next that is no line, or LOG_MERGE_LINE when the piece is full.
static int fill(struct logs_stream *logs, struct log_lines *lines, struct arena *arena) {
    size_t bytes = 0;
    int outcome = LOG_MERGE_LINE;
    while (lines->lines.count < LINES_MAX && bytes < FRAME_CHUNK_BYTES) {
        const struct log_line *line;
        struct error err = {0};
        outcome = log_merge_next(&logs->merge, logs->stream.answer.daemon->now.mono_ms, &line, &err);
        if (outcome < 0) {
            log_failure(LOG_WARN, "logs.frame", &err, LOG_NONE);
            continue;
        }
        if (outcome != LOG_MERGE_LINE) {
            break;
        }
        *ARENA_PUSH(arena, &lines->lines) = *line;
        bytes += line->text.len + LINE_COST;
        if (logs->request.follow) {
            count_line(logs, line);
        }
    }
    return outcome;
}

static int say_lines(struct logs_stream *logs) {
    AUTO_ARENA arena = arena_make(0);
    struct log_lines lines = {0};
    AUTO_BUF notes = logs->notes;
    logs->notes = (struct buf){0};
    (void)wire_decode(&log_lines_schema, buf_bytes(&notes), &lines, &arena, NULL);
    int outcome = fill(logs, &lines, &arena);
    if (lines.lines.count > 0 || lines.notes.count > 0) {
        server_send(logs->stream.answer.conversation, MESSAGE_LOG_LINES, &lines);
    }
    log_merge_flush(&logs->merge);
    return outcome;
}

static bool wants_retry(const struct logs_stream *logs) {
    for (const struct list_node *at = logs->nodes.head.next; at != &logs->nodes.head; at = at->next) {
        const struct log_node *node = LIST_ENTRY(at, const struct log_node, node);
        if (node->has_news && node->is_known && node->state != NODE_DOWN) {
            return true;
        }
    }
    return false;
}

static bool is_done(const struct logs_stream *logs, int outcome) {
    bool is_task_over = !id_is_none(&logs->request.task) && !wants_retry(logs);
    return outcome == LOG_MERGE_END && logs->notes.len == 0 && (!logs->request.follow || is_task_over);
}

static enum stream_outcome logs_step(struct stream *stream, struct store_read *read) {
    struct logs_stream *logs = (struct logs_stream *)stream;
    struct error err = {0};
    bool is_due =
        !logs->is_started || (logs->request.follow && logs->tasks_revision != store_read_revision(read));
    if (is_due && look(logs, read, &err) < 0) {
        return stream_fail(stream, &err);
    }
    LIST_EACH(at, &logs->nodes) {
        follow_node(LIST_ENTRY(at, struct log_node, node));
    }
    int outcome = say_lines(logs);
    if (is_done(logs, outcome)) {
        server_done(stream->answer.conversation, store_read_revision(read));
        return STREAM_ENDED;
    }
    if (outcome == LOG_MERGE_LINE || logs->notes.len > 0) {
        return STREAM_MORE;
    }
    return outcome == LOG_MERGE_LATER || wants_retry(logs) ? STREAM_POLL : STREAM_IDLE;
}

// --- life ---

static void node_free(struct log_node *node) {
    if (node->end != NULL) {
        relay_close(node->end, /*err=*/NULL);
    }
    list_remove(&node->node);
    xfree(node);
}

static void logs_free(struct stream *stream) {
    struct logs_stream *logs = (struct logs_stream *)stream;
    size_t cursor = 0;
    LIST_EACH(at, &logs->nodes) {
        node_free(LIST_ENTRY(at, struct log_node, node));
    }
    for (struct log_task *task; (task = map_next(&logs->tasks, &cursor)) != NULL;) {
        xfree(task);
    }
    map_free(&logs->tasks);
    log_merge_deinit(&logs->merge);
    buf_free(&logs->notes);
    xfree(logs);
}

static int check_request(const struct request *request, const struct logs_request *asked, struct error *err) {
    struct store_read *read;
    struct bytes bytes;
    bool is_service = !id_is_none(&asked->service);
    if (is_service != id_is_none(&asked->task)) {
        return error_set(err, ERR_INVALID, "logs are those of one service or of one task");
    }
    int rc = store_read_begin(request->daemon->store, &read, err);
    if (rc == 0) {
        rc = store_get(read, is_service ? KIND_SERVICE : KIND_TASK,
                       is_service ? &asked->service : &asked->task, &bytes, err);
        store_read_end(read);
    }
    return rc != STORE_ABSENT
               ? rc
               : error_set(err, ERR_NOT_FOUND, "%s %s not found", is_service ? "service" : "task",
                           is_service ? asked->service.text : asked->task.text);
}

// What is wanted until a time that is past does not grow.
static bool follows(const struct request *request, const struct logs_request *asked) {
    return asked->follow &&
           (asked->until_unix_ns == 0 || asked->until_unix_ns / 1000000 > request->daemon->now.unix_ms);
}

void control_logs(const struct request *request) {
    const struct logs_request *asked = request->payload;
    struct error err = {0};
    if (check_request(request, asked, &err) < 0) {
        server_fail(request->conversation, &err);
        return;
    }
    struct logs_stream *logs = NEW(struct logs_stream);
    logs->stream.step = logs_step;
    logs->stream.free = logs_free;
    logs->request = *asked;
    logs->request.unknown = (struct bytes){0};
    logs->request.follow = follows(request, asked);
    list_init(&logs->nodes);
    log_merge_init(&logs->merge, logs->request.follow, on_consumed);
    stream_start(request->daemon, &logs->stream, request->conversation);
}
