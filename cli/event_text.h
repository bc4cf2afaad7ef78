// SPDX-License-Identifier: Apache-2.0
//
// cli/event_text.h — an event of the history in words: whose, what changed, from what to what.
#ifndef MUSTER_CLI_EVENT_TEXT_H
#define MUSTER_CLI_EVENT_TEXT_H

#include "base/map.h"
#include "cli/output.h"

struct event_row {
    const struct event *event;
    const char *kind;   // "task"
    const char *action; // create, update, remove
    const char *name;   // "web.3"
    const char *text;   // "starting -> running"
};
extern const struct listing event_listing; // of struct event_row

// Names of services and nodes by id, learned from lists and from the events themselves.
struct event_names {
    struct arena arena;
    struct map by_id; // const char *
};
void event_names_add(struct event_names *names, const struct id *id, const char *name);
void event_names_free(struct event_names *names);

// Puts the event into words, in the arena. -ERR_CORRUPT when an object in it cannot be read.
int event_row_make(struct event_names *names, const struct event *event, struct arena *arena,
                   struct event_row *out, struct error *err);

#endif
