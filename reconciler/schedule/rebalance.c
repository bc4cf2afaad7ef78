// SPDX-License-Identifier: Apache-2.0
//
// reconciler/schedule/rebalance.c — the fullest and the emptiest place, level by level; and when to act.
#include "reconciler/schedule/rebalance.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/str.h"
#include "reconciler/schedule/rank.h"
#include "reconciler/schedule/schedule.h"

#define NS_PER_MS 1000000
#define GAIN_MIN 2

// A node, where it is in the tree of preferences, and the tasks there that may go: the last goes first.
struct spot {
    struct room *room;
    const char *values[PREFERENCES_MAX];
    LIST_OF(const struct task *) tasks;
    bool is_open; // may tasks come here
};
struct balance {
    const struct view *view;
    struct arena *arena;
    struct demand demand;
    struct spot *spots; // sorted by values, then id
    size_t count, levels;
};
struct range {
    size_t start, end;
};
struct move_pair {
    struct spot *from, *to;
    int64_t gain, from_tasks, to_tasks;
    size_t level;
};

// --- is it at rest ---

static const char *obstacle_of_task(const struct view *view, const struct service *service,
                                    const struct task *task) {
    const struct view_node *on = view_node(view, &task->node_id);
    bool is_over = task_state_is_over(task->status.state);
    if (view_wants_to_run(task) && !is_over) {
        return task->status.state != TASK_RUNNING             ? "not all of its tasks run"
               : service_is_outdated(service, task->revision) ? "it is being updated"
                                                              : NULL;
    }
    bool is_stopping =
        !is_over && task->status.state >= TASK_ASSIGNED && on != NULL && on->node->status.state != NODE_DOWN;
    return is_stopping ? "a task of it is being stopped" : NULL;
}

static const char *obstacle_of(const struct view *view, const struct service *service) {
    struct view_tasks tasks = view_tasks_of(view, &service->meta.id);
    int64_t running = 0;
    if (service->removing) {
        return "it is being removed";
    }
    if (service->spec.deploy.mode != MODE_REPLICATED) {
        return "only replicated services are balanced";
    }
    if (service->update_status.state != UPDATE_NONE && service->update_status.state != UPDATE_COMPLETED &&
        service->update_status.state != UPDATE_ROLLBACK_COMPLETED) {
        return "it is being updated";
    }
    for (size_t i = 0; i < tasks.count; i++) {
        const char *obstacle = obstacle_of_task(view, service, tasks.items[i]);
        if (obstacle != NULL) {
            return obstacle;
        }
        running += view_wants_to_run(tasks.items[i]) && tasks.items[i]->status.state == TASK_RUNNING;
    }
    return running == service->spec.deploy.replicas ? NULL : "not all of its tasks run";
}

// --- places ---

static int compare_spots(const void *a, const void *b) {
    const struct spot *x = a;
    const struct spot *y = b;
    for (size_t i = 0; i < PREFERENCES_MAX && x->values[i] != NULL; i++) {
        int order = strcmp(x->values[i], y->values[i]);
        if (order != 0) {
            return order;
        }
    }
    return id_compare(&x->room->node->meta.id, &y->room->node->meta.id);
}

static void open_balance(struct balance *balance, const struct view *view, const struct service *service,
                         struct arena *arena) {
    const struct placement *placement = &service->spec.deploy.placement;
    *balance = (struct balance){.view = view, .arena = arena, .count = view->nodes.count};
    balance->levels =
        placement->preferences.count < PREFERENCES_MAX ? placement->preferences.count : PREFERENCES_MAX;
    struct room *rooms = rooms_for(view, service, &service->spec, arena, &balance->demand);
    balance->spots = ARENA_ARRAY(arena, struct spot, balance->count);
    for (size_t i = 0; i < balance->count; i++) {
        struct spot *spot = &balance->spots[i];
        spot->room = &rooms[i];
        spot->is_open = true;
        for (size_t level = 0; level < balance->levels; level++) {
            spot->values[level] = constraint_value(placement->preferences.items[level].spread, rooms[i].node);
        }
    }
    struct view_tasks tasks = view_tasks_of(view, &service->meta.id);
    for (size_t i = 0; i < tasks.count; i++) {
        const struct view_node *on = view_node(view, &tasks.items[i]->node_id);
        if (on != NULL && view_wants_to_run(tasks.items[i]) && view_holds_resources(tasks.items[i])) {
            *ARENA_PUSH(arena, &balance->spots[on - view->nodes.items].tasks) = tasks.items[i];
        }
    }
    if (balance->count > 1) {
        qsort(balance->spots, balance->count, sizeof *balance->spots, compare_spots);
    }
}

static bool can_take(const struct balance *balance, const struct spot *spot) {
    return spot->is_open && !rank_is_failing(spot->room) && filter_passes(&balance->demand, spot->room);
}

// --- the fullest and the emptiest ---

// The next of the ranges that `level` divides `all` into.
static struct range next_range(const struct balance *balance, size_t start, size_t end, size_t level) {
    struct range range = {start, start + 1};
    while (level < balance->levels && range.end < end &&
           strcmp(balance->spots[range.end].values[level], balance->spots[start].values[level]) == 0) {
        range.end++;
    }
    return range;
}

struct extremes {
    struct range most, fewest;
    int64_t most_tasks, fewest_tasks; // -1: there is none
};

static bool is_better_target(const struct balance *balance, struct range a, struct range b) {
    return b.end - b.start == 1 && a.end - a.start == 1 &&
           rank_is_better(balance->spots[a.start].room, balance->spots[b.start].room);
}

static struct extremes extremes_of(const struct balance *balance, struct range all, size_t level) {
    struct extremes out = {.most_tasks = -1, .fewest_tasks = -1};
    for (struct range at = {all.start, all.start}; at.end < all.end;) {
        at = next_range(balance, at.end, all.end, level);
        int64_t tasks = 0;
        bool has_tasks = false;
        bool has_place = false;
        for (size_t i = at.start; i < at.end; i++) {
            tasks += balance->spots[i].room->service_tasks;
            has_tasks |= balance->spots[i].tasks.count > 0;
            has_place = has_place || can_take(balance, &balance->spots[i]);
        }
        if (has_tasks && tasks > out.most_tasks) {
            out.most = at;
            out.most_tasks = tasks;
        }
        if (has_place && (out.fewest_tasks < 0 || tasks < out.fewest_tasks ||
                          (tasks == out.fewest_tasks && is_better_target(balance, at, out.fewest)))) {
            out.fewest = at;
            out.fewest_tasks = tasks;
        }
    }
    return out;
}

// The best pair within `all`: of the outermost level that has one; there, that with the greatest gain.
// NOLINTNEXTLINE(misc-no-recursion): as deep as there are preferences
static void find_pair(const struct balance *balance, struct range all, size_t level, struct move_pair *best) {
    struct extremes at = extremes_of(balance, all, level);
    int64_t gain = at.most_tasks >= 0 && at.fewest_tasks >= 0 ? at.most_tasks - at.fewest_tasks : 0;
    if (gain >= GAIN_MIN) {
        bool is_better =
            best->from == NULL || level < best->level || (level == best->level && gain > best->gain);
        for (size_t below = level + 1; is_better && below <= balance->levels; below++) {
            at.most = extremes_of(balance, at.most, below).most;
            at.fewest = extremes_of(balance, at.fewest, below).fewest;
        }
        if (is_better) {
            *best = (struct move_pair){&balance->spots[at.most.start],
                                       &balance->spots[at.fewest.start],
                                       gain,
                                       at.most_tasks,
                                       at.fewest_tasks,
                                       level};
        }
        return;
    }
    for (struct range sub = {all.start, all.start}; level < balance->levels && sub.end < all.end;) {
        sub = next_range(balance, sub.end, all.end, level);
        find_pair(balance, sub, level + 1, best);
    }
}

static const char *place_name(const struct balance *balance, const struct move_pair *pair,
                              const struct spot *spot) {
    if (pair->level == balance->levels) {
        return room_name(spot->room);
    }
    const char *value = spot->values[pair->level];
    return value[0] != '\0' ? value : "no label";
}

static void account(struct balance *balance, struct room *room, const struct task *task, int sign) {
    room->service_tasks += sign;
    room->active_tasks += sign;
    room->cpus_free_nano -= sign * task->cpus_nano;
    room->memory_free_bytes -= sign * task->memory_bytes;
    if (task_has_claims(task)) {
        room->claims = claims_copy(&room->claims, balance->arena);
        claims_add_task(&room->claims, task, sign, balance->arena);
    }
}

static void find_moves(struct balance *balance, size_t max, struct moves *out) {
    while (out->count < max) {
        struct move_pair pair = {0};
        find_pair(balance, (struct range){0, balance->count}, 0, &pair);
        if (pair.from == NULL) {
            return;
        }
        const struct task *task = pair.from->tasks.items[--pair.from->tasks.count];
        *ARENA_PUSH(balance->arena, out) = (struct move){
            .task = task,
            .from = pair.from->room->node,
            .to = pair.to->room->node,
            .why = arena_printf(balance->arena, "%s has %lld tasks, %s has %lld",
                                place_name(balance, &pair, pair.from), (long long)pair.from_tasks,
                                place_name(balance, &pair, pair.to), (long long)pair.to_tasks),
        };
        account(balance, pair.from->room, task, -1);
        account(balance, pair.to->room, task, 1);
    }
}

void rebalance_plan(const struct view *view, const struct service *service, struct arena *arena,
                    struct moves *out, const char **out_obstacle) {
    *out = (struct moves){0};
    *out_obstacle = obstacle_of(view, service);
    if (*out_obstacle == NULL && view->nodes.count > 0) {
        struct balance balance;
        open_balance(&balance, view, service, arena);
        find_moves(&balance, REBALANCE_MOVES_MAX, out);
    }
}

// --- when ---

// What earlier moves say.
struct moved {
    bool has_failed;         // one since `since_unix_ms`
    int64_t newest_unix_ms;  // when the last was made
    int64_t running_unix_ms; // since when the last runs
};

static struct moved look_back(const struct view *view, const struct service *service, int64_t since_unix_ms) {
    struct view_tasks tasks = view_tasks_of(view, &service->meta.id);
    struct moved moved = {0};
    for (size_t i = 0; i < tasks.count; i++) {
        const struct task *task = tasks.items[i];
        int64_t made = task->meta.created_unix_ms;
        if (!task->moved) {
            continue;
        }
        bool is_failed = task->status.state == TASK_FAILED || task->status.state == TASK_REJECTED;
        moved.has_failed |= is_failed && made >= since_unix_ms;
        moved.newest_unix_ms = made > moved.newest_unix_ms ? made : moved.newest_unix_ms;
        bool is_running = task->status.state == TASK_RUNNING;
        if (is_running && task->status.since_unix_ms > moved.running_unix_ms) {
            moved.running_unix_ms = task->status.since_unix_ms;
        }
    }
    return moved;
}

static bool is_asked(const struct view *view, const struct service *service) {
    int64_t asked = service->rebalance_asked_unix_ms;
    return asked > 0 && view->now_unix_ms >= asked && view->now_unix_ms - asked < REBALANCE_ASKED_MS_MAX &&
           !look_back(view, service, asked).has_failed;
}

static size_t parallelism_of(const struct service *service) {
    const struct deploy *deploy = &service->spec.deploy;
    int64_t tenth = deploy->replicas / 10 > 1 ? deploy->replicas / 10 : 1;
    return (size_t)(deploy->update_config.parallelism > 0 ? deploy->update_config.parallelism : tenth);
}

static void wait_until(struct plan *plan, const struct view *view, int64_t unix_ms) {
    if (unix_ms > view->now_unix_ms) {
        plan_wake(plan, unix_ms);
    }
}

// Whether anything moves now, because it was asked for, or because of nodes that came.
static bool step_because(bool was_asked, struct view *view, const struct service *service,
                         struct arena *arena, struct plan *plan) {
    const struct rebalance_policy *policy = &service->spec.deploy.rebalance;
    struct moved moved = look_back(view, service, 0);
    int64_t cool_down_ms = policy->cool_down_ns / NS_PER_MS;
    int64_t next = was_asked ? moved.running_unix_ms + service->spec.deploy.update_config.delay_ns / NS_PER_MS
                   : moved.newest_unix_ms > 0 ? moved.newest_unix_ms + cool_down_ms
                                              : 0;
    if (next > view->now_unix_ms) {
        plan_wake(plan, next);
        return false;
    }
    struct balance balance;
    struct moves moves = {0};
    open_balance(&balance, view, service, arena);
    for (size_t i = 0; i < balance.count; i++) {
        int64_t since = balance.spots[i].room->node->status.since_unix_ms;
        balance.spots[i].is_open =
            was_asked ? since <= service->rebalance_asked_unix_ms : since + cool_down_ms <= view->now_unix_ms;
        if (!was_asked) {
            wait_until(plan, view, since + cool_down_ms);
        }
    }
    find_moves(&balance, was_asked ? parallelism_of(service) : (size_t)policy->max_moves, &moves);
    for (size_t i = 0; i < moves.count; i++) {
        *ARENA_PUSH(arena, &view->moving) = moves.items[i].task->meta.id;
    }
    return moves.count > 0;
}

static void step(struct view *view, const struct service *service, struct arena *arena, struct plan *plan) {
    bool was_asked = is_asked(view, service);
    bool is_on_join = service->spec.deploy.rebalance.on_join;
    if ((!was_asked && !is_on_join) || obstacle_of(view, service) != NULL || view->nodes.count == 0) {
        return;
    }
    if ((!was_asked || !step_because(/* was_asked */ true, view, service, arena, plan)) && is_on_join) {
        step_because(/* was_asked */ false, view, service, arena, plan);
    }
}

static bool is_wanted(const struct view *view) {
    for (size_t i = 0; i < view->services.count; i++) {
        const struct service *service = view->services.items[i];
        if (service->spec.deploy.rebalance.on_join || service->rebalance_asked_unix_ms > 0) {
            return true;
        }
    }
    return false;
}

void rebalance_find(struct view *view, const struct plan *plan, struct arena *arena, struct rebalance *out) {
    *out = (struct rebalance){0};
    if (!is_wanted(view)) {
        return;
    }
    struct view after = *view;
    if (plan->changes.count > 0) {
        plan_apply(view, plan, arena, &after);
    }
    for (size_t i = 0; i < after.services.count; i++) {
        struct plan waiting = {0};
        step(&after, after.services.items[i], arena, &waiting);
        if (waiting.wake_unix_ms > 0) {
            *ARENA_PUSH(arena, &out->wakes) =
                (struct rebalance_wake){after.services.items[i]->meta.id, waiting.wake_unix_ms};
        }
    }
    out->moving = view->moving.count = after.moving.count;
    view->moving.items = after.moving.items;
}
