// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_plan_job.c — jobs, as transcripts.
#include "test/lib/check.h"
#include "test/lib/scenario.h"

static void each_slot_completes_once_in_a_run(void **state) {
    (void)state;
    scenario_check("job");
}

static void failures_are_tried_again_and_given_up(void **state) {
    (void)state;
    scenario_check("job_failing");
}

static void lost_and_drained_nodes(void **state) {
    (void)state;
    scenario_check("job_lost");
}

static void one_on_each_node(void **state) {
    (void)state;
    scenario_check("job_global");
}

static void a_cronjob_runs_when_its_time_has_come(void **state) {
    (void)state;
    scenario_check("cronjob");
}

static void a_run_may_replace_the_one_before(void **state) {
    (void)state;
    scenario_check("cronjob_replace");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(each_slot_completes_once_in_a_run),
    cmocka_unit_test(failures_are_tried_again_and_given_up),
    cmocka_unit_test(lost_and_drained_nodes),
    cmocka_unit_test(one_on_each_node),
    cmocka_unit_test(a_cronjob_runs_when_its_time_has_come),
    cmocka_unit_test(a_run_may_replace_the_one_before),
};

CHECK_MAIN(tests)
