// SPDX-License-Identifier: Apache-2.0
//
// specs/diagnostic.h — what is wrong with a spec file, where, what to write instead; and the table of codes.
//
// A code is stable: scripts and people look it up with `muster explain errors`. E01 is YAML itself, E02 the
// shape of documents and names of fields, E03 values, E04 variables and files, E05 references between
// objects; W06 are warnings. Private to specs/, but for the table.
#ifndef MUSTER_SPECS_DIAGNOSTIC_H
#define MUSTER_SPECS_DIAGNOSTIC_H

#include "specs/manifest.h"

struct diagnostic_code {
    const char *code;        // "E0107"
    const char *title;       // "a key is given twice"
    const char *explanation; // a few sentences: why, and what to do
};
extern const struct diagnostic_code diagnostic_codes[];
extern const size_t diagnostic_code_count;
// NULL when there is no such code; letter case does not matter.
const struct diagnostic_code *diagnostic_code_find(const char *code);

// A text that is being read.
struct source_text {
    const char *name; // as in positions
    const char *text;
    size_t len;
};

// Collects diagnostics: the first DIAGNOSTICS_MAX of each sort are kept with their snippets, the others are
// only counted.
struct reporter {
    struct arena *arena;
    struct diagnostics *out;
    const struct source_text *sources; // the texts under way: one, or those that are read as one
    size_t source_count;               // 0 = none
};

// A place in one of reporter->sources; `other` is a second one worth showing first (line 0 = none).
struct place {
    int64_t line, column;
    int64_t other_line, other_column;
    size_t source;
};

// False when one more error would only be counted: finding a hint for it is not worth the time.
bool reporter_has_room(const struct reporter *reporter);
// `hint` and `path` may be ""; all texts are copied.
void reporter_add(struct reporter *reporter, struct place at, const char *code, const char *path,
                  const char *hint, const char *format, ...) __attribute__((format(printf, 6, 7)));

#endif
