// SPDX-License-Identifier: Apache-2.0
//
// tui/term.c — ncurses: modes, colour pairs, keys, and one write of what changed per frame.
//
// Facts        (measured with ncurses 6.4) newterm returns NULL for an unknown terminal where initscr would
//              end the process; ESCDELAY is a whole second unless set; NO_COLOR is not looked at; a resize
//              comes as KEY_RESIZE through the library's own SIGWINCH handler, while poll returns EINTR.
// Output       A frame stands between the marks of synchronized output, if the terminal said that it knows
//              them: asked at the start, the answer comes as a key.
#include "tui/term.h"

// The library's macros for characters on the screen collide with nothing of ours; its names of keys are
// used here only.
#define NCURSES_NOMACROS 1
#include <langinfo.h>
#include <locale.h>
#include <ncurses.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include "base/mem.h"
#include "base/str.h"

#define ESC_DELAY_MS 25
#define PASTE_BYTES_MAX 4096

// Keys that the library does not know, under numbers of our own.
enum { KEY_OF_PASTE = 2000, KEY_OF_PASTE_END, KEY_OF_SYNC, KEY_OF_NO_SYNC };

struct term {
    SCREEN *screen;
    FILE *out;
    enum color_depth depth;
    bool has_sync;
    struct buf pasted;
};

const char term_restore_bytes[] = "\033[?2026l\033[?2004l\033[?1000l\033[?1002l\033[?1006l\033[?1l\033>"
                                  "\033[0m\033(B\033[?25h\033[?1049l";

bool term_is_utf8(void) {
    setlocale(LC_CTYPE, "");
    return str_equal_nocase(nl_langinfo(CODESET), "UTF-8");
}

// --- opening ---

static void tell(const struct term *term, const char *bytes) {
    fputs(bytes, term->out);
    fflush(term->out);
}

static enum color_depth usable_depth(bool no_color) {
    if (no_color || !has_colors() || start_color() == ERR || use_default_colors() == ERR) {
        return DEPTH_MONO;
    }
    return COLORS >= 256 ? DEPTH_256 : COLORS >= 16 ? DEPTH_16 : COLORS >= 8 ? DEPTH_8 : DEPTH_MONO;
}

static void make_pairs(const struct term *term) {
    for (int i = 0; i < STYLE_COUNT && term->depth != DEPTH_MONO; i++) {
        init_pair((short)(i + 1), (short)style_look((enum style)i, term->depth).color, -1);
    }
}

// Terminals that answer questions of this form, or ignore them; others might print them.
static bool answers_questions(const char *type) {
    static const char *const known[] = {"xterm", "tmux",    "screen", "foot", "alacritty",
                                        "kitty", "wezterm", "rxvt",   "st-",  "contour"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (str_starts(type, known[i])) {
            return true;
        }
    }
    return false;
}

static void enter(struct term *term) {
    raw();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    leaveok(stdscr, TRUE);
    (void)curs_set(0);
    tell(term, "\033[?2004h");
}

int term_open(const struct term_options *options, struct term **out, struct error *err) {
    (void)err;
    if (getenv("ESCDELAY") == NULL) {
        set_escdelay(ESC_DELAY_MS);
    }
    const char *type = options->type != NULL ? options->type : getenv("TERM");
    SCREEN *screen = type == NULL || type[0] == '\0' ? NULL : newterm(type, options->out, options->in);
    if (screen == NULL) {
        return TERM_UNSUITABLE;
    }
    set_term(screen);
    struct term *term = NEW(struct term);
    term->screen = screen;
    term->out = options->out;
    term->pasted = buf_make(PASTE_BYTES_MAX);
    term->depth = usable_depth(options->no_color);
    make_pairs(term);
    define_key("\033[200~", KEY_OF_PASTE);
    define_key("\033[201~", KEY_OF_PASTE_END);
    define_key("\033[?2026;1$y", KEY_OF_SYNC);
    define_key("\033[?2026;2$y", KEY_OF_SYNC);
    define_key("\033[?2026;0$y", KEY_OF_NO_SYNC);
    define_key("\033[?2026;4$y", KEY_OF_NO_SYNC);
    enter(term);
    if (answers_questions(type)) {
        tell(term, "\033[?2026$p");
    }
    *out = term;
    return 0;
}

void term_leave(struct term *term) {
    tell(term, "\033[?2004l");
    endwin();
}

void term_return(struct term *term) {
    enter(term);
    clearok(curscr, TRUE);
    refresh();
}

void term_close(struct term *term) {
    if (term == NULL) {
        return;
    }
    term_leave(term);
    delscreen(term->screen);
    buf_free(&term->pasted);
    xfree(term);
}

void term_size(const struct term *term, int *columns, int *rows) {
    (void)term;
    getmaxyx(stdscr, *rows, *columns);
}

enum color_depth term_depth(const struct term *term) {
    return term->depth;
}

// --- keys ---

static const struct {
    wint_t key;
    uint32_t press;
} special[] = {
    {KEY_UP, PRESS_UP},         {KEY_DOWN, PRESS_DOWN},     {KEY_LEFT, PRESS_LEFT},
    {KEY_RIGHT, PRESS_RIGHT},   {KEY_PPAGE, PRESS_PAGE_UP}, {KEY_NPAGE, PRESS_PAGE_DOWN},
    {KEY_HOME, PRESS_HOME},     {KEY_END, PRESS_END},       {KEY_BACKSPACE, PRESS_BACKSPACE},
    {KEY_BTAB, PRESS_BACK_TAB}, {KEY_ENTER, PRESS_ENTER},   {KEY_RESIZE, PRESS_RESIZE},
};

static uint32_t special_press(wint_t key) {
    for (size_t i = 0; i < sizeof special / sizeof *special; i++) {
        if (special[i].key == key) {
            return special[i].press;
        }
    }
    return PRESS_NONE;
}

static uint32_t character_press(wint_t key) {
    return key == '\n' || key == '\r' ? PRESS_ENTER : key == 127 || key == 8 ? PRESS_BACKSPACE : key;
}

// Everything up to the end mark is text, whatever it looks like.
static void take_paste(struct term *term) {
    buf_clear(&term->pasted);
    wtimeout(stdscr, 200); // the rest is on its way
    for (;;) {
        wint_t key;
        int kind = get_wch(&key);
        if (kind == ERR || (kind == KEY_CODE_YES && key == KEY_OF_PASTE_END)) {
            break;
        }
        if (kind != KEY_CODE_YES) {
            grid_add_utf8(&term->pasted, (uint32_t)key);
        }
    }
    nodelay(stdscr, TRUE);
}

// Alt and a letter come as Esc and the letter at once: no key of ours. A lone Esc, or one before another
// key, stays one.
static bool is_alt(void) {
    wint_t next;
    int kind = get_wch(&next);
    if (kind == KEY_CODE_YES) {
        (void)ungetch((int)next);
    } else if (kind != ERR && next == PRESS_ESC) {
        (void)unget_wch((wchar_t)next);
    }
    return kind != ERR && kind != KEY_CODE_YES && next != PRESS_ESC;
}

uint32_t term_press(struct term *term) {
    wint_t key;
    int kind;
    while ((kind = get_wch(&key)) != ERR) {
        if (kind != KEY_CODE_YES && key == PRESS_ESC && is_alt()) {
            continue;
        }
        if (kind != KEY_CODE_YES) {
            return character_press(key);
        }
        if (key == KEY_OF_PASTE) {
            take_paste(term);
            return PRESS_PASTE;
        }
        term->has_sync = term->has_sync || key == KEY_OF_SYNC;
        uint32_t press = special_press(key);
        if (press != PRESS_NONE) {
            return press;
        }
    }
    return PRESS_NONE;
}

const char *term_pasted(const struct term *term) {
    return buf_text(&term->pasted);
}

// --- painting ---

static attr_t attributes_of(const struct cell *cell, enum color_depth depth) {
    struct look look = style_look((enum style)cell->style, depth);
    attr_t attributes = 0;
    attributes |= (look.attributes & ATTRIBUTE_BOLD) != 0 ? A_BOLD : 0;
    attributes |= (look.attributes & ATTRIBUTE_DIM) != 0 ? A_DIM : 0;
    attributes |= (look.attributes & ATTRIBUTE_UNDERLINE) != 0 ? A_UNDERLINE : 0;
    attributes |= (look.attributes & ATTRIBUTE_REVERSE) != 0 ? A_REVERSE : 0;
    attributes |= (cell->marks & MARK_SELECTED) != 0 ? A_REVERSE : 0;
    attributes |= (cell->marks & MARK_CHANGED) != 0 ? A_BOLD : 0;
    return attributes;
}

// Where the C library has another opinion on the width of a character, question marks keep the columns right.
static int put_cell(const struct cell *cell, enum color_depth depth, cchar_t *out) {
    attr_t attributes = attributes_of(cell, depth);
    short pair = depth == DEPTH_MONO ? 0 : (short)(cell->style + 1);
    wchar_t text[CELL_CHARS + 1] = {0};
    for (int i = 0; i < CELL_CHARS; i++) {
        text[i] = (wchar_t)cell->text[i];
    }
    bool agrees = wcwidth(text[0]) == cell->width;
    for (int i = 1; i < CELL_CHARS && text[i] != 0; i++) {
        agrees = agrees && wcwidth(text[i]) == 0;
    }
    if (agrees && setcchar(&out[0], text, attributes, pair, NULL) == OK) {
        return 1;
    }
    for (int i = 0; i < cell->width; i++) {
        (void)setcchar(&out[i], L"?", attributes, pair, NULL);
    }
    return cell->width;
}

void term_paint(struct term *term, const struct grid *shown, const struct grid *wanted) {
    struct grid_run run = {0};
    cchar_t line[GRID_SIDE_MAX + 1];
    if (shown == NULL) {
        clearok(curscr, TRUE);
    }
    while (grid_next_run(shown, wanted, &run)) {
        const struct cell *cells = &wanted->cells[run.row * wanted->columns + run.column];
        int count = 0;
        for (int i = 0; i < run.count; i++) {
            count += cells[i].width > 0 ? put_cell(&cells[i], term->depth, &line[count]) : 0;
        }
        (void)mvadd_wchnstr(run.row, run.column, line, count);
    }
    if (term->has_sync) {
        tell(term, "\033[?2026h");
    }
    wnoutrefresh(stdscr);
    doupdate();
    if (term->has_sync) {
        tell(term, "\033[?2026l");
    }
}
