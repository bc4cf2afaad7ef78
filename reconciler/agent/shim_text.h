// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/shim_text.h — text of bounded length, built from pieces without printf and without malloc.
//
// What does not fit is cut off. The text always ends in a NUL that `len` does not count.
#ifndef MUSTER_RECONCILER_AGENT_SHIM_TEXT_H
#define MUSTER_RECONCILER_AGENT_SHIM_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct shim_text {
    char *data; // borrowed
    size_t len, cap;
};

// Starts an empty text in `data`, which holds `cap` (> 0) bytes.
void shim_text_init(struct shim_text *text, char *data, size_t cap);
void shim_text_bytes(struct shim_text *text, const void *data, size_t len);
void shim_text_str(struct shim_text *text, const char *str);
void shim_text_u64(struct shim_text *text, uint64_t value);

// Reads a decimal number that is the whole of `str` and at most `max`.
bool shim_text_parse_u64(const char *str, uint64_t max, uint64_t *out);

#endif
