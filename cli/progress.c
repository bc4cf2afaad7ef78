// SPDX-License-Identifier: Apache-2.0
//
// cli/progress.c — keeps what the stream says of the services waited for, and judges.
#include "cli/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/progress_model.h"
#include "specs/constraint.h"

#define NS_PER_MS 1000000
#define WAIT_LINE_AFTER_STATE TASK_PENDING

struct progress *progress_new(int64_t monitor_ns) {
    struct progress *progress = NEW(struct progress);
    progress->monitor_ns = monitor_ns;
    return progress;
}

static void free_tasks(struct map *tasks) {
    size_t cursor = 0;
    for (void *task; (task = map_next(tasks, &cursor)) != NULL;) {
        xfree(task);
    }
    map_free(tasks);
    *tasks = (struct map){0};
}

static void free_nodes(struct map *nodes) {
    size_t cursor = 0;
    for (struct progress_node *node; (node = map_next(nodes, &cursor)) != NULL;) {
        arena_free(&node->arena);
        xfree(node);
    }
    map_free(nodes);
    *nodes = (struct map){0};
}

void progress_free(struct progress *progress) {
    if (progress == NULL) {
        return;
    }
    for (size_t i = 0; i < progress->count; i++) {
        struct progress_service *service = progress->services[i];
        free_tasks(&service->tasks);
        arena_free(&service->arena);
        xfree((void *)(uintptr_t)service->target.name);
        xfree(service);
    }
    xfree(progress->services);
    map_free(&progress->by_id);
    free_nodes(&progress->nodes);
    buf_free(&progress->failures);
    buf_free(&progress->notes);
    xfree(progress);
}

void progress_add(struct progress *progress, const struct progress_target *target) {
    struct progress_service *service = NEW(struct progress_service);
    service->target = *target;
    service->target.name = xstrdup(target->name);
    service->told_running = -1;
    progress->services =
        xrealloc(progress->services, (progress->count + 1) * sizeof(struct progress_service *));
    progress->services[progress->count++] = service;
    map_put(&progress->by_id, service->target.service.text, service);
}

void progress_forget(struct progress *progress) {
    for (size_t i = 0; i < progress->count; i++) {
        free_tasks(&progress->services[i]->tasks);
    }
    free_nodes(&progress->nodes);
}

// --- events ---

static int take_service(struct progress *progress, const struct event *event, struct error *err) {
    struct progress_service *service = map_get(&progress->by_id, event->id.text);
    if (service == NULL) {
        return 0;
    }
    service->is_gone = event->to.len == 0;
    if (service->is_gone) {
        return 0;
    }
    bool is_first = id_is_none(&service->service.meta.id);
    arena_clear(&service->arena);
    struct bytes bytes = {arena_copy(&service->arena, event->to.data, event->to.len), event->to.len};
    int rc = wire_decode(&service_schema, bytes, &service->service, &service->arena, err);
    if (rc == 0 && is_first) {
        bool is_unchanged = service->target.is_unchanged; // then an earlier rollout is the one to tell of
        service->first_state = is_unchanged ? UPDATE_NONE : service->service.update_status.state;
        service->first_started_unix_ms = service->service.update_status.started_unix_ms;
        service->is_replacing = !service->target.keeps_tasks &&
                                service->service.restart_revision >= service->target.revision &&
                                service->service.restart_revision > 1;
    }
    return rc;
}

static void fill_task(struct progress_task *out, const struct task *task) {
    const struct task_status *status = &task->status;
    out->id = task->meta.id;
    out->node_id = task->node_id;
    out->slot = task->slot;
    out->revision = task->revision;
    out->iteration = task->job_iteration;
    out->was_told_to_stop = task->desired > TASK_RUNNING && task->desired_reason != REASON_NONE;
    out->state = status->state;
    out->desired = task->desired;
    out->attempt = task->attempt;
    out->created = task->meta.created;
    const char *text = status->error[0] != '\0' ? status->error : status->message;
    size_t len = strlen(text);
    len = len < PROGRESS_TEXT_BYTES - 1 ? len : PROGRESS_TEXT_BYTES - 1;
    memcpy(out->text, text, len);
    out->text[len] = '\0';
}

static void remove_task(struct progress *progress, const struct id *id) {
    for (size_t i = 0; i < progress->count; i++) {
        xfree(map_remove(&progress->services[i]->tasks, id->text));
    }
}

static int take_task(struct progress *progress, const struct event *event, struct error *err) {
    if (event->to.len == 0) {
        remove_task(progress, &event->id);
        return 0;
    }
    AUTO_ARENA arena = {0};
    struct task task;
    int rc = wire_decode(&task_schema, event->to, &task, &arena, err);
    struct progress_service *service = rc == 0 ? map_get(&progress->by_id, task.service_id.text) : NULL;
    if (service == NULL) {
        return rc;
    }
    struct progress_task *known = map_get(&service->tasks, task.meta.id.text);
    if (known == NULL) {
        known = NEW(struct progress_task);
        fill_task(known, &task);
        known->is_snapshot = event->snapshot && task.meta.created <= service->target.since;
        known->is_told = known->is_snapshot && task_state_is_over(task.status.state);
        map_put(&service->tasks, known->id.text, known);
    }
    fill_task(known, &task);
    return 0;
}

static int take_node(struct progress *progress, const struct event *event, struct error *err) {
    struct progress_node *node = map_get(&progress->nodes, event->id.text);
    if (event->to.len == 0) {
        map_remove(&progress->nodes, event->id.text);
        if (node != NULL) {
            arena_free(&node->arena);
            xfree(node);
        }
        return 0;
    }
    bool is_new = node == NULL;
    node = is_new ? NEW(struct progress_node) : node;
    if (!is_new) {
        map_remove(&progress->nodes, event->id.text); // its key lives in the object
    }
    arena_clear(&node->arena);
    struct bytes bytes = {arena_copy(&node->arena, event->to.data, event->to.len), event->to.len};
    int rc = wire_decode(&node_schema, bytes, &node->node, &node->arena, err);
    if (rc < 0) {
        arena_free(&node->arena);
        xfree(node);
        return rc;
    }
    map_put(&progress->nodes, node->node.meta.id.text, node);
    return 0;
}

int progress_event(struct progress *progress, const struct event *event, struct error *err) {
    switch (event->kind) {
    case KIND_SERVICE:
        return take_service(progress, event, err);
    case KIND_TASK:
        return take_task(progress, event, err);
    case KIND_NODE:
        return take_node(progress, event, err);
    default:
        return 0;
    }
}

// --- tasks ---

bool progress_is_job(const struct progress_service *service) {
    return mode_is_job(service->service.spec.deploy.mode);
}

// A cronjob waits for its time, and nobody for it.
bool progress_is_scheduled(const struct progress_service *service) {
    return service->service.spec.deploy.schedule != NULL &&
           (!service->target.wants_run || service->service.job_iteration == 0);
}

bool progress_task_is_old(const struct progress_service *service, const struct progress_task *task) {
    return progress_is_job(service) ? task->iteration < service->service.job_iteration
                                    : service_is_outdated(&service->service, task->revision);
}

static bool is_up_to_date(const struct progress_service *service, const struct progress_task *task) {
    return !progress_task_is_old(service, task);
}

// The work of its slot is done for this run, whatever managers made of the task afterwards.
static bool is_done(const struct progress_service *service, const struct progress_task *task) {
    return progress_is_job(service) && task->state == TASK_COMPLETE && is_up_to_date(service, task);
}

// It has to leave its node, whether the planner has said so yet or not.
static bool is_drained(const struct progress *progress, const struct progress_task *task) {
    const struct progress_node *node = map_get(&progress->nodes, task->node_id.text);
    return node != NULL && node->node.spec.availability == AVAILABILITY_DRAIN;
}

static bool is_wanted(const struct progress *progress, const struct progress_service *service,
                      const struct progress_task *task) {
    return task->desired <= TASK_RUNNING && is_up_to_date(service, task) && !is_drained(progress, task);
}

bool progress_task_counts(const struct progress *progress, const struct progress_service *service,
                          const struct progress_task *task) {
    return task->state == TASK_RUNNING && is_wanted(progress, service, task);
}

// On a node that does not answer nobody can tell, and nobody waits.
static bool is_out_of_reach(const struct progress *progress, const struct progress_task *task) {
    const struct progress_node *node = map_get(&progress->nodes, task->node_id.text);
    return !id_is_none(&task->node_id) && (node == NULL || node->node.status.state == NODE_DOWN ||
                                           node->node.status.state == NODE_DISCONNECTED);
}

// More is better: the task that speaks for its slot has the highest rank.
static int rank_of(const struct progress *progress, const struct progress_service *service,
                   const struct progress_task *task) {
    bool is_live = !task_state_is_over(task->state);
    if (is_done(service, task)) {
        return 3;
    }
    return is_live && is_wanted(progress, service, task) ? 2 : is_live;
}

static bool speaks_before(const struct progress *progress, const struct progress_service *service,
                          const struct progress_task *a, const struct progress_task *b) {
    int rank_a = rank_of(progress, service, a);
    int rank_b = rank_of(progress, service, b);
    return rank_a != rank_b ? rank_a > rank_b : a->created > b->created;
}

static int by_slot(const void *a, const void *b) {
    const struct progress_task *x = *(const struct progress_task *const *)a;
    const struct progress_task *y = *(const struct progress_task *const *)b;
    if (x->slot != y->slot) {
        return x->slot < y->slot ? -1 : 1;
    }
    int order = x->slot == 0 ? id_compare(&x->node_id, &y->node_id) : 0;
    if (order != 0) {
        return order;
    }
    return x->created != y->created ? (x->created > y->created ? -1 : 1) : id_compare(&x->id, &y->id);
}

static bool is_same_slot(const struct progress_task *a, const struct progress_task *b) {
    return a->slot == b->slot && (a->slot != 0 || id_equal(&a->node_id, &b->node_id));
}

struct progress_slots progress_slots_of(const struct progress *progress,
                                        const struct progress_service *service, struct arena *arena) {
    struct progress_slots all = {0};
    struct progress_slots slots = {0};
    size_t cursor = 0;
    for (const struct progress_task *task; (task = map_next(&service->tasks, &cursor)) != NULL;) {
        *ARENA_PUSH(arena, &all) = task;
    }
    if (all.count > 0) {
        qsort(all.items, all.count, sizeof *all.items, by_slot);
    }
    for (size_t i = 0; i < all.count; i++) {
        const struct progress_task **last = slots.count > 0 ? &slots.items[slots.count - 1] : NULL;
        if (last == NULL || !is_same_slot(*last, all.items[i])) {
            *ARENA_PUSH(arena, &slots) = all.items[i];
        } else if (speaks_before(progress, service, all.items[i], *last)) {
            *last = all.items[i];
        }
    }
    return slots;
}

void progress_task_name(const struct progress *progress, const struct progress_service *service,
                        const struct progress_task *task, struct buf *out) {
    const struct progress_node *node = map_get(&progress->nodes, task->node_id.text);
    if (task->slot > 0) {
        buf_addf(out, "%s.%lld", service->target.name, (long long)task->slot);
    } else if (id_is_none(&task->node_id)) {
        buf_adds(out, service->target.name);
    } else {
        buf_addf(out, "%s on %s", service->target.name,
                 node != NULL ? node->node.spec.name : task->node_id.text);
    }
}

static bool has_trouble(const struct progress_task *task) {
    return task->state == TASK_FAILED || task->state == TASK_REJECTED ||
           (task->desired <= TASK_RUNNING && task->state == TASK_PENDING);
}

const struct progress_task *progress_culprit(const struct progress_service *service) {
    const struct progress_task *worst = NULL;
    size_t cursor = 0;
    for (const struct progress_task *task; (task = map_next(&service->tasks, &cursor)) != NULL;) {
        bool is_of_run = progress_is_job(service) && is_up_to_date(service, task); // whenever that was
        bool is_old_news = task->is_snapshot && task_state_is_over(task->state) && !is_of_run;
        bool is_candidate = has_trouble(task) && !is_old_news && task->text[0] != '\0';
        if (is_candidate && (worst == NULL || task->created > worst->created ||
                             (task->created == worst->created && task->slot < worst->slot))) {
            worst = task;
        }
    }
    return worst;
}

// --- judging ---

static bool node_is_eligible(const struct progress_service *service, const struct node *node) {
    if (node->status.state != NODE_READY || node->spec.availability != AVAILABILITY_ACTIVE) {
        return false;
    }
    AUTO_ARENA arena = {0};
    const struct strings *texts = &service->service.spec.deploy.placement.constraints;
    for (size_t i = 0; i < texts->count; i++) {
        struct constraint constraint;
        if (constraint_parse(texts->items[i], &arena, &constraint, NULL) < 0 ||
            !constraint_matches(&constraint, node)) {
            return false;
        }
    }
    return true;
}

static bool is_global(const struct progress_service *service) {
    return mode_is_global(service->service.spec.deploy.mode);
}

static int64_t wanted_count(const struct progress *progress, const struct progress_service *service) {
    if (service->service.removing) {
        return 0;
    }
    if (!is_global(service)) {
        return service->service.spec.deploy.replicas;
    }
    int64_t count = 0;
    size_t cursor = 0;
    for (const struct progress_node *node; (node = map_next(&progress->nodes, &cursor)) != NULL;) {
        count += node_is_eligible(service, &node->node);
    }
    return count;
}

// The restart policy leaves it at this end.
static bool is_final(const struct progress_service *service, const struct progress_task *task) {
    const struct restart_policy *policy = &service->service.spec.deploy.restart_policy;
    if (is_done(service, task)) {
        return true;
    }
    if (!task_state_is_over(task->state) || !is_up_to_date(service, task) || task->was_told_to_stop ||
        task->state == TASK_SHUTDOWN) {
        return false;
    }
    bool is_spent = policy->max_attempts > 0 && policy->window_ns == 0 &&
                    task->attempt >= policy->max_attempts && task->revision == service->service.revision;
    return is_spent || policy->condition == RESTART_NONE ||
           (policy->condition == RESTART_ON_FAILURE && task->state == TASK_COMPLETE);
}

struct count {
    int64_t running, finished, live, surplus, moving;
    int64_t given_up_count;
    const struct progress_task *given_up; // one of them
};

// Of a global service only what is on a node that it is wanted on.
static bool is_counted(const struct progress *progress, const struct progress_service *service,
                       const struct progress_task *task) {
    const struct progress_node *node = map_get(&progress->nodes, task->node_id.text);
    return !is_global(service) || (node != NULL && node_is_eligible(service, &node->node));
}

static struct count count_tasks(const struct progress *progress, const struct progress_service *service) {
    AUTO_ARENA arena = {0};
    struct count count = {0};
    struct progress_slots slots = progress_slots_of(progress, service, &arena);
    size_t cursor = 0;
    for (const struct progress_task *task; (task = map_next(&service->tasks, &cursor)) != NULL;) {
        count.surplus += !task_state_is_over(task->state) && !is_wanted(progress, service, task) &&
                         !is_out_of_reach(progress, task);
        count.running += progress_task_counts(progress, service, task);
    }
    for (size_t i = 0; i < slots.count; i++) {
        const struct progress_task *task = slots.items[i];
        bool is_end = is_final(service, task);
        count.finished += is_end && task->state == TASK_COMPLETE && is_counted(progress, service, task);
        count.live += !task_state_is_over(task->state) && is_wanted(progress, service, task);
        count.moving += !is_end && !progress_task_counts(progress, service, task);
        count.given_up = is_end && task->state != TASK_COMPLETE ? task : count.given_up;
        count.given_up_count += is_end && task->state != TASK_COMPLETE && is_counted(progress, service, task);
    }
    return count;
}

int64_t progress_monitor_ms(const struct progress *progress, const struct progress_service *service) {
    if (progress->monitor_ns >= 0) {
        return progress->monitor_ns / NS_PER_MS;
    }
    bool is_watched = service->is_replacing || service->has_failed;
    return is_watched ? service->service.spec.deploy.update_config.monitor_ns / NS_PER_MS : 0;
}

// What the rollout machinery says of itself; a state left over from an earlier rollout says nothing.
static enum progress_verdict rollout_verdict(const struct progress_service *service) {
    const struct update_status *status = &service->service.update_status;
    if (status->state == service->first_state && status->started_unix_ms == service->first_started_unix_ms) {
        return PROGRESS_GOING;
    }
    switch (status->state) {
    case UPDATE_PAUSED:
    case UPDATE_ROLLBACK_PAUSED:
        return PROGRESS_STOPPED;
    case UPDATE_ROLLBACK_COMPLETED:
        return service->target.is_rollback ? PROGRESS_GOING : PROGRESS_ROLLED_BACK;
    case UPDATE_NONE:
    case UPDATE_UPDATING:
    case UPDATE_COMPLETED:
    case UPDATE_ROLLBACK_STARTED:
    case UPDATE_SUPERSEDED:
    case UPDATE_ROLLED_BACK:
        break;
    }
    return PROGRESS_GOING;
}

// The rollout has watched the new tasks for as long as its policy says; what is left to wait for is its word.
static bool rollout_is_moving(const struct progress_service *service) {
    enum update_state state = service->service.update_status.state;
    return state == UPDATE_UPDATING || state == UPDATE_ROLLBACK_STARTED;
}

static bool rollout_is_done(const struct progress_service *service) {
    const struct update_status *status = &service->service.update_status;
    bool is_news =
        status->state != service->first_state || status->started_unix_ms != service->first_started_unix_ms;
    return is_news && (status->state == UPDATE_COMPLETED || status->state == UPDATE_ROLLBACK_COMPLETED);
}

static enum progress_verdict judge_stable(struct progress *progress, struct progress_service *service,
                                          int64_t now, int64_t *wake) {
    int64_t until;
    if (service->stable_since_mono_ms == 0) {
        service->stable_since_mono_ms = now > 0 ? now : 1;
    }
    until = service->stable_since_mono_ms + progress_monitor_ms(progress, service);
    if (now >= until) {
        return PROGRESS_CONVERGED;
    }
    *wake = *wake == 0 || until < *wake ? until : *wake;
    return PROGRESS_GOING;
}

// A job is over when all is done, or what is not done was given up and nobody is at it: then every slot has had
// its turn.
static enum progress_verdict judge_job(const struct progress_service *service, const struct count *count) {
    if (progress_is_scheduled(service)) {
        return PROGRESS_CONVERGED;
    }
    if (service->finished >= service->wanted) {
        return service->surplus == 0 ? PROGRESS_CONVERGED : PROGRESS_GOING;
    }
    bool is_every_turn_over = count->finished + count->given_up_count >= service->wanted;
    return is_every_turn_over && count->live == 0 ? PROGRESS_STOPPED : PROGRESS_GOING;
}

static enum progress_verdict judge(struct progress *progress, struct progress_service *service, int64_t now,
                                   int64_t *wake) {
    struct count count = count_tasks(progress, service);
    service->running = count.running;
    service->finished = count.finished;
    service->live = count.live;
    service->surplus = count.surplus;
    service->wanted = wanted_count(progress, service);
    bool is_there =
        !id_is_none(&service->service.meta.id) && service->service.revision >= service->target.revision;
    if (service->is_gone || !is_there) {
        return service->is_gone ? PROGRESS_GONE : PROGRESS_GOING;
    }
    enum progress_verdict verdict = rollout_verdict(service);
    if (verdict != PROGRESS_GOING) {
        return verdict;
    }
    if (progress_is_job(service)) {
        return judge_job(service, &count);
    }
    bool all_run = service->running + service->finished >= service->wanted && service->surplus == 0;
    if (all_run && !rollout_is_moving(service)) {
        return rollout_is_done(service) ? PROGRESS_CONVERGED : judge_stable(progress, service, now, wake);
    }
    service->stable_since_mono_ms = 0;
    return count.given_up != NULL && count.moving == 0 && !all_run ? PROGRESS_STOPPED : PROGRESS_GOING;
}

// --- notes ---

static void note(struct progress *progress, bool is_failure, const char *line) {
    buf_addf(&progress->notes, "%s\n", line);
    if (is_failure) {
        buf_addf(&progress->failures, "%s\n", line);
    }
}

static bool failed_by_itself(const struct progress_service *service, const struct progress_task *task) {
    bool is_bad = task->state == TASK_FAILED || task->state == TASK_REJECTED || task->state == TASK_ORPHANED;
    return is_bad && is_up_to_date(service, task) && !task->was_told_to_stop;
}

// Ends of tasks, in order of their making.
static void note_failures(struct progress *progress, struct progress_service *service) {
    AUTO_ARENA arena = {0};
    struct progress_slots ended = {0};
    size_t cursor = 0;
    for (struct progress_task *task; (task = map_next(&service->tasks, &cursor)) != NULL;) {
        if (!task->is_told && task_state_is_over(task->state)) {
            task->is_told = true;
            if (failed_by_itself(service, task)) {
                *ARENA_PUSH(&arena, &ended) = task;
            }
        }
    }
    if (ended.count > 0) {
        qsort(ended.items, ended.count, sizeof *ended.items, by_slot);
    }
    for (size_t i = 0; i < ended.count; i++) {
        AUTO_BUF line = {0};
        service->has_failed = true;
        progress_task_name(progress, service, ended.items[i], &line);
        buf_addf(&line, " %s: %s", task_state_name(ended.items[i]->state), ended.items[i]->text);
        note(progress, /* is_failure= */ true, buf_text(&line));
    }
}

// Why tasks wait, once for each reason.
static void note_waits(struct progress *progress, struct progress_service *service) {
    const struct progress_task *task = progress_culprit(service);
    if (task == NULL || task->state != WAIT_LINE_AFTER_STATE || str_equal(task->text, service->told_wait)) {
        return;
    }
    AUTO_BUF line = {0};
    progress_task_name(progress, service, task, &line);
    buf_addf(&line, " waits: %s", task->text);
    note(progress, /* is_failure= */ false, buf_text(&line));
    memcpy(service->told_wait, task->text, sizeof service->told_wait);
}

// Why a rollout stands still although it was not stopped: its plain words say nothing of that.
const char *progress_rollout_waits(const struct progress_service *service) {
    const struct update_status *status = &service->service.update_status;
    bool is_news = str_starts(status->message, "no room") || str_starts(status->message, "waits for");
    return rollout_is_moving(service) && is_news ? status->message : NULL;
}

static void note_rollout(struct progress *progress, struct progress_service *service) {
    const char *why = progress_rollout_waits(service);
    bool is_told = why == NULL || strncmp(service->told_rollout, why, sizeof service->told_rollout - 1) == 0;
    if (!is_told) {
        AUTO_BUF line = {0};
        buf_addf(&line, "%s: %s", service->target.name, why);
        note(progress, /* is_failure= */ false, buf_text(&line));
    }
    snprintf(service->told_rollout, sizeof service->told_rollout, "%s", why != NULL ? why : "");
}

static void note_count(struct progress *progress, struct progress_service *service) {
    bool is_job = progress_is_job(service);
    if (service->running == service->told_running && service->wanted == service->told_wanted &&
        (!is_job || service->finished == service->told_finished)) {
        return;
    }
    AUTO_BUF line = {0};
    if (is_job) {
        buf_addf(&line, "%s: %lld of %lld complete, %lld running", service->target.name,
                 (long long)service->finished, (long long)service->wanted, (long long)service->running);
    } else {
        buf_addf(&line, "%s: %lld of %lld running", service->target.name, (long long)service->running,
                 (long long)service->wanted);
    }
    note(progress, /* is_failure= */ false, buf_text(&line));
    service->told_running = service->running;
    service->told_wanted = service->wanted;
    service->told_finished = service->finished;
}

static void note_verdict(struct progress *progress, struct progress_service *service) {
    static const char *const words[] = {
        [PROGRESS_GOING] = "",           [PROGRESS_CONVERGED] = "converged",
        [PROGRESS_STOPPED] = "stopped",  [PROGRESS_ROLLED_BACK] = "was rolled back",
        [PROGRESS_GONE] = "was removed",
    };
    bool is_over = service->verdict != PROGRESS_GOING;
    if (is_over && !service->is_told) {
        AUTO_BUF line = {0};
        bool is_complete = service->verdict == PROGRESS_CONVERGED && progress_is_job(service);
        buf_addf(&line, "%s: %s", service->target.name,
                 !is_complete                     ? words[service->verdict]
                 : progress_is_scheduled(service) ? "scheduled"
                                                  : "job complete");
        note(progress, /* is_failure= */ false, buf_text(&line));
    }
    service->is_told = is_over;
}

enum progress_verdict progress_look(struct progress *progress, int64_t now_mono_ms, int64_t *wake_mono_ms) {
    static const int severity[] = {[PROGRESS_CONVERGED] = 0,
                                   [PROGRESS_GOING] = 1,
                                   [PROGRESS_GONE] = 2,
                                   [PROGRESS_ROLLED_BACK] = 3,
                                   [PROGRESS_STOPPED] = 4};
    enum progress_verdict worst = PROGRESS_CONVERGED;
    *wake_mono_ms = 0;
    for (size_t i = 0; i < progress->count; i++) {
        struct progress_service *service = progress->services[i];
        note_failures(progress, service);
        service->verdict = judge(progress, service, now_mono_ms, wake_mono_ms);
        bool is_seen = !id_is_none(&service->service.meta.id);
        if (is_seen) {
            note_waits(progress, service);
            note_rollout(progress, service);
            note_count(progress, service);
            note_verdict(progress, service);
        }
        worst = severity[service->verdict] > severity[worst] ? service->verdict : worst;
    }
    // What has stopped is final only when nothing else moves: the others are waited for.
    for (size_t i = 0; i < progress->count && worst != PROGRESS_CONVERGED; i++) {
        worst = progress->services[i]->verdict == PROGRESS_GOING ? PROGRESS_GOING : worst;
    }
    return worst;
}

void progress_notes(struct progress *progress, bool only_failures, struct buf *out) {
    const struct buf *from = only_failures ? &progress->failures : &progress->notes;
    buf_add(out, buf_text(from), from->len);
    buf_clear(&progress->failures);
    buf_clear(&progress->notes);
}
