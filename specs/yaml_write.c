// SPDX-License-Identifier: Apache-2.0
//
// specs/yaml_write.c — the canonical YAML of an object: table order, defaults left out, short forms, quotes
// only where needed.
//
// What is written parses back to an equal object, by our reader and by any YAML 1.1 or 1.2 reader.
#include <ctype.h>
#include <string.h>

#include "base/str.h"
#include "specs/walk.h"

struct writer {
    struct buf *out;
    unsigned flags;
};

// Words and shapes that some YAML reader takes for something else than a string.
static bool looks_special(const char *text) {
    static const char *const words[] = {"true", "false", "yes", "no", "on", "off",
                                        "null", "~",     "y",   "n",  "<<", "="};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (str_equal_nocase(text, words[i])) {
            return true;
        }
    }
    return isdigit((unsigned char)text[0]) || ((text[0] == '.' || text[0] == '-' || text[0] == '+') &&
                                               text[1] != '/' && !isalpha((unsigned char)text[1]));
}

static bool needs_quotes(const char *text) {
    if (text[0] == '\0' || strchr(" !&*?|>%@`'\"#,[]{}:-", text[0]) != NULL || looks_special(text)) {
        return text[0] != '-' || text[1] == '\0' || !isalpha((unsigned char)text[1]);
    }
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c == 0x7F || (c == ':' && (text[i + 1] == ' ' || text[i + 1] == '\0')) ||
            (c == '#' && text[i - 1] == ' ') || strchr(",[]{}", (char)c) != NULL) {
            return true;
        }
    }
    return text[len - 1] == ' ';
}

void yaml_write_text(struct buf *out, const char *text) {
    if (!needs_quotes(text)) {
        buf_adds(out, text);
        return;
    }
    json_write_string(out, text); // a JSON string is a double-quoted YAML scalar
}

static void put_text(struct writer *w, const char *text) {
    yaml_write_text(w->out, text);
}

static void put_line(struct writer *w, int indent, const char *key) {
    buf_pad(w->out, ' ', (size_t)indent);
    put_text(w, key);
    buf_addc(w->out, ':');
}

static void put_object(struct writer *w, const struct schema *schema, const void *object, int indent,
                       const struct field *skip);

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

static bool has_shown(const struct writer *w, const struct schema *schema, const void *object,
                      const struct field *skip) {
    for (unsigned i = 0; i < schema->count; i++) {
        if (&schema->fields[i] != skip && is_shown(w, &schema->fields[i], object)) {
            return true;
        }
    }
    return false;
}

static const struct field *key_field(const struct schema *schema) {
    for (unsigned i = 0; i < schema->count; i++) {
        if ((schema->fields[i].flags & FIELD_KEY) != 0) {
            return &schema->fields[i];
        }
    }
    return NULL;
}

// A struct after "key:" or "- ": its short form on the same line, or its fields below.
static void put_struct(struct writer *w, const struct schema *schema, const void *object, int indent,
                       const struct field *skip) {
    AUTO_BUF text = buf_make(0);
    if (schema->to_short != NULL && schema->to_short(object, &text)) {
        buf_addc(w->out, ' ');
        put_text(w, buf_text(&text));
        buf_addc(w->out, '\n');
    } else if (!has_shown(w, schema, object, skip)) {
        buf_adds(w->out, " {}\n");
    } else {
        buf_addc(w->out, '\n');
        put_object(w, schema, object, indent, skip);
    }
}

// "- " and the first field on one line: the fields are written one step in, then the dash goes where their
// indent was.
static void put_item(struct writer *w, const struct schema *schema, const void *object, int indent) {
    AUTO_BUF text = buf_make(0);
    if ((schema->to_short != NULL && schema->to_short(object, &text)) ||
        !has_shown(w, schema, object, NULL)) {
        buf_pad(w->out, ' ', (size_t)indent);
        buf_addc(w->out, '-');
        put_struct(w, schema, object, indent, NULL);
        return;
    }
    size_t start = w->out->len;
    put_object(w, schema, object, indent + 2, NULL);
    if (!w->out->overflow) {
        w->out->data[start + (size_t)indent] = '-';
    }
}

static void put_list(struct writer *w, const struct field *field, const void *object, int indent) {
    struct generic_list list = member_list(field, object);
    if (list.count == 0) {
        buf_adds(w->out, field->kind == FIELD_PAIRS ? " {}\n" : " []\n");
        return;
    }
    buf_addc(w->out, '\n');
    const struct field *key = (field->flags & FIELD_AS_MAP) != 0 ? key_field(field->schema) : NULL;
    for (size_t i = 0; i < list.count; i++) {
        if (field->kind == FIELD_PAIRS) {
            const struct pair *pair = &((const struct pair *)list.items)[i];
            put_line(w, indent + 2, pair->key);
            buf_addc(w->out, ' ');
            put_text(w, pair->value);
            buf_addc(w->out, '\n');
        } else if (field->kind == FIELD_STRINGS) {
            buf_pad(w->out, ' ', (size_t)indent + 2);
            buf_adds(w->out, "- ");
            put_text(w, ((const char *const *)list.items)[i]);
            buf_addc(w->out, '\n');
        } else if (key != NULL) {
            put_line(w, indent + 2, member_text(key, list_item(field, list, i)));
            put_struct(w, field->schema, list_item(field, list, i), indent + 4, key);
        } else {
            put_item(w, field->schema, list_item(field, list, i), indent + 2);
        }
    }
}

static void put_field(struct writer *w, const struct field *field, const void *object, int indent) {
    put_line(w, indent, field->name);
    if (field->kind == FIELD_STRUCT) {
        put_struct(w, field->schema, member_of(field, object), indent + 2, NULL);
    } else if (field->kind == FIELD_OPTIONAL) {
        put_struct(w, field->schema, member_pointer(field, object), indent + 2, NULL);
    } else if (field->kind == FIELD_STRINGS || field->kind == FIELD_PAIRS || field->kind == FIELD_LIST) {
        put_list(w, field, object, indent);
    } else if ((field->flags & FIELD_SECRET) != 0 && (w->flags & TEXT_SECRETS) == 0) {
        size_t len =
            field->kind == FIELD_BLOB ? member_bytes(field, object).len : strlen(member_text(field, object));
        buf_addf(w->out, " \"(secret, %zu bytes)\"\n", len);
    } else {
        AUTO_BUF text = buf_make(0);
        if (field->kind == FIELD_BLOB) {
            struct bytes bytes = member_bytes(field, object);
            buf_add(&text, bytes.data, bytes.len);
        } else {
            field_scalar_text(field, object, &text);
        }
        buf_addc(w->out, ' ');
        if (field->kind == FIELD_STRING || field->kind == FIELD_BLOB) {
            put_text(w, buf_text(&text));
        } else {
            buf_adds(w->out, buf_text(&text));
        }
        buf_addc(w->out, '\n');
    }
}

static void put_object(struct writer *w, const struct schema *schema, const void *object, int indent,
                       const struct field *skip) {
    for (unsigned i = 0; i < schema->count; i++) {
        if (&schema->fields[i] != skip && is_shown(w, &schema->fields[i], object)) {
            put_field(w, &schema->fields[i], object, indent);
        }
    }
}

void yaml_write(const struct schema *schema, const void *object, unsigned flags, int indent,
                struct buf *out) {
    put_object(&(struct writer){out, flags}, schema, object, indent, NULL);
}
