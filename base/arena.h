// SPDX-License-Identifier: Apache-2.0
//
// base/arena.h — a region: many small allocations, one lifetime, one free.
//
// Requests, passes of a planner, decoded objects: decide the lifetime first, then allocate from it
// (PostgreSQL's memory contexts, h2o's request pools). Memory is zeroed, aligned to 16. An arena has a
// ceiling; reaching it ends the process, so whatever is sized by input is bounded (base/limits.h) before it
// gets here.
#ifndef MUSTER_BASE_ARENA_H
#define MUSTER_BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

struct arena_chunk;

// Zero-initialised is an empty arena with the default ceiling (1 GiB). Fields are private.
struct arena {
    struct arena_chunk *chunk;
    size_t used_bytes; // handed out since the last clear
    size_t ceiling_bytes;
};

struct arena arena_make(size_t ceiling_bytes);
void arena_clear(struct arena *arena); // everything handed out dies; one chunk is kept for reuse
void arena_free(struct arena *arena);  // gives all memory back; the arena is usable again

void *arena_alloc(struct arena *arena, size_t bytes); // zeroed, never NULL
void *arena_copy(struct arena *arena, const void *data, size_t bytes);
char *arena_strdup(struct arena *arena, const char *text);
char *arena_strndup(struct arena *arena, const char *text, size_t len);
char *arena_printf(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprintf(struct arena *arena, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

#define ARENA_NEW(arena, type) ((type *)arena_alloc((arena), sizeof(type)))
#define ARENA_ARRAY(arena, type, count) ((type *)arena_array((arena), (count), sizeof(type)))
void *arena_array(struct arena *arena, size_t count, size_t bytes); // overflow of the product aborts

// A list in an arena is any struct with `size_t count; T *items;`. ARENA_PUSH appends one zeroed element
// and yields its address; the array doubles at powers of two, so no capacity is stored. Addresses of
// elements die at the next push.
#define ARENA_PUSH(arena, list)                                                                              \
    ((list)->items = arena_grow((arena), (list)->items, (list)->count, sizeof *(list)->items),               \
     &(list)->items[(list)->count++])
void *arena_grow(struct arena *arena, void *items, size_t count, size_t bytes);

#define AUTO_ARENA __attribute__((cleanup(arena_free))) struct arena

#endif
