// SPDX-License-Identifier: Apache-2.0
//
// test/lib/check.h — cmocka with the headers it wants before itself.
//
// A unit test is a program: static functions that take `void **state`, listed in main with CHECK_MAIN.
// Names are sentences about behaviour ("a_longer_text_is_cut_with_an_ellipsis").
#ifndef MUSTER_TEST_LIB_CHECK_H
#define MUSTER_TEST_LIB_CHECK_H

// cmocka.h wants these before it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

// static const struct CMUnitTest tests[] = {…}; CHECK_MAIN(tests)
#define CHECK_MAIN(tests)                                                                                    \
    int main(void) {                                                                                         \
        return cmocka_run_group_tests_name(__FILE__, (tests), NULL, NULL);                                   \
    }

#endif
