// SPDX-License-Identifier: Apache-2.0
//
// cli/history.c — `log` and `events`: what happened, who did it and why.
//
// Both read the same history. `log` is for people: the last entries, and on with -f. `events` is Docker's:
// from now on, with its -f for filters, and it shows tasks too.
#include <string.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/units.h"
#include "cli/connect.h"
#include "cli/event_text.h"
#include "cli/output.h"

struct history_args {
    const char *since, *until;
    int64_t tail;
    bool follow;
};
static const struct option_row log_options[] = {
    OPT_STRING(struct history_args, since, "since", '\0', .metavar = "TIME",
               .help = "Not older: 10m (ago), 2026-01-31T12:00:00Z, or Unix seconds"),
    OPT_STRING(struct history_args, until, "until", '\0', .metavar = "TIME",
               .help = "Not newer, written the same way"),
    OPT_INT(struct history_args, tail, "tail", 'n', .initial = "100",
            .help = "At most this many, the newest; 0 for all, as with --since"),
    OPT_FLAG(struct history_args, follow, "follow", 'f',
             .help = "Go on with what happens next, until Ctrl-C"),
};
static const struct option_row events_options[] = {
    OPT_STRING(struct history_args, since, "since", '\0', .metavar = "TIME",
               .help = "Begin with what is not older: 10m (ago), 2026-01-31T12:00:00Z, or Unix seconds"),
    OPT_STRING(struct history_args, until, "until", '\0', .metavar = "TIME",
               .help = "End with what is not newer, instead of going on"),
};

struct reading {
    const struct invocation *in;
    struct client *client;
    struct event_names names;
    // when no other form is asked for
    void (*print)(const struct event_row *row, bool color, struct buf *out);
    struct error *err;
};

// --- times ---

static int parse_time(const char *text, const char *option, int64_t now_unix_ms, int64_t *out,
                      struct error *err) {
    int64_t ns;
    int64_t seconds;
    if (text == NULL || clock_parse_rfc3339(text, out) == 0) {
        return 0;
    }
    if (str_to_int(text, &seconds)) {
        *out = seconds * 1000;
    } else if (units_parse_duration(text, &ns)) {
        *out = now_unix_ms - ns / NS_PER_MS;
    } else {
        return error_set(err, ERR_USAGE,
                         "'%s' is no value of --%s: write 10m, 2026-01-31T12:00:00Z or Unix seconds", text,
                         option);
    }
    return 0;
}

// --- printing ---

static void log_line(const struct event_row *row, bool color, struct buf *out) {
    char when[32];
    const struct event *event = row->event;
    buf_addf(out, "%s%s%s  r%lld  %s ", color ? "\x1b[2m" : "",
             clock_format_rfc3339(event->time_unix_ms, when, sizeof when), color ? "\x1b[0m" : "",
             (long long)event->revision, row->kind);
    str_escape(out, row->name, strlen(row->name), /* keep_newlines= */ false);
    buf_adds(out, ": ");
    str_escape(out, row->text, strlen(row->text), /* keep_newlines= */ false);
    buf_adds(out, color ? "  \x1b[2m" : "  ");
    buf_addc(out, '[');
    str_escape(out, event->who, strlen(event->who), /* keep_newlines= */ false);
    if (event->why[0] != '\0') {
        buf_adds(out, "; ");
        str_escape(out, event->why, strlen(event->why), /* keep_newlines= */ false);
    }
    buf_adds(out, color ? "]\x1b[0m\n" : "]\n");
}

static void event_line(const struct event_row *row, bool color, struct buf *out) {
    (void)color;
    char when[32];
    buf_addf(out, "%s %s %s %s (name=", clock_format_rfc3339(row->event->time_unix_ms, when, sizeof when),
             row->kind, row->action, row->event->id.text);
    str_escape(out, row->name, strlen(row->name), /* keep_newlines= */ false);
    buf_adds(out, ", change=");
    str_escape(out, row->text, strlen(row->text), /* keep_newlines= */ false);
    buf_adds(out, ")\n");
}

static int print_event(struct reading *reading, const struct event *event, struct arena *arena,
                       struct buf *out) {
    struct event_row row;
    struct output_options options = output_options_of(reading->in);
    int rc = event_row_make(&reading->names, event, arena, &row, reading->err);
    const void *item = &row;
    struct rows rows = {1, &item};
    rc = rc < 0 ? rc : output_filter(&event_listing, &options.filters, &rows, arena, reading->err);
    if (rc < 0 || rows.count == 0) {
        return rc;
    }
    if (options.format == NULL && str_equal(options.form, "json")) {
        options.format = "json";
    }
    if (options.format != NULL) {
        return output_render(&event_listing, &options, rows, out, reading->err);
    }
    reading->print(&row, reading->in->screen.color, out);
    return 0;
}

static int take_batch(struct reading *reading, struct bytes body) {
    AUTO_ARENA arena = {0};
    AUTO_BUF out = {0};
    struct event_batch batch;
    int rc = wire_decode(&event_batch_schema, body, &batch, &arena, reading->err);
    if (rc == 0 && batch.skipped) {
        fputs("muster: some of the history was trimmed before it could be read\n", stderr);
    }
    for (size_t i = 0; rc == 0 && i < batch.events.count; i++) {
        rc = print_event(reading, &batch.events.items[i], &arena, &out);
    }
    output_write(&out);
    fflush(stdout);
    return rc;
}

static int read_all(struct reading *reading, const struct history_request *request) {
    uint64_t conversation;
    int rc = client_send(reading->client, MESSAGE_HISTORY, request, &conversation, reading->err);
    while (rc >= 0) {
        struct client_frame frame;
        rc = client_next(reading->client, request->follow ? -1 : CONNECT_CALL_MS, &frame, reading->err);
        if (rc == CLIENT_TIMEOUT && !request->follow) {
            return error_set(reading->err, ERR_UNREACHABLE, "the daemon did not answer in time");
        }
        if (rc != 0 || frame.conversation != conversation) {
            continue;
        }
        if (frame.number == MESSAGE_DONE) {
            return 0;
        }
        rc = frame.number == MESSAGE_FAILURE  ? client_failure(&frame, reading->err)
             : frame.number == MESSAGE_EVENTS ? take_batch(reading, frame.body)
                                              : 0;
    }
    return rc;
}

// --- what to read ---

// Services and nodes by name or id; whole ids of what is gone are taken as they are.
static int add_subjects(const struct invocation *in, struct client *client, struct history_request *request,
                        struct error *err) {
    for (size_t i = 0; i < in->arguments.count; i++) {
        const char *name = in->arguments.items[i];
        struct id id;
        void *object = NULL;
        bool is_found = connect_get(client, KIND_SERVICE, name, in->arena, &object, NULL) == 0 ||
                        connect_get(client, KIND_NODE, name, in->arena, &object, NULL) == 0 ||
                        connect_get(client, KIND_TASK, name, in->arena, &object, NULL) == 0;
        if (is_found) {
            id = object_meta(object)->id;
        } else if (!id_parse(name, &id)) {
            return error_set(err, ERR_NOT_FOUND, "no service, node or task is called '%s'", name);
        }
        struct object_item *item = ARENA_PUSH(in->arena, &request->ids);
        schema_init(&object_item_schema, item);
        item->object = (struct bytes){arena_copy(in->arena, id.text, ID_LEN), ID_LEN};
    }
    return 0;
}

static int make_request(const struct invocation *in, const struct history_args *args, struct client *client,
                        struct history_request *out, struct error *err) {
    int64_t now = clock_unix_ms();
    schema_init(&history_request_schema, out);
    out->kinds = ((int64_t)1 << KIND_END) - 1 - (1 << KIND_REVISION) - (1 << KIND_ROLLOUT) - (1 << KIND_NONE);
    int rc = parse_time(args->since, "since", now, &out->since_unix_ms, err);
    rc = rc < 0 ? rc : parse_time(args->until, "until", now, &out->until_unix_ms, err);
    return rc < 0 ? rc : add_subjects(in, client, out, err);
}

static int load_names(const struct invocation *in, struct client *client, struct event_names *names,
                      struct error *err) {
    static const enum object_kind kinds[] = {KIND_SERVICE, KIND_NODE};
    int rc = 0;
    for (size_t k = 0; rc == 0 && k < 2; k++) {
        struct object_list list;
        rc = connect_list(client, kinds[k], NULL, in->arena, &list, err);
        for (size_t i = 0; rc == 0 && i < list.count; i++) {
            event_names_add(names, &object_meta(list.items[i])->id, object_meta(list.items[i])->name);
        }
    }
    return rc;
}

static int read_history(struct invocation *in, bool is_events, struct error *err) {
    const struct history_args *args = in->args;
    AUTO_CLIENT *client = NULL;
    struct history_request request;
    struct reading reading = {.in = in, .print = is_events ? event_line : log_line, .err = err};
    struct rows none = {0}; // wrong filters are told before anything happens
    int rc = output_filter(&event_listing, &in->shared.filter, &none, in->arena, err);
    rc = rc < 0 ? rc : connect_open(in, &client, err);
    reading.client = client;
    rc = rc < 0 ? rc : make_request(in, args, client, &request, err);
    rc = rc < 0 ? rc : load_names(in, client, &reading.names, err);
    if (rc == 0) {
        bool is_all = args->since != NULL && !invocation_has(in, "tail");
        request.limit = is_events || is_all ? 0 : args->tail;
        request.follow = is_events ? args->until == NULL : args->follow;
        if (is_events && args->since == NULL) {
            request.since_unix_ms = clock_unix_ms();
        }
        rc = read_all(&reading, &request);
    }
    event_names_free(&reading.names);
    return rc;
}

static int run_log(struct invocation *in, struct error *err) {
    return read_history(in, /* is_events= */ false, err);
}

static int run_events(struct invocation *in, struct error *err) {
    return read_history(in, /* is_events= */ true, err);
}

// tidy: table
static const struct command rows[] = {
    {.name = "log",
     .summary = "Show what happened, who did it and why",
     .usage = "[SERVICE|NODE|TASK…]",
     .details = "An entry is a change of one object: when, the revision of the store, what changed, who "
                "changed it and "
                "for which reason. A service stands for its tasks too.",
     .example = "muster log web\nmuster log -f --since 10m",
     COMMAND_OPTIONS(struct history_args, log_options),
     .shared = SHARED_OUTPUT | SHARED_FORMAT,
     .max = COMMAND_MANY,
     .names = NAMES_SERVICE,
     .run = run_log},
    {.name = "events",
     .summary = "Follow events as Docker shows them",
     .details = "Goes on until Ctrl-C, or to --until. Filters: type, event, id, name.",
     .example = "muster events -f type=task -f event=update --since 1h",
     COMMAND_OPTIONS(struct history_args, events_options),
     .shared = SHARED_FORMAT | SHARED_FILTER | SHARED_OUTPUT,
     .run = run_events},
};
const struct command_group history_commands = COMMAND_GROUP(NULL, "Look", rows);
