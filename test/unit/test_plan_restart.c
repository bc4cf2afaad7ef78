// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_plan_restart.c — restart policy, as transcripts.
#include "test/lib/check.h"
#include "test/lib/scenario.h"

static void ended_tasks_are_replaced_as_the_policy_says(void **state) {
    (void)state;
    scenario_check("restart");
}

static void the_delay_grows_with_back_off(void **state) {
    (void)state;
    scenario_check("backoff");
}

static void only_attempts_within_the_window_count(void **state) {
    (void)state;
    scenario_check("window");
}

static void a_clock_that_is_set_back_makes_nobody_wait(void **state) {
    (void)state;
    scenario_check("clock");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(ended_tasks_are_replaced_as_the_policy_says),
    cmocka_unit_test(the_delay_grows_with_back_off),
    cmocka_unit_test(only_attempts_within_the_window_count),
    cmocka_unit_test(a_clock_that_is_set_back_makes_nobody_wait),
};

CHECK_MAIN(tests)
