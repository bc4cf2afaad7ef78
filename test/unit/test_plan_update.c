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

static void so_many_at_once_as_parallelism_says_with_rests_between(void **state) {
    (void)state;
    scenario_check("rollout_parallel");
}

static void too_many_failures_pause_it_until_a_user_resumes(void **state) {
    (void)state;
    scenario_check("rollout_pause");
}

static void a_rollback_leads_to_an_older_revision(void **state) {
    (void)state;
    scenario_check("rollout_rollback");
}

static void failures_may_be_of_no_account(void **state) {
    (void)state;
    scenario_check("rollout_continue");
}

static void a_rollout_that_stands_still_stops_itself(void **state) {
    (void)state;
    scenario_check("rollout_deadline");
}

static void nothing_is_stopped_without_room_for_the_new(void **state) {
    (void)state;
    scenario_check("rollout_room");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(so_many_at_once_as_parallelism_says_with_rests_between),
    cmocka_unit_test(too_many_failures_pause_it_until_a_user_resumes),
    cmocka_unit_test(a_rollback_leads_to_an_older_revision),
    cmocka_unit_test(failures_may_be_of_no_account),
    cmocka_unit_test(a_rollout_that_stands_still_stops_itself),
    cmocka_unit_test(nothing_is_stopped_without_room_for_the_new),
    cmocka_unit_test(tasks_are_replaced_one_at_a_time),
    cmocka_unit_test(a_failing_replacement_holds_the_update),
    cmocka_unit_test(new_constraints_move_only_who_does_not_fit),
    cmocka_unit_test(with_start_first_the_old_task_runs_until_the_new_one_does),
};

CHECK_MAIN(tests)
