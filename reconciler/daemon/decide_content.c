// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/decide_content.c — contents get ids, services name them, what nobody names goes.
#include "reconciler/daemon/decide_content.h"

#include <string.h>

#include "base/map.h"
#include "base/str.h"
#include "specs/service.h"

// --- one object ---

static const struct id *id_of(enum object_kind kind, const void *object) {
    return kind == KIND_SECRET ? &((const struct secret *)object)->content
                               : &((const struct config *)object)->content;
}

const struct id *content_id(enum object_kind kind, const void *object) {
    const struct id *id = id_of(kind, object);
    return id_is_none(id) ? &object_meta_const(object)->id : id;
}

bool content_is_old(enum object_kind kind, const void *object) {
    return (kind == KIND_SECRET && ((const struct secret *)object)->is_old) ||
           (kind == KIND_CONFIG && ((const struct config *)object)->is_old);
}

static bool same_bytes(struct bytes a, struct bytes b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static bool is_same_value(enum object_kind kind, const void *before, const void *spec) {
    if (kind == KIND_CONFIG) {
        return same_bytes(((const struct config *)before)->spec.data,
                          ((const struct config_spec *)spec)->data);
    }
    const struct secret_spec *old = &((const struct secret *)before)->spec, *new = spec;
    return same_bytes(old->fingerprint, new->fingerprint) && (new->fingerprint.len > 0 || new->data.len == 0);
}

bool content_settle(enum object_kind kind, const void *before, void *spec) {
    bool is_same = is_same_value(kind, before, spec);
    if (is_same && kind == KIND_SECRET) {
        ((struct secret_spec *)spec)->data = ((const struct secret *)before)->spec.data;
    }
    return !is_same;
}

static const char *old_name(struct arena *arena, const char *name, const struct id *content) {
    return arena_printf(arena, "%.64s~%s", name, content->text);
}

// --- who names what ---

static void add_named(struct map *named, size_t count, const struct file_reference *files,
                      struct arena *arena) {
    for (size_t i = 0; i < count; i++) {
        if (!id_is_none(&files[i].content)) {
            const char *key = arena_strdup(arena, files[i].content.text);
            map_put(named, key, (void *)(uintptr_t)key);
        }
    }
}

struct naming {
    struct map *named;
    struct arena *arena;
    enum object_kind kind; // of who names
};

static int note_named(void *context, void *object, struct arena *scratch, struct error *err) {
    const struct naming *naming = context;
    const struct service_spec *spec =
        naming->kind == KIND_SERVICE ? &((struct service *)object)->spec : &((struct revision *)object)->spec;
    (void)err;
    add_named(naming->named, spec->secrets.count, spec->secrets.items, naming->arena);
    add_named(naming->named, spec->configs.count, spec->configs.items, naming->arena);
    arena_clear(scratch);
    return 0;
}

// All contents that services and their kept revisions name, as stored.
static int find_named(struct contents *contents, struct map *named, struct error *err) {
    static const enum object_kind kinds[] = {KIND_SERVICE, KIND_REVISION};
    int rc = 0;
    for (size_t i = 0; rc >= 0 && i < 2; i++) {
        AUTO_ARENA scratch = arena_make(0);
        struct naming naming = {named, contents->arena, kinds[i]};
        rc = store_each_object(contents->read, STORE_ALL, kinds[i], NULL, &scratch, note_named, &naming, err);
    }
    return rc;
}

// --- what came before ---

struct collecting {
    struct contents *contents;
    enum object_kind kind;
    const char *name; // "" = any
    const struct map *named;
};

static int collect_one(void *context, void *object, struct arena *scratch, struct error *err) {
    const struct collecting *collecting = context;
    const char *name = collecting->kind == KIND_SECRET ? ((struct secret *)object)->spec.name
                                                       : ((struct config *)object)->spec.name;
    (void)err;
    bool is_its = collecting->name[0] == '\0' || str_equal(name, collecting->name);
    if (content_is_old(collecting->kind, object) && is_its &&
        (collecting->named == NULL ||
         map_get(collecting->named, content_id(collecting->kind, object)->text) == NULL)) {
        transaction_add(&collecting->contents->out->transaction, CHANGE_DELETE, collecting->kind, object,
                        collecting->contents->arena);
    }
    arena_clear(scratch);
    return 0;
}

static int collect(struct contents *contents, enum object_kind kind, const char *name,
                   const struct map *named, struct error *err) {
    AUTO_ARENA scratch = arena_make(0);
    struct collecting collecting = {contents, kind, name, named};
    return store_each_object(contents->read, STORE_ALL, kind, NULL, &scratch, collect_one, &collecting, err);
}

int content_collect(struct contents *contents, enum object_kind kind, const char *name, struct error *err) {
    struct map named = {0};
    int rc = find_named(contents, &named, err);
    rc = rc < 0 ? rc : collect(contents, kind, name, &named, err);
    map_free(&named);
    return rc;
}

int content_remove_old(struct contents *contents, enum object_kind kind, const char *name,
                       struct error *err) {
    return collect(contents, kind, name, NULL, err);
}

static void *make_old(struct contents *contents, enum object_kind kind, const void *before) {
    void *old = arena_copy(contents->arena, before, object_schema(kind)->bytes);
    struct meta *meta = object_meta(old);
    struct id content = *content_id(kind, before);
    if (kind == KIND_SECRET) {
        ((struct secret *)old)->content = content;
        ((struct secret *)old)->is_old = true;
    } else {
        ((struct config *)old)->content = content;
        ((struct config *)old)->is_old = true;
    }
    meta->id = id_random();
    meta->name = old_name(contents->arena, meta->name, &content);
    meta->version = 0;
    meta->owner = ""; // nobody declares it
    return old;
}

static int keep_aside(struct contents *contents, enum object_kind kind, const void *before,
                      struct error *err) {
    struct map named = {0};
    int rc = find_named(contents, &named, err);
    if (rc >= 0 && map_get(&named, content_id(kind, before)->text) != NULL) {
        transaction_add(&contents->out->transaction, CHANGE_CREATE, kind, make_old(contents, kind, before),
                        contents->arena);
    }
    rc = rc < 0 ? rc : collect(contents, kind, object_meta_const(before)->name, &named, err);
    map_free(&named);
    return rc;
}

int content_write(struct contents *contents, enum object_kind kind, const void *before, void *object,
                  struct error *err) {
    struct id *id = (struct id *)(uintptr_t)id_of(kind, object);
    const void *spec = (const char *)object + object_spec_offset(kind);
    if (before != NULL && is_same_value(kind, before, spec)) {
        return 0; // only labels and the like
    }
    *id = id_random();
    struct content_change *change = ARENA_PUSH(contents->arena, &contents->changes);
    *change = (struct content_change){kind, object_meta(object)->name, *id};
    return before != NULL ? keep_aside(contents, kind, before, err) : 0;
}

// --- which content a service gets ---

static const struct content_change *find_change(const struct contents *contents, enum object_kind kind,
                                                const char *name) {
    for (size_t i = 0; i < contents->changes.count; i++) {
        const struct content_change *change = &contents->changes.items[i];
        if (change->kind == kind && str_equal(change->name, name)) {
            return change;
        }
    }
    return NULL;
}

// The newest content of a name; none when there is no such object.
static int find_newest(struct contents *contents, enum object_kind kind, const char *name, struct id *out,
                       struct error *err) {
    const struct content_change *change = find_change(contents, kind, name);
    AUTO_ARENA scratch = arena_make(0);
    struct id id;
    void *object;
    *out = change != NULL ? change->content : (struct id){{0}};
    if (change != NULL) {
        return 0;
    }
    int rc = store_find_name(contents->read, kind, name, &id, err);
    rc = rc == 0 ? store_load(contents->read, kind, &id, &scratch, &object, err) : rc;
    if (rc == 0) {
        *out = *content_id(kind, object);
    }
    return rc < 0 ? rc : 0;
}

static int pin_one(struct contents *contents, enum object_kind kind, struct file_reference *file,
                   struct error *err) {
    struct id newest, old;
    if (file->on_change != ON_CHANGE_RESTART) {
        file->content = (struct id){{0}};
        return 0;
    }
    int rc = find_newest(contents, kind, file->source, &newest, err);
    if (rc < 0 || id_is_none(&file->content) || id_equal(&file->content, &newest)) {
        file->content = rc < 0 ? file->content : newest;
        return rc;
    }
    rc = store_find_name(contents->read, kind, old_name(contents->arena, file->source, &file->content), &old,
                         err);
    file->content = rc == 0 ? file->content : newest;
    return rc < 0 ? rc : 0;
}

int content_pin(struct contents *contents, struct service_spec *spec, struct error *err) {
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < spec->secrets.count; i++) {
        rc = pin_one(contents, KIND_SECRET, &spec->secrets.items[i], err);
    }
    for (size_t i = 0; rc == 0 && i < spec->configs.count; i++) {
        rc = pin_one(contents, KIND_CONFIG, &spec->configs.items[i], err);
    }
    return rc;
}

static bool repin(const struct contents *contents, enum object_kind kind, size_t count,
                  struct file_reference *files) {
    bool is_changed = false;
    for (size_t i = 0; i < count; i++) {
        const struct content_change *change = find_change(contents, kind, files[i].source);
        if (change != NULL && files[i].on_change == ON_CHANGE_RESTART) {
            is_changed |= !id_equal(&files[i].content, &change->content);
            files[i].content = change->content;
        }
    }
    return is_changed;
}

bool content_repin(const struct contents *contents, struct service_spec *spec) {
    bool has_secret = repin(contents, KIND_SECRET, spec->secrets.count, spec->secrets.items);
    bool has_config = repin(contents, KIND_CONFIG, spec->configs.count, spec->configs.items);
    return has_secret || has_config;
}
