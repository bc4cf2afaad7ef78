// SPDX-License-Identifier: Apache-2.0
//
// specs/compose_config.c — a Compose file written out again, its variables filled in: what `stack config`
// prints.
//
// The keys stay in their order and values as they were written; aliases and merge keys are written out. What
// comes out reads back as the same stack: a dollar sign that is meant as one is doubled.
#include <string.h>

#include "base/str.h"
#include "specs/manifest_reading.h"
#include "specs/walk.h"

#define INDENT 2

struct page {
    const struct variables *variables; // NULL: they stay
    struct arena *arena;
    struct buf *out;
};

static void put_node(struct page *page, const struct yaml_node *node, int indent, bool is_item);

static const char *doubled(struct arena *arena, const char *text) {
    AUTO_BUF out = {0};
    for (; *text != '\0'; text++) {
        buf_addc(&out, *text);
        if (*text == '$') {
            buf_addc(&out, '$');
        }
    }
    return arena_strdup(arena, buf_text(&out));
}

// What was checked before cannot fail here; if it does, the text stays.
static const char *filled(struct page *page, const char *text) {
    const char *out, *unset;
    if (page->variables == NULL || strchr(text, '$') == NULL ||
        interpolate(text, page->variables, page->arena, &out, &unset) != INTERPOLATION_DONE) {
        return text;
    }
    return strchr(out, '$') != NULL ? doubled(page->arena, out) : out;
}

static void put_scalar(struct page *page, const struct yaml_node *node) {
    const char *text = filled(page, node->text);
    bool is_as_written = node->is_plain && text == node->text && strchr(text, '\n') == NULL;
    if (is_as_written) {
        buf_adds(page->out, text);
    } else {
        yaml_write_text(page->out, text);
    }
}

static bool is_inline(const struct yaml_node *node) {
    return node->kind == YAML_NULL || node->kind == YAML_SCALAR || node->count == 0;
}

static void put_inline(struct page *page, const struct yaml_node *node) {
    if (node->kind == YAML_SCALAR) {
        put_scalar(page, node);
    } else {
        buf_adds(page->out, node->kind == YAML_LIST ? "[]" : node->kind == YAML_MAP ? "{}" : "null");
    }
    buf_addc(page->out, '\n');
}

static void put_pairs(struct page *page, const struct yaml_node *map, int indent, bool is_item) {
    for (size_t i = 0; i < map->count; i++) {
        const struct yaml_node *value = yaml_value(&map->items[2 * i + 1]);
        buf_pad(page->out, ' ', i == 0 && is_item ? 0 : (size_t)indent);
        yaml_write_text(page->out, map->items[2 * i].text);
        buf_adds(page->out, is_inline(value) ? ": " : ":\n");
        put_node(page, value, indent + INDENT, /* is_item= */ false);
    }
}

static void put_items(struct page *page, const struct yaml_node *list, int indent, bool is_item) {
    for (size_t i = 0; i < list->count; i++) {
        buf_pad(page->out, ' ', i == 0 && is_item ? 0 : (size_t)indent);
        buf_adds(page->out, "- ");
        put_node(page, yaml_value(&list->items[i]), indent + INDENT, /* is_item= */ true);
    }
}

// `is_item`: the first line has begun already.
static void put_node(struct page *page, const struct yaml_node *node, int indent, bool is_item) {
    if (is_inline(node)) {
        put_inline(page, node);
    } else if (node->kind == YAML_MAP) {
        put_pairs(page, node, indent, is_item);
    } else {
        put_items(page, node, indent, is_item);
    }
}

void compose_config(const struct yaml_node *document, const struct variables *variables, struct arena *arena,
                    struct buf *out) {
    struct page page = {variables, arena, out};
    put_node(&page, yaml_value(document), 0, /* is_item= */ false);
}
