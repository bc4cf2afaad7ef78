// SPDX-License-Identifier: Apache-2.0
//
// base/map.c — linear probing with backward-shift deletion; grows at three quarters.
#include "base/map.h"

#include <string.h>
#include <sys/random.h>

#include "base/assert.h"
#include "base/mem.h"

struct map_slot {
    const char *key; // NULL = empty
    void *value;
    uint64_t hash;
};

static uint64_t seed_once(void) {
    static uint64_t seed; // set once; a race writes two random values, and maps are filled after start
    if (seed == 0) {
        ssize_t got = getrandom(&seed, sizeof seed, 0);
        ASSERT(got == sizeof seed);
        seed |= 1;
    }
    return seed;
}

static uint64_t hash_of(const char *key) {
    uint64_t hash = seed_once();
    for (; *key != '\0'; key++) {
        hash = (hash ^ (unsigned char)*key) * UINT64_C(0x9E3779B97F4A7C15);
        hash ^= hash >> 29;
    }
    return hash;
}

// The slot that holds the key, or the empty slot where it belongs.
static size_t slot_of(const struct map *map, const char *key, uint64_t hash) {
    size_t mask = map->capacity - 1;
    size_t i = hash & mask;
    while (map->slots[i].key != NULL && (map->slots[i].hash != hash || strcmp(map->slots[i].key, key) != 0)) {
        i = (i + 1) & mask;
    }
    return i;
}

void *map_get(const struct map *map, const char *key) {
    return map->count == 0 ? NULL : map->slots[slot_of(map, key, hash_of(key))].value;
}

static void map_grow(struct map *map) {
    struct map old = *map;
    map->capacity = old.capacity == 0 ? 16 : old.capacity * 2;
    map->slots = xcalloc(map->capacity, sizeof *map->slots);
    for (size_t i = 0; i < old.capacity; i++) {
        if (old.slots[i].key != NULL) {
            map->slots[slot_of(map, old.slots[i].key, old.slots[i].hash)] = old.slots[i];
        }
    }
    xfree(old.slots);
}

void *map_put(struct map *map, const char *key, void *value) {
    ASSERT(value != NULL);
    if ((map->count + 1) * 4 > map->capacity * 3) {
        map_grow(map);
    }
    uint64_t hash = hash_of(key);
    struct map_slot *slot = &map->slots[slot_of(map, key, hash)];
    void *replaced = slot->value;
    map->count += slot->key == NULL;
    *slot = (struct map_slot){.key = key, .value = value, .hash = hash};
    return replaced;
}

void *map_remove(struct map *map, const char *key) {
    if (map->count == 0) {
        return NULL;
    }
    size_t mask = map->capacity - 1;
    size_t hole = slot_of(map, key, hash_of(key));
    void *removed = map->slots[hole].value;
    if (map->slots[hole].key == NULL) {
        return NULL;
    }
    for (size_t i = (hole + 1) & mask; map->slots[i].key != NULL; i = (i + 1) & mask) {
        size_t home = map->slots[i].hash & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            map->slots[hole] = map->slots[i];
            hole = i;
        }
    }
    map->slots[hole] = (struct map_slot){0};
    map->count--;
    return removed;
}

void map_free(struct map *map) {
    xfree(map->slots);
    *map = (struct map){0};
}

void *map_next(const struct map *map, size_t *cursor) {
    while (*cursor < map->capacity) {
        struct map_slot *slot = &map->slots[(*cursor)++];
        if (slot->key != NULL) {
            return slot->value;
        }
    }
    return NULL;
}
