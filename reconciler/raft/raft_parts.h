// SPDX-License-Identifier: Apache-2.0
//
// reconciler/raft/raft_parts.h — what the files of the core call of each other. Private to reconciler/raft/.
#ifndef MUSTER_RECONCILER_RAFT_RAFT_PARTS_H
#define MUSTER_RECONCILER_RAFT_RAFT_PARTS_H

#include "base/assert.h"
#include "reconciler/raft/planted.h"
#include "reconciler/raft/raft.h"

// --- log.c ---

const struct raft_entry *log_entry(const struct raft_log *log, uint64_t index); // base_index < index ≤ last
bool log_term(const struct raft_log *log, uint64_t index, uint64_t *out);
uint64_t log_last_term(const struct raft_log *log);
uint64_t log_room(const struct raft_log *log);
bool log_may_grow(const struct raft_log *log, uint64_t count);         // by proposals
void log_append(struct raft_log *log, const struct raft_entry *entry); // there is room
void log_truncate(struct raft_log *log, uint64_t last_index);
void log_compact(struct raft_log *log, uint64_t index);
void log_reset(struct raft_log *log, uint64_t index, uint64_t term);
// The highest index at most `index` whose entry is of this term or an earlier one; base_index when none is
// known.
uint64_t log_find_term(const struct raft_log *log, uint64_t index, uint64_t term);

// --- raft.c ---

// Queues a message with `from`, `to` and, unless set, the term filled in. A full queue drops it.
void raft_send(struct raft *raft, uint64_t to, struct raft_message message);
void raft_become_follower(struct raft *raft, uint64_t term, uint64_t leader);
void raft_reset_timer(struct raft *raft); // a new random election timeout
void raft_advance_commit(struct raft *raft, uint64_t commit);
void raft_truncate(struct raft *raft, uint64_t last_index);

// --- election.c ---

void election_start(struct raft *raft, bool is_pre, bool is_transfer);
void election_count_self(struct raft *raft); // our vote for ourselves is durable
void election_on_request(struct raft *raft, const struct raft_message *message);
void election_on_reply(struct raft *raft, const struct raft_message *message);
bool election_may_campaign(const struct raft *raft);

// --- leader.c: what a leader does about its members' logs ---

void leader_begin(struct raft *raft);
void leader_tick(struct raft *raft);
void leader_flush(struct raft *raft);
void leader_count_commit(struct raft *raft);
void leader_on_append_reply(struct raft *raft, const struct raft_message *message);
void leader_on_heartbeat_reply(struct raft *raft, const struct raft_message *message);

// --- follower.c ---

void follower_on_append(struct raft *raft, const struct raft_message *message, struct raft_accept *out);
void follower_on_heartbeat(struct raft *raft, const struct raft_message *message);
void follower_on_snapshot(struct raft *raft, const struct raft_message *message, struct raft_accept *out);

// --- members.c ---

struct raft_peer *members_peer(struct raft *raft, uint64_t id); // NULL for ourselves and strangers
bool members_is_voter(const struct raft *raft, uint64_t id);
unsigned members_voters(const struct raft *raft); // how many, with ourselves
unsigned members_quorum(const struct raft *raft);
void members_appended(struct raft *raft, uint64_t index, const struct raft_configuration *configuration);
void members_truncated(struct raft *raft, uint64_t last_index);
void members_committed(struct raft *raft);
void members_rebuild_peers(struct raft *raft);
void members_tell_removed(struct raft *raft, uint64_t id);

// --- reads.c ---

void reads_on_request(struct raft *raft, const struct raft_message *message);
void reads_on_reply(struct raft *raft, const struct raft_message *message);
void reads_unpark(struct raft *raft); // the first entry of the term is committed
void reads_begin_round(struct raft *raft);
void reads_count_round(struct raft *raft);
void reads_drop_all(struct raft *raft);

#endif
