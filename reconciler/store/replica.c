// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/replica.c — the life of a member and its turn: what leaves early, what becomes durable,
// what is applied, what leaves late.
//
// The order within a turn is what safety rests on (raft.h): a message that promises durability leaves only
// after the sync, an entry is applied only when it is known committed, and the outcome of a sole voter's
// entry is told only after the sync, because nobody else has it.
#include "reconciler/store/replica.h"

#include "base/log.h"
#include "base/mem.h"
#include "reconciler/store/replica_parts.h"

#define TURN_ENTRIES_MAX 2048 // applied in one turn
#define TURN_BYTES_MAX ((size_t)4 * MIB)
// Effects that may wait in memory for their commit: so many bytes, of so many entries, for so long.
#define WAITING_BYTES_MAX ((size_t)12 * MIB)
#define WAITING_ENTRIES_MAX UINT64_C(16384)
#define COMMIT_DELAY_MS 500
#define LATER_ENTRIES_MAX 1024
#define APPLY_DELAY_MS 20
#define NOTICE_DELAY_MS 2
#define IDLE_TICKS 10
#define FULL_RETRY_MS 1000
#define LOG_BYTES_MAX (16 * MIB)
#define COMPACT_SLICE 16

static const struct replica_pace usual_pace = {
    .tick_ms = 100,
    .heartbeat_ticks = 2,
    .election_ticks = 10,
    .proposal_ms = 10000,
    .keep_entries = 4096,
    .digest_interval = DIGEST_INTERVAL,
    .digest_ms = 30000,
};

static struct replica *replica_of(const struct proposer *proposer) {
    return (struct replica *)(void *)(uintptr_t)proposer;
}

struct proposer *replica_proposer(struct replica *replica) {
    return &replica->proposer;
}

uint64_t replica_applied(const struct replica *replica) {
    return (uint64_t)store_revision(replica->proposer.store);
}

// The only voter.
static bool is_alone(const struct replica *replica) {
    const struct raft_configuration *now = raft_configuration_now(&replica->raft);
    unsigned voters = 0;
    bool is_voter = false;
    for (unsigned i = 0; i < now->count; i++) {
        voters += now->members[i].is_voter;
    }
    return voters == 1 && raft_configuration_has(now, replica->raft.options.id, &is_voter) && is_voter;
}

// Alone in deciding: what it has made durable is committed, and nothing is before that.
bool replica_is_sole(const struct replica *replica) {
    return replica->raft.role == RAFT_LEADER && is_alone(replica);
}

void replica_set_membership(struct replica *replica, const struct membership *membership, uint64_t index) {
    struct arena arena = arena_make(0);
    struct membership copy = *(struct membership *)schema_copy(&membership_schema, membership, &arena);
    arena_free(&replica->membership_arena);
    replica->membership_arena = arena;
    replica->membership = copy;
    replica->membership_index = index;
    if (replica->callbacks.on_members != NULL) {
        replica->callbacks.on_members(replica->callbacks.context, &replica->membership);
    }
}

// --- start ---

struct start {
    struct raft_start raft;
    struct raft_entry *entries;
    struct membership membership; // the newest
    struct arena arena;
};

static int visit_entry(void *context, uint64_t index, const struct log_entry *entry, struct error *err) {
    struct start *start = context;
    if (start->raft.count >= RING_ENTRIES) {
        return error_set(err, ERR_CORRUPT, "the log has more than %d entries", RING_ENTRIES);
    }
    start->entries[start->raft.count++] =
        (struct raft_entry){entry->term, (uint32_t)entry->payload.len, entry->type};
    if (entry->type != RAFT_ENTRY_CONFIGURATION || index <= start->raft.applied) {
        return 0;
    }
    struct bytes kept = {arena_copy(&start->arena, entry->payload.data, entry->payload.len),
                         entry->payload.len};
    int rc = membership_read(kept, &start->membership, &start->arena, err);
    if (rc < 0) {
        return rc;
    }
    // Of several that are not applied, all but the last are committed: each needed the one before to be.
    if (start->raft.pending_index > 0) {
        start->raft.configuration = start->raft.pending;
        start->raft.configuration_index = start->raft.pending_index;
    }
    start->raft.pending = membership_configuration(&start->membership);
    start->raft.pending_index = index;
    return 0;
}

// A store of an earlier version did not know the node of its only member.
static void name_self(const struct replica *replica, struct membership *membership) {
    for (size_t i = 0; i < membership->members.count; i++) {
        struct member *member = &membership->members.items[i];
        if ((uint64_t)member->raft_id == store_local(replica->proposer.store)->raft_id &&
            id_is_none(&member->node_id)) {
            member->node_id = replica->options.node_id;
        }
    }
}

static int load_start(struct replica *replica, struct start *start, struct error *err) {
    const struct store_local *local = store_local(replica->proposer.store);
    struct store_read *read;
    int rc = store_read_begin(replica->proposer.store, &read, err);
    if (rc < 0) {
        return rc;
    }
    start->raft = (struct raft_start){.term = local->term,
                                      .vote = local->vote,
                                      .applied = (uint64_t)store_read_revision(read),
                                      .base_index = local->base_index,
                                      .base_term = local->base_term};
    rc = store_membership(read, &start->arena, &start->membership, &start->raft.configuration_index, err);
    if (rc >= 0) {
        name_self(replica, &start->membership);
        start->raft.configuration = membership_configuration(&start->membership);
        rc = log_each(read, visit_entry, start, err);
    }
    start->raft.entries = start->entries;
    store_read_end(read);
    return rc < 0 ? rc : 0;
}

static int start_core(struct replica *replica, struct error *err) {
    const struct replica_pace *pace = &replica->options.pace;
    struct start start = {.entries = xcalloc(RING_ENTRIES, sizeof *start.entries)};
    int rc = load_start(replica, &start, err);
    if (rc == 0) {
        const struct raft_options options = {
            .id = store_local(replica->proposer.store)->raft_id,
            .election_ticks = pace->election_ticks,
            .heartbeat_ticks = pace->heartbeat_ticks,
            .append_bytes_max = 512 * KIB,
            .inflight_max = RAFT_INFLIGHT_MAX,
            .inflight_bytes_max = 8 * MIB,
            .uncommitted_bytes_max = 16 * MIB,
            .prng = &replica->prng,
            .ring = replica->ring,
            .ring_count = RING_ENTRIES,
            .messages = replica->messages,
            .messages_count = MESSAGES_MAX,
        };
        raft_init(&replica->raft, &options, &start.raft);
        entries_init(&replica->entries, RING_ENTRIES, replica->raft.log.last_index);
        replica->has_group = true;
        uint64_t index =
            start.raft.pending_index > 0 ? start.raft.pending_index : start.raft.configuration_index;
        replica_set_membership(replica, &start.membership, index);
    }
    arena_free(&start.arena);
    xfree(start.entries);
    return error_wrap(err, rc, "take up the log");
}

static void set_default(int64_t *value, int64_t usual) {
    *value = *value == 0 ? usual : *value;
}

static void set_pace(struct replica_pace *pace) {
    set_default(&pace->tick_ms, usual_pace.tick_ms);
    set_default(&pace->proposal_ms, usual_pace.proposal_ms);
    set_default(&pace->keep_entries, usual_pace.keep_entries);
    set_default(&pace->digest_interval, usual_pace.digest_interval);
    set_default(&pace->digest_ms, usual_pace.digest_ms);
    pace->heartbeat_ticks = pace->heartbeat_ticks == 0 ? usual_pace.heartbeat_ticks : pace->heartbeat_ticks;
    pace->election_ticks = pace->election_ticks == 0 ? usual_pace.election_ticks : pace->election_ticks;
}

// --- a group ---

int replica_found(struct replica *replica, const struct id *node_id, const char *address, struct error *err) {
    if (replica->has_group) {
        return error_set(err, ERR_CONFLICT, "this manager belongs to a group already");
    }
    uint64_t raft_id = prng_next(&replica->prng) | 1;
    struct member self = {.raft_id = (int64_t)raft_id,
                          .node_id = *node_id,
                          .address = address,
                          .is_voter = true,
                          .wants_vote = true};
    struct membership alone = {.members = {1, &self}};
    int rc = store_join_group(replica->proposer.store, raft_id, &alone, err);
    rc = rc < 0 ? rc : start_core(replica, err);
    if (rc == 0) {
        raft_campaign(&replica->raft);
    }
    return rc;
}

int replica_await(struct replica *replica, uint64_t raft_id, struct error *err) {
    if (replica->has_group) {
        return error_set(err, ERR_CONFLICT, "this manager belongs to a group already");
    }
    int rc = store_join_group(replica->proposer.store, raft_id, NULL, err);
    return rc < 0 ? rc : start_core(replica, err);
}

bool replica_has_group(const struct replica *replica) {
    return replica->has_group;
}

uint64_t replica_id(const struct replica *replica) {
    return replica->has_group ? replica->raft.options.id : 0;
}

const struct membership *replica_membership(const struct replica *replica) {
    return &replica->membership;
}

// --- the turn: writing ---

// The core adds an empty entry by itself when it wins an election.
void replica_note_noop(struct replica *replica) {
    struct raft *raft = &replica->raft;
    struct log_entry noop = {.type = RAFT_ENTRY_NOOP};
    if (raft->noop_index > replica->entries.last) {
        bool is_there = raft_term_at(raft, raft->noop_index, &noop.term); // ours may be a later one by now
        ASSERT(is_there && raft->noop_index == replica->entries.last + 1);
        entries_push(&replica->entries, &noop, NULL);
    }
}

int replica_open_turn(struct replica *replica, struct error *err) {
    if (replica->is_turn_open) {
        return 0;
    }
    int rc = turn_begin(replica->proposer.store, &replica->turn, err);
    replica->is_turn_open = rc == 0;
    replica->turn_mono_ms = replica->now_mono_ms;
    return rc;
}

int replica_write_entries(struct replica *replica, struct error *err) {
    const struct raft *raft = &replica->raft;
    int rc = 0;
    for (uint64_t index = raft->persisted + 1; rc == 0 && index <= raft->log.last_index; index++) {
        struct cached_entry *cached = entries_at(&replica->entries, index);
        ASSERT(cached != NULL); // what is not durable is in memory
        rc = turn_put_entry(&replica->turn, index, &cached->entry, err);
    }
    if (rc == 0 && raft->is_hard_state_dirty) {
        turn_set_hard_state(&replica->turn, raft->term, raft->vote);
    }
    return rc;
}

// A copy, because applying writes to the transaction that the bytes may be borrowed from.
static int read_entry(struct replica *replica, uint64_t index, struct arena *arena, struct log_entry *out,
                      struct error *err) {
    struct store_read *read;
    int rc = store_read_begin(replica->proposer.store, &read, err);
    if (rc < 0) {
        return rc;
    }
    rc = log_get(read, index, out, err);
    if (rc == 0) {
        out->payload.data = arena_copy(arena, out->payload.data, out->payload.len);
    } else if (rc == STORE_ABSENT) {
        rc = error_set(err, ERR_CORRUPT, "log entry %llu misses", (unsigned long long)index);
    }
    store_read_end(read);
    return rc;
}

int replica_entry(struct replica *replica, uint64_t index, struct arena *arena, struct log_entry *out,
                  struct error *err) {
    const struct cached_entry *cached = entries_at(&replica->entries, index);
    if (cached != NULL) {
        *out = cached->entry;
        return 0;
    }
    return read_entry(replica, index, arena, out, err);
}

static int apply_one(struct replica *replica, uint64_t index, size_t *bytes, struct error *err) {
    AUTO_ARENA arena = arena_make(0);
    struct cached_entry *cached = entries_at(&replica->entries, index);
    struct pending *owner = cached != NULL ? TAKE(cached->owner) : NULL;
    struct log_entry entry;
    struct outcome outcome;
    int rc = replica_entry(replica, index, &arena, &entry, err);
    rc = rc < 0 ? rc : turn_apply(&replica->turn, &entry, &outcome, err);
    if (rc == 0) {
        *bytes += entry.payload.len;
        propose_applied(replica, owner, &entry, &outcome);
    } else if (owner != NULL) {
        cached->owner = owner; // the turn is undone
    }
    return rc;
}

static int apply_until(struct replica *replica, uint64_t target, struct error *err) {
    size_t bytes = 0;
    uint64_t index = replica_applied(replica);
    for (size_t count = 0; index < target && count < TURN_ENTRIES_MAX && bytes < TURN_BYTES_MAX; count++) {
        int rc = apply_one(replica, ++index, &bytes, err);
        if (rc < 0) {
            return rc;
        }
        if (digests_are_due(replica, index)) {
            break;
        }
    }
    return 0;
}

static uint64_t durable_applied(const struct replica *replica) {
    return (uint64_t)replica->proposer.store->state.applied;
}

// Entries that nobody needs any more. Those that are kept behind what is applied spare followers that lag a
// snapshot; one that is under way needs what comes after it; and this member's next start, what is not
// durable.
static int compact(struct replica *replica, bool commits, struct error *err) {
    const struct store_local *local = &replica->turn.local;
    uint64_t keep = (uint64_t)replica->options.pace.keep_entries;
    uint64_t applied = commits ? replica_applied(replica) : durable_applied(replica);
    if (local->log_bytes > LOG_BYTES_MAX) {
        keep /= 4;
    }
    uint64_t limit = applied > keep ? applied - keep : 0;
    uint64_t hold = snapshots_hold(replica);
    bool is_long = local->last_index - local->base_index > RING_ENTRIES / 4 * 3 / 2;
    if (hold < limit && !is_long) {
        limit = hold;
    }
    size_t slice =
        COMPACT_SLICE + (applied > local->base_index + keep ? (applied - local->base_index - keep) : 0);
    slice = slice > TURN_ENTRIES_MAX * 2 ? TURN_ENTRIES_MAX * 2 : slice;
    return limit > local->base_index ? turn_compact(&replica->turn, limit, slice, err) : 0;
}

static void after_sync(struct replica *replica, uint64_t last) {
    struct raft *raft = &replica->raft;
    uint64_t applied = replica_applied(replica);
    replica->is_full = false;
    raft_persisted(raft, last);
    replica_note_noop(replica);
    ASSERT(applied <= raft->commit);
    raft_applied(raft, durable_applied(replica));
    raft_compact(raft, store_local(replica->proposer.store)->base_index);
    entries_evict(&replica->entries, applied < last ? applied : last, CACHE_BYTES);
}

static void after_commit(struct replica *replica, uint64_t last) {
    replica->is_turn_open = false;
    propose_synced(replica);
    after_sync(replica, last);
}

void replica_drop_turn(struct replica *replica) {
    if (replica->is_turn_open) {
        replica->is_turn_open = false;
        turn_abort(&replica->turn);
        propose_not_synced(replica);
    }
}

static int commit_turn(struct replica *replica, uint64_t last, struct error *err) {
    int rc = turn_commit(&replica->turn, err);
    if (rc == 0) {
        after_commit(replica, last);
    }
    return rc;
}

static int sync_turn(struct replica *replica, uint64_t last, struct error *err) {
    int rc = turn_sync(&replica->turn, err);
    if (rc == 0) {
        after_sync(replica, last);
    }
    return rc;
}

int replica_commit_turn(struct replica *replica, struct error *err) {
    if (!replica->is_turn_open) {
        return 0;
    }
    uint64_t last = replica->raft.log.last_index;
    int rc = replica_write_entries(replica, err);
    rc = rc < 0 ? rc : commit_turn(replica, last, err);
    if (rc < 0) {
        replica_drop_turn(replica);
    }
    return rc;
}

static bool must_sync(const struct replica *replica) {
    const struct raft *raft = &replica->raft;
    return raft->is_hard_state_dirty || raft->persisted < raft->log.last_index;
}

// Members write their effects one after the other, each after so many entries: while one does, the others are
// a quorum.
static bool is_our_time(const struct replica *replica) {
    const struct raft_configuration *now = raft_configuration_now(&replica->raft);
    uint64_t place = 0;
    while (place < now->count && now->members[place].id != replica->raft.options.id) {
        place++;
    }
    uint64_t phase = now->count == 0 ? 0 : place * WAITING_ENTRIES_MAX / now->count;
    return (replica_applied(replica) + phase) / WAITING_ENTRIES_MAX !=
           (durable_applied(replica) + phase) / WAITING_ENTRIES_MAX;
}

// Effects may wait when others have their entries too.
static bool must_commit(const struct replica *replica) {
    size_t waiting_bytes = turn_waiting_bytes(&replica->turn);
    return replica_is_sole(replica) || replica->is_full || waiting_bytes >= WAITING_BYTES_MAX ||
           is_our_time(replica) || digests_are_due(replica, replica_applied(replica)) ||
           replica->now_mono_ms - replica->turn_mono_ms >= COMMIT_DELAY_MS ||
           (waiting_bytes == 0 && must_sync(replica));
}

// What may be applied now: what is committed; a sole voter's entries are, by the very transaction that holds
// their effects.
static uint64_t apply_target(const struct replica *replica) {
    bool takes_all = REPLICA_PLANTED(UNCOMMITTED_EFFECTS) && replica->raft.role == RAFT_LEADER;
    return replica_is_sole(replica) || takes_all ? replica->raft.log.last_index : replica->raft.commit;
}

static bool wants_apply(const struct replica *replica) {
    return replica_applied(replica) < apply_target(replica);
}

// The leader waits for a follower's sync, and mostly nobody for its effects: many together come cheaper.
static bool may_apply_later(const struct replica *replica) {
    bool is_waited_for = replica->read_count > 0 || propose_is_waiting(replica);
    bool is_soon = replica->now_mono_ms - replica->apply_mono_ms < APPLY_DELAY_MS;
    return replica->raft.role != RAFT_LEADER &&
           apply_target(replica) - replica_applied(replica) < LATER_ENTRIES_MAX &&
           (must_sync(replica) || (is_soon && !is_waited_for));
}

// What a sole voter has applied and cannot write is undone within the turn: nobody sees it before that.
static void note_shown(struct replica *replica, bool may_be_seen) {
    uint64_t applied = replica_applied(replica);
    replica->shown = may_be_seen && applied > replica->shown ? applied : replica->shown;
}

static int write_turn(struct replica *replica, struct error *err) {
    const struct raft *raft = &replica->raft;
    bool applies = wants_apply(replica) && !may_apply_later(replica);
    bool has_news = must_sync(replica) || applies;
    if (!has_news && !replica->is_turn_open && !replica->is_full) { // else: is it full still?
        return 0;
    }
    uint64_t last = raft->log.last_index;
    bool is_sole = replica_is_sole(replica);
    int rc = replica_open_turn(replica, err);
    rc = rc < 0 ? rc : replica_write_entries(replica, err);
    if (rc == 0 && applies) {
        replica->apply_mono_ms = replica->now_mono_ms;
        rc = apply_until(replica, apply_target(replica), err);
        note_shown(replica, /*may_be_seen=*/!is_sole);
    }
    bool is_digest = digests_are_due(replica, replica_applied(replica));
    bool commits = must_commit(replica), syncs = must_sync(replica);
    rc = rc < 0 ? rc : compact(replica, commits, err);
    if (rc < 0) {
        return rc;
    }
    if (!is_sole) {
        propose_report(replica); // on a quorum already: nobody need wait for our disk
    }
    rc = commits ? commit_turn(replica, last, err) : syncs ? sync_turn(replica, last, err) : 0;
    note_shown(replica, rc == 0);
    return rc < 0 || !is_digest ? rc : digests_begin(replica, err);
}

// --- the turn: a full disk ---

// A sole voter whom nobody listens to takes back what it could not write: its proposals are refused. Not
// while the others are only about to leave: they may have some of it, and belong to the group again without
// the entry that removes them.
static void take_back(struct replica *replica, const struct error *why) {
    struct raft *raft = &replica->raft;
    if (raft->role == RAFT_LEADER && raft->peer_count == 0 && raft->pending_configuration_index == 0) {
        raft_take_back(raft);
        propose_fail_from(replica, raft->log.last_index, why);
        entries_cut(&replica->entries, raft->log.last_index);
    }
}

static int on_full(struct replica *replica, const struct error *why, struct error *err) {
    if (!replica->is_full) {
        log_failure(LOG_ERROR, "store.full", why,
                    LOG_INT("applied", store_revision(replica->proposer.store)));
    }
    replica->is_full = true;
    replica->retry_mono_ms = replica->now_mono_ms + FULL_RETRY_MS;
    take_back(replica, why);
    raft_sent(&replica->raft); // what promised durability is not said
    if (replica->raft.role == RAFT_LEADER) {
        (void)replica_transfer(replica, 0, NULL);
    }
    return store_can_go_on(replica->proposer.store, err);
}

// --- the turn ---

static void notice_leader(struct replica *replica) {
    const struct raft *raft = &replica->raft;
    uint64_t leader = raft->role == RAFT_LEADER ? raft->options.id : raft->leader;
    if (leader != replica->leader_seen) {
        replica->leader_seen = leader;
        propose_leader_changed(replica);
    }
}

static int write_or_wait(struct replica *replica, struct error *err) {
    if (replica->is_full && replica->now_mono_ms < replica->retry_mono_ms) {
        return 0;
    }
    struct error failure = {0};
    int rc = write_turn(replica, &failure);
    if (rc == -ERR_NO_SPACE) {
        replica_drop_turn(replica);
        return on_full(replica, &failure, err);
    }
    if (rc < 0 && err != NULL) {
        *err = failure;
    }
    return rc;
}

// Whether the next entries, which may come any moment, shall bring the others the news of what is
// committed: with one proposal after the other that saves half of the messages. Not when one of them waits
// for it.
static bool holds_notices(struct replica *replica) {
    const struct raft *raft = &replica->raft;
    if (raft->commit != replica->notice_commit) {
        replica->is_notice_urgent = replica->foreign_last > replica->notice_commit;
        replica->notice_commit = raft->commit;
        replica->notice_mono_ms = replica->now_mono_ms;
    }
    return raft->role == RAFT_LEADER && !replica->is_notice_urgent &&
           replica->now_mono_ms - replica->notice_mono_ms < NOTICE_DELAY_MS;
}

static int turn_of_group(struct replica *replica, struct error *err) {
    struct raft *raft = &replica->raft;
    replica_note_noop(replica);
    notice_leader(replica);
    members_step(replica);
    propose_waiting(replica);
    reads_ask(replica);
    raft->holds_notices = holds_notices(replica);
    raft_flush(raft);
    if (!raft->is_hard_state_dirty) {
        packets_send(replica, /*only_early=*/!REPLICA_PLANTED(LATE_BEFORE_SYNC));
    }
    int rc = write_or_wait(replica, err);
    if (rc < 0) {
        return rc;
    }
    if (!replica->is_full) {
        packets_send(replica,
                     /*only_early=*/raft->is_hard_state_dirty || raft->persisted < raft->log.last_index);
    }
    notice_leader(replica);
    reads_take_results(replica);
    reads_release(replica);
    return digests_step(replica, err);
}

static int replica_turn(struct proposer *proposer, struct error *err) {
    struct replica *replica = replica_of(proposer);
    admission_turn(&replica->admission);
    int rc = replica->has_group ? turn_of_group(replica, err) : 0;
    if (rc == 0) {
        propose_report(replica);
    }
    return rc;
}

static bool replica_is_leader(const struct proposer *proposer) {
    const struct replica *replica = replica_of(proposer);
    return replica->has_group && replica->raft.role == RAFT_LEADER && replica->raft.transferee == 0 &&
           replica_applied(replica) >= replica->raft.term_first_index &&
           replica_applied(replica) >= replica->shown; // a full disk may have undone what was seen already
}

static bool replica_has_work(const struct proposer *proposer) {
    const struct replica *replica = replica_of(proposer);
    const struct raft *raft = &replica->raft;
    if (!replica->has_group) {
        return !list_is_empty((struct list *)(uintptr_t)&replica->done);
    }
    if (replica->is_full) {
        return replica->now_mono_ms >= replica->retry_mono_ms;
    }
    return raft->is_hard_state_dirty || raft->message_count > 0 || raft->result_count > 0 ||
           raft->persisted < raft->log.last_index || (wants_apply(replica) && !may_apply_later(replica)) ||
           raft->noop_index > replica->entries.last || propose_has_work(replica) || reads_have_work(replica);
}

int64_t replica_wake_mono_ms(const struct replica *replica) {
    if (!replica->has_group) {
        return INT64_MAX;
    }
    // Alone and idle, there is nobody to tell that we live.
    bool is_idle = replica_is_sole(replica) && replica->raft.peer_count == 0 && replica->read_count == 0 &&
                   replica->queued == 0 && !propose_is_waiting(replica);
    int64_t wake = replica->tick_mono_ms + replica->options.pace.tick_ms * (is_idle ? IDLE_TICKS : 1);
    if (replica->is_turn_open && replica->turn_mono_ms + COMMIT_DELAY_MS < wake) {
        wake = replica->turn_mono_ms + COMMIT_DELAY_MS;
    }
    if (replica->raft.holds_notices && replica->notice_mono_ms + NOTICE_DELAY_MS < wake) {
        wake = replica->notice_mono_ms + NOTICE_DELAY_MS;
    }
    if (wants_apply(replica) && replica->apply_mono_ms + APPLY_DELAY_MS < wake) {
        wake = replica->apply_mono_ms + APPLY_DELAY_MS;
    }
    return replica->walk != NULL ? replica->now_mono_ms : wake;
}

void replica_link_lost(struct replica *replica, uint64_t raft_id) {
    if (replica->has_group) {
        raft_link_lost(&replica->raft, raft_id);
        snapshots_link_lost(replica, raft_id);
    }
}

void replica_advance(struct replica *replica, int64_t now_mono_ms) {
    ASSERT(now_mono_ms >= replica->now_mono_ms);
    replica->now_mono_ms = now_mono_ms;
    if (!replica->has_group || now_mono_ms - replica->tick_mono_ms < replica->options.pace.tick_ms) {
        return;
    }
    // However long this process was stopped, that was one tick: what waits to be received comes first.
    bool is_late = now_mono_ms - replica->tick_mono_ms >= 2 * replica->options.pace.tick_ms;
    replica->tick_mono_ms = is_late ? now_mono_ms : replica->tick_mono_ms + replica->options.pace.tick_ms;
    raft_tick(&replica->raft);
    propose_expire(replica);
    reads_expire(replica);
    snapshots_advance(replica);
}

// --- life ---

static void replica_free(struct proposer *proposer) {
    struct replica *replica = replica_of(proposer);
    if (replica->is_turn_open) { // committed entries: the next start applies them again
        turn_abort(&replica->turn);
    }
    propose_deinit(replica);
    reads_deinit(replica);
    snapshots_deinit(replica);
    digests_deinit(replica);
    entries_deinit(&replica->entries);
    arena_free(&replica->membership_arena);
    xfree(replica->ring);
    xfree(replica->messages);
    xfree(replica);
}

int replica_open(const struct replica_options *options, struct replica **out, struct error *err) {
    static const struct proposer_ops ops = {propose_submit, replica_turn, replica_is_leader, replica_has_work,
                                            replica_free};
    ASSERT(options->store != NULL);
    struct replica *replica = NEW(struct replica);
    replica->proposer =
        (struct proposer){&ops, options->store, options->callbacks.on_result, options->callbacks.context};
    replica->options = *options;
    set_pace(&replica->options.pace);
    replica->callbacks = options->callbacks;
    replica->admission.store = options->store;
    replica->now_mono_ms = replica->tick_mono_ms = options->now_mono_ms;
    prng_seed(&replica->prng, options->seed);
    replica->request_nonce = prng_next(&replica->prng);
    replica->read_context = prng_next(&replica->prng);
    replica->stream_count = prng_next(&replica->prng) >> 1;
    replica->ring = xcalloc(RING_ENTRIES, sizeof *replica->ring);
    replica->messages = xcalloc(MESSAGES_MAX, sizeof *replica->messages);
    list_init(&replica->waiting);
    list_init(&replica->sent);
    list_init(&replica->applied);
    list_init(&replica->done);
    list_init(&replica->reads);
    int rc = store_local(options->store)->raft_id != 0 ? start_core(replica, err) : 0;
    if (rc < 0) {
        replica_free(&replica->proposer);
        return rc;
    }
    if (replica->has_group && is_alone(replica)) {
        raft_campaign(&replica->raft); // nobody else could lead: no use to wait
    }
    *out = replica;
    return 0;
}
