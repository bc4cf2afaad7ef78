// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_join_token.c — tokens there and back, and what is no token.
#include "test/lib/check.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "transport/join_token.h"

static const uint8_t digest[JOIN_TOKEN_DIGEST_BYTES] = {0x12, 0x34, [31] = 0x56};

// Any number is written with the same digits, whoever writes it.
static void a_token_has_a_fixed_form(void **state) {
    (void)state;
    char text[JOIN_TOKEN_LEN + 1];
    struct join_token token = {.secret = {"0123456789abcdefghijklmno"}};
    join_token_format(&token, text);
    assert_string_equal(
        text, "MUSTKN-1-00000000000000000000000000000000000000000000000000-0123456789abcdefghijklmno");
    token.digest[31] = 37;
    join_token_format(&token, text);
    assert_string_equal(
        text, "MUSTKN-1-00000000000000000000000000000000000000000000000011-0123456789abcdefghijklmno");
    memset(token.digest, 0xFF, sizeof token.digest); // checked with a calculator of long numbers
    join_token_format(&token, text);
    assert_string_equal(
        text, "MUSTKN-1-6dp5qcb22im238nr3wvp0ic7q99w035jmy2iw7i6n43d37jtof-0123456789abcdefghijklmno");
}

static void what_is_written_is_read(void **state) {
    (void)state;
    char text[JOIN_TOKEN_LEN + 1], again[JOIN_TOKEN_LEN + 1];
    struct join_token token = join_token_make(digest), read;
    join_token_format(&token, text);
    assert_int_equal(strlen(text), JOIN_TOKEN_LEN);
    assert_int_equal(join_token_parse(text, &read, NULL), 0);
    join_token_format(&read, again);
    assert_string_equal(again, text);
    assert_int_equal(join_token_check_authority(&read, digest, NULL), 0);
    assert_true(join_token_has_secret(&read, &token.secret));
}

static void secrets_differ(void **state) {
    (void)state;
    struct join_token first = join_token_make(digest), second = join_token_make(digest);
    assert_false(join_token_has_secret(&first, &second.secret));
}

// Whichever character: either it is no token, or it is for another authority, or its secret is wrong.
static void one_changed_character_is_noticed(void **state) {
    (void)state;
    char text[JOIN_TOKEN_LEN + 1];
    struct join_token token = join_token_make(digest), read;
    join_token_format(&token, text);
    for (size_t i = 0; i < JOIN_TOKEN_LEN; i++) {
        for (const char *other = "0z9a-A \n\xFF"; *other != '\0'; other++) {
            char right = text[i];
            if (*other == right) {
                continue;
            }
            text[i] = *other;
            assert_true(join_token_parse(text, &read, NULL) == -ERR_INVALID ||
                        join_token_check_authority(&read, digest, NULL) == -ERR_DENIED ||
                        !join_token_has_secret(&read, &token.secret));
            text[i] = right;
        }
    }
}

static const struct {
    const char *text, *why;
} bad[] = {
    {"", "does not begin"},
    {"SWMTKN-1-6dp5qcb22im238nr3wvp0ic7q99w035jmy2iw7i6n43d37jtof-0123456789abcdefghijklmno",
     "does not begin"},
    {"MUSTKN-2-6dp5qcb22im238nr3wvp0ic7q99w035jmy2iw7i6n43d37jtof-0123456789abcdefghijklmno",
     "does not begin"},
    {"MUSTKN-1-", "cut"},
    {"MUSTKN-1-6dp5qcb22im238nr3wvp0ic7q99w035jmy2iw7i6n43d37jtof-0123456789abcdefghijklmn", "cut"},
    {"MUSTKN-1-6dp5qcb22im238nr3wvp0ic7q99w035jmy2iw7i6n43d37jtof-0123456789abcdefghijklmno\n", "too long"},
    {"MUSTKN-1-6DP5qcb22im238nr3wvp0ic7q99w035jmy2iw7i6n43d37jtof-0123456789abcdefghijklmno",
     "other characters"},
    {"MUSTKN-1-6dp5qcb22im238nr3wvp0ic7q99w035jmy2iw7i6n43d37jto-f0123456789abcdefghijklmno",
     "other characters"},
    {"MUSTKN-1-6dp5qcb22im238nr3wvp0ic7q99w035jmy2iw7i6n43d37jtog-0123456789abcdefghijklmno", "too large"},
    {"MUSTKN-1-zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz-0123456789abcdefghijklmno", "too large"},
};

static void what_is_no_token_is_refused_without_telling_it(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct error err = {0};
        struct join_token token = {.secret = {"untouched"}};
        assert_int_equal(join_token_parse(bad[i].text, &token, &err), -ERR_INVALID);
        assert_non_null(strstr(err.root, bad[i].why));
        assert_non_null(strstr(err.root, "muster swarm join-token"));
        assert_null(strstr(err.root, "23456789"));
        assert_string_equal(token.secret.text, "untouched");
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_token_has_a_fixed_form),
    cmocka_unit_test(what_is_written_is_read),
    cmocka_unit_test(secrets_differ),
    cmocka_unit_test(one_changed_character_is_noticed),
    cmocka_unit_test(what_is_no_token_is_refused_without_telling_it),
};
CHECK_MAIN(tests)
