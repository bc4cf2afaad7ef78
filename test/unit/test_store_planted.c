// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_store_planted.c — the store's tests are tested: each planted bug must be found by the test
// that says so.
//
//     BUG=STORE_NAME test_store_turn          how one shows itself
//
// For FLAVOUR=planted alone (`make planted`). Each row names a test program of that flavour, which lies
// beside this one and must pass as it is, and the test in it that must fail with the bug on. A program that
// dies has found it too: many a bug ends in a broken assertion.
#include "test/lib/check.h"
#include "test/lib/scratch.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/str.h"
#include "reconciler/store/planted.h"

#define PROGRAM_SECONDS 120

#define TURN "test_store_turn"
#define SNAPSHOT "test_store_snapshot"
#define APPLY "test_store_apply"

// tidy: table
static const struct row {
    enum store_bug bug;
    const char *program, *test;
} rows[] = {
    {STORE_BUG_ACK_BEFORE_SYNC, "test_store_kill", "acknowledged_changes_survive_any_kill"},
    {STORE_BUG_APPLIED_WITHOUT_DATA, TURN, "what_is_put_is_kept_and_not_yet_applied"},
    {STORE_BUG_TERM_NOT_STORED, TURN, "what_is_put_is_kept_and_not_yet_applied"},
    {STORE_BUG_VOTE_NOT_STORED, TURN, "what_is_put_is_kept_and_not_yet_applied"},
    {STORE_BUG_TRUNCATE_KEEPS_TAIL, TURN, "an_overwritten_suffix_is_gone"},
    {STORE_BUG_STALE_BASE_TERM, TURN, "compaction_goes_in_slices_and_not_too_far"},
    {STORE_BUG_CRC_NOT_CHECKED, "test_store_format", "every_changed_bit_is_noticed"},
    {STORE_BUG_CRC_WRONG_LENGTH, "test_store_format", "every_changed_bit_is_noticed"},
    {STORE_BUG_TXN_NOT_CHECKED, TURN, "a_store_may_be_checked_here_or_not_at_all"},
    {STORE_BUG_MAP_FULL_IS_SUCCESS, "test_store_space", "a_full_map_without_a_reserve_is_an_answer"},
    {STORE_BUG_READ_BESIDE_TURN, TURN, "an_open_turn_is_seen_by_reads"},
    {STORE_BUG_VERSION_NOT_CHECKED, APPLY, "what_was_expected_otherwise_is_a_conflict"},
    {STORE_BUG_NAME_TAKEN_TWICE, APPLY, "names_are_unique_and_may_move"},
    {STORE_BUG_INDEX_KEPT, "test_store_model", "the_store_does_what_the_model_does"},
    {STORE_BUG_CLOCK_IN_APPLY, APPLY, "an_object_lives_from_create_to_delete"},
    {STORE_BUG_REQUEST_FORGOTTEN, APPLY, "a_retry_gets_the_first_answer"},
    {STORE_BUG_GAP_NOT_TOLD, "test_store_history", "who_comes_late_is_told"},
    {STORE_BUG_PARTIAL_SNAPSHOT_VISIBLE, "test_store_snapshot_kill",
     "a_kill_at_any_commit_leaves_the_old_or_the_new"},
    {STORE_BUG_SNAPSHOT_KEEPS_LOG, SNAPSHOT, "a_small_store_goes_over"},
    {STORE_BUG_SNAPSHOT_KEEPS_HARD_STATE, SNAPSHOT, "a_small_store_goes_over"},
    {STORE_BUG_SNAPSHOT_FORGETS_ID, SNAPSHOT, "a_small_store_goes_over"},
    {STORE_BUG_SNAPSHOT_WITHOUT_REQUESTS, SNAPSHOT, "a_small_store_goes_over"},
    {STORE_BUG_SNAPSHOT_WITHOUT_MEMBERSHIP, SNAPSHOT, "a_small_store_goes_over"},
    {STORE_BUG_FOREIGN_SNAPSHOT, SNAPSHOT, "another_clusters_snapshot_is_refused"},
    {STORE_BUG_CHUNK_CRC_NOT_CHECKED, SNAPSHOT, "damaged_chunks_are_refused"},
    {STORE_BUG_CHAIN_NOT_CHECKED, SNAPSHOT, "not_even_if_they_are_nearly_equal"},
    {STORE_BUG_LEFTOVERS_KEPT, SNAPSHOT, "what_was_not_installed_is_thrown_away"},
    {STORE_BUG_DIGEST_IGNORES_TABLE, "test_store_digest", "each_record_counts"},
    {STORE_BUG_EPOCH_STAYS, "test_replica", "one_goes_on_alone_with_all_that_its_log_holds"},
};

static const char *const names[] = {
#define X(name, text) [STORE_BUG_##name] = "STORE_" #name,
    STORE_BUG_LIST(X)
#undef X
};

static char folder[256]; // of the programs

static char leavings[SCRATCH_BYTES]; // of programs that die

static int begin(void **state) {
    (void)state;
    scratch_name(leavings, sizeof leavings, "planted");
    return mkdtemp(leavings) == NULL;
}

static int end(void **state) {
    (void)state;
    return fs_remove_tree(AT_FDCWD, leavings, NULL);
}

static void exec_program(const char *program, const char *bug, int fd) {
    char path[320];
    snprintf(path, sizeof path, "%s/%s", folder, program);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    dup2(null, STDIN_FILENO);
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    setenv("BUG", bug, 1);
    setenv("TMPDIR", leavings, 1);
    setenv("TEST_SHM", leavings, 1);
    setenv("CMOCKA_MESSAGE_OUTPUT", "TAP", 1);
    alarm(PROGRAM_SECONDS); // a bug may make it wait for ever
    execl(path, program, (char *)NULL);
    _exit(127);
}

// What it printed, and how it ended.
static int run(const char *program, const char *bug, struct buf *out) {
    int ends[2], status = 0;
    char block[4096];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        exec_program(program, bug, ends[1]);
    }
    close(ends[1]);
    for (ssize_t got; (got = read(ends[0], block, sizeof block)) > 0;) {
        buf_add(out, block, (size_t)got);
    }
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 127);
    return status;
}

// "not ok 3 - name"
static bool has_failed(const struct buf *out, const char *test) {
    char end[128];
    snprintf(end, sizeof end, " - %s\n", test);
    for (const char *at = buf_text(out); (at = strstr(at, "not ok ")) != NULL; at++) {
        const char *dash = strstr(at, " - ");
        if (dash != NULL && str_starts(dash, end)) {
            return true;
        }
    }
    return false;
}

static void every_bug_has_its_row(void **state) {
    (void)state;
    assert_int_equal(sizeof rows / sizeof *rows, STORE_BUG_END - 1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(rows[i].bug, i + 1);
    }
}

static void without_a_bug_all_pass(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool is_done = false;
        for (size_t j = 0; j < i; j++) {
            is_done = is_done || str_equal(rows[j].program, rows[i].program);
        }
        AUTO_BUF out = {0};
        if (!is_done && run(rows[i].program, "", &out) != 0) {
            fail_msg("%s fails without a bug:\n%s", rows[i].program, buf_text(&out));
        }
    }
}

static void each_bug_is_found(void **state) {
    (void)state;
    int missed = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO_BUF out = {0};
        int status = run(rows[i].program, names[rows[i].bug], &out);
        bool is_found = WIFSIGNALED(status) || has_failed(&out, rows[i].test);
        print_message("# %-34s %s %s: %s\n", names[rows[i].bug], rows[i].program, rows[i].test,
                      WIFSIGNALED(status) ? strsignal(WTERMSIG(status))
                      : is_found          ? "fails"
                                          : "MISSED");
        missed += !is_found;
    }
    assert_int_equal(missed, 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_bug_has_its_row),
    cmocka_unit_test(without_a_bug_all_pass),
    cmocka_unit_test(each_bug_is_found),
};

int main(int argc, char **argv) {
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    str_copy(folder, sizeof folder, ".");
    if (slash != NULL && (size_t)(slash - argv[0]) < sizeof folder) {
        memcpy(folder, argv[0], (size_t)(slash - argv[0]));
        folder[slash - argv[0]] = '\0';
    }
    return cmocka_run_group_tests_name(__FILE__, tests, begin, end);
}
