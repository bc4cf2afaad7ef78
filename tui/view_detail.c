// SPDX-License-Identifier: Apache-2.0
//
// tui/view_detail.c — all there is to say about one node, service or task, as lines of text.
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "base/units.h"
#include "tui/view_text.h"

#define LABEL_COLUMNS 10
#define TROUBLES_MAX 12

static void fact(struct text *text, enum style style, const char *label, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

// "label     value", the value wrapped under itself.
static void fact(struct text *text, enum style style, const char *label, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const char *value = arena_vprintf(text->arena, format, args);
    va_end(args);
    if (text->columns < 40) {
        text_addf(text, 0, style, "%s: %s", label, value);
        return;
    }
    int indent = LABEL_COLUMNS;
    size_t first = text->count;
    text_add(text, indent, style, value);
    struct text_line *line = &text->items[first];
    line->text = arena_printf(text->arena, "%-*s%s", indent, label, line->text);
    line->indent = 0;
}

static void heading(struct text *text, const char *title) {
    text_add(text, 0, STYLE_PLAIN, "");
    text_add(text, 0, STYLE_HEADING, title);
}

static const char *age(struct text *text, int64_t since_unix_ms) {
    AUTO_BUF out = buf_make(64);
    view_age(since_unix_ms, text->env, &out);
    return arena_strdup(text->arena, buf_text(&out));
}

static void title(const struct model_row *row, struct text *text, const char *kind) {
    struct badge badge = view_badge(row);
    text_addf(text, 0, STYLE_STRONG, "%s %s %s  %s", glyph_text(badge.glyph, text->env->is_ascii), kind,
              row->label, badge.word);
}

static void who_and_why(const struct model_row *row, struct text *text) {
    const struct meta *meta = object_meta_const(row->object);
    const char *who = !str_is_empty(meta->changed_by) ? meta->changed_by : row->who;
    fact(text, STYLE_PLAIN, "changed", "%s ago%s%s%s%s", age(text, meta->updated_unix_ms),
         who[0] != '\0' ? " by " : "", who, row->why[0] != '\0' ? ": " : "", row->why);
    if (!str_is_empty(meta->owner)) {
        fact(text, STYLE_PLAIN, "owner", "%s%s%s", meta->owner, meta->origin[0] != '\0' ? ", " : "",
             meta->origin);
    }
    fact(text, STYLE_DIM, "id", "%s, version %lld", row->id.text, (long long)meta->version);
}

// --- tasks ---

static const char *exit_text(const struct task_exit *how, struct arena *arena) {
    switch (how->kind) {
    case EXIT_NONE:
        return "";
    case EXIT_CODE:
        return arena_printf(arena, "exit %lld%s", (long long)how->code, how->oom ? ", out of memory" : "");
    case EXIT_SIGNAL:
        return arena_printf(arena, "signal %lld%s", (long long)how->signal,
                            how->oom ? ", out of memory" : "");
    case EXIT_UNKNOWN:
        return "exit status not known";
    }
    return "";
}

static void task_try_line(const struct model_row *row, const struct model_row *shown, struct text *text) {
    const struct task *task = row_task(row);
    struct badge badge = view_badge(row);
    const char *how = exit_text(&task->status.exit, text->arena);
    text_addf(text, 0, row == shown ? STYLE_STRONG : STYLE_PLAIN, "%s%s %-9s %7s ago  r%-3lld %-10s %s",
              row == shown ? ">" : " ", glyph_text(badge.glyph, text->env->is_ascii), badge.word,
              age(text, task->status.since_unix_ms), (long long)task->revision, view_node_name(row), how);
    const char *remark = !str_is_empty(task->status.error)     ? task->status.error
                         : task->desired_reason != REASON_NONE ? task_reason_text(task->desired_reason)
                                                               : "";
    if (remark[0] != '\0') {
        text_add(text, 4, badge.style == STYLE_BAD ? STYLE_BAD : STYLE_DIM, remark);
    }
}

static void task_funnel(const struct task *task, struct text *text) {
    if (task->funnel.count == 0 || task->status.state > TASK_PENDING) {
        return;
    }
    heading(text, "WHY IT HAS NO NODE    left  ruled out");
    for (size_t i = 0; i < task->funnel.count; i++) {
        const struct funnel_step *step = &task->funnel.items[i];
        AUTO_BUF nodes = buf_make(0);
        for (size_t j = 0; j < step->nodes.count; j++) {
            buf_addf(&nodes, "%s%s", j > 0 ? ", " : "", step->nodes.items[j]);
        }
        text_addf(text, 0, step->left == 0 ? STYLE_WAIT : STYLE_PLAIN, "%-20s %5lld  %9lld  %s", step->rule,
                  (long long)step->left, (long long)step->ruled_out, buf_text(&nodes));
    }
}

static void task_facts(const struct model_row *row, struct text *text) {
    const struct task *task = row_task(row);
    const struct task_status *status = &task->status;
    struct badge badge = view_badge(row);
    fact(text, badge.style, "state", "%s for %s, wanted %s", task_state_name(status->state),
         age(text, status->since_unix_ms), task_state_name(task->desired));
    if (!str_is_empty(status->error)) {
        fact(text, STYLE_BAD, "error", "%s", status->error);
    }
    if (!str_is_empty(status->message)) {
        fact(text, STYLE_PLAIN, "message", "%s", status->message);
    }
    if (status->reason != REASON_NONE) {
        fact(text, STYLE_PLAIN, "reason", "%s", task_reason_text(status->reason));
    }
    if (status->exit.kind != EXIT_NONE) {
        fact(text, STYLE_PLAIN, "ended", "%s, %s ago", exit_text(&status->exit, text->arena),
             age(text, status->exit.time_unix_ms));
    }
    if (task->desired_reason != REASON_NONE) {
        fact(text, STYLE_PLAIN, "stopped", "%s", task_reason_text(task->desired_reason));
    }
    if (task->start_after_unix_ms > text->env->now_unix_ms) {
        AUTO_BUF wait = buf_make(64);
        view_duration(task->start_after_unix_ms - text->env->now_unix_ms, &wait);
        fact(text, STYLE_WAIT, "waits", "%s more before it may start", buf_text(&wait));
    }
    fact(text, STYLE_PLAIN, "node", "%s", view_node_name(row));
}

static void task_detail(const struct model_row *row, struct text *text) {
    const struct task *task = row_task(row);
    char cpus[32];
    char memory[32];
    title(row, text, "task");
    task_facts(row, text);
    fact(text, STYLE_PLAIN, "service", "%s, revision %lld%s",
         row->service != NULL ? row->service->label : "gone", (long long)task->revision,
         model_is_old(row) ? ", out of date" : "");
    fact(text, STYLE_PLAIN, "image", "%s", view_image(row));
    if (task->cpus_nano > 0 || task->memory_bytes > 0) {
        fact(text, STYLE_PLAIN, "set aside", "cpu %s, memory %s",
             units_format_cpus(task->cpus_nano, cpus, sizeof cpus),
             units_human_bytes(task->memory_bytes, memory, sizeof memory));
    }
    who_and_why(row, text);
    task_funnel(task, text);
    struct model_rows tries = model_tries(row->place, text->arena);
    heading(text, arena_printf(text->arena, "TRIES OF THIS SLOT, newest first (%zu)", tries.count));
    for (size_t i = 0; i < tries.count; i++) {
        task_try_line(tries.items[i], row, text);
    }
}

// --- services ---

static bool is_trouble(const struct model_row *task) {
    enum task_class class = model_task_class(row_task(task));
    return model_is_current(task) &&
           (class == CLASS_FAILED || class == CLASS_PENDING || class == CLASS_STARTING);
}

static void service_troubles(const struct model *model, const struct model_row *row, struct text *text) {
    const struct model_table *tasks = &model->tables[MODEL_TASKS];
    size_t count = 0;
    for (size_t i = 0; i < tasks->count; i++) {
        const struct model_row *task = tasks->rows[i];
        if (task->service != row || !is_trouble(task) || count++ >= TROUBLES_MAX) {
            continue;
        }
        if (count == 1) {
            heading(text, "NOT RUNNING");
        }
        struct badge badge = view_badge(task);
        text_addf(text, 0, STYLE_PLAIN, " %s %-16s %-9s %7s  %-10s",
                  glyph_text(badge.glyph, text->env->is_ascii), task->label, badge.word,
                  age(text, row_task(task)->status.since_unix_ms), view_node_name(task));
        if (view_remark(task)[0] != '\0') {
            text_add(text, 4, badge.style == STYLE_BAD ? STYLE_BAD : STYLE_DIM, view_remark(task));
        }
    }
    if (count > TROUBLES_MAX) {
        text_addf(text, 1, STYLE_DIM, "and %zu more: Enter on the service lists them", count - TROUBLES_MAX);
    }
}

static void service_load(const struct model_row *row, struct text *text) {
    const struct model_load *load = &row->load;
    AUTO_BUF out = buf_make(256);
    const struct {
        int64_t count;
        const char *word;
    } parts[] = {{load->starting, "starting"}, {load->pending, "waiting for a node"},
                 {load->failed, "failed"},     {load->complete, "complete"},
                 {load->leaving, "stopping"},  {load->old, "out of date"}};
    buf_addf(&out, "%lld of %lld running", (long long)load->running, (long long)model_wanted(row));
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (parts[i].count > 0) {
            buf_addf(&out, ", %lld %s", (long long)parts[i].count, parts[i].word);
        }
    }
    fact(text, view_badge(row).style, "tasks", "%s", buf_text(&out));
}

static void service_detail(const struct model *model, const struct model_row *row, struct text *text) {
    const struct service *service = row_service(row);
    const struct update_status *update = &service->update_status;
    title(row, text, "service");
    service_load(row, text);
    if (update->state != UPDATE_NONE) {
        fact(text, STYLE_PLAIN, "update", "%s, begun %s ago%s%s", update_state_names[update->state],
             age(text, update->started_unix_ms), update->message[0] != '\0' ? ": " : "", update->message);
    }
    fact(text, STYLE_PLAIN, "image", "%s", service->spec.image);
    fact(text, STYLE_PLAIN, "mode", "%s, revision %lld", service_mode_names[service->spec.deploy.mode],
         (long long)service->revision);
    if (service->spec.deploy.schedule != NULL) {
        char at[32];
        const char *next = service->next_run_unix_ms > 0
                               ? clock_format_rfc3339(service->next_run_unix_ms, at, sizeof at)
                               : "none";
        fact(text, STYLE_PLAIN, "schedule", "%s, next run %s", service->spec.deploy.schedule->cron, next);
    }
    who_and_why(row, text);
    service_troubles(model, row, text);
}

// --- nodes ---

static void node_engine(const struct node_description *description, struct text *text) {
    char cpus[32];
    char memory[32];
    fact(text, STYLE_PLAIN, "machine", "%s, %s %s, %s CPUs, %s", description->hostname, description->os,
         description->arch, units_format_cpus(description->cpus_nano, cpus, sizeof cpus),
         units_human_bytes(description->memory_bytes, memory, sizeof memory));
    fact(text, STYLE_PLAIN, "programs", "musterd %s, %s, cgroup %s", description->version,
         description->runtime_version, description->cgroup_mode);
}

static void node_detail(const struct model_row *row, struct text *text) {
    const struct node *node = row_node(row);
    char cpus[32];
    char memory[32];
    title(row, text, "node");
    fact(text, view_badge(row).style, "state", "%s for %s, %s", node_state_names[node->status.state],
         age(text, node->status.since_unix_ms), node_availability_names[node->spec.availability]);
    if (!str_is_empty(node->status.message)) {
        fact(text, STYLE_PLAIN, "message", "%s", node->status.message);
    }
    fact(text, STYLE_PLAIN, "role", "%s%s", node_role_names[node->spec.role],
         node->manager == NULL      ? ""
         : node->manager->leader    ? ", leads"
         : node->manager->reachable ? ", reachable"
                                    : ", not reachable");
    fact(text, STYLE_PLAIN, "address", "%s", node->status.address);
    fact(text, STYLE_PLAIN, "tasks", "%lld, of them %lld running", (long long)row->load.tasks,
         (long long)row->load.running);
    fact(text, STYLE_PLAIN, "set aside", "cpu %s, memory %s",
         units_format_cpus(row->load.cpus_nano, cpus, sizeof cpus),
         units_human_bytes(row->load.memory_bytes, memory, sizeof memory));
    node_engine(&node->description, text);
    who_and_why(row, text);
}

void text_of_detail(const struct model *model, const struct model_row *row, struct text *text) {
    const struct model_row *declared = row;
    switch (row->kind) {
    case MODEL_NODES:
        node_detail(row, text);
        break;
    case MODEL_SERVICES:
        service_detail(model, row, text);
        break;
    case MODEL_TASKS:
        task_detail(row, text);
        declared = row->service;
        break;
    case MODEL_KIND_COUNT:
        break;
    }
    if (declared != NULL) {
        heading(text, row->kind == MODEL_TASKS ? "DECLARED FOR ITS SERVICE" : "DECLARED");
        text_of_yaml(declared, text);
    }
}
