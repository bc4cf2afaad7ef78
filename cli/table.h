// SPDX-License-Identifier: Apache-2.0
//
// cli/table.h — cells laid out in columns, as wide as they must be and as narrow as the terminal wants.
#ifndef MUSTER_CLI_TABLE_H
#define MUSTER_CLI_TABLE_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"

// What a column does when the line is too long.
enum table_give { TABLE_KEEP, TABLE_CUT, TABLE_DROP };

struct table_cell {
    const char *text; // escaped
    const char *tint; // SGR parameter, or NULL
    size_t columns;
};
struct table_column {
    struct {
        size_t count;
        struct table_cell *items; // the first is the header
    } cells;
    enum table_give give;
    size_t width; // of the widest cell
};
// Filled column by column; zero-initialised but for the arena.
struct table {
    struct arena *arena;
    size_t count;
    struct table_column *items;
    bool is_tight; // columns stand one blank apart
};

void table_add_column(struct table *table, const char *header, enum table_give give);
// To the last column. The text is escaped here.
void table_add_cell(struct table *table, const char *text, const char *tint);
// Columns stand three blanks apart and are at least ten wide, as Docker's. `columns` 0: nothing is cut.
void table_render(struct table *table, size_t columns, struct buf *out);
// Lines with tabs between cells, laid out the same way.
void table_align(const char *lines, struct buf *out);

#endif
