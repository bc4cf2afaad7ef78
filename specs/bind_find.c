// SPDX-License-Identifier: Apache-2.0
//
// specs/bind_find.c — from a path like "ports[2].target" back to the place in the tree where it was
// written.
//
// Paths are made by rules and readers that know nothing of trees; keys may hold dots, lists may have been
// written as maps and maps as lists.
#include "specs/manifest_bind.h"

#include <string.h>

#include "base/limits.h"

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
