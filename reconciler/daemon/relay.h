// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/relay.h — a stream between a manager that serves a client and the node that runs a task,
// whichever node that is: for logs, and for whatever else is only to be had there.
//
// Model        The manager that was asked opens an end of a stream and sends a request; on the node, the
//              service of that kind (relay_services) gets the other end. Both say frames, numbered as the
//              kind likes, and give each other credit; either closes. A node asked for its own streams is
//              no exception, only that nothing leaves it.
// Way          A worker cannot be called, so it is asked to dial: over its session, by the manager that
//              leads, or by that one for another that does not lead; a manager is asked straight. What it
//              dials is a link for this stream alone, so heartbeats and consensus never wait for it; it
//              goes to the manager whose client asks, so no third one carries the bytes
//              (transport/relay_messages.h).
// Security     Only a manager can ask: who dials requires a manager's certificate, and only a session, or a
//              manager's link, carries the question. Only the node that was asked can answer: the stream
//              has a random name, and the link that brings it must show that node's certificate. A worker
//              has no message with which to ask anybody for anything.
// Bounds       An end may say something as long as it has credit left, and a frame of RELAY_DATA_BYTES_MAX at
//              most: so what waits at the other side is the window and one frame. Credit comes back by
//              relay_consumed. Nothing is dropped, nothing is queued beyond that: relay_send refuses, and
//              on_writable follows.
// Deadlines    RELAY_SETUP_MS until the node is there, and the question is asked anew all RELAY_ASK_MS; then
//              a sign of life from both every RELAY_ALIVE_MS, and who is silent for RELAY_SILENCE_MS is gone.
// Life         After relay_close no callback comes. on_end comes once, when the other side closed or is gone,
//              and is the last; the end must not be used any more in it, nor after. Callbacks come from
//              relay_take, relay_step and from the links' callbacks; they may call any function here. None
//              comes from within relay_open.
// Limits       RELAY_ASKED_MAX ends that this node asks with, RELAY_ANSWERED_MAX that it answers with.
//
// How to use it, for another kind: a number in relay_kind; a row in relay_services (relay.c) whose `open`
// looks at the request, allocates what it needs, and fills in events; at the manager a handler of a
// client's request that opens a stream and hands frames on. An exit status, a failure of the kind's own, is
// a frame of its own before relay_close; an error given to relay_close reaches the other on_end.
#ifndef MUSTER_RECONCILER_DAEMON_RELAY_H
#define MUSTER_RECONCILER_DAEMON_RELAY_H

#include "base/buf.h"
#include "base/error.h"
#include "base/id.h"
#include "base/list.h"
#include "transport/messages.h"

#define RELAY_SETUP_MS 5000
#define RELAY_ASK_MS 1000
#define RELAY_ALIVE_MS 3000
#define RELAY_SILENCE_MS 12000
#define RELAY_LINGER_MS 5000 // for the last frame to leave
#define RELAY_POLL_MS 100
#define RELAY_ASKED_MAX 1024
#define RELAY_ANSWERED_MAX 128
#define RELAY_WINDOW_BYTES (512 * KIB) // to a manager
#define RELAY_INPUT_WINDOW_BYTES                                                                             \
    (128 * KIB) // to a node: with a frame, less than the queue of an agent's link

struct daemon;
struct agent_links;
struct uv_poll_s;
struct relay_end;

// On the wire: never reused.
enum relay_kind { RELAY_LOGS = 1, RELAY_EXEC = 2 };

enum relay_turn {
    RELAY_IDLE, // until something else happens
    RELAY_POLL, // after RELAY_POLL_MS too
    RELAY_MORE, // at the next turn, if there is credit
};
struct relay_events {
    void (*on_open)(void *context); // of who asked: the other side is there. May be NULL
    // The data is borrowed. It counts against the window until relay_consumed. NULL: frames are ignored
    void (*on_frame)(void *context, int64_t number, struct bytes data);
    void (*on_writable)(void *context); // after a false of relay_send. May be NULL
    // Each turn while there is credit, if it is not NULL: to say what is ready, without an event of its own.
    enum relay_turn (*on_turn)(void *context);
    // err NULL: closed as it should be. Free the context here.
    void (*on_end)(void *context, const struct error *err);
};

struct relay_order {
    struct id node_id;
    enum relay_kind kind;
    struct bytes request; // at most RELAY_REQUEST_BYTES_MAX; copied
    int64_t window_bytes; // that may be on the way to us; 0 = RELAY_WINDOW_BYTES
};
// Asks a node. -ERR_BUSY: too many. What else goes wrong, on_end says.
int relay_open(struct daemon *daemon, const struct relay_order *order, const struct relay_events *events,
               void *context, struct relay_end **out, struct error *err);
// False: not now (no credit, or the other side is not there yet); then on_writable comes.
bool relay_send(struct relay_end *end, int64_t number, struct bytes data);
bool relay_is_writable(const struct relay_end *end);
// A frame with so much data was dealt with: the other side may say as much again. Each frame once.
void relay_consumed(struct relay_end *end, size_t data_bytes);
// What was sent still arrives. err NULL = as it should be.
void relay_close(struct relay_end *end, const struct error *err);

// What a node answers. `open` fills in events and context, or refuses: the asker's on_end says why. It may
// say something over `end` at once.
struct relay_service {
    enum relay_kind kind;
    int (*open)(struct daemon *daemon, struct relay_end *end, struct bytes request,
                struct relay_events *out_events, void **out_context, struct error *err);
};

// All ends of this daemon. Zero-initialised has none; fields are private.
struct relay {
    struct list ends; // of struct relay_end
    bool is_begun;
    size_t asked_count, answered_count;
    struct agent_links *links; // that this node dials; NULL = none was asked for yet
    struct uv_poll_s *poll;
    bool must_run;        // something waits for the next turn
    int64_t poll_mono_ms; // when those of RELAY_POLL are asked again
    bool is_closing;
};

// Phases of the turn.
void relay_take(struct daemon *daemon);
void relay_step(struct daemon *daemon);
int64_t relay_wake_mono_ms(const struct daemon *daemon); // INT64_MAX = with news only
// All streams end. Before the links to other nodes, the agent and the executor do.
void relay_free(struct daemon *daemon);

// What others say; the dispatcher, the worker and the group hand it over. False: it is not about a stream.
bool relay_on_agent(struct daemon *daemon, uint64_t link, const struct id *node_id, uint16_t number,
                    struct bytes body);
bool relay_on_agent_down(struct daemon *daemon, uint64_t link);
void relay_on_ask(struct daemon *daemon, struct bytes body); // of the manager that this worker has
void relay_on_manager(struct daemon *daemon, uint64_t from, uint16_t number, struct bytes body);

#endif
