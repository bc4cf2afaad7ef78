// SPDX-License-Identifier: Apache-2.0
//
// cli/get.c — `get`, `ls`, `ps`: what the cluster holds, whole or at a glance.
//
// `get -o yaml` and `-o json` print declarations that `apply` reads back without a change; status is left
// out. Contents of secrets and configs do not come back: those documents are to be looked at.
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "cli/columns.h"
#include "cli/connect.h"
#include "cli/overview.h"

// --- other kinds: what all objects have ---

static void any_id(const void *row, const struct cell_context *context, struct buf *out) {
    buf_addf(out, "%.*s", context->full_ids ? ID_LEN : ID_SHORT_LEN, object_meta_const(row)->id.text);
}
static void any_name(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    buf_adds(out, object_meta_const(row)->name);
}
static void any_owner(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    buf_adds(out, object_meta_const(row)->owner);
}
static void any_created(const void *row, const struct cell_context *context, struct buf *out) {
    columns_ago(object_meta_const(row)->created_unix_ms, context->now_unix_ms, out);
}
static void any_updated(const void *row, const struct cell_context *context, struct buf *out) {
    columns_ago(object_meta_const(row)->updated_unix_ms, context->now_unix_ms, out);
}
static int any_matches_id(const void *row, const char *value) {
    return output_matches_prefix(object_meta_const(row)->id.text, value);
}
static int any_matches_name(const void *row, const char *value) {
    return output_matches_prefix(object_meta_const(row)->name, value);
}
static const char *any_row_id(const void *row) {
    return object_meta_const(row)->id.text;
}
static const char *any_row_name(const void *row) {
    return object_meta_const(row)->name;
}
static const void *any_row_object(const void *row) {
    return row;
}

static const struct column any_columns[] = {
    {"ID", "ID", 0, any_id, NULL},
    {"Name", "NAME", COLUMN_CUT, any_name, NULL},
    {"Created", "CREATED", 0, any_created, NULL},
    {"Updated", "UPDATED", 0, any_updated, NULL},
    {"Owner", "OWNER", COLUMN_WIDE, any_owner, NULL},
};
static const struct filter_row any_filters[] = {{"id", any_matches_id}, {"name", any_matches_name}};

static struct listing listing_of(enum object_kind kind) {
    const struct listing *const own[] = {&columns_services, &columns_tasks, &columns_nodes};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        if (own[i]->kind == kind) {
            return *own[i];
        }
    }
    return (struct listing){.noun = object_kind_name(kind),
                            .columns = any_columns,
                            .column_count = sizeof any_columns / sizeof *any_columns,
                            .filters = any_filters,
                            .filter_count = sizeof any_filters / sizeof *any_filters,
                            .id = any_row_id,
                            .name = any_row_name,
                            .kind = kind,
                            .object = any_row_object};
}

static int by_name(const void *a, const void *b) {
    return str_compare_natural(object_meta_const(*(const void *const *)a)->name,
                               object_meta_const(*(const void *const *)b)->name);
}

static int fetch_any(struct client *client, enum object_kind kind, const struct strings *references,
                     struct arena *arena, struct rows *out, struct error *err) {
    struct object_list list;
    int rc = connect_list(client, kind, references, arena, &list, err);
    if (rc < 0) {
        return rc;
    }
    if (list.count > 0) {
        qsort(list.items, list.count, sizeof *list.items, by_name);
    }
    *out = (struct rows){list.count, (const void **)list.items};
    return 0;
}

// Tasks by reference are tasks; without one, all of them.
static int fetch_tasks(struct client *client, const struct strings *references, struct arena *arena,
                       struct rows *out, struct error *err) {
    struct object_list some = {0};
    int rc = columns_fetch_tasks(client, NULL, NULL, arena, out, err);
    if (rc < 0 || references->count == 0) {
        return rc;
    }
    rc = connect_list(client, KIND_TASK, references, arena, &some, err);
    size_t kept = 0;
    for (size_t i = 0; rc == 0 && i < out->count; i++) {
        const struct task_row *row = out->items[i];
        for (size_t j = 0; j < some.count; j++) {
            if (id_equal(&row->task->meta.id, &object_meta(some.items[j])->id)) {
                out->items[kept++] = row;
                break;
            }
        }
    }
    out->count = rc == 0 ? kept : out->count;
    return rc;
}

static int fetch(struct client *client, enum object_kind kind, const struct strings *references,
                 struct arena *arena, struct rows *out, struct error *err) {
    if (kind == KIND_TASK) {
        return fetch_tasks(client, references, arena, out, err);
    }
    if (kind == KIND_SERVICE) {
        return columns_fetch_services(client, references, arena, out, err);
    }
    return kind == KIND_NODE ? columns_fetch_nodes(client, references, arena, out, err)
                             : fetch_any(client, kind, references, arena, out, err);
}

// --- get ---

static void print_manifests(const struct listing *listing, struct rows rows, struct buf *out) {
    for (size_t i = 0; i < rows.count; i++) {
        buf_adds(out, out->len > 0 ? "---\n" : "");
        output_manifest(listing->kind, listing->object(rows.items[i]), out);
    }
}

// A stream of JSON documents, each of which is a YAML document too.
static void print_json(const struct listing *listing, struct rows rows, struct buf *out) {
    for (size_t i = 0; i < rows.count; i++) {
        const void *object = listing->object(rows.items[i]);
        buf_adds(out, out->len > 0 ? "---\n" : "");
        if (object_kind_is_declared(listing->kind)) {
            output_manifest_json(listing->kind, object, JSON_INDENT, out);
        } else {
            json_write(object_schema(listing->kind), object, JSON_INDENT, TEXT_STATUS, out);
        }
        buf_addc(out, '\n');
    }
}

static int get_kind(const struct invocation *in, struct client *client, enum object_kind kind,
                    const struct strings *references, struct buf *documents, struct error *err) {
    struct listing listing = listing_of(kind);
    struct rows rows = {0};
    bool is_yaml = str_equal(in->shared.output, "yaml") && in->shared.format == NULL;
    bool is_json = str_equal(in->shared.output, "json") && in->shared.format == NULL;
    int rc = fetch(client, kind, references, in->arena, &rows, err);
    if (rc < 0 || (!is_yaml && !is_json)) {
        return rc < 0 ? rc : output_list(in, &listing, rows, err);
    }
    rc = output_filter(&listing, &in->shared.filter, &rows, in->arena, err);
    if (rc == 0) {
        (is_yaml ? print_manifests : print_json)(&listing, rows, documents);
    }
    return rc;
}

static int get_all(const struct invocation *in, struct client *client, struct buf *documents,
                   struct error *err) {
    static const enum object_kind kinds[] = {KIND_NETWORK, KIND_VOLUME, KIND_SERVICE};
    struct strings everything = {0};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof kinds / sizeof *kinds; i++) {
        rc = get_kind(in, client, kinds[i], &everything, documents, err);
    }
    return rc;
}

static int refuse_kind(const char *word, struct error *err) {
    AUTO_BUF kinds = {0};
    const char *names[KIND_END];
    for (int i = KIND_NONE + 1; i < KIND_END; i++) {
        names[i - 1] = object_kind_name((enum object_kind)i);
        buf_addf(&kinds, ", %s", names[i - 1]);
    }
    const char *nearest = str_nearest(word, names, KIND_END - 1);
    return error_set(err, ERR_USAGE, "'%s' is not a kind%s%s%s; there are: all%s", word,
                     nearest != NULL ? ": did you mean '" : "", nearest != NULL ? nearest : "",
                     nearest != NULL ? "'?" : "", buf_text(&kinds));
}

// "service web api" and "service/web".
static int read_reference(const struct invocation *in, enum object_kind *kind, struct strings *references,
                          struct error *err) {
    const char *first = in->arguments.items[0];
    size_t len = strcspn(first, "/");
    *kind = object_kind_parse(arena_strndup(in->arena, first, len));
    if (*kind == KIND_NONE) {
        return refuse_kind(first, err);
    }
    if (first[len] == '/') {
        *ARENA_PUSH(in->arena, references) = first + len + 1;
    }
    for (size_t i = 1; i < in->arguments.count; i++) {
        *ARENA_PUSH(in->arena, references) = in->arguments.items[i];
    }
    return 0;
}

static int run_get(struct invocation *in, struct error *err) {
    AUTO_CLIENT *client = NULL;
    AUTO_BUF documents = buf_make(256UL * MIB);
    struct strings references = {0};
    enum object_kind kind = KIND_NONE;
    bool is_all = str_equal(in->arguments.items[0], "all");
    int rc = is_all ? 0 : read_reference(in, &kind, &references, err);
    rc = rc < 0 ? rc : connect_open(in, &client, err);
    if (rc == 0) {
        rc = is_all ? get_all(in, client, &documents, err)
                    : get_kind(in, client, kind, &references, &documents, err);
    }
    output_write(&documents);
    return rc;
}

// --- ls ---

static int run_ls(struct invocation *in, struct error *err) {
    AUTO_CLIENT *client = NULL;
    struct rows rows = {0};
    int rc = connect_open(in, &client, err);
    rc = rc < 0 ? rc : overview_fetch(client, in->arena, &rows, err);
    return rc < 0 ? rc : output_list(in, &overview_services, rows, err);
}

// --- ps ---

struct ps_args {
    bool all;
    const char *node;
};
static const struct option_row ps_options[] = {
    OPT_FLAG(struct ps_args, all, "all", 'a', .help = "Show earlier tasks of each slot too"),
    OPT_STRING(struct ps_args, node, "node", '\0', .metavar = "NODE", .names = NAMES_NODE,
               .help = "Only tasks on this node"),
};

// "web.3" is slot 3 of web; services have no dots in front of a number.
static const char *slot_dot(const char *reference) {
    const char *dot = strrchr(reference, '.');
    int64_t number;
    return dot != NULL && dot != reference && str_to_int(dot + 1, &number) ? dot : NULL;
}

static bool is_asked_for(const struct option_arguments *asked, const struct task_row *row) {
    bool is_service = false;
    bool has_slots = false;
    for (size_t i = 0; i < asked->count; i++) {
        if (slot_dot(asked->items[i]) == NULL) {
            is_service = is_service || str_equal(asked->items[i], row->service_name) ||
                         str_starts(row->task->service_id.text, asked->items[i]);
        } else {
            has_slots = true;
            is_service = is_service || str_equal(asked->items[i], row->name);
        }
    }
    return is_service || !has_slots;
}

static int run_ps(struct invocation *in, struct error *err) {
    const struct ps_args *args = in->args;
    AUTO_CLIENT *client = NULL;
    struct strings services = {0};
    struct rows rows = {0};
    struct node *node = NULL;
    for (size_t i = 0; i < in->arguments.count; i++) {
        const char *dot = slot_dot(in->arguments.items[i]);
        *ARENA_PUSH(in->arena, &services) =
            dot == NULL
                ? in->arguments.items[i]
                : arena_strndup(in->arena, in->arguments.items[i], (size_t)(dot - in->arguments.items[i]));
    }
    int rc = connect_open(in, &client, err);
    if (rc == 0 && args->node != NULL) {
        rc = connect_get(client, KIND_NODE, args->node, in->arena, (void **)&node, err);
    }
    rc = rc < 0 ? rc
                : columns_fetch_tasks(client, &services, node != NULL ? &node->meta.id : NULL, in->arena,
                                      &rows, err);
    struct rows kept = {0};
    for (size_t i = 0; rc == 0 && i < rows.count; i++) {
        const struct task_row *row = rows.items[i];
        bool is_on_node = node == NULL || id_equal(&row->task->node_id, &node->meta.id);
        if (is_on_node && (args->all || !row->is_older) && is_asked_for(&in->arguments, row)) {
            *ARENA_PUSH(in->arena, &kept) = row;
        }
    }
    return rc < 0 ? rc : output_list(in, &columns_tasks, kept, err);
}

// tidy: table
static const struct command rows[] = {
    {.name = "ls",
     .aliases = "list",
     .summary = "List services with their state",
     .shared = SHARED_LIST,
     .run = run_ls},
    {.name = "ps",
     .summary = "List tasks, of all services or of some",
     .usage = "[SERVICE[.SLOT]…]",
     .details = "Shows the newest task of each slot; with --all also what ran in it before.",
     COMMAND_OPTIONS(struct ps_args, ps_options),
     .shared = SHARED_LIST,
     .max = COMMAND_MANY,
     .names = NAMES_SERVICE,
     .run = run_ps},
    {.name = "get",
     .summary = "Print objects as tables or as spec files",
     .usage = "KIND [NAME…]",
     .details =
         "With -o yaml or -o json prints declarations that apply reads back: `muster get service web "
         "-o yaml | muster apply -f -` changes nothing. Contents of secrets are never printed, so secrets "
         "and configs do not come back. The kind `all` stands for networks, volumes and services.",
     .example = "muster get services\nmuster get service web -o yaml\nmuster get all -o yaml >cluster.yaml",
     .shared = SHARED_LIST,
     .min = 1,
     .max = COMMAND_MANY,
     .names = NAMES_KIND,
     .run = run_get},
};
const struct command_group get_commands = COMMAND_GROUP(NULL, "Look", rows);
