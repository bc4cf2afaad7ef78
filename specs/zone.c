// SPDX-License-Identifier: Apache-2.0
//
// specs/zone.c — TZif: a header, a block of 32-bit data to be skipped, the same with 64 bits, a rule as text.
#include "specs/zone.h"

#include <string.h>

#include "base/str.h"

#define HEADER_BYTES 44
#define OFFSET_S_MAX (26 * 3600)
#define FIRST_UNIX_S INT64_C(-2208988800) // 1900: what was before is of no interest
#define LAST_UNIX_S INT64_C(32503680000)  // 3000

// --- dates ---

// Days from civil, and back: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
int64_t days_from_date(int64_t year, int month, int day) {
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

void date_from_days(int64_t days, int64_t *year, int *month, int *day) {
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * day_of_year + 2) / 153; // months from March
    *day = (int)(day_of_year - (153 * shifted + 2) / 5 + 1);
    *month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
    *year = year_of_era + era * 400 + (*month <= 2);
}

int weekday_of_days(int64_t days) {
    return (int)(((days + 4) % 7 + 7) % 7);
}

// --- the rule at the end: "CET-1CEST,M3.5.0,M10.5.0/3" ---

struct day_rule {
    char kind; // 'M', 'J', or 'n' for a day counted from 0
    int month, week, day;
    int64_t time_s;
};
struct rule {
    int64_t offset_s, summer_offset_s;
    bool has_summer;
    struct day_rule begin, end;
};

static bool take_name(const char **p) {
    size_t len = **p == '<' ? strcspn(*p, ">") + 1
                            : strspn(*p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
    if (len < 3 || strlen(*p) < len) {
        return false;
    }
    *p += len;
    return true;
}

static bool take_number(const char **p, int64_t most, int64_t *out) {
    size_t len = strspn(*p, "0123456789");
    *out = 0;
    for (size_t i = 0; i < len && i < 4; i++) {
        *out = *out * 10 + ((*p)[i] - '0');
    }
    *p += len;
    return len > 0 && len < 4 && *out <= most;
}

static bool take_char(const char **p, char wanted) {
    bool is_there = **p == wanted;
    *p += is_there;
    return is_there;
}

// [+-]hh[:mm[:ss]]
static bool take_time(const char **p, int64_t *out_s) {
    int64_t part = 0;
    bool is_negative = take_char(p, '-');
    if (!is_negative) {
        take_char(p, '+');
    }
    if (!take_number(p, 167, &part)) {
        return false;
    }
    *out_s = part * 3600;
    for (int64_t unit = 60; unit >= 1 && take_char(p, ':'); unit /= 60) {
        if (!take_number(p, 59, &part)) {
            return false;
        }
        *out_s += part * unit;
    }
    *out_s = is_negative ? -*out_s : *out_s;
    return true;
}

static bool take_day(const char **p, struct day_rule *out) {
    int64_t month = 1;
    int64_t week = 1;
    int64_t day;
    out->kind = **p == 'M' || **p == 'J' ? *(*p)++ : 'n';
    if (out->kind == 'M') {
        if (!take_number(p, 12, &month) || !take_char(p, '.') || !take_number(p, 5, &week) ||
            !take_char(p, '.') || month < 1 || week < 1) {
            return false;
        }
    }
    if (!take_number(p, out->kind == 'M' ? 6 : 365, &day)) {
        return false;
    }
    out->month = (int)month;
    out->week = (int)week;
    out->day = (int)day;
    out->time_s = INT64_C(2) * 3600;
    return !take_char(p, '/') || take_time(p, &out->time_s);
}

static bool take_rule(const char *text, struct rule *out) {
    const char *p = text;
    *out = (struct rule){0};
    if (!take_name(&p) || !take_time(&p, &out->offset_s)) {
        return false;
    }
    out->offset_s = -out->offset_s; // POSIX counts to the west
    if (*p == '\0') {
        return true;
    }
    out->has_summer = true;
    out->summer_offset_s = out->offset_s + 3600;
    if (!take_name(&p)) {
        return false;
    }
    if (*p != ',') {
        if (!take_time(&p, &out->summer_offset_s)) {
            return false;
        }
        out->summer_offset_s = -out->summer_offset_s;
    }
    return take_char(&p, ',') && take_day(&p, &out->begin) && take_char(&p, ',') && take_day(&p, &out->end) &&
           *p == '\0';
}

static bool is_leap(int64_t year) {
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

// In local time.
static int64_t rule_moment(const struct day_rule *rule, int64_t year) {
    int64_t days = days_from_date(year, rule->month, 1);
    if (rule->kind == 'M') {
        days += (rule->day - weekday_of_days(days) + 7) % 7 + 7 * (rule->week - 1);
        int64_t next =
            rule->month < 12 ? days_from_date(year, rule->month + 1, 1) : days_from_date(year + 1, 1, 1);
        days -= days >= next ? 7 : 0; // the fifth is the last
    } else if (rule->kind == 'J') {   // from 1, without February 29
        days += rule->day - 1 + (is_leap(year) && rule->day >= 60);
    } else {
        days += rule->day;
    }
    return days * 86400 + rule->time_s;
}

static void add_change(struct zone *zone, struct arena *arena, int64_t at_unix_s, int64_t offset_s) {
    size_t count = zone->changes.count;
    if (count == 0 || zone->changes.items[count - 1].at_unix_s < at_unix_s) {
        *ARENA_PUSH(arena, &zone->changes) = (struct zone_change){at_unix_s, offset_s};
    }
}

// The file's own list knows best; the rule goes on behind its end.
static void extend(struct zone *zone, const struct rule *rule, struct arena *arena) {
    size_t count = zone->changes.count;
    int64_t last = count > 0 ? zone->changes.items[count - 1].at_unix_s : FIRST_UNIX_S;
    int64_t year;
    int month;
    int day;
    date_from_days(last / 86400, &year, &month, &day);
    for (; rule->has_summer && year <= ZONE_YEAR_LAST; year++) {
        int64_t begin = rule_moment(&rule->begin, year) - rule->offset_s;
        int64_t end = rule_moment(&rule->end, year) - rule->summer_offset_s;
        if (begin < end) {
            add_change(zone, arena, begin, rule->summer_offset_s);
            add_change(zone, arena, end, rule->offset_s);
        } else { // south of the equator summer goes over the new year
            add_change(zone, arena, end, rule->offset_s);
            add_change(zone, arena, begin, rule->summer_offset_s);
        }
    }
}

// --- the file ---

static int64_t big_endian(const unsigned char *p, size_t len) {
    uint64_t value = len == 4 && (p[0] & 0x80) ? ~UINT64_C(0) : 0;
    for (size_t i = 0; i < len; i++) {
        value = value << 8 | p[i];
    }
    return (int64_t)value;
}

struct counts {
    int64_t ut, standard, leap, changes, types, letters;
};

static bool take_header(const unsigned char *data, size_t len, struct counts *out) {
    int64_t *const counts[] = {&out->ut,      &out->standard, &out->leap,
                               &out->changes, &out->types,    &out->letters};
    if (len < HEADER_BYTES || memcmp(data, "TZif", 4) != 0 || data[4] < '2') {
        return false;
    }
    for (size_t i = 0; i < 6; i++) {
        *counts[i] = big_endian(data + 20 + 4 * i, 4);
        if (*counts[i] < 0 || *counts[i] > ZONE_BYTES_MAX) {
            return false;
        }
    }
    return out->types > 0;
}

static size_t data_bytes(const struct counts *counts, size_t time_bytes) {
    return (size_t)counts->changes * (time_bytes + 1) + (size_t)counts->types * 6 + (size_t)counts->letters +
           (size_t)counts->leap * (time_bytes + 4) + (size_t)counts->standard + (size_t)counts->ut;
}

static bool take_changes(const unsigned char *data, const struct counts *counts, struct arena *arena,
                         struct zone *out) {
    const unsigned char *kinds = data + 8 * counts->changes;
    const unsigned char *types = kinds + counts->changes;
    int64_t before = INT64_MIN;
    out->first_offset_s = big_endian(types, 4);
    for (int64_t i = 0; i < counts->changes; i++) {
        int64_t offset_s = kinds[i] < counts->types ? big_endian(types + 6 * kinds[i], 4) : INT64_MAX;
        int64_t at = big_endian(data + 8 * i, 8);
        if (offset_s > OFFSET_S_MAX || offset_s < -OFFSET_S_MAX || at <= before || at > LAST_UNIX_S) {
            return false;
        }
        before = at;
        if (at < FIRST_UNIX_S) {
            out->first_offset_s = offset_s;
        } else {
            add_change(out, arena, at, offset_s);
        }
    }
    return out->first_offset_s <= OFFSET_S_MAX && out->first_offset_s >= -OFFSET_S_MAX;
}

static bool take_footer(const unsigned char *data, size_t len, struct arena *arena, struct zone *out) {
    struct rule rule;
    const unsigned char *end = len > 1 && data[0] == '\n' ? memchr(data + 1, '\n', len - 1) : NULL;
    if (end == NULL) {
        return false;
    }
    const char *text = arena_strndup(arena, (const char *)data + 1, (size_t)(end - data) - 1);
    if (text[0] == '\0') {
        return true; // nobody knows how it goes on
    }
    if (!take_rule(text, &rule)) {
        return false;
    }
    if (out->changes.count == 0) {
        out->first_offset_s = rule.offset_s;
    }
    extend(out, &rule, arena);
    return true;
}

int zone_parse(const char *name, struct bytes bytes, struct arena *arena, struct zone *out,
               struct error *err) {
    struct counts counts;
    const unsigned char *data = bytes.data;
    size_t len = bytes.len;
    *out = (struct zone){.name = arena_strdup(arena, name)};
    bool is_good = len <= ZONE_BYTES_MAX && take_header(data, len, &counts);
    size_t skipped = is_good ? HEADER_BYTES + data_bytes(&counts, 4) : 0;
    is_good = is_good && skipped < len && take_header(data + skipped, len - skipped, &counts);
    data += skipped;
    len -= skipped;
    size_t body = is_good ? HEADER_BYTES + data_bytes(&counts, 8) : 0;
    is_good = is_good && body < len && take_changes(data + HEADER_BYTES, &counts, arena, out) &&
              take_footer(data + body, len - body, arena, out);
    return is_good ? 0 : error_set(err, ERR_INVALID, "%s is no time zone file", name);
}

struct zone_span zone_span_at(const struct zone *zone, int64_t unix_s) {
    struct zone_span span = {.from_unix_s = INT64_MIN, .until_unix_s = INT64_MAX};
    if (zone == NULL) {
        return span;
    }
    size_t low = 0;
    size_t high = zone->changes.count; // the first change after that moment
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        bool is_past = zone->changes.items[middle].at_unix_s <= unix_s;
        *(is_past ? &low : &high) = is_past ? middle + 1 : middle;
    }
    const struct zone_change *changes = zone->changes.items;
    span.offset_s = low > 0 ? changes[low - 1].offset_s : zone->first_offset_s;
    span.offset_before_s = low > 1 ? changes[low - 2].offset_s : zone->first_offset_s;
    span.from_unix_s = low > 0 ? changes[low - 1].at_unix_s : INT64_MIN;
    span.until_unix_s = low < zone->changes.count ? changes[low].at_unix_s : INT64_MAX;
    return span;
}

bool zone_name_is_valid(const char *name) {
    size_t len = strlen(name);
    return len > 0 && len < 64 && name[0] != '/' && name[0] != '-' && strstr(name, "..") == NULL &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-/") == len;
}
