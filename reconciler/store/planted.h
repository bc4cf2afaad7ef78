// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/planted.h — bugs of the store on purpose, so that the checkers can be checked; absent from
// every build but the one that defines MUSTER_PLANTED (FLAVOUR=planted).
//
// Each place that a bug could hide in asks `STORE_PLANTED(BUG)`; an ordinary build compiles it away. In the
// other one the environment's BUG=STORE_NAME turns one on, BUG=REPLICA_NAME one of the replica; BUG=NAME is
// for the core's (reconciler/raft/planted.h). test/unit/test_store_planted.c turns them on one by one and
// wants each found.
#ifndef MUSTER_RECONCILER_STORE_PLANTED_H
#define MUSTER_RECONCILER_STORE_PLANTED_H

#include <stdbool.h>

#define STORE_BUG_LIST(X)                                                                                    \
    X(ACK_BEFORE_SYNC, "each seventh sync of a turn is acknowledged and never done")                         \
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
    X(DIGEST_IGNORES_TABLE, "a digest leaves the memory of requests out")                                    \
    X(EPOCH_STAYS, "a group that is made anew by force keeps its epoch")

// Of replica*.c; test/sim/test_cluster_planted.c wants each found by random runs of whole clusters.
#define REPLICA_BUG_LIST(X)                                                                                  \
    X(UNCOMMITTED_EFFECTS, "a leader applies what is not committed")                                         \
    X(ACK_AT_ONCE, "a client is answered when its proposal is in the leader's log")                          \
    X(READ_BEFORE_APPLIED, "a read is released before what it must show is applied")                         \
    X(ANY_READ_ANSWERS, "the answer to another question releases a read")                                    \
    X(LATE_BEFORE_SYNC, "messages that promise durability leave before the sync")                            \
    X(REQUEST_WITHOUT_ID, "what is handed to the leader has no request id")                                  \
    X(NOTHING_WAS_DONE, "a proposal that may yet be applied is said to have come to nothing")                \
    X(UNDONE_IS_TOLD, "outcomes of a transaction that failed are told")                                      \
    X(CUT_KEEPS_ENTRIES, "overwritten entries stay in memory")                                               \
    X(MEMBERSHIP_STAYS, "an undone change of the members stays in force in the driver")                      \
    X(SNAPSHOT_OVER_NEWER, "a snapshot that was overtaken is installed")                                     \
    X(REMOVED_COMES_BACK, "an identity that was removed may join again")

enum replica_bug {
    REPLICA_BUG_NONE = 0,
#define X(name, text) REPLICA_BUG_##name,
    REPLICA_BUG_LIST(X)
#undef X
        REPLICA_BUG_END
};

enum store_bug {
    STORE_BUG_NONE = 0,
#define X(name, text) STORE_BUG_##name,
    STORE_BUG_LIST(X)
#undef X
        STORE_BUG_END
};

#ifdef MUSTER_PLANTED
extern enum replica_bug replica_bug;
#define REPLICA_PLANTED(name) (replica_bug == REPLICA_BUG_##name)
extern enum store_bug store_bug;
#define STORE_PLANTED(name) (store_bug == STORE_BUG_##name)
// True each `count`th time it is asked, from the start of the process.
bool store_planted_each(unsigned count);
#else
#define REPLICA_PLANTED(name) false
#define STORE_PLANTED(name) false
static inline bool store_planted_each(unsigned count) {
    (void)count;
    return false;
}
#endif

#endif
