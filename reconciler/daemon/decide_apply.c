// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/decide_apply.c — declarations compared with what is stored.
//
// Equal means: the canonical encodings of both specs are the same bytes. Then nothing is written at all, so
// that applying a file again and again leaves no trace.
#include "reconciler/daemon/decide.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/str.h"
#include "reconciler/daemon/decide_content.h"
#include "reconciler/daemon/zones.h"
#include "specs/node.h"
#include "specs/resource.h"
#include "specs/service.h"
#include "specs/task_template.h"

struct item {
    const struct apply_item *given;
    enum object_kind kind;
    const struct schema *schema; // of the spec
    void *spec;                  // decoded, canonical
    const char *name;
    void *before; // the object as stored; NULL = none
    struct apply_result *result;
    bool is_bad;
};

struct applying {
    struct store_read *read;
    const struct apply_request *request;
    const char *who;
    int64_t now_unix_ms;
    struct arena *arena;
    struct decision *out;
    struct map declared;  // struct item, by "kind/name"
    enum error_code code; // of the first mistake
    struct contents contents;
    LIST_OF(struct apply_result) followers; // services that nobody declared, and that get a new content
};

__attribute__((format(printf, 4, 5))) static void mistake(struct applying *a, struct item *item,
                                                          enum error_code code, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const char *text = arena_vprintf(a->arena, format, args);
    va_end(args);
    *ARENA_PUSH(a->arena, &a->out->mistakes) =
        str_is_empty(item->name)
            ? text
            : arena_printf(a->arena, "%s '%s': %s", object_kind_name(item->kind), item->name, text);
    a->code = a->code == ERR_NONE ? code : a->code;
    item->is_bad = true;
}

static void warn(struct applying *a, struct item *item, const char *text) {
    *ARENA_PUSH(a->arena, &item->result->warnings) = text;
}

// --- reading the request ---

static void check_spec(struct applying *a, struct item *item) {
    struct problems problems = {0};
    schema_validate(item->schema, item->spec, /*warnings=*/true, a->arena, &problems);
    for (size_t i = 0; i < problems.count; i++) {
        const struct problem *problem = &problems.items[i];
        if (problem->is_warning) {
            warn(a, item, arena_printf(a->arena, "%s %s", problem->path, problem->text));
        } else if (problem->path[0] == '\0') {
            mistake(a, item, ERR_INVALID, "%s", problem->text);
        } else {
            mistake(a, item, ERR_INVALID, "%s: %s", problem->path, problem->text);
        }
    }
    schema_canonicalize(item->schema, item->spec);
    const struct secret_spec *secret = item->kind == KIND_SECRET ? item->spec : NULL;
    if (secret != NULL && secret->data.len > 0 && secret->fingerprint.len == 0) { // never stored like that
        mistake(a, item, ERR_INTERNAL, "its value has not been sealed");
    }
    struct error err = {0};
    const struct schedule *schedule =
        item->kind == KIND_SERVICE ? ((const struct service_spec *)item->spec)->deploy.schedule : NULL;
    if (schedule != NULL && zone_name_is_valid(schedule->time_zone) &&
        zone_file_check(schedule->time_zone, &err) < 0) {
        mistake(a, item, ERR_INVALID, "deploy.schedule.time_zone: %s", err.root);
    }
}

static const char *spec_name(const struct item *item) {
    const struct field *field = schema_field(item->schema, "name");
    const char *name;
    memcpy(&name, (const char *)item->spec + field->offset, sizeof name);
    return name;
}

static const char *key_of(struct arena *arena, enum object_kind kind, const char *name) {
    return arena_printf(arena, "%d/%s", (int)kind, name);
}

static void read_item(struct applying *a, struct item *item) {
    struct error err = {0};
    item->kind = (enum object_kind)item->given->kind;
    item->name = item->given->name;
    item->result->kind = item->given->kind;
    if (!object_kind_is_declared(item->kind)) {
        mistake(a, item, ERR_INVALID, "objects of kind '%s' are not declared", object_kind_name(item->kind));
        return;
    }
    item->schema = object_spec_schema(item->kind);
    item->spec = arena_alloc(a->arena, item->schema->bytes);
    if (wire_decode(item->schema, item->given->spec, item->spec, a->arena, &err) < 0) {
        mistake(a, item, ERR_INVALID, "the spec cannot be read: %s", err.root);
        return;
    }
    item->name = str_is_empty(item->name) ? spec_name(item) : item->name;
    item->result->name = item->name;
    if (!str_equal(item->name, spec_name(item))) {
        mistake(a, item, ERR_INVALID, "its spec has another name: '%s'", spec_name(item));
        return;
    }
    check_spec(a, item);
    if (map_put(&a->declared, key_of(a->arena, item->kind, item->name), item) != NULL) {
        mistake(a, item, ERR_INVALID, "declared twice in one request");
    }
}

static int load_before(struct applying *a, struct item *item, struct error *err) {
    struct id id;
    int rc = store_find_name(a->read, item->kind, item->name, &id, err);
    rc = rc == 0 ? store_load(a->read, item->kind, &id, a->arena, &item->before, err) : rc;
    return rc < 0 ? rc : 0;
}

// --- references ---

static int check_reference(struct applying *a, struct item *item, enum object_kind kind, const char *list,
                           const char *name, struct error *err) {
    struct id id;
    if (name[0] == '\0' || map_get(&a->declared, key_of(a->arena, kind, name)) != NULL) {
        return 0;
    }
    int rc = store_find_name(a->read, kind, name, &id, err);
    if (rc != STORE_ABSENT) {
        return rc;
    }
    if (kind == KIND_VOLUME && task_template_is(name)) {
        return 0; // one for each task
    }
    if (kind == KIND_VOLUME) { // as Docker does it
        warn(a, item,
             arena_printf(a->arena,
                          "%s: volume '%s' is not declared: it is made on each node when first used", list,
                          name));
    } else {
        mistake(a, item, ERR_NOT_FOUND,
                "%s: %s '%s' not found: create it first, or declare it in the same files", list,
                object_kind_name(kind), name);
    }
    return 0;
}

static int check_references(struct applying *a, struct item *item, struct error *err) {
    const struct service_spec *spec = item->spec;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < spec->networks.count; i++) {
        rc = check_reference(a, item, KIND_NETWORK, "networks", spec->networks.items[i].name, err);
    }
    for (size_t i = 0; rc == 0 && i < spec->secrets.count; i++) {
        rc = check_reference(a, item, KIND_SECRET, "secrets", spec->secrets.items[i].source, err);
    }
    for (size_t i = 0; rc == 0 && i < spec->configs.count; i++) {
        rc = check_reference(a, item, KIND_CONFIG, "configs", spec->configs.items[i].source, err);
    }
    for (size_t i = 0; rc == 0 && i < spec->volumes.count; i++) {
        if (spec->volumes.items[i].type == MOUNT_VOLUME) {
            rc = check_reference(a, item, KIND_VOLUME, "volumes", spec->volumes.items[i].source, err);
        }
    }
    return rc;
}

// --- what is different ---

static bool is_external(const struct item *item) {
    const struct field *field = schema_field(item->schema, "external");
    return field != NULL && *((const bool *)item->spec + field->offset);
}

static bool is_same_spec(const struct item *item) {
    AUTO_BUF before = {0}, after = {0};
    wire_encode(item->schema, (const char *)item->before + object_spec_offset(item->kind), &before);
    wire_encode(item->schema, item->spec, &after);
    return before.len == after.len && (before.len == 0 || memcmp(before.data, after.data, before.len) == 0);
}

static void check_fixed(struct applying *a, struct item *item, const struct differences *differences) {
    for (size_t i = 0; i < differences->count; i++) {
        const struct difference *at = &differences->items[i];
        if (at->field != NULL && (at->field->flags & FIELD_IMMUTABLE) != 0) {
            mistake(a, item, ERR_UNSUPPORTED,
                    "%s cannot be changed (from %s to %s): remove the %s and create it anew", at->path,
                    at->old_text != NULL ? at->old_text : "nothing",
                    at->new_text != NULL ? at->new_text : "nothing", object_kind_name(item->kind));
        }
    }
}

// The client has seen the present spec, although the object was written since: a rollout tells its service how
// it goes, and that is nobody's change.
static bool is_spec_seen(struct applying *a, const struct item *item, int64_t expected) {
    const struct service *service = item->before;
    struct id id;
    void *record;
    if (item->kind != KIND_SERVICE || expected > service->meta.version) {
        return false;
    }
    const char *name =
        arena_printf(a->arena, "%s/%lld", service->meta.id.text, (long long)service->revision);
    return store_find_name(a->read, KIND_REVISION, name, &id, /* err */ NULL) == 0 &&
           store_load(a->read, KIND_REVISION, &id, a->arena, &record, /* err */ NULL) == 0 &&
           expected >= object_meta(record)->version;
}

static void check_version(struct applying *a, struct item *item) {
    int64_t expected = item->given->expected_version;
    int64_t version = item->before != NULL ? object_meta(item->before)->version : 0;
    if (expected == -1 && item->before != NULL) {
        mistake(a, item, ERR_EXISTS, "already exists");
    } else if (expected > 0 && item->before == NULL) {
        mistake(a, item, ERR_NOT_FOUND, "not found");
    } else if (expected > 0 && expected != version && !is_spec_seen(a, item, expected)) {
        mistake(a, item, ERR_CONFLICT, "was changed meanwhile: it is at version %lld, not %lld",
                (long long)version, (long long)expected);
    }
}

static int check_node(struct applying *a, struct item *item, struct error *err) {
    const struct node *before = item->before;
    const struct node_spec *spec = item->spec;
    if (before == NULL) {
        mistake(a, item, ERR_NOT_FOUND, "not found: nodes join a cluster, they are not declared");
    } else if (before->spec.role != spec->role && before->status.left) {
        mistake(a, item, ERR_GUARD, "it left the swarm: its role is given when it joins again");
    } else if (before->spec.role == ROLE_MANAGER && spec->role == ROLE_WORKER) {
        struct error why = {0};
        int rc = decide_spare_manager(a->out, a->read, &before->meta.id, a->arena, &why);
        if (rc == -ERR_GUARD) {
            mistake(a, item, ERR_GUARD, "cannot be demoted: %s", why.root);
        } else if (rc < 0) {
            *err = why;
            return rc;
        }
    }
    return 0;
}

// --- writing ---

struct kept {
    size_t count;
    struct revision_spec *items;
};

static void add_revision(struct applying *a, const struct service *service) {
    struct revision revision;
    schema_init(&revision_schema, &revision);
    revision.meta.id = id_random();
    revision.meta.name =
        arena_printf(a->arena, "%s/%lld", service->meta.id.text, (long long)service->revision);
    revision.service_id = service->meta.id;
    revision.revision = service->revision;
    revision.who = a->who;
    revision.why = a->request->why;
    revision.spec = service->spec;
    transaction_add(&a->out->transaction, CHANGE_CREATE, KIND_REVISION, &revision, a->arena);
}

static int take_revision(void *context, void *object, struct arena *arena, struct error *err) {
    (void)err;
    const struct revision *revision = object;
    struct kept *kept = context;
    *ARENA_PUSH(arena, kept) = (struct revision_spec){revision->revision, &revision->spec};
    return 0;
}

// A newer spec that has tasks replaced starts from a clean sheet: what became of the last update is past.
static int take_service_spec(struct applying *a, struct service *service, const struct service_spec *spec,
                             struct error *err) {
    struct kept kept = {0};
    int rc = store_each_object(a->read, STORE_REVISIONS_OF_SERVICE, KIND_REVISION, &service->meta.id,
                               a->arena, take_revision, &kept, err);
    if (rc < 0) {
        return rc;
    }
    service_take_spec(service, spec, kept.items, kept.count, a->arena);
    if (service->restart_revision == service->revision) {
        service->update_status.state = UPDATE_NONE;
        service->update_status.started_unix_ms = service->update_status.completed_unix_ms = 0;
        service->update_status.message = "";
    }
    return 0;
}

static int write_spec(struct applying *a, struct item *item, void *object, bool is_new_spec,
                      struct error *err) {
    if (item->kind != KIND_SERVICE || item->before == NULL) {
        memcpy((char *)object + object_spec_offset(item->kind), item->spec, item->schema->bytes);
    } else if (is_new_spec) {
        return take_service_spec(a, object, item->spec, err);
    }
    return 0;
}

// A job runs when it is made, and again when what it runs has changed.
static void raise_iteration(const struct applying *a, const struct service *before, struct service *service,
                            enum consequence consequence) {
    const struct schedule *schedule = service->spec.deploy.schedule;
    bool is_new = before == NULL && mode_is_job(service->spec.deploy.mode) && schedule == NULL;
    const struct schedule *old = before != NULL ? before->spec.deploy.schedule : NULL;
    if (schedule == NULL || old == NULL || !schema_equal(&schedule_schema, schedule, old)) {
        service->next_run_unix_ms = 0; // the planner sees to it
        service->schedule_note = "";
    }
    if (is_new || (before != NULL && service_starts_run(&before->spec, &service->spec, consequence))) {
        service->job_iteration++;
        service->last_execution_unix_ms = a->now_unix_ms;
    }
}

static int write_item(struct applying *a, struct item *item, bool is_new_spec, enum consequence consequence,
                      struct error *err) {
    const struct schema *schema = object_schema(item->kind);
    void *object = arena_alloc(a->arena, schema->bytes);
    if (item->before != NULL) {
        memcpy(object, item->before, schema->bytes);
    } else {
        schema_init(schema, object);
        object_meta(object)->id = id_random();
    }
    int rc = write_spec(a, item, object, is_new_spec, err);
    if (rc < 0) {
        return rc;
    }
    struct meta *meta = object_meta(object);
    meta->name = item->name;
    meta->owner = str_is_empty(item->given->owner) ? meta->owner : item->given->owner;
    meta->origin = str_is_empty(item->given->origin) ? meta->origin : item->given->origin;
    struct service *service = item->kind == KIND_SERVICE && is_new_spec ? object : NULL;
    if (service != NULL && item->before == NULL) {
        service->revision = service->restart_revision = 1;
    }
    if (service != NULL) {
        raise_iteration(a, item->before, service, consequence);
    }
    item->result->revision = service != NULL ? service->revision : item->result->revision;
    if (content_is_of(item->kind)) {
        consequence = CONSEQUENCE_NOTHING; // the services that it has consequences for are told of beside it
        rc = content_write(&a->contents, item->kind, item->before, object, err);
        if (rc < 0) {
            return rc;
        }
    }
    transaction_add(&a->out->transaction, item->before != NULL ? CHANGE_UPDATE : CHANGE_CREATE, item->kind,
                    object, a->arena);
    if (service != NULL) {
        add_revision(a, object);
    }
    item->result->id = meta->id;
    item->result->action = item->before != NULL ? ACTION_UPDATED : ACTION_CREATED;
    item->result->consequence = consequence;
    item->result->version = 0;
    return 0;
}

static bool changes_owner(struct applying *a, struct item *item) {
    const char *before = object_meta(item->before)->owner, *now = item->given->owner;
    if (str_is_empty(now) || str_equal(before, now)) {
        return false;
    }
    if (!str_is_empty(before)) {
        warn(a, item, arena_printf(a->arena, "was declared by '%s', now by '%s'", before, now));
    }
    return true;
}

static int decide_existing(struct applying *a, struct item *item, struct error *err) {
    struct differences differences = {0};
    const struct meta *meta = object_meta(item->before);
    item->result->id = meta->id;
    item->result->version = meta->version;
    item->result->revision = item->kind == KIND_SERVICE ? ((struct service *)item->before)->revision : 0;
    if (content_is_of(item->kind)) {
        content_settle(item->kind, item->before, item->spec);
    }
    bool is_new_spec = !is_external(item) && !is_same_spec(item);
    if (is_new_spec) {
        schema_diff(item->schema, (const char *)item->before + object_spec_offset(item->kind), item->spec,
                    a->arena, &differences);
        check_fixed(a, item, &differences);
    }
    bool is_new_owner = !is_external(item) && changes_owner(a, item);
    bool is_changed = (is_new_spec || is_new_owner) && !item->is_bad;
    return is_changed ? write_item(a, item, is_new_spec, differences.worst, err) : 0;
}

// A service that is being removed gives its name up to a new one: `service rm web` and `service create --name
// web` may follow each other at once.
static void free_name(struct applying *a, struct item *item) {
    struct service *service = arena_copy(a->arena, item->before, sizeof *service);
    service->meta.name = arena_printf(a->arena, "%.100s~%.8s", item->name, service->meta.id.text);
    transaction_add(&a->out->transaction, CHANGE_UPDATE, KIND_SERVICE, service, a->arena);
    item->before = NULL;
}

static int decide_item(struct applying *a, struct item *item, struct error *err) {
    int rc = load_before(a, item, err);
    rc = rc == 0 && item->kind == KIND_SERVICE ? check_references(a, item, err) : rc;
    rc = rc == 0 && item->kind == KIND_SERVICE ? content_pin(&a->contents, item->spec, err) : rc;
    if (rc < 0) {
        return rc;
    }
    if (item->kind == KIND_SERVICE && item->before != NULL && ((struct service *)item->before)->removing) {
        if (item->given->expected_version > 0) {
            mistake(a, item, ERR_NOT_FOUND, "not found: it is being removed");
            return 0;
        }
        free_name(a, item);
    }
    check_version(a, item);
    rc = item->kind == KIND_NODE ? check_node(a, item, err) : 0;
    if (rc < 0) {
        return rc;
    }
    if (item->before == NULL && is_external(item)) {
        mistake(a, item, ERR_NOT_FOUND, "is external, but does not exist: create it first");
    } else if (!item->is_bad && item->before == NULL) {
        return write_item(a, item, /*is_new_spec=*/true, CONSEQUENCE_NOTHING, err);
    } else if (!item->is_bad) {
        return decide_existing(a, item, err);
    }
    return 0;
}

// --- services that follow ---

static int follow_one(void *context, void *object, struct arena *scratch, struct error *err) {
    struct applying *a = context;
    struct service *service = object;
    bool is_declared = map_get(&a->declared, key_of(scratch, KIND_SERVICE, service->meta.name)) != NULL;
    struct service_spec *spec = schema_copy(&service_spec_schema, &service->spec, scratch);
    if (service->removing || is_declared || !content_repin(&a->contents, spec)) {
        arena_clear(scratch);
        return 0;
    }
    int rc = take_service_spec(a, service, spec, err);
    if (rc < 0) {
        return rc;
    }
    transaction_add(&a->out->transaction, CHANGE_UPDATE, KIND_SERVICE, service, a->arena);
    add_revision(a, service);
    struct apply_result *result = ARENA_PUSH(a->arena, &a->followers);
    schema_init(&apply_result_schema, result);
    result->kind = KIND_SERVICE;
    result->name = arena_strdup(a->arena, service->meta.name);
    result->id = service->meta.id;
    result->revision = service->revision;
    result->action = ACTION_UPDATED;
    result->consequence = CONSEQUENCE_RESTART;
    arena_clear(scratch);
    return 0;
}

// Services that were not declared along, but have a content that changed. Their results follow the others.
static int follow(struct applying *a, struct error *err) {
    AUTO_ARENA scratch = arena_make(0);
    if (a->contents.changes.count == 0) {
        return 0;
    }
    int rc = store_each_object(a->read, STORE_ALL, KIND_SERVICE, NULL, &scratch, follow_one, a, err);
    size_t count = a->out->applied.results.count, more = a->followers.count;
    if (rc == 0 && more > 0) {
        struct apply_result *all = ARENA_ARRAY(a->arena, struct apply_result, count + more);
        memcpy(all, a->out->applied.results.items, count * sizeof *all);
        memcpy(all + count, a->followers.items, more * sizeof *all);
        a->out->applied.results.items = all;
        a->out->applied.results.count = count + more;
    }
    return rc;
}

static int refuse(const struct applying *a, struct error *err) {
    size_t others = a->out->mistakes.count - 1;
    char more[48] = "";
    if (others > 0) {
        snprintf(more, sizeof more, " (and %zu more)", others);
    }
    return error_set(err, a->code, "%s%s", a->out->mistakes.items[0], more);
}

static int decide_all(struct applying *a, struct item *items, struct error *err) {
    int rc = 0;
    for (size_t i = 0; i < a->request->items.count; i++) {
        read_item(a, &items[i]);
    }
    for (int pass = 0; pass < 2; pass++) { // services last: they name what the others become
        for (size_t i = 0; rc == 0 && i < a->request->items.count; i++) {
            bool is_due = (items[i].kind == KIND_SERVICE) == (pass == 1);
            rc = items[i].is_bad || !is_due ? 0 : decide_item(a, &items[i], err);
        }
    }
    if (rc == 0 && a->out->mistakes.count > 0) {
        return refuse(a, err);
    }
    return rc < 0 ? rc : follow(a, err);
}

int decide_apply(struct store_read *read, const struct apply_request *request, const char *who,
                 int64_t now_unix_ms, struct arena *arena, struct decision *out, struct error *err) {
    struct applying a = {
        .read = read, .request = request, .who = who, .now_unix_ms = now_unix_ms, .arena = arena, .out = out};
    a.contents = (struct contents){.read = read, .arena = arena, .out = out};
    *out = (struct decision){0};
    schema_init(&transaction_schema, &out->transaction);
    out->transaction.request_id = request->request_id;
    out->transaction.who = who;
    out->transaction.why = request->why;
    out->transaction.time_unix_ms = now_unix_ms;
    size_t count = request->items.count;
    struct item *items = ARENA_ARRAY(arena, struct item, count);
    out->applied.results.items = ARENA_ARRAY(arena, struct apply_result, count);
    out->applied.results.count = count;
    out->applied.revision = store_read_revision(read);
    for (size_t i = 0; i < count; i++) {
        schema_init(&apply_result_schema, &out->applied.results.items[i]);
        items[i] = (struct item){.given = &request->items.items[i], .result = &out->applied.results.items[i]};
    }
    int rc = decide_all(&a, items, err);
    map_free(&a.declared);
    return rc;
}
