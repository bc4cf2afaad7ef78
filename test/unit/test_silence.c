// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_silence.c — when a manager's node counts as down, and when not any more.
#include "reconciler/daemon/silence.h"

#include "test/lib/check.h"

static struct id id_of(char letter) {
    struct id id = {{0}};
    for (size_t i = 0; i < sizeof id.text - 1; i++) {
        id.text[i] = letter;
    }
    return id;
}

static int64_t look(struct silence *silence, char node, bool is_heard, int64_t now_unix_ms) {
    struct id id = id_of(node);
    return silence_note(silence, &id, is_heard, now_unix_ms);
}

static void a_node_is_down_after_enough_looks(void **state) {
    struct silence silence = {0};
    (void)state;
    for (int64_t at = 1; at < SILENCE_LOOKS; at++) {
        assert_int_equal(look(&silence, 'a', false, 1000 * at), 0);
        assert_int_equal(look(&silence, 'b', true, 1000 * at), 0);
    }
    assert_int_equal(look(&silence, 'a', false, 9000), 1000);
    assert_int_equal(look(&silence, 'b', false, 9000), 0);
    assert_int_equal(look(&silence, 'a', false, 10000), 1000); // and stays so
    silence_free(&silence);
}

static void one_sign_of_life_counts_from_the_beginning(void **state) {
    struct silence silence = {0};
    (void)state;
    for (int round = 0; round < 3; round++) {
        for (int at = 1; at < SILENCE_LOOKS; at++) {
            assert_int_equal(look(&silence, 'a', false, 1000), 0);
        }
        assert_int_equal(look(&silence, 'a', true, 2000), 0);
    }
    silence_free(&silence);
}

// The clock of a leader that was stopped has jumped: that is one look, not many.
static void a_pause_of_the_leader_puts_nobody_down(void **state) {
    struct silence silence = {0};
    (void)state;
    assert_int_equal(look(&silence, 'a', false, 1000), 0);
    assert_int_equal(look(&silence, 'a', false, 3600000), 0);
    silence_free(&silence);
    assert_int_equal(look(&silence, 'a', false, 3600000), 0); // empty again, and usable
    silence_free(&silence);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_is_down_after_enough_looks),
        cmocka_unit_test(one_sign_of_life_counts_from_the_beginning),
        cmocka_unit_test(a_pause_of_the_leader_puts_nobody_down),
    };
    return cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL);
}
