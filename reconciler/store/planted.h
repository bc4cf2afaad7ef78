// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/planted.h — bugs of the store on purpose, so that the checkers can be checked; absent from
// every build but the one that defines MUSTER_PLANTED (FLAVOUR=planted).
//
// Each place that a bug could hide in asks `STORE_PLANTED(BUG)`; an ordinary build compiles it away. In the
// other one the environment's BUG=STORE_NAME turns one on; BUG=NAME is for the core's
// (reconciler/raft/planted.h). test/unit/test_store_planted.c turns them on one by one and wants each found.
#ifndef MUSTER_RECONCILER_STORE_PLANTED_H
#define MUSTER_RECONCILER_STORE_PLANTED_H

#include <stdbool.h>

#define STORE_BUG_LIST(X)                                                                                    \
    X(ACK_BEFORE_SYNC, "each seventh turn is acknowledged and never committed")                              \
    X(APPLIED_WITHOUT_DATA, "the applied index is durable one transaction before the effects")               \
    X(TERM_NOT_STORED, "the term is not written")                                                            \
    X(VOTE_NOT_STORED, "the vote is not written")                                                            \
    X(TRUNCATE_KEEPS_TAIL, "an entry that is overwritten keeps what came after it")                          \
    X(STALE_BASE_TERM, "the term of what was compacted is not kept")                                         \
    X(CRC_NOT_CHECKED, "a record is believed whatever its checksum")                                         \
    X(CRC_WRONG_LENGTH, "the checksum leaves the last byte out")                                             \
    X(TXN_NOT_CHECKED, "an older state that LMDB shows is taken for the last one")                           \
    X(MAP_FULL_IS_SUCCESS, "what does not fit is left out and acknowledged")                                 \
    X(READ_BESIDE_TURN, "a read does not see what the open turn has applied")                                \
    X(VERSION_NOT_CHECKED, "a change goes through whatever version it expects")                              \
    X(NAME_TAKEN_TWICE, "two objects may have one name")                                                     \
    X(INDEX_KEPT, "the index entries of what is gone stay")                                                  \
    X(CLOCK_IN_APPLY, "times come from the clock of this machine")                                           \
    X(REQUEST_FORGOTTEN, "a refusal is not remembered")                                                      \
    X(GAP_NOT_TOLD, "who missed trimmed events is not told")                                                 \
    X(PARTIAL_SNAPSHOT_VISIBLE, "a snapshot is shown before its last chunk came")                            \
    X(SNAPSHOT_KEEPS_LOG, "the log from before the snapshot stays")                                          \
    X(SNAPSHOT_KEEPS_HARD_STATE, "a snapshot brings no term and vote")                                       \
    X(SNAPSHOT_FORGETS_ID, "the raft id is lost with the snapshot")                                          \
    X(SNAPSHOT_WITHOUT_REQUESTS, "the memory of requests is left out of a snapshot")                         \
    X(SNAPSHOT_WITHOUT_MEMBERSHIP, "the membership is left out of a snapshot")                               \
    X(FOREIGN_SNAPSHOT, "a snapshot of another cluster is taken")                                            \
    X(CHUNK_CRC_NOT_CHECKED, "a chunk is believed whatever its checksum")                                    \
    X(CHAIN_NOT_CHECKED, "chunks of two snapshots may make one")                                             \
    X(LEFTOVERS_KEPT, "what an earlier snapshot left is mixed into the next")                                \
    X(DIGEST_IGNORES_TABLE, "a digest leaves the memory of requests out")

enum store_bug {
    STORE_BUG_NONE = 0,
#define X(name, text) STORE_BUG_##name,
    STORE_BUG_LIST(X)
#undef X
        STORE_BUG_END
};

#ifdef MUSTER_PLANTED
extern enum store_bug store_bug;
#define STORE_PLANTED(name) (store_bug == STORE_BUG_##name)
// True each `count`th time it is asked, from the start of the process.
bool store_planted_each(unsigned count);
#else
#define STORE_PLANTED(name) false
static inline bool store_planted_each(unsigned count) {
    (void)count;
    return false;
}
#endif

#endif
