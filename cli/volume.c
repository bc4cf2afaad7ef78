// SPDX-License-Identifier: Apache-2.0
//
// cli/volume.c — `muster volume …`: the named volumes of the node that is asked.
//
// As Docker's they are local: a service that names one has another on each node. What is declared about them
// (`kind: volume`) is `muster get volume`.
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "cli/connect.h"
#include "cli/output.h"

#define REMOVE_MS 120000 // of what may be large

static int call(struct client *client, enum volumes_action action, const struct strings *names,
                struct arena *arena, struct volumes_reply **out, struct error *err) {
    struct volumes_request request;
    schema_init(&volumes_request_schema, &request);
    request.action = action;
    request.names = *names;
    return client_call(client, MESSAGE_VOLUMES, &request, MESSAGE_VOLUMES_REPLY, arena, (void **)out,
                       REMOVE_MS, err);
}

static struct strings names_of(const struct invocation *in) {
    struct strings names = {0};
    for (size_t i = 0; i < in->arguments.count; i++) {
        *ARENA_PUSH(in->arena, &names) = in->arguments.items[i];
    }
    return names;
}

static struct local_volume *find(const struct volumes_reply *reply, const char *name) {
    for (size_t i = 0; i < reply->volumes.count; i++) {
        if (str_equal(reply->volumes.items[i].name, name)) {
            return &reply->volumes.items[i];
        }
    }
    return NULL;
}

// --- ls ---

static void cell_driver(const void *row, const struct cell_context *context, struct buf *out) {
    (void)row;
    (void)context;
    buf_adds(out, "local");
}
static void cell_name(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    buf_adds(out, ((const struct local_volume *)row)->name);
}
static void cell_path(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    buf_adds(out, ((const struct local_volume *)row)->path);
}
static void cell_used(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    buf_adds(out, ((const struct local_volume *)row)->is_used ? "yes" : "no");
}
static int matches_name(const void *row, const char *value) {
    return strstr(((const struct local_volume *)row)->name, value) != NULL; // as Docker has it
}
static int matches_dangling(const void *row, const char *value) {
    bool is_wanted = str_equal(value, "true") || str_equal(value, "1");
    if (!is_wanted && !str_equal(value, "false") && !str_equal(value, "0")) {
        return -1;
    }
    return ((const struct local_volume *)row)->is_used != is_wanted;
}
static const char *row_name(const void *row) {
    return ((const struct local_volume *)row)->name;
}

static const struct column columns[] = {
    {"Driver", "DRIVER", 0, cell_driver, NULL},
    {"Name", "VOLUME NAME", COLUMN_CUT, cell_name, NULL},
    {"InUse", "IN USE", COLUMN_WIDE, cell_used, NULL},
    {"Mountpoint", "MOUNTPOINT", COLUMN_WIDE, cell_path, NULL},
};
static const struct filter_row filters[] = {{"name", matches_name}, {"dangling", matches_dangling}};
static const struct listing listing = {.noun = "volume",
                                       .columns = columns,
                                       .column_count = sizeof columns / sizeof *columns,
                                       .filters = filters,
                                       .filter_count = sizeof filters / sizeof *filters,
                                       .id = row_name,
                                       .name = row_name};

static int run_ls(struct invocation *in, struct error *err) {
    AUTO_CLIENT *client = NULL;
    struct volumes_reply *reply;
    struct rows rows = {0};
    struct strings all = {0};
    if (str_equal(in->shared.output, "json") || str_equal(in->shared.output, "yaml")) {
        return error_set(err, ERR_USAGE,
                         "volumes of a node are no declared objects: use --format json, or inspect");
    }
    int rc = connect_open(in, &client, err);
    rc = rc < 0 ? rc : call(client, VOLUMES_LIST, &all, in->arena, &reply, err);
    for (size_t i = 0; rc == 0 && i < reply->volumes.count; i++) {
        *ARENA_PUSH(in->arena, &rows) = &reply->volumes.items[i];
    }
    return rc < 0 ? rc : output_list(in, &listing, rows, err);
}

// --- inspect ---

static void put_volume(const struct local_volume *volume, struct buf *out) {
    buf_adds(out, "  {\n    \"Name\": ");
    json_write_string(out, volume->name);
    buf_adds(out, ",\n    \"Driver\": \"local\",\n    \"Scope\": \"local\",\n    \"Mountpoint\": ");
    json_write_string(out, volume->path);
    buf_addf(out, ",\n    \"InUse\": %s\n  }", volume->is_used ? "true" : "false");
}

static int run_inspect(struct invocation *in, struct error *err) {
    AUTO_CLIENT *client = NULL;
    AUTO_BUF out = {0};
    struct volumes_reply *reply;
    struct strings names = names_of(in);
    int rc = connect_open(in, &client, err);
    rc = rc < 0 ? rc : call(client, VOLUMES_LIST, &names, in->arena, &reply, err);
    if (rc < 0) {
        return rc;
    }
    size_t count = 0;
    buf_addc(&out, '[');
    for (size_t i = 0; i < names.count; i++) {
        const struct local_volume *volume = find(reply, names.items[i]);
        if (volume == NULL) {
            rc = command_complain(in, error_set(err, ERR_NOT_FOUND, "get %s: no such volume", names.items[i]),
                                  err);
            continue;
        }
        buf_adds(&out, count++ > 0 ? ",\n" : "\n");
        put_volume(volume, &out);
    }
    buf_adds(&out, count > 0 ? "\n]\n" : "]\n");
    output_write(&out);
    return rc;
}

// --- rm, prune ---

static int run_rm(struct invocation *in, struct error *err) {
    AUTO_CLIENT *client = NULL;
    struct volumes_reply *reply;
    struct strings names = names_of(in);
    int rc = connect_open(in, &client, err);
    rc = rc < 0 ? rc : call(client, VOLUMES_REMOVE, &names, in->arena, &reply, err);
    if (rc < 0) {
        return rc;
    }
    for (size_t i = 0; i < names.count; i++) {
        const struct local_volume *volume = find(reply, names.items[i]);
        if (volume == NULL) {
            rc = command_complain(in, error_set(err, ERR_NOT_FOUND, "get %s: no such volume", names.items[i]),
                                  err);
        } else if (!volume->is_removed) {
            rc = command_complain(in, error_set(err, ERR_GUARD, "remove %s: %s", volume->name, volume->error),
                                  err);
        } else {
            printf("%s\n", volume->name);
        }
    }
    return rc;
}

static int run_prune(struct invocation *in, struct error *err) {
    AUTO_CLIENT *client = NULL;
    struct volumes_reply *reply;
    struct strings all = {0};
    if (!in->shared.yes) {
        return error_set(
            err, ERR_GUARD,
            "this removes all volumes of this node that no task uses, with their data: look with \"muster "
            "volume ls --filter dangling=true\", then say --yes");
    }
    int rc = connect_open(in, &client, err);
    rc = rc < 0 ? rc : call(client, VOLUMES_PRUNE, &all, in->arena, &reply, err);
    for (size_t i = 0; rc >= 0 && i < reply->volumes.count; i++) {
        const struct local_volume *volume = &reply->volumes.items[i];
        if (volume->is_removed) {
            printf("%s\n", volume->name);
        } else if (volume->error[0] != '\0') {
            rc = command_complain(
                in, error_set(err, ERR_SYSTEM, "remove %s: %s", volume->name, volume->error), err);
        }
    }
    return rc;
}

// tidy: table
static const struct command rows[] = {
    {.name = "ls",
     .aliases = "list",
     .summary = "List the volumes of this node",
     .example = "muster volume ls --filter dangling=true",
     .shared = SHARED_LIST,
     .run = run_ls},
    {.name = "inspect",
     .summary = "Show where volumes of this node are",
     .usage = "VOLUME…",
     .example = "muster volume inspect data-1",
     .min = 1,
     .max = COMMAND_MANY,
     .run = run_inspect},
    {.name = "rm",
     .aliases = "remove",
     .summary = "Remove volumes of this node, with their data",
     .details = "Refused while a task of this node uses it.",
     .usage = "VOLUME…",
     .example = "muster volume rm data-1",
     .min = 1,
     .max = COMMAND_MANY,
     .run = run_rm},
    {.name = "prune",
     .summary = "Remove all volumes of this node that no task uses",
     .example = "muster volume prune --yes",
     .shared = SHARED_YES,
     .run = run_prune},
};
const struct command_group volume_commands =
    COMMAND_GROUP("volume", "Directories that outlive tasks, on the node that is asked", rows);
