// SPDX-License-Identifier: Apache-2.0
//
// specs/schema.c — walking objects by their tables: defaults, equality, copies, canonical order.
//
// Members are reached by offset and read with memcpy, so that no aliasing rule is bent; lists share the
// layout {count, items}.
#include "specs/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/str.h"
#include "specs/walk.h"

const char *const consequence_names[CONSEQUENCE_COUNT] = {"nothing", "restart", "move", "data loss"};

const char *pairs_get(const struct pairs *pairs, const char *key) {
    for (size_t i = 0; i < pairs->count; i++) {
        if (strcmp(pairs->items[i].key, key) == 0) {
            return pairs->items[i].value;
        }
    }
    return NULL;
}

struct pairs pairs_set(struct arena *arena, const struct pairs *pairs, const char *key, const char *value) {
    struct pairs out = {0};
    bool placed = value == NULL;
    for (size_t i = 0; i < pairs->count; i++) {
        int order = strcmp(pairs->items[i].key, key);
        if (!placed && order >= 0) {
            *ARENA_PUSH(arena, &out) = (struct pair){key, value};
            placed = true;
        }
        if (order != 0) {
            *ARENA_PUSH(arena, &out) = pairs->items[i];
        }
    }
    if (!placed) {
        *ARENA_PUSH(arena, &out) = (struct pair){key, value};
    }
    return out;
}

// --- members (specs/walk.h) ---

void *member_at(const struct field *field, void *object) {
    return (char *)object + field->offset;
}

const void *member_of(const struct field *field, const void *object) {
    return (const char *)object + field->offset;
}

struct generic_list member_list(const struct field *field, const void *object) {
    struct generic_list list;
    memcpy(&list, member_of(field, object), sizeof list);
    return list;
}

const void *list_item(const struct field *field, struct generic_list list, size_t i) {
    return (const char *)list.items + i * field->schema->bytes;
}

int64_t member_int(const struct field *field, const void *object) {
    const void *member = member_of(field, object);
    if (field->kind == FIELD_BOOL) {
        bool value;
        memcpy(&value, member, sizeof value);
        return value;
    }
    if (field->kind == FIELD_ENUM) {
        int value;
        memcpy(&value, member, sizeof value);
        return value;
    }
    int64_t value;
    memcpy(&value, member, sizeof value);
    return value;
}

void member_set_int(const struct field *field, void *object, int64_t number) {
    void *member = member_at(field, object);
    if (field->kind == FIELD_BOOL) {
        bool value = number != 0;
        memcpy(member, &value, sizeof value);
    } else if (field->kind == FIELD_ENUM) {
        int value = (int)number;
        memcpy(member, &value, sizeof value);
    } else {
        memcpy(member, &number, sizeof number);
    }
}

double member_double(const struct field *field, const void *object) {
    double value;
    memcpy(&value, member_of(field, object), sizeof value);
    return value;
}

const char *member_text(const struct field *field, const void *object) {
    const char *value;
    memcpy(&value, member_of(field, object), sizeof value);
    return value != NULL ? value : "";
}

const void *member_pointer(const struct field *field, const void *object) {
    const void *value;
    memcpy(&value, member_of(field, object), sizeof value);
    return value;
}

struct bytes member_bytes(const struct field *field, const void *object) {
    struct bytes value;
    memcpy(&value, member_of(field, object), sizeof value);
    return value;
}

struct bytes schema_unknown(const struct schema *schema, const void *object) {
    struct bytes unknown = {0};
    if (schema->unknown_offset != SCHEMA_NO_UNKNOWN) {
        memcpy(&unknown, (const char *)object + schema->unknown_offset, sizeof unknown);
    }
    return unknown;
}

const char *field_default_text(const struct field *field) {
    return field->default_text != NULL ? field->default_text : "";
}

bool field_is_number(const struct field *field) {
    return field->kind <= FIELD_MODE || field->kind == FIELD_ENUM;
}

bool field_is_default(const struct field *field, const void *object) {
    switch ((enum field_kind)field->kind) {
    case FIELD_BOOL:
    case FIELD_INT:
    case FIELD_DURATION:
    case FIELD_SIZE:
    case FIELD_CPUS:
    case FIELD_TIME:
    case FIELD_MODE:
    case FIELD_ENUM:
        return member_int(field, object) == field->default_int;
    case FIELD_RATIO:
        return !(member_double(field, object) < field->default_ratio ||
                 member_double(field, object) > field->default_ratio);
    case FIELD_STRING:
        return strcmp(member_text(field, object), field_default_text(field)) == 0;
    case FIELD_ID:
        return ((const char *)member_of(field, object))[0] == '\0';
    case FIELD_BLOB:
        return member_bytes(field, object).len == 0;
    case FIELD_STRINGS:
    case FIELD_PAIRS:
    case FIELD_LIST:
        return member_list(field, object).count == 0;
    case FIELD_STRUCT:
        return schema_is_default(field->schema, member_of(field, object));
    case FIELD_OPTIONAL:
        return member_pointer(field, object) == NULL;
    }
    UNREACHABLE("field kind");
}

bool schema_is_default(const struct schema *schema, const void *object) {
    for (unsigned i = 0; i < schema->count; i++) {
        if (!field_is_default(&schema->fields[i], object)) {
            return false;
        }
    }
    return schema_unknown(schema, object).len == 0;
}

// --- lookups ---

const struct field *schema_field(const struct schema *schema, const char *name) {
    for (unsigned i = 0; i < schema->count; i++) {
        if (strcmp(schema->fields[i].name, name) == 0) {
            return &schema->fields[i];
        }
    }
    return NULL;
}

const struct field *schema_nearest(const struct schema *schema, const char *name) {
    const char *names[256];
    size_t count = 0;
    for (unsigned i = 0; i < schema->count && count < 256; i++) {
        if ((schema->fields[i].flags & (FIELD_HIDDEN | FIELD_STATUS)) == 0) {
            names[count++] = schema->fields[i].name;
        }
    }
    const char *nearest = str_nearest(name, names, count);
    return nearest != NULL ? schema_field(schema, nearest) : NULL;
}

const struct field *schema_path(const struct schema *schema, const char *path) {
    const struct field *field = NULL;
    while (*path != '\0') {
        size_t len = strcspn(path, ".");
        char name[64];
        if (schema == NULL || len >= sizeof name) {
            return NULL;
        }
        memcpy(name, path, len);
        name[len] = '\0';
        field = schema_field(schema, name);
        if (field == NULL) {
            return NULL;
        }
        schema = field->schema;
        path += len + (path[len] == '.');
    }
    return field;
}

// --- defaults ---

static void field_init(const struct field *field, void *object) {
    void *member = member_at(field, object);
    if (field_is_number(field)) {
        member_set_int(field, object, field->default_int);
    } else if (field->kind == FIELD_RATIO) {
        memcpy(member, &field->default_ratio, sizeof field->default_ratio);
    } else if (field->kind == FIELD_STRING) {
        const char *text = field_default_text(field);
        memcpy(member, &text, sizeof text);
    } else if (field->kind == FIELD_STRUCT) {
        schema_init(field->schema, member);
    }
}

void schema_init(const struct schema *schema, void *object) {
    memset(object, 0, schema->bytes);
    for (unsigned i = 0; i < schema->count; i++) {
        field_init(&schema->fields[i], object);
    }
}

// --- equality and order ---

static int bytes_compare(struct bytes a, struct bytes b) {
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len > 0 ? memcmp(a.data, b.data, len) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int strings_compare(struct generic_list a, struct generic_list b) {
    const char *const *x = a.items;
    const char *const *y = b.items;
    for (size_t i = 0; i < a.count && i < b.count; i++) {
        int order = strcmp(x[i], y[i]);
        if (order != 0) {
            return order;
        }
    }
    return (a.count > b.count) - (a.count < b.count);
}

static int pairs_compare(struct generic_list a, struct generic_list b) {
    const struct pair *x = a.items;
    const struct pair *y = b.items;
    for (size_t i = 0; i < a.count && i < b.count; i++) {
        int order = strcmp(x[i].key, y[i].key);
        order = order != 0 ? order : strcmp(x[i].value, y[i].value);
        if (order != 0) {
            return order;
        }
    }
    return (a.count > b.count) - (a.count < b.count);
}

static int schema_compare(const struct schema *schema, const void *a, const void *b);

static int optional_compare(const struct schema *schema, const void *a, const void *b) {
    return a == NULL || b == NULL ? (a != NULL) - (b != NULL) : schema_compare(schema, a, b);
}

static int list_compare(const struct field *field, struct generic_list a, struct generic_list b) {
    for (size_t i = 0; i < a.count && i < b.count; i++) {
        int order = schema_compare(field->schema, list_item(field, a, i), list_item(field, b, i));
        if (order != 0) {
            return order;
        }
    }
    return (a.count > b.count) - (a.count < b.count);
}

int field_compare(const struct field *field, const void *a, const void *b) {
    if (field_is_number(field)) {
        int64_t x = member_int(field, a);
        int64_t y = member_int(field, b);
        return (x > y) - (x < y);
    }
    switch ((int)field->kind) {
    case FIELD_RATIO:
        return (member_double(field, a) > member_double(field, b)) -
               (member_double(field, a) < member_double(field, b));
    case FIELD_STRING:
        return strcmp(member_text(field, a), member_text(field, b));
    case FIELD_ID:
        return id_compare(member_of(field, a), member_of(field, b));
    case FIELD_BLOB:
        return bytes_compare(member_bytes(field, a), member_bytes(field, b));
    case FIELD_STRINGS:
        return strings_compare(member_list(field, a), member_list(field, b));
    case FIELD_PAIRS:
        return pairs_compare(member_list(field, a), member_list(field, b));
    case FIELD_STRUCT:
        return schema_compare(field->schema, member_of(field, a), member_of(field, b));
    case FIELD_OPTIONAL:
        return optional_compare(field->schema, member_pointer(field, a), member_pointer(field, b));
    default:
        return list_compare(field, member_list(field, a), member_list(field, b));
    }
}

static int schema_compare(const struct schema *schema, const void *a, const void *b) {
    for (unsigned i = 0; i < schema->count; i++) {
        int order = field_compare(&schema->fields[i], a, b);
        if (order != 0) {
            return order;
        }
    }
    return bytes_compare(schema_unknown(schema, a), schema_unknown(schema, b));
}

bool schema_equal(const struct schema *schema, const void *a, const void *b) {
    return schema_compare(schema, a, b) == 0;
}

// --- deep copy ---

static void schema_copy_into(const struct schema *schema, void *out, const void *object, struct arena *arena);

static void strings_copy(void *member, struct arena *arena) {
    struct strings strings;
    memcpy(&strings, member, sizeof strings);
    const char **items = ARENA_ARRAY(arena, const char *, strings.count);
    for (size_t i = 0; i < strings.count; i++) {
        items[i] = arena_strdup(arena, strings.items[i]);
    }
    strings.items = items;
    memcpy(member, &strings, sizeof strings);
}

static void pairs_copy(void *member, struct arena *arena) {
    struct pairs pairs;
    memcpy(&pairs, member, sizeof pairs);
    struct pair *items = ARENA_ARRAY(arena, struct pair, pairs.count);
    for (size_t i = 0; i < pairs.count; i++) {
        items[i] =
            (struct pair){arena_strdup(arena, pairs.items[i].key), arena_strdup(arena, pairs.items[i].value)};
    }
    pairs.items = items;
    memcpy(member, &pairs, sizeof pairs);
}

static void list_copy(const struct field *field, void *member, struct arena *arena) {
    struct generic_list list;
    memcpy(&list, member, sizeof list);
    char *items = arena_array(arena, list.count, field->schema->bytes);
    for (size_t i = 0; i < list.count; i++) {
        schema_copy_into(field->schema, items + i * field->schema->bytes, list_item(field, list, i), arena);
    }
    list.items = items;
    memcpy(member, &list, sizeof list);
}

static void bytes_copy(void *member, struct arena *arena) {
    struct bytes value;
    memcpy(&value, member, sizeof value);
    value.data = value.len > 0 ? arena_copy(arena, value.data, value.len) : NULL;
    memcpy(member, &value, sizeof value);
}

// The member holds a shallow copy already.
static void field_copy(const struct field *field, void *object, struct arena *arena) {
    void *member = member_at(field, object);
    if (field->kind == FIELD_STRING) {
        const char *text = arena_strdup(arena, member_text(field, object));
        memcpy(member, &text, sizeof text);
    } else if (field->kind == FIELD_BLOB) {
        bytes_copy(member, arena);
    } else if (field->kind == FIELD_STRINGS) {
        strings_copy(member, arena);
    } else if (field->kind == FIELD_PAIRS) {
        pairs_copy(member, arena);
    } else if (field->kind == FIELD_LIST) {
        list_copy(field, member, arena);
    } else if (field->kind == FIELD_STRUCT) {
        schema_copy_into(field->schema, member, member, arena);
    } else if (field->kind == FIELD_OPTIONAL && member_pointer(field, object) != NULL) {
        void *copy = schema_copy(field->schema, member_pointer(field, object), arena);
        memcpy(member, &copy, sizeof copy);
    }
}

static void schema_copy_into(const struct schema *schema, void *out, const void *object,
                             struct arena *arena) {
    memmove(out, object, schema->bytes);
    for (unsigned i = 0; i < schema->count; i++) {
        field_copy(&schema->fields[i], out, arena);
    }
    if (schema->unknown_offset != SCHEMA_NO_UNKNOWN) {
        bytes_copy((char *)out + schema->unknown_offset, arena);
    }
}

void *schema_copy(const struct schema *schema, const void *object, struct arena *arena) {
    void *copy = arena_alloc(arena, schema->bytes);
    schema_copy_into(schema, copy, object, arena);
    return copy;
}

// --- canonical order ---

static int compare_strings(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int compare_pairs(const void *a, const void *b) {
    return strcmp(((const struct pair *)a)->key, ((const struct pair *)b)->key);
}

static int compare_objects(const void *a, const void *b, void *schema) {
    return schema_compare(schema, a, b);
}

static void list_canonicalize(const struct field *field, void *object) {
    struct generic_list list = member_list(field, object);
    for (size_t i = 0; i < list.count; i++) {
        schema_canonicalize(field->schema, (char *)list.items + i * field->schema->bytes);
    }
    if ((field->flags & FIELD_UNORDERED) != 0 && list.count > 1) {
        qsort_r(list.items, list.count, field->schema->bytes, compare_objects,
                (void *)(uintptr_t)field->schema);
    }
}

void schema_canonicalize(const struct schema *schema, void *object) {
    for (unsigned i = 0; i < schema->count; i++) {
        const struct field *field = &schema->fields[i];
        struct generic_list list = field->kind == FIELD_STRINGS || field->kind == FIELD_PAIRS
                                       ? member_list(field, object)
                                       : (struct generic_list){0};
        if (field->kind == FIELD_LIST) {
            list_canonicalize(field, object);
        } else if (field->kind == FIELD_STRUCT) {
            schema_canonicalize(field->schema, member_at(field, object));
        } else if (field->kind == FIELD_OPTIONAL && member_pointer(field, object) != NULL) {
            schema_canonicalize(field->schema, (void *)(uintptr_t)member_pointer(field, object));
        } else if (field->kind == FIELD_PAIRS && list.count > 1) {
            qsort(list.items, list.count, sizeof(struct pair), compare_pairs);
        } else if (field->kind == FIELD_STRINGS && (field->flags & FIELD_UNORDERED) != 0 && list.count > 1) {
            qsort(list.items, list.count, sizeof(char *), compare_strings);
        }
    }
}
