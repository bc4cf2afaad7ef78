// SPDX-License-Identifier: Apache-2.0
//
// specs/manifest.c — spec files from names to declarations: which files, which documents, what is wrong
// with each.
//
// Flow         files in order -> documents (yaml_tree) -> drafts (manifest_bind, compose) -> files read
//              beside (manifest_files) -> rules (schema_validate) -> canonical declarations. Nothing stops
//              at the first mistake but a syntax error, and that only its file.
// Ownership    Everything that is handed out lives in the caller's arena, the trees included: positions
//              point into them.
// Limits       A file takes at most a fixed multiple of its length from the arena; all files together
//              declare at most what one transaction may hold; after ERRORS_MAX errors nothing more is read.
#include "specs/manifest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/limits.h"
#include "base/str.h"
#include "specs/manifest_reading.h"
#include "specs/service.h"
#include "specs/walk.h"

#define ERRORS_MAX 500
#define FILE_MEMORY_BASE ((size_t)5 * MIB)
#define FILE_MEMORY_FACTOR 6

// --- one declaration ---

void *draft_new(struct reading *r, enum object_kind kind) {
    const struct schema *schema = object_spec_schema(kind);
    void *spec = arena_alloc(r->arena, schema->bytes);
    schema_init(schema, spec);
    return spec;
}

static const struct yaml_node *draft_place(const struct draft *draft, const char *path, bool wants_value) {
    const struct yaml_node *node = bind_find(draft->where.root, path, wants_value);
    return node == draft->where.root ? draft->where.key : node;
}

void draft_error(struct reading *r, const struct draft *draft, const char *path, const char *code,
                 const char *hint, const char *format, ...) {
    AUTO_BUF text = buf_make(4096);
    va_list args;
    va_start(args, format);
    buf_addv(&text, format, args);
    va_end(args);
    const struct yaml_node *node = draft_place(draft, path, strcmp(code, "E0330") == 0);
    struct place at = {.line = node->line, .column = node->column, .source = node->source};
    reporter_add(&r->reporter, at, code, path, hint, "%s", buf_text(&text));
}

// A field that could not be read is missing too: saying it once is enough.
static bool is_reported(const struct reading *r, const struct yaml_node *node) {
    const struct diagnostics *all = r->reporter.out;
    for (size_t i = 0; i < all->count; i++) {
        const struct diagnostic *item = &all->items[i];
        if (!item->is_warning && item->at.file == r->reporter.sources[node->source].name &&
            item->at.line == node->line) {
            return true;
        }
    }
    return false;
}

static void report_problem(struct reading *r, const struct draft *draft, const struct problem *problem) {
    const struct yaml_node *node = draft_place(draft, problem->path, /* wants_value= */ false);
    bool is_missing = strcmp(problem->text, "is required") == 0;
    bool wants_path = str_starts(problem->text, "is ") || str_starts(problem->text, "does ") ||
                      str_starts(problem->text, "excludes ");
    const char *subject =
        !wants_path || problem->path[0] == '\0' ? "" : arena_printf(&r->scratch, "'%s' ", problem->path);
    if (is_missing && r->reporter.out->error_count > r->errors_before && is_reported(r, node)) {
        return;
    }
    if (problem->is_warning) {
        draft_error(r, draft, problem->path, "W0601", "", "%s%s", subject, problem->text);
    } else if (is_missing && strcmp(problem->path, "image") == 0 &&
               yaml_get(draft->where.root, "build") != NULL) {
        draft_error(r, draft, "build", "E0431",
                    "build it elsewhere and name it: image: oci-archive:./app.tar",
                    "images are not built here, and no image is named");
    } else {
        draft_error(r, draft, problem->path, is_missing ? "E0234" : "E0330", "", "%s%s", subject,
                    problem->text);
    }
}

// Compose's `restart:` stands in for a missing deploy.restart_policy, as in Swarm.
static void map_restart(struct reading *r, struct draft *draft) {
    const struct yaml_node *restart = yaml_get(draft->where.root, "restart");
    const struct yaml_node *deploy = yaml_get(draft->where.root, "deploy");
    if (draft->kind != KIND_SERVICE || restart == NULL ||
        (deploy != NULL && yaml_get(deploy, "restart_policy") != NULL)) {
        return;
    }
    struct restart_policy *policy = &((struct service_spec *)draft->spec)->deploy.restart_policy;
    const char *text = bind_text(&r->binder, restart, NULL);
    if (text == NULL || strcmp(text, "always") == 0 || strcmp(text, "unless-stopped") == 0) {
        return; // any: the default
    }
    if (strcmp(text, "no") == 0 || strcmp(text, "false") == 0) {
        policy->condition = RESTART_NONE;
    } else if (strcmp(text, "on-failure") == 0 ||
               (str_starts(text, "on-failure:") &&
                str_to_int(text + strlen("on-failure:"), &policy->max_attempts))) {
        policy->condition = RESTART_ON_FAILURE;
    } else {
        draft_error(r, draft, "restart", "E0313", "better, write deploy.restart_policy",
                    "'%.100s' is not one of no, always, unless-stopped, on-failure", text);
    }
}

// What fails is tried again, as everywhere; but a task of a job that ends well has done its work.
static void map_job_restart(struct draft *draft) {
    if (draft->kind != KIND_SERVICE || yaml_get(draft->where.root, "restart") != NULL) {
        return;
    }
    const struct yaml_node *deploy = yaml_get(draft->where.root, "deploy");
    const struct yaml_node *policy = deploy != NULL ? yaml_get(deploy, "restart_policy") : NULL;
    if (policy == NULL || yaml_get(policy, "condition") == NULL) {
        service_spec_job_default(draft->spec);
    }
}

// Whether no profile keeps the service out.
static bool is_selected(const struct reading *r, const struct draft *draft) {
    if (draft->kind != KIND_SERVICE) {
        return true;
    }
    const struct strings *wanted = r->options->profiles;
    const struct strings *own = &((const struct service_spec *)draft->spec)->profiles;
    for (size_t i = 0; i < own->count; i++) {
        for (size_t k = 0; wanted != NULL && k < wanted->count; k++) {
            if (strcmp(wanted->items[k], "*") == 0 || strcmp(wanted->items[k], own->items[i]) == 0) {
                return true;
            }
        }
    }
    return own->count == 0;
}

static struct position draft_at(const struct draft *draft) {
    const struct yaml_node *key = draft->where.key;
    return (struct position){draft->where.sources[key->source].name, key->line, key->column};
}

static void list_draft(struct reading *r, const struct draft *draft) {
    const struct schema *schema = object_spec_schema(draft->kind);
    const char *name = member_text(schema_field(schema, "name"), draft->spec);
    const char *key = arena_printf(r->arena, "%s/%s", object_kind_name(draft->kind), name);
    size_t first = (size_t)(uintptr_t)map_get(&r->seen, key);
    if (name[0] == '\0') {
        return; // reported as required
    }
    if (first > 0) {
        const struct position *at = &r->out->items[first - 1].at;
        draft_error(r, draft, "name", "E0205", "take one away",
                    "%s '%.200s' is declared twice; the first is at %s:%lld", object_kind_name(draft->kind),
                    name, at->file, (long long)at->line);
        return;
    }
    if (r->out->count == TRANSACTION_CHANGES_MAX) {
        draft_error(r, draft, "", "E0206", "split what is applied", "more than %d objects",
                    TRANSACTION_CHANGES_MAX);
        r->binder.is_over = true;
        return;
    }
    struct field_positions *positions = ARENA_NEW(r->arena, struct field_positions);
    *positions = draft->where;
    *ARENA_PUSH(r->arena, r->out) = (struct declaration){.kind = draft->kind,
                                                         .spec = draft->spec,
                                                         .name = name,
                                                         .stack = draft->stack,
                                                         .at = draft_at(draft),
                                                         .positions = positions};
    map_put(&r->seen, key, (void *)(uintptr_t)r->out->count); // NOLINT(performance-no-int-to-ptr): an index
}

void draft_finish(struct reading *r, struct draft *draft) {
    const struct schema *schema = object_spec_schema(draft->kind);
    if (r->binder.is_over || !is_selected(r, draft)) {
        return;
    }
    map_restart(r, draft);
    map_job_restart(draft);
    draft_read_files(r, draft);
    struct problems problems = {0};
    schema_validate(schema, draft->spec, /* warnings= */ true, &r->scratch, &problems);
    for (size_t i = 0; i < problems.count && i < ERRORS_MAX; i++) {
        report_problem(r, draft, &problems.items[i]);
    }
    schema_canonicalize(schema, draft->spec);
    list_draft(r, draft);
    r->binder.is_over |= r->reporter.out->error_count >= ERRORS_MAX;
}

// --- documents ---

static void unknown_kind(struct reading *r, const struct yaml_node *node, const char *text) {
    const char *names[KIND_END];
    size_t count = 0;
    for (int kind = 1; kind < KIND_END; kind++) {
        if (object_kind_is_declared((enum object_kind)kind)) {
            names[count++] = object_kind_name((enum object_kind)kind);
        }
    }
    const char *nearest = str_nearest(text, names, count);
    AUTO_BUF hint = buf_make(256);
    if (nearest != NULL) {
        buf_addf(&hint, "did you mean '%s'?", nearest);
    }
    bind_error(&r->binder, node, "E0202", NULL, buf_text(&hint),
               "'%.100s' is not a kind: service, node, network, secret, config, volume, cluster or source",
               text);
}

static void read_typed(struct reading *r, const struct yaml_node *document,
                       const struct yaml_node *kind_node) {
    const char *text = bind_text(&r->binder, kind_node, &(struct bind_path){NULL, "kind", 0});
    enum object_kind kind = text != NULL ? object_kind_parse(text) : KIND_NONE;
    if (kind == KIND_NONE || !object_kind_is_declared(kind)) {
        if (text != NULL && kind != KIND_NONE) {
            bind_error(&r->binder, kind_node, "E0204", NULL, "", "a %s is made by the cluster, not by a file",
                       text);
        } else if (text != NULL) {
            unknown_kind(r, kind_node, text);
        }
        return;
    }
    struct draft draft = {.kind = kind,
                          .spec = draft_new(r, kind),
                          .stack = "",
                          .where = {r->reporter.sources, document, document}};
    r->binder.root = object_spec_schema(kind);
    bind_object(&r->binder, r->binder.root, document, draft.spec, NULL, "kind");
    draft_finish(r, &draft);
}

static bool looks_like_compose(const struct yaml_node *document) {
    static const char *const keys[] = {"services", "volumes", "networks", "secrets", "configs", "version"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (yaml_get(document, keys[i]) != NULL && yaml_get(document, "image") == NULL) {
            return true;
        }
    }
    return false;
}

static void read_document(struct reading *r, const struct yaml_node *document) {
    const struct yaml_node *kind = yaml_get(document, "kind");
    r->errors_before = r->reporter.out->error_count;
    if (document->kind != YAML_MAP) {
        bind_error(&r->binder, document, "E0201", NULL,
                   "write kind: and name:, or services:", "a document is a map, not %s",
                   document->kind == YAML_LIST ? "a list" : "a single value");
    } else if (kind != NULL) {
        read_typed(r, document, kind);
    } else if (looks_like_compose(document)) {
        compose_read(r, document);
    } else {
        bool has_image = yaml_get(document, "image") != NULL;
        bind_error(&r->binder, document, "E0201", NULL,
                   has_image ? "write kind: service above it" : "write kind: and name:, or services:",
                   "neither a typed document (kind:) nor a Compose file (services:)");
    }
    arena_clear(&r->scratch);
}

// --- one text, or several as one ---

static size_t rank_of(const struct reporter *reporter, const char *file) {
    size_t i = 0;
    while (i < reporter->source_count && reporter->sources[i].name != file) {
        i++;
    }
    return i;
}

static bool is_in_order(const struct reporter *reporter, const struct position *a, const struct position *b) {
    if (a->file != b->file) {
        return rank_of(reporter, a->file) <= rank_of(reporter, b->file);
    }
    return a->line < b->line || (a->line == b->line && a->column <= b->column);
}

static void sort_by_place(const struct reporter *reporter, size_t first) {
    struct diagnostics *all = reporter->out;
    for (size_t i = first + 1; i < all->count; i++) {
        struct diagnostic item = all->items[i];
        size_t k = i;
        for (; k > first && !is_in_order(reporter, &all->items[k - 1].at, &item.at); k--) {
            all->items[k] = all->items[k - 1];
        }
        all->items[k] = item;
    }
}

static const char *directory_of(struct arena *arena, const char *name) {
    char current[4096];
    const char *base = getcwd(current, sizeof current) != NULL ? current : "/";
    const char *slash = strrchr(name, '/');
    const char *directory = slash == NULL   ? ""
                            : slash == name ? "/"
                                            : arena_strndup(arena, name, (size_t)(slash - name));
    return path_resolve(arena, base, directory);
}

// `sources` stay with the declarations, for their names; their texts are looked at until sources_end.
static void sources_begin(struct reading *r, const struct source_text *sources, size_t count) {
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += sources[i].len;
    }
    r->reporter.sources = sources;
    r->reporter.source_count = count;
    r->reports_before = r->reporter.out->count;
    r->directory = directory_of(r->arena, sources[0].name);
    r->variables.given = r->options->variables;
    variables_read_dotenv(r);
    r->binder = (struct binder){.arena = r->arena,
                                .reporter = &r->reporter,
                                .variables = &r->variables,
                                .reads_environment = r->reads_files,
                                .bytes_start = r->arena->used_bytes,
                                .bytes_max = FILE_MEMORY_BASE + FILE_MEMORY_FACTOR * bytes};
}

static void sources_end(struct reading *r) {
    sort_by_place(&r->reporter, r->reports_before);
    r->reporter.source_count = 0;
}

// The documents before the first mistake; the mistakes are reported.
static void parse_source(struct reading *r, size_t number, struct yaml_documents *out) {
    const struct source_text *source = &r->reporter.sources[number];
    struct yaml_problems problems;
    *out = (struct yaml_documents){0};
    if (source->len > YAML_BYTES_MAX) {
        reporter_add(&r->reporter, (struct place){.line = 1, .column = 1, .source = number}, "E0114", "",
                     "split it", "the file is larger than 4 MiB");
        return;
    }
    yaml_parse(source->text, source->len, (uint16_t)number, r->arena, out, &problems);
    for (size_t i = 0; i < problems.count; i++) {
        const struct yaml_problem *found = &problems.items[i];
        struct place at = {found->line, found->column, found->other_line, found->other_column, number};
        reporter_add(&r->reporter, at, found->code, "", found->hint, "%s", found->text);
    }
}

static void read_text(struct reading *r, const char *name, const char *text, size_t len) {
    struct source_text *source = ARENA_NEW(r->arena, struct source_text);
    struct yaml_documents documents;
    *source = (struct source_text){arena_strdup(r->arena, name), text, len};
    sources_begin(r, source, 1);
    parse_source(r, 0, &documents);
    for (size_t i = 0; i < documents.count && !r->binder.is_over; i++) {
        read_document(r, &documents.items[i]);
    }
    sources_end(r);
}

// --- a stack: Compose files laid over each other ---

// The one document of a layer, if it is a Compose file.
static const struct yaml_node *read_layer(struct reading *r, size_t number) {
    struct yaml_documents documents;
    size_t errors_before = r->reporter.out->error_count;
    parse_source(r, number, &documents);
    if (r->reporter.out->error_count > errors_before) {
        return NULL;
    }
    const struct yaml_node *document = documents.count > 0 ? &documents.items[0] : NULL;
    if (documents.count == 1 && document->kind == YAML_MAP && yaml_get(document, "kind") == NULL) {
        return document;
    }
    const struct place at = {.line = document != NULL ? document->line : 1, .column = 1, .source = number};
    reporter_add(&r->reporter, at, "E0201", "",
                 "a stack is made of Compose files; the others are for: muster apply",
                 documents.count == 0  ? "the file is empty"
                 : documents.count > 1 ? "the file holds several documents"
                                       : "the document is not a Compose file");
    return NULL;
}

// The layers as one, which `out` then is; false when one of them is wrong.
static bool read_layers(struct reading *r, struct yaml_node *out) {
    bool is_good = true;
    for (size_t i = 0; i < r->reporter.source_count; i++) {
        const struct yaml_node *layer = read_layer(r, i);
        if (layer != NULL) {
            *out = i == 0 || !is_good ? *layer : compose_merge(out, layer, r->arena);
        }
        is_good = is_good && layer != NULL;
    }
    return is_good;
}

// With `config` the stack is written there when it is good.
static void read_stack(struct reading *r, const struct source_text *sources, size_t count,
                       struct buf *config) {
    struct yaml_node *stack = ARENA_NEW(r->arena, struct yaml_node);
    sources_begin(r, sources, count);
    r->errors_before = r->reporter.out->error_count;
    if (read_layers(r, stack)) {
        if (!r->options->keeps_variables) {
            compose_read(r, stack);
        }
        if (config != NULL && r->reporter.out->error_count == 0) {
            compose_config(stack, r->options->keeps_variables ? NULL : &r->variables, r->arena, config);
        }
    }
    arena_clear(&r->scratch);
    sources_end(r);
}

static const struct manifest_options no_options;

static struct reading reading_start(const struct manifest_options *options, struct arena *arena,
                                    struct declarations *out, struct diagnostics *diagnostics) {
    *out = (struct declarations){0};
    *diagnostics = (struct diagnostics){0};
    return (struct reading){.arena = arena,
                            .options = options != NULL ? options : &no_options,
                            .reporter = {.arena = arena, .out = diagnostics},
                            .out = out};
}

static int reading_end(struct reading *r) {
    map_free(&r->seen);
    arena_free(&r->scratch);
    if (r->reporter.out->error_count == 0) {
        return 0;
    }
    *r->out = (struct declarations){0};
    return 1;
}

int manifest_parse(const char *name, const char *text, size_t len, const struct manifest_options *options,
                   struct arena *arena, struct declarations *out, struct diagnostics *diagnostics,
                   struct error *err) {
    (void)err;
    struct reading r = reading_start(options, arena, out, diagnostics);
    read_text(&r, name, text, len);
    return reading_end(&r);
}

// --- files ---

static int read_file(struct reading *r, const char *path, struct error *err) {
    AUTO_BUF content = {0};
    int rc = source_read(path, &content, err);
    if (rc == 0) { // the tree keeps copies, snippets too
        read_text(r, source_name(path), buf_text(&content), content.len);
    }
    return rc;
}

static int read_one_by_one(struct reading *r, const struct strings *files, struct error *err) {
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < files->count; i++) {
        rc = read_file(r, files->items[i], err);
    }
    return rc;
}

static int read_as_stack(struct reading *r, const struct strings *files, struct buf *config,
                         struct error *err) {
    struct source_text *sources = ARENA_ARRAY(r->arena, struct source_text, files->count);
    struct buf *contents = ARENA_ARRAY(r->arena, struct buf, files->count);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < files->count; i++) {
        rc = source_read(files->items[i], &contents[i], err);
        sources[i] =
            (struct source_text){source_name(files->items[i]), buf_text(&contents[i]), contents[i].len};
    }
    if (rc == 0) {
        read_stack(r, sources, files->count, config);
    }
    for (size_t i = 0; i < files->count; i++) {
        buf_free(&contents[i]);
    }
    return rc;
}

static int read_paths(const struct strings *paths, const struct manifest_options *options,
                      struct arena *arena, struct declarations *out, struct diagnostics *diagnostics,
                      struct buf *config, struct error *err) {
    struct reading r = reading_start(options, arena, out, diagnostics);
    r.reads_files = true;
    struct strings files = {0};
    int rc = source_list(paths, arena, &files, err);
    if (rc == 0) {
        rc = r.options->is_stack ? read_as_stack(&r, &files, config, err) : read_one_by_one(&r, &files, err);
    }
    int verdict = reading_end(&r);
    if (rc < 0) {
        *out = (struct declarations){0};
        return rc;
    }
    return verdict;
}

int manifest_read(const struct strings *paths, const struct manifest_options *options, struct arena *arena,
                  struct declarations *out, struct diagnostics *diagnostics, struct error *err) {
    return read_paths(paths, options, arena, out, diagnostics, NULL, err);
}

int manifest_config(const struct strings *paths, const struct manifest_options *options, struct arena *arena,
                    struct buf *out, struct diagnostics *diagnostics, struct error *err) {
    struct declarations declarations;
    struct manifest_options stack = *options;
    stack.is_stack = true;
    return read_paths(paths, &stack, arena, &declarations, diagnostics, out, err);
}

struct position manifest_position(const struct declaration *declaration, const char *path) {
    const struct field_positions *positions = declaration->positions;
    if (positions == NULL) {
        return declaration->at;
    }
    const struct yaml_node *node = bind_find(positions->root, path, /* wants_value= */ false);
    if (node == positions->root) {
        return declaration->at;
    }
    return (struct position){positions->sources[node->source].name, node->line, node->column};
}
