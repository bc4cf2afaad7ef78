// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_base_id.c — identities, and the generator behind them.
#include "base/id.h"

#include "base/prng.h"
#include "test/lib/check.h"

static void identities_have_25_digits_and_differ(void **state) {
    (void)state;
    struct id a = id_random();
    struct id b = id_random();
    struct id parsed;
    assert_true(id_parse(a.text, &parsed));
    assert_true(id_equal(&a, &parsed));
    assert_false(id_equal(&a, &b));
    assert_int_equal(id_compare(&a, &b) < 0, id_compare(&b, &a) > 0);
    assert_false(id_is_none(&a));
    assert_true(id_is_none(&(struct id){{0}}));
}

static void other_texts_are_refused(void **state) {
    (void)state;
    static const char *const bad[] = {"", "3x9", "3x9aaaaaaaaaaaaaaaaaaaaaaA", "3x9aaaaaaaaaaaaaaaaaaaaaaaa",
                                      "3x9aaaaaaaaaaaaaaaaaaaaa-a"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct id out = {"unchanged"};
        assert_false(id_parse(bad[i], &out));
        assert_string_equal(out.text, "unchanged");
    }
}

static void a_seed_gives_the_same_identities(void **state) {
    (void)state;
    struct prng a;
    struct prng b;
    prng_seed(&a, 9);
    prng_seed(&b, 9);
    struct id first = id_from_prng(&a);
    struct id same = id_from_prng(&b);
    struct id next = id_from_prng(&a);
    assert_true(id_equal(&first, &same));
    assert_false(id_equal(&first, &next));
}

static void the_generator_is_xoshiro256starstar(void **state) {
    (void)state;
    struct prng prng = {{1, 2, 3, 4}};
    static const uint64_t expected[] = {11520, 0, 1509978240, UINT64_C(1215971899390074240)};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(prng_next(&prng), expected[i]);
    }
}

static void bounded_numbers_are_even(void **state) {
    (void)state;
    struct prng prng;
    prng_seed(&prng, 1);
    int seen[6] = {0};
    for (int i = 0; i < 60000; i++) {
        seen[prng_below(&prng, 6)]++;
        double unit = prng_unit(&prng);
        assert_true(unit >= 0 && unit < 1);
    }
    for (int i = 0; i < 6; i++) {
        assert_in_range(seen[i], 9500, 10500);
    }
    assert_int_equal(prng_below(&prng, 1), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(identities_have_25_digits_and_differ),
    cmocka_unit_test(other_texts_are_refused),
    cmocka_unit_test(a_seed_gives_the_same_identities),
    cmocka_unit_test(the_generator_is_xoshiro256starstar),
    cmocka_unit_test(bounded_numbers_are_even),
};
CHECK_MAIN(tests)
