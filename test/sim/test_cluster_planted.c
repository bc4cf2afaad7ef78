// SPDX-License-Identifier: Apache-2.0
//
// test/sim/test_cluster_planted.c — the checkers of simulated clusters are checked: planted bugs of the
// replica, and some of the store and of the core, must be found by random runs.
//
//     [BUG=name] [SEEDS=n] test_cluster_planted      tries one; as many runs for each, instead of 3000
//
// Not here are those that random runs seldom provoke, and the tests of the store and the simulator of the
// core do: a vote that is not stored, an overwritten entry that keeps its tail, a snapshot without hard
// state, a leader that counts itself early. For FLAVOUR=planted alone (`make planted`).
#include "test/lib/check.h"

#include <stdlib.h>

#include "base/str.h"
#include "reconciler/raft/planted.h"
#include "reconciler/store/planted.h"
#include "test/sim/cluster_hunt.h"

#define RUN_MS 120000
#define RUNS 3000

struct bug {
    enum replica_bug replica;
    enum store_bug store;
    enum planted_bug core;
    const char *name;
};

// tidy: table
static const struct bug bugs[] = {
#define X(which, text) {.replica = REPLICA_BUG_##which, .name = "REPLICA_" #which},
    REPLICA_BUG_LIST(X)
#undef X
#define STORE(which)                                                                                         \
    { .store = STORE_BUG_##which, .name = "STORE_" #which }
        STORE(ACK_BEFORE_SYNC),
    STORE(TERM_NOT_STORED),
    STORE(READ_BESIDE_TURN),
    STORE(VERSION_NOT_CHECKED),
    STORE(CLOCK_IN_APPLY),
    STORE(SNAPSHOT_KEEPS_LOG),
    STORE(SNAPSHOT_WITHOUT_REQUESTS),
    STORE(SNAPSHOT_WITHOUT_MEMBERSHIP),
#define CORE(which)                                                                                          \
    { .core = BUG_##which, .name = #which }
    CORE(EARLY_ACK),
    CORE(DOUBLE_VOTE),
    CORE(STALE_LOG_VOTE),
    CORE(TRUNCATE_ALWAYS),
    CORE(READ_WITHOUT_ROUND),
};

static void plant(void *context) {
    const struct bug *bug = context;
    replica_bug = bug->replica;
    store_bug = bug->store;
    planted_bug = bug->core;
}

static void each_bug_is_found(void **state) {
    (void)state;
    int64_t runs = RUNS;
    const char *text = getenv("SEEDS");
    size_t missed = 0;
    if (text != NULL) {
        assert_true(str_to_int(text, &runs));
    }
    for (size_t i = 0; i < sizeof bugs / sizeof *bugs; i++) {
        struct bug bug = bugs[i];
        struct cluster_report report;
        if (getenv("BUG") != NULL && !str_equal(getenv("BUG"), bug.name)) {
            continue;
        }
        cluster_hunt(&(struct cluster_hunt){.count = (uint64_t)runs,
                                            .virtual_ms = RUN_MS,
                                            .off = UINT32_C(1) << TROUBLE_ROLLBACK,
                                            .findings_max = 1,
                                            .before = plant,
                                            .context = &bug},
                     &report);
        print_message(
            "# %-36s %s%llu runs: %.100s\n", bug.name, report.found_count > 0 ? "" : "NOT in ",
            (unsigned long long)(report.found_count > 0 ? report.found[0].run.seed + 1 : (uint64_t)runs),
            report.found_count > 0 ? report.found[0].what : "");
        missed += report.found_count == 0;
    }
    assert_int_equal(missed, 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(each_bug_is_found),
};

CHECK_MAIN(tests)
