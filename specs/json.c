// SPDX-License-Identifier: Apache-2.0
//
// specs/json.c — objects as JSON: stable names from the tables, numbers for programs, no localised strings.
//
// Durations are nanoseconds, sizes bytes, times RFC 3339, enums their words. Secrets show only their length.
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "base/units.h"
#include "specs/walk.h"

struct writer {
    struct buf *out;
    bool indent;
    unsigned flags;
    int depth;
};

void json_write_string(struct buf *out, const char *text) {
    buf_addc(out, '"');
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
        if (*p == '"' || *p == '\\') {
            buf_addf(out, "\\%c", *p);
        } else if (*p == '\n') {
            buf_adds(out, "\\n");
        } else if (*p == '\t') {
            buf_adds(out, "\\t");
        } else if (*p < 0x20 || *p == 0x7F) {
            buf_addf(out, "\\u%04x", *p);
        } else {
            buf_addc(out, (char)*p);
        }
    }
    buf_addc(out, '"');
}

static void newline(struct writer *w) {
    if (w->indent) {
        buf_addc(w->out, '\n');
        buf_pad(w->out, ' ', (size_t)w->depth * 2);
    }
}

static void open_bracket(struct writer *w, char bracket) {
    buf_addc(w->out, bracket);
    w->depth++;
}

static void close_bracket(struct writer *w, char bracket, bool empty) {
    w->depth--;
    if (!empty) {
        newline(w);
    }
    buf_addc(w->out, bracket);
}

static void next_item(struct writer *w, bool *first) {
    if (!*first) {
        buf_addc(w->out, ',');
    }
    *first = false;
    newline(w);
}

static void put_key(struct writer *w, const char *key) {
    json_write_string(w->out, key);
    buf_adds(w->out, w->indent ? ": " : ":");
}

static void put_base64(struct buf *out, struct bytes bytes) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    buf_addc(out, '"');
    for (size_t i = 0; i < bytes.len; i += 3) {
        uint32_t triple = (uint32_t)bytes.data[i] << 16;
        triple |= i + 1 < bytes.len ? (uint32_t)bytes.data[i + 1] << 8 : 0;
        triple |= i + 2 < bytes.len ? bytes.data[i + 2] : 0;
        char four[4] = {digits[triple >> 18 & 63], digits[triple >> 12 & 63],
                        i + 1 < bytes.len ? digits[triple >> 6 & 63] : '=',
                        i + 2 < bytes.len ? digits[triple & 63] : '='};
        buf_add(out, four, 4);
    }
    buf_addc(out, '"');
}

static void put_object(struct writer *w, const struct schema *schema, const void *object);

static void put_list(struct writer *w, const struct field *field, const void *object) {
    struct generic_list list = member_list(field, object);
    open_bracket(w, field->kind == FIELD_PAIRS ? '{' : '[');
    bool first = true;
    for (size_t i = 0; i < list.count; i++) {
        next_item(w, &first);
        if (field->kind == FIELD_STRINGS) {
            json_write_string(w->out, ((const char *const *)list.items)[i]);
        } else if (field->kind == FIELD_PAIRS) {
            const struct pair *pair = &((const struct pair *)list.items)[i];
            put_key(w, pair->key);
            json_write_string(w->out, pair->value);
        } else {
            put_object(w, field->schema, list_item(field, list, i));
        }
    }
    close_bracket(w, field->kind == FIELD_PAIRS ? '}' : ']', first);
}

static void put_scalar(struct writer *w, const struct field *field, const void *object) {
    switch ((int)field->kind) {
    case FIELD_INT:
    case FIELD_DURATION:
    case FIELD_SIZE:
    case FIELD_MODE:
        if (field->word == NULL) {
            buf_addf(w->out, "%lld", (long long)member_int(field, object));
            return;
        }
        break;
    case FIELD_BOOL:
    case FIELD_CPUS:
    case FIELD_RATIO:
        field_scalar_text(field, object, w->out);
        return;
    default:
        break;
    }
    AUTO_BUF text = buf_make(0);
    field_scalar_text(field, object, &text);
    json_write_string(w->out, buf_text(&text));
}

static void put_value(struct writer *w, const struct field *field, const void *object) {
    if ((field->flags & FIELD_SECRET) != 0 && (w->flags & TEXT_SECRETS) == 0) {
        size_t len =
            field->kind == FIELD_BLOB ? member_bytes(field, object).len : strlen(member_text(field, object));
        buf_addf(w->out, "\"(secret, %zu bytes)\"", len);
    } else if (field->kind == FIELD_STRUCT) {
        put_object(w, field->schema, member_of(field, object));
    } else if (field->kind == FIELD_OPTIONAL) {
        put_object(w, field->schema, member_pointer(field, object));
    } else if (field->kind == FIELD_BLOB) {
        put_base64(w->out, member_bytes(field, object));
    } else if (field->kind == FIELD_STRINGS || field->kind == FIELD_PAIRS || field->kind == FIELD_LIST) {
        put_list(w, field, object);
    } else {
        put_scalar(w, field, object);
    }
}

static bool is_shown(const struct writer *w, const struct field *field, const void *object) {
    if ((field->flags & (FIELD_STATUS | FIELD_HIDDEN)) != 0 && (w->flags & TEXT_STATUS) == 0) {
        return false;
    }
    if ((field->flags & FIELD_SEALED) != 0 ||
        (field->kind == FIELD_OPTIONAL && member_pointer(field, object) == NULL)) {
        return false;
    }
    return (w->flags & TEXT_DEFAULTS) != 0 || !field_is_default(field, object);
}

static void put_object(struct writer *w, const struct schema *schema, const void *object) {
    open_bracket(w, '{');
    bool first = true;
    for (unsigned i = 0; i < schema->count; i++) {
        if (is_shown(w, &schema->fields[i], object)) {
            next_item(w, &first);
            put_key(w, schema->fields[i].name);
            put_value(w, &schema->fields[i], object);
        }
    }
    close_bracket(w, '}', first);
}

void json_write(const struct schema *schema, const void *object, enum json_style style, unsigned flags,
                struct buf *out) {
    put_object(&(struct writer){.out = out, .indent = style == JSON_INDENT, .flags = flags}, schema, object);
}
