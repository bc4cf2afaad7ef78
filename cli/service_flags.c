// SPDX-License-Identifier: Apache-2.0
//
// cli/service_flags.c — the rows of options made from cli/service_flags.def, and what they do to a spec.
#include "cli/service_flags.h"

#include <limits.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "cli/service_edit.h"
#include "specs/health.h"

// --- rows ---

#define AT(member, id) (uint32_t) offsetof(struct service_args, member[SERVICE_FLAG_##id])
#define TEXT(id, name_, letter_, path, metavar_, help_)                                                      \
    {.name = (name_),                                                                                        \
     .letter = (letter_),                                                                                    \
     .kind = OPTION_STRING,                                                                                  \
     .offset = AT(text, id),                                                                                 \
     .metavar = (metavar_),                                                                                  \
     .help = (help_)},
#define FLAG(id, name_, letter_, path, help_)                                                                \
    {.name = (name_), .letter = (letter_), .kind = OPTION_FLAG, .offset = AT(on, id), .help = (help_)},
#define LIST(id, name_, letter_, path, edit, metavar_, help_)                                                \
    {.name = (name_),                                                                                        \
     .letter = (letter_),                                                                                    \
     .kind = OPTION_LIST,                                                                                    \
     .offset = AT(added, id),                                                                                \
     .metavar = (metavar_),                                                                                  \
     .help = (help_)},

// tidy: table
const struct option_row service_create_rows[SERVICE_CREATE_ROWS] = {
#define PAIR(id, name_, letter_, path, edit, metavar_, key, help_)                                           \
    {.name = (name_),                                                                                        \
     .letter = (letter_),                                                                                    \
     .kind = OPTION_LIST,                                                                                    \
     .offset = AT(added, id),                                                                                \
     .metavar = (metavar_),                                                                                  \
     .help = (help_)},
    OPT_STRING(struct service_args, name, "name", '\0', .help = "Name of the service (default: made up)"),
    OPT_STRING(struct service_args, mode, "mode", '\0', .metavar = "MODE",
               .help = "Kind of service: replicated, global, replicated-job, global-job"),
    OPT_LIST(struct service_args, env_file, "env-file", '\0', .metavar = "FILE", .names = NAMES_FILE,
             .help = "Read environment from a file of NAME=VALUE lines"),
#include "cli/service_flags.def"
#undef PAIR
};

// tidy: table
const struct option_row service_update_rows[SERVICE_UPDATE_ROWS] = {
#define PAIR(id, name_, letter_, path, edit, metavar_, key, help_)                                           \
    {.name = name_ "-add",                                                                                   \
     .kind = OPTION_LIST,                                                                                    \
     .offset = AT(added, id),                                                                                \
     .metavar = (metavar_),                                                                                  \
     .help = help_ ": add or replace"},                                                                      \
        {.name = name_ "-rm",                                                                                \
         .kind = OPTION_LIST,                                                                                \
         .offset = AT(removed, id),                                                                          \
         .metavar = (key),                                                                                   \
         .help = "Take away what --" name_ "-add adds"},
    OPT_STRING(struct service_args, image, "image", '\0', .metavar = "IMAGE", .help = "Image to run"),
    OPT_STRING(struct service_args, args, "args", '\0', .metavar = "COMMAND",
               .help = "Arguments of the command"),
    OPT_FLAG(struct service_args, force, "force", '\0', .help = "Replace the tasks even if nothing changes"),
    OPT_FLAG(struct service_args, rollback, "rollback", '\0', .help = "Go back to the spec before"),
#include "cli/service_flags.def"
#undef PAIR
};
#undef TEXT
#undef FLAG
#undef LIST

_Static_assert(SERVICE_UPDATE_ROWS <= OPTION_ROWS_MAX, "more rows than a command can have");

const struct service_flag service_flags[SERVICE_FLAG_COUNT] = {
#define TEXT(id, name_, letter, path_, metavar, help)                                                        \
    [SERVICE_FLAG_##id] = {.name = (name_), .path = (path_)},
#define FLAG(id, name_, letter, path_, help) [SERVICE_FLAG_##id] = {.name = (name_), .path = (path_)},
#define PAIR(id, name_, letter, path_, edit, metavar, key, help)                                             \
    [SERVICE_FLAG_##id] = {.name = (name_), .path = (path_), .is_pair = true, .is_list = true},
#define LIST(id, name_, letter, path_, edit, metavar, help)                                                  \
    [SERVICE_FLAG_##id] = {.name = (name_), .path = (path_), .is_list = true},
#include "cli/service_flags.def"
#undef TEXT
#undef FLAG
#undef PAIR
#undef LIST
};

static const struct list_edit *const edits[SERVICE_FLAG_COUNT] = {
#define TEXT(...)
#define FLAG(...)
#define PAIR(id, name, letter, path, edit, ...) [SERVICE_FLAG_##id] = &(edit),
#define LIST(id, name, letter, path, edit, ...) [SERVICE_FLAG_##id] = &(edit),
#include "cli/service_flags.def"
#undef TEXT
#undef FLAG
#undef PAIR
#undef LIST
};

// --- applying ---

const char *service_image(const char *image, struct arena *arena) {
    static const char *const transports[] = {"oci-archive:", "docker-archive:", "oci:", "tar:"};
    char here[PATH_MAX];
    for (size_t i = 0; i < sizeof transports / sizeof *transports; i++) {
        size_t len = strlen(transports[i]);
        if (!str_starts(image, transports[i]) || image[len] == '/' || getcwd(here, sizeof here) == NULL) {
            continue;
        }
        const char *path = image + len;
        while (str_starts(path, "./")) {
            path += 2;
        }
        return arena_printf(arena, "%s%s/%s", transports[i], str_equal(here, "/") ? "" : here, path);
    }
    return image;
}

static int apply_text(enum service_flag_id id, const char *text, struct service_spec *spec,
                      struct arena *arena, struct error *err) {
    if (id != SERVICE_FLAG_HEALTH_CMD) {
        return schema_set_text(&service_spec_schema, spec, service_flags[id].path, text, arena, err);
    }
    const struct field *field;
    struct strings *test = schema_at(&service_spec_schema, spec, "healthcheck.test", arena, &field);
    *test = (struct strings){0};
    if (text[0] != '\0') {
        *test = health_test_from_text(text, arena);
    }
    return 0;
}

static int apply_flag(enum service_flag_id id, bool on, struct service_spec *spec, struct arena *arena,
                      struct buf *notes, struct error *err) {
    if (service_flags[id].path == NULL) {
        buf_addf(notes, "--%s is accepted, but does not act yet\n", service_flags[id].name);
        return 0;
    }
    return schema_set_text(&service_spec_schema, spec, service_flags[id].path, on ? "true" : "false", arena,
                           err);
}

static int apply_list(enum service_flag_id id, const struct service_args *args, struct service_spec *spec,
                      struct arena *arena, struct error *err) {
    const struct strings *removed = &args->removed[id];
    const struct strings *added = &args->added[id];
    const struct field *field;
    if (removed->count == 0 && added->count == 0) {
        return 0;
    }
    int rc = 0;
    void *member = schema_at(&service_spec_schema, spec, service_flags[id].path, arena, &field);
    for (size_t i = 0; rc == 0 && i < removed->count; i++) {
        rc = edits[id]->remove(member, removed->items[i], arena, err);
    }
    for (size_t i = 0; rc == 0 && i < added->count; i++) {
        rc = edits[id]->add(member, added->items[i], arena, err);
    }
    return rc;
}

static int apply_one(const struct invocation *in, enum service_flag_id id, struct service_spec *spec,
                     struct buf *notes, struct error *err) {
    const struct service_args *args = in->args;
    int rc = 0;
    if (service_flags[id].is_list) {
        rc = apply_list(id, args, spec, in->arena, err);
    } else if (args->text[id] != NULL) {
        rc = apply_text(id, args->text[id], spec, in->arena, err);
    } else if (invocation_has(in, service_flags[id].name)) {
        rc = apply_flag(id, args->on[id], spec, in->arena, notes, err);
    }
    if (rc < 0 && err != NULL) {
        err->code = ERR_USAGE;
        return error_wrap(err, -ERR_USAGE, "--%s", service_flags[id].name);
    }
    return rc;
}

// What is given now wins over what was said the other way round before: --cap-add of a dropped one.
static void cancel_capabilities(const struct strings *given, struct strings *other, struct arena *arena) {
    for (size_t i = 0; i < given->count; i++) {
        const char *name = edit_capability_name(given->items[i], arena);
        edit_strings.remove(other, name, arena, NULL);
        edit_strings.remove(other, arena_printf(arena, "CAP_%s", name), arena, NULL);
    }
}

// What goes with services that run on, but not with jobs: flags of the first to the last id.
static int check_job(const struct service_args *args, struct error *err) {
    for (int id = SERVICE_FLAG_UPDATE_PARALLELISM; id <= SERVICE_FLAG_ROLLBACK_ORDER; id++) {
        if (args->text[id] != NULL) {
            return error_set(err, ERR_USAGE,
                             "--%s: update and rollback configuration is not supported for jobs",
                             service_flags[id].name);
        }
    }
    const char *condition = args->text[SERVICE_FLAG_RESTART_CONDITION];
    if (condition != NULL && str_equal(condition, "any")) {
        return error_set(err, ERR_USAGE,
                         "--restart-condition any: a job would never end: give on-failure or none");
    }
    return 0;
}

static int check_together(const struct invocation *in, const struct service_spec *spec, struct error *err) {
    const struct service_args *args = in->args;
    bool is_replicated = !mode_is_global(spec->deploy.mode);
    if (args->text[SERVICE_FLAG_REPLICAS] != NULL && !is_replicated) {
        return error_set(err, ERR_USAGE,
                         "--replicas can only be used with replicated or replicated-job mode");
    }
    if (args->text[SERVICE_FLAG_MAX_CONCURRENT] != NULL && spec->deploy.mode != MODE_REPLICATED_JOB) {
        return error_set(err, ERR_USAGE, "--max-concurrent can only be used with replicated-job mode");
    }
    if (args->text[SERVICE_FLAG_MAX_PER_NODE] != NULL && !is_replicated) {
        return error_set(err, ERR_USAGE,
                         "--replicas-max-per-node can only be used with replicated or replicated-job mode");
    }
    if (args->text[SERVICE_FLAG_SCHEDULE] != NULL && !mode_is_job(spec->deploy.mode)) {
        return error_set(err, ERR_USAGE, "--schedule can only be used with replicated-job or global-job mode");
    }
    if (args->text[SERVICE_FLAG_TIME_ZONE] != NULL && args->text[SERVICE_FLAG_SCHEDULE] == NULL &&
        spec->deploy.schedule == NULL) {
        return error_set(err, ERR_USAGE, "--time-zone goes with a --schedule");
    }
    int rc = mode_is_job(spec->deploy.mode) ? check_job(args, err) : 0;
    for (int id = SERVICE_FLAG_HEALTH_CMD; id <= SERVICE_FLAG_HEALTH_START_INTERVAL; id++) {
        if (args->text[id] != NULL && args->on[SERVICE_FLAG_NO_HEALTH]) {
            return error_set(err, ERR_USAGE, "--no-healthcheck conflicts with --%s", service_flags[id].name);
        }
    }
    return rc;
}

int service_flags_apply(const struct invocation *in, struct service_spec *spec, struct buf *notes,
                        struct error *err) {
    const struct service_args *args = in->args;
    int rc = check_together(in, spec, err);
    cancel_capabilities(&args->added[SERVICE_FLAG_CAP_ADD], &spec->cap_drop, in->arena);
    cancel_capabilities(&args->added[SERVICE_FLAG_CAP_DROP], &spec->cap_add, in->arena);
    if (args->on[SERVICE_FLAG_NO_HEALTH]) {
        spec->healthcheck = NULL; // nothing of it holds any more
    } else if (args->text[SERVICE_FLAG_HEALTH_CMD] != NULL && spec->healthcheck != NULL) {
        spec->healthcheck->disable = false;
    }
    if (args->text[SERVICE_FLAG_LOG_DRIVER] != NULL || args->added[SERVICE_FLAG_LOG_OPT].count > 0) {
        spec->logging.options = (struct pairs){0}; // they belong to the driver
    }
    for (int id = 0; rc == 0 && id < SERVICE_FLAG_COUNT; id++) {
        rc = apply_one(in, (enum service_flag_id)id, spec, notes, err);
    }
    return rc;
}
