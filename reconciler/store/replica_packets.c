// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/replica_packets.c — messages of the core to bytes and back, with the payloads of entries.
//
// The core speaks of entries by index; their payloads come from memory or, for members that lag, from the
// store. What cannot be read any more is not sent: the core will find out and begin anew.
#include <string.h>

#include "base/log.h"
#include "reconciler/store/replica_parts.h"

#define PACKET_ENTRIES_MAX 8192

// --- out ---

void packets_post(struct replica *replica, uint64_t to, uint16_t number, const void *payload, bool is_bulk) {
    const struct message_row *row = message_row(number);
    AUTO_BUF body = buf_make(row->bytes_max);
    wire_encode(row->payload, payload, &body);
    if (body.overflow || replica->callbacks.send == NULL) {
        return;
    }
    replica->callbacks.send(replica->callbacks.context,
                            &(struct replica_packet){to, number, is_bulk, buf_bytes(&body)});
}

static int stored_entry(struct store_read *read, uint64_t index, struct arena *arena, struct log_entry *out) {
    int rc = log_get(read, index, out, NULL);
    if (rc == 0) {
        out->payload.data = arena_copy(arena, out->payload.data, out->payload.len);
    }
    return rc;
}

// The entries of an append; false when one of them is not to be had.
static bool add_entries(struct replica *replica, const struct raft_message *message, struct arena *arena,
                        struct raft_packet *packet) {
    struct store_read *read = NULL;
    bool is_whole = true;
    packet->entries.items = ARENA_ARRAY(arena, struct raft_packet_entry, message->count);
    for (uint32_t i = 0; is_whole && i < message->count; i++) {
        uint64_t index = message->index + 1 + i;
        const struct cached_entry *cached = entries_at(&replica->entries, index);
        struct log_entry entry = {0};
        if (cached != NULL) {
            entry = cached->entry;
        } else if (read == NULL && store_read_begin(replica->proposer.store, &read, NULL) < 0) {
            is_whole = false;
        } else {
            is_whole = stored_entry(read, index, arena, &entry) == 0;
        }
        packet->entries.items[i] = (struct raft_packet_entry){entry.term, entry.type, entry.payload};
    }
    packet->entries.count = message->count;
    store_read_end(read);
    return is_whole;
}

static void send_one(struct replica *replica, const struct raft_message *message) {
    AUTO_ARENA arena = arena_make(0);
    struct raft_packet packet = {
        .type = (uint8_t)message->type,
        .term = message->term,
        .index = message->index,
        .log_term = message->log_term,
        .commit = message->commit,
        .hint_index = message->hint_index,
        .hint_term = message->hint_term,
        .sequence = message->sequence,
        .context = message->context,
        .is_reject = message->is_reject,
        .is_transfer = message->is_transfer,
    };
    if (message->type == RAFT_SNAPSHOT) {
        packet.context = snapshots_offer(replica, message->to);
    }
    if (message->count > 0 && !add_entries(replica, message, &arena, &packet)) {
        return;
    }
    AUTO_BUF body = buf_make(message_row(MESSAGE_RAFT)->bytes_max);
    raft_packet_encode(&packet, &body);
    if (!body.overflow && replica->callbacks.send != NULL) {
        replica->callbacks.send(
            replica->callbacks.context,
            &(struct replica_packet){message->to, MESSAGE_RAFT, /*is_bulk=*/false, buf_bytes(&body)});
    }
}

void packets_send(struct replica *replica, bool only_early) {
    struct raft *raft = &replica->raft;
    size_t kept = 0;
    for (size_t i = 0; i < raft->message_count; i++) {
        const struct raft_message message = replica->messages[i];
        if (only_early && message.is_late) {
            replica->messages[kept++] = message;
        } else {
            send_one(replica, &message);
        }
    }
    raft->message_count = kept;
}

// --- in ---

// What the core must know of the entries; the one configuration among them is read.
static int read_entries(const struct raft_packet *packet, struct arena *arena, struct raft_message *message,
                        struct membership *membership, struct raft_configuration *configuration) {
    struct raft_entry *entries = ARENA_ARRAY(arena, struct raft_entry, packet->entries.count);
    for (size_t i = 0; i < packet->entries.count; i++) {
        const struct raft_packet_entry *entry = &packet->entries.items[i];
        entries[i] = (struct raft_entry){entry->term, (uint32_t)entry->payload.len, entry->type};
        if (entry->type > RAFT_ENTRY_CONFIGURATION) {
            return -ERR_INVALID;
        }
        if (entry->type != RAFT_ENTRY_CONFIGURATION) {
            continue;
        }
        if (membership_read(entry->payload, membership, arena, NULL) < 0) {
            return -ERR_INVALID;
        }
        *configuration = membership_configuration(membership);
        message->configuration = configuration;
    }
    message->entries = entries;
    message->count = (uint32_t)packet->entries.count;
    return 0;
}

// The log follows what the core has taken.
static void take_entries(struct replica *replica, const struct raft_packet *packet,
                         const struct raft_accept *accept) {
    if (accept->count == 0) {
        return;
    }
    propose_cut(replica, accept->from - 1);
    for (uint32_t i = 0; i < accept->count; i++) {
        const struct raft_packet_entry *entry = &packet->entries.items[accept->skip + i];
        entries_push(&replica->entries, &(struct log_entry){entry->term, entry->type, entry->payload}, NULL);
    }
    ASSERT(replica->entries.last == replica->raft.log.last_index);
}

int packets_receive_raft(struct replica *replica, uint64_t from, const struct raft_packet *packet,
                         struct error *err) {
    AUTO_ARENA arena = arena_make(0);
    struct membership membership;
    struct raft_configuration configuration;
    struct raft_accept accept;
    if (packet->type >= RAFT_MESSAGE_TYPES || packet->entries.count > PACKET_ENTRIES_MAX) {
        return 0;
    }
    struct raft_message message = {
        .type = (enum raft_message_type)packet->type,
        .from = from,
        .to = replica->raft.options.id,
        .term = packet->term,
        .index = packet->index,
        .log_term = packet->log_term,
        .commit = packet->commit,
        .hint_index = packet->hint_index,
        .hint_term = packet->hint_term,
        .sequence = packet->sequence,
        .context = packet->context,
        .is_reject = packet->is_reject,
        .is_transfer = packet->is_transfer,
    };
    if (read_entries(packet, &arena, &message, &membership, &configuration) < 0) {
        return 0; // no manager of ours writes that
    }
    raft_step(&replica->raft, &message, &accept);
    replica_note_noop(replica);
    take_entries(replica, packet, &accept);
    if (accept.wants_snapshot) {
        snapshots_wanted(replica, from, packet->context);
    }
    return members_follow(replica, err);
}

int replica_receive(struct replica *replica, uint64_t from, uint16_t number, struct bytes body,
                    struct error *err) {
    const struct message_row *row = message_row(number);
    AUTO_ARENA arena = arena_make(0);
    if (!replica->has_group || row == NULL || from == 0 || from == replica->raft.options.id) {
        return 0;
    }
    if (number == MESSAGE_RAFT) {
        struct raft_packet packet;
        return raft_packet_decode(body, &packet, &arena, NULL) < 0
                   ? 0
                   : packets_receive_raft(replica, from, &packet, err);
    }
    void *payload = arena_alloc(&arena, row->payload->bytes);
    if (wire_decode(row->payload, body, payload, &arena, NULL) < 0) {
        return 0;
    }
    switch (number) {
    case MESSAGE_PROPOSE:
        propose_on_request(replica, from, payload);
        return 0;
    case MESSAGE_PROPOSE_REFUSED:
        propose_on_refused(replica, payload);
        return 0;
    case MESSAGE_SNAPSHOT_FETCH:
        return snapshots_on_fetch(replica, from, payload, err);
    case MESSAGE_SNAPSHOT_CHUNK:
        return snapshots_on_chunk(replica, from, payload, err);
    case MESSAGE_SNAPSHOT_END:
        snapshots_on_end(replica, from, payload);
        return 0;
    case MESSAGE_DIGEST:
        digests_on_notice(replica, from, payload);
        return 0;
    default:
        return 0;
    }
}
