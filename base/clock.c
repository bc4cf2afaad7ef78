// SPDX-License-Identifier: Apache-2.0
//
// base/clock.c — clock_gettime, and RFC 3339 both ways.
#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/error.h"

static int64_t read_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

int64_t clock_unix_ns(void) {
    return read_ns(CLOCK_REALTIME);
}

int64_t clock_unix_ms(void) {
    return clock_unix_ns() / NS_PER_MS;
}

int64_t clock_mono_ns(void) {
    return read_ns(CLOCK_MONOTONIC);
}

int64_t clock_mono_ms(void) {
    return clock_mono_ns() / NS_PER_MS;
}

const char *clock_format_rfc3339(int64_t unix_ms, char *out, size_t out_bytes) {
    int64_t ms = ((unix_ms % 1000) + 1000) % 1000;
    time_t seconds = (time_t)((unix_ms - ms) / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    snprintf(out, out_bytes, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
             tm.tm_min, tm.tm_sec, (int)ms);
    return out;
}

int clock_parse_rfc3339(const char *text, int64_t *out_unix_ms) {
    struct tm tm = {0};
    int used = 0;
    if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec,
               &used) != 6) {
        return -ERR_INVALID;
    }
    if (tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 || tm.tm_min > 59 ||
        tm.tm_sec > 60 || tm.tm_year < 1) {
        return -ERR_INVALID;
    }
    const char *rest = text + used;
    int64_t ms = 0;
    if (*rest == '.') {
        int64_t unit = 100;
        for (rest++; *rest >= '0' && *rest <= '9'; rest++, unit /= 10) {
            ms += (*rest - '0') * unit;
        }
    }
    int hours = 0;
    int minutes = 0;
    char end = '\0';
    if (strcmp(rest, "Z") != 0 &&
        (sscanf(rest, "%*[+-]%2d:%2d%c", &hours, &minutes, &end) != 2 || hours > 23 || minutes > 59)) {
        return -ERR_INVALID;
    }
    int offset_s = (hours * 60 + minutes) * 60 * (*rest == '-' ? -1 : 1);
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    *out_unix_ms = ((int64_t)timegm(&tm) - offset_s) * 1000 + ms;
    return 0;
}
