// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_credentials.c — what a node keeps of its certificate, and what it makes of damage.
#include "test/lib/check.h"
#include "test/lib/papers.h"
#include "test/lib/scratch.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/mem.h"

#define NOW 1800000000000LL

static const struct id node = {"node000000000000000000nod"};
static char dir[64];
static struct papers papers;
static struct credentials credentials;

static int begin(void **state) {
    (void)state;
    scratch_name(dir, sizeof dir, "credentials");
    papers = papers_make(NOW);
    credentials = papers_issue(&papers, &node, ROLE_MANAGER, NOW, DAY_MS);
    return mkdtemp(dir) == NULL;
}

static int end(void **state) {
    (void)state;
    papers_free(&papers);
    credentials_free(&credentials);
    return fs_remove_tree(AT_FDCWD, dir, NULL);
}

static char *path_of(const char *name) {
    return xasprintf("%s/%s", dir, name);
}

static mode_t mode_of(const char *name) {
    struct stat st;
    AUTO_FREE char *path = path_of(name);
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static int load(struct error *err) {
    struct credentials read = {0};
    int rc = credentials_load(dir, &read, err);
    credentials_free(&read);
    return rc;
}

static void what_is_saved_is_loaded(void **state) {
    (void)state;
    struct credentials read;
    struct identity who;
    assert_int_equal(credentials_save(dir, &credentials, NULL), 0);
    assert_int_equal(credentials_load(dir, &read, NULL), 0);
    assert_string_equal(read.key.data, credentials.key.data);
    assert_string_equal(read.certificate.data, credentials.certificate.data);
    assert_string_equal(read.authorities.data, credentials.authorities.data);
    assert_int_equal(credentials_check(&read, NOW, &who, NULL), 0);
    assert_true(id_equal(&who.node_id, &node));
    assert_int_equal(credentials_check(&read, NOW + 2 * DAY_MS, &who, NULL), -ERR_DENIED);
    credentials_free(&read);
}

static void only_the_owner_may_read_the_key(void **state) {
    (void)state;
    AUTO_FREE char *node_file = path_of("node.pem");
    // left there by something else
    assert_int_equal(fs_replace(AT_FDCWD, node_file, "", 0, 0666, false, NULL), 0);
    assert_int_equal(credentials_save(dir, &credentials, NULL), 0);
    assert_int_equal(mode_of("node.pem"), 0600);
    assert_int_equal(mode_of("authorities.pem"), 0644);
}

static void a_renewed_one_takes_the_old_ones_place(void **state) {
    (void)state;
    struct credentials newer = papers_issue(&papers, &node, ROLE_WORKER, NOW, DAY_MS), read;
    struct identity who;
    assert_int_equal(credentials_save(dir, &credentials, NULL), 0);
    assert_int_equal(credentials_save(dir, &newer, NULL), 0);
    assert_int_equal(credentials_load(dir, &read, NULL), 0);
    assert_int_equal(credentials_check(&read, NOW, &who, NULL), 0);
    assert_int_equal(who.role, ROLE_WORKER);
    credentials_free(&newer);
    credentials_free(&read);
}

static void none_is_told_apart_from_damaged(void **state) {
    (void)state;
    struct error err = {0};
    assert_int_equal(load(&err), -ERR_NOT_FOUND);
    assert_int_equal(credentials_save(dir, &credentials, NULL), 0);
    AUTO_FREE char *node_file = path_of("node.pem");
    assert_int_equal(fs_replace(AT_FDCWD, node_file, "garbage", 7, 0600, false, NULL), 0);
    assert_int_equal(load(&err), -ERR_CORRUPT);
    assert_non_null(strstr(err.root, "the node can join again"));
    assert_int_equal(fs_remove_tree(AT_FDCWD, dir, NULL), 0);
    assert_int_equal(load(&err), -ERR_NOT_FOUND);
    assert_int_equal(credentials_save(dir, &credentials, &err), -ERR_NOT_FOUND);
}

// Wherever the file is cut, and whoever's key is in it.
static void a_file_that_does_not_fit_together_is_damaged(void **state) {
    (void)state;
    struct credentials another = papers_issue(&papers, &node, ROLE_MANAGER, NOW, DAY_MS);
    AUTO_FREE char *node_file = path_of("node.pem");
    AUTO_BUF whole = {0};
    struct error err = {0};
    assert_int_equal(credentials_save(dir, &credentials, NULL), 0);
    assert_int_equal(fs_read(AT_FDCWD, node_file, 65536, &whole, NULL), 0);
    for (size_t len = 1; len < whole.len - 40; len += 13) {
        assert_int_equal(fs_replace(AT_FDCWD, node_file, whole.data, len, 0600, false, NULL), 0);
        assert_int_equal(load(&err), -ERR_CORRUPT);
    }
    buf_clear(&whole);
    buf_adds(&whole, buf_text(&credentials.certificate));
    buf_adds(&whole, buf_text(&another.key));
    assert_int_equal(fs_replace(AT_FDCWD, node_file, whole.data, whole.len, 0600, false, NULL), 0);
    assert_int_equal(load(&err), -ERR_CORRUPT);
    assert_non_null(strstr(err.root, "not that of the certificate"));
    credentials_free(&another);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(what_is_saved_is_loaded, begin, end),
    cmocka_unit_test_setup_teardown(only_the_owner_may_read_the_key, begin, end),
    cmocka_unit_test_setup_teardown(a_renewed_one_takes_the_old_ones_place, begin, end),
    cmocka_unit_test_setup_teardown(none_is_told_apart_from_damaged, begin, end),
    cmocka_unit_test_setup_teardown(a_file_that_does_not_fit_together_is_damaged, begin, end),
};
CHECK_MAIN(tests)
