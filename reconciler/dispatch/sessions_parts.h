// SPDX-License-Identifier: Apache-2.0
//
// reconciler/dispatch/sessions_parts.h — what the files of the sessions share: sessions.c (who is there),
// delivery.c (what each is told), hearsay.c (what each says).
#ifndef MUSTER_RECONCILER_DISPATCH_SESSIONS_PARTS_H
#define MUSTER_RECONCILER_DISPATCH_SESSIONS_PARTS_H

#include "base/list.h"
#include "base/map.h"
#include "reconciler/dispatch/sessions.h"
#include "reconciler/dispatch/status.h"
#include "transport/messages.h"

// What a session has to be told of its tasks.
struct delivery {
    int64_t number; // of the last part that was sent
    bool is_set_due;
    bool is_set_open;     // a complete set is being sent
    bool is_set_begun;    // its first part is sent
    struct id set_after;  // the last task that parts of it dealt with
    int64_t set_rest_ms;  // no complete set begins before
    int64_t retry_ms;     // when it is blocked
    struct id *dirty;     // tasks that changed; NULL = none
    unsigned dirty_count; // at most SESSION_DIRTY_MAX
    struct id *given;     // contents that parts of the open set brought; NULL = none
    unsigned given_count;
};

// All that is known of a node; it stays when its session is over.
struct session_node {
    struct id node_id;
    struct list_node age;    // on `heard` or `unheard`; once it is down, on neither
    int64_t heard_ms;        // when it was heard last, or was asked about first
    bool was_heard, is_down; // by this leader
    int64_t talked_ms;       // what it said is paid for by then
    // its session, and nothing of it when !is_open
    bool is_open;
    uint64_t link;
    char link_key[17];
    struct id id;
    int64_t managers_told; // which list of them
    bool is_manager, was_told_manager;
    bool was_challenged, is_challenged; // asked for a sign of life; and it has not given one since
    int64_t challenged_ms;
    bool knows_relay;
    char *trouble; // why the node cannot run tasks; NULL = it can
    struct delivery delivery;
    struct list_node work; // on `work` or `blocked`, when there is something to tell it
    // what the node says of itself, until it is stored; NULL = nothing
    struct list_node described;
    uint8_t *description;
    size_t description_len;
    bool is_description_travelling;
    bool is_leaving; // it says so; until that is stored
};

struct sessions {
    struct sessions_options options;
    int64_t heartbeat_ms;
    int64_t slower_ms, slower_until_ms; // until then, agents may still go by this interval, which was longer
    char trust[SESSIONS_TRUST_BYTES];
    int64_t certificate_ms;
    int missed_max;
    bool leads;
    char leader[AGENT_ADDRESS_BYTES];
    struct arena managers_arena;
    struct strings managers;
    int64_t managers_version;
    struct map by_node, by_link; // of struct session_node; by_link: that are open
    uint64_t turns;              // how often a node came, or was found to be down
    struct list heard, unheard;  // the longest silent first
    struct list work, blocked, described;
    int64_t now_ms, ticked_mono_ms;
    bool has_ticked;
    struct store_position position; // of the history, for all sessions
    bool is_started;                // the position is one
    bool is_behind;                 // the last step did not come to its end
    int64_t routed_revision;
    struct status status;
    bool is_travelling;
    struct arena arena; // of one call
    struct buf body;    // of one message
};

// sessions.c
bool session_send(struct sessions *sessions, const struct session_node *node, uint16_t number,
                  const void *payload);
// The session is over; its link is told why, and ended.
void session_end(struct sessions *sessions, struct session_node *node, enum error_code code,
                 const char *text);
struct session_node *sessions_find(const struct sessions *sessions, const struct id *node_id);
// The node is in the cluster no more.
void sessions_forget(struct sessions *sessions, struct session_node *node, const char *text);
// How things are, as in the answer to a heartbeat. False: no room.
bool session_tell(struct sessions *sessions, struct session_node *node);

// delivery.c
void delivery_begin(struct sessions *sessions, struct session_node *node);  // of a new session
void delivery_again(struct sessions *sessions, struct session_node *node);  // with a complete set
void delivery_end(struct session_node *node);                               // of a session that is over
void delivery_resume(struct sessions *sessions, struct session_node *node); // there is room again
void delivery_tick(struct sessions *sessions);

// hearsay.c
void hearsay_report(struct sessions *sessions, const struct session_node *node,
                    const struct report_batch *batch);
void hearsay_describe(struct sessions *sessions, struct session_node *node,
                      const struct node_description *description);
void hearsay_leave(struct sessions *sessions, struct session_node *node);
void hearsay_forget(struct session_node *node);

#endif
