// SPDX-License-Identifier: Apache-2.0
//
// test/lib/random_object.c — one value for each kind of field; about half of the fields keep their default.
#include "test/lib/random_object.h"

#include <string.h>

#include "specs/walk.h"

static void fill(struct prng *prng, const struct schema *schema, void *object, struct arena *arena);

static const char *random_text(struct prng *prng, struct arena *arena) {
    static const char *const pieces[] = {"a", "Z", "0", "-", ".", " ", "ä", "€", "𐍈", "\n", "\"", "\\"};
    AUTO_BUF text = {0};
    for (uint64_t i = prng_below(prng, 12) + 1; i > 0; i--) {
        buf_adds(&text, pieces[prng_below(prng, sizeof pieces / sizeof *pieces)]);
    }
    return arena_strdup(arena, buf_text(&text));
}

static int64_t random_int(struct prng *prng, const struct field *field) {
    if (field->kind == FIELD_BOOL) {
        return (int64_t)prng_below(prng, 2);
    }
    if (field->kind == FIELD_ENUM) {
        return (int64_t)prng_below(prng, field->value_count);
    }
    int64_t min = field->min, max = field->min == 0 && field->max == 0 ? INT64_MAX : field->max;
    uint64_t span = (uint64_t)max - (uint64_t)min;
    uint64_t small = prng_below(prng, 2) == 0 && span > 1000 ? 1000 : span; // small numbers and huge ones
    return (int64_t)((uint64_t)min + (small == UINT64_MAX ? prng_next(prng) : prng_below(prng, small + 1)));
}

static struct bytes random_bytes(struct prng *prng, struct arena *arena) {
    size_t len = (size_t)prng_below(prng, 40) + 1;
    uint8_t *data = arena_alloc(arena, len);
    for (size_t i = 0; i < len; i++) {
        data[i] = (uint8_t)prng_next(prng);
    }
    return (struct bytes){data, len};
}

static void random_list(struct prng *prng, const struct field *field, void *member, struct arena *arena) {
    struct generic_list list = {.count = (size_t)prng_below(prng, 3) + 1};
    if (field->kind == FIELD_STRINGS) {
        const char **items = arena_array(arena, list.count, sizeof *items);
        for (size_t i = 0; i < list.count; i++) {
            items[i] = random_text(prng, arena);
        }
        list.items = items;
    } else {
        list.items = arena_array(arena, list.count, field->schema->bytes);
        for (size_t i = 0; i < list.count; i++) {
            fill(prng, field->schema, (char *)list.items + i * field->schema->bytes, arena);
        }
    }
    memcpy(member, &list, sizeof list);
}

static void random_pairs(struct prng *prng, void *member, struct arena *arena) {
    struct pairs pairs = {0};
    for (uint64_t i = prng_below(prng, 3) + 1; i > 0; i--) {
        pairs = pairs_set(arena, &pairs, random_text(prng, arena), random_text(prng, arena));
    }
    memcpy(member, &pairs, sizeof pairs);
}

static void random_member(struct prng *prng, const struct field *field, void *object, struct arena *arena) {
    void *member = member_at(field, object);
    if (field_is_number(field)) {
        member_set_int(field, object, random_int(prng, field));
    } else if (field->kind == FIELD_RATIO) {
        memcpy(member, &(double){prng_unit(prng)}, sizeof(double));
    } else if (field->kind == FIELD_STRING) {
        memcpy(member, &(const char *){random_text(prng, arena)}, sizeof(char *));
    } else if (field->kind == FIELD_ID) {
        struct id id = id_from_prng(prng);
        memcpy(member, &id, sizeof id);
    } else if (field->kind == FIELD_BLOB) {
        struct bytes bytes = random_bytes(prng, arena);
        memcpy(member, &bytes, sizeof bytes);
    } else if (field->kind == FIELD_STRUCT) {
        fill(prng, field->schema, member, arena);
    } else if (field->kind == FIELD_OPTIONAL) {
        memcpy(member, &(void *){random_object(prng, field->schema, arena)}, sizeof(void *));
    } else if (field->kind == FIELD_PAIRS) {
        random_pairs(prng, member, arena);
    } else {
        random_list(prng, field, member, arena);
    }
}

static void fill(struct prng *prng, const struct schema *schema, void *object, struct arena *arena) {
    schema_init(schema, object);
    for (unsigned i = 0; i < schema->count; i++) {
        if (prng_below(prng, 2) == 0) {
            random_member(prng, &schema->fields[i], object, arena);
        }
    }
}

void *random_object(struct prng *prng, const struct schema *schema, struct arena *arena) {
    void *object = arena_alloc(arena, schema->bytes);
    fill(prng, schema, object, arena);
    return object;
}
