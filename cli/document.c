// SPDX-License-Identifier: Apache-2.0
//
// cli/document.c — rows written whole. Apart from output.c because jansson and specs/ both have a
// JSON_COMPACT.
#include "cli/document.h"

#include <string.h>

#include "base/limits.h"

void output_manifest(enum object_kind kind, const void *object, struct buf *out) {
    const struct schema *spec = object_spec_schema(kind);
    buf_addf(out, "kind: %s\n", object_kind_name(kind));
    if (spec != NULL && object_kind_is_declared(kind)) {
        yaml_write(spec, (const char *)object + object_spec_offset(kind), 0, 0, out);
    } else {
        yaml_write(object_schema(kind), object, TEXT_STATUS, 0, out);
    }
}

void output_manifest_json(enum object_kind kind, const void *object, enum json_style style, struct buf *out) {
    const struct schema *spec = object_spec_schema(kind);
    AUTO_BUF text = buf_make((4 * OBJECT_BYTES_MAX));
    json_write(spec, (const char *)object + object_spec_offset(kind), style, 0, &text);
    const char *inner = buf_text(&text) + 1; // after the brace
    bool is_empty = inner[strspn(inner, " \n")] == '}';
    buf_addf(out, style == JSON_INDENT ? "{\n  \"kind\": \"%s\"%s" : "{\"kind\":\"%s\"%s",
             object_kind_name(kind), is_empty ? "" : ",");
    buf_adds(out, inner);
}

void document_json(const struct listing *listing, struct rows rows, struct buf *out) {
    buf_adds(out, "[");
    for (size_t i = 0; i < rows.count; i++) {
        buf_adds(out, i > 0 ? ",\n" : "\n");
        json_write(object_schema(listing->kind), listing->object(rows.items[i]), JSON_COMPACT, TEXT_STATUS,
                   out);
    }
    buf_adds(out, rows.count > 0 ? "\n]\n" : "]\n");
}

void document_yaml(const struct listing *listing, struct rows rows, struct buf *out) {
    for (size_t i = 0; i < rows.count; i++) {
        buf_adds(out, i > 0 ? "---\n" : "");
        output_manifest(listing->kind, listing->object(rows.items[i]), out);
    }
}

void document_names(const struct listing *listing, struct rows rows, struct buf *out) {
    for (size_t i = 0; i < rows.count; i++) {
        buf_addf(out, "%s/%s\n", listing->noun, listing->name(rows.items[i]));
    }
}

void document_ids(const struct listing *listing, struct rows rows, struct buf *out) {
    for (size_t i = 0; i < rows.count; i++) {
        buf_addf(out, "%s\n", listing->id(rows.items[i]));
    }
}
