// SPDX-License-Identifier: Apache-2.0
//
// base/units.h — durations, sizes and CPUs as people write them, and back.
//
// Durations follow Go ("90s", "1h30m", "1.5s", "100ms", "0"), sizes are binary ("64m", "1g", "1GiB", "512",
// "10kb"), CPUs are decimal and kept in billionths. Printing gives the shortest exact form, and what is
// printed parses back to the same value.
#ifndef MUSTER_BASE_UNITS_H
#define MUSTER_BASE_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// False leaves `out` untouched.
bool units_parse_duration(const char *text, int64_t *out_ns);
bool units_parse_bytes(const char *text, int64_t *out_bytes);
bool units_parse_cpus(const char *text, int64_t *out_nano);

// All return `out`; 32 bytes are always enough.
const char *units_format_duration(int64_t ns, char *out, size_t out_bytes); // "1h30m0s" → "1h30m"
const char *units_format_bytes(int64_t bytes, char *out, size_t out_bytes); // exact: "64M", "1G", "1234567"
const char *units_format_cpus(int64_t nano, char *out, size_t out_bytes);   // "0.5", "2"

// For people: "About a minute", "2 hours", "3 days" (Docker's words), and "1.944GiB" / "23.5MB".
const char *units_human_duration(int64_t ms, char *out, size_t out_bytes);
const char *units_human_bytes(int64_t bytes, char *out, size_t out_bytes);

#endif
