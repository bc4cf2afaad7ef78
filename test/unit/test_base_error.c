// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_base_error.c — the root cause survives, whatever is wrapped around it.
#include "base/error.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "test/lib/check.h"

static void the_chain_reads_from_the_outside_in(void **state) {
    (void)state;
    struct error err = {0};
    int rc = error_sys(&err, ENOENT, "write '%s'", "bin/busybox");
    rc = error_wrap(&err, rc, "unpack layer %d", 2);
    rc = error_wrap(&err, rc, "start task");
    char out[512];
    assert_int_equal(rc, -ERR_SYSTEM);
    assert_int_equal(err.sys, ENOENT);
    assert_string_equal(error_text(&err, out, sizeof out),
                        "start task: unpack layer 2: write 'bin/busybox': No such file or directory");
}

static void a_full_disk_has_its_own_code(void **state) {
    (void)state;
    assert_int_equal(error_sys(NULL, ENOSPC, "x"), -ERR_NO_SPACE);
    assert_int_equal(error_sys(NULL, EDQUOT, "x"), -ERR_NO_SPACE);
    assert_int_equal(error_set(NULL, ERR_CONFLICT, "x"), -ERR_CONFLICT);
    assert_int_equal(error_wrap(NULL, -ERR_BUSY, "x"), -ERR_BUSY);
}

static void a_longer_text_is_cut_with_an_ellipsis_between_characters(void **state) {
    (void)state;
    // Every offset of a two-byte character over the cut.
    for (size_t shift = 0; shift < 2; shift++) {
        char text[2 * ERROR_ROOT_BYTES] = {0};
        memset(text, 'x', shift);
        for (size_t i = shift; i + 3 < sizeof text; i += 2) {
            memcpy(text + i, "é", 2);
        }
        struct error err = {0};
        error_set(&err, ERR_INVALID, "%s", text);
        size_t len = strlen(err.root);
        assert_true(len < ERROR_ROOT_BYTES);
        assert_string_equal(err.root + len - strlen("é…"), "é…");
    }
}

static void the_root_is_never_cut_by_frames(void **state) {
    (void)state;
    struct error err = {0};
    int rc = error_set(&err, ERR_INVALID, "the root");
    for (int i = 0; i < 20; i++) {
        rc = error_wrap(&err, rc, "frame %d", i);
    }
    char out[1024];
    assert_string_equal(error_text(&err, out, sizeof out),
                        "frame 19: frame 4: frame 3: frame 2: frame 1: frame 0: the root");
    assert_string_equal(error_text(&err, out, 20), "frame 19: the root");
    assert_string_equal(error_text(&err, out, 9), "the root");
}

static void an_error_may_be_told_again_from_itself(void **state) {
    (void)state;
    struct error err = {0};
    error_set(&err, ERR_INVALID, "inner");
    error_set(&err, ERR_CONFLICT, "outer of %s", err.root);
    assert_string_equal(err.root, "outer of inner");
}

static void a_positive_outcome_is_not_wrapped(void **state) {
    (void)state;
    struct error err = {0};
    assert_int_equal(error_wrap(&err, 1, "nothing"), 1);
    assert_int_equal(err.frame_count, 0);
}

static void codes_map_to_words_and_back(void **state) {
    (void)state;
    for (int code = 0; code < ERR_COUNT; code++) {
        assert_int_equal(error_code_from_name(error_code_name(-code)), code);
        assert_true(strlen(error_code_text(code)) > 0);
    }
    assert_int_equal(error_code_from_name("FROM_THE_FUTURE"), ERR_INTERNAL);
    assert_string_equal(error_code_name(-2147483647 - 1), "INTERNAL");
    assert_string_equal(error_code_name(ERR_COUNT), "INTERNAL");
    assert_int_equal(error_exit_status(-ERR_NO_QUORUM), 3);
    assert_int_equal(error_exit_status(0), 0);
    assert_true(error_is_retryable(-ERR_BUSY));
    assert_false(error_is_retryable(-ERR_CONFLICT));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_chain_reads_from_the_outside_in),
    cmocka_unit_test(a_full_disk_has_its_own_code),
    cmocka_unit_test(a_longer_text_is_cut_with_an_ellipsis_between_characters),
    cmocka_unit_test(the_root_is_never_cut_by_frames),
    cmocka_unit_test(an_error_may_be_told_again_from_itself),
    cmocka_unit_test(a_positive_outcome_is_not_wrapped),
    cmocka_unit_test(codes_map_to_words_and_back),
};
CHECK_MAIN(tests)
