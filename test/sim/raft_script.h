// SPDX-License-Identifier: Apache-2.0
//
// test/sim/raft_script.h — directed cases for the Raft core, told as a story: one statement a line.
//
// A file test/sim/scenario/NAME.raft is a case and a test. Nothing happens by itself: messages wait on their
// links until the story delivers or loses them, clocks stand until it ticks. A node takes its turn (send,
// sync, send) at once after each event that it sees. After each statement all checkers of the simulator look.
//
//     nodes VOTERS [learners COUNT]        first; ids 1, 2, 3 …, all up, term 0, empty logs
//     bites BUG…                           planted bugs (reconciler/raft/planted.h) that must make this fail
//     given NODE term T [vote V] [log "TERMS"]     starts anew with that on its disk
//     append-limit BYTES                   of a message of entries; an entry has 64
//     campaign NODE                        its election timeout passes
//     tick NODE [COUNT] heartbeats after 1, elections after 15, check of the quorum after 10 deliver FROM
//     TO [TYPE] [WHICH] FROM, TO: a node or *; TYPE: append, vote-reply …; WHICH: all drop | duplicate |
//     hold | release (what is there now), first, last, or a count. Held messages are out
//                                          of reach until they are released. A snapshot is a message
//                                          (snapshot), then a whole stream (install), then its end for the
//                                          sender (snapshot-end)
//     send FROM TO TYPE [FIELD NUMBER]…    a message that nobody sent. FIELD: term, index, log-term, commit,
//                                          sequence, reject, transfer
//     settle                               delivers until nothing is on its way
//     cut FROM TO | heal                   what is sent over a cut link is lost
//     persist off|on NODE                  its disk is slow: turns end before their sync
//     crash NODE [before-sync|after-sync]  after-sync: and before the messages that waited for it
//     start NODE                           with what was durable
//     propose NODE NAME | read NODE NAME
//     change NODE add|promote|demote|remove ID     add makes the node, if it is not there: a learner
//     transfer NODE NODE | compact NODE INDEX
//     expect [not] … role N R, term N T, vote N V|none, commit N I, last N I, log N "T…",
//                                          durable N "T…", leader N, no-leader, voters N "ID…", learners N
//                                          "ID…", read NAME served|waiting|lost, outcome
//                                          done|not-leader|busy|refused|not-caught-up, applied N NAME,
//                                          removed N, message FROM TO TYPE [FIELD NUMBER]…, match N N I,
//                                          agreed
//
// Logs are written as the terms of their entries, "(4) 2 2" after compaction up to index 4. `#` begins a
// comment.
#ifndef MUSTER_TEST_SIM_RAFT_SCRIPT_H
#define MUSTER_TEST_SIM_RAFT_SCRIPT_H

#include "base/buf.h"
#include "test/sim/raft_world.h"

#define SCRIPT_FOLDER "test/sim/scenario"
#define SCRIPT_FILES_MAX 128
#define SCRIPT_WORDS_MAX 16

struct script_list {
    size_t count;
    char names[SCRIPT_FILES_MAX][96]; // sorted, without folder and ".raft"
};
void script_list_load(struct script_list *out); // ends the process when the folder is not there

// Runs a case. True when it went as told; else `out` has path:line:column, what was wrong, what would be
// right, and what happened up to there.
bool script_run(const char *path, const char *text, struct buf *out);
bool script_run_name(const char *name, struct buf *out); // of the folder
bool script_bites(const char *name, const char *bug);    // says so in its `bites`

// --- for raft_expect.c ---

struct script_word {
    char text[64];
    int column;
};

struct script_name {
    char name[32];
    uint64_t number, term; // context of a read; index and term of an entry
};

struct script {
    const char *path;
    int line;
    struct sim *sim; // NULL before `nodes`
    unsigned count;
    struct script_word words[SCRIPT_WORDS_MAX];
    size_t read_count, entry_count;
    struct script_name reads[32], entries[32];
    enum raft_outcome outcome;
    size_t held_count;
    struct sim_parcel *held[256];
    struct buf trace;
    struct buf *out;
    bool is_failed;
};

// Where something went wrong: word `at` of the line. Only the first failure is kept.
void script_fail(struct script *script, unsigned at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// Words of the line as what they should be; on failure 0 or NULL, and the script has failed.
uint64_t script_number(struct script *script, unsigned at);
struct sim_node *script_take_node(struct script *script, unsigned at);
uint64_t script_take_end(struct script *script, unsigned at); // of a link; 0 = any
const struct script_name *script_take_name(struct script *script, unsigned at,
                                           const struct script_name *names, size_t count);
bool script_is_word(const struct script *script, unsigned at, const char *text); // false beyond the end
bool script_is_type(const char *text);                                           // of a message
// A field of a message by its name; false = no such field.
bool script_field(const struct raft_message *message, const char *name, uint64_t *out);
bool script_matches(const struct sim_parcel *parcel, uint64_t from, uint64_t to, const char *type);
void script_expect(struct script *script); // the line begins with `expect`

#endif
