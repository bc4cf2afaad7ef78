// SPDX-License-Identifier: Apache-2.0
//
// test/sim/raft_expect.c — what a directed case can want of its cluster.
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "test/sim/raft_script.h"

static const char *const outcome_names[] = {"done", "not-leader", "busy", "refused", "not-caught-up"};
static const char *const read_names[] = {"waiting", "served", "lost"};

// Each says whether it is as word `at` and the following want it, and appends how it is.
typedef bool expectation(struct script *script, unsigned at, struct buf *got);

static bool is_number(struct script *script, unsigned at, uint64_t number, struct buf *got) {
    buf_addf(got, "%llu", (unsigned long long)number);
    return number == script_number(script, at);
}

static bool is_text(const struct script *script, unsigned at, const char *text, struct buf *got) {
    buf_adds(got, text);
    return script_is_word(script, at, text);
}

// --- of a node ---

static bool has_role(struct script *script, unsigned at, struct buf *got) {
    const struct sim_node *node = script_take_node(script, at);
    return node != NULL && is_text(script, at + 1, raft_role_names[node->raft.role], got);
}

static bool has_term(struct script *script, unsigned at, struct buf *got) {
    const struct sim_node *node = script_take_node(script, at);
    return node != NULL && is_number(script, at + 1, node->raft.term, got);
}

static bool has_vote(struct script *script, unsigned at, struct buf *got) {
    const struct sim_node *node = script_take_node(script, at);
    if (node != NULL && node->raft.vote == 0) {
        return is_text(script, at + 1, "none", got);
    }
    if (node != NULL && script_is_word(script, at + 1, "none")) {
        buf_addf(got, "%llu", (unsigned long long)node->raft.vote);
        return false;
    }
    return node != NULL && is_number(script, at + 1, node->raft.vote, got);
}

static bool has_commit(struct script *script, unsigned at, struct buf *got) {
    const struct sim_node *node = script_take_node(script, at);
    return node != NULL && is_number(script, at + 1, node->raft.commit, got);
}

static bool has_last(struct script *script, unsigned at, struct buf *got) {
    const struct sim_node *node = script_take_node(script, at);
    return node != NULL && is_number(script, at + 1, raft_last_index(&node->raft), got);
}

static bool is_log(const struct script *script, unsigned at, const struct sim_entry *log, uint64_t base,
                   uint64_t last, struct buf *got) {
    if (base > 0) {
        buf_addf(got, "(%llu)", (unsigned long long)base);
    }
    for (uint64_t index = base + 1; index <= last; index++) {
        buf_addf(got, "%s%llu", got->len > 0 ? " " : "", (unsigned long long)log[index].term);
    }
    return script_is_word(script, at, buf_text(got));
}

static bool has_log(struct script *script, unsigned at, struct buf *got) {
    const struct sim_node *node = script_take_node(script, at);
    return node != NULL &&
           is_log(script, at + 1, node->log, node->raft.log.base_index, node->raft.log.last_index, got);
}

static bool has_durable(struct script *script, unsigned at, struct buf *got) {
    const struct sim_node *node = script_take_node(script, at);
    return node != NULL &&
           is_log(script, at + 1, node->disk_log, node->disk.base_index, node->disk.last_index, got);
}

static bool has_members(struct script *script, unsigned at, bool is_voter, struct buf *got) {
    const struct sim_node *node = script_take_node(script, at);
    if (node == NULL) {
        return false;
    }
    const struct raft_configuration *now = raft_configuration_now(&node->raft);
    for (unsigned i = 0; i < now->count; i++) {
        if (now->members[i].is_voter == is_voter) {
            buf_addf(got, "%s%llu", got->len > 0 ? " " : "", (unsigned long long)now->members[i].id);
        }
    }
    return script_is_word(script, at + 1, buf_text(got));
}

static bool has_voters(struct script *script, unsigned at, struct buf *got) {
    return has_members(script, at, /*is_voter=*/true, got);
}

static bool has_learners(struct script *script, unsigned at, struct buf *got) {
    return has_members(script, at, /*is_voter=*/false, got);
}

static bool has_applied(struct script *script, unsigned at, struct buf *got) {
    const struct sim_node *node = script_take_node(script, at);
    const struct script_name *entry = script_take_name(script, at + 1, script->entries, script->entry_count);
    if (node == NULL || entry == NULL) {
        return false;
    }
    buf_addf(got, "applied up to %llu, the entry is number %llu", (unsigned long long)node->applied,
             (unsigned long long)entry->number);
    return node->applied >= entry->number && script->sim->truth[entry->number].term == entry->term;
}

static bool is_removed(struct script *script, unsigned at, struct buf *got) {
    const struct sim_node *node = script_take_node(script, at);
    buf_adds(got, node != NULL && node->raft.is_removed ? "told" : "not told");
    return node != NULL && node->raft.is_removed;
}

// What the leader NODE believes of another.
static bool has_match(struct script *script, unsigned at, struct buf *got) {
    const struct sim_node *node = script_take_node(script, at);
    uint64_t id = script_number(script, at + 1);
    for (unsigned i = 0; node != NULL && i < node->raft.peer_count; i++) {
        if (node->raft.peers[i].id == id) {
            return is_number(script, at + 2, node->raft.peers[i].match, got);
        }
    }
    buf_adds(got, "no member");
    return false;
}

// --- of all ---

static const struct sim_node *leader_of(const struct sim *sim) {
    const struct sim_node *leader = NULL;
    for (unsigned i = 0; i < sim->node_count; i++) {
        const struct sim_node *node = &sim->nodes[i];
        if (node->is_up && node->raft.role == RAFT_LEADER &&
            (leader == NULL || node->raft.term > leader->raft.term)) {
            leader = node;
        }
    }
    return leader;
}

static bool has_leader(struct script *script, unsigned at, struct buf *got) {
    const struct sim_node *leader = leader_of(script->sim);
    if (leader == NULL) {
        buf_adds(got, "nobody");
        return false;
    }
    return is_number(script, at, leader->id, got);
}

static bool has_no_leader(struct script *script, unsigned at, struct buf *got) {
    const struct sim_node *leader = leader_of(script->sim);
    (void)at;
    if (leader != NULL) {
        buf_addf(got, "%llu leads", (unsigned long long)leader->id);
    }
    return leader == NULL;
}

static bool is_agreed(struct script *script, unsigned at, struct buf *got) {
    const struct sim_node *leader = leader_of(script->sim);
    (void)at;
    if (leader == NULL || leader->applied != leader->raft.log.last_index) {
        buf_adds(got, leader == NULL ? "nobody leads" : "the leader has not applied everything");
        return false;
    }
    const struct raft_configuration *members = raft_configuration_now(&leader->raft);
    for (unsigned i = 0; i < members->count; i++) {
        const struct sim_node *node = world_node(script->sim, members->members[i].id);
        if (node == NULL || !node->is_up || node->applied != leader->applied) {
            buf_addf(got, "%llu has not applied what %llu has", (unsigned long long)members->members[i].id,
                     (unsigned long long)leader->id);
            return false;
        }
    }
    check_agreement(script->sim, members);
    return true;
}

static bool has_read(struct script *script, unsigned at, struct buf *got) {
    const struct script_name *name = script_take_name(script, at, script->reads, script->read_count);
    if (name == NULL) {
        return false;
    }
    const struct sim_read *read =
        &script->sim->reads[name->number % (sizeof script->sim->reads / sizeof *script->sim->reads)];
    return is_text(script, at + 1, read_names[read->state], got);
}

static bool has_outcome(struct script *script, unsigned at, struct buf *got) {
    return is_text(script, at, outcome_names[script->outcome], got);
}

static bool has_fields(struct script *script, unsigned at, const struct raft_message *message) {
    bool has_all = true;
    for (; at < script->count; at += 2) {
        uint64_t is;
        if (!script_field(message, script->words[at].text, &is)) {
            script_fail(script, at, "no field of that name; term, index, commit, sequence, reject …");
            return false;
        }
        has_all = script_number(script, at + 1) == is && has_all;
    }
    return has_all;
}

static bool has_message(struct script *script, unsigned at, struct buf *got) {
    uint64_t from = script_take_end(script, at);
    uint64_t to = script_take_end(script, at + 1);
    if (at + 2 >= script->count || !script_is_type(script->words[at + 2].text)) {
        script_fail(script, at + 2, "a kind of message is wanted: append, vote-reply …");
        return false;
    }
    for (size_t i = 0; i < script->sim->heap_count; i++) {
        const struct sim_parcel *parcel = script->sim->heap[i];
        if (script_matches(parcel, from, to, script->words[at + 2].text) &&
            has_fields(script, at + 3, &parcel->message)) {
            buf_adds(got, "on its way");
            return true;
        }
    }
    buf_adds(got, "not on its way");
    return false;
}

static const struct {
    const char *name;
    unsigned words; // after the name
    expectation *is;
    const char *usage;
} expectations[] = {
    {"role", 2, has_role, "role NODE follower|pre-candidate|candidate|leader"},
    {"term", 2, has_term, "term NODE TERM"},
    {"vote", 2, has_vote, "vote NODE ID|none"},
    {"commit", 2, has_commit, "commit NODE INDEX"},
    {"last", 2, has_last, "last NODE INDEX"},
    {"log", 2, has_log, "log NODE \"TERMS\""},
    {"durable", 2, has_durable, "durable NODE \"TERMS\""},
    {"voters", 2, has_voters, "voters NODE \"IDS\""},
    {"learners", 2, has_learners, "learners NODE \"IDS\""},
    {"applied", 2, has_applied, "applied NODE NAME"},
    {"removed", 1, is_removed, "removed NODE"},
    {"match", 3, has_match, "match NODE NODE INDEX"},
    {"leader", 1, has_leader, "leader NODE"},
    {"no-leader", 0, has_no_leader, "no-leader"},
    {"agreed", 0, is_agreed, "agreed"},
    {"read", 2, has_read, "read NAME served|waiting|lost"},
    {"outcome", 1, has_outcome, "outcome done|not-leader|busy|refused|not-caught-up"},
    {"message", 3, has_message, "message FROM TO TYPE [FIELD NUMBER]…"},
};

static void want(struct script *script, unsigned at, size_t row, bool is_wanted) {
    AUTO_BUF got = buf_make(0);
    bool may_be_longer = expectations[row].is == has_message;
    unsigned words = at + 1 + expectations[row].words;
    if (script->count < words || (script->count > words && !may_be_longer)) {
        script_fail(script, script->count < words ? script->count : words, "the words do not fit: expect %s",
                    expectations[row].usage);
        return;
    }
    bool is = expectations[row].is(script, at + 1, &got);
    if (is != is_wanted) {
        AUTO_BUF wanted = buf_make(0);
        for (unsigned i = 1; i < script->count; i++) {
            buf_addf(&wanted, "%s%s", i > 1 ? " " : "", script->words[i].text);
        }
        script_fail(script, at, "expected %s; it is: %s", buf_text(&wanted), buf_text(&got));
    }
}

void script_expect(struct script *script) {
    bool is_wanted = !script_is_word(script, 1, "not");
    unsigned at = is_wanted ? 1 : 2;
    const char *names[sizeof expectations / sizeof *expectations];
    for (size_t i = 0; i < sizeof expectations / sizeof *expectations; i++) {
        names[i] = expectations[i].name;
        if (script_is_word(script, at, names[i])) {
            want(script, at, i, is_wanted);
            return;
        }
    }
    const char *near =
        at < script->count ? str_nearest(script->words[at].text, names, sizeof names / sizeof *names) : NULL;
    script_fail(script, at, "nothing of that name can be expected; did you mean \"%s\"?",
                near != NULL ? near : "role");
}
