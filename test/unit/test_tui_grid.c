// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_tui_grid.c — clipping by columns, wide characters, differences, glyphs.
#include "test/lib/check.h"

#include <string.h>

#include "base/prng.h"
#include "base/str.h"
#include "base/width.h"
#include "tui/grid.h"

static struct arena arena;

static const char *shown(const struct grid *grid) {
    AUTO_BUF out = buf_make(0);
    grid_text(grid, &out);
    return arena_strdup(&arena, buf_text(&out));
}

static const char *put(const char *text, int columns) {
    struct grid grid = grid_make(&arena, 12, 1, false);
    struct area area = grid_area(&grid);
    area_put(&area, 1, 0, columns, text, STYLE_PLAIN);
    return shown(&grid);
}

static void text_is_cut_by_columns_and_ends_in_an_ellipsis(void **state) {
    (void)state;
    assert_string_equal(put("abc", 5), " abc\n");
    assert_string_equal(put("abcde", 5), " abcde\n");
    assert_string_equal(put("abcdef", 5), " abcd…\n");
    assert_string_equal(put("データベース", 6), " デー…\n"); // no half of a character
    assert_string_equal(put("データベース", 5), " デー…\n");
    assert_string_equal(put("e\u0301tude", 5), " e\u0301tude\n");
    assert_string_equal(put("abc", 0), "\n");
    assert_string_equal(put("abc", -3), "\n");
    assert_string_equal(put("a long text, longer than the screen", 99), " a long tex…\n");
}

static void what_could_move_the_cursor_is_shown_as_its_escape(void **state) {
    (void)state;
    assert_string_equal(put("a\033[2J", 11), " a\\x1B[2J\n");
    assert_string_equal(put("a\nb", 11), " a\\x0Ab\n");
    assert_string_equal(put("\u202eab", 11), " \\u{202E}ab\n");
    assert_string_equal(put("\xff", 11), " \\xFF\n");
}

static void an_ascii_screen_shows_nothing_else(void **state) {
    (void)state;
    struct grid grid = grid_make(&arena, 12, 1, true);
    struct area area = grid_area(&grid);
    area_put(&area, 0, 0, 12, "aデe\u0301é", STYLE_PLAIN);
    assert_string_equal(shown(&grid), "a??e?\n");
    area_put(&area, 0, 0, 4, "abcdef", STYLE_PLAIN);
    assert_string_equal(shown(&grid), "abc~?\n");
}

static void half_of_a_wide_character_that_is_written_over_becomes_a_blank(void **state) {
    (void)state;
    struct grid grid = grid_make(&arena, 6, 1, false);
    struct area area = grid_area(&grid);
    area_put(&area, 0, 0, 6, "データ", STYLE_PLAIN);
    area_put(&area, 1, 0, 1, "x", STYLE_PLAIN);
    area_put(&area, 4, 0, 1, "y", STYLE_PLAIN);
    assert_string_equal(shown(&grid), " xーy\n");
}

static void nothing_is_written_outside_an_area(void **state) {
    (void)state;
    struct grid grid = grid_make(&arena, 6, 3, false);
    struct area all = grid_area(&grid);
    struct area area = area_part(&all, 2, 1, 3, 1);
    area_put(&area, 0, 0, 99, "abcdef", STYLE_PLAIN);
    area_put(&area, 0, 1, 99, "below", STYLE_PLAIN);
    area_put(&area, -1, 0, 99, "left", STYLE_PLAIN);
    area_put(&area, 3, 0, 99, "right", STYLE_PLAIN);
    area_mark(&area, 1, MARK_SELECTED);
    assert_string_equal(shown(&grid), "\n  ab…\n\n");
    struct area none = area_part(&all, 7, 9, 5, 5);
    assert_int_equal(none.columns, 0);
    assert_int_equal(none.rows, 0);
}

static void every_glyph_takes_one_column_and_has_an_ascii_twin(void **state) {
    (void)state;
    for (int i = 0; i < GLYPH_COUNT; i++) {
        assert_int_equal(str_columns(glyph_text((enum glyph)i, false)), 1);
        const char *ascii = glyph_text((enum glyph)i, true);
        assert_int_equal(strlen(ascii), 1);
        assert_true((unsigned char)ascii[0] < 0x80);
    }
}

static void every_style_can_be_told_apart_without_colours_from_what_is_bad(void **state) {
    (void)state;
    struct look bad = style_look(STYLE_BAD, DEPTH_MONO);
    for (int i = 0; i < STYLE_COUNT; i++) {
        struct look look = style_look((enum style)i, DEPTH_MONO);
        assert_int_equal(look.color, -1);
        assert_true(i == STYLE_BAD || i == STYLE_BAR || look.attributes != bad.attributes);
        assert_true(style_look((enum style)i, DEPTH_8).color < 8);
    }
}

static void check_cells(const struct grid *grid) {
    for (int row = 0; row < grid->rows; row++) {
        for (int column = 0; column < grid->columns; column++) {
            const struct cell *cell = &grid->cells[row * grid->columns + column];
            bool is_after_wide = column > 0 && cell[-1].width == 2;
            assert_int_equal(cell->width == 0, is_after_wide);
            assert_true(cell->width < 2 || column + 1 < grid->columns);
        }
    }
}

static void scribble(struct prng *prng, struct grid *grid, int times) {
    static const char *const texts[] = {"a", "データ", "e\u0301x", "\033[1m", "plain text", "\U0001F600!"};
    struct area area = grid_area(grid);
    for (int i = 0; i < times; i++) {
        struct area part = area_part(&area, (int)prng_below(prng, 9) - 2, (int)prng_below(prng, 7) - 2,
                                     (int)prng_below(prng, 12), (int)prng_below(prng, 6));
        area_put(&part, (int)prng_below(prng, 8) - 1, (int)prng_below(prng, 5) - 1, (int)prng_below(prng, 9),
                 texts[prng_below(prng, 6)], (enum style)prng_below(prng, STYLE_COUNT));
        if (prng_below(prng, 4) == 0) {
            area_mark(&part, (int)prng_below(prng, 5), MARK_SELECTED);
        }
    }
}

static void the_runs_turn_what_is_shown_into_what_is_wanted(void **state) {
    (void)state;
    struct prng prng;
    prng_seed(&prng, 1);
    for (int round = 0; round < 3000; round++) {
        int columns = (int)prng_below(&prng, 12) + 1;
        int rows = (int)prng_below(&prng, 5) + 1;
        struct grid before = grid_make(&arena, columns, rows, false);
        scribble(&prng, &before, 6);
        struct grid after = grid_make(&arena, columns, rows, false);
        memcpy(after.cells, before.cells, sizeof *after.cells * (size_t)(columns * rows));
        scribble(&prng, &after, 2);
        check_cells(&after);
        struct grid_run run = {0};
        while (grid_next_run(&before, &after, &run)) {
            struct cell *from = &after.cells[run.row * columns + run.column];
            assert_true(run.count > 0 && run.column + run.count <= columns);
            assert_true(from->width != 0 && from[run.count - 1].width != 2);
            memcpy(&before.cells[run.row * columns + run.column], from, sizeof *from * (size_t)run.count);
        }
        assert_memory_equal(before.cells, after.cells, sizeof *after.cells * (size_t)(columns * rows));
        run = (struct grid_run){0};
        assert_false(grid_next_run(&before, &after, &run));
        arena_clear(&arena);
    }
}

static void another_size_is_painted_whole(void **state) {
    (void)state;
    struct grid small = grid_make(&arena, 3, 2, false);
    struct grid large = grid_make(&arena, 4, 2, false);
    struct grid_run run = {0};
    for (int row = 0; row < 2; row++) {
        assert_true(grid_next_run(&small, &large, &run));
        assert_int_equal(run.row, row);
        assert_int_equal(run.column, 0);
        assert_int_equal(run.count, 4);
    }
    assert_false(grid_next_run(&small, &large, &run));
}

static int free_arena(void **state) {
    (void)state;
    arena_free(&arena);
    return 0;
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_teardown(text_is_cut_by_columns_and_ends_in_an_ellipsis, free_arena),
    cmocka_unit_test_teardown(what_could_move_the_cursor_is_shown_as_its_escape, free_arena),
    cmocka_unit_test_teardown(an_ascii_screen_shows_nothing_else, free_arena),
    cmocka_unit_test_teardown(half_of_a_wide_character_that_is_written_over_becomes_a_blank, free_arena),
    cmocka_unit_test_teardown(nothing_is_written_outside_an_area, free_arena),
    cmocka_unit_test_teardown(every_glyph_takes_one_column_and_has_an_ascii_twin, free_arena),
    cmocka_unit_test_teardown(every_style_can_be_told_apart_without_colours_from_what_is_bad, free_arena),
    cmocka_unit_test_teardown(the_runs_turn_what_is_shown_into_what_is_wanted, free_arena),
    cmocka_unit_test_teardown(another_size_is_painted_whole, free_arena),
};
CHECK_MAIN(tests)
