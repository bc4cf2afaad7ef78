// SPDX-License-Identifier: Apache-2.0
//
// specs/bind_list.c — lists of structs: written as a list, or as a map by the key member; port ranges
// become several ports.
#include "specs/manifest_bind.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/str.h"
#include "specs/service.h"
#include "specs/walk.h"

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
    for (int64_t i = 0; i <= from[1] - from[0] && !bind_is_over(b, node); i++) {
        char one[64];
        snprintf(one, sizeof one, "%" PRId64 "%.8s", to[0] + i, suffix);
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
    for (size_t i = 0; i < value->count && !bind_is_over(b, &value->items[i]); i++) {
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
    for (size_t i = 0; i < value->count && !bind_is_over(b, &value->items[2 * i]); i++) {
        const char *name = value->items[2 * i].text;
        const struct bind_path below = {path, name, 0};
        void *item = list_push(b, field, list);
        memcpy(member_at(key, item), &name, sizeof name);
        bind_object(b, field->schema, &value->items[2 * i + 1], item, &below, NULL);
    }
}

void bind_list(struct binder *b, const struct field *field, const struct yaml_node *node, void *object,
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
        bind_wrong_shape(b, node, path, is_map ? "a list or a map" : "a list");
        return;
    }
    memcpy(member_at(field, object), &list, sizeof list);
}
