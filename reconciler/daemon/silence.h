// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/silence.h — which nodes have not been heard of for so long that they count as down.
//
// Model        The leader looks at all managers again and again (managers.c) and notes for each whether it
//              was heard. Looks are counted, not time: a leader that was stopped for a while itself finds
//              nobody down for that.
// Limits       A new leader begins to count anew, so a node goes down later when leadership moves meanwhile.
#ifndef MUSTER_RECONCILER_DAEMON_SILENCE_H
#define MUSTER_RECONCILER_DAEMON_SILENCE_H

#include "base/id.h"
#include "base/map.h"

// Looks without a sign of life until a node is down. Links and the core take 1 to 3 s to notice that nothing
// comes any more, a look comes each second: 6 to 8 s in all.
#define SILENCE_LOOKS 5

// Zero-initialised is empty.
struct silence {
    struct map nodes; // of struct silent, by node id
};

// Notes one look at a node. 0, or since when (unix, ms) a node that counts as down now was not heard of.
int64_t silence_note(struct silence *silence, const struct id *node_id, bool is_heard, int64_t now_unix_ms);
void silence_free(struct silence *silence); // and is empty again

#endif
