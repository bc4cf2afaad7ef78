// SPDX-License-Identifier: Apache-2.0
//
// reconciler/raft/raft.c — the core's frame: roles and terms, which message goes to whom, what becomes
// durable.
#include "reconciler/raft/raft.h"

#include <string.h>

#include "reconciler/raft/raft_parts.h"

const char *const raft_role_names[4] = {"follower", "pre-candidate", "candidate", "leader"};

// --- common ---

void raft_send(struct raft *raft, uint64_t to, struct raft_message message) {
    if (raft->message_count >= raft->options.messages_count) {
        return;
    }
    message.from = raft->options.id;
    message.to = to;
    if (message.term == 0) {
        message.term = raft->term;
    }
    raft->options.messages[raft->message_count++] = message;
}

void raft_reset_timer(struct raft *raft) {
    unsigned base = raft->options.election_ticks;
    raft->elapsed = 0;
    raft->timeout = base + (unsigned)prng_below(raft->options.prng, base);
}

void raft_become_follower(struct raft *raft, uint64_t term, uint64_t leader) {
    ASSERT(term >= raft->term);
    if (raft->role == RAFT_LEADER) {
        reads_drop_all(raft);
    }
    if (term > raft->term) {
        raft->term = term;
        raft->vote = 0;
        raft->is_hard_state_dirty = !PLANTED(BUG_FORGOTTEN_TERM);
    }
    raft->role = RAFT_FOLLOWER;
    raft->leader = leader;
    raft->is_self_vote_due = false;
    raft->is_leaving = false;
    raft->transferee = 0;
    raft_reset_timer(raft);
}

void raft_advance_commit(struct raft *raft, uint64_t commit) {
    if (commit <= raft->commit) {
        return;
    }
    ASSERT(commit <= raft->log.last_index);
    if (raft->role == RAFT_LEADER) {
        for (uint64_t index = raft->commit + 1; index <= commit; index++) {
            raft->uncommitted_bytes -= log_entry(&raft->log, index)->bytes;
        }
    }
    raft->commit = commit;
    members_committed(raft);
    if (raft->role == RAFT_LEADER && commit >= raft->term_first_index) {
        reads_unpark(raft);
    }
}

void raft_truncate(struct raft *raft, uint64_t last_index) {
    ASSERT(last_index >= raft->commit);
    log_truncate(&raft->log, last_index);
    if (raft->persisted > last_index) {
        raft->persisted = last_index;
    }
    if (raft->noop_index > last_index) {
        raft->noop_index = 0;
    }
    members_truncated(raft, last_index);
}

// --- start ---

static void check_options(const struct raft_options *options) {
    ASSERT(options->id != 0);
    ASSERT(options->heartbeat_ticks > 0 && options->election_ticks >= 3 * options->heartbeat_ticks);
    ASSERT(options->inflight_max > 0 && options->inflight_max <= RAFT_INFLIGHT_MAX);
    ASSERT(options->ring_count > 1 && options->messages_count >= RAFT_MEMBERS_MAX);
}

void raft_init(struct raft *raft, const struct raft_options *options, const struct raft_start *start) {
    check_options(options);
    *raft = (struct raft){.options = *options, .term = start->term, .vote = start->vote};
    raft->log = (struct raft_log){.ring = options->ring, .capacity = options->ring_count};
    log_reset(&raft->log, start->base_index, start->base_term);
    for (size_t i = 0; i < start->count; i++) {
        log_append(&raft->log, &start->entries[i]);
    }
    ASSERT(start->applied >= start->base_index && start->applied <= raft->log.last_index);
    raft->commit = raft->applied = start->applied;
    raft->persisted = raft->log.last_index;
    raft->committed_configuration = start->configuration;
    raft->committed_configuration_index = start->configuration_index;
    raft->pending_configuration = start->pending;
    raft->pending_configuration_index = start->pending_index;
    members_rebuild_peers(raft);
    raft_reset_timer(raft);
}

// --- time ---

void raft_tick(struct raft *raft) {
    raft->elapsed++;
    if (raft->role == RAFT_LEADER) {
        leader_tick(raft);
    } else if (raft->elapsed >= raft->timeout) {
        raft_campaign(raft);
    }
}

void raft_campaign(struct raft *raft) {
    raft_reset_timer(raft);
    if (raft->role != RAFT_LEADER && election_may_campaign(raft)) {
        election_start(raft, /*is_pre=*/!PLANTED(BUG_NO_PRE_VOTE), /*is_transfer=*/false);
    }
}

// Which of the voters that are left we are, by id: they begin one after the other, not all at once.
static unsigned rank_without(const struct raft *raft, uint64_t id) {
    const struct raft_configuration *now = raft_configuration_now(raft);
    unsigned rank = 0;
    for (unsigned i = 0; i < now->count && now->members[i].id < raft->options.id; i++) {
        rank += now->members[i].is_voter && now->members[i].id != id;
    }
    return rank;
}

void raft_link_lost(struct raft *raft, uint64_t id) {
    if (raft->role != RAFT_FOLLOWER || raft->leader != id) {
        return;
    }
    raft->leader = 0;
    unsigned soon = raft->elapsed + 1 + 2 * rank_without(raft, id);
    raft->timeout = soon < raft->timeout ? soon : raft->timeout;
}

// --- messages ---

static bool is_vote_request(const struct raft_message *message) {
    return message->type == RAFT_VOTE || message->type == RAFT_PRE_VOTE;
}

// A voter that hears a leader does not help to replace it, unless the leader itself wants that.
static bool hears_a_leader(const struct raft *raft) {
    if (PLANTED(BUG_NO_STICKINESS)) {
        return false;
    }
    if (raft->role == RAFT_LEADER) {
        return true;
    }
    return raft->leader != 0 && raft->elapsed < raft->options.election_ticks;
}

// From a later term. True when the message goes on to its handler.
static bool step_later_term(struct raft *raft, const struct raft_message *message) {
    if (is_vote_request(message) && !message->is_transfer && hears_a_leader(raft)) {
        members_tell_removed(raft, message->from);
        return false;
    }
    if (message->type == RAFT_PRE_VOTE && !PLANTED(BUG_PRE_VOTE_TERM)) {
        return true; // asking changes nothing
    }
    if (message->type == RAFT_PRE_VOTE_REPLY && !message->is_reject) {
        return true; // it bears the term that we asked for, not one that anybody is in
    }
    bool is_from_leader =
        message->type == RAFT_APPEND || message->type == RAFT_HEARTBEAT || message->type == RAFT_SNAPSHOT;
    raft_become_follower(raft, message->term, is_from_leader ? message->from : 0);
    return true;
}

// From an earlier term: tells those who act on it that time has passed.
static void step_earlier_term(struct raft *raft, const struct raft_message *message) {
    switch (message->type) {
    case RAFT_APPEND:
    case RAFT_HEARTBEAT:
    case RAFT_SNAPSHOT:
        raft_send(
            raft, message->from,
            (struct raft_message){
                .type = RAFT_APPEND_REPLY, .index = message->index, .is_reject = true, .is_late = true});
        return;
    case RAFT_PRE_VOTE: // a candidate with the longer log and the lower term must learn of ours, or nobody
                        // is ever elected
        raft_send(raft, message->from,
                  (struct raft_message){.type = RAFT_PRE_VOTE_REPLY,
                                        .term = PLANTED(BUG_HIDDEN_TERM) ? message->term : raft->term,
                                        .is_reject = true,
                                        .is_late = true});
        return;
    case RAFT_APPEND_REPLY:
    case RAFT_HEARTBEAT_REPLY:
    case RAFT_PRE_VOTE_REPLY:
    case RAFT_VOTE:
    case RAFT_VOTE_REPLY:
    case RAFT_TIMEOUT_NOW:
    case RAFT_READ:
    case RAFT_READ_REPLY:
    case RAFT_REMOVED:
    case RAFT_MESSAGE_TYPES:
        return;
    }
}

static void on_timeout_now(struct raft *raft) {
    if (raft->role == RAFT_FOLLOWER && election_may_campaign(raft)) {
        election_start(raft, /*is_pre=*/false, /*is_transfer=*/true);
    }
}

static void on_removed(struct raft *raft, const struct raft_message *message) {
    bool is_voter;
    uint64_t ours = raft->pending_configuration_index > 0 ? raft->pending_configuration_index
                                                          : raft->committed_configuration_index;
    if (message->index > ours &&
        raft_configuration_has(raft_configuration_now(raft), message->from, &is_voter)) {
        raft->is_removed = true;
    }
}

static void step_leader(struct raft *raft, const struct raft_message *message) {
    if (message->type == RAFT_APPEND_REPLY) {
        leader_on_append_reply(raft, message);
    } else if (message->type == RAFT_HEARTBEAT_REPLY) {
        leader_on_heartbeat_reply(raft, message);
    } else if (message->type == RAFT_READ) {
        reads_on_request(raft, message);
    }
}

// What the leader of the term says; there is one a term, so a leader does not hear it.
static void step_led(struct raft *raft, const struct raft_message *message, struct raft_accept *out) {
    if (raft->role == RAFT_LEADER) {
        return;
    }
    if (raft->role != RAFT_FOLLOWER) {
        raft_become_follower(raft, message->term, message->from);
    }
    raft->leader = message->from;
    raft->elapsed = 0;
    if (message->type == RAFT_APPEND) {
        follower_on_append(raft, message, out);
    } else if (message->type == RAFT_HEARTBEAT) {
        follower_on_heartbeat(raft, message);
    } else {
        follower_on_snapshot(raft, message, out);
    }
}

// tidy: flat switch
static void step_same_term(struct raft *raft, const struct raft_message *message, struct raft_accept *out) {
    switch (message->type) {
    case RAFT_APPEND:
    case RAFT_HEARTBEAT:
    case RAFT_SNAPSHOT:
        step_led(raft, message, out);
        return;
    case RAFT_APPEND_REPLY:
    case RAFT_HEARTBEAT_REPLY:
    case RAFT_READ:
        if (raft->role == RAFT_LEADER) {
            step_leader(raft, message);
        }
        return;
    case RAFT_PRE_VOTE:
    case RAFT_VOTE:
        election_on_request(raft, message);
        return;
    case RAFT_PRE_VOTE_REPLY:
    case RAFT_VOTE_REPLY:
        election_on_reply(raft, message);
        return;
    case RAFT_TIMEOUT_NOW:
        on_timeout_now(raft);
        return;
    case RAFT_READ_REPLY:
        reads_on_reply(raft, message);
        return;
    case RAFT_REMOVED:
        on_removed(raft, message);
        return;
    case RAFT_MESSAGE_TYPES:
        return;
    }
}

void raft_step(struct raft *raft, const struct raft_message *message, struct raft_accept *out) {
    *out = (struct raft_accept){0};
    if (message->to != raft->options.id || message->from == raft->options.id || message->from == 0 ||
        message->term == 0) {
        return;
    }
    raft->elapsed = PLANTED(BUG_TIMER_ANY) ? 0 : raft->elapsed;
    bool is_vote_of_old = PLANTED(BUG_OLD_TERM_REPLY) && message->type == RAFT_APPEND_REPLY;
    if (message->term < raft->term && !is_vote_of_old) {
        step_earlier_term(raft, message);
        return;
    }
    if (message->term > raft->term && !step_later_term(raft, message)) {
        return;
    }
    step_same_term(raft, message, out);
}

// --- the driver's side ---

enum raft_outcome raft_propose(struct raft *raft, const uint32_t *bytes, size_t count, uint64_t *out_first) {
    ASSERT(count > 0);
    if (raft->role != RAFT_LEADER || raft->is_leaving) {
        return RAFT_NOT_LEADER;
    }
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += bytes[i];
    }
    bool is_over =
        raft->uncommitted_bytes > 0 && raft->uncommitted_bytes + sum > raft->options.uncommitted_bytes_max;
    bool is_handed_over = raft->transferee != 0 && !PLANTED(BUG_TRANSFER_PROPOSE);
    if (is_handed_over || is_over || !log_may_grow(&raft->log, count)) {
        return RAFT_BUSY;
    }
    *out_first = raft->log.last_index + 1;
    for (size_t i = 0; i < count; i++) {
        log_append(&raft->log, &(struct raft_entry){raft->term, bytes[i], RAFT_ENTRY_DATA});
    }
    raft->uncommitted_bytes += sum;
    return RAFT_DONE;
}

enum raft_outcome raft_transfer(struct raft *raft, uint64_t id) {
    if (raft->role != RAFT_LEADER || raft->is_leaving) {
        return RAFT_NOT_LEADER;
    }
    struct raft_peer *peer = members_peer(raft, id);
    if (peer == NULL || !peer->is_voter) {
        return RAFT_REFUSED;
    }
    if (raft->transferee != 0) {
        return raft->transferee == id ? RAFT_DONE : RAFT_BUSY;
    }
    raft->transferee = id;
    raft->transfer_elapsed = 0;
    if (peer->match == raft->log.last_index) {
        raft_send(raft, id, (struct raft_message){.type = RAFT_TIMEOUT_NOW});
    } else {
        peer->is_due = true;
    }
    return RAFT_DONE;
}

void raft_flush(struct raft *raft) {
    if (raft->role == RAFT_LEADER) {
        leader_flush(raft);
    }
}

void raft_sent(struct raft *raft) {
    raft->message_count = 0;
}

void raft_persisted(struct raft *raft, uint64_t index) {
    ASSERT(index <= raft->log.last_index);
    raft->is_hard_state_dirty = false;
    raft->noop_index = raft->noop_index > index ? raft->noop_index : 0;
    if (index > raft->persisted) {
        raft->persisted = index;
    }
    if (raft->is_self_vote_due) {
        raft->is_self_vote_due = false;
        election_count_self(raft);
    }
    if (raft->role == RAFT_LEADER) {
        leader_count_commit(raft);
    }
}

void raft_take_back(struct raft *raft) {
    ASSERT(raft->role == RAFT_LEADER && raft->peer_count == 0 && raft->pending_configuration_index == 0);
    uint64_t keep = raft->persisted > raft->commit ? raft->persisted : raft->commit;
    keep = keep > raft->term_first_index ? keep : raft->term_first_index;
    while (raft->log.last_index > keep) {
        raft->uncommitted_bytes -= log_entry(&raft->log, raft->log.last_index)->bytes;
        raft_truncate(raft, raft->log.last_index - 1);
    }
}

void raft_applied(struct raft *raft, uint64_t index) {
    ASSERT(index >= raft->applied && index <= raft->commit);
    raft->applied = index;
}

void raft_compact(struct raft *raft, uint64_t index) {
    ASSERT(index <= raft->applied);
    log_compact(&raft->log, index);
}

bool raft_term_at(const struct raft *raft, uint64_t index, uint64_t *out_term) {
    return log_term(&raft->log, index, out_term);
}
