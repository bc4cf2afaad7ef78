// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/snapshot_stream.c — chunks and items of a snapshot; pure bytes, no LMDB.
#include "reconciler/store/snapshot_stream.h"

#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "reconciler/store/planted.h"

#define CHUNK_LAST 1

static void put_number(uint8_t *out, uint64_t value, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        out[i] = (uint8_t)(value >> (8 * i));
    }
}

static uint64_t get_number(const uint8_t *in, size_t bytes) {
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++) {
        value |= (uint64_t)in[i] << (8 * i);
    }
    return value;
}

static void add_number(struct buf *out, uint64_t value, size_t bytes) {
    uint8_t number[8];
    put_number(number, value, bytes);
    buf_add(out, number, bytes);
}

// --- chunks ---

uint32_t snapshot_chunk_seal(uint8_t *chunk, size_t len, uint32_t number, bool is_last) {
    ASSERT(len >= SNAPSHOT_CHUNK_HEAD_BYTES);
    put_number(chunk + 4, number, 4);
    chunk[8] = is_last ? CHUNK_LAST : 0;
    uint32_t checksum = crc32c(0, chunk + 4, len - 4);
    put_number(chunk, checksum, 4);
    return checksum;
}

int snapshot_chunk_read(struct bytes chunk, struct snapshot_chunk *out, struct error *err) {
    if (chunk.len < SNAPSHOT_CHUNK_HEAD_BYTES) {
        return error_set(err, ERR_CORRUPT, "a chunk of %zu bytes is cut short", chunk.len);
    }
    uint32_t checksum = (uint32_t)get_number(chunk.data, 4);
    if (!STORE_PLANTED(CHUNK_CRC_NOT_CHECKED) && checksum != crc32c(0, chunk.data + 4, chunk.len - 4)) {
        return error_set(err, ERR_CORRUPT, "a chunk with a wrong checksum");
    }
    if ((chunk.data[8] & ~CHUNK_LAST) != 0) {
        return error_set(err, ERR_CORRUPT, "a chunk with unknown flags");
    }
    *out = (struct snapshot_chunk){
        .checksum = checksum,
        .number = (uint32_t)get_number(chunk.data + 4, 4),
        .is_last = chunk.data[8] == CHUNK_LAST,
        .items = {chunk.data + SNAPSHOT_CHUNK_HEAD_BYTES, chunk.len - SNAPSHOT_CHUNK_HEAD_BYTES},
    };
    return 0;
}

uint32_t snapshot_chain(uint32_t chain, uint32_t checksum) {
    uint8_t bytes[4];
    put_number(bytes, checksum, sizeof bytes);
    return crc32c(chain, bytes, sizeof bytes);
}

// --- items ---

void snapshot_item_write(const struct snapshot_item *item, struct buf *out) {
    uint8_t head[SNAPSHOT_ITEM_HEAD_BYTES];
    head[0] = (uint8_t)item->table;
    put_number(head + 1, item->key.len, 2);
    put_number(head + 3, item->payload.len, 4);
    buf_add(out, head, sizeof head);
    buf_add(out, item->key.data, item->key.len);
    buf_add(out, item->payload.data, item->payload.len);
}

// How many bytes the item at the front has; 0 = more are needed to know or to have it.
static int measure(struct bytes at, size_t *out_len, struct snapshot_item *out, struct error *err) {
    *out_len = 0;
    if (at.len < SNAPSHOT_ITEM_HEAD_BYTES) {
        return 0;
    }
    size_t key_len = (size_t)get_number(at.data + 1, 2), payload_len = (size_t)get_number(at.data + 3, 4);
    if (at.data[0] == TABLE_NONE || at.data[0] >= TABLE_END || key_len == 0 || key_len >= KEY_BYTES_MAX ||
        payload_len > SNAPSHOT_PAYLOAD_BYTES_MAX) {
        return error_set(err, ERR_CORRUPT, "no item: table %u, a key of %zu bytes, %zu bytes",
                         (unsigned)at.data[0], key_len, payload_len);
    }
    size_t len = SNAPSHOT_ITEM_HEAD_BYTES + key_len + payload_len;
    if (at.len >= len) {
        const uint8_t *key = at.data + SNAPSHOT_ITEM_HEAD_BYTES;
        *out = (struct snapshot_item){(enum table)at.data[0], {key, key_len}, {key + key_len, payload_len}};
        *out_len = len;
    }
    return 0;
}

int snapshot_reader_feed(struct snapshot_reader *reader, struct bytes piece, snapshot_item_fn visit,
                         void *context, struct error *err) {
    struct snapshot_item item;
    size_t len = 0, done = 0;
    int rc = 0;
    struct bytes all = piece;
    if (reader->held.len > 0) {
        buf_add(&reader->held, piece.data, piece.len);
        ASSERT(!reader->held.overflow);
        all = buf_bytes(&reader->held);
    }
    while (rc == 0) {
        rc = measure((struct bytes){all.data + done, all.len - done}, &len, &item, err);
        if (rc < 0 || len == 0) {
            break;
        }
        rc = visit(context, &item, err);
        reader->items++;
        done += len;
    }
    struct buf rest = {0};
    buf_add(&rest, all.data + done, all.len - done);
    buf_free(&reader->held);
    reader->held = rest;
    return rc;
}

void snapshot_reader_free(struct snapshot_reader *reader) {
    buf_free(&reader->held);
}

// --- first and last item ---

#define HEAD_BYTES (4 + 4 + 8 + 8 + ID_LEN)
#define TAIL_BYTES (8 + 4)

void snapshot_head_write(const struct snapshot_head *head, struct buf *out) {
    add_number(out, SNAPSHOT_VERSION, 4);
    add_number(out, SNAPSHOT_VERSION, 4);
    add_number(out, head->index, 8);
    add_number(out, head->term, 8);
    buf_add(out, head->cluster_id.text, ID_LEN);
}

// A later version may append; it says so by the version of the reader that it needs.
int snapshot_head_read(struct bytes payload, struct snapshot_head *out, struct error *err) {
    if (payload.len < HEAD_BYTES) {
        return error_set(err, ERR_CORRUPT, "malformed head of a snapshot");
    }
    uint32_t version = (uint32_t)get_number(payload.data, 4);
    uint32_t reader_min = (uint32_t)get_number(payload.data + 4, 4);
    if (reader_min > SNAPSHOT_VERSION) {
        return error_set(err, ERR_UNSUPPORTED,
                         "a snapshot of a newer muster in format %u, which readers of format %u on "
                         "understand; this is %d",
                         version, reader_min, SNAPSHOT_VERSION);
    }
    struct snapshot_head head = {.index = get_number(payload.data + 8, 8),
                                 .term = get_number(payload.data + 16, 8)};
    if ((payload.data[24] != 0 && !key_id_at(payload, 24, &head.cluster_id)) ||
        head.index > (uint64_t)INT64_MAX || head.term > (uint64_t)INT64_MAX) {
        return error_set(err, ERR_CORRUPT, "malformed head of a snapshot");
    }
    *out = head;
    return 0;
}

void snapshot_tail_write(const struct snapshot_tail *tail, struct buf *out) {
    add_number(out, tail->items, 8);
    add_number(out, tail->chain, 4);
}

int snapshot_tail_read(struct bytes payload, struct snapshot_tail *out, struct error *err) {
    if (payload.len != TAIL_BYTES) {
        return error_set(err, ERR_CORRUPT, "malformed end of a snapshot");
    }
    *out = (struct snapshot_tail){get_number(payload.data, 8), (uint32_t)get_number(payload.data + 8, 4)};
    return 0;
}
