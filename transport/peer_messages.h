// SPDX-License-Identifier: Apache-2.0
//
// transport/peer_messages.h — what managers say to each other: payloads of the rows 192 to 255 of
// transport/messages.def.
//
// Raft ids, terms and indexes are unsigned; in the schemas they are INT fields that hold the same 64 bits.
//
// FORMAT of RAFT, version 1, because it carries every entry and is coded for each of them (little-endian):
//     offset  bytes
//     0       1      version: 1
//     1       1      type (enum raft_message_type)
//     2       1      flags: bit 0 reject, bit 1 transfer
//     3       1      0
//     4       4      number of entries
//     8       8 × 8  term, index, log term, commit, hint index, hint term, sequence, context
//     72      …      each entry: term (8), length of its payload (4), type (1), 0 (3), payload
#ifndef MUSTER_TRANSPORT_PEER_MESSAGES_H
#define MUSTER_TRANSPORT_PEER_MESSAGES_H

#include "specs/node.h"

// First on a link between managers, from who dials. `to` 0 = whoever is there: only JOIN may follow.
struct peer_hello {
    int64_t version_min, version_max;
    struct id cluster_id; // none when joining
    int64_t epoch;        // of the group
    int64_t from, to;     // raft ids
    const char *address;  // where the dialer listens
    bool is_bulk;
    int64_t instance; // of the process that dials; 0 = it does not say
    struct bytes unknown;
};
struct peer_welcome {
    int64_t version;
    int64_t raft_id;
    struct bytes unknown;
};
struct peer_failure { // the link ends
    const char *code, *text;
    struct bytes unknown;
};

// One message of the core (reconciler/raft/raft.h); sender and receiver are the link's.
struct raft_packet_entry {
    uint64_t term;
    uint8_t type;
    struct bytes payload;
};
struct raft_packet {
    uint8_t type;
    bool is_reject, is_transfer;
    uint64_t term, index, log_term, commit, hint_index, hint_term, sequence, context;
    struct {
        size_t count;
        struct raft_packet_entry *items;
    } entries;
};
void raft_packet_encode(const struct raft_packet *packet, struct buf *out);
// Payloads are borrowed from `in`; the list is in the arena. -ERR_INVALID.
int raft_packet_decode(struct bytes in, struct raft_packet *out, struct arena *arena, struct error *err);
struct raft_body { // the row's payload: the bytes above as they are
    struct bytes unknown;
};

// A transaction for the leader to put into the log; who sent it sees it applied.
struct propose {
    const char *request_id;
    struct bytes transaction;
    bool makes_room;
    struct bytes unknown;
};
struct propose_refused {
    const char *request_id;
    const char *code, *text;
    struct bytes unknown;
};

// The whole state, chunk by chunk (reconciler/store/snapshot.h).
struct snapshot_fetch {
    int64_t stream, number;
    struct bytes unknown;
};
struct snapshot_chunk {
    int64_t stream, number, index;
    bool is_last;
    struct bytes bytes;
    struct bytes unknown;
};
struct snapshot_end {
    int64_t stream;
    int64_t index; // it is there; 0 = it failed
    const char *text;
    struct bytes unknown;
};

struct digest_table {
    int64_t table, value;
    struct bytes unknown;
};
struct digest_notice {
    int64_t index;
    LIST_OF(struct digest_table) tables;
    struct bytes unknown;
};

// From one who is no part of the cluster yet; or a manager without its store, whose link shows its certificate;
// or one whose certificate has run out. Only over TLS, after the manager's authority has been checked.
struct join_request {
    int64_t raft_id; // the identity that it has as a manager
    struct id node_id, cluster_id;
    const char *address;
    struct bytes node; // encoded struct node: name, description, availability
    const char *version;
    const char *token;        // "" = its link shows its certificate
    struct bytes csr;         // PEM; empty = it needs no certificate
    struct bytes certificate; // the one that it had, PEM: the key of `csr` is that one's, so the node is too
    struct bytes unknown;
};
struct join_reply {
    const char *code, *text; // "" = it is in now, as a manager a leader will tell it the rest
    const char *leader;      // address to ask instead
    struct id cluster_id;
    int64_t epoch;
    struct bytes membership;
    enum node_role role;
    struct bytes certificate, authorities; // PEM; of who sent a csr
    struct bytes seal_key;                 // of managers
    struct strings managers;               // their addresses
    struct bytes unknown;
};

// From a node, over a link that shows its certificate: another one, for the role that it has now.
struct renew_request {
    struct bytes csr; // PEM
    struct bytes unknown;
};
struct renew_reply {
    const char *code, *text; // DENIED: it is no part of the cluster any more
    const char *leader;      // address to ask instead
    enum node_role role;
    struct bytes certificate, authorities; // PEM
    struct bytes seal_key;                 // of managers
    struct strings managers;               // their addresses
    struct bytes unknown;
};

extern const struct schema peer_hello_schema, peer_welcome_schema, peer_failure_schema, raft_body_schema,
    propose_schema, propose_refused_schema, snapshot_fetch_schema, snapshot_chunk_schema, snapshot_end_schema,
    digest_table_schema, digest_notice_schema, join_request_schema, join_reply_schema, renew_request_schema,
    renew_reply_schema;

#endif
