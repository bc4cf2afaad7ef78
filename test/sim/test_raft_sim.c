// SPDX-License-Identifier: Apache-2.0
//
// test/sim/test_raft_sim.c — random runs of simulated clusters; nothing may be found.
//
//     SEED=n test_raft_sim          repeats one run and prints its trace when it fails
//     SEEDS=n SEED_MS=ms …          more of them
#include <stdio.h>
#include <stdlib.h>

#include "base/str.h"
#include "test/lib/check.h"
#include "test/sim/raft_sim.h"

static int64_t setting(const char *name, int64_t otherwise) {
    int64_t number;
    const char *text = getenv(name);
    return text != NULL && str_to_int(text, &number) ? number : otherwise;
}

static void nothing_is_found(void **state) {
    (void)state;
    int64_t first = setting("SEED", 0);
    int64_t count = getenv("SEED") != NULL ? 1 : setting("SEEDS", 200);
    int64_t virtual_ms = setting("SEED_MS", 200 * 1000);
    int failures = 0;
    for (int64_t seed = first; seed < first + count && failures < 3; seed++) {
        AUTO_BUF why = buf_make(0);
        AUTO_BUF trace = buf_make(0);
        if (!sim_run((uint64_t)seed, (uint64_t)virtual_ms, &why, count == 1 ? &trace : NULL)) {
            failures++;
            fputs(buf_text(&trace), stderr); // longer than what cmocka prints
            print_message("%s\nrepeat: make sim SEED=%lld\n", buf_text(&why), (long long)seed);
        }
    }
    print_message(
        "# %llu runs, %.1f cluster-hours, %llu events, %llu messages, %llu committed, %llu elections, "
        "%llu crashes, %llu snapshots, %llu reads, %llu changes of members\n",
        (unsigned long long)sim_totals.runs, (double)sim_totals.virtual_ms / 3600000,
        (unsigned long long)sim_totals.events, (unsigned long long)sim_totals.messages,
        (unsigned long long)sim_totals.committed, (unsigned long long)sim_totals.elections,
        (unsigned long long)sim_totals.crashes, (unsigned long long)sim_totals.snapshots,
        (unsigned long long)sim_totals.reads, (unsigned long long)sim_totals.changes);
    assert_int_equal(failures, 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(nothing_is_found),
};

CHECK_MAIN(tests)
