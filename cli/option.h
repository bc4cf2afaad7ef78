// SPDX-License-Identifier: Apache-2.0
//
// cli/option.h — rows that say which options a command takes, and the reader that fills a plain struct from
// them.
//
//     struct scale_args { bool force; struct strings labels; };
//     static const struct option_row scale_options[] = {
//         OPT_FLAG(struct scale_args, force, "force", 'f', .help = "Even if nothing changes"),
//         OPT_LIST(struct scale_args, labels, "label", 'l', .metavar = "KEY=VALUE", .help = "Labels"),
//     };
//
// Help, man page and completion come from the same rows. A member of another type than the row's does not
// compile.
//
// Model        --name VALUE, --name=VALUE, -n VALUE, -nVALUE, -n=VALUE, flags as --name, --name=false, -ab
//              for
//              -a -b; `--` ends the options. Of a row given twice the last one holds; lists collect.
// Failure      -ERR_USAGE: names the argument, and the nearest option when there is one.
#ifndef MUSTER_CLI_OPTION_H
#define MUSTER_CLI_OPTION_H

#include "specs/schema.h"

// Type of the member in brackets.
enum option_kind {
    OPTION_FLAG,     // bool
    OPTION_STRING,   // const char *, NULL when not given and without an initial value
    OPTION_INT,      // int64_t
    OPTION_DURATION, // int64_t nanoseconds
    OPTION_SIZE,     // int64_t bytes
    OPTION_CPUS,     // int64_t billionths
    OPTION_RATIO,    // double
    OPTION_LIST,     // struct strings
    OPTION_PAIRS,    // struct pairs, sorted by key; "KEY" alone has the value ""
};

// What a value or argument names, for completion.
enum option_names {
    NAMES_NOTHING,
    NAMES_FILE,
    NAMES_SERVICE,
    NAMES_NODE,
    NAMES_TASK,
    NAMES_KIND, // and then an object of it
    NAMES_COMMAND,
};

struct option_row {
    const char *name; // without the dashes
    char letter;      // '\0' = none
    enum option_kind kind;
    uint32_t offset;
    const char *metavar;      // NULL = from the kind
    const char *help;         // a phrase, capital first, no full stop
    const char *initial;      // text of the value when not given; NULL = zero
    const char *const *words; // ends with NULL: only these are accepted; NULL = any
    enum option_names names;
    uint32_t set; // of shared rows (command.h): the commands that take it
    bool is_hidden;
};

#define OPTION_ROW(type, member, kind_, member_type, name_, letter_, ...)                                    \
    {                                                                                                        \
        .name = (name_), .letter = (letter_), .kind = (kind_),                                               \
        .offset = (uint32_t)(offsetof(type, member) + 0 * sizeof((member_type *)0 == &((type *)0)->member)), \
        __VA_ARGS__                                                                                          \
    }
#define OPT_FLAG(type, member, name, letter, ...)                                                            \
    OPTION_ROW(type, member, OPTION_FLAG, bool, name, letter, __VA_ARGS__)
#define OPT_STRING(type, member, name, letter, ...)                                                          \
    OPTION_ROW(type, member, OPTION_STRING, const char *, name, letter, __VA_ARGS__)
#define OPT_INT(type, member, name, letter, ...)                                                             \
    OPTION_ROW(type, member, OPTION_INT, int64_t, name, letter, __VA_ARGS__)
#define OPT_DURATION(type, member, name, letter, ...)                                                        \
    OPTION_ROW(type, member, OPTION_DURATION, int64_t, name, letter, __VA_ARGS__)
#define OPT_SIZE(type, member, name, letter, ...)                                                            \
    OPTION_ROW(type, member, OPTION_SIZE, int64_t, name, letter, __VA_ARGS__)
#define OPT_CPUS(type, member, name, letter, ...)                                                            \
    OPTION_ROW(type, member, OPTION_CPUS, int64_t, name, letter, __VA_ARGS__)
#define OPT_RATIO(type, member, name, letter, ...)                                                           \
    OPTION_ROW(type, member, OPTION_RATIO, double, name, letter, __VA_ARGS__)
#define OPT_LIST(type, member, name, letter, ...)                                                            \
    OPTION_ROW(type, member, OPTION_LIST, struct strings, name, letter, __VA_ARGS__)
#define OPT_PAIRS(type, member, name, letter, ...)                                                           \
    OPTION_ROW(type, member, OPTION_PAIRS, struct pairs, name, letter, __VA_ARGS__)

// Rows that fill one struct, and which of them were given.
#define OPTION_ROWS_MAX 128
struct option_target {
    const struct option_row *rows;
    size_t count; // at most OPTION_ROWS_MAX
    uint32_t set; // only rows whose set is 0 or shares a bit with it
    void *object;
    bool given[OPTION_ROWS_MAX];
};

struct option_arguments {
    size_t count;
    const char **items;
};

// Puts the initial values of the rows into the object.
void option_init(struct option_target *target, struct arena *arena);
// Reads argv up to its NULL. A name that several targets have is the first one's. Arguments that are no
// options are collected; with `options_first` the first of them ends the options. `from` is how to get help
// ("muster service ls"). The strings of argv must live as long as the object.
int option_parse(struct option_target *targets, size_t target_count, char *const *argv, bool options_first,
                 const char *from, struct arena *arena, struct option_arguments *out, struct error *err);

// The row that has the name and is taken by the target's set, NULL when none is.
const struct option_row *option_find(const struct option_target *target, const char *name);
// What the help shows as the value: "" for flags.
const char *option_metavar(const struct option_row *row);

#endif
