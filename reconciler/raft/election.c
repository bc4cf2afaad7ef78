// SPDX-License-Identifier: Apache-2.0
//
// reconciler/raft/election.c — who leads the next term: pre-votes, votes, and the count.
//
// A candidate first asks whether it would be elected (dissertation §9.6), so that one who merely was cut off
// cannot raise everybody's term when it comes back. Requests for real votes are late messages: they vouch for
// a log, which therefore must be durable.
#include "reconciler/raft/raft_parts.h"

// A leader that was taking itself out, and has the longest log, may be needed until that is committed: the
// others cannot win against its log (dissertation §4.2.2). So the configuration before is enough.
bool election_may_campaign(const struct raft *raft) {
    bool was_voter = false;
    raft_configuration_has(&raft->committed_configuration, raft->options.id, &was_voter);
    bool is_voter = was_voter || members_is_voter(raft, raft->options.id) || PLANTED(BUG_LEARNER_CAMPAIGNS);
    return is_voter && log_room(&raft->log) > 0;
}

// --- counting ---

static void note_vote(struct raft *raft, uint64_t id, bool is_granted) {
    if (!members_is_voter(raft, id) && !PLANTED(BUG_FOREIGN_VOTES)) {
        return;
    }
    for (unsigned i = 0; i < raft->vote_count; i++) {
        if (raft->votes[i].id == id) {
            return; // the first answer counts
        }
    }
    if (raft->vote_count < RAFT_MEMBERS_MAX) {
        raft->votes[raft->vote_count].id = id;
        raft->votes[raft->vote_count++].is_granted = is_granted;
    }
}

static unsigned count_votes(const struct raft *raft, bool is_granted) {
    unsigned count = 0;
    for (unsigned i = 0; i < raft->vote_count; i++) {
        count += raft->votes[i].is_granted == is_granted;
    }
    return count;
}

static void decide(struct raft *raft) {
    if (count_votes(raft, true) >= members_quorum(raft)) {
        if (raft->role == RAFT_PRE_CANDIDATE) {
            election_start(raft, /*is_pre=*/false, /*is_transfer=*/false);
        } else {
            leader_begin(raft);
        }
    } else if (count_votes(raft, false) >= members_quorum(raft)) {
        raft_become_follower(raft, raft->term, /*leader=*/0);
    }
}

void election_count_self(struct raft *raft) {
    if (raft->role == RAFT_CANDIDATE) {
        note_vote(raft, raft->options.id, true);
        decide(raft);
    }
}

// --- asking ---

static void ask_all(struct raft *raft, bool is_pre, bool is_transfer) {
    struct raft_message request = {
        .type = is_pre ? RAFT_PRE_VOTE : RAFT_VOTE,
        .term = is_pre ? raft->term + 1 : raft->term,
        .index = raft->log.last_index,
        .log_term = log_last_term(&raft->log),
        .is_transfer = is_transfer,
        .is_late = true,
    };
    for (unsigned i = 0; i < raft->peer_count; i++) {
        if (raft->peers[i].is_voter) {
            raft_send(raft, raft->peers[i].id, request);
        }
    }
}

void election_start(struct raft *raft, bool is_pre, bool is_transfer) {
    ASSERT(raft->role != RAFT_LEADER);
    raft->leader = 0;
    raft->vote_count = 0;
    raft_reset_timer(raft);
    if (is_pre) {
        raft->role = RAFT_PRE_CANDIDATE;
        note_vote(raft, raft->options.id, true);
    } else {
        raft->role = RAFT_CANDIDATE;
        raft->term++;
        raft->vote = raft->options.id;
        raft->is_hard_state_dirty = true;
        raft->is_self_vote_due = true;
    }
    ask_all(raft, is_pre, is_transfer);
    if (is_pre) {
        decide(raft); // a single voter needs nobody's
    } else if (PLANTED(BUG_EARLY_TERM)) {
        raft->is_hard_state_dirty = raft->is_self_vote_due = false;
        election_count_self(raft);
    }
}

// --- answering ---

static bool is_up_to_date(const struct raft *raft, const struct raft_message *request) {
    uint64_t term = log_last_term(&raft->log);
    return request->log_term > term || (request->log_term == term && request->index >= raft->log.last_index);
}

static bool may_vote_for(const struct raft *raft, const struct raft_message *request) {
    if (raft->vote == request->from || PLANTED(BUG_DOUBLE_VOTE)) {
        return true;
    }
    if (request->is_transfer && PLANTED(BUG_TRANSFER_SECOND_VOTE)) {
        return true;
    }
    return (raft->vote == 0 && raft->leader == 0) ||
           (request->type == RAFT_PRE_VOTE && request->term > raft->term);
}

// Whether our own configuration lists the asker does not matter: it may be the newer one that we lack.
void election_on_request(struct raft *raft, const struct raft_message *request) {
    bool is_pre = request->type == RAFT_PRE_VOTE;
    if (PLANTED(BUG_VOTE_ONLY_LISTED) && !members_is_voter(raft, request->from)) {
        return;
    }
    bool is_granted =
        may_vote_for(raft, request) && (is_up_to_date(raft, request) || PLANTED(BUG_STALE_LOG_VOTE));
    if (is_granted && !is_pre) {
        raft->vote = request->from;
        raft->is_hard_state_dirty = raft->is_hard_state_dirty || !PLANTED(BUG_FORGOTTEN_VOTE);
        if (!PLANTED(BUG_TIMER_NO_GRANT)) {
            raft_reset_timer(raft);
        }
    }
    raft_send(raft, request->from,
              (struct raft_message){
                  .type = is_pre ? RAFT_PRE_VOTE_REPLY : RAFT_VOTE_REPLY,
                  // What was asked for, if granted; else our own, which the asker may have to learn.
                  .term = is_granted ? request->term : raft->term,
                  .is_reject = !is_granted,
                  .is_late = true,
              });
}

void election_on_reply(struct raft *raft, const struct raft_message *reply) {
    bool is_pre = reply->type == RAFT_PRE_VOTE_REPLY;
    if (PLANTED(BUG_PRE_VOTE_COUNTS) && raft->role == RAFT_CANDIDATE) {
        is_pre = false;
    }
    if (raft->role != (is_pre ? RAFT_PRE_CANDIDATE : RAFT_CANDIDATE)) {
        return;
    }
    uint64_t asked_term = is_pre ? raft->term + 1 : raft->term;
    if (!reply->is_reject && reply->term != asked_term) {
        return;
    }
    note_vote(raft, reply->from, !reply->is_reject);
    decide(raft);
}
