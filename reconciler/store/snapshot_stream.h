// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/snapshot_stream.h — how a snapshot is written: items, end to end, cut into chunks.
//
//     chunk   offset  bytes
//             0       4      CRC-32C of the rest
//             4       4      number, from 0
//             8       1      flags: bit 0 = the last one; the others are zero
//             9       …      a piece of the stream of items; an item may be cut anywhere
//     item    0       1      number of the table (enum table)
//             1       2      length of the key
//             3       4      length of the payload
//             7       …      key, payload
//
// All numbers are little-endian; keys and payloads are those of the tables (format.h). The stream is
//
//     meta "snapshot"    version of this layout (4), least version of a reader (4), index (8), term (8),
//                        cluster id (25, zero = none)
//     meta "state"       as in format.h
//     meta "membership"  as in format.h
//     …                  all records of the replicated tables, table by table, in the order of their keys
//     meta "end"         number of the items before (8), CRC-32C over the checksums of the chunks before (4);
//                        the last chunk holds it whole and nothing else
//
// so that one that was cut short, or put together from two, has no right end.
#ifndef MUSTER_RECONCILER_STORE_SNAPSHOT_STREAM_H
#define MUSTER_RECONCILER_STORE_SNAPSHOT_STREAM_H

#include "reconciler/store/format.h"

#define SNAPSHOT_VERSION 1
#define SNAPSHOT_CHUNK_HEAD_BYTES 9
#define SNAPSHOT_ITEM_HEAD_BYTES 7
// An event holds two objects and some texts.
#define SNAPSHOT_PAYLOAD_BYTES_MAX (2 * OBJECT_BYTES_MAX + 64 * KIB)

// --- chunks ---

struct snapshot_chunk {
    uint32_t checksum, number;
    bool is_last;
    struct bytes items;
};
// Writes the head into the first SNAPSHOT_CHUNK_HEAD_BYTES of a chunk; the checksum is the result.
uint32_t snapshot_chunk_seal(uint8_t *chunk, size_t len, uint32_t number, bool is_last);
// -ERR_CORRUPT unless it is whole.
int snapshot_chunk_read(struct bytes chunk, struct snapshot_chunk *out, struct error *err);
// Continues the checksum over checksums, 0 at the start.
uint32_t snapshot_chain(uint32_t chain, uint32_t checksum);

// --- items ---

struct snapshot_item {
    enum table table;
    struct bytes key, payload;
};
void snapshot_item_write(const struct snapshot_item *item, struct buf *out);

typedef int (*snapshot_item_fn)(void *context, const struct snapshot_item *item, struct error *err);
// Puts items together again. Zero-initialised is at the beginning of a stream.
struct snapshot_reader {
    struct buf held; // the beginning of an item that goes on in the next chunk
    uint64_t items;  // seen so far
};
// Visits each item that is complete with this piece of the stream; what is visited is borrowed until the
// visit returns. 0, -ERR_CORRUPT for what is no item, or what a visit returned.
int snapshot_reader_feed(struct snapshot_reader *reader, struct bytes piece, snapshot_item_fn visit,
                         void *context, struct error *err);
void snapshot_reader_free(struct snapshot_reader *reader);

// --- first and last item ---

struct snapshot_head {
    uint64_t index, term;
    struct id cluster_id;
};
void snapshot_head_write(const struct snapshot_head *head, struct buf *out);
// -ERR_CORRUPT, -ERR_UNSUPPORTED
int snapshot_head_read(struct bytes payload, struct snapshot_head *out, struct error *err);

struct snapshot_tail {
    uint64_t items;
    uint32_t chain;
};
void snapshot_tail_write(const struct snapshot_tail *tail, struct buf *out);
int snapshot_tail_read(struct bytes payload, struct snapshot_tail *out, struct error *err);

#endif
