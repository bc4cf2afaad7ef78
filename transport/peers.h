// SPDX-License-Identifier: Apache-2.0
//
// transport/peers.h — a manager's links to the other managers: kept up, checked at both ends, never waited
// for; and those of agents, which dial it.
//
// Model        To each member we hold two links that we dial: one for consensus, one for bulk, so that a
//              heartbeat never waits behind a snapshot. What we say goes over our links, what we hear comes
//              over those that others dial; so two managers that dial each other at once are no special case.
//              The membership alone says where members are (peers_set_members); nothing a peer says changes
//              that.
// Handshake    The dialer says who it is and whom it wants (PEER_HELLO). The acceptor refuses another
//              cluster, another epoch, a call for somebody else, and those who are no members, with the
//              reason (PEER_FAILURE). A hello to raft id 0 is a stranger's: all it may say is JOIN.
// Agents       On the same port. An agent says AGENT_HELLO, and is a node by its certificate, whatever its
//              role; so only over TLS. From then on it may say what the rows of the sender AGENT allow, and
//              is said what there is room for: a queue that is full refuses, and says later that it has
//              room. A node may have several links: which of them counts, whoever has the sessions decides,
//              and when one has been silent for too long. Nothing here walks over agents' links for a frame
//              or a call.
// Loss         A message to a member whose link is down or full is dropped and counted; the queue of a link
//              dies with it. Raft tolerates that, and what is stale helps nobody. The order of what arrives
//              on one link is that of sending.
// Dead peers   TCP can take minutes to notice that the other side is gone. Each dialed link is asked for a
//              sign of life every PEERS_PING_MS, a bulk link that carries nothing every PEERS_REST_PING_MS;
//              one that neither answers nor takes bytes for PEERS_SILENCE_MS is closed and dialed again.
// Time         Only peers_tick moves it, at most PEERS_TICK_MS_MAX a call: a process that was stopped for a
//              while does not find all its links too late. Tick every 100 ms or oftener.
// Threads      All functions are for the loop thread. Callbacks come from peers_take, peers_tick,
//              peers_set_self, peers_set_members and peers_set_tls, and may call everything but these five
//              and peers_close. No callback comes after peers_close has begun.
// Limits       Incoming: PEERS_STRANGERS_MAX that keep us waiting, as many strangers, two for each
//              member, AGENTS_MAX of agents. When there are too many, the oldest of the address that holds
//              most is closed.
// Security     With a tls (transport/tls.h) links are TLS, and the certificate says which node is at the
//              other end before anything it says is looked at: a member must be a manager, and the node
//              that the membership knows under its raft id; who has no certificate may only ask to join; a
//              node that is blocked may do nothing. A link ends within a second of the certificate that it
//              was made with, as time passes here: setting the wall clock ends none.
//              Without one links are plain TCP, on loopback only (transport/peer_address.h).
// Gate         All must be done in PEERS_HELLO_MS, and PEERS_CALLERS_MAX are accepted at a time; the
//              kernel keeps those that come then. A handshake begins when the caller has said something and
//              one of PEERS_HANDSHAKES_MAX places is free: so thousands of agents that come at once, as
//              they do when a manager was started again, get through one after the other, and none has its
//              work undone by those behind it. Of callers that say nothing for PEERS_PATIENCE_MS,
//              PEERS_STRANGERS_MAX keep their places; one that gets stuck in its handshake loses it when
//              others wait.
#ifndef MUSTER_TRANSPORT_PEERS_H
#define MUSTER_TRANSPORT_PEERS_H

#include "base/prng.h"
#include "transport/messages.h"
#include "transport/tls.h"

#define PEERS_MEMBERS_MAX 16
#define PEERS_STRANGERS_MAX 32
// From the accept to the hello: who has not said it is gone within three seconds, with the ticks of the
// caller (100 ms) and the looks of the gate (50 ms), which both may come just too early, and the time that
// thousands take to be accepted and closed.
#define PEERS_HELLO_MS 2500
#define PEERS_CALLERS_MAX 2048   // that were accepted and have not said hello
#define PEERS_HANDSHAKES_MAX 128 // of them at a time
#define PEERS_PATIENCE_MS 1000   // with one that says nothing
#define PEERS_HASTE_MS 500       // the same in the middle of a handshake, while others wait for one
#define PEERS_ASKS_MAX 8
#define PEERS_QUEUE_BYTES_MAX (8 * MIB) // of one link, then messages are dropped
#define AGENTS_MAX 12000
// Of an agent's link, then agent_send refuses; one message that is longer is taken when there is no other.
#define AGENT_QUEUE_BYTES_MAX (512 * KIB)
#define AGENT_FIRST_MS 10000        // from the welcome to the first message
#define PEERS_DIAL_DEADLINE_MS 3000 // until the connection is there; as long again until the welcome
#define PEERS_PING_MS 1000
#define PEERS_REST_PING_MS 3000 // most of what idle managers say would be that all four links live
#define PEERS_SILENCE_MS 3000
#define PEERS_TICK_MS_MAX 500

struct peers;

struct peers_callbacks {
    // A message from a member; or JOIN, from whoever it is (from = what it calls itself, it may be 0), or
    // RENEW, from a node that has shown a certificate. `body` is borrowed; `via` names the link for
    // peers_reply, and stays valid, or becomes harmless, as long as it is kept.
    void (*on_packet)(void *context, uint64_t from, uint16_t number, struct bytes body, uint64_t via);
    // Our consensus link to a member carries messages now, or no more.
    void (*on_up)(void *context, uint64_t raft_id);
    void (*on_down)(void *context, uint64_t raft_id);
    // A member does not let us in; once per reason. ERR_DENIED: it does not know us, or not any more.
    // ERR_OUTDATED: its group is of a later epoch.
    void (*on_refused)(void *context, uint64_t raft_id, const struct error *err);
    // The answer to peers_ask, once: err NULL and the answer, or why there is none.
    void (*on_answer)(void *context, uint64_t ask, const struct error *err, uint16_t number,
                      struct bytes body);
    // Whether this one may talk to us. A manager that lags behind does not know new members yet: be false
    // only for those that are known not to be members.
    bool (*is_member)(void *context, uint64_t raft_id);
    void *context;
    // Whether the membership has this node under that raft id, or does not know the raft id. Only with a tls.
    bool (*is_its_node)(void *context, uint64_t raft_id, const struct id *node_id);
    // A message of an agent on this node, by its certificate; NULL: agents are not let in. `body` is
    // borrowed. `link` is never used again for another one.
    void (*on_agent)(void *context, uint64_t link, const struct id *node_id, uint16_t number,
                     struct bytes body);
    // Once for each agent that was let in, but not after peers_agent_close.
    void (*on_agent_down)(void *context, uint64_t link);
    void (*on_agent_writable)(void *context, uint64_t link); // there is room again after a false
    // Whether nobody talks any more to the node that shows this, asked at each hello that comes with a
    // certificate, but for strangers': they may ask what they are. NULL = about nobody.
    bool (*is_blocked)(void *context, const struct identity *shown);
};

struct peers_options {
    // "127.0.0.1:4242", port 0 = any that is free; NULL = nobody can call. Copied.
    const char *listen;
    struct prng *prng; // for the rests between dials; outlives the peers
    struct peers_callbacks callbacks;
    struct tls *tls; // NULL = plain links. Taken over, on failure too
};
// -ERR_UNSUPPORTED: not a loopback address. -ERR_BUSY: the port is in use. -ERR_INVALID: not an address.
int peers_open(const struct peers_options *options, struct peers **out, struct error *err);
// Later than that, where peers_open was told nothing; once. As peers_open.
int peers_listen(struct peers *peers, const char *address, struct error *err);
void peers_close(struct peers *peers);                   // NULL is accepted
int peers_fd(const struct peers *peers);                 // readable when peers_take has something to do
void peers_take(struct peers *peers, size_t max_frames); // drains the mailbox, calls back
void peers_tick(struct peers *peers, int64_t mono_ms);   // dials, deadlines
int peers_port(const struct peers *peers);               // where it listens; 0 = nowhere

// Who we are; no calls go out and none are let in, but strangers', before raft_id is set. A change ends all
// links.
struct peers_self {
    struct id cluster_id; // none: of no cluster yet
    uint64_t raft_id;     // 0: no member yet
    int64_t epoch;
    const char *address; // where others find us; copied
};
void peers_set_self(struct peers *peers, const struct peers_self *self);

// What links to come show and believe; taken over. Links that are there stay, unless they were plain: what
// was asked over those is asked anew.
void peers_set_tls(struct peers *peers, struct tls *tls);

// All members, ourselves or not among them, at most PEERS_MEMBERS_MAX: links to new ones and to new addresses
// are dialed, those to others are ended, in both directions. A member with an unusable address is kept and
// not dialed; the first such error is returned, the others are served all the same.
struct peers_member {
    uint64_t raft_id;
    const char *address; // copied
};
int peers_set_members(struct peers *peers, const struct peers_member *members, size_t count,
                      struct error *err);

// Queues a message; false when it was dropped: no such member, no link, or no room.
bool peers_send(struct peers *peers, uint64_t to, uint16_t number, struct bytes body, bool is_bulk);
// To who sent a packet, on its own link; false when that is gone or full.
bool peers_reply(struct peers *peers, uint64_t via, uint16_t number, struct bytes body);

// Where who sent a packet says that it is found; "" when that link is gone. Borrowed until the next call.
const char *peers_caller(const struct peers *peers, uint64_t via);

// Which node that is, by its certificate; NULL: it has shown none, or its link is plain or gone. Borrowed
// until the next call.
const struct identity *peers_identity(const struct peers *peers, uint64_t via);

// To an agent; false: there is no room (on_agent_writable follows), or no such link.
bool peers_agent_send(struct peers *peers, uint64_t link, uint16_t number, struct bytes body);
// Once what is queued has left. Nothing more is heard of it.
void peers_agent_close(struct peers *peers, uint64_t link);
size_t peers_agent_count(const struct peers *peers);

size_t peers_caller_count(const struct peers *peers);  // that have not said hello
uint64_t peers_turned_away(const struct peers *peers); // that were gone, or refused, before they were let in

// Ends at once every link on which this node's certificate was shown to us, whatever it is for. is_blocked
// keeps it from coming back. on_agent_down comes later, from peers_take.
void peers_cut(struct peers *peers, const struct id *node_id, const char *reason);

// A stranger's question (JOIN), or one of any node (RENEW), to whoever listens at the address. *out names
// it in on_answer, which comes within timeout_ms. -ERR_BUSY: PEERS_ASKS_MAX are open.
int peers_ask(struct peers *peers, const char *address, uint16_t number, struct bytes body,
              int64_t timeout_ms, uint64_t *out, struct error *err);

struct peers_status {
    bool is_up, is_bulk_up;
    int64_t silent_ms;      // the consensus link is up, and its last question is not answered for so long
    uint64_t sent, dropped; // messages, of both links, since the member was set
    size_t queue_bytes;     // of the consensus link
    const char *trouble; // why the consensus link is not up, "" = nothing known; borrowed until the next call
};
// false: no such member
bool peers_status(const struct peers *peers, uint64_t raft_id, struct peers_status *out);

#endif
