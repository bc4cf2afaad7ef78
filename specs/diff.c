// SPDX-License-Identifier: Apache-2.0
//
// specs/diff.c — what differs between two objects, field by field, and what each difference does to running
// tasks.
//
// Maps are compared by key, lists of structs by their key member where they have one, other lists as a
// whole when short or by position.
#include <string.h>

#include "base/str.h"
#include "specs/walk.h"

struct differ {
    struct arena *arena;
    struct differences *out;
};

static void add(struct differ *d, const struct field *field, const char *path, const char *old_text,
                const char *new_text) {
    *ARENA_PUSH(d->arena, d->out) = (struct difference){.path = path,
                                                        .old_text = old_text,
                                                        .new_text = new_text,
                                                        .consequence = field->consequence,
                                                        .field = field};
    if (field->consequence > d->out->worst) {
        d->out->worst = field->consequence;
    }
}

static const char *join(struct differ *d, const char *path, const char *name) {
    return path[0] == '\0' ? name : arena_printf(d->arena, "%s.%s", path, name);
}

// A whole value on one line, for the two sides of a difference; NULL when it is the default.
static const char *value_text(struct differ *d, const struct field *field, const void *object) {
    if (field_is_default(field, object)) {
        return field->kind == FIELD_STRING || !field_is_number(field) ? NULL : "";
    }
    if ((field->flags & FIELD_SECRET) != 0) {
        return "(secret)";
    }
    AUTO_BUF text = buf_make(0);
    struct generic_list list = {0};
    if (field->kind == FIELD_STRINGS) {
        list = member_list(field, object);
        buf_addc(&text, '[');
        for (size_t i = 0; i < list.count; i++) {
            buf_addf(&text, "%s%s", i > 0 ? ", " : "", ((const char *const *)list.items)[i]);
        }
        buf_addc(&text, ']');
    } else if (field->kind == FIELD_BLOB) {
        buf_addf(&text, "(%zu bytes)", member_bytes(field, object).len);
    } else {
        field_scalar_text(field, object, &text);
    }
    return arena_strndup(d->arena, buf_text(&text), text.len);
}

static const char *default_text(struct differ *d, const struct field *field, const void *object) {
    AUTO_BUF text = buf_make(0);
    field_scalar_text(field, object, &text);
    return arena_strndup(d->arena, buf_text(&text), text.len);
}

static void diff_objects(struct differ *d, const struct schema *schema, const char *path, const void *a,
                         const void *b);

static void diff_scalar(struct differ *d, const struct field *field, const char *path, const void *a,
                        const void *b) {
    const char *old_text = value_text(d, field, a);
    const char *new_text = value_text(d, field, b);
    // A number that equals its default still has a value worth showing.
    old_text = old_text != NULL && old_text[0] == '\0' ? default_text(d, field, a) : old_text;
    new_text = new_text != NULL && new_text[0] == '\0' ? default_text(d, field, b) : new_text;
    add(d, field, path, old_text, new_text);
}

static void diff_pairs(struct differ *d, const struct field *field, const char *path, const void *a,
                       const void *b) {
    struct pairs old_pairs;
    struct pairs new_pairs;
    memcpy(&old_pairs, member_of(field, a), sizeof old_pairs);
    memcpy(&new_pairs, member_of(field, b), sizeof new_pairs);
    for (size_t i = 0; i < old_pairs.count; i++) {
        const char *value = pairs_get(&new_pairs, old_pairs.items[i].key);
        if (value == NULL || strcmp(value, old_pairs.items[i].value) != 0) {
            add(d, field, join(d, path, old_pairs.items[i].key), old_pairs.items[i].value, value);
        }
    }
    for (size_t i = 0; i < new_pairs.count; i++) {
        if (pairs_get(&old_pairs, new_pairs.items[i].key) == NULL) {
            add(d, field, join(d, path, new_pairs.items[i].key), NULL, new_pairs.items[i].value);
        }
    }
}

static const char *item_text(struct differ *d, const struct schema *schema, const void *item) {
    AUTO_BUF text = buf_make(0);
    if (schema->to_short == NULL || !schema->to_short(item, &text)) {
        buf_clear(&text);
        json_write(schema, item, JSON_COMPACT, 0, &text);
    }
    return arena_strndup(d->arena, buf_text(&text), text.len);
}

static const struct field *key_field(const struct schema *schema) {
    for (unsigned i = 0; i < schema->count; i++) {
        if ((schema->fields[i].flags & FIELD_KEY) != 0) {
            return &schema->fields[i];
        }
    }
    return NULL;
}

// The item of `list` that is the same thing as `item`: the same key, or the same position.
static const void *list_find(const struct field *field, struct generic_list list, const struct field *key,
                             const void *item, size_t position) {
    if (key == NULL) {
        return position < list.count ? list_item(field, list, position) : NULL;
    }
    for (size_t i = 0; i < list.count; i++) {
        if (field_compare(key, list_item(field, list, i), item) == 0) {
            return list_item(field, list, i);
        }
    }
    return NULL;
}

static void diff_list(struct differ *d, const struct field *field, const char *path, const void *a,
                      const void *b) {
    struct generic_list old_list = member_list(field, a);
    struct generic_list new_list = member_list(field, b);
    const struct field *key = key_field(field->schema);
    size_t count = old_list.count > new_list.count ? old_list.count : new_list.count;
    for (size_t i = 0; i < count; i++) {
        const void *old_item = i < old_list.count ? list_item(field, old_list, i) : NULL;
        const void *new_item = i < new_list.count ? list_item(field, new_list, i) : NULL;
        const void *shown = old_item != NULL ? old_item : new_item;
        AUTO_BUF label = buf_make(0);
        if (key != NULL) {
            field_scalar_text(key, shown, &label);
        } else {
            buf_addf(&label, "%zu", i);
        }
        const char *item_path = arena_printf(d->arena, "%s[%s]", path, buf_text(&label));
        if (old_item != NULL) {
            const void *other = list_find(field, new_list, key, old_item, i);
            if (other == NULL || !schema_equal(field->schema, old_item, other)) {
                add(d, field, item_path, item_text(d, field->schema, old_item),
                    other != NULL ? item_text(d, field->schema, other) : NULL);
            }
        }
        if (new_item != NULL && list_find(field, old_list, key, new_item, i) == NULL) {
            if (key != NULL) {
                buf_clear(&label);
                field_scalar_text(key, new_item, &label);
                item_path = arena_printf(d->arena, "%s[%s]", path, buf_text(&label));
            }
            add(d, field, item_path, NULL, item_text(d, field->schema, new_item));
        }
    }
}

static void diff_optional(struct differ *d, const struct field *field, const char *path, const void *a,
                          const void *b) {
    const void *old_object = member_pointer(field, a);
    const void *new_object = member_pointer(field, b);
    if (old_object != NULL && new_object != NULL) {
        diff_objects(d, field->schema, path, old_object, new_object);
    } else {
        add(d, field, path, old_object != NULL ? item_text(d, field->schema, old_object) : NULL,
            new_object != NULL ? item_text(d, field->schema, new_object) : NULL);
    }
}

static void diff_objects(struct differ *d, const struct schema *schema, const char *path, const void *a,
                         const void *b) {
    for (unsigned i = 0; i < schema->count; i++) {
        const struct field *field = &schema->fields[i];
        if (field_compare(field, a, b) == 0 || (field->flags & FIELD_SEALED) != 0) {
            continue;
        }
        const char *field_path = join(d, path, field->name);
        switch ((int)field->kind) {
        case FIELD_STRUCT:
            diff_objects(d, field->schema, field_path, member_of(field, a), member_of(field, b));
            break;
        case FIELD_OPTIONAL:
            diff_optional(d, field, field_path, a, b);
            break;
        case FIELD_PAIRS:
            diff_pairs(d, field, field_path, a, b);
            break;
        case FIELD_LIST:
            diff_list(d, field, field_path, a, b);
            break;
        default:
            diff_scalar(d, field, field_path, a, b);
            break;
        }
    }
}

void schema_diff(const struct schema *schema, const void *old_object, const void *new_object,
                 struct arena *arena, struct differences *out) {
    *out = (struct differences){0};
    diff_objects(&(struct differ){arena, out}, schema, "", old_object, new_object);
}
