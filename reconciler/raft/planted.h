// SPDX-License-Identifier: Apache-2.0
//
// reconciler/raft/planted.h — bugs on purpose, so that the checkers can be checked; absent from every build
// but the one that defines MUSTER_PLANTED.
//
// Each place that a bug could hide in asks `PLANTED(BUG_…)`; an ordinary build compiles it away.
// test/sim/test_raft_planted.c turns them on one by one and wants each found.
#ifndef MUSTER_RECONCILER_RAFT_PLANTED_H
#define MUSTER_RECONCILER_RAFT_PLANTED_H

#define PLANTED_BUG_LIST(X)                                                                                  \
    X(EARLY_ACK, "an append is acknowledged before it is durable")                                           \
    X(EARLY_SELF, "a leader counts its own entries before they are durable")                                 \
    X(DOUBLE_VOTE, "a second vote in the same term")                                                         \
    X(STALE_LOG_VOTE, "a vote for a log that is behind")                                                     \
    X(ACK_LAST_INDEX, "an append acknowledges the whole log, not what it proved")                            \
    X(TRUNCATE_ALWAYS, "a delayed append cuts a longer log")                                                 \
    X(COMMIT_UNPROVEN, "a follower commits beyond what the append proved")                                   \
    X(COMMIT_OLD_TERM, "entries of earlier terms are committed by counting")                                 \
    X(NO_NOOP, "no entry at the start of a term")                                                            \
    X(KEEP_MATCH, "match indexes survive an election")                                                       \
    X(HEARTBEAT_COMMIT, "a heartbeat commits beyond what matches")                                           \
    X(OLD_TERM_REPLY, "answers of an earlier term count")                                                    \
    X(READ_WITHOUT_ROUND, "reads are served without asking a quorum")                                        \
    X(READ_BEFORE_COMMIT, "reads are served before the term has a committed entry")                          \
    X(HIDDEN_TERM, "a refused pre-vote does not tell the higher term")                                       \
    X(PRE_VOTE_TERM, "a pre-vote raises the term of the voter")                                              \
    X(TWO_CHANGES, "a change of voters while another is not committed")                                      \
    X(CHANGE_BEFORE_COMMIT, "a change of voters before the term has a committed entry")                      \
    X(KEEP_CONFIGURATION, "a configuration survives the truncation of its entry")                            \
    X(SNAPSHOT_KEEPS_LOG, "a snapshot of another term keeps the log behind it")                              \
    X(FOREIGN_VOTES, "votes of those who are no voters count")                                               \
    X(NO_CHECK_QUORUM, "a leader without a quorum goes on")                                                  \
    X(TRANSFER_SECOND_VOTE, "the target of a transfer gets a second vote")                                   \
    X(WRONG_QUORUM, "half of an even number is a quorum")                                                    \
    X(FORGOTTEN_VOTE, "a vote that was given is not made durable")                                           \
    X(EARLY_TERM, "a leader of one voter sends in a term that is not durable")                               \
    X(FORGOTTEN_TERM, "a later term that was heard of is not made durable")                                  \
    X(TRUNCATE_COMMITTED, "a delayed append takes back what is committed")                                   \
    X(PRE_VOTE_COUNTS, "the answer to a pre-vote counts as a vote")                                          \
    X(NO_PRE_VOTE, "a candidate does not ask first")                                                         \
    X(VOTE_ONLY_LISTED, "no vote for those whom the own configuration does not list")                        \
    X(LEARNER_CAMPAIGNS, "one who is no voter campaigns")                                                    \
    X(NO_STICKINESS, "one who hears a leader helps to replace it")                                           \
    X(TIMER_ANY, "any message resets the election timer")                                                    \
    X(TIMER_NO_GRANT, "a vote that was given does not reset the election timer")                             \
    X(TRANSFER_FOREVER, "a transfer is never given up")                                                      \
    X(TRANSFER_PROPOSE, "proposals are taken during a transfer")                                             \
    X(LEARNER_COUNTS, "a learner's log counts for commit")                                                   \
    X(EARLY_PROMOTION, "a member votes before it has caught up")                                             \
    X(NOT_TOLD, "one who was removed is not told")                                                           \
    X(ROUND_REUSED, "reads join the round of those before them")                                             \
    X(OLD_ROUND, "an answer to an earlier round counts for the last one")                                    \
    X(FOREIGN_CONTEXT, "a read gets the answer of another")                                                  \
    X(OLD_SNAPSHOT, "a snapshot older than what is committed is taken")                                      \
    X(SNAPSHOT_DROPS_LOG, "a snapshot of what the log has drops the log behind it")                          \
    X(SNAPSHOT_OVERTAKEN, "a snapshot that came too late drops what the log has")                            \
    X(SNAPSHOT_CANDIDATE, "a candidacy survives the snapshot that replaced its log")                         \
    X(SNAPSHOT_MEMBERS, "the configuration of a snapshot is not taken")                                      \
    X(SNAPSHOT_STUCK, "a snapshot that failed is never sent again")

enum planted_bug {
    BUG_NONE = 0,
#define X(name, text) BUG_##name,
    PLANTED_BUG_LIST(X)
#undef X
        BUG_END
};

#ifdef MUSTER_PLANTED
extern enum planted_bug planted_bug;
#define PLANTED(bug) (planted_bug == (bug))
#else
#define PLANTED(bug) 0
#endif

#endif
