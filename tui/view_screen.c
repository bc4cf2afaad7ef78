// SPDX-License-Identifier: Apache-2.0
//
// tui/view_screen.c — frames on a stack and the keys that move between them. Drawing is in view_paint.c.
#include "tui/view_screen.h"

#include <string.h>

#include "base/assert.h"
#include "base/str.h"
#include "tui/view_paint.h"
#include "tui/view_text.h"

static const struct key_row keys[KEY_ACTION_COUNT] = {
#define X(name, first, second, contexts, shown, label, help)                                                 \
    [KEY_DO_##name] = {(uint32_t)(first), (uint32_t)(second), (contexts), (shown), (label), (help)},
    KEY_LIST(X)
#undef X
};

const struct key_row *key_row(enum key_action action) {
    return &keys[action];
}

enum key_action key_find(uint32_t press, unsigned context) {
    for (int i = 1; press != PRESS_NONE && i < KEY_ACTION_COUNT; i++) {
        if ((keys[i].first == press || keys[i].second == press) && (keys[i].contexts & context) != 0) {
            return (enum key_action)i;
        }
    }
    return KEY_NOTHING;
}

// --- frames ---

static struct frame *top_of(struct screen *screen) {
    return screen->depth > 0 ? &screen->stack[screen->depth - 1] : &screen->roots[screen->root];
}

const struct frame *screen_top(const struct screen *screen) {
    return screen->depth > 0 ? &screen->stack[screen->depth - 1] : &screen->roots[screen->root];
}

void screen_init(struct screen *screen, int columns, int rows) {
    *screen = (struct screen){.root = VIEW_SERVICES};
    for (int i = 0; i < VIEW_ROOTS; i++) {
        screen->roots[i].view = (enum view_id)i;
    }
    screen_resize(screen, columns, rows);
}

void screen_deinit(struct screen *screen) {
    arena_free(&screen->arena);
}

void screen_resize(struct screen *screen, int columns, int rows) {
    screen->columns = columns < 1 ? 1 : columns > GRID_SIDE_MAX ? GRID_SIDE_MAX : columns;
    screen->rows = rows < 1 ? 1 : rows > GRID_SIDE_MAX ? GRID_SIDE_MAX : rows;
}

// Views left by Esc give their lists back only with the screen: a new frame takes over what lies in its
// place.
static struct frame *push(struct screen *screen, enum view_id view, const struct model_row *subject) {
    if (screen->depth == FRAMES_MAX) {
        return NULL;
    }
    struct frame *frame = &screen->stack[screen->depth++];
    struct model_row **rows = frame->list.rows;
    size_t capacity = frame->list.capacity;
    *frame = (struct frame){.view = view, .subject = subject->id, .subject_kind = subject->kind};
    frame->list.rows = rows;
    frame->list.capacity = capacity;
    AUTO_BUF safe = buf_make(0);
    str_escape(&safe, subject->label, strlen(subject->label), /* keep_newlines */ false);
    if (!str_copy(frame->label, sizeof frame->label, buf_text(&safe))) {
        str_copy(frame->label, sizeof frame->label, subject->id.text);
    }
    return frame;
}

static const struct model_row *subject_of(const struct frame *frame, const struct model *model) {
    return model_find(model, frame->subject_kind, frame->subject.text);
}

static bool is_list(const struct frame *frame) {
    return view_of(frame->view)->columns != NULL;
}

// --- settling ---

static size_t count_lines(const struct frame *frame, const struct model *model, const struct view_env *env,
                          int columns) {
    AUTO_ARENA scratch = {0};
    struct text text = {.columns = columns, .arena = &scratch, .env = env};
    paint_text(frame, model, &text);
    return text.count;
}

static size_t clamp_top(size_t top, size_t count, int rows) {
    size_t visible = rows < 1 ? 1 : (size_t)rows;
    size_t last = count > visible ? count - visible : 0;
    return top > last ? last : top;
}

void screen_settle(struct screen *screen, struct model *model, const struct view_env *env) {
    struct frame *frame = top_of(screen);
    struct paint_plan plan = paint_plan(screen);
    model_settle(model);
    if (is_list(frame)) {
        list_refresh(&frame->list, model, view_of(frame->view)->kind, plan.list_rows, env, &screen->arena);
    } else {
        frame->line_count = count_lines(frame, model, env, plan.text_columns);
        frame->top = clamp_top(frame->top, frame->line_count, plan.body_rows);
    }
    if (screen->is_help) {
        screen->help_count = KEY_ACTION_COUNT + 1;
        screen->help_top = clamp_top(screen->help_top, screen->help_count, plan.body_rows);
    }
}

// --- what keys do ---

static void filter_changed(struct screen *screen, struct frame *frame) {
    filter_parse(&frame->list.filter, ++screen->serial);
}

static void filter_set(struct screen *screen, struct frame *frame, const char *text) {
    str_copy(frame->list.filter.text, sizeof frame->list.filter.text, text);
    filter_changed(screen, frame);
}

static void type_character(struct screen *screen, struct frame *frame, uint32_t press) {
    char *text = frame->list.filter.text;
    size_t len = strlen(text);
    AUTO_BUF piece = buf_make(16);
    grid_add_utf8(&piece, press);
    if (str_is_safe(press) && len + piece.len < sizeof frame->list.filter.text) {
        memcpy(text + len, piece.data, piece.len + 1);
        filter_changed(screen, frame);
    }
}

static void erase_character(struct screen *screen, struct frame *frame) {
    char *text = frame->list.filter.text;
    size_t len = strlen(text);
    while (len > 0 && ((unsigned char)text[--len] & 0xC0) == 0x80) {
    }
    text[len] = '\0';
    filter_changed(screen, frame);
}

static void press_typing(struct screen *screen, uint32_t press) {
    struct frame *frame = top_of(screen);
    if (press == PRESS_ENTER) {
        screen->is_typing = false;
    } else if (press == PRESS_ESC || press == PRESS_CTRL_C) {
        screen->is_typing = false;
        filter_set(screen, frame, screen->typed_before);
    } else if (press == PRESS_BACKSPACE) {
        erase_character(screen, frame);
    } else if (press == PRESS_CTRL_U) {
        filter_set(screen, frame, "");
    } else if (press >= PRESS_SPACE && press < 0x110000) {
        type_character(screen, frame, press);
    }
}

void screen_paste(struct screen *screen, struct model *model, const struct view_env *env, const char *text) {
    for (size_t len = strlen(text); len > 0 && screen->is_typing;) {
        uint32_t codepoint = 0;
        size_t taken = str_decode(text, len, &codepoint);
        if (taken > 0 && codepoint >= PRESS_SPACE) {
            type_character(screen, top_of(screen), codepoint);
        }
        text += taken > 0 ? taken : 1;
        len -= taken > 0 ? taken : 1;
    }
    screen_settle(screen, model, env);
}

static void move(struct screen *screen, int64_t by) {
    struct paint_plan plan = paint_plan(screen);
    struct frame *frame = top_of(screen);
    size_t *top = screen->is_help ? &screen->help_top : &frame->top;
    size_t count = screen->is_help ? screen->help_count : frame->line_count;
    if (!screen->is_help && is_list(frame)) {
        list_move(&frame->list, by, plan.list_rows);
    } else if (by < 0) {
        *top = *top > (uint64_t)-by ? *top - (uint64_t)-by : 0;
    } else {
        *top =
            clamp_top(*top > SIZE_MAX - (uint64_t)by ? SIZE_MAX : *top + (uint64_t)by, count, plan.body_rows);
    }
}

static void open_selected(struct screen *screen) {
    struct frame *from = top_of(screen);
    const struct model_row *row = is_list(from) ? list_selected(&from->list) : NULL;
    if (row == NULL) {
        return;
    }
    struct frame *frame = push(screen, row->kind == MODEL_TASKS ? VIEW_DETAIL : VIEW_TASKS, row);
    if (frame != NULL && frame->view == VIEW_TASKS) {
        frame->list.scope = row->kind == MODEL_NODES ? SCOPE_NODE : SCOPE_SERVICE;
        frame->list.scope_id = row->id;
    }
}

static void open_as(struct screen *screen, const struct model *model, enum view_id view) {
    struct frame *from = top_of(screen);
    const struct model_row *row = is_list(from) ? list_selected(&from->list) : subject_of(from, model);
    if (row != NULL && from->view != view) {
        push(screen, view, row);
    }
}

static void back(struct screen *screen) {
    struct frame *frame = top_of(screen);
    if (screen->is_help) {
        screen->is_help = false;
    } else if (frame->list.filter.text[0] != '\0') {
        filter_set(screen, frame, "");
    } else if (screen->depth > 0) {
        screen->depth--;
    }
}

static void go_to(struct screen *screen, int root) {
    screen->root = (root + VIEW_ROOTS) % VIEW_ROOTS;
    screen->depth = 0;
    screen->is_help = false;
}

static void begin_filter(struct screen *screen) {
    struct frame *frame = top_of(screen);
    memcpy(screen->typed_before, frame->list.filter.text, sizeof screen->typed_before);
    screen->is_typing = true;
    screen->is_help = false;
}

// The selection goes to the first row: a new order is asked for to see what comes first in it.
static void sort_by(struct frame *frame, struct model_order order) {
    frame->list.order = order;
}

static void turn_order(struct screen *screen, bool is_next) {
    struct frame *frame = top_of(screen);
    struct model_order order = frame->list.order;
    if (is_next) {
        order = (struct model_order){list_next_sort(view_of(frame->view), order.by), false};
    } else {
        order.is_reverse = !order.is_reverse;
    }
    sort_by(frame, order);
}

// How far an action moves the selection, of a page of so many rows; 0 = it is no movement.
static int rows_moved(enum key_action action, int page) {
    const int half = (page + 1) / 2;
    const int rows[KEY_ACTION_COUNT] = {
        [KEY_DO_UP] = -1,
        [KEY_DO_DOWN] = 1,
        [KEY_DO_PAGE_UP] = -page,
        [KEY_DO_PAGE_DOWN] = page,
        [KEY_DO_HALF_UP] = -half,
        [KEY_DO_HALF_DOWN] = half,
        [KEY_DO_FIRST] = -INT32_MAX,
        [KEY_DO_LAST] = INT32_MAX,
    };
    return rows[action];
}

// tidy: flat switch
static void act(struct screen *screen, const struct model *model, enum key_action action) {
    int page = paint_plan(screen).body_rows - 1;
    int rows = rows_moved(action, page < 1 ? 1 : page);
    if (rows != 0) {
        move(screen, rows);
        return;
    }
    switch (action) {
    case KEY_DO_OPEN:
        open_selected(screen);
        break;
    case KEY_DO_BACK:
        back(screen);
        break;
    case KEY_DO_DETAIL:
        open_as(screen, model, VIEW_DETAIL);
        break;
    case KEY_DO_YAML:
        open_as(screen, model, VIEW_YAML);
        break;
    case KEY_DO_FILTER:
        begin_filter(screen);
        break;
    case KEY_DO_SORT:
        turn_order(screen, /* is_next */ true);
        break;
    case KEY_DO_REVERSE:
        turn_order(screen, /* is_next */ false);
        break;
    case KEY_DO_TRIES:
        top_of(screen)->list.has_history = !top_of(screen)->list.has_history;
        break;
    case KEY_DO_VIEW_NODES:
        go_to(screen, VIEW_NODES);
        break;
    case KEY_DO_VIEW_SERVICES:
        go_to(screen, VIEW_SERVICES);
        break;
    case KEY_DO_VIEW_TASKS:
        go_to(screen, VIEW_TASKS);
        break;
    case KEY_DO_NEXT:
        go_to(screen, screen->root + 1);
        break;
    case KEY_DO_PREVIOUS:
        go_to(screen, screen->root - 1);
        break;
    case KEY_DO_REPAINT:
        screen->wants_repaint = true;
        break;
    case KEY_DO_SUSPEND:
        screen->wants_suspend = true;
        break;
    case KEY_DO_HELP:
        screen->is_help = !screen->is_help;
        screen->help_top = 0;
        break;
    case KEY_DO_QUIT:
        screen->wants_quit = true;
        break;
    case KEY_DO_UP: // the movements are done
    case KEY_DO_DOWN:
    case KEY_DO_PAGE_UP:
    case KEY_DO_PAGE_DOWN:
    case KEY_DO_HALF_UP:
    case KEY_DO_HALF_DOWN:
    case KEY_DO_FIRST:
    case KEY_DO_LAST:
    case KEY_NOTHING:
    case KEY_ACTION_COUNT:
        break;
    }
}

// In help, everything that is not a movement closes it first.
static bool closes_help(enum key_action action) {
    return action == KEY_DO_OPEN || action == KEY_DO_DETAIL || action == KEY_DO_YAML ||
           action == KEY_DO_SORT || action == KEY_DO_REVERSE || action == KEY_DO_TRIES;
}

void screen_press(struct screen *screen, struct model *model, const struct view_env *env, uint32_t press) {
    screen_settle(screen, model, env);
    if (screen->is_typing) {
        press_typing(screen, press);
    } else {
        enum key_action action = key_find(press, paint_context(screen_top(screen)));
        if (screen->is_help && closes_help(action)) {
            screen->is_help = false;
        } else if (!(screen->is_help && action == KEY_DO_QUIT && press == 'q')) {
            act(screen, model, action);
        } else {
            screen->is_help = false;
        }
    }
    screen_settle(screen, model, env);
}
