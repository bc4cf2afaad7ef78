// SPDX-License-Identifier: Apache-2.0
//
// transport/agent_messages.c — the schemas of what agents and the leader say to each other.
#include "transport/agent_messages.h"

#include "specs/row.h"

#define SESSION(type) ID(type, 1, session_id, .help = "The session.")
#define MANAGERS(type, tag) STRINGS(type, tag, managers, .help = "Addresses of managers.")

static const struct field agent_hello_fields[] = {
    INT(struct agent_hello, 1, version_min, 0, 65535, .help = "Oldest protocol version spoken."),
    INT(struct agent_hello, 2, version_max, 0, 65535, .help = "Newest protocol version spoken."),
    ID(struct agent_hello, 3, cluster_id, .help = "Cluster of the node."),
};
const struct schema agent_hello_schema =
    SCHEMA("agent_hello", struct agent_hello, agent_hello_fields, .help = "First message of an agent.");

static const struct field agent_welcome_fields[] = {
    INT(struct agent_welcome, 1, version, 0, 65535, .help = "Protocol version of this link."),
};
const struct schema agent_welcome_schema = SCHEMA("agent_welcome", struct agent_welcome, agent_welcome_fields,
                                                  .help = "Answer to an agent's hello.");

static const struct field agent_failure_fields[] = {
    STRING(struct agent_failure, 1, code, .help = "Name of the error code."),
    STRING(struct agent_failure, 2, text, .help = "Why the link ends."),
};
const struct schema agent_failure_schema =
    SCHEMA("agent_failure", struct agent_failure, agent_failure_fields, .help = "A refused agent.");

static const struct field session_register_fields[] = {
    INT(struct session_register, 1, version_min, 0, 65535, .help = "Oldest protocol version spoken."),
    INT(struct session_register, 2, version_max, 0, 65535, .help = "Newest protocol version spoken."),
    ID(struct session_register, 3, cluster_id, .help = "Cluster of the node."),
    ID(struct session_register, 4, node_id, .help = "The node."),
    ID(struct session_register, 5, previous, .help = "Session that it had last."),
    STRUCT(struct session_register, 6, description, &node_description_schema, struct node_description,
           .help = "What the node says of itself."),
    STRING(struct session_register, 7, trouble, .help = "Why it cannot run tasks."),
    BOOL(struct session_register, 8, knows_relay, .help = "It can be asked for streams."),
};
const struct schema session_register_schema = SCHEMA("session_register", struct session_register,
                                                     session_register_fields, .help = "Asks for a session.");

static const struct field session_registered_fields[] = {
    INT(struct session_registered, 1, version, 0, 65535, .help = "Protocol version of this session."),
    ID(struct session_registered, 2, session_id, .help = "The session."),
    INT(struct session_registered, 3, heartbeat_ms, 0, INT64_MAX, .help = "Time until the first heartbeat."),
    MANAGERS(struct session_registered, 4),
};
const struct schema session_registered_schema = SCHEMA("session_registered", struct session_registered,
                                                       session_registered_fields, .help = "A new session.");

static const struct field session_redirect_fields[] = {
    STRING(struct session_redirect, 1, leader, .help = "Where the leader is; empty = not known."),
    MANAGERS(struct session_redirect, 2),
};
const struct schema session_redirect_schema = SCHEMA("session_redirect", struct session_redirect,
                                                     session_redirect_fields, .help = "Ask another manager.");

static const struct field session_end_fields[] = {
    SESSION(struct session_end),
    STRING(struct session_end, 2, code, .help = "Name of the error code."),
    STRING(struct session_end, 3, text, .help = "Why."),
    BOOL(struct session_end, 4, is_removed, .help = "The node is in the cluster no more."),
};
const struct schema session_end_schema =
    SCHEMA("session_end", struct session_end, session_end_fields, .help = "There is no such session.");

static const struct field session_heartbeat_fields[] = {
    SESSION(struct session_heartbeat),
};
const struct schema session_heartbeat_schema = SCHEMA("session_heartbeat", struct session_heartbeat,
                                                      session_heartbeat_fields, .help = "The node is alive.");

static const struct field session_heartbeat_reply_fields[] = {
    SESSION(struct session_heartbeat_reply),
    INT(struct session_heartbeat_reply, 2, heartbeat_ms, 0, INT64_MAX,
        .help = "Time until the next heartbeat."),
    INT(struct session_heartbeat_reply, 3, part, 0, INT64_MAX, .help = "Number of the part sent last."),
    MANAGERS(struct session_heartbeat_reply, 4),
    BOOL(struct session_heartbeat_reply, 5, is_manager, .help = "The node is to be a manager."),
    STRING(struct session_heartbeat_reply, 6, trust, .help = "Fingerprints of the authorities."),
    INT(struct session_heartbeat_reply, 7, certificate_ms, 0, INT64_MAX,
        .help = "Longest life of a certificate."),
};
const struct schema session_heartbeat_reply_schema =
    SCHEMA("session_heartbeat_reply", struct session_heartbeat_reply, session_heartbeat_reply_fields,
           .help = "The manager is alive.");

static const struct field session_leave_fields[] = {
    SESSION(struct session_leave),
};
const struct schema session_leave_schema =
    SCHEMA("session_leave", struct session_leave, session_leave_fields, .help = "The node leaves.");

static const struct field session_describe_fields[] = {
    SESSION(struct session_describe),
    STRUCT(struct session_describe, 2, description, &node_description_schema, struct node_description,
           .help = "What the node says of itself now."),
    STRING(struct session_describe, 3, trouble, .help = "Why it cannot run tasks."),
};
const struct schema session_describe_schema =
    SCHEMA("session_describe", struct session_describe, session_describe_fields, .help = "The node changed.");

static const struct field assign_item_fields[] = {
    BLOB(struct assign_item, 1, assignment, .help = "The encoded assignment."),
};
const struct schema assign_item_schema =
    SCHEMA("assign_item", struct assign_item, assign_item_fields, .help = "A task to hold.");

static const struct field assign_removed_fields[] = {
    ID(struct assign_removed, 1, task_id, .help = "The task."),
};
const struct schema assign_removed_schema =
    SCHEMA("assign_removed", struct assign_removed, assign_removed_fields, .help = "A task to let go.");

static const struct field assign_part_fields[] = {
    SESSION(struct assign_part),
    INT(struct assign_part, 2, number, 0, INT64_MAX, .help = "Place of the part in its session, from 1."),
    BOOL(struct assign_part, 3, is_first, .help = "A step begins with it."),
    BOOL(struct assign_part, 4, is_last, .help = "The step ends with it."),
    BOOL(struct assign_part, 5, is_complete, .help = "The step is the complete set."),
    LIST(struct assign_part, 6, changed, &assign_item_schema, struct assign_item,
         .help = "Tasks that are new or changed."),
    LIST(struct assign_part, 7, removed, &assign_removed_schema, struct assign_removed,
         .help = "Tasks that are the node's no more."),
    LIST(struct assign_part, 8, contents, &assigned_content_schema, struct assigned_content,
         .help = "Secrets and configs that they need."),
};
const struct schema assign_part_schema =
    SCHEMA("assign_part", struct assign_part, assign_part_fields, .help = "What the node should hold.");

static const struct field assign_again_fields[] = {
    SESSION(struct assign_again),
    INT(struct assign_again, 2, number, 0, INT64_MAX, .help = "Number of the part taken last."),
};
const struct schema assign_again_schema =
    SCHEMA("assign_again", struct assign_again, assign_again_fields, .help = "Asks for the complete set.");

static const struct field report_batch_fields[] = {
    SESSION(struct report_batch),
    LIST(struct report_batch, 2, reports, &task_report_schema, struct task_report, .max = REPORT_BATCH_MAX,
         .help = "One for each task."),
};
const struct schema report_batch_schema =
    SCHEMA("report_batch", struct report_batch, report_batch_fields, .help = "What was observed of tasks.");

static const struct field report_acknowledged_fields[] = {
    ID(struct report_acknowledged, 1, task_id, .help = "The task."),
    INT(struct report_acknowledged, 2, state, 0, INT64_MAX, .help = "Stored up to this state."),
};
const struct schema report_acknowledged_schema =
    SCHEMA("report_acknowledged", struct report_acknowledged, report_acknowledged_fields,
           .help = "A report that is stored.");

static const struct field report_stored_fields[] = {
    SESSION(struct report_stored),
    LIST(struct report_stored, 2, reports, &report_acknowledged_schema, struct report_acknowledged,
         .max = REPORT_BATCH_MAX, .help = "One for each task."),
};
const struct schema report_stored_schema =
    SCHEMA("report_stored", struct report_stored, report_stored_fields, .help = "Reports that are stored.");
