// SPDX-License-Identifier: Apache-2.0
//
// reconciler/plan/rollout.c — the rollout of a service as an object: begun, judged, led back, told of.
//
// Everything about it that a pass needs follows from the tasks and from this object, so a new leader goes on
// where the last one stopped; what the object adds is which tasks count (its round) and what has been decided.
//
// Model        begin: there are tasks out of date and no rollout is open. judge, at the start of every pass: a
//              newer spec supersedes it; too many failures, or no progress for too long, lead to what the
//              policy says. close, at the end: counts, and whether it is done; the service's update_status
//              says the same as the object, in the same transaction.
//              A rollback is a change of the service to the spec of an older revision, made by a user or here;
//              its way there is a rollout of its own, which follows rollback_config and is never rolled back.
// Failures     A task of the round that ends on its own account before it has run for `monitor`; one for each
//              slot. They are counted against all slots that the rollout concerns.
// Source       swarmkit's updater. Deviations: a rollout that failed goes back to the revision before it, not
//              to one before that which was superseded on the way; scaling does not wake one that is paused.
#include "reconciler/plan/pass.h"

#include "base/assert.h"
#include "base/mem.h"
#include "base/str.h"

static struct service *rollout_edit_service(struct draft *draft, const char *why) {
    struct draft_rollout *rollout = &draft->rollout;
    if (rollout->service == NULL) {
        rollout->service = arena_copy(draft->arena, draft->service, sizeof *draft->service);
        rollout->service_why = why;
        draft->service = rollout->service;
    }
    return rollout->service;
}

// --- beginning ---

// The newest kept revision before `limit`, or the one before it if none is kept.
static int64_t rollout_revision_before(const struct draft *draft, int64_t limit) {
    size_t count;
    const struct view_revision *kept = view_revisions_of(draft->view, &draft->service->meta.id, &count);
    while (count > 0 && kept[count - 1].revision >= limit) {
        count--;
    }
    return count > 0 ? kept[count - 1].revision : limit - 1;
}

// Not only on account of new constraints?
static bool rollout_is_restart(const struct draft *draft) {
    for (size_t i = 0; i < draft->slots.count; i++) {
        const struct draft_task *live = slot_live(draft->slots.items[i]);
        if (live != NULL && task_is_out_of_date(draft, live->task)) {
            return true;
        }
    }
    return false;
}

static int64_t rollout_from(const struct draft *draft, bool is_rollback) {
    const struct rollout *left = draft->rollout.closed;
    const struct service *service = draft->service;
    if (left != NULL && !is_rollback) {
        bool has_arrived = left->slots_updated == left->slots_total && left->failures_used == 0;
        return has_arrived || rollout_is_rollback(draft->rollout.closed_before) ? left->to_revision
                                                                                : left->from_revision;
    }
    return rollout_revision_before(draft,
                                   rollout_is_restart(draft) ? service->restart_revision : service->revision);
}

void rollout_begin(struct draft *draft) {
    ASSERT(draft->rollout.now == NULL);
    bool is_rollback = draft->service->update_status.state == UPDATE_ROLLBACK_STARTED;
    struct service *service = rollout_edit_service(draft, "rollout: it begins");
    struct rollout *rollout = ARENA_NEW(draft->arena, struct rollout);
    schema_init(&rollout_schema, rollout);
    rollout->meta.id = id_from_prng(draft->prng);
    rollout->round_id = id_from_prng(draft->prng);
    rollout->meta.created_unix_ms = rollout->meta.updated_unix_ms = draft->view->now_unix_ms;
    rollout->service_id = service->meta.id;
    rollout->number = ++service->rollout_number;
    rollout->meta.name = rollout_name(&service->meta.id, rollout->number, draft->arena);
    rollout->from_revision = rollout_from(draft, is_rollback);
    rollout->to_revision = service->revision;
    rollout->state = is_rollback ? UPDATE_ROLLBACK_STARTED : UPDATE_UPDATING;
    rollout->message = is_rollback ? service->update_status.message : "update in progress";
    rollout->started_unix_ms = rollout->progress_unix_ms = draft->view->now_unix_ms;
    draft->rollout.now = rollout;
    draft->rollout.before = NULL;
    draft->rollout.why = arena_printf(draft->arena, "rollout: revision %lld to %lld",
                                      (long long)rollout->from_revision, (long long)rollout->to_revision);
    draft->starts_first = rollout_policy(draft)->order == ORDER_START_FIRST;
}

// --- judging ---

static void rollout_end(struct draft *draft, enum update_state state, const char *message) {
    struct draft_rollout *rollout = &draft->rollout;
    ASSERT(rollout->closed == NULL);
    rollout->now->state = state;
    rollout->now->message = message;
    rollout->now->finished_unix_ms = draft->view->now_unix_ms;
    rollout->closed = TAKE(rollout->now);
    rollout->closed_before = TAKE(rollout->before);
    rollout->closed_why = message;
}

static bool rollout_same_strings(const struct strings *a, const struct strings *b) {
    size_t i = 0;
    while (i < a->count && i < b->count && str_equal(a->items[i], b->items[i])) {
        i++;
    }
    return i == a->count && i == b->count;
}

static bool rollout_moves(const struct draft *draft, const struct rollout *rollout) {
    const struct service_spec *then = view_spec(draft->view, draft->service, rollout->to_revision);
    const struct service_spec *now = &draft->service->spec;
    return then == NULL || !str_equal(then->platform, now->platform) ||
           !rollout_same_strings(&then->deploy.placement.constraints, &now->deploy.placement.constraints);
}

static bool rollout_is_superseded(const struct draft *draft, const struct rollout *rollout) {
    return draft->service->restart_revision > rollout->to_revision ||
           (draft->service->revision > rollout->to_revision && rollout_moves(draft, rollout));
}

// The records of a revision that a rollback makes.
static void rollout_turn_back(struct draft *draft, const struct service_spec *spec, int64_t revision,
                              const char *message) {
    size_t count;
    const struct view_revision *kept = view_revisions_of(draft->view, &draft->service->meta.id, &count);
    struct revision_spec *specs = ARENA_ARRAY(draft->arena, struct revision_spec, count);
    for (size_t i = 0; i < count; i++) {
        specs[i] = (struct revision_spec){kept[i].revision, kept[i].spec};
    }
    const char *why =
        arena_printf(draft->arena, "rollback to revision %lld: %s", (long long)revision, message);
    struct service *service = rollout_edit_service(draft, why);
    service_take_spec(service, spec, specs, count, draft->arena);
    service->update_status.state = UPDATE_ROLLBACK_STARTED;
    service->update_status.started_unix_ms = draft->view->now_unix_ms;
    service->update_status.completed_unix_ms = 0;
    service->update_status.message = message;
    struct revision *record = ARENA_NEW(draft->arena, struct revision);
    schema_init(&revision_schema, record);
    record->meta.id = id_from_prng(draft->prng);
    record->meta.created_unix_ms = record->meta.updated_unix_ms = draft->view->now_unix_ms;
    record->meta.name =
        arena_printf(draft->arena, "%s/%lld", service->meta.id.text, (long long)service->revision);
    record->service_id = service->meta.id;
    record->revision = service->revision;
    record->who = "system:planner";
    record->why = why;
    record->spec = service->spec;
    draft->rollout.revision = record;
    fit_init(&draft->fit, &service->spec, draft->arena);
}

// What the policy says to failures. `what` completes "update paused …".
static void rollout_give_up(struct draft *draft, enum rollout_cause cause, const char *what) {
    struct rollout *rollout = draft->rollout.now;
    bool is_rollback = rollout_is_rollback(rollout);
    enum failure_action action = rollout_policy(draft)->failure_action;
    if (action == FAILURE_CONTINUE) {
        return;
    }
    int64_t back = rollout->from_revision;
    const struct service_spec *spec = view_spec(draft->view, draft->service, back);
    if (action == FAILURE_ROLLBACK && !is_rollback && spec != NULL && back != draft->service->revision) {
        const char *message = arena_printf(draft->arena, "update rolled back %s", what);
        rollout->cause = cause;
        rollout_end(draft, UPDATE_ROLLED_BACK, message);
        rollout_turn_back(draft, spec, back, message);
        return;
    }
    rollout_pause(rollout, cause,
                  arena_printf(draft->arena, "%s paused %s", is_rollback ? "rollback" : "update", what));
    draft->rollout.why = rollout->message;
}

struct tally {
    int64_t total, due, at_work, failed;
    int64_t rests_until, monitored_until; // the last
    const struct task *last_failed;       // not in the list yet, if there is such
};

static bool rollout_lists_failure(const struct rollout *rollout, const struct task *task) {
    for (size_t i = 0; i < rollout->slots.count; i++) {
        const struct rollout_slot *at = &rollout->slots.items[i];
        if (at->state == ROLLOUT_SLOT_FAILED && id_equal(&at->new_task, &task->meta.id)) {
            return true;
        }
    }
    return false;
}

// Failures that the list knows of whose tasks are history count too.
static int64_t rollout_failures(const struct draft *draft, const struct task **last) {
    const struct rollout *rollout = draft->rollout.now;
    int64_t found = 0, listed = 0, unlisted = 0;
    *last = NULL;
    for (size_t i = 0; i < draft->slots.count; i++) {
        const struct task *task = rollout_task_of(draft, draft->slots.items[i]);
        if (task == NULL || !rollout_failed_early(draft, task)) {
            continue;
        }
        found++;
        bool is_listed = rollout_lists_failure(rollout, task);
        unlisted += !is_listed;
        *last = *last == NULL || !is_listed ? task : *last;
    }
    for (size_t i = 0; i < rollout->slots.count; i++) {
        listed += rollout->slots.items[i].state == ROLLOUT_SLOT_FAILED;
    }
    int64_t used = listed < ROLLOUT_SLOTS_MAX ? listed + unlisted : found;
    return used > rollout->failures_used ? used : rollout->failures_used;
}

static void rollout_judge_progress(struct draft *draft) {
    const struct rollout *rollout = draft->rollout.now;
    int64_t deadline_ns = rollout_policy(draft)->progress_deadline_ns;
    int64_t now = draft->view->now_unix_ms;
    if (deadline_ns == 0) {
        return;
    }
    int64_t until = rollout->progress_unix_ms + rollout_ms(deadline_ns);
    for (size_t i = 0; i < rollout->slots.count; i++) { // a rest is no standstill
        if (rollout->slots.items[i].state == ROLLOUT_SLOT_RESTING) {
            until += rollout_ms(rollout_policy(draft)->delay_ns);
            break;
        }
    }
    bool is_waiting = rollout->slots_updated < rollout->slots_total;
    if (is_waiting && now < until) {
        plan_wake(draft->plan, until);
    } else if (is_waiting) {
        rollout_give_up(draft, ROLLOUT_CAUSE_DEADLINE, "for want of progress before progress_deadline");
    }
}

static void rollout_judge_open(struct draft *draft) {
    const struct task *last;
    struct rollout *rollout = draft->rollout.now;
    rollout->policy = *rollout_policy(draft);
    rollout->failures_used = rollout_failures(draft, &last);
    double tolerated = rollout->policy.max_failure_ratio * (double)rollout->slots_total;
    rollout->failures_allowed = (int64_t)(tolerated + 1e-9);
    if (rollout->failures_used > rollout->failures_allowed && last != NULL) {
        rollout_give_up(
            draft, ROLLOUT_CAUSE_FAILURE,
            arena_printf(draft->arena, "due to failure or early termination of task %s", last->meta.id.text));
    } else {
        rollout_judge_progress(draft);
    }
}

void rollout_judge(struct draft *draft) {
    const struct rollout *const *rollouts;
    size_t count = view_rollouts_of(draft->view, &draft->service->meta.id, &rollouts);
    const struct rollout *last = count > 0 ? rollouts[count - 1] : NULL;
    if (last != NULL && rollout_is_open(last) && !draft->service->removing) {
        draft->rollout.before = last;
        draft->rollout.now = arena_copy(draft->arena, last, sizeof *last);
        if (rollout_is_superseded(draft, last)) {
            rollout_end(draft, UPDATE_SUPERSEDED,
                        arena_printf(draft->arena, "superseded by revision %lld",
                                     (long long)draft->service->revision));
        } else if (rollout_is_running(draft)) {
            rollout_judge_open(draft);
        }
    }
    draft->starts_first = rollout_policy(draft)->order == ORDER_START_FIRST;
}

// --- closing: what became of it -> plan ---

static void rollout_list(struct draft *draft, struct rollout *rollout, const struct slot *slot,
                         const struct slot_outlook *look) {
    if (rollout->slots.count >= ROLLOUT_SLOTS_MAX || look->task == NULL ||
        (look->has_failed && rollout_lists_failure(rollout, look->task))) {
        return;
    }
    struct rollout_slot *at = ARENA_PUSH(draft->arena, &rollout->slots);
    *at = (struct rollout_slot){
        .slot = slot->number,
        .node_id = slot->node_id,
        .old_task = look->task->replaces,
        .new_task = look->task->meta.id,
        .state = look->has_failed                 ? ROLLOUT_SLOT_FAILED
                 : look->progress == SLOT_RESTING ? ROLLOUT_SLOT_RESTING
                                                  : ROLLOUT_SLOT_AT_WORK,
    };
}

// The failures that are listed stay; the rest of the list is made anew.
static void rollout_keep_failures(struct draft *draft, struct rollout *rollout) {
    size_t count = rollout->slots.count;
    const struct rollout_slot *slots = rollout->slots.items;
    rollout->slots.count = 0;
    rollout->slots.items = NULL;
    for (size_t i = 0; i < count; i++) {
        if (slots[i].state == ROLLOUT_SLOT_FAILED) {
            *ARENA_PUSH(draft->arena, &rollout->slots) = slots[i];
        }
    }
}

static int64_t larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static struct tally rollout_count(struct draft *draft) {
    struct rollout *rollout = draft->rollout.now;
    struct tally tally = {0};
    rollout_keep_failures(draft, rollout);
    for (int failed_first = 1; failed_first >= 0; failed_first--) {
        for (size_t i = 0; i < draft->slots.count; i++) {
            const struct slot *slot = draft->slots.items[i];
            struct slot_outlook look = rollout_look(draft, slot);
            if (look.has_failed == (failed_first == 1) &&
                (look.has_failed || look.progress == SLOT_AT_WORK || look.progress == SLOT_RESTING)) {
                rollout_list(draft, rollout, slot, &look);
            }
            if (failed_first == 0) {
                tally.total += look.progress != SLOT_APART;
                tally.due += look.progress == SLOT_DUE;
                tally.at_work += look.progress == SLOT_AT_WORK || look.progress == SLOT_RESTING;
                tally.rests_until = larger(tally.rests_until, look.rests_until);
                tally.monitored_until = larger(tally.monitored_until, look.monitored_until);
            }
        }
    }
    return tally;
}

static bool rollout_has_moved(const struct rollout *before, const struct rollout *now) {
    if (before == NULL || before->slots_updated != now->slots_updated ||
        before->slots_total != now->slots_total || before->slots.count != now->slots.count) {
        return true;
    }
    for (size_t i = 0; i < now->slots.count; i++) {
        const struct rollout_slot *x = &before->slots.items[i], *y = &now->slots.items[i];
        if (x->state != y->state || !id_equal(&x->new_task, &y->new_task)) {
            return true;
        }
    }
    return false;
}

// What is being stopped gives its room back: it is too early to say that there is none.
static bool rollout_waits_for_stops(const struct draft *draft) {
    for (size_t i = 0; i < draft->slots.count; i++) {
        const struct slot *slot = draft->slots.items[i];
        for (size_t j = 0; j < slot->tasks.count; j++) {
            const struct task *task = slot->tasks.items[j]->task;
            if (view_holds_resources(task) && !view_wants_to_run(task)) {
                return true;
            }
        }
    }
    return false;
}

static void rollout_say(struct draft *draft, const struct tally *tally) {
    struct rollout *rollout = draft->rollout.now;
    bool is_rollback = rollout_is_rollback(rollout);
    bool is_stuck = draft->rollout.has_no_room && tally->at_work == 0 && !rollout_waits_for_stops(draft);
    rollout->cause = draft->rollout.has_no_room ? ROLLOUT_CAUSE_NO_ROOM : ROLLOUT_CAUSE_NONE;
    if (draft->rollout.waits_for != NULL && tally->at_work == 0 && tally->due > 0) {
        rollout->message = draft->rollout.waits_for;
    } else if (is_stuck) {
        rollout->message = arena_printf(
            draft->arena, "no room: nothing is stopped until a node can take a task that needs %s%s",
            room_wish(draft), draft->starts_first ? ", while the old one runs on (order: start-first)" : "");
    } else if (!is_rollback) {
        rollout->message = "update in progress";
    } else if (str_starts(rollout->message, "no room") || str_starts(rollout->message, "waits for")) {
        rollout->message = "rollback in progress";
    }
}

static void rollout_finish(struct draft *draft, const struct tally *tally) {
    struct rollout *rollout = draft->rollout.now;
    const char *what = rollout_is_rollback(rollout) ? "rollback" : "update";
    if (tally->due > 0 || tally->at_work > 0) {
        if (tally->due == 0 && tally->rests_until > 0) {
            plan_wake(draft->plan, tally->rests_until);
        }
        return;
    }
    if (tally->monitored_until > draft->view->now_unix_ms) {
        plan_wake(draft->plan, tally->monitored_until);
        return;
    }
    rollout->state = rollout_is_rollback(rollout) ? UPDATE_ROLLBACK_COMPLETED : UPDATE_COMPLETED;
    rollout->message = arena_printf(draft->arena, "%s completed", what);
    if (rollout->failures_used > 0) {
        rollout->message =
            arena_printf(draft->arena, "%s completed; tasks failed in %lld of %lld slots", what,
                         (long long)rollout->failures_used, (long long)rollout->slots_total);
    }
    rollout->finished_unix_ms = draft->view->now_unix_ms;
    draft->rollout.why = rollout->message;
}

static void rollout_close_open(struct draft *draft) {
    struct rollout *rollout = draft->rollout.now;
    struct tally tally = rollout_count(draft);
    int64_t parallelism = rollout_policy(draft)->parallelism;
    rollout->slots_total = larger(rollout->slots_total, tally.total);
    rollout->slots_updated = rollout->slots_total - tally.due - tally.at_work;
    int64_t per_batch = parallelism == 0 ? larger(rollout->slots_total, 1) : parallelism;
    rollout->batches = (rollout->slots_total + per_batch - 1) / per_batch;
    rollout->batch = (rollout->slots_updated + tally.at_work + per_batch - 1) / per_batch;
    rollout->policy = *rollout_policy(draft);
    rollout->failures_allowed =
        (int64_t)(rollout->policy.max_failure_ratio * (double)rollout->slots_total + 1e-9);
    if (rollout_has_moved(draft->rollout.before, rollout)) {
        rollout->progress_unix_ms = draft->view->now_unix_ms;
    }
    if (rollout_is_running(draft)) {
        rollout_say(draft, &tally);
        rollout_finish(draft, &tally);
    }
}

static void rollout_tell_service(struct draft *draft) {
    const struct rollout *rollout = draft->rollout.now;
    struct update_status status = draft->service->update_status;
    if (rollout != NULL) {
        rollout_tell(rollout, &status);
    } else if (status.state == UPDATE_ROLLBACK_STARTED) { // it had nothing to do
        status.state = UPDATE_ROLLBACK_COMPLETED;
        status.completed_unix_ms = draft->view->now_unix_ms;
        status.message = "rollback completed";
    } else if (draft->rollout.closed != NULL && draft->service->update_status.state != UPDATE_NONE) {
        status.state = UPDATE_NONE;
        status.started_unix_ms = status.completed_unix_ms = 0;
        status.message = "";
    }
    const struct update_status *was = &draft->service->update_status;
    if (was->state != status.state || was->started_unix_ms != status.started_unix_ms ||
        was->completed_unix_ms != status.completed_unix_ms || !str_equal(was->message, status.message)) {
        rollout_edit_service(draft, rollout != NULL ? rollout->message : "rollout: none is left")
            ->update_status = status;
    }
}

void rollout_close(struct draft *draft) {
    if (draft->rollout.now != NULL) {
        rollout_close_open(draft);
    }
    rollout_tell_service(draft);
}

// --- writing ---

static void rollout_add(struct draft *draft, enum object_kind kind, const void *before, const void *now,
                        const char *why) {
    if (now == NULL || (before != NULL && schema_equal(object_schema(kind), before, now))) {
        return;
    }
    plan_add(draft->plan, draft->arena,
             &(struct plan_change){
                 .op = before == NULL ? CHANGE_CREATE : CHANGE_UPDATE,
                 .kind = kind,
                 .object = now,
                 .id = object_meta_const(now)->id,
                 .expected_version = before == NULL ? 0 : object_meta_const(before)->version,
                 .why = why,
                 .with_next = true,
             });
}

// What tasks of this pass rely on comes before them; mere progress after, so that the tasks' reasons lead.
static bool rollout_leads(const struct draft_rollout *rollout) {
    return rollout->service != NULL || (rollout->now != NULL && rollout->before == NULL);
}

void rollout_write(struct draft *draft, bool is_before_tasks) {
    const struct draft_rollout *rollout = &draft->rollout;
    struct plan *plan = draft->plan;
    size_t start = plan->changes.count;
    if (rollout_leads(rollout) != is_before_tasks) {
        return;
    }
    const char *why = rollout->why;
    if (why == NULL && rollout->now != NULL) {
        why = arena_printf(draft->arena, "rollout: %lld of %lld slots are updated",
                           (long long)rollout->now->slots_updated, (long long)rollout->now->slots_total);
    }
    rollout_add(draft, KIND_ROLLOUT, rollout->closed_before, rollout->closed, rollout->closed_why);
    rollout_add(draft, KIND_REVISION, /* before */ NULL, rollout->revision, rollout->service_why);
    rollout_add(draft, KIND_ROLLOUT, rollout->before, rollout->now, why);
    rollout_add(draft, KIND_SERVICE, rollout->service_before, rollout->service, rollout->service_why);
    if (plan->changes.count > start) {
        plan->changes.items[plan->changes.count - 1].with_next = false;
    }
}
