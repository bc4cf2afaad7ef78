// SPDX-License-Identifier: Apache-2.0
//
// tui/view_text.h — views of text: all there is about one object, and its YAML. Lines are wrapped, never
// cut: an error is shown whole.
#ifndef MUSTER_TUI_VIEW_TEXT_H
#define MUSTER_TUI_VIEW_TEXT_H

#include "tui/view.h"

struct text_line {
    const char *text;
    enum style style;
    int indent;
};
struct text {
    size_t count;
    struct text_line *items;
    int columns; // lines are wrapped to
    struct arena *arena;
    const struct view_env *env;
};

// Appends text that may hold newlines.
void text_add(struct text *text, int indent, enum style style, const char *line);
void text_addf(struct text *text, int indent, enum style style, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

// Status, history of its slot, errors in full, then what was declared.
void text_of_detail(const struct model *model, const struct model_row *row, struct text *text);
void text_of_yaml(const struct model_row *row, struct text *text);
void text_draw(const struct text *text, size_t top, const struct area *area);

#endif
