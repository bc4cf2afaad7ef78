// SPDX-License-Identifier: Apache-2.0
//
// test/lib/crowd.h — one process that plays the agents of many nodes: sessions over real links, and tasks
// that do what they are told.
//
// The sessions are those of real agents (reconciler/agent/session.h), the links too
// (transport/agent_links.h); a task is reported as running when it is assigned, and that is all there is to
// it.
#ifndef MUSTER_TEST_LIB_CROWD_H
#define MUSTER_TEST_LIB_CROWD_H

#include "base/prng.h"
#include "test/lib/papers.h"

struct crowd;

struct crowd_options {
    const struct papers *papers; // of the cluster; each node gets its certificate from them
    const struct id *nodes;
    size_t count;
    const char *const *managers; // addresses, NULL at the end; any of them will do
    uint64_t seed;
    // Instead of papers: what each node has already, and its cluster. Borrowed for the call.
    const struct credentials *credentials;
    struct id cluster_id;
};
struct crowd *crowd_new(const struct crowd_options *options);
void crowd_free(struct crowd *crowd);

// Waits at most so long for something to do, and does it.
void crowd_turn(struct crowd *crowd, int timeout_ms);
// The links of the first so many are cut off, as by a network.
void crowd_cut(struct crowd *crowd, size_t count);

struct crowd_status {
    size_t open;         // sessions now
    size_t opened;       // in all
    size_t troubles;     // that ended one, or kept it from being opened
    size_t told;         // assignments of tasks, in all
    const char *trouble; // the last; "" = none
};
struct crowd_status crowd_status(const struct crowd *crowd);

#endif
