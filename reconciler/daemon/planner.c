// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/planner.c — from events to dirty services, from views to plans, from plans to
// transactions.
//
// Not every event of a task concerns planners: what they look at is whether it runs, is over, is assigned, or
// is to stop. A task that goes from preparing to ready makes nothing dirty (task_class).
#include "reconciler/daemon/planner.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/schedule/rebalance.h"
#include "reconciler/schedule/schedule.h"

#define EVENTS_MAX 2048
#define EVENTS_BYTES_MAX (2 * MIB)
#define REST_FACTOR 4 // after a pass of n ms a service rests 4 n ms
#define RETRY_MS 1000
#define KEPT_BYTES ((size_t)256 * KIB)

// What the planner remembers of a service.
struct subject {
    struct id service_id;
    bool is_dirty;
    bool is_waiting;      // for a service that it depends on: look again when that changes
    bool is_starving;     // a task of it has no node: look again when one becomes free
    int64_t rest_mono_ms; // no pass before
    int64_t wake_unix_ms; // a pass then at the latest; 0 = none
};

void planner_init(struct planner *planner, struct store *store, struct proposals *proposals, uint64_t seed) {
    *planner = (struct planner){.store = store, .proposals = proposals};
    prng_seed(&planner->prng, seed);
}

static void subjects_free(struct planner *planner) {
    size_t cursor = 0;
    for (struct subject *subject; (subject = map_next(&planner->subjects, &cursor)) != NULL;) {
        xfree(subject);
    }
    map_free(&planner->subjects);
    planner->dirty_count = planner->waiting_count = 0;
}

void planner_deinit(struct planner *planner) {
    subjects_free(planner);
    loads_free(&planner->loads);
    zones_free(&planner->zones);
    arena_free(&planner->arena);
}

// The plan under way, if there is one, is dropped once its proposal has come back.
void planner_restart(struct planner *planner) {
    planner->is_started = false;
    planner->must_drop_plan = true;
}

// --- what is dirty ---

static struct subject *subject_of(struct planner *planner, const struct id *service_id) {
    struct subject *subject = map_get(&planner->subjects, service_id->text);
    if (subject == NULL) {
        subject = NEW(struct subject);
        subject->service_id = *service_id;
        map_put(&planner->subjects, subject->service_id.text, subject);
    }
    return subject;
}

static void set_dirty(struct planner *planner, struct subject *subject, bool is_dirty) {
    planner->dirty_count += (size_t)is_dirty - (size_t)subject->is_dirty;
    subject->is_dirty = is_dirty;
}

enum whom { EVERYBODY, STARVING, WAITING };

static void all_dirty(struct planner *planner, enum whom whom) {
    size_t cursor = 0;
    for (struct subject *subject; (subject = map_next(&planner->subjects, &cursor)) != NULL;) {
        if (whom == EVERYBODY || (whom == STARVING && subject->is_starving) ||
            (whom == WAITING && subject->is_waiting)) {
            set_dirty(planner, subject, true);
        }
    }
}

static void set_waiting(struct planner *planner, struct subject *subject, bool is_waiting) {
    planner->waiting_count += (size_t)is_waiting - (size_t)subject->is_waiting;
    subject->is_waiting = is_waiting;
}

static void forget(struct planner *planner, const struct id *service_id) {
    struct subject *subject = map_get(&planner->subjects, service_id->text);
    if (subject != NULL) {
        set_dirty(planner, subject, false);
        set_waiting(planner, subject, false);
        map_remove(&planner->subjects, service_id->text);
        xfree(subject);
    }
}

// Something became of a service: those that wait for others look again.
static void waiting_dirty(struct planner *planner) {
    if (planner->waiting_count > 0) {
        all_dirty(planner, WAITING);
    }
}

// Everything anew.
static int start(struct planner *planner, struct store_read *read, struct error *err) {
    struct store_cursor cursor;
    struct id id;
    struct bytes bytes;
    subjects_free(planner);
    int rc = loads_read(&planner->loads, read, err);
    rc = rc < 0 ? rc : store_each_begin(read, STORE_ALL, KIND_SERVICE, NULL, &cursor, err);
    if (rc < 0) {
        return rc;
    }
    while ((rc = store_each_next(&cursor, &id, &bytes, err)) == 0) {
        set_dirty(planner, subject_of(planner, &id), true);
    }
    store_each_end(&cursor);
    planner->position = store_position_after(store_read_revision(read));
    planner->is_started = true;
    return rc < 0 ? rc : 0;
}

// Two tasks of the same class are the same to planners, as far as the observed state goes.
static int task_class(int64_t state) {
    return state < TASK_ASSIGNED   ? 0
           : state < TASK_STARTING ? 1
           : state < TASK_RUNNING  ? 2
           : state == TASK_RUNNING ? 3
                                   : (int)state;
}

static bool concerns_planners(const struct task *from, const struct task *to) {
    return from == NULL || to == NULL || from->desired != to->desired ||
           task_class(from->status.state) != task_class(to->status.state) ||
           !id_equal(&from->node_id, &to->node_id);
}

static bool frees_room(const struct task *from, const struct task *to) {
    return from != NULL && view_holds_resources(from) && (to == NULL || !view_holds_resources(to));
}

static int decode(struct bytes bytes, struct task *storage, const struct task **out, struct arena *arena,
                  struct error *err) {
    *out = bytes.len > 0 ? storage : NULL;
    return bytes.len > 0 ? wire_decode(&task_schema, bytes, storage, arena, err) : 0;
}

static int on_task(struct planner *planner, const struct event *event, struct arena *arena,
                   struct error *err) {
    struct task storage[2];
    const struct task *from, *to;
    int rc = decode(event->from, &storage[0], &from, arena, err);
    rc = rc < 0 ? rc : decode(event->to, &storage[1], &to, arena, err);
    if (rc < 0) {
        return rc;
    }
    if (from != NULL) {
        loads_add(&planner->loads, from, -1);
    }
    if (to != NULL) {
        loads_add(&planner->loads, to, 1);
    }
    if (concerns_planners(from, to)) {
        waiting_dirty(planner);
        set_dirty(planner, subject_of(planner, to != NULL ? &to->service_id : &from->service_id), true);
    }
    if (frees_room(from, to)) {
        all_dirty(planner, STARVING);
    }
    return 0;
}

// It may have been paused, or told to go on. One that goes does so with its service.
static int on_rollout(struct planner *planner, const struct event *event, struct arena *arena,
                      struct error *err) {
    struct rollout rollout;
    if (event->to.len == 0) {
        return 0;
    }
    int rc = wire_decode(&rollout_schema, event->to, &rollout, arena, err);
    if (rc == 0) {
        set_dirty(planner, subject_of(planner, &rollout.service_id), true);
    }
    return rc;
}

static int on_event(struct planner *planner, const struct event *event, struct arena *arena,
                    struct error *err) {
    if (event->kind == KIND_TASK) {
        return on_task(planner, event, arena, err);
    }
    if (event->kind == KIND_ROLLOUT) {
        return on_rollout(planner, event, arena, err);
    }
    if (event->kind == KIND_SERVICE) {
        waiting_dirty(planner);
    }
    if (event->kind == KIND_SERVICE && event->to.len == 0) {
        forget(planner, &event->id);
    } else if (event->kind == KIND_SERVICE) {
        set_dirty(planner, subject_of(planner, &event->id), true);
    } else {
        all_dirty(planner, EVERYBODY);
    }
    return 0;
}

static int notice(struct planner *planner, struct store_read *read, struct error *err) {
    static const uint64_t kinds = UINT64_C(1) << KIND_TASK | UINT64_C(1) << KIND_SERVICE |
                                  UINT64_C(1) << KIND_NODE | UINT64_C(1) << KIND_CLUSTER |
                                  UINT64_C(1) << KIND_ROLLOUT;
    if (!planner->is_started) {
        return start(planner, read, err);
    }
    AUTO_ARENA arena = arena_make(0);
    for (size_t count = 1; count > 0;) {
        struct events events = {0};
        arena_clear(&arena);
        int rc = store_history(read, &planner->position, kinds, EVENTS_MAX, EVENTS_BYTES_MAX, &arena, &events,
                               err);
        if (rc == STORE_SKIPPED) {
            return start(planner, read, err);
        }
        count = rc < 0 ? 0 : events.count;
        for (size_t i = 0; rc == 0 && i < count; i++) {
            rc = on_event(planner, &events.items[i], &arena, err);
        }
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

// --- a pass ---

static bool is_due(const struct subject *subject, const struct now *now) {
    bool is_time = subject->wake_unix_ms != 0 && subject->wake_unix_ms <= now->unix_ms;
    return (subject->is_dirty || is_time) && subject->rest_mono_ms <= now->mono_ms;
}

static int collect(struct planner *planner, struct store_read *read, const struct now *now, struct view *view,
                   struct error *err) {
    struct strings gone = {0};
    size_t cursor = 0;
    int rc = 0;
    for (struct subject *subject; rc >= 0 && view->services.count < PASS_SERVICES_MAX &&
                                  view->tasks.count < PASS_TASKS_MAX &&
                                  (subject = map_next(&planner->subjects, &cursor)) != NULL;) {
        if (!is_due(subject, now)) {
            continue;
        }
        rc = picture_add(view, read, &subject->service_id, &planner->arena, err);
        if (rc == STORE_ABSENT) {
            *ARENA_PUSH(&planner->arena, &gone) = subject->service_id.text;
        } else if (rc == 0) {
            set_dirty(planner, subject, false);
            subject->wake_unix_ms = 0;
            *ARENA_PUSH(&planner->arena, &planner->subjects_planned) = subject->service_id;
        }
    }
    for (size_t i = 0; i < gone.count; i++) {
        struct id id;
        if (id_parse(gone.items[i], &id)) {
            forget(planner, &id);
        }
    }
    return rc < 0 ? rc : 0;
}

static void add_zones(struct planner *planner, struct view *view) {
    for (size_t i = 0; i < view->services.count; i++) {
        const struct schedule *schedule = view->services.items[i]->spec.deploy.schedule;
        bool has_zone = schedule != NULL && schedule->time_zone[0] != '\0';
        const struct zone *zone = has_zone ? zones_get(&planner->zones, schedule->time_zone) : NULL;
        if (zone != NULL) {
            view_add_zone(view, zone, &planner->arena);
        }
    }
}

// Each service gets its own time to wake.
static void plan_all(struct planner *planner, const struct view *view) {
    for (size_t i = 0; i < view->services.count; i++) {
        const struct service *service = view->services.items[i];
        planner->plan.wake_unix_ms = 0;
        planner->plan.is_waiting = false;
        plan_service(view, service, &planner->prng, &planner->arena, &planner->plan);
        struct subject *subject = subject_of(planner, &service->meta.id);
        subject->wake_unix_ms = planner->plan.wake_unix_ms;
        set_waiting(planner, subject, planner->plan.is_waiting);
    }
    schedule_tasks(view, &planner->arena, &planner->plan);
}

// Tasks that are to move are found last, and then planned with the rest.
static void plan_and_balance(struct planner *planner, struct view *view) {
    struct prng before = planner->prng;
    struct rebalance rebalance;
    plan_all(planner, view);
    rebalance_find(view, &planner->plan, &planner->arena, &rebalance);
    if (rebalance.moving > 0) {
        planner->plan = (struct plan){0};
        planner->prng = before;
        plan_all(planner, view);
    }
    for (size_t i = 0; i < rebalance.wakes.count; i++) {
        const struct rebalance_wake *wake = &rebalance.wakes.items[i];
        struct subject *subject = subject_of(planner, &wake->service_id);
        bool is_sooner = subject->wake_unix_ms == 0 || wake->unix_ms < subject->wake_unix_ms;
        subject->wake_unix_ms = is_sooner ? wake->unix_ms : subject->wake_unix_ms;
    }
}

static void note_starving(struct planner *planner, const struct view *view) {
    struct view after;
    plan_apply(view, &planner->plan, &planner->arena, &after);
    for (size_t i = 0; i < view->services.count; i++) {
        subject_of(planner, &view->services.items[i]->meta.id)->is_starving = false;
    }
    for (size_t i = 0; i < after.tasks.count; i++) {
        const struct task *task = after.tasks.items[i];
        if (task->status.state <= TASK_PENDING && view_wants_to_run(task)) {
            subject_of(planner, &task->service_id)->is_starving = true;
        }
    }
}

static void rest(struct planner *planner, const struct view *view, const struct now *now, int64_t took_ms) {
    for (size_t i = 0; i < view->services.count; i++) {
        subject_of(planner, &view->services.items[i]->meta.id)->rest_mono_ms =
            now->mono_ms + REST_FACTOR * took_ms;
    }
}

static void finish_plan(struct planner *planner) {
    if (planner->arena.used_bytes > KEPT_BYTES) {
        arena_free(&planner->arena);
    } else {
        arena_clear(&planner->arena);
    }
    planner->plan = (struct plan){0};
    planner->proposed = planner->in_flight = 0;
    planner->subjects_planned.count = 0;
    planner->subjects_planned.items = NULL;
}

// --- order ---

static bool is_new_task(const struct plan_change *change) {
    return change->op == CHANGE_CREATE && change->kind == KIND_TASK;
}

static int compare_nodes(const void *a, const void *b) {
    const struct plan_change *left = a, *right = b;
    const struct task *one = left->object, *other = right->object;
    int order = strcmp(one->node_id.text, other->node_id.text);
    return order != 0 ? order : strcmp(left->id.text, right->id.text);
}

// New tasks that follow each other may come in any order: by node, those of a transaction lie together in the index
// of the store, and each node hears of its own at once.
static void order_new_tasks(struct plan *plan) {
    for (size_t i = 0; i < plan->changes.count;) {
        size_t end = i;
        while (end < plan->changes.count && is_new_task(&plan->changes.items[end])) {
            end++;
        }
        if (end - i > PLAN_CHANGES_MAX) { // else they are of one transaction
            qsort(&plan->changes.items[i], end - i, sizeof *plan->changes.items, compare_nodes);
        }
        i = end + (end == i);
    }
}

static int pass(struct planner *planner, struct store_read *read, const struct now *now, struct error *err) {
    struct view view;
    int64_t started = planner->is_simulated ? 0 : clock_mono_ms();
    finish_plan(planner);
    int rc = picture_begin(&view, read, now->unix_ms, &planner->arena, err);
    rc = rc < 0 ? rc : collect(planner, read, now, &view, err);
    if (rc < 0 || view.services.count == 0) {
        finish_plan(planner);
        return rc;
    }
    picture_seal(&view, &planner->loads, &planner->arena);
    add_zones(planner, &view);
    plan_and_balance(planner, &view);
    order_new_tasks(&planner->plan);
    note_starving(planner, &view);
    planner->passes++;
    rest(planner, &view, now, planner->is_simulated ? 0 : clock_mono_ms() - started);
    if (planner->plan.changes.count == 0) {
        finish_plan(planner);
    }
    return 0;
}

// --- proposing ---

static void add_change(const struct plan_change *planned, struct arena *arena, struct transaction *out,
                       size_t *bytes) {
    struct change *change = ARENA_PUSH(arena, &out->changes);
    schema_init(&change_schema, change);
    change->op = planned->op;
    change->kind = planned->kind;
    change->id = planned->id;
    change->expected_version = planned->expected_version;
    if (planned->object != NULL) {
        AUTO_BUF object = {0};
        wire_encode(object_schema(planned->kind), planned->object, &object);
        change->object = (struct bytes){arena_copy(arena, object.data, object.len), object.len};
        *bytes += object.len;
    }
}

// --- when the disk is full ---

static bool makes_room(const struct plan_change *change) {
    return change->op == CHANGE_DELETE || (change->op == CHANGE_UPDATE && change->kind == KIND_TASK &&
                                           ((const struct task *)change->object)->desired >= TASK_SHUTDOWN);
}

static bool all_make_room(const struct plan_change *changes, size_t count) {
    size_t i = 0;
    while (i < count && makes_room(&changes[i])) {
        i++;
    }
    return count > 0 && i == count;
}

// One change that takes room would have all of the plan refused, also the stop of what fills the disk. Such
// changes are planned again later; nothing that makes room stands on them. A plan of such alone stays
// whole: its refusal tells that the disk is full still.
static void keep_what_makes_room(struct plan *plan, size_t from) {
    size_t kept = from;
    for (size_t i = from; i < plan->changes.count; i++) {
        if (makes_room(&plan->changes.items[i])) {
            plan->changes.items[kept++] = plan->changes.items[i];
        }
    }
    plan->changes.count = kept > from ? kept : plan->changes.count;
}

static void plan_again(struct planner *planner) {
    for (size_t i = 0; i < planner->subjects_planned.count; i++) {
        set_dirty(planner, subject_of(planner, &planner->subjects_planned.items[i]), true);
    }
}

static void on_result(void *context, const struct proposal_result *result) {
    struct planner *planner = context;
    size_t in_flight = TAKE(planner->in_flight);
    if (result->code == 0) {
        planner->proposed += in_flight;
        if (planner->proposed == planner->plan.changes.count) {
            if (TAKE(planner->is_short_of_space)) {
                plan_again(planner);
            }
            finish_plan(planner);
        }
        return;
    }
    bool is_race = result->code == -ERR_CONFLICT || result->code == -ERR_NOT_FOUND;
    log_event(is_race ? LOG_DEBUG : LOG_WARN, "plan.refused", LOG_STR("error", result->text),
              LOG_INT("changes", in_flight));
    planner->retry_mono_ms = is_race ? 0 : planner->now_mono_ms + RETRY_MS;
    planner->is_short_of_space = result->code == -ERR_NO_SPACE;
    plan_again(planner);
    finish_plan(planner);
}

// The history keeps one reason for a transaction: that of its first change, and how many others there are.
static void propose(struct planner *planner, const struct now *now) {
    AUTO_ARENA arena = arena_make(0);
    struct transaction transaction;
    schema_init(&transaction_schema, &transaction);
    if (planner->is_short_of_space) {
        keep_what_makes_room(&planner->plan, planner->proposed);
    }
    const struct plan_change *first = &planner->plan.changes.items[planner->proposed];
    size_t left = planner->plan.changes.count - planner->proposed, bytes = 0, count = 0;
    bool is_one_reason = true;
    for (bool is_held = false;
         count < left && (is_held || (count < PLAN_CHANGES_MAX && bytes < PLAN_BYTES_MAX)); count++) {
        is_held = first[count].with_next;
        is_one_reason = is_one_reason && str_equal(first[count].why, first->why);
        add_change(&first[count], &arena, &transaction, &bytes);
    }
    transaction.who = "system:planner";
    transaction.only_here = true;
    transaction.makes_room = all_make_room(first, count);
    transaction.why = is_one_reason || count == 1
                          ? first->why
                          : arena_printf(&arena, "%s; and %zu more", first->why, count - 1);
    transaction.time_unix_ms = now->unix_ms;
    struct error reason = {0};
    int rc = proposals_submit(planner->proposals, &transaction, on_result, planner, &reason);
    planner->in_flight = count;
    if (rc < 0) {
        char text[256];
        on_result(planner,
                  &(struct proposal_result){.code = rc, .text = error_text(&reason, text, sizeof text)});
    }
}

int planner_seal(const struct planner *planner, struct view *view, struct store_read *read, struct arena *arena,
                 struct error *err) {
    if (planner->is_started && planner->position.revision == store_read_revision(read)) {
        picture_seal(view, &planner->loads, arena);
        return 0;
    }
    struct loads loads = {0};
    int rc = loads_read(&loads, read, err);
    if (rc == 0) {
        picture_seal(view, &loads, arena);
    }
    loads_free(&loads);
    return rc;
}

bool planner_is_waiting(const struct planner *planner) {
    return planner->in_flight > 0;
}

int planner_step(struct planner *planner, const struct now *now, struct error *err) {
    planner->now_mono_ms = now->mono_ms;
    if (planner->in_flight > 0 || planner->retry_mono_ms > now->mono_ms) {
        return 0;
    }
    planner->retry_mono_ms = 0;
    if (TAKE(planner->must_drop_plan)) {
        finish_plan(planner);
    }
    if (planner->plan.changes.count == 0) {
        struct store_read *read;
        int rc = store_read_begin(planner->store, &read, err);
        if (rc < 0) {
            return rc;
        }
        rc = notice(planner, read, err);
        rc = rc < 0 || planner_wake_mono_ms(planner, now) > now->mono_ms ? rc : pass(planner, read, now, err);
        store_read_end(read);
        if (rc < 0) {
            return error_wrap(err, rc, "plan");
        }
    }
    if (planner->plan.changes.count > 0) {
        propose(planner, now);
    }
    return 0;
}

int64_t planner_wake_mono_ms(const struct planner *planner, const struct now *now) {
    if (planner->in_flight > 0) {
        return INT64_MAX;
    }
    if (planner->retry_mono_ms > 0) {
        return planner->retry_mono_ms;
    }
    if (!planner->is_started || planner->plan.changes.count > 0) {
        return 0;
    }
    int64_t wake = INT64_MAX;
    size_t cursor = 0;
    for (const struct subject *subject; (subject = map_next(&planner->subjects, &cursor)) != NULL;) {
        int64_t at = subject->is_dirty            ? 0
                     : subject->wake_unix_ms != 0 ? now->mono_ms + subject->wake_unix_ms - now->unix_ms
                                                  : INT64_MAX;
        at = at < subject->rest_mono_ms ? subject->rest_mono_ms : at;
        wake = at < wake ? at : wake;
    }
    return wake;
}
