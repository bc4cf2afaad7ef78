// SPDX-License-Identifier: Apache-2.0
//
// specs/generic.c — reading and printing resources of the operator's making.
#include "specs/generic.h"

#include <string.h>

#include "base/limits.h"
#include "base/str.h"
#include "specs/row.h"

static const struct field generic_stock_fields[] = {
    STRING(struct generic_stock, 1, kind, .flags = FIELD_REQUIRED | FIELD_KEY,
           .help = "Name of the resource."),
    INT(struct generic_stock, 2, count, 0, INT32_MAX, .help = "How many."),
    STRINGS(struct generic_stock, 3, names, .help = "Their names, if they have any."),
};
const struct schema generic_stock_schema = SCHEMA("generic_stock", struct generic_stock, generic_stock_fields,
                                                  .help = "A resource of the operator's making.");

bool generic_is_kind(const char *text) {
    return str_is_name(text, NAME_BYTES_MAX);
}

static struct generic_stock *find(const struct generic_stocks *stocks, const char *kind) {
    for (size_t i = 0; i < stocks->count; i++) {
        if (str_equal(stocks->items[i].kind, kind)) {
            return &stocks->items[i];
        }
    }
    return NULL;
}

const struct generic_stock *generic_find(const struct generic_stocks *stocks, const char *kind) {
    return find(stocks, kind);
}

static int add_name(struct generic_stock *stock, const char *name, size_t len, struct arena *arena,
                    struct error *err) {
    const char *copy = arena_strndup(arena, name, len);
    if (!str_is_name(copy, NAME_BYTES_MAX)) {
        return error_set(
            err, ERR_INVALID,
            "'%s' is no name of a %s: letters, digits, '-', '_' and '.', a letter or digit first", copy,
            stock->kind);
    }
    for (size_t i = 0; i < stock->names.count; i++) {
        if (str_equal(stock->names.items[i], copy)) {
            return 0;
        }
    }
    *ARENA_PUSH(arena, &stock->names) = copy;
    stock->count = (int64_t)stock->names.count;
    return 0;
}

static int add_value(struct generic_stock *stock, const char *value, struct arena *arena, struct error *err) {
    int64_t number;
    bool is_number = str_to_int(value, &number);
    if (is_number ? stock->names.count > 0 : stock->names.count == 0 && stock->count > 0) {
        return error_set(err, ERR_INVALID, "%s is given as a number and by names: choose one", stock->kind);
    }
    if (is_number) {
        stock->count = number;
        return number >= 1 && number <= INT32_MAX
                   ? 0
                   : error_set(err, ERR_INVALID, "%s=%s: the number is from 1 to %d", stock->kind, value,
                               INT32_MAX);
    }
    int rc = 0;
    for (const char *at = value; rc == 0; at += strcspn(at, ",") + 1) {
        size_t len = strcspn(at, ",");
        rc = add_name(stock, at, len, arena, err);
        if (at[len] == '\0') {
            break;
        }
    }
    return rc;
}

int generic_add(struct generic_stocks *stocks, const char *text, struct arena *arena, struct error *err) {
    const char *equal = strchr(text, '=');
    const char *kind = equal != NULL ? arena_strndup(arena, text, (size_t)(equal - text)) : text;
    if (equal == NULL || equal[1] == '\0' || !generic_is_kind(kind)) {
        return error_set(err, ERR_INVALID, "'%s' is not KIND=NUMBER or KIND=NAME,NAME", text);
    }
    struct generic_stock *stock = find(stocks, kind);
    if (stock == NULL) {
        stock = ARENA_PUSH(arena, stocks);
        schema_init(&generic_stock_schema, stock);
        stock->kind = kind;
    }
    return add_value(stock, arena_strdup(arena, equal + 1), arena, err);
}

void generic_write(const struct generic_stock *stock, struct buf *out) {
    buf_addf(out, "%s=", stock->kind);
    for (size_t i = 0; i < stock->names.count; i++) {
        buf_addf(out, "%s%s", i > 0 ? "," : "", stock->names.items[i]);
    }
    if (stock->names.count == 0) {
        buf_addf(out, "%lld", (long long)stock->count);
    }
}
