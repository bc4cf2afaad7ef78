// SPDX-License-Identifier: Apache-2.0
//
// cli/command.h — what a command is: a row with its words, its options and the function that runs it.
//
// A noun is a file with a table of rows and one line in cli/commands.def; the verbs of the top level are
// groups without a noun. From the rows come dispatch, help, man pages, completion and the list that tests
// walk. Options that many commands share stand once (`shared_rows`), so they are spelt and mean the same
// everywhere; a command names the sets it takes. Its own options win over shared ones of the same spelling
// (Docker's `service create --host`).
//
// Exit status  0, 1 (COMMAND_NO: a truthful "no", never an error), else by the error's code (base/error.h).
// Output       Data goes to stdout, all else to stderr. An error is printed once, by the dispatcher.
#ifndef MUSTER_CLI_COMMAND_H
#define MUSTER_CLI_COMMAND_H

#include <stdio.h>

#include "cli/option.h"

// Sets of shared options. --host, --color and --help are taken by every command.
enum shared_set {
    SHARED_ALWAYS = 1 << 0,
    SHARED_OUTPUT = 1 << 1,   // -o/--output
    SHARED_FORMAT = 1 << 2,   // --format
    SHARED_QUIET = 1 << 3,    // -q/--quiet
    SHARED_TRUNC = 1 << 4,    // --no-trunc
    SHARED_FILTER = 1 << 5,   // -f/--filter
    SHARED_DETACH = 1 << 6,   // -d/--detach
    SHARED_WHY = 1 << 7,      // --why
    SHARED_YES = 1 << 8,      // -y/--yes
    SHARED_PATIENCE = 1 << 9, // --timeout, --progress
    SHARED_WAIT = SHARED_DETACH | SHARED_PATIENCE,
    SHARED_LIST = SHARED_OUTPUT | SHARED_FORMAT | SHARED_QUIET | SHARED_TRUNC | SHARED_FILTER,
};

struct shared_options {
    bool help;
    const char *host;   // NULL = MUSTER_HOST, or the default
    const char *color;  // auto, always, never
    const char *output; // table, wide, json, yaml, name
    const char *format; // NULL = none
    bool quiet, no_trunc, stale, detach, yes;
    struct strings filter;
    int64_t timeout_ns;   // 0 = none
    const char *progress; // auto, tty, plain, none
    const char *why;      // "" = none
};

// The terminal the command talks to, looked at once.
struct screen {
    bool out_is_tty, err_is_tty;
    bool color; // of stdout, by --color and NO_COLOR
    int columns, lines;
};

struct command;
struct invocation {
    const struct command *command;
    const char *path; // "muster service ls"
    struct option_target own, common;
    const void *args; // the command's struct
    struct shared_options shared;
    struct screen screen;
    struct option_arguments arguments; // those that are no options; count is within min and max
    struct arena *arena;               // lives as long as the command runs
};

// Whether an option was given, as opposed to having its initial value.
bool invocation_has(const struct invocation *in, const char *option);

enum { COMMAND_NO = 1 }; // the answer is no: differs, not ready, not there
#define COMMAND_MANY 100000u

struct command {
    const char *name;
    const char *aliases; // separated by blanks; NULL = none
    const char *summary; // one line, capital first, no full stop
    const char *usage;   // after the options: "SERVICE=REPLICAS…"
    const char *details; // paragraphs of the help and the man page; NULL = none
    const char *example; // lines of shell; NULL = none
    const struct option_row *options;
    size_t option_count;
    size_t args_bytes;  // the struct that options fill, zeroed before
    uint32_t shared;    // sets of shared options
    unsigned min, max;  // arguments
    bool options_first; // what follows the first argument belongs to it (`service create IMAGE ls -l`)
    bool is_hidden;
    enum option_names names; // what the arguments name
    // 0, COMMAND_NO, or a failure; a failure with an empty `err` was already printed (command_complain).
    int (*run)(struct invocation *in, struct error *err);
};
#define COMMAND_OPTIONS(type, rows)                                                                          \
    .options = (rows), .option_count = sizeof(rows) / sizeof *(rows), .args_bytes = sizeof(type)

struct command_group {
    const char *noun;    // NULL: its commands stand at the top level
    const char *summary; // of the noun; or the heading of the group in the help
    const struct command *commands;
    size_t count;
};
#define COMMAND_GROUP(noun_, summary_, rows)                                                                 \
    { .noun = (noun_), .summary = (summary_), .commands = (rows), .count = sizeof(rows) / sizeof *(rows) }

// All groups, in the order of the help.
#define X(name) extern const struct command_group name##_commands;
#include "cli/commands.def"
#undef X
struct command_table {
    const struct command_group *const *groups;
    size_t count;
};
extern const struct option_row shared_rows[];
extern const size_t shared_row_count;

// The noun's group, or NULL.
const struct command_group *command_noun(const struct command_table *table, const char *noun);
// A command by its noun (NULL: top level) and name or alias; NULL when there is none.
const struct command *command_find(const struct command_table *table, const char *noun, const char *name);

// Finds the command, reads its options, runs it, prints its error; returns the exit status.
int command_main(const struct command_table *table, int argc, char **argv);

// The words that lead to the command at `argv`, and its options read. Outcome COMMAND_HELP: help was asked
// for, `command` may be NULL. For tests and completion too.
enum { COMMAND_HELP = 1 };
int command_read(const struct command_table *table, char *const *argv, struct invocation *out,
                 const struct command_group **group, struct error *err);

// Prints an error as the dispatcher does ("muster: …") and clears it; for commands of several objects, which
// go on after an error. Returns rc.
int command_complain(const struct invocation *in, int rc, struct error *err);

#endif
