// SPDX-License-Identifier: Apache-2.0
//
// tui/script.c — one function per command, found in a table.
#include "tui/script.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "base/units.h"
#include "tui/view_screen.h"

#define SCRIPT_BYTES_MAX ((size_t)1024 * 1024)
#define PATIENCE_MS 30000
#define CLOCK_START_MS 1000000

struct script {
    const struct console_options *options;
    struct stream *stream;
    struct model model;
    struct screen screen;
    struct view_env env;
    int64_t waited_ms; // of the script's own clock
};

static void script_tick(struct script *script) {
    if (script->options->replay_path != NULL) {
        script->env.now_ms = CLOCK_START_MS + script->waited_ms;
        script->env.now_unix_ms = script->model.event_unix_ms + script->waited_ms;
    } else {
        script->env.now_ms = clock_mono_ms();
        script->env.now_unix_ms = clock_unix_ms();
    }
    stream_describe(script->stream, &script->model, script->env.now_ms, &script->env);
    screen_settle(&script->screen, &script->model, &script->env);
}

static void script_text(struct script *script, struct buf *out) {
    AUTO_ARENA arena = {0};
    script_tick(script);
    struct grid grid = screen_draw(&script->screen, &script->model, &script->env, &arena);
    grid_text(&grid, out);
}

// One look at the daemon, waiting at most `ms` for something to come.
static void script_listen(struct script *script, int64_t ms) {
    struct pollfd fd = {.fd = stream_fd(script->stream), .events = POLLIN};
    int64_t wake = stream_wake_ms(script->stream) - clock_mono_ms();
    ms = wake < ms ? wake : ms;
    (void)poll(&fd, 1, ms < 0 ? 0 : (int)ms);
    (void)stream_turn(script->stream, &script->model, clock_mono_ms(), 100);
}

// --- commands ---

static int do_size(struct script *script, char *argument, struct error *err) {
    int columns;
    int rows;
    if (!console_parse_size(argument, &columns, &rows)) {
        return error_set(err, ERR_INVALID, "'%s' is not a size: write COLUMNSxROWS, as 80x24", argument);
    }
    screen_resize(&script->screen, columns, rows);
    return 0;
}

static int feed_live(struct script *script, struct error *err) {
    int64_t until = clock_mono_ms() + PATIENCE_MS;
    while (!script->model.is_caught_up || script->model.is_loading) {
        if (clock_mono_ms() >= until) {
            script_tick(script);
            return error_set(err, ERR_TIMEOUT, "no picture from the daemon within 30 s: %s",
                             script->env.link_reason);
        }
        script_listen(script, 100);
    }
    return 0;
}

static int do_feed(struct script *script, char *argument, struct error *err) {
    int64_t count = INT64_MAX;
    if (!str_equal(argument, "all") && (!str_to_int(argument, &count) || count < 1)) {
        return error_set(err, ERR_INVALID, "'%s' is not a number of batches, or all", argument);
    }
    return script->options->replay_path == NULL ? feed_live(script, err)
                                                : stream_feed(script->stream, &script->model, (size_t)count,
                                                              CLOCK_START_MS + script->waited_ms, err);
}

static void do_press(struct script *script, uint32_t press) {
    script_tick(script);
    screen_press(&script->screen, &script->model, &script->env, press);
}

static int do_key(struct script *script, char *argument, struct error *err) {
    for (char *word = argument; *word != '\0';) {
        size_t len = strcspn(word, " ");
        char *next = word + len + strspn(word + len, " ");
        word[len] = '\0';
        uint32_t press = press_parse(word);
        if (press == PRESS_NONE) {
            return error_set(err, ERR_INVALID,
                             "'%s' is not a key: write a character or Enter, Esc, Tab, Up, PgDn…", word);
        }
        do_press(script, press);
        word = next;
    }
    return 0;
}

static int do_type(struct script *script, char *argument, struct error *err) {
    (void)err;
    uint32_t codepoint;
    for (size_t len = strlen(argument), taken; len > 0 && (taken = str_decode(argument, len, &codepoint)) > 0;
         argument += taken, len -= taken) {
        do_press(script, codepoint);
    }
    return 0;
}

static int do_paste(struct script *script, char *argument, struct error *err) {
    (void)err;
    script_tick(script);
    screen_paste(&script->screen, &script->model, &script->env, argument);
    return 0;
}

static int do_wait(struct script *script, char *argument, struct error *err) {
    int64_t ns;
    if (!units_parse_duration(argument, &ns)) {
        return error_set(err, ERR_INVALID, "'%s' is not a duration: write 5s", argument);
    }
    script->waited_ms += ns / NS_PER_MS;
    int64_t until = clock_mono_ms() + ns / NS_PER_MS;
    while (script->options->replay_path == NULL && clock_mono_ms() < until) {
        script_listen(script, until - clock_mono_ms());
    }
    return 0;
}

static int do_until(struct script *script, char *argument, struct error *err) {
    int64_t until = clock_mono_ms() + PATIENCE_MS;
    for (;;) {
        AUTO_BUF text = buf_make(0);
        script_text(script, &text);
        if (strstr(buf_text(&text), argument) != NULL) {
            return 0;
        }
        if (script->options->replay_path != NULL || clock_mono_ms() >= until) {
            return error_set(err, ERR_TIMEOUT, "'%s' never came on the screen:\n%s", argument,
                             buf_text(&text));
        }
        script_listen(script, 100);
    }
}

static int do_ascii(struct script *script, char *argument, struct error *err) {
    bool is_on = str_equal(argument, "on");
    if (!is_on && !str_equal(argument, "off")) {
        return error_set(err, ERR_INVALID, "'%s' is not on or off", argument);
    }
    script->env.is_ascii = is_on;
    return 0;
}

static int do_snap(struct script *script, char *argument, struct error *err) {
    if (!str_is_name(argument, 60)) {
        return error_set(err, ERR_INVALID, "'%s' is not a name for a screen: letters, digits, . _ -",
                         argument);
    }
    AUTO_BUF text = buf_make(0);
    if (script->options->snap_dir != NULL) {
        AUTO_ARENA arena = {0};
        script_text(script, &text);
        const char *path = arena_printf(&arena, "%s/%s.txt", script->options->snap_dir, argument);
        return fs_replace(AT_FDCWD, path, text.data, text.len, 0644, /* sync */ false, err);
    }
    buf_addf(&text, "=== %s, %dx%d\n", argument, script->screen.columns, script->screen.rows);
    script_text(script, &text);
    return fs_write_all(STDOUT_FILENO, text.data, text.len) == 0 ? 0
                                                                 : error_sys(err, errno, "write to stdout");
}

static const struct {
    const char *word;
    int (*run)(struct script *script, char *argument, struct error *err);
} commands[] = {
    {"size", do_size}, {"feed", do_feed},   {"key", do_key},     {"type", do_type}, {"paste", do_paste},
    {"wait", do_wait}, {"until", do_until}, {"ascii", do_ascii}, {"snap", do_snap},
};

static int script_line(struct script *script, char *line, struct error *err) {
    line += strspn(line, " ");
    if (*line == '\0' || *line == '#') {
        return 0;
    }
    size_t len = strcspn(line, " ");
    char *argument = line + len + strspn(line + len, " ");
    line[len] = '\0';
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (!str_equal(commands[i].word, line)) {
            continue;
        }
        if (*argument == '\0') {
            return error_set(err, ERR_INVALID, "'%s' wants an argument", line);
        }
        return commands[i].run(script, argument, err);
    }
    return error_set(err, ERR_INVALID,
                     "'%s' is not a command: size, feed, key, type, paste, wait, until, ascii, snap", line);
}

static int script_lines(struct script *script, char *text, struct error *err) {
    int number = 1;
    for (char *line = text; line != NULL; number++) {
        char *end = strchr(line, '\n');
        if (end != NULL) {
            *end = '\0';
        }
        int rc = script_line(script, line, err);
        if (rc < 0) {
            return error_wrap(err, rc, "%s:%d", script->options->script_path, number);
        }
        line = end != NULL ? end + 1 : NULL;
    }
    return 0;
}

int script_run(const struct console_options *options, struct stream *stream, struct error *err) {
    AUTO_BUF text = buf_make(SCRIPT_BYTES_MAX);
    int rc = fs_read(AT_FDCWD, options->script_path, SCRIPT_BYTES_MAX, &text, err);
    if (rc < 0) {
        return error_wrap(err, rc, "read script '%s'", options->script_path);
    }
    struct script script = {.options = options, .stream = stream, .env = {.is_ascii = options->ascii}};
    model_init(&script.model);
    screen_init(&script.screen, options->columns > 0 ? options->columns : 80,
                options->rows > 0 ? options->rows : 24);
    rc = text.len > 0 ? script_lines(&script, text.data, err) : 0;
    screen_deinit(&script.screen);
    model_deinit(&script.model);
    return rc;
}
