// SPDX-License-Identifier: Apache-2.0
//
// tui/view.c — the words and glyphs for states, and ages as people read them.
#include "tui/view.h"

#include "base/str.h"

static const struct view *const views[VIEW_COUNT] = {
    [VIEW_NODES] = &view_nodes,   [VIEW_SERVICES] = &view_services, [VIEW_TASKS] = &view_tasks,
    [VIEW_DETAIL] = &view_detail, [VIEW_YAML] = &view_yaml,
};

const struct view *view_of(enum view_id id) {
    return views[id];
}

bool view_is_changed(const struct model_row *row, const struct view_env *env) {
    return row->changed_ms > 0 && env->now_ms - row->changed_ms < CHANGE_SHOWN_MS;
}

static struct badge task_badge(const struct model_row *row) {
    const struct task *task = row_task(row);
    const char *word = task_state_name(task->status.state);
    if (row->node != NULL && !task_state_is_over(task->status.state) &&
        (row_node(row->node)->status.state == NODE_DOWN ||
         row_node(row->node)->status.state == NODE_DISCONNECTED)) {
        return (struct badge){GLYPH_SILENT, STYLE_WAIT, "unknown"};
    }
    switch (model_task_class(task)) {
    case CLASS_RUNNING:
        return model_is_old(row) ? (struct badge){GLYPH_OLD, STYLE_PLAIN, word}
                                 : (struct badge){GLYPH_NEW, STYLE_GOOD, word};
    case CLASS_STARTING:
        return (struct badge){task->status.state < TASK_READY ? GLYPH_PLACING : GLYPH_STARTING, STYLE_BUSY,
                              word};
    case CLASS_PENDING:
        return task->status.reason == REASON_NO_SUITABLE_NODE
                   ? (struct badge){GLYPH_HOMELESS, STYLE_WAIT, word}
                   : (struct badge){GLYPH_PLACING, STYLE_BUSY, word};
    case CLASS_FAILED:
        return (struct badge){GLYPH_FAILED, STYLE_BAD, word};
    case CLASS_COMPLETE:
        return (struct badge){GLYPH_COMPLETE, STYLE_DONE, word};
    case CLASS_LEAVING:
        return (struct badge){GLYPH_LEAVING, STYLE_LEAVING, "stopping"};
    case CLASS_STOPPED:
        break;
    }
    return (struct badge){GLYPH_LEAVING, STYLE_DONE, word};
}

static struct badge node_badge(const struct model_row *row) {
    const struct node *node = row_node(row);
    switch (node->status.state) {
    case NODE_READY:
        break;
    case NODE_DOWN:
        return (struct badge){GLYPH_FAILED, STYLE_BAD, "down"};
    case NODE_UNKNOWN:
        return (struct badge){GLYPH_SILENT, STYLE_WAIT, "unknown"};
    case NODE_DISCONNECTED:
        return (struct badge){GLYPH_SILENT, STYLE_WAIT, "silent"};
    }
    switch (node->spec.availability) {
    case AVAILABILITY_DRAIN:
        return (struct badge){GLYPH_LEAVING, STYLE_LEAVING, "ready"};
    case AVAILABILITY_PAUSE:
        return (struct badge){GLYPH_PAUSED, STYLE_WAIT, "ready"};
    case AVAILABILITY_ACTIVE:
        break;
    }
    return (struct badge){GLYPH_NEW, STYLE_GOOD, "ready"};
}

static struct badge update_badge(enum update_state state) {
    switch (state) {
    case UPDATE_UPDATING:
        return (struct badge){GLYPH_STARTING, STYLE_BUSY, "updating"};
    case UPDATE_PAUSED:
    case UPDATE_ROLLBACK_PAUSED:
        return (struct badge){GLYPH_PAUSED, STYLE_BAD, "update paused"};
    case UPDATE_ROLLBACK_STARTED:
        return (struct badge){GLYPH_STARTING, STYLE_WAIT, "rolling back"};
    case UPDATE_NONE:
    case UPDATE_COMPLETED:
    case UPDATE_ROLLBACK_COMPLETED:
    case UPDATE_SUPERSEDED:
    case UPDATE_ROLLED_BACK:
        break;
    }
    return (struct badge){GLYPH_NONE, STYLE_PLAIN, ""};
}

static struct badge service_badge(const struct model_row *row) {
    const struct service *service = row_service(row);
    const struct model_load *load = &row->load;
    struct badge update = update_badge(service->update_status.state);
    int64_t wanted = model_wanted(row);
    bool is_job = mode_is_job(service->spec.deploy.mode);
    if (service->removing) {
        return (struct badge){GLYPH_LEAVING, STYLE_LEAVING, "removing"};
    }
    if (load->failed > 0) {
        return (struct badge){GLYPH_FAILED, STYLE_BAD, "failing"};
    }
    if (update.glyph != GLYPH_NONE) {
        return update;
    }
    if (is_job && load->complete >= wanted && wanted > 0) {
        return (struct badge){GLYPH_COMPLETE, STYLE_DONE, "complete"};
    }
    if (load->running + (is_job ? load->complete : 0) < wanted) {
        return load->pending > 0 ? (struct badge){GLYPH_HOMELESS, STYLE_WAIT, "waiting"}
                                 : (struct badge){GLYPH_STARTING, STYLE_BUSY, "starting"};
    }
    if (wanted == 0) {
        return (struct badge){GLYPH_OLD, STYLE_DONE, "stopped"};
    }
    return (struct badge){GLYPH_NEW, STYLE_GOOD, "running"};
}

struct badge view_badge(const struct model_row *row) {
    switch (row->kind) {
    case MODEL_NODES:
        return node_badge(row);
    case MODEL_SERVICES:
        return service_badge(row);
    case MODEL_TASKS:
        return task_badge(row);
    case MODEL_KIND_COUNT:
        break;
    }
    return (struct badge){GLYPH_NONE, STYLE_PLAIN, ""};
}

void view_duration(int64_t ms, struct buf *out) {
    long long s = ms < 0 ? 0 : ms / 1000;
    if (s < 60) {
        buf_addf(out, "%llds", s);
    } else if (s < 3600) {
        buf_addf(out, "%lldm%02llds", s / 60, s % 60);
    } else if (s < 24LL * 3600) {
        buf_addf(out, "%lldh%02lldm", s / 3600, s / 60 % 60);
    } else {
        buf_addf(out, "%lldd%02lldh", s / (24 * 3600), s / 3600 % 24);
    }
}

void view_age(int64_t since_unix_ms, const struct view_env *env, struct buf *out) {
    if (since_unix_ms <= 0) {
        buf_addc(out, '-');
    } else {
        view_duration(env->now_unix_ms - since_unix_ms, out);
    }
}

const char *view_remark(const struct model_row *row) {
    switch (row->kind) {
    case MODEL_NODES:
        return row_node(row)->status.message;
    case MODEL_SERVICES:
        return row_service(row)->update_status.message;
    case MODEL_TASKS: {
        const struct task_status *status = &row_task(row)->status;
        return !str_is_empty(status->error) ? status->error : status->message;
    }
    case MODEL_KIND_COUNT:
        break;
    }
    return "";
}

const char *view_image(const struct model_row *row) {
    const struct model_row *service = row->kind == MODEL_TASKS ? row->service : row;
    return service != NULL && service->kind == MODEL_SERVICES ? row_service(service)->spec.image : "";
}

const char *view_node_name(const struct model_row *task) {
    if (task->node != NULL) {
        return task->node->label;
    }
    return id_is_none(&row_task(task)->node_id) ? "-" : row_task(task)->node_id.text;
}
