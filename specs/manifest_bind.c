// SPDX-License-Identifier: Apache-2.0
//
// specs/manifest_bind.c — one function for each shape of field; the table says which.
//
// Compose's own oddities have their place here, each named: a scalar health test is CMD-SHELL, port ranges are several ports, an env_file may
// be a map with `path`, a generic resource hides in `discrete_resource_spec`, `bind.recursive` is a word, `extra_hosts` may be a map.
#include "specs/manifest_bind.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/str.h"
#include "specs/service.h"
#include "specs/walk.h"

// --- reporting ---

static void add_path(struct buf *out, const struct bind_path *path) {
    if (path == NULL) {
        return;
    }
    add_path(out, path->parent);
    if (path->name == NULL) {
        buf_addf(out, "[%zu]", path->index);
    } else {
        buf_addf(out, "%s%.200s", out->len > 0 ? "." : "", path->name);
    }
}

void bind_error(struct binder *b, const struct yaml_node *node, const char *code,
                const struct bind_path *path, const char *hint, const char *format, ...) {
    AUTO_BUF text = buf_make(4096);
    va_list args;
    va_start(args, format);
    buf_addv(&text, format, args);
    va_end(args);
    AUTO_BUF where = buf_make(4096);
    add_path(&where, path);
    struct place at = {.line = node->line, .column = node->column};
    if (node->kind == YAML_ALIAS) { // wrong is what stands at the anchor; it is needed here
        buf_addf(&text, "; used at line %u:%u through an alias", node->line, node->column);
        at = (struct place){.line = node->target->line, .column = node->target->column};
    }
    reporter_add(b->reporter, at, code, buf_text(&where), hint, "%s", buf_text(&text));
}

static const char *kind_words(const struct yaml_node *node) {
    node = yaml_value(node);
    return node->kind == YAML_LIST ? "a list" : node->kind == YAML_MAP ? "a map" : "a single value";
}

static void wrong_shape(struct binder *b, const struct yaml_node *node, const struct bind_path *path,
                        const char *wanted) {
    const char *name = path != NULL && path->name != NULL ? path->name : "this item";
    bind_error(b, node, "E0301", path, "", "'%.200s' needs %s, not %s", name, wanted, kind_words(node));
}

// What one file may take: refused once, then nothing more is bound.
static bool is_over(struct binder *b, const struct yaml_node *node) {
    if (!b->is_over && b->arena->used_bytes - b->bytes_start > b->bytes_max) {
        b->is_over = true;
        bind_error(b, node, "E0118", NULL, "split the file", "what the file declares needs more than %zu KiB",
                   b->bytes_max / KIB);
    }
    return b->is_over;
}

// --- scalars ---

const char *bind_text(struct binder *b, const struct yaml_node *node, const struct bind_path *path) {
    const struct yaml_node *value = yaml_value(node);
    if (value->kind != YAML_SCALAR && value->kind != YAML_NULL) {
        wrong_shape(b, node, path, "a single value");
        return NULL;
    }
    const char *text = value->kind == YAML_NULL ? "" : value->text;
    if (!b->interpolates) {
        return text;
    }
    const char *out;
    const char *unset;
    switch (interpolate(text, b->variables, b->arena, &out, &unset)) {
    case INTERPOLATION_DONE:
        if (unset != NULL) {
            bind_error(b, node, "W0603", path, "", "variable %.100s is not set and stands for nothing",
                       unset);
        }
        return out;
    case INTERPOLATION_REQUIRED:
        bind_error(b, node, "E0402", path, "set it in the environment or in .env", "%s", out);
        return NULL;
    case INTERPOLATION_SYNTAX:
        break;
    }
    bind_error(b, node, "E0401", path, "write $$ for a plain dollar", "%s", out);
    return NULL;
}

static const char *scalar_code(const struct field *field) {
    switch ((int)field->kind) {
    case FIELD_BOOL:
        return "E0302";
    case FIELD_DURATION:
        return "E0304";
    case FIELD_SIZE:
        return "E0311";
    case FIELD_CPUS:
        return "E0312";
    case FIELD_ENUM:
        return "E0313";
    case FIELD_TIME:
        return "E0314";
    case FIELD_MODE:
        return "E0315";
    case FIELD_RATIO:
        return "E0316";
    default:
        return "E0303";
    }
}

static void bind_blob(struct binder *b, const struct field *field, const struct yaml_node *node,
                      const char *text, void *object, const struct bind_path *path);

static void bind_scalar(struct binder *b, const struct field *field, const struct yaml_node *node,
                        void *object, const struct bind_path *path) {
    const char *text = bind_text(b, node, path);
    struct error err = {0};
    if (text == NULL) {
        return;
    }
    if (field->kind == FIELD_BLOB) {
        bind_blob(b, field, node, text, object, path);
    } else if (field->kind == FIELD_STRING) {
        memcpy(member_at(field, object), &text, sizeof text); // lives in the tree, in the same arena
    } else if (field_set_scalar(field, text, object, b->arena, &err) < 0) {
        bind_error(b, node, scalar_code(field), path, "", "%s", err.root);
    }
}

static int base64_digit(char c) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c != '\0' ? strchr(digits, c) : NULL;
    return at != NULL ? (int)(at - digits) : -1;
}

// Blanks and line ends are skipped; padding may be left out.
static bool base64_decode(const char *text, uint8_t *out, size_t *out_len) {
    uint32_t bits = 0;
    unsigned have = 0;
    size_t len = 0;
    size_t padding = 0;
    for (; *text != '\0'; text++) {
        if (*text == ' ' || *text == '\n') {
            continue;
        }
        int digit = base64_digit(*text);
        padding += *text == '=';
        if ((digit < 0 && *text != '=') || (digit >= 0 && padding > 0) || padding > 2) {
            return false;
        }
        if (digit >= 0) {
            bits = (bits << 6) | (uint32_t)digit;
            have += 6;
            if (have >= 8) {
                have -= 8;
                out[len++] = (uint8_t)(bits >> have);
            }
        }
    }
    *out_len = len;
    return have < 6;
}

static void bind_blob(struct binder *b, const struct field *field, const struct yaml_node *node,
                      const char *text, void *object, const struct bind_path *path) {
    uint8_t *data = arena_alloc(b->arena, strlen(text) + 1);
    struct bytes bytes = {.data = data};
    if (!base64_decode(text, data, &bytes.len)) {
        bind_error(b, node, "E0319", path, "", "'%s' needs base64", field->name);
        return;
    }
    memcpy(member_at(field, object), &bytes, sizeof bytes);
}

// --- lists of strings ---

bool bind_split(const char *text, struct arena *arena, struct strings *out) {
    char *word = arena_alloc(arena, strlen(text) + 1);
    size_t len = 0;
    bool in_word = false;
    char quote = '\0';
    for (;; text++) {
        char c = *text;
        if (c == '\0' && quote != '\0') {
            return false;
        }
        if (quote == '\0' && (c == '\0' || strchr(" \t\n", c) != NULL)) {
            if (in_word) {
                *ARENA_PUSH(arena, out) = arena_strndup(arena, word, len);
            }
            in_word = false;
            len = 0;
            if (c == '\0') {
                return true;
            }
            continue;
        }
        in_word = true;
        if (quote != '\0' ? c == quote : c == '\'' || c == '"') {
            quote = quote != '\0' ? '\0' : c;
        } else if (c == '\\' && quote != '\'' &&
                   (quote == '\0' || (text[1] != '\0' && strchr("\"\\$`", text[1]) != NULL))) {
            if (*++text == '\0') {
                return false;
            }
            word[len++] = *text;
        } else {
            word[len++] = c;
        }
    }
}

static void bind_one_string(struct binder *b, const struct field *field, const struct yaml_node *node,
                            struct strings *out, const struct bind_path *path) {
    const char *text = bind_text(b, node, path);
    if (text == NULL) {
        return;
    }
    if ((field->flags & FIELD_SPLIT) != 0) {
        if (!bind_split(text, b->arena, out)) {
            bind_error(b, node, "E0320", path, "or write a list: [program, argument]",
                       "a quote or backslash is left open");
        }
    } else if (strcmp(field->name, "test") == 0) {
        *ARENA_PUSH(b->arena, out) = "CMD-SHELL";
        *ARENA_PUSH(b->arena, out) = text;
    } else if ((field->flags & FIELD_ONE) != 0) {
        *ARENA_PUSH(b->arena, out) = text;
    } else {
        wrong_shape(b, node, path, "a list");
    }
}

static void bind_string_item(struct binder *b, const struct field *field, const struct yaml_node *node,
                             struct strings *out, const struct bind_path *path) {
    if (strcmp(field->name, "env_file") == 0 && yaml_value(node)->kind == YAML_MAP) {
        const struct yaml_node *file = yaml_get(node, "path");
        node = file != NULL ? file : node;
    }
    if (yaml_value(node)->kind == YAML_NULL) {
        bind_error(b, node, "E0301", path, "write '' for an empty text", "an item is empty");
        return;
    }
    const char *text = bind_text(b, node, path);
    if (text != NULL) {
        *ARENA_PUSH(b->arena, out) = text;
    }
}

static void bind_strings(struct binder *b, const struct field *field, const struct yaml_node *node,
                         void *object, const struct bind_path *path) {
    const struct yaml_node *value = yaml_value(node);
    struct strings out = {0};
    if (value->kind == YAML_SCALAR) {
        bind_one_string(b, field, node, &out, path);
    } else if (value->kind == YAML_LIST) {
        for (size_t i = 0; i < value->count; i++) {
            bind_string_item(b, field, &value->items[i], &out, &(struct bind_path){path, NULL, i});
        }
    } else if (strcmp(field->name, "extra_hosts") == 0) {
        for (size_t i = 0; i < value->count; i++) {
            const struct bind_path below = {path, value->items[2 * i].text, 0};
            const char *address = bind_text(b, &value->items[2 * i + 1], &below);
            *ARENA_PUSH(b->arena, &out) =
                arena_printf(b->arena, "%s:%s", value->items[2 * i].text, address != NULL ? address : "");
        }
    } else {
        wrong_shape(b, node, path, "a list");
    }
    memcpy(member_at(field, object), &out, sizeof out);
}

// --- pairs ---

struct sourced_pair {
    struct pair pair;
    const struct yaml_node *node;
    size_t order;
};

static int by_pair_key(const void *a, const void *b) {
    const struct sourced_pair *x = a;
    const struct sourced_pair *y = b;
    int order = strcmp(x->pair.key, y->pair.key);
    return order != 0 ? order : (x->order > y->order) - (x->order < y->order);
}

// An entry without a value: the client's environment for `environment`, nothing otherwise. False: leave it out, as Compose does.
static bool value_of_bare(struct binder *b, const struct field *field, struct pair *pair) {
    if (strcmp(field->name, "environment") != 0) {
        pair->value = "";
        return true;
    }
    pair->value = b->reads_environment ? variables_get(b->variables, pair->key) : NULL;
    return pair->value != NULL;
}

static bool pair_of_item(struct binder *b, const struct field *field, const struct yaml_node *node,
                         struct pair *out, const struct bind_path *path) {
    const char *text = bind_text(b, node, path);
    if (text == NULL) {
        return false;
    }
    const char *equal = strchr(text, '=');
    if (equal == text || text[0] == '\0') {
        bind_error(b, node, "E0318", path, "", "'%.200s' is not NAME=VALUE", text);
        return false;
    }
    *out = (struct pair){equal != NULL ? arena_strndup(b->arena, text, (size_t)(equal - text)) : text,
                         equal != NULL ? equal + 1 : ""};
    return equal != NULL || value_of_bare(b, field, out);
}

static bool pair_of_entry(struct binder *b, const struct field *field, const struct yaml_node *entry,
                          struct pair *out, const struct bind_path *path) {
    out->key = entry[0].text;
    const struct bind_path below = {path, out->key, 0};
    if (yaml_value(&entry[1])->kind == YAML_NULL) {
        return value_of_bare(b, field, out);
    }
    out->value = bind_text(b, &entry[1], &below);
    return out->value != NULL;
}

static void store_pairs(struct binder *b, struct sourced_pair *items, size_t count, const struct field *field,
                        void *object, const struct bind_path *path) {
    if (count > 1) {
        qsort(items, count, sizeof *items, by_pair_key);
    }
    struct pairs out = {.items = ARENA_ARRAY(b->arena, struct pair, count)};
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && strcmp(items[i].pair.key, items[i - 1].pair.key) == 0) {
            bind_error(b, items[i].node, "E0107", path, "again here",
                       "'%.200s' is given twice; the first is at line %u", items[i].pair.key,
                       items[i - 1].node->line);
            continue;
        }
        out.items[out.count++] = items[i].pair;
    }
    memcpy(member_at(field, object), &out, sizeof out);
}

static void bind_pairs(struct binder *b, const struct field *field, const struct yaml_node *node,
                       void *object, const struct bind_path *path) {
    const struct yaml_node *value = yaml_value(node);
    bool is_list = value->kind == YAML_LIST && (field->flags & FIELD_PAIRS_LIST) != 0;
    if (!is_list && value->kind != YAML_MAP) {
        wrong_shape(b, node, path,
                    (field->flags & FIELD_PAIRS_LIST) != 0 ? "a map or a list of NAME=VALUE" : "a map");
        return;
    }
    struct sourced_pair *items = ARENA_ARRAY(b->arena, struct sourced_pair, value->count);
    size_t count = 0;
    for (size_t i = 0; i < value->count; i++) {
        const struct yaml_node *entry = is_list ? &value->items[i] : &value->items[2 * i];
        const struct bind_path item = {path, NULL, i};
        struct pair pair = {"", ""};
        if (is_list ? pair_of_item(b, field, entry, &pair, &item)
                    : pair_of_entry(b, field, entry, &pair, path)) {
            items[count] = (struct sourced_pair){pair, entry, count};
            count++;
        }
    }
    store_pairs(b, items, count, field, object, path);
}

// --- lists of structs ---

static const struct field *key_field(const struct schema *schema) {
    for (unsigned i = 0; i < schema->count; i++) {
        if ((schema->fields[i].flags & FIELD_KEY) != 0) {
            return &schema->fields[i];
        }
    }
    return NULL;
}

static void *list_push(struct binder *b, const struct field *field, struct generic_list *list) {
    list->items = arena_grow(b->arena, list->items, list->count, field->schema->bytes);
    void *item = (char *)list->items + list->count++ * field->schema->bytes;
    schema_init(field->schema, item);
    return item;
}

// "8000-8002:9000-9002/udp" → one range each side; false when the text is no range.
static bool parse_range(const char *text, int64_t *first, int64_t *last) {
    char copy[16];
    if (!str_copy(copy, sizeof copy, text)) {
        return false;
    }
    char *dash = strchr(copy, '-');
    if (dash != NULL) {
        *dash++ = '\0';
    }
    return str_to_int(copy, first) && (dash == NULL || str_to_int(dash, last)) &&
           (dash != NULL || (*last = *first, true)) && *last >= *first && *last <= 65535;
}

static bool bind_port_range(struct binder *b, const struct field *field, const struct yaml_node *node,
                            struct generic_list *list, const struct bind_path *path) {
    const char *text = yaml_value(node)->kind == YAML_SCALAR ? bind_text(b, node, path) : NULL;
    if (text == NULL || strchr(text, '-') == NULL || strchr(text, '[') != NULL) {
        return false;
    }
    char *ports = arena_strdup(b->arena, text);
    char *protocol = strchr(ports, '/');
    const char *suffix = protocol != NULL ? arena_strdup(b->arena, protocol) : "";
    if (protocol != NULL) {
        *protocol = '\0';
    }
    char *target = strchr(ports, ':');
    if (target != NULL) {
        *target++ = '\0';
    }
    int64_t from[2];
    int64_t to[2];
    bool is_good = parse_range(ports, &from[0], &from[1]) &&
                   parse_range(target != NULL ? target : ports, &to[0], &to[1]) &&
                   from[1] - from[0] == to[1] - to[0] && from[1] - from[0] < LIST_ITEMS_MAX;
    if (!is_good) {
        bind_error(b, node, "E0317", path, "", "'%.100s' is not a range of ports like 8000-8010:9000-9010",
                   text);
        return true;
    }
    for (int64_t i = 0; i <= from[1] - from[0] && !is_over(b, node); i++) {
        char one[64];
        snprintf(one, sizeof one, "%lld%.8s", (long long)(to[0] + i), suffix);
        struct error err = {0};
        struct port *port = list_push(b, field, list);
        if (field->schema->from_short(one, port, b->arena, &err) < 0) {
            bind_error(b, node, "E0317", path, "", "%s", err.root);
            return true;
        }
        port->published = target != NULL ? from[0] + i : 0;
    }
    return true;
}

static void bind_list_items(struct binder *b, const struct field *field, const struct yaml_node *value,
                            struct generic_list *list, const struct bind_path *path) {
    for (size_t i = 0; i < value->count && !is_over(b, &value->items[i]); i++) {
        const struct yaml_node *item = &value->items[i];
        const struct bind_path below = {path, NULL, i};
        if (yaml_value(item)->kind == YAML_NULL) {
            bind_error(b, item, "E0301", &below, "", "an item is empty");
            continue;
        }
        const struct yaml_node *wrapped =
            strcmp(field->name, "generic_resources") == 0 ? yaml_get(item, "discrete_resource_spec") : NULL;
        if (field->schema == &port_schema && bind_port_range(b, field, item, list, &below)) {
            continue;
        }
        bind_object(b, field->schema, wrapped != NULL ? wrapped : item, list_push(b, field, list), &below,
                    NULL);
    }
}

static void bind_list_map(struct binder *b, const struct field *field, const struct yaml_node *value,
                          struct generic_list *list, const struct bind_path *path) {
    const struct field *key = key_field(field->schema);
    for (size_t i = 0; i < value->count && !is_over(b, &value->items[2 * i]); i++) {
        const char *name = value->items[2 * i].text;
        const struct bind_path below = {path, name, 0};
        void *item = list_push(b, field, list);
        memcpy(member_at(key, item), &name, sizeof name);
        bind_object(b, field->schema, &value->items[2 * i + 1], item, &below, NULL);
    }
}

static void bind_list(struct binder *b, const struct field *field, const struct yaml_node *node, void *object,
                      const struct bind_path *path) {
    const struct yaml_node *value = yaml_value(node);
    struct generic_list list = {0};
    bool is_map = (field->flags & FIELD_AS_MAP) != 0;
    if (field->max != 0 && (value->kind == YAML_LIST || value->kind == YAML_MAP) &&
        value->count > (uint64_t)field->max) {
        bind_error(b, node, "E0113", path, "", "'%s' holds more than %lld items", field->name,
                   (long long)field->max);
        return;
    }
    if (value->kind == YAML_LIST) {
        bind_list_items(b, field, value, &list, path);
    } else if (value->kind == YAML_MAP && is_map) {
        bind_list_map(b, field, value, &list, path);
    } else {
        wrong_shape(b, node, path, is_map ? "a list or a map" : "a list");
        return;
    }
    memcpy(member_at(field, object), &list, sizeof list);
}

// --- structs ---

static void bind_field(struct binder *b, const struct field *field, const struct yaml_node *node,
                       void *object, const struct bind_path *path) {
    if (yaml_value(node)->kind == YAML_NULL || is_over(b, node)) {
        return; // null: not given
    }
    switch ((enum field_kind)field->kind) {
    case FIELD_STRINGS:
        bind_strings(b, field, node, object, path);
        return;
    case FIELD_PAIRS:
        bind_pairs(b, field, node, object, path);
        return;
    case FIELD_LIST:
        bind_list(b, field, node, object, path);
        return;
    case FIELD_STRUCT:
        bind_object(b, field->schema, node, member_at(field, object), path, NULL);
        return;
    case FIELD_OPTIONAL: {
        void *nested = arena_alloc(b->arena, field->schema->bytes);
        schema_init(field->schema, nested);
        bind_object(b, field->schema, node, nested, path, NULL);
        memcpy(member_at(field, object), &nested, sizeof nested);
        return;
    }
    case FIELD_BOOL:
    case FIELD_INT:
    case FIELD_DURATION:
    case FIELD_SIZE:
    case FIELD_CPUS:
    case FIELD_TIME:
    case FIELD_MODE:
    case FIELD_RATIO:
    case FIELD_STRING:
    case FIELD_ENUM:
    case FIELD_ID:
    case FIELD_BLOB:
        bind_scalar(b, field, node, object, path);
        return;
    }
}

// The path of the first field with this name anywhere below `schema`; false when there is none.
static bool find_elsewhere(const struct schema *schema, const char *name, int depth, struct buf *out) {
    size_t len = out->len;
    for (unsigned i = 0; i < schema->count; i++) {
        const struct field *field = &schema->fields[i];
        if ((field->flags & (FIELD_HIDDEN | FIELD_STATUS)) == 0 && strcmp(field->name, name) == 0) {
            return true;
        }
    }
    for (unsigned i = 0; i < schema->count && depth < 4; i++) {
        const struct field *field = &schema->fields[i];
        if (field->schema == NULL) {
            continue;
        }
        buf_addf(out, "%s%s", len > 0 ? "." : "", field->name);
        if (find_elsewhere(field->schema, name, depth + 1, out)) {
            return true;
        }
        out->len = len;
    }
    return false;
}

// The field nearest in spelling among those of nested structs, "deploy.replicas" for "replica".
static bool find_near(const struct schema *schema, const char *name, int depth, struct buf *out) {
    size_t len = out->len;
    for (unsigned i = 0; i < schema->count && depth < 4; i++) {
        const struct field *field = &schema->fields[i];
        if (field->schema == NULL || field->kind == FIELD_LIST) {
            continue;
        }
        buf_addf(out, "%s%s", len > 0 ? "." : "", field->name);
        const struct field *nearest = schema_nearest(field->schema, name);
        if (nearest != NULL) {
            buf_addf(out, ".%s", nearest->name);
            return true;
        }
        if (find_near(field->schema, name, depth + 1, out)) {
            return true;
        }
        out->len = len;
    }
    return false;
}

static void hint_for_field(const struct binder *b, const struct schema *schema, const char *name,
                           struct buf *hint) {
    if (!reporter_has_room(b->reporter) || strlen(name) > 64) {
        return;
    }
    AUTO_BUF place = buf_make(1024);
    const struct field *nearest = schema_nearest(schema, name);
    if (find_elsewhere(b->root, name, 0, &place) && (place.len > 0 || schema != b->root)) {
        buf_addf(hint, place.len > 0 ? "it belongs under '%s'" : "it belongs further up, to the %s itself",
                 place.len > 0 ? buf_text(&place) : b->root->name);
        return;
    }
    buf_clear(&place);
    if (nearest != NULL) {
        buf_addf(hint, "did you mean '%s'?", nearest->name);
    } else if (find_near(schema, name, 0, &place)) {
        buf_addf(hint, "did you mean '%s'?", buf_text(&place));
    }
}

static void unknown_field(struct binder *b, const struct schema *schema, const struct yaml_node *key,
                          const struct bind_path *path) {
    AUTO_BUF hint = buf_make(1024);
    hint_for_field(b, schema, key->text, &hint);
    AUTO_BUF owner = buf_make(1024);
    add_path(&owner, path->parent);
    if (owner.len > 0) {
        bind_error(b, key, "E0231", path, buf_text(&hint), "'%.200s' is not a field of '%.200s'", key->text,
                   buf_text(&owner));
    } else {
        bind_error(b, key, "E0231", path, buf_text(&hint), "'%.200s' is not a field of a %s", key->text,
                   schema->name);
    }
}

static void bind_foreign(struct binder *b, const struct schema *schema, const struct yaml_node *pair,
                         void *object, const struct bind_path *path) {
    if (schema == schema_field(&mount_schema, "bind")->schema && strcmp(pair[0].text, "recursive") == 0) {
        const char *text = bind_text(b, &pair[1], path);
        ((struct mount_bind *)object)->recursive_off = text != NULL && strcmp(text, "disabled") == 0;
        return;
    }
    const struct foreign_key *foreign = foreign_key_find(schema->name, pair[0].text);
    if (foreign != NULL && foreign->text == NULL) {
        return; // read elsewhere
    }
    if (foreign == NULL) {
        unknown_field(b, schema, &pair[0], path);
    } else if (foreign->is_error) {
        bind_error(b, &pair[0], "E0233", path, foreign->text, "'%s' is not accepted here", foreign->key);
    } else {
        bind_error(b, &pair[0], "W0602", path, foreign->text, "'%s' is ignored", foreign->key);
    }
}

static void bind_pair(struct binder *b, const struct schema *schema, const struct yaml_node *pair,
                      void *object, const struct bind_path *path) {
    const char *name = pair[0].text;
    const struct field *field = schema_field(schema, name);
    const struct bind_path below = {path, name, 0};
    if (field != NULL && (field->flags & FIELD_STATUS) != 0) {
        bind_error(b, &pair[0], "E0232", &below, "", "'%s' is written by the system", name);
    } else if (field != NULL && (field->flags & FIELD_HIDDEN) == 0) {
        bind_field(b, field, &pair[1], object, &below);
    } else {
        bind_foreign(b, schema, pair, object, &below);
    }
}

static void bind_short(struct binder *b, const struct schema *schema, const struct yaml_node *node,
                       void *object, const struct bind_path *path) {
    const char *text = bind_text(b, node, path);
    struct error err = {0};
    if (text != NULL && schema->from_short(text, object, b->arena, &err) < 0) {
        bind_error(b, node, "E0317", path, "", "%s", err.root);
    }
}

bool bind_object(struct binder *b, const struct schema *schema, const struct yaml_node *node, void *object,
                 const struct bind_path *path, const char *extra_key) {
    const struct yaml_node *value = yaml_value(node);
    if (value->kind == YAML_NULL) {
        return true;
    }
    if (value->kind == YAML_SCALAR && schema->from_short != NULL) {
        bind_short(b, schema, node, object, path);
        return true;
    }
    if (value->kind != YAML_MAP) {
        wrong_shape(b, node, path, schema->from_short != NULL ? "its short form or a map" : "a map");
        return false;
    }
    for (size_t i = 0; i < value->count && !b->is_over; i++) {
        const struct yaml_node *pair = &value->items[2 * i];
        bool is_free =
            str_starts(pair[0].text, "x-") || (extra_key != NULL && strcmp(pair[0].text, extra_key) == 0);
        if (!is_free) {
            bind_pair(b, schema, pair, object, path);
        }
    }
    return true;
}

// --- positions ---

// The longest key of the map that `path` starts with; keys may hold dots.
static const struct yaml_node *longest_key(const struct yaml_node *map, const char *path, size_t *out_len) {
    const struct yaml_node *best = NULL;
    *out_len = 0;
    for (size_t i = 0; i < map->count; i++) {
        size_t len = strlen(map->items[2 * i].text);
        char next = strncmp(path, map->items[2 * i].text, len) == 0 ? path[len] : 'x';
        if ((next == '\0' || next == '.' || next == '[') && len > *out_len) {
            best = &map->items[2 * i];
            *out_len = len;
        }
    }
    return best;
}

// An item of a list by its name: "MODE" finds "MODE=fast", "nofile" finds itself.
static const struct yaml_node *named_item(const struct yaml_node *list, const char *path) {
    for (size_t i = 0; i < list->count; i++) {
        const struct yaml_node *item = yaml_value(&list->items[i]);
        size_t len = item->kind == YAML_SCALAR ? strcspn(item->text, "=:") : 0;
        if (len > 0 && strncmp(item->text, path, len) == 0 && (path[len] == '\0' || path[len] == '.')) {
            return &list->items[i];
        }
    }
    return NULL;
}

const struct yaml_node *bind_find(const struct yaml_node *root, const char *path, bool wants_value) {
    const struct yaml_node *found = root; // the key of a map where there is one: that is what people look for
    const struct yaml_node *written = root;
    const struct yaml_node *value = yaml_value(root);
    while (*path != '\0') {
        if (*path == '[') {
            const char *end = path + 1;
            size_t index = 0;
            for (; *end >= '0' && *end <= '9' && index < LIST_ITEMS_MAX; end++) {
                index = index * 10 + (size_t)(*end - '0');
            }
            bool is_map = value->kind == YAML_MAP;
            if ((value->kind != YAML_LIST && !is_map) || index >= value->count) {
                return found;
            }
            found = &value->items[is_map ? 2 * index : index];
            written = is_map ? found + 1 : found;
            value = yaml_value(written);
            path = end + (*end == ']');
        } else if (value->kind == YAML_MAP) {
            size_t len;
            const struct yaml_node *key = longest_key(value, path, &len);
            if (key == NULL) {
                return found;
            }
            found = key;
            written = key + 1;
            value = yaml_value(written);
            path += len;
        } else {
            const struct yaml_node *item = value->kind == YAML_LIST ? named_item(value, path) : NULL;
            return item != NULL ? item : found;
        }
        path += *path == '.';
    }
    return wants_value && written->kind == YAML_SCALAR ? written : found;
}
