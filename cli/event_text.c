// SPDX-License-Identifier: Apache-2.0
//
// cli/event_text.c — compares the two versions of an object that an event carries.
//
// Tasks, services and nodes are told by the members that matter; of other kinds the changed fields are
// named. An event without a visible difference says "written again", so that nothing is hidden.
#include "cli/event_text.h"

#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "specs/node.h"
#include "specs/service.h"
#include "specs/task.h"

#define FIELDS_SHOWN 6
#define VALUE_COLUMNS 60

// Keys of the map are copied: they outlive the events they came with.
struct named {
    struct id id;
    const char *name;
};

void event_names_add(struct event_names *names, const struct id *id, const char *name) {
    struct named *known = map_get(&names->by_id, id->text);
    if (known == NULL) {
        known = ARENA_NEW(&names->arena, struct named);
        known->id = *id;
        map_put(&names->by_id, known->id.text, known);
    }
    if (!str_equal(known->name, name)) {
        known->name = arena_strdup(&names->arena, name);
    }
}

void event_names_free(struct event_names *names) {
    map_free(&names->by_id);
    arena_free(&names->arena);
}

static const char *name_of(const struct event_names *names, const struct id *id) {
    const struct named *known = map_get(&names->by_id, id->text);
    return known != NULL ? known->name : id->text;
}

struct words {
    struct buf *out;
    bool has_some;
};

__attribute__((format(printf, 2, 3))) static void add(struct words *words, const char *format, ...) {
    va_list args;
    va_start(args, format);
    buf_adds(words->out, words->has_some ? "; " : "");
    buf_addv(words->out, format, args);
    va_end(args);
    words->has_some = true;
}

// --- kinds ---

static void task_words(const struct event_names *names, const struct task *from, const struct task *to,
                       struct words *words) {
    if (from == NULL || from->status.state != to->status.state) {
        add(words, "%s%s%s", from != NULL ? task_state_name(from->status.state) : "",
            from != NULL ? " -> " : "", task_state_name(to->status.state));
        if (from == NULL && to->attempt > 0) {
            add(words, "attempt %lld", (long long)to->attempt);
        }
    }
    if (from == NULL || !id_equal(&from->node_id, &to->node_id)) {
        if (!id_is_none(&to->node_id)) {
            add(words, "on %s", name_of(names, &to->node_id));
        }
    }
    if (from != NULL && from->desired != to->desired) {
        add(words, "meant to be %s%s%s", task_state_name(to->desired),
            to->desired_reason != REASON_NONE ? ": " : "",
            to->desired_reason != REASON_NONE ? task_reason_text(to->desired_reason) : "");
    }
    if (to->status.error[0] != '\0' && (from == NULL || !str_equal(from->status.error, to->status.error))) {
        add(words, "%s", to->status.error);
    } else if (from != NULL && from->status.state == to->status.state &&
               !str_equal(from->status.message, to->status.message)) {
        add(words, "%s", to->status.message);
    }
}

static void add_value(struct buf *out, const char *text) {
    size_t at = 0;
    uint32_t codepoint;
    for (size_t i = 0; text[at] != '\0' && i < VALUE_COLUMNS; i++) {
        size_t len = str_decode(text + at, strlen(text + at), &codepoint);
        at += len > 0 ? len : 1;
    }
    buf_add(out, text, at);
    buf_adds(out, text[at] != '\0' ? "…" : "");
}

static void field_words(const struct schema *schema, const void *from, const void *to, struct arena *arena,
                        struct words *words) {
    struct differences differences = {0};
    schema_diff(schema, from, to, arena, &differences);
    for (size_t i = 0; i < differences.count && i < FIELDS_SHOWN; i++) {
        AUTO_BUF before = {0};
        AUTO_BUF after = {0};
        add_value(&before, differences.items[i].old_text != NULL ? differences.items[i].old_text : "(none)");
        add_value(&after, differences.items[i].new_text != NULL ? differences.items[i].new_text : "(none)");
        add(words, "%s %s -> %s", differences.items[i].path, buf_text(&before), buf_text(&after));
    }
    if (differences.count > FIELDS_SHOWN) {
        add(words, "%zu more fields", differences.count - FIELDS_SHOWN);
    }
}

static void service_words(const struct service *from, const struct service *to, struct arena *arena,
                          struct words *words) {
    if (from == NULL) {
        add(words, "created, %s, image %s", service_mode_names[to->spec.deploy.mode], to->spec.image);
        return;
    }
    field_words(&service_spec_schema, &from->spec, &to->spec, arena, words);
    if (from->update_status.state != to->update_status.state) {
        add(words, "update %s%s%s", update_state_names[to->update_status.state],
            to->update_status.message[0] != '\0' ? ": " : "", to->update_status.message);
    }
    if (to->job_iteration > from->job_iteration) {
        add(words, "run %lld begins", (long long)to->job_iteration);
    }
    if (to->schedule_note[0] != '\0' && to->next_run_unix_ms != from->next_run_unix_ms) {
        add(words, "%s", to->schedule_note);
    }
    if (to->next_run_unix_ms > 0 && to->next_run_unix_ms != from->next_run_unix_ms) {
        char at[32];
        add(words, "next run at %s", clock_format_rfc3339(to->next_run_unix_ms, at, sizeof at));
    }
    if (!from->removing && to->removing) {
        add(words, "to be removed");
    }
}

static void node_words(const struct node *from, const struct node *to, struct arena *arena,
                       struct words *words) {
    if (from == NULL) {
        add(words, "joined as %s", node_role_names[to->spec.role]);
        return;
    }
    field_words(&node_spec_schema, &from->spec, &to->spec, arena, words);
    if (from->status.state != to->status.state) {
        add(words, "%s -> %s%s%s", node_state_names[from->status.state], node_state_names[to->status.state],
            to->status.message[0] != '\0' ? ": " : "", to->status.message);
    }
}

static void other_words(enum object_kind kind, const void *from, const void *to, struct arena *arena,
                        struct words *words) {
    const struct schema *spec = object_spec_schema(kind);
    if (from == NULL) {
        add(words, "created");
    } else if (spec != NULL) {
        size_t offset = object_spec_offset(kind);
        field_words(spec, (const char *)from + offset, (const char *)to + offset, arena, words);
    }
}

static void kind_words(const struct event_names *names, enum object_kind kind, const void *from,
                       const void *to, struct arena *arena, struct words *words) {
    if (kind == KIND_TASK) {
        task_words(names, from, to, words);
    } else if (kind == KIND_SERVICE) {
        service_words(from, to, arena, words);
    } else if (kind == KIND_NODE) {
        node_words(from, to, arena, words);
    } else {
        other_words(kind, from, to, arena, words);
    }
}

// --- rows ---

static int decode(enum object_kind kind, struct bytes bytes, struct arena *arena, void **out,
                  struct error *err) {
    const struct schema *schema = object_schema(kind);
    *out = NULL;
    if (bytes.len == 0 || schema == NULL) {
        return 0;
    }
    *out = arena_alloc(arena, schema->bytes);
    return wire_decode(schema, bytes, *out, arena, err);
}

static const char *row_name(struct event_names *names, const struct event *event, const void *object,
                            struct arena *arena) {
    if (event->kind == KIND_TASK && object != NULL) {
        const struct task *task = object;
        AUTO_BUF name = {0};
        task_name(task, name_of(names, &task->service_id), &name);
        return arena_strdup(arena, buf_text(&name));
    }
    if (object != NULL && (event->kind == KIND_SERVICE || event->kind == KIND_NODE)) {
        event_names_add(names, &event->id, object_meta_const(object)->name);
    }
    const char *own = object != NULL ? object_meta_const(object)->name : "";
    return event->name[0] != '\0' ? event->name : own[0] != '\0' ? arena_strdup(arena, own) : event->id.text;
}

int event_row_make(struct event_names *names, const struct event *event, struct arena *arena,
                   struct event_row *out, struct error *err) {
    static const char *const actions[] = {"create", "update", "remove"};
    enum object_kind kind = (enum object_kind)event->kind;
    void *from = NULL;
    void *to = NULL;
    AUTO_BUF text = {0};
    struct words words = {.out = &text};
    int rc = decode(kind, event->from, arena, &from, err);
    rc = rc < 0 ? rc : decode(kind, event->to, arena, &to, err);
    if (rc < 0) {
        return error_wrap(err, rc, "read the event of revision %lld", (long long)event->revision);
    }
    const char *name = row_name(names, event, to != NULL ? to : from, arena);
    if (to != NULL) {
        kind_words(names, kind, from, to, arena, &words);
    }
    if (!words.has_some) {
        add(&words, "%s", to == NULL ? "removed" : "written again");
    }
    *out = (struct event_row){.event = event,
                              .kind = object_kind_name(kind),
                              .action = actions[event->op],
                              .name = name,
                              .text = arena_strdup(arena, buf_text(&text))};
    return 0;
}

// --- cells ---

static void cell_time(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    char text[32];
    buf_adds(out,
             clock_format_rfc3339(((const struct event_row *)row)->event->time_unix_ms, text, sizeof text));
}
static void cell_revision(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    buf_addf(out, "%lld", (long long)((const struct event_row *)row)->event->revision);
}
static void cell_type(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    buf_adds(out, ((const struct event_row *)row)->kind);
}
static void cell_action(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    buf_adds(out, ((const struct event_row *)row)->action);
}
static void cell_id(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    buf_adds(out, ((const struct event_row *)row)->event->id.text);
}
static void cell_name(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    buf_adds(out, ((const struct event_row *)row)->name);
}
static void cell_text(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    buf_adds(out, ((const struct event_row *)row)->text);
}
static void cell_who(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    buf_adds(out, ((const struct event_row *)row)->event->who);
}
static void cell_why(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    buf_adds(out, ((const struct event_row *)row)->event->why);
}

static int matches_type(const void *row, const char *value) {
    return object_kind_parse(value) == KIND_NONE
               ? -1
               : object_kind_parse(value) == ((const struct event_row *)row)->event->kind;
}
static int matches_action(const void *row, const char *value) {
    return str_equal(((const struct event_row *)row)->action, value);
}
static int matches_id(const void *row, const char *value) {
    return output_matches_prefix(((const struct event_row *)row)->event->id.text, value);
}
static int matches_name(const void *row, const char *value) {
    return output_matches_prefix(((const struct event_row *)row)->name, value);
}
// `service=web` is the service and its tasks.
static int matches_service(const void *at, const char *value) {
    const struct event_row *row = at;
    size_t len = strlen(value);
    bool is_its_task =
        row->event->kind == KIND_TASK && strncmp(row->name, value, len) == 0 && row->name[len] == '.';
    return is_its_task ||
           (row->event->kind == KIND_SERVICE && (str_equal(row->name, value) || matches_id(at, value)));
}
static int matches_node(const void *at, const char *value) {
    const struct event_row *row = at;
    return row->event->kind == KIND_NODE && (str_equal(row->name, value) || matches_id(at, value));
}

static const struct column event_columns[] = {
    {"Time", "TIME", 0, cell_time, NULL},
    {"Revision", "REVISION", 0, cell_revision, NULL},
    {"Type", "TYPE", 0, cell_type, NULL},
    {"Action", "ACTION", 0, cell_action, NULL},
    {"ID", "ID", 0, cell_id, NULL},
    {"Name", "NAME", 0, cell_name, NULL},
    {"Text", "CHANGE", COLUMN_CUT, cell_text, NULL},
    {"Who", "WHO", COLUMN_CUT, cell_who, NULL},
    {"Why", "WHY", COLUMN_CUT, cell_why, NULL},
};
static const struct filter_row event_filters[] = {
    {"type", matches_type}, {"event", matches_action},    {"id", matches_id},
    {"name", matches_name}, {"service", matches_service}, {"node", matches_node},
};
const struct listing event_listing = {.noun = "event",
                                      .columns = event_columns,
                                      .column_count = sizeof event_columns / sizeof *event_columns,
                                      .filters = event_filters,
                                      .filter_count = sizeof event_filters / sizeof *event_filters};
