// SPDX-License-Identifier: Apache-2.0
//
// specs/scalar.c — scalars as text, both ways, typed by the row and never by how they look.
//
// A string field given `no`, `1.10`, `0755` or `22:22` keeps the text; integers are decimal only; booleans
// are true and false only.
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/str.h"
#include "base/units.h"
#include "specs/walk.h"

bool field_scalar_text(const struct field *field, const void *object, struct buf *out) {
    char text[64];
    int64_t number = field_is_number(field) ? member_int(field, object) : 0;
    switch ((int)field->kind) {
    case FIELD_BOOL:
        buf_adds(out, number ? "true" : "false");
        return true;
    case FIELD_INT:
        if (field->word != NULL) {
            buf_adds(out, field->word(number));
        } else {
            buf_addf(out, "%lld", (long long)number);
        }
        return true;
    case FIELD_DURATION:
        buf_adds(out, units_format_duration(number, text, sizeof text));
        return true;
    case FIELD_SIZE:
        buf_adds(out, units_format_bytes(number, text, sizeof text));
        return true;
    case FIELD_CPUS:
        buf_adds(out, units_format_cpus(number, text, sizeof text));
        return true;
    case FIELD_TIME:
        buf_adds(out, number == 0 ? "" : clock_format_rfc3339(number, text, sizeof text));
        return true;
    case FIELD_MODE:
        buf_addf(out, "0%llo", (unsigned long long)number);
        return true;
    case FIELD_RATIO:
        buf_addf(out, "%.15g", member_double(field, object));
        return true;
    case FIELD_STRING:
        buf_adds(out, member_text(field, object));
        return true;
    case FIELD_ENUM:
        buf_adds(out, number >= 0 && number < field->value_count ? field->values[number] : "?");
        return true;
    case FIELD_ID:
        buf_adds(out, member_of(field, object));
        return true;
    default:
        return false;
    }
}

static int set_bool(const struct field *field, const char *text, void *object, struct error *err) {
    if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0) {
        static const char *const yes[] = {"yes", "on", "y", "True", "TRUE", "1"};
        static const char *const no[] = {"no", "off", "n", "False", "FALSE", "0"};
        for (size_t i = 0; i < 6; i++) {
            if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
                return error_set(err, ERR_INVALID, "'%s' is not true or false; write %s", text,
                                 strcmp(text, yes[i]) == 0 ? "true" : "false");
            }
        }
        return error_set(err, ERR_INVALID, "'%s' is not true or false", text);
    }
    member_set_int(field, object, text[0] == 't');
    return 0;
}

static int set_enum(const struct field *field, const char *text, void *object, struct error *err) {
    for (unsigned i = 0; i < field->value_count; i++) {
        if (field->values[i][0] != '\0' && strcmp(field->values[i], text) == 0) {
            member_set_int(field, object, i);
            return 0;
        }
    }
    AUTO_BUF list = buf_make(1024);
    for (unsigned i = 0; i < field->value_count; i++) {
        if (field->values[i][0] != '\0') {
            buf_addf(&list, "%s%s", list.len > 0 ? ", " : "", field->values[i]);
        }
    }
    const char *nearest = str_nearest(text, field->values, field->value_count);
    if (nearest != NULL && nearest[0] != '\0') {
        return error_set(err, ERR_INVALID, "'%s' is not one of %s; did you mean '%s'?", text, buf_text(&list),
                         nearest);
    }
    return error_set(err, ERR_INVALID, "'%s' is not one of %s", text, buf_text(&list));
}

static bool parse_octal(const char *text, int64_t *out) {
    text += strncmp(text, "0o", 2) == 0 ? 2 : 0;
    int64_t value = 0;
    size_t len = strlen(text);
    if (len == 0 || len > 5 || strspn(text, "01234567") != len) {
        return false;
    }
    for (; *text != '\0'; text++) {
        value = value * 8 + (*text - '0');
    }
    *out = value;
    return value <= 07777;
}

static int set_number(const struct field *field, const char *text, void *object, struct error *err) {
    int64_t number;
    switch ((int)field->kind) {
    case FIELD_INT:
        if (!str_to_int(text, &number) && (field->number == NULL || !field->number(text, &number))) {
            return error_set(err, ERR_INVALID, "'%s' is not a whole number", text);
        }
        break;
    case FIELD_DURATION:
        if (!units_parse_duration(text, &number)) {
            int64_t plain;
            return str_to_int(text, &plain)
                       ? error_set(err, ERR_INVALID, "'%s' is not a duration; for seconds write %ss", text,
                                   text)
                       : error_set(err, ERR_INVALID, "'%s' is not a duration like 10s, 1m30s or 500ms", text);
        }
        break;
    case FIELD_SIZE:
        if (!units_parse_bytes(text, &number)) {
            return error_set(err, ERR_INVALID, "'%s' is not a size like 64M, 1.5G or 4096", text);
        }
        break;
    case FIELD_CPUS:
        if (!units_parse_cpus(text, &number)) {
            return error_set(err, ERR_INVALID, "'%s' is not a number of CPUs like 0.5 or 2", text);
        }
        break;
    case FIELD_TIME:
        if (clock_parse_rfc3339(text, &number) < 0) {
            return error_set(err, ERR_INVALID, "'%s' is not a time like 2026-01-31T12:00:00Z", text);
        }
        break;
    default:
        if (!parse_octal(text, &number)) {
            return error_set(err, ERR_INVALID, "'%s' is not an octal mode like 0444", text);
        }
        break;
    }
    member_set_int(field, object, number);
    return 0;
}

int field_set_scalar(const struct field *field, const char *text, void *object, struct arena *arena,
                     struct error *err) {
    void *member = member_at(field, object);
    if (field->kind == FIELD_BOOL) {
        return set_bool(field, text, object, err);
    }
    if (field->kind == FIELD_ENUM) {
        return set_enum(field, text, object, err);
    }
    if (field_is_number(field)) {
        return set_number(field, text, object, err);
    }
    if (field->kind == FIELD_RATIO) {
        double value;
        if (!str_to_double(text, &value)) {
            return error_set(err, ERR_INVALID, "'%s' is not a number like 0.25", text);
        }
        memcpy(member, &value, sizeof value);
        return 0;
    }
    if (field->kind == FIELD_ID) {
        return id_parse(text, member) ? 0
                                      : error_set(err, ERR_INVALID, "'%s' is not an id (25 of 0-9a-z)", text);
    }
    if (field->kind == FIELD_STRING) {
        const char *copy = arena_strdup(arena, text);
        memcpy(member, &copy, sizeof copy);
        return 0;
    }
    return error_set(err, ERR_INVALID, "a single value does not fit here");
}
