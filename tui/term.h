// SPDX-License-Identifier: Apache-2.0
//
// tui/term.h — the terminal: keys in, differences out. The only file that knows ncurses is term.c.
#ifndef MUSTER_TUI_TERM_H
#define MUSTER_TUI_TERM_H

#include <stdio.h>

#include "base/error.h"
#include "tui/grid.h"
#include "tui/press.h"

struct term;

struct term_options {
    const char *type; // as in TERM; NULL = the environment's
    FILE *in, *out;
    bool no_color; // attributes only
};
// A terminal in full-screen mode. TERM_UNSUITABLE when terminfo does not know the type, or it cannot move its
// cursor.
enum { TERM_UNSUITABLE = 1 };
int term_open(const struct term_options *options, struct term **out, struct error *err);
void term_close(struct term *term); // gives the screen back; accepts NULL
// Does the locale write UTF-8? Sets the locale for characters from the environment.
bool term_is_utf8(void);

void term_size(const struct term *term, int *columns, int *rows);
enum color_depth term_depth(const struct term *term);
// The next key; PRESS_NONE when there is none now, PRESS_RESIZE when the size changed, PRESS_PASTE when
// text was pasted (term_pasted).
uint32_t term_press(struct term *term);
const char *term_pasted(const struct term *term);

// Shows `wanted`, given that `shown` is on the screen (NULL: anything may be).
void term_paint(struct term *term, const struct grid *shown, const struct grid *wanted);
// Leaves full-screen mode and comes back, for a stop of the process.
void term_leave(struct term *term);
void term_return(struct term *term);

// What brings any terminal back from full-screen mode, as bytes: safe where ncurses is not.
extern const char term_restore_bytes[];

#endif
