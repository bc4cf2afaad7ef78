// SPDX-License-Identifier: Apache-2.0
//
// specs/manifest.h — spec files: YAML in, checked declarations with positions out, all errors at once.
//
// Many documents in a file, many files, directories (*.yaml, *.yml in natural order, not hidden), "-" for
// stdin. A document is a typed one (`kind:` and `name:`) or a Compose file (top-level `services:`), which
// becomes a stack: names get the prefix `<stack>_`, labels com.docker.stack.namespace. Values are typed by
// our schema, not by how they look; duplicate and unknown keys, tabs, depth, size and alias bombs are
// errors with file:line:column and, for names, the nearest match.
#ifndef MUSTER_SPECS_MANIFEST_H
#define MUSTER_SPECS_MANIFEST_H

#include "specs/object.h"

struct position {
    const char *file;
    int64_t line, column; // from 1; 0 = unknown
};

struct diagnostic {
    struct position at;
    const char *code;    // "E0231": stable, listed by `muster explain errors`
    const char *path;    // "deploy.replicas"; "" = the document
    const char *text;    // the reason
    const char *hint;    // "did you mean 'replicas'?"; "" = none
    const char *snippet; // the source line(s) with a caret line, ready to print; "" = none
    bool is_warning;
};
struct diagnostics {
    size_t count; // at most DIAGNOSTICS_MAX errors and as many warnings are kept
    struct diagnostic *items;
    size_t error_count, warning_count; // kept or not; after some hundred errors nothing more is read
};

struct declaration {
    enum object_kind kind;
    void *spec; // struct service_spec, node_spec, …: validated, canonical
    const char *name;
    const char *stack; // "" unless it came from a Compose file
    struct position at;
    struct field_positions *positions; // for position_of
};
struct declarations {
    size_t count;
    struct declaration *items;
};

struct manifest_options {
    const char *stack_name;        // for Compose files: NULL = top-level `name:`, else the directory's name
    const char *set_name;          // owner of what is applied: NULL = derived
    const struct pairs *variables; // for ${VAR}; NULL = the process environment (Compose files only)
    const struct strings *profiles;
    // The files are Compose files laid over each other, as by `docker stack deploy -c a -c b`: one stack. Relative
    // paths start from the first.
    bool is_stack;
    bool keeps_variables; // manifest_config alone: ${VAR} stays, and values are not checked
};

// Reads all files. 0: `out` is complete (there may be warnings). 1: there are errors, `out` is empty.
// Negative: no file could be read as such (-ERR_NOT_FOUND, -ERR_LIMIT, -ERR_SYSTEM). Relative image and
// bind paths (`oci-archive:./x.tar`, `./data`) become absolute against the file's directory. env_file is
// read here.
int manifest_read(const struct strings *paths, const struct manifest_options *options, struct arena *arena,
                  struct declarations *out, struct diagnostics *diagnostics, struct error *err);
// The same for text in memory; `name` stands in positions, and its directory is what relative paths start from.
// Files named in the text (env_file, file) are not read but refused.
int manifest_parse(const char *name, const char *text, size_t len, const struct manifest_options *options,
                   struct arena *arena, struct declarations *out, struct diagnostics *diagnostics,
                   struct error *err);

// The files of a stack as one Compose file, checked as manifest_read does, variables filled in. Returns as
// manifest_read.
int manifest_config(const struct strings *paths, const struct manifest_options *options, struct arena *arena,
                    struct buf *out, struct diagnostics *diagnostics, struct error *err);

// Where a field of a declaration was written (the nearest ancestor that has a position).
struct position manifest_position(const struct declaration *declaration, const char *path);

// "shop.yaml:14:7: error E0231: 'replica' is not a field of a service" with snippet and hint, as reference:
// cargo, clang.
void diagnostic_render(const struct diagnostic *diagnostic, bool color, struct buf *out);
void diagnostics_json(const struct diagnostics *diagnostics, struct buf *out);

#endif
