// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_base_buf.c — appending, ceilings, and the NUL that does not count.
#include "base/buf.h"

#include <string.h>

#include "test/lib/check.h"

static void bytes_are_appended_and_terminated(void **state) {
    (void)state;
    AUTO_BUF buf = {0};
    assert_string_equal(buf_text(&buf), "");
    buf_adds(&buf, "web");
    buf_addc(&buf, '.');
    buf_addf(&buf, "%d of %s", 3, "five");
    buf_pad(&buf, '!', 3);
    assert_string_equal(buf_text(&buf), "web.3 of five!!!");
    buf_add(&buf, "\0x", 2);
    assert_int_equal(buf.len, 18);
    assert_int_equal(buf.data[buf.len], '\0');
    assert_memory_equal(buf_bytes(&buf).data, "web.3 of five!!!\0x", 18);
    buf_clear(&buf);
    assert_string_equal(buf_text(&buf), "");
}

static void what_passes_the_ceiling_is_dropped_whole(void **state) {
    (void)state;
    AUTO_BUF buf = buf_make(5);
    buf_adds(&buf, "12345");
    assert_false(buf.overflow);
    buf_addc(&buf, '6');
    assert_true(buf.overflow);
    assert_string_equal(buf_text(&buf), "12345");
    buf_clear(&buf);
    assert_false(buf.overflow);
    buf_addf(&buf, "%s", "123456");
    assert_true(buf.overflow);
    assert_null(buf_reserve(&buf, SIZE_MAX));
    buf_pad(&buf, 'x', SIZE_MAX);
    assert_string_equal(buf_text(&buf), "");
}

static void reserved_room_is_text_at_once(void **state) {
    (void)state;
    AUTO_BUF buf = {0};
    char *room = buf_reserve(&buf, 100);
    assert_string_equal(buf_text(&buf), "");
    memset(room, 'a', 100);
    buf.len += 100;
    buf_adds(&buf, "b");
    assert_int_equal(strlen(buf_text(&buf)), 101);
}

static void growth_keeps_everything(void **state) {
    (void)state;
    AUTO_BUF buf = {0};
    for (int i = 0; i < 100000; i++) {
        buf_addc(&buf, (char)('a' + i % 26));
    }
    for (int i = 0; i < 100000; i++) {
        assert_int_equal(buf.data[i], 'a' + i % 26);
    }
    buf_free(&buf);
    assert_null(buf.data);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(bytes_are_appended_and_terminated),
    cmocka_unit_test(what_passes_the_ceiling_is_dropped_whole),
    cmocka_unit_test(reserved_room_is_text_at_once),
    cmocka_unit_test(growth_keeps_everything),
};
CHECK_MAIN(tests)
