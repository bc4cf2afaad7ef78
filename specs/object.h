// SPDX-License-Identifier: Apache-2.0
//
// specs/object.h — what the store holds: kinds of objects, what they share, and the registry of schemas.
#ifndef MUSTER_SPECS_OBJECT_H
#define MUSTER_SPECS_OBJECT_H

#include "specs/schema.h"

// Numbers are on disk and on the wire: never reused. `name` in YAML's `kind:`; `is_declared`: users may
// write documents of it.
#define OBJECT_KIND_LIST(X)                                                                                  \
    X(CLUSTER, 1, cluster, true)                                                                             \
    X(NODE, 2, node, true)                                                                                   \
    X(SERVICE, 3, service, true)                                                                             \
    X(TASK, 4, task, false)                                                                                  \
    X(NETWORK, 5, network, true)                                                                             \
    X(SECRET, 6, secret, true)                                                                               \
    X(CONFIG, 7, config, true)                                                                               \
    X(VOLUME, 8, volume, true)                                                                               \
    X(ROLLOUT, 9, rollout, false)                                                                            \
    X(SOURCE, 10, source, true)                                                                              \
    X(REVISION, 11, revision, false)

enum object_kind {
    KIND_NONE = 0,
#define X(name, number, word, declared) KIND_##name = number,
    OBJECT_KIND_LIST(X)
#undef X
        KIND_END = 12,
};

// First member of every stored object.
struct meta {
    struct id id;
    int64_t version; // revision of the store that last wrote the object; what an update must quote
    int64_t created; // revision that created it
    int64_t created_unix_ms;
    int64_t updated_unix_ms;
    const char *name;       // unique within the kind where the kind has names; "" for tasks
    const char *owner;      // the set that declares it ("file:shop", "stack:web"); "" = made by hand
    const char *origin;     // file:line of the declaration last applied, for people; "" = none
    const char *changed_by; // who wrote the last version
    struct bytes unknown;
};
extern const struct schema meta_schema;

// The schema of whole stored objects of a kind (struct service, struct node…): first member is struct meta.
const struct schema *object_schema(enum object_kind kind);
// The schema of what users declare (struct service_spec…) and where it sits in the object; NULL for kinds
// without a spec.
const struct schema *object_spec_schema(enum object_kind kind);
size_t object_spec_offset(enum object_kind kind);
const char *object_kind_name(enum object_kind kind);  // "service"
enum object_kind object_kind_parse(const char *name); // singular or plural, any case; KIND_NONE when unknown
bool object_kind_is_declared(enum object_kind kind);

static inline struct meta *object_meta(void *object) {
    return object;
}
static inline const struct meta *object_meta_const(const void *object) {
    return object;
}

// One change of a transaction. For create and update `object` is the whole encoded object (its meta's
// version is ignored); `expected_version` must equal the stored version (0 for create; for update and
// delete 0 = do not check).
enum change_op { CHANGE_CREATE, CHANGE_UPDATE, CHANGE_DELETE };
struct change {
    enum change_op op;
    int64_t kind; // enum object_kind
    struct id id;
    int64_t expected_version;
    struct bytes object;
    struct bytes unknown;
};
extern const struct schema change_schema;

// What is proposed, replicated and applied, all or nothing. `time_unix_ms` and ids are put in by the
// proposer, so that applying is deterministic. `request_id` (may be "") makes a retry harmless: a request
// already applied answers with its first result.
struct transaction {
    const char *request_id;
    const char *who; // "uid:0 root@host", "node:…", "system:restart"
    const char *why; // free text, kept in the history
    int64_t time_unix_ms;
    LIST_OF(struct change) changes;
    // not kept, a word to the proposer: it stops or removes, so it is let in when space is short
    bool makes_room;
    // likewise: it is the decision of whoever leads, so no other manager is asked to propose it
    bool only_here;
    struct bytes unknown;
};
extern const struct schema transaction_schema;
// Appends a change with the encoded object, which must be at the version that it has. All is in the arena.
void transaction_add(struct transaction *transaction, enum change_op op, enum object_kind kind,
                     const void *object, struct arena *arena);

// One entry of the history and of the watch stream: `revision` orders everything; `index` the changes
// inside one transaction. `from` and `to` are encoded objects (empty = absent). In a snapshot every object
// comes as op CREATE with `snapshot` set.
struct event {
    int64_t revision;
    int64_t index;
    int64_t time_unix_ms;
    const char *who;
    const char *why;
    enum change_op op;
    int64_t kind;
    struct id id;
    const char *name;
    struct bytes from;
    struct bytes to;
    bool snapshot;
    struct bytes unknown;
};
extern const struct schema event_schema;

#endif
