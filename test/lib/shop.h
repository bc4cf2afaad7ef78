// SPDX-License-Identifier: Apache-2.0
//
// test/lib/shop.h — a cluster made up as a watch stream: what the console's tests, benchmark and
// scripts look at.
#ifndef MUSTER_TEST_LIB_SHOP_H
#define MUSTER_TEST_LIB_SHOP_H

#include "base/prng.h"
#include "tui/model.h"

#define SHOP_START_UNIX_MS 1767225600000LL // 2026-01-01T00:00:00Z

// Events gather in `batch` until shop_take.
struct shop {
    struct arena arena;
    int64_t revision;
    int64_t now_unix_ms;
    bool is_snapshot; // what is put is marked as part of one
    struct event_batch batch;
};

// A readable id: the letter, zeros, the number.
struct id shop_id(char letter, int64_t number);
void shop_init(struct shop *shop);
void shop_free(struct shop *shop);

// Objects with their defaults, to be changed and put.
struct node *shop_node(struct shop *shop, int64_t number, const char *name);
struct service *shop_service(struct shop *shop, int64_t number, const char *name, int64_t replicas);
struct task *shop_task(struct shop *shop, int64_t number, const struct id *service, int64_t slot,
                       const struct id *node, int64_t state);

// Adds an event that creates or changes the object (a struct of the kind), at the next revision.
void shop_put(struct shop *shop, enum object_kind kind, void *object, const char *why);
void shop_delete(struct shop *shop, enum object_kind kind, const struct id *id);
// The events so far as a batch that brings the reader up to date; the next one starts empty.
struct event_batch shop_take(struct shop *shop);

// The cluster of the goldens: nodes in all states, services in all states, failed tries, a task without a
// home.
void shop_fill(struct shop *shop);
// `tasks` running tasks of services of 10, on 100 nodes.
void shop_fill_large(struct shop *shop, int64_t tasks);

#endif
