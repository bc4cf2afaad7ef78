// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_plan_update.c — new specs reach running tasks, as transcripts.
#include "test/lib/check.h"
#include "test/lib/scenario.h"

static void tasks_are_replaced_one_at_a_time(void **state) {
    (void)state;
    scenario_check("update");
}

static void a_failing_replacement_holds_the_update(void **state) {
    (void)state;
    scenario_check("update_failing");
}

static void new_constraints_move_only_who_does_not_fit(void **state) {
    (void)state;
    scenario_check("update_move");
}

static void with_start_first_the_old_task_runs_until_the_new_one_does(void **state) {
    (void)state;
    scenario_check("start_first");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(tasks_are_replaced_one_at_a_time),
    cmocka_unit_test(a_failing_replacement_holds_the_update),
    cmocka_unit_test(new_constraints_move_only_who_does_not_fit),
    cmocka_unit_test(with_start_first_the_old_task_runs_until_the_new_one_does),
};

CHECK_MAIN(tests)
