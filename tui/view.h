// SPDX-License-Identifier: Apache-2.0
//
// tui/view.h — what all views share: the surroundings they are drawn in, columns, the vtable, words for
// states.
//
// Views are pure: (model, size, capabilities, now) → grid. That one rule gives tests by golden text, scripts,
// `--plain` and pictures for documents from the same code.
#ifndef MUSTER_TUI_VIEW_H
#define MUSTER_TUI_VIEW_H

#include "tui/grid.h"
#include "tui/model.h"

// How fresh the picture is. The header always tells it.
enum link_state {
    LINK_CONNECTING, // nothing was ever shown
    LINK_LOADING,    // inside a snapshot
    LINK_LIVE,
    LINK_DOUBTFUL, // the daemon answers, and itself does not know what is new
    LINK_SILENT,   // connected, but the daemon does not answer
    LINK_STALE,    // not connected: the last picture is shown
    LINK_REPLAY,   // of a recording
};

struct view_env {
    bool is_ascii;
    int64_t now_unix_ms;
    int64_t now_ms;   // the model's clock
    int utc_offset_s; // of the clock in the header
    enum link_state link;
    int64_t link_age_ms;     // STALE, SILENT: since the daemon was heard of last; DOUBTFUL: for how long
    int64_t link_retry_ms;   // STALE: until it is tried again
    const char *link_reason; // STALE, SILENT, DOUBTFUL, CONNECTING: why; "" = none
    const char *node_name;   // of the daemon talked to; "" = not known
};

#define CHANGE_SHOWN_MS 3000 // how long a changed row is marked
bool view_is_changed(const struct model_row *row, const struct view_env *env);

typedef void (*column_text_fn)(const struct model_row *row, const struct view_env *env, struct buf *out);

// Widths are fixed, so that a table does not jump when its content changes; what is left over goes to the
// columns that grow. In a narrow table those with the highest `priority` are left out first.
struct column {
    const char *title;
    int width, grow, priority;
    bool is_right;
    bool is_styled;       // takes the style of the row's state
    enum model_sort sort; // what `s` sorts by on this column; SORT_COUNT = not
    column_text_fn text;
};

enum view_id { VIEW_NODES, VIEW_SERVICES, VIEW_TASKS, VIEW_DETAIL, VIEW_YAML, VIEW_COUNT };
#define VIEW_ROOTS 3 // the first views are those on 1, 2, 3

struct view {
    const char *title;
    enum model_kind kind;         // lists: of what
    const struct column *columns; // lists; NULL for views of text
    size_t column_count;
    const char *empty; // what to say when there is nothing to list, and how to change that
};
extern const struct view view_nodes, view_services, view_tasks, view_detail, view_yaml;
const struct view *view_of(enum view_id id);

// --- words ---

struct badge {
    enum glyph glyph;
    enum style style;
    const char *word;
};
struct badge view_badge(const struct model_row *row);
// "18s", "3m07s", "2h05m", "3d04h"; "-" for a time that is not known.
void view_age(int64_t since_unix_ms, const struct view_env *env, struct buf *out);
void view_duration(int64_t ms, struct buf *out);
// What there is to say about a row beyond its columns: the error, else the message. Never NULL.
const char *view_remark(const struct model_row *row);
const char *view_image(const struct model_row *row); // "" = not known
const char *view_node_name(const struct model_row *task);

#endif
