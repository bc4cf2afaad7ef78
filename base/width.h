// SPDX-License-Identifier: Apache-2.0
//
// base/width.h — how many terminal columns one character takes.
#ifndef MUSTER_BASE_WIDTH_H
#define MUSTER_BASE_WIDTH_H

#include <stdint.h>

// 0 for what combines with the character before it, 2 for East Asian wide characters and emoji, else 1.
// Needs no locale.
int width_of(uint32_t codepoint);

#endif
