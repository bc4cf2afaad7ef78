// SPDX-License-Identifier: Apache-2.0
//
// specs/rollout.c — the fields of a rollout, and its few moves that more than one part makes.
#include "specs/rollout.h"

#include "base/assert.h"
#include "specs/row.h"

static const char *const rollout_slot_state_names[] = {"at_work", "resting", "failed"};
const char *const rollout_cause_names[5] = {"", "failure", "deadline", "no_room", "user"};

static const struct field rollout_slot_fields[] = {
    INT(struct rollout_slot, 1, slot, 0, INT32_MAX, .help = "Slot of the service; 0 for a global service."),
    ID(struct rollout_slot, 2, node_id, .help = "Node of a global service's slot."),
    ID(struct rollout_slot, 3, old_task, .help = "Task that goes."),
    ID(struct rollout_slot, 4, new_task, .help = "Task that comes."),
    ENUM(struct rollout_slot, 5, state, rollout_slot_state_names, ROLLOUT_SLOT_AT_WORK,
         .help = "How far the slot is."),
};
static const struct schema rollout_slot_schema =
    SCHEMA("rollout_slot", struct rollout_slot, rollout_slot_fields, .help = "One slot of a rollout.");

static const struct field rollout_fields[] = {
    STRUCT(struct rollout, 1, meta, &meta_schema, struct meta, .help = "What all objects share."),
    ID(struct rollout, 2, service_id, .help = "The service."),
    INT(struct rollout, 3, from_revision, 0, INT64_MAX, .help = "Revision it started from."),
    INT(struct rollout, 4, to_revision, 0, INT64_MAX, .help = "Revision it goes to."),
    ENUM(struct rollout, 5, state, update_state_names, UPDATE_NONE, .help = "Where it is."),
    STRUCT(struct rollout, 6, policy, &update_config_schema, struct update_config,
           .help = "The policy it follows."),
    TIME(struct rollout, 7, started_unix_ms, .name = "started_at", .help = "When it began."),
    TIME(struct rollout, 8, finished_unix_ms, .name = "finished_at", .help = "When it ended."),
    INT(struct rollout, 9, batch, 0, INT32_MAX, .help = "Number of the batch at work."),
    INT(struct rollout, 10, failures_used, 0, INT32_MAX, .help = "Failures so far."),
    INT(struct rollout, 11, failures_allowed, 0, INT32_MAX, .help = "Failures that are tolerated."),
    LIST(struct rollout, 12, slots, &rollout_slot_schema, struct rollout_slot,
         .help = "Its slots at work, and those that failed."),
    ENUM(struct rollout, 13, cause, rollout_cause_names, ROLLOUT_CAUSE_NONE,
         .help = "Why it does not go on, for programs."),
    STRING(struct rollout, 14, message, .help = "Where it is, for people."),
    INT(struct rollout, 15, number, 0, INT64_MAX, .help = "Number among the service's rollouts."),
    ID(struct rollout, 16, round_id, .help = "Its round: tasks that carry this id count."),
    INT(struct rollout, 17, slots_total, 0, INT32_MAX, .help = "Slots that it concerns."),
    INT(struct rollout, 18, slots_updated, 0, INT32_MAX, .help = "Slots that are done with."),
    INT(struct rollout, 19, batches, 0, INT32_MAX, .help = "Batches in all."),
    TIME(struct rollout, 20, progress_unix_ms, .name = "progress_at", .help = "When it last came further."),
};
const struct schema rollout_schema =
    SCHEMA("rollout", struct rollout, rollout_fields,
           .help = "A change of a service on its way from one revision to another.");

const char *rollout_name(const struct id *service_id, int64_t number, struct arena *arena) {
    return arena_printf(arena, "%s/%lld", service_id->text, (long long)number);
}

bool rollout_is_paused(const struct rollout *rollout) {
    return rollout->state == UPDATE_PAUSED || rollout->state == UPDATE_ROLLBACK_PAUSED;
}

bool rollout_is_open(const struct rollout *rollout) {
    return rollout->state == UPDATE_UPDATING || rollout->state == UPDATE_ROLLBACK_STARTED ||
           rollout_is_paused(rollout);
}

bool rollout_state_is_back(enum update_state state) {
    return state == UPDATE_ROLLBACK_STARTED || state == UPDATE_ROLLBACK_PAUSED ||
           state == UPDATE_ROLLBACK_COMPLETED;
}

bool rollout_is_rollback(const struct rollout *rollout) {
    return rollout_state_is_back(rollout->state);
}

void rollout_tell(const struct rollout *rollout, struct update_status *out) {
    out->state = rollout->state;
    out->started_unix_ms = rollout->started_unix_ms;
    out->completed_unix_ms = rollout->finished_unix_ms;
    out->message = rollout->message;
}

void rollout_pause(struct rollout *rollout, enum rollout_cause cause, const char *message) {
    ASSERT(rollout_is_open(rollout));
    rollout->state = rollout_is_rollback(rollout) ? UPDATE_ROLLBACK_PAUSED : UPDATE_PAUSED;
    rollout->cause = cause;
    rollout->message = message;
}

void rollout_resume(struct rollout *rollout, const struct id *round_id, int64_t now_unix_ms) {
    ASSERT(rollout_is_paused(rollout));
    rollout->state = rollout_is_rollback(rollout) ? UPDATE_ROLLBACK_STARTED : UPDATE_UPDATING;
    rollout->cause = ROLLOUT_CAUSE_NONE;
    rollout->message = rollout_is_rollback(rollout) ? "rollback in progress" : "update in progress";
    rollout->round_id = *round_id;
    rollout->progress_unix_ms = now_unix_ms;
    rollout->failures_used = 0;
    rollout->slots.items = NULL;
    rollout->slots.count = 0;
}
