// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/store.h — the durable state of a manager: objects, their history, the log of proposals;
// one LMDB environment.
//
// Everything durable is a transaction (specs/object.h) that went through the proposal seam
// (reconciler/store/proposer.h) and is applied here, all or nothing. Effects, history and applied index
// commit in one synced LMDB transaction (reconciler/store/turn.h), so applying is exactly-once across
// crashes. The log of entries (reconciler/store/log.h) and the hard state of consensus are in it too.
//
// Model        revision = index of the log entry that made the change. Objects are kept encoded under
//              (kind, id); names, tasks by service, tasks by node and revisions by service are indexes.
//              Each change leaves one event in the history, which is trimmed from its old end.
// Invariants   (1) a record without its right checksum is never returned: -ERR_CORRUPT, naming it. (2) An
//              acknowledged transaction survives kill -9 and power loss. (3) Applying is deterministic:
//              same log, same bytes (no clock, no randomness, no map order).
// Ownership    One loop thread uses the store. Bytes from reads are borrowed from the read transaction and
//              die with it. A read transaction lives within one turn.
//              While a turn is open, reads go through its write transaction: they see what it has applied
//              so far, and what they borrow dies at its next write.
// Limits       STORE_MAP_BYTES, STORE_RESERVE_BYTES, HISTORY_BYTES_MAX, HISTORY_AGE_MS_MAX.
// Failure      -ERR_NO_SPACE: refused early, nothing changed. -ERR_CORRUPT and -ERR_SYSTEM from a write end
//              the daemon (crash-only): a failed sync is never retried.
#ifndef MUSTER_RECONCILER_STORE_STORE_H
#define MUSTER_RECONCILER_STORE_STORE_H

#include "specs/object.h"

struct store;
struct store_read;

// Asked before each commit, so that a simulated disk may fail: 0, or the failure that the commit ends with
// (-ERR_NO_SPACE, -ERR_SYSTEM); nothing of that transaction is kept then.
struct store_faults {
    int (*before_commit)(void *context, struct error *err);
    void *context;
};

struct store_options {
    const char *dir;                       // made with 0700 when absent
    size_t map_bytes;                      // 0 = STORE_MAP_BYTES
    int64_t history_bytes, history_age_ms; // 0 = the limits
    // free map and disk below which proposals are refused; 0 = STORE_RESERVE_BYTES, negative = none
    int64_t reserve_bytes;
    // none = whatever the directory has; else a directory of another cluster is refused: -ERR_CONFLICT
    struct id cluster_id;
    const struct store_faults *faults; // NULL but in simulations; outlives the store
    // For simulations, which trust their directories: check an existing store in this process, or not at all.
    bool check_here, skip_check;
};

// Opens or creates. Before the file is mapped here, a child process opens it and walks every record,
// because a damaged file can kill the process that maps it. Call before any thread exists. -ERR_BUSY:
// another process has this directory (named); -ERR_CORRUPT: damage, with what and where and what to do,
// nothing touched; -ERR_UNSUPPORTED: a newer format; -ERR_NO_SPACE, -ERR_SYSTEM.
int store_open(const struct store_options *options, struct store **out, struct error *err);
void store_close(struct store *store); // accepts NULL

// Walks all records and indexes and compares checksums and references: what the child of store_open runs,
// and `musterd --check-store`. Damage may kill the process: run it in one of its own. -ERR_BUSY while a
// daemon has the directory.
int store_check(const char *dir, struct error *err);

int64_t store_revision(const struct store *store); // applied index, of the open turn if there is one
// The latest time of any applied transaction: equal on all managers at the same index.
int64_t store_time_unix_ms(const struct store *store);
// Pages of the file that were read stay mapped and count as this process's memory, as long as the system has
// room; this lets them go. They stay in the system's cache: the next read of one costs a microsecond.
void store_trim(struct store *store);
struct store_usage {
    int64_t map_bytes, used_bytes, disk_free_bytes, history_first_revision, history_bytes, objects;
};
void store_usage(struct store *store, struct store_usage *out);

// --- reading ---

// A consistent picture at one revision; through the open turn if there is one, which must not end before the
// read does. Never fails but for -ERR_SYSTEM.
int store_read_begin(struct store *store, struct store_read **out, struct error *err);
void store_read_end(struct store_read *read); // accepts NULL
int64_t store_read_revision(const struct store_read *read);

enum store_outcome { STORE_ABSENT = 1, STORE_END = 2, STORE_SKIPPED = 3, STORE_AMBIGUOUS = 4 };

// STORE_ABSENT, or 0 with borrowed bytes.
int store_get(struct store_read *read, enum object_kind kind, const struct id *id, struct bytes *out,
              struct error *err);
int store_find_name(struct store_read *read, enum object_kind kind, const char *name, struct id *out,
                    struct error *err);
// What users type: exact id, else exact name, else unique id prefix. STORE_ABSENT, STORE_AMBIGUOUS.
int store_resolve(struct store_read *read, enum object_kind kind, const char *reference, struct id *out,
                  struct error *err);
// store_get and decode into the arena: *out is struct service *, struct task *…
int store_load(struct store_read *read, enum object_kind kind, const struct id *id, struct arena *arena,
               void **out, struct error *err);

// Iteration in key order. Index ALL walks a kind by id; the others walk the tasks of a service, the tasks
// of a node, the revisions of a service.
enum store_index { STORE_ALL, STORE_TASKS_OF_SERVICE, STORE_TASKS_OF_NODE, STORE_REVISIONS_OF_SERVICE };
struct store_cursor {
    struct store_read *read;
    void *position;
    enum store_index index;
    enum object_kind kind;
    struct id key;
    struct id after;
    bool started;
};
int store_each_begin(struct store_read *read, enum store_index index, enum object_kind kind,
                     const struct id *key, struct store_cursor *out, struct error *err);
// Begin after the place of this object, whether it is still there or not, instead of at the first; not among
// revisions.
void store_each_after(struct store_cursor *cursor, const struct id *id);
// 0 or STORE_END
int store_each_next(struct store_cursor *cursor, struct id *out_id, struct bytes *out, struct error *err);
void store_each_end(struct store_cursor *cursor);
// Decodes each into the arena and shows it, until one is refused: 0, or the failure. The arena is the caller's,
// and whoever is shown an object may clear it.
typedef int store_take(void *context, void *object, struct arena *arena, struct error *err);
int store_each_object(struct store_read *read, enum store_index index, enum object_kind kind,
                      const struct id *key, struct arena *arena, store_take *take, void *context,
                      struct error *err);
int64_t store_count(struct store_read *read, enum object_kind kind);

// --- history and watch: a watch is only a position, so a slow reader costs nothing and blocks nobody ---

struct store_position {
    int64_t revision, index;
}; // the next event to read is the first one after it
// The position from which everything newer than a snapshot taken at `revision` is read; 0 = from the
// beginning.
static inline struct store_position store_position_after(int64_t revision) {
    return (struct store_position){revision, INT64_MAX};
}
// Appends up to max events after *position, of the kinds in kind_mask (bit 1 << kind; 0 = all), decoded
// into the arena with `from`, `to` copied; advances
// *position past everything looked at. 0; STORE_SKIPPED: events after *position were trimmed already - take
// a snapshot and tell the reader what it missed.
struct events {
    size_t count;
    struct event *items;
};
int store_history(struct store_read *read, struct store_position *position, uint64_t kind_mask, size_t max,
                  size_t max_bytes, struct arena *arena, struct events *out, struct error *err);

// What came of a proposal with this request id: 0, or STORE_ABSENT (none, or long ago). `text` is in the
// arena.
struct store_request {
    int code;
    int64_t revision;
    const char *text;
};
int store_recall(struct store_read *read, const char *request_id, struct arena *arena,
                 struct store_request *out, struct error *err);

// A number over all tables that follow from the log, and not the log itself: equal on two stores that
// applied the same entries, different (but for chance) otherwise. Walks everything.
int store_digest(struct store_read *read, uint64_t *out, struct error *err);

#endif
