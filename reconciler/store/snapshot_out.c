// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/snapshot_out.c — the replicated state of a store, read out in chunks.
//
// Items are written one after the other into `stream` until there is enough for a chunk; what is over begins
// the next. So memory is one chunk and one record, whatever the size of the store.
#include "reconciler/store/snapshot.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "reconciler/store/planted.h"
#include "reconciler/store/snapshot_stream.h"
#include "reconciler/store/store_handle.h"

#define PIECE_BYTES (SNAPSHOT_CHUNK_BYTES - SNAPSHOT_CHUNK_HEAD_BYTES)

struct snapshot_out {
    struct environment environment; // as it is now: an installation here must not change what is read
    MDB_txn *txn;
    MDB_cursor *cursor;
    enum table table; // where the cursor is; TABLE_END = all has been read
    struct store_state state;
    struct buf stream; // not yet given
    struct buf chunk;  // the last one given
    uint64_t items;
    uint32_t chain; // of the checksums before the last one given
    uint32_t checksum;
    uint32_t next;
    bool is_ended; // the last chunk was given
    bool is_broken;
};

static void add_item(struct snapshot_out *out, enum table table, struct bytes key, struct bytes payload) {
    snapshot_item_write(&(struct snapshot_item){table, key, payload}, &out->stream);
    out->items++;
}

static void add_meta(struct snapshot_out *out, const char *name, const struct buf *payload) {
    struct key key = key_text(name);
    add_item(out, TABLE_META, key_bytes(&key), buf_bytes(payload));
}

static int add_head(struct snapshot_out *out, struct error *err) {
    struct format_head format;
    struct bytes wire;
    uint64_t index;
    AUTO_BUF head = {0}, state = {0}, membership = {0};
    int rc = meta_head_get(&out->environment, out->txn, &format, err);
    rc = rc < 0 ? rc : meta_state_get(&out->environment, out->txn, &out->state, err);
    rc = rc < 0
             ? rc
             : meta_membership_get(&(struct tables){&out->environment, out->txn, NULL}, &index, &wire, err);
    if (rc < 0) {
        return rc;
    }
    snapshot_head_write(
        &(struct snapshot_head){(uint64_t)out->state.applied, (uint64_t)out->state.term, format.cluster_id},
        &head);
    if (STORE_PLANTED(SNAPSHOT_WITHOUT_REQUESTS)) {
        out->state.request_count = 0;
    }
    if (STORE_PLANTED(SNAPSHOT_WITHOUT_MEMBERSHIP)) {
        wire.len = 0;
    }
    format_state_write(&out->state, &state);
    format_membership_write(index, wire, &membership);
    add_meta(out, "snapshot", &head);
    add_meta(out, "state", &state);
    add_meta(out, "membership", &membership);
    return 0;
}

int snapshot_out_begin(struct store *store, struct snapshot_out **out, struct error *err) {
    struct snapshot_out *begun = NEW(struct snapshot_out);
    begun->environment = store->environment;
    begun->table = TABLE_LOG; // the one before the first
    int rc = environment_begin(&begun->environment, /*write=*/false, &begun->txn, err);
    rc = rc < 0 ? rc : add_head(begun, err);
    if (rc < 0) {
        snapshot_out_end(begun);
        return error_wrap(err, rc, "begin a snapshot");
    }
    *out = begun;
    return 0;
}

uint64_t snapshot_out_index(const struct snapshot_out *out) {
    return (uint64_t)out->state.applied;
}

uint64_t snapshot_out_term(const struct snapshot_out *out) {
    return (uint64_t)out->state.term;
}

static void close_cursor(struct snapshot_out *out) {
    if (out->cursor != NULL) {
        mdb_cursor_close(out->cursor);
        out->cursor = NULL;
    }
}

// The next record of all tables, into the stream; or the end of them.
static int read_on(struct snapshot_out *out, struct error *err) {
    struct bytes key, payload;
    int rc = STORE_END;
    bool is_left_out = STORE_PLANTED(SNAPSHOT_WITHOUT_REQUESTS) && out->table >= TABLE_REQUESTS;
    if (out->cursor != NULL && !is_left_out) {
        rc = environment_move(out->cursor, out->table, MDB_NEXT, NULL, &key, &payload, err);
    }
    if (rc == 0 && (out->table != TABLE_HISTORY || !history_lacks(&out->state, key))) {
        add_item(out, out->table, key, payload);
    }
    if (rc != STORE_END) {
        return rc;
    }
    close_cursor(out);
    out->table++;
    return out->table == TABLE_END
               ? 0
               : environment_cursor(&out->environment, out->txn, out->table, &out->cursor, err);
}

static void take_piece(struct snapshot_out *out) {
    size_t len = out->stream.len < PIECE_BYTES ? out->stream.len : PIECE_BYTES;
    struct buf rest = {0};
    buf_clear(&out->chunk);
    buf_pad(&out->chunk, '\0', SNAPSHOT_CHUNK_HEAD_BYTES);
    buf_add(&out->chunk, out->stream.data, len);
    buf_add(&rest, out->stream.data + len, out->stream.len - len);
    buf_free(&out->stream);
    out->stream = rest;
}

static void make_last(struct snapshot_out *out) {
    AUTO_BUF tail = {0};
    snapshot_tail_write(&(struct snapshot_tail){out->items, out->chain}, &tail);
    add_meta(out, "end", &tail);
    take_piece(out);
    out->is_ended = true;
}

static int make_next(struct snapshot_out *out, struct error *err) {
    int rc = 0;
    while (rc == 0 && out->table != TABLE_END && out->stream.len < PIECE_BYTES) {
        rc = read_on(out, err);
    }
    if (rc < 0) {
        return rc;
    }
    if (out->next > 0) {
        out->chain = snapshot_chain(out->chain, out->checksum);
    }
    if (out->stream.len > 0) {
        take_piece(out);
    } else {
        make_last(out);
    }
    out->checksum = snapshot_chunk_seal((uint8_t *)out->chunk.data, out->chunk.len, out->next, out->is_ended);
    out->next++;
    return 0;
}

int snapshot_out_chunk(struct snapshot_out *out, uint32_t number, struct bytes *chunk, bool *is_last,
                       struct error *err) {
    bool is_next = number == out->next && !out->is_ended, is_again = out->next > 0 && number == out->next - 1;
    if (out->is_broken || (!is_next && !is_again)) {
        return error_set(err, ERR_INVALID, "chunk %u of a snapshot is asked for, after %u were given", number,
                         out->next);
    }
    int rc = is_next ? make_next(out, err) : 0;
    if (rc < 0) {
        out->is_broken = true;
        return error_wrap(err, rc, "make chunk %u of a snapshot", number);
    }
    *chunk = buf_bytes(&out->chunk);
    *is_last = out->is_ended;
    return 0;
}

void snapshot_out_end(struct snapshot_out *out) {
    if (out == NULL) {
        return;
    }
    close_cursor(out);
    if (out->txn != NULL) {
        mdb_txn_abort(out->txn);
    }
    buf_free(&out->stream);
    buf_free(&out->chunk);
    xfree(out);
}
