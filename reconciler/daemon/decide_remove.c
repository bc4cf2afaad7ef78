// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/decide_remove.c — what may go, and how: services let their tasks stop first.
#include "reconciler/daemon/decide.h"

#include "base/str.h"
#include "reconciler/daemon/decide_content.h"
#include "specs/node.h"
#include "specs/resource.h"
#include "specs/service.h"

struct removing {
    struct store_read *read;
    enum object_kind kind;
    bool force;
    struct arena *arena;
    struct decision *out;
};

static void removed(struct removing *r, const void *object, int64_t version) {
    const struct meta *meta = object_meta_const(object);
    struct apply_result *result = ARENA_PUSH(r->arena, &r->out->applied.results);
    schema_init(&apply_result_schema, result);
    result->kind = r->kind;
    result->name = meta->name;
    result->id = meta->id;
    result->action = ACTION_REMOVED;
    result->version = version;
    result->consequence = r->kind == KIND_SERVICE ? CONSEQUENCE_DATA_LOSS : CONSEQUENCE_NOTHING;
}

// --- each kind ---

static int remove_service(struct removing *r, struct service *service, struct error *err) {
    if (service->removing) {
        return error_set(err, ERR_NOT_FOUND, "service '%s' not found: it is being removed already",
                         service->meta.name);
    }
    service->removing = true;
    transaction_add(&r->out->transaction, CHANGE_UPDATE, KIND_SERVICE, service, r->arena);
    removed(r, service, 0);
    return 0;
}

static int remove_node(struct removing *r, struct node *node, struct error *err) {
    if (node->status.state != NODE_DOWN && !r->force) {
        return error_set(err, ERR_GUARD,
                         "node '%s' is not down and can't be removed: let it leave (muster swarm leave, on "
                         "it), stop its daemon, or use --force",
                         node->meta.name);
    }
    int rc = node->spec.role == ROLE_MANAGER && !node->status.left
                 ? decide_spare_manager(r->out, r->read, &node->meta.id, r->arena, err)
                 : 0;
    if (rc < 0) {
        return error_wrap(err, rc, "remove node '%s'", node->meta.name);
    }
    transaction_add(&r->out->transaction, CHANGE_DELETE, KIND_NODE, node, r->arena);
    removed(r, node, 0);
    return 0;
}

// Does the service refer to an object of the kind by this name?
static bool refers(const struct service_spec *spec, enum object_kind kind, const char *name) {
    for (size_t i = 0; kind == KIND_NETWORK && i < spec->networks.count; i++) {
        if (str_equal(spec->networks.items[i].name, name)) {
            return true;
        }
    }
    size_t count = kind == KIND_SECRET ? spec->secrets.count : kind == KIND_CONFIG ? spec->configs.count : 0;
    const struct file_reference *files = kind == KIND_SECRET ? spec->secrets.items : spec->configs.items;
    for (size_t i = 0; i < count; i++) {
        if (str_equal(files[i].source, name)) {
            return true;
        }
    }
    for (size_t i = 0; kind == KIND_VOLUME && i < spec->volumes.count; i++) {
        if (spec->volumes.items[i].type == MOUNT_VOLUME && str_equal(spec->volumes.items[i].source, name)) {
            return true;
        }
    }
    return false;
}

struct users {
    const struct removing *of;
    const char *name;
    struct buf *names;
    size_t count;
};

static int add_user(void *context, void *object, struct arena *arena, struct error *err) {
    struct users *users = context;
    const struct service *service = object;
    (void)err;
    if (refers(&service->spec, users->of->kind, users->name)) {
        buf_addf(users->names, "%s%s", users->count++ > 0 ? ", " : "", service->meta.name);
    }
    arena_clear(arena);
    return 0;
}

static int remove_resource(struct removing *r, void *object, struct error *err) {
    const char *name = object_meta(object)->name;
    AUTO_ARENA arena = arena_make(0);
    AUTO_BUF users = {0};
    struct users of = {r, name, &users, 0};
    int rc = store_each_object(r->read, STORE_ALL, KIND_SERVICE, NULL, &arena, add_user, &of, err);
    if (rc < 0) {
        return rc;
    }
    if (users.len > 0) {
        return error_set(err, ERR_GUARD, "%s '%s' is in use by the following service%s: %.300s",
                         object_kind_name(r->kind), name, of.count == 1 ? "" : "s", buf_text(&users));
    }
    if (content_is_of(r->kind)) {
        struct contents contents = {.read = r->read, .arena = r->arena, .out = r->out};
        rc = content_remove_old(&contents, r->kind, name, err);
    }
    if (rc < 0) {
        return rc;
    }
    transaction_add(&r->out->transaction, CHANGE_DELETE, r->kind, object, r->arena);
    removed(r, object, 0);
    return 0;
}

static int remove_one(struct removing *r, void *object, struct error *err) {
    switch ((int)r->kind) {
    case KIND_SERVICE:
        return remove_service(r, object, err);
    case KIND_NODE:
        return remove_node(r, object, err);
    case KIND_NETWORK:
    case KIND_SECRET:
    case KIND_CONFIG:
    case KIND_VOLUME:
    case KIND_SOURCE:
        return remove_resource(r, object, err);
    case KIND_TASK:
        return error_set(err, ERR_UNSUPPORTED,
                         "tasks are not removed by hand: scale or remove their service");
    default:
        return error_set(err, ERR_UNSUPPORTED, "a %s is not removed by hand", object_kind_name(r->kind));
    }
}

// --- all references ---

static int find(struct removing *r, const char *reference, void **out, struct error *err) {
    struct id id;
    int rc = store_resolve(r->read, r->kind, reference, &id, err);
    rc = rc == 0 ? store_load(r->read, r->kind, &id, r->arena, out, err) : rc;
    if (rc == STORE_ABSENT || (rc == 0 && content_is_old(r->kind, *out))) {
        return error_set(err, ERR_NOT_FOUND, "%s '%s' not found", object_kind_name(r->kind), reference);
    }
    return rc != STORE_AMBIGUOUS
               ? rc
               : error_set(err, ERR_AMBIGUOUS, "%s '%s' is ambiguous: more than one id begins like that",
                           object_kind_name(r->kind), reference);
}

static bool is_listed(const struct removing *r, const struct id *id) {
    for (size_t i = 0; i < r->out->applied.results.count; i++) {
        if (id_equal(&r->out->applied.results.items[i].id, id)) {
            return true;
        }
    }
    return false;
}

int decide_remove(struct store_read *read, const struct remove_request *request, const char *who,
                  int64_t now_unix_ms, struct arena *arena, struct decision *out, struct error *err) {
    struct removing r = {.read = read,
                         .kind = (enum object_kind)request->kind,
                         .force = request->force,
                         .arena = arena,
                         .out = out};
    *out = (struct decision){0};
    schema_init(&transaction_schema, &out->transaction);
    out->transaction.request_id = request->request_id;
    out->transaction.who = who;
    out->transaction.makes_room = true;
    out->transaction.why = request->why;
    out->transaction.time_unix_ms = now_unix_ms;
    out->applied.revision = store_read_revision(read);
    for (size_t i = 0; i < request->references.count; i++) {
        void *object;
        int rc = find(&r, request->references.items[i], &object, err);
        rc = rc < 0 || is_listed(&r, &object_meta(object)->id) ? rc : remove_one(&r, object, err);
        if (rc < 0) {
            *ARENA_PUSH(arena, &out->mistakes) = arena_strdup(arena, err->root);
            return rc;
        }
    }
    return 0;
}
