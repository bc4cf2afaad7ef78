// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_plan_reaper.c — history and removal, as a transcript.
#include "test/lib/check.h"
#include "test/lib/scenario.h"

static void history_is_bounded_and_removal_leaves_nothing(void **state) {
    (void)state;
    scenario_check("reaper");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(history_is_bounded_and_removal_leaves_nothing),
};

CHECK_MAIN(tests)
