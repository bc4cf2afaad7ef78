// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_plan_enforce.c — nodes that lose their tasks, as a transcript.
#include "test/lib/check.h"
#include "test/lib/scenario.h"

static void tasks_leave_nodes_that_are_no_place_for_them(void **state) {
    (void)state;
    scenario_check("enforce");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(tasks_leave_nodes_that_are_no_place_for_them),
};

CHECK_MAIN(tests)
