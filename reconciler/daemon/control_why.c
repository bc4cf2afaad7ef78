// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/control_why.c — WHY: a task's or service's state explained, by its record, its slot's
// history, and the real scheduler.
#include "reconciler/daemon/control.h"

#include <ctype.h>

#include "base/clock.h"
#include "base/str.h"
#include "base/units.h"
#include "reconciler/daemon/daemon.h"
#include "reconciler/plan/depend.h"
#include "reconciler/schedule/schedule.h"

struct why {
    struct daemon *daemon;
    struct store_read *read;
    struct arena *arena;
    struct view view;
    const struct service *service;
    const struct task *task; // NULL: the service has none
    struct why_reply reply;
};

// --- what is asked about ---

// The task of a service that says most about its trouble: one that is to run and does not, else the newest.
static const struct task *telling_task(const struct why *why) {
    struct view_tasks tasks = view_tasks_of(&why->view, &why->service->meta.id);
    const struct task *best = NULL;
    for (size_t i = 0; i < tasks.count; i++) {
        const struct task *task = tasks.items[i];
        bool is_trouble = view_wants_to_run(task) && task->status.state != TASK_RUNNING;
        bool was_trouble = best != NULL && view_wants_to_run(best) && best->status.state != TASK_RUNNING;
        if (best == NULL || is_trouble > was_trouble ||
            (is_trouble == was_trouble && task->meta.created > best->meta.created)) {
            best = task;
        }
    }
    return best;
}

static const struct task *task_by_id(const struct why *why, const struct id *id) {
    struct view_tasks tasks = view_tasks_of(&why->view, &why->service->meta.id);
    for (size_t i = 0; i < tasks.count; i++) {
        if (id_equal(&tasks.items[i]->meta.id, id)) {
            return tasks.items[i];
        }
    }
    return NULL;
}

static int find(struct why *why, const char *reference, struct id *task_id, struct id *service_id,
                struct error *err) {
    int rc = store_resolve(why->read, KIND_SERVICE, reference, service_id, err);
    if (rc != STORE_ABSENT) {
        return rc;
    }
    void *task;
    rc = control_find_task(why->read, reference, why->arena, task_id, err);
    rc = rc == 0 ? store_load(why->read, KIND_TASK, task_id, why->arena, &task, err) : rc;
    if (rc == 0) {
        *service_id = ((struct task *)task)->service_id;
    }
    return rc;
}

static int look_up(struct why *why, const char *reference, struct error *err) {
    struct id task_id = {{0}}, service_id = {{0}};
    int rc = find(why, reference, &task_id, &service_id, err);
    if (rc == STORE_ABSENT || rc == STORE_AMBIGUOUS) {
        return error_set(err, rc == STORE_ABSENT ? ERR_NOT_FOUND : ERR_AMBIGUOUS,
                         "'%s' is %s: give a task's id, SERVICE.SLOT or a service", reference,
                         rc == STORE_ABSENT ? "neither a service nor a task" : "ambiguous");
    }
    rc = rc < 0 ? rc : picture_begin(&why->view, why->read, why->daemon->now.unix_ms, why->arena, err);
    rc = rc < 0 ? rc : picture_add(&why->view, why->read, &service_id, why->arena, err);
    if (rc < 0) {
        return rc;
    }
    if (rc == STORE_ABSENT) {
        return error_set(err, ERR_NOT_FOUND, "the service of task %s is gone", task_id.text);
    }
    rc = planner_seal(&why->daemon->planner, &why->view, why->read, why->arena, err);
    if (rc < 0) {
        return rc;
    }
    why->service = view_service(&why->view, &service_id);
    why->task = id_is_none(&task_id) ? telling_task(why) : task_by_id(why, &task_id);
    return 0;
}

// --- the verdict ---

static const char *node_name(const struct why *why, const struct id *id) {
    const struct view_node *at = view_node(&why->view, id);
    return at != NULL ? at->node->spec.name : id->text;
}

static const char *since(const struct why *why, int64_t unix_ms) {
    char text[64];
    int64_t passed = why->view.now_unix_ms - unix_ms;
    units_human_duration(passed > 0 ? passed : 0, text, sizeof text);
    text[0] = (char)tolower((unsigned char)text[0]); // in the middle of a sentence
    return arena_strdup(why->arena, text);
}

static const char *detail(const struct task *task) {
    return task->status.error[0] != '\0' ? task->status.error : task->status.message;
}

static const char *verdict_of_pending(const struct why *why) {
    const struct task *task = why->task;
    return task->status.error[0] != '\0'
               ? arena_printf(why->arena, "it waits for a node: %s", task->status.error)
               : "it waits for the scheduler, which looks at it next";
}

static const char *verdict_of_over(const struct why *why) {
    const struct task *task = why->task;
    if (task->desired_reason != REASON_NONE) {
        return arena_printf(why->arena, "it is %s, because it was told to stop: %s",
                            task_state_name(task->status.state), task_reason_text(task->desired_reason));
    }
    return arena_printf(why->arena, "it is %s, for %s now: %s", task_state_name(task->status.state),
                        since(why, task->status.since_unix_ms),
                        detail(task)[0] != '\0' ? detail(task) : "its process ended");
}

// The task that failed before it in its slot; NULL = none did.
static const struct task *failed_before(const struct why *why) {
    const struct task *before = why->task != NULL ? task_by_id(why, &why->task->replaces) : NULL;
    return before != NULL && task_state_is_over(before->status.state) && before->desired_reason == REASON_NONE
               ? before
               : NULL;
}

static const char *verdict_of_waiting(const struct why *why) {
    const struct task *before = failed_before(why);
    const char *others = depend_start_waits_for(
        &why->view, why->service, view_tasks_of(&why->view, &why->service->meta.id), why->arena);
    if (others != NULL) {
        return arena_printf(why->arena, "it is ready and %s", others);
    }
    bool is_delay = why->task->start_after_unix_ms > why->view.now_unix_ms;
    const char *text = is_delay ? "it is ready and waits for its restart delay"
                                : "it is ready and waits until the task before it has stopped";
    return before == NULL || !is_delay ? text
                                       : arena_printf(why->arena, "%s: the task before it is %s: %s", text,
                                                      task_state_name(before->status.state), detail(before));
}

static const char *verdict_of(const struct why *why) {
    const struct task *task = why->task;
    if (task == NULL && why->service->next_run_unix_ms > 0) {
        char at[40];
        return arena_printf(why->arena, "it waits for its time: the next run is at %s",
                            clock_format_rfc3339(why->service->next_run_unix_ms, at, sizeof at));
    }
    if (task == NULL) {
        return why->service->removing ? "the service is being removed; its tasks are gone"
               : why->service->spec.deploy.replicas == 0
                   ? "it has no tasks, for it wants 0 replicas"
                   : "it has no tasks: no node fits, or they are being made";
    }
    int64_t state = task->status.state;
    if (task_state_is_over(state)) {
        return verdict_of_over(why);
    }
    if (!view_wants_to_run(task)) {
        return arena_printf(why->arena, "it is %s and is being stopped: %s", task_state_name(state),
                            task_reason_text(task->desired_reason));
    }
    if (state < TASK_ASSIGNED) {
        return verdict_of_pending(why);
    }
    if (state == TASK_RUNNING) {
        return arena_printf(why->arena, "it runs on %s, for %s", node_name(why, &task->node_id),
                            since(why, task->status.since_unix_ms));
    }
    if (task->desired == TASK_READY && state == TASK_READY) {
        return verdict_of_waiting(why);
    }
    return arena_printf(why->arena, "it is %s on %s for %s%s%s", task_state_name(state),
                        node_name(why, &task->node_id), since(why, task->status.since_unix_ms),
                        detail(task)[0] != '\0' ? ": " : "", detail(task));
}

// --- history of the slot ---

static bool is_same_slot(const struct task *a, const struct task *b) {
    return a->slot == b->slot && (a->slot != 0 || id_equal(&a->node_id, &b->node_id));
}

static void add_history(struct why *why) {
    struct view_tasks tasks = view_tasks_of(&why->view, &why->service->meta.id);
    for (size_t i = tasks.count; i-- > 0;) { // newest first in a view
        const struct task *task = tasks.items[i];
        char at[40];
        if (why->task == NULL || !is_same_slot(task, why->task)) {
            continue;
        }
        const char *text = detail(task);
        *ARENA_PUSH(why->arena, &why->reply.history) =
            arena_printf(why->arena, "%s %.12s r%lld on %s: %s%s%s",
                         clock_format_rfc3339(task->status.since_unix_ms, at, sizeof at), task->meta.id.text,
                         (long long)task->revision,
                         id_is_none(&task->node_id) ? "no node" : node_name(why, &task->node_id),
                         task_state_name(task->status.state), text[0] != '\0' ? ": " : "", text);
    }
}

// --- what would have to change ---

// tidy: table
static const struct {
    enum task_reason reason;
    const char *advice;
} advices[] = {
    {REASON_IMAGE_NOT_FOUND, "check the image's name and tag, and that the registry or file has it"},
    {REASON_IMAGE_UNREACHABLE, "check the network and the registry; it is tried again by itself"},
    {REASON_IMAGE_DENIED, "the registry asks for credentials, or the name is wrong: it answers both alike"},
    {REASON_IMAGE_INVALID, "build or pull the image anew: what was fetched is damaged or refused for safety"},
    {REASON_MOUNT_INVALID, "make the directory on the node, or set bind.create_host_path"},
    {REASON_EXIT_NONZERO, "read its log (muster service logs): the program itself ended with an error"},
    {REASON_EXIT_SIGNAL, "read its log (muster service logs): a signal ended the program"},
    {REASON_OUT_OF_MEMORY, "raise deploy.resources.limits.memory, or make the program use less"},
    {REASON_CREATE_FAILED, "check command, user and mounts of the service against the image"},
    {REASON_START_FAILED, "check that the command exists in the image and may be run"},
    {REASON_NO_SPACE, "free space on the node's disk; it is tried again by itself"},
    {REASON_RUNTIME_MISSING, "install runc on the node (apt-get install runc), or fix what makes it hang"},
    {REASON_UNSUPPORTED, "take the option away, or run the service on a node that supports it"},
};

static void advise(struct why *why, const char *text) {
    *ARENA_PUSH(why->arena, &why->reply.advice) = text;
}

static const struct service_spec *spec_in_question(const struct why *why) {
    const struct service_spec *spec =
        why->task != NULL ? view_spec(&why->view, why->service, why->task->revision) : NULL;
    return spec != NULL ? spec : &why->service->spec;
}

static void add_remedies(struct why *why) {
    struct remedies remedies;
    bool has_node = why->task != NULL && !id_is_none(&why->task->node_id);
    schedule_remedies(&why->view, why->service, spec_in_question(why), has_node ? &why->task->node_id : NULL,
                      why->arena, &remedies);
    why->reply.would_run_if.count = remedies.count;
    why->reply.would_run_if.items = remedies.items;
    if (remedies.count == 0) {
        advise(why, "add a node that passes all of the rules, or ask less of nodes");
    }
}

static void add_advice(struct why *why) {
    const struct task *task = why->task;
    if (task == NULL || (task->status.state < TASK_ASSIGNED && view_wants_to_run(task))) {
        if (why->reply.nodes_left.count == 0 || (task != NULL && !id_is_none(&task->node_id))) {
            add_remedies(why);
        }
        return;
    }
    const struct task *before = task->status.state < TASK_RUNNING ? failed_before(why) : NULL;
    int64_t reason =
        before != NULL && task->status.reason == REASON_NONE ? before->status.reason : task->status.reason;
    for (size_t i = 0; i < sizeof advices / sizeof *advices; i++) {
        if ((int64_t)advices[i].reason == reason) {
            advise(why, advices[i].advice);
        }
    }
    const struct restart_policy *policy = &why->service->spec.deploy.restart_policy;
    if (task_state_is_over(task->status.state) && task->desired_reason == REASON_NONE &&
        policy->condition == RESTART_NONE) {
        advise(why, "it is not started again: deploy.restart_policy.condition is none");
    }
}

static struct bytes encode(struct why *why, const struct schema *schema, const void *object) {
    AUTO_BUF bytes = buf_make(2 * OBJECT_BYTES_MAX);
    wire_encode(schema, object, &bytes);
    return (struct bytes){arena_copy(why->arena, bytes.data, bytes.len), bytes.len};
}

static void name_nodes(struct why *why, const struct strings *ids) {
    for (size_t i = 0; i < ids->count; i++) {
        struct id id;
        if (id_parse(ids->items[i], &id)) {
            *ARENA_PUSH(why->arena, &why->reply.nodes_left) = node_name(why, &id);
        }
    }
}

static void explain(struct why *why) {
    struct funnel funnel = {0};
    struct strings left = {0};
    schedule_explain(&why->view, why->service, spec_in_question(why), why->arena, &funnel, &left);
    name_nodes(why, &left);
    why->reply.funnel.count = funnel.count;
    why->reply.funnel.items = funnel.items;
    why->reply.verdict = verdict_of(why);
    why->reply.service = encode(why, &service_schema, why->service);
    if (why->task != NULL) {
        why->reply.task = encode(why, &task_schema, why->task);
    }
    add_history(why);
    add_advice(why);
}

void control_why(const struct request *request) {
    AUTO_ARENA arena = arena_make(0);
    struct error err = {0};
    struct why why = {.daemon = request->daemon, .arena = &arena};
    schema_init(&why_reply_schema, &why.reply);
    int rc = store_read_begin(request->daemon->store, &why.read, &err);
    if (rc == 0) {
        rc = look_up(&why, ((const struct why_request *)request->payload)->reference, &err);
        if (rc == 0) {
            explain(&why);
        }
        store_read_end(why.read);
    }
    if (rc < 0) {
        server_fail(request->conversation, &err);
        return;
    }
    server_send(request->conversation, MESSAGE_WHY_REPLY, &why.reply);
    server_done(request->conversation, why.view.revision);
}
