// SPDX-License-Identifier: Apache-2.0
//
// base/clock.h — the two clocks, for the rim only; pure code gets the time as a parameter.
#ifndef MUSTER_BASE_CLOCK_H
#define MUSTER_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#define NS_PER_MS 1000000LL
#define NS_PER_S 1000000000LL

int64_t clock_unix_ms(void);
int64_t clock_unix_ns(void);
int64_t clock_mono_ms(void);
int64_t clock_mono_ns(void);

// RFC 3339 in UTC with milliseconds, "2026-01-31T12:00:00.123Z"; returns out (at least 32 bytes).
const char *clock_format_rfc3339(int64_t unix_ms, char *out, size_t out_bytes);
// The inverse, with or without fraction, `Z` or ±hh:mm. Returns 0, or -ERR_INVALID.
int clock_parse_rfc3339(const char *text, int64_t *out_unix_ms);

#endif
