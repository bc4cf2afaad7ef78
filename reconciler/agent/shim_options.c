// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/shim_options.c — the command line of muster-shim, checked.
#include "reconciler/agent/shim_options.h"

#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "reconciler/agent/shim_text.h"

enum { TIMEOUT_MS = 60000, STATUS_USAGE = 2 };

enum kind { PATH, ID, NUMBER };

static const struct row {
    const char *name;
    enum kind kind;
    bool is_optional;
    size_t offset; // of the member, a string or a number by its kind
    uint64_t max;  // of a number
} rows[] = {
    {"--id", ID, false, offsetof(struct shim_options, id), 0},
    {"--bundle", PATH, false, offsetof(struct shim_options, bundle), 0},
    {"--dir", PATH, false, offsetof(struct shim_options, dir), 0},
    {"--log", PATH, false, offsetof(struct shim_options, log), 0},
    {"--log-max-bytes", NUMBER, false, offsetof(struct shim_options, log_max_bytes), (uint64_t)1 << 40},
    {"--log-files", NUMBER, false, offsetof(struct shim_options, log_files), 1000},
    {"--runc", PATH, true, offsetof(struct shim_options, runc), 0},
    {"--runc-root", PATH, true, offsetof(struct shim_options, runc_root), 0},
    {"--memory-events", PATH, true, offsetof(struct shim_options, memory_events), 0},
    {"--create-timeout-ms", NUMBER, true, offsetof(struct shim_options, timeout_ms), 3600000},
};
enum { ROW_COUNT = sizeof rows / sizeof rows[0] };

static const char **string_of(struct shim_options *options, const struct row *row) {
    return (const char **)(void *)((char *)options + row->offset);
}

static uint64_t *number_of(struct shim_options *options, const struct row *row) {
    return (uint64_t *)(void *)((char *)options + row->offset);
}

static _Noreturn void refuse(const char *what, const char *name) {
    char data[256];
    struct shim_text text;
    shim_text_init(&text, data, sizeof data);
    shim_text_str(&text, "muster-shim: ");
    shim_text_str(&text, what);
    shim_text_str(&text, name);
    shim_text_str(&text, "\n");
    ssize_t put = write(STDERR_FILENO, text.data, text.len);
    (void)put;
    _exit(STATUS_USAGE);
}

static bool is_id(const char *id) {
    size_t len = strlen(id);
    return len > 0 && len <= SHIM_OPTIONS_ID_BYTES_MAX && id[0] != '-' && id[0] != '.' &&
           strspn(id, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-.+") == len;
}

static bool is_path(const char *path) {
    return path[0] == '/' && strlen(path) < SHIM_OPTIONS_PATH_BYTES_MAX;
}

static bool take(struct shim_options *options, const struct row *row, const char *value) {
    if (row->kind == NUMBER) {
        uint64_t *number = number_of(options, row);
        return shim_text_parse_u64(value, row->max, number) && *number > 0;
    }
    *string_of(options, row) = value;
    return row->kind == ID ? is_id(value) : is_path(value);
}

static bool is_missing(struct shim_options *options, const struct row *row) {
    return row->kind == NUMBER ? *number_of(options, row) == 0 : *string_of(options, row) == NULL;
}

void shim_options_parse(struct shim_options *options, char **argv) {
    *options = (struct shim_options){.timeout_ms = TIMEOUT_MS};
    for (argv++; *argv != NULL; argv++) {
        const char *name = *argv;
        size_t i = 0;
        if (strcmp(name, "--systemd-none") == 0) {
            continue;
        }
        if (strcmp(name, "--process") == 0) {
            options->is_process = true;
            continue;
        }
        while (i < ROW_COUNT && strcmp(name, rows[i].name) != 0) {
            i++;
        }
        if (i == ROW_COUNT) {
            refuse("unknown option ", name);
        }
        if (*++argv == NULL || !take(options, &rows[i], *argv)) {
            refuse("bad or missing value of ", name);
        }
    }
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (!rows[i].is_optional && is_missing(options, &rows[i])) {
            refuse("missing option ", rows[i].name);
        }
    }
    if (!options->is_process && (options->runc == NULL || options->runc_root == NULL)) {
        refuse("missing option ", options->runc == NULL ? "--runc" : "--runc-root");
    }
}
