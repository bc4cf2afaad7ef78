// SPDX-License-Identifier: Apache-2.0
//
// test/lib/replicas.h — a group of managers' replicas in one process, on virtual time: real stores, a network
// made of a list.
//
// Model        Each replica has a store in a directory of its own (tmpfs where there is one). Packets are
//              real bytes, delivered after a delay; the test says what is cut, lost, delayed, who is killed
//              (at the next commit, or now) and when time passes. Everything follows from the seed.
// Virtual time replicas_run lets it pass in steps of a millisecond at which something happens.
#ifndef MUSTER_TEST_LIB_REPLICAS_H
#define MUSTER_TEST_LIB_REPLICAS_H

#include "base/list.h"
#include "base/prng.h"
#include "reconciler/store/replica.h"
#include "test/lib/store_fixture.h"

#define GROUP_MAX 9

struct replicas;

// What a replica's disk does at its next commits.
enum replica_disk { DISK_GOOD, DISK_FULL, DISK_BROKEN };

struct replica_node {
    struct replicas *group;
    unsigned number; // its place; node id = store_id(100 + number)
    char dir[64];
    struct store *store;
    struct replica *replica; // NULL = it is down
    struct store_faults faults;
    enum replica_disk disk;
    int64_t commits;                      // made, in this life
    int64_t die_at_commit;                // it "loses power" before that commit; 0 = not
    bool is_dying;                        // its turn failed: it is taken down
    bool is_stopped;                      // its loop does not run (SIGSTOP); packets wait
    bool keeps_quiet;                     // what it sends is lost
    int64_t delay_ms;                     // of what it sends; 0 = 1
    int64_t member_changes;               // calls of on_members
    LIST_OF(struct store_result) results; // of its proposals, in the order they came
    char failure[512];                    // why it went down by itself
};

struct replicas {
    char dir[64];
    unsigned count;
    struct replica_node nodes[GROUP_MAX];
    struct replica_pace pace;
    bool cut[GROUP_MAX][GROUP_MAX]; // from, to
    unsigned loss_per_1000;
    bool tells_links; // who is killed breaks its links, and the others notice
    int64_t now_ms;
    struct list parcels; // in the order of arrival
    struct prng prng;
    uint64_t next_token, sent, delivered;
    size_t map_bytes;
    struct store_fixture objects; // only for its arena: store_config(&r->objects, …)
    struct error err;
};

// A group of `count` voters that has a leader. pace NULL = the usual one.
void replicas_begin(struct replicas *r, unsigned count, uint64_t seed, const struct replica_pace *pace);
void replicas_end(struct replicas *r); // removes everything

void replicas_run(struct replicas *r, int64_t ms);
// Runs until the condition holds; false when `ms` have passed without.
typedef bool (*replicas_condition)(struct replicas *r, void *context);
bool replicas_until(struct replicas *r, replicas_condition holds, void *context, int64_t ms);
struct replica_node *replicas_leader(struct replicas *r); // the one of the highest term, ready; NULL = none
struct replica_node *replicas_wait_leader(struct replicas *r); // fails the test when there is none in 20 s
struct replica_node *replicas_follower(struct replicas *r);    // one that is up and not the leader

// --- life and death ---

struct replica_node *replicas_add(struct replicas *r); // a new directory, belonging to no group yet
int replicas_start(struct replicas *r, struct replica_node *node); // the result of opening
void replicas_kill(struct replicas *r, struct replica_node *node);
void replicas_isolate(struct replicas *r, const struct replica_node *node, bool is_cut);
void replicas_heal(struct replicas *r); // cuts, loss, stops; starts nobody
// Joins as a learner that wants to vote; returns once the leader's change is committed.
void replicas_join(struct replicas *r, struct replica_node *node);

// --- use ---

// Proposes one change there. 0 with the token, or why not.
int replicas_propose(struct replicas *r, struct replica_node *node, enum change_op op,
                     struct store_object object, int64_t expected, const char *request_id, uint64_t *token);
// Waits for the result of the token (20 s of virtual time).
struct store_result replicas_result(struct replicas *r, struct replica_node *node, uint64_t token);
bool replicas_has_result(const struct replica_node *node, uint64_t token);
// Creates config `number` there, and waits.
struct store_result replicas_put(struct replicas *r, struct replica_node *node, unsigned number);
// A linearizable read there: waits for its turn; false when it was refused.
bool replicas_read(struct replicas *r, struct replica_node *node);
bool replicas_has_config(struct replicas *r, struct replica_node *node, unsigned number);
// Everybody who is up has applied the same and holds the same records; waits for it, fails the test
// otherwise.
void replicas_agree(struct replicas *r);

#endif
