// SPDX-License-Identifier: Apache-2.0
//
// specs/settings.c — settings files go through the same reader as spec files, so they get its limits and its
// positions.
#include "specs/settings.h"

#include "specs/manifest_bind.h"
#include "specs/walk.h"

static int first_mistake(const struct diagnostics *diagnostics, struct error *err) {
    for (size_t i = 0; i < diagnostics->count; i++) {
        const struct diagnostic *at = &diagnostics->items[i];
        if (at->is_warning) {
            continue;
        }
        size_t others = diagnostics->error_count - 1;
        return error_set(err, ERR_INVALID, "%s:%lld:%lld: %s%s%s%s", at->at.file, (long long)at->at.line,
                         (long long)at->at.column, at->text, at->hint[0] != '\0' ? ": " : "", at->hint,
                         others > 0 ? " (and further mistakes)" : "");
    }
    return 0;
}

static void bind_document(struct binder *binder, const struct yaml_documents *documents, void *object) {
    const struct yaml_node *root = documents->count > 0 ? &documents->items[0] : NULL;
    if (documents->count > 1) {
        bind_error(binder, &documents->items[1], "E0201", NULL, "put all settings into one document",
                   "a second document");
    } else if (root != NULL) {
        bind_object(binder, binder->root, root, object, NULL, NULL);
    }
}

int settings_parse(const char *file, const struct schema *schema, struct bytes text, void *object,
                   struct arena *arena, struct error *err) {
    struct diagnostics diagnostics = {0};
    struct source_text source = {.name = file, .text = (const char *)text.data, .len = text.len};
    struct reporter reporter = {.arena = arena, .out = &diagnostics, .sources = &source, .source_count = 1};
    struct variables variables = {0};
    struct binder binder = {.arena = arena,
                            .reporter = &reporter,
                            .variables = &variables,
                            .root = schema,
                            .bytes_start = arena->used_bytes,
                            .bytes_max = 16 * 1024 * 1024};
    struct yaml_documents documents = {0};
    struct yaml_problems problems = {0};
    if (yaml_parse(source.text != NULL ? source.text : "", source.len, /* source= */ 0, arena, &documents,
                   &problems) != 0) {
        for (size_t i = 0; i < problems.count; i++) {
            const struct yaml_problem *at = &problems.items[i];
            reporter_add(&reporter, (struct place){.line = at->line, .column = at->column}, at->code, "",
                         at->hint, "%s", at->text);
        }
    } else {
        bind_document(&binder, &documents, object);
    }
    return diagnostics.error_count > 0 ? first_mistake(&diagnostics, err) : 0;
}

int settings_set(const struct field *field, const char *text, void *object, struct arena *arena,
                 struct error *err) {
    return field_set_scalar(field, text, object, arena, err);
}
