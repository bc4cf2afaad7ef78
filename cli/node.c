// SPDX-License-Identifier: Apache-2.0
//
// cli/node.c — `muster node …`: the machines of the cluster.
#include "cli/change.h"
#include "cli/columns.h"
#include "cli/connect.h"
#include "cli/inspect.h"
#include "cli/quorum.h"
#include "cli/task_list.h"
#include "cli/wait.h"

#include "base/str.h"

static int run_ls(struct invocation *in, struct error *err) {
    AUTO_CLIENT *client = NULL;
    struct rows rows;
    int rc = connect_open(in, &client, err);
    rc = rc < 0 ? rc : columns_fetch_nodes(client, NULL, in->arena, &rows, err);
    return rc < 0 ? rc : output_list(in, &columns_nodes, rows, err);
}

// Without arguments the node of the daemon is meant.
static const struct option_arguments *or_self(const struct option_arguments *arguments) {
    static const char *self[] = {"self"};
    static const struct option_arguments only_self = {1, self};
    return arguments->count > 0 ? arguments : &only_self;
}

struct ps_args {
    bool no_resolve;
};
static const struct option_row ps_rows[] = {
    OPT_FLAG(struct ps_args, no_resolve, "no-resolve", '\0', .help = "Show ids in the place of names"),
};

static int run_ps(struct invocation *in, struct error *err) {
    AUTO_CLIENT *client = NULL;
    struct object_list nodes = {0};
    int rc = connect_open(in, &client, err);
    if (rc < 0) {
        return rc;
    }
    int worst = task_list_resolve(in, client, KIND_NODE, or_self(&in->arguments), &nodes, err);
    if (nodes.count == 0) {
        return worst;
    }
    rc = task_list_print(in, client, NULL, &nodes, ((const struct ps_args *)in->args)->no_resolve, err);
    return rc < 0 ? rc : worst;
}

static int run_inspect(struct invocation *in, struct error *err) {
    AUTO_CLIENT *client = NULL;
    int rc = connect_open(in, &client, err);
    return rc < 0 ? rc
                  : inspect_print(in, client, KIND_NODE, or_self(&in->arguments), inspect_node_page, err);
}

// --- update ---

struct update_args {
    const char *availability, *role;
    struct pairs label_add;
    struct strings label_rm;
    bool wait;
};
static const char *const availability_words[] = {"active", "pause", "drain", NULL};
static const char *const role_words[] = {"worker", "manager", NULL};
static const struct option_row update_rows[] = {
    OPT_STRING(struct update_args, availability, "availability", '\0', .metavar = "WHAT",
               .words = availability_words,
               .help = "Active takes tasks, pause takes no new ones, drain gives them all away"),
    OPT_STRING(struct update_args, role, "role", '\0', .metavar = "ROLE", .words = role_words,
               .help = "Role: worker or manager"),
    OPT_PAIRS(struct update_args, label_add, "label-add", '\0', .metavar = "KEY[=VALUE]",
              .help = "Labels to add or replace"),
    OPT_LIST(struct update_args, label_rm, "label-rm", '\0', .metavar = "KEY", .help = "Labels to take away"),
    OPT_FLAG(struct update_args, wait, "wait", '\0',
             .help = "Wait until a drained node is empty and its tasks run elsewhere"),
};

static int remove_labels(const struct update_args *args, struct node_spec *spec, struct arena *arena,
                         struct error *err) {
    for (size_t i = 0; i < args->label_rm.count; i++) {
        const char *key = args->label_rm.items[i];
        if (pairs_get(&spec->labels, key) == NULL) {
            return error_set(err, ERR_NOT_FOUND, "node '%s' has no label '%s'", spec->name, key);
        }
        spec->labels = pairs_set(arena, &spec->labels, key, NULL);
    }
    return 0;
}

static int edit(const struct update_args *args, struct node_spec *spec, struct arena *arena,
                struct error *err) {
    int rc = 0;
    if (args->availability != NULL) {
        rc = schema_set_text(&node_spec_schema, spec, "availability", args->availability, arena, err);
    }
    if (rc == 0 && args->role != NULL) {
        rc = schema_set_text(&node_spec_schema, spec, "role", args->role, arena, err);
    }
    rc = rc < 0 ? rc : remove_labels(args, spec, arena, err);
    for (size_t i = 0; rc == 0 && i < args->label_add.count; i++) {
        const struct pair *pair = &args->label_add.items[i];
        spec->labels = pairs_set(arena, &spec->labels, pair->key, pair->value);
    }
    return rc;
}

static bool has_task_on(const struct object_list *tasks, const struct id *service_id,
                        const struct id *node_id) {
    for (size_t i = 0; i < tasks->count; i++) {
        const struct task *task = tasks->items[i];
        if (id_equal(&task->service_id, service_id) && id_equal(&task->node_id, node_id) &&
            !task_state_is_over(task->status.state)) {
            return true;
        }
    }
    return false;
}

// The services that have tasks on the node, to be waited for.
static int find_targets(struct client *client, const struct node *node, struct arena *arena,
                        struct wait_targets *out, struct error *err) {
    struct object_list tasks, services;
    int rc = connect_list(client, KIND_TASK, NULL, arena, &tasks, err);
    rc = rc < 0 ? rc : connect_list(client, KIND_SERVICE, NULL, arena, &services, err);
    for (size_t i = 0; rc == 0 && i < services.count; i++) {
        const struct service *service = services.items[i];
        if (has_task_on(&tasks, &service->meta.id, &node->meta.id)) {
            *ARENA_PUSH(arena, out) = (struct progress_target){.service = service->meta.id,
                                                               .name = service->spec.name,
                                                               .revision = service->revision,
                                                               .is_unchanged = true,
                                                               .keeps_tasks = true};
        }
    }
    return rc;
}

static int wait_until_empty(const struct invocation *in, struct client *client, const char *name,
                            struct wait_targets *targets, int64_t revision, struct error *err) {
    for (size_t i = 0; i < targets->count; i++) {
        targets->items[i].since = revision;
    }
    return wait_converged(in, client, targets, /* monitor_ns= */ -1,
                          arena_printf(in->arena, "muster node ps %s", name), err);
}

static int check_update(const struct update_args *args, const struct node_spec *spec, struct error *err) {
    if (args->wait && spec->availability != AVAILABILITY_DRAIN) {
        return error_set(err, ERR_USAGE,
                         "--wait waits until a drained node is empty: give it with --availability drain");
    }
    return 0;
}

static int run_update(struct invocation *in, struct error *err) {
    AUTO_CLIENT *client = NULL;
    const struct update_args *args = in->args;
    void *object = NULL;
    struct change_set set;
    struct applied *applied = NULL;
    struct wait_targets targets = {0};
    int rc = connect_open(in, &client, err);
    rc = rc < 0 ? rc
                : connect_get(client, KIND_NODE, task_list_node(client, in->arguments.items[0]), in->arena,
                              &object, err);
    if (rc < 0) {
        return rc;
    }
    struct node *node = object;
    struct node_spec *spec = schema_copy(&node_spec_schema, &node->spec, in->arena);
    rc = edit(args, spec, in->arena, err);
    rc = rc < 0 ? rc : check_update(args, spec, err);
    rc = rc < 0 || !args->wait ? rc : find_targets(client, node, in->arena, &targets, err);
    change_begin(&set, in);
    rc = rc < 0 ? rc : change_add(&set, KIND_NODE, spec, &node->spec, node->meta.version, err);
    rc = rc < 0 ? rc : change_send(&set, client, &applied, err);
    if (rc == 0) {
        printf("%s\n", in->arguments.items[0]);
    }
    if (rc == 0 && args->role != NULL) {
        quorum_warn(client, in->arena);
    }
    return rc == 0 && args->wait
               ? wait_until_empty(in, client, in->arguments.items[0], &targets, applied->revision, err)
               : rc;
}

// --- roles ---

static int set_role(struct invocation *in, struct client *client, const char *reference, enum node_role role,
                    struct error *err) {
    void *object = NULL;
    struct change_set set;
    struct applied *applied;
    int rc = connect_get(client, KIND_NODE, task_list_node(client, reference), in->arena, &object, err);
    if (rc < 0) {
        return rc;
    }
    struct node *node = object;
    if (node->spec.role == role) {
        printf("Node %s is already a %s.\n", reference, node_role_names[role]);
        return 0;
    }
    struct node_spec *spec = schema_copy(&node_spec_schema, &node->spec, in->arena);
    spec->role = role;
    change_begin(&set, in);
    rc = change_add(&set, KIND_NODE, spec, &node->spec, node->meta.version, err);
    rc = rc < 0 ? rc : change_send(&set, client, &applied, err);
    if (rc == 0) {
        printf(role == ROLE_MANAGER ? "Node %s promoted to a manager in the swarm.\n"
                                    : "Manager %s demoted in the swarm.\n",
               reference);
    }
    return rc;
}

static int set_roles(struct invocation *in, enum node_role role, struct error *err) {
    AUTO_CLIENT *client = NULL;
    int worst = connect_open(in, &client, err);
    if (worst < 0) {
        return worst;
    }
    for (size_t i = 0; i < in->arguments.count; i++) {
        int rc = set_role(in, client, in->arguments.items[i], role, err);
        worst = rc < 0 ? command_complain(in, rc, err) : worst;
    }
    if (worst == 0) {
        quorum_warn(client, in->arena);
    }
    return worst;
}

static int run_promote(struct invocation *in, struct error *err) {
    return set_roles(in, ROLE_MANAGER, err);
}

static int run_demote(struct invocation *in, struct error *err) {
    return set_roles(in, ROLE_WORKER, err);
}

// --- rm ---

struct rm_args {
    bool force;
};
static const struct option_row rm_rows[] = {
    OPT_FLAG(struct rm_args, force, "force", 'f',
             .help = "Also a node that is up: it stops its tasks and leaves"),
};

static int run_rm(struct invocation *in, struct error *err) {
    AUTO_CLIENT *client = NULL;
    int rc = connect_open(in, &client, err);
    return rc < 0 ? rc : change_remove(in, client, KIND_NODE, ((const struct rm_args *)in->args)->force, err);
}

// tidy: table
static const struct command rows[] = {
    {.name = "ls",
     .aliases = "list",
     .summary = "List nodes",
     .details = "The node that was asked has a star behind its id.",
     .example = "muster node ls --filter role=worker",
     .shared = SHARED_LIST,
     .run = run_ls},
    {.name = "inspect",
     .summary = "Show all there is to know about nodes",
     .usage = "[self|NODE…]",
     .example = "muster node inspect --pretty self",
     .options = inspect_rows,
     .option_count = INSPECT_ROWS,
     .args_bytes = sizeof(struct inspect_args),
     .max = COMMAND_MANY,
     .names = NAMES_NODE,
     .run = run_inspect},
    {.name = "ps",
     .summary = "List the tasks on nodes",
     .usage = "[self|NODE…]",
     COMMAND_OPTIONS(struct ps_args, ps_rows),
     .shared = SHARED_LIST,
     .max = COMMAND_MANY,
     .names = NAMES_NODE,
     .run = run_ps},
    {.name = "update",
     .summary = "Change what is declared of a node",
     .usage = "self|NODE",
     .details = "What a drained node runs is started elsewhere as each service's update_config.order says: "
                "before it stops here, or after.",
     .example = "muster node update --availability drain --wait worker3\n"
                "muster node update --label-add disk=ssd self",
     COMMAND_OPTIONS(struct update_args, update_rows),
     .shared = SHARED_WHY | SHARED_PATIENCE,
     .min = 1,
     .max = 1,
     .names = NAMES_NODE,
     .run = run_update},
    {.name = "promote",
     .summary = "Make nodes managers",
     .details =
         "It votes as soon as it has caught up, a moment later. Refused for a node that left. Warns of an "
         "even number of managers, of which no more may fail than of one less.",
     .usage = "self|NODE…",
     .example = "muster node promote worker3",
     .shared = SHARED_WHY,
     .min = 1,
     .max = COMMAND_MANY,
     .names = NAMES_NODE,
     .run = run_promote},
    {.name = "demote",
     .summary = "Make managers workers",
     .details = "It votes no more, and goes on to run tasks. A leader hands over first. Refused when those "
                "managers that answer would be no quorum of those that are left.",
     .usage = "self|NODE…",
     .example = "muster node demote n3",
     .shared = SHARED_WHY,
     .min = 1,
     .max = COMMAND_MANY,
     .names = NAMES_NODE,
     .run = run_demote},
    {.name = "rm",
     .aliases = "remove",
     .summary = "Remove nodes from the cluster",
     .details = "A node that is down, or left. A manager's vote goes with it; refused when those managers "
                "that answer would be no quorum of those that are left.",
     .usage = "self|NODE…",
     .example = "muster node rm n3",
     COMMAND_OPTIONS(struct rm_args, rm_rows),
     .shared = SHARED_WHY,
     .min = 1,
     .max = COMMAND_MANY,
     .names = NAMES_NODE,
     .run = run_rm},
};
const struct command_group node_commands = COMMAND_GROUP("node", "Manage nodes", rows);
