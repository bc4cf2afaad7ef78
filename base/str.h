// SPDX-License-Identifier: Apache-2.0
//
// base/str.h — the few things C strings need: comparing, parsing numbers strictly, natural order, edit
// distance, escaping.
#ifndef MUSTER_BASE_STR_H
#define MUSTER_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

static inline bool str_is_empty(const char *text) {
    return text == 0 || text[0] == '\0';
}
bool str_equal(const char *a, const char *b); // NULL equals ""
bool str_equal_nocase(const char *a, const char *b);
bool str_starts(const char *text, const char *prefix);
bool str_ends(const char *text, const char *suffix);
bool str_copy(char *out, size_t out_bytes, const char *text); // false (and out = "") when it does not fit

// Whole-string decimal numbers: no blanks, no plus, no leading zeros beyond "0", no overflow. False leaves
// `out` untouched.
bool str_to_int(const char *text, int64_t *out);
bool str_to_double(const char *text, double *out); // finite decimal ("1", "0.5"); locale-free

// "web2" before "web10" (digits compare as numbers); for qsort-like orders.
int str_compare_natural(const char *a, const char *b);

// Levenshtein distance with transpositions (Damerau), at most `limit + 1`; for "did you mean".
size_t str_distance(const char *a, const char *b, size_t limit);
// The candidate nearest to `word` within a third of its length (at least 1), or NULL.
const char *str_nearest(const char *word, const char *const *candidates, size_t count);

// Decodes the first character of `len` bytes and returns how many it takes; 0 when they are not well-formed
// (RFC 3629) or none.
size_t str_decode(const char *text, size_t len, uint32_t *out);
bool str_is_utf8(const char *text, size_t len); // well-formed, no NUL
bool str_is_safe(uint32_t codepoint);           // can neither move the cursor nor lie about reading order
// Appends text safe for terminals: C0 but (optionally) \n and \t, DEL, C1, bidi overrides and invalid UTF-8
// as \xNN / \u{NNNN}.
void str_escape(struct buf *out, const char *text, size_t len, bool keep_newlines);
// The same for one character of `len` > 0 bytes, without memory: writes its safe form and returns how many
// bytes it took.
#define STR_ESCAPED_BYTES 16
size_t str_escape_next(const char *text, size_t len, char out[STR_ESCAPED_BYTES]);
// Display columns of UTF-8 text (base/width.h; what cannot be printed counts as escaped).
size_t str_columns(const char *text);

// One validator for every name that becomes a path, a cgroup, a log tag: [a-z0-9A-Z] first, then
// [a-zA-Z0-9_.-], at most max bytes.
bool str_is_name(const char *text, size_t max);

#endif
