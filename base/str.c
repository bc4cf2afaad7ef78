// SPDX-License-Identifier: Apache-2.0
//
// base/str.c — strings: strict numbers, natural order, edit distance, and the one output filter for
// terminals.
//
// Nothing here depends on the locale: a daemon, a test and a user's terminal read "0.5" and sort "web10"
// alike.
//
// The filter: names, log lines and error texts come from images, nodes and strangers, and may hold bytes
// that move the cursor, retitle the window or reverse the reading order. All that is shown passes
// str_escape (or str_escape_next where nothing may be allocated).
#include "base/str.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/width.h"

#define DIGITS "0123456789"

bool str_equal(const char *a, const char *b) {
    return strcmp(a == NULL ? "" : a, b == NULL ? "" : b) == 0;
}

bool str_equal_nocase(const char *a, const char *b) {
    return strcasecmp(a == NULL ? "" : a, b == NULL ? "" : b) == 0;
}

bool str_starts(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *text, const char *suffix) {
    size_t len = strlen(text);
    size_t suffix_len = strlen(suffix);
    return len >= suffix_len && strcmp(text + len - suffix_len, suffix) == 0;
}

bool str_copy(char *out, size_t out_bytes, const char *text) {
    size_t len = strlen(text);
    if (len >= out_bytes) {
        out[0] = '\0';
        return false;
    }
    memcpy(out, text, len + 1);
    return true;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool str_to_int(const char *text, int64_t *out) {
    bool negative = text[0] == '-';
    const char *digits = text + negative;
    if (!is_digit(digits[0]) || (digits[0] == '0' && digits[1] != '\0')) {
        return false;
    }
    int64_t value = 0;
    for (const char *p = digits; *p != '\0'; p++) {
        // Built downwards, so that INT64_MIN fits.
        if (!is_digit(*p) || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, *p - '0', &value)) {
            return false;
        }
    }
    if (!negative && __builtin_sub_overflow((int64_t)0, value, &value)) {
        return false;
    }
    *out = value;
    return true;
}

// digits[.digits][e[+-]digits] after an optional minus: neither "inf" nor "0x1p3" nor a decimal comma.
static bool is_decimal(const char *p) {
    p += *p == '-';
    size_t whole = strspn(p, DIGITS);
    p += whole;
    if (whole > 0 && *p == '.') {
        size_t part = strspn(p + 1, DIGITS);
        whole = part; // a point wants digits after it
        p += 1 + part;
    }
    if (whole > 0 && (*p == 'e' || *p == 'E')) {
        p += p[1] == '+' || p[1] == '-' ? 2 : 1;
        whole = strspn(p, DIGITS);
        p += whole;
    }
    return whole > 0 && *p == '\0';
}

bool str_to_double(const char *text, double *out) {
    if (!is_decimal(text)) {
        return false;
    }
    locale_t c_locale =
        newlocale(LC_ALL_MASK, "C", (locale_t)0); // the C library's own constant: nothing is allocated
    double value = strtod_l(text, NULL, c_locale);
    freelocale(c_locale);
    if (!isfinite(value)) {
        return false;
    }
    *out = value;
    return true;
}

int str_compare_natural(const char *a, const char *b) {
    const char *a_start = a;
    const char *b_start = b;
    while (*a != '\0' && *b != '\0') {
        if (is_digit(*a) && is_digit(*b)) {
            a += strspn(a, "0");
            b += strspn(b, "0");
            size_t a_len = strspn(a, DIGITS);
            size_t b_len = strspn(b, DIGITS);
            int order = a_len != b_len ? (a_len < b_len ? -1 : 1) : strncmp(a, b, a_len);
            if (order != 0) {
                return order;
            }
            a += a_len;
            b += b_len;
        } else if (*a != *b) {
            return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
        } else {
            a++;
            b++;
        }
    }
    int order = (*a != '\0') - (*b != '\0');
    return order != 0 ? order : strcmp(a_start, b_start); // "a1" and "a01" differ all the same
}

#define DISTANCE_WORD_MAX 63

size_t str_distance(const char *a, const char *b, size_t limit) {
    size_t a_len = strlen(a);
    size_t b_len = strlen(b);
    if (a_len > DISTANCE_WORD_MAX || b_len > DISTANCE_WORD_MAX) {
        return limit + 1;
    }
    // Three rows of the optimal string alignment table.
    size_t rows[3][DISTANCE_WORD_MAX + 1];
    for (size_t j = 0; j <= b_len; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        size_t *row = rows[i % 3];
        const size_t *up = rows[(i - 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t best = up[j - 1] + (a[i - 1] != b[j - 1]);
            best = up[j] + 1 < best ? up[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                rows[(i - 2) % 3][j - 2] + 1 < best) {
                best = rows[(i - 2) % 3][j - 2] + 1;
            }
            row[j] = best;
        }
    }
    size_t distance = rows[a_len % 3][b_len];
    return distance > limit ? limit + 1 : distance;
}

const char *str_nearest(const char *word, const char *const *candidates, size_t count) {
    size_t limit = strlen(word) / 3;
    limit = limit < 1 ? 1 : limit;
    const char *best = NULL;
    for (size_t i = 0; i < count; i++) {
        size_t distance = str_distance(word, candidates[i], limit);
        if (distance <= limit && (best == NULL || distance < str_distance(word, best, limit))) {
            best = candidates[i];
        }
    }
    return best;
}

size_t str_decode(const char *text, size_t len, uint32_t *out) {
    static const struct {
        unsigned char mask, lead;
        uint32_t min;
    } forms[] = {{0x80, 0x00, 0}, {0xE0, 0xC0, 0x80}, {0xF0, 0xE0, 0x800}, {0xF8, 0xF0, 0x10000}};
    const unsigned char *p = (const unsigned char *)text;
    for (size_t more = 0; more < 4 && more < len; more++) {
        if ((p[0] & forms[more].mask) != forms[more].lead) {
            continue;
        }
        uint32_t c = p[0] & (unsigned char)~forms[more].mask;
        for (size_t i = 1; i <= more; i++) {
            if ((p[i] & 0xC0) != 0x80) {
                return 0;
            }
            c = c << 6 | (p[i] & 0x3F);
        }
        bool is_surrogate = c >= 0xD800 && c <= 0xDFFF;
        if (c < forms[more].min || c > 0x10FFFF || is_surrogate) {
            return 0;
        }
        *out = c;
        return more + 1;
    }
    return 0;
}

bool str_is_utf8(const char *text, size_t len) {
    while (len > 0) {
        uint32_t c;
        size_t n = str_decode(text, len, &c);
        if (n == 0 || c == 0) {
            return false;
        }
        text += n;
        len -= n;
    }
    return true;
}

bool str_is_safe(uint32_t c) {
    bool is_control = c < 0x20 || (c >= 0x7F && c < 0xA0);
    bool is_separator = c == 0x2028 || c == 0x2029;
    bool is_bidi = c == 0x061C || c == 0x200E || c == 0x200F || (c >= 0x202A && c <= 0x202E) ||
                   (c >= 0x2066 && c <= 0x2069);
    bool is_tag = c == 0xFEFF || (c >= 0xE0000 && c <= 0xE007F);
    return !is_control && !is_separator && !is_bidi && !is_tag;
}

size_t str_escape_next(const char *text, size_t len, char out[STR_ESCAPED_BYTES]) {
    uint32_t c = 0;
    size_t n = str_decode(text, len, &c);
    if (n == 0 || (c < 0x80 && !str_is_safe(c))) {
        snprintf(out, STR_ESCAPED_BYTES, "\\x%02X", (unsigned)(unsigned char)text[0]);
        return 1;
    }
    if (!str_is_safe(c)) {
        snprintf(out, STR_ESCAPED_BYTES, "\\u{%04X}", (unsigned)c);
        return n;
    }
    memcpy(out, text, n);
    out[n] = '\0';
    return n;
}

void str_escape(struct buf *out, const char *text, size_t len, bool keep_newlines) {
    while (len > 0) {
        char safe[STR_ESCAPED_BYTES];
        size_t n = str_escape_next(text, len, safe);
        if (keep_newlines && (*text == '\n' || *text == '\t')) {
            buf_addc(out, *text);
        } else {
            buf_adds(out, safe);
        }
        text += n;
        len -= n;
    }
}

size_t str_columns(const char *text) {
    size_t columns = 0;
    for (size_t len = strlen(text); len > 0;) {
        uint32_t c = 0;
        char safe[STR_ESCAPED_BYTES];
        size_t n = str_escape_next(text, len, safe);
        bool is_shown = str_decode(text, len, &c) > 0 && str_is_safe(c);
        columns += is_shown ? (size_t)width_of(c) : strlen(safe);
        text += n;
        len -= n;
    }
    return columns;
}

static bool is_alnum(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool str_is_name(const char *text, size_t max) {
    size_t len = strlen(text);
    if (len == 0 || len > max || !is_alnum(text[0])) {
        return false;
    }
    for (size_t i = 1; i < len; i++) {
        if (!is_alnum(text[i]) && text[i] != '_' && text[i] != '.' && text[i] != '-') {
            return false;
        }
    }
    return true;
}
