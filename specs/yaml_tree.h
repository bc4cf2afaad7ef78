// SPDX-License-Identifier: Apache-2.0
//
// specs/yaml_tree.h — YAML text as a tree in which every node knows where it was written.
//
// Built from libyaml's events under limits that are enforced while parsing: depth, nodes after alias expansion, anchors, scalar length. libyaml alone is
// quadratic in nesting and knows no bound.
#ifndef MUSTER_SPECS_YAML_TREE_H
#define MUSTER_SPECS_YAML_TREE_H

#include "base/arena.h"
#include "base/error.h"
#include "specs/manifest.h"

enum yaml_kind { YAML_NULL, YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml_node {
    enum yaml_kind kind;
    bool is_plain;        // a scalar without quotes
    int64_t line, column; // from 1
    const char *text;     // SCALAR, NULL-terminated
    size_t count;
    struct yaml_node **items; // LIST: values; MAP: key, value, key, value… (2 * count nodes)
};

struct yaml_documents {
    size_t count;
    struct yaml_node **items; // empty documents are left out
};

// Where and why the text is not acceptable; `code` as in diagnostics.
struct yaml_problem {
    int64_t line, column;
    int64_t other_line, other_column; // a second place worth showing; 0 = none
    const char *code, *text, *hint;
};

// 0, or 1 with the problem filled in (the first one: what follows a syntax error is noise).
int yaml_parse(const char *text, size_t len, struct arena *arena, struct yaml_documents *out, struct yaml_problem *problem);

struct yaml_node *yaml_get(const struct yaml_node *map, const char *key); // NULL when absent

#endif
