// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/meta.c — the records of table meta, in and out of a transaction.
#include "reconciler/store/meta.h"

#include "reconciler/store/store.h"

static int get(const struct environment *environment, MDB_txn *txn, const char *name, struct bytes *out,
               struct error *err) {
    struct key key = key_text(name);
    int rc = environment_get(environment, txn, TABLE_META, &key, out, err);
    return rc == STORE_ABSENT ? error_set(err, ERR_CORRUPT, "the record '%s' of the store misses", name) : rc;
}

static int put(const struct environment *environment, MDB_txn *txn, const char *name,
               const struct buf *payload, struct error *err) {
    struct key key = key_text(name);
    return environment_put(environment, txn, TABLE_META, &key, buf_bytes(payload), err);
}

int meta_head_get(const struct environment *environment, MDB_txn *txn, struct format_head *out,
                  struct error *err) {
    struct bytes payload;
    int rc = get(environment, txn, "format", &payload, err);
    return rc < 0 ? rc : format_head_read(payload, out, err);
}

int meta_head_put(const struct environment *environment, MDB_txn *txn, const struct format_head *head,
                  struct error *err) {
    AUTO_BUF payload = {0};
    format_head_write(head, &payload);
    return put(environment, txn, "format", &payload, err);
}

int meta_state_get(const struct environment *environment, MDB_txn *txn, struct store_state *out,
                   struct error *err) {
    struct bytes payload;
    int rc = get(environment, txn, "state", &payload, err);
    return rc < 0 ? rc : format_state_read(payload, out, err);
}

int meta_state_put(const struct environment *environment, MDB_txn *txn, const struct store_state *state,
                   struct error *err) {
    AUTO_BUF payload = {0};
    format_state_write(state, &payload);
    return put(environment, txn, "state", &payload, err);
}

int meta_local_get(const struct environment *environment, MDB_txn *txn, struct store_local *out,
                   struct error *err) {
    struct bytes payload;
    int rc = get(environment, txn, "local", &payload, err);
    return rc < 0 ? rc : format_local_read(payload, out, err);
}

int meta_local_put(const struct environment *environment, MDB_txn *txn, struct store_local *local,
                   struct error *err) {
    AUTO_BUF payload = {0};
    local->txn_id = mdb_txn_id(txn);
    format_local_write(local, &payload);
    return put(environment, txn, "local", &payload, err);
}

int meta_membership_get(const struct tables *tables, uint64_t *out_index, struct bytes *out,
                        struct error *err) {
    struct key key = key_text("membership");
    struct bytes payload;
    int rc = tables_get(tables, TABLE_META, &key, &payload, err);
    if (rc == STORE_ABSENT) {
        *out_index = 0;
        *out = (struct bytes){NULL, 0};
        return 0;
    }
    return rc < 0 ? rc : format_membership_read(payload, out_index, out, err);
}

int meta_membership_put(const struct environment *environment, MDB_txn *txn, uint64_t index,
                        struct bytes membership, struct error *err) {
    AUTO_BUF payload = {0};
    format_membership_write(index, membership, &payload);
    return put(environment, txn, "membership", &payload, err);
}

void meta_membership_stage(const struct tables *tables, uint64_t index, struct bytes membership) {
    struct key key = key_text("membership");
    AUTO_BUF payload = {0};
    format_membership_write(index, membership, &payload);
    tables_put(tables, TABLE_META, &key, buf_bytes(&payload));
}
