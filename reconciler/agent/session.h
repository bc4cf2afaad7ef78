// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/session.h — the agent's end of its session with the leader: (state, event, time) ->
// (state, actions), pure.
//
// Model        It knows some managers, and wants a session with the one that leads. It dials any of them, is
//              led on to the leader, registers, and from then on sends heartbeats in the interval it is told.
//              Whatever goes wrong ends in the same place: it rests for a while, longer each time, and dials
//              again. What tasks do is never touched by that: they change only when a step of assignments is
//              there as a whole.
// Invariants   (1) A complete set is handed out only when all of its parts came, in order; an increment only
//              when nothing before it misses. (2) A manager that does not answer for SESSION_MISSED_MAX
//              heartbeats is given up. (3) Between two dials there is a rest, but on the way to a leader that
//              was named, SESSION_REDIRECTS_MAX times at most. (4) That the node is in the cluster no more is
//              believed at the SESSION_REMOVALS_MIN-th time, without a session that lasted in between: who
//              was leader a moment ago may not know yet who was let in since.
// Ownership    Actions lie in the arena given. The struct is the caller's; after session_init its fields are
//              private. The link is the caller's too: after `hang_up` nothing of it may come in any more.
// Limits       SESSION_STEP_TASKS_MAX tasks and SESSION_STEP_BYTES_MAX in one step of assignments.
#ifndef MUSTER_RECONCILER_AGENT_SESSION_H
#define MUSTER_RECONCILER_AGENT_SESSION_H

#include "base/prng.h"
#include "base/sm.h"
#include "transport/messages.h"

#define SESSION_DIAL_MS_MAX 5000     // until the link is there
#define SESSION_REGISTER_MS_MAX 5000 // until the answer
#define SESSION_MISSED_MAX 3
#define SESSION_REST_MS_MIN 100 // before the second dial; doubles
#define SESSION_REST_MS_MAX 8000
#define SESSION_REST_LEAVING_MS_MAX 400
#define SESSION_REDIRECTS_MAX 3
#define SESSION_REMOVALS_MIN 2
#define SESSION_STEP_TASKS_MAX (2 * TASKS_PER_NODE_MAX)
#define SESSION_STEP_BYTES_MAX ((size_t)256 * MIB)

enum session_state {
    SESSION_RESTING,
    SESSION_DIALING,
    SESSION_REGISTERING,
    SESSION_OPEN,
    SESSION_STATE_COUNT
};
extern const struct sm_table session_table;

struct session {
    struct sm machine;
    struct id cluster_id, node_id;
    struct id id; // of the session; when it is over, still the one it had
    struct arena description_arena;
    struct node_description *description; // NULL = nothing to say
    const char *trouble;                  // why it cannot run tasks
    size_t managers_count;
    char managers[AGENT_MANAGERS_MAX][AGENT_ADDRESS_BYTES];
    char next[AGENT_ADDRESS_BYTES]; // to be dialed next; "" = any
    char dialed[AGENT_ADDRESS_BYTES];
    int failures, redirects, removals; // one after the other
    int64_t due_ms; // RESTING: to dial; DIALING, REGISTERING: to give up; OPEN: the heartbeat
    int64_t heartbeat_ms, heard_ms;
    int64_t part; // number of the last part that was taken
    bool is_asking, is_leaving;
    bool is_building, is_building_set; // a step whose last part is not there yet
    struct arena building;
    LIST_OF(struct bytes) changed; // encoded
    LIST_OF(struct id) removed;
    LIST_OF(struct assigned_content) contents; // overwritten when they are handed out
    size_t building_bytes;
};

enum session_event_kind {
    SESSION_ON_TIME,
    SESSION_ON_CONNECTED,
    SESSION_ON_LINK_DOWN,   // the link ended, or could not be made; `text` says why, `is_removed` that a
                            // manager took the node for removed
    SESSION_ON_MESSAGE,     // of a manager (rows with the sender DISPATCHER)
    SESSION_ON_REPORTS,     // to be said if it is possible now
    SESSION_ON_DESCRIPTION, // what the node is, from now on
    SESSION_ON_LEAVE,       // the node leaves the cluster: to be said now, or as soon as there is a session
};
struct session_event {
    enum session_event_kind kind;
    const char *text;
    bool is_removed;
    uint16_t number;
    struct bytes body;
    LIST_OF(const struct task_report) reports;
    const struct node_description *description;
    const char *trouble; // why it cannot run tasks; NULL, "" = it can
};

struct session_message {
    uint16_t number;
    struct bytes body;
};
struct session_stored {
    struct id task_id;
    int64_t state;
};
// To be carried out in this order.
struct session_actions {
    bool hang_up;     // end the link there is, or the attempt at one
    const char *dial; // an address; NULL = not now
    LIST_OF(struct session_message) messages;
    bool is_opened; // say again all reports that were not acknowledged
    bool has_step;  // of assignments, whole:
    bool is_complete;
    LIST_OF(struct assignment) changed;
    LIST_OF(struct id) removed;
    LIST_OF(struct assigned_content) contents; // that `changed` names; session_actions_wipe
    LIST_OF(struct session_stored) stored;     // reports that are acknowledged
    bool keep_managers;                        // they changed: keep the list for the next start
    bool is_promoted;                          // the node is to be a manager
    const char *trust;      // what its certificate is to be like (session_heartbeat_reply); NULL = nothing
    int64_t certificate_ms; // is said of that
    bool is_removed;        // the node is in the cluster no more
    const char *trouble;    // why it dials again, for the log; NULL = nothing new
};

// `known`: addresses of managers; longer ones than AGENT_ADDRESS_BYTES, and more than AGENT_MANAGERS_MAX, are
// left out. The first dial is due at once.
void session_init(struct session *session, const struct id *cluster_id, const struct id *node_id,
                  const struct strings *known, int64_t now_ms);
void session_deinit(struct session *session);
void session_step(struct session *session, const struct session_event *event, int64_t now_ms,
                  struct prng *prng, struct arena *arena, struct session_actions *out);
// Overwrites the secrets in them, before the arena goes.
void session_actions_wipe(struct session_actions *actions);
// When ON_TIME is due, if nothing else happens before.
int64_t session_wake_ms(const struct session *session);
// The addresses it knows, borrowed until the next step.
struct strings session_managers(const struct session *session, struct arena *arena);

#endif
