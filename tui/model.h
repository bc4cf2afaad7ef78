// SPDX-License-Identifier: Apache-2.0
//
// tui/model.h — the cluster as the console knows it: the watch stream's events applied to sorted rows.
//
// Subscribed once, from a revision; nothing is ever asked for again. The cost of an event is that of the rows
// it touches, so a cluster of 10,000 tasks is as cheap to look at as one of ten.
//
// Model        Each kind has a table of rows in the order that its view wants. An event takes a row's weight
//              out of what is summed over rows (a service's running tasks, a node's load), changes the row,
//              and puts it in again, at another place if its key has changed. Tasks of one place (slot of a
//              service, or node of a global one) are chained: its tries, of which the newest speaks for it.
// Resync       A snapshot replaces what is there row by row, so that rows keep their identity and marks; what
//              it did not name is swept at its end. Until then the old picture stays.
// Ownership    Rows and their tables live as long as the model; objects live in an arena that is copied
//              over to a new one when half of it is out of date. Pointers to objects are good until the
//              next model_apply, pointers to rows until the row is gone.
// Purity       The time is a parameter; memory comes from the model's arenas (and the maps of base/map.h).
#ifndef MUSTER_TUI_MODEL_H
#define MUSTER_TUI_MODEL_H

#include "base/map.h"
#include "specs/cluster.h"
#include "specs/node.h"
#include "specs/service.h"
#include "specs/task.h"
#include "transport/messages.h"

// The kinds that are watched, as watch_request.kinds.
#define MODEL_KINDS (1 << KIND_CLUSTER | 1 << KIND_NODE | 1 << KIND_SERVICE | 1 << KIND_TASK)

enum model_kind { MODEL_NODES, MODEL_SERVICES, MODEL_TASKS, MODEL_KIND_COUNT };

// A place for tasks: a slot of a service, or a node of a global one.
struct model_place {
    char key[2 * ID_LEN + 32];
    struct model_row *first;  // chain of all tries, in no order
    struct model_row *newest; // speaks for the place
    size_t count;
    struct model_place *next_free;
};

// Sums over the tasks of a service or node.
struct model_load {
    int64_t tasks; // that are not over
    // places by what their newest try is
    int64_t running, starting, pending, failed, complete, leaving, stopped;
    int64_t old;                     // running, but of an older revision
    int64_t cpus_nano, memory_bytes; // set aside by tasks that are not over
};

struct model_row {
    struct id id;
    enum model_kind kind;
    const void *object;     // struct node, struct service or struct task
    const char *label;      // what people call it: "web.3", "web", "w1"; in the arena of objects
    int64_t changed_ms;     // model time of the last change that was not part of a first snapshot; 0 = none
    int64_t created_ms;     // the same for its appearing
    const char *who, *why;  // of the last change, in the arena of objects
    struct model_load load; // services and nodes
    struct model_row *service, *node; // tasks: NULL when not known (yet, or any more)
    struct model_place *place;        // tasks
    struct model_row *place_next, *place_before;
    uint64_t snapshot; // that last named it
    uint64_t match;    // serial of the filter that was asked last, and
    bool is_match;     // what it said
    bool is_gone;
};

static inline const struct node *row_node(const struct model_row *row) {
    return row->object;
}
static inline const struct service *row_service(const struct model_row *row) {
    return row->object;
}
static inline const struct task *row_task(const struct model_row *row) {
    return row->object;
}

// Orders by a column first, then by name, then by id: total. Ages are newest first.
enum model_sort { SORT_NAME, SORT_STATE, SORT_NODE, SORT_AGE, SORT_LOAD, SORT_IMAGE, SORT_COUNT };
struct model_order {
    enum model_sort by;
    bool is_reverse;
};

struct model_table {
    struct map by_id;
    struct model_row **rows;
    size_t count, capacity;
    struct model_order order;
    bool is_unsorted; // rows are appended until model_settle
};

struct model {
    struct arena objects;
    size_t compact_at_bytes;
    struct arena rows;
    struct model_row *free_rows;
    struct model_row *gone_rows; // services and nodes that tasks may still point to
    struct model_place *free_places;
    struct map places;
    struct model_table tables[MODEL_KIND_COUNT];
    const struct cluster *cluster; // NULL until known
    int64_t revision;              // that the picture has reached
    int64_t event_unix_ms;         // time of the last event
    bool is_caught_up;             // has been, since the stream began
    bool is_loading;               // inside a snapshot
    bool is_first;                 // … the first one: nothing in it is a change
    uint64_t snapshot;             // serial
    uint64_t generation;           // raised by every change
    bool is_renamed;               // a service or node came, went or got another name since model_settle
    uint64_t events, resyncs;      // applied so far
};

void model_init(struct model *model);
void model_deinit(struct model *model);

// A snapshot is about to come (the watch began at revision 0, or said `skipped`).
void model_begin_snapshot(struct model *model);
// Applies a batch at model time now_ms (any clock that does not go back). -ERR_CORRUPT for an object that
// cannot be read: what came before it in the batch has been applied, and the stream must start again from 0.
int model_apply(struct model *model, const struct event_batch *batch, int64_t now_ms, struct error *err);
// Sorts what a snapshot or a new order left unsorted; memory that is out of date is given back. Call it
// before reading tables.
void model_settle(struct model *model);
void model_set_order(struct model *model, enum model_kind kind, struct model_order order);

// or NULL
const struct model_row *model_find(const struct model *model, enum model_kind kind, const char *id);
// <0, 0, >0 as the table orders them.
int model_compare(const struct model_row *a, const struct model_row *b, struct model_order order);

// The newest try of its place, or not over yet.
bool model_is_current(const struct model_row *task);
// The tries of a place, newest first, in the arena.
struct model_rows {
    size_t count;
    const struct model_row **items;
};
struct model_rows model_tries(const struct model_place *place, struct arena *arena);

// What a task is to its place: the classes that model_load counts.
enum task_class {
    CLASS_RUNNING,
    CLASS_STARTING,
    CLASS_PENDING,
    CLASS_FAILED,
    CLASS_COMPLETE,
    CLASS_LEAVING,
    CLASS_STOPPED
};
enum task_class model_task_class(const struct task *task);
// Wanted tasks: replicas, or the places of a global service.
int64_t model_wanted(const struct model_row *service);
bool model_is_old(const struct model_row *task); // runs an older revision that needs replacing

#endif
