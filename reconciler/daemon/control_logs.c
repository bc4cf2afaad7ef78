// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/control_logs.c — LOGS: the lines of a service's tasks on this node, merged by time.
//
// Model        Each task's log is a source that holds one line ahead; the earliest goes out first. A source
//              at its end is asked again when files may have grown. With `follow`, tasks that come later
//              join.
// Limits       LOG_SOURCES_MAX tasks, the newest ones: each is an open file.
#include "reconciler/daemon/control.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "reconciler/agent/task_log.h"
#include "reconciler/daemon/daemon.h"
#include "reconciler/daemon/stream.h"

#define LOG_SOURCES_MAX 256
#define LINES_MAX 2000

struct source {
    struct list_node node;
    struct id task_id;
    int64_t slot;
    struct task_log *log;
    bool has_line;
    struct task_log_line line; // text in `text`
    struct buf text;
};

struct logs_stream {
    struct stream stream;
    struct logs_request request;
    struct list sources;
    size_t source_count;
    bool is_started;
    int64_t tasks_revision; // of the store when its tasks were looked up
};

static void source_free(struct logs_stream *logs, struct source *source) {
    list_remove(&source->node);
    logs->source_count--;
    task_log_close(source->log);
    buf_free(&source->text);
    xfree(source);
}

static void logs_free(struct stream *stream) {
    struct logs_stream *logs = (struct logs_stream *)stream;
    LIST_EACH(node, &logs->sources) {
        source_free(logs, LIST_ENTRY(node, struct source, node));
    }
    xfree(logs);
}

static int read_ahead(struct source *source, struct error *err) {
    struct task_log_line line;
    int rc = source->has_line ? 0 : task_log_next(source->log, &line, err);
    if (rc == 0 && !source->has_line) {
        source->line = line;
        buf_clear(&source->text);
        buf_add(&source->text, line.text.data, line.text.len);
        source->line.text = buf_bytes(&source->text);
        source->has_line = true;
    }
    return rc;
}

// --- which tasks ---

static bool is_known(const struct logs_stream *logs, const struct id *task_id) {
    for (const struct list_node *node = logs->sources.head.next; node != &logs->sources.head;
         node = node->next) {
        if (id_equal(&LIST_ENTRY(node, const struct source, node)->task_id, task_id)) {
            return true;
        }
    }
    return false;
}

// Of a task that joins later all lines count.
static int add_source(struct logs_stream *logs, const struct task *task, struct arena *arena,
                      struct error *err) {
    struct executor *executor = logs->stream.answer.daemon->executor;
    const char *path = executor->ops->log_path(executor, &task->meta.id, arena);
    if (path == NULL || logs->source_count >= LOG_SOURCES_MAX) {
        return 0;
    }
    struct task_log *log;
    int rc = task_log_open(&(struct task_log_options){.path = path,
                                                      .tail = logs->is_started ? -1 : logs->request.tail,
                                                      .since_unix_ns = logs->request.since_unix_ns,
                                                      .until_unix_ns = logs->request.until_unix_ns},
                           &log, err);
    if (rc < 0) {
        return error_wrap(err, rc, "log of task %s", task->meta.id.text);
    }
    struct source *source = NEW(struct source);
    source->task_id = task->meta.id;
    source->slot = task->slot;
    source->log = log;
    source->text = buf_make(2 * LOG_LINE_BYTES_MAX);
    list_append(&logs->sources, &source->node);
    logs->source_count++;
    return 0;
}

static int newest_first(const void *a, const void *b) {
    const struct task *x = *(const struct task *const *)a, *y = *(const struct task *const *)b;
    return (x->meta.created < y->meta.created) - (x->meta.created > y->meta.created);
}

struct found {
    size_t count;
    const struct task **items;
};

static bool is_readable(const struct logs_stream *logs, const struct task *task) {
    return id_equal(&task->node_id, &logs->stream.answer.daemon->node_id) &&
           task->status.state >= TASK_PREPARING && !is_known(logs, &task->meta.id);
}

struct finding {
    const struct logs_stream *logs;
    struct found *found;
};

static int find_task(void *context, void *object, struct arena *arena, struct error *err) {
    const struct finding *finding = context;
    (void)err;
    if (is_readable(finding->logs, object)) {
        *ARENA_PUSH(arena, finding->found) = object;
    }
    return 0;
}

// Of tasks whose records are gone nothing more comes, once they are read to their end.
static void drop_gone(struct logs_stream *logs, struct store_read *read) {
    LIST_EACH(node, &logs->sources) {
        struct source *source = LIST_ENTRY(node, struct source, node);
        struct bytes bytes;
        if (store_get(read, KIND_TASK, &source->task_id, &bytes, NULL) == STORE_ABSENT &&
            read_ahead(source, NULL) == TASK_LOG_END) {
            source_free(logs, source);
        }
    }
}

static int find_sources(struct logs_stream *logs, struct store_read *read, struct error *err) {
    AUTO_ARENA arena = arena_make(0);
    struct found found = {0};
    struct finding finding = {logs, &found};
    void *task;
    int rc = 0;
    drop_gone(logs, read);
    if (!id_is_none(&logs->request.service)) {
        rc = store_each_object(read, STORE_TASKS_OF_SERVICE, KIND_TASK, &logs->request.service, &arena,
                               find_task, &finding, err);
    } else if ((rc = store_load(read, KIND_TASK, &logs->request.task, &arena, &task, err)) == 0) {
        if (is_readable(logs, task)) {
            *ARENA_PUSH(&arena, &found) = task;
        }
    }
    if (found.count > 1) {
        qsort(found.items, found.count, sizeof *found.items, newest_first);
    }
    for (size_t i = 0; rc >= 0 && i < found.count; i++) {
        rc = add_source(logs, found.items[i], &arena, err);
    }
    logs->tasks_revision = store_read_revision(read);
    logs->is_started = true;
    return rc < 0 ? rc : 0;
}

// --- lines ---

// The source whose line comes next; NULL when all are at their end.
static int next_source(struct logs_stream *logs, struct source **out, struct error *err) {
    *out = NULL;
    LIST_EACH(node, &logs->sources) {
        struct source *source = LIST_ENTRY(node, struct source, node);
        int rc = read_ahead(source, err);
        if (rc < 0) {
            return error_wrap(err, rc, "log of task %s", source->task_id.text);
        }
        if (source->has_line && (*out == NULL || source->line.time_unix_ns < (*out)->line.time_unix_ns)) {
            *out = source;
        }
    }
    return 0;
}

// STORE_END when there is nothing more now.
static int fill(struct logs_stream *logs, struct log_lines *lines, struct arena *arena, struct error *err) {
    size_t len = 0;
    while (lines->lines.count < LINES_MAX && len < FRAME_CHUNK_BYTES) {
        struct source *source;
        int rc = next_source(logs, &source, err);
        if (rc < 0 || source == NULL) {
            return rc < 0 ? rc : STORE_END;
        }
        struct log_line *line = ARENA_PUSH(arena, &lines->lines);
        line->task = source->task_id;
        line->slot = source->slot;
        line->time_unix_ns = source->line.time_unix_ns;
        line->is_stderr = source->line.is_stderr;
        line->text = (struct bytes){arena_copy(arena, source->text.data, source->text.len), source->text.len};
        len += source->text.len + 64;
        source->has_line = false;
    }
    return 0;
}

static enum stream_outcome logs_step(struct stream *stream, struct store_read *read) {
    struct logs_stream *logs = (struct logs_stream *)stream;
    AUTO_ARENA arena = arena_make(0);
    struct error err = {0};
    struct log_lines lines = {0};
    bool is_new =
        !logs->is_started || (logs->request.follow && logs->tasks_revision != store_read_revision(read));
    int rc = is_new ? find_sources(logs, read, &err) : 0;
    rc = rc < 0 ? rc : fill(logs, &lines, &arena, &err);
    if (rc < 0) {
        return stream_fail(stream, &err);
    }
    if (lines.lines.count > 0) {
        server_send(stream->answer.conversation, MESSAGE_LOG_LINES, &lines);
    }
    if (rc != STORE_END) {
        return STREAM_MORE;
    }
    if (logs->request.follow) {
        return STREAM_POLL;
    }
    server_done(stream->answer.conversation, store_read_revision(read));
    return STREAM_ENDED;
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
    list_init(&logs->sources);
    stream_start(request->daemon, &logs->stream, request->conversation);
}
