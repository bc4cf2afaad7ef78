// SPDX-License-Identifier: Apache-2.0
//
// specs/manifest_bind.h — from a YAML tree to a struct by its field table, with every mistake reported at
// its place.
//
// What a scalar means is up to the row: a string field given `no`, `1.10` or `0755` keeps the text. null
// means "not given". Binding never stops at the first mistake; the caller looks at the reporter's count.
// Private to specs/.
#ifndef MUSTER_SPECS_MANIFEST_BIND_H
#define MUSTER_SPECS_MANIFEST_BIND_H

#include "specs/diagnostic.h"
#include "specs/interpolate.h"
#include "specs/yaml_tree.h"

// The way from the declaration's root to the value at hand, kept on the C stack.
struct bind_path {
    const struct bind_path *parent; // NULL at the root
    const char *name;               // of a field or key; NULL for an item of a list
    size_t index;
};

struct binder {
    struct arena *arena;
    struct reporter *reporter;
    // Filled into scalars when `interpolates`; source of environment entries without a value
    const struct variables *variables;
    bool interpolates;
    bool reads_environment; // `environment: [NAME]` takes the value from the variables
    const struct schema *root;
    size_t bytes_start, bytes_max; // what this file may take from the arena
    bool is_over;                  // … and it did: reported once
};

// Keys that a map may hold beside its schema's fields ("kind").
bool bind_object(struct binder *b, const struct schema *schema, const struct yaml_node *node, void *object,
                 const struct bind_path *path, const char *extra_key);

// Reports at the place of a node. `path` may be NULL.
void bind_error(struct binder *b, const struct yaml_node *node, const char *code,
                const struct bind_path *path, const char *hint, const char *format, ...)
    __attribute__((format(printf, 6, 7)));
// Text of a scalar with its variables filled in; NULL when it is not a scalar or a variable failed
// (reported).
const char *bind_text(struct binder *b, const struct yaml_node *node, const struct bind_path *path);

// Where `path` ("deploy.replicas", "ports[2]", "environment.MODE") was written below `root`: the nearest
// ancestor that was. In a map that is the key, or, with `wants_value`, a single value behind it.
const struct yaml_node *bind_find(const struct yaml_node *root, const char *path, bool wants_value);

// Compose keys that are not fields: accepted and ignored, or refused with what to write instead.
struct foreign_key {
    const char *schema, *key;
    bool is_error;
    const char *text; // a warning's reason, or an error's remedy; NULL: accepted, and read elsewhere
};
const struct foreign_key *foreign_key_find(const char *schema, const char *key); // specs/compose_keys.c

// Splits a command line as a POSIX shell does (quotes and backslashes, no expansion). False when a quote is
// left open.
bool bind_split(const char *text, struct arena *arena, struct strings *out);

// --- the parts ---

void bind_scalar(struct binder *b, const struct field *field, const struct yaml_node *node, void *object,
                 const struct bind_path *path);
void bind_strings(struct binder *b, const struct field *field, const struct yaml_node *node, void *object,
                  const struct bind_path *path);
void bind_pairs(struct binder *b, const struct field *field, const struct yaml_node *node, void *object,
                const struct bind_path *path);
void bind_list(struct binder *b, const struct field *field, const struct yaml_node *node, void *object,
               const struct bind_path *path);
// "'ports' needs a list, not a map"
void bind_wrong_shape(struct binder *b, const struct yaml_node *node, const struct bind_path *path,
                      const char *wanted);
// Whether the file took more than it may: reported once, then nothing more is bound.
bool bind_is_over(struct binder *b, const struct yaml_node *node);

#endif
