// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_base_map.c — the map against a plain array, and its hash against known values.
#include "base/map.c" // for sip_hash; the archive's object is then not linked

#include <stdio.h>

#include "base/prng.h"
#include "test/lib/check.h"

#define KEYS 400

static void it_behaves_like_an_array(void **state) {
    (void)state;
    struct prng prng;
    prng_seed(&prng, 2);
    char keys[KEYS][16];
    int values[2][KEYS];
    int *expected[KEYS] = {0};
    struct map map = {0};
    size_t count = 0;
    for (int i = 0; i < KEYS; i++) {
        snprintf(keys[i], sizeof keys[i], "k%d", i);
    }
    for (int step = 0; step < 200000; step++) {
        size_t i = (size_t)prng_below(&prng, KEYS);
        if (prng_below(&prng, 2) == 0) {
            int *value = &values[prng_below(&prng, 2)][i];
            assert_ptr_equal(map_put(&map, keys[i], value), expected[i]);
            count += expected[i] == NULL;
            expected[i] = value;
        } else {
            assert_ptr_equal(map_remove(&map, keys[i]), expected[i]);
            count -= expected[i] != NULL;
            expected[i] = NULL;
        }
        assert_int_equal(map.count, count);
        size_t other = (size_t)prng_below(&prng, KEYS);
        assert_ptr_equal(map_get(&map, keys[other]), expected[other]);
    }
    for (size_t i = 0; i < KEYS; i++) {
        assert_ptr_equal(map_get(&map, keys[i]), expected[i]);
    }
    map_free(&map);
    assert_null(map_get(&map, "k1"));
}

static void each_value_is_visited_once(void **state) {
    (void)state;
    struct map map = {0};
    size_t cursor = 0;
    assert_null(map_next(&map, &cursor));
    char keys[100][16];
    int seen[100] = {0};
    for (int i = 0; i < 100; i++) {
        snprintf(keys[i], sizeof keys[i], "%d", i);
        map_put(&map, keys[i], &seen[i]);
    }
    cursor = 0;
    for (int *value; (value = map_next(&map, &cursor)) != NULL;) {
        ++*value;
    }
    for (int i = 0; i < 100; i++) {
        assert_int_equal(seen[i], 1);
    }
    map_free(&map);
}

static void the_key_of_the_newest_value_counts(void **state) {
    (void)state;
    struct map map = {0};
    char old_key[] = "web";
    char new_key[] = "web";
    int value = 0;
    map_put(&map, old_key, &value);
    map_put(&map, new_key, &value);
    old_key[0] = 'x'; // the old owner is gone
    assert_ptr_equal(map_get(&map, "web"), &value);
    assert_int_equal(map.count, 1);
    map_free(&map);
}

// From a separate implementation that also gives the paper's vector for 2-4 rounds. Key 00 01 … 0f, as there.
static void the_hash_is_siphash_1_3(void **state) {
    (void)state;
    uint8_t key_bytes[16];
    uint64_t key[2];
    for (size_t i = 0; i < sizeof key_bytes; i++) {
        key_bytes[i] = (uint8_t)i;
    }
    memcpy(key, key_bytes, sizeof key);
    assert_int_equal(sip_hash(key, "", 0), UINT64_C(0xABAC0158050FC4DC));
    assert_int_equal(sip_hash(key, "\0\1\2\3\4\5\6\7", 8), UINT64_C(0x369095118D299A8E));
    assert_int_equal(sip_hash(key, "\0\1\2\3\4\5\6\7\10\11\12\13\14\15\16", 15),
                     UINT64_C(0xD320D86D2A519956));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(it_behaves_like_an_array),
    cmocka_unit_test(each_value_is_visited_once),
    cmocka_unit_test(the_key_of_the_newest_value_counts),
    cmocka_unit_test(the_hash_is_siphash_1_3),
};
CHECK_MAIN(tests)
