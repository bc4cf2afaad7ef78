// SPDX-License-Identifier: Apache-2.0
//
// specs/yaml_tree.h — YAML text as a tree in which every value knows where it was written and, through an
// alias, where it is used.
//
// Built from libyaml's events, never from its documents, under limits that hold while parsing: depth,
// values with aliases expanded, anchors, length of scalars and of lists. libyaml alone knows no bound, is
// quadratic in nesting and in %TAG directives, and keeps silent about duplicate keys. Merge keys (`<<`) are
// resolved here. Scalars stay text: what they mean is up to the field they fill.
//
// Private to specs/.
#ifndef MUSTER_SPECS_YAML_TREE_H
#define MUSTER_SPECS_YAML_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

enum yaml_kind { YAML_NULL, YAML_SCALAR, YAML_LIST, YAML_MAP, YAML_ALIAS };

// 24 bytes: hostile files are made of many small values.
struct yaml_node {
    uint8_t kind;          // enum yaml_kind
    bool is_plain;         // SCALAR: without quotes
    uint16_t source;       // the text it was written in, as yaml_parse was told
    uint32_t line, column; // from 1, columns in characters; an ALIAS is where the value is used
    uint32_t count;        // LIST: items; MAP: pairs
    union {
        const char *text;              // SCALAR and NULL (as written)
        const struct yaml_node *items; // LIST: values; MAP: key, value, key, value…; keys are SCALAR or NULL
        const struct yaml_node *target; // ALIAS: where the value is defined, never an ALIAS itself
    };
};

// Beyond aliases, to the value itself.
static inline const struct yaml_node *yaml_value(const struct yaml_node *node) {
    return node->kind == YAML_ALIAS ? node->target : node;
}
const struct yaml_node *yaml_get(const struct yaml_node *map,
                                 const char *key); // the value (maybe an ALIAS), or NULL

struct yaml_documents {
    size_t count;
    struct yaml_node *items; // empty documents are left out
};

// Where and why a text is not acceptable; codes as in specs/diagnostic.h.
struct yaml_problem {
    uint32_t line, column;
    uint32_t other_line, other_column; // a second place worth showing; 0 = none
    const char *code, *text, *hint;
};
struct yaml_problems {
    size_t count; // at most YAML_PROBLEMS_MAX
    struct yaml_problem *items;
};
#define YAML_PROBLEMS_MAX 32

// 0, or 1 with problems. A key given twice does not end the parse; whatever else is wrong does: what
// follows a syntax error is noise. The documents before it are in `out` all the same. `source` is a number for
// the text, for trees that are put together from several.
int yaml_parse(const char *text, size_t len, uint16_t source, struct arena *arena, struct yaml_documents *out,
               struct yaml_problems *problems);

#endif
