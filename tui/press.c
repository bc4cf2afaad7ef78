// SPDX-License-Identifier: Apache-2.0
//
// tui/press.c — the words of keys.
#include "tui/press.h"

#include <string.h>

#include "base/str.h"

static const struct {
    uint32_t number;
    const char *word;
} presses[] = {
#define X(name, number, word) {number, word},
    PRESS_LIST(X)
#undef X
};

uint32_t press_parse(const char *word) {
    for (size_t i = 1; i < sizeof presses / sizeof *presses; i++) {
        if (str_equal_nocase(presses[i].word, word)) {
            return presses[i].number;
        }
    }
    uint32_t codepoint;
    size_t len = strlen(word);
    return len > 0 && str_decode(word, len, &codepoint) == len ? codepoint : PRESS_NONE;
}

const char *press_name(uint32_t press, char out[static 16]) {
    out[0] = '\0';
    for (size_t i = 1; i < sizeof presses / sizeof *presses; i++) {
        if (presses[i].number == press) {
            str_copy(out, 16, presses[i].word);
            return out;
        }
    }
    if (press < 0x80) {
        out[0] = (char)press;
        out[1] = '\0';
    }
    return out;
}
