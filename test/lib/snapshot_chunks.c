// SPDX-License-Identifier: Apache-2.0
//
// test/lib/snapshot_chunks.c — all chunks of a snapshot at once.
#include "test/lib/snapshot_chunks.h"

#include <string.h>

#include "base/assert.h"
#include "reconciler/store/snapshot_stream.h"

struct snapshot_chunks snapshot_chunks_of(struct store_fixture *f, struct arena *arena) {
    struct snapshot_chunks chunks = {0};
    struct snapshot_out *out = NULL;
    bool is_last = false;
    int rc = snapshot_out_begin(f->store, &out, &f->err);
    for (uint32_t number = 0; rc == 0 && !is_last; number++) {
        struct bytes chunk;
        rc = snapshot_out_chunk(out, number, &chunk, &is_last, &f->err);
        ASSERT(rc < 0 || chunk.len <= SNAPSHOT_CHUNK_BYTES);
        if (rc == 0) {
            *ARENA_PUSH(arena, &chunks.all) =
                (struct bytes){arena_copy(arena, chunk.data, chunk.len), chunk.len};
        }
    }
    ASSERT(rc == 0);
    chunks.index = snapshot_out_index(out);
    chunks.term = snapshot_out_term(out);
    snapshot_out_end(out);
    return chunks;
}

static uint32_t seal(struct snapshot_chunks *cut, struct bytes piece, bool is_last, struct arena *arena) {
    size_t len = SNAPSHOT_CHUNK_HEAD_BYTES + piece.len;
    uint8_t *chunk = arena_alloc(arena, len);
    memcpy(chunk + SNAPSHOT_CHUNK_HEAD_BYTES, piece.data, piece.len);
    uint32_t checksum = snapshot_chunk_seal(chunk, len, (uint32_t)cut->all.count, is_last);
    *ARENA_PUSH(arena, &cut->all) = (struct bytes){chunk, len};
    return checksum;
}

static int nothing(void *context, const struct snapshot_item *item, struct error *err) {
    (void)context;
    (void)item;
    (void)err;
    return 0;
}

struct snapshot_chunks snapshot_chunks_cut(const struct snapshot_chunks *chunks, size_t piece_bytes,
                                           struct arena *arena) {
    struct snapshot_chunks cut = {.index = chunks->index, .term = chunks->term};
    struct snapshot_reader reader = {0};
    AUTO_BUF stream = {0}, end = {0}, tail = {0};
    for (size_t i = 0; i + 1 < chunks->all.count; i++) {
        const struct bytes *chunk = &chunks->all.items[i];
        buf_add(&stream, chunk->data + SNAPSHOT_CHUNK_HEAD_BYTES, chunk->len - SNAPSHOT_CHUNK_HEAD_BYTES);
    }
    int rc = snapshot_reader_feed(&reader, buf_bytes(&stream), nothing, NULL, NULL);
    ASSERT(rc == 0);
    uint32_t chain = 0;
    for (size_t at = 0; at < stream.len; at += piece_bytes) {
        size_t len = stream.len - at < piece_bytes ? stream.len - at : piece_bytes;
        struct bytes piece = {(const uint8_t *)stream.data + at, len};
        chain = snapshot_chain(chain, seal(&cut, piece, /*is_last=*/false, arena));
    }
    struct key key = key_text("end");
    snapshot_tail_write(&(struct snapshot_tail){reader.items, chain}, &tail);
    snapshot_item_write(&(struct snapshot_item){TABLE_META, key_bytes(&key), buf_bytes(&tail)}, &end);
    seal(&cut, buf_bytes(&end), /*is_last=*/true, arena);
    snapshot_reader_free(&reader);
    return cut;
}

int snapshot_chunks_install(const struct snapshot_chunks *chunks, struct store *store, uint64_t term,
                            uint64_t vote, struct error *err) {
    struct snapshot_in *in = NULL;
    int rc = snapshot_in_begin(store, &in, err);
    for (size_t i = 0; rc == 0 && i < chunks->all.count; i++) {
        rc = snapshot_in_add(in, chunks->all.items[i], err);
    }
    rc = rc == SNAPSHOT_COMPLETE ? snapshot_in_install(in, term, vote, err) : rc;
    snapshot_in_end(in);
    return rc;
}
