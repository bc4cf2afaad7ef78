// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/group.h — this manager among the managers: its replica's packets, carried by its links.
//
// Managers find each other by the addresses in the membership. Links are TLS, by this node's certificate
// (passport.h). A daemon listens from when it makes a cluster or asks to be let into one, and from its start
// as a manager; one whose port is 0 never does, and is a cluster of its own.
#ifndef MUSTER_RECONCILER_DAEMON_GROUP_H
#define MUSTER_RECONCILER_DAEMON_GROUP_H

#include "base/list.h"
#include "base/prng.h"
#include "reconciler/daemon/control.h"
#include "reconciler/daemon/passport.h"
#include "reconciler/daemon/removed.h"
#include "reconciler/daemon/renewal.h"
#include "reconciler/daemon/silence.h"
#include "reconciler/store/replica.h"
#include "transport/peer_address.h"
#include "transport/peers.h"

// A manager that calls us, and that the part of the log we have does not know: whoever leads may have come
// after it. Without its address no answer would get there, and nothing would ever follow.
struct caller {
    uint64_t raft_id; // 0 = none
    char address[64];
};
#define CALLERS_MAX 4

struct group {
    struct peers *peers; // NULL = no other manager can be talked to
    struct prng prng;
    char address[PEER_URL_BYTES]; // where others find this one; "" = nowhere
    struct passport passport;
    struct renewal renewal;
    struct removed removed;
    bool has_news;       // of the membership
    bool must_introduce; // as a member of `cluster_id`, in that epoch
    struct id cluster_id;
    int64_t epoch;
    struct arena told_arena;
    struct membership told; // by who let us in: until our own log says it
    struct caller callers[CALLERS_MAX];
    unsigned caller_next;
    struct list entrants;    // of struct entrant: who asks to be let in (entrant.c)
    struct joining *joining; // this one asks (joining.c); NULL = not
    struct leaving *leaving; // this one leaves (leaving.c); NULL = not
    struct alone *alone;     // this one is to go on alone (alone.c); NULL = not
    char outdated_by[64];    // a manager that went on without this one is found there (outdated.c); "" = none
    bool is_refused;         // a member says that this one is none, and for it that is committed
    bool must_ask_role;      // or that it is not the manager that it says: the leader knows (roles.c)
    char asked_with[CERTIFICATE_SERIAL_BYTES]; // the certificate that it asked with; "" = it did not
    int64_t role_mono_ms;                      // when a manager without a group asks again
    bool is_removed;                           // from the cluster: the leader says so
    bool is_changing;         // as of the last turn: who belongs to the group is not committed
    int64_t managers_mono_ms; // when the records of nodes are next held against what is known of them
    uint64_t managers_turns;  // of the workers' sessions, when that was done
    bool is_managers_proposed;
    char managers_trouble[200]; // why a change of them is not made; "" = nothing known
    struct silence silence;     // of managers, while this one leads
    int64_t leaderless_mono_ms; // since when nobody leads; 0 = somebody does
    char doubt[400];            // what that means for who looks on; "" = nothing
    unsigned doubt_count;       // how often it has changed
    int rc;                     // a failure of the store in a callback
    struct error failure;
};

// Opens the replica and the links. On failure what was opened stays for group_close.
int group_open(struct daemon *daemon, struct error *err);
// Before the store is closed. The replica itself is freed with its proposer.
void group_close(struct daemon *daemon);
bool group_has_links(const struct daemon *daemon); // by its options; before group_open too
// Once it is known which cluster this is of: with its certificate it listens. -ERR_BUSY: the port is in use.
int group_begin(struct daemon *daemon, struct error *err);
int group_listen(struct daemon *daemon, struct error *err); // if it does not yet, and has links
// Others are to find this one there: ADDRESS[:PORT], the port of --listen by default; "" = as it is.
// -ERR_INVALID
int group_advertise(struct daemon *daemon, const char *address, struct error *err);
int group_fd(const struct daemon *daemon); // readable when group_take has something to do; -1 = none
// Takes packets, follows the membership. Failure: of the store.
int group_take(struct daemon *daemon, struct error *err);
// When the next turn is due without news; INT64_MAX = with news only.
int64_t group_wake_mono_ms(const struct daemon *daemon);
// Says from the next turn on who we are: after a cluster was made, joined or found.
void group_introduce(struct daemon *daemon, const struct id *cluster_id, int64_t epoch);
// Who the members are, before our own log tells: an answer to the leader needs its address. Copied.
void group_tell(struct daemon *daemon, struct bytes membership);
// Leadership goes to another manager if there is one: before this one ends. False: nothing to wait for.
bool group_hand_over(struct daemon *daemon);
bool group_leads(const struct daemon *daemon);                 // as Raft has it, at this moment
const char *group_leader_address(const struct daemon *daemon); // "" = it is here, or not known
// Of the managers, as this one knows them; in the arena.
struct strings group_addresses(const struct daemon *daemon, struct arena *arena);
// Whether this node votes, or is about to.
bool group_is_manager(const struct daemon *daemon);
bool group_is_pending(const struct daemon *daemon); // joining, or leaving
// Whether a member's daemon answers, though perhaps not as one that decides: its disk may be full.
bool group_hears(const struct daemon *daemon, uint64_t raft_id);
// Adds to a failure for want of a quorum who does not answer, and what to do.
void group_explain(const struct daemon *daemon, struct error *err);

// --- joining.c: this daemon asks others to let it in ---

struct joining_order {
    const struct strings *remotes;
    struct id cluster_id; // none = any
    const char *token;    // NULL = with the certificate of that cluster
    enum node_availability availability;
    struct conversation *conversation; // NULL: nobody waits; it is tried until it is done
};
// On failure the client is not answered. -ERR_INVALID: not a token. -ERR_NOT_FOUND: no certificate.
int joining_start(struct daemon *daemon, const struct joining_order *order, struct error *err);
void joining_step(struct daemon *daemon);
void joining_on_answer(struct daemon *daemon, uint64_t question, const struct error *err, struct bytes body);
int64_t joining_wake_mono_ms(const struct daemon *daemon); // as group_wake_mono_ms
void joining_free(struct daemon *daemon);

// --- rejoin.c: a manager whose store is damaged or gone finds back into its group ---

// store_open; a damaged store of a group that has others is set aside, and an empty one takes its place.
int rejoin_open_store(struct daemon *daemon, const char *dir, struct error *err);
// Sets the (closed) store aside. 0; STORE_ABSENT when there are no others who could give it back.
int rejoin_set_aside(const char *dir, const struct error *why);
// Removes the (closed) store of a node that is a worker now, when there are others who have all of it.
void rejoin_discard(const char *dir);
// Asks to be let in again, when the card says where and the store does not.
void rejoin_start(struct daemon *daemon, const char *dir);
// Writes the card of a member of that cluster under that raft id.
int rejoin_write_card(struct daemon *daemon, const struct id *cluster_id, uint64_t raft_id,
                      const struct membership *membership, struct error *err);
// Keeps the card as the membership is.
void rejoin_keep_card(struct daemon *daemon, const struct membership *membership);

// --- leaving.c: this node leaves its cluster ---

// At start, before the store is opened: of a cluster that was left nothing stays but tasks to be stopped.
int leaving_forget(struct daemon *daemon, const char *store_dir, struct error *err);
void leaving_step(struct daemon *daemon);
bool leaving_is_stopping(const struct daemon *daemon); // nothing else is done any more
void leaving_free(struct daemon *daemon);

// --- alone.c: this manager goes on alone, because the others are gone for good ---

void alone_start(const struct request *request); // INIT, by force
void alone_step(struct daemon *daemon);
void alone_free(struct daemon *daemon);

// --- outdated.c: the cluster went on without this manager ---

bool outdated_is(const struct daemon *daemon);
void outdated_note(struct daemon *daemon, const char *address);       // of who went on
int outdated_explain(const struct daemon *daemon, struct error *err); // -ERR_OUTDATED, with the remedy

// --- entrant.c: others ask this one to be let in ---

void entrant_on_join(struct daemon *daemon, uint64_t from, uint64_t via, struct bytes body);
void entrants_step(struct daemon *daemon);
int64_t entrants_wake_mono_ms(const struct daemon *daemon); // as group_wake_mono_ms
void entrants_free(struct daemon *daemon);

// --- managers.c: what the records of nodes say of managers, kept true by the leader ---

int managers_step(struct daemon *daemon, struct error *err);

#endif
