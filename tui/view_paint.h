// SPDX-License-Identifier: Apache-2.0
//
// tui/view_paint.h — where things are on a screen of a given size; shared by what draws and what scrolls.
#ifndef MUSTER_TUI_VIEW_PAINT_H
#define MUSTER_TUI_VIEW_PAINT_H

#include "tui/view_screen.h"
#include "tui/view_text.h"

struct paint_plan {
    bool has_header, has_tabs, has_rules, has_heading, has_remark, has_footer;
    bool has_pane; // the selected object beside the list
    int body_row, body_rows;
    int list_columns, list_rows; // of rows, without the heading
    int text_columns;
};
struct paint_plan paint_plan(const struct screen *screen);
unsigned paint_context(const struct frame *frame); // enum key_context of a frame
// The lines of a frame that shows text.
void paint_text(const struct frame *frame, const struct model *model, struct text *text);

#endif
