// SPDX-License-Identifier: Apache-2.0
//
// cli/output.c — filters, then one of the forms.
#include "cli/output.h"

#include <jansson.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/str.h"
#include "cli/document.h"
#include "cli/table.h"
#include "cli/template.h"

#define OUTPUT_BYTES_MAX (256UL * MIB)

struct output_options output_options_of(const struct invocation *in) {
    const struct shared_options *shared = &in->shared;
    return (struct output_options){
        .form = shared->output,
        .format = shared->format,
        .quiet = shared->quiet,
        .no_trunc = shared->no_trunc,
        .color = in->screen.color,
        .filters = shared->filter,
        .columns = in->screen.out_is_tty && !shared->no_trunc ? (size_t)in->screen.columns : 0,
        .now_unix_ms = clock_unix_ms(),
    };
}

void output_write(const struct buf *text) {
    fwrite(buf_text(text), 1, text->len, stdout);
}

// --- filters ---

bool output_matches_prefix(const char *text, const char *value) {
    return str_starts(text, value);
}

bool output_matches_label(const struct pairs *labels, const char *value) {
    for (size_t i = 0; i < labels->count; i++) {
        const char *key = labels->items[i].key;
        size_t len = strlen(key);
        if (strncmp(value, key, len) == 0 &&
            (value[len] == '\0' ||
             (value[len] == '=' && str_equal(value + len + 1, labels->items[i].value)))) {
            return true;
        }
    }
    return false;
}

static const struct filter_row *filter_find(const struct listing *listing, const char *text) {
    size_t len = strcspn(text, "=");
    for (size_t i = 0; i < listing->filter_count; i++) {
        const char *key = listing->filters[i].key;
        if (strlen(key) == len && strncmp(key, text, len) == 0) {
            return &listing->filters[i];
        }
    }
    return NULL;
}

static int filter_refuse(const struct listing *listing, const char *text, const char *reason,
                         struct error *err) {
    AUTO_BUF known = {0};
    for (size_t i = 0; i < listing->filter_count; i++) {
        buf_addf(&known, "%s%s", i > 0 ? ", " : "", listing->filters[i].key);
    }
    return error_set(err, ERR_USAGE, "--filter '%s': %s; write KEY=VALUE with one of: %s", text, reason,
                     buf_text(&known));
}

static int filter_check(const struct listing *listing, const struct strings *filters, struct error *err) {
    for (size_t i = 0; i < filters->count; i++) {
        if (strchr(filters->items[i], '=') == NULL) {
            return filter_refuse(listing, filters->items[i], "there is no value", err);
        }
        if (filter_find(listing, filters->items[i]) == NULL) {
            return filter_refuse(listing, filters->items[i], "there is no such key", err);
        }
    }
    return 0;
}

// Whether one of the filters with the same key as filters[which] matches. -1 for a bad value.
static int filter_key_matches(const struct listing *listing, const struct strings *filters, size_t which,
                              const void *row) {
    const struct filter_row *key = filter_find(listing, filters->items[which]);
    for (size_t i = 0; i < filters->count; i++) {
        if (filter_find(listing, filters->items[i]) == key) {
            int matches = key->matches(row, strchr(filters->items[i], '=') + 1);
            if (matches != 0) {
                return matches;
            }
        }
    }
    return 0;
}

static int filter_matches(const struct listing *listing, const struct strings *filters, const void *row,
                          struct error *err) {
    for (size_t i = 0; i < filters->count; i++) {
        int matches = filter_key_matches(listing, filters, i, row);
        if (matches <= 0) {
            return matches < 0 ? filter_refuse(listing, filters->items[i], "the key has no such value", err)
                               : 0;
        }
    }
    return 1;
}

int output_filter(const struct listing *listing, const struct strings *filters, struct rows *rows,
                  struct arena *arena, struct error *err) {
    int rc = filter_check(listing, filters, err);
    struct rows kept = {0};
    for (size_t i = 0; rc >= 0 && i < rows->count; i++) {
        rc = filter_matches(listing, filters, rows->items[i], err);
        if (rc > 0) {
            *ARENA_PUSH(arena, &kept) = rows->items[i];
        }
    }
    if (rc < 0) {
        return rc;
    }
    *rows = kept;
    return 0;
}

// --- templates ---

static json_t *row_value(const struct listing *listing, const void *row, const struct cell_context *context) {
    json_t *value = json_object();
    for (size_t i = 0; i < listing->column_count; i++) {
        AUTO_BUF cell = {0};
        AUTO_BUF safe = {0};
        listing->columns[i].cell(row, context, &cell);
        str_escape(&safe, buf_text(&cell), cell.len, /* keep_newlines= */ true);
        json_object_set_new(value, listing->columns[i].name, json_stringn(buf_text(&safe), safe.len));
    }
    return value;
}

static json_t *header_value(const struct listing *listing) {
    json_t *value = json_object();
    for (size_t i = 0; i < listing->column_count; i++) {
        json_object_set_new(value, listing->columns[i].name, json_string(listing->columns[i].header));
    }
    return value;
}

static int render_value(const struct template *template, json_t *value, struct buf *out, struct error *err) {
    AUTO_BUF text = buf_make(OUTPUT_BYTES_MAX);
    int rc = template_render(template, value, &text, err);
    json_decref(value);
    if (rc == 0) {
        str_escape(out, buf_text(&text), text.len, /* keep_newlines= */ true);
        buf_addc(out, '\n');
    }
    return rc;
}

static struct cell_context context_of(const struct output_options *options, bool is_table) {
    return (struct cell_context){.now_unix_ms = options->now_unix_ms,
                                 .full_ids = options->no_trunc,
                                 .full_texts = options->no_trunc || options->columns == 0,
                                 .is_table = is_table};
}

static int render_template(const struct listing *listing, const struct output_options *options,
                           const char *text, bool has_header, struct rows rows, struct buf *out,
                           struct error *err) {
    AUTO_ARENA arena = {0};
    AUTO_BUF lines = buf_make(OUTPUT_BYTES_MAX);
    struct template *template = NULL;
    struct cell_context context = context_of(options, has_header);
    int rc = template_parse(text, &arena, &template, err);
    if (rc == 0 && has_header) {
        rc = render_value(template, header_value(listing), &lines, err);
    }
    for (size_t i = 0; rc == 0 && i < rows.count; i++) {
        rc = render_value(template, row_value(listing, rows.items[i], &context), &lines, err);
    }
    if (rc == 0 && has_header) {
        table_align(buf_text(&lines), out);
    } else if (rc == 0) {
        buf_add(out, buf_text(&lines), lines.len);
    }
    return rc;
}

int output_template(const char *format, const char *json, struct buf *out, struct error *err) {
    AUTO_ARENA arena = {0};
    struct template *template = NULL;
    json_error_t reason;
    int rc = template_parse(format, &arena, &template, err);
    if (rc < 0) {
        return rc;
    }
    json_t *value = json_loads(json, JSON_DECODE_ANY, &reason);
    if (value == NULL) {
        return error_set(err, ERR_INTERNAL, "read our own JSON: %s", reason.text);
    }
    return render_value(template, value, out, err);
}

// --- tables ---

static void render_table(const struct listing *listing, const struct output_options *options,
                         struct rows rows, struct buf *out) {
    AUTO_ARENA arena = {0};
    struct cell_context context = context_of(options, /* is_table= */ true);
    struct table table = {.arena = &arena};
    bool is_wide = str_equal(options->form, "wide");
    for (size_t i = 0; i < listing->column_count; i++) {
        const struct column *column = &listing->columns[i];
        if ((column->flags & COLUMN_TEMPLATE) != 0 || ((column->flags & COLUMN_WIDE) != 0 && !is_wide)) {
            continue;
        }
        table_add_column(&table, column->header,
                         (column->flags & COLUMN_CUT) != 0    ? TABLE_CUT
                         : (column->flags & COLUMN_DROP) != 0 ? TABLE_DROP
                                                              : TABLE_KEEP);
        for (size_t r = 0; r < rows.count; r++) {
            AUTO_BUF cell = {0};
            column->cell(rows.items[r], &context, &cell);
            const char *tint = options->color && column->tint != NULL ? column->tint(rows.items[r]) : NULL;
            table_add_cell(&table, buf_text(&cell), tint);
        }
    }
    table_render(&table, options->columns, out);
}

static const struct {
    const char *form;
    void (*render)(const struct listing *listing, struct rows rows, struct buf *out);
} documents[] = {{"json", document_json}, {"yaml", document_yaml}, {"name", document_names}};

int output_render(const struct listing *listing, const struct output_options *options, struct rows rows,
                  struct buf *out, struct error *err) {
    AUTO_ARENA arena = {0};
    int rc = output_filter(listing, &options->filters, &rows, &arena, err);
    if (rc < 0) {
        return rc;
    }
    const char *format = options->format;
    if (format != NULL && str_equal(format, "json")) {
        return render_template(listing, options, "{{json .}}", /* has_header= */ false, rows, out, err);
    }
    if (format != NULL && str_starts(format, "table ")) {
        return render_template(listing, options, format + strlen("table "), /* has_header= */ true, rows, out,
                               err);
    }
    if (format != NULL && !str_equal(format, "table")) {
        return render_template(listing, options, format, /* has_header= */ false, rows, out, err);
    }
    if (options->quiet && format == NULL) {
        document_ids(listing, rows, out);
        return 0;
    }
    for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
        if (str_equal(documents[i].form, options->form)) {
            documents[i].render(listing, rows, out);
            return 0;
        }
    }
    render_table(listing, options, rows, out);
    return 0;
}

int output_list(const struct invocation *in, const struct listing *listing, struct rows rows,
                struct error *err) {
    struct output_options options = output_options_of(in);
    AUTO_BUF out = buf_make(OUTPUT_BYTES_MAX);
    int rc = output_render(listing, &options, rows, &out, err);
    if (rc == 0) {
        output_write(&out);
    }
    return rc;
}
