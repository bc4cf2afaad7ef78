// SPDX-License-Identifier: Apache-2.0
//
// specs/yaml_tree.c — libyaml events to a tree, with a stack of our own and every limit checked before it costs anything.
//
// Aliases share the node of their anchor; what they would expand to is counted all the same, so that a bomb is refused by arithmetic and not by memory.
#include "specs/yaml_tree.h"

#include <string.h>
#include <yaml.h>

#include "base/limits.h"
#include "base/str.h"

struct anchor {
    const char *name;
    struct yaml_node *node;
    size_t weight; // nodes it stands for
};

struct frame {
    struct yaml_node *node;
    struct yaml_node *key;  // of a map: the key whose value comes next
    size_t weight_before;
    const char *anchor;
};

struct builder {
    struct arena *arena;
    struct yaml_problem *problem;
    struct yaml_documents *out;
    struct frame stack[YAML_DEPTH_MAX];
    size_t depth;
    size_t weight; // nodes so far, aliases expanded
    struct {
        size_t count;
        struct anchor *items;
    } anchors;
    size_t aliases;
    struct yaml_node *root;
};

static int refuse(struct builder *b, yaml_mark_t at, const char *code, const char *text, const char *hint) {
    b->problem->line = (int64_t)at.line + 1;
    b->problem->column = (int64_t)at.column + 1;
    b->problem->code = code;
    b->problem->text = text;
    b->problem->hint = hint;
    return 1;
}

struct yaml_node *yaml_get(const struct yaml_node *map, const char *key) {
    for (size_t i = 0; map->kind == YAML_MAP && i < map->count; i++) {
        if (strcmp(map->items[2 * i]->text, key) == 0) {
            return map->items[2 * i + 1];
        }
    }
    return NULL;
}

static int check_duplicate(struct builder *b, const struct yaml_node *map, const struct yaml_node *key, yaml_mark_t at) {
    for (size_t i = 0; i < map->count; i++) {
        const struct yaml_node *other = map->items[2 * i];
        if (strcmp(other->text, key->text) == 0) {
            b->problem->other_line = other->line;
            b->problem->other_column = other->column;
            return refuse(b, at, "E0107", arena_printf(b->arena, "'%s' is given twice; the first is at %lld:%lld", key->text, (long long)other->line, (long long)other->column),
                          "YAML would silently keep only one of them");
        }
    }
    return 0;
}

// `<<: *base` or `<<: [*a, *b]`: pairs that the map does not have itself come last, so that its own win.
static int merge_into(struct builder *b, struct yaml_node *map, const struct yaml_node *value, yaml_mark_t at) {
    if (value->kind == YAML_LIST) {
        for (size_t i = 0; i < value->count; i++) {
            int rc = merge_into(b, map, value->items[i], at);
            if (rc != 0) {
                return rc;
            }
        }
        return 0;
    }
    if (value->kind != YAML_MAP) {
        return refuse(b, at, "E0112", "a merge key needs a map", "write <<: *anchor");
    }
    for (size_t i = 0; i < value->count; i++) {
        if (yaml_get(map, value->items[2 * i]->text) == NULL) {
            map->items = arena_grow(b->arena, map->items, map->count, 2 * sizeof *map->items);
            map->items[2 * map->count] = value->items[2 * i];
            map->items[2 * map->count + 1] = value->items[2 * i + 1];
            map->count++;
        }
    }
    return 0;
}


static int attach(struct builder *b, struct yaml_node *node, yaml_mark_t at) {
    if (b->depth == 0) {
        b->root = node;
        return 0;
    }
    struct frame *top = &b->stack[b->depth - 1];
    if (top->node->kind == YAML_LIST) {
        top->node->items = arena_grow(b->arena, top->node->items, top->node->count, sizeof *top->node->items);
        top->node->items[top->node->count++] = node;
        return 0;
    }
    if (top->key == NULL) {
        if (node->kind != YAML_SCALAR && node->kind != YAML_NULL) {
            return refuse(b, at, "E0108", "a key must be a word, not a list or a map", "");
        }
        top->key = node;
        return strcmp(node->text, "<<") == 0 ? 0 : check_duplicate(b, top->node, node, at);
    }
    struct yaml_node *key = top->key;
    top->key = NULL;
    if (strcmp(key->text, "<<") == 0 && key->is_plain) {
        return merge_into(b, top->node, node, at);
    }
    // A pair of the map's own wins over one merged before it.
    for (size_t i = 0; i < top->node->count; i++) {
        if (strcmp(top->node->items[2 * i]->text, key->text) == 0) {
            top->node->items[2 * i + 1] = node;
            return 0;
        }
    }
    top->node->items = arena_grow(b->arena, top->node->items, top->node->count, 2 * sizeof *top->node->items);
    top->node->items[2 * top->node->count] = key;
    top->node->items[2 * top->node->count + 1] = node;
    top->node->count++;
    return 0;
}

static struct yaml_node *node_new(struct builder *b, enum yaml_kind kind, yaml_mark_t at) {
    struct yaml_node *node = ARENA_NEW(b->arena, struct yaml_node);
    node->kind = kind;
    node->line = (int64_t)at.line + 1;
    node->column = (int64_t)at.column + 1;
    node->text = "";
    return node;
}

static int count_nodes(struct builder *b, size_t more, yaml_mark_t at) {
    b->weight += more;
    if (b->weight > YAML_NODES_MAX) {
        return refuse(b, at, "E0104", "the file holds more than 200000 values, aliases expanded", "split it");
    }
    return 0;
}

static int remember_anchor(struct builder *b, const char *name, struct yaml_node *node, size_t weight, yaml_mark_t at) {
    if (b->anchors.count >= YAML_ALIASES_MAX) {
        return refuse(b, at, "E0105", "more than 1000 anchors", "");
    }
    *ARENA_PUSH(b->arena, &b->anchors) = (struct anchor){name, node, weight};
    return 0;
}

static int on_scalar(struct builder *b, const yaml_event_t *event) {
    yaml_mark_t at = event->start_mark;
    const char *text = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;
    if (len > YAML_SCALAR_BYTES_MAX) {
        return refuse(b, at, "E0106", "a value is longer than 256 KiB", "");
    }
    if (memchr(text, '\0', len) != NULL) {
        return refuse(b, at, "E0110", "a value holds a NUL character", "");
    }
    struct yaml_node *node = node_new(b, YAML_SCALAR, at);
    node->text = arena_strndup(b->arena, text, len);
    node->is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (node->is_plain && (len == 0 || strcmp(text, "~") == 0 || strcmp(text, "null") == 0)) {
        node->kind = YAML_NULL;
    }
    int rc = count_nodes(b, 1, at);
    if (rc == 0 && event->data.scalar.anchor != NULL) {
        rc = remember_anchor(b, arena_strdup(b->arena, (const char *)event->data.scalar.anchor), node, 1, at);
    }
    return rc != 0 ? rc : attach(b, node, at);
}

static int on_open(struct builder *b, enum yaml_kind kind, const yaml_char_t *anchor, yaml_mark_t at) {
    if (b->depth == YAML_DEPTH_MAX) {
        return refuse(b, at, "E0103", "nested more than 64 levels deep", "");
    }
    int rc = count_nodes(b, 1, at);
    if (rc != 0) {
        return rc;
    }
    b->stack[b->depth++] = (struct frame){.node = node_new(b, kind, at),
                                          .weight_before = b->weight,
                                          .anchor = anchor != NULL ? arena_strdup(b->arena, (const char *)anchor) : NULL};
    return 0;
}

static int on_close(struct builder *b, yaml_mark_t at) {
    struct frame frame = b->stack[--b->depth];
    if (frame.anchor != NULL) {
        int rc = remember_anchor(b, frame.anchor, frame.node, b->weight - frame.weight_before + 1, at);
        if (rc != 0) {
            return rc;
        }
    }
    return attach(b, frame.node, at);
}

static int on_alias(struct builder *b, const yaml_event_t *event) {
    const char *name = (const char *)event->data.alias.anchor;
    if (++b->aliases > YAML_ALIASES_MAX) {
        return refuse(b, event->start_mark, "E0105", "more than 1000 aliases", "");
    }
    for (size_t i = b->anchors.count; i > 0; i--) { // the latest of a name counts
        const struct anchor *anchor = &b->anchors.items[i - 1];
        if (strcmp(anchor->name, name) == 0) {
            int rc = count_nodes(b, anchor->weight, event->start_mark);
            return rc != 0 ? rc : attach(b, anchor->node, event->start_mark);
        }
    }
    return refuse(b, event->start_mark, "E0109", arena_printf(b->arena, "there is no anchor '&%s' before this alias", name), "");
}

static int on_event(struct builder *b, const yaml_event_t *event) {
    switch ((int)event->type) {
    case YAML_SCALAR_EVENT:
        return on_scalar(b, event);
    case YAML_SEQUENCE_START_EVENT:
        return on_open(b, YAML_LIST, event->data.sequence_start.anchor, event->start_mark);
    case YAML_MAPPING_START_EVENT:
        return on_open(b, YAML_MAP, event->data.mapping_start.anchor, event->start_mark);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return on_close(b, event->start_mark);
    case YAML_ALIAS_EVENT:
        return on_alias(b, event);
    case YAML_DOCUMENT_END_EVENT:
        if (b->root != NULL && b->root->kind != YAML_NULL) {
            *ARENA_PUSH(b->arena, b->out) = b->root;
        }
        b->root = NULL;
        b->anchors.count = 0;
        b->anchors.items = NULL;
        return 0;
    default:
        return 0;
    }
}

// libyaml's words for common mistakes are poor: say what it is.
static int syntax_problem(struct builder *b, const yaml_parser_t *parser, const char *text, size_t len) {
    yaml_mark_t at = parser->problem_mark.line != 0 || parser->problem_mark.column != 0 ? parser->problem_mark : parser->mark;
    if (parser->error == YAML_READER_ERROR) {
        at = parser->mark;
        return refuse(b, at, "E0111", arena_printf(b->arena, "the file is not UTF-8 text (%s)", parser->problem), "");
    }
    size_t line = 0;
    size_t start = 0;
    for (size_t i = 0; i < len && line < at.line; i++) {
        if (text[i] == '\n') {
            line++;
            start = i + 1;
        }
    }
    size_t blanks = start;
    while (blanks < len && (text[blanks] == ' ' || text[blanks] == '\t')) {
        if (text[blanks] == '\t') {
            at.column = blanks - start;
            return refuse(b, at, "E0101", "a tab in the indentation", "YAML allows only blanks there");
        }
        blanks++;
    }
    const char *what = parser->problem != NULL ? parser->problem : "not YAML";
    return refuse(b, at, "E0102", arena_printf(b->arena, "not YAML here: %s%s%s", what, parser->context != NULL ? ", " : "", parser->context != NULL ? parser->context : ""), "");
}

int yaml_parse(const char *text, size_t len, struct arena *arena, struct yaml_documents *out, struct yaml_problem *problem) {
    yaml_parser_t parser;
    *problem = (struct yaml_problem){.code = "", .text = "", .hint = ""};
    struct builder *builder = ARENA_NEW(arena, struct builder);
    *builder = (struct builder){.arena = arena, .problem = problem, .out = out};
    if (!yaml_parser_initialize(&parser)) {
        return refuse(builder, (yaml_mark_t){0}, "E0102", "out of memory", "");
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    int rc = 0;
    for (bool done = false; rc == 0 && !done;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            rc = syntax_problem(builder, &parser, text, len);
            break;
        }
        rc = on_event(builder, &event);
        done = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return rc;
}
