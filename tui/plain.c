// SPDX-License-Identifier: Apache-2.0
//
// tui/plain.c — columns as wide as their longest text; nothing is cut.
#include "tui/plain.h"

#include <string.h>

#include "base/str.h"

#define COLUMNS_MAX 16
#define GAP 2

static bool is_shown(const struct model_row *row) {
    return row->kind != MODEL_TASKS || model_is_current(row);
}

static void cell_text(const struct column *column, const struct model_row *row, const struct view_env *env,
                      struct buf *out) {
    AUTO_BUF text = buf_make(0);
    column->text(row, env, &text);
    buf_clear(out);
    str_escape(out, buf_text(&text), text.len, /* keep_newlines */ false);
}

static void put(struct buf *out, const char *text, size_t width, bool is_right, bool is_last) {
    size_t spare = width - str_columns(text);
    if (is_right) {
        buf_pad(out, ' ', spare);
    }
    buf_adds(out, text);
    if (!is_last) {
        buf_pad(out, ' ', (is_right ? 0 : spare) + GAP);
    }
}

static void end_line(struct buf *out) {
    while (out->len > 0 && out->data[out->len - 1] == ' ') {
        out->data[--out->len] = '\0';
    }
    buf_addc(out, '\n');
}

static void measure(const struct view *view, const struct model_table *table, const struct view_env *env,
                    size_t widths[COLUMNS_MAX]) {
    AUTO_BUF text = buf_make(0);
    for (size_t i = 0; i < view->column_count; i++) {
        widths[i] = strlen(view->columns[i].title);
        for (size_t j = 0; j < table->count; j++) {
            if (is_shown(table->rows[j])) {
                cell_text(&view->columns[i], table->rows[j], env, &text);
                size_t width = str_columns(buf_text(&text));
                widths[i] = width > widths[i] ? width : widths[i];
            }
        }
    }
}

static void plain_table(const struct view *view, const struct model_table *table, const struct view_env *env,
                        struct buf *out) {
    size_t widths[COLUMNS_MAX];
    AUTO_BUF text = buf_make(0);
    if (table->count == 0) {
        buf_addf(out, "%s\n", view->empty);
        return;
    }
    measure(view, table, env, widths);
    for (size_t i = 0; i < view->column_count; i++) {
        const struct column *column = &view->columns[i];
        put(out, column->title, widths[i], column->is_right, i + 1 == view->column_count);
    }
    end_line(out);
    for (size_t j = 0; j < table->count; j++) {
        for (size_t i = 0; is_shown(table->rows[j]) && i < view->column_count; i++) {
            cell_text(&view->columns[i], table->rows[j], env, &text);
            put(out, buf_text(&text), widths[i], view->columns[i].is_right, i + 1 == view->column_count);
        }
        if (is_shown(table->rows[j])) {
            end_line(out);
        }
    }
}

void plain_tables(struct model *model, const struct view_env *env, struct buf *out) {
    model_settle(model);
    for (int i = 0; i < VIEW_ROOTS; i++) {
        const struct view *view = view_of((enum view_id)i);
        buf_addf(out, "%s%s\n", i > 0 ? "\n" : "", view->title);
        plain_table(view, &model->tables[view->kind], env, out);
    }
}
