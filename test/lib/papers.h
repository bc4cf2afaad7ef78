// SPDX-License-Identifier: Apache-2.0
//
// test/lib/papers.h — an authority for a test's cluster, and what it gives out to nodes.
#ifndef MUSTER_TEST_LIB_PAPERS_H
#define MUSTER_TEST_LIB_PAPERS_H

#include "reconciler/daemon/authority.h"
#include "transport/credentials.h"

#define HOUR_MS (3600LL * 1000)
#define DAY_MS (24 * HOUR_MS)

struct papers {
    struct id cluster_id;
    struct buf authority, authority_key; // PEM
};
// Failures end the test program.
struct papers papers_make(int64_t unix_ms); // a new cluster, its authority made then
void papers_free(struct papers *papers);
// A new key and a certificate for it. The caller frees.
struct credentials papers_issue(const struct papers *papers, const struct id *node_id, enum node_role role,
                                int64_t unix_ms, int64_t valid_ms);

#endif
