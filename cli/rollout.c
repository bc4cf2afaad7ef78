// SPDX-License-Identifier: Apache-2.0
//
// cli/rollout.c — `muster rollout …` and `muster rollback`: how updates of services go, and what can be done
// about them.
//
// Exit status  `status` and `watch` say how it went: 0 done, 6 it stopped itself, 7 it was rolled back;
//              `status` of one that still goes on: 1, as it does not wait.
#include "cli/rollout.h"

#include <string.h>

#include "base/str.h"
#include "base/units.h"
#include "cli/columns.h"
#include "cli/connect.h"
#include "cli/wait.h"
#include "specs/rollout.h"

const struct option_row rollback_rows[1] = {
    OPT_INT(struct rollback_args, to, "to", '\0', .initial = "0", .metavar = "REVISION",
            .help = "Revision to go back to (muster get revision); 0: the one before"),
};

// --- what is shown ---

struct rollout_row {
    const struct rollout *rollout;
    const char *service_name;
};

static const struct rollout *of(const void *row) {
    return ((const struct rollout_row *)row)->rollout;
}

static void cell_service(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    buf_adds(out, ((const struct rollout_row *)row)->service_name);
}
static void cell_number(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    buf_addf(out, "%lld", (long long)of(row)->number);
}
static void cell_revisions(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    buf_addf(out, "%lld > %lld", (long long)of(row)->from_revision, (long long)of(row)->to_revision);
}
static void cell_state(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    buf_adds(out, update_state_names[of(row)->state]);
}
static void cell_slots(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    buf_addf(out, "%lld/%lld", (long long)of(row)->slots_updated, (long long)of(row)->slots_total);
}
static void cell_batch(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    buf_addf(out, "%lld/%lld", (long long)of(row)->batch, (long long)of(row)->batches);
}
static void cell_failed(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    buf_addf(out, "%lld (%lld allowed)", (long long)of(row)->failures_used,
             (long long)of(row)->failures_allowed);
}
static void cell_started(const void *row, const struct cell_context *context, struct buf *out) {
    columns_ago(of(row)->started_unix_ms, context->now_unix_ms, out);
}
static void cell_message(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    buf_adds(out, of(row)->message);
}
static const char *tint_state(const void *row) {
    return rollout_is_paused(of(row)) ? "31" : rollout_is_open(of(row)) ? "33" : NULL;
}

static const char *id_of(const void *row) {
    return of(row)->meta.id.text;
}
static const char *name_of(const void *row) {
    return of(row)->meta.name;
}
static const void *object_of(const void *row) {
    return of(row);
}

static const struct column columns[] = {
    {"Service", "SERVICE", 0, cell_service, NULL},
    {"Number", "NO", 0, cell_number, NULL},
    {"Revisions", "REVISIONS", 0, cell_revisions, NULL},
    {"State", "STATE", 0, cell_state, tint_state},
    {"Slots", "SLOTS", 0, cell_slots, NULL},
    {"Batch", "BATCH", COLUMN_DROP, cell_batch, NULL},
    {"Failed", "FAILED", COLUMN_DROP, cell_failed, NULL},
    {"Started", "STARTED", COLUMN_DROP, cell_started, NULL},
    {"Message", "MESSAGE", COLUMN_CUT, cell_message, NULL},
};
static int matches_service(const void *row, const char *value) {
    return str_equal(((const struct rollout_row *)row)->service_name, value);
}
static int matches_state(const void *row, const char *value) {
    return str_equal(update_state_names[of(row)->state], value);
}
static const struct filter_row filters[] = {{"service", matches_service}, {"state", matches_state}};
static const struct listing rollout_listing = {.noun = "rollout",
                                               .columns = columns,
                                               .column_count = sizeof columns / sizeof *columns,
                                               .filters = filters,
                                               .filter_count = sizeof filters / sizeof *filters,
                                               .id = id_of,
                                               .name = name_of,
                                               .kind = KIND_ROLLOUT,
                                               .object = object_of};

// --- fetching ---

static int rollouts_of(struct client *client, const struct service *service, struct arena *arena,
                       struct object_list *out, struct error *err) {
    struct list_request request;
    schema_init(&list_request_schema, &request);
    request.kind = KIND_ROLLOUT;
    request.service = service->meta.id;
    return client_list(client, &request, arena, out, err);
}

static const struct rollout *newest(const struct object_list *list) {
    const struct rollout *best = NULL;
    for (size_t i = 0; i < list->count; i++) {
        const struct rollout *at = list->items[i];
        best = best == NULL || at->number > best->number ? at : best;
    }
    return best;
}

static void add_row(const struct rollout *rollout, const char *service_name, struct arena *arena,
                    struct rows *rows) {
    struct rollout_row *row = ARENA_NEW(arena, struct rollout_row);
    *row = (struct rollout_row){rollout, service_name};
    *ARENA_PUSH(arena, rows) = row;
}

// --- ls, history ---

static int run_ls(struct invocation *in, struct error *err) {
    AUTO_CLIENT *client = NULL;
    struct object_list services = {0};
    struct rows rows = {0};
    int rc = connect_open(in, &client, err);
    rc = rc < 0 ? rc : connect_list(client, KIND_SERVICE, NULL, in->arena, &services, err);
    for (size_t i = 0; rc == 0 && i < services.count; i++) {
        const struct service *service = services.items[i];
        struct object_list list = {0};
        rc = service->rollout_number > 0 ? rollouts_of(client, service, in->arena, &list, err) : 0;
        const struct rollout *last = newest(&list);
        if (rc == 0 && last != NULL) {
            add_row(last, service->meta.name, in->arena, &rows);
        }
    }
    return rc < 0 ? rc : output_list(in, &rollout_listing, rows, err);
}

static int get_service(struct invocation *in, struct client **client, struct service **out,
                       struct error *err) {
    void *object = NULL;
    int rc = connect_open(in, client, err);
    rc = rc < 0 ? rc : connect_get(*client, KIND_SERVICE, in->arguments.items[0], in->arena, &object, err);
    *out = object;
    return rc;
}

static int run_history(struct invocation *in, struct error *err) {
    AUTO_CLIENT *client = NULL;
    struct service *service = NULL;
    struct object_list list = {0};
    struct rows rows = {0};
    int rc = get_service(in, &client, &service, err);
    rc = rc < 0 ? rc : rollouts_of(client, service, in->arena, &list, err);
    for (int64_t number = 1; rc == 0 && number <= service->rollout_number; number++) {
        for (size_t i = 0; i < list.count; i++) {
            const struct rollout *rollout = list.items[i];
            if (rollout->number == number) {
                add_row(rollout, service->meta.name, in->arena, &rows);
            }
        }
    }
    return rc < 0 ? rc : output_list(in, &rollout_listing, rows, err);
}

// --- status ---

static void add_slots(const struct rollout *rollout, struct buf *out) {
    static const char *const words[] = {"at work", "resting", "failed"};
    for (size_t i = 0; i < rollout->slots.count; i++) {
        const struct rollout_slot *slot = &rollout->slots.items[i];
        if (slot->slot > 0) {
            buf_addf(out, "  slot %lld", (long long)slot->slot);
        } else {
            buf_addf(out, "  node %s", slot->node_id.text);
        }
        buf_addf(out, ": %s, task %s replaces %s\n", words[slot->state], slot->new_task.text,
                 slot->old_task.text);
    }
}

static void status_page(const struct service *service, const struct rollout *rollout, struct buf *out) {
    AUTO_BUF message = {0};
    str_escape(&message, rollout->message, strlen(rollout->message), /* keep_newlines= */ false);
    buf_addf(out, "%s: rollout %lld, revision %lld to %lld, %s\n", service->meta.name,
             (long long)rollout->number, (long long)rollout->from_revision, (long long)rollout->to_revision,
             update_state_names[rollout->state]);
    buf_addf(out, "  %s\n", buf_text(&message));
    buf_addf(out, "  %lld of %lld slots are updated, batch %lld of %lld; %lld failed, %lld may\n",
             (long long)rollout->slots_updated, (long long)rollout->slots_total, (long long)rollout->batch,
             (long long)rollout->batches, (long long)rollout->failures_used,
             (long long)rollout->failures_allowed);
    add_slots(rollout, out);
    if (rollout_is_paused(rollout)) {
        buf_addf(out, "  go on: muster rollout resume %s; go back: muster rollout undo %s\n",
                 service->meta.name, service->meta.name);
    }
}

// An empty error: all is said already.
static int status_outcome(const struct rollout *rollout) {
    if (rollout_is_paused(rollout)) {
        return -ERR_STOPPED;
    }
    return rollout->state == UPDATE_ROLLED_BACK || rollout->state == UPDATE_ROLLBACK_COMPLETED
               ? -ERR_ROLLED_BACK
           : rollout_is_open(rollout) ? COMMAND_NO
                                      : 0;
}

static int run_status(struct invocation *in, struct error *err) {
    AUTO_CLIENT *client = NULL;
    AUTO_BUF out = {0};
    struct service *service = NULL;
    struct object_list list = {0};
    struct rows rows = {0};
    int rc = get_service(in, &client, &service, err);
    rc = rc < 0 ? rc : rollouts_of(client, service, in->arena, &list, err);
    const struct rollout *last = newest(&list);
    if (rc < 0 || last == NULL) {
        return rc < 0 ? rc
                      : error_set(err, ERR_NOT_FOUND, "service '%s' has had no rollout", service->meta.name);
    }
    if (str_equal(in->shared.output, "table")) {
        status_page(service, last, &out);
        output_write(&out);
    } else {
        add_row(last, service->meta.name, in->arena, &rows);
        rc = output_list(in, &rollout_listing, rows, err);
    }
    return rc < 0 ? rc : status_outcome(last);
}

// --- pause, resume, undo, watch ---

static int request(const struct invocation *in, struct client *client, const struct service *service,
                   enum rollout_verb verb, int64_t revision, struct applied **out, struct error *err) {
    struct rollout_request request;
    schema_init(&rollout_request_schema, &request);
    request.request_id = connect_request_id(in->arena);
    request.why = str_is_empty(in->shared.why) ? "" : in->shared.why;
    request.service = service->meta.id;
    request.verb = verb;
    request.revision = revision;
    return client_call(client, MESSAGE_ROLLOUT, &request, MESSAGE_APPLIED, in->arena, (void **)out,
                       CONNECT_CALL_MS, err);
}

static int settle(const struct invocation *in, struct client *client, struct wait_targets targets,
                  const char *service_name, struct error *err) {
    const char *again = arena_printf(in->arena, "muster rollout watch %s", service_name);
    return wait_converged(in, client, &targets, /* monitor_ns= */ -1, again, err);
}

int rollout_roll_back(const struct invocation *in, struct client *client, int64_t revision,
                      struct error *err) {
    void *object = NULL;
    struct applied *applied;
    const char *name = in->arguments.items[0];
    int rc = connect_get(client, KIND_SERVICE, name, in->arena, &object, err);
    rc = rc < 0 ? rc : request(in, client, object, ROLLOUT_ROLL_BACK, revision, &applied, err);
    if (rc < 0) {
        return rc;
    }
    printf("%s\n", name);
    fflush(stdout);
    struct wait_targets targets = wait_targets_of(applied, in->arena);
    for (size_t i = 0; i < targets.count; i++) {
        targets.items[i].is_rollback = true;
    }
    return settle(in, client, targets, name, err);
}

int rollout_run_rollback(struct invocation *in, struct error *err) {
    const struct rollback_args *args = in->args;
    AUTO_CLIENT *client = NULL;
    if (args->to < 0) {
        return error_set(err, ERR_USAGE, "--to names a revision: a number from 1");
    }
    int rc = connect_open(in, &client, err);
    return rc < 0 ? rc : rollout_roll_back(in, client, args->to, err);
}

static int run_pause(struct invocation *in, struct error *err) {
    AUTO_CLIENT *client = NULL;
    struct service *service = NULL;
    struct applied *applied;
    int rc = get_service(in, &client, &service, err);
    rc = rc < 0 ? rc : request(in, client, service, ROLLOUT_PAUSE, 0, &applied, err);
    if (rc == 0) {
        printf("%s\n", in->arguments.items[0]);
    }
    return rc;
}

static struct wait_targets target_of(const struct invocation *in, const struct service *service,
                                     bool is_unchanged) {
    struct wait_targets targets = {0};
    *ARENA_PUSH(in->arena, &targets) =
        (struct progress_target){.service = service->meta.id,
                                 .name = service->meta.name,
                                 .revision = service->revision,
                                 .since = service->meta.version,
                                 .is_unchanged = is_unchanged,
                                 .is_rollback = rollout_state_is_back(service->update_status.state)};
    return targets;
}

int rollout_go_on(const struct invocation *in, struct client *client, const struct service *service,
                  struct error *err) {
    struct applied *applied;
    int rc = request(in, client, service, ROLLOUT_RESUME, 0, &applied, err);
    if (rc < 0) {
        return rc;
    }
    printf("%s\n", in->arguments.items[0]);
    fflush(stdout);
    return settle(in, client, target_of(in, service, /* is_unchanged */ true), in->arguments.items[0], err);
}

static int run_resume(struct invocation *in, struct error *err) {
    AUTO_CLIENT *client = NULL;
    struct service *service = NULL;
    int rc = get_service(in, &client, &service, err);
    return rc < 0 ? rc : rollout_go_on(in, client, service, err);
}

static int run_watch(struct invocation *in, struct error *err) {
    AUTO_CLIENT *client = NULL;
    struct service *service = NULL;
    int rc = get_service(in, &client, &service, err);
    return rc < 0 ? rc
                  : settle(in, client, target_of(in, service, /* is_unchanged */ true),
                           in->arguments.items[0], err);
}

// --- the tables ---

#define ONE_SERVICE .usage = "SERVICE", .min = 1, .max = 1, .names = NAMES_SERVICE

// tidy: table
static const struct command rows[] = {
    {.name = "status",
     .summary = "Show how far the last rollout of a service is",
     .details =
         "Exit status: 0 when it is done, 1 when it goes on, 6 when it has stopped itself or was paused, "
         "7 when it was rolled back.",
     .example = "muster rollout status web",
     .shared = SHARED_OUTPUT | SHARED_FORMAT | SHARED_QUIET | SHARED_TRUNC,
     .run = run_status,
     ONE_SERVICE},
    {.name = "ls",
     .aliases = "list",
     .summary = "List the last rollout of each service",
     .details = "Filters: service, state.",
     .shared = SHARED_LIST,
     .run = run_ls},
    {.name = "history",
     .summary = "List the rollouts of a service, oldest first",
     .details = "The last 20 are kept.",
     .shared = SHARED_LIST,
     .run = run_history,
     ONE_SERVICE},
    {.name = "watch",
     .summary = "Wait until a service has converged, and show how that goes",
     .shared = SHARED_PATIENCE | SHARED_QUIET,
     .run = run_watch,
     ONE_SERVICE},
    {.name = "pause",
     .summary = "Have a rollout replace no further tasks",
     .details = "What is at work gets done. Tasks that end meanwhile are replaced by the new spec.",
     .shared = SHARED_WHY,
     .run = run_pause,
     ONE_SERVICE},
    {.name = "resume",
     .summary = "Have a paused rollout go on; what has failed counts no more",
     .shared = SHARED_WAIT | SHARED_QUIET | SHARED_WHY,
     .run = run_resume,
     ONE_SERVICE},
    {.name = "undo",
     .summary = "Go back to the spec a service had before, or to a kept revision",
     .details = "The same as `muster service rollback`.",
     .example = "muster rollout undo web\nmuster rollout undo --to 3 web",
     .options = rollback_rows,
     .option_count = 1,
     .args_bytes = sizeof(struct rollback_args),
     .shared = SHARED_WAIT | SHARED_QUIET | SHARED_WHY,
     .run = rollout_run_rollback,
     ONE_SERVICE},
};
const struct command_group rollout_commands = COMMAND_GROUP("rollout", "Follow and steer updates", rows);
