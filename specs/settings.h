// SPDX-License-Identifier: Apache-2.0
//
// specs/settings.h — a program's settings by a field table: a flat YAML map, or one value at a time.
#ifndef MUSTER_SPECS_SETTINGS_H
#define MUSTER_SPECS_SETTINGS_H

#include "specs/schema.h"

// Reads `name: value` lines (one YAML map) into `object`, over what it holds. -ERR_INVALID with
// file:line:column and what to write instead, for the first mistake; the number of others is told.
int settings_parse(const char *file, const struct schema *schema, struct bytes text, void *object,
                   struct arena *arena, struct error *err);

// One scalar from its text; the error's root says what a good value looks like. `text` is kept.
int settings_set(const struct field *field, const char *text, void *object, struct arena *arena,
                 struct error *err);

#endif
