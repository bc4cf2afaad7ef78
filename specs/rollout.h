// SPDX-License-Identifier: Apache-2.0
//
// specs/rollout.h — a change of a service on its way from one revision to another, as the store holds it.
//
// The planners make it when running tasks are out of date, and write it as the change goes on, so that
// everybody sees the same: how far it is, which slots are at work or failed, why it stopped.
//
// Model        A service has at most one open rollout: its last one. *Slots at work* are those whose new task
//              does not run yet; a slot *rests* for update_config.delay once it does. A *round* is the time
//              since the rollout began or was last resumed; its tasks carry the round's id (struct task), and
//              only they count: their early ends are the rollout's failures, at most one for each slot.
// Limits       Of slots at work and failed, ROLLOUT_SLOTS_MAX are listed; counts are of all.
#ifndef MUSTER_SPECS_ROLLOUT_H
#define MUSTER_SPECS_ROLLOUT_H

#include "specs/service.h"

#define ROLLOUTS_MAX 20 // of one service, that are kept
#define ROLLOUT_SLOTS_MAX 128

// Numbers are stored: never reused.
enum rollout_slot_state { ROLLOUT_SLOT_AT_WORK, ROLLOUT_SLOT_RESTING, ROLLOUT_SLOT_FAILED };
// Why it does not go on; stored.
enum rollout_cause {
    ROLLOUT_CAUSE_NONE,
    ROLLOUT_CAUSE_FAILURE, // too many tasks failed
    ROLLOUT_CAUSE_DEADLINE,
    ROLLOUT_CAUSE_NO_ROOM, // the next slot finds no node: it is not touched
    ROLLOUT_CAUSE_USER
};

struct rollout_slot {
    int64_t slot;      // 0 for a global service
    struct id node_id; // of a global service's slot
    struct id old_task, new_task;
    enum rollout_slot_state state;
    struct bytes unknown;
};

struct rollout {
    struct meta meta; // name = "<service id>/<number>"
    struct id service_id;
    int64_t number; // 1, 2, 3…: of the service's rollouts
    struct id round_id;
    int64_t from_revision, to_revision;
    enum update_state state;
    enum rollout_cause cause;
    const char *message;         // as service.update_status.message
    struct update_config policy; // in force, last
    int64_t started_unix_ms, finished_unix_ms;
    int64_t progress_unix_ms; // when it last came further
    int64_t slots_total, slots_updated;
    int64_t batch, batches; // of as many slots as parallelism says
    int64_t failures_used, failures_allowed;
    LIST_OF(struct rollout_slot) slots; // at work, or failed
    struct bytes unknown;
};
extern const struct schema rollout_schema;
extern const char *const rollout_cause_names[5];

// "<service id>/<number>"
const char *rollout_name(const struct id *service_id, int64_t number, struct arena *arena);
// May it still go on, or wait to?
bool rollout_is_open(const struct rollout *rollout);
bool rollout_state_is_back(enum update_state state); // on its way back, or there
bool rollout_is_rollback(const struct rollout *rollout);
bool rollout_is_paused(const struct rollout *rollout);
// The state and message as update_status of its service.
void rollout_tell(const struct rollout *rollout, struct update_status *out);
void rollout_pause(struct rollout *rollout, enum rollout_cause cause, const char *message);
// Goes on as a new round: what failed before counts no more.
void rollout_resume(struct rollout *rollout, const struct id *round_id, int64_t now_unix_ms);

#endif
