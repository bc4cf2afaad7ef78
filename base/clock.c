// SPDX-License-Identifier: Apache-2.0
//
// base/clock.c — clock_gettime, and RFC 3339 both ways.
#include "base/clock.h"

#include <stdbool.h>
#include <stdio.h>
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
    snprintf(out, out_bytes, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1,
             tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)ms);
    return out;
}

// Takes exactly `digits` digits and then `end` (any character when '\0') off the text.
static bool take_number(const char **text, int digits, char end, int min, int max, int *out) {
    int value = 0;
    for (int i = 0; i < digits; i++, (*text)++) {
        if (**text < '0' || **text > '9') {
            return false;
        }
        value = value * 10 + (**text - '0');
    }
    if (end != '\0' && *(*text)++ != end) {
        return false;
    }
    *out = value;
    return value >= min && value <= max;
}

// ".123456" in milliseconds, cut, not rounded; nothing when there is no point.
static bool take_fraction(const char **text, int *out_ms) {
    *out_ms = 0;
    if (**text != '.') {
        return true;
    }
    const char *digits = ++*text;
    for (int unit = 100; **text >= '0' && **text <= '9'; (*text)++, unit /= 10) {
        *out_ms += (**text - '0') * unit;
    }
    return *text > digits;
}

// "Z" or "+hh:mm" up to the end.
static bool take_offset(const char *text, int *out_minutes) {
    if (text[0] == 'Z' || text[0] == 'z') {
        *out_minutes = 0;
        return text[1] == '\0';
    }
    int sign = text[0] == '+' ? 1 : -1;
    int hours;
    int minutes;
    if ((text[0] != '+' && text[0] != '-') || (text++, !take_number(&text, 2, ':', 0, 23, &hours)) ||
        !take_number(&text, 2, '\0', 0, 59, &minutes)) {
        return false;
    }
    *out_minutes = sign * (hours * 60 + minutes);
    return *text == '\0';
}

int clock_parse_rfc3339(const char *text, int64_t *out_unix_ms) {
    struct tm tm = {0};
    int ms;
    int offset_minutes;
    if (!take_number(&text, 4, '-', 1, 9999, &tm.tm_year) || !take_number(&text, 2, '-', 1, 12, &tm.tm_mon) ||
        !take_number(&text, 2, 'T', 1, 31, &tm.tm_mday) || !take_number(&text, 2, ':', 0, 23, &tm.tm_hour) ||
        !take_number(&text, 2, ':', 0, 59, &tm.tm_min) || !take_number(&text, 2, '\0', 0, 60, &tm.tm_sec) ||
        !take_fraction(&text, &ms) || !take_offset(text, &offset_minutes)) {
        return -ERR_INVALID;
    }
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    int day = tm.tm_mday;
    bool is_leap_second = tm.tm_sec == 60;
    int64_t seconds = (int64_t)timegm(&tm); // moves 30 February on to March
    if (tm.tm_mday != day && !is_leap_second) {
        return -ERR_INVALID;
    }
    *out_unix_ms = (seconds - offset_minutes * 60) * 1000 + ms;
    return 0;
}
