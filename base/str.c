// SPDX-License-Identifier: Apache-2.0
//
// base/str.c — strings: strict numbers, natural order, edit distance, and the one output filter for terminals.
#include "base/str.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <wchar.h>

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
        if (!is_digit(*p) || __builtin_mul_overflow(value, 10, &value) || __builtin_sub_overflow(value, *p - '0', &value)) {
            return false;
        }
    }
    if (!negative && __builtin_sub_overflow((int64_t)0, value, &value)) {
        return false;
    }
    *out = value;
    return true;
}

bool str_to_double(const char *text, double *out) {
    for (const char *p = text; *p != '\0'; p++) {
        if (!is_digit(*p) && strchr("+-.eE", *p) == NULL) {
            return false;
        }
    }
    char *end;
    errno = 0;
    double value = strtod(text, &end); // the programs keep LC_NUMERIC at "C"
    if (end == text || *end != '\0' || errno == ERANGE || !isfinite(value)) {
        return false;
    }
    *out = value;
    return true;
}

int str_compare_natural(const char *a, const char *b) {
    while (*a != '\0' && *b != '\0') {
        if (is_digit(*a) && is_digit(*b)) {
            a += strspn(a, "0");
            b += strspn(b, "0");
            size_t a_len = strspn(a, "0123456789");
            size_t b_len = strspn(b, "0123456789");
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
    return (*a != '\0') - (*b != '\0');
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
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && rows[(i - 2) % 3][j - 2] + 1 < best) {
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

// Decodes one character; 0 bytes when it is not well-formed (RFC 3629: no surrogates, no overlong forms, at most U+10FFFF).
static size_t utf8_decode(const unsigned char *p, size_t len, uint32_t *out) {
    static const struct {
        unsigned char mask, lead;
        uint32_t min;
    } forms[] = {{0x80, 0x00, 0}, {0xE0, 0xC0, 0x80}, {0xF0, 0xE0, 0x800}, {0xF8, 0xF0, 0x10000}};
    for (size_t n = 0; n < 4; n++) {
        if ((p[0] & forms[n].mask) != forms[n].lead || len < n + 1) {
            continue;
        }
        uint32_t c = p[0] & (unsigned char)~forms[n].mask;
        for (size_t i = 1; i <= n; i++) {
            if ((p[i] & 0xC0) != 0x80) {
                return 0;
            }
            c = c << 6 | (p[i] & 0x3F);
        }
        if (c < forms[n].min || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) {
            return 0;
        }
        *out = c;
        return n + 1;
    }
    return 0;
}

bool str_is_utf8(const char *text, size_t len) {
    const unsigned char *p = (const unsigned char *)text;
    while (len > 0) {
        uint32_t c;
        size_t n = utf8_decode(p, len, &c);
        if (n == 0 || c == 0) {
            return false;
        }
        p += n;
        len -= n;
    }
    return true;
}

// C0, DEL, C1, line and paragraph separators, bidi controls: what could move the cursor or lie about order.
static bool is_dangerous(uint32_t c) {
    return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x061C || c == 0x200E || c == 0x200F || c == 0x2028 || c == 0x2029 ||
           (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) || c == 0xFEFF;
}

void str_escape(struct buf *out, const char *text, size_t len, bool keep_newlines) {
    const unsigned char *p = (const unsigned char *)text;
    while (len > 0) {
        uint32_t c = 0;
        size_t n = utf8_decode(p, len, &c);
        if (n == 0) {
            buf_addf(out, "\\x%02X", p[0]);
            n = 1;
        } else if (!is_dangerous(c) || (keep_newlines && (c == '\n' || c == '\t'))) {
            buf_add(out, p, n);
        } else if (c < 0x80) {
            buf_addf(out, "\\x%02X", c);
        } else {
            buf_addf(out, "\\u{%04X}", c);
        }
        p += n;
        len -= n;
    }
}

size_t str_columns(const char *text) {
    const unsigned char *p = (const unsigned char *)text;
    size_t len = strlen(text);
    size_t columns = 0;
    while (len > 0) {
        uint32_t c = 0;
        size_t n = utf8_decode(p, len, &c);
        int width = n == 0 ? 4 : c < 0x80 ? 1 : wcwidth((wchar_t)c);
        columns += width < 0 ? 1 : (size_t)width;
        n = n == 0 ? 1 : n;
        p += n;
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
