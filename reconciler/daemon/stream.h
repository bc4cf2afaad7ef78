// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/stream.h — answers that take more than one turn: listings, watches, logs.
//
// Model        A stream is a position and a step function. Each turn each stream whose link has room sends up
//              to STEPS_PER_TURN frames, all from the same read of the store; one without news is idle until
//              the store changes, or looks again after POLL_MS when it follows files. A slow reader only
//              keeps its own position: it costs no memory and nobody waits for it.
// Ownership    A stream ends by itself (its step says so) or when the conversation closes; `free` is called
//              either way.
#ifndef MUSTER_RECONCILER_DAEMON_STREAM_H
#define MUSTER_RECONCILER_DAEMON_STREAM_H

#include "reconciler/daemon/control.h"

#define STEPS_PER_TURN 8
#define STREAM_POLL_MS 200

enum stream_outcome {
    STREAM_MORE,
    STREAM_IDLE,  // nothing until the store changes, or whether somebody leads
    STREAM_POLL,  // nothing now; files may grow
    STREAM_ENDED, // the conversation was ended by server_done or server_fail
};

struct stream {
    struct answer answer; // first: the conversation's state
    struct list_node node;
    enum stream_outcome (*step)(struct stream *stream, struct store_read *read);
    void (*free)(struct stream *stream);
    enum stream_outcome last;
};

// The stream runs from this turn on.
void stream_start(struct daemon *daemon, struct stream *stream, struct conversation *conversation);
// Ends the conversation with the failure.
enum stream_outcome stream_fail(struct stream *stream, const struct error *err);

int streams_step(struct daemon *daemon, struct error *err);
bool streams_have_work(const struct daemon *daemon); // without waiting for anything
void streams_free(struct daemon *daemon);

#endif
