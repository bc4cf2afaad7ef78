// SPDX-License-Identifier: Apache-2.0
//
// base/units.c — durations, sizes and CPUs: exact decimal arithmetic on 64-bit integers.
#include "base/units.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit duration_units[] = {
    {"ns", 1},       {"us", 1000},         {"µs", 1000},           {"ms", NS_PER_MS},
    {"s", NS_PER_S}, {"m", 60 * NS_PER_S}, {"h", 3600 * NS_PER_S},
};

static const struct unit size_units[] = {
    {"", 1},           {"b", 1},          {"k", 1L << 10},   {"kb", 1L << 10},  {"kib", 1L << 10},
    {"m", 1L << 20},   {"mb", 1L << 20},  {"mib", 1L << 20}, {"g", 1L << 30},   {"gb", 1L << 30},
    {"gib", 1L << 30}, {"t", 1L << 40},   {"tb", 1L << 40},  {"tib", 1L << 40}, {"p", 1L << 50},
    {"pb", 1L << 50},  {"pib", 1L << 50},
};

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// Reads "12" or "12.5" as an exact multiple of 1/1e9; digits beyond are an error, not a rounding.
static bool parse_decimal(const char **text, int64_t *out_whole, int64_t *out_billionths) {
    const char *p = *text;
    int64_t whole = 0;
    int64_t part = 0;
    bool any = false;
    for (; is_digit(*p); p++, any = true) {
        if (__builtin_mul_overflow(whole, 10, &whole) || __builtin_add_overflow(whole, *p - '0', &whole)) {
            return false;
        }
    }
    if (*p == '.') {
        int64_t place = 100000000;
        for (p++; is_digit(*p); p++, any = true, place /= 10) {
            if (place == 0 && *p != '0') {
                return false;
            }
            part += (*p - '0') * place;
        }
    }
    *text = p;
    *out_whole = whole;
    *out_billionths = part;
    return any;
}

// whole.part * factor; what lies below one unit of the result is cut, as Docker and Go do ("0.3k" is 307
// bytes).
static bool scale(int64_t whole, int64_t part, int64_t factor, int64_t *out) {
    int64_t big;
    int64_t small;
    if (__builtin_mul_overflow(whole, factor, &big)) {
        return false;
    }
    if (__builtin_mul_overflow(part, factor, &small)) {
        // factors above 1e9: split so that the product fits
        small = part * (factor / 1000000000) + (part * (factor % 1000000000)) / 1000000000;
        return !__builtin_add_overflow(big, small, out);
    }
    return !__builtin_add_overflow(big, small / 1000000000, out);
}

bool units_parse_duration(const char *text, int64_t *out_ns) {
    if (strcmp(text, "0") == 0) {
        *out_ns = 0;
        return true;
    }
    bool negative = *text == '-';
    text += negative;
    int64_t total = 0;
    if (*text == '\0') {
        return false;
    }
    while (*text != '\0') {
        int64_t whole;
        int64_t part;
        if (!parse_decimal(&text, &whole, &part)) {
            return false;
        }
        const struct unit *match = NULL;
        for (size_t i = 0; i < sizeof duration_units / sizeof *duration_units; i++) {
            size_t len = strlen(duration_units[i].name);
            if (strncmp(text, duration_units[i].name, len) == 0 &&
                (match == NULL || len > strlen(match->name))) { // "ms" before "m"
                match = &duration_units[i];
            }
        }
        int64_t value;
        if (match == NULL || !scale(whole, part, match->factor, &value) ||
            __builtin_add_overflow(total, value, &total)) {
            return false;
        }
        text += strlen(match->name);
    }
    *out_ns = negative ? -total : total;
    return true;
}

bool units_parse_bytes(const char *text, int64_t *out_bytes) {
    int64_t whole;
    int64_t part;
    if (!parse_decimal(&text, &whole, &part)) {
        return false;
    }
    text += *text == ' '; // "1 GiB" is how people write it
    for (size_t i = 0; i < sizeof size_units / sizeof *size_units; i++) {
        if (strcasecmp(text, size_units[i].name) == 0) {
            return scale(whole, part, size_units[i].factor, out_bytes);
        }
    }
    return false;
}

bool units_parse_cpus(const char *text, int64_t *out_nano) {
    int64_t whole;
    int64_t part;
    int64_t value;
    if (!parse_decimal(&text, &whole, &part) || *text != '\0' ||
        __builtin_mul_overflow(whole, 1000000000, &value)) {
        return false;
    }
    return !__builtin_add_overflow(value, part, out_nano);
}

// Appends whole.part without trailing zeros.
static int put_decimal(char *out, size_t bytes, int64_t whole, int64_t billionths) {
    char digits[16];
    snprintf(digits, sizeof digits, "%09lld", (long long)billionths);
    size_t len = 9;
    while (len > 0 && digits[len - 1] == '0') {
        len--;
    }
    return snprintf(out, bytes, len > 0 ? "%lld.%.*s" : "%lld", (long long)whole, (int)len, digits);
}

const char *units_format_duration(int64_t ns, char *out, size_t out_bytes) {
    char *p = out;
    char *end = out + out_bytes;
    if (ns < 0) {
        *p++ = '-';
        ns = ns == INT64_MIN ? INT64_MAX : -ns;
    }
    if (ns == 0) {
        snprintf(p, (size_t)(end - p), "0s");
        return out;
    }
    static const struct unit small[] = {{"ms", NS_PER_MS}, {"us", 1000}, {"ns", 1}};
    if (ns < NS_PER_S) {
        const struct unit *unit = small;
        while (ns < unit->factor) {
            unit++;
        }
        p += put_decimal(p, (size_t)(end - p), ns / unit->factor,
                         ns % unit->factor * (1000000000 / unit->factor));
        snprintf(p, (size_t)(end - p), "%s", unit->name);
        return out;
    }
    static const struct unit big[] = {{"h", 3600 * NS_PER_S}, {"m", 60 * NS_PER_S}};
    for (int i = 0; i < 2; i++) {
        if (ns >= big[i].factor) {
            p += snprintf(p, (size_t)(end - p), "%lld%s", (long long)(ns / big[i].factor), big[i].name);
            ns %= big[i].factor;
        }
    }
    if (ns > 0) {
        p += put_decimal(p, (size_t)(end - p), ns / NS_PER_S, ns % NS_PER_S);
        snprintf(p, (size_t)(end - p), "s");
    }
    return out;
}

const char *units_format_bytes(int64_t bytes, char *out, size_t out_bytes) {
    static const struct unit units[] = {{"T", 1L << 40}, {"G", 1L << 30}, {"M", 1L << 20}, {"K", 1L << 10}};
    for (size_t i = 0; i < 4; i++) {
        if (bytes != 0 && bytes % units[i].factor == 0) {
            snprintf(out, out_bytes, "%lld%s", (long long)(bytes / units[i].factor), units[i].name);
            return out;
        }
    }
    snprintf(out, out_bytes, "%lld", (long long)bytes);
    return out;
}

const char *units_format_cpus(int64_t nano, char *out, size_t out_bytes) {
    put_decimal(out, out_bytes, nano / 1000000000, nano % 1000000000);
    return out;
}

const char *units_human_duration(int64_t ms, char *out, size_t out_bytes) {
    int64_t s = ms / 1000;
    int64_t hours = (s + 1800) / 3600;
    const char *word = NULL;
    int64_t n = 0;
    if (s < 1) {
        snprintf(out, out_bytes, "Less than a second");
        return out;
    }
    if (s == 1) {
        snprintf(out, out_bytes, "1 second");
        return out;
    }
    if (s < 60) {
        n = s;
        word = "seconds";
    } else if (s < 120) {
        snprintf(out, out_bytes, "About a minute");
        return out;
    } else if (s < 3600) {
        n = s / 60;
        word = "minutes";
    } else if (hours == 1) {
        snprintf(out, out_bytes, "About an hour");
        return out;
    } else if (hours < 48) {
        n = hours;
        word = "hours";
    } else if (hours < 24 * 7 * 2) {
        n = hours / 24;
        word = "days";
    } else if (hours < 24 * 30 * 2) {
        n = hours / 24 / 7;
        word = "weeks";
    } else if (hours < 24 * 365 * 2) {
        n = hours / 24 / 30;
        word = "months";
    } else {
        n = hours / 24 / 365;
        word = "years";
    }
    snprintf(out, out_bytes, "%lld %s", (long long)n, word);
    return out;
}

const char *units_human_bytes(int64_t bytes, char *out, size_t out_bytes) {
    static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    double value = (double)bytes;
    size_t i = 0;
    while (value >= 1024 && i < 5) {
        value /= 1024;
        i++;
    }
    snprintf(out, out_bytes, "%.4g%s", value, names[i]);
    return out;
}
