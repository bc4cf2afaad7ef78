// SPDX-License-Identifier: Apache-2.0
//
// cli/output.h — lists of objects as people and programs want them: tables, JSON, YAML, names, templates.
//
// A noun describes itself once, as a `struct listing`: its columns (cells are functions of a row), its
// filters, and the object behind a row. -o, -q, --format, --filter and --no-trunc then mean the same for
// every noun.
//
// Model        Tables never wrap. On a terminal, columns that may be cut give way until the line fits; off it
//              nothing is cut, and nothing is coloured. Columns are apart as Docker's are. Cells go through
//              str_escape, whatever they hold.
#ifndef MUSTER_CLI_OUTPUT_H
#define MUSTER_CLI_OUTPUT_H

#include "cli/command.h"
#include "specs/object.h"

// What a cell may want to know besides its row.
struct cell_context {
    int64_t now_unix_ms;
    bool full_ids;   // not cut at 12 characters
    bool full_texts; // not cut at all
    bool is_table;   // marks for the eye (" \_ ") belong into it
};

enum column_flag {
    COLUMN_WIDE = 1,     // in tables only with -o wide
    COLUMN_TEMPLATE = 2, // in no table: only for --format
    COLUMN_CUT = 4,      // may be cut on a narrow terminal
    COLUMN_DROP = 8,     // may be left out there
};
struct column {
    const char *name;   // in templates: "DesiredState"
    const char *header; // in tables: "DESIRED STATE"
    unsigned flags;
    void (*cell)(const void *row, const struct cell_context *context, struct buf *out);
    const char *(*tint)(const void *row); // an SGR parameter ("32") or NULL; NULL = never
};

struct filter_row {
    const char *key;
    // Whether the row matches the value. -1: the value is none of this key's (an error).
    int (*matches)(const void *row, const char *value);
};

struct listing {
    const char *noun; // "service", for -o name
    const struct column *columns;
    size_t column_count;
    const struct filter_row *filters;
    size_t filter_count;
    const char *(*id)(const void *row);   // for -q
    const char *(*name)(const void *row); // for -o name
    enum object_kind kind;                // for -o json and yaml
    const void *(*object)(const void *row);
};
struct rows {
    size_t count;
    const void **items;
};

struct output_options {
    const char *form;   // "table", "wide", "json", "yaml", "name"
    const char *format; // NULL = none; wins over quiet
    bool quiet, no_trunc, color;
    struct strings filters;
    size_t columns; // of the terminal; 0 = not a terminal
    int64_t now_unix_ms;
};
struct output_options output_options_of(const struct invocation *in);

// Keeps the rows that all filters let pass. -ERR_USAGE names the keys there are.
int output_filter(const struct listing *listing, const struct strings *filters, struct rows *rows,
                  struct arena *arena, struct error *err);
// Filters and appends the rows in the form that was asked for.
int output_render(const struct listing *listing, const struct output_options *options, struct rows rows,
                  struct buf *out, struct error *err);
// The same to stdout, by the options of the invocation.
int output_list(const struct invocation *in, const struct listing *listing, struct rows rows,
                struct error *err);

// A declared object as a document that `apply` reads: `kind: service`, then its spec. Other kinds: all of it.
void output_manifest(enum object_kind kind, const void *object, struct buf *out);
void output_manifest_json(enum object_kind kind, const void *object, enum json_style style, struct buf *out);

// A template over one JSON text, as `inspect --format` wants it; a line end follows.
int output_template(const char *format, const char *json, struct buf *out, struct error *err);

// Writes to stdout as it is.
void output_write(const struct buf *text);

// Whether an object's id or name matches as Docker's filters do (prefix), and `k`, `k=v` for labels.
bool output_matches_prefix(const char *text, const char *value);
bool output_matches_label(const struct pairs *labels, const char *value);

#endif
