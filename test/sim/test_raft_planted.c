// SPDX-License-Identifier: Apache-2.0
//
// test/sim/test_raft_planted.c — the checkers are checked: each planted bug must be found.
//
//     BUG=name SEEDS=n test_raft_planted      tries one, for longer
//
// By the directed cases that say so (`bites NAME`), all of them; and by random runs, unless a case finds
// it: what is no loss of safety, or takes a rare order of events, random runs may miss.
//
// The core is compiled in here once more with its bugs; the linker then takes none of it from the library.
#define MUSTER_PLANTED
#include "reconciler/raft/election.c"
#include "reconciler/raft/follower.c"
#include "reconciler/raft/leader.c"
#include "reconciler/raft/log.c"
#include "reconciler/raft/members.c"
#include "reconciler/raft/raft.c"
#include "reconciler/raft/reads.c"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "test/lib/check.h"
#include "test/lib/scratch.h"
#include "test/sim/raft_hunt.h"
#include "test/sim/raft_script.h"

#define SEED_MS (120 * 1000)

enum planted_bug planted_bug;

static struct script_list list;

static const struct {
    enum planted_bug bug;
    const char *name, *text;
} bugs[] = {
#define X(name, text) {BUG_##name, #name, text},
    PLANTED_BUG_LIST(X)
#undef X
};

static uint64_t setting(const char *name, uint64_t otherwise) {
    int64_t number;
    const char *text = getenv(name);
    return text != NULL && str_to_int(text, &number) ? (uint64_t)number : otherwise;
}

// In a child, because many a bug ends in a broken assertion: that counts as found, too.
static bool case_fails(const char *name) {
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        AUTO_BUF out = buf_make(0);
        bool is_quiet = freopen("/dev/null", "w", stderr) != NULL;
        _exit(is_quiet && script_run_name(name, &out) ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

// How many cases say that they find it and do. `missed` counts those that do not.
static unsigned count_cases(size_t row, struct buf *names, int *missed) {
    unsigned count = 0;
    for (size_t i = 0; i < list.count; i++) {
        if (!script_bites(list.names[i], bugs[row].name)) {
            continue;
        }
        if (case_fails(list.names[i])) {
            buf_addf(names, "%s%s", count > 0 ? ", " : "", list.names[i]);
            count++;
        } else {
            print_message("# %s goes as told with the bug %s\n", list.names[i], bugs[row].name);
            (*missed)++;
        }
    }
    return count;
}

static bool find_seed(uint64_t seeds, struct hunt_finding *out) {
    const struct hunt hunt = {.count = seeds, .virtual_ms = SEED_MS, .processes = 1, .is_quiet = true};
    struct hunt_report report;
    hunt_run(&hunt, &report);
    *out = report.found[0];
    return report.found_count > 0;
}

static int look_for(size_t row) {
    AUTO_BUF names = buf_make(0);
    struct hunt_finding finding;
    int missed = 0;
    planted_bug = bugs[row].bug;
    unsigned cases = count_cases(row, &names, &missed);
    uint64_t seeds = setting("SEEDS", cases > 0 ? 20 : 1000);
    bool is_found = find_seed(seeds, &finding);
    planted_bug = BUG_NONE;
    buf_addf(&names, "%s", cases > 0 ? "; " : "");
    if (is_found) {
        buf_addf(&names, "seed %llu", (unsigned long long)finding.run.seed);
    } else {
        buf_addf(&names, "no seed of %llu", (unsigned long long)seeds);
    }
    print_message("# %-20s %s: %s\n", bugs[row].name, bugs[row].text, buf_text(&names));
    return missed + (cases == 0 && !is_found);
}

static void nothing_shows_without_a_bug(void **state) {
    (void)state;
    struct hunt_finding finding;
    planted_bug = BUG_NONE;
    assert_false(find_seed(50, &finding));
    for (size_t i = 0; i < list.count; i++) {
        assert_false(case_fails(list.names[i]));
    }
}

static void every_bug_is_found(void **state) {
    (void)state;
    const char *only = getenv("BUG");
    int missed = 0;
    for (size_t i = 0; i < sizeof bugs / sizeof *bugs; i++) {
        if (only == NULL || str_equal(only, bugs[i].name)) {
            missed += look_for(i);
        }
    }
    assert_int_equal(missed, 0);
}

// What fails by a checker, what by an assertion, and what only after healing.
static void a_finding_is_made_smaller(void **state) {
    (void)state;
    static const enum planted_bug shrunk[] = {BUG_TRUNCATE_ALWAYS, BUG_TRUNCATE_COMMITTED,
                                              BUG_SNAPSHOT_STUCK};
    for (size_t i = 0; i < sizeof shrunk / sizeof *shrunk; i++) {
        struct hunt_finding finding;
        planted_bug = shrunk[i];
        assert_true(find_seed(200, &finding));
        struct hunt_finding before = finding;
        hunt_shrink(&finding);
        struct sim_result again;
        assert_false(hunt_try(&finding.run, &again));
        planted_bug = BUG_NONE;
        assert_true(finding.run.virtual_ms < before.run.virtual_ms);
        assert_true(finding.result.events < before.result.events);
        assert_int_equal(again.events, finding.result.events);
        AUTO_BUF line = buf_make(0);
        hunt_describe(&finding.run, &line);
        print_message("# %llu events, shrunk to %llu: %s\n", (unsigned long long)before.result.events,
                      (unsigned long long)finding.result.events, buf_text(&line));
    }
}

static void a_kept_seed_is_read_as_it_was_written(void **state) {
    (void)state;
    char path[SCRATCH_BYTES];
    scratch_name(path, sizeof path, "seeds");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    const struct hunt_finding one = {.run = {.seed = 7, .virtual_ms = 1200, .off = 1U << SIM_CUT}};
    const struct hunt_finding two = {.run = {.seed = 8, .virtual_ms = 10, .off = 0}};
    hunt_keep(path, &one, "first");
    hunt_keep(path, &two, "second");
    struct sim_case run;
    assert_true(hunt_kept(path, 0, &run));
    assert_true(run.seed == 7 && run.virtual_ms == 1200 && run.off == 1U << SIM_CUT);
    assert_true(hunt_kept(path, 1, &run));
    assert_true(run.seed == 8 && run.virtual_ms == 10 && run.off == 0);
    assert_false(hunt_kept(path, 2, &run));
    assert_false(hunt_parse_off("loss,rain", &run.off));
    unlink(path);
}

static void a_soak_goes_on_where_the_last_one_ended(void **state) {
    (void)state;
    char path[SCRATCH_BYTES];
    scratch_name(path, sizeof path, "ledger");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    unlink(path);
    assert_int_equal(hunt_ledger_next(path), 0);
    const struct hunt_report report = {.next_seed = 150};
    hunt_ledger_add(path, "abc", 100, &report);
    assert_int_equal(hunt_ledger_next(path), 150);
    const struct hunt_report later = {.next_seed = 151};
    hunt_ledger_add(path, "def", 150, &later);
    assert_int_equal(hunt_ledger_next(path), 151);
    unlink(path);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(nothing_shows_without_a_bug),
    cmocka_unit_test(every_bug_is_found),
    cmocka_unit_test(a_finding_is_made_smaller),
    cmocka_unit_test(a_kept_seed_is_read_as_it_was_written),
    cmocka_unit_test(a_soak_goes_on_where_the_last_one_ended),
};

int main(void) {
    script_list_load(&list);
    return cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL);
}
