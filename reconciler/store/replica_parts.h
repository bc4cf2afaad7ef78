// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/replica_parts.h — what the files of a replica share. Private to
// reconciler/store/replica*.c.
#ifndef MUSTER_RECONCILER_STORE_REPLICA_PARTS_H
#define MUSTER_RECONCILER_STORE_REPLICA_PARTS_H

#include "base/list.h"
#include "base/map.h"
#include "reconciler/store/admission.h"
#include "reconciler/store/digest.h"
#include "reconciler/store/entries.h"
#include "reconciler/store/log.h"
#include "reconciler/store/planted.h"
#include "reconciler/store/replica.h"
#include "reconciler/store/snapshot.h"
#include "reconciler/store/turn.h"
#include "transport/messages.h"

#define RING_ENTRIES 65536 // of the core's log; half of it is for growth, see log_may_grow
#define MESSAGES_MAX 1024  // of the core in one turn
#define CACHE_BYTES ((size_t)2 * MIB)
#define READS_MAX 4096
#define DIGESTS_MAX 4

// --- proposals of this member ---

enum pending_state {
    PENDING_WAITING,   // for a leader
    PENDING_PROPOSED,  // it is entry `index` of our log, which may yet be overwritten
    PENDING_FORWARDED, // the leader `sent_to` has it, or will not
    PENDING_APPLIED,   // alone: in the transaction that is not synced yet
    PENDING_DONE,
};
struct pending {
    struct list_node node; // in the list of struct replica for its state
    enum pending_state state;
    uint64_t token;
    uint64_t index; // PROPOSED
    uint64_t sent_to;
    int64_t sent_mono_ms, deadline_mono_ms;
    bool only_here, makes_room;
    bool is_change; // of the membership
    // Tries that may yet be applied, by whoever comes to lead: as long as there are any, nobody may say that
    // nothing was done.
    unsigned open_tries;
    // the transaction's wire form; given to the cache when proposed, and back when overwritten
    struct buf entry;
    char request_id[REQUEST_ID_BYTES_MAX + 1];
    struct outcome outcome;
};

struct waiting_read {
    struct list_node node;
    replica_read_fn fn;
    void *context;
    uint64_t asked; // context of the core's read that it waits for; 0 = not asked yet
    uint64_t index; // must be applied; 0 = not known yet
    int64_t asked_mono_ms, deadline_mono_ms;
};

// A snapshot that goes out to a member.
struct outgoing_snapshot {
    uint64_t to; // 0 = free
    uint64_t stream;
    struct snapshot_out *out;
    int64_t used_mono_ms;
};

// A snapshot that comes in.
struct incoming_snapshot {
    uint64_t from; // 0 = none
    uint64_t stream;
    struct snapshot_in *in;
    int64_t asked_mono_ms; // last time
    int64_t progress_mono_ms;
};

struct digest_note {
    uint64_t from; // raft id
    struct digest digest;
};

struct replica {
    struct proposer proposer;
    struct replica_options options;
    struct replica_callbacks callbacks;
    struct admission admission;
    int64_t now_mono_ms, tick_mono_ms;
    struct prng prng;

    bool has_group;
    struct raft raft;
    struct raft_entry *ring;
    struct raft_message *messages;
    struct entries entries;
    struct arena membership_arena;
    struct membership membership; // in force: of the newest configuration entry
    uint64_t membership_index;

    struct turn turn; // open while is_turn_open
    bool is_turn_open;
    int64_t turn_mono_ms;   // since when
    int64_t apply_mono_ms;  // when committed entries were last applied
    uint64_t shown;         // the furthest that reads have seen applied, in this life
    uint64_t notice_commit; // what is committed has been this since notice_mono_ms
    int64_t notice_mono_ms;
    bool is_notice_urgent; // another member waits for it
    uint64_t foreign_last; // the last entry that another member proposed through us
    bool is_full;
    int64_t retry_mono_ms;

    struct list waiting, sent, applied, done; // of struct pending
    size_t queued, queued_bytes;              // not proposed yet
    bool is_held_up;                          // the core takes no more at the moment
    int64_t space_mono_ms;                    // leadership was given away for want of space
    struct map by_request;                    // FORWARDED, by request id
    uint64_t request_nonce, request_count;

    struct list reads; // of struct waiting_read
    size_t read_count;
    uint64_t read_context; // of the last read asked of the core

    struct outgoing_snapshot outgoing[RAFT_MEMBERS_MAX];
    struct incoming_snapshot incoming;
    uint64_t stream_count;

    struct digest_walk *walk;
    struct digest digests[DIGESTS_MAX]; // our own, newest last
    size_t digest_count;
    struct digest_note notes[RAFT_MEMBERS_MAX]; // the newest of each member
    uint64_t digest_last;                       // the index of the last walk
    int64_t digest_last_ms;                     // the time of the transactions before it
    uint64_t diverged_index;

    uint64_t leader_seen; // of the last turn, to notice a change
};

// --- replica.c ---

uint64_t replica_applied(const struct replica *replica); // as reads show it
bool replica_is_sole(const struct replica *replica);
int replica_open_turn(struct replica *replica, struct error *err);     // when none is
int replica_write_entries(struct replica *replica, struct error *err); // that are not durable, into the turn
// Borrowed, or in the arena.
int replica_entry(struct replica *replica, uint64_t index, struct arena *arena, struct log_entry *out,
                  struct error *err);
int replica_commit_turn(struct replica *replica, struct error *err); // when one is open; on failure none is
void replica_drop_turn(struct replica *replica); // the effects that wait are undone: the log has their entries
void replica_note_noop(struct replica *replica); // after whatever may have won an election
void replica_set_membership(struct replica *replica, const struct membership *membership, uint64_t index);

// --- replica_propose.c ---

int propose_submit(struct proposer *proposer, const struct transaction *transaction, uint64_t token,
                   struct error *err);
void propose_waiting(struct replica *replica); // as leader into the log, else to the leader
void propose_leader_changed(struct replica *replica);
void propose_cut(struct replica *replica, uint64_t last_index); // our log ends there now
void propose_fail_from(struct replica *replica, uint64_t last_index, const struct error *why);
void propose_applied(struct replica *replica, struct pending *owner, const struct log_entry *entry,
                     const struct outcome *outcome);
// entries in memory are about to go: none has an owner any more
void propose_release(struct replica *replica);
void propose_after_snapshot(struct replica *replica);
void propose_synced(struct replica *replica);     // what is applied is durable
void propose_not_synced(struct replica *replica); // the transaction is undone
void propose_expire(struct replica *replica);
void propose_report(struct replica *replica); // calls back for all that is done
bool propose_has_work(const struct replica *replica);
bool propose_is_waiting(const struct replica *replica); // for the outcome of an entry
void propose_on_request(struct replica *replica, uint64_t from, const struct propose *request);
void propose_on_refused(struct replica *replica, const struct propose_refused *refused);
void propose_change(struct replica *replica, uint64_t token, struct bytes payload, uint64_t index);
void propose_deinit(struct replica *replica);

// --- replica_packets.c ---

void packets_send(struct replica *replica, bool only_early);
int packets_receive_raft(struct replica *replica, uint64_t from, const struct raft_packet *packet,
                         struct error *err);
void packets_post(struct replica *replica, uint64_t to, uint16_t number, const void *payload, bool is_bulk);

// --- replica_reads.c ---

void reads_ask(struct replica *replica);
void reads_take_results(struct replica *replica);
void reads_release(struct replica *replica);
void reads_deinit(struct replica *replica);
bool reads_have_work(const struct replica *replica);
void reads_expire(struct replica *replica);

// --- replica_snapshots.c ---

uint64_t snapshots_offer(struct replica *replica, uint64_t to); // the number of the stream
// Nobody may be there any more who fetches: the state is offered again as soon as the member answers.
void snapshots_link_lost(struct replica *replica, uint64_t to);
void snapshots_wanted(struct replica *replica, uint64_t from, uint64_t stream);
int snapshots_on_fetch(struct replica *replica, uint64_t from, const struct snapshot_fetch *fetch,
                       struct error *err);
int snapshots_on_chunk(struct replica *replica, uint64_t from, const struct snapshot_chunk *chunk,
                       struct error *err);
void snapshots_on_end(struct replica *replica, uint64_t from, const struct snapshot_end *end);
void snapshots_advance(struct replica *replica);        // repeats, gives up
uint64_t snapshots_hold(const struct replica *replica); // the log is wanted from there on; UINT64_MAX = not
void snapshots_deinit(struct replica *replica);

// --- replica_members.c ---

void members_step(struct replica *replica);                     // promotes who has caught up
int members_follow(struct replica *replica, struct error *err); // the newest configuration of the log

// --- replica_digests.c ---

bool digests_are_due(const struct replica *replica, uint64_t index); // a commit must end exactly there
int digests_begin(struct replica *replica, struct error *err);
int digests_step(struct replica *replica, struct error *err);
void digests_on_notice(struct replica *replica, uint64_t from, const struct digest_notice *notice);
void digests_deinit(struct replica *replica);

#endif
