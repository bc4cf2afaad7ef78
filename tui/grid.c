// SPDX-License-Identifier: Apache-2.0
//
// tui/grid.c — cells, clipping by columns, and the difference of two screens.
#include "tui/grid.h"

#include <string.h>

#include "base/assert.h"
#include "base/str.h"
#include "base/width.h"

static const struct cell blank = {.text = {' '}, .width = 1};

static struct cell *cell_at(const struct grid *grid, int column, int row) {
    return &grid->cells[(size_t)row * (size_t)grid->columns + (size_t)column];
}

static int side_within(int side) {
    return side < 1 ? 1 : side > GRID_SIDE_MAX ? GRID_SIDE_MAX : side;
}

struct grid grid_make(struct arena *arena, int columns, int rows, bool is_ascii) {
    struct grid grid = {.columns = side_within(columns), .rows = side_within(rows), .is_ascii = is_ascii};
    size_t count = (size_t)grid.columns * (size_t)grid.rows;
    grid.cells = ARENA_ARRAY(arena, struct cell, count);
    for (size_t i = 0; i < count; i++) {
        grid.cells[i] = blank;
    }
    return grid;
}

struct area grid_area(struct grid *grid) {
    return (struct area){grid, 0, 0, grid->columns, grid->rows};
}

struct area area_part(const struct area *area, int column, int row, int columns, int rows) {
    column = column < 0 ? 0 : column > area->columns ? area->columns : column;
    row = row < 0 ? 0 : row > area->rows ? area->rows : row;
    columns = columns > area->columns - column ? area->columns - column : columns;
    rows = rows > area->rows - row ? area->rows - row : rows;
    return (struct area){area->grid, area->column + column, area->row + row, columns < 0 ? 0 : columns,
                         rows < 0 ? 0 : rows};
}

// --- writing ---

// The cell is about to be overwritten: the other half of a wide character there becomes a blank.
static void cell_release(const struct grid *grid, int column, int row) {
    struct cell *cell = cell_at(grid, column, row);
    if (cell->width == 0) {
        cell[-1].text[0] = ' ';
        cell[-1].text[1] = 0;
        cell[-1].width = 1;
    } else if (cell->width == 2) {
        cell[1] = (struct cell){.text = {' '}, .width = 1, .style = cell->style, .marks = cell->marks};
    }
}

static void cell_set(const struct grid *grid, int column, int row, uint32_t codepoint, int width,
                     enum style style) {
    for (int i = 0; i < width; i++) {
        cell_release(grid, column + i, row);
    }
    struct cell *cell = cell_at(grid, column, row);
    *cell = (struct cell){.text = {codepoint}, .width = (uint8_t)width, .style = (uint8_t)style};
    if (width == 2) {
        cell[1] = (struct cell){.style = (uint8_t)style};
    }
}

static void cell_combine(const struct grid *grid, int column, int row, uint32_t codepoint) {
    struct cell *cell = cell_at(grid, column, row);
    cell -= cell->width == 0;
    for (int i = 1; i < CELL_CHARS; i++) {
        if (cell->text[i] == 0) {
            cell->text[i] = codepoint;
            return;
        }
    }
}

// A text on its way to the screen, code point by code point; what is not safe comes out as its escape.
struct reader {
    const char *text;
    size_t len;
    char piece[STR_ESCAPED_BYTES];
    size_t piece_at;
    bool is_ascii;
    int pending; // question marks still to come for one wide character
};

static struct reader reader_of(const char *text, bool is_ascii) {
    return (struct reader){.text = text, .len = strlen(text), .is_ascii = is_ascii};
}

// False at the end of the text.
static bool reader_next(struct reader *reader, uint32_t *codepoint, int *width) {
    if (reader->pending > 0) {
        reader->pending--;
        *codepoint = '?';
        *width = 1;
        return true;
    }
    if (reader->piece[reader->piece_at] == '\0') {
        if (reader->len == 0) {
            return false;
        }
        size_t taken = str_escape_next(reader->text, reader->len, reader->piece);
        reader->text += taken;
        reader->len -= taken;
        reader->piece_at = 0;
    }
    const char *at = reader->piece + reader->piece_at;
    reader->piece_at += str_decode(at, strlen(at), codepoint);
    *width = width_of(*codepoint);
    if (reader->is_ascii && *codepoint >= 0x80) {
        reader->pending = *width == 2;
        *codepoint = '?';
        *width = *width == 0 ? 0 : 1;
    }
    return true;
}

// Does the text take more than that many columns?
static bool text_is_wider(const char *text, bool is_ascii, int columns) {
    struct reader reader = reader_of(text, is_ascii);
    uint32_t codepoint;
    int width;
    int taken = 0;
    while (taken <= columns && reader_next(&reader, &codepoint, &width)) {
        taken += width;
    }
    return taken > columns;
}

// Writes whole characters as long as they fit; returns the columns taken.
static int put_fitting(const struct area *area, int column, int row, int columns, const char *text,
                       enum style style) {
    struct reader reader = reader_of(text, area->grid->is_ascii);
    uint32_t codepoint;
    int width;
    int taken = 0;
    while (reader_next(&reader, &codepoint, &width) && taken + width <= columns) {
        int at = area->column + column + taken;
        if (width > 0) {
            cell_set(area->grid, at, area->row + row, codepoint, width, style);
        } else if (taken > 0 && !area->grid->is_ascii) {
            cell_combine(area->grid, at - 1, area->row + row, codepoint);
        }
        taken += width;
    }
    return taken;
}

int area_put(const struct area *area, int column, int row, int columns_max, const char *text,
             enum style style) {
    if (row < 0 || row >= area->rows || column < 0 || column >= area->columns) {
        return 0;
    }
    int columns = columns_max < area->columns - column ? columns_max : area->columns - column;
    if (columns <= 0) {
        return 0;
    }
    if (!text_is_wider(text, area->grid->is_ascii, columns)) {
        return put_fitting(area, column, row, columns, text, style);
    }
    int taken = put_fitting(area, column, row, columns - 1, text, style);
    return taken +
           put_fitting(area, column + taken, row, 1, glyph_text(GLYPH_ELLIPSIS, area->grid->is_ascii), style);
}

static int text_columns(const char *text, bool is_ascii) {
    struct reader reader = reader_of(text, is_ascii);
    uint32_t codepoint;
    int width;
    int taken = 0;
    while (reader_next(&reader, &codepoint, &width)) {
        taken += width;
    }
    return taken;
}

int area_put_right(const struct area *area, int column, int row, int columns, const char *text,
                   enum style style) {
    int spare = columns - text_columns(text, area->grid->is_ascii);
    return area_put(area, column + (spare > 0 ? spare : 0), row, columns - (spare > 0 ? spare : 0), text,
                    style);
}

void area_fill(const struct area *area, int row, enum glyph glyph, enum style style) {
    const char *text = glyph_text(glyph, area->grid->is_ascii);
    for (int column = 0; column < area->columns; column++) {
        area_put(area, column, row, 1, text, style);
    }
}

void area_mark(const struct area *area, int row, enum cell_mark mark) {
    if (row < 0 || row >= area->rows) {
        return;
    }
    for (int column = 0; column < area->columns; column++) {
        cell_at(area->grid, area->column + column, area->row + row)->marks |= (uint16_t)mark;
    }
}

// --- differences ---

static bool cell_differs(const struct grid *shown, const struct grid *wanted, int column, int row) {
    return memcmp(cell_at(shown, column, row), cell_at(wanted, column, row), sizeof(struct cell)) != 0;
}

bool grid_next_run(const struct grid *shown, const struct grid *wanted, struct grid_run *run) {
    int column = run->column + run->count;
    bool is_all = shown == NULL || shown->columns != wanted->columns || shown->rows != wanted->rows;
    for (int row = run->row; row < wanted->rows; row++, column = 0) {
        while (column < wanted->columns && !is_all && !cell_differs(shown, wanted, column, row)) {
            column++;
        }
        if (column >= wanted->columns) {
            continue;
        }
        int end = column + 1;
        while (end < wanted->columns && (is_all || cell_differs(shown, wanted, end, row))) {
            end++;
        }
        column -= cell_at(wanted, column, row)->width == 0;
        end += cell_at(wanted, end - 1, row)->width == 2;
        *run = (struct grid_run){row, column, end - column};
        return true;
    }
    return false;
}

// --- as text ---

void grid_add_utf8(struct buf *out, uint32_t c) {
    if (c < 0x80) {
        buf_addc(out, (char)c);
    } else if (c < 0x800) {
        buf_addc(out, (char)(0xC0 | c >> 6));
        buf_addc(out, (char)(0x80 | (c & 0x3F)));
    } else if (c < 0x10000) {
        buf_addc(out, (char)(0xE0 | c >> 12));
        buf_addc(out, (char)(0x80 | (c >> 6 & 0x3F)));
        buf_addc(out, (char)(0x80 | (c & 0x3F)));
    } else {
        buf_addc(out, (char)(0xF0 | c >> 18));
        buf_addc(out, (char)(0x80 | (c >> 12 & 0x3F)));
        buf_addc(out, (char)(0x80 | (c >> 6 & 0x3F)));
        buf_addc(out, (char)(0x80 | (c & 0x3F)));
    }
}

static void end_line(struct buf *out, size_t start, char filler) {
    while (out->len > start && out->data[out->len - 1] == filler) {
        out->data[--out->len] = '\0';
    }
    buf_addc(out, '\n');
}

void grid_text(const struct grid *grid, struct buf *out) {
    for (int row = 0; row < grid->rows; row++) {
        size_t start = out->len;
        for (int column = 0; column < grid->columns; column++) {
            const struct cell *cell = cell_at(grid, column, row);
            for (int i = 0; cell->width > 0 && i < CELL_CHARS && cell->text[i] != 0; i++) {
                grid_add_utf8(out, cell->text[i]);
            }
        }
        end_line(out, start, ' ');
    }
}

void grid_letters(const struct grid *grid, struct buf *out) {
    for (int row = 0; row < grid->rows; row++) {
        size_t start = out->len;
        for (int column = 0; column < grid->columns; column++) {
            const struct cell *cell = cell_at(grid, column, row);
            bool is_blank = cell->text[0] == ' ' && cell->marks == 0 && cell->style != STYLE_BAR;
            char letter = (cell->marks & MARK_SELECTED) != 0 ? '#' : style_letter((enum style)cell->style);
            buf_addc(out, is_blank ? ' ' : letter);
        }
        end_line(out, start, ' ');
    }
}
