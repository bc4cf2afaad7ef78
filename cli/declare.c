// SPDX-License-Identifier: Apache-2.0
//
// cli/declare.c — from files to declarations, from declarations to differences.
#include "cli/declare.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/map.h"
#include "base/str.h"
#include "cli/connect.h"
#include "cli/declare_contents.h"
#include "cli/output.h"

#define PRUNE_FREE 5     // removals that need no confirmation
#define PRUNE_FRACTION 5 // … nor does a fifth

// --- reading ---

static void print_diagnostics(const struct invocation *in, const struct diagnostics *diagnostics) {
    AUTO_BUF out = {0};
    if (str_equal(in->shared.output, "json") && diagnostics->count > 0) {
        diagnostics_json(diagnostics, &out);
        buf_addc(&out, '\n');
    } else {
        bool color = str_equal(in->shared.color, "always") || (in->screen.err_is_tty && in->screen.color);
        for (size_t i = 0; i < diagnostics->count; i++) {
            buf_adds(&out, i > 0 ? "\n" : "");
            diagnostic_render(&diagnostics->items[i], color, &out);
        }
    }
    fputs(buf_text(&out), stderr);
}

static struct manifest_options options_of(const struct declare_source *source) {
    return (struct manifest_options){.stack_name = source->stack,
                                     .set_name = source->set,
                                     .profiles = &source->profiles,
                                     .is_stack = source->is_stack};
}

static int report(const struct invocation *in, int rc, const struct diagnostics *diagnostics,
                  struct error *err) {
    print_diagnostics(in, diagnostics);
    if (rc == 0 || str_equal(in->shared.output, "json")) {
        return rc == 0 ? 0 : -ERR_INVALID; // the object on stderr has said it all
    }
    size_t count = diagnostics->error_count;
    return error_set(err, ERR_INVALID, "%zu error%s in the files, nothing was sent", count,
                     count == 1 ? "" : "s");
}

int declare_read(const struct invocation *in, const struct declare_source *source, struct declarations *out,
                 struct diagnostics *diagnostics, struct error *err) {
    const struct manifest_options options = options_of(source);
    int rc = manifest_read(&source->files, &options, in->arena, out, diagnostics, err);
    return rc < 0 ? rc : report(in, rc, diagnostics, err);
}

int declare_config(const struct invocation *in, const struct declare_source *source, bool keeps_variables,
                   struct buf *out, struct error *err) {
    struct diagnostics diagnostics = {0};
    struct manifest_options options = options_of(source);
    options.keeps_variables = keeps_variables;
    int rc = manifest_config(&source->files, &options, in->arena, out, &diagnostics, err);
    return rc < 0 ? rc : report(in, rc, &diagnostics, err);
}

static const char *last_part(const char *path, struct arena *arena) {
    char real[PATH_MAX];
    const char *whole = realpath(path, real) != NULL ? real : path;
    const char *slash = strrchr(whole, '/');
    char *name = arena_strdup(arena, slash != NULL ? slash + 1 : whole);
    char *dot = strrchr(name, '.');
    if (dot != NULL && dot != name &&
        (str_equal(dot, ".yaml") || str_equal(dot, ".yml") || str_equal(dot, ".json"))) {
        *dot = '\0';
    }
    return name;
}

const char *declare_owner(const struct declare_source *source, const struct declaration *declaration,
                          struct arena *arena) {
    if (!str_is_empty(source->set)) {
        return arena_printf(arena, "set:%s", source->set);
    }
    if (!str_is_empty(declaration->stack)) {
        return arena_printf(arena, "stack:%s", declaration->stack);
    }
    if (str_equal(source->files.items[0], "-")) {
        return "";
    }
    return arena_printf(arena, "file:%s", last_part(source->files.items[0], arena));
}

// --- comparing ---

struct stock {
    struct client *client;
    struct arena *arena;
    struct map by_name; // objects by "kind/name"
    struct object_list lists[KIND_END];
    bool is_loaded[KIND_END];
};

static const char *key_of(struct arena *arena, enum object_kind kind, const char *name) {
    return arena_printf(arena, "%s/%s", object_kind_name(kind), name);
}

static bool is_leaving(enum object_kind kind, const void *object) {
    return kind == KIND_SERVICE && ((const struct service *)object)->removing;
}

static int stock_load(struct stock *stock, enum object_kind kind, struct error *err) {
    if (stock->is_loaded[kind]) {
        return 0;
    }
    stock->is_loaded[kind] = true;
    int rc = connect_list(stock->client, kind, NULL, stock->arena, &stock->lists[kind], err);
    for (size_t i = 0; rc == 0 && i < stock->lists[kind].count; i++) {
        void *object = stock->lists[kind].items[i];
        if (!is_leaving(kind, object)) {
            map_put(&stock->by_name, key_of(stock->arena, kind, object_meta(object)->name), object);
        }
    }
    return rc;
}

static int compare_one(struct stock *stock, const struct declaration *declaration, struct comparisons *out,
                       struct error *err) {
    int rc = stock_load(stock, declaration->kind, err);
    if (rc < 0) {
        return rc;
    }
    struct comparison *item = ARENA_PUSH(stock->arena, out);
    *item =
        (struct comparison){.kind = declaration->kind, .name = declaration->name, .declaration = declaration};
    item->object = map_get(&stock->by_name, key_of(stock->arena, declaration->kind, declaration->name));
    if (item->object == NULL) {
        item->action = DECLARE_NEW;
        return 0;
    }
    const void *before = (const char *)item->object + object_spec_offset(declaration->kind);
    const void *now = declare_without_contents(declaration->kind, before, declaration->spec, stock->arena);
    schema_diff(object_spec_schema(declaration->kind), before, now, stock->arena, &item->differences);
    item->action = item->differences.count > 0 ? DECLARE_CHANGED : DECLARE_SAME;
    return 0;
}

// What the owners of the files declared once, and the files do not hold any more. The volumes of a stack hold
// data, and stay.
static int add_removals(struct stock *stock, const struct declare_source *source, const struct map *declared,
                        const struct map *owners, struct comparisons *out, struct error *err) {
    static const enum object_kind kinds[] = {KIND_SERVICE, KIND_NETWORK, KIND_SECRET, KIND_CONFIG,
                                             KIND_VOLUME};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        int rc = source->is_stack && kinds[k] == KIND_VOLUME ? 0 : stock_load(stock, kinds[k], err);
        if (rc < 0) {
            return rc;
        }
        for (size_t i = 0; i < stock->lists[kinds[k]].count; i++) {
            const void *object = stock->lists[kinds[k]].items[i];
            const struct meta *meta = object_meta_const(object);
            bool is_theirs = meta->owner[0] != '\0' && map_get(owners, meta->owner) != NULL;
            if (is_theirs && !is_leaving(kinds[k], object) &&
                map_get(declared, key_of(stock->arena, kinds[k], meta->name)) == NULL) {
                *ARENA_PUSH(stock->arena, out) = (struct comparison){
                    .action = DECLARE_REMOVED, .kind = kinds[k], .name = meta->name, .object = object};
            }
        }
    }
    return 0;
}

int declare_compare(struct client *client, const struct declare_source *source,
                    const struct declarations *declared, bool prune, struct arena *arena,
                    struct comparisons *out, struct error *err) {
    struct stock stock = {.client = client, .arena = arena};
    struct map names = {0};
    struct map owners = {0};
    static char present;
    int rc = 0;
    if (source->is_stack) { // also of files that declare nothing any more
        map_put(&owners, arena_printf(arena, "stack:%s", source->stack), &present);
    }
    for (size_t i = 0; rc == 0 && i < declared->count; i++) {
        const struct declaration *declaration = &declared->items[i];
        map_put(&names, key_of(arena, declaration->kind, declaration->name), &present);
        map_put(&owners, declare_owner(source, declaration, arena), &present);
        rc = compare_one(&stock, declaration, out, err);
    }
    if (rc == 0 && declare_has_contents(out)) {
        rc = stock_load(&stock, KIND_SERVICE, err);
        rc = rc < 0 ? rc : declare_compare_contents(client, &stock.by_name, arena, out, err);
    }
    if (rc == 0 && prune) {
        rc = add_removals(&stock, source, &names, &owners, out, err);
    }
    map_free(&names);
    map_free(&owners);
    map_free(&stock.by_name);
    return rc;
}

int declare_guard(const struct comparisons *comparisons, bool yes, struct error *err) {
    size_t removed = 0;
    size_t known = 0;
    for (size_t i = 0; i < comparisons->count; i++) {
        removed += comparisons->items[i].action == DECLARE_REMOVED;
        known += comparisons->items[i].action != DECLARE_NEW;
    }
    size_t allowed = known / PRUNE_FRACTION > PRUNE_FREE ? known / PRUNE_FRACTION : PRUNE_FREE;
    if (removed > allowed && !yes) {
        return error_set(
            err, ERR_GUARD,
            "%zu of %zu objects would be removed, more than %zu: look with 'muster diff --prune', then "
            "say --yes",
            removed, known, allowed);
    }
    return 0;
}
