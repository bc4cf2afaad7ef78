// SPDX-License-Identifier: Apache-2.0
//
// tui/view_list.h — a list of rows on the screen: which ones, in which order, and where the user is in it.
//
// The selection is an object, not a position: it stays on its object whatever arrives above it, and on its
// line of the screen as far as that is possible. When its object goes, the next one in its place is
// selected.
#ifndef MUSTER_TUI_VIEW_LIST_H
#define MUSTER_TUI_VIEW_LIST_H

#include "tui/view_filter.h"

enum list_scope { SCOPE_ALL, SCOPE_SERVICE, SCOPE_NODE };

struct list {
    enum list_scope scope;
    struct id scope_id; // tasks of this service or node
    struct model_order order;
    bool has_history; // tasks: all tries, not only the current ones
    struct filter filter;
    struct id selected;
    size_t index, top; // of the selection; of the first row shown
    size_t count;      // rows that are listed, after list_refresh
    struct model_row **rows;
    size_t capacity;
};

// Brings the table into the list's order and finds the rows that are listed; `rows` of it are visible.
void list_refresh(struct list *list, struct model *model, enum model_kind kind, int rows,
                  const struct view_env *env, struct arena *arena);
// Moves the selection by that many rows, at most to an end.
void list_move(struct list *list, int64_t by, int rows);
const struct model_row *list_selected(const struct list *list); // NULL when nothing is listed

struct list_look {
    bool has_heading;
    bool has_focus; // the cursor is shown
};
// Heading and rows. `row` 0 of the area is the heading, if there is one.
void list_draw(const struct list *list, const struct view *view, const struct view_env *env,
               struct list_look look, const struct area *area);
// The next column that can be sorted by after that order.
enum model_sort list_next_sort(const struct view *view, enum model_sort sort);

#endif
