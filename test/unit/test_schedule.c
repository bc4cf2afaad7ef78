// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_schedule.c — filters, ranking and explanations: as transcripts, and the sentence alone.
#include "reconciler/schedule/schedule.h"

#include "base/buf.h"
#include "test/lib/check.h"
#include "test/lib/scenario.h"

static void tasks_find_their_nodes_or_a_reason(void **state) {
    (void)state;
    scenario_check("schedule");
}

static void a_node_with_many_failures_comes_last(void **state) {
    (void)state;
    scenario_check("schedule_failures");
}

static void tasks_spread_over_what_the_service_prefers(void **state) {
    (void)state;
    scenario_check("spread");
}

static void counted_resources_and_ports_are_held_once(void **state) {
    (void)state;
    scenario_check("claims");
}

static void what_would_help_is_the_least_that_would(void **state) {
    (void)state;
    scenario_check("remedies");
}

static void tasks_move_where_fewer_are(void **state) {
    (void)state;
    scenario_check("rebalance");
}

static void platforms_have_several_names(void **state) {
    (void)state;
    scenario_check("platform");
}

static void the_summary_names_the_worst_first(void **state) {
    (void)state;
    struct funnel_step steps[] = {
        {.reason = "node not available", .ruled_out = 1},
        {.reason = "insufficient cpus", .ruled_out = 0},
        {.reason = "insufficient memory", .ruled_out = 2},
        {.reason = "unsupported platform", .ruled_out = 1},
    };
    struct funnel funnel = {4, steps};
    AUTO_BUF text = buf_make(0);
    schedule_summary(&funnel, &text);
    assert_string_equal(buf_text(&text), "no suitable node (insufficient memory on 2 nodes; node not available "
                                         "on 1 node; unsupported platform on 1 node)");
    buf_clear(&text);
    schedule_summary(&(struct funnel){0}, &text);
    assert_string_equal(buf_text(&text), "no suitable node");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(tasks_find_their_nodes_or_a_reason),
    cmocka_unit_test(a_node_with_many_failures_comes_last),
    cmocka_unit_test(tasks_spread_over_what_the_service_prefers),
    cmocka_unit_test(counted_resources_and_ports_are_held_once),
    cmocka_unit_test(what_would_help_is_the_least_that_would),
    cmocka_unit_test(tasks_move_where_fewer_are),
    cmocka_unit_test(platforms_have_several_names),
    cmocka_unit_test(the_summary_names_the_worst_first),
};

CHECK_MAIN(tests)
