// SPDX-License-Identifier: Apache-2.0
//
// reconciler/raft/follower.c — how a member's log comes to be the leader's.
//
// An answer acknowledges what the message in hand has proved, never more: the entries behind it may be
// another leader's. Answers are late messages, since they promise that the entries are durable.
#include "reconciler/raft/raft_parts.h"

static void reply_match(struct raft *raft, uint64_t to, uint64_t index) {
    raft_send(
        raft, to,
        (struct raft_message){.type = RAFT_APPEND_REPLY, .index = index, .is_late = !PLANTED(BUG_EARLY_ACK)});
}

static void reply_mismatch(struct raft *raft, const struct raft_message *append) {
    uint64_t hint = log_find_term(&raft->log, append->index, append->log_term);
    uint64_t hint_term = 0;
    log_term(&raft->log, hint, &hint_term);
    raft_send(raft, append->from,
              (struct raft_message){.type = RAFT_APPEND_REPLY,
                                    .index = append->index,
                                    .is_reject = true,
                                    .hint_index = hint,
                                    .hint_term = hint_term,
                                    .is_late = true});
}

// How many of the entries the log holds already.
static uint32_t count_known(const struct raft *raft, const struct raft_message *append) {
    uint32_t known = 0;
    uint64_t term;
    while (known < append->count && log_term(&raft->log, append->index + 1 + known, &term) &&
           term == append->entries[known].term) {
        known++;
    }
    return known;
}

static bool is_sane(const struct raft *raft, const struct raft_message *append) {
    uint64_t term = append->log_term;
    unsigned configurations = 0;
    for (uint32_t i = 0; i < append->count; i++) {
        const struct raft_entry *entry = &append->entries[i];
        if (entry->term < term || entry->term > append->term) {
            return false;
        }
        term = entry->term;
        configurations += entry->type == RAFT_ENTRY_CONFIGURATION;
    }
    (void)raft;
    return configurations == 0 || (configurations == 1 && append->configuration != NULL);
}

static void take_one(struct raft *raft, const struct raft_message *append, uint32_t number) {
    const struct raft_entry *entry = &append->entries[number];
    log_append(&raft->log, entry);
    if (entry->type != RAFT_ENTRY_CONFIGURATION) {
        return;
    }
    // A leader changes the configuration only once the last change is committed, so the one before this is.
    uint64_t pending = raft->pending_configuration_index;
    if (pending > raft->commit) {
        raft_advance_commit(raft, pending);
    }
    members_appended(raft, raft->log.last_index, append->configuration);
}

// Puts what is new into the log; returns how many of the entries the log has now.
static uint32_t take_new(struct raft *raft, const struct raft_message *append, struct raft_accept *out) {
    uint32_t known = count_known(raft, append);
    uint64_t from = append->index + 1 + known;
    if (PLANTED(BUG_TRUNCATE_ALWAYS) && append->index >= raft->commit &&
        append->index + append->count > raft->commit) {
        uint64_t cut = append->index + append->count;
        if (cut < raft->log.last_index) {
            raft_truncate(raft, cut);
        }
    }
    if (known == append->count) {
        return known;
    }
    if (from <= raft->commit) {
        return 0; // contradicts what is committed: no leader of ours says that
    }
    if (from <= raft->log.last_index) {
        raft_truncate(raft, from - 1);
    }
    uint32_t at = known;
    while (at < append->count && log_room(&raft->log) > 0) {
        take_one(raft, append, at++);
    }
    *out = (struct raft_accept){.from = from, .skip = known, .count = at - known};
    return at;
}

void follower_on_append(struct raft *raft, const struct raft_message *append, struct raft_accept *out) {
    uint64_t term;
    if (!is_sane(raft, append)) {
        return;
    }
    if (PLANTED(BUG_TRUNCATE_COMMITTED) && append->index + append->count < raft->commit) {
        uint64_t last = append->index + append->count;
        raft->log.last_index = last > raft->log.base_index ? last : raft->log.base_index;
        raft->commit = raft->persisted = raft->log.last_index;
    }
    if (append->index < raft->commit) {
        reply_match(raft, append->from, raft->commit); // what is committed matches every leader's log
        return;
    }
    if (!log_term(&raft->log, append->index, &term) || term != append->log_term) {
        reply_mismatch(raft, append);
        return;
    }
    uint64_t proven = append->index + take_new(raft, append, out);
    uint64_t bound = PLANTED(BUG_COMMIT_UNPROVEN) ? raft->log.last_index : proven;
    raft_advance_commit(raft, append->commit < bound ? append->commit : bound);
    reply_match(raft, append->from, PLANTED(BUG_ACK_LAST_INDEX) ? raft->log.last_index : proven);
}

void follower_on_heartbeat(struct raft *raft, const struct raft_message *heartbeat) {
    uint64_t last = raft->log.last_index;
    raft_advance_commit(raft, heartbeat->commit < last ? heartbeat->commit : last);
    raft_send(raft, heartbeat->from,
              (struct raft_message){
                  .type = RAFT_HEARTBEAT_REPLY, .sequence = heartbeat->sequence, .is_late = true});
}

// --- snapshots ---

static bool log_has(const struct raft *raft, uint64_t index, uint64_t term) {
    uint64_t ours;
    return log_term(&raft->log, index, &ours) && ours == term;
}

void follower_on_snapshot(struct raft *raft, const struct raft_message *snapshot, struct raft_accept *out) {
    if (snapshot->index <= raft->commit && !PLANTED(BUG_OLD_SNAPSHOT)) {
        reply_match(raft, snapshot->from, raft->commit);
    } else if (log_has(raft, snapshot->index, snapshot->log_term) && !PLANTED(BUG_SNAPSHOT_DROPS_LOG)) {
        raft_advance_commit(raft, snapshot->index); // we have all of it, and maybe more
        reply_match(raft, snapshot->from, snapshot->index);
    } else {
        out->wants_snapshot = true;
    }
}

bool raft_may_restore(struct raft *raft, uint64_t index, uint64_t term) {
    if (raft->role == RAFT_LEADER || index <= raft->commit) {
        return false;
    }
    if (log_has(raft, index, term) && !PLANTED(BUG_SNAPSHOT_OVERTAKEN)) {
        raft_advance_commit(raft, index);
        if (raft->leader != 0) {
            reply_match(raft, raft->leader, index);
        }
        return false;
    }
    return true;
}

void raft_restored(struct raft *raft, uint64_t index, uint64_t term,
                   const struct raft_configuration *configuration, uint64_t configuration_index) {
    ASSERT(raft->role != RAFT_LEADER && index > raft->commit);
    ASSERT(!log_has(raft, index, term) || PLANTED(BUG_SNAPSHOT_DROPS_LOG) || PLANTED(BUG_SNAPSHOT_OVERTAKEN));
    if (raft->role != RAFT_FOLLOWER && !PLANTED(BUG_SNAPSHOT_CANDIDATE)) {
        raft_become_follower(raft, raft->term, /*leader=*/0); // its candidacy vouched for the old log
    }
    if (PLANTED(BUG_SNAPSHOT_KEEPS_LOG) && index < raft->log.last_index) {
        log_compact(&raft->log, index);
    } else {
        log_reset(&raft->log, index, term);
        raft->persisted = index;
    }
    raft->commit = raft->applied = index;
    raft->noop_index = 0;
    if (!PLANTED(BUG_SNAPSHOT_MEMBERS)) {
        raft->committed_configuration = *configuration;
        raft->committed_configuration_index = configuration_index;
    }
    raft->pending_configuration_index = 0;
    members_rebuild_peers(raft);
    if (raft->leader != 0) {
        reply_match(raft, raft->leader, index);
    }
}
