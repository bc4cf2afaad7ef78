// SPDX-License-Identifier: Apache-2.0
//
// cli/apply.c — `apply`, `diff`, `lint`: spec files made true, compared, checked.
//
// Apply reads everything first; with one mistake anywhere nothing is sent. Declarations then go as one
// transaction, removals (--prune) after it, guarded. What was changed is waited for.
#include "cli/apply.h"

#include <string.h>

#include "base/str.h"
#include "cli/connect.h"
#include "cli/output.h"
#include "cli/wait.h"

struct apply_args {
    struct declare_source source;
    bool dry_run, prune;
    int64_t monitor_ns;
};

static const struct option_row apply_options[] = {
    SOURCE_OPTIONS(struct apply_args),
    OPT_FLAG(struct apply_args, dry_run, "dry-run", '\0', .help = "Say what would happen, change nothing"),
    OPT_FLAG(struct apply_args, prune, "prune", '\0',
             .help = "Remove what the set declared before and does not any more"),
    OPT_DURATION(
        struct apply_args, monitor_ns, "monitor", '\0',
        .help = "Once all run, go on watching this long (default: the service's update_config.monitor where "
                "tasks are replaced or fail)"),
};

int apply_want_files(const struct invocation *in, struct declare_source *source, struct error *err) {
    for (size_t i = 0; i < in->arguments.count; i++) { // `apply FILE` is meant as `apply -f FILE`
        *ARENA_PUSH(in->arena, &source->files) = in->arguments.items[i];
    }
    if (source->files.count == 0) {
        return error_set(err, ERR_USAGE, "%s wants files: %s -f FILE|DIR|-", in->path, in->path);
    }
    return 0;
}

// --- apply ---

static const char *const action_words[] = {[ACTION_UNCHANGED] = "unchanged",
                                           [ACTION_CREATED] = "created",
                                           [ACTION_UPDATED] = "updated",
                                           [ACTION_REMOVED] = "removed"};

void apply_make_request(const struct invocation *in, const struct declare_source *source,
                        const struct declarations *declared, bool dry_run, struct apply_request *out) {
    schema_init(&apply_request_schema, out);
    out->request_id = connect_request_id(in->arena);
    out->why = in->shared.why;
    out->dry_run = dry_run;
    for (size_t i = 0; i < declared->count; i++) {
        const struct declaration *declaration = &declared->items[i];
        AUTO_BUF spec = buf_make(2 * OBJECT_BYTES_MAX);
        wire_encode(object_spec_schema(declaration->kind), declaration->spec, &spec);
        struct apply_item *item = ARENA_PUSH(in->arena, &out->items);
        schema_init(&apply_item_schema, item);
        item->kind = declaration->kind;
        item->name = declaration->name;
        item->spec = (struct bytes){arena_copy(in->arena, spec.data, spec.len), spec.len};
        item->owner = declare_owner(source, declaration, in->arena);
        item->origin =
            arena_printf(in->arena, "%s:%lld", declaration->at.file, (long long)declaration->at.line);
    }
}

static bool was_told(const struct diagnostics *diagnostics, const char *warning) {
    for (size_t i = 0; i < diagnostics->count; i++) {
        const char *path = diagnostics->items[i].path;
        if (diagnostics->items[i].is_warning && path[0] != '\0' && str_starts(warning, path)) {
            return true;
        }
    }
    return false;
}

// The daemon repeats the warnings of the fields; those were shown with their places already.
static void print_warnings(const struct apply_result *result, const struct diagnostics *diagnostics) {
    for (size_t i = 0; i < result->warnings.count; i++) {
        if (!was_told(diagnostics, result->warnings.items[i])) {
            AUTO_BUF line = {0};
            str_escape(&line, result->warnings.items[i], strlen(result->warnings.items[i]),
                       /* keep_newlines= */ false);
            fprintf(stderr, "warning: %s %s: %s\n", object_kind_name((enum object_kind)result->kind),
                    result->name, buf_text(&line));
        }
    }
}

static void print_result(const struct invocation *in, const struct apply_result *result, bool dry_run) {
    const char *kind = object_kind_name((enum object_kind)result->kind);
    if (str_equal(in->shared.output, "name")) {
        printf("%s/%s\n", kind, result->name);
    } else if (!in->shared.quiet) {
        bool has_effect = result->action == ACTION_UPDATED && result->consequence != CONSEQUENCE_NOTHING;
        printf("%s %s: %s%s%s%s%s\n", kind, result->name,
               dry_run && result->action != ACTION_UNCHANGED ? "would be " : "", action_words[result->action],
               has_effect ? " (" : "", has_effect ? consequence_names[result->consequence] : "",
               has_effect ? ")" : "");
    }
}

static void tell_all(const struct invocation *in, const struct apply_job *job, const struct applied *applied,
                     const struct diagnostics *diagnostics) {
    if (str_equal(in->shared.output, "json")) {
        AUTO_BUF out = {0};
        json_write(&applied_schema, applied, JSON_INDENT, TEXT_DEFAULTS, &out);
        buf_addc(&out, '\n');
        output_write(&out);
    }
    for (size_t i = 0; i < applied->results.count; i++) {
        print_warnings(&applied->results.items[i], diagnostics);
        if (!str_equal(in->shared.output, "json")) {
            job->tell(in, &applied->results.items[i], job->dry_run);
        }
    }
}

static int prune(const struct invocation *in, const struct apply_job *job, struct client *client,
                 const struct comparisons *comparisons, struct error *err) {
    for (size_t i = 0; i < comparisons->count; i++) {
        const struct comparison *item = &comparisons->items[i];
        if (item->action != DECLARE_REMOVED) {
            continue;
        }
        const char *id = object_meta_const(item->object)->id.text;
        struct strings references = {1, &id};
        struct applied *applied = NULL;
        const char *why = in->shared.why[0] != '\0' ? in->shared.why : "no longer declared";
        int rc = job->dry_run ? 0
                              : connect_remove(client, item->kind, &references, why, /*force=*/false,
                                               in->arena, &applied, err);
        if (rc < 0) {
            return error_wrap(err, rc, "remove %s %s", object_kind_name(item->kind), item->name);
        }
        struct apply_result result = {.kind = item->kind, .name = item->name, .action = ACTION_REMOVED};
        if (!str_equal(in->shared.output, "json")) {
            job->tell(in, &result, job->dry_run);
        }
    }
    return 0;
}

// How to look again after an interrupt: one service by name, several all together.
static const char *look_again(const struct wait_targets *targets, struct arena *arena) {
    return targets->count == 1 ? arena_printf(arena, "muster ps %s", targets->items[0].name) : "muster ls";
}

int apply_send(const struct invocation *in, const struct apply_job *job, const struct declarations *declared,
               const struct diagnostics *diagnostics, struct client *client, struct error *err) {
    struct comparisons comparisons = {0};
    struct apply_request request;
    struct applied *applied = NULL;
    int rc = 0;
    if (job->prune) {
        rc = declare_compare(client, &job->source, declared, /* prune= */ true, in->arena, &comparisons, err);
        rc = rc < 0 ? rc : declare_guard(&comparisons, in->shared.yes || job->dry_run, err);
    }
    apply_make_request(in, &job->source, declared, job->dry_run, &request);
    rc = rc < 0 ? rc : connect_apply(client, &request, in->arena, &applied, err);
    if (rc < 0) {
        return rc;
    }
    tell_all(in, job, applied, diagnostics);
    rc = prune(in, job, client, &comparisons, err);
    if (rc < 0 || job->dry_run) {
        return rc;
    }
    struct wait_targets targets = wait_targets_of(applied, in->arena);
    return wait_converged(in, client, &targets, job->monitor_ns, look_again(&targets, in->arena), err);
}

static int run_apply(struct invocation *in, struct error *err) {
    struct apply_args args = *(const struct apply_args *)in->args;
    struct declarations declared = {0};
    struct diagnostics diagnostics = {0};
    AUTO_CLIENT *client = NULL;
    int rc = apply_want_files(in, &args.source, err);
    rc = rc < 0 ? rc : declare_read(in, &args.source, &declared, &diagnostics, err);
    if (rc < 0) {
        return rc;
    }
    if (declared.count == 0) {
        return error_set(err, ERR_INVALID, "the files declare nothing, so nothing was sent");
    }
    const struct apply_job job = {.source = args.source,
                                  .dry_run = args.dry_run,
                                  .prune = args.prune,
                                  .monitor_ns = invocation_has(in, "monitor") ? args.monitor_ns : -1,
                                  .tell = print_result};
    rc = connect_open(in, &client, err);
    return rc < 0 ? rc : apply_send(in, &job, &declared, &diagnostics, client, err);
}

// --- diff ---

struct diff_args {
    struct declare_source source;
    bool prune;
};
static const struct option_row diff_options[] = {
    SOURCE_OPTIONS(struct diff_args),
    OPT_FLAG(struct diff_args, prune, "prune", '\0', .help = "Show what --prune would remove too"),
};

static const char *const diff_words[] = {[DECLARE_SAME] = "same",
                                         [DECLARE_NEW] = "new",
                                         [DECLARE_CHANGED] = "changed",
                                         [DECLARE_REMOVED] = "removed"};
static const char *const diff_tints[] = {[DECLARE_SAME] = "",
                                         [DECLARE_NEW] = "\x1b[32m",
                                         [DECLARE_CHANGED] = "\x1b[33m",
                                         [DECLARE_REMOVED] = "\x1b[31m"};

static void add_value(const char *text, const char *tint, const char *plain, struct buf *out) {
    buf_adds(out, text != NULL ? tint : "");
    str_escape(out, text != NULL ? text : "(none)", strlen(text != NULL ? text : "(none)"),
               /* keep_newlines= */ false);
    buf_adds(out, text != NULL ? plain : "");
}

// A service that only follows what it uses was declared elsewhere.
static struct position position_of(const struct comparison *item, const char *path) {
    return item->declaration != NULL ? manifest_position(item->declaration, path) : (struct position){0};
}

static void diff_fields(const struct comparison *item, bool color, struct buf *out) {
    for (size_t i = 0; i < item->differences.count; i++) {
        const struct difference *difference = &item->differences.items[i];
        struct position at = position_of(item, difference->path);
        const char *plain = color ? "\x1b[0m" : "";
        buf_adds(out, "  ");
        str_escape(out, difference->path, strlen(difference->path), /* keep_newlines= */ false);
        buf_adds(out, ": ");
        add_value(difference->old_text, color ? "\x1b[31m" : "", plain, out);
        buf_adds(out, " -> ");
        add_value(difference->new_text, color ? "\x1b[32m" : "", plain, out);
        buf_addf(out, "  [%s]", consequence_names[difference->consequence]);
        if (at.line > 0 && difference->new_text != NULL) {
            buf_adds(out, "  ");
            str_escape(out, at.file, strlen(at.file), /* keep_newlines= */ false);
            buf_addf(out, ":%lld:%lld", (long long)at.line, (long long)at.column);
        }
        buf_addc(out, '\n');
    }
}

void apply_diff_text(const struct comparisons *comparisons, bool color, struct buf *out) {
    size_t counts[4] = {0};
    for (size_t i = 0; i < comparisons->count; i++) {
        const struct comparison *item = &comparisons->items[i];
        counts[item->action]++;
        if (item->action == DECLARE_SAME) {
            continue;
        }
        buf_addf(out, "%s%s %s: %s", color ? diff_tints[item->action] : "", object_kind_name(item->kind),
                 item->name, diff_words[item->action]);
        if (item->action == DECLARE_CHANGED) {
            buf_addf(out, ", %zu field%s, consequence: %s", item->differences.count,
                     item->differences.count == 1 ? "" : "s", consequence_names[item->differences.worst]);
        }
        buf_addf(out, "%s\n", color ? "\x1b[0m" : "");
        diff_fields(item, color, out);
    }
    if (counts[DECLARE_SAME] < comparisons->count) {
        buf_addf(out, "%zu new, %zu changed, %zu removed, %zu the same\n", counts[DECLARE_NEW],
                 counts[DECLARE_CHANGED], counts[DECLARE_REMOVED], counts[DECLARE_SAME]);
    }
}

static void json_text(const char *name, const char *text, struct buf *out) {
    buf_addf(out, ",\"%s\":", name);
    if (text != NULL) {
        json_write_string(out, text);
    } else {
        buf_adds(out, "null");
    }
}

static void diff_json_field(const struct comparison *item, const struct difference *difference,
                            struct buf *out) {
    struct position at = position_of(item, difference->path);
    buf_adds(out, "{\"path\":");
    json_write_string(out, difference->path);
    json_text("old", difference->old_text, out);
    json_text("new", difference->new_text, out);
    json_text("consequence", consequence_names[difference->consequence], out);
    json_text("file", at.line > 0 ? at.file : NULL, out);
    buf_addf(out, ",\"line\":%lld,\"column\":%lld}", (long long)at.line, (long long)at.column);
}

static void diff_json(const struct comparisons *comparisons, struct buf *out) {
    buf_adds(out, "[");
    for (size_t i = 0; i < comparisons->count; i++) {
        const struct comparison *item = &comparisons->items[i];
        buf_addf(out, "%s{\"kind\":\"%s\"", i > 0 ? ",\n" : "\n", object_kind_name(item->kind));
        json_text("name", item->name, out);
        json_text("action", diff_words[item->action], out);
        json_text("consequence", consequence_names[item->differences.worst], out);
        buf_adds(out, ",\"fields\":[");
        for (size_t j = 0; j < item->differences.count; j++) {
            buf_adds(out, j > 0 ? "," : "");
            diff_json_field(item, &item->differences.items[j], out);
        }
        buf_adds(out, "]}");
    }
    buf_adds(out, "\n]\n");
}

static int run_diff(struct invocation *in, struct error *err) {
    struct diff_args args = *(const struct diff_args *)in->args;
    struct declarations declared = {0};
    struct diagnostics diagnostics = {0};
    struct comparisons comparisons = {0};
    AUTO_CLIENT *client = NULL;
    AUTO_BUF out = {0};
    int rc = apply_want_files(in, &args.source, err);
    rc = rc < 0 ? rc : declare_read(in, &args.source, &declared, &diagnostics, err);
    rc = rc < 0 ? rc : connect_open(in, &client, err);
    rc = rc < 0 ? rc
                : declare_compare(client, &args.source, &declared, args.prune, in->arena, &comparisons, err);
    if (rc < 0) {
        return rc;
    }
    bool differs = false;
    for (size_t i = 0; i < comparisons.count; i++) {
        differs = differs || comparisons.items[i].action != DECLARE_SAME;
    }
    if (str_equal(in->shared.output, "json")) {
        diff_json(&comparisons, &out);
    } else if (!in->shared.quiet) {
        apply_diff_text(&comparisons, in->screen.color, &out);
    }
    output_write(&out);
    return differs ? COMMAND_NO : 0;
}

// --- lint ---

struct lint_args {
    struct declare_source source;
    bool strict;
};
static const struct option_row lint_options[] = {
    SOURCE_OPTIONS(struct lint_args),
    OPT_FLAG(struct lint_args, strict, "strict", '\0', .help = "Exit with 1 when there are warnings"),
};

static int run_lint(struct invocation *in, struct error *err) {
    struct lint_args args = *(const struct lint_args *)in->args;
    struct declarations declared = {0};
    struct diagnostics diagnostics = {0};
    int rc = apply_want_files(in, &args.source, err);
    rc = rc < 0 ? rc : declare_read(in, &args.source, &declared, &diagnostics, err);
    if (rc < 0) {
        return rc;
    }
    if (!in->shared.quiet && !str_equal(in->shared.output, "json")) {
        printf("%zu object%s, no errors, %zu warning%s\n", declared.count, declared.count == 1 ? "" : "s",
               diagnostics.warning_count, diagnostics.warning_count == 1 ? "" : "s");
    }
    return args.strict && diagnostics.warning_count > 0 ? COMMAND_NO : 0;
}

// tidy: table
static const struct command rows[] = {
    {.name = "apply",
     .summary = "Make the cluster what spec files say",
     .usage = "-f FILE|DIR|-",
     .details = "All files are read and checked first: with one mistake anywhere nothing is sent. What they "
                "declare is "
                "stored in one transaction. Then apply waits until it has converged: as many tasks run as "
                "are wanted, "
                "and what they replace is gone. Where running tasks are replaced, or a task fails, that must "
                "hold for "
                "the time of update_config.monitor.",
     .example = "muster apply -f shop.yaml\nmuster apply -f specs/ --prune --dry-run\nmuster get service web "
                "-o yaml | "
                "muster apply -f -",
     COMMAND_OPTIONS(struct apply_args, apply_options),
     .shared = SHARED_OUTPUT | SHARED_QUIET | SHARED_WAIT | SHARED_WHY | SHARED_YES,
     .max = COMMAND_MANY,
     .names = NAMES_FILE,
     .run = run_apply},
    {.name = "diff",
     .summary = "Show what apply would change, and what that does to tasks",
     .usage = "-f FILE|DIR|-",
     .details = "Each changed field is shown with its consequence: nothing, restart, move, data loss. Exit "
                "status: 0 "
                "when all is the same, 1 when something differs.",
     COMMAND_OPTIONS(struct diff_args, diff_options),
     .shared = SHARED_OUTPUT | SHARED_QUIET,
     .max = COMMAND_MANY,
     .names = NAMES_FILE,
     .run = run_diff},
    {.name = "lint",
     .summary = "Check spec files without a cluster",
     .usage = "FILE|DIR|-…",
     COMMAND_OPTIONS(struct lint_args, lint_options),
     .shared = SHARED_OUTPUT | SHARED_QUIET,
     .max = COMMAND_MANY,
     .names = NAMES_FILE,
     .run = run_lint},
};
const struct command_group apply_commands = COMMAND_GROUP(NULL, "Declare", rows);
