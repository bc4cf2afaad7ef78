// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/format.h — the FORMAT on disk: tables, keys, records and payloads, byte by byte.
//
// LMDB notices almost no damage to its file, so each value is a record that proves itself:
//
//     offset  bytes
//     0       1      version of this layout: 1
//     1       1      number of the table (enum table)
//     2       2      flags, all zero; a set flag that is not known here needs a newer muster
//     4       4      CRC-32C of: key length (2), key, bytes 0 to 3, payload
//     8       …      payload
//
// Numbers in records are little-endian; numbers in keys are big-endian, so that keys sort as numbers do.
//
//     table             key                            payload
//     meta              "format"                       "MUSTERDB", write version (4), least version of a
//                                                      reader (4), cluster id (25, zero = none),
//                                                      features: names, each ended by a newline
//                       "state"                        count (8), so many numbers (8): store_state
//                       "local"                        count (8), so many numbers (8): store_local
//                       "membership"                   index of its entry (8), struct membership
//     log               index (8)                      term (8), type (8), payload of the entry
//     objects           kind (1), id (25)              object
//     names             kind (1), name (1 to 128)      id (25)
//     tasks_by_service  service id (25), task id (25)  nothing
//     tasks_by_node     node id (25), task id (25)     nothing
//     revisions         service id (25), number (8)    id of the revision object (25)
//     history           revision (8), index (8)        time (8), event
//     requests          request id (1 to 128)          revision (8), code (8), time (8), text of the outcome
//     request_order     revision (8)                   request id
//
// Transaction, object, event and membership are in wire form (specs/schema.h).
//
// Sets         The tables from objects on are there twice: set 0 under these names, set 1 as "NAME.1". The
//              number in "local" says which set is live; a snapshot is put together in the other.
// Versions     1: one voter, one set, no "local", no "membership"; a log record was term, code of the
//              outcome, transaction; the first of the log, its bytes and the transaction stood in "state",
//              where zeros are now. 2: as above. 3: events may be ahead of the state, and are not there then
//              (reconciler/store/history.c); to version 2 that was damage. A store of an earlier version
//              becomes one of this version when it is opened (reconciler/store/upgrade.h).
//
// Invariants   The record of "format" keeps this layout in every later version, so that an old program can
//              say what it is looking at. A name in `features` is something a reader must know. Table numbers
//              and state numbers are never reused; later versions append.
// Proof        test/golden/format/v1 to v3 hold records of each table, and whole stores of versions 1 and 2;
//              test/fuzz/fuzz_store_record.c reads any bytes.
#ifndef MUSTER_RECONCILER_STORE_FORMAT_H
#define MUSTER_RECONCILER_STORE_FORMAT_H

#include "base/buf.h"
#include "base/error.h"
#include "base/limits.h"
#include "specs/object.h"

#define FORMAT_VERSION 3
#define FORMAT_MAGIC "MUSTERDB"

#define TABLE_LIST(X)                                                                                        \
    X(META, 1, meta)                                                                                         \
    X(LOG, 2, log)                                                                                           \
    X(OBJECTS, 3, objects)                                                                                   \
    X(NAMES, 4, names)                                                                                       \
    X(TASKS_BY_SERVICE, 5, tasks_by_service)                                                                 \
    X(TASKS_BY_NODE, 6, tasks_by_node)                                                                       \
    X(REVISIONS, 7, revisions)                                                                               \
    X(HISTORY, 8, history)                                                                                   \
    X(REQUESTS, 9, requests)                                                                                 \
    X(REQUEST_ORDER, 10, request_order)

enum table {
    TABLE_NONE = 0,
#define X(name, number, word) TABLE_##name = number,
    TABLE_LIST(X)
#undef X
        TABLE_END = 11,
};
const char *table_name(enum table table);
// Whether the table follows from the log, and so is there twice.
static inline bool table_is_replicated(enum table table) {
    return table >= TABLE_OBJECTS && table < TABLE_END;
}

// --- keys ---

#define REQUEST_ID_BYTES_MAX 128
#define KEY_BYTES_MAX 160

struct key {
    size_t len;
    uint8_t data[KEY_BYTES_MAX];
};

struct key key_text(const char *text); // of table meta, or a request id; cut at the longest key
struct key key_number(int64_t number); // log, request order
struct key key_event(int64_t revision, int64_t index);
struct key key_object(enum object_kind kind, const char *id_or_prefix);
struct key key_named(enum object_kind kind, const char *name); // names
struct key key_pair(const struct id *first, const struct id *second);
struct key key_revision(const struct id *service_id, int64_t revision);
struct key key_from(struct bytes bytes); // of a key that was read; bytes no longer than KEY_BYTES_MAX
static inline struct bytes key_bytes(const struct key *key) {
    return (struct bytes){key->data, key->len};
}
bool key_starts(struct bytes key, const struct key *prefix);
int key_compare(struct bytes a, struct bytes b);        // as LMDB sorts: less than, equal to, greater than 0
int64_t key_number_at(struct bytes key, size_t offset); // big-endian; the key is long enough
// false when the key is too short or no id is there
bool key_id_at(struct bytes key, size_t offset, struct id *out);
// What the key stands for, for messages: "task 3x9…", "name 'web' of a service", "log entry 12". Returns out.
#define KEY_TEXT_BYTES 240
const char *key_describe(enum table table, struct bytes key, char out[KEY_TEXT_BYTES]);

// --- records ---

#define RECORD_VERSION 1
#define RECORD_HEAD_BYTES 8

// Writes RECORD_HEAD_BYTES + payload.len bytes to `out`.
void record_write(enum table table, struct bytes key, struct bytes payload, uint8_t *out);
// The payload inside `record`. -ERR_CORRUPT, naming table and key, unless its checksum is right.
int record_read(enum table table, struct bytes key, struct bytes record, struct bytes *payload,
                struct error *err);

// --- payloads: each reader answers -ERR_CORRUPT for bytes that its writer cannot have made ---

struct format_head {
    uint32_t write_version, read_version_min;
    struct id cluster_id;  // none = not known yet
    struct bytes features; // names, each ended by \n
};
void format_head_write(const struct format_head *head, struct buf *out);
// -ERR_UNSUPPORTED for a store that this version must not touch.
int format_head_read(struct bytes payload, struct format_head *out, struct error *err);

// All derived from the log, so equal on all managers at the same index. All members are int64_t.
struct store_state {
    int64_t applied, term; // index and term of the last applied entry
    int64_t time_unix_ms;  // latest time of any transaction so far: never goes back
    // Zeros; in version 1 the first entry of the log, the bytes of the log.
    int64_t was_log_first, was_log_bytes;
    int64_t history_count, history_bytes;    // events kept
    int64_t trimmed_revision, trimmed_index; // the last event that was trimmed; 0, 0 = none
    int64_t request_count;                   // requests remembered
    int64_t was_txn_id;                      // zero; in version 1 as in store_local
    int64_t reserved;
    int64_t objects[32]; // how many of each kind
};
void format_state_write(const struct store_state *state, struct buf *out);
int format_state_read(struct bytes payload, struct store_state *out, struct error *err);

// What only this member knows. All members are uint64_t.
struct store_local {
    uint64_t raft_id;    // 0 = belongs to no group yet
    uint64_t term, vote; // the hard state of consensus: the latest term known, for whom it voted there
    uint64_t base_index, base_term; // entries up to here are compacted away
    uint64_t last_index;            // of the log; base_index when it is empty
    uint64_t log_bytes;             // of the payloads of the entries after base_index
    uint64_t txn_id;                // LMDB's number of the transaction that wrote this record
    uint64_t generation;            // which of the two sets of tables is live: 0, 1
    uint64_t reserved[6];
};
void format_local_write(const struct store_local *local, struct buf *out);
int format_local_read(struct bytes payload, struct store_local *out, struct error *err);

struct log_entry {
    uint64_t term;
    uint8_t type; // enum raft_entry_type
    // DATA: a transaction in wire form; CONFIGURATION: a membership in wire form; NOOP: nothing
    struct bytes payload;
};
void format_entry_write(const struct log_entry *entry, struct buf *out);
int format_entry_read(struct bytes payload, struct log_entry *out, struct error *err);
// A log record of version 1; what came of it is not told.
int format_entry_read_1(struct bytes payload, struct log_entry *out, struct error *err);

// The membership in force, in wire form, and the entry that brought it.
void format_membership_write(uint64_t index, struct bytes membership, struct buf *out);
int format_membership_read(struct bytes payload, uint64_t *out_index, struct bytes *out, struct error *err);

struct request_memory {
    int64_t revision, code, time_unix_ms;
    struct bytes text;
};
void format_request_write(const struct request_memory *memory, struct buf *out);
int format_request_read(struct bytes payload, struct request_memory *out, struct error *err);

struct history_item {
    int64_t time_unix_ms;
    struct bytes event;
};
void format_history_write(int64_t time_unix_ms, const struct event *event, struct buf *out);
int format_history_read(struct bytes payload, struct history_item *out, struct error *err);

// The id that an entry of `names` or `revisions` points to.
int format_id_read(struct bytes payload, struct id *out, struct error *err);

#endif
