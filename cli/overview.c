// SPDX-License-Identifier: Apache-2.0
//
// cli/overview.c — one word for each service, taken from its tasks.
//
// The word is the worst that holds: removing, paused, failing (a slot keeps ending), waiting (a task finds
// no node), updating (old tasks are still there), starting, running; stopped when nothing is wanted and
// nothing is there.
#include "cli/overview.h"

#include "base/map.h"
#include "base/str.h"
#include "cli/connect.h"

struct tally {
    struct overview_row *row;
    const struct task *failing, *waiting; // newest of each
    bool has_old, has_live;
};

static bool is_newer(const struct task *task, const struct task *than) {
    return than == NULL || task->meta.created > than->meta.created;
}

static void count_task(struct tally *tally, const struct task *task) {
    const struct service *service = tally->row->row.service;
    bool is_job = mode_is_job(service->spec.deploy.mode);
    bool is_wanted = task->desired <= TASK_RUNNING;
    bool is_old =
        is_job ? task->job_iteration < service->job_iteration : service_is_outdated(service, task->revision);
    bool is_live = !task_state_is_over(task->status.state);
    bool is_bad = task->status.state == TASK_FAILED || task->status.state == TASK_REJECTED;
    tally->has_live = tally->has_live || is_live;
    tally->has_old = tally->has_old || (is_live && is_old);
    if (is_wanted && task->status.state == TASK_PENDING && task->status.error[0] != '\0' &&
        is_newer(task, tally->waiting)) {
        tally->waiting = task;
    }
    bool ended_itself =
        is_job && task->desired_reason == REASON_NONE; // it counts also when nobody tries again
    if ((is_wanted || ended_itself) && is_bad && !is_old && is_newer(task, tally->failing)) {
        tally->failing = task;
    }
}

static const char *describe(const struct service *service, const struct task *task, struct arena *arena) {
    AUTO_BUF name = {0};
    task_name(task, service->spec.name, &name);
    const char *text = task->status.error[0] != '\0' ? task->status.error : task->status.message;
    return arena_printf(arena, "%s: %s", buf_text(&name), text);
}

// What a job's state is when it is at work neither in old tasks nor waiting for a node.
static const char *judge_job(const struct tally *tally) {
    const struct service_row *row = &tally->row->row;
    const struct deploy *deploy = &row->service->spec.deploy;
    bool is_over = !tally->has_live;
    if (is_over && row->service->job_iteration == 0 && deploy->schedule != NULL) {
        return deploy->schedule->suspend ? "suspended" : "scheduled";
    }
    int64_t total = mode_is_global(deploy->mode) ? row->desired + row->completed : deploy->replicas;
    return is_over && row->completed >= total  ? "complete"
           : is_over && tally->failing != NULL ? "failed"
           : row->running > 0                  ? "running"
                                               : "starting";
}

static void judge(struct tally *tally, struct arena *arena) {
    struct overview_row *row = tally->row;
    const struct service *service = row->row.service;
    enum update_state update = service->update_status.state;
    bool is_full = row->row.running >= row->row.desired;
    row->detail = "";
    if (service->removing) {
        row->state = "removing";
    } else if (update == UPDATE_PAUSED || update == UPDATE_ROLLBACK_PAUSED) {
        row->state = "paused";
        row->detail = service->update_status.message;
    } else if (mode_is_job(service->spec.deploy.mode) && tally->waiting == NULL && !tally->has_old) {
        row->state = judge_job(tally);
        bool is_bad = tally->failing != NULL && !str_equal(row->state, "complete");
        row->detail = is_bad ? describe(service, tally->failing, arena) : service->schedule_note;
    } else if (tally->failing != NULL && !is_full) {
        row->state = "failing";
        row->detail = describe(service, tally->failing, arena);
    } else if (tally->waiting != NULL) {
        row->state = "waiting";
        row->detail = describe(service, tally->waiting, arena);
    } else if (tally->has_old) {
        row->state = "updating";
    } else if (!is_full) {
        row->state = "starting";
    } else {
        row->state = row->row.desired == 0 && !tally->has_live ? "stopped" : "running";
    }
}

struct rows overview_rows(const struct columns_source *source, struct arena *arena) {
    struct rows services = columns_service_rows(source, arena);
    struct rows rows = {0};
    struct map by_id = {0};
    struct tally *tallies = ARENA_ARRAY(arena, struct tally, services.count + 1);
    for (size_t i = 0; i < services.count; i++) {
        struct overview_row *row = ARENA_NEW(arena, struct overview_row);
        row->row = *(const struct service_row *)services.items[i];
        tallies[i].row = row;
        map_put(&by_id, row->row.service->meta.id.text, &tallies[i]);
        *ARENA_PUSH(arena, &rows) = row;
    }
    for (size_t i = 0; source->tasks != NULL && i < source->tasks->count; i++) {
        const struct task *task = source->tasks->items[i];
        struct tally *tally = map_get(&by_id, task->service_id.text);
        if (tally != NULL) {
            count_task(tally, task);
        }
    }
    for (size_t i = 0; i < services.count; i++) {
        judge(&tallies[i], arena);
    }
    map_free(&by_id);
    return rows;
}

int overview_fetch(struct client *client, struct arena *arena, struct rows *out, struct error *err) {
    struct object_list services;
    struct object_list tasks = {0}, nodes = {0};
    int rc = connect_list(client, KIND_SERVICE, NULL, arena, &services, err);
    if (rc == 0 && services.count > 0) {
        rc = connect_list(client, KIND_TASK, NULL, arena, &tasks, err);
        rc = rc < 0 ? rc : connect_list(client, KIND_NODE, NULL, arena, &nodes, err);
    }
    if (rc == 0) {
        const struct columns_source source = {.services = &services, .tasks = &tasks, .nodes = &nodes};
        *out = overview_rows(&source, arena);
    }
    return rc;
}

// --- cells ---

static void cell_state(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    buf_adds(out, ((const struct overview_row *)row)->state);
}
static void cell_detail(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    buf_adds(out, ((const struct overview_row *)row)->detail);
}
static const char *tint_state(const void *row) {
    const char *state = ((const struct overview_row *)row)->state;
    bool is_bad = str_equal(state, "failing") || str_equal(state, "paused");
    return str_equal(state, "running") ? "32" : is_bad ? "31" : str_equal(state, "stopped") ? "2" : "33";
}

// The cells of `service ls` work here too: a struct overview_row begins with a struct service_row.
static void cell_of_service(const char *name, const void *row, const struct cell_context *context,
                            struct buf *out) {
    for (size_t i = 0; i < columns_services.column_count; i++) {
        if (str_equal(columns_services.columns[i].name, name)) {
            columns_services.columns[i].cell(row, context, out);
        }
    }
}
#define CELL(function, name)                                                                                 \
    static void function(const void *row, const struct cell_context *context, struct buf *out) {             \
        cell_of_service(name, row, context, out);                                                            \
    }
CELL(cell_id, "ID")
CELL(cell_name, "Name")
CELL(cell_mode, "Mode")
CELL(cell_replicas, "Replicas")
CELL(cell_image, "Image")
CELL(cell_ports, "Ports")
CELL(cell_revision, "Revision")
CELL(cell_owner, "Owner")
CELL(cell_updated, "Updated")

static const char *row_id(const void *row) {
    return ((const struct overview_row *)row)->row.service->meta.id.text;
}
static const char *row_name(const void *row) {
    return ((const struct overview_row *)row)->row.service->spec.name;
}
static const void *row_object(const void *row) {
    return ((const struct overview_row *)row)->row.service;
}

static int matches_id(const void *row, const char *value) {
    return output_matches_prefix(row_id(row), value);
}
static int matches_name(const void *row, const char *value) {
    return output_matches_prefix(row_name(row), value);
}
static int matches_state(const void *row, const char *value) {
    return str_equal(((const struct overview_row *)row)->state, value);
}
static int matches_label(const void *row, const char *value) {
    return output_matches_label(&((const struct overview_row *)row)->row.service->spec.deploy.labels, value);
}
static int matches_owner(const void *row, const char *value) {
    return str_equal(((const struct overview_row *)row)->row.service->meta.owner, value);
}

static const struct column columns[] = {
    {"Name", "NAME", COLUMN_CUT, cell_name, NULL},
    {"ID", "ID", COLUMN_WIDE, cell_id, NULL},
    {"Mode", "MODE", COLUMN_WIDE, cell_mode, NULL},
    {"Replicas", "REPLICAS", 0, cell_replicas, NULL},
    {"State", "STATE", 0, cell_state, tint_state},
    {"Image", "IMAGE", COLUMN_CUT, cell_image, NULL},
    {"Ports", "PORTS", COLUMN_CUT, cell_ports, NULL},
    {"Updated", "UPDATED", COLUMN_DROP, cell_updated, NULL},
    {"Detail", "DETAIL", COLUMN_CUT, cell_detail, NULL},
    {"Revision", "REVISION", COLUMN_WIDE, cell_revision, NULL},
    {"Owner", "OWNER", COLUMN_WIDE, cell_owner, NULL},
};
static const struct filter_row filters[] = {
    {"id", matches_id},       {"name", matches_name},   {"state", matches_state},
    {"label", matches_label}, {"owner", matches_owner},
};
const struct listing overview_services = {.noun = "service",
                                          .columns = columns,
                                          .column_count = sizeof columns / sizeof *columns,
                                          .filters = filters,
                                          .filter_count = sizeof filters / sizeof *filters,
                                          .id = row_id,
                                          .name = row_name,
                                          .kind = KIND_SERVICE,
                                          .object = row_object};
