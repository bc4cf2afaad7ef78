// SPDX-License-Identifier: Apache-2.0
//
// reconciler/raft/raft.h — consensus as a pure state machine: what managers agree on, in which order.
//
// The Raft algorithm (Ongaro, Ousterhout 2014; Ongaro's dissertation 2014) in the shape of etcd's library:
// events in (tick, step, propose, persisted…), effects out (what must become durable, messages, what is
// committed, reads that may be served). It never asks for the time, draws no randomness of its own, does no
// I/O and allocates nothing: whole clusters run in one process on virtual time (test/sim).
//
// Model        The payload of entries stays with the driver; the core knows of each its term, size and type,
//              and speaks of entries by index. The driver keeps the payloads of what is not durable yet, in
//              the order of indexes, and fills the messages that it sends from its own log.
//              A turn of the driver: step, tick and propose as things arrive; raft_flush; send the messages
//              that may go early; make hard state and entries durable in one sync; raft_persisted; send the
//              others; apply what is committed; raft_applied.
// Beyond the   pre-vote, check-quorum, stickiness (a voter that hears a leader ignores candidates), a no-op
//              at
// paper each election, ReadIndex (linearizable reads without writing), learners, one change of voters at
//              a time, transfer of leadership, flow control by messages and bytes.
// Invariants   (1) term never falls; one vote a term, durable before it is told. (2) an entry at or below
//              commit never changes. (3) commit counts only entries of the own term. (4) a leader counts
//              itself only for what it has made durable. Asserted, also in release builds.
// Ownership    The caller owns struct raft and the two arrays it is given; nothing passed in is kept.
// Limits       RAFT_MEMBERS_MAX, the length of the arrays. Full arrays refuse or drop, which Raft tolerates.
// Not here     Encoding, storage, links, the time: the driver's. Joint consensus: not needed.
#ifndef MUSTER_RECONCILER_RAFT_RAFT_H
#define MUSTER_RECONCILER_RAFT_RAFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/prng.h"

#define RAFT_MEMBERS_MAX 16
#define RAFT_INFLIGHT_MAX 64
#define RAFT_READS_MAX 256

// Ids are random, one for each time a manager joins, never used again; 0 = none. So an answer of an earlier
// life of a member cannot be taken for one of the present.
struct raft_member {
    uint64_t id;
    bool is_voter; // else a learner: gets the log, decides nothing
};
// Sorted by id.
struct raft_configuration {
    unsigned count;
    struct raft_member members[RAFT_MEMBERS_MAX];
};

enum raft_entry_type { RAFT_ENTRY_NOOP, RAFT_ENTRY_DATA, RAFT_ENTRY_CONFIGURATION };

// All that the core knows of an entry.
struct raft_entry {
    uint64_t term;
    uint32_t bytes; // of its payload
    uint8_t type;   // enum raft_entry_type
};

enum raft_message_type {
    RAFT_APPEND, // entries index+1 … index+count, after the one at (index, log_term); commit
    // index: matches up to there; or is_reject of the entry before `index`, and the hint
    RAFT_APPEND_REPLY,
    RAFT_HEARTBEAT,       // commit, as far as the receiver is known to match; sequence
    RAFT_HEARTBEAT_REPLY, // sequence
    RAFT_PRE_VOTE,        // would you vote for me in `term`? last entry: (index, log_term)
    RAFT_PRE_VOTE_REPLY,  // is_reject
    RAFT_VOTE,            // the same in earnest; is_transfer: the leader wants it
    RAFT_VOTE_REPLY,      // is_reject
    RAFT_SNAPSHOT,        // the state up to (index, log_term) is on its way, beside the core
    RAFT_TIMEOUT_NOW,     // from a leader to its successor: campaign at once
    RAFT_READ,            // a follower asks for a read index; context
    RAFT_READ_REPLY,      // index, context
    RAFT_REMOVED,         // the sender of a vote request is no member any more, since the entry at `index`
    RAFT_MESSAGE_TYPES
};

struct raft_message {
    enum raft_message_type type;
    uint64_t from, to;
    uint64_t term;
    uint64_t index, log_term;
    uint64_t commit;
    uint64_t hint_index, hint_term; // APPEND_REPLY with is_reject: look there next
    uint64_t sequence;              // of the heartbeat round
    uint64_t context;               // of a read
    bool is_reject, is_transfer;
    // To be sent only after everything that was to be made durable before it is. The others may be sent
    // before, if term and vote are durable already.
    bool is_late;
    uint32_t count; // of entries: APPEND
    // APPEND received: what the core must know of them; and the one configuration that may be among them.
    const struct raft_entry *entries;
    const struct raft_configuration *configuration;
};

enum raft_role { RAFT_FOLLOWER, RAFT_PRE_CANDIDATE, RAFT_CANDIDATE, RAFT_LEADER };
extern const char *const raft_role_names[4];

enum raft_pace { RAFT_PROBE, RAFT_REPLICATE, RAFT_SNAPSHOTTING };

// What a leader knows of a member. Private.
struct raft_peer {
    uint64_t id;
    enum raft_pace pace;
    uint64_t match, next;
    uint64_t told_commit;
    uint64_t beat_match; // match at the last answer to a heartbeat
    uint64_t acked_sequence;
    bool is_voter;
    bool is_active;     // heard of since the last check of the quorum
    bool is_responsive; // … or before it
    bool is_paused;     // PROBE: one append is on its way
    bool is_due;        // send an append, were it empty: something may have been lost
    unsigned flight_first, flight_count;
    uint64_t flight_bytes;
    struct {
        uint64_t last;
        uint64_t bytes;
    } flight[RAFT_INFLIGHT_MAX];
};

// Entries by index in a ring. Private.
struct raft_log {
    struct raft_entry *ring;
    uint64_t capacity;
    uint64_t base_index, base_term; // the entry before the first one that is known
    uint64_t last_index;
};

struct raft_read {
    uint64_t context;
    uint64_t from;     // 0 = asked here
    uint64_t index;    // 0 = parked until an entry of this term is committed
    uint64_t sequence; // of the round that must be answered; 0 = the next one
};

// A read that can be answered: once everything up to `index` is applied and durable. index 0: leadership was
// lost, ask again.
struct raft_read_result {
    uint64_t context, index;
};

struct raft_options {
    uint64_t id;
    unsigned election_ticks;  // 10: randomised up to twice that
    unsigned heartbeat_ticks; // at most a third of the next, so that one may be lost
    uint64_t append_bytes_max;
    unsigned inflight_max; // appends on their way to one member; at most RAFT_INFLIGHT_MAX
    uint64_t inflight_bytes_max;
    uint64_t uncommitted_bytes_max; // proposals beyond are refused
    struct prng *prng;              // the driver's
    struct raft_entry *ring;        // room for the entries between two compactions
    size_t ring_count;
    struct raft_message *messages; // room for what one turn has to say; what does not fit is dropped
    size_t messages_count;
};

// What was durable when the process started.
struct raft_start {
    uint64_t term, vote;
    uint64_t applied;               // commit is at least that
    uint64_t base_index, base_term; // the log was compacted up to here
    const struct raft_entry *entries;
    size_t count;
    // In force at `applied`, and the entry that brought it; and the one in the log beyond, if any.
    struct raft_configuration configuration, pending;
    uint64_t configuration_index, pending_index; // pending_index 0 = none
};

// Read what you like; written by raft_* alone.
struct raft {
    struct raft_options options;
    enum raft_role role;
    uint64_t term, vote, leader;
    uint64_t commit, applied, persisted;
    struct raft_log log;
    struct raft_configuration committed_configuration, pending_configuration;
    uint64_t committed_configuration_index, pending_configuration_index; // pending: 0 = none

    // Effects. The driver clears what it has dealt with.
    bool is_hard_state_dirty; // (term, vote) must become durable
    bool is_removed;          // somebody who must know says that we are no member
    uint64_t noop_index;      // an empty entry was added to the log here (its term: raft_term_at); 0 = none
    size_t message_count;     // in options.messages; cleared by raft_sent
    size_t result_count;      // in results; set to 0 when read
    struct raft_read_result results[RAFT_READS_MAX];

    // Set by the driver: that something is committed is told with the next entries or heartbeat, not by an
    // append of its own.
    bool holds_notices;

    // Private.
    unsigned elapsed, heartbeat_elapsed, timeout; // ticks
    bool is_self_vote_due;                        // counts once it is durable
    bool wants_round, is_leaving;
    uint64_t transferee;
    unsigned transfer_elapsed;
    uint64_t term_first_index; // of the leader's own term
    uint64_t uncommitted_bytes;
    uint64_t sequence;
    size_t read_count;
    struct raft_read reads[RAFT_READS_MAX];
    unsigned vote_count;
    struct {
        uint64_t id;
        bool is_granted;
    } votes[RAFT_MEMBERS_MAX];
    unsigned peer_count; // of the configuration in force, without ourselves
    struct raft_peer peers[RAFT_MEMBERS_MAX];
};

enum raft_outcome {
    RAFT_DONE = 0,
    RAFT_NOT_LEADER = 1,
    RAFT_BUSY = 2,         // too much is uncommitted, the log is full, or leadership is being handed over
    RAFT_REFUSED = 3,      // a change of members that must not be made (now)
    RAFT_NOT_CAUGHT_UP = 4 // … because the member lags behind
};

void raft_init(struct raft *raft, const struct raft_options *options, const struct raft_start *start);

// One more tick of the driver's clock has passed.
void raft_tick(struct raft *raft);

// What the driver has to do with a message beyond answering.
struct raft_accept {
    // Of an APPEND: forget what the log holds from `from` on and put `count` entries there, the message's
    // from number `skip` on. count 0 = nothing.
    uint64_t from;
    uint32_t skip, count;
    bool wants_snapshot; // of a SNAPSHOT: receive it; ask raft_may_restore; install it; raft_restored
};
// Messages of others come in any order, any number of times, or not at all. Those that cannot be are dropped.
void raft_step(struct raft *raft, const struct raft_message *message, struct raft_accept *out);

// Adds entries with these payload sizes to the log; the first gets *out_first, the others follow.
enum raft_outcome raft_propose(struct raft *raft, const uint32_t *bytes, size_t count, uint64_t *out_first);
// Adds one entry that changes the configuration: at most one voter more or less, or any learners. It is in
// force at once. REFUSED while another is not committed, or nothing of this term is.
enum raft_outcome raft_propose_configuration(struct raft *raft,
                                             const struct raft_configuration *configuration, uint32_t bytes,
                                             uint64_t *out_index);
// Asks for a linearizable read; the answer comes in `results` with this context. On a follower the leader is
// asked. BUSY when too many wait.
enum raft_outcome raft_read_index(struct raft *raft, uint64_t context);
// Hands leadership to a voter as soon as it has everything; given up after an election timeout.
enum raft_outcome raft_transfer(struct raft *raft, uint64_t id);
void raft_campaign(struct raft *raft); // as if the election timeout had passed
// The connection to this member broke, as it does when its process dies. If it was the leader, the next
// election comes within a few ticks instead of after a timeout. A hint: the others are asked first, and who
// still hears the leader says no.
void raft_link_lost(struct raft *raft, uint64_t id);

// Ends the events of a turn: a leader's appends and rounds of heartbeats become messages.
void raft_flush(struct raft *raft);
// All messages were taken.
void raft_sent(struct raft *raft);
// Hard state, and the log up to this index, are durable.
void raft_persisted(struct raft *raft, uint64_t index);
// Everything up to this index is applied (and durably so, in the driver's transaction).
void raft_applied(struct raft *raft, uint64_t index);
// Forgets entries up to this index, which is applied. Members who still need them will get a snapshot.
void raft_compact(struct raft *raft, uint64_t index);
// The snapshot for this member ended: it has the state up to `index` now; 0 = it failed.
void raft_snapshot_ended(struct raft *raft, uint64_t id, uint64_t index);
// A leader whom nobody follows forgets the proposals that could not be made durable (a full disk): no other
// member has seen them, so their indexes may be given anew.
void raft_take_back(struct raft *raft);
// A snapshot was received whole: may it take the place of log and state now? Streams take a while. False when
// this node leads, or has that much otherwise meanwhile: then nothing may be thrown away, because what is
// behind it in the log may be acknowledged; commit is raised to `index` instead. To be asked in the turn of
// the installation, before anything of it becomes durable.
bool raft_may_restore(struct raft *raft, uint64_t index, uint64_t term);
// It was installed, durably and whole, instead of log and state.
void raft_restored(struct raft *raft, uint64_t index, uint64_t term,
                   const struct raft_configuration *configuration, uint64_t configuration_index);

// In force: effective from the moment it is in the log.
const struct raft_configuration *raft_configuration_now(const struct raft *raft);
bool raft_configuration_has(const struct raft_configuration *configuration, uint64_t id, bool *out_is_voter);
// The term of an entry; false when it is compacted away or not there yet.
bool raft_term_at(const struct raft *raft, uint64_t index, uint64_t *out_term);
static inline uint64_t raft_last_index(const struct raft *raft) {
    return raft->log.last_index;
}

#endif
