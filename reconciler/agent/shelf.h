// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/shelf.h — the secrets and configs that tasks of this node need: in memory, and nowhere
// else.
//
// Each content is there once, for as long as anybody uses it. Its pages are locked, left out of core dumps,
// not passed on to children, and overwritten before they are given back.
#ifndef MUSTER_RECONCILER_AGENT_SHELF_H
#define MUSTER_RECONCILER_AGENT_SHELF_H

#include "base/buf.h"
#include "base/id.h"
#include "base/map.h"
#include "specs/assignment.h"

struct shelf_item {
    struct id id;
    struct bytes data; // of exactly this content, for good
    unsigned uses;
    size_t mapped_bytes;
    struct shelf *shelf; // NULL: it has ended before its last user
};
// Zero-initialised is empty. Fields are private. Loop thread only; the bytes of an item that is used may be
// read from any thread.
struct shelf {
    struct map items;
};
void shelf_deinit(struct shelf *shelf);

// Uses the content: puts the bytes there, unless it has them.
struct shelf_item *shelf_put(struct shelf *shelf, const struct id *id, struct bytes data);
struct shelf_item *shelf_use(struct shelf *shelf, const struct id *id); // NULL: it is not there
void shelf_leave(struct shelf_item *item);                              // uses it no more; accepts NULL

// Some items that somebody uses together.
struct shelf_items {
    size_t count;
    struct shelf_item **items; // NULL entries: not there
};
// Of the files of an assignment, in their order; accepts no shelf.
struct shelf_items shelf_use_all(struct shelf *shelf, const struct assignment *assignment);
void shelf_items_leave(struct shelf_items *items);

#endif
