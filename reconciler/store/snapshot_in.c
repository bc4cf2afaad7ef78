// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/snapshot_in.c — a snapshot of another store, put together beside the live tables and then
// made live at once.
//
// What is counted on the way (objects, events, requests) must be what the snapshot's own state says, so that
// a sender which leaves something out is found out before anything shows.
#include "reconciler/store/snapshot.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "reconciler/store/membership.h"
#include "reconciler/store/planted.h"
#include "reconciler/store/snapshot_stream.h"
#include "reconciler/store/store_handle.h"

enum phase { WANTS_HEAD, WANTS_STATE, WANTS_MEMBERSHIP, WANTS_RECORDS, HAS_END };

struct snapshot_in {
    struct store *store;
    struct environment other; // the set that is filled
    struct id cluster_id;     // of this store; none = not known yet
    MDB_txn *txn;             // of the chunk in work
    enum phase phase;
    uint32_t next, chain;
    bool is_broken, is_installed;
    struct snapshot_reader reader;
    struct snapshot_head head;
    struct store_state state, counted;
    struct buf membership; // its record
    enum table table;      // of the last record
    struct snapshot_tail tail;
};

int snapshot_in_begin(struct store *store, struct snapshot_in **out, struct error *err) {
    ASSERT(store->turn == NULL);
    MDB_txn *txn;
    struct format_head head;
    int rc = store_empty_other(store, err);
    rc = rc < 0 ? rc : environment_begin(&store->environment, /*write=*/false, &txn, err);
    if (rc < 0) {
        return error_wrap(err, rc, "begin to receive a snapshot");
    }
    rc = meta_head_get(&store->environment, txn, &head, err);
    if (rc == 0) {
        *out = NEW(struct snapshot_in);
        **out = (struct snapshot_in){.store = store,
                                     .other = environment_other(&store->environment),
                                     .cluster_id = head.cluster_id,
                                     .table = TABLE_OBJECTS};
    }
    mdb_txn_abort(txn);
    return rc;
}

uint32_t snapshot_in_next(const struct snapshot_in *in) {
    return in->next;
}

uint64_t snapshot_in_index(const struct snapshot_in *in) {
    return in->head.index;
}

uint64_t snapshot_in_term(const struct snapshot_in *in) {
    return in->head.term;
}

// --- items ---

static bool is_meta(const struct snapshot_item *item, const char *name) {
    return item->table == TABLE_META && item->key.len == strlen(name) &&
           memcmp(item->key.data, name, item->key.len) == 0;
}

static int take_head(struct snapshot_in *in, const struct snapshot_item *item, struct error *err) {
    struct snapshot_head head;
    int rc = snapshot_head_read(item->payload, &head, err);
    if (rc < 0) {
        return rc;
    }
    if (!STORE_PLANTED(FOREIGN_SNAPSHOT) && !id_is_none(&in->cluster_id) && !id_is_none(&head.cluster_id) &&
        !id_equal(&in->cluster_id, &head.cluster_id)) {
        return error_set(err, ERR_CORRUPT, "a snapshot of cluster %s, not of %s", head.cluster_id.text,
                         in->cluster_id.text);
    }
    in->head = head;
    return 0;
}

static int take_state(struct snapshot_in *in, const struct snapshot_item *item, struct error *err) {
    int rc = format_state_read(item->payload, &in->state, err);
    if (rc == 0 &&
        ((uint64_t)in->state.applied != in->head.index || (uint64_t)in->state.term != in->head.term)) {
        rc = error_set(err, ERR_CORRUPT, "a snapshot at %llu with the state of %lld",
                       (unsigned long long)in->head.index, (long long)in->state.applied);
    }
    return rc;
}

static int take_membership(struct snapshot_in *in, const struct snapshot_item *item, struct error *err) {
    AUTO_ARENA arena = {0};
    struct membership membership;
    struct bytes wire;
    uint64_t index;
    int rc = item->payload.len > MEMBERSHIP_BYTES_MAX + 8
                 ? error_set(err, ERR_CORRUPT, "a membership of %zu bytes", item->payload.len)
                 : format_membership_read(item->payload, &index, &wire, err);
    rc = rc < 0 ? rc : membership_read(wire, &membership, &arena, err);
    if (rc == 0 && index > in->head.index) {
        rc = error_set(err, ERR_CORRUPT, "a snapshot at %llu with the membership of %llu",
                       (unsigned long long)in->head.index, (unsigned long long)index);
    }
    if (rc == 0) {
        buf_add(&in->membership, item->payload.data, item->payload.len);
    }
    return rc;
}

static void count(struct snapshot_in *in, const struct snapshot_item *item) {
    if (item->table == TABLE_OBJECTS && item->key.data[0] < KIND_END) {
        in->counted.objects[item->key.data[0]]++;
    } else if (item->table == TABLE_HISTORY) {
        in->counted.history_count++;
        in->counted.history_bytes += (int64_t)(item->key.len + item->payload.len);
    } else if (item->table == TABLE_REQUESTS) {
        in->counted.request_count++;
    }
}

static int take_record(struct snapshot_in *in, const struct snapshot_item *item, struct error *err) {
    if (!table_is_replicated(item->table) || item->table < in->table) {
        return error_set(err, ERR_CORRUPT, "a record of %s out of place", table_name(item->table));
    }
    struct key key = key_from(item->key);
    in->table = item->table;
    count(in, item);
    return environment_append(&in->other, in->txn, item->table, &key, item->payload, err);
}

static int take_end(struct snapshot_in *in, const struct snapshot_item *item, struct error *err) {
    in->phase = HAS_END;
    return snapshot_tail_read(item->payload, &in->tail, err);
}

static int take_item(void *context, const struct snapshot_item *item, struct error *err) {
    struct snapshot_in *in = context;
    static const struct {
        const char *name;
        int (*take)(struct snapshot_in *in, const struct snapshot_item *item, struct error *err);
    } first[] = {
        [WANTS_HEAD] = {"snapshot", take_head},
        [WANTS_STATE] = {"state", take_state},
        [WANTS_MEMBERSHIP] = {"membership", take_membership},
    };
    if (in->phase == WANTS_RECORDS) {
        return is_meta(item, "end") ? take_end(in, item, err) : take_record(in, item, err);
    }
    if (in->phase == HAS_END || !is_meta(item, first[in->phase].name)) {
        return error_set(err, ERR_CORRUPT, "an item of %s out of place", table_name(item->table));
    }
    int rc = first[in->phase].take(in, item, err);
    in->phase++;
    return rc;
}

// --- chunks ---

// A snapshot may take half of the reserve, as what removes something may: the log needs the rest.
static int check_space(const struct snapshot_in *in, struct error *err) {
    const struct store *store = in->store;
    if (store->reserve_bytes > 0 && store_headroom(store) + store->reserve_bytes / 2 < 0) {
        return error_set(err, ERR_NO_SPACE, "less than %lld MiB are free for a snapshot in '%s'",
                         (long long)(store->reserve_bytes / 2 / MIB), store->dir);
    }
    return 0;
}

static int write_items(struct snapshot_in *in, struct bytes items, struct error *err) {
    int rc = environment_begin(&in->other, /*write=*/true, &in->txn, err);
    if (rc < 0) {
        return rc;
    }
    rc = snapshot_reader_feed(&in->reader, items, take_item, in, err);
    MDB_txn *txn = in->txn;
    in->txn = NULL;
    if (rc < 0) {
        mdb_txn_abort(txn);
        return rc;
    }
    struct store_local local = in->store->local;
    if (STORE_PLANTED(PARTIAL_SNAPSHOT_VISIBLE) && in->phase == WANTS_RECORDS) {
        local.generation = in->other.generation;
        rc = store_commit(in->store, txn, &in->state, &local, err);
        environment_show(&in->store->environment, local.generation);
        return rc;
    }
    return store_commit(in->store, txn, NULL, &local, err);
}

// The end says how many items there were and what was in the chunks before it.
static int check_end(const struct snapshot_in *in, const struct snapshot_chunk *chunk, struct error *err) {
    if (!chunk->is_last) {
        return in->phase == HAS_END ? error_set(err, ERR_CORRUPT, "a snapshot that goes on after its end")
                                    : 0;
    }
    if (in->phase != HAS_END || in->reader.held.len > 0 || in->tail.items + 1 != in->reader.items ||
        (in->tail.chain != in->chain && !STORE_PLANTED(CHAIN_NOT_CHECKED))) {
        return error_set(err, ERR_CORRUPT, "a snapshot without its right end");
    }
    const struct store_state *state = &in->state, *found = &in->counted;
    if (memcmp(state->objects, found->objects, sizeof state->objects) != 0 ||
        state->history_count != found->history_count || state->history_bytes != found->history_bytes ||
        state->request_count != found->request_count) {
        return error_set(err, ERR_CORRUPT, "a snapshot whose records are not those that its state counts");
    }
    return SNAPSHOT_COMPLETE;
}

static int add_next(struct snapshot_in *in, const struct snapshot_chunk *chunk, struct error *err) {
    int rc = check_space(in, err);
    rc = rc < 0 ? rc : write_items(in, chunk->items, err);
    rc = rc < 0 ? rc : check_end(in, chunk, err);
    in->chain = snapshot_chain(in->chain, chunk->checksum);
    in->next++;
    in->is_broken = rc < 0;
    return rc;
}

int snapshot_in_add(struct snapshot_in *in, struct bytes bytes, struct error *err) {
    ASSERT(in->store->turn == NULL && !in->is_installed);
    struct snapshot_chunk chunk;
    if (in->is_broken) {
        return error_set(err, ERR_CORRUPT, "a snapshot that failed before");
    }
    int rc = snapshot_chunk_read(bytes, &chunk, err);
    if (rc < 0) {
        return rc;
    }
    if (in->next > 0 && chunk.number == in->next - 1) {
        return in->phase == HAS_END ? SNAPSHOT_COMPLETE : 0;
    }
    if (chunk.number != in->next || in->phase == HAS_END) {
        return error_set(err, ERR_CORRUPT, "chunk %u of a snapshot where %u is wanted", chunk.number,
                         in->next);
    }
    rc = add_next(in, &chunk, err);
    return error_wrap(err, rc, "take chunk %u of a snapshot", chunk.number);
}

// --- installing ---

static int adopt_cluster(struct snapshot_in *in, MDB_txn *txn, struct error *err) {
    struct format_head head;
    int rc = meta_head_get(&in->other, txn, &head, err);
    if (rc < 0 || !id_is_none(&head.cluster_id)) {
        return rc;
    }
    head.cluster_id = in->head.cluster_id;
    return meta_head_put(&in->other, txn, &head, err);
}

static int swap(struct snapshot_in *in, MDB_txn *txn, struct error *err) {
    bool had_any;
    uint64_t index;
    struct bytes wire;
    struct environment old = environment_other(&in->other);
    int rc = format_membership_read(buf_bytes(&in->membership), &index, &wire, err);
    rc = rc < 0 ? rc : environment_empty_set(&old, txn, &had_any, err);
    if (!STORE_PLANTED(SNAPSHOT_KEEPS_LOG)) {
        rc = rc < 0 ? rc : environment_empty(&old, txn, TABLE_LOG, err);
    }
    rc = rc < 0 ? rc : adopt_cluster(in, txn, err);
    return rc < 0 ? rc : meta_membership_put(&in->other, txn, index, wire, err);
}

int snapshot_in_install(struct snapshot_in *in, uint64_t term, uint64_t vote, struct error *err) {
    struct store *store = in->store;
    ASSERT(store->turn == NULL && store->reads == 0);
    if (in->phase != HAS_END || in->is_broken || in->is_installed || term < in->head.term ||
        in->head.index < (uint64_t)store->state.applied) {
        return error_set(err, ERR_INVALID, "a snapshot at %llu that cannot be installed over %lld",
                         (unsigned long long)in->head.index, (long long)store->state.applied);
    }
    struct store_local local = {.raft_id = store->local.raft_id,
                                .term = term,
                                .vote = vote,
                                .base_index = in->head.index,
                                .base_term = in->head.term,
                                .last_index = in->head.index,
                                .generation = in->other.generation};
    memcpy(local.reserved, store->local.reserved, sizeof local.reserved);
    if (STORE_PLANTED(SNAPSHOT_KEEPS_HARD_STATE)) {
        local.term = store->local.term < in->head.term ? in->head.term : store->local.term;
        local.vote = store->local.vote;
    }
    local.raft_id = STORE_PLANTED(SNAPSHOT_FORGETS_ID) ? 0 : local.raft_id;
    MDB_txn *txn;
    int rc = environment_begin(&store->environment, /*write=*/true, &txn, err);
    if (rc == 0 && (rc = swap(in, txn, err)) < 0) {
        mdb_txn_abort(txn);
    }
    rc = rc < 0 ? rc : store_commit(store, txn, &in->state, &local, err);
    if (rc == 0) {
        environment_show(&store->environment, local.generation);
        in->is_installed = true;
    }
    return error_wrap(err, rc, "install a snapshot");
}

void snapshot_in_end(struct snapshot_in *in) {
    if (in == NULL) {
        return;
    }
    if (!in->is_installed) {
        // What cannot be removed now is removed by the next one, or at the next opening.
        store_empty_other(in->store, NULL);
    }
    snapshot_reader_free(&in->reader);
    buf_free(&in->membership);
    xfree(in);
}
