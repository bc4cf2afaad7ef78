// SPDX-License-Identifier: Apache-2.0
//
// reconciler/dispatch/status.c — reports become changes of task records.
#include "reconciler/dispatch/status.h"

#include <string.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/mem.h"

struct status_report {
    struct status_report *next;
    struct id node_id, task_id;
    char key[2 * ID_LEN + 1]; // node, task
    int64_t state;
    uint8_t *status; // encoded
    size_t status_len;
};

// How much waits of a node.
struct sender {
    struct id node_id;
    size_t waiting_count;
};

// --- reports and their counts ---

static void report_free(struct status_report *report) {
    xfree(report->status);
    xfree(report);
}

static struct status_report *report_new(const struct id *node_id, const struct id *task_id) {
    struct status_report *report = NEW(struct status_report);
    report->node_id = *node_id;
    report->task_id = *task_id;
    memcpy(report->key, node_id->text, ID_LEN);
    memcpy(report->key + ID_LEN, task_id->text, ID_LEN);
    return report;
}

static void report_say(struct status_report *report, const struct task_status *status) {
    AUTO_BUF bytes = {0};
    wire_encode(&task_status_schema, status, &bytes);
    xfree(report->status);
    report->state = status->state;
    report->status_len = bytes.len;
    report->status = memcpy(xmalloc(bytes.len + 1), buf_text(&bytes), bytes.len);
}

static size_t count_of(const struct status *status, const struct id *node_id) {
    const struct sender *sender = map_get(&status->senders, node_id->text);
    return sender == NULL ? 0 : sender->waiting_count;
}

static void count_in(struct status *status, const struct id *node_id) {
    struct sender *sender = map_get(&status->senders, node_id->text);
    if (sender == NULL) {
        sender = NEW(struct sender);
        sender->node_id = *node_id;
        map_put(&status->senders, sender->node_id.text, sender);
    }
    sender->waiting_count++;
    status->waiting_count++;
}

static void count_out(struct status *status, const struct id *node_id) {
    struct sender *sender = map_get(&status->senders, node_id->text);
    status->waiting_count--;
    if (--sender->waiting_count == 0) {
        map_remove(&status->senders, node_id->text);
        xfree(sender);
    }
}

// --- queues ---

static void append(struct status_report **first, struct status_report **last, struct status_report *report) {
    report->next = NULL;
    if (*first == NULL) {
        *first = report;
    } else {
        (*last)->next = report;
    }
    *last = report;
}

static void wait(struct status *status, struct status_report *report) {
    append(&status->first, &status->last, report);
    map_put(&status->by_key, report->key, report);
    count_in(status, &report->node_id);
}

static struct status_report *take_first(struct status *status) {
    struct status_report *report = status->first;
    status->first = report->next;
    map_remove(&status->by_key, report->key);
    count_out(status, &report->node_id);
    return report;
}

static void free_travelling(struct status *status) {
    for (struct status_report *report; (report = status->travelling) != NULL;) {
        status->travelling = report->next;
        report_free(report);
    }
    status->travelling_count = 0;
}

void status_free(struct status *status) {
    while (status->first != NULL) {
        report_free(take_first(status));
    }
    free_travelling(status);
    map_free(&status->by_key);
    map_free(&status->senders);
    *status = (struct status){0};
}

bool status_post(struct status *status, const struct id *node_id, const struct task_report *said) {
    struct status_report *report = report_new(node_id, &said->task_id);
    struct status_report *old = map_get(&status->by_key, report->key);
    if (old != NULL) {
        report_free(report);
        report_say(old, &said->status);
        return true;
    }
    if (count_of(status, node_id) >= TASKS_PER_NODE_MAX) {
        report_free(report);
        return false;
    }
    report_say(report, &said->status);
    wait(status, report);
    return true;
}

// --- composing ---

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

// What is stored may lie behind what this node was told before: a manager that joins again hears of its tasks
// only little by little. So a task that is not there, or is on no node, may yet come.
static bool may_come(const struct task *task) {
    return task == NULL || id_is_none(&task->node_id);
}

enum { COMPOSE_NOTHING, COMPOSE_CHANGE, COMPOSE_DROP };

static int compose_one(const struct status_report *report, struct store_read *read, struct arena *arena,
                       struct transaction *out, struct error *err) {
    void *object;
    struct task_status said;
    int rc = store_load(read, KIND_TASK, &report->task_id, arena, &object, err);
    if (rc < 0) {
        return rc;
    }
    if (may_come(rc == 0 ? object : NULL)) {
        return COMPOSE_DROP;
    }
    rc = wire_decode(&task_status_schema, (struct bytes){report->status, report->status_len}, &said, arena,
                     err);
    if (rc < 0) {
        return rc;
    }
    struct task_status status = as_stored(object, &said);
    if (!has_effect(object, &status, &report->node_id)) {
        return COMPOSE_NOTHING;
    }
    struct task *task = object;
    if (status.state == TASK_RUNNING && task->running_unix_ms == 0) {
        task->running_unix_ms = status.since_unix_ms;
    }
    task->status = status;
    transaction_add(out, CHANGE_UPDATE, KIND_TASK, object, arena);
    return COMPOSE_CHANGE;
}

static void settle(const struct status_report *report, struct arena *arena,
                   struct status_settled_list *settled) {
    *ARENA_PUSH(arena, settled) = (struct status_settled){report->node_id, report->task_id, report->state};
}

int status_compose(struct status *status, struct store_read *read, struct arena *arena,
                   struct transaction *out, struct status_settled_list *settled, struct error *err) {
    ASSERT(status->travelling_count == 0);
    for (size_t looks = 0;
         status->first != NULL && out->changes.count < STATUS_CHANGES_MAX && looks < STATUS_LOOKS_MAX;
         looks++) {
        int rc = compose_one(status->first, read, arena, out, err);
        if (rc < 0) {
            status_refused(status);
            return rc;
        }
        struct status_report *report = take_first(status);
        if (rc == COMPOSE_CHANGE) {
            append(&status->travelling, &status->latest, report);
            status->travelling_count++;
            continue;
        }
        if (rc == COMPOSE_NOTHING) {
            settle(report, arena, settled);
        }
        report_free(report);
    }
    return 0;
}

void status_stored(struct status *status, struct arena *arena, struct status_settled_list *settled) {
    for (const struct status_report *report = status->travelling; report != NULL; report = report->next) {
        settle(report, arena, settled);
    }
    free_travelling(status);
}

void status_refused(struct status *status) {
    struct status_report *rest = status->first;
    struct status_report *travelled = TAKE(status->travelling);
    status->first = NULL;
    status->travelling_count = 0;
    for (struct status_report *next; travelled != NULL; travelled = next) {
        next = travelled->next;
        if (map_get(&status->by_key, travelled->key) != NULL) {
            report_free(travelled);
        } else {
            wait(status, travelled);
        }
    }
    if (rest != NULL) {
        struct status_report *last = rest;
        while (last->next != NULL) {
            last = last->next;
        }
        *(status->first == NULL ? &status->first : &status->last->next) = rest;
        status->last = last;
    }
}
