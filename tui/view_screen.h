// SPDX-License-Identifier: Apache-2.0
//
// tui/view_screen.h — the whole screen: header, tabs, the view in work, footer; and what keys do to it.
//
// Model        Three lists (nodes, services, tasks) are the roots. Enter goes into what is selected, Esc
//              comes back: frames on a stack, each with its own selection, filter and order. Keys are rows
//              of one table, from which come the footer and the help.
// Sizes        From 1x1 up. Wide screens show the selected object beside the list; small ones lose first the
//              rules, then the tabs, then columns: always something that is true, never a "too small".
// Invariants   Esc leads to a root in as many steps as the stack is deep, and three for help, a filter being
//              typed, a filter. A selection is always a row that is listed.
#ifndef MUSTER_TUI_VIEW_SCREEN_H
#define MUSTER_TUI_VIEW_SCREEN_H

#include "tui/press.h"
#include "tui/view_list.h"

#define FRAMES_MAX 8
#define SUBJECT_BYTES 64

struct frame {
    enum view_id view;
    struct list list;  // of views with columns
    struct id subject; // of views of text, and the scope of a list
    enum model_kind subject_kind;
    char label[SUBJECT_BYTES]; // of the subject, for when it is gone
    size_t top, line_count;    // of views of text
};

struct screen {
    struct arena arena; // of the lists
    struct frame roots[VIEW_ROOTS];
    struct frame stack[FRAMES_MAX];
    int root, depth;
    bool is_help;
    size_t help_top, help_count;
    bool is_typing; // a filter
    char typed_before[FILTER_BYTES_MAX];
    uint64_t serial; // of the last filter
    int columns, rows;
    bool wants_quit, wants_repaint, wants_suspend; // for the loop to see and clear
};

void screen_init(struct screen *screen, int columns, int rows);
void screen_deinit(struct screen *screen);
void screen_resize(struct screen *screen, int columns, int rows);

// Brings lists and scroll positions up to the model. Call it after model_apply and before the other two.
void screen_settle(struct screen *screen, struct model *model, const struct view_env *env);
// Acts on a key; settles before and after.
void screen_press(struct screen *screen, struct model *model, const struct view_env *env, uint32_t press);
// Pasted text goes into a filter that is being typed, and nowhere else.
void screen_paste(struct screen *screen, struct model *model, const struct view_env *env, const char *text);
struct grid screen_draw(const struct screen *screen, const struct model *model, const struct view_env *env,
                        struct arena *arena);
const struct frame *screen_top(const struct screen *screen);

// --- the table of keys ---

enum key_context { ON_LIST = 1, ON_TEXT = 2, ON_TASKS = 4 };

// action, first key, second key, contexts, shown in the footer (0 = only in help), label, help
#define KEY_LIST(X)                                                                                          \
    X(OPEN, PRESS_ENTER, PRESS_RIGHT, ON_LIST, 9, "open",                                                    \
      "go into it: tasks of a node or service, a task's detail")                                             \
    X(BACK, PRESS_ESC, PRESS_LEFT, ON_LIST | ON_TEXT, 8, "back", "one step back; never leaves the console")  \
    X(DETAIL, 'd', 'i', ON_LIST, 7, "detail", "all about the selected object: state, errors in full, tries") \
    X(YAML, 'y', PRESS_NONE, ON_LIST | ON_TEXT, 6, "yaml", "what was declared, as YAML")                     \
    X(FILTER, '/', PRESS_NONE, ON_LIST, 5, "filter", "words, !word, state:failed, node:w4, image:x, age<5m") \
    X(SORT, 's', PRESS_NONE, ON_LIST, 4, "sort", "sort by the next column")                                  \
    X(REVERSE, 'S', PRESS_NONE, ON_LIST, 0, "reverse", "reverse the order")                                  \
    X(TRIES, 'a', PRESS_NONE, ON_TASKS, 3, "all tries",                                                      \
      "show ended tries of each slot too, or only what counts now")                                          \
    X(VIEW_NODES, '1', PRESS_NONE, ON_LIST | ON_TEXT, 0, "nodes", "nodes")                                   \
    X(VIEW_SERVICES, '2', PRESS_NONE, ON_LIST | ON_TEXT, 0, "services", "services")                          \
    X(VIEW_TASKS, '3', PRESS_NONE, ON_LIST | ON_TEXT, 0, "tasks", "tasks of the whole cluster")              \
    X(NEXT, PRESS_TAB, PRESS_NONE, ON_LIST | ON_TEXT, 0, "next", "next view")                                \
    X(PREVIOUS, PRESS_BACK_TAB, PRESS_NONE, ON_LIST | ON_TEXT, 0, "previous", "previous view")               \
    X(UP, 'k', PRESS_UP, ON_LIST | ON_TEXT, 0, "up", "up a line")                                            \
    X(DOWN, 'j', PRESS_DOWN, ON_LIST | ON_TEXT, 0, "down", "down a line")                                    \
    X(PAGE_UP, PRESS_PAGE_UP, PRESS_NONE, ON_LIST | ON_TEXT, 0, "page up", "up a page")                      \
    X(PAGE_DOWN, PRESS_PAGE_DOWN, PRESS_SPACE, ON_LIST | ON_TEXT, 0, "page down", "down a page")             \
    X(HALF_UP, PRESS_CTRL_U, PRESS_NONE, ON_LIST | ON_TEXT, 0, "half up", "up half a page")                  \
    X(HALF_DOWN, PRESS_CTRL_D, PRESS_NONE, ON_LIST | ON_TEXT, 0, "half down", "down half a page")            \
    X(FIRST, 'g', PRESS_HOME, ON_LIST | ON_TEXT, 0, "first", "first line")                                   \
    X(LAST, 'G', PRESS_END, ON_LIST | ON_TEXT, 0, "last", "last line")                                       \
    X(REPAINT, PRESS_CTRL_L, PRESS_NONE, ON_LIST | ON_TEXT, 0, "repaint", "paint the screen anew")           \
    X(SUSPEND, PRESS_CTRL_Z, PRESS_NONE, ON_LIST | ON_TEXT, 0, "suspend",                                    \
      "back to the shell; fg comes back here")                                                               \
    X(HELP, '?', PRESS_NONE, ON_LIST | ON_TEXT, 2, "keys", "this page")                                      \
    X(QUIT, 'q', PRESS_CTRL_C, ON_LIST | ON_TEXT, 1, "leave", "leave the console; nothing stops")

enum key_action {
    KEY_NOTHING,
#define X(name, first, second, contexts, shown, label, help) KEY_DO_##name,
    KEY_LIST(X)
#undef X
        KEY_ACTION_COUNT
};
struct key_row {
    uint32_t first, second;
    unsigned contexts;
    int shown;
    const char *label, *help;
};
const struct key_row *key_row(enum key_action action);
enum key_action key_find(uint32_t press, unsigned context);

#endif
