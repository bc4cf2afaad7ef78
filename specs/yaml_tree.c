// SPDX-License-Identifier: Apache-2.0
//
// specs/yaml_tree.c — libyaml events to a tree, each limit checked before it costs anything.
//
// Model        Children wait on one growing stack until their list or map ends; then they are copied, once
//              and without gaps, into the arena. An alias is a node that points at its anchor's value; what
//              it would expand to is counted all the same, so that a bomb is refused by arithmetic and not
//              by memory. A merged pair is the key of the anchor's map and an alias to its value.
// Limits       base/limits.h (YAML_*, LIST_ITEMS_MAX). DIRECTIVES_MAX because libyaml compares each %TAG
//              with all before it.
// Failure      The first problem ends the parse; libyaml's own words are turned into ours by a table.
#include "specs/yaml_tree.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"

#define DIRECTIVES_MAX 16
#define ANCHOR_BYTES_MAX 128
#define POOL_BYTES 4096

struct anchor {
    const char *name;
    const struct yaml_node *value; // NULL while it is being built
    size_t weight;                 // values it stands for
};

struct frame {
    struct yaml_node node; // without its items yet
    size_t first;          // of its children on the stack
    size_t weight_before;
    size_t anchor; // index + 1; 0 = none
};

struct builder {
    struct arena *arena;
    uint16_t source;
    struct yaml_problems *problems;
    struct yaml_documents *out;
    struct frame frames[YAML_DEPTH_MAX];
    size_t depth;
    struct yaml_node *stack; // children of all open lists and maps
    size_t stack_count, stack_capacity;
    size_t weight; // values so far, aliases expanded
    struct {
        size_t count;
        struct anchor *items;
    } anchors;
    size_t anchors_seen, aliases; // in the whole file
    char *pool;                   // short texts are packed
    size_t pool_left;
};

static int refuse(struct builder *b, yaml_mark_t at, const char *code, const char *text, const char *hint) {
    *ARENA_PUSH(b->arena, b->problems) = (struct yaml_problem){.line = (uint32_t)at.line + 1,
                                                               .column = (uint32_t)at.column + 1,
                                                               .code = code,
                                                               .text = text,
                                                               .hint = hint};
    return 1;
}

const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key) {
    map = yaml_value(map);
    for (size_t i = 0; map->kind == YAML_MAP && i < map->count; i++) {
        if (strcmp(map->items[2 * i].text, key) == 0) {
            return &map->items[2 * i + 1];
        }
    }
    return NULL;
}

// --- texts and nodes ---

static const char *keep_text(struct builder *b, const char *text, size_t len) {
    if (len >= POOL_BYTES / 4) {
        return arena_strndup(b->arena, text, len);
    }
    if (b->pool_left < len + 1) {
        b->pool = arena_alloc(b->arena, POOL_BYTES);
        b->pool_left = POOL_BYTES;
    }
    char *copy = b->pool;
    memcpy(copy, text, len); // the arena gives zeroed memory
    b->pool += len + 1;
    b->pool_left -= len + 1;
    return copy;
}

static struct yaml_node node_at(const struct builder *b, enum yaml_kind kind, yaml_mark_t at) {
    return (struct yaml_node){.kind = (uint8_t)kind,
                              .source = b->source,
                              .line = (uint32_t)at.line + 1,
                              .column = (uint32_t)at.column + 1,
                              .text = ""};
}

static int count_values(struct builder *b, size_t more, yaml_mark_t at) {
    b->weight += more;
    if (b->weight <= YAML_NODES_MAX) {
        return 0;
    }
    return more > 1 ? refuse(b, at, "E0116", "aliases expand to more than 200000 values",
                             "write out what is meant, or split the file")
                    : refuse(b, at, "E0104", "the file holds more than 200000 values", "split it");
}

static void push(struct builder *b, struct yaml_node node) {
    if (b->stack_count == b->stack_capacity) {
        b->stack_capacity = b->stack_capacity == 0 ? 256 : b->stack_capacity * 2;
        b->stack = xrealloc(b->stack, b->stack_capacity * sizeof *b->stack);
    }
    b->stack[b->stack_count++] = node;
}

// Puts a finished value into the list or map that is open.
static int attach(struct builder *b, struct yaml_node node, yaml_mark_t at) {
    if (b->depth > 0) {
        const struct frame *top = &b->frames[b->depth - 1];
        size_t children = b->stack_count - top->first;
        bool is_map = top->node.kind == YAML_MAP;
        if (is_map && children % 2 == 0 && node.kind != YAML_SCALAR && node.kind != YAML_NULL) {
            return refuse(b, at, "E0108", "a key must be a word, not a list, a map or an alias",
                          "put the key in quotes if it starts with [, { or *");
        }
        if (children >= (is_map ? 2u : 1u) * LIST_ITEMS_MAX) {
            return refuse(b, at, "E0113", "more than 10000 items in one list or map", "split it");
        }
    }
    push(b, node);
    return 0;
}

// --- maps: duplicates and merges ---

struct entry {
    struct yaml_node key, value;
    size_t order;
    bool is_merged;
};

static int by_key(const void *a, const void *b) {
    const struct entry *x = a;
    const struct entry *y = b;
    int order = strcmp(x->key.text, y->key.text);
    return order != 0 ? order : (x->order > y->order) - (x->order < y->order);
}

static int by_order(const void *a, const void *b) {
    const struct entry *x = a;
    const struct entry *y = b;
    return (x->order > y->order) - (x->order < y->order);
}

static bool is_merge_key(const struct yaml_node *key) {
    return key->is_plain && strcmp(key->text, "<<") == 0;
}

// Goes on with the first of the two; gives up when there are too many of them.
static int given_twice(struct builder *b, const struct yaml_node *first, const struct yaml_node *again) {
    yaml_mark_t at = {.line = again->line - 1, .column = again->column - 1};
    const char *text = str_is_empty(again->text)
                           ? "an empty key is given twice"
                           : arena_printf(b->arena, "'%.200s' is given twice", again->text);
    refuse(b, at, "E0107", text, "again here; YAML would silently keep only one");
    struct yaml_problem *problem = &b->problems->items[b->problems->count - 1];
    problem->other_line = first->line;
    problem->other_column = first->column;
    return b->problems->count >= YAML_PROBLEMS_MAX - 1;
}

struct entries {
    size_t count, capacity;
    struct entry *items;
};

static void entries_add(struct entries *entries, struct yaml_node key, struct yaml_node value,
                        bool is_merged) {
    if (entries->count == entries->capacity) {
        entries->capacity = entries->capacity == 0 ? 64 : entries->capacity * 2;
        entries->items = xrealloc(entries->items, entries->capacity * sizeof *entries->items);
    }
    entries->items[entries->count] = (struct entry){key, value, entries->count, is_merged};
    entries->count++;
}

// The pairs of one `<<: *base` or `<<: [*a, *b]`, each value marked with the place of the merge.
static int add_merged(struct builder *b, struct entries *entries, const struct yaml_node *use) {
    const struct yaml_node *value = yaml_value(use);
    if (value->kind == YAML_LIST) {
        for (size_t i = 0; i < value->count; i++) {
            const struct yaml_node *item = &value->items[i];
            int rc = yaml_value(item)->kind == YAML_MAP ? add_merged(b, entries, item) : 1;
            if (rc != 0) {
                return refuse(b, (yaml_mark_t){.line = item->line - 1, .column = item->column - 1}, "E0112",
                              "a merge key needs maps", "write <<: [*one, *other]");
            }
        }
        return 0;
    }
    if (value->kind != YAML_MAP) {
        return refuse(b, (yaml_mark_t){.line = use->line - 1, .column = use->column - 1}, "E0112",
                      "a merge key needs a map", "write <<: *anchor");
    }
    for (size_t i = 0; i < value->count; i++) {
        struct yaml_node merged = {.kind = YAML_ALIAS,
                                   .source = b->source,
                                   .line = use->line,
                                   .column = use->column,
                                   .target = yaml_value(&value->items[2 * i + 1])};
        entries_add(entries, value->items[2 * i], merged, /* is_merged= */ true);
    }
    return 0;
}

// Drops merged pairs that the map has itself or had merged before; refuses two of its own.
static int settle(struct builder *b, struct entries *entries) {
    if (entries->count < 2) {
        return 0;
    }
    qsort(entries->items, entries->count, sizeof *entries->items, by_key);
    size_t kept = 0;
    for (size_t i = 0; i < entries->count; i++) {
        struct entry *entry = &entries->items[i];
        if (kept > 0 && strcmp(entries->items[kept - 1].key.text, entry->key.text) == 0) {
            if (!entry->is_merged && given_twice(b, &entries->items[kept - 1].key, &entry->key) != 0) {
                return 1;
            }
            continue;
        }
        entries->items[kept++] = *entry;
    }
    entries->count = kept;
    qsort(entries->items, entries->count, sizeof *entries->items, by_order);
    return 0;
}

// Own pairs first: their order decides who wins.
static int gather(struct builder *b, const struct yaml_node *children, size_t pairs,
                  struct entries *entries) {
    for (size_t i = 0; i < pairs; i++) {
        if (!is_merge_key(&children[2 * i])) {
            entries_add(entries, children[2 * i], children[2 * i + 1], /* is_merged= */ false);
        }
    }
    const struct yaml_node *merge = NULL;
    for (size_t i = 0; i < pairs; i++) {
        if (is_merge_key(&children[2 * i])) {
            int rc = merge != NULL ? given_twice(b, merge, &children[2 * i]) : 0;
            if (rc != 0) {
                return rc;
            }
            merge = &children[2 * i];
            rc = add_merged(b, entries, &children[2 * i + 1]);
            if (rc != 0) {
                return rc;
            }
        }
    }
    return settle(b, entries);
}

static int close_map(struct builder *b, struct yaml_node *map, const struct yaml_node *children,
                     size_t count) {
    struct entries entries = {0};
    int rc = gather(b, children, count / 2, &entries);
    if (rc == 0) {
        struct yaml_node *items = ARENA_ARRAY(b->arena, struct yaml_node, 2 * entries.count);
        for (size_t i = 0; i < entries.count; i++) {
            items[2 * i] = entries.items[i].key;
            items[2 * i + 1] = entries.items[i].value;
        }
        map->items = items;
        map->count = (uint32_t)entries.count;
    }
    xfree(entries.items);
    return rc;
}

// --- events ---

static int open_anchor(struct builder *b, const yaml_char_t *name, yaml_mark_t at, size_t *out) {
    *out = 0;
    if (name == NULL) {
        return 0;
    }
    if (++b->anchors_seen > YAML_ALIASES_MAX) {
        return refuse(b, at, "E0105", "more than 1000 anchors", "split the file");
    }
    if (strlen((const char *)name) > ANCHOR_BYTES_MAX) {
        return refuse(b, at, "E0105", "the name of an anchor is longer than 128 bytes", "");
    }
    *ARENA_PUSH(b->arena, &b->anchors) = (struct anchor){.name = arena_strdup(b->arena, (const char *)name)};
    *out = b->anchors.count;
    return 0;
}

static void close_anchor(struct builder *b, size_t anchor, const struct yaml_node *node, size_t weight) {
    if (anchor > 0) {
        b->anchors.items[anchor - 1].value = arena_copy(b->arena, node, sizeof *node);
        b->anchors.items[anchor - 1].weight = weight;
    }
}

static int check_tag(struct builder *b, const yaml_char_t *tag, yaml_mark_t at) {
    static const char *const known[] = {"!",           YAML_STR_TAG,   YAML_INT_TAG,
                                        YAML_BOOL_TAG, YAML_FLOAT_TAG, YAML_NULL_TAG,
                                        YAML_SEQ_TAG,  YAML_MAP_TAG};
    if (tag == NULL) {
        return 0;
    }
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp((const char *)tag, known[i]) == 0) {
            return 0;
        }
    }
    return refuse(b, at, "E0115",
                  arena_printf(b->arena, "the tag '%.100s' means nothing here", (const char *)tag),
                  "take it away: the field says what its value is");
}

static int on_scalar(struct builder *b, const yaml_event_t *event) {
    yaml_mark_t at = event->start_mark;
    const char *text = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;
    if (len > YAML_SCALAR_BYTES_MAX) {
        return refuse(b, at, "E0106", "a value is longer than 256 KiB",
                      "put it into a file of its own, as a config");
    }
    if (memchr(text, '\0', len) != NULL) {
        return refuse(b, at, "E0110", "a value holds a NUL character", "");
    }
    size_t anchor = 0;
    int rc = check_tag(b, event->data.scalar.tag, at);
    rc = rc != 0 ? rc : count_values(b, 1, at);
    rc = rc != 0 ? rc : open_anchor(b, event->data.scalar.anchor, at, &anchor);
    if (rc != 0) {
        return rc;
    }
    struct yaml_node node = node_at(b, YAML_SCALAR, at);
    node.text = keep_text(b, text, len);
    node.is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && event->data.scalar.tag == NULL;
    if (node.is_plain && (len == 0 || strcmp(text, "~") == 0 || strcmp(text, "null") == 0)) {
        node.kind = YAML_NULL;
    }
    close_anchor(b, anchor, &node, 1);
    return attach(b, node, at);
}

static int on_open(struct builder *b, enum yaml_kind kind, const yaml_char_t *anchor, const yaml_char_t *tag,
                   yaml_mark_t at) {
    if (b->depth == YAML_DEPTH_MAX) {
        return refuse(b, at, "E0103", "nested more than 64 levels deep", "");
    }
    struct frame frame = {.node = node_at(b, kind, at), .first = b->stack_count, .weight_before = b->weight};
    int rc = check_tag(b, tag, at);
    rc = rc != 0 ? rc : count_values(b, 1, at);
    rc = rc != 0 ? rc : open_anchor(b, anchor, at, &frame.anchor);
    if (rc == 0) {
        b->frames[b->depth++] = frame;
    }
    return rc;
}

static int on_close(struct builder *b) {
    struct frame *frame = &b->frames[--b->depth];
    size_t count = b->stack_count - frame->first;
    const struct yaml_node *children = count > 0 ? &b->stack[frame->first] : NULL;
    if (frame->node.kind == YAML_MAP) {
        int rc = close_map(b, &frame->node, children, count);
        if (rc != 0) {
            return rc;
        }
    } else {
        frame->node.items = count > 0 ? arena_copy(b->arena, children, count * sizeof *children) : NULL;
        frame->node.count = (uint32_t)count;
    }
    b->stack_count = frame->first;
    close_anchor(b, frame->anchor, &frame->node, b->weight - frame->weight_before);
    return attach(b, frame->node,
                  (yaml_mark_t){.line = frame->node.line - 1, .column = frame->node.column - 1});
}

static int on_alias(struct builder *b, const yaml_event_t *event) {
    const char *name = (const char *)event->data.alias.anchor;
    yaml_mark_t at = event->start_mark;
    if (++b->aliases > YAML_ALIASES_MAX) {
        return refuse(b, at, "E0105", "more than 1000 aliases", "split the file");
    }
    for (size_t i = b->anchors.count; i > 0; i--) { // the latest of a name counts
        const struct anchor *anchor = &b->anchors.items[i - 1];
        if (strcmp(anchor->name, name) != 0) {
            continue;
        }
        if (anchor->value == NULL) {
            return refuse(b, at, "E0109",
                          arena_printf(b->arena, "'*%.100s' stands inside its own anchor", name), "");
        }
        struct yaml_node node = node_at(b, YAML_ALIAS, at);
        node.target = anchor->value;
        int rc = count_values(b, anchor->weight, at);
        return rc != 0 ? rc : attach(b, node, at);
    }
    return refuse(b, at, "E0109",
                  arena_printf(b->arena, "there is no anchor '&%.100s' before this alias", name),
                  "put the value in quotes if no alias is meant");
}

static int on_document_end(struct builder *b) {
    if (b->stack_count > 0 && b->stack[0].kind != YAML_NULL) {
        *ARENA_PUSH(b->arena, b->out) = b->stack[0];
    }
    b->stack_count = 0;
    b->anchors.count = 0;
    b->anchors.items = NULL;
    return 0;
}

static int on_event(struct builder *b, const yaml_event_t *event) {
    switch ((int)event->type) {
    case YAML_SCALAR_EVENT:
        return on_scalar(b, event);
    case YAML_SEQUENCE_START_EVENT:
        return on_open(b, YAML_LIST, event->data.sequence_start.anchor, event->data.sequence_start.tag,
                       event->start_mark);
    case YAML_MAPPING_START_EVENT:
        return on_open(b, YAML_MAP, event->data.mapping_start.anchor, event->data.mapping_start.tag,
                       event->start_mark);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return on_close(b);
    case YAML_ALIAS_EVENT:
        return on_alias(b, event);
    case YAML_DOCUMENT_START_EVENT:
        return count_values(b, 1, event->start_mark);
    case YAML_DOCUMENT_END_EVENT:
        return on_document_end(b);
    default:
        return 0;
    }
}

// --- syntax errors in our words ---

static const struct {
    const char *theirs, *ours, *hint;
} words[] = {
    {"mapping values are not allowed", "a ':' where no key can stand",
     "check the indentation, or put a text that holds ': ' in quotes"},
    {"did not find expected key", "this line fits neither the list nor the map it stands in",
     "check the indentation, or a quote before it"},
    {"could not find expected ':'", "a key without its ':'", "check the line before, too"},
    {"did not find expected '-'", "this line is not an item of the list it stands in",
     "start it with '- ', or check the indentation"},
    {"block sequence entries", "a '-' where no list can start", "check the indentation"},
    {"block mapping", "a key where no map can start", "check the indentation"},
    {"expected ',' or ']'", "a '[' is not closed, or a ',' is missing", ""},
    {"expected ',' or '}'", "a '{' is not closed, or a ',' is missing", ""},
    {"expected <document start>", "text after the end of the document", "start the next document with ---"},
    {"unexpected end of stream", "the file ends inside quotes", "close them"},
    {"unexpected document", "the document ends inside quotes", "close them"},
    {"unknown escape", "a '\\' escape that YAML does not know",
     "write '\\\\' for a backslash, or use single quotes"},
    {"escape", "a '\\' escape that YAML does not know", "write '\\\\' for a backslash, or use single quotes"},
    {"cannot start any token", "a value cannot start with this character", "put the value in quotes"},
    {"duplicate %YAML", "the directive %YAML is given twice", ""},
    {"directive", "a line that starts with % is not a directive that YAML knows",
     "put a value that starts with % in quotes"},
    {"incompatible YAML", "a version of YAML that is not known", "take away the %YAML line"},
    {"tag", "a tag that YAML cannot read", "put a value that starts with ! in quotes"},
    {"anchor", "an anchor or alias without a name", "put a value that starts with & or * in quotes"},
    {"expected digit", "a '|' or '>' with something odd behind it", "let the text start on the next line"},
    {"indentation indicator", "a '|' or '>' with something odd behind it",
     "let the text start on the next line"},
    {"comment or line break", "text after '|' or '>'", "let the text start on the next line"},
    {"node content", "a value is missing here", ""},
};

static int syntax_error(struct builder *b, const yaml_parser_t *parser, yaml_mark_t at) {
    const char *theirs = parser->problem != NULL ? parser->problem : "not YAML";
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strstr(theirs, words[i].theirs) != NULL) {
            return refuse(b, at, "E0102", words[i].ours, words[i].hint);
        }
    }
    return refuse(b, at, "E0102", arena_printf(b->arena, "not YAML: %s", theirs), "");
}

static yaml_mark_t mark_of_offset(const char *text, size_t len, size_t offset) {
    yaml_mark_t at = {0};
    for (size_t i = 0; i < offset && i < len; i++) {
        if (text[i] == '\n') {
            at.line++;
            at.column = 0;
        } else if (((unsigned char)text[i] & 0xC0) != 0x80) {
            at.column++;
        }
    }
    return at;
}

// The tab that the error is about: in the line's indentation, or right at the place.
static bool find_tab(const char *text, size_t len, yaml_mark_t *at) {
    size_t start = 0;
    for (size_t line = 0; line < at->line && start < len; start++) {
        line += text[start] == '\n';
    }
    for (size_t i = start; i < len && (text[i] == ' ' || text[i] == '\t' || text[i] == '-'); i++) {
        if (text[i] == '\t') {
            at->column = i - start;
            return true;
        }
    }
    return at->column < len - start && text[start + at->column] == '\t';
}

static int parser_problem(struct builder *b, const yaml_parser_t *parser, const char *text, size_t len) {
    if (parser->error == YAML_READER_ERROR) {
        bool is_control = parser->problem != NULL && strstr(parser->problem, "control") != NULL;
        yaml_mark_t at = mark_of_offset(text, len, parser->problem_offset);
        return is_control ? refuse(b, at, "E0110", "a control character",
                                   "write it as an escape in double quotes, like \"\\x1b\"")
                          : refuse(b, at, "E0111", "the file is not UTF-8 text", "");
    }
    if (parser->error == YAML_MEMORY_ERROR) {
        return refuse(b, parser->mark, "E0102", "out of memory", "");
    }
    yaml_mark_t at = parser->problem_mark;
    if (find_tab(text, len, &at)) {
        return refuse(b, at, "E0101", "a tab in the indentation", "YAML allows only blanks there");
    }
    return syntax_error(b, parser, at);
}

static int check_directives(struct builder *b, const char *text, size_t len) {
    size_t count = 0;
    for (const char *line = text; line != NULL && line < text + len;) {
        if (*line == '%' && ++count > DIRECTIVES_MAX) {
            return refuse(b, mark_of_offset(text, len, (size_t)(line - text)), "E0117",
                          "more than 16 lines that start with %", "");
        }
        line = memchr(line, '\n', (size_t)(text + len - line));
        line = line != NULL ? line + 1 : NULL;
    }
    return 0;
}

static int parse_events(struct builder *b, yaml_parser_t *parser, const char *text, size_t len) {
    for (int rc = 0;;) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event)) {
            return parser_problem(b, parser, text, len);
        }
        bool is_end = event.type == YAML_STREAM_END_EVENT;
        rc = on_event(b, &event);
        yaml_event_delete(&event);
        if (rc != 0 || is_end) {
            return rc;
        }
    }
}

int yaml_parse(const char *text, size_t len, uint16_t source, struct arena *arena, struct yaml_documents *out,
               struct yaml_problems *problems) {
    *problems = (struct yaml_problems){0};
    *out = (struct yaml_documents){0};
    struct builder b = {.arena = arena, .source = source, .problems = problems, .out = out};
    int rc = check_directives(&b, text, len);
    yaml_parser_t parser;
    if (rc != 0) {
        return rc;
    }
    if (!yaml_parser_initialize(&parser)) {
        return refuse(&b, (yaml_mark_t){0}, "E0102", "out of memory", "");
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    parse_events(&b, &parser, text, len);
    yaml_parser_delete(&parser);
    xfree(b.stack);
    return problems->count > 0;
}
