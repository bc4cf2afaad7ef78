// SPDX-License-Identifier: Apache-2.0
//
// test/lib/history_random.h — histories of simulated clients of registers that are right, or wrong in one
// way.
//
// Each operation has a start, an end, and between them the instant at which it happens; the operations of all
// clients are done in the order of these instants, so that the history is linearizable by construction. Some
// are never answered, and happen late or never. Written values are unique.
#ifndef MUSTER_TEST_LIB_HISTORY_RANDOM_H
#define MUSTER_TEST_LIB_HISTORY_RANDOM_H

#include "base/prng.h"
#include "test/lib/history.h"

// What a register can do to one operation. The history then is a violation unless the operation happened not
// to matter.
enum register_fault {
    FAULT_NONE,
    FAULT_STALE_READ,   // a read gets what was there before the latest change
    FAULT_FUTURE_READ,  // a read gets what is only written later
    FAULT_LOST_CHANGE,  // acknowledged, and not done
    FAULT_DONE_TWICE,   // done again later
    FAULT_BLIND_CAS,    // a cas that does not compare
    FAULT_WRONG_ANSWER, // done is told as refused, refused as done; a read gets any value
    FAULT_COUNT
};

struct history_options {
    int clients, keys, operations;
    int unknown_percent;
    bool is_plain; // only writes, reads and successful cas
    enum register_fault fault;
};

// Adds a history; true when the fault was put in (some find no operation that they suit).
bool history_random(struct history *history, const struct history_options *options, struct prng *prng);

// One register, done right: what would be answered to the operation (kind, value and expected are read; the
// outcome, and for a read the value, are set) and the value afterwards.
int64_t register_do(int64_t value, struct operation *operation);

#endif
