// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/decide_rollout.c — what users do to rollouts: go back to an older spec, pause, go on.
//
// A rollback is a change of the service like any other, with the spec of a kept revision; that its
// update_status says so makes the planners follow rollback_config. Pausing and going on change the rollout and
// tell the service, in one transaction.
#include "reconciler/daemon/decide.h"

#include "base/str.h"
#include "specs/rollout.h"

struct turning {
    struct store_read *read;
    const struct rollout_request *request;
    const char *who;
    int64_t now_unix_ms;
    struct arena *arena;
    struct decision *out;
    struct service *service;
    LIST_OF(const struct revision *) kept; // oldest first
};

static int turning_load(struct turning *t, struct error *err) {
    void *object;
    int rc = store_load(t->read, KIND_SERVICE, &t->request->service, t->arena, &object, err);
    if (rc < 0) {
        return rc;
    }
    t->service = rc == 0 ? object : NULL;
    if (t->service == NULL || t->service->removing) {
        return error_set(err, ERR_NOT_FOUND, "the service is not there any more");
    }
    int64_t expected = t->request->expected_version;
    if (expected > 0 && expected != t->service->meta.version) {
        return error_set(err, ERR_CONFLICT,
                         "service '%s' was changed meanwhile: it is at version %lld, not %lld",
                         t->service->spec.name, (long long)t->service->meta.version, (long long)expected);
    }
    return 0;
}

static void turning_result(struct turning *t, enum apply_action action, enum consequence consequence) {
    struct apply_result *result = ARENA_PUSH(t->arena, &t->out->applied.results);
    schema_init(&apply_result_schema, result);
    result->kind = KIND_SERVICE;
    result->name = t->service->spec.name;
    result->id = t->service->meta.id;
    result->action = action;
    result->version = t->service->meta.version;
    result->revision = t->service->revision;
    result->consequence = consequence;
}

// --- back ---

static int take_revision(void *context, void *object, struct arena *arena, struct error *err) {
    struct turning *t = context;
    (void)err;
    size_t at = t->kept.count;
    ARENA_PUSH(arena, &t->kept);
    for (; at > 0 && t->kept.items[at - 1]->revision > ((struct revision *)object)->revision; at--) {
        t->kept.items[at] = t->kept.items[at - 1];
    }
    t->kept.items[at] = object;
    return 0;
}

// The one asked for, or the newest before the present one.
static const struct revision *turning_target(const struct turning *t) {
    const struct revision *best = NULL;
    for (size_t i = 0; i < t->kept.count; i++) {
        const struct revision *at = t->kept.items[i];
        bool is_it = t->request->revision > 0 ? at->revision == t->request->revision
                                              : at->revision < t->service->revision;
        best = is_it ? at : best;
    }
    return best;
}

static int refuse_target(const struct turning *t, struct error *err) {
    AUTO_BUF text = {0};
    for (size_t i = 0; i < t->kept.count; i++) {
        buf_addf(&text, "%s%lld", i > 0 ? ", " : "", (long long)t->kept.items[i]->revision);
    }
    if (t->request->revision > 0) {
        return error_set(err, ERR_NOT_FOUND, "service '%s' has no revision %lld: kept are %s",
                         t->service->spec.name, (long long)t->request->revision, buf_text(&text));
    }
    return error_set(err, ERR_NOT_FOUND, "service '%s' has no spec before the present one",
                     t->service->spec.name);
}

static void add_record(struct turning *t, int64_t target) {
    const struct service *service = t->service;
    struct revision record;
    schema_init(&revision_schema, &record);
    record.meta.id = id_random();
    record.meta.name = arena_printf(t->arena, "%s/%lld", service->meta.id.text, (long long)service->revision);
    record.service_id = service->meta.id;
    record.revision = service->revision;
    record.who = t->who;
    record.why = !str_is_empty(t->request->why)
                     ? t->request->why
                     : arena_printf(t->arena, "rollback to revision %lld", (long long)target);
    record.spec = service->spec;
    t->out->transaction.why = record.why;
    transaction_add(&t->out->transaction, CHANGE_CREATE, KIND_REVISION, &record, t->arena);
}

static bool is_moving(const struct service *service) {
    enum update_state state = service->update_status.state;
    return state == UPDATE_UPDATING || state == UPDATE_PAUSED || state == UPDATE_ROLLBACK_STARTED ||
           state == UPDATE_ROLLBACK_PAUSED;
}

static int roll_back(struct turning *t, struct error *err) {
    int rc = store_each_object(t->read, STORE_REVISIONS_OF_SERVICE, KIND_REVISION, &t->service->meta.id,
                               t->arena, take_revision, t, err);
    if (rc < 0) {
        return rc;
    }
    const struct revision *target = turning_target(t);
    if (target == NULL) {
        return refuse_target(t, err);
    }
    struct service *service = t->service;
    if (schema_equal(&service_spec_schema, &target->spec, &service->spec)) {
        turning_result(t, ACTION_UNCHANGED, CONSEQUENCE_NOTHING);
        return 0;
    }
    struct revision_spec *kept = ARENA_ARRAY(t->arena, struct revision_spec, t->kept.count);
    for (size_t i = 0; i < t->kept.count; i++) {
        kept[i] = (struct revision_spec){t->kept.items[i]->revision, &t->kept.items[i]->spec};
    }
    enum consequence consequence = service_take_spec(service, &target->spec, kept, t->kept.count, t->arena);
    // A rollback that replaces no task leaves a rollout that is under way to itself.
    if (service->restart_revision == service->revision || !is_moving(service)) {
        service->update_status.state = UPDATE_ROLLBACK_STARTED;
        service->update_status.started_unix_ms = t->now_unix_ms;
        service->update_status.completed_unix_ms = 0;
        service->update_status.message = "manually requested rollback";
    }
    turning_result(t, ACTION_UPDATED, consequence);
    add_record(t, target->revision);
    transaction_add(&t->out->transaction, CHANGE_UPDATE, KIND_SERVICE, service, t->arena);
    return 0;
}

// --- pause, go on ---

static int load_rollout(struct turning *t, struct rollout **out, struct error *err) {
    const struct service *service = t->service;
    struct id id;
    void *object = NULL;
    const char *name = rollout_name(&service->meta.id, service->rollout_number, t->arena);
    int rc = store_find_name(t->read, KIND_ROLLOUT, name, &id, err);
    rc = rc == 0 ? store_load(t->read, KIND_ROLLOUT, &id, t->arena, &object, err) : rc;
    if (rc < 0) {
        return rc;
    }
    *out = object;
    if (rc != 0) {
        return error_set(err, ERR_NOT_FOUND, "service '%s' has no rollout", service->spec.name);
    }
    if (!rollout_is_open(*out)) {
        return error_set(err, ERR_NOT_FOUND, "service '%s' has no rollout under way: the last one is %s",
                         service->spec.name, update_state_names[(*out)->state]);
    }
    return 0;
}

static int pause_or_resume(struct turning *t, struct error *err) {
    struct rollout *rollout;
    bool is_pause = t->request->verb == ROLLOUT_PAUSE;
    int rc = load_rollout(t, &rollout, err);
    if (rc < 0) {
        return rc;
    }
    if (rollout_is_paused(rollout) == is_pause) {
        turning_result(t, ACTION_UNCHANGED, CONSEQUENCE_NOTHING);
        return 0;
    }
    if (is_pause) {
        const char *why = t->request->why;
        rollout_pause(rollout, ROLLOUT_CAUSE_USER,
                      arena_printf(t->arena, "%s paused by %s%s%s",
                                   rollout_is_rollback(rollout) ? "rollback" : "update", t->who,
                                   str_is_empty(why) ? "" : ": ", why));
    } else {
        struct id round_id = id_random();
        rollout_resume(rollout, &round_id, t->now_unix_ms);
    }
    rollout_tell(rollout, &t->service->update_status);
    transaction_add(&t->out->transaction, CHANGE_UPDATE, KIND_ROLLOUT, rollout, t->arena);
    transaction_add(&t->out->transaction, CHANGE_UPDATE, KIND_SERVICE, t->service, t->arena);
    turning_result(t, ACTION_UPDATED, CONSEQUENCE_NOTHING);
    return 0;
}

int decide_rollout(struct store_read *read, const struct rollout_request *request, const char *who,
                   int64_t now_unix_ms, struct arena *arena, struct decision *out, struct error *err) {
    struct turning t = {
        .read = read, .request = request, .who = who, .now_unix_ms = now_unix_ms, .arena = arena, .out = out};
    *out = (struct decision){0};
    schema_init(&transaction_schema, &out->transaction);
    out->transaction.request_id = request->request_id;
    out->transaction.who = who;
    out->transaction.time_unix_ms = now_unix_ms;
    out->transaction.why = !str_is_empty(request->why)      ? request->why
                           : request->verb == ROLLOUT_PAUSE ? "rollout: paused by a user"
                                                            : "rollout: resumed by a user";
    out->applied.revision = store_read_revision(read);
    int rc = turning_load(&t, err);
    if (rc < 0) {
        return rc;
    }
    return request->verb == ROLLOUT_ROLL_BACK ? roll_back(&t, err) : pause_or_resume(&t, err);
}
