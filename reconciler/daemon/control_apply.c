// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/control_apply.c — APPLY, REMOVE and ROLLOUT: decided on a read, proposed, answered once durable.
//
// A change that lost a race (somebody else wrote between the read and the commit) is decided again on a newer
// read, unless the client said which version it means. A request whose id was proposed before is answered
// from the store.
#include "reconciler/daemon/control.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "reconciler/daemon/daemon.h"
#include "reconciler/daemon/decide.h"
#include "reconciler/daemon/vault.h"

#define TRIES_MAX 5

struct changing {
    struct answer answer; // first: the conversation's state
    struct arena arena;
    const struct apply_request *apply; // one of the three
    const struct remove_request *remove;
    const struct rollout_request *rollout;
    const char *who, *request_id;
    struct decision decision;
    int tries;
    bool is_fresh; // decided on a read that shows everything acknowledged before
};

static void changing_free(struct changing *changing) {
    arena_free(&changing->arena);
    xfree(changing);
}

// The proposal goes its way; its result finds nobody to tell.
static void on_closed(struct answer *answer) {
    (void)answer;
}

static void attempt(struct changing *changing);

static void finish(struct changing *changing, int64_t revision) {
    struct applied *applied = &changing->decision.applied;
    applied->revision = revision;
    if (changing->answer.conversation != NULL) {
        server_send(changing->answer.conversation, MESSAGE_APPLIED, applied);
        server_done(changing->answer.conversation, revision);
    }
    changing_free(changing);
}

static void fail(struct changing *changing, const struct error *err) {
    if (changing->answer.conversation != NULL) {
        server_fail_with(changing->answer.conversation, err, &changing->decision.mistakes);
    }
    changing_free(changing);
}

// --- a request seen before ---

static void note_event(struct applied *applied, const struct event *event, int64_t revision) {
    for (size_t i = 0; i < applied->results.count; i++) {
        struct apply_result *result = &applied->results.items[i];
        if (result->kind == event->kind && id_equal(&result->id, &event->id)) {
            result->action = event->op == CHANGE_CREATE   ? ACTION_CREATED
                             : event->op == CHANGE_DELETE ? ACTION_REMOVED
                                                          : ACTION_UPDATED;
            result->version = revision;
        }
    }
}

static int name_service(struct changing *changing, struct store_read *read, struct error *err) {
    void *object;
    int rc = store_load(read, KIND_SERVICE, &changing->rollout->service, &changing->arena, &object, err);
    if (rc == 0) {
        const struct service *service = object;
        struct apply_result *result = ARENA_PUSH(&changing->arena, &changing->decision.applied.results);
        schema_init(&apply_result_schema, result);
        result->kind = KIND_SERVICE;
        result->name = service->spec.name;
        result->id = service->meta.id;
        result->version = service->meta.version;
        result->revision = service->revision;
    }
    return rc < 0 ? rc : 0;
}

static int name_results(struct changing *changing, struct store_read *read, struct error *err) {
    struct applied *applied = &changing->decision.applied;
    if (changing->rollout != NULL) {
        return name_service(changing, read, err);
    }
    for (size_t i = 0; changing->apply != NULL && i < changing->apply->items.count; i++) {
        const struct apply_item *item = &changing->apply->items.items[i];
        struct apply_result *result = ARENA_PUSH(&changing->arena, &applied->results);
        schema_init(&apply_result_schema, result);
        result->kind = item->kind;
        result->name = item->name;
        void *object;
        int rc = store_find_name(read, (enum object_kind)item->kind, item->name, &result->id, err);
        rc = rc == 0
                 ? store_load(read, (enum object_kind)item->kind, &result->id, &changing->arena, &object, err)
                 : rc;
        if (rc < 0) {
            return rc;
        }
        if (rc == 0) {
            result->version = object_meta(object)->version;
            result->revision = item->kind == KIND_SERVICE ? ((struct service *)object)->revision : 0;
        }
    }
    return 0;
}

static int recall_events(struct changing *changing, struct store_read *read, int64_t revision,
                         struct error *err) {
    struct store_position position = store_position_after(revision - 1);
    struct events events = {0};
    struct applied *applied = &changing->decision.applied;
    int rc =
        store_history(read, &position, 0, TRANSACTION_CHANGES_MAX, SIZE_MAX, &changing->arena, &events, err);
    for (size_t i = 0; rc == 0 && i < events.count && events.items[i].revision == revision; i++) {
        const struct event *event = &events.items[i];
        if (changing->remove != NULL) {
            struct apply_result *result = ARENA_PUSH(&changing->arena, &applied->results);
            schema_init(&apply_result_schema, result);
            result->kind = event->kind;
            result->name = event->name;
            result->id = event->id;
            result->version = revision;
            result->action = ACTION_REMOVED;
        } else {
            note_event(applied, event, revision);
        }
    }
    return rc < 0 ? rc : 0;
}

// Each try has an id of its own, because the store remembers refusals too.
static const char *request_id_of(struct changing *changing, int number) {
    bool is_plain = number == 1 || changing->request_id[0] == '\0';
    return is_plain ? changing->request_id
                    : arena_printf(&changing->arena, "%s#%d", changing->request_id, number);
}

static bool is_race(int code) {
    return code == -ERR_CONFLICT || code == -ERR_EXISTS || code == -ERR_NOT_FOUND;
}

// 0 with the outcome of the last try; STORE_ABSENT when the request is new, or its tries so far lost races.
static int recall(struct changing *changing, struct store_read *read, struct store_request *out,
                  struct error *err) {
    int rc = STORE_ABSENT;
    for (int number = 1; number <= TRIES_MAX; number++) {
        rc = store_recall(read, request_id_of(changing, number), &changing->arena, out, err);
        if (rc != 0 || !is_race(out->code)) {
            break;
        }
        changing->tries = number;
    }
    return rc;
}

// True when the request was proposed before and is answered now.
static bool is_recalled(struct changing *changing, struct store_read *read) {
    struct store_request before;
    struct error err = {0};
    int rc = recall(changing, read, &before, &err);
    if (rc == STORE_ABSENT) {
        return false;
    }
    if (rc == 0 && before.code < 0) {
        rc = error_set(&err, (enum error_code) - before.code, "%s", before.text);
    }
    rc = rc < 0 ? rc : name_results(changing, read, &err);
    rc = rc < 0 ? rc : recall_events(changing, read, before.revision, &err);
    if (rc < 0) {
        fail(changing, &err);
    } else {
        finish(changing, before.revision);
    }
    return true;
}

// --- deciding and proposing ---

// What is proposed names the versions that it was decided on, so an old picture does no harm there. What ends
// here - a refusal, or nothing to do - would be wrong if the picture was old: it is decided once more.
static void on_fresh(void *context, int rc, const struct error *err) {
    struct changing *changing = context;
    if (rc < 0) {
        fail(changing, err);
    } else {
        changing->tries = 0;
        attempt(changing);
    }
}

// True when it waits for a fresh read.
static bool looks_again(struct changing *changing) {
    if (changing->is_fresh) {
        return false;
    }
    changing->is_fresh = true;
    return !replica_read(changing->answer.daemon->replica, on_fresh, changing);
}

static bool is_dry(const struct changing *changing) {
    return changing->apply != NULL && changing->apply->dry_run;
}

static void on_result(void *context, const struct proposal_result *result) {
    struct changing *changing = context;
    if (is_race(result->code) && changing->tries < TRIES_MAX) {
        attempt(changing);
        return;
    }
    if (result->code < 0) {
        struct error err = {0};
        error_set(&err, (enum error_code) - result->code, "%s", result->text);
        group_explain(changing->answer.daemon, &err);
        fail(changing, &err);
        return;
    }
    struct applied *applied = &changing->decision.applied;
    for (size_t i = 0; i < applied->results.count; i++) {
        if (applied->results.items[i].action != ACTION_UNCHANGED) {
            applied->results.items[i].version = result->revision;
        }
    }
    finish(changing, result->revision);
}

static int decide(struct changing *changing, struct store_read *read, struct error *err) {
    int64_t now_unix_ms = changing->answer.daemon->now.unix_ms;
    if (changing->rollout != NULL) {
        return decide_rollout(read, changing->rollout, changing->who, now_unix_ms, &changing->arena,
                              &changing->decision, err);
    }
    return changing->apply != NULL ? decide_apply(read, changing->apply, changing->who, now_unix_ms,
                                                  &changing->arena, &changing->decision, err)
                                   : decide_remove(read, changing->remove, changing->who, now_unix_ms,
                                                   &changing->arena, &changing->decision, err);
}

static void propose(struct changing *changing) {
    struct error err = {0};
    struct decision *decision = &changing->decision;
    if (is_dry(changing) || decision->transaction.changes.count == 0) {
        finish(changing, decision->applied.revision);
        return;
    }
    decision->transaction.request_id = request_id_of(changing, changing->tries);
    if (proposals_submit(&changing->answer.daemon->proposals, &decision->transaction, on_result, changing,
                         &err) < 0) {
        fail(changing, &err);
    }
}

static void attempt(struct changing *changing) {
    struct error err = {0};
    struct store_read *read;
    bool is_first = changing->tries == 0;
    int rc = store_read_begin(changing->answer.daemon->store, &read, &err);
    if (rc == 0) {
        if (is_first && is_recalled(changing, read)) {
            store_read_end(read);
            return;
        }
        changing->tries++;
        rc = decide(changing, read, &err);
        store_read_end(read);
    }
    bool ends_here = rc < 0 || changing->decision.transaction.changes.count == 0 || is_dry(changing);
    if (ends_here && looks_again(changing)) {
        return;
    }
    if (rc < 0) {
        fail(changing, &err);
    } else {
        propose(changing);
    }
}

static struct changing *changing_new(const struct request *request) {
    struct changing *changing = NEW(struct changing);
    changing->answer = (struct answer){request->daemon, request->conversation, on_closed, NULL};
    changing->who = arena_strdup(&changing->arena, request->who);
    conversation_set_state(request->conversation, changing);
    return changing;
}

void control_apply(const struct request *request) {
    struct changing *changing = changing_new(request);
    struct apply_request *apply = schema_copy(&apply_request_schema, request->payload, &changing->arena);
    struct error err = {0};
    changing->apply = apply;
    changing->request_id = apply->request_id;
    if (vault_seal_request(request->daemon, apply, &changing->arena, &err) < 0) {
        fail(changing, &err);
    } else {
        attempt(changing);
    }
}

void control_rollout(const struct request *request) {
    struct changing *changing = changing_new(request);
    changing->rollout = schema_copy(&rollout_request_schema, request->payload, &changing->arena);
    changing->request_id = changing->rollout->request_id;
    attempt(changing);
}

void control_remove(const struct request *request) {
    struct changing *changing = changing_new(request);
    changing->remove = schema_copy(&remove_request_schema, request->payload, &changing->arena);
    changing->request_id = changing->remove->request_id;
    attempt(changing);
}
