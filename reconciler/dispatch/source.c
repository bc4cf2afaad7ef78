// SPDX-License-Identifier: Apache-2.0
//
// reconciler/dispatch/source.c — tasks with the spec of their revision, from the store.
#include "reconciler/dispatch/source.h"

#include <ctype.h>
#include <string.h>

#include "reconciler/dispatch/source_files.h"
#include "specs/cluster.h"

int source_init(struct task_source *source, struct store_read *read, struct arena *arena, struct error *err) {
    struct store_cursor cursor;
    struct id id;
    struct bytes bytes;
    struct cluster cluster;
    *source = (struct task_source){.read = read, .arena = arena};
    int rc = store_each_begin(read, STORE_ALL, KIND_CLUSTER, NULL, &cursor, err);
    if (rc < 0) {
        return rc;
    }
    rc = store_each_next(&cursor, &id, &bytes, err);
    rc = rc == 0 ? wire_decode(&cluster_schema, bytes, &cluster, arena, err) : rc;
    store_each_end(&cursor);
    if (rc == 0) {
        source->insecure_registries = cluster.spec.insecure_registries;
    }
    return rc < 0 ? rc : 0;
}

void source_deinit(struct task_source *source) {
    map_free(&source->services);
    map_free(&source->specs);
    source_files_deinit(source);
}

int source_node(struct task_source *source, const struct id *node_id, const struct node **out,
                struct error *err) {
    void *object;
    int rc = store_load(source->read, KIND_NODE, node_id, source->arena, &object, err);
    if (rc == 0) {
        *out = object;
    }
    return rc;
}

static int load_service(struct task_source *source, const struct id *id, const struct service **out,
                        struct error *err) {
    void *object = map_get(&source->services, id->text);
    if (object == NULL) {
        int rc = store_load(source->read, KIND_SERVICE, id, source->arena, &object, err);
        if (rc != 0) {
            *out = NULL;
            return rc < 0 ? rc : 0;
        }
        map_put(&source->services, ((struct service *)object)->meta.id.text, object);
    }
    *out = object;
    return 0;
}

// The spec of a revision that is not the current one. NULL when it is not kept any more.
static int load_revision(struct task_source *source, const struct task *task, const struct service_spec **out,
                         struct error *err) {
    char *name = arena_printf(source->arena, "%s/%lld", task->service_id.text, (long long)task->revision);
    void *object = map_get(&source->specs, name);
    if (object == NULL) {
        struct id id;
        int rc = store_find_name(source->read, KIND_REVISION, name, &id, err);
        rc = rc == 0 ? store_load(source->read, KIND_REVISION, &id, source->arena, &object, err) : rc;
        if (rc != 0) {
            *out = NULL;
            return rc < 0 ? rc : 0;
        }
        map_put(&source->specs, name, object);
    }
    *out = &((struct revision *)object)->spec;
    return 0;
}

// The names, or how many: "uuid-1,uuid-2", "3". Variables that the service sets itself stay as they are.
static void add_variable(struct task_source *source, const char *prefix, const char *kind, const char *value,
                         bool is_plain, struct pairs *environment) {
    char *name = arena_printf(source->arena, "%s%s", prefix, kind);
    for (char *c = name; *c != '\0'; c++) {
        *c = (char)toupper((unsigned char)*c);
        *c = is_plain && !isalnum((unsigned char)*c) ? '_' : *c;
    }
    if (pairs_get(environment, name) == NULL) {
        *environment = pairs_set(source->arena, environment, name, value);
    }
}

// Docker's variable, whose name is the kind in capitals; and ours, which a shell can always read.
static void add_resources(struct task_source *source, const struct task *task, struct pairs *environment) {
    for (size_t i = 0; i < task->generic_resources.count; i++) {
        const struct generic_stock *held = &task->generic_resources.items[i];
        AUTO_BUF text = {0};
        generic_write(held, &text);
        const char *value = arena_strdup(source->arena, strchr(buf_text(&text), '=') + 1);
        add_variable(source, "DOCKER_RESOURCE_", held->kind, value, /* is_plain */ false, environment);
        add_variable(source, "MUSTER_RESOURCE_", held->kind, value, /* is_plain */ true, environment);
    }
}

int source_assignment(struct task_source *source, const struct task *task, const char *hostname,
                      struct assignment *out, struct error *err) {
    const struct service *service;
    const struct service_spec *spec;
    int rc = load_service(source, &task->service_id, &service, err);
    if (rc < 0) {
        return rc;
    }
    if (service != NULL && service->revision == task->revision) {
        spec = &service->spec;
    } else {
        rc = load_revision(source, task, &spec, err);
    }
    if (rc < 0 || spec == NULL) {
        return rc < 0 ? rc : SOURCE_WITHOUT_SPEC;
    }
    schema_init(&assignment_schema, out);
    out->task = *task;
    out->spec = *spec;
    add_resources(source, task, &out->spec.environment);
    out->service_name = spec->name;
    out->node_hostname = hostname;
    out->insecure_registries = source->insecure_registries;
    return source_add_files(source, out, err);
}

bool source_is_held(const struct task *task, const struct id *node_id) {
    return id_equal(&task->node_id, node_id) && task->status.state >= TASK_ASSIGNED;
}

bool source_is_news(const struct task *from, const struct task *to, const struct id *node_id) {
    return from == NULL || !source_is_held(from, node_id) || from->desired != to->desired ||
           from->start_after_unix_ms != to->start_after_unix_ms;
}

int source_decode_task(struct bytes bytes, struct task *storage, const struct task **out, struct arena *arena,
                       struct error *err) {
    *out = bytes.len > 0 ? storage : NULL;
    return bytes.len > 0 ? wire_decode(&task_schema, bytes, storage, arena, err) : 0;
}
