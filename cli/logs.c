// SPDX-License-Identifier: Apache-2.0
//
// cli/logs.c — asks for lines, puts names to them as Docker does, and keeps stderr apart from stdout.
//
// Model        Names of tasks and nodes are looked up once, and again when a line comes from a task that is
//              not known yet: with --follow tasks come and go.
#include "cli/logs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/str.h"
#include "base/units.h"
#include "cli/columns.h"
#include "cli/connect.h"
#include "cli/exec.h"

const struct option_row logs_rows[LOGS_ROWS] = {
    OPT_FLAG(struct logs_args, follow, "follow", 'f', .help = "Go on with what is written next"),
    OPT_STRING(struct logs_args, tail, "tail", 'n', .metavar = "LINES", .initial = "all",
               .help = "Only so many lines from the end of each task's log"),
    OPT_FLAG(struct logs_args, timestamps, "timestamps", 't', .help = "Show when each line was written"),
    OPT_STRING(struct logs_args, since, "since", '\0', .metavar = "TIME",
               .help = "Only lines after this: 10m (ago), 2026-01-31T12:00:00Z, or Unix seconds"),
    OPT_STRING(struct logs_args, until, "until", '\0', .metavar = "TIME", .help = "Only lines before this"),
    OPT_FLAG(struct logs_args, no_task_ids, "no-task-ids", '\0', .help = "Leave the ids of tasks out"),
    OPT_FLAG(struct logs_args, no_resolve, "no-resolve", '\0', .help = "Show ids in the place of names"),
    OPT_FLAG(struct logs_args, raw, "raw", '\0', .help = "Print lines only, without who wrote them"),
    OPT_FLAG(struct logs_args, details, "details", '\0', .help = "Show what the log driver adds"),
};

// --- options ---

// "2026-01-31" and "2026-01-31T12:00:00" are UTC.
static bool parse_date(const char *text, int64_t *out_unix_ms) {
    char full[64];
    snprintf(full, sizeof full, "%.40s%s", text, strchr(text, 'T') == NULL ? "T00:00:00Z" : "Z");
    return clock_parse_rfc3339(text, out_unix_ms) == 0 || clock_parse_rfc3339(full, out_unix_ms) == 0;
}

int logs_parse_time(const char *text, int64_t now_unix_ns, int64_t *out_unix_ns, struct error *err) {
    int64_t number;
    double seconds;
    if (strchr(text, '-') != NULL && parse_date(text, &number)) {
        *out_unix_ns = number * 1000000;
    } else if (str_to_double(text, &seconds) && seconds >= 0 && seconds < 9e9) {
        *out_unix_ns = (int64_t)(seconds * 1e9);
    } else if (units_parse_duration(text, &number) && number >= 0) {
        *out_unix_ns = now_unix_ns - number;
    } else {
        return error_set(err, ERR_USAGE,
                         "'%s' is no time: write 10m (ago), 2026-01-31T12:00:00Z, or Unix seconds", text);
    }
    return 0;
}

int logs_parse_tail(const char *text, int64_t *out, struct error *err) {
    if (str_equal(text, "all") || str_equal(text, "-1")) {
        *out = -1;
        return 0;
    }
    return str_to_int(text, out) && *out >= 0
               ? 0
               : error_set(err, ERR_USAGE, "--tail: '%s' is not a number of lines, nor 'all'", text);
}

static int read_options(const struct logs_args *args, struct logs_request *request, struct error *err) {
    int64_t now = clock_unix_ns();
    request->follow = args->follow;
    int rc = logs_parse_tail(args->tail, &request->tail, err);
    if (rc == 0 && args->since != NULL) {
        rc = logs_parse_time(args->since, now, &request->since_unix_ns, err);
    }
    if (rc == 0 && args->until != NULL) {
        rc = logs_parse_time(args->until, now, &request->until_unix_ns, err);
    }
    return rc;
}

// --- lines ---

static int by_task(const void *a, const void *b) {
    const struct logs_source *x = a, *y = b;
    return strcmp(x->task.text, y->task.text);
}

static const struct logs_source *find_source(const struct logs_sources *sources, const struct id *task) {
    const struct logs_source wanted = {.task = *task};
    return sources->count == 0
               ? NULL
               : bsearch(&wanted, sources->items, sources->count, sizeof *sources->items, by_task);
}

// Nanoseconds with all nine digits, as Docker prints them.
static void add_time(int64_t unix_ns, struct buf *out) {
    time_t seconds = (time_t)(unix_ns / 1000000000);
    struct tm parts;
    char text[32];
    gmtime_r(&seconds, &parts);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    buf_addf(out, "%s.%09lldZ ", text, (long long)(unix_ns % 1000000000));
}

static size_t prefix_len(const struct logs_source *source, bool has_id, bool full_ids) {
    size_t id = has_id ? 1 + (full_ids ? (size_t)ID_LEN : ID_SHORT_LEN) : 0;
    return strlen(source->name) + id + 1 + strlen(source->node_name);
}

void logs_sources_settle(struct logs_sources *sources, const struct logs_args *args, bool full_ids) {
    sources->widest = 0;
    if (sources->count > 1) {
        qsort(sources->items, sources->count, sizeof *sources->items, by_task);
    }
    for (size_t i = 0; i < sources->count; i++) {
        size_t len = prefix_len(&sources->items[i], !args->no_task_ids, full_ids);
        sources->widest = len > sources->widest ? len : sources->widest;
    }
}

// One of six, the same each time.
static const char *tint_of(const struct id *task) {
    static const char *const tints[] = {"\x1b[36m", "\x1b[33m", "\x1b[32m",
                                        "\x1b[35m", "\x1b[34m", "\x1b[31m"};
    return tints[crc32c(0, task->text, strlen(task->text)) % (sizeof tints / sizeof *tints)];
}

static void add_prefix(const struct log_line *line, const struct logs_sources *sources,
                       const struct logs_args *args, const struct logs_style *style, struct buf *out) {
    const struct logs_source unknown = {.task = line->task, .name = line->task.text, .node_name = ""};
    const struct logs_source *found = find_source(sources, &line->task);
    const struct logs_source *source = found != NULL ? found : &unknown;
    size_t own = prefix_len(source, !args->no_task_ids, style->full_ids);
    buf_adds(out, style->color ? tint_of(&line->task) : "");
    buf_adds(out, source->name);
    if (!args->no_task_ids) {
        buf_addf(out, ".%.*s", style->full_ids ? ID_LEN : ID_SHORT_LEN, line->task.text);
    }
    buf_addf(out, "@%s", source->node_name);
    buf_pad(out, ' ', sources->widest > own ? sources->widest - own : 0);
    buf_adds(out, "    |");
    buf_adds(out, style->color ? "\x1b[0m " : " ");
}

void logs_line(const struct log_line *line, const struct logs_sources *sources, const struct logs_args *args,
               const struct logs_style *style, struct buf *out) {
    const char *text = (const char *)line->text.data;
    size_t len = line->text.len;
    if (args->timestamps) {
        add_time(line->time_unix_ns, out);
    }
    if (!args->raw) {
        add_prefix(line, sources, args, style, out);
    }
    while (len > 0 && text[len - 1] == '\n') {
        len--;
    }
    if (style->is_safe) {
        str_escape(out, text, len, /* keep_newlines= */ true);
    } else {
        buf_add(out, text, len);
    }
    buf_addc(out, '\n');
}

// --- the stream ---

struct reading {
    const struct invocation *in;
    struct client *client;
    struct logs_request request;
    struct strings services; // its id, or none for a task
    struct logs_sources sources;
};

static int look_up(struct reading *reading, struct error *err) {
    const struct logs_args *args = reading->in->args;
    struct rows rows = {0};
    int rc = columns_fetch_tasks(reading->client, &reading->services, NULL, reading->in->arena, &rows, err);
    reading->sources = (struct logs_sources){0};
    for (size_t i = 0; rc == 0 && i < rows.count; i++) {
        const struct task_row *row = rows.items[i];
        *ARENA_PUSH(reading->in->arena, &reading->sources) = (struct logs_source){
            .task = row->task->meta.id,
            .name = args->no_resolve ? arena_printf(reading->in->arena, "%s.%lld", row->task->service_id.text,
                                                    (long long)row->task->slot)
                                     : row->name,
            .node_name = args->no_resolve ? row->task->node_id.text : row->node_name};
    }
    logs_sources_settle(&reading->sources, args, reading->in->shared.no_trunc);
    return rc;
}

static bool has_stranger(const struct reading *reading, const struct log_lines *lines) {
    for (size_t i = 0; i < lines->lines.count; i++) {
        if (find_source(&reading->sources, &lines->lines.items[i].task) == NULL) {
            return true;
        }
    }
    return false;
}

// What is missing is said on stderr, among the lines where it begins to miss.
static void print_notes(const struct log_lines *lines) {
    for (size_t i = 0; i < lines->notes.count; i++) {
        const char *text = lines->notes.items[i].text;
        AUTO_BUF out = {0};
        buf_adds(&out, "note: ");
        str_escape(&out, text, strlen(text), /* keep_newlines= */ false);
        fflush(stdout);
        fprintf(stderr, "%s\n", buf_text(&out));
    }
}

static int print_lines(struct reading *reading, const struct log_lines *lines, struct error *err) {
    const struct invocation *in = reading->in;
    const struct logs_args *args = in->args;
    AUTO_BUF text = {0};
    print_notes(lines);
    int rc = !args->raw && has_stranger(reading, lines) ? look_up(reading, err) : 0;
    for (size_t i = 0; rc == 0 && i < lines->lines.count; i++) {
        const struct log_line *line = &lines->lines.items[i];
        bool is_tty = line->is_stderr ? in->screen.err_is_tty : in->screen.out_is_tty;
        const struct logs_style style = {in->shared.no_trunc, is_tty, in->screen.color};
        FILE *to = line->is_stderr ? stderr : stdout;
        buf_clear(&text);
        logs_line(line, &reading->sources, args, &style, &text);
        if (line->is_stderr) {
            fflush(stdout); // where both go to one place, lines stay in order
        }
        if (fwrite(buf_text(&text), 1, text.len, to) != text.len) {
            return error_sys(err, errno, "write the log");
        }
    }
    return rc == 0 && fflush(stdout) != 0 ? error_sys(err, errno, "write the log") : rc;
}

// The body is decoded before anything else is asked of the daemon: that gives the frame's memory back.
static int read_stream(struct reading *reading, struct error *err) {
    uint64_t conversation = 0;
    int rc = client_send(reading->client, MESSAGE_LOGS, &reading->request, &conversation, err);
    while (rc == 0) {
        AUTO_ARENA arena = {0};
        struct client_frame frame;
        struct log_lines lines;
        rc = client_next(reading->client, -1, &frame, err);
        if (rc == CLIENT_TIMEOUT) {
            rc = 0;
            continue;
        }
        if (rc < 0 || frame.conversation != conversation) {
            continue;
        }
        if (frame.number == MESSAGE_DONE) {
            return 0;
        }
        if (frame.number == MESSAGE_FAILURE) {
            return client_failure(&frame, err);
        }
        rc = wire_decode(&log_lines_schema, frame.body, &lines, &arena, err);
        rc = rc < 0 ? rc : print_lines(reading, &lines, err);
    }
    return rc;
}

static int find_task(struct reading *reading, struct error *err) {
    void *object = NULL;
    int rc = connect_get(reading->client, KIND_TASK, reading->in->arguments.items[0], reading->in->arena,
                         &object, err);
    if (rc == 0) {
        const struct task *task = object;
        reading->request.task = task->meta.id;
        *ARENA_PUSH(reading->in->arena, &reading->services) = task->service_id.text;
    }
    return rc;
}

// A service, or else a task.
static int find_subject(struct reading *reading, struct error *err) {
    const char *reference = reading->in->arguments.items[0];
    struct arena *arena = reading->in->arena;
    void *object = NULL;
    int rc = connect_get(reading->client, KIND_SERVICE, reference, arena, &object, err);
    if (rc == 0) {
        reading->request.service = object_meta(object)->id;
        *ARENA_PUSH(arena, &reading->services) = object_meta(object)->id.text;
        return 0;
    }
    struct error second = {0};
    if (rc == -ERR_NOT_FOUND && find_task(reading, &second) == 0) {
        error_clear(err);
        return 0;
    }
    return rc == -ERR_NOT_FOUND ? error_set(err, ERR_NOT_FOUND,
                                            "no such service or task: %s (see: muster service ls)", reference)
                                : rc;
}

static int run(struct invocation *in, int (*find)(struct reading *reading, struct error *err),
               struct error *err) {
    AUTO_CLIENT *client = NULL;
    struct reading reading = {.in = in};
    schema_init(&logs_request_schema, &reading.request);
    int rc = read_options(in->args, &reading.request, err);
    rc = rc < 0 ? rc : connect_open(in, &client, err);
    reading.client = client;
    rc = rc < 0 ? rc : find(&reading, err);
    rc = rc < 0 ? rc : look_up(&reading, err);
    return rc < 0 ? rc : read_stream(&reading, err);
}

int logs_run(struct invocation *in, struct error *err) {
    return run(in, find_subject, err);
}

static int run_task(struct invocation *in, struct error *err) {
    return run(in, find_task, err);
}

// --- commands ---

static const struct command rows[] = {
    {.name = "logs",
     .summary = "Show what the tasks of a service wrote, wherever they run",
     .usage = "SERVICE[.SLOT]|TASK",
     .details =
         "Lines of all nodes come in the order in which they were written, by the clocks of the nodes. "
         "With -f a line waits up to 0.4 s for those of other nodes, and tasks that come later are "
         "followed too. A node whose logs are not to be had is named in a note on stderr; the others' "
         "come all the same. Logs of tasks that ended are there as long as `service ps` shows them.",
     .example = "muster logs -f web\nmuster logs --tail 20 web.3",
     .names = NAMES_SERVICE,
     LOGS_COMMAND,
     .run = logs_run},
};
const struct command_group logs_commands = COMMAND_GROUP(NULL, "Look", rows);

static const struct command task_rows[] = {
    {.name = "logs",
     .summary = "Show what one task wrote, wherever it runs",
     .usage = "TASK|SERVICE.SLOT",
     .details = "With -f it ends when the task does.",
     .example = "muster task logs -f web.3",
     .names = NAMES_TASK,
     LOGS_COMMAND,
     .run = run_task},
    {.name = "exec",
     .summary = "Run a command beside a task, wherever it runs",
     .usage = "TASK|SERVICE.SLOT COMMAND [ARGUMENT…]",
     .details = "As `muster exec`.",
     .example = "muster task exec -it web.1 sh",
     .names = NAMES_TASK,
     EXEC_COMMAND,
     .run = exec_run},
};
const struct command_group task_commands = COMMAND_GROUP("task", "Manage tasks", task_rows);
