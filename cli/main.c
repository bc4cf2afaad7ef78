// SPDX-License-Identifier: Apache-2.0
//
// cli/main.c — the program `muster`: all commands of cli/, and the console of tui/.
#include "base/str.h"
#include "cli/builtin.h"
#include "cli/connect.h"
#include "tui/console.h"

struct console_args {
    bool plain, ascii;
    const char *script, *replay, *record, *snap_dir, *size;
};

static const struct option_row console_rows[] = {
    OPT_FLAG(struct console_args, plain, "plain", 0, .help = "Print the tables once; needs no terminal"),
    OPT_FLAG(struct console_args, ascii, "ascii", 0, .help = "No glyphs beyond ASCII, whatever the locale"),
    OPT_STRING(struct console_args, script, "script", 0, .metavar = "FILE", .names = NAMES_FILE,
               .help = "Take keys from a file instead of a terminal, and write the screens it asks for"),
    OPT_STRING(struct console_args, size, "size", 0, .metavar = "COLUMNSxROWS", .initial = "80x24",
               .help = "Size of a script's screen"),
    OPT_STRING(struct console_args, snap_dir, "snap", 0, .metavar = "DIR", .names = NAMES_FILE,
               .help = "Where a script's screens go, as NAME.txt (default: standard output)"),
    OPT_STRING(struct console_args, record, "record", 0, .metavar = "FILE", .names = NAMES_FILE,
               .help = "Write down what the daemon sends, for --replay"),
    OPT_STRING(struct console_args, replay, "replay", 0, .metavar = "FILE", .names = NAMES_FILE,
               .help = "Show a recording instead of a daemon"),
};

static int run_console(struct invocation *in, struct error *err) {
    const struct console_args *args = in->args;
    struct console_options options = {
        .host = connect_host(in),
        .plain = args->plain,
        .ascii = args->ascii,
        .color = str_equal(in->shared.color, "always")  ? CONSOLE_COLOR_ALWAYS
                 : str_equal(in->shared.color, "never") ? CONSOLE_COLOR_NEVER
                                                        : CONSOLE_COLOR_AUTO,
        .script_path = args->script,
        .replay_path = args->replay,
        .record_path = args->record,
        .snap_dir = args->snap_dir,
    };
    if (!console_parse_size(args->size, &options.columns, &options.rows)) {
        return error_set(err, ERR_USAGE, "--size: '%s' is not a size: write COLUMNSxROWS, as 80x24",
                         args->size);
    }
    return console_run(&options, err);
}

static const struct command rows[] = {
    {.name = "console",
     .aliases = "ui",
     .summary = "Show the cluster live, in the terminal",
     .details = "Nodes, services and tasks as tables that follow what happens: Enter goes into\n"
                "what is selected, Esc comes back, d tells all about it, / filters, ? lists the\n"
                "keys, q leaves. Nothing can be changed from here yet.\n\n"
                "The header tells how fresh the picture is: LIVE, STALE 7s when the daemon is\n"
                "gone (it is tried again, and the stream goes on where it was), SILENT 7s when\n"
                "it does not answer, NO QUORUM 7s when it answers, but no manager leads.",
     .example = "muster console\n"
                "muster console --plain\n"
                "muster console --record incident.replay\n"
                "muster console --replay incident.replay",
     .run = run_console,
     COMMAND_OPTIONS(struct console_args, console_rows)},
};

static const struct command_group console_commands = COMMAND_GROUP(NULL, "Watch", rows);

int main(int argc, char **argv) {
    return command_main(builtin_table(&console_commands), argc, argv);
}
