// SPDX-License-Identifier: Apache-2.0
//
// transport/messages.h — the payloads of all messages, each with its schema, and the table of who may say
// what.
//
// A conversation is one request and its answers, told apart by a number that the client picks. An answer is
// a run of frames (OBJECTS…, EVENTS…) that ends with DONE or FAILURE; WATCH and followed LOGS go on until
// CANCEL.
#ifndef MUSTER_TRANSPORT_MESSAGES_H
#define MUSTER_TRANSPORT_MESSAGES_H

#include "base/limits.h"
#include "specs/cluster.h"
#include "specs/node.h"
#include "specs/object.h"
#include "specs/task.h"
#include "transport/agent_messages.h"
#include "transport/exec_messages.h"
#include "transport/peer_messages.h"
#include "transport/relay_messages.h"

#define PROTOCOL_VERSION 1
#define PROTOCOL_VERSION_MIN 1
#define MUSTER_VERSION "0.1.0"

enum message_number {
    MESSAGE_NONE = 0,
#define X(name, number, payload, sender, bytes, retry) MESSAGE_##name = number,
#include "transport/messages.def"
#undef X
};
enum message_sender { SENDER_CLIENT, SENDER_SERVER, SENDER_AGENT, SENDER_DISPATCHER, SENDER_MANAGER };

struct message_row {
    uint16_t number;
    const char *name;
    const struct schema *payload;
    enum message_sender sender;
    uint32_t bytes_max;
    bool is_retryable;
};
const struct message_row *message_row(uint16_t number); // NULL for an unknown number

struct nothing {
    struct bytes unknown;
};

struct hello {
    int64_t version_min, version_max;
    const char *client;
    bool is_stale; // reads may show what this manager last knew, without asking the others
    struct bytes unknown;
};
struct welcome {
    int64_t version;
    struct id node_id, cluster_id;
    const char *node_name, *server_version;
    bool is_manager;
    struct bytes unknown;
};
// code: name of base/error.h
struct failure {
    const char *code;
    const char *text;
    struct strings details;
    struct bytes unknown;
};
struct done {
    int64_t revision;
    struct bytes unknown;
};

// Objects of one kind. `references` are names, ids or unique id prefixes (each must resolve; -ERR_NOT_FOUND
// and -ERR_AMBIGUOUS name it); empty = all. For tasks, `service` and `node` narrow to their tasks; for
// revisions and rollouts, `service` to its own.
struct list_request {
    int64_t kind;
    struct strings references;
    struct id service, node;
    struct bytes unknown;
};
// Encoded objects (struct service…), a chunk of them; more may follow until DONE, whose revision is that of
// the picture.
struct object_item {
    struct bytes object;
    struct bytes unknown;
};
struct objects {
    int64_t kind;
    LIST_OF(struct object_item) items;
    struct bytes unknown;
};

// What users declare: specs, all or nothing in one transaction. expected_version: 0 = whatever it is now;
// -1 = must not exist; else the version that the change was based on. With dry_run nothing is written; the
// answer says what would happen.
struct apply_item {
    int64_t kind;
    const char *name;
    struct bytes spec;
    int64_t expected_version;
    const char *owner, *origin;
    struct bytes unknown;
};
struct apply_request {
    const char *request_id;
    const char *why;
    bool dry_run;
    LIST_OF(struct apply_item) items;
    struct bytes unknown;
};
enum apply_action { ACTION_UNCHANGED, ACTION_CREATED, ACTION_UPDATED, ACTION_REMOVED };
struct apply_result {
    int64_t kind;
    const char *name;
    struct id id;
    enum apply_action action;
    int64_t version;
    int64_t revision;
    enum consequence consequence;
    struct strings warnings;
    struct bytes unknown;
};
struct applied {
    int64_t revision;
    LIST_OF(struct apply_result) results;
    struct bytes unknown;
};

// answered with APPLIED
struct remove_request {
    const char *request_id;
    const char *why;
    int64_t kind;
    struct strings references;
    bool force;
    struct bytes unknown;
};

// What a user does to the rollout of a service. Answered with APPLIED, its one result that of the service.
// `revision`: to go back to, 0 = the one before the present one.
enum rollout_verb { ROLLOUT_ROLL_BACK, ROLLOUT_PAUSE, ROLLOUT_RESUME };
struct rollout_request {
    const char *request_id;
    const char *why;
    struct id service;
    enum rollout_verb verb;
    int64_t revision;
    int64_t expected_version; // of the service; 0 = whatever it is now
    struct bytes unknown;
};

// Everything after `from_revision`; 0 = a snapshot first (events with `snapshot` set), then deltas. kinds:
// bit mask 1 << kind, 0 = all. In an event batch `skipped` says that history between was trimmed away and a
// fresh snapshot follows; `caught_up` that the reader has everything up to `revision`.
struct watch_request {
    int64_t from_revision;
    int64_t kinds;
    struct bytes unknown;
};
struct event_batch {
    int64_t revision;
    bool skipped;
    bool caught_up;
    LIST_OF(struct event) events;
    const char *doubt; // why what is shown may be out of date: no manager leads; "" = it is not
    struct bytes unknown;
};
// A finite piece of history, oldest first: the last `limit` events after since_unix_ms that concern
// `references` (ids; empty = all).
struct history_request {
    int64_t since_unix_ms, until_unix_ms;
    int64_t limit;
    int64_t kinds;
    LIST_OF(struct object_item) ids;
    bool follow;
    struct bytes unknown;
};

struct info_reply {
    const char *server_version, *node_name, *state_dir, *run_dir, *executor;
    struct id node_id, cluster_id;
    bool is_initialized, is_manager;
    int64_t revision, managers, nodes, services, tasks, tasks_running;
    int64_t store_bytes, store_disk_free_bytes, history_first_revision;
    struct node_description description;
    struct cluster_spec cluster;
    struct strings warnings;
    int64_t started_unix_ms, resident_bytes;
    int64_t managers_reachable, quorum;
    struct strings manager_addresses; // that vote
    const char *leader_address;       // "" = none that this manager knows of
    const char *raft_role;            // of this manager
    int64_t raft_term, raft_applied;
    bool is_pending; // joining a cluster, or leaving one
    // of a worker
    const char *session_manager;   // with whom it has a session; "" = with nobody
    const char *session_trouble;   // why not
    int64_t session_since_unix_ms; // it is like that
    // of a manager, at its port
    int64_t agents;      // whose links are here
    int64_t callers;     // that have not said who they are
    int64_t turned_away; // that never did, or were refused, since the daemon started
    struct bytes unknown;
};

struct init_request {
    struct cluster_spec spec;
    const char *advertise_address, *listen_address;
    enum node_availability availability;
    bool force_new_cluster; // go on alone with the state that is there; the rest does not count then
    struct bytes unknown;
};
struct init_reply {
    struct id node_id, cluster_id;
    enum node_role role;
    struct bytes unknown;
};

// Answered with INIT_REPLY once this node is part of that cluster, in the role of the token.
struct swarm_join_request {
    struct strings remotes; // addresses of its managers, HOST:PORT
    const char *token;
    const char *advertise_address; // of this node; "" = as its daemon was told, or finds out
    enum node_availability availability;
    struct bytes unknown;
};

// Answered with INIT_REPLY once this node is no member any more and its tasks are stopped.
struct swarm_leave_request {
    bool force; // also when nobody answers, or when all state goes
    struct bytes unknown;
};

// Shows a join token, and may change it before: `rotate` makes a new one, without limits; then the limits
// that are given become those of the token that counts.
struct join_token_request {
    enum node_role role;
    bool rotate;
    int64_t ttl_ns; // from now on; 0 = it does not expire, -1 = as it is
    int64_t uses;   // from now on; 0 = without limit, -1 = as it is
    struct bytes unknown;
};
struct join_token_reply {
    const char *token, *address; // of this manager: where to join
    int64_t expires_unix_ms, uses_max, uses;
    struct bytes unknown;
};

// Answers CA_ROTATE once the new authority is announced.
struct ca_rotate_reply {
    const char *authority; // its fingerprint
    struct bytes unknown;
};

// Lines of the tasks of a service (or of one task), merged in time order.
struct logs_request {
    struct id service, task;
    bool follow;
    int64_t tail;
    int64_t since_unix_ns, until_unix_ns;
    struct bytes unknown;
};
struct log_line {
    struct id task;
    int64_t slot;
    int64_t time_unix_ns;
    bool is_stderr;
    struct bytes text;
    struct bytes unknown;
};
// What is missing, or comes again: of which node, and why.
struct log_note {
    struct id node_id;
    const char *text; // "node w2 is down: its logs are not here"
    struct bytes unknown;
};
struct log_lines {
    LIST_OF(struct log_line) lines;
    LIST_OF(struct log_note) notes; // said before the lines
    struct bytes unknown;
};

// Named volumes of the node that is asked: its directories, whatever they were declared as.
enum volumes_action { VOLUMES_LIST, VOLUMES_REMOVE, VOLUMES_PRUNE }; // prune: all that nobody uses
struct volumes_request {
    enum volumes_action action;
    struct strings names; // none = all, where they are listed
    struct bytes unknown;
};
struct local_volume {
    const char *name, *path;
    int64_t created_unix_ms;
    bool is_used;      // by a task of this node that is not over
    bool is_removed;   // by this request
    const char *error; // why it was not; "" = it was, or was not to be
    struct bytes unknown;
};
struct volumes_reply {
    LIST_OF(struct local_volume) volumes;
    struct bytes unknown;
};

// Why a task is where it is: its record, its service, and the filter funnel computed now by the real
// scheduler.
struct why_request {
    const char *reference;
    struct bytes unknown;
}; // id, id prefix, "web.3" or a service
struct why_reply {
    struct bytes task, service;
    const char *verdict;
    LIST_OF(struct funnel_step) funnel;
    struct strings nodes_left;
    struct strings history;
    struct strings advice;
    LIST_OF(struct remedy) would_run_if; // for a task that has no node
    struct bytes unknown;
};

// Moves running tasks of services to nodes that have fewer.
struct rebalance_request {
    struct strings references; // services; none = all
    bool plan_only;            // only say what would move
    const char *why;
    struct bytes unknown;
};
struct rebalance_move {
    const char *task; // "web.3"
    const char *from, *to, *why;
    struct bytes unknown;
};
struct rebalance_place {
    const char *node;
    int64_t before, after; // tasks of the service
    struct bytes unknown;
};
struct rebalance_service {
    const char *name;
    LIST_OF(struct rebalance_move) moves;
    LIST_OF(struct rebalance_place) places; // with any moves: each node that has tasks, before or after
    const char *obstacle;                   // why it cannot be balanced now; "" = it can, or is
    struct bytes unknown;
};
struct rebalance_reply {
    LIST_OF(struct rebalance_service) services;
    struct bytes unknown;
};

// What would come of declarations, if all goes well.
struct plan_service {
    const char *name;
    int64_t kept, replaced, moved, created, stopped, waiting; // tasks; those moved and waiting are counted before
    const char *reason;                     // why those that wait find no node; "" = none does
    bool is_cut;                            // too long to be followed to its end: places are those on the way
    LIST_OF(struct rebalance_place) places; // nodes with tasks, before or after
    struct bytes unknown;
};
struct plan_reply {
    LIST_OF(struct apply_result) results; // as of a dry run
    LIST_OF(struct plan_service) services; // that change
    int64_t revision;                      // of the store that was read
    struct bytes unknown;
};

// The payload schemas, one for each struct above.
#define X(name, number, payload, sender, bytes, retry) extern const struct schema payload##_schema;
#include "transport/messages.def"
#undef X
extern const struct schema apply_item_schema, apply_result_schema, object_item_schema, log_line_schema,
    log_note_schema, plan_service_schema, rebalance_move_schema, rebalance_place_schema,
    rebalance_service_schema;

#endif
