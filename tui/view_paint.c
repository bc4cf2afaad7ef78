// SPDX-License-Identifier: Apache-2.0
//
// tui/view_paint.c — draws the screen: what stands where, and what is left out when there is less room.
#include "tui/view_paint.h"

#include <string.h>

#include "base/str.h"
#include "specs/cluster.h"

#define PANE_COLUMNS_MIN 100 // from here on there is room for a second pane
#define DAY_MS (24 * 3600 * 1000LL)

static bool is_list(const struct frame *frame) {
    return view_of(frame->view)->columns != NULL;
}

struct paint_plan paint_plan(const struct screen *screen) {
    int rows = screen->rows;
    int columns = screen->columns;
    const struct frame *frame = screen_top(screen);
    struct paint_plan plan = {
        .has_header = rows >= 3,
        .has_tabs = rows >= 10 && columns >= 24,
        .has_rules = rows >= 18,
        .has_heading = rows >= 7 && columns >= 40 && is_list(frame),
        .has_footer = rows >= 5,
        .has_remark = rows >= 12 && is_list(frame),
        .has_pane = columns >= PANE_COLUMNS_MIN && rows >= 12 && is_list(frame),
    };
    plan.body_row = plan.has_header + plan.has_tabs + plan.has_rules;
    plan.body_rows = rows - plan.body_row - plan.has_footer - plan.has_remark - plan.has_rules;
    plan.list_rows = plan.body_rows - plan.has_heading;
    plan.list_columns = plan.has_pane ? columns * 11 / 20 : columns;
    plan.text_columns = columns > 4 ? columns - 2 : columns;
    return plan;
}

unsigned paint_context(const struct frame *frame) {
    return !is_list(frame) ? ON_TEXT : frame->view == VIEW_TASKS ? ON_LIST | ON_TASKS : ON_LIST;
}

void paint_text(const struct frame *frame, const struct model *model, struct text *text) {
    const struct model_row *row = model_find(model, frame->subject_kind, frame->subject.text);
    if (row == NULL) {
        text_addf(text, 0, STYLE_WAIT, "%s is gone.", frame->label);
        text_add(text, 0, STYLE_DIM, "Esc goes back.");
    } else if (frame->view == VIEW_YAML) {
        text_of_yaml(row, text);
    } else {
        text_of_detail(model, row, text);
    }
}

// --- header ---

struct totals {
    int64_t nodes, nodes_ready, wanted, running;
};

static struct totals totals_of(const struct model *model) {
    struct totals totals = {.nodes = (int64_t)model->tables[MODEL_NODES].count};
    for (size_t i = 0; i < model->tables[MODEL_NODES].count; i++) {
        totals.nodes_ready += row_node(model->tables[MODEL_NODES].rows[i])->status.state == NODE_READY;
    }
    for (size_t i = 0; i < model->tables[MODEL_SERVICES].count; i++) {
        const struct model_row *row = model->tables[MODEL_SERVICES].rows[i];
        totals.wanted += model_wanted(row);
        totals.running += row->load.running;
    }
    return totals;
}

static enum style freshness(const struct view_env *env, struct buf *out) {
    switch (env->link) {
    case LINK_CONNECTING:
        buf_adds(out, "CONNECTING");
        return STYLE_WAIT;
    case LINK_LOADING:
        buf_adds(out, "LOADING");
        return STYLE_BUSY;
    case LINK_LIVE:
        buf_adds(out, "LIVE");
        return STYLE_GOOD;
    case LINK_REPLAY:
        buf_adds(out, "REPLAY");
        return STYLE_BUSY;
    case LINK_DOUBTFUL:
        buf_adds(out, "NO QUORUM ");
        break;
    case LINK_SILENT:
        buf_adds(out, "SILENT ");
        break;
    case LINK_STALE:
        buf_adds(out, "STALE ");
        break;
    }
    view_duration(env->link_age_ms, out);
    return STYLE_BAD;
}

static void draw_clock(const struct view_env *env, struct buf *out) {
    int64_t local = env->now_unix_ms + env->utc_offset_s * 1000LL;
    int64_t s = (local % DAY_MS + DAY_MS) % DAY_MS / 1000;
    buf_addf(out, "%02d:%02d:%02d", (int)(s / 3600), (int)(s / 60 % 60), (int)(s % 60));
}

// Freshness is said first; the rest takes what room there is.
static void draw_header(const struct model *model, const struct view_env *env, const struct area *screen) {
    struct area line = area_part(screen, 0, 0, screen->columns, 1);
    struct totals totals = totals_of(model);
    AUTO_BUF fresh = buf_make(64);
    AUTO_BUF clock = buf_make(64);
    AUTO_BUF left = buf_make(1024);
    enum style style = freshness(env, &fresh);
    int at = line.columns - (int)fresh.len - 1;
    area_put(&line, at < 0 ? 0 : at, 0, line.columns, buf_text(&fresh), style);
    if (line.columns >= 60) {
        draw_clock(env, &clock);
        at -= (int)clock.len + 2;
        area_put(&line, at, 0, line.columns, buf_text(&clock), STYLE_PLAIN);
    }
    const char *name = model->cluster != NULL ? model->cluster->spec.name : "muster";
    bool is_short = line.columns < 60;
    int taken = is_short ? 0 : area_put(&line, 1, 0, at - 2, name, STYLE_STRONG) + 2;
    if (!is_short && env->node_name[0] != '\0') {
        buf_addf(&left, "on %s  ", env->node_name);
    }
    buf_addf(&left, line.columns < 36 ? "n%lld/%lld t%lld/%lld" : "nodes %lld/%lld  tasks %lld/%lld",
             (long long)totals.nodes_ready, (long long)totals.nodes, (long long)totals.running,
             (long long)totals.wanted);
    if (!is_short) {
        buf_addf(&left, "  rev %lld", (long long)model->revision);
    }
    area_put(&line, taken + 1, 0, at - taken - 2, buf_text(&left), STYLE_PLAIN);
}

// --- tabs ---

// "[2 Services] > web > web.3": where one is, and what else there is.
static void draw_tabs(const struct screen *screen, const struct model *model, const struct area *area,
                      int row) {
    int at = 1;
    for (int i = 0; i < VIEW_ROOTS; i++) {
        bool is_here = i == screen->root;
        AUTO_BUF tab = buf_make(64);
        buf_addf(&tab, is_here ? "[%d %s]" : " %d %s ", i + 1, view_of((enum view_id)i)->title);
        at += area_put(area, at, row, area->columns - at, buf_text(&tab), is_here ? STYLE_STRONG : STYLE_DIM);
    }
    for (int i = 0; i < screen->depth; i++) {
        const struct frame *frame = &screen->stack[i];
        AUTO_BUF crumb = buf_make(256);
        bool is_again = i > 0 && id_equal(&frame->subject, &screen->stack[i - 1].subject);
        buf_addf(&crumb, " > %s%s", is_again ? "" : frame->label,
                 frame->view == VIEW_YAML     ? (is_again ? "yaml" : " yaml")
                 : frame->view == VIEW_DETAIL ? ""
                                              : " tasks");
        at += area_put(area, at, row, area->columns - at, buf_text(&crumb), STYLE_STRONG);
    }
    const struct frame *top = screen_top(screen);
    if (is_list(top)) {
        AUTO_BUF count = buf_make(64);
        size_t all = model->tables[view_of(top->view)->kind].count;
        buf_addf(&count, top->list.count == all ? "%zu" : "%zu of %zu", top->list.count, all);
        int width = (int)count.len;
        if (at + width + 2 < area->columns) {
            area_put(area, area->columns - width - 1, row, width, buf_text(&count), STYLE_DIM);
        }
    }
}

// --- footer ---

static void draw_filter(const struct screen *screen, const struct frame *frame, const struct area *area,
                        int row) {
    const struct filter *filter = &frame->list.filter;
    int at = area_put(area, 0, row, area->columns, "/", STYLE_KEY);
    at += area_put(area, at, row, area->columns - at - 1, filter->text, STYLE_STRONG);
    if (screen->is_typing) {
        at += area_put(area, at, row, 1, area->grid->is_ascii ? "_" : "▏", STYLE_KEY);
    }
    const char *note = filter->problem[0] != '\0' ? filter->problem
                       : screen->is_typing        ? "Enter keeps it, Esc drops it"
                                                  : "Esc shows all again";
    area_put(area, at + 2, row, area->columns - at - 2, note,
             filter->problem[0] != '\0' ? STYLE_BAD : STYLE_DIM);
}

// The most wanted keys first, as many as there is room for; those that lead out last, in their place.
static void draw_keys(const struct screen *screen, const struct area *area, int row) {
    unsigned context = paint_context(screen_top(screen));
    int at = 1;
    for (int shown = 9; shown > 0; shown--) {
        for (int i = 1; i < KEY_ACTION_COUNT; i++) {
            const struct key_row *key = key_row((enum key_action)i);
            bool is_dead = i == KEY_DO_BACK && screen->depth == 0;
            char name[16];
            if (key->shown != shown || (key->contexts & context) == 0 || is_dead) {
                continue;
            }
            int width = (int)strlen(press_name(key->first, name)) + 1 + (int)strlen(key->label);
            int kept = shown > 2   ? (int)strlen("  ? keys  q leave")
                       : shown > 1 ? (int)strlen("  q leave")
                                   : 0;
            if (at + width + kept > area->columns) {
                continue;
            }
            at += area_put(area, at, row, area->columns - at, name, STYLE_KEY) + 1;
            at += area_put(area, at, row, area->columns - at, key->label, STYLE_PLAIN) + 2;
        }
    }
}

static void draw_footer(const struct screen *screen, const struct view_env *env, const struct area *area,
                        int row) {
    const struct frame *frame = screen_top(screen);
    bool is_lost = env->link != LINK_LIVE && env->link != LINK_LOADING && env->link != LINK_REPLAY;
    if (is_list(frame) && (screen->is_typing || frame->list.filter.text[0] != '\0')) {
        draw_filter(screen, frame, area, row);
    } else if (is_lost && env->link_reason[0] != '\0') {
        AUTO_BUF text = buf_make(1024);
        buf_adds(&text, env->link_reason);
        if (env->link_retry_ms > 0) {
            buf_adds(&text, "; again in ");
            view_duration(env->link_retry_ms + 999, &text);
        }
        area_put(area, 1, row, area->columns - 1, buf_text(&text), STYLE_BAD);
    } else {
        draw_keys(screen, area, row);
    }
}

// What the selected row has to say that its columns cut.
static void draw_remark(const struct frame *frame, const struct area *area, int row) {
    const struct model_row *selected = list_selected(&frame->list);
    if (selected == NULL || view_remark(selected)[0] == '\0' || view_badge(selected).style == STYLE_GOOD) {
        return;
    }
    struct badge badge = view_badge(selected);
    AUTO_BUF text = buf_make(0);
    buf_addf(&text, "%s: %s", selected->label, view_remark(selected));
    area_put(area, 1, row, area->columns - 1, buf_text(&text),
             badge.style == STYLE_BAD ? STYLE_BAD : STYLE_DIM);
}

// --- body ---

static void draw_pane(const struct frame *frame, const struct model *model, const struct view_env *env,
                      const struct paint_plan *plan, const struct area *body) {
    const struct model_row *selected = list_selected(&frame->list);
    int left = plan->list_columns;
    if (selected == NULL) {
        return;
    }
    for (int row = 0; row < body->rows; row++) {
        area_put(body, left, row, 1, glyph_text(GLYPH_BAR, env->is_ascii), STYLE_DIM);
    }
    AUTO_ARENA scratch = {0};
    struct area pane = area_part(body, left + 2, 0, body->columns - left - 2, body->rows);
    struct text text = {.columns = pane.columns, .arena = &scratch, .env = env};
    text_of_detail(model, selected, &text);
    text_draw(&text, 0, &pane);
    if (text.count > (size_t)pane.rows && pane.rows > 0) {
        struct area last = area_part(&pane, 0, pane.rows - 1, pane.columns, 1);
        area_fill(&last, 0, GLYPH_NONE, STYLE_PLAIN);
        area_put(&last, 0, 0, pane.columns, "more: d shows all", STYLE_DIM);
    }
}

static void draw_help(const struct screen *screen, const struct area *body) {
    int line = 0;
    for (size_t i = screen->help_top; i < KEY_ACTION_COUNT + 1 && line < body->rows; i++, line++) {
        if (i == 0) {
            area_put(body, 1, line, body->columns - 1, "KEYS", STYLE_HEADING);
            continue;
        }
        if (i >= KEY_ACTION_COUNT) {
            area_put(body, 1, line, body->columns - 1, "Esc closes this page.", STYLE_DIM);
            continue;
        }
        const struct key_row *key = key_row((enum key_action)i);
        bool is_dead = (key->contexts & paint_context(screen_top(screen))) == 0;
        char first[16];
        char second[16];
        press_name(key->first, first);
        int at = 1 + area_put(body, 1, line, body->columns - 1, first, is_dead ? STYLE_DIM : STYLE_KEY);
        if (key->second != PRESS_NONE) {
            at += 1 + area_put(body, at + 1, line, body->columns, press_name(key->second, second),
                               is_dead ? STYLE_DIM : STYLE_KEY);
        }
        at = at < 14 ? 14 : at + 1;
        at += area_put(body, at, line, body->columns - at, key->help, is_dead ? STYLE_DIM : STYLE_PLAIN);
        if (is_dead) {
            area_put(body, at, line, body->columns - at, "  (not in this view)", STYLE_DIM);
        }
    }
}

static void draw_body(const struct screen *screen, const struct model *model, const struct view_env *env,
                      const struct paint_plan *plan, const struct area *body) {
    const struct frame *frame = screen_top(screen);
    if (screen->is_help) {
        draw_help(screen, body);
    } else if (is_list(frame)) {
        int columns = frame->list.count > 0 ? plan->list_columns : body->columns;
        struct area list = area_part(body, 0, 0, columns, body->rows);
        struct list_look look = {.has_heading = plan->has_heading, .has_focus = true};
        bool is_unknown = frame->list.count == 0 && !model->is_caught_up;
        if (is_unknown) {
            area_put(&list, 1, 0, list.columns - 1, "Waiting for the first picture.", STYLE_DIM);
        } else {
            list_draw(&frame->list, view_of(frame->view), env, look, &list);
        }
        if (plan->has_pane) {
            draw_pane(frame, model, env, plan, body);
        }
    } else {
        AUTO_ARENA scratch = {0};
        struct text text = {.columns = plan->text_columns, .arena = &scratch, .env = env};
        paint_text(frame, model, &text);
        int margin = body->columns > 4;
        struct area inner = area_part(body, margin, 0, body->columns - margin, body->rows);
        text_draw(&text, frame->top, &inner);
    }
}

struct grid screen_draw(const struct screen *screen, const struct model *model, const struct view_env *env,
                        struct arena *arena) {
    struct grid grid = grid_make(arena, screen->columns, screen->rows, env->is_ascii);
    struct area area = grid_area(&grid);
    struct paint_plan plan = paint_plan(screen);
    struct area body = area_part(&area, 0, plan.body_row, area.columns, plan.body_rows);
    area.grid = body.grid = &grid;
    if (plan.has_header) {
        draw_header(model, env, &area);
    }
    if (plan.has_tabs) {
        draw_tabs(screen, model, &area, 1);
    }
    draw_body(screen, model, env, &plan, &body);
    if (plan.has_rules) {
        area_fill(&area, plan.body_row - 1, GLYPH_LINE, STYLE_DIM);
        area_fill(&area, plan.body_row + plan.body_rows, GLYPH_LINE, STYLE_DIM);
    }
    if (plan.has_remark) {
        draw_remark(screen_top(screen), &area, area.rows - 1 - plan.has_footer);
    }
    if (plan.has_footer) {
        draw_footer(screen, env, &area, area.rows - 1);
    }
    return grid;
}
