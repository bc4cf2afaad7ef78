// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/log.c — reading the log of entries; membership; joining a group.
#include "reconciler/store/log.h"

#include "base/assert.h"
#include "reconciler/store/turn.h"

const struct store_local *store_local(const struct store *store) {
    return &store->local;
}

int log_get(struct store_read *read, uint64_t index, struct log_entry *out, struct error *err) {
    struct key key = key_number((int64_t)index);
    struct bytes payload;
    int rc = environment_get(&read->store->environment, read->txn, TABLE_LOG, &key, &payload, err);
    rc = rc != 0 ? rc : format_entry_read(payload, out, err);
    return error_wrap(err, rc, "read log entry %llu", (unsigned long long)index);
}

static int visit_all(MDB_cursor *cursor, uint64_t first, log_visit_fn visit, void *context,
                     struct error *err) {
    struct bytes key, payload;
    struct log_entry entry;
    int rc = 0;
    for (uint64_t index = first;
         (rc = environment_move(cursor, TABLE_LOG, MDB_NEXT, NULL, &key, &payload, err)) == 0; index++) {
        if (key.len != 8 || (uint64_t)key_number_at(key, 0) != index) {
            return error_set(err, ERR_CORRUPT, "log entry %llu misses", (unsigned long long)index);
        }
        rc = format_entry_read(payload, &entry, err);
        rc = rc < 0 ? rc : visit(context, index, &entry, err);
        if (rc != 0) {
            return rc;
        }
    }
    return rc == STORE_END ? 0 : rc;
}

int log_each(struct store_read *read, log_visit_fn visit, void *context, struct error *err) {
    const struct environment *environment = &read->store->environment;
    struct store_local local;
    MDB_cursor *cursor;
    int rc = 0;
    if (read->is_of_turn) {
        local = read->store->turn->local;
    } else {
        rc = meta_local_get(environment, read->txn, &local, err);
    }
    rc = rc < 0 ? rc : environment_cursor(environment, read->txn, TABLE_LOG, &cursor, err);
    if (rc < 0) {
        return rc;
    }
    rc = visit_all(cursor, local.base_index + 1, visit, context, err);
    mdb_cursor_close(cursor);
    return rc;
}

int store_membership(struct store_read *read, struct arena *arena, struct membership *out,
                     uint64_t *out_index, struct error *err) {
    struct bytes wire;
    int rc = meta_membership_get(&read->tables, out_index, &wire, err);
    if (rc < 0) {
        return rc;
    }
    wire.data = wire.len > 0 ? arena_copy(arena, wire.data, wire.len) : wire.data;
    return membership_read(wire, out, arena, err);
}

static int put_founders(const struct store *store, MDB_txn *txn, const struct membership *membership,
                        struct error *err) {
    AUTO_BUF wire = {0};
    wire_encode(&membership_schema, membership, &wire);
    return meta_membership_put(&store->environment, txn, 0, buf_bytes(&wire), err);
}

int store_join_group(struct store *store, uint64_t raft_id, const struct membership *membership,
                     struct error *err) {
    ASSERT(raft_id != 0 && store->turn == NULL);
    struct store_local local = store->local;
    if (local.raft_id != 0 || local.last_index != 0) {
        return error_set(err, ERR_CONFLICT, "the store in '%s' belongs to a group already", store->dir);
    }
    MDB_txn *txn;
    int rc = environment_begin(&store->environment, /*write=*/true, &txn, err);
    if (rc < 0) {
        return rc;
    }
    local.raft_id = raft_id;
    rc = membership == NULL ? 0 : put_founders(store, txn, membership, err);
    if (rc < 0) {
        mdb_txn_abort(txn);
        return rc;
    }
    rc = store_commit(store, txn, NULL, &local, err);
    return error_wrap(err, rc, "join a group");
}
