// SPDX-License-Identifier: Apache-2.0
//
// transport/peers_parts.h — what the files of transport/peers*.c share.
//
// Model        A line is one connection, dialed or accepted, from its first moment to its last letter. A
//              slot is a place that wants a line: two for each member, one for each question. A slot lets
//              go of a line that is over and may have the next while the old one still dies.
// Ownership    Lines belong to the lists of peers, by what they are for, and are freed on LINK_DOWN, or on
//              a LINK_DIALED that did not become a link. So a line stays there while a letter of it is
//              dealt with, whatever a callback does.
#ifndef MUSTER_TRANSPORT_PEERS_PARTS_H
#define MUSTER_TRANSPORT_PEERS_PARTS_H

#include "base/list.h"
#include "base/map.h"
#include "transport/link.h"
#include "transport/peer_address.h"
#include "transport/peers.h"

#define PEERS_TROUBLE_BYTES ERROR_ROOT_BYTES

enum line_sort {
    LINE_ORDINARY, // dialed; of members and strangers that were let in
    LINE_CALLER,   // has not said hello, or is not let in
    LINE_AGENT,
    LINE_LEAVING, // an agent's that is over: what is queued may leave
    LINE_SORTS
};

#define LINE_KEY_BYTES 20
#define LINGER_MS 1000 // to read why it is over, and to hang up

struct line {
    struct list_node node; // in peers.lines of its sort, oldest first
    enum line_sort sort;
    struct peers *peers;
    struct dial *dial; // of the two, the one that is there
    struct link *link;
    bool is_covered;   // the link is TLS
    bool is_over;      // nothing it says counts any more
    bool is_closing;   // only its last letter is awaited
    struct slot *slot; // whose it is: dialed, and not over
    // Accepted:
    uint64_t via;             // 0: dialed
    char key[LINE_KEY_BYTES]; // the same, for peers.incoming
    uint64_t from;
    int64_t instance;             // as it says
    char address[PEER_URL_BYTES]; // where the dialer says that it is found
    bool has_place;               // of PEERS_CALLERS_MAX
    bool is_shaking;              // has one of PEERS_HANDSHAKES_MAX
    bool was_last;                // when it was admitted: else the first
    struct list_node knock_node;  // in peers.knocking: waits for one
    uint64_t heard_bytes;
    int64_t heard_ms; // when it was last seen to say something
    bool is_secured;  // who is at the other end is known
    int64_t until_ms; // and that certificate is good; by ticks: a wall clock that is set ends no link
    bool is_greeted, is_stranger, is_bulk;
    bool is_heard; // an agent's: something was said on it
    uint8_t source[16];
    int64_t deadline_ms; // of the hello, of the first message, of the next sign of life, of hanging up
};

enum slot_state { SLOT_RESTING, SLOT_DIALING, SLOT_GREETING, SLOT_UP };

struct slot {
    struct peers *peers;
    struct member *member; // one of the two
    struct ask *ask;
    uint64_t raft_id; // who is wanted; 0 = anyone
    bool is_bulk;
    bool is_usable; // url is one
    char url[PEER_URL_BYTES];
    enum slot_state state;
    struct line *line;
    int64_t until_ms; // RESTING: dials then. DIALING, GREETING: gives up then. UP: pings then
    unsigned failures;
    unsigned pings;        // not answered
    size_t unpinged_bytes; // sent since the last ping
    int64_t alive_ms;      // the last sign of life, or when one was asked for
    uint64_t sent_bytes;
    size_t backlog_bytes;              // at the last tick
    uint32_t refusal_crc;              // of the last reason that was told; 0 = none since it was up
    char trouble[PEERS_TROUBLE_BYTES]; // why it is not up; "" = it is, or nothing is known
};

struct member {
    uint64_t raft_id;
    char *address;
    uint64_t sent, dropped;
    struct slot slots[2]; // consensus, bulk
};

struct ask {
    struct list_node node; // in peers.asks
    uint64_t number;
    uint16_t message;
    struct buf body;
    int64_t deadline_ms;
    struct slot slot;
};

// What hellos have in common.
struct caller {
    int64_t version_min, version_max;
    const struct id *cluster_id;
    bool is_stranger;
};

// Who was refused, and why, so that it is logged once.
struct refusal {
    uint64_t from;
    uint32_t text_crc;
};
#define REFUSALS 16

struct peers {
    struct prng *prng;
    struct tls *tls; // NULL = links are plain
    struct peers_callbacks callbacks;
    struct mailbox mailbox;
    struct listener *listener; // NULL: nobody can call
    bool accept_rests, is_closing;
    bool is_working; // in peers_take or peers_tick
    struct peers_self self;
    int64_t instance; // tells this process from another one with the same identity
    char *self_address;
    int64_t last_mono_ms; // of the last tick; -1 = none yet
    int64_t now_ms;       // counted by ticks
    int64_t look_ms;      // when certificates are next held against the clock
    struct list lines[LINE_SORTS];
    struct map incoming;   // lines by `key`
    uint64_t accepted_max; // in all
    int64_t gate_ms;       // when callers are looked at next
    size_t caller_count;   // that have a place
    uint64_t turned_away;
    unsigned shaking;
    struct list knocking; // the first that came is the first
    size_t agent_count;
    int64_t agents_ms; // when agents' lines are looked at next
    size_t member_count;
    struct member *members[PEERS_MEMBERS_MAX];
    struct list asks;
    unsigned ask_count;
    uint64_t last_number; // of lines and of asks
    struct refusal refusals[REFUSALS];
    unsigned refusal_next;
};

// peers.c
struct line *line_new(struct peers *peers, enum line_sort sort);
void line_free(struct line *line);
void line_move(struct line *line, enum line_sort sort);
struct line *find_incoming(const struct peers *peers, uint64_t via);
void line_connect(struct line *line, struct nng_stream *stream);
void line_end(struct line *line, const char *reason); // nothing of it counts any more
void line_send(struct line *line, uint16_t number, const void *payload);
void peers_hurry(struct peers *peers, uint64_t raft_id); // it has called, so it is there: rest no longer
struct raft_id_text {
    char text[20];
};
struct raft_id_text raft_id_text(uint64_t raft_id);

// peers_out.c
void slot_init(struct slot *slot, struct peers *peers, uint64_t raft_id, const char *url);
void slot_tick(struct slot *slot);
bool slot_send(struct slot *slot, uint16_t number, struct bytes body);
void slot_reset(struct slot *slot, const char *reason); // dials again at the next tick
void slot_hurry(struct slot *slot);
void slot_on_dialed(struct line *line, struct link_letter *letter);
void slot_on_secured(struct slot *slot);
void slot_on_unsecured(struct slot *slot, const char *reason);
void slot_on_frame(struct slot *slot, const struct link_letter *letter);
// The line is gone, or is to go.
void slot_lost(struct slot *slot, const char *reason);
void ask_end(struct ask *ask, const struct error *err, uint16_t number, struct bytes body);

// peers_gate.c
void gate_open(struct peers *peers);
void gate_give_back(struct peers *peers); // the place of one that was accepted
void gate_enter(struct line *line);
void gate_on_knocked(struct line *line);
void gate_pass(struct line *line);  // it waits for no handshake, nor has one
void gate_leave(struct line *line); // it has said hello, or is no more
void gate_tick(struct peers *peers);
void gate_thin_out(struct peers *peers, enum line_sort sort);

// peers_in.c
void incoming_on_accepted(struct peers *peers, struct nng_stream *stream);
void incoming_on_frame(struct line *line, const struct link_letter *letter);
void incoming_on_unsecured(struct line *line, const char *reason);
void incoming_tick(struct line *line);
// Whether this is said of them for the first time; for the log.
bool is_new_refusal(struct peers *peers, uint64_t from, const char *text);
// Why they cannot speak with each other, or are not of one cluster; ERR_NONE when they can. A stranger may be
// of none.
enum error_code hello_mismatch(const struct line *line, const struct caller *caller, char *text,
                               size_t text_bytes);

// peers_agents.c
void agent_on_hello(struct line *line, const struct link_letter *letter);
void agent_on_frame(struct line *line, const struct link_letter *letter);
void agent_on_writable(struct line *line);
// Says why, and lets it leave.
void agent_refuse(struct line *line, enum error_code code, const char *text);
void agent_gone(struct line *line);             // tells the owner, if it was let in
bool agent_is_reading(const struct line *line); // what was queued when it was over
void agents_tick(struct peers *peers);

#endif
