// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_seal.c — what was sealed comes back with its key, for its cluster and purpose, unchanged; or
// not at all.
#include "test/lib/check.h"
#include "test/lib/scratch.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "reconciler/daemon/seal.h"
#include "transport/certificate.h"

#define PURPOSE "example"
#define PLAIN "the secret of the example"

static const struct id cluster = {"cluster00000000000000clus"}, other_cluster = {"cluster00000000000000clut"};
static const struct seal_label label = {&cluster, PURPOSE};

static struct seal_key example_key(void) {
    struct seal_key key;
    for (size_t i = 0; i < SEAL_KEY_BYTES; i++) {
        key.bytes[i] = (uint8_t)(7 * i);
    }
    return key;
}

static struct bytes text_bytes(const char *text) {
    return (struct bytes){(const uint8_t *)text, strlen(text)};
}

static int open_as(const struct seal_key *key, const struct seal_label *as, struct bytes sealed) {
    struct buf plain = {0};
    int rc = seal_open(key, as, sealed, &plain, NULL);
    assert_int_equal(plain.len, rc == 0 ? strlen(PLAIN) : 0);
    assert_true(rc < 0 || strcmp(buf_text(&plain), PLAIN) == 0);
    certificate_wipe_key(&plain);
    return rc;
}

static void what_was_sealed_comes_back_and_no_two_are_alike(void **state) {
    (void)state;
    struct seal_key key = example_key();
    AUTO_BUF first = {0}, second = {0};
    assert_int_equal(seal_close(&key, &label, text_bytes(PLAIN), &first, NULL), 0);
    assert_int_equal(seal_close(&key, &label, text_bytes(PLAIN), &second, NULL), 0);
    assert_int_equal(first.len, strlen(PLAIN) + SEAL_OVERHEAD_BYTES);
    assert_memory_not_equal(first.data, second.data, first.len);
    assert_null(memmem(first.data, first.len, PLAIN, 8));
    assert_int_equal(open_as(&key, &label, buf_bytes(&first)), 0);
    assert_int_equal(open_as(&key, &label, buf_bytes(&second)), 0);
}

static void of_another_key_cluster_or_purpose_nothing_comes(void **state) {
    (void)state;
    struct seal_key key = example_key(), wrong = key;
    AUTO_BUF sealed = {0};
    assert_int_equal(seal_close(&key, &label, text_bytes(PLAIN), &sealed, NULL), 0);
    wrong.bytes[SEAL_KEY_BYTES - 1] ^= 1;
    assert_int_equal(open_as(&wrong, &label, buf_bytes(&sealed)), -ERR_CORRUPT);
    const struct seal_label of_other_cluster = {&other_cluster, PURPOSE}, for_other = {&cluster, "exampl"};
    assert_int_equal(open_as(&key, &of_other_cluster, buf_bytes(&sealed)), -ERR_CORRUPT);
    assert_int_equal(open_as(&key, &for_other, buf_bytes(&sealed)), -ERR_CORRUPT);
}

static void each_changed_bit_and_each_cut_is_refused(void **state) {
    (void)state;
    struct seal_key key = example_key();
    AUTO_BUF sealed = {0};
    assert_int_equal(seal_close(&key, &label, text_bytes(PLAIN), &sealed, NULL), 0);
    for (size_t bit = 0; bit < 8 * sealed.len; bit++) {
        sealed.data[bit / 8] ^= (char)(1 << bit % 8);
        int rc = open_as(&key, &label, buf_bytes(&sealed));
        assert_int_equal(rc, bit >= 1 && bit < 8 ? -ERR_UNSUPPORTED : -ERR_CORRUPT); // a newer version
        sealed.data[bit / 8] ^= (char)(1 << bit % 8);
    }
    for (size_t len = 0; len < sealed.len; len++) {
        struct bytes cut = {(const uint8_t *)sealed.data, len};
        assert_int_equal(open_as(&key, &label, cut), -ERR_CORRUPT);
    }
    assert_int_equal(open_as(&key, &label, buf_bytes(&sealed)), 0);
}

static void what_another_program_sealed_is_opened(void **state) {
    (void)state;
    struct seal_key key = example_key();
    AUTO_BUF sealed = {0};
    assert_int_equal(fs_read(AT_FDCWD, "test/golden/format/v1/seal", 1000, &sealed, NULL), 0);
    assert_int_equal(open_as(&key, &label, buf_bytes(&sealed)), 0);
}

// --- the key's file ---

static void the_key_is_kept_as_the_golden_file_and_read_again(void **state) {
    (void)state;
    static const char golden[] = "test/golden/format/v1/seal-key";
    char dir[SCRATCH_BYTES];
    scratch_name(dir, sizeof dir, "seal");
    struct seal_key key = example_key(), read;
    struct stat st;
    AUTO_BUF kept = {0}, wanted = {0};
    assert_non_null(mkdtemp(dir));
    AUTO_FREE char *path = xasprintf("%s/seal.key", dir);
    assert_int_equal(seal_key_load(dir, &read, NULL), -ERR_NOT_FOUND);
    assert_int_equal(seal_key_save(dir, &key, NULL), 0);
    assert_true(stat(path, &st) == 0 && (st.st_mode & 07777) == 0600);
    assert_int_equal(seal_key_load(dir, &read, NULL), 0);
    assert_memory_equal(&read, &key, sizeof key);
    assert_int_equal(fs_read(AT_FDCWD, path, 1000, &kept, NULL), 0);
    assert_int_equal(fs_read(AT_FDCWD, golden, 1000, &wanted, NULL), 0);
    assert_string_equal(buf_text(&kept), buf_text(&wanted));
    assert_int_equal(fs_remove_tree(AT_FDCWD, dir, NULL), 0);
}

static void a_file_that_holds_something_else_is_no_key(void **state) {
    (void)state;
    static const char good[] = "test/golden/format/v1/seal-key";
    char dir[SCRATCH_BYTES];
    scratch_name(dir, sizeof dir, "seal");
    struct seal_key read = {0};
    struct error err = {0};
    AUTO_BUF text = {0};
    assert_non_null(mkdtemp(dir));
    AUTO_FREE char *path = xasprintf("%s/seal.key", dir);
    assert_int_equal(fs_read(AT_FDCWD, good, 1000, &text, NULL), 0);
    for (size_t i = 0; i < text.len; i++) {
        char was = text.data[i];
        text.data[i] = 'G';
        assert_int_equal(fs_replace(AT_FDCWD, path, text.data, text.len, 0600, false, NULL), 0);
        assert_int_equal(seal_key_load(dir, &read, &err), -ERR_CORRUPT);
        assert_int_equal(fs_replace(AT_FDCWD, path, text.data, i, 0600, false, NULL), 0);
        assert_int_equal(seal_key_load(dir, &read, &err), -ERR_CORRUPT);
        text.data[i] = was;
    }
    assert_non_null(strstr(err.root, "restore it"));
    assert_int_equal(fs_remove_tree(AT_FDCWD, dir, NULL), 0);
    assert_int_equal(seal_key_save(dir, &read, NULL), -ERR_SYSTEM);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_sealed_comes_back_and_no_two_are_alike),
        cmocka_unit_test(of_another_key_cluster_or_purpose_nothing_comes),
        cmocka_unit_test(each_changed_bit_and_each_cut_is_refused),
        cmocka_unit_test(what_another_program_sealed_is_opened),
        cmocka_unit_test(the_key_is_kept_as_the_golden_file_and_read_again),
        cmocka_unit_test(a_file_that_holds_something_else_is_no_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
