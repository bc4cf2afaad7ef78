// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/control.c — the table of requests, and what people call things.
#include "reconciler/daemon/control.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "reconciler/daemon/daemon.h"

enum freshness {
    ANY,    // what this manager knows will do, or the handler sees to it
    FRESH,  // nothing acknowledged may be missing, unless the client says that it does not mind
    CHANGE, // needs a quorum, and the handler sees to it
};

static const struct handler {
    uint16_t message;
    bool before_init; // answered although there is no cluster yet
    enum freshness freshness;
    void (*run)(const struct request *request);
} handlers[] = {
    {MESSAGE_LIST, false, FRESH, control_list},
    {MESSAGE_APPLY, false, CHANGE, control_apply},
    {MESSAGE_REMOVE, false, CHANGE, control_remove},
    {MESSAGE_ROLLOUT, false, CHANGE, control_rollout},
    {MESSAGE_WATCH, false, ANY, control_watch},
    {MESSAGE_HISTORY, false, FRESH, control_history},
    {MESSAGE_LOGS, false, ANY, control_logs},
    {MESSAGE_WHY, false, FRESH, control_why},
    {MESSAGE_PLAN, false, FRESH, control_plan},
    {MESSAGE_REBALANCE, false, FRESH, control_rebalance},
    {MESSAGE_INFO, true, ANY, control_info},
    {MESSAGE_VOLUMES, true, ANY, control_volumes},
    {MESSAGE_INIT, true, ANY, control_init},
    {MESSAGE_SWARM_JOIN, true, ANY, control_join},
    {MESSAGE_SWARM_LEAVE, true, ANY, control_leave},
    {MESSAGE_JOIN_TOKEN, false, FRESH, control_join_token},
    {MESSAGE_CA_ROTATE, false, FRESH, control_ca_rotate},
    {MESSAGE_EXEC, false, ANY, control_exec},
    {MESSAGE_EXEC_INPUT, false, ANY, control_exec_input},
    {MESSAGE_EXEC_RESIZE, false, ANY, control_exec_resize},
};

// A request that waits until reads are fresh.
struct deferred {
    struct answer answer; // first: the conversation's state
    struct arena arena;
    const struct handler *handler;
    const void *payload;
    const char *who;
};

static void deferred_free(struct deferred *deferred) {
    arena_free(&deferred->arena);
    xfree(deferred);
}

static void on_deferred_closed(struct answer *answer) {
    replica_read_forget(answer->daemon->replica, answer);
    deferred_free((struct deferred *)answer);
}

static void on_fresh(void *context, int rc, const struct error *err) {
    struct deferred *deferred = context;
    struct conversation *conversation = deferred->answer.conversation;
    conversation_set_state(conversation, NULL);
    if (rc < 0) {
        struct error failure = *err;
        group_explain(deferred->answer.daemon, &failure);
        error_wrap(&failure, rc, "read (--stale shows what this manager last knew)");
        server_fail(conversation, &failure);
    } else {
        deferred->handler->run(&(struct request){.daemon = deferred->answer.daemon,
                                                 .conversation = conversation,
                                                 .payload = deferred->payload,
                                                 .who = deferred->who,
                                                 .is_fresh = true});
    }
    deferred_free(deferred);
}

static void run_fresh(const struct handler *handler, const struct request *request) {
    struct deferred *deferred = NEW(struct deferred);
    deferred->answer = (struct answer){
        .daemon = request->daemon, .conversation = request->conversation, .on_closed = on_deferred_closed};
    if (replica_read(request->daemon->replica, on_fresh, deferred)) {
        deferred_free(deferred);
        struct request fresh = *request;
        fresh.is_fresh = true;
        handler->run(&fresh);
        return;
    }
    deferred->handler = handler;
    deferred->payload =
        schema_copy(message_row(handler->message)->payload, request->payload, &deferred->arena);
    deferred->who = arena_strdup(&deferred->arena, request->who);
    conversation_set_state(request->conversation, deferred);
}

static int check_role(const struct daemon *daemon, struct error *err) {
    if (!daemon_is_initialized(daemon)) {
        return error_set(err, ERR_UNREACHABLE,
                         "this node is not a swarm manager: use \"muster swarm init\" to make a cluster of "
                         "it, or \"muster swarm join\" to make it part of one");
    }
    return group_is_manager(daemon)
               ? 0
               : error_set(err, ERR_UNREACHABLE,
                           "This node is not a swarm manager. Worker nodes can't be used to view or modify "
                           "cluster state. Please run this command on a manager node or promote the current "
                           "node to a manager.");
}

// At once, what would come of it after a while.
static int check_group(const struct daemon *daemon, const struct server_request *request,
                       const struct handler *handler, struct error *err) {
    bool needs_quorum = handler->freshness == CHANGE || (handler->freshness == FRESH && !request->is_stale);
    return needs_quorum && outdated_is(daemon) ? outdated_explain(daemon, err) : 0;
}

static void run(struct daemon *daemon, const struct server_request *request, const struct handler *handler) {
    struct error err = {0};
    if (leaving_is_stopping(daemon) && handler->message != MESSAGE_INFO) {
        error_set(&err, ERR_BUSY, "this node left its swarm, and %zu of its tasks are still being stopped",
                  agent_task_count(daemon->agent));
        server_fail(request->conversation, &err);
        return;
    }
    int rc = check_group(daemon, request, handler, &err);
    rc = rc < 0 || handler->before_init ? rc : check_role(daemon, &err);
    if (rc < 0) {
        server_fail(request->conversation, &err);
        return;
    }
    char who[160];
    snprintf(who, sizeof who, "uid:%u %s@%s", request->peer_uid, request->peer_uid == 0 ? "root" : "user",
             daemon->hostname);
    const struct request ours = {
        .daemon = daemon, .conversation = request->conversation, .payload = request->payload, .who = who};
    if (handler->freshness == FRESH && !request->is_stale) {
        run_fresh(handler, &ours);
    } else {
        handler->run(&ours);
    }
}

void control_on_request(void *daemon, const struct server_request *request) {
    for (size_t i = 0; i < sizeof handlers / sizeof *handlers; i++) {
        if (handlers[i].message == request->number) {
            run(daemon, request, &handlers[i]);
            return;
        }
    }
    struct error err = {0};
    error_set(&err, ERR_UNSUPPORTED, "this daemon (%s) does not answer %s", MUSTER_VERSION,
              message_row(request->number)->name);
    server_fail(request->conversation, &err);
}

void control_on_closed(void *daemon, struct conversation *conversation) {
    (void)daemon;
    struct answer *answer = conversation_state(conversation);
    if (answer != NULL) {
        answer->conversation = NULL;
        answer->on_closed(answer);
    }
}

// The next turn looks at all streams by itself.
void control_on_writable(void *daemon, struct conversation *conversation) {
    (void)daemon;
    struct answer *answer = conversation_state(conversation);
    if (answer != NULL && answer->on_writable != NULL) {
        answer->on_writable(answer);
    }
}

// --- what people call things ---

struct newest {
    int64_t slot, created; // created 0 = none yet
    struct id id;
};

static int look_for_newest(void *context, void *object, struct arena *arena, struct error *err) {
    struct newest *newest = context;
    const struct task *task = object;
    (void)err;
    if (task->slot == newest->slot && task->meta.created > newest->created) {
        newest->created = task->meta.created;
        newest->id = task->meta.id;
    }
    arena_clear(arena);
    return 0;
}

int control_find_task(struct store_read *read, const char *reference, struct arena *arena, struct id *out,
                      struct error *err) {
    int rc = store_resolve(read, KIND_TASK, reference, out, err);
    const char *dot = strrchr(reference, '.');
    int64_t slot;
    if (rc != STORE_ABSENT || dot == NULL || !str_to_int(dot + 1, &slot)) {
        return rc;
    }
    const char *service = arena_strndup(arena, reference, (size_t)(dot - reference));
    struct id service_id;
    rc = store_resolve(read, KIND_SERVICE, service, &service_id, err);
    if (rc != 0) {
        return rc;
    }
    AUTO_ARENA tasks = arena_make(0);
    struct newest newest = {.slot = slot};
    rc = store_each_object(read, STORE_TASKS_OF_SERVICE, KIND_TASK, &service_id, &tasks, look_for_newest,
                           &newest, err);
    *out = rc == 0 && newest.created > 0 ? newest.id : *out;
    return rc < 0 ? rc : newest.created == 0 ? STORE_ABSENT : 0;
}

int control_resolve(struct store_read *read, enum object_kind kind, const char *reference,
                    struct arena *arena, struct id *out, struct error *err) {
    int rc = kind == KIND_TASK ? control_find_task(read, reference, arena, out, err)
                               : store_resolve(read, kind, reference, out, err);
    if (rc == STORE_ABSENT) {
        return error_set(err, ERR_NOT_FOUND, "%s '%s' not found", object_kind_name(kind), reference);
    }
    if (rc == STORE_AMBIGUOUS) {
        return error_set(err, ERR_AMBIGUOUS, "%s '%s' is ambiguous: more than one id begins like that",
                         object_kind_name(kind), reference);
    }
    return rc;
}
