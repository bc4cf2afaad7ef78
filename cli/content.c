// SPDX-License-Identifier: Apache-2.0
//
// cli/content.c — secrets and configs by hand: made from a file or from standard input, listed, shown,
// removed.
//
// The value of a secret is in memory that is overwritten before it is given back, and in no message of this
// program.
#include "cli/content.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/change.h"
#include "cli/columns.h"
#include "cli/connect.h"
#include "cli/inspect.h"
#include "specs/resource.h"

// --- create ---

static size_t bytes_max(enum object_kind kind) {
    return kind == KIND_SECRET ? SECRET_BYTES_MAX : CONFIG_BYTES_MAX;
}

// One more byte than allowed says that there are too many.
static int read_fd(int fd, size_t max_bytes, struct buf *out, struct error *err) {
    char *at = buf_reserve(out, max_bytes + 2);
    while (at != NULL && out->len <= max_bytes) {
        ssize_t got = read(fd, out->data + out->len, max_bytes + 1 - out->len);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return error_sys(err, errno, "read it");
        }
        if (got == 0) {
            break;
        }
        out->len += (size_t)got;
    }
    return 0;
}

static int read_value(enum object_kind kind, const char *path, struct buf *out, struct error *err) {
    bool is_stdin = str_equal(path, "-");
    AUTO_CLOSE int opened = is_stdin ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (!is_stdin && opened < 0) {
        int rc = error_sys(err, errno, "open %s", path);
        err->code = ERR_INVALID; // bad input
        return rc < 0 ? -ERR_INVALID : rc;
    }
    int rc = read_fd(is_stdin ? STDIN_FILENO : opened, bytes_max(kind), out, err);
    if (rc < 0) {
        return error_wrap(err, rc, "%s", is_stdin ? "standard input" : path);
    }
    if (out->len == 0 || out->len > bytes_max(kind)) {
        return error_set(err, ERR_INVALID, "%s data must be larger than 0 and at most %zu bytes: %s %s",
                         object_kind_name(kind), bytes_max(kind), is_stdin ? "standard input" : path,
                         out->len == 0 ? "is empty" : "has more");
    }
    return 0;
}

static const char *text_of(const char *text) {
    return text != NULL ? text : "";
}

static void *make_spec(const struct invocation *in, enum object_kind kind, struct bytes data) {
    const struct content_create_args *args = in->args;
    void *object = arena_alloc(in->arena, object_spec_schema(kind)->bytes);
    schema_init(object_spec_schema(kind), object);
    if (kind == KIND_SECRET) {
        struct secret_spec *spec = object;
        spec->name = in->arguments.items[0];
        spec->data = data;
        spec->driver = text_of(args->driver);
        spec->template_driver = text_of(args->template_driver);
        spec->labels = args->labels;
    } else {
        struct config_spec *spec = object;
        spec->name = in->arguments.items[0];
        spec->data = data;
        spec->template_driver = text_of(args->template_driver);
        spec->labels = args->labels;
    }
    return object;
}

static int send(struct invocation *in, enum object_kind kind, struct bytes data, struct error *err) {
    AUTO_CLIENT *client = NULL;
    struct change_set set;
    struct applied *applied = NULL;
    change_begin(&set, in);
    int rc = connect_open(in, &client, err);
    rc = rc < 0 ? rc : change_add(&set, kind, make_spec(in, kind, data), NULL, 0, err);
    rc = rc < 0 ? rc : change_send(&set, client, &applied, err);
    if (rc == 0) {
        printf("%s\n", applied->results.items[0].id.text);
    }
    for (size_t i = 0; i < set.request.items.count; i++) {
        struct bytes sent = set.request.items.items[i].spec;
        explicit_bzero((void *)(uintptr_t)sent.data, sent.len);
    }
    return rc;
}

int content_create(struct invocation *in, enum object_kind kind, struct error *err) {
    const struct content_create_args *args = in->args;
    bool has_driver = !str_is_empty(args->driver);
    struct buf value = {0};
    if (has_driver == (in->arguments.count > 1)) {
        return error_set(err, ERR_USAGE,
                         has_driver ? "secret data is not given with --driver: the driver supplies it"
                                    : "%s wants a file, or - for standard input: %s NAME FILE|-",
                         in->path, in->path);
    }
    int rc = has_driver ? 0 : read_value(kind, in->arguments.items[1], &value, err);
    rc = rc < 0 ? rc : send(in, kind, buf_bytes(&value), err);
    if (value.len > 0) {
        explicit_bzero(value.data, value.len);
    }
    buf_free(&value);
    return rc;
}

// --- ls ---

static const struct pairs *labels_of(const void *row, enum object_kind kind) {
    return kind == KIND_SECRET ? &((const struct secret *)row)->spec.labels
                               : &((const struct config *)row)->spec.labels;
}

static void cell_id(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    buf_adds(out, object_meta_const(row)->id.text); // whole, as Docker has it
}
static void cell_name(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    buf_adds(out, object_meta_const(row)->name);
}
static void cell_driver(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    buf_adds(out, ((const struct secret *)row)->spec.driver);
}
static void cell_created(const void *row, const struct cell_context *context, struct buf *out) {
    columns_ago(object_meta_const(row)->created_unix_ms, context->now_unix_ms, out);
}
static void cell_updated(const void *row, const struct cell_context *context, struct buf *out) {
    columns_ago(object_meta_const(row)->updated_unix_ms, context->now_unix_ms, out);
}
static void put_labels(const struct pairs *labels, struct buf *out) {
    for (size_t i = 0; i < labels->count; i++) {
        buf_addf(out, "%s%s=%s", i > 0 ? "," : "", labels->items[i].key, labels->items[i].value);
    }
}
static void cell_secret_labels(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    put_labels(labels_of(row, KIND_SECRET), out);
}
static void cell_config_labels(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    put_labels(labels_of(row, KIND_CONFIG), out);
}
static int matches_id(const void *row, const char *value) {
    return output_matches_prefix(object_meta_const(row)->id.text, value);
}
static int matches_name(const void *row, const char *value) {
    return output_matches_prefix(object_meta_const(row)->name, value);
}
static int matches_secret_label(const void *row, const char *value) {
    return output_matches_label(labels_of(row, KIND_SECRET), value);
}
static int matches_config_label(const void *row, const char *value) {
    return output_matches_label(labels_of(row, KIND_CONFIG), value);
}
static const char *row_id(const void *row) {
    return object_meta_const(row)->id.text;
}
static const char *row_name(const void *row) {
    return object_meta_const(row)->name;
}
static const void *row_object(const void *row) {
    return row;
}

static const struct column secret_columns[] = {
    {"ID", "ID", 0, cell_id, NULL},
    {"Name", "NAME", COLUMN_CUT, cell_name, NULL},
    {"Driver", "DRIVER", 0, cell_driver, NULL},
    {"CreatedAt", "CREATED", 0, cell_created, NULL},
    {"UpdatedAt", "UPDATED", 0, cell_updated, NULL},
    {"Labels", "LABELS", COLUMN_TEMPLATE, cell_secret_labels, NULL},
};
static const struct column config_columns[] = {
    {"ID", "ID", 0, cell_id, NULL},
    {"Name", "NAME", COLUMN_CUT, cell_name, NULL},
    {"CreatedAt", "CREATED", 0, cell_created, NULL},
    {"UpdatedAt", "UPDATED", 0, cell_updated, NULL},
    {"Labels", "LABELS", COLUMN_TEMPLATE, cell_config_labels, NULL},
};
static const struct filter_row secret_filters[] = {
    {"id", matches_id}, {"label", matches_secret_label}, {"name", matches_name}};
static const struct filter_row config_filters[] = {
    {"id", matches_id}, {"label", matches_config_label}, {"name", matches_name}};

#define LISTING(kind_, noun_, columns_, filters_)                                                            \
    {                                                                                                        \
        .noun = (noun_), .columns = (columns_), .column_count = sizeof(columns_) / sizeof *(columns_),       \
        .filters = (filters_), .filter_count = sizeof(filters_) / sizeof *(filters_), .id = row_id,          \
        .name = row_name, .kind = (kind_), .object = row_object                                              \
    }
static const struct listing secret_listing = LISTING(KIND_SECRET, "secret", secret_columns, secret_filters);
static const struct listing config_listing = LISTING(KIND_CONFIG, "config", config_columns, config_filters);

static int by_name(const void *a, const void *b) {
    return str_compare_natural(object_meta_const(*(const void *const *)a)->name,
                               object_meta_const(*(const void *const *)b)->name);
}

int content_ls(const struct invocation *in, enum object_kind kind, struct error *err) {
    AUTO_CLIENT *client = NULL;
    struct object_list list = {0};
    int rc = connect_open(in, &client, err);
    rc = rc < 0 ? rc : connect_list(client, kind, NULL, in->arena, &list, err);
    if (rc == 0 && list.count > 0) {
        qsort(list.items, list.count, sizeof *list.items, by_name);
    }
    return rc < 0 ? rc
                  : output_list(in, kind == KIND_SECRET ? &secret_listing : &config_listing,
                                (struct rows){list.count, (const void **)list.items}, err);
}

// --- inspect ---

static void time_line(const char *name, int64_t unix_ms, struct buf *out) {
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm parts;
    char text[48];
    gmtime_r(&seconds, &parts);
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S +0000 utc", &parts);
    buf_addf(out, "%s\t%s\n", name, text);
}

static void page_head(const struct meta *meta, const struct pairs *labels, const char *driver,
                      struct buf *out) {
    buf_addf(out, "ID:\t\t\t%s\nName:\t\t\t%s\n", meta->id.text, meta->name);
    buf_adds(out, labels->count > 0 ? "Labels:\n" : "");
    for (size_t i = 0; i < labels->count; i++) {
        buf_addf(out, " - %s=", labels->items[i].key);
        str_escape(out, labels->items[i].value, strlen(labels->items[i].value), /* keep_newlines= */ false);
        buf_addc(out, '\n');
    }
    if (driver[0] != '\0') {
        buf_addf(out, "Driver:\t\t\t%s\n", driver);
    }
    time_line("Created at:            ", meta->created_unix_ms, out);
    time_line("Updated at:            ", meta->updated_unix_ms, out);
}

static void secret_page(const void *object, struct buf *out) {
    const struct secret *secret = object;
    page_head(&secret->meta, &secret->spec.labels, secret->spec.driver, out);
}

static void config_page(const void *object, struct buf *out) {
    const struct config *config = object;
    page_head(&config->meta, &config->spec.labels, "", out);
    buf_adds(out, "Data:\n");
    str_escape(out, (const char *)config->spec.data.data, config->spec.data.len, /* keep_newlines= */ true);
    buf_addc(out, '\n');
}

int content_inspect(const struct invocation *in, enum object_kind kind, struct error *err) {
    AUTO_CLIENT *client = NULL;
    int rc = connect_open(in, &client, err);
    return rc < 0 ? rc
                  : inspect_print(in, client, kind, &in->arguments,
                                  kind == KIND_SECRET ? secret_page : config_page, err);
}

// --- rm ---

int content_rm(struct invocation *in, enum object_kind kind, struct error *err) {
    AUTO_CLIENT *client = NULL;
    int rc = connect_open(in, &client, err);
    return rc < 0 ? rc : change_remove(in, client, kind, /*force=*/false, err);
}
