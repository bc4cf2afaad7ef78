// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/entries.c — a ring by index.
#include "reconciler/store/entries.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

void entries_init(struct entries *entries, size_t capacity, uint64_t last) {
    *entries = (struct entries){.capacity = capacity, .base = last, .last = last};
    entries->ring = xcalloc(capacity, sizeof *entries->ring);
}

void entries_deinit(struct entries *entries) {
    if (entries->ring != NULL) {
        entries_reset(entries, 0);
        xfree(entries->ring);
        entries->ring = NULL;
    }
}

static struct cached_entry *slot(const struct entries *entries, uint64_t index) {
    return &entries->ring[index % entries->capacity];
}

struct cached_entry *entries_at(struct entries *entries, uint64_t index) {
    return index > entries->base && index <= entries->last ? slot(entries, index) : NULL;
}

void entries_push(struct entries *entries, const struct log_entry *entry, struct pending *owner) {
    if (entries->last - entries->base == entries->capacity) { // more than the log holds: the oldest goes
        entries_evict(entries, entries->base + 1, 0);
    }
    ASSERT(entries->last - entries->base < entries->capacity);
    struct cached_entry *at = slot(entries, ++entries->last);
    *at = (struct cached_entry){.entry = *entry, .owner = owner};
    uint8_t *copy = xmalloc(entry->payload.len + 1);
    if (entry->payload.len > 0) {
        memcpy(copy, entry->payload.data, entry->payload.len);
    }
    at->entry.payload.data = copy;
    entries->bytes += entry->payload.len;
}

static void drop(struct entries *entries, uint64_t index) {
    struct cached_entry *at = slot(entries, index);
    entries->bytes -= at->entry.payload.len;
    xfree((void *)(uintptr_t)at->entry.payload.data);
    *at = (struct cached_entry){0};
}

void entries_cut(struct entries *entries, uint64_t last) {
    while (entries->last > last && entries->last > entries->base) {
        drop(entries, entries->last--);
    }
    if (entries->last > last) { // it lies before what is held
        entries->base = entries->last = last;
    }
}

void entries_reset(struct entries *entries, uint64_t last) {
    entries_cut(entries, entries->base);
    entries->base = entries->last = last;
}

void entries_evict(struct entries *entries, uint64_t index, size_t bytes_max) {
    while (entries->base < index && entries->base < entries->last && entries->bytes > bytes_max) {
        drop(entries, ++entries->base);
    }
}
