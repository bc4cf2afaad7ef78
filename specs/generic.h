// SPDX-License-Identifier: Apache-2.0
//
// specs/generic.h — resources of the operator's making, as nodes have them and tasks hold them: so many
// ("ssd=3"), or each with a name ("gpu=uuid-1,uuid-2").
//
// What a service reserves is a number of a kind in either case (struct generic_resource, specs/service.h). A
// task that holds named ones knows which.
#ifndef MUSTER_SPECS_GENERIC_H
#define MUSTER_SPECS_GENERIC_H

#include "specs/schema.h"

struct generic_stock {
    const char *kind;
    int64_t count;
    struct strings names; // none = they are only counted; else as many as `count` says
    struct bytes unknown;
};
struct generic_stocks {
    size_t count;
    struct generic_stock *items;
};
extern const struct schema generic_stock_schema;

// Is it a letter or digit, then letters, digits, '-', '_' and '.'?
bool generic_is_kind(const char *text);
const struct generic_stock *generic_find(const struct generic_stocks *stocks, const char *kind); // or NULL
// Takes "KIND=NUMBER" or "KIND=NAME[,NAME…]" in: names of a kind add up, a number given again counts instead
// of the one before. The root of the error says how it is written.
int generic_add(struct generic_stocks *stocks, const char *text, struct arena *arena, struct error *err);
// "gpu=uuid-1,uuid-2", "ssd=3": appended.
void generic_write(const struct generic_stock *stock, struct buf *out);

#endif
