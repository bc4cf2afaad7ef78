// SPDX-License-Identifier: Apache-2.0
//
// tui/style.c — the palette and the glyphs, as tables.
#include "tui/style.h"

static const struct {
    char letter;
    int of_256, of_16;
    unsigned with, without;
} styles[STYLE_COUNT] = {
#define X(name, letter, of_256, of_16, with, without) {letter, of_256, of_16, with, without},
    STYLE_LIST(X)
#undef X
};

static const char *const glyphs[GLYPH_COUNT][2] = {
#define X(name, utf8, ascii) {utf8, ascii},
    GLYPH_LIST(X)
#undef X
};

struct look style_look(enum style style, enum color_depth depth) {
    if (depth == DEPTH_MONO) {
        return (struct look){-1, styles[style].without};
    }
    return (struct look){depth == DEPTH_256 ? styles[style].of_256 : styles[style].of_16, styles[style].with};
}

char style_letter(enum style style) {
    return styles[style].letter;
}

const char *glyph_text(enum glyph glyph, bool is_ascii) {
    return glyphs[glyph][is_ascii];
}
