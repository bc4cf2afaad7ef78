// SPDX-License-Identifier: Apache-2.0
//
// test/sim/test_raft_sim.c — random runs of simulated clusters; nothing may be found.
//
//     SEED=n [SEED_MS=ms] [SIM_OFF=knob,…]     repeats one run and prints its trace when it fails
//     SEEDS=n SEED_MS=ms SIM_PROCESSES=n       more of them
//     SIM_KEEP=file                            appends what is found to the file of kept seeds
//     SOAK_SECONDS=n SOAK_COMMIT=name          new seeds on all cores, and a line in the ledger
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/str.h"
#include "test/lib/check.h"
#include "test/sim/raft_hunt.h"

#define SEED_MS (200 * 1000)
#define SOAK_FIRST_SEED 1000000 // below: what every run of the tests takes

static uint64_t setting(const char *name, uint64_t otherwise) {
    int64_t number;
    const char *text = getenv(name);
    return text != NULL && str_to_int(text, &number) ? (uint64_t)number : otherwise;
}

static void print_totals(const struct sim_totals *totals) {
    print_message("# %llu runs, %.1f cluster-hours, %llu events, %llu messages, %llu committed, "
                  "%llu elections (the slowest after healing: %.1f s), %llu snapshots, %llu reads, "
                  "%llu changes of members, %llu faults: %llu losses, %llu duplicates, %llu cuts, "
                  "%llu crashes, %llu stalls\n",
                  (unsigned long long)totals->runs, (double)totals->virtual_ms / 3600000,
                  (unsigned long long)totals->events, (unsigned long long)totals->messages,
                  (unsigned long long)totals->committed, (unsigned long long)totals->elections,
                  (double)totals->election_ms_max / 1000, (unsigned long long)totals->snapshots,
                  (unsigned long long)totals->reads, (unsigned long long)totals->changes,
                  (unsigned long long)sim_faults(totals), (unsigned long long)totals->losses,
                  (unsigned long long)totals->duplicates, (unsigned long long)totals->cuts,
                  (unsigned long long)totals->crashes, (unsigned long long)totals->stalls);
}

// Shrinks and tells what was found; then keeps it.
static void report_findings(struct hunt_report *report) {
    for (size_t i = 0; i < report->found_count; i++) {
        struct hunt_finding *finding = &report->found[i];
        AUTO_BUF line = buf_make(0);
        print_message("%s\n", finding->result.what);
        hunt_shrink(finding);
        hunt_describe(&finding->run, &line);
        print_message("  shrunk to %llu events: %s\n  repeat: make sim %s\n",
                      (unsigned long long)finding->result.events, finding->result.what, buf_text(&line));
        if (getenv("SIM_KEEP") != NULL) {
            hunt_keep(getenv("SIM_KEEP"), finding, finding->result.what);
        }
    }
}

// --- one ---

static void this_run_is_fine(void **state) {
    (void)state;
    AUTO_BUF trace = buf_make(0);
    struct sim_case run = {.seed = setting("SEED", 0), .virtual_ms = setting("SEED_MS", SEED_MS)};
    struct sim_result result;
    const char *off = getenv("SIM_OFF");
    if (off != NULL && !hunt_parse_off(off, &run.off)) {
        fail_msg("SIM_OFF=%s: a list of loss, duplicate, crash, cut, stall, transfer, change, compact, read, "
                 "campaign, skew",
                 off);
    }
    if (!sim_run(&run, &result, &trace)) {
        fputs(buf_text(&trace), stderr); // longer than what cmocka prints
        fail_msg("%s", result.what);
    }
    print_totals(&sim_totals);
}

// --- many ---

static void nothing_is_found(void **state) {
    (void)state;
    const struct hunt hunt = {
        .count = setting("SEEDS", 200),
        .virtual_ms = setting("SEED_MS", SEED_MS),
        .processes = (unsigned)setting("SIM_PROCESSES", 1),
    };
    struct hunt_report report;
    hunt_run(&hunt, &report);
    report_findings(&report);
    print_totals(&report.totals);
    assert_int_equal(report.found_count, 0);
    assert_int_equal(report.totals.runs, hunt.count);
}

static void what_once_failed_is_fine(void **state) {
    (void)state;
    struct sim_case run;
    size_t count = 0;
    for (; hunt_kept(HUNT_SEEDS_FILE, count, &run); count++) {
        struct sim_result result;
        if (!sim_run(&run, &result, NULL)) {
            fail_msg("%s", result.what);
        }
    }
    assert_true(count > 0);
}

static void the_same_seed_is_the_same_run_byte_for_byte(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 5; seed++) {
        AUTO_BUF first = buf_make(0);
        AUTO_BUF second = buf_make(0);
        const struct sim_case run = {.seed = seed, .virtual_ms = 30 * 1000};
        struct sim_result result;
        assert_true(sim_run(&run, &result, &first));
        assert_true(sim_run(&run, &result, &second));
        assert_true(first.len > 10000);
        assert_int_equal(first.len, second.len);
        assert_memory_equal(first.data, second.data, first.len);
    }
}

// --- soak ---

static void nothing_is_found_in_new_seeds(void **state) {
    (void)state;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t first = hunt_ledger_next(HUNT_LEDGER_FILE);
    const struct hunt hunt = {
        .first = first > 0 ? first : SOAK_FIRST_SEED,
        .count = UINT32_MAX,
        .virtual_ms = setting("SEED_MS", SEED_MS),
        .processes = (unsigned)setting("SIM_PROCESSES", cores > 0 ? (uint64_t)cores : 1),
        .seconds = (unsigned)setting("SOAK_SECONDS", 60),
    };
    struct hunt_report report;
    hunt_run(&hunt, &report);
    report_findings(&report);
    print_totals(&report.totals);
    const char *commit = getenv("SOAK_COMMIT");
    hunt_ledger_add(HUNT_LEDGER_FILE, commit != NULL ? commit : "unknown", hunt.first, &report);
    assert_int_equal(report.found_count, 0);
}

static const struct CMUnitTest one[] = {cmocka_unit_test(this_run_is_fine)};
static const struct CMUnitTest soak[] = {cmocka_unit_test(nothing_is_found_in_new_seeds)};
static const struct CMUnitTest tests[] = {
    cmocka_unit_test(nothing_is_found),
    cmocka_unit_test(what_once_failed_is_fine),
    cmocka_unit_test(the_same_seed_is_the_same_run_byte_for_byte),
};

int main(void) {
    if (getenv("SEED") != NULL) {
        return cmocka_run_group_tests_name("one run", one, NULL, NULL);
    }
    if (getenv("SOAK_SECONDS") != NULL) {
        return cmocka_run_group_tests_name("soak", soak, NULL, NULL);
    }
    return cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL);
}
