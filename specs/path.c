// SPDX-License-Identifier: Apache-2.0
//
// specs/path.c — one member of an object, found by its dotted path and set from text.
//
// For programs that change a single thing: options of commands, keys of long forms ("type=bind,source=/a").
#include <string.h>

#include "specs/manifest_bind.h"
#include "specs/walk.h"

// The nested object of a struct or optional member; an absent one is made.
static void *nested_of(const struct field *field, void *object, struct arena *arena) {
    if (field->kind == FIELD_STRUCT) {
        return member_at(field, object);
    }
    void *nested = (void *)(uintptr_t)member_pointer(field, object);
    if (nested == NULL) {
        nested = arena_alloc(arena, field->schema->bytes);
        schema_init(field->schema, nested);
        memcpy(member_at(field, object), &nested, sizeof nested);
    }
    return nested;
}

// The object that holds the member at the end of the path.
static void *holder_of(const struct schema *schema, void *object, const char *path, struct arena *arena,
                       const struct field **out) {
    const struct field *field = NULL;
    for (;;) {
        size_t len = strcspn(path, ".");
        char name[64];
        if (len >= sizeof name) {
            return NULL;
        }
        memcpy(name, path, len);
        name[len] = '\0';
        field = schema_field(schema, name);
        if (field == NULL || path[len] == '\0') {
            break;
        }
        if (field->kind != FIELD_STRUCT && field->kind != FIELD_OPTIONAL) {
            return NULL;
        }
        object = nested_of(field, object, arena);
        schema = field->schema;
        path += len + 1;
    }
    *out = field;
    return field != NULL ? object : NULL;
}

void *schema_at(const struct schema *schema, void *object, const char *path, struct arena *arena,
                const struct field **field) {
    void *holder = holder_of(schema, object, path, arena, field);
    return holder != NULL ? member_at(*field, holder) : NULL;
}

static int set_strings(const struct field *field, void *object, const char *text, struct arena *arena,
                       struct error *err) {
    struct strings strings = {0};
    if ((field->flags & FIELD_SPLIT) != 0 && !bind_split(text, arena, &strings)) {
        return error_set(err, ERR_INVALID, "'%s' has a quote that is not closed, or ends in a backslash",
                         text);
    }
    if ((field->flags & FIELD_SPLIT) == 0) {
        *ARENA_PUSH(arena, &strings) = arena_strdup(arena, text);
    }
    memcpy(member_at(field, object), &strings, sizeof strings);
    return 0;
}

int schema_set_text(const struct schema *schema, void *object, const char *path, const char *text,
                    struct arena *arena, struct error *err) {
    const struct field *field = NULL;
    void *holder = holder_of(schema, object, path, arena, &field);
    if (holder == NULL) {
        return error_set(err, ERR_NOT_FOUND, "'%s' is not a field of a %s", path, schema->name);
    }
    return field->kind == FIELD_STRINGS ? set_strings(field, holder, text, arena, err)
                                        : field_set_scalar(field, text, holder, arena, err);
}
