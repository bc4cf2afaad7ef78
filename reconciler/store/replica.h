// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/replica.h — one member of the group of managers: the Raft core, its log and the objects in
// one store, behind the proposal seam.
//
// Model        Packets, ticks and proposals come in between turns and only change what is in memory. A turn
//              (proposer->ops->turn) makes all of it real: messages that promise nothing leave first, then
//              new entries, term and vote, and the effects of what is committed become durable in one synced
//              transaction (group commit), then the messages that promise durability leave.
//              Committed entries are durable on a quorum, so their outcomes are told before this member has
//              synced their effects, and the transaction with the effects may stay open for COMMIT_DELAY_MS
//              to be synced together with the next entries; reads go through it. A sole voter syncs first.
// Proposals    On the leader they become entries. Elsewhere they are handed to the leader, with a request id
//              that makes handing them over again harmless, and their outcome is seen when their entry is
//              applied here. One whose entry was overwritten by another leader is proposed again.
// Reads        replica_read calls back once this member shows everything that was acknowledged anywhere
//              before the call (ReadIndex; no clocks).
// Members      Join as learners, vote once they have caught up; removed ids never come back.
// Failure      A failed write of the store ends the process, but for a full disk: then the member keeps what
//              it has, promises nothing more, hands leadership over if it has it, and tries again.
// Threads      Loop thread only. No clock: the caller says what time it is.
#ifndef MUSTER_RECONCILER_STORE_REPLICA_H
#define MUSTER_RECONCILER_STORE_REPLICA_H

#include "reconciler/store/membership.h"
#include "reconciler/store/proposer.h"

struct replica;

// For another member. Bytes are borrowed: sent or dropped before the callback returns.
struct replica_packet {
    uint64_t to;     // raft id
    uint16_t number; // transport/messages.def
    bool is_bulk;    // beside the others, so that no heartbeat waits behind it
    struct bytes body;
};

struct replica_callbacks {
    proposal_result_fn on_result; // the proposer's
    void (*send)(void *context, const struct replica_packet *packet);
    // Whether what is sent to this member can leave; NULL = always. A leader that cannot reach a quorum takes
    // nothing into its log: then it can still say for sure that nothing was done.
    bool (*is_linked)(void *context, uint64_t raft_id);
    // Who belongs to the group has changed, as far as this member's log tells: links follow.
    void (*on_members)(void *context, const struct membership *membership);
    void *context;
};

// Zero = the usual ones.
struct replica_pace {
    int64_t tick_ms;          // 100
    unsigned heartbeat_ticks; // 2: five in the shortest election time, and half of what an idle leader costs
    unsigned election_ticks;  // 10, randomised up to twice that
    int64_t proposal_ms;      // 10,000: how long a proposal waits for a leader and its outcome
    int64_t keep_entries;     // 4,096: of the log, behind what is applied, for followers that lag
    int64_t digest_interval;  // 10,000 entries…
    int64_t digest_ms;        // 30,000: … and that much later, by the time of transactions
};

struct replica_options {
    struct store *store;
    struct id node_id; // of this machine
    struct replica_callbacks callbacks;
    struct replica_pace pace;
    uint64_t seed;       // of the random part of election timeouts
    int64_t now_mono_ms; // any clock that never goes back
};

// Takes up what the store has. -ERR_CORRUPT, -ERR_SYSTEM.
int replica_open(const struct replica_options *options, struct replica **out, struct error *err);
struct proposer *replica_proposer(struct replica *replica); // whose `free` frees the replica

// --- belonging to a group ---

// Makes a group of this member alone; it leads after two turns. -ERR_CONFLICT when it is in one.
int replica_found(struct replica *replica, const struct id *node_id, const char *address, struct error *err);
// Becomes a member that waits to be told by a leader: after JOIN was answered. Durable on return.
int replica_await(struct replica *replica, uint64_t raft_id, struct error *err);
bool replica_has_group(const struct replica *replica);
uint64_t replica_id(const struct replica *replica); // 0 = none

// Changes of the group, on the leader. The result comes to `on_result` of the callbacks with this token, once
// the change is committed. -ERR_NO_QUORUM (not the leader), -ERR_BUSY (another one is under way, or nothing
// of this term is committed yet: try again), -ERR_GUARD (the group would lose its quorum), -ERR_NOT_FOUND,
// -ERR_CONFLICT.
enum replica_change { MEMBER_ADD, MEMBER_REMOVE, MEMBER_DEMOTE, MEMBER_PROMOTE };
int replica_change(struct replica *replica, enum replica_change change, const struct member *member,
                   uint64_t token, struct error *err);
// Leadership to that member; 0 = the voter that is furthest. Nothing is promised: watch the status.
int replica_transfer(struct replica *replica, uint64_t raft_id, struct error *err);

// Ends the group, and makes one of this member alone in the next epoch, under a new raft id, out of all that
// its log holds: entries of which it does not know whether they are committed count as that, for they may be
// acknowledged. `compose` says what else is to change; it reads the store as the whole log leaves it (no
// changes: nothing). All of it is one durable transaction: a process that is killed meanwhile starts in the
// old group or in the new one. Afterwards this replica is of no group: free it, the next one leads.
// For a member whose others are gone for good, and nobody else: those that are not go on without it.
// -ERR_NO_SPACE, -ERR_LIMIT, what compose gives, what refuses its changes: all is as before. Else the store
// has failed.
typedef int (*replica_compose_fn)(void *context, struct arena *arena, struct transaction *out,
                                  struct error *err);
int replica_go_alone(struct replica *replica, const char *address, replica_compose_fn compose, void *context,
                     struct error *err);

// --- what comes in ---

// Packets of other members. What cannot be is dropped. Negative: a failure of the store.
int replica_receive(struct replica *replica, uint64_t from, uint16_t number, struct bytes body,
                    struct error *err);
// The link to this member broke: a hint that its process may be gone (raft_link_lost).
void replica_link_lost(struct replica *replica, uint64_t raft_id);
// The time; at most one tick passes, however long nobody called.
void replica_advance(struct replica *replica, int64_t now_mono_ms);
int64_t replica_wake_mono_ms(const struct replica *replica); // when the next turn is due without news

// --- reading ---

// Called once. rc 0: reads from now on see all that was acknowledged before replica_read was called;
// -ERR_NO_QUORUM: no leader answered in time.
typedef void (*replica_read_fn)(void *context, int rc, const struct error *err);
// True when there is nothing to wait for: then `fn` is not called.
bool replica_read(struct replica *replica, replica_read_fn fn, void *context);
void replica_read_forget(struct replica *replica, void *context); // its callback is not wanted any more

// --- how it is ---

struct replica_member_status {
    uint64_t raft_id;
    struct id node_id;
    const char *address; // borrowed until the membership changes
    bool is_voter, wants_vote, is_leader;
    bool is_reachable; // as far as this member can tell; a leader can
    uint64_t match;    // of the leader's log; 0 = not known
};
struct replica_status {
    const char *role; // of Raft: "leader", "follower"…
    uint64_t raft_id, leader, term, last_index, commit, applied;
    bool is_full;            // the disk is: it promises nothing
    bool is_removed;         // somebody who must know says so
    uint64_t diverged_index; // its records differ from the others' since there; 0 = no
    unsigned count, voters;
    struct replica_member_status members[RAFT_MEMBERS_MAX];
};
void replica_status(const struct replica *replica, struct replica_status *out);
bool replica_is_changing(const struct replica *replica); // the membership in force may yet be undone
const struct membership *replica_membership(const struct replica *replica); // in force; never NULL

#endif
