// SPDX-License-Identifier: Apache-2.0
//
// transport/relay_messages.c — the schemas of what is said for a stream to a node, and over it.
#include "transport/relay_messages.h"

#include "specs/row.h"

#define STREAM(type) ID(type, 1, stream_id, .help = "The stream, as who asks for it has named it.")
#define CREDIT(type, tag)                                                                                    \
    INT(type, tag, credit, 0, INT64_MAX, .help = "Bytes of frames that may be sent, beyond what was given.")
#define REASON(type, tag)                                                                                    \
    STRING(type, tag, code, .help = "Name of the error code."),                                              \
        STRING(type, (tag) + 1, text, .help = "Why not, for people.")

static const struct field relay_ask_fields[] = {
    STREAM(struct relay_ask),
    INT(struct relay_ask, 2, asker, INT64_MIN, INT64_MAX, .help = "Raft id of the manager that asks."),
    STRING(struct relay_ask, 3, address, .help = "Where that manager is to be dialed."),
};
const struct schema relay_ask_schema =
    SCHEMA("relay_ask", struct relay_ask, relay_ask_fields, .help = "Asks an agent for a link of a stream.");

static const struct field relay_hello_fields[] = {
    STREAM(struct relay_hello),
    CREDIT(struct relay_hello, 2),
};
const struct schema relay_hello_schema =
    SCHEMA("relay_hello", struct relay_hello, relay_hello_fields, .help = "For which stream a link comes.");

static const struct field relay_begin_fields[] = {
    INT(struct relay_begin, 1, kind, 0, 65535, .help = "What sort of stream."),
    BLOB(struct relay_begin, 2, request, .help = "What is wanted, by that sort."),
    CREDIT(struct relay_begin, 3),
};
const struct schema relay_begin_schema =
    SCHEMA("relay_begin", struct relay_begin, relay_begin_fields, .help = "The stream begins.");

static const struct field relay_frame_fields[] = {
    INT(struct relay_frame, 1, number, 0, 65535, .help = "What the data is."),
    BLOB(struct relay_frame, 2, data, .help = "The data."),
    CREDIT(struct relay_frame, 3),
    BOOL(struct relay_frame, 4, is_last, .help = "Nothing follows."),
    REASON(struct relay_frame, 5),
};
const struct schema relay_frame_schema =
    SCHEMA("relay_frame", struct relay_frame, relay_frame_fields, .help = "A piece of a stream.");

static const struct field relay_refused_fields[] = {
    STREAM(struct relay_refused),
    INT(struct relay_refused, 2, asker, INT64_MIN, INT64_MAX, .help = "Raft id of the manager that asked."),
    REASON(struct relay_refused, 3),
};
const struct schema relay_refused_schema =
    SCHEMA("relay_refused", struct relay_refused, relay_refused_fields, .help = "No link for a stream.");

static const struct field relay_forward_fields[] = {
    STREAM(struct relay_forward),
    ID(struct relay_forward, 2, node_id, .help = "The node that is to dial who says this."),
};
const struct schema relay_forward_schema = SCHEMA("relay_forward", struct relay_forward, relay_forward_fields,
                                                  .help = "Asks a manager to ask a node.");

static const struct field relay_forward_refused_fields[] = {
    STREAM(struct relay_forward_refused),
    ID(struct relay_forward_refused, 2, node_id, .help = "The node."),
    REASON(struct relay_forward_refused, 3),
};
const struct schema relay_forward_refused_schema =
    SCHEMA("relay_forward_refused", struct relay_forward_refused, relay_forward_refused_fields,
           .help = "The node will not dial.");

static const struct field log_source_fields[] = {
    ID(struct log_source, 1, task_id, .help = "The task."),
    INT(struct log_source, 2, slot, 0, INT64_MAX, .help = "Its slot."),
    INT(struct log_source, 3, tail, -1, INT64_MAX, .default_int = -1,
        .help = "Lines from the end; -1 = all."),
    INT(struct log_source, 4, since_unix_ns, 0, INT64_MAX, .help = "Not older than this."),
    INT(struct log_source, 5, skip, 0, INT64_MAX, .help = "Lines of that very time that are known."),
};
const struct schema log_source_schema =
    SCHEMA("log_source", struct log_source, log_source_fields, .help = "A task whose log is wanted.");

static const struct field log_order_fields[] = {
    BOOL(struct log_order, 1, follow, .help = "Go on with what is written next."),
    INT(struct log_order, 2, until_unix_ns, 0, INT64_MAX, .help = "Not newer than this."),
    LIST(struct log_order, 3, sources, &log_source_schema, struct log_source, .help = "Of which tasks."),
};
const struct schema log_order_schema =
    SCHEMA("log_order", struct log_order, log_order_fields, .help = "Which logs of a node.");

static const struct field log_mark_fields[] = {
    INT(struct log_mark, 1, time_unix_ns, INT64_MIN, INT64_MAX, .help = "What was written by then was said."),
};
const struct schema log_mark_schema =
    SCHEMA("log_mark", struct log_mark, log_mark_fields, .help = "How far the logs of a node are.");
