// SPDX-License-Identifier: Apache-2.0
//
// cli/stack.c — `muster stack …`: what Compose files become, by name.
//
// A stack is no object of the store: it is what carries the label com.docker.stack.namespace, as in Docker. So
// what `apply` made of a Compose file is a stack too.
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "cli/apply.h"
#include "cli/columns.h"
#include "cli/connect.h"
#include "cli/task_list.h"

#define NAMESPACE_LABEL "com.docker.stack.namespace"

// --- which stack an object is of ---

static const struct pairs *labels_of(enum object_kind kind, const void *object) {
    const struct schema *schema = object_spec_schema(kind);
    const char *spec = (const char *)object + object_spec_offset(kind);
    if (kind == KIND_SERVICE) {
        return &((const struct service_spec *)(const void *)spec)->deploy.labels;
    }
    return (const void *)(spec + schema_field(schema, "labels")->offset);
}

// "" = none.
static const char *stack_of(enum object_kind kind, const void *object) {
    const char *name = pairs_get(labels_of(kind, object), NAMESPACE_LABEL);
    return name != NULL ? name : "";
}

// The objects of the kind that the stack has.
static int fetch(struct client *client, enum object_kind kind, const char *stack, struct arena *arena,
                 struct object_list *out, struct error *err) {
    struct object_list all = {0};
    int rc = connect_list(client, kind, NULL, arena, &all, err);
    for (size_t i = 0; rc == 0 && i < all.count; i++) {
        bool is_leaving = kind == KIND_SERVICE && ((const struct service *)all.items[i])->removing;
        if (!is_leaving && str_equal(stack_of(kind, all.items[i]), stack)) {
            *ARENA_PUSH(arena, out) = all.items[i];
        }
    }
    return rc;
}

static int check_name(const char *name, struct error *err) {
    return str_is_name(name, NAME_BYTES_MAX)
               ? 0
               : error_set(err, ERR_USAGE, "'%.100s' is not a name for a stack: letters, digits, - and _",
                           name);
}

// --- deploy ---

struct deploy_args {
    struct declare_source source;
    const char *resolve_image;
    bool prune, with_registry_auth;
};
static const char *const resolve_words[] = {"always", "changed", "never", NULL};

#define COMPOSE_OPTIONS(type)                                                                                \
    OPT_LIST(type, source.files, "compose-file", 'c', .metavar = "PATH", .names = NAMES_FILE,                \
             .help = "Compose file, or - for standard input; again for more, each on top of those before"),  \
        OPT_LIST(type, source.profiles, "profile", '\0', .metavar = "NAME",                                  \
                 .help = "Profile to take in; again for more")

static const struct option_row deploy_rows[] = {
    COMPOSE_OPTIONS(struct deploy_args),
    OPT_FLAG(struct deploy_args, prune, "prune", '\0',
             .help = "Remove what the stack had and the files do not any more"),
    OPT_STRING(struct deploy_args, resolve_image, "resolve-image", '\0', .metavar = "WHEN",
               .words = resolve_words, .initial = "always", .is_hidden = true,
               .help = "Accepted as in Docker; the node that pulls resolves"),
    OPT_FLAG(struct deploy_args, with_registry_auth, "with-registry-auth", '\0', .is_hidden = true,
             .help = "Accepted as in Docker; each node has its own access"),
};

static void tell_deployed(const struct invocation *in, const struct apply_result *result, bool dry_run) {
    static const char *const words[] = {[ACTION_UNCHANGED] = "Unchanged",
                                        [ACTION_CREATED] = "Creating",
                                        [ACTION_UPDATED] = "Updating",
                                        [ACTION_REMOVED] = "Removing"};
    (void)dry_run;
    const char *kind = object_kind_name((enum object_kind)result->kind);
    if (in->shared.quiet) {
        return;
    }
    if (result->kind == KIND_SERVICE && result->action == ACTION_UPDATED) {
        printf("%s %s %s (id: %s)\n", words[result->action], kind, result->name, result->id.text);
    } else {
        printf("%s %s %s\n", words[result->action], kind, result->name);
    }
}

static int want_files(const struct invocation *in, const struct declare_source *source, struct error *err) {
    return source->files.count > 0 ? 0
                                   : error_set(err, ERR_USAGE, "%s wants a Compose file: %s -c FILE%s",
                                               in->path, in->path, in->arguments.count > 0 ? " NAME" : "");
}

static int run_deploy(struct invocation *in, struct error *err) {
    struct deploy_args args = *(const struct deploy_args *)in->args;
    struct declarations declared = {0};
    struct diagnostics diagnostics = {0};
    AUTO_CLIENT *client = NULL;
    args.source.is_stack = true;
    args.source.stack = in->arguments.items[0];
    int rc = want_files(in, &args.source, err);
    rc = rc < 0 ? rc : check_name(args.source.stack, err);
    rc = rc < 0 ? rc : declare_read(in, &args.source, &declared, &diagnostics, err);
    if (rc < 0) {
        return rc;
    }
    if (declared.count == 0 && !args.prune) {
        return error_set(err, ERR_INVALID, "the files declare nothing, so nothing was sent");
    }
    const struct apply_job job = {
        .source = args.source, .prune = args.prune, .monitor_ns = -1, .tell = tell_deployed};
    rc = connect_open(in, &client, err);
    return rc < 0 ? rc : apply_send(in, &job, &declared, &diagnostics, client, err);
}

// --- config ---

struct config_args {
    struct declare_source source;
    bool skip_interpolation;
};
static const struct option_row config_rows[] = {
    COMPOSE_OPTIONS(struct config_args),
    OPT_FLAG(struct config_args, skip_interpolation, "skip-interpolation", '\0',
             .help = "Leave ${VARIABLES} as they are; values are not checked then"),
};

static int run_config(struct invocation *in, struct error *err) {
    struct config_args args = *(const struct config_args *)in->args;
    AUTO_BUF out = {0};
    args.source.is_stack = true;
    args.source.stack = "stack"; // names are not shown, so a directory without a good one is no mistake here
    int rc = want_files(in, &args.source, err);
    rc = rc < 0 ? rc : declare_config(in, &args.source, args.skip_interpolation, &out, err);
    if (rc == 0) {
        output_write(&out);
    }
    return rc;
}

// --- ls ---

struct stack_row {
    const char *name;
    int64_t services;
};

static void stack_name(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    buf_adds(out, ((const struct stack_row *)row)->name);
}
static void stack_services(const void *row, const struct cell_context *context, struct buf *out) {
    (void)context;
    buf_addf(out, "%lld", (long long)((const struct stack_row *)row)->services);
}
static void stack_orchestrator(const void *row, const struct cell_context *context, struct buf *out) {
    (void)row, (void)context;
    buf_adds(out, "Swarm");
}
static const char *stack_row_name(const void *row) {
    return ((const struct stack_row *)row)->name;
}
static const struct column stack_columns[] = {
    {"Name", "NAME", COLUMN_CUT, stack_name, NULL},
    {"Services", "SERVICES", 0, stack_services, NULL},
    {"Orchestrator", "ORCHESTRATOR", COLUMN_TEMPLATE, stack_orchestrator, NULL},
};
static const struct listing stack_listing = {.noun = "stack",
                                             .columns = stack_columns,
                                             .column_count = sizeof stack_columns / sizeof *stack_columns,
                                             .id = stack_row_name,
                                             .name = stack_row_name};

static int by_name(const void *a, const void *b) {
    const struct stack_row *x = *(const void *const *)a;
    const struct stack_row *y = *(const void *const *)b;
    return str_compare_natural(x->name, y->name);
}

static void count_service(struct rows *rows, const char *stack, struct arena *arena) {
    for (size_t i = 0; i < rows->count; i++) {
        struct stack_row *row = (struct stack_row *)(uintptr_t)rows->items[i];
        if (str_equal(row->name, stack)) {
            row->services++;
            return;
        }
    }
    struct stack_row *row = ARENA_NEW(arena, struct stack_row);
    *row = (struct stack_row){.name = stack, .services = 1};
    *ARENA_PUSH(arena, rows) = row;
}

static int run_ls(struct invocation *in, struct error *err) {
    AUTO_CLIENT *client = NULL;
    struct object_list services = {0};
    struct rows rows = {0};
    int rc = connect_open(in, &client, err);
    rc = rc < 0 ? rc : connect_list(client, KIND_SERVICE, NULL, in->arena, &services, err);
    if (rc < 0) {
        return rc;
    }
    for (size_t i = 0; i < services.count; i++) {
        const char *stack = stack_of(KIND_SERVICE, services.items[i]);
        if (stack[0] != '\0' && !((const struct service *)services.items[i])->removing) {
            count_service(&rows, stack, in->arena);
        }
    }
    if (rows.count > 1) {
        qsort(rows.items, rows.count, sizeof *rows.items, by_name);
    }
    return output_list(in, &stack_listing, rows, err);
}

// --- ps, services ---

struct ps_args {
    bool no_resolve;
};
static const struct option_row ps_rows[] = {
    OPT_FLAG(struct ps_args, no_resolve, "no-resolve", '\0', .help = "Show ids in the place of names"),
};

static int run_ps(struct invocation *in, struct error *err) {
    AUTO_CLIENT *client = NULL;
    struct object_list services = {0};
    const char *name = in->arguments.items[0];
    int rc = connect_open(in, &client, err);
    rc = rc < 0 ? rc : fetch(client, KIND_SERVICE, name, in->arena, &services, err);
    if (rc < 0) {
        return rc;
    }
    if (services.count == 0) {
        return error_set(err, ERR_NOT_FOUND, "nothing found in stack: %s", name);
    }
    return task_list_print(in, client, &services, NULL, ((const struct ps_args *)in->args)->no_resolve, err);
}

static int run_services(struct invocation *in, struct error *err) {
    AUTO_CLIENT *client = NULL;
    struct rows all, rows = {0};
    const char *name = in->arguments.items[0];
    int rc = connect_open(in, &client, err);
    rc = rc < 0 ? rc : columns_fetch_services(client, NULL, in->arena, &all, err);
    for (size_t i = 0; rc == 0 && i < all.count; i++) {
        const struct service_row *row = all.items[i];
        if (!row->service->removing && str_equal(stack_of(KIND_SERVICE, row->service), name)) {
            *ARENA_PUSH(in->arena, &rows) = row;
        }
    }
    if (rc == 0 && rows.count == 0) {
        fprintf(stderr, "Nothing found in stack: %s\n", name);
        return 0;
    }
    return rc < 0 ? rc : output_list(in, &columns_services, rows, err);
}

// --- rm ---

// Of one kind, all in one transaction. Counts them.
static int remove_kind(const struct invocation *in, struct client *client, enum object_kind kind,
                       const char *stack, size_t *count, struct error *err) {
    struct object_list objects = {0};
    struct strings references = {0};
    struct applied *applied = NULL;
    int rc = fetch(client, kind, stack, in->arena, &objects, err);
    for (size_t i = 0; rc == 0 && i < objects.count; i++) {
        *ARENA_PUSH(in->arena, &references) = object_meta(objects.items[i])->id.text;
        printf("Removing %s %s\n", object_kind_name(kind), object_meta(objects.items[i])->name);
    }
    fflush(stdout);
    *count += objects.count;
    if (rc < 0 || objects.count == 0) {
        return rc;
    }
    const char *why = in->shared.why[0] != '\0' ? in->shared.why : "stack removed";
    rc = connect_remove(client, kind, &references, why, /*force=*/false, in->arena, &applied, err);
    return rc < 0 ? error_wrap(err, rc, "remove the %ss of stack %s", object_kind_name(kind), stack) : 0;
}

// What uses before what is used; volumes hold data and stay, as in Docker.
static int remove_stack(const struct invocation *in, struct client *client, const char *stack,
                        struct error *err) {
    static const enum object_kind kinds[] = {KIND_SERVICE, KIND_SECRET, KIND_CONFIG, KIND_NETWORK};
    size_t count = 0;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof kinds / sizeof *kinds; i++) {
        rc = remove_kind(in, client, kinds[i], stack, &count, err);
    }
    if (rc == 0 && count == 0) {
        fprintf(stderr, "Nothing found in stack: %s\n", stack);
    }
    return rc;
}

static int run_rm(struct invocation *in, struct error *err) {
    AUTO_CLIENT *client = NULL;
    int worst = 0;
    int rc = connect_open(in, &client, err);
    for (size_t i = 0; rc == 0 && i < in->arguments.count; i++) {
        int one = remove_stack(in, client, in->arguments.items[i], err);
        worst = one < 0 ? command_complain(in, one, err) : worst;
    }
    return rc < 0 ? rc : worst;
}

// tidy: table
static const struct command rows[] = {
    {.name = "deploy",
     .aliases = "up",
     .summary = "Make a stack what Compose files say, and wait until it runs",
     .usage = "-c FILE NAME",
     .details =
         "Several files are laid over each other, the later ones on top, as the Compose Specification says; "
         "a "
         ".env beside the first file gives variables that the environment does not. With one mistake "
         "anywhere "
         "nothing is sent; else all is stored in one transaction. A file that did not change changes "
         "nothing. "
         "With --prune what the stack had before and the files do not hold any more is removed, but for "
         "volumes.",
     .example = "muster stack deploy -c compose.yaml shop\n"
                "muster stack deploy -c compose.yaml -c production.yaml --prune shop",
     COMMAND_OPTIONS(struct deploy_args, deploy_rows),
     .shared = SHARED_WAIT | SHARED_QUIET | SHARED_WHY | SHARED_YES,
     .min = 1,
     .max = 1,
     .run = run_deploy},
    {.name = "ls",
     .aliases = "list",
     .summary = "List stacks",
     .shared = SHARED_FORMAT | SHARED_QUIET,
     .run = run_ls},
    {.name = "ps",
     .summary = "List the tasks of a stack",
     .usage = "STACK",
     COMMAND_OPTIONS(struct ps_args, ps_rows),
     .shared = SHARED_LIST,
     .min = 1,
     .max = 1,
     .run = run_ps},
    {.name = "services",
     .summary = "List the services of a stack",
     .usage = "STACK",
     .shared = SHARED_LIST,
     .min = 1,
     .max = 1,
     .run = run_services},
    {.name = "rm",
     .aliases = "remove down",
     .summary = "Remove stacks; their tasks stop in the background, their volumes stay",
     .usage = "STACK…",
     .shared = SHARED_WHY | SHARED_DETACH,
     .min = 1,
     .max = COMMAND_MANY,
     .run = run_rm},
    {.name = "config",
     .summary = "Print Compose files as one, with variables filled in",
     .usage = "-c FILE",
     .example = "muster stack config -c compose.yaml -c production.yaml >merged.yaml",
     COMMAND_OPTIONS(struct config_args, config_rows),
     .run = run_config},
};
const struct command_group stack_commands = COMMAND_GROUP("stack", "Manage stacks of Compose files", rows);
