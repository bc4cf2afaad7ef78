// SPDX-License-Identifier: Apache-2.0
//
// test/lib/golden.h — text that must stay as it is until somebody means to change it.
#ifndef MUSTER_TEST_LIB_GOLDEN_H
#define MUSTER_TEST_LIB_GOLDEN_H

// Fails when the file does not hold exactly the text. UPDATE_GOLDEN=1 rewrites it; read the diff.
void golden_check(const char *path, const char *text);

#endif
