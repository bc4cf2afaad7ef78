// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_plan_global.c — one task a fitting node, as a transcript.
#include "test/lib/check.h"
#include "test/lib/scenario.h"

static void nodes_are_slots(void **state) {
    (void)state;
    scenario_check("global");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(nodes_are_slots),
};

CHECK_MAIN(tests)
