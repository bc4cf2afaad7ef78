// SPDX-License-Identifier: Apache-2.0
//
// specs/zone.h — how far the clocks of a time zone are from UTC, and since when: the contents of a TZif file.
//
// Reading the file is the caller's business; here its bytes are understood (RFC 8536, version 2 and later).
// The rule at its end, which holds from the last listed change on, is spelled out up to ZONE_YEAR_LAST.
#ifndef MUSTER_SPECS_ZONE_H
#define MUSTER_SPECS_ZONE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "specs/schema.h"

#define ZONE_BYTES_MAX 65536
#define ZONE_YEAR_LAST 2100

struct zone_change {
    int64_t at_unix_s;
    int64_t offset_s; // of local time from UTC, from then on
};

struct zone {
    const char *name;
    int64_t first_offset_s; // before the first change
    LIST_OF(struct zone_change) changes;
};

// A time within which the offset does not change.
struct zone_span {
    int64_t from_unix_s, until_unix_s; // INT64_MIN, INT64_MAX at the ends
    int64_t offset_s, offset_before_s;
};

// In the arena. -ERR_INVALID: the bytes are no TZif file that can be understood.
int zone_parse(const char *name, struct bytes bytes, struct arena *arena, struct zone *out,
               struct error *err);
// zone NULL = UTC.
struct zone_span zone_span_at(const struct zone *zone, int64_t unix_s);
// "Europe/Berlin": may it be the name of a zone, and no way out of the directory of zones?
bool zone_name_is_valid(const char *name);

// Days since 1970-01-01 of a date of the Gregorian calendar, and back.
int64_t days_from_date(int64_t year, int month, int day);
void date_from_days(int64_t days, int64_t *year, int *month, int *day);
// 0 = Sunday.
int weekday_of_days(int64_t days);

#endif
