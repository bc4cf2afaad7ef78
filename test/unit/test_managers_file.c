// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_managers_file.c — the list of managers comes back as it was kept, or not at all.
#include "test/lib/check.h"
#include "test/lib/scratch.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "reconciler/agent/managers_file.h"

static const char *addresses[] = {"10.0.0.1:2377", "[fd00::2]:2377"};

static struct managers_file example(void) {
    struct managers_file file = {.addresses = {2, addresses}};
    id_parse("0123456789abcdefghijklmno", &file.cluster_id);
    return file;
}

static void what_was_kept_is_read(void **state) {
    (void)state;
    AUTO_ARENA arena = {0};
    char dir[SCRATCH_BYTES];
    scratch_name(dir, sizeof dir, "managers");
    struct managers_file file = example(), read;
    struct error err = {0};
    assert_non_null(mkdtemp(dir));
    assert_int_equal(managers_file_read(dir, &read, &arena, &err), -ERR_NOT_FOUND);
    assert_int_equal(managers_file_write(dir, &file, &err), 0);
    file.addresses.count = 1; // and in place of it
    assert_int_equal(managers_file_write(dir, &file, &err), 0);
    assert_int_equal(managers_file_read(dir, &read, &arena, &err), 0);
    assert_true(id_equal(&read.cluster_id, &file.cluster_id));
    assert_int_equal(read.addresses.count, 1);
    assert_string_equal(read.addresses.items[0], "10.0.0.1:2377");
    assert_int_equal(managers_file_forget(dir, &err), 0);
    assert_int_equal(managers_file_read(dir, &read, &arena, NULL), -ERR_NOT_FOUND);
    assert_int_equal(managers_file_forget(dir, &err), 0);
    assert_int_equal(fs_remove_tree(AT_FDCWD, dir, &err), 0);
    assert_int_equal(managers_file_write(dir, &file, &err), -ERR_SYSTEM);
}

static void the_file_is_as_the_golden_one(void **state) {
    (void)state;
    static const char golden[] = "test/golden/format/v1/managers";
    AUTO_BUF now = {0}, kept = {0};
    struct managers_file file = example();
    managers_file_encode(&file, &now);
    if (getenv("UPDATE_GOLDEN") != NULL) {
        assert_int_equal(fs_replace(AT_FDCWD, golden, now.data, now.len, 0644, false, NULL), 0);
    }
    assert_int_equal(fs_read(AT_FDCWD, golden, 10000, &kept, NULL), 0);
    assert_int_equal(kept.len, now.len);
    assert_memory_equal(kept.data, now.data, now.len);
}

static void each_changed_bit_is_noticed(void **state) {
    (void)state;
    AUTO_BUF bytes = {0};
    struct managers_file file = example(), read;
    managers_file_encode(&file, &bytes);
    for (size_t bit = 0; bit < 8 * bytes.len; bit++) {
        AUTO_ARENA arena = {0};
        bytes.data[bit / 8] ^= (char)(1 << bit % 8);
        assert_int_equal(managers_file_decode(buf_bytes(&bytes), &read, &arena, NULL), -ERR_CORRUPT);
        bytes.data[bit / 8] ^= (char)(1 << bit % 8);
    }
    for (size_t len = 0; len < bytes.len; len++) {
        AUTO_ARENA arena = {0};
        struct bytes cut = {(const uint8_t *)bytes.data, len};
        assert_int_equal(managers_file_decode(cut, &read, &arena, NULL), -ERR_CORRUPT);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_was_kept_is_read),
    cmocka_unit_test(the_file_is_as_the_golden_one),
    cmocka_unit_test(each_changed_bit_is_noticed),
};
CHECK_MAIN(tests)
