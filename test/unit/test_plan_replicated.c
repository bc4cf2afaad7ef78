// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_plan_replicated.c — slots up and down, as transcripts.
#include "test/lib/check.h"
#include "test/lib/scenario.h"

static void slots_follow_the_number_of_replicas(void **state) {
    (void)state;
    scenario_check("replicated");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(slots_follow_the_number_of_replicas),
};

CHECK_MAIN(tests)
