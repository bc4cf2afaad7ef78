// SPDX-License-Identifier: Apache-2.0
//
// specs/row.h — the macros with which field tables are written; included by specs/<noun>.c only.
//
//     static const struct field port_fields[] = {
//         INT(struct port, 1, target, 1, 65535, .flags = FIELD_REQUIRED, .help = "Port inside the container."),
//         ENUM(struct port, 3, protocol, port_protocol_names, PROTOCOL_TCP, .help = "Transport protocol."),
//     };
//     const struct schema port_schema = SCHEMA("port", struct port, port_fields, .from_short = port_from_short);
//
// A member of the wrong C type does not compile: each macro takes the member's address as the type it expects.
#ifndef MUSTER_SPECS_ROW_H
#define MUSTER_SPECS_ROW_H

#include "specs/schema.h"

// A row may say again what its macro said (.name, .max): the last word wins, and that is meant.
#ifdef __clang__
#pragma clang diagnostic ignored "-Winitializer-overrides"
#else
#pragma GCC diagnostic ignored "-Woverride-init"
#endif

// offsetof, but only if the member has the expected type.
#define ROW_OFFSET(type, member, member_type)                                                                          \
    ((uint32_t)(offsetof(type, member) + 0 * sizeof((member_type *)0 == &((type *)0)->member)))
#define ROW(type, tag_, member, kind_, member_type, ...)                                                               \
    { .name = #member, .tag = (tag_), .kind = (kind_), .offset = ROW_OFFSET(type, member, member_type), __VA_ARGS__ }
// For members whose YAML name differs from the C name: append .name = "…" (designated initialisers: the last one wins).

#define BOOL(type, tag, member, ...) ROW(type, tag, member, FIELD_BOOL, bool, __VA_ARGS__)
#define INT(type, tag, member, min_, max_, ...)                                                                        \
    ROW(type, tag, member, FIELD_INT, int64_t, .min = (min_), .max = (max_), __VA_ARGS__)
#define DURATION(type, tag, member, ...) ROW(type, tag, member, FIELD_DURATION, int64_t, __VA_ARGS__)
#define SIZE(type, tag, member, ...) ROW(type, tag, member, FIELD_SIZE, int64_t, __VA_ARGS__)
#define CPUS(type, tag, member, ...) ROW(type, tag, member, FIELD_CPUS, int64_t, __VA_ARGS__)
#define TIME(type, tag, member, ...) ROW(type, tag, member, FIELD_TIME, int64_t, __VA_ARGS__)
#define MODE(type, tag, member, ...) ROW(type, tag, member, FIELD_MODE, int64_t, __VA_ARGS__)
#define RATIO(type, tag, member, ...) ROW(type, tag, member, FIELD_RATIO, double, __VA_ARGS__)
#define STRING(type, tag, member, ...) ROW(type, tag, member, FIELD_STRING, const char *, __VA_ARGS__)
#define ENUM(type, tag_, member, names, default_, ...)                                                                 \
    { .name = #member, .tag = (tag_), .kind = FIELD_ENUM,                                                              \
      .offset = (uint32_t)(offsetof(type, member) + 0 * sizeof(char[sizeof(((type *)0)->member) == 4 ? 1 : -1])),     \
      .values = (names), .value_count = sizeof(names) / sizeof(*(names)), .default_int = (default_), __VA_ARGS__ }
#define ID(type, tag, member, ...) ROW(type, tag, member, FIELD_ID, struct id, __VA_ARGS__)
#define BLOB(type, tag, member, ...) ROW(type, tag, member, FIELD_BLOB, struct bytes, __VA_ARGS__)
#define STRINGS(type, tag, member, ...) ROW(type, tag, member, FIELD_STRINGS, struct strings, __VA_ARGS__)
#define PAIRS(type, tag, member, ...) ROW(type, tag, member, FIELD_PAIRS, struct pairs, __VA_ARGS__)
#define STRUCT(type, tag, member, schema_, member_type, ...)                                                           \
    ROW(type, tag, member, FIELD_STRUCT, member_type, .schema = (schema_), __VA_ARGS__)
#define OPTIONAL(type, tag, member, schema_, member_type, ...)                                                         \
    ROW(type, tag, member, FIELD_OPTIONAL, member_type *, .schema = (schema_), __VA_ARGS__)
// The items pointer must point at the nested struct; {count, items} layout is shared by all lists.
#define LIST(type, tag_, member, schema_, member_type, ...)                                                            \
    { .name = #member, .tag = (tag_), .kind = FIELD_LIST,                                                              \
      .offset = (uint32_t)(offsetof(type, member) + 0 * sizeof((member_type **)0 == &((type *)0)->member.items)),     \
      .schema = (schema_), __VA_ARGS__ }

#define SCHEMA(name_, type, rows, ...)                                                                                 \
    { .name = (name_), .fields = (rows), .count = sizeof(rows) / sizeof(*(rows)), .bytes = sizeof(type),               \
      .unknown_offset = offsetof(type, unknown), __VA_ARGS__ }

#endif
