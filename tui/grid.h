// SPDX-License-Identifier: Apache-2.0
//
// tui/grid.h — a screen as cells: what views draw on, what tests compare, what the terminal is told in
// differences.
//
// Model        A cell holds one character with what combines with it, a style, and marks. A wide character
//              takes a cell of width 2 and, right of it, one of width 0. Views write through an `area`, a
//              rectangle of the grid, in its own coordinates.
// Invariants   (1) Nothing is written outside the area, whatever the coordinates. (2) A width 2 is always
//              followed by a width 0, and there is no other width 0: half a wide character is never shown.
//              (3) What is written has passed str_escape: no text can move the cursor.
// Ownership    Cells live in the caller's arena.
#ifndef MUSTER_TUI_GRID_H
#define MUSTER_TUI_GRID_H

#include "base/arena.h"
#include "base/buf.h"
#include "tui/style.h"

#define CELL_CHARS 4 // what combines beyond the third mark is left out
#define GRID_SIDE_MAX 1000

enum cell_mark { MARK_SELECTED = 1, MARK_CHANGED = 2 };

struct cell {
    uint32_t text[CELL_CHARS]; // code points; 0 = no more
    uint8_t width;
    uint8_t style; // enum style
    uint16_t marks;
};

struct grid {
    int columns, rows;
    bool is_ascii; // all else is shown as '?'
    struct cell *cells;
};

// A grid of blanks. Sides are cut to 1..GRID_SIDE_MAX.
struct grid grid_make(struct arena *arena, int columns, int rows, bool is_ascii);

struct area {
    struct grid *grid;
    int column, row, columns, rows;
};
struct area grid_area(struct grid *grid);
// A part of an area, cut to what lies inside; it may be empty.
struct area area_part(const struct area *area, int column, int row, int columns, int rows);

// Writes text at a place, at most `columns_max` columns (and at most to the area's right edge); what does not
// fit is cut and ends in an ellipsis. Returns the columns taken.
int area_put(const struct area *area, int column, int row, int columns_max, const char *text,
             enum style style);
int area_put_right(const struct area *area, int column, int row, int columns, const char *text,
                   enum style style);
void area_fill(const struct area *area, int row, enum glyph glyph, enum style style);
// Marks a whole row of the area.
void area_mark(const struct area *area, int row, enum cell_mark mark);

// A run of cells in one row that differ; starts as {0}.
struct grid_run {
    int row, column, count;
};
// The next run where `wanted` differs from `shown` (of another size, or NULL: everything); false at the end.
// Runs never begin or end inside a wide character.
bool grid_next_run(const struct grid *shown, const struct grid *wanted, struct grid_run *run);

// The grid as lines of text, blanks at their ends cut; and as lines of style letters (style_letter; '.' for
// plain, '#' for what is selected).
void grid_text(const struct grid *grid, struct buf *out);
void grid_letters(const struct grid *grid, struct buf *out);

// Appends one code point as UTF-8.
void grid_add_utf8(struct buf *out, uint32_t codepoint);

#endif
