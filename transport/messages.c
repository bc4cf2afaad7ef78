// SPDX-License-Identifier: Apache-2.0
//
// transport/messages.c — the schemas of all payloads and the message table, built from
// transport/messages.def.
#include "transport/messages.h"

#include "specs/row.h"

static const char *const action_names[] = {"unchanged", "created", "updated", "removed"};

static const struct field hello_fields[] = {
    INT(struct hello, 1, version_min, 0, 65535, .help = "Oldest protocol version the client speaks."),
    INT(struct hello, 2, version_max, 0, 65535, .help = "Newest protocol version the client speaks."),
    STRING(struct hello, 3, client, .help = "Name and version of the program, for the log."),
    BOOL(struct hello, 4, is_stale, .name = "stale", .help = "Reads need not be the newest."),
};
const struct schema hello_schema =
    SCHEMA("hello", struct hello, hello_fields, .help = "First message of a client.");

static const struct field welcome_fields[] = {
    INT(struct welcome, 1, version, 0, 65535, .help = "Protocol version of this link."),
    ID(struct welcome, 2, node_id, .help = "Node that answers."),
    ID(struct welcome, 3, cluster_id, .help = "Its cluster."),
    STRING(struct welcome, 4, node_name, .help = "Name of the node."),
    STRING(struct welcome, 5, server_version, .help = "Version of musterd."),
    BOOL(struct welcome, 6, is_manager, .help = "Whether the node is a manager."),
};
const struct schema welcome_schema =
    SCHEMA("welcome", struct welcome, welcome_fields, .help = "The daemon's answer to hello.");

static const struct field nothing_fields[] = {
    {.name = "reserved", .tag = 2047, .kind = FIELD_BLOB, .offset = offsetof(struct nothing, unknown)},
};
const struct schema nothing_schema = {.name = "nothing",
                                      .help = "An empty payload.",
                                      .fields = nothing_fields,
                                      .count = 0,
                                      .bytes = sizeof(struct nothing),
                                      .unknown_offset = offsetof(struct nothing, unknown)};

static const struct field failure_fields[] = {
    STRING(struct failure, 1, code, .help = "Name of the error code."),
    STRING(struct failure, 2, text, .help = "What went wrong, root cause last."),
    STRINGS(struct failure, 3, details, .help = "One line for each broken rule."),
};
const struct schema failure_schema =
    SCHEMA("failure", struct failure, failure_fields, .help = "A refused request.");

static const struct field done_fields[] = {
    INT(struct done, 1, revision, 0, INT64_MAX, .help = "Revision of the picture the answer was taken from."),
};
const struct schema done_schema = SCHEMA("done", struct done, done_fields, .help = "End of an answer.");

static const struct field list_request_fields[] = {
    INT(struct list_request, 1, kind, 0, 63, .help = "Kind of the objects."),
    STRINGS(struct list_request, 2, references, .help = "Names, ids or unique prefixes of ids."),
    ID(struct list_request, 3, service, .help = "Only tasks or revisions of this service."),
    ID(struct list_request, 4, node, .help = "Only tasks on this node."),
};
const struct schema list_request_schema =
    SCHEMA("list_request", struct list_request, list_request_fields, .help = "Which objects to list.");

static const struct field object_item_fields[] = {
    BLOB(struct object_item, 1, object, .help = "One encoded object."),
};
const struct schema object_item_schema =
    SCHEMA("object_item", struct object_item, object_item_fields, .help = "An encoded object.");

static const struct field objects_fields[] = {
    INT(struct objects, 1, kind, 0, 63, .help = "Kind of the objects."),
    LIST(struct objects, 2, items, &object_item_schema, struct object_item, .max = 1000000,
         .help = "The objects."),
};
const struct schema objects_schema =
    SCHEMA("objects", struct objects, objects_fields, .help = "A chunk of a listing.");

static const struct field apply_item_fields[] = {
    INT(struct apply_item, 1, kind, 0, 63, .help = "Kind of the object."),
    STRING(struct apply_item, 2, name, .help = "Its name."),
    BLOB(struct apply_item, 3, spec, .help = "The encoded spec."),
    INT(struct apply_item, 4, expected_version, -1, INT64_MAX, .help = "Version the change was based on."),
    STRING(struct apply_item, 5, owner, .help = "Set that declares the object."),
    STRING(struct apply_item, 6, origin, .help = "Place of the declaration."),
};
const struct schema apply_item_schema =
    SCHEMA("apply_item", struct apply_item, apply_item_fields, .help = "One declared object.");

static const struct field apply_request_fields[] = {
    STRING(struct apply_request, 1, request_id, .help = "Makes a retry harmless."),
    STRING(struct apply_request, 2, why, .help = "Reason, kept in the history."),
    BOOL(struct apply_request, 3, dry_run, .help = "Only say what would happen."),
    LIST(struct apply_request, 4, items, &apply_item_schema, struct apply_item, .help = "What is declared."),
};
const struct schema apply_request_schema = SCHEMA("apply_request", struct apply_request, apply_request_fields,
                                                  .help = "Declarations, all or nothing.");

static const struct field apply_result_fields[] = {
    INT(struct apply_result, 1, kind, 0, 63, .help = "Kind of the object."),
    STRING(struct apply_result, 2, name, .help = "Its name."),
    ID(struct apply_result, 3, id, .help = "Its id."),
    ENUM(struct apply_result, 4, action, action_names, ACTION_UNCHANGED, .help = "What was done."),
    INT(struct apply_result, 5, version, 0, INT64_MAX, .help = "Version of the object afterwards."),
    INT(struct apply_result, 6, revision, 0, INT64_MAX, .help = "Revision of the service's spec afterwards."),
    ENUM(struct apply_result, 7, consequence, consequence_names, CONSEQUENCE_NOTHING,
         .help = "What the change does to running tasks."),
    STRINGS(struct apply_result, 8, warnings, .help = "What the user should know."),
};
const struct schema apply_result_schema = SCHEMA("apply_result", struct apply_result, apply_result_fields,
                                                 .help = "What became of one declaration.");

static const struct field applied_fields[] = {
    INT(struct applied, 1, revision, 0, INT64_MAX, .help = "Revision of the transaction."),
    LIST(struct applied, 2, results, &apply_result_schema, struct apply_result, .help = "One for each item."),
};
const struct schema applied_schema =
    SCHEMA("applied", struct applied, applied_fields, .help = "A stored change.");

static const struct field remove_request_fields[] = {
    STRING(struct remove_request, 1, request_id, .help = "Makes a retry harmless."),
    STRING(struct remove_request, 2, why, .help = "Reason, kept in the history."),
    INT(struct remove_request, 3, kind, 0, 63, .help = "Kind of the objects."),
    STRINGS(struct remove_request, 4, references, .help = "Names, ids or unique prefixes of ids."),
    BOOL(struct remove_request, 5, force, .help = "Nodes: also while they are up."),
};
const struct schema remove_request_schema =
    SCHEMA("remove_request", struct remove_request, remove_request_fields, .help = "Objects to remove.");

static const char *const rollout_verb_names[] = {"roll_back", "pause", "resume"};
static const struct field rollout_request_fields[] = {
    STRING(struct rollout_request, 1, request_id, .help = "Makes a retry harmless."),
    STRING(struct rollout_request, 2, why, .help = "Reason, kept in the history."),
    ID(struct rollout_request, 3, service, .help = "The service."),
    ENUM(struct rollout_request, 4, verb, rollout_verb_names, ROLLOUT_ROLL_BACK, .help = "What is to be done."),
    INT(struct rollout_request, 5, revision, 0, INT64_MAX, .help = "Revision to go back to; 0 = the last one."),
    INT(struct rollout_request, 6, expected_version, 0, INT64_MAX,
        .help = "Version of the service the request was based on."),
};
const struct schema rollout_request_schema =
    SCHEMA("rollout_request", struct rollout_request, rollout_request_fields,
           .help = "What a user does to a rollout.");

static const struct field watch_request_fields[] = {
    INT(struct watch_request, 1, from_revision, 0, INT64_MAX,
        .help = "Last revision seen; 0 = snapshot first."),
    INT(struct watch_request, 2, kinds, 0, INT64_MAX, .help = "Bit mask of kinds; 0 = all."),
};
const struct schema watch_request_schema =
    SCHEMA("watch_request", struct watch_request, watch_request_fields, .help = "What to watch.");

static const struct field event_batch_fields[] = {
    INT(struct event_batch, 1, revision, 0, INT64_MAX,
        .help = "Everything up to here has been sent when caught_up."),
    BOOL(struct event_batch, 2, skipped, .help = "History in between was trimmed: a fresh snapshot follows."),
    BOOL(struct event_batch, 3, caught_up, .help = "The reader has everything up to revision."),
    LIST(struct event_batch, 4, events, &event_schema, struct event, .max = 1000000, .help = "The events."),
    STRING(struct event_batch, 5, doubt, .help = "Why what is shown may be out of date; empty = it is not."),
};
const struct schema event_batch_schema =
    SCHEMA("event_batch", struct event_batch, event_batch_fields, .help = "A piece of the watch stream.");

static const struct field history_request_fields[] = {
    INT(struct history_request, 1, since_unix_ms, 0, INT64_MAX, .help = "Not older than this."),
    INT(struct history_request, 2, until_unix_ms, 0, INT64_MAX, .help = "Not newer than this; 0 = no bound."),
    INT(struct history_request, 3, limit, 0, INT64_MAX, .help = "At most this many, the newest; 0 = all."),
    INT(struct history_request, 4, kinds, 0, INT64_MAX, .help = "Bit mask of kinds; 0 = all."),
    LIST(struct history_request, 5, ids, &object_item_schema, struct object_item,
         .help = "Only of these ids."),
    BOOL(struct history_request, 6, follow, .help = "Go on with what happens next."),
};
const struct schema history_request_schema =
    SCHEMA("history_request", struct history_request, history_request_fields, .help = "A piece of history.");

static const struct field info_reply_fields[] = {
    STRING(struct info_reply, 1, server_version, .help = "Version of musterd."),
    STRING(struct info_reply, 2, node_name, .help = "Name of the node."),
    STRING(struct info_reply, 3, state_dir, .help = "Where durable state is."),
    STRING(struct info_reply, 4, run_dir, .help = "Where run-time state is."),
    STRING(struct info_reply, 5, executor, .help = "What runs tasks."),
    ID(struct info_reply, 6, node_id, .help = "Id of the node."),
    ID(struct info_reply, 7, cluster_id, .help = "Id of the cluster."),
    BOOL(struct info_reply, 8, is_initialized, .help = "Whether the node is part of a cluster."),
    BOOL(struct info_reply, 9, is_manager, .help = "Whether it is a manager."),
    INT(struct info_reply, 10, revision, 0, INT64_MAX, .help = "Revision of the store."),
    INT(struct info_reply, 11, managers, 0, INT64_MAX, .help = "Managers in the cluster."),
    INT(struct info_reply, 12, nodes, 0, INT64_MAX, .help = "Nodes in the cluster."),
    INT(struct info_reply, 13, services, 0, INT64_MAX, .help = "Services declared."),
    INT(struct info_reply, 14, tasks, 0, INT64_MAX, .help = "Task records."),
    INT(struct info_reply, 15, tasks_running, 0, INT64_MAX, .help = "Tasks running."),
    INT(struct info_reply, 16, store_bytes, 0, INT64_MAX, .help = "Bytes used by the store."),
    INT(struct info_reply, 17, store_disk_free_bytes, 0, INT64_MAX,
        .help = "Bytes free on the store's disk."),
    INT(struct info_reply, 18, history_first_revision, 0, INT64_MAX,
        .help = "Oldest revision still in the history."),
    STRUCT(struct info_reply, 19, description, &node_description_schema, struct node_description,
           .help = "What the node says of itself."),
    STRUCT(struct info_reply, 20, cluster, &cluster_spec_schema, struct cluster_spec,
           .help = "Cluster settings."),
    STRINGS(struct info_reply, 21, warnings, .help = "What the operator should know."),
    TIME(struct info_reply, 22, started_unix_ms, .help = "When the daemon started."),
    INT(struct info_reply, 23, resident_bytes, 0, INT64_MAX, .help = "Resident memory of the daemon."),
    INT(struct info_reply, 24, managers_reachable, 0, INT64_MAX, .help = "Managers that answer the leader."),
    INT(struct info_reply, 25, quorum, 0, INT64_MAX, .help = "Managers that must answer."),
    STRINGS(struct info_reply, 26, manager_addresses, .help = "Where managers that vote are."),
    STRING(struct info_reply, 27, leader_address, .help = "Where the leader is."),
    STRING(struct info_reply, 28, raft_role, .help = "Role of this manager: leader, follower and others."),
    INT(struct info_reply, 29, raft_term, 0, INT64_MAX, .help = "Raft's term."),
    INT(struct info_reply, 30, raft_applied, 0, INT64_MAX, .help = "Index of the last log entry applied."),
    BOOL(struct info_reply, 31, is_pending, .help = "Whether it is joining a cluster, or leaving one."),
    STRING(struct info_reply, 32, session_manager, .help = "Manager that this worker has a session with."),
    STRING(struct info_reply, 33, session_trouble, .help = "Why it has none."),
    TIME(struct info_reply, 34, session_since_unix_ms, .help = "Since when it has one, or has none."),
    INT(struct info_reply, 50, agents, 0, INT64_MAX, .help = "Agents whose links this manager has."),
    INT(struct info_reply, 51, callers, 0, INT64_MAX, .help = "Callers that have not said who they are."),
    INT(struct info_reply, 52, turned_away, 0, INT64_MAX,
        .help = "Callers that never did, or were refused, since the daemon started."),
};
const struct schema info_reply_schema =
    SCHEMA("info_reply", struct info_reply, info_reply_fields, .help = "What a daemon is and holds.");

static const struct field init_request_fields[] = {
    STRUCT(struct init_request, 1, spec, &cluster_spec_schema, struct cluster_spec,
           .help = "Cluster settings."),
    STRING(struct init_request, 2, advertise_address, .help = "Address that others use."),
    STRING(struct init_request, 3, listen_address, .help = "Address to listen on."),
    ENUM(struct init_request, 4, availability, node_availability_names, AVAILABILITY_ACTIVE,
         .help = "Availability of the first node."),
    BOOL(struct init_request, 5, force_new_cluster, .help = "Go on alone with the state that is there."),
};
const struct schema init_request_schema = SCHEMA("init_request", struct init_request, init_request_fields,
                                                 .help = "A new cluster of this one node.");

static const struct field init_reply_fields[] = {
    ID(struct init_reply, 1, node_id, .help = "Id of the node."),
    ID(struct init_reply, 2, cluster_id, .help = "Id of the cluster."),
    ENUM(struct init_reply, 3, role, node_role_names, ROLE_MANAGER, .help = "What the node is there."),
};
const struct schema init_reply_schema =
    SCHEMA("init_reply", struct init_reply, init_reply_fields, .help = "The new cluster.");

static const struct field swarm_join_request_fields[] = {
    STRINGS(struct swarm_join_request, 1, remotes, .help = "Addresses of managers."),
    STRING(struct swarm_join_request, 2, token, .flags = FIELD_SECRET, .help = "Lets it in."),
    STRING(struct swarm_join_request, 3, advertise_address, .help = "Address that others use."),
    ENUM(struct swarm_join_request, 4, availability, node_availability_names, AVAILABILITY_ACTIVE,
         .help = "Availability of the node."),
};
const struct schema swarm_join_request_schema = SCHEMA("swarm_join_request", struct swarm_join_request,
                                                       swarm_join_request_fields, .help = "Joins a cluster.");

static const struct field swarm_leave_request_fields[] = {
    BOOL(struct swarm_leave_request, 1, force,
         .help = "Also when nobody answers, or when all state of the cluster goes."),
};
const struct schema swarm_leave_request_schema =
    SCHEMA("swarm_leave_request", struct swarm_leave_request, swarm_leave_request_fields,
           .help = "Leaves the cluster.");

static const struct field join_token_request_fields[] = {
    ENUM(struct join_token_request, 1, role, node_role_names, ROLE_WORKER, .help = "What nodes join as."),
    BOOL(struct join_token_request, 2, rotate, .help = "Make a new one."),
    INT(struct join_token_request, 3, ttl_ns, -1, INT64_MAX, .default_int = -1,
        .help = "Nanoseconds from now on; 0 is for ever, -1 as it is."),
    INT(struct join_token_request, 4, uses, -1, CLUSTER_TOKEN_USES_MAX, .default_int = -1,
        .help = "Nodes from now on; 0 is without limit, -1 as it is."),
};
const struct schema join_token_request_schema =
    SCHEMA("join_token_request", struct join_token_request, join_token_request_fields,
           .help = "Show a join token, perhaps changed.");

static const struct field join_token_reply_fields[] = {
    STRING(struct join_token_reply, 1, token, .flags = FIELD_SECRET, .help = "The token that counts."),
    STRING(struct join_token_reply, 2, address, .help = "Where this manager is joined, host:port."),
    TIME(struct join_token_reply, 3, expires_unix_ms, .name = "expires", .help = "When it ends; 0 is never."),
    INT(struct join_token_reply, 4, uses_max, 0, CLUSTER_TOKEN_USES_MAX,
        .help = "How many nodes it lets in; 0 is without limit."),
    INT(struct join_token_reply, 5, uses, 0, INT64_MAX, .help = "How many nodes it let in."),
};
const struct schema join_token_reply_schema =
    SCHEMA("join_token_reply", struct join_token_reply, join_token_reply_fields, .help = "A join token.");

static const struct field ca_rotate_reply_fields[] = {
    STRING(struct ca_rotate_reply, 1, authority, .help = "Fingerprint of the new authority."),
};
const struct schema ca_rotate_reply_schema =
    SCHEMA("ca_rotate_reply", struct ca_rotate_reply, ca_rotate_reply_fields,
           .help = "A new authority is announced.");

static const struct field logs_request_fields[] = {
    ID(struct logs_request, 1, service, .help = "All tasks of this service."),
    ID(struct logs_request, 2, task, .help = "This task."),
    BOOL(struct logs_request, 3, follow, .help = "Go on with what is written next."),
    INT(struct logs_request, 4, tail, -1, INT64_MAX, .default_int = -1,
        .help = "Lines from the end; -1 = all."),
    INT(struct logs_request, 5, since_unix_ns, 0, INT64_MAX, .help = "Not older than this."),
    INT(struct logs_request, 6, until_unix_ns, 0, INT64_MAX, .help = "Not newer than this."),
};
const struct schema logs_request_schema =
    SCHEMA("logs_request", struct logs_request, logs_request_fields, .help = "Which log lines.");

static const struct field log_line_fields[] = {
    ID(struct log_line, 1, task, .help = "Task that wrote it."),
    INT(struct log_line, 2, slot, 0, INT64_MAX, .help = "Its slot."),
    INT(struct log_line, 3, time_unix_ns, INT64_MIN, INT64_MAX, .help = "When, in Unix nanoseconds."),
    BOOL(struct log_line, 4, is_stderr, .help = "Written to standard error."),
    BLOB(struct log_line, 5, text, .help = "The line, as the task wrote it."),
};
const struct schema log_line_schema =
    SCHEMA("log_line", struct log_line, log_line_fields, .help = "A log line.");

static const struct field log_note_fields[] = {
    ID(struct log_note, 1, node_id, .help = "The node."),
    STRING(struct log_note, 2, text, .help = "What is missing, and why."),
};
const struct schema log_note_schema =
    SCHEMA("log_note", struct log_note, log_note_fields, .help = "A gap in a log.");

static const struct field log_lines_fields[] = {
    LIST(struct log_lines, 1, lines, &log_line_schema, struct log_line, .max = 1000000, .help = "The lines."),
    LIST(struct log_lines, 2, notes, &log_note_schema, struct log_note, .help = "What is missing."),
};
const struct schema log_lines_schema =
    SCHEMA("log_lines", struct log_lines, log_lines_fields, .help = "A piece of a log.");

static const char *const volumes_action_names[] = {"list", "remove", "prune"};
static const struct field volumes_request_fields[] = {
    ENUM(struct volumes_request, 1, action, volumes_action_names, VOLUMES_LIST, .help = "What to do."),
    STRINGS(struct volumes_request, 2, names, .help = "Volumes."),
};
const struct schema volumes_request_schema = SCHEMA("volumes_request", struct volumes_request,
                                                    volumes_request_fields, .help = "Volumes of this node.");

static const struct field local_volume_fields[] = {
    STRING(struct local_volume, 1, name, .help = "Its name."),
    STRING(struct local_volume, 2, path, .help = "Its directory."),
    TIME(struct local_volume, 3, created_unix_ms, .name = "created_at", .help = "When it was made."),
    BOOL(struct local_volume, 4, is_used, .help = "A task of this node uses it."),
    BOOL(struct local_volume, 5, is_removed, .help = "It was removed."),
    STRING(struct local_volume, 6, error, .help = "Why it was not removed."),
};
static const struct schema local_volume_schema =
    SCHEMA("local_volume", struct local_volume, local_volume_fields, .help = "A directory of this node.");

static const struct field volumes_reply_fields[] = {
    LIST(struct volumes_reply, 1, volumes, &local_volume_schema, struct local_volume, .help = "Volumes."),
};
const struct schema volumes_reply_schema =
    SCHEMA("volumes_reply", struct volumes_reply, volumes_reply_fields, .help = "Volumes of this node.");

static const struct field why_request_fields[] = {
    STRING(struct why_request, 1, reference, .help = "Task id, web.3, or a service."),
};
const struct schema why_request_schema =
    SCHEMA("why_request", struct why_request, why_request_fields, .help = "What to explain.");

static const struct field why_reply_fields[] = {
    BLOB(struct why_reply, 1, task, .help = "The encoded task."),
    BLOB(struct why_reply, 2, service, .help = "The encoded service."),
    STRING(struct why_reply, 3, verdict, .help = "The answer in one sentence."),
    LIST(struct why_reply, 4, funnel, &funnel_step_schema, struct funnel_step,
         .help = "What each rule left."),
    STRINGS(struct why_reply, 5, nodes_left, .help = "Nodes that would do."),
    STRINGS(struct why_reply, 6, history, .help = "What happened to the slot, oldest first."),
    STRINGS(struct why_reply, 7, advice, .help = "What would have to change."),
    LIST(struct why_reply, 8, would_run_if, &remedy_schema, struct remedy,
         .help = "What would let it find a node, each by itself."),
};
const struct schema why_reply_schema =
    SCHEMA("why_reply", struct why_reply, why_reply_fields, .help = "Why a task is where it is.");

static const struct field rebalance_request_fields[] = {
    STRINGS(struct rebalance_request, 1, references, .help = "Services to balance; none = all."),
    BOOL(struct rebalance_request, 2, plan_only, .help = "Only say what would move."),
    STRING(struct rebalance_request, 3, why, .help = "Why, for the history."),
};
const struct schema rebalance_request_schema = SCHEMA(
    "rebalance_request", struct rebalance_request, rebalance_request_fields, .help = "Services to balance.");

static const struct field rebalance_move_fields[] = {
    STRING(struct rebalance_move, 1, task, .help = "The task by its slot.", .example = "web.3"),
    STRING(struct rebalance_move, 2, from, .help = "Node that it leaves."),
    STRING(struct rebalance_move, 3, to, .help = "Node that runs it then."),
    STRING(struct rebalance_move, 4, why, .help = "What is gained.", .example = "n1 has 3 tasks, n2 has 0"),
};
const struct schema rebalance_move_schema =
    SCHEMA("rebalance_move", struct rebalance_move, rebalance_move_fields, .help = "One move.");
static const struct field rebalance_place_fields[] = {
    STRING(struct rebalance_place, 1, node, .help = "The node."),
    INT(struct rebalance_place, 2, before, 0, INT32_MAX, .help = "Tasks of the service now."),
    INT(struct rebalance_place, 3, after, 0, INT32_MAX, .help = "Tasks of the service after the moves."),
};
const struct schema rebalance_place_schema =
    SCHEMA("rebalance_place", struct rebalance_place, rebalance_place_fields, .help = "Tasks of one node.");
static const struct field rebalance_service_fields[] = {
    STRING(struct rebalance_service, 1, name, .help = "The service."),
    LIST(struct rebalance_service, 2, moves, &rebalance_move_schema, struct rebalance_move,
         .help = "Its moves, in their order."),
    LIST(struct rebalance_service, 3, places, &rebalance_place_schema, struct rebalance_place,
         .help = "How its tasks are spread."),
    STRING(struct rebalance_service, 4, obstacle, .help = "Why it is not balanced now.",
           .example = "it is being updated"),
};
const struct schema rebalance_service_schema = SCHEMA(
    "rebalance_service", struct rebalance_service, rebalance_service_fields, .help = "Moves of a service.");
static const struct field rebalance_reply_fields[] = {
    LIST(struct rebalance_reply, 1, services, &rebalance_service_schema, struct rebalance_service,
         .help = "All that was asked about."),
};
const struct schema rebalance_reply_schema = SCHEMA("rebalance_reply", struct rebalance_reply,
                                                    rebalance_reply_fields, .help = "What moves.");

static const struct field plan_service_fields[] = {
    STRING(struct plan_service, 1, name, .help = "The service."),
    INT(struct plan_service, 2, kept, 0, INT32_MAX, .help = "Tasks that run on."),
    INT(struct plan_service, 3, replaced, 0, INT32_MAX, .help = "Tasks that another one takes over from."),
    INT(struct plan_service, 4, moved, 0, INT32_MAX, .help = "Of those, that go to another node."),
    INT(struct plan_service, 5, created, 0, INT32_MAX, .help = "Tasks of slots that had none."),
    INT(struct plan_service, 6, stopped, 0, INT32_MAX, .help = "Tasks that end, and nothing follows."),
    INT(struct plan_service, 7, waiting, 0, INT32_MAX, .help = "New tasks that find no node."),
    STRING(struct plan_service, 8, reason, .help = "Why they find none."),
    BOOL(struct plan_service, 9, is_cut, .help = "Its end was not followed, for it is too long."),
    LIST(struct plan_service, 10, places, &rebalance_place_schema, struct rebalance_place,
         .help = "How its tasks are spread."),
};
const struct schema plan_service_schema =
    SCHEMA("plan_service", struct plan_service, plan_service_fields, .help = "What comes of a service.");
static const struct field plan_reply_fields[] = {
    LIST(struct plan_reply, 1, results, &apply_result_schema, struct apply_result,
         .help = "What would be written."),
    LIST(struct plan_reply, 2, services, &plan_service_schema, struct plan_service,
         .help = "Services that would change."),
    INT(struct plan_reply, 3, revision, 0, INT64_MAX, .help = "Revision of the store that was read."),
};
const struct schema plan_reply_schema =
    SCHEMA("plan_reply", struct plan_reply, plan_reply_fields, .help = "What would come of declarations.");

static const struct message_row rows[] = {
#define X(name_, number_, payload_, sender_, bytes_, retry_)                                                 \
    {.number = (number_),                                                                                    \
     .name = #name_,                                                                                         \
     .payload = &payload_##_schema,                                                                          \
     .sender = SENDER_##sender_,                                                                             \
     .bytes_max = (bytes_),                                                                                  \
     .is_retryable = (retry_)},
#include "transport/messages.def"
#undef X
};

const struct message_row *message_row(uint16_t number) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].number == number) {
            return &rows[i];
        }
    }
    return NULL;
}
