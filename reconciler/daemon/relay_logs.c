// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/relay_logs.c — reads the logs of tasks of this node for a manager.
//
// Model        Each task's log is a source that holds one line ahead; the earliest goes out first. A source
//              at its end is asked again when files may have grown.
#include "reconciler/daemon/relay_logs.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "reconciler/agent/task_log.h"
#include "reconciler/daemon/daemon.h"

#define PIECE_BYTES (128 * KIB)
#define LINES_MAX 4000
#define LINE_COST 64 // of one on the wire, beside its text

struct source {
    struct list_node node;
    struct log_source wanted;
    struct task_log *log;
    bool has_line, is_forgotten;
    bool is_at_end;            // in this turn: looking again costs several system calls
    struct task_log_line line; // text in `text`
    struct buf text;
};

struct log_answer {
    struct daemon *daemon;
    struct relay_end *end;
    struct list sources;
    size_t count;
    bool follow, is_marked;
    bool has_forgotten; // some task: when none is left, that was all
    int64_t until_unix_ns;
};

static void source_free(struct log_answer *answer, struct source *source) {
    list_remove(&source->node);
    answer->count--;
    task_log_close(source->log);
    buf_free(&source->text);
    xfree(source);
}

static void answer_free(struct log_answer *answer) {
    LIST_EACH(node, &answer->sources) {
        source_free(answer, LIST_ENTRY(node, struct source, node));
    }
    xfree(answer);
}

static void complain(struct log_answer *answer, const struct id *task_id, const struct error *err) {
    char text[256];
    AUTO_BUF said = {0};
    buf_addf(&said, "task %.12s: %s", task_id->text, error_text(err, text, sizeof text));
    (void)relay_send(answer->end, LOG_FRAME_TROUBLE, buf_bytes(&said));
}

// --- tasks ---

static struct source *find(const struct log_answer *answer, const struct id *task_id) {
    for (struct list_node *node = answer->sources.head.next; node != &answer->sources.head;
         node = node->next) {
        struct source *source = LIST_ENTRY(node, struct source, node);
        if (id_equal(&source->wanted.task_id, task_id)) {
            return source;
        }
    }
    return NULL;
}

static void add(struct log_answer *answer, const struct log_source *wanted) {
    AUTO_ARENA arena = arena_make(0);
    struct error err = {0};
    struct executor *executor = answer->daemon->executor;
    const char *path = executor->ops->log_path(executor, &wanted->task_id, &arena);
    struct task_log *log;
    if (path == NULL || answer->count >= LOG_SOURCES_MAX || find(answer, &wanted->task_id) != NULL) {
        return;
    }
    const struct task_log_options options = {.path = path,
                                             .tail = wanted->tail,
                                             .since_unix_ns = wanted->since_unix_ns,
                                             .until_unix_ns = answer->until_unix_ns};
    if (task_log_open(&options, &log, &err) < 0) {
        complain(answer, &wanted->task_id, &err);
        return;
    }
    struct source *source = NEW(struct source);
    source->wanted = *wanted;
    source->wanted.unknown = (struct bytes){0};
    source->log = log;
    source->text = buf_make(2 * LOG_LINE_BYTES_MAX + PIECE_BYTES);
    list_append(&answer->sources, &source->node);
    answer->count++;
}

static void on_frame(void *context, int64_t number, struct bytes data) {
    struct log_answer *answer = context;
    AUTO_ARENA arena = arena_make(0);
    struct log_order order;
    relay_consumed(answer->end, data.len);
    if (wire_decode(&log_order_schema, data, &order, &arena, NULL) < 0) {
        return;
    }
    for (size_t i = 0; i < order.sources.count; i++) {
        struct source *source = find(answer, &order.sources.items[i].task_id);
        if (number == LOG_FRAME_ORDER) {
            add(answer, &order.sources.items[i]);
        } else if (number == LOG_FRAME_FORGET && source != NULL) {
            source->is_forgotten = true;
        }
    }
    answer->has_forgotten |= number == LOG_FRAME_FORGET;
}

// --- lines ---

// 0, TASK_LOG_END, or a failure. The lines that are known come first.
static int read_ahead(struct source *source, struct error *err) {
    struct task_log_line line;
    int rc = source->is_at_end ? TASK_LOG_END : 0;
    while (rc == 0 && !source->has_line && (rc = task_log_next(source->log, &line, err)) == 0) {
        if (source->wanted.skip > 0 && line.time_unix_ns == source->wanted.since_unix_ns) {
            source->wanted.skip--;
            continue;
        }
        source->line = line;
        buf_clear(&source->text);
        buf_add(&source->text, line.text.data, line.text.len);
        source->line.text = buf_bytes(&source->text);
        source->has_line = true;
    }
    source->is_at_end = rc == TASK_LOG_END;
    return rc;
}

static void look_again(struct log_answer *answer) {
    LIST_EACH(node, &answer->sources) {
        LIST_ENTRY(node, struct source, node)->is_at_end = false;
    }
}

// The source whose line comes next; NULL when all are at their end.
static struct source *next_source(struct log_answer *answer) {
    struct source *next = NULL;
    LIST_EACH(node, &answer->sources) {
        struct source *source = LIST_ENTRY(node, struct source, node);
        struct error err = {0};
        int rc = read_ahead(source, &err);
        if (rc < 0) {
            complain(answer, &source->wanted.task_id, &err);
        }
        if (rc < 0 || (rc == TASK_LOG_END && source->is_forgotten)) {
            source_free(answer, source);
        } else if (rc == 0 && (next == NULL || source->line.time_unix_ns < next->line.time_unix_ns)) {
            next = source;
        }
    }
    return next;
}

static void take_line(struct source *source, struct log_lines *lines, struct arena *arena) {
    struct log_line *line = ARENA_PUSH(arena, &lines->lines);
    line->task = source->wanted.task_id;
    line->slot = source->wanted.slot;
    line->time_unix_ns = source->line.time_unix_ns;
    line->is_stderr = source->line.is_stderr;
    line->text = (struct bytes){arena_copy(arena, source->text.data, source->text.len), source->text.len};
    source->has_line = false;
}

// False: there is nothing more now.
static bool say_lines(struct log_answer *answer) {
    AUTO_ARENA arena = arena_make(0);
    AUTO_BUF body = {0};
    struct log_lines lines = {0};
    struct source *source = NULL;
    size_t bytes = 0;
    while (lines.lines.count < LINES_MAX && bytes < PIECE_BYTES && (source = next_source(answer)) != NULL) {
        bytes += source->text.len + LINE_COST;
        take_line(source, &lines, &arena);
    }
    if (lines.lines.count > 0) {
        wire_encode(&log_lines_schema, &lines, &body);
        (void)relay_send(answer->end, LOG_FRAME_LINES, buf_bytes(&body));
        answer->is_marked = false;
    }
    return source != NULL;
}

// What is written later is later by this node's clock too; what was written before was read.
static void say_mark(struct log_answer *answer, int64_t time_unix_ns) {
    AUTO_BUF body = {0};
    struct log_mark mark;
    schema_init(&log_mark_schema, &mark);
    mark.time_unix_ns = time_unix_ns;
    wire_encode(&log_mark_schema, &mark, &body);
    answer->is_marked = relay_send(answer->end, LOG_FRAME_MARK, buf_bytes(&body));
}

static enum relay_turn on_turn(void *context) {
    struct log_answer *answer = context;
    int64_t looked_unix_ns = clock_unix_ns();
    look_again(answer);
    if (say_lines(answer)) {
        return RELAY_MORE;
    }
    if (!answer->follow || (answer->has_forgotten && answer->count == 0)) {
        relay_close(answer->end, /*err=*/NULL);
        answer_free(answer);
        return RELAY_IDLE;
    }
    if (!answer->is_marked) {
        say_mark(answer, looked_unix_ns);
    }
    return RELAY_POLL;
}

static void on_end(void *context, const struct error *err) {
    (void)err;
    answer_free(context);
}

int relay_logs_open(struct daemon *daemon, struct relay_end *end, struct bytes request,
                    struct relay_events *out_events, void **out_context, struct error *err) {
    AUTO_ARENA arena = arena_make(0);
    struct log_order order;
    int rc = wire_decode(&log_order_schema, request, &order, &arena, err);
    if (rc < 0) {
        return rc;
    }
    struct log_answer *answer = NEW(struct log_answer);
    answer->daemon = daemon;
    answer->end = end;
    answer->follow = order.follow;
    answer->until_unix_ns = order.until_unix_ns;
    list_init(&answer->sources);
    for (size_t i = 0; i < order.sources.count; i++) {
        add(answer, &order.sources.items[i]);
    }
    *out_events = (struct relay_events){.on_frame = on_frame, .on_turn = on_turn, .on_end = on_end};
    *out_context = answer;
    return 0;
}
