// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/index.h — the index entries that an object has: its name, its service, its node, its
// revision.
//
// Entries follow from the encoded object alone. They are read out of the bytes by tag, without decoding: it
// costs a tenth, and works on objects of newer versions too.
#ifndef MUSTER_RECONCILER_STORE_INDEX_H
#define MUSTER_RECONCILER_STORE_INDEX_H

#include "reconciler/store/tables.h"

// What of an object is in an index; names are borrowed from its bytes, zero = nothing.
struct index_view {
    enum object_kind kind;
    struct id id;
    struct bytes name;
    int64_t version, created, created_unix_ms;
    struct id service_id, node_id; // of tasks; service_id of revisions too
    int64_t revision;              // of revisions
};
// -ERR_CORRUPT for bytes that are no encoded object of the kind.
int index_view_of(enum object_kind kind, struct bytes object, struct index_view *out, struct error *err);

// One entry: where it stands and the id it leads to (none: the key says all).
struct index_entry {
    enum table table;
    struct key key;
    struct id id;
};
#define INDEX_ENTRIES_MAX 3
size_t index_entries(const struct index_view *view, struct index_entry out[INDEX_ENTRIES_MAX]);

// Removes the entries of `before` that `after` does not have; NULL = no object.
int index_remove(const struct tables *tables, const struct index_view *before, const struct index_view *after,
                 struct error *err);
// Adds the entries of `after` that `before` does not have.
void index_add(const struct tables *tables, const struct index_view *before, const struct index_view *after);

#endif
