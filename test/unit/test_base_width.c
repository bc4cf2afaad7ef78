// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_base_width.c — our columns are those of the C library in a UTF-8 locale.
#include "base/width.h"

#include <locale.h>
#include <wchar.h>

#include "test/lib/check.h"

static void widths_agree_with_wcwidth(void **state) {
    (void)state;
    assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
    for (uint32_t c = 0xA0; c < 0x110000; c++) {
        int theirs = wcwidth((wchar_t)c);
        int ours = width_of(c);
        // Unassigned characters are -1 there. Combining marks of rare scripts beyond U+FFFF count one
        // column here.
        if (theirs >= 0 && ours != theirs && !(theirs == 0 && ours == 1 && c > 0xFFFF)) {
            fail_msg("U+%04X: %d, but wcwidth says %d", (unsigned)c, ours, theirs);
        }
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(widths_agree_with_wcwidth),
};
CHECK_MAIN(tests)
