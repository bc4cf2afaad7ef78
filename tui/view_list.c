// SPDX-License-Identifier: Apache-2.0
//
// tui/view_list.c — filters a table into a list, keeps the selection, lays out columns, draws what is
// visible.
#include "tui/view_list.h"

#include <string.h>

#include "base/assert.h"
#include "base/str.h"

#define COLUMNS_MAX 16
#define MARGIN 3 // cursor, glyph, mark of change
#define GAP 2

// --- what is listed ---

static bool list_has(const struct list *list, struct model_row *row, const struct view_env *env) {
    if (row->kind == MODEL_TASKS) {
        const struct task *task = row_task(row);
        if ((list->scope == SCOPE_SERVICE && !id_equal(&task->service_id, &list->scope_id)) ||
            (list->scope == SCOPE_NODE && !id_equal(&task->node_id, &list->scope_id)) ||
            (!list->has_history && !model_is_current(row))) {
            return false;
        }
    }
    return filter_is_empty(&list->filter) || filter_match(&list->filter, row, env);
}

static void list_reserve(struct list *list, size_t count, struct arena *arena) {
    if (count > list->capacity) {
        list->capacity = count * 2;
        list->rows = ARENA_ARRAY(arena, struct model_row *, list->capacity);
    }
}

// The selection is at `index` now; the window of `rows` follows it.
static void list_scroll(struct list *list, size_t index, size_t before, size_t rows) {
    size_t offset = before >= list->top ? before - list->top : 0; // the line it was on
    list->top = index >= offset ? index - offset : 0;
    if (index >= list->top + rows) {
        list->top = index - rows + 1;
    }
    size_t last_top = list->count > rows ? list->count - rows : 0;
    list->top = list->top > last_top ? last_top : list->top;
    list->index = index;
}

void list_refresh(struct list *list, struct model *model, enum model_kind kind, int rows,
                  const struct view_env *env, struct arena *arena) {
    model_set_order(model, kind, list->order);
    model_settle(model);
    const struct model_table *table = &model->tables[kind];
    list_reserve(list, table->count, arena);
    size_t before = list->index;
    size_t found = SIZE_MAX;
    list->count = 0;
    for (size_t i = 0; i < table->count; i++) {
        struct model_row *row = table->rows[i];
        if (list_has(list, row, env)) {
            found = id_equal(&row->id, &list->selected) ? list->count : found;
            list->rows[list->count++] = row;
        }
    }
    if (list->count == 0) {
        list->index = list->top = 0;
        return;
    }
    if (found == SIZE_MAX) {
        found = before < list->count ? before : list->count - 1;
    }
    list_scroll(list, found, before, rows < 1 ? 1 : (size_t)rows);
    list->selected = list->rows[found]->id;
}

void list_move(struct list *list, int64_t by, int rows) {
    if (list->count == 0) {
        return;
    }
    size_t last = list->count - 1;
    size_t index = list->index;
    if (by < 0) {
        index = index > (uint64_t)-by ? index - (uint64_t)-by : 0;
    } else {
        index = last - index > (uint64_t)by ? index + (uint64_t)by : last;
    }
    size_t visible = rows < 1 ? 1 : (size_t)rows;
    list->top = index < list->top ? index : index >= list->top + visible ? index - visible + 1 : list->top;
    list->index = index;
    list->selected = list->rows[index]->id;
}

const struct model_row *list_selected(const struct list *list) {
    return list->count > 0 ? list->rows[list->index] : NULL;
}

enum model_sort list_next_sort(const struct view *view, enum model_sort sort) {
    size_t at = 0;
    while (at < view->column_count && view->columns[at].sort != sort) {
        at++;
    }
    for (size_t i = 1; i <= view->column_count; i++) {
        const struct column *column = &view->columns[(at + i) % view->column_count];
        if (column->sort != SORT_COUNT) {
            return column->sort;
        }
    }
    return sort;
}

// --- layout ---

struct layout {
    int widths[COLUMNS_MAX]; // 0 = left out
    int gap;
};

static int layout_width(const struct layout *layout, const struct view *view) {
    int width = 0;
    for (size_t i = 0; i < view->column_count; i++) {
        width += layout->widths[i] > 0 ? layout->widths[i] + layout->gap : 0;
    }
    return width - layout->gap;
}

// Leaves out the column that matters least; false when only one is left.
static bool layout_drop(struct layout *layout, const struct view *view) {
    size_t least = SIZE_MAX;
    for (size_t i = 0; i < view->column_count; i++) {
        if (layout->widths[i] > 0 && view->columns[i].priority > 0 &&
            (least == SIZE_MAX || view->columns[i].priority > view->columns[least].priority)) {
            least = i;
        }
    }
    if (least != SIZE_MAX) {
        layout->widths[least] = 0;
    }
    return least != SIZE_MAX;
}

static void layout_grow(struct layout *layout, const struct view *view, int spare) {
    int weights = 0;
    for (size_t i = 0; i < view->column_count; i++) {
        weights += layout->widths[i] > 0 ? view->columns[i].grow : 0;
    }
    for (size_t i = 0; i < view->column_count && weights > 0; i++) {
        if (layout->widths[i] > 0 && view->columns[i].grow > 0) {
            int share = spare * view->columns[i].grow / weights;
            layout->widths[i] += share;
            spare -= share;
            weights -= view->columns[i].grow;
        }
    }
}

static struct layout layout_make(const struct view *view, int columns) {
    ASSERT(view->column_count <= COLUMNS_MAX);
    struct layout layout = {.gap = columns < 60 ? 1 : GAP};
    for (size_t i = 0; i < view->column_count; i++) {
        layout.widths[i] = view->columns[i].width;
    }
    int room = columns - MARGIN;
    while (layout_width(&layout, view) > room && layout_drop(&layout, view)) {
    }
    int spare = room - layout_width(&layout, view);
    if (spare >= 0) {
        layout_grow(&layout, view, spare);
    } else {
        layout.widths[0] = room > 1 ? room : 1;
    }
    return layout;
}

// --- drawing ---

static void draw_heading(const struct list *list, const struct view *view, const struct layout *layout,
                         const struct view_env *env, const struct area *area) {
    int at = MARGIN;
    for (size_t i = 0; i < view->column_count; i++) {
        const struct column *column = &view->columns[i];
        int width = layout->widths[i];
        if (width == 0) {
            continue;
        }
        AUTO_BUF title = buf_make(64);
        buf_adds(&title, column->title);
        if (column->sort == list->order.by) {
            buf_adds(&title, glyph_text(list->order.is_reverse ? GLYPH_UP : GLYPH_DOWN, env->is_ascii));
        }
        (column->is_right ? area_put_right : area_put)(area, at, 0, width, buf_text(&title), STYLE_HEADING);
        at += width + layout->gap;
    }
}

static void draw_row(const struct model_row *row, const struct view *view, const struct layout *layout,
                     const struct view_env *env, const struct area *area, int line) {
    struct badge badge = view_badge(row);
    bool is_changed = view_is_changed(row, env);
    bool is_created = is_changed && row->created_ms == row->changed_ms;
    area_put(area, 1, line, 1, glyph_text(badge.glyph, env->is_ascii), badge.style);
    area_put(area, 2, line, 1, is_created ? "+" : is_changed ? "*" : " ", STYLE_STRONG);
    int at = MARGIN;
    for (size_t i = 0; i < view->column_count; i++) {
        const struct column *column = &view->columns[i];
        int width = layout->widths[i];
        if (width == 0) {
            continue;
        }
        AUTO_BUF text = buf_make(0);
        column->text(row, env, &text);
        enum style style = column->is_styled ? badge.style : STYLE_PLAIN;
        (column->is_right ? area_put_right : area_put)(area, at, line, width, buf_text(&text), style);
        at += width + layout->gap;
    }
    if (is_changed) {
        area_mark(area, line, MARK_CHANGED);
    }
}

void list_draw(const struct list *list, const struct view *view, const struct view_env *env,
               struct list_look look, const struct area *area) {
    struct layout layout = layout_make(view, area->columns);
    int line = 0;
    if (look.has_heading) {
        draw_heading(list, view, &layout, env, area);
        line = 1;
    }
    if (list->count == 0) {
        bool is_filtered = !filter_is_empty(&list->filter);
        area_put(area, 1, line, area->columns - 1, is_filtered ? "Nothing passes the filter." : view->empty,
                 STYLE_DIM);
    }
    for (size_t i = list->top; i < list->count && line < area->rows; i++, line++) {
        draw_row(list->rows[i], view, &layout, env, area, line);
        if (i == list->index && look.has_focus) {
            area_put(area, 0, line, 1, ">", STYLE_STRONG);
            area_mark(area, line, MARK_SELECTED);
        }
    }
}
