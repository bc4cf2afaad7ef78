// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/options.c — the field table of the daemon's options, and reading them from argv and file.
#include "reconciler/daemon/options.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/str.h"
#include "specs/generic.h"
#include "specs/row.h"
#include "specs/settings.h"

const char *const executor_choice_names[3] = {"runc", "process", "fake"};
static const char *const log_level_names[] = {"error", "warn", "info", "debug"};
static const char *const log_format_names[] = {"logfmt", "json"};

static const struct field option_fields[] = {
    STRING(struct daemon_options, 1, state_dir, .default_text = "/var/lib/muster",
           .help = "Directory of everything durable."),
    STRING(struct daemon_options, 2, run_dir, .default_text = "/run/muster",
           .help = "Directory of the local socket muster.sock."),
    STRING(struct daemon_options, 3, listen, .default_text = "0.0.0.0:2377",
           .help = "Address and port to listen on for other nodes."),
    STRING(struct daemon_options, 4, advertise, .help = "Address (and port) that other nodes use."),
    STRING(struct daemon_options, 5, node_name, .help = "Name of this node; the host name by default."),
    STRING(struct daemon_options, 6, config, .help = "File with settings: option_name: value."),
    ENUM(struct daemon_options, 7, executor, executor_choice_names, EXECUTOR_RUNC,
         .help = "What runs tasks: containers, plain processes (development), nothing (tests)."),
    ENUM(struct daemon_options, 8, log_level, log_level_names, LOG_INFO, .help = "Least urgent line logged."),
    ENUM(struct daemon_options, 9, log_format, log_format_names, LOG_FORMAT_LOGFMT,
         .help = "Form of the log on standard error."),
    PAIRS(struct daemon_options, 10, labels, .flags = FIELD_PAIRS_LIST,
          .help = "Label KEY=VALUE of this machine, engine.labels.KEY in constraints; may be repeated."),
    STRING(struct daemon_options, 11, runc, .default_text = "runc", .help = "Program that runs containers."),
    STRING(struct daemon_options, 12, skopeo, .default_text = "skopeo",
           .help = "Program that fetches images."),
    STRING(struct daemon_options, 13, shim, .help = "Program muster-shim; found beside musterd by default."),
    INT(struct daemon_options, 14, parallel, 0, 1024,
        .help = "Tasks that are prepared and started at once; 0 = cores + 1."),
    STRING(struct daemon_options, 15, allow_bind,
           .help = "Paths, with : between them, at or below which tasks may bind; none = nowhere; by default "
                   "anywhere."),
    STRINGS(struct daemon_options, 16, generic_resources,
            .help = "Resource KIND=NUMBER or KIND=NAME,NAME that services can reserve; may be repeated."),
};
const struct schema daemon_options_schema =
    SCHEMA("settings", struct daemon_options, option_fields, .help = "Settings of musterd.");

static const struct {
    const char *option;
    enum daemon_action action;
    const char *help;
} actions[] = {
    {"--check-store", ACTION_CHECK_STORE,
     "Walk all records of the store in --state-dir, say what is damaged, end."},
    {"--version", ACTION_VERSION, "Print the version, end."},
    {"--help", ACTION_HELP, "Print this text, end."},
};

// "state_dir" → "--state-dir"; labels and resources of a node are given one by one.
static const char *option_name(const struct field *field, char out[64]) {
    size_t len = strlen(field->name);
    ASSERT(len + 3 < 64);
    memcpy(out, "--", 2);
    for (size_t i = 0; i <= len; i++) {
        out[i + 2] = field->name[i] == '_' ? '-' : field->name[i];
    }
    if (field->kind == FIELD_PAIRS || field->kind == FIELD_STRINGS) {
        out[len + 1] = '\0'; // --label
    }
    return out;
}

static const struct field *option_find(const char *name) {
    char text[64];
    for (unsigned i = 0; i < daemon_options_schema.count; i++) {
        if (strcmp(option_name(&daemon_options_schema.fields[i], text), name) == 0) {
            return &daemon_options_schema.fields[i];
        }
    }
    return NULL;
}

static int unknown_option(const char *name, struct arena *arena, struct error *err) {
    struct strings all = {0};
    char text[64];
    for (unsigned i = 0; i < daemon_options_schema.count; i++) {
        const char *known = option_name(&daemon_options_schema.fields[i], text);
        *ARENA_PUSH(arena, &all) = arena_strdup(arena, known);
    }
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        *ARENA_PUSH(arena, &all) = actions[i].option;
    }
    const char *nearest = str_nearest(name, all.items, all.count);
    return error_set(err, ERR_USAGE, "unknown option '%s'%s%s%s: see musterd --help", name,
                     nearest != NULL ? "; did you mean '" : "", nearest != NULL ? nearest : "",
                     nearest != NULL ? "'?" : "");
}

static int set_option(const struct field *field, const char *name, const char *value,
                      struct daemon_options *out, struct arena *arena, struct error *err) {
    if (field->kind == FIELD_STRINGS) {
        *ARENA_PUSH(arena, &out->generic_resources) = value;
        return 0;
    }
    if (field->kind != FIELD_PAIRS) {
        int rc = settings_set(field, value, out, arena, err);
        if (rc < 0) {
            struct error reason = *err;
            return error_set(err, ERR_USAGE, "%s '%s': %s", name, value, reason.root);
        }
        return 0;
    }
    const char *equal = strchr(value, '=');
    if (equal == NULL || equal == value) {
        return error_set(err, ERR_USAGE, "%s '%s': write %s KEY=VALUE", name, value, name);
    }
    const char *key = arena_strndup(arena, value, (size_t)(equal - value));
    out->labels = pairs_set(arena, &out->labels, key, equal + 1);
    return 0;
}

static bool is_action(const char *argument, enum daemon_action *out) {
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        if (strcmp(argument, actions[i].option) == 0) {
            *out = actions[i].action;
            return true;
        }
    }
    return false;
}

static int read_arguments(int argc, char *const *argv, struct arena *arena, struct daemon_options *out,
                          enum daemon_action *action, struct error *err) {
    for (int i = 1; i < argc; i++) {
        if (is_action(argv[i], action)) {
            continue;
        }
        if (!str_starts(argv[i], "--")) {
            return error_set(err, ERR_USAGE, "'%s' is no option: musterd takes no arguments", argv[i]);
        }
        const char *equal = strchr(argv[i], '=');
        const char *name = equal != NULL ? arena_strndup(arena, argv[i], (size_t)(equal - argv[i])) : argv[i];
        const struct field *field = option_find(name);
        if (field == NULL) {
            return unknown_option(name, arena, err);
        }
        const char *value = equal != NULL ? equal + 1 : i + 1 < argc ? argv[++i] : NULL;
        if (value == NULL) {
            return error_set(err, ERR_USAGE, "%s needs a value", name);
        }
        int rc = set_option(field, name, value, out, arena, err);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

static int read_file(struct arena *arena, struct daemon_options *out, struct error *err) {
    AUTO_BUF text = buf_make(256 * KIB);
    int rc = fs_read(AT_FDCWD, out->config, 256 * KIB, &text, err);
    rc = rc < 0 ? rc : settings_parse(out->config, &daemon_options_schema, buf_bytes(&text), out, arena, err);
    return error_wrap(err, rc, "read settings");
}

static const char *absolute(const char *path, struct arena *arena) {
    char here[4096];
    return path[0] == '/' || getcwd(here, sizeof here) == NULL ? path
                                                               : arena_printf(arena, "%s/%s", here, path);
}

static int check_resources(const struct daemon_options *options, struct arena *arena, struct error *err) {
    struct generic_stocks stocks = {0};
    struct error reason = {0};
    for (size_t i = 0; i < options->generic_resources.count; i++) {
        if (generic_add(&stocks, options->generic_resources.items[i], arena, &reason) < 0) {
            return error_set(err, ERR_USAGE, "--generic-resource: %s", reason.root);
        }
    }
    return 0;
}

int daemon_options_read(int argc, char *const *argv, struct arena *arena, struct daemon_options *out,
                        enum daemon_action *out_action, struct error *err) {
    *out_action = ACTION_RUN;
    schema_init(&daemon_options_schema, out);
    int rc = read_arguments(argc, argv, arena, out, out_action, err);
    if (rc == 0 && out->config[0] != '\0') {
        rc = read_file(arena, out, err);
        rc = rc < 0 ? rc : read_arguments(argc, argv, arena, out, out_action, err);
    }
    if (rc < 0) {
        return rc;
    }
    struct problems problems = {0};
    schema_validate(&daemon_options_schema, out, /*warnings=*/false, arena, &problems);
    if (problems.count > 0) {
        char name[64];
        const struct field *field = schema_field(&daemon_options_schema, problems.items[0].path);
        return error_set(err, ERR_USAGE, "%s: %s", field != NULL ? option_name(field, name) : "settings",
                         problems.items[0].text);
    }
    if (out->node_name[0] != '\0' && !str_is_name(out->node_name, NAME_BYTES_MAX)) {
        return error_set(
            err, ERR_USAGE,
            "--node-name '%s': letters, digits, '-', '_' and '.', at most %d, a letter or digit first",
            out->node_name, NAME_BYTES_MAX);
    }
    rc = check_resources(out, arena, err);
    if (rc < 0) {
        return rc;
    }
    out->state_dir = absolute(out->state_dir, arena);
    out->run_dir = absolute(out->run_dir, arena);
    return 0;
}

static void help_row(struct buf *out, const char *left, const char *help, const char *default_text) {
    size_t start = out->len;
    buf_addf(out, "  %s", left);
    size_t width = out->len - start;
    buf_pad(out, ' ', width < 28 ? 28 - width : 1);
    buf_adds(out, help);
    if (!str_is_empty(default_text)) {
        buf_addf(out, " [%s]", default_text);
    }
    buf_addc(out, '\n');
}

static void help_values(struct buf *out, const struct field *field) {
    for (unsigned i = 0; i < field->value_count; i++) {
        buf_addf(out, "%s%s", i == 0 ? " " : "|", field->values[i]);
    }
}

void daemon_options_help(struct buf *out) {
    buf_adds(out,
             "Usage: musterd [OPTIONS]\n\nThe daemon of one node: runs its tasks and, on a manager, keeps "
             "the cluster's state.\n\nOptions:\n");
    for (unsigned i = 0; i < daemon_options_schema.count; i++) {
        const struct field *field = &daemon_options_schema.fields[i];
        char name[64];
        AUTO_BUF left = {0};
        buf_adds(&left, option_name(field, name));
        help_values(&left, field);
        const char *usual =
            field->kind == FIELD_ENUM ? field->values[field->default_int] : field->default_text;
        help_row(out, buf_text(&left), field->help, usual);
    }
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        help_row(out, actions[i].option, actions[i].help, NULL);
    }
}
