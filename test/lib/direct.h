// SPDX-License-Identifier: Apache-2.0
//
// test/lib/direct.h — a proposer without consensus: what is submitted is applied at the next turn. For tests
// of what stands before the seam and behind it, in which revisions are to be counted.
#ifndef MUSTER_TEST_LIB_DIRECT_H
#define MUSTER_TEST_LIB_DIRECT_H

#include "reconciler/store/proposer.h"

// Disk or map full: everything of the turn is answered -ERR_NO_SPACE, nothing of it is kept.
struct proposer *direct_new(struct store *store, proposal_result_fn on_result, void *context);

#endif
