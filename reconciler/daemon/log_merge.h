// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/log_merge.h — lines of many nodes into one order, by time.
//
// Model        Each node is a feed: frames of lines that are in order among themselves, as each node merges
//              its own. The earliest line goes out when no feed can have an earlier one: each other has a
//              later line, has said (by a mark) that it was at its end after that time, or has ended.
// Followed     Nobody can know what a feed at its end will say next. So a line that is newer than the mark of
//              another feed waits LOG_REORDER_MS from when it came, which is longer than a node takes to
//              look at its files and to say what it found; later than that, lines go out as they come. A
//              feed that owes lines and says nothing, as when its node is cut off, is waited for no longer
//              than LOG_STALL_MS. Not followed, it is waited for until it ends.
// Clocks       are those of the nodes: between two that differ, the order is wrong by so much, and nothing
//              worse.
// Memory       Frames are kept as they came, so it is what the senders may have on the way (relay.h); one
//              frame of each feed is decoded.
#ifndef MUSTER_RECONCILER_DAEMON_LOG_MERGE_H
#define MUSTER_RECONCILER_DAEMON_LOG_MERGE_H

#include "base/list.h"
#include "transport/messages.h"

#define LOG_REORDER_MS 400
#define LOG_STALL_MS 2000

struct log_feed {
    struct list_node node; // in log_merge.feeds
    struct list frames;    // of struct log_frame; the first is being read
    bool has_mark, has_ended;
    int64_t mark_unix_ns;
    int64_t awaited_ms; // since when it owes something
    void *owner;        // the caller's
};

struct log_merge {
    struct list feeds;
    struct list spent; // frames that were read, and lines of which may still be in use
    bool follow;
    // So many bytes of a feed were read to their end.
    void (*on_consumed)(void *owner, size_t data_bytes);
};

void log_merge_init(struct log_merge *merge, bool follow, void (*on_consumed)(void *owner, size_t bytes));
void log_merge_deinit(struct log_merge *merge); // feeds too
void log_merge_flush(struct log_merge *merge);  // no line is in use any more

struct log_feed *log_feed_new(struct log_merge *merge, void *owner, int64_t now_ms);
void log_feed_push(struct log_feed *feed, struct bytes lines, int64_t now_ms); // an encoded log_lines; copied
void log_feed_mark(struct log_feed *feed, int64_t time_unix_ns);
// What it has is still read, then it is freed: the pointer is the merge's from now on.
void log_feed_end(struct log_feed *feed);

enum log_merge_outcome {
    LOG_MERGE_LINE,
    LOG_MERGE_WAIT,  // nothing until some feed says something
    LOG_MERGE_LATER, // or until a while has passed
    LOG_MERGE_END,   // there is no feed any more
};
// The next line, borrowed until log_merge_flush. A frame that cannot be read ends with what is wrong with it
// in *err (a negative outcome), and is left out.
int log_merge_next(struct log_merge *merge, int64_t now_ms, const struct log_line **out, struct error *err);

#endif
