// SPDX-License-Identifier: Apache-2.0
//
// base/list.h — intrusive doubly linked list. A zeroed node is "not linked", which link and unlink assert.
#ifndef MUSTER_BASE_LIST_H
#define MUSTER_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/assert.h"

struct list_node {
    struct list_node *next, *prev;
};

// Zero-initialised is not usable: call list_init.
struct list {
    struct list_node head;
};

#define LIST_ENTRY(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))
// Safe against removing `node` inside the body.
#define LIST_EACH(node, list)                                                                                \
    for (struct list_node *node = (list)->head.next, *node##_next = node->next; node != &(list)->head;       \
         node = node##_next, node##_next = node->next)

static inline void list_init(struct list *list) {
    list->head.next = list->head.prev = &list->head;
}
static inline bool list_is_empty(const struct list *list) {
    return list->head.next == &list->head;
}
static inline bool list_is_linked(const struct list_node *node) {
    return node->next != NULL;
}
static inline void list_append(struct list *list, struct list_node *node) {
    ASSERT(!list_is_linked(node));
    node->prev = list->head.prev;
    node->next = &list->head;
    node->prev->next = node;
    list->head.prev = node;
}
static inline void list_remove(struct list_node *node) {
    ASSERT(list_is_linked(node));
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->next = node->prev = NULL;
}
static inline struct list_node *list_first(struct list *list) {
    return list_is_empty(list) ? NULL : list->head.next;
}

#endif
