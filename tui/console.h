// SPDX-License-Identifier: Apache-2.0
//
// tui/console.h — `muster console`: the cluster as live tables in a terminal. The one door for cli/main.c.
//
// The console subscribes once to the daemon's watch stream and paints what changes. It runs in a child
// process, so that its parent can give the terminal back whatever happens to the child.
#ifndef MUSTER_TUI_CONSOLE_H
#define MUSTER_TUI_CONSOLE_H

#include <stdbool.h>

#include "base/error.h"

enum console_color { CONSOLE_COLOR_AUTO, CONSOLE_COLOR_ALWAYS, CONSOLE_COLOR_NEVER };

// Zero-initialised but for `host` is the console on this terminal. Strings are borrowed; NULL = not given.
struct console_options {
    const char *host;         // "unix:///run/muster/muster.sock"
    bool plain;               // print the tables once to stdout and end; needs no terminal
    bool ascii;               // no glyph beyond ASCII, whatever the locale says
    enum console_color color; // AUTO: as the terminal can and NO_COLOR lets
    // Without a terminal, for tests and documents: runs the keys of a file and writes the screens that it
    // asks for.
    const char *script_path;
    const char *replay_path; // takes the stream from this recording instead of from a daemon
    const char *record_path; // writes the stream down to this file, for a replay
    const char *snap_dir;    // where a script's screens go, as NAME.txt; NULL = stdout
    int columns, rows;       // size of a script's screen; 0 = 80x24
};

// Runs until the user leaves. 0; -ERR_USAGE when there is no terminal (the message says what to do instead),
// -ERR_UNREACHABLE (plain: no daemon), -ERR_INVALID (script, recording), -ERR_INTERNAL when the child died
// (the terminal has been restored). Call it before the process has threads.
int console_run(const struct console_options *options, struct error *err);

// "160x48" as --size takes it, 1x1 to 1000x1000; false leaves the outputs untouched.
bool console_parse_size(const char *text, int *columns, int *rows);

#endif
