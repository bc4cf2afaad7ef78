// SPDX-License-Identifier: Apache-2.0
//
// tui/press.h — keys as numbers: a code point for what types a character, numbers beyond Unicode for the
// rest.
#ifndef MUSTER_TUI_PRESS_H
#define MUSTER_TUI_PRESS_H

#include <stdint.h>

// name, number, word in help and scripts
#define PRESS_LIST(X)                                                                                        \
    X(NONE, 0, "none")                                                                                       \
    X(CTRL_C, 3, "Ctrl-C")                                                                                   \
    X(CTRL_D, 4, "Ctrl-D")                                                                                   \
    X(TAB, 9, "Tab")                                                                                         \
    X(CTRL_L, 12, "Ctrl-L")                                                                                  \
    X(ENTER, 13, "Enter")                                                                                    \
    X(CTRL_U, 21, "Ctrl-U")                                                                                  \
    X(CTRL_Z, 26, "Ctrl-Z")                                                                                  \
    X(ESC, 27, "Esc")                                                                                        \
    X(SPACE, 32, "Space")                                                                                    \
    X(UP, 0x110001, "Up")                                                                                    \
    X(DOWN, 0x110002, "Down")                                                                                \
    X(LEFT, 0x110003, "Left")                                                                                \
    X(RIGHT, 0x110004, "Right")                                                                              \
    X(PAGE_UP, 0x110005, "PgUp")                                                                             \
    X(PAGE_DOWN, 0x110006, "PgDn")                                                                           \
    X(HOME, 0x110007, "Home")                                                                                \
    X(END, 0x110008, "End")                                                                                  \
    X(BACKSPACE, 0x110009, "Backspace")                                                                      \
    X(BACK_TAB, 0x11000A, "Shift-Tab")                                                                       \
    X(RESIZE, 0x110010, "resize")                                                                            \
    X(PASTE, 0x110011, "paste")

enum press {
#define X(name, number, word) PRESS_##name = number,
    PRESS_LIST(X)
#undef X
};

// The number of a word of the table or of a single character; PRESS_NONE when it is neither.
uint32_t press_parse(const char *word);
// The inverse, into `out` of at least 16 bytes.
const char *press_name(uint32_t press, char out[static 16]);

#endif
