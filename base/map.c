// SPDX-License-Identifier: Apache-2.0
//
// base/map.c — linear probing with backward-shift deletion; grows at three quarters, never shrinks.
//
// Names come from users, so the hash is keyed: SipHash-1-3 (Aumasson, Bernstein 2012) with the 16 random
// bytes that the kernel hands to every process. No seed of our own means no state to initialise and nothing
// for threads to race on.
#include "base/map.h"

#include <string.h>
#include <sys/auxv.h>

#include "base/assert.h"
#include "base/mem.h"

struct map_slot {
    const char *key; // NULL = empty
    void *value;
    uint64_t hash;
};

static uint64_t rotate(uint64_t x, int k) {
    return x << k | x >> (64 - k);
}

static void sip_round(uint64_t v[4]) {
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
}

static uint64_t sip_hash(const uint64_t key[2], const void *data, size_t len) {
    uint64_t v[4] = {key[0] ^ UINT64_C(0x736F6D6570736575), key[1] ^ UINT64_C(0x646F72616E646F6D),
                     key[0] ^ UINT64_C(0x6C7967656E657261), key[1] ^ UINT64_C(0x7465646279746573)};
    const uint8_t *p = data;
    for (size_t left = len;; left -= 8, p += 8) {
        uint64_t word = left < 8 ? (uint64_t)len << 56 : 0;
        for (size_t i = 0; i < (left < 8 ? left : 8); i++) {
            word |= (uint64_t)p[i] << (8 * i);
        }
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
        if (left < 8) {
            break;
        }
    }
    v[2] ^= 0xFF;
    sip_round(v);
    sip_round(v);
    sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static uint64_t hash_of(const char *key) {
    uint64_t secret[2];
    // The address is the kernel's word for it; there is always one.
    memcpy(secret, (const void *)(uintptr_t)getauxval(AT_RANDOM), sizeof secret);
    return sip_hash(secret, key, strlen(key));
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
    *slot = (struct map_slot){
        .key = key, .value = value, .hash = hash}; // the new key: the old one may die with its value
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
    // Pull back every later slot of the run whose probe would pass the hole: no tombstones are needed.
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
