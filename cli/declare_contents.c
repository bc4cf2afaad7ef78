// SPDX-License-Identifier: Apache-2.0
//
// cli/declare_contents.c — a dry run of the secrets and configs alone, read as differences.
#include "cli/declare_contents.h"

#include "base/str.h"
#include "cli/connect.h"
#include "specs/resource.h"

// --- comparing the rest ---

static void take_pins(size_t count, struct file_reference *files, size_t old_count,
                      const struct file_reference *old) {
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < old_count; j++) {
            if (str_equal(files[i].source, old[j].source) && files[i].on_change == old[j].on_change) {
                files[i].content = old[j].content;
            }
        }
    }
}

static const void *service_without_contents(const struct service_spec *before,
                                            const struct service_spec *spec, struct arena *arena) {
    struct service_spec *copy = arena_copy(arena, spec, sizeof *copy);
    copy->secrets.items =
        arena_copy(arena, spec->secrets.items, spec->secrets.count * sizeof *spec->secrets.items);
    copy->configs.items =
        arena_copy(arena, spec->configs.items, spec->configs.count * sizeof *spec->configs.items);
    take_pins(copy->secrets.count, copy->secrets.items, before->secrets.count, before->secrets.items);
    take_pins(copy->configs.count, copy->configs.items, before->configs.count, before->configs.items);
    return copy;
}

const void *declare_without_contents(enum object_kind kind, const void *before, const void *spec,
                                     struct arena *arena) {
    if (kind == KIND_SERVICE) {
        return service_without_contents(before, spec, arena);
    }
    if (kind != KIND_SECRET) {
        return spec;
    }
    struct secret_spec *copy = arena_copy(arena, spec, sizeof *copy);
    copy->data = (struct bytes){0};
    return copy;
}

// --- asking ---

static bool is_content(const struct comparison *item) {
    return (item->kind == KIND_SECRET || item->kind == KIND_CONFIG) && item->object != NULL &&
           item->declaration != NULL;
}

bool declare_has_contents(const struct comparisons *comparisons) {
    for (size_t i = 0; i < comparisons->count; i++) {
        if (is_content(&comparisons->items[i])) {
            return true;
        }
    }
    return false;
}

// As stored, but with the declared content: so whatever the answer says has changed is the content.
static void add_item(const struct comparison *item, struct apply_request *request, struct arena *arena) {
    const struct schema *schema = object_spec_schema(item->kind);
    void *spec =
        arena_copy(arena, (const char *)item->object + object_spec_offset(item->kind), schema->bytes);
    bool is_external;
    if (item->kind == KIND_SECRET) {
        const struct secret_spec *declared = item->declaration->spec;
        ((struct secret_spec *)spec)->data = declared->data;
        is_external = declared->external;
    } else {
        const struct config_spec *declared = item->declaration->spec;
        ((struct config_spec *)spec)->data = declared->data;
        is_external = declared->external;
    }
    if (is_external) {
        return;
    }
    AUTO_BUF bytes = buf_make(2 * OBJECT_BYTES_MAX);
    wire_encode(schema, spec, &bytes);
    struct apply_item *out = ARENA_PUSH(arena, &request->items);
    schema_init(&apply_item_schema, out);
    out->kind = item->kind;
    out->name = item->name;
    out->spec = (struct bytes){arena_copy(arena, bytes.data, bytes.len), bytes.len};
}

// --- reading the answer ---

static struct comparison *find(struct comparisons *comparisons, enum object_kind kind, const char *name) {
    for (size_t i = 0; i < comparisons->count; i++) {
        if (comparisons->items[i].kind == kind && str_equal(comparisons->items[i].name, name)) {
            return &comparisons->items[i];
        }
    }
    return NULL;
}

static void add_difference(struct comparison *item, const char *path, const char *old_text,
                           const char *new_text, enum consequence consequence, struct arena *arena) {
    item->action = DECLARE_CHANGED;
    *ARENA_PUSH(arena, &item->differences) = (struct difference){
        .path = path, .old_text = old_text, .new_text = new_text, .consequence = consequence};
    item->differences.worst = consequence > item->differences.worst ? consequence : item->differences.worst;
}

static bool is_changed(const struct applied *applied, enum object_kind kind, const char *name) {
    for (size_t i = 0; i < applied->results.count; i++) {
        const struct apply_result *result = &applied->results.items[i];
        if (result->kind == (int64_t)kind && str_equal(result->name, name)) {
            return result->action == ACTION_UPDATED;
        }
    }
    return false;
}

struct following {
    const struct applied *applied;
    struct comparison *item;
    struct arena *arena;
};

static void note_files(const struct following *following, enum object_kind kind, const char *list,
                       size_t count, const struct file_reference *files) {
    for (size_t i = 0; i < count; i++) {
        if (files[i].on_change == ON_CHANGE_RESTART &&
            is_changed(following->applied, kind, files[i].source)) {
            add_difference(following->item, arena_printf(following->arena, "%s[%s]", list, files[i].source),
                           "the content so far", "the new content", CONSEQUENCE_RESTART, following->arena);
        }
    }
}

static void note_service(const struct applied *applied, const struct apply_result *result,
                         const struct map *stored, struct arena *arena, struct comparisons *comparisons) {
    const struct service *service = map_get(stored, arena_printf(arena, "service/%s", result->name));
    struct comparison *item = find(comparisons, KIND_SERVICE, result->name);
    if (service == NULL) {
        return; // made since it was looked for
    }
    if (item == NULL) {
        item = ARENA_PUSH(arena, comparisons);
        *item = (struct comparison){.kind = KIND_SERVICE, .name = service->meta.name, .object = service};
    }
    const struct following following = {applied, item, arena};
    note_files(&following, KIND_SECRET, "secrets", service->spec.secrets.count, service->spec.secrets.items);
    note_files(&following, KIND_CONFIG, "configs", service->spec.configs.count, service->spec.configs.items);
}

int declare_compare_contents(struct client *client, const struct map *stored, struct arena *arena,
                             struct comparisons *comparisons, struct error *err) {
    struct apply_request request;
    struct applied *applied;
    schema_init(&apply_request_schema, &request);
    request.request_id = connect_request_id(arena);
    request.dry_run = true;
    for (size_t i = 0; i < comparisons->count; i++) {
        if (is_content(&comparisons->items[i])) {
            add_item(&comparisons->items[i], &request, arena);
        }
    }
    int rc = request.items.count > 0 ? connect_apply(client, &request, arena, &applied, err) : 0;
    for (size_t i = 0; rc == 0 && request.items.count > 0 && i < applied->results.count; i++) {
        const struct apply_result *result = &applied->results.items[i];
        struct comparison *item = find(comparisons, (enum object_kind)result->kind, result->name);
        if (result->kind == KIND_SERVICE) {
            note_service(applied, result, stored, arena, comparisons);
        } else if (result->kind == KIND_SECRET && result->action == ACTION_UPDATED && item != NULL) {
            add_difference(item, "data", "(secret)", "(another secret)", CONSEQUENCE_NOTHING, arena);
        }
    }
    return rc;
}
