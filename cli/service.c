// SPDX-License-Identifier: Apache-2.0
//
// cli/service.c — `muster service …`: the table of its commands, and those that only look.
#include "cli/columns.h"
#include "cli/connect.h"
#include "cli/inspect.h"
#include "cli/logs.h"
#include "cli/rollout.h"
#include "cli/service_change.h"
#include "cli/task_list.h"

static int run_ls(struct invocation *in, struct error *err) {
    AUTO_CLIENT *client = NULL;
    struct rows rows;
    int rc = connect_open(in, &client, err);
    rc = rc < 0 ? rc : columns_fetch_services(client, NULL, in->arena, &rows, err);
    return rc < 0 ? rc : output_list(in, &columns_services, rows, err);
}

struct ps_args {
    bool no_resolve;
};
static const struct option_row ps_rows[] = {
    OPT_FLAG(struct ps_args, no_resolve, "no-resolve", '\0', .help = "Show ids in the place of names"),
};

static int run_ps(struct invocation *in, struct error *err) {
    AUTO_CLIENT *client = NULL;
    struct object_list services = {0};
    int rc = connect_open(in, &client, err);
    if (rc < 0) {
        return rc;
    }
    int worst = task_list_resolve(in, client, KIND_SERVICE, &in->arguments, &services, err);
    if (services.count == 0) {
        return worst;
    }
    rc = task_list_print(in, client, &services, NULL, ((const struct ps_args *)in->args)->no_resolve, err);
    return rc < 0 ? rc : worst;
}

static int run_inspect(struct invocation *in, struct error *err) {
    AUTO_CLIENT *client = NULL;
    int rc = connect_open(in, &client, err);
    return rc < 0 ? rc : inspect_print(in, client, KIND_SERVICE, &in->arguments, inspect_service_page, err);
}

// tidy: table
static const struct command rows[] = {
    {.name = "create",
     .summary = "Create a service and wait until it runs",
     .usage = "IMAGE [COMMAND] [ARG…]",
     .details =
         "Prints the id of the service, then shows how its tasks come up. Every flag is a field of the spec "
         "file of the same meaning (muster explain service): what grows is better kept in a file.",
     .example = "muster service create --name web --replicas 3 --limit-memory 64m nginx\n"
                "muster service create --mode global --constraint node.labels.disk==ssd redis:7",
     .options = service_create_rows,
     .option_count = SERVICE_CREATE_ROWS,
     .args_bytes = sizeof(struct service_args),
     .shared = SHARED_WAIT | SHARED_QUIET | SHARED_WHY,
     .min = 1,
     .max = COMMAND_MANY,
     .options_first = true,
     .run = service_create},
    {.name = "ls",
     .aliases = "list",
     .summary = "List services",
     .example =
         "muster service ls --filter mode=global\nmuster service ls --format '{{.Name}}: {{.Replicas}}'",
     .shared = SHARED_LIST,
     .run = run_ls},
    {.name = "ps",
     .summary = "List the tasks of services",
     .usage = "SERVICE…",
     .details =
         "Tasks are never restarted: a new one takes the slot over. The newest comes first, and those before "
         "it are set in.",
     .example = "muster service ps web --filter desired-state=running",
     COMMAND_OPTIONS(struct ps_args, ps_rows),
     .shared = SHARED_LIST,
     .min = 1,
     .max = COMMAND_MANY,
     .names = NAMES_SERVICE,
     .run = run_ps},
    {.name = "inspect",
     .summary = "Show all there is to know about services",
     .usage = "SERVICE…",
     .example = "muster service inspect --pretty web\nmuster service inspect -f '{{.spec.image}}' web",
     .options = inspect_rows,
     .option_count = INSPECT_ROWS,
     .args_bytes = sizeof(struct inspect_args),
     .min = 1,
     .max = COMMAND_MANY,
     .names = NAMES_SERVICE,
     .run = run_inspect},
    {.name = "update",
     .summary = "Change a service and wait until the change is done",
     .usage = "SERVICE",
     .details =
         "Only what is given changes; an update that is paused goes on when nothing does. A change that "
         "somebody else made in between is not overwritten: exit status 5 says to look again.",
     .example = "muster service update --image nginx:1.25 web\n"
                "muster service update --env-add MODE=fast --env-rm DEBUG --force web",
     .options = service_update_rows,
     .option_count = SERVICE_UPDATE_ROWS,
     .args_bytes = sizeof(struct service_args),
     .shared = SHARED_WAIT | SHARED_QUIET | SHARED_WHY,
     .min = 1,
     .max = 1,
     .names = NAMES_SERVICE,
     .run = service_update},
    {.name = "scale",
     .summary = "Set the number of replicas of services",
     .usage = "SERVICE=REPLICAS…",
     .details = "Several services are scaled in one step: all, or none.",
     .example = "muster service scale web=5 worker=2",
     .shared = SHARED_WAIT | SHARED_WHY,
     .min = 1,
     .max = COMMAND_MANY,
     .names = NAMES_SERVICE,
     .run = service_scale},
    {.name = "rollback",
     .summary = "Go back to the spec a service had before",
     .usage = "SERVICE",
     .details = "Once more goes forward again; --to reaches further back. Tasks are replaced as "
                "deploy.rollback_config says; those that run that spec still are left alone.",
     .example = "muster service rollback --to 3 web",
     .options = rollback_rows,
     .option_count = 1,
     .args_bytes = sizeof(struct rollback_args),
     .shared = SHARED_WAIT | SHARED_QUIET | SHARED_WHY,
     .min = 1,
     .max = 1,
     .names = NAMES_SERVICE,
     .run = rollout_run_rollback},
    {.name = "rm",
     .aliases = "remove",
     .summary = "Remove services; their tasks stop in the background",
     .usage = "SERVICE…",
     .shared = SHARED_WHY,
     .min = 1,
     .max = COMMAND_MANY,
     .names = NAMES_SERVICE,
     .run = service_remove},
    {.name = "logs",
     .summary = "Show what the tasks of a service wrote",
     .usage = "SERVICE|TASK",
     .example = "muster service logs -f --tail 20 web",
     .names = NAMES_SERVICE,
     LOGS_COMMAND,
     .run = logs_run},
};
const struct command_group service_commands = COMMAND_GROUP("service", "Manage services", rows);
