// SPDX-License-Identifier: Apache-2.0
//
// specs/cron.c — expressions into sets of bits; the next moment, span by span of a zone's offset.
#include "specs/cron.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define DAYS_AHEAD 3660
#define MINUTES_PER_DAY 1440

// --- reading ---

static const char *const month_names[] = {"jan", "feb", "mar", "apr", "may", "jun",
                                          "jul", "aug", "sep", "oct", "nov", "dec"};
static const char *const weekday_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

static const struct {
    const char *noun;
    int first, last;
    const char *const *names; // of `first` and so on; NULL = none
    int name_count;
} fields[5] = {
    {"minute", 0, 59, NULL, 0},
    {"hour", 0, 23, NULL, 0},
    {"day of the month", 1, 31, NULL, 0},
    {"month", 1, 12, month_names, 12},
    {"day of the week", 0, 7, weekday_names, 7},
};

static const struct {
    const char *word, *meaning;
} shorthands[] = {
    {"@hourly", "0 * * * *"},  {"@daily", "0 0 * * *"},  {"@midnight", "0 0 * * *"}, {"@weekly", "0 0 * * 0"},
    {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"},
};

struct reader {
    const char *text, *p;
    int field;
    struct error *err;
};

#define AT(r, where) ((int)((where) - (r)->text) + 1)

static int refuse_value(struct reader *r, const char *start, size_t len) {
    bool has_names = fields[r->field].names != NULL;
    return error_set(r->err, ERR_INVALID, "'%s': character %d: '%.*s' is not a value for %s, %d to %d%s",
                     r->text, AT(r, start), (int)(len > 20 ? 20 : len), start, fields[r->field].noun,
                     fields[r->field].first, fields[r->field].last,
                     !has_names      ? ""
                     : r->field == 3 ? " or jan to dec"
                                     : " or sun to sat");
}

static int take_value(struct reader *r, int *out) {
    const char *start = r->p;
    size_t len = strcspn(start, ",-/ \t");
    r->p += len;
    for (int i = 0; i < fields[r->field].name_count && len == 3; i++) {
        if (strncasecmp(start, fields[r->field].names[i], 3) == 0) {
            *out = fields[r->field].first + i;
            return 0;
        }
    }
    if (len == 0 || len > 2 || strspn(start, "0123456789") < len) {
        return refuse_value(r, start, len);
    }
    *out = start[0] - '0';
    if (len == 2) {
        *out = *out * 10 + (start[1] - '0');
    }
    bool is_in = *out >= fields[r->field].first && *out <= fields[r->field].last;
    return is_in ? 0 : refuse_value(r, start, len);
}

static int take_step(struct reader *r, int *out) {
    const char *start = ++r->p; // behind the slash
    size_t len = strspn(start, "0123456789");
    r->p += len;
    *out = 0;
    for (size_t i = 0; i < len && i < 4; i++) {
        *out = *out * 10 + (start[i] - '0');
    }
    return len > 0 && len <= 3 && *out > 0
               ? 0
               : error_set(r->err, ERR_INVALID, "'%s': character %d: a step is a number from 1 to 999",
                           r->text, AT(r, start));
}

// One element of a list: *, 5, 5-9, with a step.
static int take_element(struct reader *r, uint64_t *bits) {
    const char *start = r->p;
    int first = fields[r->field].first;
    int last = fields[r->field].last;
    int step = 1;
    bool is_range = *r->p == '*';
    int rc = 0;
    if (is_range) {
        r->p++;
        last = r->field == 4 ? 6 : last;
    } else {
        rc = take_value(r, &first);
        last = first;
        is_range = rc == 0 && *r->p == '-';
        if (is_range) {
            r->p++;
            rc = take_value(r, &last);
        }
    }
    if (rc == 0 && last < first) {
        return error_set(r->err, ERR_INVALID,
                         "'%s': character %d: the range ends before it begins: write two", r->text,
                         AT(r, start));
    }
    if (rc == 0 && *r->p == '/') {
        if (!is_range) {
            return error_set(r->err, ERR_INVALID,
                             "'%s': character %d: a step goes with * or a range, like */5", r->text,
                             AT(r, r->p));
        }
        rc = take_step(r, &step);
    }
    for (int value = first; rc == 0 && value <= last; value += step) {
        *bits |= UINT64_C(1) << (r->field == 4 ? value % 7 : value);
    }
    return rc;
}

static int take_field(struct reader *r, uint64_t *bits) {
    r->p += strspn(r->p, " \t");
    if (*r->p == '\0') {
        return error_set(r->err, ERR_INVALID,
                         "'%s' has %d of 5 fields: minute, hour, day of the month, month, day of the week",
                         r->text, r->field);
    }
    *bits = 0;
    for (;;) {
        int rc = take_element(r, bits);
        if (rc < 0 || *r->p == '\0' || *r->p == ' ' || *r->p == '\t') {
            return rc;
        }
        if (*r->p != ',') {
            return error_set(r->err, ERR_INVALID, "'%s': character %d: '%c' has no meaning here", r->text,
                             AT(r, r->p), *r->p);
        }
        r->p++;
    }
}

static const char *spell_out(const char *text, struct error *err) {
    const char *words[sizeof shorthands / sizeof *shorthands];
    for (size_t i = 0; i < sizeof shorthands / sizeof *shorthands; i++) {
        words[i] = shorthands[i].word;
        if (str_equal_nocase(shorthands[i].word, text)) {
            return shorthands[i].meaning;
        }
    }
    const char *near = str_nearest(text, words, sizeof words / sizeof *words);
    error_set(err, ERR_INVALID, "'%.40s' is not one of @hourly, @daily, @weekly, @monthly, @yearly%s%s%s",
              text, near != NULL ? "; did you mean '" : "", near != NULL ? near : "",
              near != NULL ? "'?" : "");
    return NULL;
}

int cron_parse(const char *text, struct cron *out, struct error *err) {
    uint64_t bits[5];
    bool is_any[5];
    const char *plain = text[0] == '@' ? spell_out(text, err) : text;
    if (plain == NULL) {
        return -ERR_INVALID;
    }
    if (strlen(plain) > 200) {
        return error_set(err, ERR_INVALID, "is longer than 200 characters");
    }
    struct reader r = {.text = plain, .p = plain, .err = err};
    for (; r.field < 5; r.field++) {
        r.p += strspn(r.p, " \t");
        is_any[r.field] = *r.p == '*';
        int rc = take_field(&r, &bits[r.field]);
        if (rc < 0) {
            return rc;
        }
    }
    r.p += strspn(r.p, " \t");
    if (*r.p != '\0') {
        return error_set(err, ERR_INVALID, "'%s': character %d: more than 5 fields (there are no seconds)",
                         plain, AT(&r, r.p));
    }
    *out = (struct cron){.minutes = bits[0],
                         .hours = (uint32_t)bits[1],
                         .days = (uint32_t)bits[2],
                         .months = (uint32_t)bits[3],
                         .weekdays = (uint32_t)bits[4],
                         .either_day_will_do = !is_any[2] && !is_any[4]};
    return 0;
}

// --- the next ---

static bool is_on(const struct cron *cron, int64_t days) {
    int64_t year;
    int month;
    int day;
    date_from_days(days, &year, &month, &day);
    bool is_day = cron->days >> day & 1;
    bool is_weekday = cron->weekdays >> weekday_of_days(days) & 1;
    return (cron->months >> month & 1) &&
           (cron->either_day_will_do ? is_day || is_weekday : is_day && is_weekday);
}

static int64_t floor_div(int64_t a, int64_t b) {
    return a / b - (a % b < 0);
}

// The first minute (of local time, since 1970) that matches in [from, until); -1 = none.
static int64_t match(const struct cron *cron, int64_t from, int64_t until) {
    for (int64_t days = floor_div(from, MINUTES_PER_DAY); days * MINUTES_PER_DAY < until; days++) {
        if (!is_on(cron, days)) {
            continue;
        }
        for (int minute = 0; minute < MINUTES_PER_DAY; minute++) {
            int64_t at = days * MINUTES_PER_DAY + minute;
            if (at >= from && at < until && (cron->hours >> minute / 60 & 1) &&
                (cron->minutes >> minute % 60 & 1)) {
                return at;
            }
        }
    }
    return -1;
}

static int64_t up_to_minute(int64_t seconds) {
    return floor_div(seconds + 59, 60);
}

// The first moment in the span from `from` on (in UTC); -1 = none.
static int64_t next_in_span(const struct cron *cron, const struct zone_span *span, int64_t from,
                            int64_t until) {
    bool is_tied = cron->hours != (UINT32_C(1) << 24) - 1; // to an hour
    bool is_fresh = from == span->from_unix_s;             // the clocks were set at this very moment
    bool has_before = span->from_unix_s != INT64_MIN;
    int64_t shift = has_before ? span->offset_s - span->offset_before_s : 0;
    int64_t local = up_to_minute(from + span->offset_s);
    if (is_tied && shift > 0 && is_fresh) { // what would have been in the hour left out
        int64_t left_out = up_to_minute(from + span->offset_before_s);
        if (match(cron, left_out, local) >= 0) {
            return from;
        }
    }
    if (is_tied && shift < 0) { // what comes again has been
        int64_t seen = up_to_minute(span->from_unix_s + span->offset_before_s);
        local = local < seen ? seen : local;
    }
    int64_t end = until == INT64_MAX ? INT64_MAX / 60 : up_to_minute(until + span->offset_s);
    int64_t at = match(cron, local, end);
    return at < 0 ? -1 : at * 60 - span->offset_s;
}

int64_t cron_next(const struct cron *cron, const struct zone *zone, int64_t after_unix_s) {
    int64_t from = after_unix_s + 1;
    int64_t horizon = after_unix_s + (int64_t)DAYS_AHEAD * 86400;
    while (from < horizon) {
        struct zone_span span = zone_span_at(zone, from);
        int64_t until = span.until_unix_s < horizon ? span.until_unix_s : horizon;
        int64_t at = next_in_span(cron, &span, from, until);
        if (at >= 0) {
            return at;
        }
        from = until;
    }
    return -1;
}
