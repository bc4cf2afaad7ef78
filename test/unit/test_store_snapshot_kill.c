// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_store_snapshot_kill.c — a snapshot that is installed while the process is killed or the disk
// fails: afterwards the store is the old one or the new one, whole, and takes the snapshot again.
//
//     test_store_snapshot_kill             as a unit test: at every commit, and at random moments
//     test_store_snapshot_kill old DIR     makes the store that is there before
//     test_store_snapshot_kill install DIR installs the snapshot, prints "installed" when it is durable
//     test_store_snapshot_kill verify DIR  prints whether it is the old or the new one, or fails
//
// The commands serve test/e2e/store_kill.bats, which kills at chosen system calls.
#include "test/lib/check.h"
#include "test/lib/scratch.h"
#include "test/lib/snapshot_chunks.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/limits.h"
#include "base/prng.h"
#include "base/str.h"
#include "reconciler/store/log.h"
#include "reconciler/store/turn.h"

#define OLD_TASKS 60
#define NEW_TASKS 900
#define TERM 9
#define VOTE 77

static void fill(struct store_fixture *f, unsigned from, unsigned count) {
    for (unsigned i = from; i < from + count; i++) {
        store_add(f, CHANGE_CREATE, store_task(f, i, 1, 900), 0);
        store_add(f, CHANGE_CREATE, store_config(f, 100000 + i, "", 500 + i % 700), 0);
        store_submit(f, i);
    }
    while (f->proposer->ops->has_work(f->proposer)) {
        store_turn(f);
    }
}

static int open_at(struct store_fixture *f, const char *dir) {
    *f = (struct store_fixture){0};
    str_copy(f->dir, sizeof f->dir, dir);
    f->options = (struct store_options){
        .dir = f->dir, .map_bytes = (size_t)256 * MIB, .reserve_bytes = -1, .check_here = true};
    return store_fixture_open(f);
}

static void close_at(struct store_fixture *f) {
    store_fixture_close(f);
    arena_free(&f->arena);
}

// All of it is the same whoever makes it.
struct known {
    struct store_fixture source;
    struct snapshot_chunks chunks;
    uint64_t old_digest, new_digest;
};

static void make_old(const char *dir) {
    struct store_fixture f;
    assert_int_equal(open_at(&f, dir), 0);
    fill(&f, 5000, OLD_TASKS);
    close_at(&f);
}

static void known_begin(struct known *known) {
    struct store_fixture old;
    store_fixture_begin(&known->source, NULL);
    fill(&known->source, 1, NEW_TASKS);
    known->chunks = snapshot_chunks_of(&known->source, &known->source.arena);
    known->new_digest = store_digest_now(&known->source);
    store_fixture_begin(&old, NULL);
    fill(&old, 5000, OLD_TASKS);
    known->old_digest = store_digest_now(&old);
    store_fixture_end(&old);
}

static void known_end(struct known *known) {
    store_fixture_end(&known->source);
}

// 'o' = the old store, 'n' = the new one, '?' = neither.
static char which(struct store_fixture *f, const struct known *known) {
    uint64_t digest = store_digest_now(f);
    const struct store_local *local = store_local(f->store);
    if (digest == known->old_digest && local->last_index == OLD_TASKS && local->base_index == 0 &&
        local->term == 0) {
        return 'o';
    }
    bool is_new = digest == known->new_digest && local->base_index == NEW_TASKS &&
                  local->last_index == NEW_TASKS && local->term == TERM && local->vote == VOTE &&
                  local->log_bytes == 0;
    return is_new ? 'n' : '?';
}

// After whatever happened: opens, checks, tells which, and the other set of tables is empty.
static char verify(const char *dir, const struct known *known) {
    struct store_fixture f;
    char text[512], found = '?';
    if (open_at(&f, dir) < 0) {
        fprintf(stderr, "%s\n", error_text(&f.err, text, sizeof text));
        return '?';
    }
    found = which(&f, known);
    MDB_txn *txn;
    MDB_stat stat;
    assert_int_equal(environment_begin(&f.store->environment, /*write=*/false, &txn, NULL), 0);
    mdb_stat(txn, f.store->environment.shadows[TABLE_OBJECTS], &stat);
    mdb_txn_abort(txn);
    assert_int_equal(stat.ms_entries, 0);
    close_at(&f);
    return found;
}

static int install(const char *dir, const struct known *known, const struct store_faults *faults) {
    struct store_fixture f;
    char text[512];
    int rc = open_at(&f, dir);
    if (rc == 0) {
        f.store->faults = faults;
        rc = snapshot_chunks_install(&known->chunks, f.store, TERM, VOTE, &f.err);
    }
    if (rc == 0) {
        rc = dprintf(STDOUT_FILENO, "installed\n") > 0 ? 0 : -1;
    } else {
        fprintf(stderr, "%s\n", error_text(&f.err, text, sizeof text));
    }
    close_at(&f);
    return rc;
}

// --- at every commit ---

struct nth {
    int commits, at;
    int code; // 0 = the process dies
};

static int nth_commit(void *context, struct error *err) {
    struct nth *nth = context;
    if (++nth->commits != nth->at) {
        return 0;
    }
    if (nth->code == 0) {
        raise(SIGKILL);
    }
    return error_set(err, (enum error_code)nth->code, "by order");
}

static pid_t start_install(const char *dir, const struct known *known, const struct store_faults *faults) {
    fflush(stdout);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        dup2(null, STDOUT_FILENO);
        _exit(install(dir, known, faults) == 0 ? 0 : 1);
    }
    return child;
}

static int wait_for(pid_t child) {
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void a_kill_at_any_commit_leaves_the_old_or_the_new(void **state) {
    struct known *known = *state;
    char dir[SCRATCH_BYTES];
    scratch_name(dir, sizeof dir, "install");
    assert_non_null(mkdtemp(dir));
    make_old(dir);
    int status = 1, at = 1;
    for (; status != 0; at++) {
        struct nth nth = {.at = at};
        struct store_faults faults = {nth_commit, &nth};
        status = wait_for(start_install(dir, known, &faults));
        assert_true(status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
        assert_int_equal(verify(dir, known), status == 0 ? 'n' : 'o');
    }
    assert_true(at > (int)known->chunks.all.count + 1);
    assert_int_equal(fs_remove_tree(AT_FDCWD, dir, NULL), 0);
}

static int tell_commit(void *context, struct error *err) {
    const int *fd = context;
    (void)err;
    return write(*fd, ".", 1) == 1 ? 0 : -ERR_SYSTEM;
}

// Kills it a moment after it has come to the commit of this number; how it ended.
static int kill_after(const char *dir, const struct known *known, uint64_t commits, uint64_t spins) {
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    struct store_faults faults = {tell_commit, &ends[1]};
    pid_t child = start_install(dir, known, &faults);
    close(ends[1]);
    char byte;
    for (uint64_t i = 0; i < commits && read(ends[0], &byte, 1) == 1; i++) {
    }
    for (; spins > 0; spins--) { // somewhere in what follows
        __asm__ volatile("");
    }
    kill(child, SIGKILL);
    close(ends[0]);
    return wait_for(child);
}

static void a_kill_at_any_moment_does_too(void **state) {
    struct known *known = *state;
    struct prng prng;
    int counts[2] = {0};
    size_t commits = known->chunks.all.count + 1;
    prng_seed(&prng, 4);
    for (size_t i = 0; i < 40; i++) {
        char dir[SCRATCH_BYTES];
        scratch_name(dir, sizeof dir, "install");
        assert_non_null(mkdtemp(dir));
        make_old(dir);
        size_t after = i % 2 == 0 ? commits : prng_below(&prng, commits); // mostly in the last step
        int status = kill_after(dir, known, after, prng_below(&prng, 6000000));
        char found = verify(dir, known);
        assert_true(found == 'n' || (found == 'o' && status != 0));
        counts[found == 'n']++;
        assert_int_equal(fs_remove_tree(AT_FDCWD, dir, NULL), 0);
    }
    print_message("old %d times, new %d times\n", counts[0], counts[1]);
}

// The store stays open, is the old one, opens again as the old one, and takes the snapshot when the disk is
// well.
static void a_commit_that_fails_leaves_the_old(void **state) {
    struct known *known = *state;
    const int codes[] = {ERR_NO_SPACE, ERR_SYSTEM};
    for (size_t i = 0; i < 2; i++) {
        int rc = -1;
        for (int at = 1; rc != 0; at++) {
            struct store_fixture f;
            struct nth nth = {.at = at, .code = codes[i]};
            struct store_faults faults = {nth_commit, &nth};
            store_fixture_begin(&f, NULL);
            f.options.check_here = true;
            fill(&f, 5000, OLD_TASKS);
            f.store->faults = &faults;
            rc = snapshot_chunks_install(&known->chunks, f.store, TERM, VOTE, &f.err);
            assert_true(rc == 0 || rc == -codes[i]);
            assert_int_equal(which(&f, known), rc == 0 ? 'n' : 'o');
            f.store->faults = NULL;
            if (at % 2 == 0) {
                store_fixture_close(&f);
                assert_int_equal(store_fixture_open(&f), 0);
                assert_int_equal(which(&f, known), rc == 0 ? 'n' : 'o');
            }
            assert_int_equal(snapshot_chunks_install(&known->chunks, f.store, TERM, VOTE, &f.err), 0);
            assert_int_equal(which(&f, known), 'n');
            store_fixture_end(&f);
        }
    }
}

// A full disk at the last step: the same snapshot is installed once there is space.
static void the_last_step_may_be_tried_again(void **state) {
    struct known *known = *state;
    struct store_fixture f;
    struct snapshot_in *in = NULL;
    struct nth nth = {.at = 1, .code = ERR_NO_SPACE};
    struct store_faults faults = {nth_commit, &nth};
    store_fixture_begin(&f, NULL);
    fill(&f, 5000, OLD_TASKS);
    assert_int_equal(snapshot_in_begin(f.store, &in, &f.err), 0);
    for (size_t i = 0; i < known->chunks.all.count; i++) {
        assert_true(snapshot_in_add(in, known->chunks.all.items[i], &f.err) >= 0);
    }
    f.store->faults = &faults;
    assert_int_equal(snapshot_in_install(in, TERM, VOTE, &f.err), -ERR_NO_SPACE);
    assert_int_equal(which(&f, known), 'o');
    assert_int_equal(store_try(&f, CHANGE_CREATE, store_task(&f, 9000, 1, 0), 0).code, 0);
    assert_int_equal(snapshot_in_install(in, TERM, VOTE, &f.err), 0);
    assert_int_equal(which(&f, known), 'n');
    snapshot_in_end(in);
    store_fixture_end(&f);
}

static int setup(void **state) {
    struct known *known = test_malloc(sizeof *known);
    known_begin(known);
    *state = known;
    return 0;
}

static int teardown(void **state) {
    known_end(*state);
    test_free(*state);
    return 0;
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_kill_at_any_commit_leaves_the_old_or_the_new),
    cmocka_unit_test(a_kill_at_any_moment_does_too),
    cmocka_unit_test(a_commit_that_fails_leaves_the_old),
    cmocka_unit_test(the_last_step_may_be_tried_again),
};

static int run_command(const char *command, const char *dir) {
    if (strcmp(command, "old") == 0) {
        make_old(dir);
        return 0;
    }
    struct known known;
    known_begin(&known);
    int status = 2;
    if (strcmp(command, "install") == 0) {
        status = install(dir, &known, NULL) == 0 ? 0 : 1;
    } else if (strcmp(command, "verify") == 0) {
        char found = verify(dir, &known);
        printf("%s\n", found == 'n' ? "new" : found == 'o' ? "old" : "neither");
        status = found == '?';
    }
    known_end(&known);
    return status;
}

int main(int argc, char **argv) {
    if (argc == 3) {
        return run_command(argv[1], argv[2]);
    }
    return cmocka_run_group_tests_name(__FILE__, tests, setup, teardown);
}
