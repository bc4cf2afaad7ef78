// SPDX-License-Identifier: Apache-2.0
//
// cli/columns.c — the cells, tints and filters of services, tasks and nodes.
#include "cli/columns.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "base/units.h"
#include "specs/image.h"

#define ERROR_COLUMNS 30 // on a terminal, as Docker's

static const char tint_good[] = "32", tint_busy[] = "33", tint_bad[] = "31", tint_old[] = "2";

static void add_id(const struct id *id, const struct cell_context *context, struct buf *out) {
    buf_addf(out, "%.*s", context->full_ids ? ID_LEN : ID_SHORT_LEN, id->text);
}

static void add_image(const char *image, bool is_full, struct buf *out) {
    AUTO_ARENA arena = {0};
    buf_adds(out, is_full ? image : image_familiar(image, &arena));
}

void columns_ago(int64_t unix_ms, int64_t now_unix_ms, struct buf *out) {
    char text[64];
    units_human_duration(now_unix_ms - unix_ms, text, sizeof text);
    buf_addf(out, "%s ago", text);
    // "About a minute ago" begins a sentence only in Docker's CREATED columns; after a state it is in lower
    // case.
    char *first = out->data + out->len - strlen(text) - strlen(" ago");
    if (str_starts(first, "About") || str_starts(first, "Less")) {
        *first = (char)(*first | 0x20);
    }
}

static const char *protocol_name(enum port_protocol protocol) {
    static const char *const names[] = {"tcp", "udp", "sctp"};
    return names[protocol];
}

static bool is_neighbour(const struct port *a, const struct port *b) {
    return a->protocol == b->protocol && a->mode == b->mode && b->target == a->target + 1 &&
           b->published == a->published + 1 && a->published != 0;
}

void columns_ports(const struct service_spec *spec, enum publish_mode mode, struct buf *out) {
    bool is_first = true;
    for (size_t i = 0; i < spec->ports.count; i++) {
        const struct port *from = &spec->ports.items[i];
        const struct port *to = from;
        if (from->mode != mode) {
            continue;
        }
        while (i + 1 < spec->ports.count && is_neighbour(to, &spec->ports.items[i + 1])) {
            to = &spec->ports.items[++i];
        }
        buf_adds(out, is_first ? "" : ", ");
        is_first = false;
        if (from == to) {
            buf_addf(out, "*:%lld->%lld/%s", (long long)from->published, (long long)from->target,
                     protocol_name(from->protocol));
        } else {
            buf_addf(out, "*:%lld-%lld->%lld-%lld/%s", (long long)from->published, (long long)to->published,
                     (long long)from->target, (long long)to->target, protocol_name(from->protocol));
        }
    }
}

// --- services ---

static void service_id(const void *row, const struct cell_context *context, struct buf *out) {
    add_id(&((const struct service_row *)row)->service->meta.id, context, out);
}

static void service_name(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    buf_adds(out, ((const struct service_row *)row)->service->spec.name);
}

static void service_mode(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    static const char *const words[] = {"replicated", "global", "replicated job", "global job"};
    buf_adds(out, words[((const struct service_row *)row)->service->spec.deploy.mode]);
}

static void service_replicas(const void *at, const struct cell_context *context, struct buf *out) {
    (void)context;
    const struct service_row *row = at;
    const struct deploy *deploy = &row->service->spec.deploy;
    buf_addf(out, "%lld/%lld", (long long)row->running, (long long)row->desired);
    if (mode_is_job(deploy->mode)) {
        int64_t total =
            deploy->mode == MODE_REPLICATED_JOB ? deploy->replicas : row->desired + row->completed;
        buf_addf(out, " (%lld/%lld completed)", (long long)row->completed, (long long)total);
    } else if (deploy->placement.max_replicas_per_node > 0) {
        buf_addf(out, " (max %lld per node)", (long long)deploy->placement.max_replicas_per_node);
    }
}

static void service_image(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    add_image(((const struct service_row *)row)->service->spec.image, /* is_full= */ false, out);
}

static void service_ports(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    columns_ports(&((const struct service_row *)row)->service->spec, PUBLISH_INGRESS, out);
}

static void service_update(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    const struct service *service = ((const struct service_row *)row)->service;
    buf_adds(out, service->removing ? "removing" : update_state_names[service->update_status.state]);
}

static void service_revision(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    buf_addf(out, "r%lld", (long long)((const struct service_row *)row)->service->revision);
}

static void service_owner(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    buf_adds(out, ((const struct service_row *)row)->service->meta.owner);
}

static void service_updated(const void *row, const struct cell_context *context, struct buf *out) {
    columns_ago(((const struct service_row *)row)->service->meta.updated_unix_ms, context->now_unix_ms, out);
}

static void service_next_run(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    char at[32];
    const struct service *service = ((const struct service_row *)row)->service;
    if (service->next_run_unix_ms > 0) {
        clock_format_rfc3339(service->next_run_unix_ms, at, sizeof at);
        buf_addf(out, "%.16sZ", at);
    } else if (service->spec.deploy.schedule != NULL && service->spec.deploy.schedule->suspend) {
        buf_adds(out, "suspended");
    }
}

static const char *service_tint(const void *at) {
    const struct service_row *row = at;
    bool is_stuck = row->service->update_status.state == UPDATE_PAUSED ||
                    row->service->update_status.state == UPDATE_ROLLBACK_PAUSED;
    if (is_stuck || (row->running == 0 && row->desired > 0)) {
        return mode_is_job(row->service->spec.deploy.mode) ? tint_busy : tint_bad;
    }
    return row->running == row->desired ? tint_good : tint_busy;
}

static int service_matches_id(const void *row, const char *value) {
    return output_matches_prefix(((const struct service_row *)row)->service->meta.id.text, value);
}
static int service_matches_name(const void *row, const char *value) {
    return output_matches_prefix(((const struct service_row *)row)->service->spec.name, value);
}
static int service_matches_label(const void *row, const char *value) {
    return output_matches_label(&((const struct service_row *)row)->service->spec.deploy.labels, value);
}
static int service_matches_mode(const void *row, const char *value) {
    for (int i = 0; i < 4; i++) {
        if (str_equal(service_mode_names[i], value)) {
            return (int)((const struct service_row *)row)->service->spec.deploy.mode == i;
        }
    }
    return -1;
}
static int service_matches_runtime(const void *row, const char *value) {
    (void)row;
    return str_equal(value, "container");
}

static const char *service_row_id(const void *row) {
    return ((const struct service_row *)row)->service->meta.id.text;
}
static const char *service_row_name(const void *row) {
    return ((const struct service_row *)row)->service->spec.name;
}
static const void *service_row_object(const void *row) {
    return ((const struct service_row *)row)->service;
}

static const struct column service_columns[] = {
    {"ID", "ID", 0, service_id, NULL},
    {"Name", "NAME", COLUMN_CUT, service_name, NULL},
    {"Mode", "MODE", COLUMN_DROP, service_mode, NULL},
    {"Replicas", "REPLICAS", 0, service_replicas, service_tint},
    {"Image", "IMAGE", COLUMN_CUT, service_image, NULL},
    {"Ports", "PORTS", COLUMN_CUT, service_ports, NULL},
    {"UpdateStatus", "UPDATE", COLUMN_WIDE, service_update, NULL},
    {"Revision", "REVISION", COLUMN_WIDE, service_revision, NULL},
    {"NextRun", "NEXT RUN", COLUMN_WIDE, service_next_run, NULL},
    {"Owner", "OWNER", COLUMN_WIDE, service_owner, NULL},
    {"Updated", "UPDATED", COLUMN_WIDE, service_updated, NULL},
};
static const struct filter_row service_filters[] = {
    {"id", service_matches_id},     {"name", service_matches_name},       {"label", service_matches_label},
    {"mode", service_matches_mode}, {"runtime", service_matches_runtime},
};

#define LISTING(noun_, kind_, columns_, filters_, prefix)                                                    \
    {                                                                                                        \
        .noun = (noun_), .columns = (columns_), .column_count = sizeof(columns_) / sizeof *(columns_),       \
        .filters = (filters_), .filter_count = sizeof(filters_) / sizeof *(filters_), .id = prefix##_row_id, \
        .name = prefix##_row_name, .kind = (kind_), .object = prefix##_row_object                            \
    }
const struct listing columns_services =
    LISTING("service", KIND_SERVICE, service_columns, service_filters, service);

// --- tasks ---

static void task_id(const void *row, const struct cell_context *context, struct buf *out) {
    add_id(&((const struct task_row *)row)->task->meta.id, context, out);
}

static void task_cell_name(const void *at, const struct cell_context *context, struct buf *out) {
    const struct task_row *row = at;
    buf_adds(out, row->is_older && context->is_table ? " \\_ " : "");
    buf_adds(out, row->name);
}

static void task_image(const void *row, const struct cell_context *context, struct buf *out) {
    add_image(((const struct task_row *)row)->image, context->full_ids, out);
}

static void task_node(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    buf_adds(out, ((const struct task_row *)row)->node_name);
}

static void add_capitalised(const char *word, struct buf *out) {
    buf_addf(out, "%c%s", word[0] >= 'a' && word[0] <= 'z' ? word[0] - 32 : word[0],
             word[0] != '\0' ? word + 1 : "");
}

static void task_desired(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    add_capitalised(task_state_name(task_desired_shown(((const struct task_row *)row)->task)), out);
}

static void task_current(const void *row, const struct cell_context *context, struct buf *out) {
    const struct task_status *status = &((const struct task_row *)row)->task->status;
    add_capitalised(task_state_name(status->state), out);
    buf_addc(out, ' ');
    columns_ago(status->since_unix_ms, context->now_unix_ms, out);
}

static void task_error(const void *row, const struct cell_context *context, struct buf *out) {
    const char *error = ((const struct task_row *)row)->task->status.error;
    if (error[0] == '\0') {
        return;
    }
    size_t at = 0;
    uint32_t codepoint;
    for (size_t i = 0; error[at] != '\0' && (context->full_texts || i + 1 < ERROR_COLUMNS); i++) {
        size_t len = str_decode(error + at, strlen(error + at), &codepoint);
        at += len > 0 ? len : 1;
    }
    buf_addf(out, "\"%.*s%s\"", (int)at, error, error[at] != '\0' ? "…" : "");
}

static void task_ports(const void *at, const struct cell_context *context, struct buf *out) {
    (void)context;
    const struct task_row *row = at;
    if (row->spec != NULL) {
        columns_ports(row->spec, PUBLISH_HOST, out);
    }
}

static void task_service(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    buf_adds(out, ((const struct task_row *)row)->service_name);
}

static void task_revision(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    buf_addf(out, "r%lld", (long long)((const struct task_row *)row)->task->revision);
}

static void task_attempt(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    buf_addf(out, "%lld", (long long)((const struct task_row *)row)->task->attempt);
}

static void task_message(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    buf_adds(out, ((const struct task_row *)row)->task->status.message);
}

static const char *task_tint(const void *at) {
    const struct task *task = ((const struct task_row *)at)->task;
    switch (task->status.state) {
    case TASK_RUNNING:
        return task->desired == TASK_RUNNING ? tint_good : tint_busy;
    case TASK_FAILED:
    case TASK_REJECTED:
    case TASK_ORPHANED:
        return tint_bad;
    case TASK_COMPLETE:
    case TASK_SHUTDOWN:
    case TASK_REMOVE:
        return tint_old;
    default:
        return tint_busy;
    }
}

static int task_matches_id(const void *row, const char *value) {
    return output_matches_prefix(((const struct task_row *)row)->task->meta.id.text, value);
}
static int task_matches_name(const void *row, const char *value) {
    return output_matches_prefix(((const struct task_row *)row)->name, value);
}
static int task_matches_node(const void *at, const char *value) {
    const struct task_row *row = at;
    return str_equal(row->node_name, value) || output_matches_prefix(row->task->node_id.text, value);
}
static int task_matches_service(const void *at, const char *value) {
    const struct task_row *row = at;
    return str_equal(row->service_name, value) || output_matches_prefix(row->task->service_id.text, value);
}
// Docker's three words: what is meant to run, what is meant to be over, what is accepted.
static int task_matches_desired(const void *row, const char *value) {
    int64_t desired = task_desired_shown(((const struct task_row *)row)->task);
    int64_t wanted;
    if (!task_state_parse(value, &wanted)) {
        return -1;
    }
    return wanted == TASK_SHUTDOWN ? desired >= TASK_SHUTDOWN : desired == wanted;
}
static int task_matches_state(const void *row, const char *value) {
    int64_t wanted;
    return task_state_parse(value, &wanted) ? ((const struct task_row *)row)->task->status.state == wanted
                                            : -1;
}
static int task_matches_label(const void *at, const char *value) {
    const struct task_row *row = at;
    return row->spec != NULL && output_matches_label(&row->spec->labels, value);
}

static const char *task_row_id(const void *row) {
    return ((const struct task_row *)row)->task->meta.id.text;
}
static const char *task_row_name(const void *row) {
    return ((const struct task_row *)row)->name;
}
static const void *task_row_object(const void *row) {
    return ((const struct task_row *)row)->task;
}

static const struct column task_columns[] = {
    {"ID", "ID", 0, task_id, NULL},
    {"Name", "NAME", COLUMN_CUT, task_cell_name, NULL},
    {"Image", "IMAGE", COLUMN_CUT, task_image, NULL},
    {"Node", "NODE", COLUMN_CUT, task_node, NULL},
    {"DesiredState", "DESIRED STATE", COLUMN_DROP, task_desired, NULL},
    {"CurrentState", "CURRENT STATE", 0, task_current, task_tint},
    {"Error", "ERROR", COLUMN_CUT, task_error, NULL},
    {"Ports", "PORTS", COLUMN_DROP, task_ports, NULL},
    {"Service", "SERVICE", COLUMN_TEMPLATE, task_service, NULL},
    {"Revision", "REVISION", COLUMN_WIDE, task_revision, NULL},
    {"Attempt", "ATTEMPT", COLUMN_WIDE, task_attempt, NULL},
    {"Message", "MESSAGE", COLUMN_WIDE, task_message, NULL},
};
static const struct filter_row task_filters[] = {
    {"id", task_matches_id},           {"name", task_matches_name},   {"node", task_matches_node},
    {"service", task_matches_service}, {"label", task_matches_label}, {"desired-state", task_matches_desired},
    {"state", task_matches_state},
};
const struct listing columns_tasks = LISTING("task", KIND_TASK, task_columns, task_filters, task);

// --- nodes ---

static void node_id(const void *at, const struct cell_context *context, struct buf *out) {
    const struct node_row *row = at;
    if (!context->is_table) {
        add_id(&row->node->meta.id, context, out);
        return;
    }
    buf_addf(out, "%s%s", row->node->meta.id.text, row->is_self ? " *" : "");
}

static void node_self(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    buf_adds(out, ((const struct node_row *)row)->is_self ? "true" : "false");
}

static void node_hostname(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    buf_adds(out, ((const struct node_row *)row)->node->spec.name);
}

static void node_status(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    add_capitalised(node_state_names[((const struct node_row *)row)->node->status.state], out);
}

static void node_availability(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    add_capitalised(node_availability_names[((const struct node_row *)row)->node->spec.availability], out);
}

static void node_manager(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    const struct node_manager *manager = ((const struct node_row *)row)->node->manager;
    if (manager != NULL) {
        buf_adds(out, manager->leader ? "Leader" : manager->reachable ? "Reachable" : "Unreachable");
    }
}

static void node_version(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    buf_adds(out, ((const struct node_row *)row)->node->description.version);
}

static void node_address(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    buf_adds(out, ((const struct node_row *)row)->node->status.address);
}

static void node_cpus(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    char text[32];
    buf_adds(out, units_format_cpus(((const struct node_row *)row)->node->description.cpus_nano, text,
                                    sizeof text));
}

static void node_memory(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    char text[32];
    buf_adds(out, units_human_bytes(((const struct node_row *)row)->node->description.memory_bytes, text,
                                    sizeof text));
}

static const char *node_tint(const void *row) {
    enum node_state state = ((const struct node_row *)row)->node->status.state;
    return state == NODE_READY ? tint_good : state == NODE_DOWN ? tint_bad : tint_busy;
}

static int node_matches_id(const void *row, const char *value) {
    return output_matches_prefix(((const struct node_row *)row)->node->meta.id.text, value);
}
static int node_matches_name(const void *row, const char *value) {
    return output_matches_prefix(((const struct node_row *)row)->node->spec.name, value);
}
static int node_matches_role(const void *row, const char *value) {
    for (int i = 0; i < 2; i++) {
        if (str_equal(node_role_names[i], value)) {
            return (int)((const struct node_row *)row)->node->spec.role == i;
        }
    }
    return -1;
}
static int node_matches_membership(const void *row, const char *value) {
    (void)row;
    return str_equal(value, "accepted") ? 1 : str_equal(value, "pending") ? 0 : -1;
}
static int node_matches_label(const void *row, const char *value) {
    return output_matches_label(&((const struct node_row *)row)->node->spec.labels, value);
}
static int node_matches_engine_label(const void *row, const char *value) {
    return output_matches_label(&((const struct node_row *)row)->node->description.labels, value);
}

static const char *node_row_id(const void *row) {
    return ((const struct node_row *)row)->node->meta.id.text;
}
static const char *node_row_name(const void *row) {
    return ((const struct node_row *)row)->node->spec.name;
}
static const void *node_row_object(const void *row) {
    return ((const struct node_row *)row)->node;
}

static const struct column node_columns[] = {
    {"ID", "ID", 0, node_id, NULL},
    {"Self", "SELF", COLUMN_TEMPLATE, node_self, NULL},
    {"Hostname", "HOSTNAME", COLUMN_CUT, node_hostname, NULL},
    {"Status", "STATUS", 0, node_status, node_tint},
    {"Availability", "AVAILABILITY", 0, node_availability, NULL},
    {"ManagerStatus", "MANAGER STATUS", COLUMN_DROP, node_manager, NULL},
    {"EngineVersion", "ENGINE VERSION", COLUMN_DROP, node_version, NULL},
    {"Address", "ADDRESS", COLUMN_WIDE, node_address, NULL},
    {"CPUs", "CPUS", COLUMN_WIDE, node_cpus, NULL},
    {"Memory", "MEMORY", COLUMN_WIDE, node_memory, NULL},
};
static const struct filter_row node_filters[] = {
    {"id", node_matches_id},
    {"name", node_matches_name},
    {"role", node_matches_role},
    {"membership", node_matches_membership},
    {"label", node_matches_engine_label},
    {"node.label", node_matches_label},
};
const struct listing columns_nodes = LISTING("node", KIND_NODE, node_columns, node_filters, node);
