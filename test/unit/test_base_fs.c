// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_base_fs.c — reading under a limit, replacing whole, removing trees of any depth and never
// across a mount.
#include "base/fs.c" // for open_below; the archive's object is then not linked

#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "test/lib/check.h"
#include "test/lib/scratch.h"

static char root[SCRATCH_BYTES];

static int set_up(void **state) {
    (void)state;
    scratch_name(root, sizeof root, "test-fs");
    return mkdtemp(root) == NULL || chdir(root) != 0;
}

static int tear_down(void **state) {
    (void)state;
    return chdir("/") != 0 || fs_remove_tree(AT_FDCWD, root, NULL) != 0 || fs_exists(root);
}

static void put_file(const char *path, const char *text) {
    assert_int_equal(fs_replace(AT_FDCWD, path, text, strlen(text), 0600, false, NULL), 0);
}

static void a_file_is_read_up_to_its_limit(void **state) {
    (void)state;
    struct error err = {0};
    AUTO_BUF out = {0};
    buf_adds(&out, "before ");
    put_file("f", "12345");
    assert_int_equal(fs_read(AT_FDCWD, "f", 5, &out, &err), 0);
    assert_string_equal(buf_text(&out), "before 12345");
    assert_int_equal(fs_read(AT_FDCWD, "f", 4, &out, &err), -ERR_LIMIT);
    assert_string_equal(buf_text(&out), "before 12345"); // untouched
    assert_int_equal(fs_read(AT_FDCWD, "f", 0, &out, &err), -ERR_LIMIT);
    assert_int_equal(fs_read(AT_FDCWD, "f", SIZE_MAX, &out, &err), 0);
    assert_int_equal(fs_read(AT_FDCWD, "absent", 5, &out, &err), -ERR_NOT_FOUND);
    assert_int_equal(fs_read(AT_FDCWD, ".", 5, &out, &err), -ERR_SYSTEM);
    assert_int_equal(err.sys, EISDIR);
}

static void a_large_file_is_read_whole(void **state) {
    (void)state;
    AUTO_BUF big = {0};
    buf_pad(&big, 'x', 300000);
    assert_int_equal(fs_replace(AT_FDCWD, "big", big.data, big.len, 0600, true, NULL), 0);
    AUTO_BUF out = {0};
    assert_int_equal(fs_read(AT_FDCWD, "big", 300000, &out, NULL), 0);
    assert_int_equal(out.len, 300000);
    assert_memory_equal(out.data, big.data, big.len);
    AUTO_BUF small = buf_make(1000);
    assert_int_equal(fs_read(AT_FDCWD, "big", 300000, &small, NULL), -ERR_LIMIT);
    assert_string_equal(buf_text(&small), "");
}

static void a_replaced_file_is_new_with_its_mode(void **state) {
    (void)state;
    // What a crash, or somebody, left under the temporary name must not matter.
    assert_int_equal(symlink("elsewhere", "f.tmp"), 0);
    mode_t mask = umask(077);
    assert_int_equal(fs_replace(AT_FDCWD, "f", "one", 3, 0644, true, NULL), 0);
    umask(mask);
    struct stat st;
    assert_int_equal(stat("f", &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    assert_false(fs_exists("f.tmp"));
    assert_false(fs_exists("elsewhere"));
    struct error err = {0};
    assert_int_equal(fs_replace(AT_FDCWD, "no/such", "x", 1, 0600, false, &err), -ERR_SYSTEM);
    assert_int_equal(mkdir("dir", 0700), 0);
    put_file("dir/kept", "");
    assert_true(fs_replace(AT_FDCWD, "dir", "x", 1, 0600, false, &err) < 0);
    assert_false(fs_exists("dir.tmp"));
}

static void directories_are_made_on_the_way(void **state) {
    (void)state;
    struct error err = {0};
    assert_int_equal(fs_make_dirs("a/b/c", 0700, &err), 0);
    assert_int_equal(fs_make_dirs("a/b/c/", 0700, &err), 0);
    assert_true(fs_exists("a/b/c"));
    char path[256];
    snprintf(path, sizeof path, "%s//x/y", root);
    assert_int_equal(fs_make_dirs(path, 0700, &err), 0);
    put_file("a/file", "");
    assert_true(fs_make_dirs("a/file", 0700, &err) < 0);
    assert_true(fs_make_dirs("a/file/x", 0700, &err) < 0);
    assert_true(fs_make_dirs("", 0700, &err) < 0);
}

static void a_tree_is_removed_but_not_what_it_points_to(void **state) {
    (void)state;
    assert_int_equal(fs_make_dirs("tree/a/b/c", 0700, NULL), 0);
    assert_int_equal(fs_make_dirs("tree/a/empty", 0700, NULL), 0);
    assert_int_equal(fs_make_dirs("outside", 0700, NULL), 0);
    put_file("outside/kept", "");
    put_file("tree/a/b/f", "");
    assert_int_equal(symlink("../outside", "tree/link"), 0);
    assert_int_equal(mkfifo("tree/pipe", 0600), 0);
    struct error err = {0};
    assert_int_equal(fs_remove_tree(AT_FDCWD, "tree//", &err), 0);
    assert_false(fs_exists("tree"));
    assert_true(fs_exists("outside/kept"));
    assert_int_equal(fs_remove_tree(AT_FDCWD, "tree", &err), 0); // absent is fine
    assert_int_equal(fs_remove_tree(AT_FDCWD, "no/tree", &err), 0);
    assert_int_equal(symlink("outside", "link"), 0);
    assert_int_equal(fs_remove_tree(AT_FDCWD, "link", &err), 0);
    assert_true(fs_exists("outside/kept"));
    assert_int_equal(fs_remove_tree(AT_FDCWD, ".", &err), -ERR_INVALID);
    assert_int_equal(fs_remove_tree(AT_FDCWD, "/", &err), -ERR_INVALID);
    assert_int_equal(fs_remove_tree(AT_FDCWD, "outside/..", &err), -ERR_INVALID);
}

static void depth_costs_nothing(void **state) {
    (void)state;
    assert_int_equal(mkdir("deep", 0700), 0);
    int fd = open("deep", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < 20000; i++) { // far beyond PATH_MAX and the limit on descriptors
        assert_int_equal(mkdirat(fd, "d", 0700), 0);
        int next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(next >= 0);
        close(fd);
        fd = next;
    }
    close(fd);
    struct error err = {0};
    assert_int_equal(fs_remove_tree(AT_FDCWD, "deep", &err), 0);
    assert_false(fs_exists("deep"));
}

// In a mount namespace of its own: 0 = refused as it should be, 77 = no right to mount here.
static int remove_over_a_bind_mount(void) {
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("data", "tree/a/mounted", NULL, MS_BIND, NULL) != 0) {
        return 77;
    }
    // rmdir(2) refuses a mount point of this namespace already; the step down must do so by itself.
    AUTO_CLOSE int above = open("tree/a", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (open_below(above, "mounted") >= 0 || errno != EXDEV) {
        return 1;
    }
    struct error err = {0};
    int rc = fs_remove_tree(AT_FDCWD, "tree", &err);
    bool is_named = strstr(err.root, "mounted") != NULL;
    bool is_kept = fs_exists("data/kept");
    bool top_refused =
        fs_remove_tree(AT_FDCWD, "tree/a/mounted", &err) == -ERR_BUSY && fs_exists("data/kept");
    umount2("tree/a/mounted", MNT_DETACH);
    return rc == -ERR_BUSY && is_named && is_kept && top_refused ? 0 : 1;
}

static void a_mount_is_never_crossed(void **state) {
    (void)state;
    assert_int_equal(fs_make_dirs("tree/a/mounted", 0700, NULL), 0);
    assert_int_equal(fs_make_dirs("data", 0700, NULL), 0); // of the same file system: st_dev says nothing
    put_file("data/kept", "");
    pid_t child = fork();
    if (child == 0) {
        _exit(remove_over_a_bind_mount());
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        skip();
    }
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_true(fs_exists("data/kept"));
}

static void bytes_go_through_a_small_pipe(void **state) {
    (void)state;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        static char block[200000];
        _exit(fs_write_all(ends[1], block, sizeof block) == 0 ? 0 : 1);
    }
    close(ends[1]);
    char got[4096];
    size_t total = 0;
    for (ssize_t n; (n = read(ends[0], got, sizeof got)) > 0;) {
        total += (size_t)n;
    }
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(total, 200000);
    assert_int_equal(fs_write_all(-1, "x", 1), -1);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(a_file_is_read_up_to_its_limit, set_up, tear_down),
    cmocka_unit_test_setup_teardown(a_large_file_is_read_whole, set_up, tear_down),
    cmocka_unit_test_setup_teardown(a_replaced_file_is_new_with_its_mode, set_up, tear_down),
    cmocka_unit_test_setup_teardown(directories_are_made_on_the_way, set_up, tear_down),
    cmocka_unit_test_setup_teardown(a_tree_is_removed_but_not_what_it_points_to, set_up, tear_down),
    cmocka_unit_test_setup_teardown(depth_costs_nothing, set_up, tear_down),
    cmocka_unit_test_setup_teardown(a_mount_is_never_crossed, set_up, tear_down),
    cmocka_unit_test_setup_teardown(bytes_go_through_a_small_pipe, set_up, tear_down),
};
CHECK_MAIN(tests)
