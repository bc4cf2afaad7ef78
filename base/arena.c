// SPDX-License-Identifier: Apache-2.0
//
// base/arena.c — chunks in a list, newest first; each allocation bumps a pointer.
//
// Model        Chunks double from 4 KiB to 256 KiB; what is larger gets a chunk of its own. The rest of a
//              chunk that was too small is given up, never searched.
// Invariants   (1) `used_bytes` never exceeds the ceiling. (2) Memory handed out is zeroed.
// Failure      None to handle: an arena that reaches its ceiling ends the process (see arena.h).
// Proof        Under ASan all that is not handed out is poisoned and allocations stand 16 bytes apart, so a
//              use after arena_clear and a read beyond the end are found at the access. Unoptimised builds
//              fill cleared memory with 0xDD.
#include "base/arena.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif

#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define GAP_BYTES ((size_t)16)
#else
#define ASAN_POISON_MEMORY_REGION(at, bytes) ((void)(at), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(at, bytes) ((void)(at), (void)(bytes))
#define GAP_BYTES ((size_t)0)
#endif

#define CHUNK_BYTES_MIN ((size_t)4096)
#define CHUNK_BYTES_MAX ((size_t)256 * 1024)
#define CEILING_BYTES_DEFAULT ((size_t)1024 * 1024 * 1024)
#define ALIGNMENT ((size_t)16)
#define CLEARED_BYTE 0xDD

struct arena_chunk {
    struct arena_chunk *older;
    size_t bytes; // of data
    size_t used;
    _Alignas(16) uint8_t data[];
};

struct arena arena_make(size_t ceiling_bytes) {
    return (struct arena){.ceiling_bytes = ceiling_bytes};
}

static struct arena_chunk *chunk_new(struct arena *arena, size_t at_least) {
    size_t bytes = arena->chunk == NULL ? CHUNK_BYTES_MIN : arena->chunk->bytes * 2;
    bytes = bytes > CHUNK_BYTES_MAX ? CHUNK_BYTES_MAX : bytes;
    bytes = bytes < at_least ? at_least : bytes;
    struct arena_chunk *chunk = xmalloc(sizeof *chunk + bytes);
    *chunk = (struct arena_chunk){.older = arena->chunk, .bytes = bytes};
    ASAN_POISON_MEMORY_REGION(chunk->data, chunk->bytes);
    arena->chunk = chunk;
    return chunk;
}

static void chunk_free(struct arena_chunk *chunk) {
    ASAN_UNPOISON_MEMORY_REGION(chunk->data, chunk->bytes);
    xfree(chunk);
}

// Makes what was handed out recognisable: a dangling pointer must not go on working by luck.
static void chunk_clear(struct arena_chunk *chunk) {
#ifndef __OPTIMIZE__
    ASAN_UNPOISON_MEMORY_REGION(chunk->data, chunk->used);
    memset(chunk->data, CLEARED_BYTE, chunk->used);
#endif
    ASAN_POISON_MEMORY_REGION(chunk->data, chunk->bytes);
    chunk->older = NULL;
    chunk->used = 0;
}

void *arena_alloc(struct arena *arena, size_t bytes) {
    size_t ceiling = arena->ceiling_bytes != 0 ? arena->ceiling_bytes : CEILING_BYTES_DEFAULT;
    ASSERT(bytes <= ceiling);
    ASSERT(arena->used_bytes <= ceiling - bytes);
    size_t rounded = ((bytes + ALIGNMENT - 1) & ~(ALIGNMENT - 1)) + GAP_BYTES;
    struct arena_chunk *chunk = arena->chunk;
    if (chunk == NULL || chunk->bytes - chunk->used < rounded) {
        chunk = chunk_new(arena, rounded);
    }
    void *memory = chunk->data + chunk->used;
    chunk->used += rounded;
    arena->used_bytes += bytes;
    ASAN_UNPOISON_MEMORY_REGION(memory, bytes);
    return memset(memory, 0, bytes);
}

void arena_free(struct arena *arena) {
    for (struct arena_chunk *chunk = arena->chunk; chunk != NULL;) {
        struct arena_chunk *older = chunk->older;
        chunk_free(chunk);
        chunk = older;
    }
    arena->chunk = NULL;
    arena->used_bytes = 0;
}

void arena_clear(struct arena *arena) {
    struct arena_chunk *kept = arena->chunk;
    if (kept == NULL || kept->bytes > CHUNK_BYTES_MAX) {
        arena_free(arena); // one large request must not be remembered for ever
        return;
    }
    arena->chunk = kept->older;
    arena_free(arena);
    chunk_clear(kept);
    arena->chunk = kept;
}

void *arena_copy(struct arena *arena, const void *data, size_t bytes) {
    void *copy = arena_alloc(arena, bytes);
    return bytes > 0 ? memcpy(copy, data, bytes) : copy;
}

char *arena_strndup(struct arena *arena, const char *text, size_t len) {
    char *copy = arena_alloc(arena, len + 1);
    if (len > 0) {
        memcpy(copy, text, len);
    }
    return copy;
}

char *arena_strdup(struct arena *arena, const char *text) {
    return arena_strndup(arena, text, strlen(text));
}

char *arena_vprintf(struct arena *arena, const char *format, va_list args) {
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    ASSERT(len >= 0);
    char *text = arena_alloc(arena, (size_t)len + 1);
    vsnprintf(text, (size_t)len + 1, format, again);
    va_end(again);
    return text;
}

char *arena_printf(struct arena *arena, const char *format, ...) {
    va_list args;
    va_start(args, format);
    char *text = arena_vprintf(arena, format, args);
    va_end(args);
    return text;
}

void *arena_array(struct arena *arena, size_t count, size_t bytes) {
    size_t total;
    bool overflow = __builtin_mul_overflow(count, bytes, &total);
    ASSERT(!overflow);
    return arena_alloc(arena, total);
}

void *arena_grow(struct arena *arena, void *items, size_t count, size_t bytes) {
    if ((count & (count - 1)) != 0) {
        return items; // not a power of two: there is room
    }
    void *grown = arena_array(arena, count == 0 ? 1 : count * 2, bytes);
    if (count > 0) {
        memcpy(grown, items, count * bytes);
    }
    return grown;
}
