// SPDX-License-Identifier: Apache-2.0
//
// specs/interpolate.c — one pass over a value with a bound on depth and on what it grows to.
#include "specs/interpolate.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct expansion {
    const struct variables *variables;
    struct arena *arena;
    struct buf out;
    const char *unset;
    const char *reason;
};

const char *variables_get(const struct variables *variables, const char *name) {
    const char *value = variables->given != NULL ? pairs_get(variables->given, name) : getenv(name);
    return value != NULL ? value : pairs_get(&variables->dotenv, name);
}

static size_t name_length(const char *text) {
    size_t len = 0;
    if (isalpha((unsigned char)text[0]) || text[0] == '_') {
        while (isalnum((unsigned char)text[len]) || text[len] == '_') {
            len++;
        }
    }
    return len;
}

static enum interpolation refuse(struct expansion *e, enum interpolation why, const char *format,
                                 const char *text) {
    AUTO_BUF out = buf_make(4096);
    buf_adds(&out, format);
    buf_add(&out, text, strnlen(text, 200));
    e->reason = arena_strdup(e->arena, buf_text(&out));
    return why;
}

static enum interpolation expand(struct expansion *e, const char *text, size_t len, int depth);

// The '}' that closes what starts at `text`, nested ones left out; NULL when there is none.
static const char *closing_brace(const char *text, const char *end) {
    int open = 0;
    for (; text < end; text++) {
        if (*text == '$' && text + 1 < end && text[1] == '{') {
            open++;
            text++;
        } else if (*text == '}' && open-- == 0) {
            return text;
        }
    }
    return NULL;
}

static enum interpolation missing(struct expansion *e, const char *name, const char *message, size_t len) {
    if (len == 0) {
        return refuse(e, INTERPOLATION_REQUIRED, "a variable is needed that is not set: ", name);
    }
    return refuse(e, INTERPOLATION_REQUIRED, arena_printf(e->arena, "variable %s is needed: ", name),
                  arena_strndup(e->arena, message, len));
}

// "NAME:-default" without its braces.
static enum interpolation expand_braced(struct expansion *e, const char *text, const char *end, int depth) {
    size_t len = name_length(text);
    if (len == 0 || text + len > end) {
        return refuse(e, INTERPOLATION_SYNTAX, "no variable name after ${ in: ", text - 2);
    }
    const char *name = arena_strndup(e->arena, text, len);
    const char *value = variables_get(e->variables, name);
    const char *rest = text + len;
    bool empty_counts = rest < end && *rest == ':';
    rest += empty_counts;
    bool is_set = value != NULL && !(empty_counts && value[0] == '\0');
    if (rest == end && !empty_counts) {
        e->unset = value == NULL && e->unset == NULL ? name : e->unset;
        buf_adds(&e->out, value != NULL ? value : "");
        return INTERPOLATION_DONE;
    }
    char op = rest < end ? *rest : '\0';
    const char *word = rest + 1;
    switch (op) {
    case '-':
        if (is_set) {
            buf_adds(&e->out, value);
            return INTERPOLATION_DONE;
        }
        return expand(e, word, (size_t)(end - word), depth + 1);
    case '?':
        if (!is_set) {
            return missing(e, name, word, (size_t)(end - word));
        }
        buf_adds(&e->out, value);
        return INTERPOLATION_DONE;
    case '+':
        return is_set ? expand(e, word, (size_t)(end - word), depth + 1) : INTERPOLATION_DONE;
    default:
        return refuse(e, INTERPOLATION_SYNTAX,
                      "after the name only :- - :? ? :+ + are known, in: ", text - 2);
    }
}

static enum interpolation expand(struct expansion *e, const char *text, size_t len, int depth) {
    if (depth > INTERPOLATION_DEPTH_MAX) {
        return refuse(e, INTERPOLATION_SYNTAX, "defaults lie too deep in each other", "");
    }
    const char *end = text + len;
    while (text < end) {
        const char *dollar = memchr(text, '$', (size_t)(end - text));
        buf_add(&e->out, text, (size_t)((dollar != NULL ? dollar : end) - text));
        if (dollar == NULL) {
            break;
        }
        text = dollar + 1;
        size_t name_len = text < end ? name_length(text) : 0;
        if (text < end && *text == '$') {
            buf_addc(&e->out, '$');
            text++;
        } else if (text < end && *text == '{') {
            const char *close = closing_brace(text + 1, end);
            if (close == NULL) {
                return refuse(e, INTERPOLATION_SYNTAX, "'${' is not closed in: ", dollar);
            }
            enum interpolation rc = expand_braced(e, text + 1, close, depth);
            if (rc != INTERPOLATION_DONE) {
                return rc;
            }
            text = close + 1;
        } else if (name_len > 0) {
            const char *name = arena_strndup(e->arena, text, name_len);
            const char *value = variables_get(e->variables, name);
            e->unset = value == NULL && e->unset == NULL ? name : e->unset;
            buf_adds(&e->out, value != NULL ? value : "");
            text += name_len;
        } else {
            return refuse(e, INTERPOLATION_SYNTAX, "a '$' that starts no variable in: ", dollar);
        }
    }
    return INTERPOLATION_DONE;
}

enum interpolation interpolate(const char *text, const struct variables *variables, struct arena *arena,
                               const char **out, const char **unset) {
    *unset = NULL;
    *out = text;
    if (strchr(text, '$') == NULL) {
        return INTERPOLATION_DONE;
    }
    struct expansion e = {.variables = variables, .arena = arena, .out = buf_make(INTERPOLATION_BYTES_MAX)};
    enum interpolation rc = expand(&e, text, strlen(text), 0);
    if (rc == INTERPOLATION_DONE && e.out.overflow) {
        rc = refuse(&e, INTERPOLATION_SYNTAX, "with its variables filled in the value is longer than 64 KiB",
                    "");
    }
    *out = rc == INTERPOLATION_DONE ? arena_strdup(arena, buf_text(&e.out)) : e.reason;
    *unset = e.unset;
    buf_free(&e.out);
    return rc;
}
