// SPDX-License-Identifier: Apache-2.0
//
// cli/template_call.c — the functions of templates, as rows.
#include "cli/template_call.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define PAD_MAX 1000

typedef int (*call_fn)(json_t *const *arguments, size_t count, json_t **out, struct error *err);

struct template_function {
    const char *name;
    size_t min, max; // arguments
    call_fn call;
};

bool template_is_true(const json_t *value) {
    switch (value == NULL ? JSON_NULL : json_typeof(value)) {
    case JSON_OBJECT:
        return json_object_size(value) > 0;
    case JSON_ARRAY:
        return json_array_size(value) > 0;
    case JSON_STRING:
        return json_string_length(value) > 0;
    case JSON_INTEGER:
        return json_integer_value(value) != 0;
    case JSON_REAL:
        return json_real_value(value) != 0;
    case JSON_TRUE:
        return true;
    case JSON_FALSE:
    case JSON_NULL:
        break;
    }
    return false;
}

static void print_list(const json_t *list, struct buf *out) {
    buf_addc(out, '[');
    for (size_t i = 0; i < json_array_size(list); i++) {
        buf_adds(out, i > 0 ? " " : "");
        template_print(json_array_get(list, i), out);
    }
    buf_addc(out, ']');
}

static void print_map(const json_t *map, struct buf *out) {
    const char *key;
    json_t *value;
    bool is_first = true;
    buf_adds(out, "map[");
    json_object_foreach((json_t *)(uintptr_t)map, key, value) {
        buf_addf(out, "%s%s:", is_first ? "" : " ", key);
        template_print(value, out);
        is_first = false;
    }
    buf_addc(out, ']');
}

void template_print(const json_t *value, struct buf *out) {
    switch (value == NULL ? JSON_NULL : json_typeof(value)) {
    case JSON_OBJECT:
        print_map(value, out);
        break;
    case JSON_ARRAY:
        print_list(value, out);
        break;
    case JSON_STRING:
        buf_add(out, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
        buf_addf(out, "%lld", (long long)json_integer_value(value));
        break;
    case JSON_REAL:
        buf_addf(out, "%g", json_real_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        buf_adds(out, json_is_true(value) ? "true" : "false");
        break;
    case JSON_NULL:
        buf_adds(out, "<no value>");
        break;
    }
}

static json_t *text_value(const struct buf *text) {
    json_t *value = json_stringn(buf_text(text), text->len);
    return value != NULL ? value : json_string("<not UTF-8>");
}

static int want_text(json_t *value, const char *function, const char **out, struct error *err) {
    if (!json_is_string(value)) {
        return error_set(err, ERR_USAGE, "%s wants text", function);
    }
    *out = json_string_value(value);
    return 0;
}

static int want_number(json_t *value, const char *function, int64_t *out, struct error *err) {
    if (!json_is_integer(value)) {
        return error_set(err, ERR_USAGE, "%s wants a number", function);
    }
    *out = json_integer_value(value);
    return 0;
}

static int call_json(json_t *const *arguments, size_t count, json_t **out, struct error *err) {
    (void)count;
    (void)err;
    char *text = json_dumps(arguments[0], JSON_COMPACT | JSON_ENCODE_ANY);
    *out = json_string(text != NULL ? text : "null");
    free(text); // jansson's
    return 0;
}

// --- text ---

static int map_text(json_t *value, const char *function, int (*map)(int), bool only_first, json_t **out,
                    struct error *err) {
    const char *text = NULL;
    AUTO_BUF mapped = {0};
    int rc = want_text(value, function, &text, err);
    char before = ' ';
    for (const char *p = rc == 0 ? text : ""; *p != '\0'; p++) {
        bool is_mapped = (unsigned char)*p < 128 && (!only_first || before == ' ');
        buf_addc(&mapped, is_mapped ? (char)map(*p) : *p);
        before = *p;
    }
    if (rc == 0) {
        *out = text_value(&mapped);
    }
    return rc;
}

static int call_upper(json_t *const *arguments, size_t count, json_t **out, struct error *err) {
    (void)count;
    return map_text(arguments[0], "upper", toupper, /* only_first= */ false, out, err);
}

static int call_lower(json_t *const *arguments, size_t count, json_t **out, struct error *err) {
    (void)count;
    return map_text(arguments[0], "lower", tolower, /* only_first= */ false, out, err);
}

static int call_title(json_t *const *arguments, size_t count, json_t **out, struct error *err) {
    (void)count;
    return map_text(arguments[0], "title", toupper, /* only_first= */ true, out, err);
}

static int call_join(json_t *const *arguments, size_t count, json_t **out, struct error *err) {
    (void)count;
    const char *separator = NULL;
    int rc = want_text(arguments[1], "join", &separator, err);
    if (rc < 0 || !json_is_array(arguments[0])) {
        return rc < 0 ? rc : error_set(err, ERR_USAGE, "join wants a list, then the text between");
    }
    AUTO_BUF joined = {0};
    for (size_t i = 0; i < json_array_size(arguments[0]); i++) {
        buf_adds(&joined, i > 0 ? separator : "");
        template_print(json_array_get(arguments[0], i), &joined);
    }
    *out = text_value(&joined);
    return 0;
}

static int call_split(json_t *const *arguments, size_t count, json_t **out, struct error *err) {
    (void)count;
    const char *text = NULL;
    const char *separator = NULL;
    int rc = want_text(arguments[0], "split", &text, err);
    rc = rc < 0 ? rc : want_text(arguments[1], "split", &separator, err);
    if (rc < 0 || separator[0] == '\0') {
        return rc < 0 ? rc : error_set(err, ERR_USAGE, "split wants text between the parts");
    }
    json_t *parts = json_array();
    for (const char *end; (end = strstr(text, separator)) != NULL; text = end + strlen(separator)) {
        json_array_append_new(parts, json_stringn(text, (size_t)(end - text)));
    }
    json_array_append_new(parts, json_string(text));
    *out = parts;
    return 0;
}

static size_t bytes_of(const char *text, int64_t characters) {
    size_t at = 0;
    uint32_t codepoint;
    for (int64_t i = 0; i < characters && text[at] != '\0'; i++) {
        size_t len = str_decode(text + at, strlen(text + at), &codepoint);
        at += len > 0 ? len : 1;
    }
    return at;
}

static int call_truncate(json_t *const *arguments, size_t count, json_t **out, struct error *err) {
    (void)count;
    const char *text = NULL;
    int64_t length = 0;
    int rc = want_text(arguments[0], "truncate", &text, err);
    rc = rc < 0 ? rc : want_number(arguments[1], "truncate", &length, err);
    if (rc == 0) {
        *out = json_stringn(text, bytes_of(text, length));
    }
    return rc;
}

static int call_pad(json_t *const *arguments, size_t count, json_t **out, struct error *err) {
    (void)count;
    const char *text = NULL;
    int64_t before = 0;
    int64_t after = 0;
    int rc = want_text(arguments[0], "pad", &text, err);
    rc = rc < 0 ? rc : want_number(arguments[1], "pad", &before, err);
    rc = rc < 0 ? rc : want_number(arguments[2], "pad", &after, err);
    if (rc < 0 || before < 0 || after < 0 || before > PAD_MAX || after > PAD_MAX) {
        return rc < 0 ? rc
                      : error_set(err, ERR_USAGE, "pad wants text and two numbers from 0 to %d", PAD_MAX);
    }
    AUTO_BUF padded = {0};
    buf_pad(&padded, ' ', (size_t)before);
    buf_adds(&padded, text);
    buf_pad(&padded, ' ', (size_t)after);
    *out = text_value(&padded);
    return 0;
}

static void print_all(json_t *const *arguments, size_t count, const char *between, struct buf *out) {
    for (size_t i = 0; i < count; i++) {
        buf_adds(out, i > 0 ? between : "");
        template_print(arguments[i], out);
    }
}

static int call_print(json_t *const *arguments, size_t count, json_t **out, struct error *err) {
    (void)err;
    AUTO_BUF text = {0};
    print_all(arguments, count, "", &text);
    *out = text_value(&text);
    return 0;
}

static int call_println(json_t *const *arguments, size_t count, json_t **out, struct error *err) {
    (void)err;
    AUTO_BUF text = {0};
    print_all(arguments, count, " ", &text);
    buf_addc(&text, '\n');
    *out = text_value(&text);
    return 0;
}

// %s %v %d print the next argument, %q quotes it, %% is a percent sign.
static int call_printf(json_t *const *arguments, size_t count, json_t **out, struct error *err) {
    const char *format = NULL;
    AUTO_BUF text = {0};
    size_t next = 1;
    int rc = want_text(arguments[0], "printf", &format, err);
    for (const char *p = rc == 0 ? format : ""; *p != '\0'; p++) {
        if (*p != '%') {
            buf_addc(&text, *p);
            continue;
        }
        p++;
        if (*p == '%') {
            buf_addc(&text, '%');
        } else if (*p == '\0' || strchr("svdq", *p) == NULL || next >= count) {
            return error_set(err, ERR_USAGE, "printf knows %%s %%v %%d %%q, with an argument for each");
        } else if (*p == 'q') {
            AUTO_BUF quoted = {0};
            template_print(arguments[next++], &quoted);
            buf_addf(&text, "\"%s\"", buf_text(&quoted));
        } else {
            template_print(arguments[next++], &text);
        }
    }
    if (rc == 0) {
        *out = text_value(&text);
    }
    return rc;
}

// --- collections ---

static int call_len(json_t *const *arguments, size_t count, json_t **out, struct error *err) {
    (void)count;
    const json_t *value = arguments[0];
    if (!json_is_array(value) && !json_is_object(value) && !json_is_string(value)) {
        return error_set(err, ERR_USAGE, "len wants a list, a map or text");
    }
    size_t len = json_is_array(value)    ? json_array_size(value)
                 : json_is_object(value) ? json_object_size(value)
                                         : json_string_length(value);
    *out = json_integer((json_int_t)len);
    return 0;
}

static int call_index(json_t *const *arguments, size_t count, json_t **out, struct error *err) {
    json_t *value = arguments[0];
    for (size_t i = 1; i < count; i++) {
        if (json_is_object(value) && json_is_string(arguments[i])) {
            value = json_object_get(value, json_string_value(arguments[i]));
        } else if (json_is_array(value) && json_is_integer(arguments[i])) {
            json_int_t at = json_integer_value(arguments[i]);
            if (at < 0 || (size_t)at >= json_array_size(value)) {
                return error_set(err, ERR_USAGE, "index %lld is not in the list of %zu", (long long)at,
                                 json_array_size(value));
            }
            value = json_array_get(value, (size_t)at);
        } else if (value != NULL) {
            return error_set(err, ERR_USAGE, "index wants a map and a key, or a list and a number");
        }
    }
    *out = value != NULL ? json_incref(value) : json_string("");
    return 0;
}

// --- logic ---

// Less, equal, greater as -1, 0, 1; numbers by value, all else by its text.
static int compare(const json_t *a, const json_t *b) {
    if (json_is_number(a) && json_is_number(b)) {
        double x = json_number_value(a);
        double y = json_number_value(b);
        return (x > y) - (x < y);
    }
    AUTO_BUF text_a = {0};
    AUTO_BUF text_b = {0};
    template_print(a, &text_a);
    template_print(b, &text_b);
    int order = strcmp(buf_text(&text_a), buf_text(&text_b));
    return (order > 0) - (order < 0);
}

static int call_eq(json_t *const *arguments, size_t count, json_t **out, struct error *err) {
    (void)err;
    bool is_equal = false;
    for (size_t i = 1; i < count; i++) {
        is_equal = is_equal || compare(arguments[0], arguments[i]) == 0;
    }
    *out = json_boolean(is_equal);
    return 0;
}

static int call_ne(json_t *const *arguments, size_t count, json_t **out, struct error *err) {
    (void)count;
    (void)err;
    *out = json_boolean(compare(arguments[0], arguments[1]) != 0);
    return 0;
}

static int call_lt(json_t *const *arguments, size_t count, json_t **out, struct error *err) {
    (void)count;
    (void)err;
    *out = json_boolean(compare(arguments[0], arguments[1]) < 0);
    return 0;
}

static int call_le(json_t *const *arguments, size_t count, json_t **out, struct error *err) {
    (void)count;
    (void)err;
    *out = json_boolean(compare(arguments[0], arguments[1]) <= 0);
    return 0;
}

static int call_gt(json_t *const *arguments, size_t count, json_t **out, struct error *err) {
    (void)count;
    (void)err;
    *out = json_boolean(compare(arguments[0], arguments[1]) > 0);
    return 0;
}

static int call_ge(json_t *const *arguments, size_t count, json_t **out, struct error *err) {
    (void)count;
    (void)err;
    *out = json_boolean(compare(arguments[0], arguments[1]) >= 0);
    return 0;
}

static int call_and(json_t *const *arguments, size_t count, json_t **out, struct error *err) {
    (void)err;
    size_t i = 0;
    while (i + 1 < count && template_is_true(arguments[i])) {
        i++;
    }
    *out = json_incref(arguments[i]);
    return 0;
}

static int call_or(json_t *const *arguments, size_t count, json_t **out, struct error *err) {
    (void)err;
    size_t i = 0;
    while (i + 1 < count && !template_is_true(arguments[i])) {
        i++;
    }
    *out = json_incref(arguments[i]);
    return 0;
}

static int call_not(json_t *const *arguments, size_t count, json_t **out, struct error *err) {
    (void)count;
    (void)err;
    *out = json_boolean(!template_is_true(arguments[0]));
    return 0;
}

// tidy: table
static const struct template_function functions[] = {
    {"json", 1, 1, call_json},
    {"join", 2, 2, call_join},
    {"split", 2, 2, call_split},
    {"lower", 1, 1, call_lower},
    {"upper", 1, 1, call_upper},
    {"title", 1, 1, call_title},
    {"truncate", 2, 2, call_truncate},
    {"pad", 3, 3, call_pad},
    {"print", 0, TEMPLATE_ARGUMENTS_MAX, call_print},
    {"println", 0, TEMPLATE_ARGUMENTS_MAX, call_println},
    {"printf", 1, TEMPLATE_ARGUMENTS_MAX, call_printf},
    {"len", 1, 1, call_len},
    {"index", 1, TEMPLATE_ARGUMENTS_MAX, call_index},
    {"eq", 2, TEMPLATE_ARGUMENTS_MAX, call_eq},
    {"ne", 2, 2, call_ne},
    {"lt", 2, 2, call_lt},
    {"le", 2, 2, call_le},
    {"gt", 2, 2, call_gt},
    {"ge", 2, 2, call_ge},
    {"and", 1, TEMPLATE_ARGUMENTS_MAX, call_and},
    {"or", 1, TEMPLATE_ARGUMENTS_MAX, call_or},
    {"not", 1, 1, call_not},
};
enum { FUNCTION_COUNT = sizeof functions / sizeof functions[0] };

const struct template_function *template_function_find(const char *name) {
    for (size_t i = 0; i < FUNCTION_COUNT; i++) {
        if (str_equal(functions[i].name, name)) {
            return &functions[i];
        }
    }
    return NULL;
}

void template_function_list(struct buf *out) {
    for (size_t i = 0; i < FUNCTION_COUNT; i++) {
        buf_addf(out, "%s%s", i > 0 ? " " : "", functions[i].name);
    }
}

int template_function_call(const struct template_function *function, json_t *const *arguments, size_t count,
                           json_t **out, struct error *err) {
    if (count < function->min || count > function->max) {
        return error_set(err, ERR_USAGE, "%s wants %s%zu argument%s, not %zu", function->name,
                         function->max > function->min ? "at least " : "", function->min,
                         function->min == 1 ? "" : "s", count);
    }
    return function->call(arguments, count, out, err);
}
