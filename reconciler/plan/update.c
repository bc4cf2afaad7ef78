// SPDX-License-Identifier: Apache-2.0
//
// reconciler/plan/update.c — which running tasks a new spec reaches next.
//
// Stopping is all that happens here: restart.c fills the slot with the current spec, and the replacement
// waits for the old task's end. Where the new task is to start first, the old one is only said to be leaving:
// the slot is filled all the same, and enforce.c stops the old task once the new one runs. How far the change
// is, whether it goes on, and what failures lead to is rollout.c's business.
//
// Model        Out of date is a task of a revision that asks for another task than the current one, or one
//              whose node does not meet the constraints of a newer revision. Tasks that have not been started
//              yet have nothing to lose and are replaced at once. Of the started ones so many are at work
//              together as `parallelism` says: from being stopped (or joined by the new one) until the new
//              task runs and has done so for `delay`, or has failed. Those that do not run go first, those
//              that have failed in this round last, and these take nobody's place.
// Failure      A slot for whose new task no node has room is left alone, and those after it, until nothing is
//              at work any more: then what the others gave back has been seen.
// Source       swarmkit's updater, whose workers are the slots at work here.
#include "reconciler/plan/pass.h"

#include <stdlib.h>

static bool update_must_move(const struct draft *draft, const struct task *task) {
    const struct view_node *on = view_node(draft->view, &task->node_id);
    return task->revision < draft->service->revision && on != NULL && !fit_node(&draft->fit, on->node);
}

bool update_is_due(const struct draft *draft, const struct task *task) {
    return task_is_out_of_date(draft, task) || update_must_move(draft, task);
}

static void update_stop(struct draft *draft, struct draft_task *at, const char *how) {
    bool is_old = task_is_out_of_date(draft, at->task);
    const char *why =
        is_old ? arena_printf(draft->arena, "update: revision %lld replaces %lld%s",
                              (long long)draft->service->revision, (long long)at->task->revision, how)
               : arena_printf(draft->arena, "update: its node does not meet the new constraints%s", how);
    draft_stop(draft, at, TASK_SHUTDOWN, is_old ? REASON_SUPERSEDED : REASON_CONSTRAINT_BROKEN, why);
}

static void update_replace(struct draft *draft, struct slot *slot, enum room_answer answer) {
    struct draft_task *at = slot_live(slot);
    slot->is_rolled = true;
    if (draft->starts_first && at->task->status.state == TASK_RUNNING && answer == ROOM_BESIDE) {
        slot->leaving = at;
    } else {
        update_stop(draft, at, draft->starts_first ? ", first: no node may run both" : "");
    }
}

// --- the slots that are due ---

struct due {
    struct slot *slot;
    bool has_failed;
    bool has_ended_well; // its new task did what it had to: the old one is of no more use
    bool is_running;
    size_t rank; // among the slots
};

static int compare_due(const void *a, const void *b) {
    const struct due *x = a;
    const struct due *y = b;
    int order = (int)x->has_failed - (int)y->has_failed;
    order = order != 0 ? order : (int)x->is_running - (int)y->is_running;
    return order != 0 ? order : (x->rank > y->rank) - (x->rank < y->rank);
}

struct updating {
    struct draft *draft;
    LIST_OF(struct due) due;
    LIST_OF(struct slot *) unstarted;
    int64_t at_work;
    int64_t wake_unix_ms; // the first end of a rest
};

static void update_sort_slot(struct updating *work, struct slot *slot, size_t rank) {
    struct draft *draft = work->draft;
    struct slot_outlook look = rollout_look(draft, slot);
    if (look.progress == SLOT_AT_WORK) {
        work->at_work++;
    } else if (look.progress == SLOT_RESTING) {
        work->at_work++;
        bool is_first = work->wake_unix_ms == 0 || look.rests_until < work->wake_unix_ms;
        work->wake_unix_ms = is_first ? look.rests_until : work->wake_unix_ms;
    }
    const struct draft_task *live = slot_live(slot);
    if (live == NULL || !slot->is_wanted || slot->is_held || !update_is_due(draft, live->task)) {
        return;
    }
    if (live->task->status.state < TASK_STARTING) {
        *ARENA_PUSH(draft->arena, &work->unstarted) = slot;
        return;
    }
    *ARENA_PUSH(draft->arena, &work->due) = (struct due){
        .slot = slot,
        .has_failed = look.has_failed,
        .has_ended_well = look.task != NULL && !look.has_failed && task_ended_itself(look.task),
        .is_running = live->task->status.state == TASK_RUNNING,
        .rank = rank,
    };
}

// Both ran into each other since: the new task finds no node while the old one takes its place there.
static void update_make_way(struct draft *draft, struct slot *slot) {
    const struct draft_task *live = slot_live(slot);
    if (slot->leaving == NULL || live == NULL || live->before == NULL ||
        live->task->status.state > TASK_PENDING || live->task->status.reason != REASON_NO_SUITABLE_NODE) {
        return;
    }
    if (live->task->meta.created_unix_ms >= draft->view->now_unix_ms) {
        plan_wake(draft->plan, live->task->meta.created_unix_ms + 1);
    } else if (room_take(room_open(draft), slot->leaving->task, /* starts_first */ true) == ROOM_INSTEAD) {
        update_stop(draft, slot->leaving, ", first: no node may run both");
        slot->leaving = NULL;
    }
}

static void update_go_on(struct updating *work) {
    struct draft *draft = work->draft;
    const struct update_config *policy = rollout_policy(draft);
    struct room_book *book = NULL;
    if (draft->rollout.now->cause == ROLLOUT_CAUSE_NO_ROOM && work->at_work > 0) {
        draft->rollout.has_no_room = work->due.count > 0;
        return;
    }
    for (size_t i = 0; i < work->due.count; i++) {
        const struct due *due = &work->due.items[i];
        if (!due->has_failed && policy->parallelism > 0 && work->at_work >= policy->parallelism) {
            continue;
        }
        if (due->has_ended_well) {
            update_stop(draft, slot_live(due->slot), "");
            continue;
        }
        if (due->has_failed) { // it has found its room before
            update_replace(draft, due->slot, ROOM_BESIDE);
            continue;
        }
        book = book != NULL ? book : room_open(draft);
        enum room_answer answer = room_take(book, slot_live(due->slot)->task, draft->starts_first);
        if (answer == ROOM_NONE) {
            draft->rollout.has_no_room = true;
            return;
        }
        work->at_work++;
        update_replace(draft, due->slot, answer);
    }
}

void update_next(struct draft *draft) {
    struct updating work = {.draft = draft};
    for (size_t i = 0; i < draft->slots.count; i++) {
        update_sort_slot(&work, draft->slots.items[i], i);
    }
    if (work.due.count + work.unstarted.count > 0 && draft->rollout.now == NULL) {
        rollout_begin(draft);
    }
    if (!rollout_is_running(draft)) {
        return;
    }
    for (size_t i = 0; i < work.unstarted.count; i++) {
        work.unstarted.items[i]->is_rolled = true;
        update_stop(draft, slot_live(work.unstarted.items[i]), "");
    }
    work.at_work += (int64_t)work.unstarted.count;
    for (size_t i = 0; draft->starts_first && i < draft->slots.count; i++) {
        update_make_way(draft, draft->slots.items[i]);
    }
    if (work.due.count > 1) {
        qsort(work.due.items, work.due.count, sizeof *work.due.items, compare_due);
    }
    update_go_on(&work);
    if (work.due.count > 0 && work.wake_unix_ms > 0) {
        plan_wake(draft->plan, work.wake_unix_ms);
    }
}
