// SPDX-License-Identifier: Apache-2.0
//
// transport/relay_messages.h — a stream between a manager that serves a client and the node that runs a task:
// payloads of the rows 150 to 155, 212 and 213 of transport/messages.def.
//
// Asking       A worker cannot be called: it dials managers. So the manager asks for a link: over the node's
//              session if it leads (RELAY_ASK), else the leader to ask (RELAY_FORWARD); of a node that is a
//              manager, that one, the same way. Whoever cannot, says why (RELAY_REFUSED,
//              RELAY_FORWARD_REFUSED).
// The link     The node dials the manager that asked: a link of its own, as agents dial them, so that
//              heartbeats wait for nothing that goes over it. It says for which stream it comes
//              (RELAY_HELLO), and is told what is wanted (RELAY_BEGIN). Then both say frames (RELAY_ANSWER,
//              RELAY_INPUT), as far as the other has given credit, until one is the last.
// Meaning      reconciler/daemon/relay.h
#ifndef MUSTER_TRANSPORT_RELAY_MESSAGES_H
#define MUSTER_TRANSPORT_RELAY_MESSAGES_H

#include "base/limits.h"
#include "specs/schema.h"

#define RELAY_DATA_BYTES_MAX (256 * KIB) // of one frame
#define RELAY_REQUEST_BYTES_MAX (256 * KIB)
#define RELAY_ADDRESS_BYTES 256

struct relay_ask {
    struct id stream_id;
    int64_t asker;       // raft id of the manager to be dialed
    const char *address; // where it is
    struct bytes unknown;
};
struct relay_hello {
    struct id stream_id;
    int64_t credit; // that it gives for frames to it
    struct bytes unknown;
};
struct relay_begin {
    int64_t kind; // enum relay_kind
    struct bytes request;
    int64_t credit;
    struct bytes unknown;
};
// Without data, and not the last: credit alone, or a sign of life.
struct relay_frame {
    int64_t number; // what it is, by the kind of the stream
    struct bytes data;
    int64_t credit; // so much more may be said
    bool is_last;
    const char *code, *text; // of one that is the last: why; "" = that was all
    struct bytes unknown;
};
struct relay_refused {
    struct id stream_id;
    int64_t asker;
    const char *code, *text;
    struct bytes unknown;
};

struct relay_forward {
    struct id stream_id, node_id;
    struct bytes unknown;
};
struct relay_forward_refused {
    struct id stream_id, node_id;
    const char *code, *text;
    struct bytes unknown;
};

// What streams of logs carry (reconciler/daemon/relay_logs.h): the request, and frames of LOG_FRAME_ORDER and
// LOG_FRAME_FORGET.
struct log_source {
    struct id task_id;
    int64_t slot;
    int64_t tail;          // lines from the end; -1 = all
    int64_t since_unix_ns; // 0 = from the beginning
    int64_t skip;          // so many lines of just that time are known
    struct bytes unknown;
};
struct log_order {
    bool follow;
    int64_t until_unix_ns; // 0 = no bound
    LIST_OF(struct log_source) sources;
    struct bytes unknown;
};
struct log_mark {
    int64_t time_unix_ns; // all that was written by then was said
    struct bytes unknown;
};

extern const struct schema log_source_schema, log_order_schema, log_mark_schema;
extern const struct schema relay_ask_schema, relay_hello_schema, relay_begin_schema, relay_frame_schema,
    relay_refused_schema, relay_forward_schema, relay_forward_refused_schema;

#endif
