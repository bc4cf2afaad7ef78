// SPDX-License-Identifier: Apache-2.0
//
// tui/view_tasks.c — the columns of tasks.
#include "base/str.h"
#include "specs/image.h"
#include "tui/view.h"

static void task_label(const struct model_row *row, const struct view_env *env, struct buf *out) {
    (void)env;
    buf_adds(out, row->label);
}

static void task_node(const struct model_row *row, const struct view_env *env, struct buf *out) {
    (void)env;
    buf_adds(out, view_node_name(row));
}

static void task_state_word(const struct model_row *row, const struct view_env *env, struct buf *out) {
    (void)env;
    buf_adds(out, view_badge(row).word);
}

static void task_age(const struct model_row *row, const struct view_env *env, struct buf *out) {
    view_age(row_task(row)->status.since_unix_ms, env, out);
}

static void task_revision(const struct model_row *row, const struct view_env *env, struct buf *out) {
    (void)env;
    buf_addf(out, "r%lld", (long long)row_task(row)->revision);
}

static void task_try(const struct model_row *row, const struct view_env *env, struct buf *out) {
    (void)env;
    buf_addf(out, "%lld", (long long)row_task(row)->attempt + 1);
}

static void task_image(const struct model_row *row, const struct view_env *env, struct buf *out) {
    (void)env;
    AUTO_ARENA arena = {0};
    buf_adds(out, image_familiar(view_image(row), &arena));
}

// A message that only says the state again is left out.
static void task_remark(const struct model_row *row, const struct view_env *env, struct buf *out) {
    (void)env;
    const struct task_status *status = &row_task(row)->status;
    const char *remark = view_remark(row);
    if (str_is_empty(status->error) && model_task_class(row_task(row)) == CLASS_RUNNING) {
        return;
    }
    buf_adds(out, remark);
}

// tidy: table
static const struct column columns[] = {
    {"NAME", 14, 2, 0, .sort = SORT_NAME, .text = task_label},
    {"NODE", 10, 0, 2, .sort = SORT_NODE, .text = task_node},
    {"STATE", 9, 0, 1, .is_styled = true, .sort = SORT_STATE, .text = task_state_word},
    {"SINCE", 6, 0, 4, .is_right = true, .sort = SORT_AGE, .text = task_age},
    {"TRY", 3, 0, 6, .is_right = true, .sort = SORT_COUNT, .text = task_try},
    {"REV", 4, 0, 7, .is_right = true, .sort = SORT_COUNT, .text = task_revision},
    {"REMARK", 24, 4, 3, .sort = SORT_COUNT, .text = task_remark},
    {"IMAGE", 18, 1, 8, .sort = SORT_IMAGE, .text = task_image},
};

const struct view view_tasks = {
    .title = "Tasks",
    .kind = MODEL_TASKS,
    .columns = columns,
    .column_count = sizeof columns / sizeof *columns,
    .empty = "No tasks.",
};
