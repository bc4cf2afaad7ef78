// SPDX-License-Identifier: Apache-2.0
//
// tui/view_filter.h — what is typed after `/`: words that must all be there, `!word` that must not,
// `state:failed`, `node:w4`, `age<5m`.
#ifndef MUSTER_TUI_VIEW_FILTER_H
#define MUSTER_TUI_VIEW_FILTER_H

#include "tui/view.h"

#define FILTER_BYTES_MAX 120
#define FILTER_TERMS_MAX 12

enum filter_field {
    FILTER_ANY,
    FILTER_NAME,
    FILTER_STATE,
    FILTER_NODE,
    FILTER_SERVICE,
    FILTER_IMAGE,
    FILTER_ERROR,
    FILTER_AGE,
};

struct filter_term {
    enum filter_field field;
    bool is_not;
    bool is_less; // age: younger than
    int64_t ms;
    const char *word; // into filter.words
};

struct filter {
    char text[FILTER_BYTES_MAX];  // as typed
    char words[FILTER_BYTES_MAX]; // … cut up
    struct filter_term terms[FILTER_TERMS_MAX];
    size_t count;
    char problem[96]; // what cannot be understood, for the user; the rest of the filter holds
    uint64_t serial;  // rows remember what this filter said of them
};

// Understands filter->text anew. `serial` must never have been used for another filter.
void filter_parse(struct filter *filter, uint64_t serial);
static inline bool filter_is_empty(const struct filter *filter) {
    return filter->count == 0;
}
// Remembers the answer in the row until the row or the filter changes.
bool filter_match(const struct filter *filter, struct model_row *row, const struct view_env *env);

#endif
