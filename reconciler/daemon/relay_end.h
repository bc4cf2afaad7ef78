// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/relay_end.h — one end of a stream: credit, signs of life, and how it ends; what carries
// its frames is somebody else's (relay.c).
//
// Model        Both ends are alike. What an end may say is paid for with credit: the data of a frame, and
//              RELAY_FRAME_COST. What it hears costs the other side's, so who says more than it may is found
//              out, and the stream ends. Credit is given back in pieces of a quarter of the window.
// Invariants   (1) allowed ≤ window at all times. (2) on_end is called once at most, and never after
//              relay_close. (3) Nothing is said after the last frame, and nothing is heard.
#ifndef MUSTER_RECONCILER_DAEMON_RELAY_END_H
#define MUSTER_RECONCILER_DAEMON_RELAY_END_H

#include "reconciler/daemon/relay.h"

#define RELAY_FRAME_COST 64

enum relay_state {
    RELAY_SETTING_UP, // asked, or dialing: the other side is not there yet
    RELAY_GREETING,   // the node has said hello, and waits to hear what is wanted
    RELAY_RUNNING,
    RELAY_LINGERING, // over; the last frame may leave yet
    RELAY_OVER,      // to be freed
};

struct relay_carrier {
    bool (*send)(struct relay_end *end, const struct relay_frame *frame); // false: it is lost
    void (*drop)(struct relay_end *end);                                  // once what was sent has left
};

struct relay_end {
    struct list_node node; // in relay.ends
    struct daemon *daemon;
    enum relay_state state;
    bool is_asker;
    const struct relay_carrier *carrier; // NULL = there is none yet
    struct relay_events events;
    void *context;
    struct id stream_id, node_id;
    int64_t kind;
    struct buf request;
    // credit
    int64_t window, allowed; // that the other side may still say
    int64_t owed;            // consumed, and not given back yet
    int64_t credit;          // that we may say
    bool was_refused;        // on_writable is due
    bool is_torn;            // something that was said was lost
    enum relay_turn turn;    // what on_turn said last
    // time
    int64_t now_ms, heard_ms, said_ms;
    int64_t begun_ms, asked_ms;
    int64_t deadline_ms; // of SETTING_UP and LINGERING
    // of the carrier
    uint64_t link;
    int64_t asker;          // raft id of the manager that is answered
    struct relay_end *twin; // of a stream within this node
    struct list inbox;      // likewise: of struct relay_letter
    char trouble[256];      // why it is not there yet
};

void relay_end_run(struct relay_end *end, int64_t credit); // the other side is there
void relay_end_hear(struct relay_end *end, const struct relay_frame *frame);
// Ends it with the failure, without a word to the other side.
void relay_end_fail(struct relay_end *end, const struct error *err);
void relay_end_tick(struct relay_end *end, int64_t now_ms); // signs of life; silence; credit that is due
// Lets it say what it has. True: it wants to be asked again soon, or at the poll.
enum relay_turn relay_end_turn(struct relay_end *end);

#endif
