// SPDX-License-Identifier: Apache-2.0
//
// specs/wire.c — the binary form: protobuf's wire format, driven by the tables.
//
// Why protobuf: stable tags, unknown fields that survive an older node, and an independent oracle (protoc)
// for tests. Fields equal to their default are left out; decoding starts from the defaults. Pairs are entry
// messages {1: key, 2: value}, sorted by key, so that equal objects have equal bytes.
//
// Limits       depth by the schemas (they are not recursive), LIST_ITEMS_MAX or the row's max,
//              STRING_BYTES_MAX, and the input's own length.
#include <string.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/str.h"
#include "specs/walk.h"

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

// --- encoding ---

static void put_varint(struct buf *out, uint64_t value) {
    char bytes[10];
    size_t len = 0;
    do {
        bytes[len++] = (char)((value & 0x7F) | (value > 0x7F ? 0x80 : 0));
        value >>= 7;
    } while (value > 0);
    buf_add(out, bytes, len);
}

static void put_tag(struct buf *out, const struct field *field, enum wire_type type) {
    put_varint(out, (uint64_t)field->tag << 3 | type);
}

static void put_bytes(struct buf *out, const struct field *field, const void *data, size_t len) {
    put_tag(out, field, WIRE_BYTES);
    put_varint(out, len);
    buf_add(out, data, len);
}

static size_t varint_len(uint64_t value) {
    size_t len = 1;
    while (value > 0x7F) {
        value >>= 7;
        len++;
    }
    return len;
}

// Writes `body` with its length in front: one byte is kept for the length, and a longer length moves the
// body.
static size_t nested_begin(struct buf *out, const struct field *field) {
    put_tag(out, field, WIRE_BYTES);
    buf_addc(out, '\0');
    return out->len;
}

static void nested_end(struct buf *out, size_t start) {
    size_t len = out->len - start;
    size_t extra = varint_len(len) - 1;
    if (extra > 0 && buf_reserve(out, extra) != NULL) {
        memmove(out->data + start + extra, out->data + start, len + 1);
        out->len += extra;
    }
    if (out->overflow) {
        return;
    }
    uint64_t rest = len;
    for (size_t i = 0; i <= extra; i++, rest >>= 7) {
        out->data[start - 1 + i] = (char)((rest & 0x7F) | (i < extra ? 0x80 : 0));
    }
}

static void put_nested(struct buf *out, const struct field *field, const void *object) {
    size_t start = nested_begin(out, field);
    wire_encode(field->schema, object, out);
    nested_end(out, start);
}

static void put_pair(struct buf *out, const struct field *field, const struct pair *pair) {
    size_t start = nested_begin(out, field);
    put_bytes(out, &(struct field){.tag = 1}, pair->key, strlen(pair->key));
    if (pair->value[0] != '\0') {
        put_bytes(out, &(struct field){.tag = 2}, pair->value, strlen(pair->value));
    }
    nested_end(out, start);
}

static void put_list(struct buf *out, const struct field *field, struct generic_list list) {
    for (size_t i = 0; i < list.count; i++) {
        if (field->kind == FIELD_STRINGS) {
            const char *text = ((const char *const *)list.items)[i];
            put_bytes(out, field, text, strlen(text));
        } else if (field->kind == FIELD_PAIRS) {
            put_pair(out, field, &((const struct pair *)list.items)[i]);
        } else {
            put_nested(out, field, list_item(field, list, i));
        }
    }
}

static void put_field(struct buf *out, const struct field *field, const void *object) {
    if (field_is_number(field)) {
        put_tag(out, field, WIRE_VARINT);
        put_varint(out, (uint64_t)member_int(field, object));
        return;
    }
    switch ((int)field->kind) {
    case FIELD_RATIO:
        put_tag(out, field, WIRE_FIXED64);
        buf_add(out, member_of(field, object), sizeof(double));
        break;
    case FIELD_STRING:
        put_bytes(out, field, member_text(field, object), strlen(member_text(field, object)));
        break;
    case FIELD_ID:
        put_bytes(out, field, member_of(field, object), ID_LEN);
        break;
    case FIELD_BLOB:
        put_bytes(out, field, member_bytes(field, object).data, member_bytes(field, object).len);
        break;
    case FIELD_STRUCT:
        put_nested(out, field, member_of(field, object));
        break;
    case FIELD_OPTIONAL:
        put_nested(out, field, member_pointer(field, object));
        break;
    default:
        put_list(out, field, member_list(field, object));
        break;
    }
}

void wire_encode(const struct schema *schema, const void *object, struct buf *out) {
    for (unsigned i = 0; i < schema->count; i++) {
        if (!field_is_default(&schema->fields[i], object)) {
            put_field(out, &schema->fields[i], object);
        }
    }
    struct bytes unknown = schema_unknown(schema, object);
    buf_add(out, unknown.data, unknown.len);
}

// --- decoding ---

struct reader {
    const uint8_t *at, *end;
    struct arena *arena;
    struct error *err;
};

static int corrupt(const struct reader *reader, const char *what) {
    return error_set(reader->err, ERR_CORRUPT, "malformed message: %s", what);
}

static int get_varint(struct reader *reader, uint64_t *out) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && reader->at < reader->end; shift += 7) {
        uint8_t byte = *reader->at++;
        if (shift == 63 && byte > 1) {
            break;
        }
        value |= (uint64_t)(byte & 0x7F) << shift;
        if ((byte & 0x80) == 0) {
            *out = value;
            return 0;
        }
    }
    return corrupt(reader, "number cut or too long");
}

static int get_bytes(struct reader *reader, struct bytes *out) {
    uint64_t len;
    int rc = get_varint(reader, &len);
    if (rc < 0) {
        return rc;
    }
    if (len > (size_t)(reader->end - reader->at)) {
        return corrupt(reader, "length beyond the end");
    }
    *out = (struct bytes){reader->at, (size_t)len};
    reader->at += len;
    return 0;
}

static int skip_value(struct reader *reader, unsigned type) {
    uint64_t number;
    struct bytes bytes;
    size_t fixed = type == WIRE_FIXED64 ? 8 : 4;
    switch (type) {
    case WIRE_VARINT:
        return get_varint(reader, &number);
    case WIRE_BYTES:
        return get_bytes(reader, &bytes);
    case WIRE_FIXED64:
    case WIRE_FIXED32:
        if ((size_t)(reader->end - reader->at) < fixed) {
            return corrupt(reader, "number cut");
        }
        reader->at += fixed;
        return 0;
    default:
        return corrupt(reader, "unknown wire type");
    }
}

static int get_text(struct reader *reader, struct bytes bytes, const char **out) {
    if (bytes.len > STRING_BYTES_MAX) {
        return error_set(reader->err, ERR_LIMIT, "a string of %zu bytes, over %d", bytes.len,
                         STRING_BYTES_MAX);
    }
    if (!str_is_utf8((const char *)bytes.data, bytes.len)) {
        return corrupt(reader, "string is not UTF-8");
    }
    *out = arena_strndup(reader->arena, (const char *)bytes.data, bytes.len);
    return 0;
}

static int get_pair(struct reader *reader, struct bytes body, struct pair *out) {
    struct reader inner = {body.data, body.data + body.len, reader->arena, reader->err};
    *out = (struct pair){"", ""};
    while (inner.at < inner.end) {
        uint64_t tag;
        struct bytes text;
        int rc = get_varint(&inner, &tag);
        rc = rc < 0 ? rc : get_bytes(&inner, &text);
        if (rc < 0) {
            return rc;
        }
        if (tag != (1 << 3 | WIRE_BYTES) && tag != (2 << 3 | WIRE_BYTES)) {
            return corrupt(reader, "map entry");
        }
        rc = get_text(reader, text, tag == (1 << 3 | WIRE_BYTES) ? &out->key : &out->value);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

static int get_number(struct reader *reader, const struct field *field, void *object) {
    uint64_t value;
    int rc = get_varint(reader, &value);
    if (rc < 0) {
        return rc;
    }
    if (field->kind == FIELD_ENUM && value >= field->value_count) {
        return error_set(reader->err, ERR_UNSUPPORTED, "%s has value %llu, which this version does not know",
                         field->name, (unsigned long long)value);
    }
    member_set_int(field, object, (int64_t)value);
    return 0;
}

static int get_ratio(struct reader *reader, const struct field *field, void *object) {
    if (reader->end - reader->at < 8) {
        return corrupt(reader, "number cut");
    }
    memcpy(member_at(field, object), reader->at, 8);
    reader->at += 8;
    return 0;
}

// The list as it was, with room for one more element.
static int list_push(struct reader *reader, const struct field *field, void *object, size_t bytes,
                     struct generic_list *out) {
    struct generic_list list = member_list(field, object);
    size_t max = field->kind == FIELD_PAIRS || field->max == 0 ? LIST_ITEMS_MAX : (size_t)field->max;
    if (list.count >= max) {
        return error_set(reader->err, ERR_LIMIT, "%s has more than %zu items", field->name, max);
    }
    list.items = arena_grow(reader->arena, list.items, list.count, bytes);
    list.count++;
    memcpy(member_at(field, object), &list, sizeof list);
    *out = list;
    return 0;
}

static int get_list_item(struct reader *reader, const struct field *field, struct bytes body, void *object) {
    size_t bytes = field->kind == FIELD_STRINGS ? sizeof(char *)
                   : field->kind == FIELD_PAIRS ? sizeof(struct pair)
                                                : field->schema->bytes;
    struct generic_list list = {0};
    int rc = list_push(reader, field, object, bytes, &list);
    if (rc < 0) {
        return rc;
    }
    char *item = (char *)list.items + (list.count - 1) * bytes;
    if (field->kind == FIELD_STRINGS) {
        const char *text;
        rc = get_text(reader, body, &text);
        memcpy(item, rc == 0 ? &text : &(const char *){""}, sizeof text);
    } else if (field->kind == FIELD_PAIRS) {
        struct pair pair;
        rc = get_pair(reader, body, &pair);
        memcpy(item, &pair, sizeof pair);
    } else {
        rc = wire_decode(field->schema, body, item, reader->arena, reader->err);
    }
    return rc;
}

static int get_id(struct reader *reader, struct bytes body, void *member) {
    struct id id = {{0}};
    char text[ID_LEN + 1] = {0};
    if (body.len != ID_LEN) {
        return corrupt(reader, "id length");
    }
    memcpy(text, body.data, ID_LEN);
    if (!id_parse(text, &id)) {
        return corrupt(reader, "id characters");
    }
    memcpy(member, &id, sizeof id);
    return 0;
}

static int get_length_delimited(struct reader *reader, const struct field *field, void *object) {
    struct bytes body;
    int rc = get_bytes(reader, &body);
    if (rc < 0) {
        return rc;
    }
    void *member = member_at(field, object);
    const char *text;
    void *nested;
    switch ((int)field->kind) {
    case FIELD_STRING:
        rc = get_text(reader, body, &text);
        if (rc == 0) {
            memcpy(member, &text, sizeof text);
        }
        return rc;
    case FIELD_ID:
        return get_id(reader, body, member);
    case FIELD_BLOB:
        body.data = arena_copy(reader->arena, body.data, body.len);
        memcpy(member, &body, sizeof body);
        return 0;
    case FIELD_STRUCT:
        return wire_decode(field->schema, body, member, reader->arena, reader->err);
    case FIELD_OPTIONAL:
        nested = arena_alloc(reader->arena, field->schema->bytes);
        memcpy(member, &nested, sizeof nested);
        return wire_decode(field->schema, body, nested, reader->arena, reader->err);
    default:
        return get_list_item(reader, field, body, object);
    }
}

static unsigned wire_type_of(const struct field *field) {
    return field_is_number(field) ? WIRE_VARINT : field->kind == FIELD_RATIO ? WIRE_FIXED64 : WIRE_BYTES;
}

// Fields come in table order nearly always: look from where the last one was found.
static const struct field *field_by_tag(const struct schema *schema, uint64_t tag, unsigned *hint) {
    for (unsigned i = 0; i < schema->count; i++) {
        unsigned at = (*hint + i) % schema->count;
        if (schema->fields[at].tag == tag) {
            *hint = at;
            return &schema->fields[at];
        }
    }
    return NULL;
}

static int get_field(struct reader *reader, const struct schema *schema, unsigned *hint, void *object,
                     struct buf *unknown) {
    const uint8_t *start = reader->at;
    uint64_t key;
    int rc = get_varint(reader, &key);
    if (rc < 0) {
        return rc;
    }
    const struct field *field = field_by_tag(schema, key >> 3, hint);
    if (field == NULL) {
        rc = key >> 3 == 0 ? corrupt(reader, "tag 0") : skip_value(reader, key & 7);
        if (rc == 0) {
            buf_add(unknown, start, (size_t)(reader->at - start));
        }
        return rc;
    }
    if ((key & 7) != wire_type_of(field)) {
        return corrupt(reader, "wire type does not fit the field");
    }
    if (field_is_number(field)) {
        return get_number(reader, field, object);
    }
    return field->kind == FIELD_RATIO ? get_ratio(reader, field, object)
                                      : get_length_delimited(reader, field, object);
}

int wire_decode(const struct schema *schema, struct bytes in, void *object, struct arena *arena,
                struct error *err) {
    schema_init(schema, object);
    struct reader reader = {in.data, in.data == NULL ? NULL : in.data + in.len, arena, err};
    AUTO_BUF unknown = buf_make(OBJECT_BYTES_MAX);
    unsigned hint = 0;
    while (reader.at < reader.end) {
        int rc = get_field(&reader, schema, &hint, object, &unknown);
        if (rc < 0) {
            return error_wrap(err, rc, "decode %s", schema->name);
        }
    }
    if (unknown.overflow) {
        return error_set(err, ERR_LIMIT, "decode %s: more than %d bytes of unknown fields", schema->name,
                         OBJECT_BYTES_MAX);
    }
    if (unknown.len > 0 && schema->unknown_offset != SCHEMA_NO_UNKNOWN) {
        struct bytes kept = {arena_copy(arena, unknown.data, unknown.len), unknown.len};
        memcpy((char *)object + schema->unknown_offset, &kept, sizeof kept);
    }
    return 0;
}
