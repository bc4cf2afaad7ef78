// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_base_str.c — strict numbers, natural order, near words, and the terminal filter.
#include "base/str.h"

#include <locale.h>
#include <string.h>

#include "base/prng.h"
#include "test/lib/check.h"

static void text_is_compared(void **state) {
    (void)state;
    assert_true(str_equal(NULL, ""));
    assert_true(str_equal("a", "a"));
    assert_false(str_equal("a", "A"));
    assert_true(str_equal_nocase("Web", "wEB"));
    assert_true(str_starts("web.1", "web"));
    assert_false(str_starts("we", "web"));
    assert_true(str_ends("a.yaml", ".yaml"));
    assert_false(str_ends("yaml", ".yaml"));
}

static void a_copy_fits_or_is_empty(void **state) {
    (void)state;
    char out[4];
    assert_true(str_copy(out, sizeof out, "abc"));
    assert_string_equal(out, "abc");
    assert_false(str_copy(out, sizeof out, "abcd"));
    assert_string_equal(out, "");
}

static void integers_are_read_strictly(void **state) {
    (void)state;
    int64_t value = 0;
    assert_true(str_to_int("9223372036854775807", &value));
    assert_int_equal(value, INT64_MAX);
    assert_true(str_to_int("-9223372036854775808", &value));
    assert_int_equal(value, INT64_MIN);
    assert_true(str_to_int("0", &value));
    assert_int_equal(value, 0);
    static const char *const bad[] = {"",
                                      "-",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "01",
                                      "0x1",
                                      "1e3",
                                      "1_0",
                                      "--1",
                                      "1.0",
                                      "9223372036854775808",
                                      "-9223372036854775809"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        value = 42;
        assert_false(str_to_int(bad[i], &value));
        assert_int_equal(value, 42);
    }
}

static void decimals_are_read_strictly(void **state) {
    (void)state;
    double value = 0;
    assert_true(str_to_double("0.5", &value) && value == 0.5);
    assert_true(str_to_double("-12e-1", &value) && value == -1.2);
    assert_true(str_to_double("3", &value) && value == 3.0);
    static const char *const bad[] = {"",    "-",   ".",   "5.", ".5",    "+1", "1,5",
                                      "inf", "nan", "0x1", "1e", "1e999", "1 "};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        value = 42;
        assert_false(str_to_double(bad[i], &value));
        assert_true(value == 42.0);
    }
}

static void natural_order_counts(void **state) {
    (void)state;
    static const char *const sorted[] = {"",     "a",     "a1",     "a01", "a2", "a10",
                                         "a10b", "a10c2", "a10c12", "b",   "ba"};
    for (size_t i = 0; i < sizeof sorted / sizeof *sorted; i++) {
        for (size_t j = 0; j < sizeof sorted / sizeof *sorted; j++) {
            int order = str_compare_natural(sorted[i], sorted[j]);
            bool is_numeric_tie = (i == 2 && j == 3) || (i == 3 && j == 2);
            assert_true(is_numeric_tie ? order != 0 : (order < 0) == (i < j) && (order > 0) == (i > j));
        }
    }
    assert_true((str_compare_natural("a1", "a01") < 0) != (str_compare_natural("a01", "a1") < 0));
}

static void the_nearest_word_is_found(void **state) {
    (void)state;
    assert_int_equal(str_distance("replicas", "replicas", 3), 0);
    assert_int_equal(str_distance("replcias", "replicas", 3), 1); // a transposition is one step
    assert_int_equal(str_distance("", "abc", 5), 3);
    assert_int_equal(str_distance("kitten", "sitting", 5), 3);
    assert_int_equal(str_distance("kitten", "sitting", 2), 3);
    static const char *const words[] = {"image", "replicas", "ports", "command"};
    assert_string_equal(str_nearest("replica", words, 4), "replicas");
    assert_string_equal(str_nearest("imgae", words, 4), "image");
    assert_null(str_nearest("volumes", words, 4));
    assert_null(str_nearest("x", words, 0));
}

static void only_well_formed_utf8_passes(void **state) {
    (void)state;
    assert_true(str_is_utf8("aé€😀", strlen("aé€😀")));
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {{"\0", 1},
               {"\x80", 1},
               {"\xC3", 1},
               {"\xC0\x80", 2},
               {"\xE0\x80\x80", 3},
               {"\xED\xA0\x80", 3},
               {"\xF4\x90\x80\x80", 4},
               {"\xF8\x88\x80\x80\x80", 5},
               {"\xE2\x82", 2},
               {"\xFF", 1}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(str_is_utf8(bad[i].bytes, bad[i].len));
    }
}

static const char *escaped(struct buf *out, const char *text, size_t len, bool keep_newlines) {
    buf_clear(out);
    str_escape(out, text, len, keep_newlines);
    return buf_text(out);
}

static void nothing_dangerous_reaches_a_terminal(void **state) {
    (void)state;
    AUTO_BUF out = {0};
    assert_string_equal(escaped(&out, "plain é €", strlen("plain é €"), false), "plain é €");
    assert_string_equal(escaped(&out, "\x1b[2J\r\a\x7f", 7, false), "\\x1B[2J\\x0D\\x07\\x7F");
    assert_string_equal(escaped(&out, "a\nb\tc", 5, true), "a\nb\tc");
    assert_string_equal(escaped(&out, "a\nb", 3, false), "a\\x0Ab");
    assert_string_equal(escaped(&out, "\xC2\x9B", 2, false), "\\u{009B}");     // CSI in one character
    assert_string_equal(escaped(&out, "\xE2\x80\xAE", 3, false), "\\u{202E}"); // reading order reversed
    assert_string_equal(escaped(&out, "\xFFx\xC3", 3, false), "\\xFFx\\xC3");
    assert_string_equal(escaped(&out, "a\0b", 3, false), "a\\x00b");
}

static void random_bytes_come_out_safe(void **state) {
    (void)state;
    struct prng prng;
    prng_seed(&prng, 11);
    AUTO_BUF out = {0};
    for (int round = 0; round < 20000; round++) {
        char bytes[12];
        for (size_t i = 0; i < sizeof bytes; i++) {
            bytes[i] =
                (char)(prng_below(&prng, 2) == 0 ? prng_below(&prng, 256) : 0xC0 + prng_below(&prng, 0x38));
        }
        escaped(&out, bytes, sizeof bytes, false);
        assert_true(str_is_utf8(buf_text(&out), out.len));
        for (size_t at = 0; at < out.len;) {
            uint32_t c = 0;
            at += str_decode(out.data + at, out.len - at, &c);
            assert_true(str_is_safe(c));
        }
    }
}

static void columns_are_counted(void **state) {
    (void)state;
    assert_int_equal(str_columns("abc"), 3);
    assert_int_equal(str_columns("é€"), 2);
    assert_int_equal(str_columns("漢字"), 4);
    assert_int_equal(str_columns("e\u0301"), 1);
    assert_int_equal(str_columns("\x1b"), 4);
    assert_int_equal(str_columns("\u202e"), 8);
    assert_int_equal(str_columns("\xFF"), 4);
}

static void names_are_checked(void **state) {
    (void)state;
    assert_true(str_is_name("web-1_a.b", 63));
    assert_true(str_is_name("9", 63));
    static const char *const bad[] = {"", ".", "..", "-a", "_a", "a/b", "a b", "é", "a\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(str_is_name(bad[i], 63));
    }
    assert_true(str_is_name("abc", 3));
    assert_false(str_is_name("abcd", 3));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(text_is_compared),
    cmocka_unit_test(a_copy_fits_or_is_empty),
    cmocka_unit_test(integers_are_read_strictly),
    cmocka_unit_test(decimals_are_read_strictly),
    cmocka_unit_test(natural_order_counts),
    cmocka_unit_test(the_nearest_word_is_found),
    cmocka_unit_test(only_well_formed_utf8_passes),
    cmocka_unit_test(nothing_dangerous_reaches_a_terminal),
    cmocka_unit_test(random_bytes_come_out_safe),
    cmocka_unit_test(columns_are_counted),
    cmocka_unit_test(names_are_checked),
};
CHECK_MAIN(tests)
