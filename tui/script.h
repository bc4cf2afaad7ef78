// SPDX-License-Identifier: Apache-2.0
//
// tui/script.h — runs the console from a file of keys and writes the screens that the file asks for.
//
// A script is lines; blanks around words and lines that begin with # mean nothing:
//     size 80x24        the screen from now on
//     feed 3 | feed all the next batches of the recording; from a daemon: waits until its picture is whole
//     key j j Enter     keys, by the words of the help
//     type web !failed  characters, blanks too
//     paste text        as a terminal would paste it
//     wait 5s           the clock goes on (with a daemon: really)
//     until web.3       with a daemon: waits until the screen holds the text, 30 s at most
//     ascii on          or off
//     snap NAME         writes the screen: to DIRECTORY/NAME.txt, or to stdout under "=== NAME"
#ifndef MUSTER_TUI_SCRIPT_H
#define MUSTER_TUI_SCRIPT_H

#include "tui/console.h"
#include "tui/stream.h"

// -ERR_INVALID names the line and what is wrong with it; -ERR_TIMEOUT for an `until` that never came.
int script_run(const struct console_options *options, struct stream *stream, struct error *err);

#endif
