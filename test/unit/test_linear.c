// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_linear.c — the judges of histories: told histories, random ones against all permutations,
// faults of simulated registers, size.
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "test/lib/check.h"
#include "test/lib/history_random.h"
#include "test/lib/linear.h"
#include "test/lib/scratch.h"

extern char **environ;

// --- told histories ---

struct told {
    const char *name, *text;
    enum linear_verdict search, graph;
};

// Times are 0…90. "@" stands for the client and the key.
static const struct told told[] = {
    {"nothing at all", "", LINEAR_YES, LINEAR_YES},
    {"a read of what was written", "1 k 0 10 write 1 ok\n2 k 20 30 read 1 ok\n", LINEAR_YES, LINEAR_YES},
    {"a read before any write", "2 k 0 10 read none ok\n1 k 20 30 write 1 ok\n", LINEAR_YES, LINEAR_YES},
    {"a read of none after a write", "1 k 0 10 write 1 ok\n2 k 20 30 read none ok\n", LINEAR_NO, LINEAR_NO},
    {"a read of either value while a write goes on",
     "1 k 0 10 write 1 ok\n1 k 20 60 write 2 ok\n2 k 30 35 read 1 ok\n2 k 40 45 read 2 ok\n", LINEAR_YES,
     LINEAR_YES},
    {"new, then old, while a write goes on",
     "1 k 0 10 write 1 ok\n1 k 20 60 write 2 ok\n2 k 30 35 read 2 ok\n2 k 40 45 read 1 ok\n", LINEAR_NO,
     LINEAR_NO},
    {"a stale read", "1 k 0 10 write 1 ok\n1 k 20 30 write 2 ok\n2 k 40 50 read 1 ok\n", LINEAR_NO,
     LINEAR_NO},
    {"an end and a start at the same instant are concurrent",
     "1 k 0 10 write 1 ok\n1 k 20 30 write 2 ok\n2 k 30 50 read 1 ok\n", LINEAR_YES, LINEAR_YES},
    {"a value seen before its write began", "1 k 0 10 read 7 ok\n2 k 20 30 write 7 ok\n", LINEAR_NO,
     LINEAR_NO},
    {"a value that nobody wrote", "1 k 0 10 write 1 ok\n2 k 0 10 read 9 ok\n", LINEAR_NO, LINEAR_NO},
    {"two cas from one value: a lost update",
     "1 k 0 10 write 1 ok\n1 k 20 40 cas 1 2 ok\n2 k 20 40 cas 1 3 ok\n", LINEAR_NO, LINEAR_NO},
    {"two cas from one value, one refused",
     "1 k 0 10 write 1 ok\n1 k 20 40 cas 1 2 ok\n2 k 20 40 cas 1 3 refused\n3 k 50 60 read 2 ok\n",
     LINEAR_YES, LINEAR_YES},
    {"a cas refused although its value was there",
     // refusals are not the graph's
     "1 k 0 10 write 1 ok\n1 k 20 40 cas 1 2 refused\n", LINEAR_NO, LINEAR_YES},
    {"a cas done twice", // 1 -> 2 -> 3 -> (again) 2
     "1 k 0 10 write 1 ok\n1 k 20 30 cas 1 2 ok\n2 k 40 50 cas 2 3 ok\n3 k 60 65 read 3 ok\n"
     "3 k 70 80 read 2 ok\n",
     LINEAR_NO, LINEAR_NO},
    {"a chain of cas against the clock", "1 k 0 10 write 1 ok\n1 k 20 30 cas 2 3 ok\n2 k 40 50 cas 1 2 ok\n",
     LINEAR_NO, LINEAR_NO},
    {"a ring of cas", "1 k 0 50 cas 1 2 ok\n2 k 0 50 cas 2 1 ok\n", LINEAR_NO, LINEAR_NO},
    {"a write between a cas and its value",
     "1 k 0 10 write 1 ok\n2 k 20 30 write 2 ok\n1 k 40 50 cas 1 3 ok\n", LINEAR_NO, LINEAR_NO},
    {"an unknown write that surfaces late",
     "1 k 0 10 write 1 ok\n2 k 20 - write 2 unknown\n3 k 30 40 read 1 ok\n3 k 80 90 read 2 ok\n", LINEAR_YES,
     LINEAR_YES},
    {"an unknown write that never surfaces",
     "1 k 0 10 write 1 ok\n2 k 20 - write 2 unknown\n3 k 30 40 read 1 ok\n3 k 80 90 read 1 ok\n", LINEAR_YES,
     LINEAR_YES},
    {"an unknown write that surfaces and sinks again",
     "1 k 0 10 write 1 ok\n2 k 20 - write 2 unknown\n3 k 30 40 read 2 ok\n3 k 80 90 read 1 ok\n", LINEAR_NO,
     LINEAR_NO},
    {"an unknown write seen before it was sent", "3 k 0 10 read 2 ok\n2 k 20 - write 2 unknown\n", LINEAR_NO,
     LINEAR_NO},
    {"two unknown cas in a row",
     "1 k 0 10 write 1 ok\n2 k 20 - cas 1 2 unknown\n3 k 20 - cas 2 3 unknown\n1 k 30 40 read 3 ok\n",
     LINEAR_YES, LINEAR_YES},
    {"an unknown cas whose value was gone",
     "1 k 0 10 write 1 ok\n1 k 11 15 write 5 ok\n2 k 20 - cas 1 2 unknown\n1 k 30 40 read 2 ok\n", LINEAR_NO,
     LINEAR_NO},
    {"two creates", "1 k 0 10 create 1 ok\n2 k 0 10 create 2 ok\n", LINEAR_NO, LINEAR_NO},
    {"two creates, one refused", "1 k 0 10 create 1 ok\n2 k 0 10 create 2 refused\n", LINEAR_YES, LINEAR_YES},
    {"a create refused where nothing was", "1 k 0 10 create 1 refused\n2 k 20 30 create 2 ok\n", LINEAR_NO,
     LINEAR_YES},
    {"an unknown write explains a refused create",
     "1 k 0 - write 1 unknown\n2 k 20 30 create 2 refused\n2 k 40 50 read 1 ok\n", LINEAR_YES, LINEAR_YES},
    {"create, delete, create",
     "1 k 0 10 create 1 ok\n1 k 20 30 delete ok\n1 k 40 50 create 2 ok\n2 k 60 70 read 2 ok\n", LINEAR_YES,
     LINEAR_YES},
    {"a value that outlives its delete", "1 k 0 10 create 1 ok\n1 k 20 30 delete ok\n2 k 40 50 read 1 ok\n",
     LINEAR_NO, LINEAR_YES}, // nor what deletes do
    {"a delete of nothing", "1 k 0 10 delete ok\n", LINEAR_NO, LINEAR_YES},
    {"an unknown delete explains a read of none",
     "1 k 0 10 write 1 ok\n1 k 20 - delete unknown\n2 k 40 50 read none ok\n", LINEAR_YES, LINEAR_YES},
    {"keys do not help each other", "1 k 0 10 write 1 ok\n2 j 20 30 read 1 ok\n", LINEAR_NO, LINEAR_NO},
    {"one value written twice", "1 k 0 10 write 1 ok\n2 k 0 10 write 1 ok\n", LINEAR_YES, LINEAR_UNDECIDED},
};

static void told_histories_are_judged(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        AUTO_HISTORY history = {0};
        AUTO_BUF report = {0};
        struct error err = {0};
        assert_int_equal(history_parse(&history, told[i].text, &err), 0);
        enum linear_verdict search = linear_judge(&history, LINEAR_MEMORY_BYTES, &report);
        enum linear_verdict graph = linear_graph_judge(&history, NULL);
        if (search != told[i].search || graph != told[i].graph) {
            fail_msg("%s: search %d, graph %d\n%s", told[i].name, search, graph, buf_text(&report));
        }
    }
}

static void a_report_shows_what_fits_nowhere(void **state) {
    (void)state;
    AUTO_HISTORY history = {0};
    AUTO_BUF report = {0};
    struct error err = {0};
    assert_int_equal(history_parse(&history,
                                   "1 k 0 10 write 1 ok\n1 k 20 30 write 2 ok\n3 j 0 1 write 5 ok\n"
                                   "2 k 40 50 read 1 ok\n1 k 60 70 write 3 ok\n",
                                   &err),
                     0);
    assert_int_equal(linear_judge(&history, LINEAR_MEMORY_BYTES, &report), LINEAR_NO);
    assert_string_equal(
        buf_text(&report),
        "key k is not linearizable: of its 4 operations, 1 can be put in order:\n"
        "    1 k 0 10 write 1 ok\n"
        "  then the value is 1, and of these one has to be next (!: none may come later), but "
        "none leads on:\n"
        "  ! 1 k 20 30 write 2 ok\n"
        "      would replace 1, but then comes: 2 k 40 50 read 1 ok\n");
}

// --- text ---

static void what_is_printed_is_read_back(void **state) {
    (void)state;
    struct prng prng;
    prng_seed(&prng, 1);
    AUTO_HISTORY one = {0};
    AUTO_HISTORY two = {0};
    AUTO_BUF first = {0};
    AUTO_BUF second = {0};
    struct error err = {0};
    history_random(&one, &(struct history_options){4, 3, 500, 10, false, FAULT_NONE}, &prng);
    for (size_t i = 0; i < one.count; i++) {
        history_print(&one.items[i], one.keys.items[one.items[i].key], &first);
    }
    assert_int_equal(history_parse(&two, buf_text(&first), &err), 0);
    for (size_t i = 0; i < two.count; i++) {
        history_print(&two.items[i], two.keys.items[two.items[i].key], &second);
    }
    assert_string_equal(buf_text(&first), buf_text(&second));
}

static void bad_lines_are_named(void **state) {
    (void)state;
    static const char *const bad[] = {
        "1 k 0 10 write 1\n",          "1 k 0 10 wrote 1 ok\n",      "1 k 0 10 write 1 fine\n",
        "1 k 0 10 write -5 ok\n",      "1 k 0 10 write none ok\n",   "x k 0 10 write 1 ok\n",
        "1 k 10 0 write 1 ok\n",       "1 k 0 - write 1 ok\n",       "1 k 0 10 write 1 unknown\n",
        "1 k 0 10 read 1 refused\n",   "1 k 0 10 write 1 refused\n", "1 k 0 10 cas 1 ok\n",
        "1 k 0 10 write 1 ok 7\n",     "1 k 0 10 write 1 ok",        "1 k 0 10 delete 1 ok\n",
        "1 k 0 10 cas 1 2 3 4 5 ok\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        AUTO_HISTORY history = {0};
        AUTO_BUF text = {0};
        struct error err = {0};
        buf_addf(&text, "# first\n\n%s", bad[i]);
        if (history_parse(&history, buf_text(&text), &err) != -ERR_INVALID) {
            fail_msg("taken: %s", bad[i]);
        }
        assert_true(str_starts(err.root, "line 3: "));
    }
}

// --- all permutations ---

// Whether some order of what is left explains it all; tried in full, nothing remembered, nothing skipped.
static bool some_order_fits(const struct history *h, uint32_t done, int64_t value) {
    bool is_over = true;
    for (size_t i = 0; i < h->count; i++) {
        const struct operation *o = &h->items[i];
        bool has_to_wait = (done >> i & 1) != 0;
        is_over &= o->outcome == OUTCOME_UNKNOWN || has_to_wait;
        for (size_t j = 0; j < h->count; j++) {
            has_to_wait |= (done >> j & 1) == 0 && h->items[j].end_ns < o->start_ns;
        }
        struct operation again = *o;
        int64_t after = register_do(value, &again);
        bool is_as_told =
            o->outcome == OUTCOME_UNKNOWN || (again.outcome == o->outcome && again.value == o->value);
        if (!has_to_wait && is_as_told && some_order_fits(h, done | 1U << i, after)) {
            return true;
        }
    }
    return is_over;
}

static void both_judges_agree_with_all_permutations(void **state) {
    (void)state;
    struct prng prng;
    int violations = 0, told_by_graph = 0, plain = 0, unknowns = 0;
    prng_seed(&prng, 2);
    for (int i = 0; i < 20000; i++) {
        AUTO_HISTORY history = {0};
        AUTO_BUF text = {0};
        bool is_plain = i % 2 == 0;
        history_random(&history,
                       &(struct history_options){(int)prng_below(&prng, 4) + 1, 1,
                                                 (int)prng_below(&prng, 7) + 1, i % 3 == 0 ? 30 : 0, is_plain,
                                                 (enum register_fault)(i % FAULT_COUNT)},
                       &prng);
        bool fits = some_order_fits(&history, 0, HISTORY_NONE);
        enum linear_verdict search = linear_judge(&history, LINEAR_MEMORY_BYTES, &text);
        enum linear_verdict graph = linear_graph_judge(&history, &text);
        for (size_t j = 0; j < history.count; j++) {
            history_print(&history.items[j], "k0", &text);
            unknowns += history.items[j].outcome == OUTCOME_UNKNOWN;
        }
        if ((search == LINEAR_YES) != fits || (graph == LINEAR_NO && fits) ||
            (is_plain && (graph == LINEAR_YES) != fits)) {
            fail_msg("history %d: fits %d, search %d, graph %d\n%s", i, fits, search, graph, buf_text(&text));
        }
        violations += !fits;
        plain += !fits && is_plain;
        told_by_graph += graph == LINEAR_NO;
    }
    print_message("# 20000 histories, %d unknown operations, %d violations, of %d plain; the graph told %d\n",
                  unknowns, violations, plain, told_by_graph);
    assert_true(violations > 2000);
}

// --- faults in longer histories ---

static const char *const fault_names[] = {"none",       "stale read", "future read", "lost change",
                                          "done twice", "blind cas",  "wrong answer"};

static void faults_are_found(void **state) {
    (void)state;
    struct prng prng;
    prng_seed(&prng, 3);
    for (int fault = FAULT_NONE; fault < FAULT_COUNT; fault++) {
        int put_in = 0, proven = 0, found = 0, of_proven = 0;
        for (int i = 0; i < 200; i++) {
            AUTO_HISTORY history = {0};
            AUTO_BUF report = {0};
            struct history_options options = {(int)prng_below(&prng, 15) + 2, 3, 600, i % 4, i % 2 == 0,
                                              (enum register_fault)fault};
            bool is_in = history_random(&history, &options, &prng);
            enum linear_verdict search = linear_judge(&history, LINEAR_MEMORY_BYTES, &report);
            enum linear_verdict graph = linear_graph_judge(&history, NULL);
            assert_int_not_equal(search, LINEAR_UNDECIDED);
            if ((!is_in && search != LINEAR_YES) || (options.is_plain && search != graph)) {
                fail_msg("fault %s: search %d, graph %d\n%s", fault_names[fault], search, graph,
                         buf_text(&report));
            }
            put_in += is_in;
            found += search == LINEAR_NO;
            proven += graph == LINEAR_NO;
            of_proven += graph == LINEAR_NO && search == LINEAR_NO;
        }
        print_message(
            "# %-12s put in %3d, violations by the graph %3d, of these found by the search %3d, in all %3d\n",
            fault_names[fault], put_in, proven, of_proven, found);
        assert_int_equal(of_proven, proven);
        assert_true(fault == FAULT_NONE || (put_in > 90 && proven > (fault == FAULT_DONE_TWICE ? 20 : 40)));
    }
}

// --- size ---

static void judge_large(int keys, int unknown_percent, enum register_fault fault) {
    AUTO_HISTORY history = {0};
    struct prng prng;
    prng_seed(&prng, (uint64_t)(keys + unknown_percent));
    history_random(&history, &(struct history_options){16, keys, 120000, unknown_percent, false, fault},
                   &prng);
    int64_t start_ns = clock_mono_ns();
    enum linear_verdict verdict = linear_judge(&history, LINEAR_MEMORY_BYTES, NULL);
    int64_t middle_ns = clock_mono_ns();
    enum linear_verdict graph = linear_graph_judge(&history, NULL);
    print_message(
        "# %zu operations, %d keys, %d%% unknown, fault %s: search %d in %.2f s, graph %d in %.2f s\n",
        history.count, keys, unknown_percent, fault_names[fault], verdict,
        (double)(middle_ns - start_ns) / NS_PER_S, graph, (double)(clock_mono_ns() - middle_ns) / NS_PER_S);
    assert_int_equal(verdict, fault == FAULT_NONE ? LINEAR_YES : LINEAR_NO);
}

static void a_hundred_thousand_operations_are_judged(void **state) {
    (void)state;
    judge_large(40, 0, FAULT_NONE);
    judge_large(10, 2, FAULT_NONE);
    judge_large(40, 2, FAULT_NONE);
    judge_large(1, 1, FAULT_NONE);
    judge_large(10, 0, FAULT_LOST_CHANGE);
    judge_large(10, 2, FAULT_STALE_READ);
}

// 20 concurrent writes, and a read of what nobody wrote: 2^20 sets.
static void what_costs_too_much_is_undecided(void **state) {
    (void)state;
    AUTO_HISTORY history = {0};
    AUTO_BUF report = {0};
    size_t key = history_key(&history, "k");
    for (int64_t i = 0; i < 20; i++) {
        history_note(&history, &(struct operation){i, key, OPERATION_WRITE, OUTCOME_OK, i, 0, 0, 10});
    }
    history_note(&history, &(struct operation){99, key, OPERATION_READ, OUTCOME_OK, 99, 0, 20, 30});
    assert_int_equal(linear_judge(&history, (size_t)4 << 20, &report), LINEAR_UNDECIDED);
    assert_true(str_starts(buf_text(&report), "key k is undecided: "));
    assert_int_equal(linear_graph_judge(&history, NULL), LINEAR_NO);
}

// --- the program ---

static int run_judge(const char *first, const char *second) {
    char program[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", program, sizeof program - 20);
    assert_true(len > 0);
    program[len] = '\0';
    memcpy(strrchr(program, '/') + 1, "judge_history", sizeof "judge_history");
    char *const argv[] = {program, (char *)(uintptr_t)first, (char *)(uintptr_t)second, NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int status;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    assert_int_equal(posix_spawn(&pid, program, &actions, NULL, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void the_program_judges_files_together(void **state) {
    (void)state;
    static const char *const texts[] = {"1 k 0 10 write 1 ok\n", "2 k 20 30 read 1 ok\n",
                                        "2 k 20 30 read 2 ok\n", "2 k 20 30 read\n"};
    char dir[SCRATCH_BYTES], paths[4][SCRATCH_BYTES + 24];
    scratch_name(dir, sizeof dir, "linear");
    struct error err = {0};
    assert_non_null(mkdtemp(dir));
    for (size_t i = 0; i < 4; i++) {
        snprintf(paths[i], sizeof paths[i], "%s/%zu", dir, i);
        assert_int_equal(fs_replace(AT_FDCWD, paths[i], texts[i], strlen(texts[i]), 0600, false, &err), 0);
    }
    int statuses[] = {run_judge(paths[0], paths[1]),   run_judge(paths[0], paths[2]),
                      run_judge(paths[1], NULL),       run_judge(paths[0], paths[3]),
                      run_judge(paths[0], "/nowhere"), run_judge(NULL, NULL)};
    fs_remove_tree(AT_FDCWD, dir, &err);
    static const int expected[] = {0, 1, 1, 2, 2, 2};
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(statuses[i], expected[i]);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(told_histories_are_judged),
    cmocka_unit_test(a_report_shows_what_fits_nowhere),
    cmocka_unit_test(what_is_printed_is_read_back),
    cmocka_unit_test(bad_lines_are_named),
    cmocka_unit_test(both_judges_agree_with_all_permutations),
    cmocka_unit_test(faults_are_found),
    cmocka_unit_test(a_hundred_thousand_operations_are_judged),
    cmocka_unit_test(what_costs_too_much_is_undecided),
    cmocka_unit_test(the_program_judges_files_together),
};

CHECK_MAIN(tests)
