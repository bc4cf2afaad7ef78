// SPDX-License-Identifier: Apache-2.0
//
// test/sim/test_raft_scenario.c — every directed case of the Raft core is a test, and every known trap has
// one.
//
//     SCENARIO=name test_raft_scenario      runs one and prints what happened
//
// The traps are those that implementations of Raft have fallen into, numbered as in the study that this core
// is built on. A trap of the core is a file test/sim/scenario/trap_NN_….raft; a trap of what is around it
// (store, driver, daemon) is a row of `held` below, with the test function that holds it.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/str.h"
#include "test/lib/check.h"
#include "test/sim/raft_script.h"

#define TRAPS 30

static struct script_list list;

static void goes_as_told(void **state) {
    AUTO_BUF out = buf_make(0);
    if (!script_run_name(*state, &out)) {
        fputs(buf_text(&out), stderr); // longer than what cmocka prints
        fail_msg("%s", (const char *)*state);
    }
}

// --- traps ---

static const struct {
    int trap;
    const char *file, *function;
} held[] = {
    {8, "test/unit/test_replica.c", "what_is_acknowledged_survives_who_acknowledged_it"},
    {8, "test/unit/test_replica.c", "one_alone_acknowledges_nothing_it_has_not_synced"},
    {9, "test/unit/test_replica.c", "a_failed_sync_ends_the_process_and_the_others_go_on"},
    {20, "test/unit/test_replica.c", "a_stream_that_breaks_leaves_nothing_behind"},
    {21, "test/unit/test_replica.c", "a_picture_is_not_held_for_one_who_is_gone"},
    {24, "test/unit/test_replica.c", "of_two_managers_one_is_no_quorum"},
    {26, "test/unit/test_replica.c", "a_flood_of_proposals_costs_nobody_the_lead"},
    // 27 has cases of the core; this is the planted bug that they find.
    {27, "test/sim/test_raft_planted.c", "every_bug_is_found"},
    {28, "test/unit/test_replica.c", "an_unknown_outcome_is_called_that_and_a_retry_finds_out"},
    {29, "test/unit/test_replica.c", "members_apply_the_same_at_other_times_and_in_other_turns"},
    {30, "test/unit/test_replica.c", "a_full_disk_of_one_stops_nobody_else"},
    {30, "test/unit/test_replica.c", "a_full_disk_of_the_leader_moves_the_lead"},
};

static bool has_scenario(int trap) {
    char prefix[32];
    snprintf(prefix, sizeof prefix, "trap_%02d_", trap);
    for (size_t i = 0; i < list.count; i++) {
        if (str_starts(list.names[i], prefix)) {
            return true;
        }
    }
    return false;
}

static bool is_held(int trap) {
    for (size_t i = 0; i < sizeof held / sizeof *held; i++) {
        if (held[i].trap == trap) {
            return true;
        }
    }
    return false;
}

static void every_trap_has_a_place(void **state) {
    (void)state;
    for (int trap = 1; trap <= TRAPS; trap++) {
        if (!has_scenario(trap) && !is_held(trap)) {
            fail_msg("trap %d has neither a scenario nor a row of `held`", trap);
        }
    }
}

// Of cmocka, and in its list; or of bats.
static bool defines_test(const char *text, const char *name) {
    AUTO_BUF function = buf_make(0);
    AUTO_BUF row = buf_make(0);
    AUTO_BUF bats = buf_make(0);
    buf_addf(&function, "static void %s(void **state)", name);
    buf_addf(&row, "unit_test(%s)", name);
    buf_addf(&bats, "@test \"%s\"", name);
    return strstr(text, buf_text(&bats)) != NULL ||
           (strstr(text, buf_text(&function)) != NULL && strstr(text, buf_text(&row)) != NULL);
}

static void every_holder_exists(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof held / sizeof *held; i++) {
        AUTO_BUF text = buf_make(0);
        if (fs_read(AT_FDCWD, held[i].file, (size_t)1 << 20, &text, NULL) != 0 ||
            !defines_test(buf_text(&text), held[i].function)) {
            fail_msg("trap %d: there is no test %s in %s", held[i].trap, held[i].function, held[i].file);
        }
    }
}

// --- the language ---

static const struct {
    const char *text, *says;
} mistakes[] = {
    {"", "x.raft:1:1: there is no story: it begins with `nodes`"},
    {"nodes 3\nexpct leader 1", "x.raft:2:1: no statement \"expct\"; did you mean \"expect\"?"},
    {"campaign 1", "x.raft:1:1: a story begins with"},
    {"nodes 3\nnodes 3", "x.raft:2:1: a story begins with"},
    {"nodes 3\ncampaign 4", "x.raft:2:10: no node 4; there are 1 to 3"},
    {"nodes 3\ncampaign", "x.raft:2:9: too short: campaign NODE"},
    {"nodes 3\n  tick 1 ten", "x.raft:2:10: \"ten\" is no number"},
    {"nodes 3\nexpect log 1 \"1 1", "x.raft:2:14: a text without its end; close it with \""},
    {"nodes 3\nexpect rule 1 leader",
     "x.raft:2:8: nothing of that name can be expected; did you mean \"role\"?"},
    {"nodes 3\nexpect role 1 leader", "x.raft:2:8: expected role 1 leader; it is: follower"},
    {"nodes 3\nexpect not role 1 follower", "x.raft:2:12: expected not role 1 follower; it is: follower"},
    {"nodes 3\ndeliver 1 2 apend", "x.raft:2:13: \"apend\" is neither a kind of message"},
    {"nodes 3\ndeliver 1 2", "x.raft:2:1: there is no such message: 0 on the way, 1 wanted"},
    {"nodes 3\nstart 1", "x.raft:2:7: node 1 is up; `crash` it first"},
    {"nodes 3\ncrash 1\ntick 1", "x.raft:3:6: node 1 is down; `start 1` first"},
    {"nodes 3\nexpect read r served", "x.raft:2:13: no such name"},
    {"bites NO_SUCH_BUG\nnodes 1", "x.raft:1:7: no planted bug \"NO_SUCH_BUG\""},
    {"nodes 0", "x.raft:1:7: 1 to 10 nodes"},
};

static void a_mistake_is_told_with_its_place(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        AUTO_BUF out = buf_make(0);
        assert_false(script_run("x.raft", mistakes[i].text, &out));
        if (!str_starts(buf_text(&out), mistakes[i].says)) {
            fail_msg("wanted: %s, got: %s", mistakes[i].says, buf_text(&out));
        }
    }
}

static const struct CMUnitTest fixed[] = {
    cmocka_unit_test(every_trap_has_a_place),
    cmocka_unit_test(every_holder_exists),
    cmocka_unit_test(a_mistake_is_told_with_its_place),
};

// A file is a test by being there.
int main(void) {
    static struct CMUnitTest tests[SCRIPT_FILES_MAX + sizeof fixed / sizeof *fixed];
    size_t count = 0;
    const char *only = getenv("SCENARIO");
    script_list_load(&list);
    for (size_t i = 0; i < list.count; i++) {
        if (only == NULL || str_equal(only, list.names[i])) {
            tests[count++] = (struct CMUnitTest){
                .name = list.names[i], .test_func = goes_as_told, .initial_state = list.names[i]};
        }
    }
    for (size_t i = 0; only == NULL && i < sizeof fixed / sizeof *fixed; i++) {
        tests[count++] = fixed[i];
    }
    return _cmocka_run_group_tests(__FILE__, tests, count, NULL, NULL);
}
