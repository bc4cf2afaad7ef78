// SPDX-License-Identifier: Apache-2.0
//
// reconciler/store/replica_digests.c — equal entries must have left equal records: compared now and then.
//
// At indexes that are multiples of the interval, though not more often than the pace says, each member works
// out a digest of its tables, some of it a turn, and tells the others. The time is that of transactions, so
// all pick the same indexes; who was started anew may pick others for once, and is not compared there. Who
// stands against a quorum that agrees is wrong: it serves nothing more, and its store is to be moved aside
// (quarantine.h). The others name it.
#include <string.h>

#include "base/log.h"
#include "reconciler/store/replica_parts.h"

#define DIGEST_SLICE_BYTES ((size_t)256 * KIB)

bool digests_are_due(const struct replica *replica, uint64_t index) {
    uint64_t interval = (uint64_t)replica->options.pace.digest_interval;
    return index > 0 && index % interval == 0 && replica->digest_last != index &&
           store_time_unix_ms(replica->proposer.store) - replica->digest_last_ms >=
               replica->options.pace.digest_ms;
}

int digests_begin(struct replica *replica, struct error *err) {
    digests_deinit(replica); // one that did not end in time is given up
    replica->digest_last = (uint64_t)store_revision(replica->proposer.store);
    replica->digest_last_ms = store_time_unix_ms(replica->proposer.store);
    return digest_begin(replica->proposer.store, &replica->walk, err);
}

void digests_deinit(struct replica *replica) {
    digest_end(replica->walk);
    replica->walk = NULL;
}

// --- comparing ---

static const struct digest *own_digest(const struct replica *replica, uint64_t index) {
    for (size_t i = 0; i < replica->digest_count; i++) {
        if (replica->digests[i].index == index) {
            return &replica->digests[i];
        }
    }
    return NULL;
}

static bool is_equal(const struct digest *a, const struct digest *b) {
    return memcmp(a->tables, b->tables, sizeof a->tables) == 0;
}

static const char *differing_table(const struct digest *a, const struct digest *b) {
    for (int table = 0; table < TABLE_END; table++) {
        if (a->tables[table] != b->tables[table]) {
            return table == TABLE_META ? "state" : table_name((enum table)table);
        }
    }
    return "none";
}

// How many members, the noter among them, said what this note says.
static unsigned count_alike(const struct replica *replica, const struct digest_note *note) {
    unsigned count = 0;
    for (size_t i = 0; i < RAFT_MEMBERS_MAX; i++) {
        const struct digest_note *other = &replica->notes[i];
        const struct member *member = membership_find(&replica->membership, other->from);
        count += other->from != 0 && member != NULL && member->is_voter &&
                 other->digest.index == note->digest.index && is_equal(&other->digest, &note->digest);
    }
    return count;
}

static unsigned quorum(const struct replica *replica) {
    unsigned voters = 0;
    for (size_t i = 0; i < replica->membership.members.count; i++) {
        voters += replica->membership.members.items[i].is_voter;
    }
    return voters / 2 + 1;
}

static void compare(struct replica *replica, const struct digest_note *note) {
    const struct digest *own = own_digest(replica, note->digest.index);
    if (own == NULL || is_equal(own, &note->digest)) {
        return;
    }
    const struct member *member = membership_find(&replica->membership, note->from);
    bool is_ours_wrong = count_alike(replica, note) >= quorum(replica);
    log_event(LOG_ERROR, is_ours_wrong ? "store.diverged" : "store.other_diverged",
              LOG_INT("index", own->index), LOG_STR("table", differing_table(own, &note->digest)),
              LOG_STR("node", member != NULL ? member->node_id.text : ""));
    if (is_ours_wrong) {
        replica->diverged_index = own->index;
    }
}

static struct digest_note *note_of(struct replica *replica, uint64_t from) {
    struct digest_note *free_note = NULL;
    for (size_t i = 0; i < RAFT_MEMBERS_MAX; i++) {
        struct digest_note *note = &replica->notes[i];
        if (note->from == from) {
            return note;
        }
        bool is_free = note->from == 0 || membership_find(&replica->membership, note->from) == NULL;
        free_note = is_free ? note : free_note;
    }
    return free_note;
}

void digests_on_notice(struct replica *replica, uint64_t from, const struct digest_notice *notice) {
    struct digest_note *note =
        membership_find(&replica->membership, from) != NULL ? note_of(replica, from) : NULL;
    if (note == NULL) {
        return;
    }
    *note = (struct digest_note){.from = from, .digest = {.index = (uint64_t)notice->index}};
    for (size_t i = 0; i < notice->tables.count; i++) {
        int64_t table = notice->tables.items[i].table;
        if (table >= 0 && table < TABLE_END) {
            note->digest.tables[table] = (uint64_t)notice->tables.items[i].value;
        }
    }
    compare(replica, note);
}

// --- our own ---

static void tell(struct replica *replica, const struct digest *digest) {
    struct digest_table tables[TABLE_END];
    struct digest_notice notice;
    schema_init(&digest_notice_schema, &notice);
    notice.index = (int64_t)digest->index;
    for (int table = 0; table < TABLE_END; table++) {
        schema_init(&digest_table_schema, &tables[table]);
        tables[table].table = table;
        tables[table].value = (int64_t)digest->tables[table];
    }
    notice.tables.items = tables;
    notice.tables.count = TABLE_END;
    for (size_t i = 0; i < replica->membership.members.count; i++) {
        uint64_t id = (uint64_t)replica->membership.members.items[i].raft_id;
        if (id != replica->raft.options.id) {
            packets_post(replica, id, MESSAGE_DIGEST, &notice, /*is_bulk=*/false);
        }
    }
}

static void keep(struct replica *replica, const struct digest *digest) {
    if (replica->digest_count == DIGESTS_MAX) {
        memmove(replica->digests, replica->digests + 1, (DIGESTS_MAX - 1) * sizeof *replica->digests);
        replica->digest_count--;
    }
    replica->digests[replica->digest_count++] = *digest;
}

static void finish_walk(struct replica *replica) {
    struct digest digest = *digest_result(replica->walk);
    digests_deinit(replica);
    keep(replica, &digest);
    tell(replica, &digest);
    for (size_t i = 0; i < RAFT_MEMBERS_MAX; i++) {
        if (replica->notes[i].from != 0 && replica->notes[i].digest.index == digest.index) {
            compare(replica, &replica->notes[i]);
        }
    }
}

int digests_step(struct replica *replica, struct error *err) {
    if (replica->walk != NULL) {
        int rc = digest_step(replica->walk, DIGEST_SLICE_BYTES, err);
        if (rc < 0) {
            return rc;
        }
        if (rc == DIGEST_DONE) {
            finish_walk(replica);
        }
    }
    return replica->diverged_index == 0
               ? 0
               : error_set(err, ERR_CORRUPT,
                           "the records of this manager differ from those of the others at entry %llu",
                           (unsigned long long)replica->diverged_index);
}
