// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_certificates.c — the files that a node joins with: its key, and certificates that it had.
#include "test/lib/check.h"
#include "test/lib/papers.h"
#include "test/lib/scratch.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "reconciler/daemon/certificates.h"

#define NOW 1800000000000LL

static const struct id node = {"worker00000000000000000wo"};
static char state_dir[64];

static int begin(void **state) {
    (void)state;
    scratch_name(state_dir, sizeof state_dir, "papers");
    assert_non_null(mkdtemp(state_dir));
    return 0;
}

static int end(void **state) {
    (void)state;
    return fs_remove_tree(AT_FDCWD, state_dir, NULL);
}

static void assert_joining_key(const struct buf *wanted, bool is_same) {
    struct buf key = {0};
    assert_int_equal(certificates_joining_key(state_dir, &key, NULL), 0);
    assert_int_equal(strcmp(buf_text(&key), buf_text(wanted)) == 0, is_same);
    certificate_wipe_key(&key);
}

static void the_key_to_join_with_stays_until_it_has_joined(void **state) {
    (void)state;
    struct buf key = {0};
    AUTO_BUF request = {0};
    assert_int_equal(certificates_joining_key(state_dir, &key, NULL), 0);
    assert_int_equal(certificate_request(buf_bytes(&key), &request, NULL), 0); // it is one
    assert_joining_key(&key, true);
    assert_int_equal(certificates_joined(state_dir, NULL), 0);
    assert_int_equal(certificates_joined(state_dir, NULL), 0); // again is fine
    assert_joining_key(&key, false);
    certificate_wipe_key(&key);
}

static void a_cluster_that_was_left_takes_the_key_along(void **state) {
    (void)state;
    struct buf key = {0};
    assert_int_equal(certificates_joining_key(state_dir, &key, NULL), 0);
    assert_int_equal(certificates_forget(state_dir, NULL), 0);
    assert_joining_key(&key, false);
    certificate_wipe_key(&key);
}

static void a_key_that_cannot_be_read_is_told(void **state) {
    (void)state;
    AUTO_FREE char *path = xasprintf("%s/certificates/joining.key", state_dir);
    AUTO_BUF key = {0};
    struct error err = {0};
    assert_int_equal(fs_make_dirs(path, 0700, NULL), 0);
    assert_int_equal(certificates_joining_key(state_dir, &key, &err), -ERR_SYSTEM);
    assert_non_null(strstr(err.root, "joining.key"));
}

// Which is found is decided by the authority, and not by which directory comes first.
static void the_certificate_of_the_cluster_is_found_by_its_authority(void **state) {
    (void)state;
    enum { CLUSTERS = 3 };
    for (int i = 0; i < CLUSTERS; i++) {
        uint8_t digest[CERTIFICATE_DIGEST_BYTES];
        struct papers papers = papers_make(NOW);
        struct credentials kept = papers_issue(&papers, &node, ROLE_WORKER, NOW, DAY_MS), found = {0};
        AUTO_FREE char *dir = certificates_dir(state_dir, &papers.cluster_id);
        assert_int_equal(certificate_digest(buf_bytes(&papers.authority), digest, NULL), 0);
        assert_int_equal(certificates_find(state_dir, digest, &found, NULL), -ERR_NOT_FOUND);
        assert_int_equal(fs_make_dirs(dir, 0700, NULL), 0);
        assert_int_equal(credentials_save(dir, &kept, NULL), 0);
        assert_int_equal(certificates_find(state_dir, digest, &found, NULL), 0);
        assert_string_equal(buf_text(&found.certificate), buf_text(&kept.certificate));
        assert_string_equal(buf_text(&found.key), buf_text(&kept.key));
        credentials_free(&kept);
        credentials_free(&found);
        papers_free(&papers);
    }
}

// Whatever the time: these are of years to come.
static void a_node_says_who_signed_and_whom_it_believes(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    struct papers papers = papers_make(NOW), others = papers_make(NOW);
    struct credentials kept = papers_issue(&papers, &node, ROLE_WORKER, NOW, DAY_MS);
    char ours[CERTIFICATES_FINGERPRINT_BYTES], theirs[CERTIFICATES_FINGERPRINT_BYTES];
    struct node_description said;
    certificates_describe(state_dir, &said, &arena);
    assert_string_equal(said.authority, "");
    assert_int_equal(said.authorities.count, 0);
    certificates_fingerprint(buf_bytes(&papers.authority), ours);
    certificates_fingerprint(buf_bytes(&others.authority), theirs);
    buf_clear(&kept.authorities);
    buf_add(&kept.authorities, others.authority.data, others.authority.len);
    buf_add(&kept.authorities, papers.authority.data, papers.authority.len);
    buf_add(&kept.authorities, others.authority.data, others.authority.len);
    assert_int_equal(credentials_save(state_dir, &kept, NULL), 0);
    certificates_describe(state_dir, &said, &arena);
    assert_string_equal(said.authority, ours);
    assert_int_equal(said.authorities.count, 3);
    assert_string_equal(said.authorities.items[0], theirs);
    assert_string_equal(said.authorities.items[1], ours);
    credentials_free(&kept);
    papers_free(&papers);
    papers_free(&others);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(the_key_to_join_with_stays_until_it_has_joined, begin, end),
    cmocka_unit_test_setup_teardown(a_cluster_that_was_left_takes_the_key_along, begin, end),
    cmocka_unit_test_setup_teardown(a_key_that_cannot_be_read_is_told, begin, end),
    cmocka_unit_test_setup_teardown(the_certificate_of_the_cluster_is_found_by_its_authority, begin, end),
    cmocka_unit_test_setup_teardown(a_node_says_who_signed_and_whom_it_believes, begin, end),
};
CHECK_MAIN(tests)
