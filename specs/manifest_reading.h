// SPDX-License-Identifier: Apache-2.0
//
// specs/manifest_reading.h — the state of reading spec files, shared by the parts of the reader. Private to
// specs/.
#ifndef MUSTER_SPECS_MANIFEST_READING_H
#define MUSTER_SPECS_MANIFEST_READING_H

#include "base/map.h"
#include "specs/manifest_bind.h"

struct field_positions {
    const struct source_text *sources; // by yaml_node.source
    const struct yaml_node *key;       // where the declaration begins, for people: a Compose service's name
    const struct yaml_node *root;      // its map
};

struct reading {
    struct arena *arena;
    struct arena scratch; // for what dies with one declaration
    const struct manifest_options *options;
    struct reporter reporter;
    struct declarations *out;
    struct map seen;       // "service/web" → its declaration's index + 1
    const char *directory; // of the file under way, absolute
    bool reads_files;      // whether files named in the text may be opened
    struct variables variables;
    struct binder binder;
    size_t errors_before;  // of the declaration under way
    size_t reports_before; // of the text under way
};

// One object on its way from text to declaration.
struct draft {
    enum object_kind kind;
    void *spec;
    const char *stack; // "" for typed documents
    struct field_positions where;
};

// A spec with its defaults.
void *draft_new(struct reading *r, enum object_kind kind);
// Files read, rules checked, put into canonical form, listed. Reports what is wrong.
void draft_finish(struct reading *r, struct draft *draft);
void draft_error(struct reading *r, const struct draft *draft, const char *path, const char *code,
                 const char *hint, const char *format, ...) __attribute__((format(printf, 6, 7)));

// specs/manifest_files.c — what a declaration takes from beside its file.
void draft_read_files(struct reading *r, struct draft *draft);
// `text` against the file's directory, without "." and ".."; an absolute one is only normalised.
const char *path_resolve(struct arena *arena, const char *directory, const char *text);
void variables_read_dotenv(struct reading *r);

// specs/compose.c
void compose_read(struct reading *r, const struct yaml_node *document);

// specs/compose_merge.c: one Compose file on top of another, by the Compose Specification's rules. What both have
// comes from `over`; the nodes of both are shared.
struct yaml_node compose_merge(const struct yaml_node *base, const struct yaml_node *over,
                               struct arena *arena);

// specs/compose_config.c: the document as YAML text, its variables filled in; NULL leaves them as they are.
void compose_config(const struct yaml_node *document, const struct variables *variables, struct arena *arena,
                    struct buf *out);

// specs/manifest_source.c
// The files that the paths stand for, in order.
int source_list(const struct strings *paths, struct arena *arena, struct strings *out, struct error *err);
int source_read(const char *path, struct buf *out,
                struct error *err);        // the caller frees `out`, also after an error
const char *source_name(const char *path); // as positions have it

#endif
