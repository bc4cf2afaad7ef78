// SPDX-License-Identifier: Apache-2.0
//
// tui/view_nodes.c — the columns of nodes.
#include "base/str.h"
#include "base/units.h"
#include "specs/node.h"
#include "tui/view.h"

static void node_name(const struct model_row *row, const struct view_env *env, struct buf *out) {
    (void)env;
    buf_adds(out, row->label);
}

static void node_state(const struct model_row *row, const struct view_env *env, struct buf *out) {
    (void)env;
    buf_adds(out, view_badge(row).word);
}

static void node_availability(const struct model_row *row, const struct view_env *env, struct buf *out) {
    (void)env;
    buf_adds(out, node_availability_names[row_node(row)->spec.availability]);
}

static void node_role(const struct model_row *row, const struct view_env *env, struct buf *out) {
    (void)env;
    const struct node *node = row_node(row);
    bool is_leader = node->manager != NULL && node->manager->leader;
    buf_adds(out, is_leader               ? "leader"
                  : node->manager != NULL ? "manager"
                                          : node_role_names[node->spec.role]);
}

static void node_tasks(const struct model_row *row, const struct view_env *env, struct buf *out) {
    (void)env;
    buf_addf(out, "%lld/%lld", (long long)row->load.running, (long long)row->load.tasks);
}

static void node_cpus(const struct model_row *row, const struct view_env *env, struct buf *out) {
    (void)env;
    char set_aside[32];
    char all[32];
    buf_addf(out, "%s/%s", units_format_cpus(row->load.cpus_nano, set_aside, sizeof set_aside),
             units_format_cpus(row_node(row)->description.cpus_nano, all, sizeof all));
}

static void node_memory(const struct model_row *row, const struct view_env *env, struct buf *out) {
    (void)env;
    char set_aside[32];
    char all[32];
    buf_addf(out, "%s/%s", units_human_bytes(row->load.memory_bytes, set_aside, sizeof set_aside),
             units_human_bytes(row_node(row)->description.memory_bytes, all, sizeof all));
}

static void node_address(const struct model_row *row, const struct view_env *env, struct buf *out) {
    (void)env;
    buf_adds(out, row_node(row)->status.address);
}

static void node_age(const struct model_row *row, const struct view_env *env, struct buf *out) {
    view_age(row_node(row)->status.since_unix_ms, env, out);
}

static void node_remark(const struct model_row *row, const struct view_env *env, struct buf *out) {
    (void)env;
    buf_adds(out, view_remark(row));
}

// tidy: table
static const struct column columns[] = {
    {"NAME", 12, 2, 0, .sort = SORT_NAME, .text = node_name},
    {"STATE", 7, 0, 1, .is_styled = true, .sort = SORT_STATE, .text = node_state},
    {"AVAIL", 6, 0, 3, .sort = SORT_COUNT, .text = node_availability},
    {"ROLE", 7, 0, 4, .sort = SORT_COUNT, .text = node_role},
    {"TASKS", 7, 0, 2, .is_right = true, .sort = SORT_LOAD, .text = node_tasks},
    {"CPU", 7, 0, 6, .is_right = true, .sort = SORT_COUNT, .text = node_cpus},
    {"MEMORY", 16, 0, 7, .is_right = true, .sort = SORT_COUNT, .text = node_memory},
    {"SINCE", 6, 0, 5, .is_right = true, .sort = SORT_COUNT, .text = node_age},
    {"ADDRESS", 15, 0, 9, .sort = SORT_COUNT, .text = node_address},
    {"REMARK", 8, 3, 8, .sort = SORT_COUNT, .text = node_remark},
};

const struct view view_nodes = {
    .title = "Nodes",
    .kind = MODEL_NODES,
    .columns = columns,
    .column_count = sizeof columns / sizeof *columns,
    .empty = "No nodes: this daemon is not in a cluster. Make one with: muster swarm init",
};
