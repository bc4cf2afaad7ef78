// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/relay_logs.h — the logs of a node's tasks, merged by time, over a stream (relay.h).
//
// To the node The request is a log_order; with `follow`, frames name tasks that come later, and those that
// go. From it Lines, each frame an encoded log_lines; a mark when there is nothing more now. Without
// `follow`
//              the stream ends after the last line, with it when all its tasks were forgotten and read.
#ifndef MUSTER_RECONCILER_DAEMON_RELAY_LOGS_H
#define MUSTER_RECONCILER_DAEMON_RELAY_LOGS_H

#include "reconciler/daemon/relay.h"

#define LOG_SOURCES_MAX 256 // of a node in one stream: each is an open file

// On the wire: never reused.
enum log_frame_to_node {
    LOG_FRAME_ORDER = 1,  // log_order: more tasks
    LOG_FRAME_FORGET = 2, // log_order: nothing is added to the logs of these any more
};
enum log_frame_from_node {
    LOG_FRAME_LINES = 1,   // log_lines
    LOG_FRAME_MARK = 2,    // log_mark
    LOG_FRAME_TROUBLE = 3, // text: why some log cannot be read
};

int relay_logs_open(struct daemon *daemon, struct relay_end *end, struct bytes request,
                    struct relay_events *out_events, void **out_context, struct error *err);

#endif
