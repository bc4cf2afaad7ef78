// SPDX-License-Identifier: Apache-2.0
//
// tui/stream.h — keeps a model fed: connects, watches, comes back after a loss from the revision it has,
// and knows how old the picture is.
//
// Model        Connecting may take as long as a daemon likes to think, so it is done by a thread that posts
//              its result; everything else happens when the loop says so. While connected but quiet, a
//              question is asked every few seconds: a daemon that does not answer is SILENT, one that hung
//              up STALE.
// Failure      None for the caller: what goes wrong is a reason shown on the screen, and the next try.
#ifndef MUSTER_TUI_STREAM_H
#define MUSTER_TUI_STREAM_H

#include "tui/view.h"

struct stream;

struct stream_options {
    const char *host;        // where the daemon is; or
    const char *replay_path; // a recording, all of it at once
    const char *record_path; // where to write down what comes; NULL = nowhere
};
// -ERR_INVALID or -ERR_SYSTEM for files that cannot be read or written.
int stream_open(const struct stream_options *options, struct stream **out, struct error *err);
void stream_close(struct stream *stream); // accepts NULL

// readable when stream_turn has something to do; -1 = nothing to wait for
int stream_fd(const struct stream *stream);
// When stream_turn wants to be called even if nothing comes, monotonic ms.
int64_t stream_wake_ms(const struct stream *stream);
// Takes what has come and does what is due, for at most about `budget_ms`. True when the model or the link
// changed.
bool stream_turn(struct stream *stream, struct model *model, int64_t now_ms, int64_t budget_ms);
// Applies the next `count` batches of a recording; false at its end. -ERR_CORRUPT for a damaged one.
int stream_feed(struct stream *stream, struct model *model, size_t count, int64_t now_ms, struct error *err);

// Puts what the header says about the link into env.
void stream_describe(const struct stream *stream, const struct model *model, int64_t now_ms,
                     struct view_env *env);

#endif
