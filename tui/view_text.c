// SPDX-License-Identifier: Apache-2.0
//
// tui/view_text.c — lines wrapped at blanks, as wide as they are shown.
#include "tui/view_text.h"

#include <string.h>

#include "base/str.h"
#include "base/width.h"

#define TEXT_COLUMNS_MIN 8 // narrower than this, lines are cut at the edge like everything

const struct view view_detail = {.title = "Detail"};
const struct view view_yaml = {.title = "YAML"};

// Bytes of `line` that fit into `columns`, cut behind the last blank if there is one.
static size_t wrap_at(const char *line, size_t len, int columns) {
    size_t at = 0;
    size_t blank = 0;
    int taken = 0;
    while (at < len) {
        uint32_t codepoint;
        size_t bytes = str_decode(line + at, len - at, &codepoint);
        taken += width_of(codepoint);
        if (taken > columns) {
            return blank > 0 ? blank : at > 0 ? at : bytes;
        }
        at += bytes;
        blank = codepoint == ' ' ? at : blank;
    }
    return len;
}

static void add_line(struct text *text, int indent, enum style style, const char *line, size_t len) {
    AUTO_BUF safe = buf_make(0);
    while (len > 0 && line[len - 1] == ' ') {
        len--;
    }
    str_escape(&safe, line, len, /* keep_newlines */ false);
    const char *at = buf_text(&safe);
    size_t left = safe.len;
    int columns = text->columns - indent;
    columns = columns < TEXT_COLUMNS_MIN ? TEXT_COLUMNS_MIN : columns;
    do {
        size_t taken = wrap_at(at, left, columns);
        struct text_line *out = ARENA_PUSH(text->arena, text);
        *out = (struct text_line){arena_strndup(text->arena, at, taken), style, indent};
        at += taken;
        left -= taken;
    } while (left > 0);
}

void text_add(struct text *text, int indent, enum style style, const char *line) {
    for (;;) {
        size_t len = strcspn(line, "\n");
        add_line(text, indent, style, line, len);
        if (line[len] == '\0' || line[len + 1] == '\0') {
            return;
        }
        line += len + 1;
    }
}

void text_addf(struct text *text, int indent, enum style style, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const char *line = arena_vprintf(text->arena, format, args);
    va_end(args);
    text_add(text, indent, style, line);
}

void text_of_yaml(const struct model_row *row, struct text *text) {
    AUTO_BUF yaml = buf_make(0);
    if (row->kind == MODEL_TASKS) {
        yaml_write(&task_schema, row->object, TEXT_STATUS, 0, &yaml);
    } else {
        enum object_kind kind = row->kind == MODEL_NODES ? KIND_NODE : KIND_SERVICE;
        buf_addf(&yaml, "kind: %s\n", object_kind_name(kind));
        yaml_write(object_spec_schema(kind), (const char *)row->object + object_spec_offset(kind), 0, 0,
                   &yaml);
    }
    text_add(text, 0, STYLE_PLAIN, buf_text(&yaml));
}

void text_draw(const struct text *text, size_t top, const struct area *area) {
    for (int line = 0; line < area->rows && top + (size_t)line < text->count; line++) {
        const struct text_line *item = &text->items[top + (size_t)line];
        area_put(area, item->indent, line, area->columns - item->indent, item->text, item->style);
    }
}
