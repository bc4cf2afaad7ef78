// SPDX-License-Identifier: Apache-2.0
//
// specs/walk.h — how the writers and readers of specs/ reach members by their rows. Private to specs/.
#ifndef MUSTER_SPECS_WALK_H
#define MUSTER_SPECS_WALK_H

#include "specs/schema.h"

// Every list member has this layout, whatever its element type.
struct generic_list {
    size_t count;
    void *items;
};

void *member_at(const struct field *field, void *object);
const void *member_of(const struct field *field, const void *object);
int64_t member_int(const struct field *field, const void *object); // all kinds that field_is_number
void member_set_int(const struct field *field, void *object, int64_t number);
double member_double(const struct field *field, const void *object);
const char *member_text(const struct field *field, const void *object); // STRING; never NULL
const void *member_pointer(const struct field *field, const void *object); // OPTIONAL
struct bytes member_bytes(const struct field *field, const void *object);
struct generic_list member_list(const struct field *field, const void *object); // STRINGS, PAIRS, LIST
const void *list_item(const struct field *field, struct generic_list list, size_t i);
struct bytes schema_unknown(const struct schema *schema, const void *object);

bool field_is_number(const struct field *field); // BOOL…MODE and ENUM
bool field_is_default(const struct field *field, const void *object);
bool schema_is_default(const struct schema *schema, const void *object);
int field_compare(const struct field *field, const void *a, const void *b);
const char *field_default_text(const struct field *field);

// A scalar member as people read it ("1m30s", "64M", "replicated"); false for kinds that are not scalar.
bool field_scalar_text(const struct field *field, const void *object, struct buf *out);
// The inverse: sets the member from text typed by the row. The error's root says what a good value looks like.
int field_set_scalar(const struct field *field, const char *text, void *object, struct arena *arena, struct error *err);

#endif
