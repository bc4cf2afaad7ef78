// SPDX-License-Identifier: Apache-2.0
//
// specs/explain.c — the tables for people (`explain`) and for editors (JSON Schema) and for other programs
// (.proto).
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "specs/walk.h"

static const char *const kind_words[] = {
    [FIELD_BOOL] = "true or false",
    [FIELD_INT] = "whole number",
    [FIELD_DURATION] = "duration",
    [FIELD_SIZE] = "size",
    [FIELD_CPUS] = "CPUs",
    [FIELD_TIME] = "time",
    [FIELD_MODE] = "octal mode",
    [FIELD_RATIO] = "number",
    [FIELD_STRING] = "text",
    [FIELD_ENUM] = "word",
    [FIELD_ID] = "id",
    [FIELD_BLOB] = "bytes",
    [FIELD_STRINGS] = "list of text",
    [FIELD_PAIRS] = "map of text",
    [FIELD_STRUCT] = "object",
    [FIELD_OPTIONAL] = "object",
    [FIELD_LIST] = "list of objects",
};

static bool is_user_field(const struct field *field) {
    return (field->flags & (FIELD_HIDDEN | FIELD_STATUS)) == 0;
}

static void default_text(const struct field *field, struct buf *out) {
    // A struct whose only member is this field, in a buffer large enough for any scalar.
    struct field alone = *field;
    alone.offset = 0;
    _Alignas(16) char object[64] = {0};
    if (field_is_number(field)) {
        member_set_int(&alone, object, field->default_int);
        field_scalar_text(&alone, object, out);
    } else if (field->kind == FIELD_RATIO) {
        memcpy(object, &field->default_ratio, sizeof(double));
        field_scalar_text(&alone, object, out);
    } else if (field->kind == FIELD_STRING) {
        buf_adds(out, field_default_text(field));
    }
}

static void put_number(const struct field *field, int64_t number, struct buf *out) {
    struct field alone = *field;
    alone.offset = 0;
    _Alignas(16) char object[16] = {0};
    member_set_int(&alone, object, number);
    field_scalar_text(&alone, object, out);
}

static void explain_field(const char *path, const struct field *field, struct buf *out) {
    buf_addf(out, "FIELD    %s\nTYPE     %s", path, kind_words[field->kind]);
    if (field->kind == FIELD_ENUM) {
        for (unsigned i = 0; i < field->value_count; i++) {
            buf_addf(out, "%s%s", i == 0 ? ": " : ", ",
                     field->values[i][0] != '\0' ? field->values[i] : "(none)");
        }
    }
    buf_adds(out, "\n");
    AUTO_BUF text = buf_make(0);
    default_text(field, &text);
    if (text.len > 0) {
        buf_addf(out, "DEFAULT  %s\n", buf_text(&text));
    }
    if (field_is_number(field) && (field->min != 0 || field->max != 0)) {
        buf_adds(out, "RANGE    ");
        put_number(field, field->min, out);
        buf_adds(out, " to ");
        put_number(field, field->max, out);
        buf_adds(out, "\n");
    }
    static const char *const effects[] = {"nothing restarts", "tasks are replaced",
                                          "tasks move to other nodes where needed", "data is lost"};
    buf_addf(out, "CHANGE   %s\n",
             (field->flags & FIELD_IMMUTABLE) != 0 ? "refused: fixed for life" : effects[field->consequence]);
    static const struct {
        uint32_t flag;
        const char *text;
    } notes[] = {{FIELD_REQUIRED, "required"},
                 {FIELD_SECRET, "never shown"},
                 {FIELD_LATER, "stored, but not yet acting in this version"},
                 {FIELD_SPLIT, "one text is split as a shell would"},
                 {FIELD_ONE, "one text stands for a list of one"},
                 {FIELD_PAIRS_LIST, "a list of NAME=VALUE is accepted too"}};
    for (size_t i = 0; i < sizeof notes / sizeof *notes; i++) {
        if ((field->flags & notes[i].flag) != 0) {
            buf_addf(out, "NOTE     %s\n", notes[i].text);
        }
    }
    if (field->example != NULL) {
        buf_addf(out, "EXAMPLE  %s: %s\n", field->name, field->example);
    }
    buf_addf(out, "\n%s\n", field->help != NULL ? field->help : "");
}

static void explain_children(const struct schema *schema, struct buf *out) {
    buf_adds(out, "\nFIELDS\n");
    for (unsigned i = 0; i < schema->count; i++) {
        const struct field *field = &schema->fields[i];
        if (is_user_field(field)) {
            buf_addf(out, "  %-20s %-16s %s%s\n", field->name, kind_words[field->kind],
                     field->help != NULL ? field->help : "",
                     (field->flags & FIELD_LATER) != 0 ? " (not yet acting)" : "");
        }
    }
}

static int explain_missing(const struct schema *schema, const char *path, struct error *err) {
    AUTO_BUF walked = buf_make(0);
    for (;;) {
        size_t len = strcspn(path, ".");
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)(len < 63 ? len : 63), path);
        const struct field *field = schema != NULL ? schema_field(schema, name) : NULL;
        if (field == NULL) {
            const struct field *near = schema != NULL ? schema_nearest(schema, name) : NULL;
            return error_set(err, ERR_NOT_FOUND, "'%s' is not a field of %s%s%s%s", name,
                             walked.len > 0 ? buf_text(&walked) : schema->name,
                             near != NULL ? "; did you mean '" : "", near != NULL ? near->name : "",
                             near != NULL ? "'?" : "");
        }
        buf_addf(&walked, "%s%s", walked.len > 0 ? "." : "", name);
        schema = field->schema;
        path += len + (path[len] == '.');
    }
}

int schema_explain(const struct schema *schema, const char *path, struct buf *out, struct error *err) {
    if (path[0] == '\0') {
        buf_addf(out, "KIND     %s\n\n%s\n", schema->name, schema->help != NULL ? schema->help : "");
        explain_children(schema, out);
        return 0;
    }
    const struct field *field = schema_path(schema, path);
    if (field == NULL) {
        return explain_missing(schema, path, err);
    }
    explain_field(path, field, out);
    if (field->schema != NULL) {
        explain_children(field->schema, out);
    }
    return 0;
}

// --- JSON Schema, draft 2020-12 ---

static void schema_properties(const struct schema *schema, const char *kind, struct buf *out);

static void schema_type(const struct field *field, struct buf *out) {
    static const char *const types[] = {
        [FIELD_BOOL] = "\"type\":\"boolean\"",
        [FIELD_INT] = "\"type\":\"integer\"",
        [FIELD_DURATION] = "\"type\":\"string\",\"pattern\":\"^(0|([0-9.]+(ns|us|ms|s|m|h))+)$\"",
        [FIELD_SIZE] = "\"type\":[\"string\",\"integer\"]",
        [FIELD_CPUS] = "\"type\":[\"string\",\"number\"]",
        [FIELD_TIME] = "\"type\":\"string\",\"format\":\"date-time\"",
        [FIELD_MODE] = "\"type\":[\"string\",\"integer\"]",
        [FIELD_RATIO] = "\"type\":\"number\"",
        [FIELD_STRING] = "\"type\":[\"string\",\"number\",\"boolean\"]",
        [FIELD_ID] = "\"type\":\"string\",\"pattern\":\"^[0-9a-z]{25}$\"",
        [FIELD_BLOB] = "\"type\":\"string\"",
        [FIELD_STRINGS] = "\"type\":\"array\",\"items\":{\"type\":[\"string\",\"number\",\"boolean\"]}",
        [FIELD_PAIRS] = "\"type\":\"object\",\"additionalProperties\":{\"type\":[\"string\",\"number\","
                        "\"boolean\",\"null\"]}",
    };
    if (field->kind == FIELD_ENUM) {
        buf_adds(out, "\"enum\":[");
        for (unsigned i = 0, n = 0; i < field->value_count; i++) {
            if (field->values[i][0] != '\0') {
                buf_adds(out, n++ > 0 ? "," : "");
                json_write_string(out, field->values[i]);
            }
        }
        buf_adds(out, "]");
    } else if (field->kind == FIELD_STRUCT || field->kind == FIELD_OPTIONAL) {
        schema_properties(field->schema, NULL, out);
    } else if (field->kind == FIELD_LIST) {
        buf_adds(out, (field->flags & FIELD_AS_MAP) != 0
                          ? "\"type\":[\"object\",\"array\"],\"additionalProperties\":{"
                          : "\"type\":\"array\",\"items\":{");
        buf_adds(out,
                 field->schema->from_short != NULL ? "\"anyOf\":[{\"type\":[\"string\",\"integer\"]},{" : "");
        schema_properties(field->schema, NULL, out);
        buf_adds(out, field->schema->from_short != NULL ? "}]}" : "}");
    } else if (field->kind == FIELD_STRINGS && (field->flags & (FIELD_SPLIT | FIELD_ONE)) != 0) {
        buf_addf(out, "\"anyOf\":[{\"type\":\"string\"},{%s}]", types[FIELD_STRINGS]);
    } else if (field->kind == FIELD_PAIRS && (field->flags & FIELD_PAIRS_LIST) != 0) {
        buf_addf(out, "\"anyOf\":[{%s},{\"type\":\"array\",\"items\":{\"type\":\"string\"}}]",
                 types[FIELD_PAIRS]);
    } else {
        buf_adds(out, types[field->kind]);
    }
}

static void schema_properties(const struct schema *schema, const char *kind, struct buf *out) {
    buf_adds(out, "\"type\":\"object\",\"additionalProperties\":false,\"patternProperties\":{\"^x-\":{}},"
                  "\"properties\":{");
    bool first = true;
    if (kind != NULL) {
        buf_addf(out, "\"kind\":{\"const\":\"%s\"}", kind);
        first = false;
    }
    for (unsigned i = 0; i < schema->count; i++) {
        const struct field *field = &schema->fields[i];
        if (!is_user_field(field)) {
            continue;
        }
        buf_addf(out, "%s\"%s\":{\"description\":", first ? "" : ",", field->name);
        first = false;
        json_write_string(out, field->help != NULL ? field->help : "");
        buf_addc(out, ',');
        schema_type(field, out);
        buf_addc(out, '}');
    }
    buf_adds(out, "}");
    first = true;
    for (unsigned i = 0; i < schema->count; i++) {
        if ((schema->fields[i].flags & FIELD_REQUIRED) != 0) {
            buf_addf(out, "%s\"%s\"", first ? ",\"required\":[" : ",", schema->fields[i].name);
            first = false;
        }
    }
    buf_adds(out, first ? "" : "]");
}

void schema_json_schema(const struct schema *const *schemas, size_t count, struct buf *out) {
    buf_adds(out, "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"title\":\"muster "
                  "spec\",\"anyOf\":[");
    for (size_t i = 0; i < count; i++) {
        buf_adds(out, i > 0 ? ",{" : "{");
        schema_properties(schemas[i], schemas[i]->name, out);
        buf_adds(out, "}");
    }
    buf_adds(out, "]}\n");
}

// --- proto3 ---

static void camel(const char *name, struct buf *out) {
    bool upper = true;
    for (; *name != '\0'; name++) {
        if (*name == '_') {
            upper = true;
        } else {
            buf_addc(out, (char)(upper ? toupper((unsigned char)*name) : *name));
            upper = false;
        }
    }
}

struct seen {
    const struct schema *items[128];
    size_t count;
};

static void proto_message(const struct schema *schema, struct seen *seen, struct buf *out) {
    for (size_t i = 0; i < seen->count; i++) {
        if (seen->items[i] == schema) {
            return;
        }
    }
    if (seen->count == sizeof seen->items / sizeof *seen->items) {
        return;
    }
    seen->items[seen->count++] = schema;
    for (unsigned i = 0; i < schema->count; i++) {
        if (schema->fields[i].schema != NULL) {
            proto_message(schema->fields[i].schema, seen, out);
        }
    }
    buf_adds(out, "message ");
    camel(schema->name, out);
    buf_adds(out, " {\n");
    for (unsigned i = 0; i < schema->count; i++) {
        const struct field *field = &schema->fields[i];
        AUTO_BUF type = buf_make(0);
        if (field->schema != NULL) {
            buf_adds(&type, field->kind == FIELD_LIST ? "repeated " : "");
            camel(field->schema->name, &type);
        } else {
            static const char *const types[] = {[FIELD_BOOL] = "bool",
                                                [FIELD_RATIO] = "double",
                                                [FIELD_STRING] = "string",
                                                [FIELD_ID] = "string",
                                                [FIELD_BLOB] = "bytes",
                                                [FIELD_STRINGS] = "repeated string",
                                                [FIELD_PAIRS] = "map<string, string>"};
            const char *word = field->kind < sizeof types / sizeof *types ? types[field->kind] : NULL;
            buf_adds(&type, word != NULL ? word : "int64");
        }
        buf_addf(out, "  %s %s = %u;\n", buf_text(&type), field->name, field->tag);
    }
    buf_adds(out, "}\n\n");
}

void schema_proto(const struct schema *const *schemas, size_t count, struct buf *out) {
    buf_adds(out, "// The stored and transmitted form of muster's objects. Fields equal to their default are "
                  "left out; note that\n"
                  "// defaults are those of `muster explain`, not proto3's zero.\nsyntax = "
                  "\"proto3\";\npackage muster;\n\n");
    struct seen seen = {0};
    for (size_t i = 0; i < count; i++) {
        proto_message(schemas[i], &seen, out);
    }
}
