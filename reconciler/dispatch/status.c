// SPDX-License-Identifier: Apache-2.0
//
// reconciler/dispatch/status.c — reports become changes of task records.
#include "reconciler/dispatch/status.h"

#include "base/assert.h"
#include "base/mem.h"

struct status_report {
    struct id task_id;
    struct arena arena;
    struct task_report *report;
};

static void report_free(struct status_report *report) {
    if (report != NULL) {
        arena_free(&report->arena);
        xfree(report);
    }
}

static void free_all(struct map *map) {
    size_t cursor = 0;
    for (struct status_report *report; (report = map_next(map, &cursor)) != NULL;) {
        report_free(report);
    }
    map_free(map);
    *map = (struct map){0};
}

void status_free(struct status *status) {
    free_all(&status->waiting);
    free_all(&status->travelling);
    *status = (struct status){0};
}

static void wait(struct status *status, struct status_report *report) {
    struct status_report *old = map_remove(&status->waiting, report->task_id.text);
    report_free(old);
    map_put(&status->waiting, report->task_id.text, report);
    status->waiting_count = status->waiting.count;
}

void status_post(struct status *status, const struct task_report *report) {
    struct status_report *copy = NEW(struct status_report);
    copy->task_id = report->task_id;
    copy->report = schema_copy(&task_report_schema, report, &copy->arena);
    wait(status, copy);
}

// A state is reached once: that an agent says it again, after it was started anew, does not move the time.
static struct task_status as_stored(const struct task *task, const struct task_status *reported) {
    struct task_status status = *reported;
    if (status.state == task->status.state) {
        status.since_unix_ms = task->status.since_unix_ms;
    }
    return status;
}

static bool has_effect(const struct task *task, const struct task_status *status, const struct id *node_id) {
    return id_equal(&task->node_id, node_id) && !task_state_is_over(task->status.state) &&
           status->state >= task->status.state && status->state >= TASK_ASSIGNED &&
           !schema_equal(&task_status_schema, &task->status, status);
}

static void add_change(struct task *task, const struct task_status *status, struct arena *arena,
                       struct transaction *out) {
    struct change *change = ARENA_PUSH(arena, &out->changes);
    task->status = *status;
    AUTO_BUF bytes = {0};
    wire_encode(&task_schema, task, &bytes);
    schema_init(&change_schema, change);
    change->op = CHANGE_UPDATE;
    change->kind = KIND_TASK;
    change->id = task->meta.id;
    change->expected_version = task->meta.version;
    change->object = (struct bytes){arena_copy(arena, bytes.data, bytes.len), bytes.len};
}

// What is stored may lie behind what this node was told before: a manager that joins again hears of its tasks
// only little by little. So a task that is not there, or is on no node, may yet come.
static bool may_come(const struct task *task) {
    return task == NULL || id_is_none(&task->node_id);
}

enum { COMPOSE_NOTHING, COMPOSE_CHANGE, COMPOSE_DROP };

static int compose_one(const struct status_report *report, struct store_read *read, const struct id *node_id,
                       struct arena *arena, struct transaction *out, struct error *err) {
    void *object;
    int rc = store_load(read, KIND_TASK, &report->task_id, arena, &object, err);
    if (rc < 0) {
        return rc;
    }
    if (may_come(rc == 0 ? object : NULL)) {
        return COMPOSE_DROP;
    }
    struct task_status status = as_stored(object, &report->report->status);
    if (!has_effect(object, &status, node_id)) {
        return COMPOSE_NOTHING;
    }
    add_change(object, &status, arena, out);
    return COMPOSE_CHANGE;
}

int status_compose(struct status *status, struct store_read *read, const struct id *node_id,
                   struct arena *arena, struct transaction *out, struct status_settled_list *settled,
                   struct error *err) {
    ASSERT(status->travelling.count == 0);
    struct strings done = {0}; // ids that no longer wait
    size_t cursor = 0;
    int rc = 0;
    for (struct status_report *report; rc >= 0 && out->changes.count < STATUS_CHANGES_MAX &&
                                       (report = map_next(&status->waiting, &cursor)) != NULL;) {
        rc = compose_one(report, read, node_id, arena, out, err);
        if (rc >= 0) {
            *ARENA_PUSH(arena, &done) = report->task_id.text;
        }
        if (rc == COMPOSE_NOTHING) {
            *ARENA_PUSH(arena, settled) =
                (struct status_settled){report->task_id, report->report->status.state};
        } else if (rc == COMPOSE_CHANGE) {
            map_put(&status->travelling, report->task_id.text, report);
        }
    }
    for (size_t i = 0; i < done.count; i++) {
        bool travels = map_get(&status->travelling, done.items[i]) != NULL;
        struct status_report *report = map_remove(&status->waiting, done.items[i]);
        report_free(travels ? NULL : report);
    }
    status->waiting_count = status->waiting.count;
    status->travelling_count = status->travelling.count;
    if (rc < 0) {
        status_refused(status);
    }
    return rc < 0 ? rc : 0;
}

void status_stored(struct status *status, struct arena *arena, struct status_settled_list *settled) {
    size_t cursor = 0;
    for (struct status_report *report; (report = map_next(&status->travelling, &cursor)) != NULL;) {
        *ARENA_PUSH(arena, settled) = (struct status_settled){report->task_id, report->report->status.state};
    }
    free_all(&status->travelling);
    status->travelling_count = 0;
}

void status_refused(struct status *status) {
    size_t cursor = 0;
    for (struct status_report *report; (report = map_next(&status->travelling, &cursor)) != NULL;) {
        if (map_get(&status->waiting, report->task_id.text) != NULL) {
            report_free(report);
        } else {
            wait(status, report);
        }
    }
    map_free(&status->travelling);
    status->travelling = (struct map){0};
    status->travelling_count = 0;
}
