// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/replica_snapshots.c — a member whose entries are compacted away fetches the whole state.
//
// Model        The leader's core offers; the member fetches chunk after chunk, each answered once, the last
//              one again if the answer was lost (stop-and-wait: a chunk is large, and one at a time keeps
//              both sides small). The picture is taken when the first chunk is asked for. Installed all at
//              once at the end; whatever ends a stream earlier leaves nothing behind.
// Bounds       A stream without progress for GIVE_UP_MS ends on both sides: a picture pins old pages of the
//              store. One stream for each member, one coming in.
#include <string.h>

#include "base/log.h"
#include "reconciler/store/replica_parts.h"

#define ASK_AGAIN_MS 1000
#define OFFER_MS 5000
#define GIVE_UP_MS 30000

// --- out ---

static struct outgoing_snapshot *find_outgoing(struct replica *replica, uint64_t to) {
    for (size_t i = 0; i < RAFT_MEMBERS_MAX; i++) {
        if (replica->outgoing[i].to == to) {
            return &replica->outgoing[i];
        }
    }
    return NULL;
}

static void end_outgoing(struct outgoing_snapshot *outgoing) {
    snapshot_out_end(outgoing->out);
    *outgoing = (struct outgoing_snapshot){0};
}

uint64_t snapshots_offer(struct replica *replica, uint64_t to) {
    struct outgoing_snapshot *outgoing = find_outgoing(replica, to);
    if (outgoing != NULL && outgoing->out != NULL) {
        return outgoing->stream; // its link broke: it goes on, or begins anew and is told that it cannot
    }
    if (outgoing == NULL) {
        outgoing = find_outgoing(replica, 0);
    }
    ASSERT(outgoing != NULL); // as many as there can be members
    end_outgoing(outgoing);
    *outgoing = (struct outgoing_snapshot){
        .to = to, .stream = ++replica->stream_count, .used_mono_ms = replica->now_mono_ms};
    return outgoing->stream;
}

static void say_end(struct replica *replica, uint64_t to, uint64_t stream, uint64_t index, const char *text) {
    struct snapshot_end end;
    schema_init(&snapshot_end_schema, &end);
    end.stream = (int64_t)stream;
    end.index = (int64_t)index;
    end.text = text;
    packets_post(replica, to, MESSAGE_SNAPSHOT_END, &end, /*is_bulk=*/true);
}

static int begin_picture(struct replica *replica, struct outgoing_snapshot *outgoing, struct error *err) {
    if (outgoing->out != NULL) {
        return 0;
    }
    int rc = replica_commit_turn(replica, err); // the picture shows what is synced
    rc = rc < 0 ? rc : snapshot_out_begin(replica->proposer.store, &outgoing->out, err);
    if (rc == 0) {
        log_event(LOG_INFO, "snapshot.send", LOG_INT("index", snapshot_out_index(outgoing->out)));
    }
    return rc;
}

int snapshots_on_fetch(struct replica *replica, uint64_t from, const struct snapshot_fetch *fetch,
                       struct error *err) {
    struct outgoing_snapshot *outgoing = find_outgoing(replica, from);
    if (outgoing == NULL || outgoing->stream != (uint64_t)fetch->stream) {
        say_end(replica, from, (uint64_t)fetch->stream, 0, "no such stream");
        return 0;
    }
    struct error failure = {0};
    struct snapshot_chunk chunk;
    schema_init(&snapshot_chunk_schema, &chunk);
    int rc = begin_picture(replica, outgoing, &failure);
    rc = rc < 0 ? rc
                : snapshot_out_chunk(outgoing->out, (uint32_t)fetch->number, &chunk.bytes, &chunk.is_last,
                                     &failure);
    if (rc == -ERR_CORRUPT || rc == -ERR_SYSTEM) { // our own records: this member must not go on
        *err = failure;
        return rc;
    }
    if (rc < 0) {
        say_end(replica, from, outgoing->stream, 0, failure.root);
        end_outgoing(outgoing);
        raft_snapshot_ended(&replica->raft, from, 0);
        return 0;
    }
    outgoing->used_mono_ms = replica->now_mono_ms;
    chunk.stream = fetch->stream;
    chunk.number = fetch->number;
    chunk.index = (int64_t)snapshot_out_index(outgoing->out);
    packets_post(replica, from, MESSAGE_SNAPSHOT_CHUNK, &chunk, /*is_bulk=*/true);
    return 0;
}

static void advance_outgoing(struct replica *replica) {
    for (size_t i = 0; i < RAFT_MEMBERS_MAX; i++) {
        struct outgoing_snapshot *outgoing = &replica->outgoing[i];
        int64_t patience_ms = outgoing->out != NULL ? GIVE_UP_MS : OFFER_MS;
        if (outgoing->to != 0 && replica->now_mono_ms - outgoing->used_mono_ms >= patience_ms) {
            raft_snapshot_ended(&replica->raft, outgoing->to, 0);
            end_outgoing(outgoing);
        }
    }
}

// The log is kept from the oldest picture on, or the member would need another one when it has this.
uint64_t snapshots_hold(const struct replica *replica) {
    uint64_t hold = UINT64_MAX;
    for (size_t i = 0; i < RAFT_MEMBERS_MAX; i++) {
        const struct snapshot_out *out = replica->outgoing[i].out;
        if (out != NULL && snapshot_out_index(out) < hold) {
            hold = snapshot_out_index(out);
        }
    }
    return hold;
}

void snapshots_link_lost(struct replica *replica, uint64_t to) {
    if (find_outgoing(replica, to) != NULL) {
        raft_snapshot_ended(&replica->raft, to, 0);
    }
}

// --- in ---

static void end_incoming(struct replica *replica) {
    snapshot_in_end(replica->incoming.in);
    replica->incoming = (struct incoming_snapshot){0};
}

static void ask(struct replica *replica) {
    struct incoming_snapshot *incoming = &replica->incoming;
    struct snapshot_fetch fetch;
    schema_init(&snapshot_fetch_schema, &fetch);
    fetch.stream = (int64_t)incoming->stream;
    fetch.number = incoming->in != NULL ? snapshot_in_next(incoming->in) : 0;
    incoming->asked_mono_ms = replica->now_mono_ms;
    packets_post(replica, incoming->from, MESSAGE_SNAPSHOT_FETCH, &fetch, /*is_bulk=*/true);
}

void snapshots_wanted(struct replica *replica, uint64_t from, uint64_t stream) {
    struct incoming_snapshot *incoming = &replica->incoming;
    if (incoming->from == from && incoming->stream == stream) {
        return;
    }
    end_incoming(replica);
    *incoming =
        (struct incoming_snapshot){.from = from, .stream = stream, .progress_mono_ms = replica->now_mono_ms};
    ask(replica);
}

// The entries in memory are behind the snapshot or contradict it; whoever waited for one of them asks the
// store.
static int take_up(struct replica *replica, struct error *err) {
    AUTO_ARENA arena = arena_make(0);
    struct raft *raft = &replica->raft;
    const struct store_local *local = store_local(replica->proposer.store);
    struct membership membership;
    struct store_read *read;
    uint64_t at = 0;
    int rc = store_read_begin(replica->proposer.store, &read, err);
    if (rc < 0) {
        return rc;
    }
    rc = store_membership(read, &arena, &membership, &at, err);
    store_read_end(read);
    if (rc < 0) {
        return rc;
    }
    struct raft_configuration configuration = membership_configuration(&membership);
    propose_release(replica);
    entries_reset(&replica->entries, local->base_index);
    raft_restored(raft, local->base_index, local->base_term, &configuration, at);
    raft_persisted(raft, raft->log.last_index);
    replica_set_membership(replica, &membership, at);
    propose_after_snapshot(replica);
    return 0;
}

static int install(struct replica *replica, struct error *err) {
    struct incoming_snapshot *incoming = &replica->incoming;
    struct raft *raft = &replica->raft;
    uint64_t from = incoming->from, stream = incoming->stream;
    uint64_t index = snapshot_in_index(incoming->in);
    bool may_install = raft_may_restore(raft, index, snapshot_in_term(incoming->in));
    if (!may_install && !REPLICA_PLANTED(SNAPSHOT_OVER_NEWER)) {
        end_incoming(replica); // overtaken: the log has come further meanwhile
        say_end(replica, from, stream, raft->role == RAFT_LEADER ? 0 : raft->commit, "overtaken");
        return 0;
    }
    replica_drop_turn(replica); // effects of committed entries, all of which the snapshot has
    digests_deinit(replica);
    int rc = snapshot_in_install(incoming->in, raft->term, raft->vote, err);
    if (rc < 0) {
        return rc;
    }
    log_event(LOG_INFO, "snapshot.install", LOG_INT("index", index));
    end_incoming(replica);
    rc = take_up(replica, err);
    if (rc == 0) {
        say_end(replica, from, stream, index, "");
    }
    return rc;
}

static void refuse(struct replica *replica, const struct error *why) {
    log_failure(LOG_WARN, "snapshot.refused", why, LOG_NONE);
    say_end(replica, replica->incoming.from, replica->incoming.stream, 0, why->root);
    end_incoming(replica);
}

static bool is_expected(const struct replica *replica, uint64_t from, const struct snapshot_chunk *chunk) {
    const struct incoming_snapshot *incoming = &replica->incoming;
    uint32_t next = incoming->in != NULL ? snapshot_in_next(incoming->in) : 0;
    return incoming->from == from && incoming->stream == (uint64_t)chunk->stream && chunk->number == next;
}

int snapshots_on_chunk(struct replica *replica, uint64_t from, const struct snapshot_chunk *chunk,
                       struct error *err) {
    struct incoming_snapshot *incoming = &replica->incoming;
    struct error failure = {0};
    if (!is_expected(replica, from, chunk)) {
        return 0;
    }
    int rc = replica_commit_turn(replica, &failure); // chunks are written in transactions of their own
    if (rc == 0 && incoming->in == NULL) {
        rc = snapshot_in_begin(replica->proposer.store, &incoming->in, &failure);
    }
    rc = rc < 0 ? rc : snapshot_in_add(incoming->in, chunk->bytes, &failure);
    rc = rc == SNAPSHOT_COMPLETE ? install(replica, &failure) : rc;
    if (rc == -ERR_SYSTEM) {
        *err = failure;
        return rc;
    }
    if (rc < 0) {
        refuse(replica, &failure);
        return 0;
    }
    if (incoming->from != 0) {
        incoming->progress_mono_ms = replica->now_mono_ms;
        ask(replica);
    }
    return 0;
}

void snapshots_on_end(struct replica *replica, uint64_t from, const struct snapshot_end *end) {
    struct outgoing_snapshot *outgoing = find_outgoing(replica, from);
    if (outgoing != NULL && outgoing->stream == (uint64_t)end->stream) {
        end_outgoing(outgoing);
        raft_snapshot_ended(&replica->raft, from, (uint64_t)end->index);
    }
    if (replica->incoming.from == from && replica->incoming.stream == (uint64_t)end->stream) {
        end_incoming(replica);
    }
}

// --- time ---

void snapshots_advance(struct replica *replica) {
    struct incoming_snapshot *incoming = &replica->incoming;
    advance_outgoing(replica);
    if (incoming->from == 0) {
        return;
    }
    if (replica->now_mono_ms - incoming->progress_mono_ms >= GIVE_UP_MS) {
        end_incoming(replica);
    } else if (replica->now_mono_ms - incoming->asked_mono_ms >= ASK_AGAIN_MS) {
        ask(replica);
    }
}

void snapshots_deinit(struct replica *replica) {
    for (size_t i = 0; i < RAFT_MEMBERS_MAX; i++) {
        end_outgoing(&replica->outgoing[i]);
    }
    end_incoming(replica);
}
