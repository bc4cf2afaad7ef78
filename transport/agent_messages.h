// SPDX-License-Identifier: Apache-2.0
//
// transport/agent_messages.h — what a node's agent and the manager that leads say to each other: payloads of
// the rows 128 to 191 of transport/messages.def.
//
// Link         Its first message is the agent's hello, answered with a welcome, or with a failure that says
//              why not, and ends the link. Which node calls is known from its certificate, not from what it
//              says.
// Model        A link carries one session. The agent registers; it is registered, or told where the leader
//              is. From then on both name the session, so that what belongs to an earlier one is recognised
//              and dropped. The agent sends heartbeats in the interval it was told last; each is answered.
// Assignments  They come as parts, numbered 1, 2, 3… within the session. Parts from one that is first to one
//              that is last make a step: the complete set, or an increment; nothing of it counts before the
//              last part is there. A number that is not the next one says that something was lost or
//              repeated: the agent asks for a new complete set, and takes nothing before its first part. The
//              answer to a heartbeat says which number was sent last, so that a lost part is noticed though
//              no other follows.
// Reports      The newest status of each task, several at once. They are acknowledged, by task and state,
//              when they are stored; what is not acknowledged is said again.
#ifndef MUSTER_TRANSPORT_AGENT_MESSAGES_H
#define MUSTER_TRANSPORT_AGENT_MESSAGES_H

#include "base/limits.h"
#include "specs/assignment.h"
#include "specs/node.h"

// A part is cut at FRAME_CHUNK_BYTES; one assignment, which holds a task and a spec, may make it longer.
#define ASSIGN_PART_BYTES_MAX (2 * OBJECT_BYTES_MAX + 64 * KIB)
#define REPORT_BATCH_MAX 500 // reports in one message, and of acknowledgements
#define REPORT_BATCH_BYTES_MAX (1 * MIB)
#define AGENT_MANAGERS_MAX 16   // addresses in one list
#define AGENT_ADDRESS_BYTES 256 // of one, with its end

struct agent_hello {
    int64_t version_min, version_max;
    struct id cluster_id;
    struct bytes unknown;
};
struct agent_welcome {
    int64_t version;
    struct bytes unknown;
};
struct agent_failure { // the link ends
    const char *code, *text;
    struct bytes unknown;
};

struct session_register {
    int64_t version_min, version_max;
    struct id cluster_id, node_id;
    struct id previous; // session it had last; none = it was started since
    struct node_description description;
    const char *trouble; // why the node cannot run tasks; "" = it can
    bool knows_relay;    // it can be asked for streams (transport/relay_messages.h)
    struct bytes unknown;
};
struct session_registered {
    int64_t version;
    struct id session_id;
    int64_t heartbeat_ms; // until the first heartbeat
    struct strings managers;
    struct bytes unknown;
};
// The one asked does not lead. The link ends.
struct session_redirect {
    const char *leader; // address; "" = there is none that it knows of: try again
    struct strings managers;
    struct bytes unknown;
};
// There is no such session, or not any more. The link ends.
struct session_end {
    struct id session_id;    // none: it was never registered
    const char *code, *text; // CONFLICT: the node was registered by another link
    bool is_removed;         // the node is in the cluster no more: it was removed, or has left
    struct bytes unknown;
};

struct session_heartbeat {
    struct id session_id;
    struct bytes unknown;
};
struct session_heartbeat_reply {
    struct id session_id;
    int64_t heartbeat_ms;    // until the next
    int64_t part;            // number of the last part that was sent; 0 = none yet
    struct strings managers; // when they changed; else empty
    bool is_manager;         // the node is to be a manager: what it lacks for that, it asks for
    const char *trust;       // fingerprints: of the authority that signs, then of all; "" = not known
    int64_t certificate_ms;  // the longest life of a certificate; 0 = not known
    struct bytes unknown;
};
// The node leaves the cluster. When that is stored, the session ends with is_removed.
struct session_leave {
    struct id session_id;
    struct bytes unknown;
};
struct session_describe {
    struct id session_id;
    struct node_description description;
    const char *trouble; // as above
    struct bytes unknown;
};

struct assign_item {
    struct bytes assignment; // encoded
    struct bytes unknown;
};
struct assign_removed {
    struct id task_id;
    struct bytes unknown;
};
struct assign_part {
    struct id session_id;
    int64_t number;
    bool is_first, is_last; // of its step
    bool is_complete;       // the step is the complete set: what is not in it is not the node's any more
    LIST_OF(struct assign_item) changed;
    LIST_OF(struct assign_removed) removed;
    LIST_OF(struct assigned_content) contents; // that tasks of the step name, each once in a step
    struct bytes unknown;
};
struct assign_again { // asks for a complete set
    struct id session_id;
    int64_t number; // of the last part that was taken, for the log
    struct bytes unknown;
};

struct report_batch {
    struct id session_id;
    LIST_OF(struct task_report) reports;
    struct bytes unknown;
};
struct report_acknowledged {
    struct id task_id;
    int64_t state; // up to this
    struct bytes unknown;
};
struct report_stored {
    struct id session_id;
    LIST_OF(struct report_acknowledged) reports;
    struct bytes unknown;
};

extern const struct schema agent_hello_schema, agent_welcome_schema, agent_failure_schema;
extern const struct schema session_register_schema, session_registered_schema, session_redirect_schema,
    session_end_schema, session_heartbeat_schema, session_heartbeat_reply_schema, session_describe_schema,
    session_leave_schema, assign_item_schema, assign_removed_schema, assign_part_schema, assign_again_schema,
    report_batch_schema, report_acknowledged_schema, report_stored_schema;

#endif
