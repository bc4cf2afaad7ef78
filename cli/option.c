// SPDX-License-Identifier: Apache-2.0
//
// cli/option.c — options found by name or letter, their values read by kind.
#include "cli/option.h"

#include <string.h>

#include "base/assert.h"
#include "base/str.h"
#include "base/units.h"

// tidy: table
static const struct {
    const char *metavar, *example;
} kinds[] = {
    [OPTION_FLAG] = {"", "true or false"},
    [OPTION_STRING] = {"TEXT", "text"},
    [OPTION_INT] = {"N", "a whole number, like 3"},
    [OPTION_DURATION] = {"DURATION", "a duration, like 30s or 1m30s"},
    [OPTION_SIZE] = {"BYTES", "a size, like 64M or 1G"},
    [OPTION_CPUS] = {"CPUS", "a number of CPUs, like 0.5"},
    [OPTION_RATIO] = {"RATIO", "a fraction, like 0.25"},
    [OPTION_LIST] = {"TEXT", "text"},
    [OPTION_PAIRS] = {"KEY=VALUE", "KEY=VALUE"},
};

struct reading {
    struct option_target *targets;
    size_t target_count;
    const char *from;
    struct arena *arena;
    struct error *err;
};

// A row in its target.
struct found {
    struct option_target *target;
    const struct option_row *row;
};

const char *option_metavar(const struct option_row *row) {
    return row->metavar != NULL ? row->metavar : kinds[row->kind].metavar;
}

static bool is_taken(const struct option_target *target, const struct option_row *row) {
    return row->set == 0 || (row->set & target->set) != 0;
}

const struct option_row *option_find(const struct option_target *target, const char *name) {
    for (size_t i = 0; i < target->count; i++) {
        if (is_taken(target, &target->rows[i]) && str_equal(target->rows[i].name, name)) {
            return &target->rows[i];
        }
    }
    return NULL;
}

static struct found find_name(const struct reading *reading, const char *name) {
    for (size_t i = 0; i < reading->target_count; i++) {
        const struct option_row *row = option_find(&reading->targets[i], name);
        if (row != NULL) {
            return (struct found){&reading->targets[i], row};
        }
    }
    return (struct found){0};
}

static struct found find_letter(const struct reading *reading, char letter) {
    for (size_t i = 0; i < reading->target_count; i++) {
        struct option_target *target = &reading->targets[i];
        for (size_t j = 0; j < target->count; j++) {
            if (target->rows[j].letter == letter && is_taken(target, &target->rows[j])) {
                return (struct found){target, &target->rows[j]};
            }
        }
    }
    return (struct found){0};
}

// --- values ---

static bool parse_flag(const char *text, bool *out) {
    bool is_true = str_equal(text, "true") || str_equal(text, "1");
    if (!is_true && !str_equal(text, "false") && !str_equal(text, "0")) {
        return false;
    }
    *out = is_true;
    return true;
}

static bool is_word(const struct option_row *row, const char *text) {
    for (size_t i = 0; row->words != NULL && row->words[i] != NULL; i++) {
        if (str_equal(row->words[i], text)) {
            return true;
        }
    }
    return row->words == NULL;
}

static bool set_pair(struct pairs *pairs, const char *text, struct arena *arena) {
    const char *equals = strchr(text, '=');
    const char *key = equals != NULL ? arena_strndup(arena, text, (size_t)(equals - text)) : text;
    if (key[0] == '\0') {
        return false;
    }
    *pairs = pairs_set(arena, pairs, key, equals != NULL ? equals + 1 : "");
    return true;
}

static bool set_value(const struct option_row *row, const char *text, void *object, struct arena *arena) {
    void *at = (char *)object + row->offset;
    switch (row->kind) {
    case OPTION_FLAG:
        return parse_flag(text, at);
    case OPTION_INT:
        return str_to_int(text, at);
    case OPTION_DURATION:
        return text[0] != '-' && units_parse_duration(text, at);
    case OPTION_SIZE:
        return units_parse_bytes(text, at);
    case OPTION_CPUS:
        return units_parse_cpus(text, at);
    case OPTION_RATIO:
        return str_to_double(text, at);
    case OPTION_STRING:
        *(const char **)at = text;
        return is_word(row, text);
    case OPTION_LIST: {
        struct strings *list = at;
        *ARENA_PUSH(arena, list) = text;
        return is_word(row, text);
    }
    case OPTION_PAIRS:
        return set_pair(at, text, arena);
    }
    return false;
}

static int refuse_value(const struct reading *reading, const struct option_row *row, const char *text) {
    AUTO_BUF wanted = {0};
    for (size_t i = 0; row->words != NULL && row->words[i] != NULL; i++) {
        buf_addf(&wanted, "%s%s", i > 0 ? ", " : "one of: ", row->words[i]);
    }
    return error_set(reading->err, ERR_USAGE, "'%s' is no value of --%s: write %s", text, row->name,
                     row->words != NULL ? buf_text(&wanted) : kinds[row->kind].example);
}

static int take_value(const struct reading *reading, struct found found, const char *text) {
    if (!set_value(found.row, text, found.target->object, reading->arena)) {
        return refuse_value(reading, found.row, text);
    }
    found.target->given[found.row - found.target->rows] = true;
    return 0;
}

void option_init(struct option_target *target, struct arena *arena) {
    ASSERT(target->count <= OPTION_ROWS_MAX);
    for (size_t i = 0; i < target->count; i++) {
        const struct option_row *row = &target->rows[i];
        if (row->initial != NULL) {
            bool is_good = set_value(row, row->initial, target->object, arena);
            ASSERT(is_good);
        }
    }
}

// --- arguments ---

static int refuse_name(const struct reading *reading, const char *argument, const char *name) {
    AUTO_ARENA arena = {0};
    struct strings names = {0};
    for (size_t i = 0; i < reading->target_count; i++) {
        const struct option_target *target = &reading->targets[i];
        for (size_t j = 0; j < target->count; j++) {
            if (is_taken(target, &target->rows[j]) && !target->rows[j].is_hidden) {
                *ARENA_PUSH(&arena, &names) = target->rows[j].name;
            }
        }
    }
    const char *nearest = name != NULL ? str_nearest(name, names.items, names.count) : NULL;
    if (nearest != NULL) {
        return error_set(reading->err, ERR_USAGE, "unknown option '%s': did you mean '--%s'? (%s --help)",
                         argument, nearest, reading->from);
    }
    return error_set(reading->err, ERR_USAGE, "unknown option '%s' (%s --help lists them)", argument,
                     reading->from);
}

// The value that follows, or an error. Moves *argv to it.
static int next_value(const struct reading *reading, const struct option_row *row, char *const **argv,
                      const char **out) {
    if ((*argv)[1] == NULL) {
        return error_set(reading->err, ERR_USAGE, "--%s wants a value: %s", row->name,
                         kinds[row->kind].example);
    }
    *out = *++*argv;
    return 0;
}

static int take_long(const struct reading *reading, char *const **argv) {
    const char *argument = **argv;
    const char *equals = strchr(argument, '=');
    size_t len = equals != NULL ? (size_t)(equals - argument) : strlen(argument);
    const char *name = arena_strndup(reading->arena, argument + 2, len - 2);
    struct found found = find_name(reading, name);
    if (found.row == NULL) {
        return refuse_name(reading, argument, name);
    }
    const char *value = equals != NULL ? equals + 1 : found.row->kind == OPTION_FLAG ? "true" : NULL;
    int rc = value == NULL ? next_value(reading, found.row, argv, &value) : 0;
    return rc < 0 ? rc : take_value(reading, found, value);
}

static int take_letters(const struct reading *reading, char *const **argv) {
    const char *argument = **argv;
    for (const char *p = argument + 1; *p != '\0'; p++) {
        struct found found = find_letter(reading, *p);
        if (found.row == NULL) {
            return refuse_name(reading, argument, NULL);
        }
        bool is_flag = found.row->kind == OPTION_FLAG;
        const char *value = p[1] == '=' ? p + 2 : is_flag ? "true" : p[1] != '\0' ? p + 1 : NULL;
        int rc = value == NULL ? next_value(reading, found.row, argv, &value) : 0;
        rc = rc < 0 ? rc : take_value(reading, found, value);
        if (rc < 0 || !is_flag || p[1] == '=') {
            return rc;
        }
    }
    return 0;
}

int option_parse(struct option_target *targets, size_t target_count, char *const *argv, bool options_first,
                 const char *from, struct arena *arena, struct option_arguments *out, struct error *err) {
    struct reading reading = {targets, target_count, from, arena, err};
    bool is_over = false;
    int rc = 0;
    for (; rc == 0 && *argv != NULL; argv++) {
        const char *argument = *argv;
        if (is_over || argument[0] != '-' || argument[1] == '\0') {
            *ARENA_PUSH(arena, out) = argument;
            is_over = is_over || options_first;
        } else if (str_equal(argument, "--")) {
            is_over = true;
        } else {
            rc = argument[1] == '-' ? take_long(&reading, &argv) : take_letters(&reading, &argv);
        }
    }
    return rc;
}
