// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/digest.c — a number for each replicated table at one index, worked out in slices.
#include "reconciler/store/digest.h"

#include "base/crc32c.h"
#include "base/mem.h"
#include "reconciler/store/planted.h"
#include "reconciler/store/store_handle.h"

#define SEED UINT64_C(0xCBF29CE484222325)

struct digest_walk {
    struct environment environment; // as it was: an installation must not change what is read
    struct tables tables;
    struct table_cursor cursor;
    enum table table; // where the cursor is; TABLE_END = done
    struct store_state state;
    struct digest digest;
};

static uint64_t mix(uint64_t digest, uint64_t number) {
    digest = (digest ^ number) * UINT64_C(0x9E3779B97F4A7C15);
    return digest ^ digest >> 29;
}

static uint64_t add_record(uint64_t digest, struct bytes key, struct bytes payload) {
    uint32_t crc = crc32c(crc32c(0, key.data, key.len), payload.data, payload.len);
    return mix(mix(digest, crc), (uint64_t)key.len << 32 | payload.len);
}

static int add_meta(struct digest_walk *walk, const struct store_state *state, struct error *err) {
    struct bytes wire;
    uint64_t index, *digest = &walk->digest.tables[TABLE_META];
    AUTO_BUF numbers = {0};
    int rc = meta_membership_get(&walk->tables, &index, &wire, err);
    if (rc < 0) {
        return rc;
    }
    format_state_write(state, &numbers);
    walk->state = *state;
    walk->digest.index = (uint64_t)state->applied;
    *digest = add_record(SEED, (struct bytes){NULL, 0}, buf_bytes(&numbers));
    *digest = mix(add_record(*digest, (struct bytes){NULL, 0}, wire), index);
    return 0;
}

static int next_table(struct digest_walk *walk, struct error *err) {
    table_cursor_end(&walk->cursor);
    walk->table++;
    if (walk->table == TABLE_END) {
        return DIGEST_DONE;
    }
    walk->digest.tables[walk->table] = SEED;
    return table_cursor_begin(&walk->tables, walk->table, &walk->cursor, err);
}

static int begin(struct digest_walk *walk, const struct store_state *state, struct error *err) {
    walk->table = TABLE_LOG; // the one before the first
    int rc = add_meta(walk, state, err);
    return rc < 0 ? rc : next_table(walk, err);
}

int digest_begin(struct store *store, struct digest_walk **out, struct error *err) {
    struct store_state state;
    struct digest_walk *walk = NEW(struct digest_walk);
    walk->environment = store->environment;
    walk->tables.environment = &walk->environment;
    int rc = environment_begin(&walk->environment, /*write=*/false, &walk->tables.txn, err);
    rc = rc < 0 ? rc : meta_state_get(&walk->environment, walk->tables.txn, &state, err);
    rc = rc < 0 ? rc : begin(walk, &state, err);
    if (rc < 0) {
        digest_end(walk);
        return error_wrap(err, rc, "begin a digest");
    }
    *out = walk;
    return 0;
}

int digest_step(struct digest_walk *walk, size_t bytes, struct error *err) {
    struct bytes key, payload;
    int rc = walk->table == TABLE_END ? DIGEST_DONE : 0;
    for (size_t done = 0; rc == 0 && (done == 0 || done < bytes);) {
        rc = table_next(&walk->cursor, &key, &payload, err);
        if (rc == STORE_END) {
            rc = next_table(walk, err);
        } else if (rc == 0) {
            uint64_t *digest = &walk->digest.tables[walk->table];
            bool is_left_out = (STORE_PLANTED(DIGEST_IGNORES_TABLE) && walk->table >= TABLE_REQUESTS) ||
                               (walk->table == TABLE_HISTORY && history_lacks(&walk->state, key));
            if (!is_left_out) {
                *digest = add_record(*digest, key, payload);
            }
            done += key.len + payload.len;
        }
    }
    return rc;
}

const struct digest *digest_result(const struct digest_walk *walk) {
    return &walk->digest;
}

void digest_end(struct digest_walk *walk) {
    if (walk == NULL) {
        return;
    }
    table_cursor_end(&walk->cursor);
    if (walk->tables.txn != NULL) {
        mdb_txn_abort(walk->tables.txn);
    }
    xfree(walk);
}

int store_digest(struct store_read *read, uint64_t *out, struct error *err) {
    struct digest_walk walk = {.tables = read->tables};
    int rc = begin(&walk, &read->state, err);
    while (rc == 0) {
        rc = digest_step(&walk, SIZE_MAX, err);
    }
    table_cursor_end(&walk.cursor);
    if (rc < 0) {
        return rc;
    }
    *out = SEED;
    for (int table = 0; table < TABLE_END; table++) {
        *out = mix(*out, walk.digest.tables[table]);
    }
    return 0;
}
