// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_store_open.c — opening: what is refused, in which words, and that what is refused is not
// touched.
#include "test/lib/check.h"
#include "test/lib/store_fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/limits.h"
#include "reconciler/store/environment.h"
#include "reconciler/store/store_handle.h"

static int setup(void **state) {
    struct store_fixture *f = test_malloc(sizeof *f);
    store_fixture_begin(f, NULL);
    store_try(f, CHANGE_CREATE, store_service(f, 1, "web"), 0);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    store_fixture_end(*state);
    test_free(*state);
    return 0;
}

static void path_of(const struct store_fixture *f, const char *name, char out[128]) {
    snprintf(out, 128, "%s/%s", f->dir, name);
}

static void put_file(const struct store_fixture *f, const char *name, const void *data, size_t len) {
    char path[128];
    path_of(f, name, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && fs_write_all(fd, data, len) == 0);
    close(fd);
}

static void get_file(const struct store_fixture *f, const char *name, struct buf *out) {
    char path[128];
    path_of(f, name, path);
    assert_int_equal(fs_read(AT_FDCWD, path, (size_t)64 * MIB, out, NULL), 0);
}

static const char *refusal(struct store_fixture *f, int expected) {
    static char text[1024];
    AUTO_BUF before = {0}, after = {0};
    get_file(f, ENVIRONMENT_FILE, &before);
    assert_int_equal(store_fixture_open(f), expected);
    get_file(f, ENVIRONMENT_FILE, &after);
    assert_int_equal(before.len, after.len);
    if (before.len > 0) {
        assert_memory_equal(before.data, after.data, before.len);
    }
    return error_text(&f->err, text, sizeof text);
}

static void what_was_kept_is_there_again(void **state) {
    struct store_fixture *f = *state;
    uint64_t digest = store_digest_now(f);
    struct stat st;
    assert_int_equal(stat(f->dir, &st), 0);
    store_fixture_close(f);
    assert_int_equal(store_check(f->dir, &f->err), 0);
    assert_int_equal(store_fixture_open(f), 0);
    assert_int_equal(store_revision(f->store), 1);
    assert_true(store_digest_now(f) == digest);
}

static void a_second_daemon_is_told_who_has_it(void **state) {
    struct store_fixture *f = *state;
    struct store *second = NULL;
    char want[64], text[512];
    snprintf(want, sizeof want, "is in use by process %d", (int)getpid());
    assert_int_equal(store_open(&f->options, &second, &f->err), -ERR_BUSY);
    assert_non_null(strstr(error_text(&f->err, text, sizeof text), want));
    assert_null(second);
    assert_int_equal(store_check(f->dir, NULL), -ERR_BUSY);
}

static void an_empty_file_is_damage(void **state) {
    struct store_fixture *f = *state;
    store_fixture_close(f);
    put_file(f, ENVIRONMENT_FILE, "", 0);
    const char *text = refusal(f, -ERR_CORRUPT);
    assert_non_null(strstr(text, "data.mdb' is damaged"));
    assert_non_null(strstr(text, "nothing was changed: restore the directory"));
}

static void garbage_is_damage(void **state) {
    struct store_fixture *f = *state;
    store_fixture_close(f);
    char garbage[20000];
    for (size_t i = 0; i < sizeof garbage; i++) {
        garbage[i] = (char)(i * 7 + i / 300);
    }
    put_file(f, ENVIRONMENT_FILE, garbage, sizeof garbage);
    refusal(f, -ERR_CORRUPT);
    memset(garbage, 0, sizeof garbage);
    put_file(f, ENVIRONMENT_FILE, garbage, sizeof garbage);
    refusal(f, -ERR_CORRUPT);
    put_file(f, ENVIRONMENT_FILE, "short", 5);
    refusal(f, -ERR_CORRUPT);
}

static void a_cut_file_is_damage(void **state) {
    struct store_fixture *f = *state;
    store_fixture_close(f);
    AUTO_BUF whole = {0};
    get_file(f, ENVIRONMENT_FILE, &whole);
    for (size_t len = 600; len < whole.len; len += 3000) {
        put_file(f, ENVIRONMENT_FILE, whole.data, len);
        refusal(f, -ERR_CORRUPT);
    }
    put_file(f, ENVIRONMENT_FILE, whole.data, whole.len);
    assert_int_equal(store_fixture_open(f), 0);
}

// Writes the head and, like every transaction of the store, what is local.
static void rewrite_head(struct store_fixture *f, const struct format_head *head) {
    struct environment environment;
    struct store_local local;
    MDB_txn *txn;
    assert_int_equal(environment_open(f->dir, (size_t)MIB, ENVIRONMENT_WRITE, &environment, NULL), 0);
    assert_int_equal(environment_begin(&environment, true, &txn, NULL), 0);
    assert_int_equal(meta_head_put(&environment, txn, head, NULL), 0);
    assert_int_equal(meta_local_get(&environment, txn, &local, NULL), 0);
    assert_int_equal(meta_local_put(&environment, txn, &local, NULL), 0);
    assert_int_equal(environment_commit(txn, NULL), 0);
    environment_close(&environment);
}

static void a_newer_format_is_refused(void **state) {
    struct store_fixture *f = *state;
    store_fixture_close(f);
    rewrite_head(f, &(struct format_head){.write_version = 5, .read_version_min = 4});
    assert_non_null(
        strstr(refusal(f, -ERR_UNSUPPORTED),
               "written by a newer muster in format 5, which readers of format 4 on understand; this is 3"));
    rewrite_head(f, &(struct format_head){4, 3, {""}, {(const uint8_t *)"sealed\n", 7}});
    assert_non_null(strstr(refusal(f, -ERR_UNSUPPORTED), "with 'sealed', which this one does not know"));
    rewrite_head(f, &(struct format_head){.write_version = 4, .read_version_min = 3});
    assert_int_equal(store_fixture_open(f), 0); // newer, but readable
}

static void another_clusters_store_is_refused(void **state) {
    struct store_fixture *f = *state;
    store_fixture_close(f);
    f->options.cluster_id = store_id(77); // the first to be named is taken
    assert_int_equal(store_fixture_open(f), 0);
    store_fixture_close(f);
    assert_int_equal(store_fixture_open(f), 0);
    store_fixture_close(f);
    f->options.cluster_id = store_id(78);
    assert_non_null(strstr(refusal(f, -ERR_CONFLICT), "belongs to cluster"));
    f->options.cluster_id = (struct id){""};
    assert_int_equal(store_fixture_open(f), 0);
}

static void a_half_made_store_is_made_again(void **state) {
    struct store_fixture *f = *state;
    char path[128];
    store_fixture_close(f);
    path_of(f, ENVIRONMENT_FILE, path);
    assert_int_equal(unlink(path), 0);
    path_of(f, "new", path);
    assert_int_equal(mkdir(path, 0700), 0);
    put_file(f, "new/" ENVIRONMENT_FILE, "half", 4);
    assert_int_equal(store_fixture_open(f), 0);
    assert_int_equal(store_revision(f->store), 0);
    assert_false(fs_exists(path));
}

static void lmdbs_lock_file_does_not_matter(void **state) {
    struct store_fixture *f = *state;
    store_fixture_close(f);
    char garbage[8192];
    memset(garbage, 0x5A, sizeof garbage);
    put_file(f, ENVIRONMENT_LOCK_FILE, garbage, sizeof garbage);
    assert_int_equal(store_fixture_open(f), 0);
    assert_int_equal(store_try(f, CHANGE_CREATE, store_service(f, 2, "api"), 0).code, 0);
}

static void a_directory_that_cannot_be_is_a_failure(void **state) {
    struct store_fixture *f = *state;
    struct store_options options = f->options;
    struct store *store = NULL;
    options.dir = "/proc/none";
    assert_true(store_open(&options, &store, &f->err) < 0);
    assert_null(store);
}

// The daemon was killed between fork and exec of a child: the child has its lock for a moment more.
static void a_lock_that_outlives_its_owner_is_waited_for(void **state) {
    struct store_fixture *f = *state;
    store_fixture_close(f);
    pid_t owner = fork();
    if (owner == 0) {
        bool is_open = store_fixture_open(f) == 0;
        if (fork() == 0) {
            (void)poll(NULL, 0, 100); // how long it holds on; the owner is dead by then
            _exit(0);
        }
        _exit(is_open ? 0 : 1);
    }
    siginfo_t info; // it stays there to be reaped: a zombie holds nothing either
    assert_int_equal(waitid(P_PID, (id_t)owner, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(store_fixture_open(f), 0);
    int status;
    assert_int_equal(waitpid(owner, &status, 0), owner);
    assert_int_equal(status, 0);
}

// kill -9 takes a moment, and whoever starts the next daemon at once should not have to know.
static void a_daemon_that_is_about_to_end_is_waited_for(void **state) {
    struct store_fixture *f = *state;
    store_fixture_close(f);
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t owner = fork();
    if (owner == 0) {
        bool is_told = store_fixture_open(f) == 0 && write(pipe_fds[1], "x", 1) == 1;
        (void)poll(NULL, 0, 100); // the moment
        _exit(is_told ? 0 : 1);
    }
    char byte;
    assert_int_equal(read(pipe_fds[0], &byte, 1), 1);
    assert_int_equal(store_fixture_open(f), 0);
    assert_int_equal(waitpid(owner, NULL, 0), owner);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
static const struct CMUnitTest tests[] = {
    TEST(what_was_kept_is_there_again),
    TEST(a_second_daemon_is_told_who_has_it),
    TEST(a_lock_that_outlives_its_owner_is_waited_for),
    TEST(a_daemon_that_is_about_to_end_is_waited_for),
    TEST(an_empty_file_is_damage),
    TEST(garbage_is_damage),
    TEST(a_cut_file_is_damage),
    TEST(a_newer_format_is_refused),
    TEST(another_clusters_store_is_refused),
    TEST(a_half_made_store_is_made_again),
    TEST(lmdbs_lock_file_does_not_matter),
    TEST(a_directory_that_cannot_be_is_a_failure),
};
CHECK_MAIN(tests)
