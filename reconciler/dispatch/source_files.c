// SPDX-License-Identifier: Apache-2.0
//
// reconciler/dispatch/source_files.c — which contents the secrets and configs of a task stand for, and
// their bytes.
//
// A reference that names a content has that one, found under the name itself or, when a newer one came, under
// NAME~CONTENT; one that names none has the newest.
#include "reconciler/dispatch/source_files.h"

#include <string.h>

#include "base/str.h"
#include "specs/resource.h"

// --- objects ---

static const struct id *content_of(enum object_kind kind, const void *object) {
    const struct id *content = kind == KIND_SECRET ? &((const struct secret *)object)->content
                                                   : &((const struct config *)object)->content;
    return id_is_none(content) ? &object_meta_const(object)->id : content;
}

static int load(struct task_source *source, enum object_kind kind, const char *name, const void **out,
                struct error *err) {
    struct id id;
    void *object = NULL;
    int rc = store_find_name(source->read, kind, name, &id, err);
    rc = rc == 0 ? store_load(source->read, kind, &id, source->arena, &object, err) : rc;
    *out = rc == 0 ? object : NULL;
    return rc < 0 ? rc : 0;
}

// NULL when there is no such object. A content that is gone (the object was removed and made anew) gives
// way to the newest.
static int find(struct task_source *source, enum object_kind kind, const struct file_reference *file,
                const void **out, struct error *err) {
    const void *newest, *old = NULL;
    int rc = load(source, kind, file->source, &newest, err);
    bool is_other = rc == 0 && newest != NULL && !id_is_none(&file->content) &&
                    !id_equal(content_of(kind, newest), &file->content);
    if (is_other) {
        rc = load(source, kind, arena_printf(source->arena, "%.64s~%s", file->source, file->content.text),
                  &old, err);
    }
    *out = old != NULL ? old : newest;
    return rc;
}

// --- bytes ---

static int open_secret(struct task_source *source, const struct secret_spec *spec, struct bytes *out,
                       struct error *err) {
    struct buf plain = {0};
    if (spec->fingerprint.len == 0) { // of a version that did not seal
        *out = spec->data;
        return 0;
    }
    if (source->vault.open == NULL) {
        return error_set(err, ERR_UNSUPPORTED, "nobody here opens what is sealed");
    }
    int rc = source->vault.open(source->vault.context, spec->name, spec->data, &plain, err);
    if (rc == 0) {
        *out = (struct bytes){arena_copy(source->arena, buf_text(&plain), plain.len), plain.len};
    }
    if (plain.len > 0) {
        explicit_bzero(plain.data, plain.len);
    }
    buf_free(&plain);
    return rc;
}

static void find_bytes(struct task_source *source, enum object_kind kind, const void *object,
                       struct assigned_file *file) {
    struct assigned_content *content = map_get(&source->contents, file->content.text);
    struct error err = {0};
    if (content != NULL) {
        return;
    }
    content = ARENA_NEW(source->arena, struct assigned_content);
    *content = (struct assigned_content){.id = file->content};
    if (kind == KIND_CONFIG) {
        content->data = ((const struct config *)object)->spec.data;
    } else if (open_secret(source, &((const struct secret *)object)->spec, &content->data, &err) < 0) {
        file->trouble = arena_strdup(source->arena, err.root);
        return;
    }
    map_put(&source->contents, content->id.text, content);
}

const struct assigned_content *source_content(const struct task_source *source, const struct id *content) {
    return map_get(&source->contents, content->text);
}

void source_files_deinit(struct task_source *source) {
    size_t cursor = 0;
    for (struct assigned_content *content; (content = map_next(&source->contents, &cursor)) != NULL;) {
        if (content->data.len > 0) {
            explicit_bzero((void *)(uintptr_t)content->data.data, content->data.len);
        }
    }
    map_free(&source->contents);
    map_free(&source->files);
}

// --- files of an assignment ---

static int make_file(struct task_source *source, enum object_kind kind,
                     const struct file_reference *reference, struct assigned_file *out, struct error *err) {
    const void *object;
    int rc = find(source, kind, reference, &object, err);
    if (rc < 0) {
        return rc;
    }
    schema_init(&assigned_file_schema, out);
    out->kind = kind;
    out->name = reference->source;
    out->is_missing = object == NULL;
    if (object != NULL) {
        out->content = *content_of(kind, object);
        find_bytes(source, kind, object, out);
    }
    return 0;
}

static int add_file(struct task_source *source, enum object_kind kind, const struct file_reference *reference,
                    struct assignment *assignment, struct error *err) {
    char *key =
        arena_printf(source->arena, "%d/%s/%s", (int)kind, reference->source, reference->content.text);
    const struct assigned_file *file = map_get(&source->files, key);
    int rc = 0;
    if (file == NULL) {
        struct assigned_file *made = ARENA_NEW(source->arena, struct assigned_file);
        rc = make_file(source, kind, reference, made, err);
        if (rc == 0) {
            map_put(&source->files, key, made);
            file = made;
        }
    }
    if (rc == 0 && assignment_file(assignment, kind, reference->source) == NULL) {
        *ARENA_PUSH(source->arena, &assignment->files) = *file;
    }
    return rc;
}

int source_add_files(struct task_source *source, struct assignment *assignment, struct error *err) {
    const struct service_spec *spec = &assignment->spec;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < spec->secrets.count; i++) {
        rc = add_file(source, KIND_SECRET, &spec->secrets.items[i], assignment, err);
    }
    for (size_t i = 0; rc == 0 && i < spec->configs.count; i++) {
        rc = add_file(source, KIND_CONFIG, &spec->configs.items[i], assignment, err);
    }
    return rc;
}

// --- who has the newest ---

struct followers {
    struct store_read *read;
    enum object_kind kind;
    const char *name;
    source_task_fn *each;
    void *context;
};

static bool follows(const struct service_spec *spec, enum object_kind kind, const char *name) {
    size_t count = kind == KIND_SECRET ? spec->secrets.count : spec->configs.count;
    const struct file_reference *files = kind == KIND_SECRET ? spec->secrets.items : spec->configs.items;
    for (size_t i = 0; i < count; i++) {
        if (files[i].on_change != ON_CHANGE_RESTART && str_equal(files[i].source, name)) {
            return true;
        }
    }
    return false;
}

static int tell_task(void *context, void *object, struct arena *arena, struct error *err) {
    const struct followers *followers = context;
    const struct task *task = object;
    (void)arena;
    return source_is_held(task, &task->node_id) && !task_state_is_over(task->status.state)
               ? followers->each(followers->context, task, err)
               : 0;
}

static int tell_tasks(void *context, void *object, struct arena *arena, struct error *err) {
    struct followers *followers = context;
    const struct service *service = object;
    AUTO_ARENA tasks = arena_make(0);
    int rc = 0;
    if (follows(&service->spec, followers->kind, followers->name)) {
        rc = store_each_object(followers->read, STORE_TASKS_OF_SERVICE, KIND_TASK, &service->meta.id, &tasks,
                               tell_task, followers, err);
    }
    arena_clear(arena);
    return rc;
}

int source_each_follower(struct store_read *read, enum object_kind kind, const char *name,
                         source_task_fn *each, void *context, struct error *err) {
    AUTO_ARENA arena = arena_make(0);
    struct followers followers = {read, kind, name, each, context};
    return store_each_object(read, STORE_ALL, KIND_SERVICE, NULL, &arena, tell_tasks, &followers, err);
}
