// SPDX-License-Identifier: Apache-2.0
//
// specs/compose_merge.c — one Compose file on top of another.
//
// Done on trees, before anything is read into structs, so that every value keeps the place where it was
// written. What to do with two values follows from the field's row: a single value is replaced, a struct merged
// field by field, a list of pairs by key, a list of structs by what tells its items apart (a mount's target, a
// port's two sides), another list is added to. Command lines, and the test of a health check, are replaced as a
// whole. Nothing (null) leaves what is below.
// Source: the Compose Specification, "Merge and override".
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "specs/manifest_reading.h"
#include "specs/resource.h"
#include "specs/service.h"

// A list or map under construction: two nodes a pair in a map.
struct nodes {
    size_t count;
    struct yaml_node *items;
};

struct merge {
    struct arena *arena;
};

// Two values of the same key in one: how follows from the map that they stand in.
typedef struct yaml_node (*merge_value_fn)(struct merge *m, const struct schema *schema, const char *key,
                                           const struct yaml_node *base, const struct yaml_node *over);
static struct yaml_node merge_map(struct merge *m, merge_value_fn merge_value, const struct schema *schema,
                                  const struct yaml_node *base, const struct yaml_node *over);

static void add(struct merge *m, struct nodes *nodes, const struct yaml_node *node) {
    *ARENA_PUSH(m->arena, nodes) = *node;
}

static struct yaml_node finish(const struct yaml_node *like, enum yaml_kind kind, const struct nodes *nodes) {
    struct yaml_node out = *like;
    out.kind = (uint8_t)kind;
    out.items = nodes->items;
    out.count = (uint32_t)(kind == YAML_MAP ? nodes->count / 2 : nodes->count);
    return out;
}

// --- lists as maps ---

// "KEY=value" or "KEY" as a pair; what is neither is a pair of itself, for the reader to complain about.
static void add_pair_of(struct merge *m, struct nodes *pairs, const struct yaml_node *item) {
    const struct yaml_node *text = yaml_value(item);
    struct yaml_node key = *text, value = *text;
    const char *sign = text->kind == YAML_SCALAR ? strchr(text->text, '=') : NULL;
    value.kind = YAML_NULL;
    value.text = "";
    if (sign != NULL) {
        key.text = arena_strndup(m->arena, text->text, (size_t)(sign - text->text));
        value = (struct yaml_node){.kind = YAML_SCALAR,
                                   .source = text->source,
                                   .line = text->line,
                                   .column = text->column,
                                   .text = sign + 1};
    }
    add(m, pairs, &key);
    add(m, pairs, &value);
}

// A list of pairs or names in the form of a map; false when it is something else.
static bool as_map(struct merge *m, const struct yaml_node *node, struct yaml_node *out) {
    struct nodes pairs = {0};
    if (node->kind != YAML_LIST) {
        *out = *node;
        return node->kind == YAML_MAP;
    }
    for (size_t i = 0; i < node->count; i++) {
        enum yaml_kind kind = (enum yaml_kind)yaml_value(&node->items[i])->kind;
        if (kind != YAML_SCALAR && kind != YAML_NULL) {
            return false;
        }
        add_pair_of(m, &pairs, &node->items[i]);
    }
    *out = finish(node, YAML_MAP, &pairs);
    return true;
}

// --- items of lists ---

static const char *text_of(const struct yaml_node *map, const char *key) {
    const struct yaml_node *node = yaml_get(map, key);
    node = node != NULL ? yaml_value(node) : NULL;
    return node != NULL && node->kind == YAML_SCALAR ? node->text : "";
}

static const char *port_key(struct merge *m, const struct yaml_node *item) {
    struct port port = {0};
    struct error err = {0};
    if (item->kind == YAML_MAP) {
        const char *protocol = text_of(item, "protocol");
        return arena_printf(m->arena, "%s:%s:%s/%s", text_of(item, "host_ip"), text_of(item, "published"),
                            text_of(item, "target"), protocol[0] != '\0' ? protocol : "tcp");
    }
    schema_init(&port_schema, &port);
    if (port_schema.from_short(item->text, &port, m->arena, &err) < 0) {
        return item->text;
    }
    static const char *const protocols[] = {"tcp", "udp", "sctp"};
    const char *published =
        port.published > 0 ? arena_printf(m->arena, "%lld", (long long)port.published) : "";
    return arena_printf(m->arena, "%s:%s:%lld/%s", port.host_ip != NULL ? port.host_ip : "", published,
                        (long long)port.target, protocols[port.protocol]);
}

static const char *mount_key(struct merge *m, const struct yaml_node *item) {
    struct mount mount = {0};
    struct error err = {0};
    if (item->kind == YAML_MAP) {
        return text_of(item, "target");
    }
    schema_init(&mount_schema, &mount);
    return mount_schema.from_short(item->text, &mount, m->arena, &err) < 0 ? item->text : mount.target;
}

static const char *file_key(const struct yaml_node *item) {
    const char *target = item->kind == YAML_MAP ? text_of(item, "target") : "";
    return target[0] != '\0' ? target : item->kind == YAML_MAP ? text_of(item, "source") : item->text;
}

// What tells an item from the others of its list; NULL: nothing does, it is always one more.
static const char *item_key(struct merge *m, const struct schema *schema, const struct yaml_node *item) {
    item = yaml_value(item);
    if (item->kind != YAML_MAP && item->kind != YAML_SCALAR) {
        return NULL;
    }
    if (schema == NULL) {
        return item->kind == YAML_SCALAR ? item->text : NULL;
    }
    return schema == &port_schema             ? port_key(m, item)
           : schema == &mount_schema          ? mount_key(m, item)
           : schema == &file_reference_schema ? file_key(item)
                                              : NULL;
}

// The items of `base`, each replaced by that of the same key in `over`; then those that are new.
static struct yaml_node merge_list(struct merge *m, const struct schema *schema, const struct yaml_node *base,
                                   const struct yaml_node *over) {
    struct nodes items = {0};
    const char **keys = ARENA_ARRAY(m->arena, const char *, base->count);
    for (size_t i = 0; i < base->count; i++) {
        add(m, &items, &base->items[i]);
        keys[i] = item_key(m, schema, &base->items[i]);
    }
    for (size_t i = 0; i < over->count; i++) {
        const char *key = item_key(m, schema, &over->items[i]);
        size_t at = 0;
        while (at < base->count && (key == NULL || keys[at] == NULL || strcmp(keys[at], key) != 0)) {
            at++;
        }
        if (at < base->count) {
            items.items[at] = over->items[i];
        } else {
            add(m, &items, &over->items[i]);
        }
    }
    return finish(over, YAML_LIST, &items);
}

// --- fields ---

static bool is_list_like(const struct yaml_node *node) {
    return node->kind == YAML_LIST || node->kind == YAML_SCALAR;
}

// A single value where a list of one is meant.
static struct yaml_node as_list(struct merge *m, const struct yaml_node *node) {
    struct nodes items = {0};
    if (node->kind == YAML_LIST) {
        return *node;
    }
    add(m, &items, node);
    return finish(node, YAML_LIST, &items);
}

static bool is_replaced(const struct schema *schema, const struct field *field) {
    return (field->flags & FIELD_SPLIT) != 0 ||
           (strcmp(schema->name, "health_check") == 0 && strcmp(field->name, "test") == 0);
}

static struct yaml_node merge_objects(struct merge *m, const struct schema *schema, const char *key,
                                      const struct yaml_node *base, const struct yaml_node *over);

// `schema` NULL: the keys are the user's own.
static struct yaml_node merge_field(struct merge *m, const struct schema *schema, const char *key,
                                    const struct yaml_node *base_at, const struct yaml_node *over_at) {
    const struct yaml_node *base = yaml_value(base_at);
    const struct yaml_node *over = yaml_value(over_at);
    const struct field *field = schema != NULL ? schema_field(schema, key) : NULL;
    if (over->kind == YAML_NULL || base->kind == YAML_NULL) {
        return over->kind == YAML_NULL ? *base_at : *over_at;
    }
    if (field == NULL || field->kind == FIELD_STRUCT || field->kind == FIELD_OPTIONAL) {
        bool are_maps = base->kind == YAML_MAP && over->kind == YAML_MAP;
        return are_maps ? merge_map(m, merge_field, field != NULL ? field->schema : NULL, base, over)
                        : *over_at;
    }
    bool is_keyed = field->kind == FIELD_PAIRS || (field->flags & FIELD_AS_MAP) != 0;
    bool is_list = (field->kind == FIELD_LIST || field->kind == FIELD_STRINGS) && !is_replaced(schema, field);
    struct yaml_node below, above;
    if (is_keyed && as_map(m, base, &below) && as_map(m, over, &above)) {
        return merge_map(m, merge_objects, field->schema, &below, &above);
    }
    if (!is_keyed && is_list && is_list_like(base) && is_list_like(over)) {
        below = as_list(m, base);
        above = as_list(m, over);
        return merge_list(m, field->schema, &below, &above);
    }
    return *over_at;
}

// Both are structs of the schema, whatever their key; without a schema they are single values.
static struct yaml_node merge_objects(struct merge *m, const struct schema *schema, const char *key,
                                      const struct yaml_node *base_at, const struct yaml_node *over_at) {
    const struct yaml_node *base = yaml_value(base_at);
    const struct yaml_node *over = yaml_value(over_at);
    (void)key;
    if (schema != NULL && base->kind == YAML_MAP && over->kind == YAML_MAP) {
        return merge_map(m, merge_field, schema, base, over);
    }
    return schema != NULL && over->kind == YAML_NULL ? *base_at : *over_at;
}

// Keys in the order of `base`, then those that are new.
static struct yaml_node merge_map(struct merge *m, merge_value_fn merge_value, const struct schema *schema,
                                  const struct yaml_node *base, const struct yaml_node *over) {
    struct nodes pairs = {0};
    for (size_t i = 0; i < base->count; i++) {
        const struct yaml_node *key = &base->items[2 * i];
        const struct yaml_node *on_top = yaml_get(over, key->text);
        struct yaml_node value = on_top != NULL ? merge_value(m, schema, key->text, key + 1, on_top) : key[1];
        add(m, &pairs, on_top != NULL ? on_top - 1 : key);
        add(m, &pairs, &value);
    }
    for (size_t i = 0; i < over->count; i++) {
        if (yaml_get(base, over->items[2 * i].text) == NULL) {
            add(m, &pairs, &over->items[2 * i]);
            add(m, &pairs, &over->items[2 * i + 1]);
        }
    }
    return finish(over, YAML_MAP, &pairs);
}

// "services", "volumes"…: maps of objects by name.
static struct yaml_node merge_sections(struct merge *m, const struct schema *schema, const char *key,
                                       const struct yaml_node *base, const struct yaml_node *over) {
    (void)schema;
    enum object_kind kind = object_kind_parse(key);
    bool is_section = kind != KIND_NONE && object_kind_is_declared(kind);
    bool are_maps = yaml_value(base)->kind == YAML_MAP && yaml_value(over)->kind == YAML_MAP;
    if (is_section && are_maps) {
        return merge_map(m, merge_objects, object_spec_schema(kind), yaml_value(base), yaml_value(over));
    }
    return yaml_value(over)->kind == YAML_NULL ? *base : *over;
}

struct yaml_node compose_merge(const struct yaml_node *base, const struct yaml_node *over,
                               struct arena *arena) {
    struct merge m = {arena};
    return merge_map(&m, merge_sections, NULL, base, over);
}
