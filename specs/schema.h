// SPDX-License-Identifier: Apache-2.0
//
// specs/schema.h — one table drives everything: the field rows from which all readers, writers and helpers
// are derived.
//
// Each object is a plain C struct with a `const struct field[]` of rows (specs/<noun>.c). From the rows
// come YAML and JSON reading with positions, defaults, canonical printing, the binary form, diff with
// consequences, `explain`, JSON Schema, `.proto` and the fuzz dictionary. Adding a field is one row and one
// struct member (CONTRIBUTING.md).
//
// Model        A field equal to its default is not written, in text or in bytes; decoding starts from the
//              defaults. So the default of a tag never changes, and "not given" and "given as the default"
//              are the same thing to everybody.
// Values       Decoded strings are never NULL ("" = not given). Lists are {count, items}. Everything
//              decoded lives in an arena and is immutable: to change an object, copy it shallowly, edit,
//              encode.
// Invariants   Tags are unique per schema, 1..2047, never reused (retired tags stay as comments). Schemas
//              are not recursive.
#ifndef MUSTER_SPECS_SCHEMA_H
#define MUSTER_SPECS_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/id.h"

// C type of the member in brackets.
enum field_kind {
    FIELD_BOOL,     // bool
    FIELD_INT,      // int64_t within min..max
    FIELD_DURATION, // int64_t nanoseconds; text "1m30s"
    FIELD_SIZE,     // int64_t bytes; text "64M"
    FIELD_CPUS,     // int64_t billionths; text "0.5"
    FIELD_TIME,     // int64_t Unix milliseconds; text RFC 3339
    FIELD_MODE,     // int64_t permission bits; text octal "0444"
    FIELD_RATIO,    // double
    FIELD_STRING,   // const char *
    FIELD_ENUM,     // an enum (int-sized), index into `values`
    FIELD_ID,       // struct id
    FIELD_BLOB,     // struct bytes; text base64
    FIELD_STRINGS,  // struct strings
    FIELD_PAIRS,    // struct pairs, kept sorted by key; text map, or list of K=V (FIELD_PAIRS_LIST)
    FIELD_STRUCT,   // nested struct by value
    FIELD_OPTIONAL, // pointer to nested struct, NULL = absent
    FIELD_LIST,     // LIST_OF(nested struct); text list, or map by the `key` member of the nested schema
};

enum field_flag {
    FIELD_REQUIRED = 1 << 0,
    FIELD_SECRET = 1 << 1,    // never printed; a fingerprint is
    FIELD_IMMUTABLE = 1 << 2, // fixed for the life of the object
    FIELD_LATER =
        1 << 3, // accepted, stored, shown; its machinery is not there yet: reported as "not yet acting"
    FIELD_IGNORED = 1 << 4,    // accepted from Compose, never acts here; reported
    FIELD_PAIRS_LIST = 1 << 5, // a list of "K=V" or "K" is accepted too (environment, labels, sysctls)
    FIELD_SPLIT = 1 << 6,      // STRINGS: a scalar is split as a shell would (command, entrypoint)
    FIELD_ONE = 1 << 7,        // STRINGS: a scalar stands for a list of one (env_file, dns, tmpfs)
    FIELD_STATUS = 1 << 8,     // written by the system, not accepted from users
    FIELD_UNORDERED = 1 << 9,  // LIST/STRINGS: order has no meaning; canonical form is sorted
    FIELD_HIDDEN = 1 << 10,    // not part of the YAML dialect (internal), still in bytes and JSON
    FIELD_KEY = 1 << 11,       // names the element inside a list that is written as a map
    // LIST: a map keyed by the FIELD_KEY member (ulimits, networks, depends_on); a list is accepted too
    FIELD_AS_MAP = 1 << 12,
    FIELD_SEALED = 1 << 13, // in bytes only: no text shows it, nor that it changed
};

// What a change of this field does to running tasks; the worst of all changed fields is the verdict of diff
// and plan.
enum consequence {
    CONSEQUENCE_NOTHING,
    CONSEQUENCE_RESTART,
    CONSEQUENCE_MOVE,
    CONSEQUENCE_DATA_LOSS,
    CONSEQUENCE_COUNT
};
extern const char *const consequence_names[CONSEQUENCE_COUNT]; // "nothing", "restart", "move", "data loss"

struct schema;

struct field {
    const char *name; // as in YAML and JSON: lower snake case, Compose's word where there is one
    uint16_t tag;
    uint16_t kind; // enum field_kind
    uint32_t flags;
    uint32_t offset;
    int64_t min, max;          // INT, DURATION, SIZE, CPUS; both 0 = the kind's own range (≥ 0)
    int64_t default_int;       // BOOL, INT…MODE, ENUM (index)
    double default_ratio;      // RATIO
    const char *default_text;  // STRING; NULL = ""
    const char *const *values; // ENUM: names by index; value 0 may be "" = not given
    unsigned value_count;
    // INT shown as a word in JSON, YAML and diffs (task states); NULL = a number
    const char *(*word)(int64_t number);
    bool (*number)(const char *word, int64_t *out); // its inverse
    const struct schema *schema;                    // STRUCT, OPTIONAL, LIST
    enum consequence consequence;
    const char *unit;    // shown by explain: "duration", "bytes"…; NULL = from the kind
    const char *help;    // one sentence, capital first, full stop
    const char *example; // a value that is valid, as YAML text; used by explain, docs, the fuzz dictionary
    const char *since;   // version that brought it
};

// Reads the short form of a struct ("8080:80", "data:/var:ro", "1.5") into `object`, already holding its
// defaults. The error's root is the reason.
typedef int (*schema_short_fn)(const char *text, void *object, struct arena *arena, struct error *err);
// Prints the short form if the object can be said with it; false otherwise.
typedef bool (*schema_print_fn)(const void *object, struct buf *out);

struct problem_sink;
// Cross-field rules: reports each broken one with `problem(sink, "deploy.replicas", "…")`; sees defaults
// filled in.
typedef void (*schema_check_fn)(const void *object, struct problem_sink *sink);

struct schema {
    const char *name; // "service", "port": as shown by explain and used in .proto (CamelCased)
    const char *help;
    const struct field *fields;
    unsigned count;
    uint32_t bytes; // sizeof the struct
    // of a `struct bytes unknown` member that keeps fields of newer versions; SCHEMA_NO_UNKNOWN
    uint32_t unknown_offset;
    schema_short_fn from_short; // may be NULL
    schema_print_fn to_short;   // may be NULL
    schema_check_fn check;      // may be NULL
};

#define SCHEMA_NO_UNKNOWN UINT32_MAX

struct strings {
    size_t count;
    const char **items;
};
struct pair {
    const char *key;
    const char *value;
};
struct pairs {
    size_t count;
    struct pair *items;
};
#define LIST_OF(type)                                                                                        \
    struct {                                                                                                 \
        size_t count;                                                                                        \
        type *items;                                                                                         \
    }

const char *pairs_get(const struct pairs *pairs, const char *key); // NULL when absent
// A copy with the pair set (kept sorted); value NULL removes.
struct pairs pairs_set(struct arena *arena, const struct pairs *pairs, const char *key, const char *value);

// --- walking (specs/schema.c) ---

const struct field *schema_field(const struct schema *schema, const char *name);   // NULL when absent
const struct field *schema_nearest(const struct schema *schema, const char *name); // "did you mean", or NULL
// The row for a dotted path ("deploy.resources.limits.memory"), NULL when absent; list elements are not
// indexed.
const struct field *schema_path(const struct schema *schema, const char *path);

// --- one member by its path (specs/path.c) ---

// The member itself ("deploy.labels"), its row as *field; absent optional structs on the way are made. NULL
// for a path that is none; list elements have none.
void *schema_at(const struct schema *schema, void *object, const char *path, struct arena *arena,
                const struct field **field);
// Sets a member from text, as a spec file has it: scalars, and lists of strings from a scalar (a command is
// split as a shell would). -ERR_NOT_FOUND: no such path. -ERR_INVALID: the root says what a good value looks
// like.
int schema_set_text(const struct schema *schema, void *object, const char *path, const char *text,
                    struct arena *arena, struct error *err);

// All defaults; strings "", lists empty, optionals NULL.
void schema_init(const struct schema *schema, void *object);
bool schema_equal(const struct schema *schema, const void *a, const void *b);
// Deep copy into the arena, unknown fields too.
void *schema_copy(const struct schema *schema, const void *object, struct arena *arena);
// Sorts what has no order, so that equal declarations encode to equal bytes.
void schema_canonicalize(const struct schema *schema, void *object);

// One broken rule: where (dotted path, list elements as `ports[2]`) and why.
struct problem {
    const char *path;
    const char *text;
    bool is_warning; // "not yet acting", "ignored"
};
struct problems {
    size_t count;
    struct problem *items;
};
struct problem_sink {
    struct arena *arena;
    struct problems *out;
    const char *path; // of the object under check; prefixed to what the rule reports
};
void problem(struct problem_sink *sink, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void problem_warn(struct problem_sink *sink, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// Ranges, required fields, enum bounds, UTF-8, list limits, then the cross-field checks, recursively. Used
// on everything that comes from outside, whatever its text form: the server calls it too. With `warnings`,
// FIELD_LATER and FIELD_IGNORED fields that are set are reported as warnings.
void schema_validate(const struct schema *schema, const void *object, bool warnings, struct arena *arena,
                     struct problems *out);

// --- binary form: protobuf wire format by tag (specs/wire.c) ---

void wire_encode(const struct schema *schema, const void *object, struct buf *out);
// Decodes untrusted bytes: -ERR_CORRUPT for malformed input, -ERR_LIMIT for too much of something. Unknown
// tags are kept in `unknown`. Strings are checked for UTF-8 and NUL. `object` is filled from the defaults;
// on failure its content is undefined.
int wire_decode(const struct schema *schema, struct bytes in, void *object, struct arena *arena,
                struct error *err);

// --- JSON (specs/json.c) ---

enum json_style { JSON_COMPACT, JSON_INDENT };
enum text_flag {
    TEXT_DEFAULTS = 1, // write fields that equal their defaults too
    TEXT_STATUS = 2,   // write FIELD_STATUS and FIELD_HIDDEN fields
    TEXT_SECRETS = 4,  // write secret values (never set by any command that shows objects)
};
// Durations as nanoseconds, sizes as bytes, cpus as decimal, times RFC 3339, enums by name.
void json_write(const struct schema *schema, const void *object, enum json_style style, unsigned flags,
                struct buf *out);
// Appends a quoted, escaped JSON string.
void json_write_string(struct buf *out, const char *text);
// JSON documents are read by the YAML reader (specs/manifest.h): every one is a YAML document too, and gets
// positions and limits that way.

// --- YAML out (specs/yaml_write.c); in: specs/manifest.h ---

// Canonical form: field order of the table, defaults left out, short forms where a struct has one; parses
// back to an equal object.
void yaml_write(const struct schema *schema, const void *object, unsigned flags, int indent, struct buf *out);
// A text as one YAML scalar, in quotes where it would be read as something else.
void yaml_write_text(struct buf *out, const char *text);

// --- diff (specs/diff.c) ---

struct difference {
    const char *path;                // "deploy.replicas", "environment.MODE", "ports[80/tcp]"
    const char *old_text, *new_text; // NULL = absent; secrets as fingerprints
    enum consequence consequence;
    const struct field *field;
};
struct differences {
    size_t count;
    struct difference *items;
    enum consequence worst;
};
void schema_diff(const struct schema *schema, const void *old_object, const void *new_object,
                 struct arena *arena, struct differences *out);

// --- what people and editors read (specs/explain.c) ---

// `path` "" explains the whole object; otherwise one field with its children. -ERR_NOT_FOUND names the
// nearest field.
int schema_explain(const struct schema *schema, const char *path, struct buf *out, struct error *err);
void schema_json_schema(const struct schema *const *schemas, size_t count, struct buf *out); // draft 2020-12
// proto3 text; protoc is the oracle
void schema_proto(const struct schema *const *schemas, size_t count, struct buf *out);

#endif
