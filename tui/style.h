// SPDX-License-Identifier: Apache-2.0
//
// tui/style.h — what a cell means, apart from how a terminal shows it; and the glyphs for states.
//
// Views speak of meanings ("bad", "busy"); the palette turns them into colours or attributes as far as the
// terminal can. A state has three channels, glyph, word and colour, so nothing hangs on colour alone.
#ifndef MUSTER_TUI_STYLE_H
#define MUSTER_TUI_STYLE_H

#include <stdbool.h>
#include <stdint.h>

// name, letter in test output, colour of 256, of 16 (-1 = the terminal's own), attributes with colours,
// attributes without. Blue and orange rather than green and red, with brightness, for those who cannot tell
// the latter apart.
#define STYLE_LIST(X)                                                                                        \
    X(PLAIN, '.', -1, -1, 0, 0)                                                                              \
    X(DIM, 'd', 245, -1, ATTRIBUTE_DIM, ATTRIBUTE_DIM)                                                       \
    X(STRONG, 'S', -1, -1, ATTRIBUTE_BOLD, ATTRIBUTE_BOLD)                                                   \
    X(HEADING, 'H', 250, -1, ATTRIBUTE_BOLD, ATTRIBUTE_BOLD)                                                 \
    X(BAR, 'r', -1, -1, ATTRIBUTE_REVERSE, ATTRIBUTE_REVERSE)                                                \
    X(KEY, 'k', 75, 6, ATTRIBUTE_BOLD, ATTRIBUTE_BOLD)                                                       \
    X(GOOD, 'g', 75, 2, 0, 0)                                                                                \
    X(NEW, 'n', 75, 2, ATTRIBUTE_BOLD, ATTRIBUTE_BOLD)                                                       \
    X(BUSY, 'b', 80, 6, 0, ATTRIBUTE_UNDERLINE)                                                              \
    X(WAIT, 'w', 220, 3, 0, ATTRIBUTE_BOLD)                                                                  \
    X(BAD, 'B', 208, 1, ATTRIBUTE_BOLD, ATTRIBUTE_REVERSE)                                                   \
    X(LEAVING, 'l', 176, 5, 0, ATTRIBUTE_DIM)                                                                \
    X(DONE, 'o', 245, -1, ATTRIBUTE_DIM, ATTRIBUTE_DIM)

enum style {
#define X(name, letter, of_256, of_16, with, without) STYLE_##name,
    STYLE_LIST(X)
#undef X
        STYLE_COUNT
};

enum attribute {
    ATTRIBUTE_BOLD = 1,
    ATTRIBUTE_DIM = 2,
    ATTRIBUTE_UNDERLINE = 4,
    ATTRIBUTE_REVERSE = 8,
};

enum color_depth { DEPTH_MONO, DEPTH_8, DEPTH_16, DEPTH_256 };

// How a terminal of that depth shows the style.
struct look {
    int color; // -1 = the terminal's own
    unsigned attributes;
};
struct look style_look(enum style style, enum color_depth depth);
char style_letter(enum style style);

// name, UTF-8, ASCII. All take one column.
#define GLYPH_LIST(X)                                                                                        \
    X(OLD, "○", "o")                                                                                         \
    X(NEW, "●", "N")                                                                                         \
    X(PLACING, "▹", "p")                                                                                     \
    X(STARTING, "▸", "s")                                                                                    \
    X(HOMELESS, "!", "!")                                                                                    \
    X(FAILED, "✖", "x")                                                                                      \
    X(LEAVING, "▽", ">")                                                                                     \
    X(SILENT, "░", "?")                                                                                      \
    X(COMPLETE, "✔", "c")                                                                                    \
    X(PAUSED, "‖", "=")                                                                                      \
    X(ELLIPSIS, "…", "~")                                                                                    \
    X(UP, "▲", "^")                                                                                          \
    X(DOWN, "▼", "v")                                                                                        \
    X(LINE, "─", "-")                                                                                        \
    X(BAR, "│", "|")                                                                                         \
    X(NONE, " ", " ")

enum glyph {
#define X(name, utf8, ascii) GLYPH_##name,
    GLYPH_LIST(X)
#undef X
        GLYPH_COUNT
};
const char *glyph_text(enum glyph glyph, bool is_ascii);

#endif
