// SPDX-License-Identifier: Apache-2.0
//
// test/sim/test_cluster_sim.c — random runs of whole clusters; nothing may be found.
//
//     SEED=n [SEED_MS=ms] [SIM_OFF=cut,stop]    repeats one run and prints its trace
//     SEEDS=n SEED_MS=ms FIRST=n                more of them
//     SIM_KEEP=file                             appends what is found to the file of kept seeds
#include <stdio.h>
#include <stdlib.h>

#include "base/str.h"
#include "test/lib/check.h"
#include "test/sim/cluster_hunt.h"

#define RUN_MS 120000
#define RUNS 30
// What is not ready for it yet is tried only when asked for.
#define USUALLY_OFF (UINT32_C(1) << TROUBLE_ROLLBACK)

static int64_t setting(const char *name, int64_t otherwise) {
    int64_t number;
    const char *text = getenv(name);
    return text != NULL && str_to_int(text, &number) ? number : otherwise;
}

static uint32_t what_is_off(void) {
    const char *text = getenv("SIM_OFF");
    uint32_t off = USUALLY_OFF;
    if (text != NULL && !cluster_parse_off(text, &off)) {
        fail_msg("SIM_OFF=%s: no such trouble", text);
    }
    return off;
}

static void print_totals(const struct cluster_totals *t) {
    uint64_t troubles = 0;
    AUTO_BUF kinds = buf_make(0);
    for (int i = 0; i < TROUBLE_END; i++) {
        troubles += t->troubles[i];
        if (t->troubles[i] > 0) {
            buf_addf(&kinds, ", %llu %s", (unsigned long long)t->troubles[i], cluster_trouble_words[i]);
        }
    }
    print_message(
        "# %llu runs, %.1f cluster-hours, %llu events, %llu packets, %llu commits, %llu entries, "
        "%llu elections, %llu snapshots, %llu digests, %llu reads, %llu writes, %llu refused, "
        "%llu unknown, %llu judged (and %llu registers), %llu tasks started, %llu services, %llu changes of "
        "members "
        "(%llu left, %llu came back, %llu stores lost), %llu troubles%s\n",
        (unsigned long long)t->runs, (double)t->virtual_ms / 3600000, (unsigned long long)t->events,
        (unsigned long long)t->packets, (unsigned long long)t->commits, (unsigned long long)t->entries,
        (unsigned long long)t->elections, (unsigned long long)t->snapshots, (unsigned long long)t->digests,
        (unsigned long long)t->reads, (unsigned long long)t->writes, (unsigned long long)t->refused,
        (unsigned long long)t->unknown, (unsigned long long)t->judged, (unsigned long long)t->registers,
        (unsigned long long)t->tasks_started, (unsigned long long)t->services, (unsigned long long)t->changes,
        (unsigned long long)t->removals, (unsigned long long)t->joins, (unsigned long long)t->quarantines,
        (unsigned long long)troubles, buf_text(&kinds));
}

static void this_run_is_fine(void **state) {
    (void)state;
    AUTO_BUF why = buf_make(0);
    AUTO_BUF trace = buf_make((size_t)1 << 30);
    const struct cluster_run run = {(uint64_t)setting("SEED", 0), setting("SEED_MS", RUN_MS), what_is_off()};
    bool is_fine = cluster_run(&run, &why, &trace);
    fputs(buf_text(&trace), stderr);
    print_totals(cluster_totals);
    if (!is_fine) {
        fail_msg("%s", buf_text(&why));
    }
}

static void nothing_is_found(void **state) {
    (void)state;
    struct cluster_report report;
    cluster_hunt(&(struct cluster_hunt){.first = (uint64_t)setting("FIRST", 0),
                                        .count = (uint64_t)setting("SEEDS", RUNS),
                                        .virtual_ms = setting("SEED_MS", RUN_MS),
                                        .off = what_is_off()},
                 &report);
    for (size_t i = 0; i < report.found_count; i++) {
        struct cluster_finding *finding = &report.found[i];
        AUTO_BUF line = buf_make(0);
        print_message("%llu: %s\n", (unsigned long long)finding->run.seed, finding->what);
        cluster_shrink(finding);
        cluster_run_text(&finding->run, &line);
        print_message("  shrunk: %s\n  repeat: make sim-cluster %s\n", finding->what, buf_text(&line));
        if (getenv("SIM_KEEP") != NULL) {
            cluster_keep(getenv("SIM_KEEP"), finding);
        }
    }
    print_totals(&report.totals);
    assert_int_equal(report.found_count, 0);
}

static void what_once_failed_is_fine(void **state) {
    (void)state;
    struct cluster_run run;
    size_t count = 0;
    for (; cluster_kept(CLUSTER_SEEDS_FILE, count, &run); count++) {
        struct cluster_report report;
        cluster_hunt(
            &(struct cluster_hunt){
                .first = run.seed, .count = 1, .virtual_ms = run.virtual_ms, .off = run.without},
            &report);
        if (report.found_count > 0) {
            fail_msg("%llu: %s", (unsigned long long)run.seed, report.found[0].what);
        }
    }
    assert_true(count > 0);
}

static void the_same_seed_is_the_same_run_byte_for_byte(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 3; seed++) {
        AUTO_BUF why = buf_make(0);
        AUTO_BUF first = buf_make(0);
        AUTO_BUF second = buf_make(0);
        const struct cluster_run run = {seed, 40000, USUALLY_OFF};
        assert_true(cluster_run(&run, &why, &first));
        assert_true(cluster_run(&run, &why, &second));
        assert_true(first.len > 2000);
        assert_int_equal(first.len, second.len);
        assert_memory_equal(first.data, second.data, first.len);
    }
}

static const struct CMUnitTest one[] = {cmocka_unit_test(this_run_is_fine)};
static const struct CMUnitTest tests[] = {
    cmocka_unit_test(nothing_is_found),
    cmocka_unit_test(what_once_failed_is_fine),
    cmocka_unit_test(the_same_seed_is_the_same_run_byte_for_byte),
};

int main(void) {
    return getenv("SEED") != NULL ? cmocka_run_group_tests_name(__FILE__, one, NULL, NULL)
                                  : cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL);
}
