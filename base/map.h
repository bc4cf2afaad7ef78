// SPDX-License-Identifier: Apache-2.0
//
// base/map.h — a hash map from short keys (ids, names) to pointers, for run-time indexes of long-lived
// objects.
//
// Open addressing, power-of-two table, keyed SipHash-like mixing seeded per process so that names chosen by
// users cannot build chains. Keys are borrowed: they must live in the value or longer. Iteration order is
// unspecified; who needs order sorts.
#ifndef MUSTER_BASE_MAP_H
#define MUSTER_BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

struct map_slot;

// Zero-initialised is empty.
struct map {
    struct map_slot *slots;
    size_t count;
    size_t capacity;
};

void *map_get(const struct map *map, const char *key); // NULL when absent
void *map_put(struct map *map, const char *key,
              void *value); // returns the value it replaced, or NULL; value is not NULL
void *map_remove(struct map *map, const char *key); // returns the value removed, or NULL
void map_free(struct map *map);                     // forgets all; values are the caller's
// *cursor starts at 0; returns NULL at the end. Do not put or remove while iterating.
void *map_next(const struct map *map, size_t *cursor);

#endif
