// SPDX-License-Identifier: Apache-2.0
//
// transport/peer_messages.c — the schemas of what managers say to each other, and the coding of RAFT.
#include "transport/peer_messages.h"

#include <string.h>

#include "base/assert.h"
#include "specs/row.h"

// All 64 bits of an unsigned number.
#define BITS(type, tag, member, ...) INT(type, tag, member, INT64_MIN, INT64_MAX, __VA_ARGS__)

static const struct field peer_hello_fields[] = {
    INT(struct peer_hello, 1, version_min, 0, 65535, .help = "Oldest protocol version spoken."),
    INT(struct peer_hello, 2, version_max, 0, 65535, .help = "Newest protocol version spoken."),
    ID(struct peer_hello, 3, cluster_id, .help = "Cluster of the sender."),
    INT(struct peer_hello, 4, epoch, 0, INT64_MAX, .help = "Epoch of its group."),
    BITS(struct peer_hello, 5, from, .help = "Raft id of the sender."),
    BITS(struct peer_hello, 6, to, .help = "Raft id of the one wanted; 0 = anyone."),
    STRING(struct peer_hello, 7, address, .help = "Where the sender listens."),
    BOOL(struct peer_hello, 8, is_bulk, .help = "A link for snapshots."),
    BITS(struct peer_hello, 9, instance, .help = "Drawn at the start of the sender; 0 = not said."),
};
const struct schema peer_hello_schema =
    SCHEMA("peer_hello", struct peer_hello, peer_hello_fields, .help = "First message between managers.");

static const struct field peer_welcome_fields[] = {
    INT(struct peer_welcome, 1, version, 0, 65535, .help = "Protocol version of this link."),
    BITS(struct peer_welcome, 2, raft_id, .help = "Raft id of the one who answers."),
};
const struct schema peer_welcome_schema =
    SCHEMA("peer_welcome", struct peer_welcome, peer_welcome_fields, .help = "Answer to a manager's hello.");

static const struct field peer_failure_fields[] = {
    STRING(struct peer_failure, 1, code, .help = "Name of the error code."),
    STRING(struct peer_failure, 2, text, .help = "Why the link ends."),
};
const struct schema peer_failure_schema =
    SCHEMA("peer_failure", struct peer_failure, peer_failure_fields, .help = "A refused link.");

static const struct field raft_body_fields[] = {
    {.name = "reserved", .tag = 2047, .kind = FIELD_BLOB, .offset = offsetof(struct raft_body, unknown)},
};
const struct schema raft_body_schema = {.name = "raft",
                                        .help = "A message of consensus, in a coding of its own.",
                                        .fields = raft_body_fields,
                                        .count = 0,
                                        .bytes = sizeof(struct raft_body),
                                        .unknown_offset = offsetof(struct raft_body, unknown)};

static const struct field propose_fields[] = {
    STRING(struct propose, 1, request_id, .help = "Makes a retry harmless."),
    BLOB(struct propose, 2, transaction, .help = "The encoded transaction."),
    BOOL(struct propose, 3, makes_room, .help = "Let it in when space is short."),
};
const struct schema propose_schema =
    SCHEMA("propose", struct propose, propose_fields, .help = "A transaction for the leader.");

static const struct field propose_refused_fields[] = {
    STRING(struct propose_refused, 1, request_id, .help = "Which one."),
    STRING(struct propose_refused, 2, code, .help = "Name of the error code."),
    STRING(struct propose_refused, 3, text, .help = "Why."),
};
const struct schema propose_refused_schema =
    SCHEMA("propose_refused", struct propose_refused, propose_refused_fields, .help = "It was not put in.");

static const struct field snapshot_fetch_fields[] = {
    BITS(struct snapshot_fetch, 1, stream, .help = "Number of the stream."),
    INT(struct snapshot_fetch, 2, number, 0, UINT32_MAX, .help = "Chunk that is wanted."),
};
const struct schema snapshot_fetch_schema =
    SCHEMA("snapshot_fetch", struct snapshot_fetch, snapshot_fetch_fields, .help = "Asks for a chunk.");

static const struct field snapshot_chunk_fields[] = {
    BITS(struct snapshot_chunk, 1, stream, .help = "Number of the stream."),
    INT(struct snapshot_chunk, 2, number, 0, UINT32_MAX, .help = "Number of the chunk."),
    BITS(struct snapshot_chunk, 3, index, .help = "Index of the picture."),
    BOOL(struct snapshot_chunk, 4, is_last, .help = "No chunk follows."),
    BLOB(struct snapshot_chunk, 5, bytes, .help = "The chunk."),
};
const struct schema snapshot_chunk_schema =
    SCHEMA("snapshot_chunk", struct snapshot_chunk, snapshot_chunk_fields, .help = "A piece of the state.");

static const struct field snapshot_end_fields[] = {
    BITS(struct snapshot_end, 1, stream, .help = "Number of the stream."),
    BITS(struct snapshot_end, 2, index, .help = "Index that is installed; 0 = failed."),
    STRING(struct snapshot_end, 3, text, .help = "Why it failed."),
};
const struct schema snapshot_end_schema =
    SCHEMA("snapshot_end", struct snapshot_end, snapshot_end_fields, .help = "End of a stream.");

static const struct field digest_table_fields[] = {
    INT(struct digest_table, 1, table, 0, 255, .help = "Number of the table."),
    BITS(struct digest_table, 2, value, .help = "Its digest."),
};
const struct schema digest_table_schema =
    SCHEMA("digest_table", struct digest_table, digest_table_fields, .help = "Digest of a table.");

static const struct field digest_notice_fields[] = {
    BITS(struct digest_notice, 1, index, .help = "Applied index."),
    LIST(struct digest_notice, 2, tables, &digest_table_schema, struct digest_table, .max = 256,
         .help = "One for each table."),
};
const struct schema digest_notice_schema = SCHEMA("digest_notice", struct digest_notice, digest_notice_fields,
                                                  .help = "What the records add up to.");

static const struct field join_request_fields[] = {
    BITS(struct join_request, 1, raft_id, .help = "Identity of the new member."),
    ID(struct join_request, 2, node_id, .help = "Its node."),
    ID(struct join_request, 3, cluster_id, .help = "The cluster it belonged to."),
    STRING(struct join_request, 4, address, .help = "Where it listens."),
    BLOB(struct join_request, 5, node, .help = "Its encoded node."),
    STRING(struct join_request, 6, version, .help = "Version of its musterd."),
    STRING(struct join_request, 7, token, .flags = FIELD_SECRET, .help = "Its join token."),
    BLOB(struct join_request, 8, csr, .help = "Its request for a certificate."),
    BLOB(struct join_request, 9, certificate, .help = "The certificate that it had."),
};
const struct schema join_request_schema =
    SCHEMA("join_request", struct join_request, join_request_fields, .help = "Asks to be let in.");

static const struct field join_reply_fields[] = {
    STRING(struct join_reply, 1, code, .help = "Name of the error code; empty = done."),
    STRING(struct join_reply, 2, text, .help = "Why not."),
    STRING(struct join_reply, 3, leader, .help = "Address to ask instead."),
    ID(struct join_reply, 4, cluster_id, .help = "The cluster."),
    INT(struct join_reply, 5, epoch, 0, INT64_MAX, .help = "Epoch of the group."),
    BLOB(struct join_reply, 6, membership, .help = "Its members."),
    ENUM(struct join_reply, 7, role, node_role_names, ROLE_WORKER, .help = "What the node is."),
    BLOB(struct join_reply, 8, certificate, .help = "Its certificate."),
    BLOB(struct join_reply, 9, authorities, .help = "Those to believe."),
    BLOB(struct join_reply, 10, seal_key, .flags = FIELD_SECRET,
         .help = "Opens what is sealed; for managers."),
    STRINGS(struct join_reply, 11, managers, .help = "Addresses of managers."),
};
const struct schema join_reply_schema =
    SCHEMA("join_reply", struct join_reply, join_reply_fields, .help = "Answer to a join.");

static const struct field renew_request_fields[] = {
    BLOB(struct renew_request, 1, csr, .help = "Its request for a certificate."),
};
const struct schema renew_request_schema = SCHEMA("renew_request", struct renew_request, renew_request_fields,
                                                  .help = "Asks for another certificate.");

static const struct field renew_reply_fields[] = {
    STRING(struct renew_reply, 1, code, .help = "Name of the error code; empty = done."),
    STRING(struct renew_reply, 2, text, .help = "Why not."),
    STRING(struct renew_reply, 3, leader, .help = "Address to ask instead."),
    ENUM(struct renew_reply, 4, role, node_role_names, ROLE_WORKER, .help = "What the node is."),
    BLOB(struct renew_reply, 5, certificate, .help = "Its certificate."),
    BLOB(struct renew_reply, 6, authorities, .help = "Those to believe."),
    BLOB(struct renew_reply, 7, seal_key, .flags = FIELD_SECRET,
         .help = "Opens what is sealed; for managers."),
    STRINGS(struct renew_reply, 8, managers, .help = "Addresses of managers."),
};
const struct schema renew_reply_schema =
    SCHEMA("renew_reply", struct renew_reply, renew_reply_fields, .help = "Answer to a renewal.");

// --- RAFT ---

#define RAFT_VERSION 1
#define RAFT_HEAD_BYTES 72
#define RAFT_ENTRY_HEAD_BYTES 16
#define NUMBERS 8

static void put_little(uint8_t *out, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) {
        out[i] = (uint8_t)(value >> (8 * i));
    }
}

static uint64_t get_little(const uint8_t *in, int bytes) {
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++) {
        value |= (uint64_t)in[i] << (8 * i);
    }
    return value;
}

static size_t encoded_bytes(const struct raft_packet *packet) {
    size_t bytes = RAFT_HEAD_BYTES;
    for (size_t i = 0; i < packet->entries.count; i++) {
        bytes += RAFT_ENTRY_HEAD_BYTES + packet->entries.items[i].payload.len;
    }
    return bytes;
}

static uint8_t *put_entry(uint8_t *out, const struct raft_packet_entry *entry) {
    put_little(out, entry->term, 8);
    put_little(out + 8, entry->payload.len, 4);
    out[12] = entry->type;
    memset(out + 13, 0, 3);
    if (entry->payload.len > 0) {
        memcpy(out + RAFT_ENTRY_HEAD_BYTES, entry->payload.data, entry->payload.len);
    }
    return out + RAFT_ENTRY_HEAD_BYTES + entry->payload.len;
}

void raft_packet_encode(const struct raft_packet *packet, struct buf *out) {
    const uint64_t numbers[NUMBERS] = {packet->term,     packet->index,      packet->log_term,
                                       packet->commit,   packet->hint_index, packet->hint_term,
                                       packet->sequence, packet->context};
    size_t bytes = encoded_bytes(packet);
    uint8_t *at = (uint8_t *)buf_reserve(out, bytes);
    if (at == NULL) {
        out->overflow = true;
        return;
    }
    at[0] = RAFT_VERSION;
    at[1] = packet->type;
    at[2] = (uint8_t)((packet->is_reject ? 1 : 0) | (packet->is_transfer ? 2 : 0));
    at[3] = 0;
    put_little(at + 4, packet->entries.count, 4);
    for (int i = 0; i < NUMBERS; i++) {
        put_little(at + 8 + 8 * i, numbers[i], 8);
    }
    at += RAFT_HEAD_BYTES;
    for (size_t i = 0; i < packet->entries.count; i++) {
        at = put_entry(at, &packet->entries.items[i]);
    }
    *at = '\0';
    out->len += bytes;
}

static int take_entries(struct bytes rest, size_t count, struct raft_packet *out, struct arena *arena,
                        struct error *err) {
    if (count > rest.len / RAFT_ENTRY_HEAD_BYTES) {
        return error_set(err, ERR_INVALID, "a raft message with fewer entries than it says");
    }
    out->entries.items = ARENA_ARRAY(arena, struct raft_packet_entry, count);
    for (size_t i = 0; i < count; i++) {
        if (rest.len < RAFT_ENTRY_HEAD_BYTES) {
            return error_set(err, ERR_INVALID, "a raft message that is cut short");
        }
        size_t len = (size_t)get_little(rest.data + 8, 4);
        struct raft_packet_entry *entry = &out->entries.items[i];
        *entry = (struct raft_packet_entry){
            get_little(rest.data, 8), rest.data[12], {rest.data + RAFT_ENTRY_HEAD_BYTES, len}};
        if (len > rest.len - RAFT_ENTRY_HEAD_BYTES) {
            return error_set(err, ERR_INVALID, "an entry of a raft message is cut short");
        }
        rest.data += RAFT_ENTRY_HEAD_BYTES + len;
        rest.len -= RAFT_ENTRY_HEAD_BYTES + len;
    }
    out->entries.count = count;
    return rest.len == 0 ? 0 : error_set(err, ERR_INVALID, "bytes after a raft message");
}

int raft_packet_decode(struct bytes in, struct raft_packet *out, struct arena *arena, struct error *err) {
    if (in.len < RAFT_HEAD_BYTES || in.data[0] != RAFT_VERSION || in.data[2] > 3 || in.data[3] != 0) {
        return error_set(err, ERR_INVALID, "not a raft message of this version");
    }
    *out = (struct raft_packet){
        .type = in.data[1], .is_reject = (in.data[2] & 1) != 0, .is_transfer = (in.data[2] & 2) != 0};
    uint64_t *const numbers[NUMBERS] = {&out->term,       &out->index,     &out->log_term, &out->commit,
                                        &out->hint_index, &out->hint_term, &out->sequence, &out->context};
    for (int i = 0; i < NUMBERS; i++) {
        *numbers[i] = get_little(in.data + 8 + 8 * i, 8);
    }
    return take_entries((struct bytes){in.data + RAFT_HEAD_BYTES, in.len - RAFT_HEAD_BYTES},
                        (size_t)get_little(in.data + 4, 4), out, arena, err);
}
