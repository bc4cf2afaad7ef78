// SPDX-License-Identifier: Apache-2.0
//
// test/sim/test_raft_planted.c — the checkers are checked: each planted bug must be found by random runs.
//
//     BUG=name SEEDS=n test_raft_planted      tries one, for longer
//
// The core is compiled in here once more with its bugs; the linker then takes none of it from the library.
#define MUSTER_PLANTED
#include "reconciler/raft/election.c"
#include "reconciler/raft/follower.c"
#include "reconciler/raft/leader.c"
#include "reconciler/raft/log.c"
#include "reconciler/raft/members.c"
#include "reconciler/raft/raft.c"
#include "reconciler/raft/reads.c"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "test/lib/check.h"
#include "test/sim/raft_sim.h"

enum planted_bug planted_bug;

static const struct {
    enum planted_bug bug;
    const char *name, *text;
} bugs[] = {
#define X(name, text) {BUG_##name, #name, text},
    PLANTED_BUG_LIST(X)
#undef X
};

static int64_t setting(const char *name, int64_t otherwise) {
    int64_t number;
    const char *text = getenv(name);
    return text != NULL && str_to_int(text, &number) ? number : otherwise;
}

// In a child, because many a bug ends in a broken assertion: that counts as found, too.
static void hunt(enum planted_bug bug, int64_t seeds, int out) {
    planted_bug = bug;
    if (freopen("/dev/null", "w", stderr) == NULL) {
        _exit(3);
    }
    for (int64_t seed = 0; seed < seeds; seed++) {
        AUTO_BUF why = buf_make(0);
        int64_t now = seed + 1;
        if (pwrite(out, &now, sizeof now, 0) != sizeof now) {
            _exit(3);
        }
        if (!sim_run((uint64_t)seed, /*virtual_ms=*/120 * 1000, &why, NULL)) {
            _exit(1);
        }
    }
    _exit(0);
}

// After how many seeds the bug was found; 0 = not at all.
static int64_t seeds_until_found(enum planted_bug bug, int64_t seeds) {
    char path[] = "/tmp/muster-planted.XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    unlink(path);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        hunt(bug, seeds, fd);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    int64_t at = 0;
    assert_int_equal(pread(fd, &at, sizeof at, 0), sizeof at);
    close(fd);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : at;
}

// --- what random runs do not provoke, or what is no loss of safety, is shown directly ---

static struct raft_entry ring[3][64];
static struct raft_message outbox[3][64];
static struct prng prng;

static void make(struct raft *raft, unsigned number, const struct raft_start *start) {
    const struct raft_options options = {
        .id = number + 1,
        .election_ticks = 10,
        .heartbeat_ticks = 1,
        .append_bytes_max = 1024,
        .inflight_max = 8,
        .inflight_bytes_max = 4096,
        .uncommitted_bytes_max = 4096,
        .prng = &prng,
        .ring = ring[number],
        .ring_count = 64,
        .messages = outbox[number],
        .messages_count = 64,
    };
    raft_init(raft, &options, start);
}

static const struct raft_configuration three = {3, {{1, true}, {2, true}, {3, true}}};

// The answer of `raft` to a message, if it gives one.
static bool answer_of(struct raft *raft, struct raft_message message, struct raft_message *out) {
    struct raft_accept accept;
    message.to = raft->options.id;
    raft->message_count = 0;
    raft_step(raft, &message, &accept);
    if (raft->message_count > 0) {
        *out = raft->options.messages[0];
    }
    return raft->message_count > 0;
}

// Trap 12: the longer log in the lower term asks the shorter log in the higher term.
static bool shows_hidden_term(void) {
    struct raft raft;
    struct raft_message answer;
    make(&raft, 1, &(struct raft_start){.term = 8, .configuration = three});
    bool answers = answer_of(
        &raft, (struct raft_message){.type = RAFT_PRE_VOTE, .from = 1, .term = 6, .index = 9, .log_term = 5},
        &answer);
    return !answers || answer.term != 8;
}

// Trap 13: a pre-vote changes neither term nor vote.
static bool shows_pre_vote_term(void) {
    struct raft raft;
    struct raft_message answer;
    make(&raft, 1, &(struct raft_start){.term = 8, .configuration = three});
    answer_of(&raft,
              (struct raft_message){.type = RAFT_PRE_VOTE, .from = 1, .term = 9, .index = 9, .log_term = 8},
              &answer);
    return raft.term != 8 || raft.vote != 0 || raft.is_hard_state_dirty;
}

static void make_leader(struct raft *raft) {
    struct raft_message answer;
    make(raft, 0, &(struct raft_start){.term = 1, .configuration = three});
    raft_campaign(raft);
    answer_of(raft, (struct raft_message){.type = RAFT_PRE_VOTE_REPLY, .from = 2, .term = 2}, &answer);
    raft_persisted(raft, 0);
    answer_of(raft, (struct raft_message){.type = RAFT_VOTE_REPLY, .from = 2, .term = 2}, &answer);
    assert_int_equal(raft->role, RAFT_LEADER);
}

static bool shows_no_check_quorum(void) {
    struct raft raft;
    make_leader(&raft);
    for (int i = 0; i < 20; i++) {
        raft_tick(&raft);
        raft_flush(&raft);
        raft_sent(&raft);
    }
    return raft.role == RAFT_LEADER;
}

// Trap 15: a vote was given in this term; the target of a transfer does not get another.
static bool shows_second_vote(void) {
    struct raft raft;
    struct raft_message answer = {0};
    make(&raft, 1, &(struct raft_start){.term = 4, .vote = 3, .configuration = three});
    answer_of(&raft,
              (struct raft_message){
                  .type = RAFT_VOTE, .from = 1, .term = 4, .index = 1, .log_term = 3, .is_transfer = true},
              &answer);
    return answer.type != RAFT_VOTE_REPLY || !answer.is_reject;
}

// Trap 23 (the fault of 2015): no change of voters before an entry of the own term is committed.
static bool shows_early_change(void) {
    struct raft raft;
    uint64_t index;
    struct raft_configuration two = {2, {{1, true}, {2, true}}};
    make_leader(&raft);
    return raft_propose_configuration(&raft, &two, 8, &index) != RAFT_REFUSED;
}

static const struct raft_entry old_entries[3] = {
    {1, 8, RAFT_ENTRY_DATA}, {1, 8, RAFT_ENTRY_DATA}, {1, 8, RAFT_ENTRY_DATA}};

// A follower whose log holds three entries of an old leader; the new one proves nothing about them.
static void append_nothing(struct raft *raft, struct raft_message *out_answer) {
    make(raft, 1,
         &(struct raft_start){.term = 1, .entries = old_entries, .count = 3, .configuration = three});
    answer_of(raft, (struct raft_message){.type = RAFT_APPEND, .from = 1, .term = 2, .commit = 3},
              out_answer);
}

// Trap 4.
static bool shows_ack_of_all(void) {
    struct raft raft;
    struct raft_message answer = {0};
    append_nothing(&raft, &answer);
    return answer.type != RAFT_APPEND_REPLY || answer.index != 0;
}

// Trap 6.
static bool shows_unproven_commit(void) {
    struct raft raft;
    struct raft_message answer = {0};
    append_nothing(&raft, &answer);
    return raft.commit != 0;
}

// Trap 7, both halves.
static bool shows_old_reply(void) {
    struct raft raft;
    struct raft_message answer;
    make_leader(&raft);
    answer_of(&raft, (struct raft_message){.type = RAFT_APPEND_REPLY, .from = 2, .term = 1, .index = 1},
              &answer);
    return raft.peers[0].match != 0;
}

static bool shows_kept_match(void) {
    struct raft raft;
    struct raft_message answer;
    make_leader(&raft);
    answer_of(&raft, (struct raft_message){.type = RAFT_APPEND_REPLY, .from = 2, .term = 2, .index = 1},
              &answer);
    assert_int_equal(raft.peers[0].match, 1);
    answer_of(&raft, (struct raft_message){.type = RAFT_HEARTBEAT, .from = 3, .term = 3}, &answer);
    raft_campaign(&raft);
    answer_of(&raft, (struct raft_message){.type = RAFT_PRE_VOTE_REPLY, .from = 2, .term = 4}, &answer);
    raft_persisted(&raft, 1);
    answer_of(&raft, (struct raft_message){.type = RAFT_VOTE_REPLY, .from = 2, .term = 4}, &answer);
    return raft.role != RAFT_LEADER || raft.peers[0].match != 0;
}

static const struct {
    enum planted_bug bug;
    bool (*shows)(void);
} directed[] = {
    {BUG_HIDDEN_TERM, shows_hidden_term},
    {BUG_PRE_VOTE_TERM, shows_pre_vote_term},
    {BUG_NO_CHECK_QUORUM, shows_no_check_quorum},
    {BUG_TRANSFER_SECOND_VOTE, shows_second_vote},
    {BUG_CHANGE_BEFORE_COMMIT, shows_early_change},
    {BUG_ACK_LAST_INDEX, shows_ack_of_all},
    {BUG_COMMIT_UNPROVEN, shows_unproven_commit},
    {BUG_OLD_TERM_REPLY, shows_old_reply},
    {BUG_KEEP_MATCH, shows_kept_match},
};

static bool (*directed_for(enum planted_bug bug))(void) {
    for (size_t i = 0; i < sizeof directed / sizeof *directed; i++) {
        if (directed[i].bug == bug) {
            return directed[i].shows;
        }
    }
    return NULL;
}

static void nothing_shows_without_a_bug(void **state) {
    (void)state;
    planted_bug = BUG_NONE;
    prng_seed(&prng, 1);
    for (size_t i = 0; i < sizeof directed / sizeof *directed; i++) {
        assert_false(directed[i].shows());
    }
    assert_int_equal(seeds_until_found(BUG_NONE, 50), 0);
}

static bool is_found(enum planted_bug bug, const char *name, const char *text, int64_t seeds) {
    bool (*shows)(void) = directed_for(bug);
    int64_t at = 0;
    bool is_shown = false;
    if (shows != NULL) {
        planted_bug = bug;
        is_shown = shows();
        planted_bug = BUG_NONE;
    } else {
        at = seeds_until_found(bug, seeds);
    }
    print_message("# %-20s %s: %s", name, text, is_shown || at > 0 ? "found" : "NOT FOUND");
    print_message(is_shown ? ", directly\n" : at > 0 ? ", seed %lld\n" : "\n", (long long)at - 1);
    return is_shown || at > 0;
}

static void every_bug_is_found(void **state) {
    (void)state;
    const char *only = getenv("BUG");
    int64_t seeds = setting("SEEDS", 1000);
    int missed = 0;
    for (size_t i = 0; i < sizeof bugs / sizeof *bugs; i++) {
        if (only == NULL || str_equal(only, bugs[i].name)) {
            missed += !is_found(bugs[i].bug, bugs[i].name, bugs[i].text, seeds);
        }
    }
    assert_int_equal(missed, 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(nothing_shows_without_a_bug),
    cmocka_unit_test(every_bug_is_found),
};

CHECK_MAIN(tests)
