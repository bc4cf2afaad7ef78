// SPDX-License-Identifier: Apache-2.0
//
// specs/manifest_bind.c — one function for each shape of field; the table says which.
//
// Fields go to bind_value.c and bind_list.c; what is no field is a mistake, and this file says which:
// misspelt, in the wrong place, ignored or refused.
#include "specs/manifest_bind.h"

#include <string.h>

#include "base/limits.h"
#include "base/str.h"
#include "specs/service.h"
#include "specs/walk.h"

// --- reporting ---

static void add_path(struct buf *out, const struct bind_path *path) {
    if (path == NULL) {
        return;
    }
    add_path(out, path->parent);
    if (path->name == NULL) {
        buf_addf(out, "[%zu]", path->index);
    } else {
        buf_addf(out, "%s%.200s", out->len > 0 ? "." : "", path->name);
    }
}

void bind_error(struct binder *b, const struct yaml_node *node, const char *code,
                const struct bind_path *path, const char *hint, const char *format, ...) {
    AUTO_BUF text = buf_make(4096);
    va_list args;
    va_start(args, format);
    buf_addv(&text, format, args);
    va_end(args);
    AUTO_BUF where = buf_make(4096);
    add_path(&where, path);
    struct place at = {.line = node->line, .column = node->column, .source = node->source};
    if (node->kind == YAML_ALIAS) { // wrong is what stands at the anchor; it is needed here
        buf_addf(&text, "; used at line %u:%u through an alias", node->line, node->column);
        at = (struct place){
            .line = node->target->line, .column = node->target->column, .source = node->target->source};
    }
    reporter_add(b->reporter, at, code, buf_text(&where), hint, "%s", buf_text(&text));
}

static const char *kind_words(const struct yaml_node *node) {
    node = yaml_value(node);
    return node->kind == YAML_LIST ? "a list" : node->kind == YAML_MAP ? "a map" : "a single value";
}

void bind_wrong_shape(struct binder *b, const struct yaml_node *node, const struct bind_path *path,
                      const char *wanted) {
    const char *name = path != NULL && path->name != NULL ? path->name : "this item";
    bind_error(b, node, "E0301", path, "", "'%.200s' needs %s, not %s", name, wanted, kind_words(node));
}

// What one file may take: refused once, then nothing more is bound.
bool bind_is_over(struct binder *b, const struct yaml_node *node) {
    if (!b->is_over && b->arena->used_bytes - b->bytes_start > b->bytes_max) {
        b->is_over = true;
        bind_error(b, node, "E0118", NULL, "split the file", "what the file declares needs more than %zu KiB",
                   b->bytes_max / KIB);
    }
    return b->is_over;
}

// --- structs ---

static void bind_field(struct binder *b, const struct field *field, const struct yaml_node *node,
                       void *object, const struct bind_path *path) {
    if (yaml_value(node)->kind == YAML_NULL || bind_is_over(b, node)) {
        return; // null: not given
    }
    switch ((enum field_kind)field->kind) {
    case FIELD_STRINGS:
        bind_strings(b, field, node, object, path);
        return;
    case FIELD_PAIRS:
        bind_pairs(b, field, node, object, path);
        return;
    case FIELD_LIST:
        bind_list(b, field, node, object, path);
        return;
    case FIELD_STRUCT:
        bind_object(b, field->schema, node, member_at(field, object), path, NULL);
        return;
    case FIELD_OPTIONAL: {
        void *nested = arena_alloc(b->arena, field->schema->bytes);
        schema_init(field->schema, nested);
        bind_object(b, field->schema, node, nested, path, NULL);
        memcpy(member_at(field, object), &nested, sizeof nested);
        return;
    }
    case FIELD_BOOL:
    case FIELD_INT:
    case FIELD_DURATION:
    case FIELD_SIZE:
    case FIELD_CPUS:
    case FIELD_TIME:
    case FIELD_MODE:
    case FIELD_RATIO:
    case FIELD_STRING:
    case FIELD_ENUM:
    case FIELD_ID:
    case FIELD_BLOB:
        bind_scalar(b, field, node, object, path);
        return;
    }
}

// The path of the first field with this name anywhere below `schema`; false when there is none.
static bool find_elsewhere(const struct schema *schema, const char *name, int depth, struct buf *out) {
    size_t len = out->len;
    for (unsigned i = 0; i < schema->count; i++) {
        const struct field *field = &schema->fields[i];
        if ((field->flags & (FIELD_HIDDEN | FIELD_STATUS)) == 0 && strcmp(field->name, name) == 0) {
            return true;
        }
    }
    for (unsigned i = 0; i < schema->count && depth < 4; i++) {
        const struct field *field = &schema->fields[i];
        if (field->schema == NULL) {
            continue;
        }
        buf_addf(out, "%s%s", len > 0 ? "." : "", field->name);
        if (find_elsewhere(field->schema, name, depth + 1, out)) {
            return true;
        }
        out->len = len;
    }
    return false;
}

// The field nearest in spelling among those of nested structs, "deploy.replicas" for "replica".
static bool find_near(const struct schema *schema, const char *name, int depth, struct buf *out) {
    size_t len = out->len;
    for (unsigned i = 0; i < schema->count && depth < 4; i++) {
        const struct field *field = &schema->fields[i];
        if (field->schema == NULL || field->kind == FIELD_LIST) {
            continue;
        }
        buf_addf(out, "%s%s", len > 0 ? "." : "", field->name);
        const struct field *nearest = schema_nearest(field->schema, name);
        if (nearest != NULL) {
            buf_addf(out, ".%s", nearest->name);
            return true;
        }
        if (find_near(field->schema, name, depth + 1, out)) {
            return true;
        }
        out->len = len;
    }
    return false;
}

static void hint_for_field(const struct binder *b, const struct schema *schema, const char *name,
                           struct buf *hint) {
    if (!reporter_has_room(b->reporter) || strlen(name) > 64) {
        return;
    }
    AUTO_BUF place = buf_make(1024);
    const struct field *nearest = schema_nearest(schema, name);
    if (find_elsewhere(b->root, name, 0, &place) && (place.len > 0 || schema != b->root)) {
        buf_addf(hint, place.len > 0 ? "it belongs under '%s'" : "it belongs further up, to the %s itself",
                 place.len > 0 ? buf_text(&place) : b->root->name);
        return;
    }
    buf_clear(&place);
    if (nearest != NULL) {
        buf_addf(hint, "did you mean '%s'?", nearest->name);
    } else if (find_near(schema, name, 0, &place)) {
        buf_addf(hint, "did you mean '%s'?", buf_text(&place));
    }
}

static void unknown_field(struct binder *b, const struct schema *schema, const struct yaml_node *key,
                          const struct bind_path *path) {
    AUTO_BUF hint = buf_make(1024);
    hint_for_field(b, schema, key->text, &hint);
    AUTO_BUF owner = buf_make(1024);
    add_path(&owner, path->parent);
    if (owner.len > 0) {
        bind_error(b, key, "E0231", path, buf_text(&hint), "'%.200s' is not a field of '%.200s'", key->text,
                   buf_text(&owner));
    } else {
        bind_error(b, key, "E0231", path, buf_text(&hint), "'%.200s' is not a field of a %s", key->text,
                   schema->name);
    }
}

static void bind_foreign(struct binder *b, const struct schema *schema, const struct yaml_node *pair,
                         void *object, const struct bind_path *path) {
    if (schema == schema_field(&mount_schema, "bind")->schema && strcmp(pair[0].text, "recursive") == 0) {
        const char *text = bind_text(b, &pair[1], path);
        ((struct mount_bind *)object)->recursive_off = text != NULL && strcmp(text, "disabled") == 0;
        return;
    }
    const struct foreign_key *foreign = foreign_key_find(schema->name, pair[0].text);
    if (foreign != NULL && foreign->text == NULL) {
        return; // read elsewhere
    }
    if (foreign == NULL) {
        unknown_field(b, schema, &pair[0], path);
    } else if (foreign->is_error) {
        bind_error(b, &pair[0], "E0233", path, foreign->text, "'%s' is not accepted here", foreign->key);
    } else {
        bind_error(b, &pair[0], "W0602", path, foreign->text, "'%s' is ignored", foreign->key);
    }
}

static void bind_pair(struct binder *b, const struct schema *schema, const struct yaml_node *pair,
                      void *object, const struct bind_path *path) {
    const char *name = pair[0].text;
    const struct field *field = schema_field(schema, name);
    const struct bind_path below = {path, name, 0};
    if (field != NULL && (field->flags & FIELD_STATUS) != 0) {
        bind_error(b, &pair[0], "E0232", &below, "", "'%s' is written by the system", name);
    } else if (field != NULL && (field->flags & FIELD_HIDDEN) == 0) {
        bind_field(b, field, &pair[1], object, &below);
    } else {
        bind_foreign(b, schema, pair, object, &below);
    }
}

static void bind_short(struct binder *b, const struct schema *schema, const struct yaml_node *node,
                       void *object, const struct bind_path *path) {
    const char *text = bind_text(b, node, path);
    struct error err = {0};
    if (text != NULL && schema->from_short(text, object, b->arena, &err) < 0) {
        bind_error(b, node, "E0317", path, "", "%s", err.root);
    }
}

bool bind_object(struct binder *b, const struct schema *schema, const struct yaml_node *node, void *object,
                 const struct bind_path *path, const char *extra_key) {
    const struct yaml_node *value = yaml_value(node);
    if (value->kind == YAML_NULL) {
        return true;
    }
    if (value->kind == YAML_SCALAR && schema->from_short != NULL) {
        bind_short(b, schema, node, object, path);
        return true;
    }
    if (value->kind != YAML_MAP) {
        bind_wrong_shape(b, node, path, schema->from_short != NULL ? "its short form or a map" : "a map");
        return false;
    }
    for (size_t i = 0; i < value->count && !b->is_over; i++) {
        const struct yaml_node *pair = &value->items[2 * i];
        bool is_free =
            str_starts(pair[0].text, "x-") || (extra_key != NULL && strcmp(pair[0].text, extra_key) == 0);
        if (!is_free) {
            bind_pair(b, schema, pair, object, path);
        }
    }
    return true;
}
