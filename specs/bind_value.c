// SPDX-License-Identifier: Apache-2.0
//
// specs/bind_value.c — single values, lists of strings, and maps of strings, from the tree into a member.
//
// Compose's oddities have their names here: a scalar health test has a kind of its own, an env_file may be a map
// with `path`, extra_hosts may be a map, an environment entry without a value comes from the client.
#include "specs/manifest_bind.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/str.h"
#include "specs/health.h"
#include "specs/walk.h"

// --- scalars ---

const char *bind_text(struct binder *b, const struct yaml_node *node, const struct bind_path *path) {
    const struct yaml_node *value = yaml_value(node);
    if (value->kind != YAML_SCALAR && value->kind != YAML_NULL) {
        bind_wrong_shape(b, node, path, "a single value");
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

void bind_scalar(struct binder *b, const struct field *field, const struct yaml_node *node, void *object,
                 const struct bind_path *path) {
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
        *out = health_test_from_text(text, b->arena);
    } else if ((field->flags & FIELD_ONE) != 0) {
        *ARENA_PUSH(b->arena, out) = text;
    } else {
        bind_wrong_shape(b, node, path, "a list");
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

void bind_strings(struct binder *b, const struct field *field, const struct yaml_node *node, void *object,
                  const struct bind_path *path) {
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
        bind_wrong_shape(b, node, path, "a list");
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

// An entry without a value: the client's environment for `environment`, nothing otherwise. False: leave it
// out, as Compose does.
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

void bind_pairs(struct binder *b, const struct field *field, const struct yaml_node *node, void *object,
                const struct bind_path *path) {
    const struct yaml_node *value = yaml_value(node);
    bool is_list = value->kind == YAML_LIST && (field->flags & FIELD_PAIRS_LIST) != 0;
    if (!is_list && value->kind != YAML_MAP) {
        bind_wrong_shape(b, node, path,
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
