// SPDX-License-Identifier: Apache-2.0
//
// specs/constraint.h — placement expressions: `node.labels.disk == ssd`, Swarm's language.
#ifndef MUSTER_SPECS_CONSTRAINT_H
#define MUSTER_SPECS_CONSTRAINT_H

#include "specs/node.h"

struct constraint {
    const char *key; // "node.labels.disk", "node.role", …
    bool negated;    // !=
    const char *value;
};

// "key==value" or "key!=value", blanks around the operator allowed; the error names what is wrong with it.
int constraint_parse(const char *text, struct arena *arena, struct constraint *out, struct error *err);
// Keys: node.id, node.hostname, node.ip (address or CIDR), node.role, node.platform.os, node.platform.arch
// (amd64 ≡ x86_64, arm64 ≡ aarch64), node.labels.*, engine.labels.*. Values compare without case. An
// unknown key never matches.
bool constraint_matches(const struct constraint *constraint, const struct node *node);
// Is it one of those keys? The error says which it could be.
int constraint_check_key(const char *key, struct error *err);
// The value of a key for a node ("" when absent); for spread preferences.
const char *constraint_value(const char *key, const struct node *node);
// Does "amd64" mean the same machine as "x86_64", and "arm/v7" as "armv7l"? "arm" alone means each that runs
// 32-bit ARM.
bool constraint_arch_equal(const char *a, const char *b);

#endif
