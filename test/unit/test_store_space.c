// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_store_space.c — no space: refused early and with its cause, nothing lost, going on when
// there is space again.
//
// The full file system is a tmpfs in a mount namespace of a child process, so that nothing is left behind;
// needs root.
#include "test/lib/check.h"
#include "test/lib/scratch.h"
#include "test/lib/store_fixture.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/limits.h"
#include "base/mem.h"

static struct store_object blob(struct store_fixture *f, unsigned number) {
    return store_config(f, number, "", 40000);
}

// Creates until something is refused; how many were made.
static unsigned fill(struct store_fixture *f, unsigned from, int *code) {
    unsigned made = 0;
    for (*code = 0; *code == 0 && made < 10000; made += *code == 0) {
        *code = store_try(f, CHANGE_CREATE, blob(f, from + made), 0).code;
    }
    return made;
}

static void all_there(struct store_fixture *f, unsigned from, unsigned to) {
    struct store_read *read = store_begin_read(f);
    for (unsigned i = from; i < to; i++) {
        struct id id = store_id(i);
        struct bytes bytes;
        assert_int_equal(store_get(read, KIND_CONFIG, &id, &bytes, NULL), 0);
    }
    store_read_end(read);
}

// Deletes one after the other; the freed pages come back two transactions later.
static void delete_some(struct store_fixture *f, unsigned from, unsigned to) {
    for (unsigned i = from; i < to; i++) {
        assert_int_equal(store_try(f, CHANGE_DELETE, blob(f, i), 0).code, 0);
    }
}

static void a_full_map_without_a_reserve_is_an_answer(void **state) {
    (void)state;
    struct store_fixture f;
    struct store_options options = {.map_bytes = (size_t)8 * MIB, .history_bytes = 50000};
    store_fixture_begin(&f, &options);
    int code;
    unsigned made = fill(&f, 1, &code);
    assert_int_equal(code, -ERR_NO_SPACE);
    assert_true(made > 20);
    int64_t revision = store_revision(f.store);
    assert_int_equal(revision, made);
    all_there(&f, 1, made + 1);
    // All of a turn is refused together, and each is told.
    store_add(&f, CHANGE_CREATE, store_task(&f, 90001, 1, 0), 0);
    assert_int_equal(store_submit(&f, 1), 0);
    for (unsigned i = 0; i < 10; i++) {
        store_add(&f, CHANGE_CREATE, store_config(&f, 91000 + i, "", 900000), 0);
        assert_int_equal(store_submit(&f, 2 + i), 0);
    }
    f.results.count = 0;
    store_turn(&f);
    assert_true(f.results.count >= 2);
    while (f.proposer->ops->has_work(f.proposer)) {
        store_turn(&f);
    }
    assert_int_equal(f.results.count, 11);
    for (size_t i = 0; i < f.results.count; i++) {
        assert_int_equal(f.results.items[i].code, -ERR_NO_SPACE);
        assert_non_null(strstr(f.results.items[i].text, "largest size"));
    }
    assert_int_equal(store_revision(f.store), revision);
    store_fixture_close(&f);
    assert_int_equal(store_fixture_open(&f), 0);
    all_there(&f, 1, made + 1);
    store_fixture_end(&f);
}

static void the_reserve_refuses_early_but_lets_delete(void **state) {
    (void)state;
    struct store_fixture f;
    struct store_options options = {
        .map_bytes = (size_t)16 * MIB, .history_bytes = 50000, .reserve_bytes = 6 * MIB};
    store_fixture_begin(&f, &options);
    int code;
    unsigned made = fill(&f, 1, &code);
    assert_int_equal(code, -ERR_NO_SPACE);
    assert_int_equal(store_revision(f.store), made); // refused at the door: no entry
    struct store_usage usage;
    store_usage(f.store, &usage);
    assert_true(usage.map_bytes - usage.used_bytes >= 5 * MIB);
    assert_non_null(strstr(store_try(&f, CHANGE_CREATE, blob(&f, 9999), 0).text, "less than 6 MiB are free"));
    // What stops tasks is an update, and may be what frees the disk.
    store_add(&f, CHANGE_CREATE, blob(&f, 9998), 0);
    f.transaction.makes_room = true;
    assert_int_equal(store_submit(&f, 77), 0);
    store_turn(&f);
    unsigned gone = made / 2;
    delete_some(&f, 1, gone);
    // The log still holds what was created; its tail goes with time, at the latest when it has its entries
    // full.
    for (unsigned i = 0; i < 5000; i++) {
        store_add(&f, CHANGE_DELETE, blob(&f, 1), 0);
        assert_int_equal(store_submit(&f, i), 0);
        if (i % 500 == 499) {
            store_turn(&f);
        }
    }
    assert_int_equal(store_try(&f, CHANGE_CREATE, blob(&f, 5000), 0).code, 0);
    all_there(&f, gone, made + 1);
    store_fixture_end(&f);
}

// --- a file system of 16 MiB ---

static void balloon(const char *dir, size_t bytes) {
    char path[128];
    snprintf(path, sizeof path, "%s/balloon", dir);
    if (bytes == 0) {
        unlink(path);
        return;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    char *zeros = xcalloc(1, bytes);
    ssize_t put = write(fd, zeros, bytes); // as much as fits
    (void)put;
    xfree(zeros);
    close(fd);
}

static int on_small_disk(const char *dir) {
    struct store_fixture f = {0};
    int code;
    snprintf(f.dir, sizeof f.dir, "%s/store", dir);
    f.options = (struct store_options){
        .dir = f.dir, .map_bytes = (size_t)64 * MIB, .reserve_bytes = -1, .history_bytes = 50000};
    assert_int_equal(store_fixture_open(&f), 0);
    unsigned made = fill(&f, 1, &code);
    assert_int_equal(code, -ERR_NO_SPACE);
    assert_true(made > 50);
    all_there(&f, 1, made + 1);
    // Still full, and still answering.
    assert_int_equal(store_try(&f, CHANGE_CREATE, store_config(&f, 7777, "", 900000), 0).code, -ERR_NO_SPACE);
    store_fixture_close(&f);
    assert_int_equal(store_fixture_open(&f), 0); // a full disk does not keep it from being opened
    all_there(&f, 1, made + 1);
    balloon(dir, 0);
    assert_int_equal(store_try(&f, CHANGE_CREATE, blob(&f, 8000), 0).code, 0);
    // With a reserve the door closes before the disk is full, and opens again.
    store_fixture_close(&f);
    f.options.reserve_bytes = 2 * MIB;
    assert_int_equal(store_fixture_open(&f), 0);
    assert_int_equal(store_try(&f, CHANGE_CREATE, blob(&f, 8001), 0).code, 0);
    balloon(dir, (size_t)16 * MIB);
    assert_int_equal(store_try(&f, CHANGE_CREATE, blob(&f, 8002), 0).code, -ERR_NO_SPACE);
    int64_t revision = store_revision(f.store);
    balloon(dir, 0);
    assert_int_equal(store_try(&f, CHANGE_CREATE, blob(&f, 8002), 0).code, 0);
    assert_int_equal(store_revision(f.store), revision + 1);
    store_fixture_close(&f);
    assert_int_equal(store_check(f.dir, NULL), 0);
    arena_free(&f.arena);
    return 0;
}

static void a_full_disk_is_an_answer(void **state) {
    (void)state;
    if (getuid() != 0) {
        skip();
    }
    char dir[SCRATCH_BYTES];
    scratch_name(dir, sizeof dir, "space");
    assert_non_null(mkdtemp(dir));
    pid_t child = fork();
    if (child == 0) {
        bool ready = unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
                     mount("small", dir, "tmpfs", 0, "size=16m") == 0;
        if (ready) {
            balloon(dir, (size_t)8 * MIB);
        }
        _exit(ready ? on_small_disk(dir) : 77);
    }
    int status = 0;
    waitpid(child, &status, 0);
    rmdir(dir);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_full_map_without_a_reserve_is_an_answer),
    cmocka_unit_test(the_reserve_refuses_early_but_lets_delete),
    cmocka_unit_test(a_full_disk_is_an_answer),
};
CHECK_MAIN(tests)
