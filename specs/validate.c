// SPDX-License-Identifier: Apache-2.0
//
// specs/validate.c — the checks that every object passes, wherever it came from: ranges and required fields
// by the rows, then each schema's own rules.
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/str.h"
#include "base/units.h"
#include "specs/walk.h"

__attribute__((format(printf, 4, 0))) static void report(struct problem_sink *sink, const char *path,
                                                         bool is_warning, const char *format, va_list args) {
    const char *full = sink->path[0] == '\0' ? arena_strdup(sink->arena, path)
                       : path[0] == '\0'     ? arena_strdup(sink->arena, sink->path)
                       : path[0] == '['      ? arena_printf(sink->arena, "%s%s", sink->path, path)
                                             : arena_printf(sink->arena, "%s.%s", sink->path, path);
    *ARENA_PUSH(sink->arena, sink->out) = (struct problem){
        .path = full, .text = arena_vprintf(sink->arena, format, args), .is_warning = is_warning};
}

void problem(struct problem_sink *sink, const char *path, const char *format, ...) {
    va_list args;
    va_start(args, format);
    report(sink, path, /* is_warning= */ false, format, args);
    va_end(args);
}

void problem_warn(struct problem_sink *sink, const char *path, const char *format, ...) {
    va_list args;
    va_start(args, format);
    report(sink, path, /* is_warning= */ true, format, args);
    va_end(args);
}

struct validator {
    struct arena *arena;
    struct problems *out;
    bool warnings;
};

static void validate_object(struct validator *v, const struct schema *schema, const char *path,
                            const void *object);

static const char *number_text(const struct field *field, int64_t number, char *out, size_t bytes) {
    switch ((int)field->kind) {
    case FIELD_DURATION:
        return units_format_duration(number, out, bytes);
    case FIELD_SIZE:
        return units_format_bytes(number, out, bytes);
    case FIELD_CPUS:
        return units_format_cpus(number, out, bytes);
    default:
        snprintf(out, bytes, "%lld", (long long)number);
        return out;
    }
}

static void validate_number(const struct field *field, const void *object, struct problem_sink *sink) {
    int64_t number = member_int(field, object);
    int64_t min = field->min;
    int64_t max = field->max != 0 || field->min != 0 ? field->max : INT64_MAX;
    char text[3][40];
    if (field->kind == FIELD_ENUM) {
        if (number < 0 || number >= field->value_count) {
            problem(sink, "", "value %lld is not known", (long long)number);
        }
    } else if (field->kind != FIELD_BOOL && field->kind != FIELD_TIME && (number < min || number > max) &&
               number != field->default_int) {
        if (max == INT64_MAX) {
            problem(sink, "", "%s is less than %s", number_text(field, number, text[0], 40),
                    number_text(field, min, text[1], 40));
        } else {
            problem(sink, "", "%s is not between %s and %s", number_text(field, number, text[0], 40),
                    number_text(field, min, text[1], 40), number_text(field, max, text[2], 40));
        }
    }
}

static void validate_text(const char *text, const char *where, struct problem_sink *sink) {
    size_t len = strlen(text);
    if (len > STRING_BYTES_MAX) {
        problem(sink, where, "%zu bytes are over the limit of %d", len, STRING_BYTES_MAX);
    } else if (!str_is_utf8(text, len)) {
        problem(sink, where, "is not UTF-8 text");
    }
}

static void validate_list(struct validator *v, const struct field *field, const char *path,
                          const void *object, struct problem_sink *sink) {
    struct generic_list list = member_list(field, object);
    if (list.count > LIST_ITEMS_MAX && field->max == 0) {
        problem(sink, "", "%zu items are over the limit of %d", list.count, LIST_ITEMS_MAX);
        return;
    }
    for (size_t i = 0; i < list.count; i++) {
        char where[32];
        snprintf(where, sizeof where, "[%zu]", i);
        if (field->kind == FIELD_STRINGS) {
            validate_text(((const char *const *)list.items)[i], where, sink);
        } else if (field->kind == FIELD_PAIRS) {
            const struct pair *pair = &((const struct pair *)list.items)[i];
            if (pair->key[0] == '\0' || strchr(pair->key, '=') != NULL) {
                problem(sink, "", "'%s' is not a name: it is empty or holds '='", pair->key);
            }
            validate_text(pair->value, pair->key, sink);
        } else {
            validate_object(v, field->schema, arena_printf(v->arena, "%s%s", path, where),
                            list_item(field, list, i));
        }
    }
}

static void validate_field(struct validator *v, const struct field *field, const char *path,
                           const void *object) {
    struct problem_sink sink = {v->arena, v->out, path};
    bool is_default = field_is_default(field, object);
    if (is_default) {
        if ((field->flags & FIELD_REQUIRED) != 0) {
            problem(&sink, "", "is required");
        }
        if (field->kind != FIELD_STRUCT) {
            return;
        }
    } else if (v->warnings && (field->flags & FIELD_LATER) != 0) {
        problem_warn(&sink, "", "is stored, but not yet acting in this version");
    }
    if (field_is_number(field)) {
        validate_number(field, object, &sink);
    } else if (field->kind == FIELD_RATIO) {
        double value = member_double(field, object);
        if (!(value >= (double)field->min) || (field->max != 0 && value > (double)field->max)) {
            problem(&sink, "", "%g is not between %lld and %lld", value, (long long)field->min,
                    (long long)field->max);
        }
    } else if (field->kind == FIELD_STRING) {
        validate_text(member_text(field, object), "", &sink);
    } else if (field->kind == FIELD_STRUCT) {
        validate_object(v, field->schema, path, member_of(field, object));
    } else if (field->kind == FIELD_OPTIONAL) {
        validate_object(v, field->schema, path, member_pointer(field, object));
    } else if (field->kind == FIELD_STRINGS || field->kind == FIELD_PAIRS || field->kind == FIELD_LIST) {
        validate_list(v, field, path, object, &sink);
    }
}

static void validate_object(struct validator *v, const struct schema *schema, const char *path,
                            const void *object) {
    for (unsigned i = 0; i < schema->count; i++) {
        const struct field *field = &schema->fields[i];
        validate_field(v, field,
                       path[0] == '\0' ? field->name : arena_printf(v->arena, "%s.%s", path, field->name),
                       object);
    }
    if (schema->check != NULL) {
        struct problem_sink sink = {v->arena, v->out, path};
        size_t before = v->out->count;
        schema->check(object, &sink);
        if (!v->warnings) { // drop the warnings that a check added
            size_t kept = before;
            for (size_t i = before; i < v->out->count; i++) {
                if (!v->out->items[i].is_warning) {
                    v->out->items[kept++] = v->out->items[i];
                }
            }
            v->out->count = kept;
        }
    }
}

void schema_validate(const struct schema *schema, const void *object, bool warnings, struct arena *arena,
                     struct problems *out) {
    validate_object(&(struct validator){arena, out, warnings}, schema, "", object);
}
