// SPDX-License-Identifier: Apache-2.0
//
// test/sim/cluster_world.h — the inside of a simulated cluster: shared by the runner, managers, clients, the
// operator and the checkers.
#ifndef MUSTER_TEST_SIM_CLUSTER_WORLD_H
#define MUSTER_TEST_SIM_CLUSTER_WORLD_H

#include "base/list.h"
#include "base/map.h"
#include "base/prng.h"
#include "reconciler/agent/agent.h"
#include "reconciler/agent/executor_fake.h"
#include "reconciler/daemon/planner.h"
#include "reconciler/daemon/proposals.h"
#include "reconciler/dispatch/assign.h"
#include "reconciler/dispatch/status.h"
#include "reconciler/store/replica_parts.h"
#include "test/sim/cluster.h"

#define PLACES_MAX 8 // for managers
#define CLIENTS_MAX 8
#define KEYS_MAX 8
#define TOLD_MAX 64
#define EPOCH_UNIX_MS INT64_C(1700000000000) // the wall clock when virtual time is 0
#define NEVER INT64_MAX

struct cluster_sim;

// A packet on its way.
struct cluster_parcel {
    int64_t at_ms;
    uint64_t order;
    unsigned from, to; // numbers of managers
    uint64_t from_raft_id, to_raft_id;
    uint16_t number;
    size_t len;
    uint8_t body[];
};

// The link that one manager has dialed to another, as transport/peers.h keeps it.
struct cluster_link {
    bool is_up;
    unsigned life;     // of the other one's process, that it leads to
    int64_t silent_ms; // since when nothing comes back; NEVER = it does
};

// --- clients ---

enum op_kind { OP_READ, OP_PUT, OP_ADD }; // ADD: to a counter, by compare and set
enum op_state { OP_OPEN, OP_DONE, OP_REFUSED, OP_UNKNOWN };

// One thing that a client wants. Its number is in what it writes, so each write is told from all others.
struct cluster_op {
    unsigned client, key;
    enum op_kind kind;
    enum op_state state;
    int64_t floor;       // version that it must not fall behind: of what was over when it began
    int64_t revision;    // at which its write was applied; 0 = it was not (yet)
    int64_t told;        // at which its client was told that it was
    uint64_t begin, end; // on the clock of the history
    bool has_seen;
    uint64_t seen; // who wrote what it read
};

// What a manager does for a client. It dies with the manager.
struct cluster_request {
    struct list_node node;
    struct cluster_manager *manager;
    unsigned client;
    uint64_t serial; // of the client's try
    bool is_taken;
    bool is_read;
    int64_t since_ms;
};

struct cluster_answer {
    unsigned client;
    uint64_t serial;
    bool is_read;
    int code;
    int64_t revision; // of a write; of a read: the version of the key
    uint64_t count, op;
};

struct cluster_client {
    unsigned number;
    int64_t next_ms; // when it does something; while it waits: when it gives up
    bool is_waiting;
    bool has_op;
    size_t op;       // of `ops`
    uint64_t serial; // of the present try: answers to earlier ones come too late
    unsigned tries;
    // ADD: what was read, to be written with one more
    bool was_read;
    int64_t version;
    uint64_t count;
};

// What is true of a key.
struct cluster_key {
    struct id id;
    char name[16];
    bool is_counter;
    int64_t version; // of the last write that was applied anywhere
    uint64_t count, op;
    int64_t floor;  // no operation that begins now may show less
    uint64_t added; // increments that clients were told of
};

// --- managers ---

enum cluster_disk { CLUSTER_DISK_GOOD, CLUSTER_DISK_FULL, CLUSTER_DISK_BROKEN };
enum cluster_death { ALIVE, DIES_IN_COMMIT, DIES_AFTER_COMMIT, DIES_NOW };

struct cluster_manager {
    struct cluster_sim *sim;
    unsigned number;
    struct id node_id;
    char name[16], store_dir[128], agent_dir[128];
    uint64_t raft_id;   // that it was given; 0 = it belongs to no group
    uint64_t lost_id;   // that it had before its store was lost: still in the group
    bool is_away;       // was taken out of the group, and is not to run
    bool is_leaving;    // is to be taken out
    bool is_damaged;    // its store was, since it was last open
    int64_t copy_index; // an older state of its store is kept, of that index; 0 = none

    // one life of its process; replica NULL = it is down
    unsigned life;
    struct cluster_link links[PLACES_MAX]; // to each of the others
    struct store *store;
    struct replica *replica;
    struct proposals proposals;
    struct planner planner;
    struct assign assign;
    struct status status;
    int64_t assigned_revision, status_retry_ms, tick_ms;
    bool leads, is_current, is_asking;
    struct agent *agent;
    struct executor *executor;
    struct list requests; // of clients
    size_t told_count;
    struct cluster_answer told[TOLD_MAX]; // in this turn, and not on their way yet

    struct fake_machine *machine;
    struct store_faults faults;
    enum cluster_disk disk;
    enum cluster_death death;
    int64_t die_in;   // commits
    int64_t delay_ms; // of what is sent in this turn: its commits took that long

    int64_t wake_ms; // for its next turn
    int64_t start_ms;
    int64_t busy_until_ms, stopped_until_ms, full_until_ms, slow_until_ms, slow_ms;
    int64_t wall_offset_ms;
    unsigned held; // packets that wait for it

    uint64_t seen_applied, seen_term, digest_index;
    bool seen_leading;
};

// --- what is true ---

struct cluster_task {
    struct id id, service_id, node_id;
    int64_t slot, desired, state;
};

struct cluster_truth {
    uint64_t last; // index of the last entry that anybody has applied
    uint64_t acknowledged;
    size_t capacity;
    uint64_t *terms;   // of the entry at each index
    uint32_t *sums;    // of its payload
    uint64_t *digests; // of the store after it; 0 = not worked out
    struct map tasks;  // of struct cluster_task, by id
    struct store_position position;
};

struct cluster_knobs {
    unsigned managers, clients, keys, services;
    unsigned loss, duplicate, delay_long; // per 1000
    unsigned delay_ms;
    int64_t think_ms, user_ms;
    int64_t every_ms[TROUBLE_END]; // on average; 0 = never
    struct replica_pace pace;
};

struct cluster_sim {
    struct cluster_run run;
    struct cluster_knobs knobs;
    struct prng prng;
    char dir[96];
    int64_t now_ms;
    uint64_t next_order, next_serial;
    uint64_t clock; // of the history: rises with each thing that a client does or hears
    struct cluster_manager managers[PLACES_MAX];
    unsigned count;
    bool cut[PLACES_MAX][PLACES_MAX]; // from, to
    int64_t cut_until_ms;
    int64_t links_ms; // when it is looked which links are up
    struct cluster_parcel **heap;
    size_t heap_count, heap_capacity;
    bool is_healing;
    int64_t trouble_ms[TROUBLE_END], look_ms;

    struct cluster_client clients[CLIENTS_MAX];
    struct cluster_key keys[KEYS_MAX];
    struct cluster_op *ops;
    size_t op_count, op_capacity;
    bool clients_rest; // begin nothing new

    // the operator
    int64_t operator_ms;
    bool is_changing;

    // who uses services
    int64_t user_ms;
    unsigned service_number;

    struct cluster_truth truth;
    struct {
        uint64_t term, raft_id;
    } leaders[4096];
    int64_t led_ms; // when there was a leader last
    struct error err;
    char broken[1024];
    struct buf *trace;
};

// --- cluster_world.c: time, the network, words ---

void cluster_note(struct cluster_sim *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
void cluster_break(struct cluster_sim *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline bool cluster_is_broken(const struct cluster_sim *c) {
    return c->broken[0] != '\0';
}
void cluster_step(struct cluster_sim *c, int64_t until_ms); // to the next event, at most until then
void cluster_post(struct cluster_manager *from, const struct replica_packet *packet);
void cluster_drop_parcels(struct cluster_sim *c);
bool cluster_is_linked(const struct cluster_manager *from, uint64_t raft_id);
// Seven in eight of the results lie between half of it and twice of it.
int64_t cluster_about(struct cluster_sim *c, int64_t ms);
bool cluster_chance(struct cluster_sim *c, unsigned per_1000);
static inline uint64_t cluster_below(struct cluster_sim *c, uint64_t bound) {
    return prng_below(&c->prng, bound);
}

// --- cluster_manager.c ---

struct cluster_manager *cluster_manager_add(struct cluster_sim *c);
void cluster_manager_start(struct cluster_manager *m);
void cluster_manager_kill(struct cluster_manager *m, int64_t start_after_ms);
void cluster_manager_turn(struct cluster_manager *m);
void cluster_manager_receive(struct cluster_manager *m, const struct cluster_parcel *parcel);
void cluster_manager_forget(struct cluster_manager *m); // down, and nothing is left of its store
void cluster_manager_leave(struct cluster_manager *m);  // it is a member no more: nothing is left of it
void cluster_manager_free(struct cluster_manager *m);
bool cluster_manager_is_awake(const struct cluster_manager *m); // up, not stopped, not busy
bool cluster_manager_leads(const struct cluster_manager *m);
// The one that leads the highest term; NULL = none that is awake.
struct cluster_manager *cluster_leader(struct cluster_sim *c);
int64_t cluster_wall_ms(const struct cluster_manager *m);
void cluster_tell(struct cluster_manager *m, const struct cluster_answer *answer);

// --- cluster_agent.c ---

void cluster_agent_make_machine(struct cluster_manager *m);
int cluster_agent_start(struct cluster_manager *m, struct error *err);
void cluster_agent_stop(struct cluster_manager *m);
void cluster_agent_turn(struct cluster_manager *m);                       // what its tasks did
int cluster_agent_step(struct cluster_manager *m, struct error *err);     // says so to the managers
int cluster_agent_dispatch(struct cluster_manager *m, struct error *err); // is told what to hold
int64_t cluster_agent_wake_ms(const struct cluster_manager *m);

// --- cluster_client.c ---

void cluster_clients_begin(struct cluster_sim *c);
void cluster_client_step(struct cluster_client *client, struct cluster_sim *c);
void cluster_client_answered(struct cluster_sim *c, const struct cluster_answer *answer);
void cluster_request_take(struct cluster_request *request);
void cluster_requests_drop(struct cluster_manager *m);
bool cluster_clients_are_idle(const struct cluster_sim *c);
// The object of a key, as an operation writes it.
void cluster_key_encode(const struct cluster_key *key, uint64_t op, uint64_t count, struct buf *out);
bool cluster_key_decode(struct bytes object, int64_t *version, uint64_t *op, uint64_t *count);

// --- cluster_history.c ---

void cluster_judge(struct cluster_sim *c); // all that clients did, by another judge

// --- cluster_operator.c: who belongs to the group, and who uses services ---

void cluster_operator_found(struct cluster_sim *c);
void cluster_operator_step(struct cluster_sim *c);
void cluster_user_step(struct cluster_sim *c);
bool cluster_operator_is_done(struct cluster_sim *c);
bool cluster_may_lose_store(struct cluster_sim *c, const struct cluster_manager *m);
void cluster_operator_disturb(struct cluster_sim *c); // lets one leave, come back, vote no more
void cluster_operator_retire(struct cluster_sim *c);  // switches off those who have left

// --- cluster_trouble.c ---

void cluster_troubles_begin(struct cluster_sim *c);
int64_t cluster_troubles_next_ms(const struct cluster_sim *c);
void cluster_troubles_step(struct cluster_sim *c);
void cluster_heal(struct cluster_sim *c);

// --- cluster_check.c ---

void cluster_check_manager(struct cluster_manager *m);              // after each turn and packet
void cluster_check_quiet(struct cluster_sim *c);                    // now and then
void cluster_check_end(struct cluster_sim *c);                      // after healing
void cluster_note_managers(struct cluster_sim *c);                  // how they are
bool cluster_has_converged(struct cluster_sim *c, struct buf *why); // desired = actual, and all agree

#endif
