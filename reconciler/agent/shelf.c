// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/shelf.c — one private mapping for each content.
#include "reconciler/agent/shelf.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/mem.h"

static size_t whole_pages(size_t bytes) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (bytes / page + 1) * page; // at least one
}

// Locking may be forbidden beyond a limit; what cannot be locked can be written to swap, as any memory can.
static void map_item(struct shelf_item *item, struct bytes data) {
    item->mapped_bytes = whole_pages(data.len);
    void *memory = mmap(NULL, item->mapped_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT(memory != MAP_FAILED);
    (void)mlock(memory, item->mapped_bytes);
    (void)madvise(memory, item->mapped_bytes, MADV_DONTDUMP);
    (void)madvise(memory, item->mapped_bytes, MADV_WIPEONFORK);
    if (data.len > 0) {
        memcpy(memory, data.data, data.len);
    }
    item->data = (struct bytes){memory, data.len};
}

static void free_item(struct shelf_item *item) {
    void *memory = (void *)(uintptr_t)item->data.data;
    explicit_bzero(memory, item->mapped_bytes);
    munmap(memory, item->mapped_bytes);
    xfree(item);
}

struct shelf_item *shelf_use(struct shelf *shelf, const struct id *id) {
    struct shelf_item *item = map_get(&shelf->items, id->text);
    if (item != NULL) {
        item->uses++;
    }
    return item;
}

struct shelf_item *shelf_put(struct shelf *shelf, const struct id *id, struct bytes data) {
    struct shelf_item *item = shelf_use(shelf, id);
    if (item == NULL) {
        item = NEW(struct shelf_item);
        item->id = *id;
        item->uses = 1;
        item->shelf = shelf;
        map_item(item, data);
        map_put(&shelf->items, item->id.text, item);
    }
    return item;
}

void shelf_leave(struct shelf_item *item) {
    if (item == NULL || --item->uses > 0) {
        return;
    }
    if (item->shelf != NULL) {
        map_remove(&item->shelf->items, item->id.text);
    }
    free_item(item);
}

struct shelf_items shelf_use_all(struct shelf *shelf, const struct assignment *assignment) {
    struct shelf_items all = {.count = assignment->files.count};
    all.items = all.count > 0 ? xcalloc(all.count, sizeof *all.items) : NULL;
    for (size_t i = 0; i < all.count; i++) {
        all.items[i] = shelf != NULL ? shelf_use(shelf, &assignment->files.items[i].content) : NULL;
    }
    return all;
}

void shelf_items_leave(struct shelf_items *items) {
    for (size_t i = 0; i < items->count; i++) {
        shelf_leave(items->items[i]);
    }
    xfree(items->items);
    *items = (struct shelf_items){0};
}

void shelf_deinit(struct shelf *shelf) {
    size_t cursor = 0;
    for (struct shelf_item *item; (item = map_next(&shelf->items, &cursor)) != NULL;) {
        item->shelf = NULL; // work on a thread may be at it still
    }
    map_free(&shelf->items);
}
