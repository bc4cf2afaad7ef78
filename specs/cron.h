// SPDX-License-Identifier: Apache-2.0
//
// specs/cron.h — "*/5 8-18 * * mon-fri": when something is to happen, and when that is next.
//
// Model        Five fields: minute, hour, day of the month, month, day of the week (0 and 7 are Sunday), each
//              `*`, numbers, names (jan, mon), ranges, lists, and steps of `*` or a range; or @hourly, @daily,
//              @midnight, @weekly, @monthly, @yearly, @annually. As in cron, with both days given either will
//              do; with one of them `*…`, both must hold.
// Clocks       The fields are wall-clock time of a zone. When its clocks are put forward, what would have been
//              in the hour that is left out happens once, at its end; when they are put back, what is in the
//              hour that comes twice happens the first time only. What is not tied to an hour (`*` as the
//              hour) goes by the minutes that really pass.
#ifndef MUSTER_SPECS_CRON_H
#define MUSTER_SPECS_CRON_H

#include "base/error.h"
#include "specs/zone.h"

struct cron {
    uint64_t minutes;      // bit 0 is minute 0
    uint32_t hours;        // bit 0 is midnight
    uint32_t days, months; // bit 1 is the first
    uint32_t weekdays;     // bit 0 is Sunday
    bool either_day_will_do;
};

// -ERR_INVALID names the character, and what may stand there.
int cron_parse(const char *text, struct cron *out, struct error *err);

// The first moment after `after_unix_s` in that zone (NULL = UTC), to the minute. -1 when there is none within
// ten years, as for February 30.
int64_t cron_next(const struct cron *cron, const struct zone *zone, int64_t after_unix_s);

#endif
