// SPDX-License-Identifier: Apache-2.0
//
// reconciler/schedule/schedule.c — groups of like tasks placed one after the other; then, for those left
// over, why.
//
// Model        The tasks to place are grouped by service and revision: all of a group need the same, so the
//              filters look at each node once a group, and the heaps (spread.h, rank.h) do the rest. Tasks that come
//              with their node go first, as they have no choice. Who found no node is explained only when all
//              others are placed: the funnel then tells of the nodes as they are after the pass, and a second
//              pass has nothing to add.
// Invariants   (1) A node's reservations never exceed what it has. (2) A task whose funnel did not change
//              gets no change. (3) The result depends on the view alone, not on the order of its making.
// Cost         O(tasks · log nodes + groups · nodes · filters).
#include "reconciler/schedule/schedule.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/str.h"
#include "reconciler/schedule/remedy.h"
#include "reconciler/schedule/spread.h"

#define FAILURE_WINDOW_MS (INT64_C(5) * 60 * 1000)

struct pending {
    const struct task *task;
    const struct service *service;
    struct room *placed; // where, once it is
};

struct group {
    struct pending *items; // of one service and revision
    size_t count;
    struct demand demand;
};

struct work {
    const struct view *view; // as the plan leaves it
    struct arena *arena;
    struct plan *plan;
    struct room *rooms; // one for each node, in the same order
    struct spread spread;
    LIST_OF(struct pending) pending; // by service, revision, then the view's order
    LIST_OF(struct group) groups;
    struct plan_change **changes; // the plan's changes of tasks, by id
    size_t change_count;
};

// --- what there is to place, and where ---

static void open_rooms(struct work *work) {
    const struct view *view = work->view;
    work->rooms = ARENA_ARRAY(work->arena, struct room, view->nodes.count);
    for (size_t i = 0; i < view->nodes.count; i++) {
        const struct view_node *at = &view->nodes.items[i];
        work->rooms[i] = (struct room){
            .node = at->node,
            .cpus_free_nano = at->node->description.cpus_nano - at->cpus_reserved_nano,
            .memory_free_bytes = at->node->description.memory_bytes - at->memory_reserved_bytes,
            .active_tasks = at->active_tasks,
            .claims = at->claims,
        };
    }
    spread_open(&work->spread, work->rooms, view->nodes.count, work->arena);
}

static struct room *room_of(const struct work *work, const struct id *node_id) {
    const struct view_node *node = view_node(work->view, node_id);
    return node != NULL ? &work->rooms[node - work->view->nodes.items] : NULL;
}

static bool is_pending(const struct task *task) {
    return task->status.state <= TASK_PENDING && view_wants_to_run(task);
}

static int compare_pending(const void *a, const void *b) {
    const struct pending *x = a;
    const struct pending *y = b;
    int order = (x->task->revision > y->task->revision) - (x->task->revision < y->task->revision);
    order = order != 0 ? order : (x->task->slot > y->task->slot) - (x->task->slot < y->task->slot);
    return order != 0 ? order : id_compare(&x->task->meta.id, &y->task->meta.id);
}

static void collect_pending(struct work *work) {
    for (size_t i = 0; i < work->view->services.count; i++) {
        const struct service *service = work->view->services.items[i];
        struct view_tasks tasks = view_tasks_of(work->view, &service->meta.id);
        size_t start = work->pending.count;
        for (size_t j = 0; j < tasks.count && !service->removing; j++) {
            if (is_pending(tasks.items[j])) {
                *ARENA_PUSH(work->arena, &work->pending) =
                    (struct pending){.task = tasks.items[j], .service = service};
            }
        }
        if (work->pending.count > start + 1) {
            qsort(work->pending.items + start, work->pending.count - start, sizeof *work->pending.items,
                  compare_pending);
        }
    }
}

// Where an older task may go is said by the newest revision: elsewhere it would only be stopped again.
static const struct service_spec *spec_to_place(struct work *work, const struct pending *item) {
    const struct service_spec *newest = &item->service->spec;
    const struct service_spec *own = view_spec(work->view, item->service, item->task->revision);
    if (own == NULL || item->task->revision == item->service->revision) {
        return own != NULL ? own : newest;
    }
    struct service_spec *spec = arena_copy(work->arena, own, sizeof *own);
    spec->deploy.placement = newest->deploy.placement;
    spec->platform = newest->platform;
    return spec;
}

static void open_group(struct work *work, struct pending *items, size_t count) {
    struct group *group = ARENA_PUSH(work->arena, &work->groups);
    *group = (struct group){.items = items, .count = count};
    demand_init(&group->demand, spec_to_place(work, items), work->arena);
    group->demand.cpus_nano = items->task->cpus_nano; // what will be counted against the node
    group->demand.memory_bytes = items->task->memory_bytes;
    group->demand.generic = items->task->generic_resources;
    group->demand.host_ports = items->task->host_ports;
}

static void collect_groups(struct work *work) {
    collect_pending(work);
    size_t start = 0;
    for (size_t i = 1; i <= work->pending.count; i++) {
        const struct pending *first = &work->pending.items[start];
        const struct pending *at = &work->pending.items[i];
        if (i == work->pending.count || at->service != first->service ||
            at->task->revision != first->task->revision) {
            open_group(work, &work->pending.items[start], i - start);
            start = i;
        }
    }
}

// --- placing ---

static bool is_recent_failure(const struct work *work, const struct task *task, int64_t revision) {
    return task->revision == revision &&
           (task->status.state == TASK_FAILED || task->status.state == TASK_REJECTED) &&
           task->status.since_unix_ms > work->view->now_unix_ms - FAILURE_WINDOW_MS;
}

static void count_service_tasks(struct work *work, const struct group *group) {
    for (size_t i = 0; i < work->view->nodes.count; i++) {
        work->rooms[i].service_tasks = work->rooms[i].service_failures = 0;
    }
    struct view_tasks tasks = view_tasks_of(work->view, &group->items->service->meta.id);
    for (size_t i = 0; i < tasks.count; i++) {
        const struct task *task = tasks.items[i];
        struct room *room = task->status.state >= TASK_ASSIGNED ? room_of(work, &task->node_id) : NULL;
        if (room != NULL) {
            room->service_tasks += view_holds_resources(task) && view_wants_to_run(task);
            room->service_failures += is_recent_failure(work, task, group->items->task->revision);
        }
    }
}

// Counts what this pass has given to the service so far, in this group or another of its revisions.
static void count_placed(struct work *work, const struct group *group) {
    const struct pending *first = group->items;
    while (first > work->pending.items && first[-1].service == group->items->service) {
        first--;
    }
    const struct pending *end = work->pending.items + work->pending.count;
    for (const struct pending *at = first; at < end && at->service == group->items->service; at++) {
        if (at->placed != NULL) {
            at->placed->service_tasks++;
        }
    }
}

// What the node has names for, the task gets by name; and all that it holds is counted.
static void claim(struct work *work, struct pending *pending, struct room *room) {
    struct task *task = arena_copy(work->arena, pending->task, sizeof *pending->task);
    struct generic_stocks given = {0};
    for (size_t i = 0; i < task->generic_resources.count; i++) {
        struct generic_stock *stock = ARENA_PUSH(work->arena, &given);
        *stock = task->generic_resources.items[i];
        stock->names = (struct strings){0};
        room_generic_free(room, stock->kind, stock->count, work->arena, &stock->names);
    }
    task->generic_resources = given;
    pending->task = task;
    if (!room->has_own_claims) {
        room->claims = claims_copy(&room->claims, work->arena);
        room->has_own_claims = true;
    }
    claims_add_task(&room->claims, task, 1, work->arena);
}

static void place(struct work *work, struct pending *pending, struct room *room) {
    pending->placed = room;
    room->cpus_free_nano -= pending->task->cpus_nano;
    room->memory_free_bytes -= pending->task->memory_bytes;
    room->active_tasks++;
    room->service_tasks++;
    if (task_has_claims(pending->task)) {
        claim(work, pending, room);
    }
}

static void place_given(struct work *work, struct group *group) {
    for (size_t i = 0; i < group->count; i++) {
        struct room *room = room_of(work, &group->items[i].task->node_id);
        if (room != NULL && filter_passes(&group->demand, room)) {
            place(work, &group->items[i], room);
        }
    }
}

static void place_free(struct work *work, struct group *group) {
    spread_group(&work->spread, &group->demand);
    struct room *best;
    for (size_t i = 0; i < group->count && (best = spread_best(&work->spread)) != NULL; i++) {
        if (id_is_none(&group->items[i].task->node_id)) {
            place(work, &group->items[i], best);
            spread_best_changed(&work->spread, filter_still_passes(&group->demand, best));
        }
    }
}

static void place_groups(struct work *work, void (*placer)(struct work *, struct group *), bool are_given) {
    for (size_t i = 0; i < work->groups.count; i++) {
        struct group *group = &work->groups.items[i];
        bool any = false;
        for (size_t j = 0; j < group->count && !any; j++) {
            any = id_is_none(&group->items[j].task->node_id) != are_given;
        }
        if (any) {
            count_service_tasks(work, group);
            count_placed(work, group);
            placer(work, group);
        }
    }
}

// --- writing ---

static int compare_changes(const void *a, const void *b) {
    const struct plan_change *x = *(struct plan_change *const *)a;
    const struct plan_change *y = *(struct plan_change *const *)b;
    return id_compare(&x->id, &y->id);
}

static void index_changes(struct work *work) {
    work->changes = ARENA_ARRAY(work->arena, struct plan_change *, work->plan->changes.count);
    for (size_t i = 0; i < work->plan->changes.count; i++) {
        struct plan_change *change = &work->plan->changes.items[i];
        if (change->kind == KIND_TASK && change->op != CHANGE_DELETE) {
            work->changes[work->change_count++] = change;
        }
    }
    if (work->change_count > 1) {
        qsort(work->changes, work->change_count, sizeof(*work->changes), compare_changes);
    }
}

static struct plan_change *find_change(const struct work *work, const struct id *id) {
    const struct plan_change key = {.id = *id};
    const struct plan_change *wanted = &key;
    struct plan_change **found = work->change_count > 0 ? bsearch(&wanted, work->changes, work->change_count,
                                                                  sizeof(*work->changes), compare_changes)
                                                        : NULL;
    return found != NULL ? *found : NULL;
}

static const char *name_of(const struct node *node) {
    return !str_is_empty(node->spec.name) ? node->spec.name : node->meta.id.text;
}

// A task that the plan changes already keeps its one change: with a node, or the funnel, now too. Updates to
// others wait in `fresh`, as the plan's array must not move while it is indexed.
static void write_task(struct work *work, struct plan *fresh, const struct task *task, const char *why) {
    struct plan_change *change = find_change(work, &task->meta.id);
    if (change == NULL) {
        plan_add(fresh, work->arena,
                 &(struct plan_change){.op = CHANGE_UPDATE,
                                       .kind = KIND_TASK,
                                       .object = task,
                                       .id = task->meta.id,
                                       .expected_version = task->meta.version,
                                       .why = why});
        return;
    }
    struct task *merged = arena_copy(work->arena, task, sizeof *task);
    merged->meta = ((const struct task *)change->object)->meta;
    change->object = merged;
    change->why = arena_printf(work->arena, "%s; %s", change->why, why);
}

static void write_placed(struct work *work, struct plan *fresh, const struct pending *pending) {
    struct task *task = arena_copy(work->arena, pending->task, sizeof *task);
    task->node_id = pending->placed->node->meta.id;
    task->status.state = TASK_ASSIGNED;
    task->status.since_unix_ms = work->view->now_unix_ms;
    task->status.reason = REASON_NONE;
    task->status.message = "scheduler assigned task to node";
    task->status.error = "";
    task->funnel.count = 0;
    task->funnel.items = NULL;
    write_task(work, fresh, task,
               arena_printf(work->arena, "schedule: to %s", name_of(pending->placed->node)));
}

static bool is_explained(const struct task *task, const struct funnel *funnel, const char *summary) {
    if (task->status.reason != REASON_NO_SUITABLE_NODE || !str_equal(task->status.error, summary) ||
        task->funnel.count != funnel->count) {
        return false;
    }
    for (size_t i = 0; i < funnel->count; i++) {
        if (!schema_equal(&funnel_step_schema, &task->funnel.items[i], &funnel->items[i])) {
            return false;
        }
    }
    return true;
}

static void write_left_over(struct work *work, struct plan *fresh, const struct pending *pending,
                            const struct funnel *funnel, const char *summary) {
    if (is_explained(pending->task, funnel, summary)) {
        return;
    }
    struct task *task = arena_copy(work->arena, pending->task, sizeof *task);
    task->status.reason = REASON_NO_SUITABLE_NODE;
    task->status.message = "pending task scheduling";
    task->status.error = summary;
    task->funnel.count = funnel->count;
    task->funnel.items = funnel->items;
    write_task(work, fresh, task, summary);
}

static const char *summary_of(const struct funnel *funnel, struct arena *arena) {
    AUTO_BUF text = buf_make(0);
    schedule_summary(funnel, &text);
    return arena_strdup(arena, buf_text(&text));
}

static bool has_left_over(const struct group *group) {
    for (size_t i = 0; i < group->count; i++) {
        if (group->items[i].placed == NULL) {
            return true;
        }
    }
    return false;
}

static void write_group(struct work *work, struct plan *fresh, struct group *group) {
    struct funnel all = {0}; // of those without a node of their own: one for the whole group
    const char *all_summary = NULL;
    if (has_left_over(group)) {
        count_service_tasks(work, group);
        count_placed(work, group);
    }
    for (size_t i = 0; i < group->count; i++) {
        const struct pending *pending = &group->items[i];
        if (pending->placed != NULL) {
            write_placed(work, fresh, pending);
        } else if (id_is_none(&pending->task->node_id)) {
            if (all_summary == NULL) {
                filter_funnel(&group->demand, work->rooms, work->view->nodes.count, work->arena, &all, NULL);
                all_summary = summary_of(&all, work->arena);
            }
            write_left_over(work, fresh, pending, &all, all_summary);
        } else {
            struct funnel own;
            const struct room *room = room_of(work, &pending->task->node_id);
            filter_funnel(&group->demand, room, room != NULL, work->arena, &own, NULL);
            write_left_over(work, fresh, pending, &own, summary_of(&own, work->arena));
        }
    }
}

void schedule_tasks(const struct view *view, struct arena *arena, struct plan *plan) {
    struct view after = *view;
    if (plan->changes.count > 0) {
        plan_apply(view, plan, arena, &after);
    }
    struct work work = {.view = &after, .arena = arena, .plan = plan};
    collect_groups(&work);
    if (work.groups.count == 0) {
        return;
    }
    open_rooms(&work);
    index_changes(&work);
    place_groups(&work, place_given, /* are_given */ true);
    place_groups(&work, place_free, /* are_given */ false);
    struct plan fresh = {0};
    for (size_t i = 0; i < work.groups.count; i++) {
        write_group(&work, &fresh, &work.groups.items[i]);
    }
    for (size_t i = 0; i < fresh.changes.count; i++) {
        plan_add(plan, arena, &fresh.changes.items[i]);
    }
}

// --- explaining ---

static void imagine(struct work *work, const struct service *service, const struct service_spec *spec,
                    struct demand *demand) {
    open_rooms(work);
    struct task imagined = {.service_id = service->meta.id, .revision = service->revision};
    struct pending pending = {.task = &imagined, .service = service};
    struct group group = {.items = &pending, .count = 1};
    demand_init(demand, spec, work->arena);
    count_service_tasks(work, &group);
}

struct room *rooms_for(const struct view *view, const struct service *service, const struct service_spec *spec,
                       struct arena *arena, struct demand *out) {
    struct work work = {.view = view, .arena = arena};
    imagine(&work, service, spec, out);
    return work.rooms;
}

void schedule_explain(const struct view *view, const struct service *service, const struct service_spec *spec,
                      struct arena *arena, struct funnel *out, struct strings *nodes_left) {
    struct work work = {.view = view, .arena = arena};
    struct demand demand;
    imagine(&work, service, spec, &demand);
    bool *is_left = ARENA_ARRAY(arena, bool, view->nodes.count);
    filter_funnel(&demand, work.rooms, view->nodes.count, arena, out, is_left);
    *nodes_left = (struct strings){0};
    for (size_t i = 0; i < view->nodes.count; i++) {
        if (is_left[i]) {
            *ARENA_PUSH(arena, nodes_left) = view->nodes.items[i].node->meta.id.text;
        }
    }
}

void schedule_remedies(const struct view *view, const struct service *service, const struct service_spec *spec,
                       const struct id *node_id, struct arena *arena, struct remedies *out) {
    struct work work = {.view = view, .arena = arena};
    struct demand demand;
    imagine(&work, service, spec, &demand);
    const struct room *only = node_id != NULL ? room_of(&work, node_id) : NULL;
    size_t count = node_id == NULL ? view->nodes.count : only != NULL;
    remedies_find(&demand, only != NULL ? only : work.rooms, count, arena, out);
}

// The step that ruled out the most nodes among those not said yet; the first of equals.
static const struct funnel_step *next_to_say(const struct funnel *funnel, const struct funnel_step *last) {
    const struct funnel_step *next = NULL;
    for (size_t i = 0; i < funnel->count; i++) {
        const struct funnel_step *step = &funnel->items[i];
        bool is_said = last != NULL && (step->ruled_out > last->ruled_out ||
                                        (step->ruled_out == last->ruled_out && step <= last));
        if (step->ruled_out > 0 && !is_said && (next == NULL || step->ruled_out > next->ruled_out)) {
            next = step;
        }
    }
    return next;
}

void schedule_summary(const struct funnel *funnel, struct buf *out) {
    buf_adds(out, "no suitable node");
    const struct funnel_step *said = NULL;
    for (const struct funnel_step *step; (step = next_to_say(funnel, said)) != NULL; said = step) {
        buf_addf(out, "%s%s on %lld node%s", said == NULL ? " (" : "; ", step->reason,
                 (long long)step->ruled_out, step->ruled_out == 1 ? "" : "s");
    }
    buf_adds(out, said != NULL ? ")" : "");
}

bool schedule_node_fits(const struct node *node, const struct service_spec *spec, struct arena *arena) {
    struct fit fit;
    fit_init(&fit, spec, arena);
    return fit_node(&fit, node);
}
