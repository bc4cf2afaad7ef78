// SPDX-License-Identifier: Apache-2.0
//
// tui/console.c — the loop: waits for keys, the stream and the clock, and paints what changed.
//
// Pace         A key is painted at once. What the stream brings is painted at most ten times a second, the
//              clock and ages once a second, and nothing when no cell changed. The network never blocks a
//              key: connecting is done beside the loop, and a flood of events is taken in pieces.
#include "tui/console.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "tui/keeper.h"
#include "tui/plain.h"
#include "tui/script.h"
#include "tui/term.h"
#include "tui/view_screen.h"

#define PAINT_EVERY_MS 100
#define TURN_BUDGET_MS 20
#define PLAIN_PATIENCE_MS 10000

struct console {
    const struct console_options *options;
    struct stream *stream;
    struct model model;
    struct screen screen;
    struct view_env env;
    struct term *term;
    int signal_fd;
    struct arena frames[2]; // of the grid shown, and of the next one
    struct grid shown;
    bool has_shown;
    int next;
    int64_t painted_ms;
    bool is_dirty;
};

bool console_parse_size(const char *text, int *columns, int *rows) {
    char left[8];
    int64_t wide;
    int64_t high;
    const char *x = text != NULL ? strchr(text, 'x') : NULL;
    if (x == NULL || (size_t)(x - text) >= sizeof left) {
        return false;
    }
    memcpy(left, text, (size_t)(x - text));
    left[x - text] = '\0';
    if (!str_to_int(left, &wide) || !str_to_int(x + 1, &high) || wide < 1 || high < 1 ||
        wide > GRID_SIDE_MAX || high > GRID_SIDE_MAX) {
        return false;
    }
    *columns = (int)wide;
    *rows = (int)high;
    return true;
}

// --- painting ---

static void console_tick(struct console *console) {
    console->env.now_ms = clock_mono_ms();
    console->env.now_unix_ms = clock_unix_ms();
    time_t now = (time_t)(console->env.now_unix_ms / 1000);
    struct tm local;
    console->env.utc_offset_s = localtime_r(&now, &local) != NULL ? (int)local.tm_gmtoff : 0;
    stream_describe(console->stream, &console->model, console->env.now_ms, &console->env);
    if (console->env.link == LINK_REPLAY) {
        console->env.now_unix_ms = console->model.event_unix_ms;
    }
}

static void console_paint(struct console *console) {
    struct arena *arena = &console->frames[console->next];
    arena_clear(arena);
    screen_settle(&console->screen, &console->model, &console->env);
    struct grid grid = screen_draw(&console->screen, &console->model, &console->env, arena);
    term_paint(console->term, console->has_shown ? &console->shown : NULL, &grid);
    console->shown = grid;
    console->has_shown = true;
    console->next ^= 1;
    console->painted_ms = console->env.now_ms;
    console->is_dirty = false;
}

// --- keys and signals ---

static void console_resize(struct console *console) {
    int columns;
    int rows;
    term_size(console->term, &columns, &rows);
    screen_resize(&console->screen, columns, rows);
    console->has_shown = false;
}

// The whole group stops, the parent too: the shell sees one job. What follows happens after `fg`.
static void console_suspend(struct console *console) {
    term_leave(console->term);
    kill(0, SIGTSTP);
    term_return(console->term);
    console_resize(console);
}

static void console_keys(struct console *console) {
    uint32_t press;
    bool has_pressed = false;
    while (!console->screen.wants_quit && (press = term_press(console->term)) != PRESS_NONE) {
        has_pressed = true;
        if (press == PRESS_RESIZE) {
            console_resize(console);
        } else if (press == PRESS_PASTE) {
            screen_paste(&console->screen, &console->model, &console->env, term_pasted(console->term));
        } else {
            screen_press(&console->screen, &console->model, &console->env, press);
        }
        if (console->screen.wants_repaint) {
            console->screen.wants_repaint = false;
            console->has_shown = false;
        }
        if (console->screen.wants_suspend) {
            console->screen.wants_suspend = false;
            console_suspend(console);
        }
    }
    if (has_pressed && !console->screen.wants_quit) {
        console_tick(console);
        console_paint(console);
    }
}

static int console_signals(struct error *err) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd >= 0 ? fd : error_sys(err, errno, "watch for signals");
}

// --- the loop ---

// When the screen would look different though nothing came: at the next second of the clock.
static int64_t console_wake_ms(const struct console *console) {
    int64_t second = 1000 - console->env.now_unix_ms % 1000;
    int64_t wake = console->env.now_ms + second;
    if (console->is_dirty && console->painted_ms + PAINT_EVERY_MS < wake) {
        wake = console->painted_ms + PAINT_EVERY_MS;
    }
    int64_t stream = stream_wake_ms(console->stream);
    return stream < wake ? stream : wake;
}

static int console_loop(struct console *console, struct error *err) {
    (void)err;
    while (!console->screen.wants_quit) {
        int64_t wait = console_wake_ms(console) - clock_mono_ms();
        struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                               {.fd = console->signal_fd, .events = POLLIN},
                               {.fd = stream_fd(console->stream), .events = POLLIN}};
        (void)poll(fds, 3, wait < 0 ? 0 : (int)wait); // a change of size interrupts it: keys are read anyway
        if (fds[1].revents != 0 || (fds[0].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0) {
            return 0; // asked to end, or the terminal is gone
        }
        int64_t second = console->env.now_unix_ms / 1000;
        console_tick(console);
        console_keys(console);
        bool is_new = stream_turn(console->stream, &console->model, clock_mono_ms(), TURN_BUDGET_MS);
        console_tick(console);
        console->is_dirty = console->is_dirty || is_new || console->env.now_unix_ms / 1000 != second;
        if (console->is_dirty && console->env.now_ms - console->painted_ms >= PAINT_EVERY_MS &&
            !console->screen.wants_quit) {
            console_paint(console);
        }
    }
    return 0;
}

static bool wants_no_color(const struct console_options *options) {
    const char *no_color = getenv("NO_COLOR");
    bool is_asked = no_color != NULL && no_color[0] != '\0';
    return options->color == CONSOLE_COLOR_NEVER || (options->color == CONSOLE_COLOR_AUTO && is_asked);
}

static int console_start(struct console *console, struct error *err) {
    const struct console_options *options = console->options;
    struct stream_options from = {options->host, options->replay_path, options->record_path};
    int rc = stream_open(&from, &console->stream, err);
    if (rc < 0) {
        return rc;
    }
    if (options->replay_path != NULL) {
        rc = stream_feed(console->stream, &console->model, SIZE_MAX, clock_mono_ms(), err);
    }
    console->signal_fd = rc < 0 ? -1 : console_signals(err);
    if (console->signal_fd < 0) {
        return rc < 0 ? rc : console->signal_fd;
    }
    console->env.is_ascii = !term_is_utf8() || options->ascii;
    struct term_options how = {.in = stdin, .out = stdout, .no_color = wants_no_color(options)};
    return term_open(&how, &console->term, err);
}

// In the child.
static int console_body(void *context, struct error *err) {
    struct console console = {.options = context, .signal_fd = -1};
    model_init(&console.model);
    screen_init(&console.screen, 80, 24);
    int rc = console_start(&console, err);
    if (rc == 0) {
        console_resize(&console);
        console_tick(&console);
        console_paint(&console);
        rc = console_loop(&console, err);
    }
    term_close(console.term);
    stream_close(console.stream);
    screen_deinit(&console.screen);
    model_deinit(&console.model);
    arena_free(&console.frames[0]);
    arena_free(&console.frames[1]);
    close(console.signal_fd);
    return rc;
}

// --- without a terminal ---

static int plain_wait(struct stream *stream, struct model *model, struct view_env *env, struct error *err) {
    int64_t until = clock_mono_ms() + PLAIN_PATIENCE_MS;
    while (!model->is_caught_up) {
        struct pollfd fd = {.fd = stream_fd(stream), .events = POLLIN};
        int64_t now = clock_mono_ms();
        int64_t wake = stream_wake_ms(stream) < until ? stream_wake_ms(stream) : until;
        (void)poll(&fd, 1, wake > now ? (int)(wake - now) : 0);
        (void)stream_turn(stream, model, clock_mono_ms(), 100);
        stream_describe(stream, model, clock_mono_ms(), env);
        bool has_failed = env->link == LINK_CONNECTING && env->link_reason[0] != '\0';
        if (has_failed || clock_mono_ms() >= until) {
            return error_set(err, ERR_UNREACHABLE, "%s",
                             has_failed ? env->link_reason : "the daemon sent no picture within 10 s");
        }
    }
    return 0;
}

static int console_plain(const struct console_options *options, struct error *err) {
    struct stream_options from = {options->host, options->replay_path, options->record_path};
    struct stream *stream = NULL;
    struct view_env env = {.is_ascii = options->ascii};
    struct model model;
    model_init(&model);
    int rc = stream_open(&from, &stream, err);
    if (rc == 0) {
        rc = options->replay_path != NULL ? stream_feed(stream, &model, SIZE_MAX, 1, err)
                                          : plain_wait(stream, &model, &env, err);
    }
    if (rc == 0) {
        AUTO_BUF out = buf_make(0);
        env.now_unix_ms = options->replay_path != NULL ? model.event_unix_ms : clock_unix_ms();
        plain_tables(&model, &env, &out);
        rc = fs_write_all(STDOUT_FILENO, buf_text(&out), out.len) == 0
                 ? 0
                 : error_sys(err, errno, "write to stdout");
    }
    stream_close(stream);
    model_deinit(&model);
    return rc;
}

static int console_script(const struct console_options *options, struct error *err) {
    struct stream_options from = {options->host, options->replay_path, options->record_path};
    struct stream *stream = NULL;
    int rc = stream_open(&from, &stream, err);
    rc = rc < 0 ? rc : script_run(options, stream, err);
    stream_close(stream);
    return rc;
}

int console_run(const struct console_options *options, struct error *err) {
    if (options->script_path != NULL) {
        return console_script(options, err);
    }
    if (options->plain) {
        return console_plain(options, err);
    }
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
        return error_set(err, ERR_USAGE,
                         "the console needs a terminal; --plain prints its tables once, without one");
    }
    struct console_options copy = *options;
    int rc = keeper_run(STDOUT_FILENO, term_restore_bytes, console_body, &copy, err);
    if (rc == TERM_UNSUITABLE) {
        const char *type = getenv("TERM");
        fprintf(stderr,
                "muster: the terminal type '%s' is not known here, so the tables are printed once; set TERM "
                "to what this terminal is (xterm-256color suits most)\n",
                type != NULL ? type : "");
        return console_plain(options, err);
    }
    return rc;
}
