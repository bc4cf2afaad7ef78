// SPDX-License-Identifier: Apache-2.0
//
// cli/table.c — measures columns, takes from those that may be cut, and pads.
//
// What does not fit is made to in steps: the widest columns that may be cut are, down to CUT_COLUMNS_MIN;
// columns that may be dropped are, from the right; gaps shrink; then every column is cut, for a wrapped line
// is worse.
#include "cli/table.h"

#include <string.h>

#include "base/assert.h"
#include "base/str.h"
#include "base/width.h"

#define GAP 3
#define COLUMN_MIN 10      // with its gap
#define CUT_COLUMNS_MIN 12 // a cut column keeps this much

void table_add_column(struct table *table, const char *header, enum table_give give) {
    *ARENA_PUSH(table->arena, table) = (struct table_column){.give = give};
    table_add_cell(table, header, NULL);
}

void table_add_cell(struct table *table, const char *text, const char *tint) {
    ASSERT(table->count > 0);
    AUTO_BUF safe = {0};
    str_escape(&safe, text, strlen(text), /* keep_newlines= */ false);
    struct table_column *column = &table->items[table->count - 1];
    size_t columns = str_columns(buf_text(&safe));
    *ARENA_PUSH(table->arena, &column->cells) = (struct table_cell){
        .text = arena_strdup(table->arena, buf_text(&safe)), .tint = tint, .columns = columns};
    column->width = columns > column->width ? columns : column->width;
}

// What the column takes in the line.
static size_t span_of(const struct table *table, size_t i) {
    size_t width = table->items[i].width;
    if (i + 1 == table->count || table->is_tight) {
        return width + (i + 1 < table->count);
    }
    return width + GAP > COLUMN_MIN ? width + GAP : COLUMN_MIN;
}

static size_t line_columns(const struct table *table) {
    size_t sum = 0;
    for (size_t i = 0; i < table->count; i++) {
        sum += span_of(table, i);
    }
    return sum;
}

static struct table_column *widest_to_cut(const struct table *table, bool any, size_t least) {
    struct table_column *widest = NULL;
    for (size_t i = 0; i < table->count; i++) {
        struct table_column *column = &table->items[i];
        bool may_be_cut = (any || column->give == TABLE_CUT) && column->width > least;
        if (may_be_cut && (widest == NULL || column->width > widest->width)) {
            widest = column;
        }
    }
    return widest;
}

static void cut(struct table *table, size_t columns, bool any, size_t least) {
    struct table_column *column;
    while (line_columns(table) > columns && (column = widest_to_cut(table, any, least)) != NULL) {
        column->width = column->width > columns ? columns : column->width - 1;
    }
}

static void drop(struct table *table, size_t columns) {
    for (size_t i = table->count; i-- > 0 && line_columns(table) > columns;) {
        if (table->items[i].give == TABLE_DROP) {
            memmove(&table->items[i], &table->items[i + 1], (table->count - i - 1) * sizeof *table->items);
            table->count--;
        }
    }
}

static void fit(struct table *table, size_t columns) {
    cut(table, columns, /* any= */ false, CUT_COLUMNS_MIN);
    drop(table, columns);
    table->is_tight = line_columns(table) > columns;
    cut(table, columns, /* any= */ false, CUT_COLUMNS_MIN / 2);
    cut(table, columns, /* any= */ true, /* least= */ 1);
}

// The text, or as much of it as leaves room for an ellipsis.
static void add_cut(const struct table_cell *cell, size_t width, struct buf *out) {
    if (cell->columns <= width) {
        buf_adds(out, cell->text);
        return;
    }
    size_t used = 0;
    const char *p = cell->text;
    for (uint32_t codepoint; *p != '\0';) {
        size_t len = str_decode(p, strlen(p), &codepoint);
        size_t columns = (size_t)width_of(codepoint);
        if (len == 0 || used + columns + 1 > width) {
            break;
        }
        buf_add(out, p, len);
        used += columns;
        p += len;
    }
    buf_adds(out, "…");
    buf_pad(out, ' ', width - used - 1);
}

static void add_cell(const struct table *table, size_t column, const struct table_cell *cell, bool is_last,
                     struct buf *out) {
    size_t width = table->items[column].width;
    if (cell->tint != NULL) {
        buf_addf(out, "\x1b[%sm", cell->tint);
    }
    add_cut(cell, width, out);
    if (cell->tint != NULL) {
        buf_adds(out, "\x1b[0m");
    }
    if (!is_last) {
        size_t shown = cell->columns < width ? cell->columns : width;
        buf_pad(out, ' ', span_of(table, column) - shown);
    }
}

// The last cell of the line that has text: nothing is padded after it.
static size_t last_filled(const struct table *table, size_t row) {
    size_t last = 0;
    for (size_t i = 0; i < table->count; i++) {
        last = table->items[i].cells.items[row].text[0] != '\0' ? i : last;
    }
    return last;
}

void table_render(struct table *table, size_t columns, struct buf *out) {
    if (table->count == 0) {
        return;
    }
    if (columns > 0) {
        fit(table, columns);
    }
    for (size_t row = 0; row < table->items[0].cells.count; row++) {
        size_t last = last_filled(table, row);
        for (size_t i = 0; i <= last; i++) {
            add_cell(table, i, &table->items[i].cells.items[row], i == last, out);
        }
        buf_addc(out, '\n');
    }
}

// Cells of column `which` of every line; a line that is shorter has an empty one. False when none has it.
static bool add_aligned_column(struct table *table, const char *lines, size_t which) {
    bool is_there = false;
    bool is_first = true;
    for (const char *p = lines; *p != '\0';) {
        size_t len = strcspn(p, "\n");
        const char *cell = p;
        for (size_t i = 0; cell != NULL && i < which; i++) {
            cell = memchr(cell, '\t', (size_t)(p + len - cell));
            cell += cell != NULL;
        }
        size_t cell_len = cell == NULL ? 0 : strcspn(cell, "\t\n");
        const char *text = arena_strndup(table->arena, cell != NULL ? cell : "", cell_len);
        is_there = is_there || cell != NULL;
        if (is_first) {
            table_add_column(table, text, TABLE_KEEP);
        } else {
            table_add_cell(table, text, NULL);
        }
        is_first = false;
        p += len + (p[len] == '\n');
    }
    return is_there;
}

void table_align(const char *lines, struct buf *out) {
    AUTO_ARENA arena = {0};
    struct table table = {.arena = &arena};
    size_t which = 0;
    while (add_aligned_column(&table, lines, which)) {
        which++;
    }
    table.count = which; // the column that no line has
    table_render(&table, /* columns= */ 0, out);
}
