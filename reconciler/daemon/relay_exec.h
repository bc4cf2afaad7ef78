// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/relay_exec.h — a command beside a task of this node, over a stream (relay.h).
//
// The request is an exec_request. The stream's end hangs up; the command's end is a frame, then the
// stream's end.
#ifndef MUSTER_RECONCILER_DAEMON_RELAY_EXEC_H
#define MUSTER_RECONCILER_DAEMON_RELAY_EXEC_H

#include "reconciler/daemon/relay.h"

// On the wire: never reused.
enum exec_frame_to_node {
    EXEC_FRAME_INPUT = 1,     // bytes, at most EXEC_INPUT_BYTES_MAX
    EXEC_FRAME_INPUT_END = 2, // nothing follows
    EXEC_FRAME_RESIZE = 3,    // exec_resize
};
enum exec_frame_from_node {
    EXEC_FRAME_OUTPUT = 1, // bytes
    EXEC_FRAME_ERRORS = 2, // bytes
    EXEC_FRAME_EXIT = 3,   // exec_exit: the last one
};

int relay_exec_open(struct daemon *daemon, struct relay_end *end, struct bytes request,
                    struct relay_events *out_events, void **out_context, struct error *err);

#endif
