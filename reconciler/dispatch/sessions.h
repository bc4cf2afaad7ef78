// SPDX-License-Identifier: Apache-2.0
//
// reconciler/dispatch/sessions.h — the leader's end of the sessions with agents: who is there, what each is
// to be told, and what each says.
//
// Model        An agent that knows no better asks any manager; one that does not lead names the leader. At
//              the leader it registers, over a link, and is heard by whatever it says from then on. A node
//              that was not heard for `missed_max` heartbeats is down, and its session over. A new leader has
//              heard nobody yet: those it is asked about get twice as long to call in.
//              What is in a session's way never waits in a queue. A change of a task leaves its id with the
//              session of its node, and what is sent is read from the store when there is room; of too many
//              changes, or of a complete set that got stuck, only a mark is left, and a place to go on from.
// Invariants   (1) A node has one session at most: an agent that had it, and registers anew, ends the
//              older; one that did not is another machine with that identity, or this one after a loss of
//              power: the first is asked for a sign of life, and when it gives one the other is refused;
//              when its link turns out to be dead, the other has its place at once. (2)
//              A report is acknowledged only when it is stored, or had nothing to store. (3) The history is
//              read once for all sessions. (4) A node that is heard is not down.
// Time         Only sessions_tick moves it, at most SESSIONS_TICK_MS_MAX a call: a leader that was stopped
//              for a while finds nobody silent for that. Tick every 500 ms or oftener.
// Links        Opaque numbers of the caller, never used again for another link. It knows from the peer's
//              certificate which node is at the other end, and says so with everything it hands over.
// Threads      The loop's only. Callbacks come from any function here but the const ones, and must not call
//              back.
// Limits       SESSION_DIRTY_MAX changes of tasks are remembered for a session; SESSIONS_STEP_TASKS_MAX tasks
//              are looked at in one step; a node's complete sets begin SESSION_SET_REST_MS apart. Who says
//              more than a sound agent would (eight registrations, 4,000 batches of reports at once) is
//              sent away.
#ifndef MUSTER_RECONCILER_DISPATCH_SESSIONS_H
#define MUSTER_RECONCILER_DISPATCH_SESSIONS_H

#include "base/prng.h"
#include "reconciler/dispatch/source_vault.h"
#include "reconciler/store/store.h"

#define SESSIONS_HEARTBEAT_MS 5000
#define SESSIONS_MISSED_MAX 3
#define SESSIONS_NEW_LEADER_FACTOR 2 // times as long for those that a new leader has not heard yet
#define SESSIONS_TICK_MS_MAX 1000
#define SESSIONS_STEP_TASKS_MAX 2000
#define SESSION_SET_REST_MS 1000
// Within that an agent is to give a sign of life when another one comes in its name; its manager has three
// times as long to answer that.
#define SESSION_CHALLENGE_MS 1000
#define SESSION_RETRY_MS 5000 // of what found no room, should nobody say that there is some
#define SESSION_DIRTY_MAX 256
#define SESSION_TALK_MS 8000 // what a node may say at once, in time that it has to be silent for that

struct sessions;
struct relay_ask;

struct sessions_callbacks {
    // Queues a message on a link. False: no room, or no such link; what was to be said is said later, or the
    // agent asks again.
    bool (*send)(void *context, uint64_t link, uint16_t number, struct bytes body);
    // Ends a link once what is queued has left. It is not mentioned again, from either side.
    void (*close)(void *context, uint64_t link);
    void *context;
};
struct sessions_options {
    struct id cluster_id;
    struct prng *prng; // for ids and jitter; outlives the sessions
    struct sessions_callbacks callbacks;
    struct source_vault vault;
};
struct sessions *sessions_new(const struct sessions_options *options);
void sessions_free(struct sessions *sessions); // says nothing to anybody; accepts NULL

// 0 = the default
void sessions_set(struct sessions *sessions, int64_t heartbeat_ms, int missed_max);
// Where managers are, told to agents; at most AGENT_MANAGERS_MAX count. Copied.
void sessions_set_managers(struct sessions *sessions, const struct strings *addresses);
// What certificates of nodes are to be like (session_heartbeat_reply). Copied.
#define SESSIONS_TRUST_BYTES 256
void sessions_set_trust(struct sessions *sessions, const char *trust, int64_t certificate_ms);
// This manager leads from now on, or another: then all sessions are told, and are over. "" = who leads is not
// known. Repeating is harmless.
void sessions_lead(struct sessions *sessions);
void sessions_follow(struct sessions *sessions, const char *leader);

// A message of an agent (rows with the sender AGENT) from the node `peer`. The body is borrowed.
void sessions_take(struct sessions *sessions, uint64_t link, const struct id *peer, uint16_t number,
                   struct bytes body);
void sessions_link_down(struct sessions *sessions, uint64_t link);
void sessions_link_writable(struct sessions *sessions, uint64_t link); // there is room again
void sessions_tick(struct sessions *sessions, int64_t mono_ms);

// What the leader knows of a node that is in the store. AWAITED: it may be there, and has time left.
enum session_presence { SESSION_AWAITED, SESSION_HEARD, SESSION_DOWN };
enum session_presence sessions_presence(struct sessions *sessions, const struct id *node_id,
                                        int64_t *out_silent_ms);
// Why a node that is heard cannot run tasks, as it says; "" = it can. Borrowed until the next call.
const char *sessions_trouble(const struct sessions *sessions, const struct id *node_id);
size_t sessions_count(const struct sessions *sessions); // that are open
// How often presence, or trouble, has changed for some node.
uint64_t sessions_turns(const struct sessions *sessions);
// The node has no agent any more that would register: its silence says nothing. One with a session stays.
void sessions_release(struct sessions *sessions, const struct id *node_id);

// Asks a node for the link of a stream. -ERR_UNREACHABLE: it has no session here. -ERR_UNSUPPORTED: its musterd
// is too old. -ERR_BUSY: no room.
int sessions_ask_relay(struct sessions *sessions, const struct id *node_id, const struct relay_ask *ask,
                       struct error *err);

// Reads what is new in the history and sends what there is room for. Call in each turn in which the store
// moved, or sessions_has_work says so.
int sessions_step(struct sessions *sessions, struct store_read *read, struct error *err);
bool sessions_has_work(const struct sessions *sessions);

// What agents reported, and what nodes say of themselves, as one bounded transaction; without changes when
// there is nothing to store. While one is under way nothing is composed: it ends with sessions_stored or
// sessions_refused.
bool sessions_has_news(const struct sessions *sessions);
int sessions_compose(struct sessions *sessions, struct store_read *read, struct arena *arena,
                     struct transaction *out, struct error *err);
void sessions_stored(struct sessions *sessions);
void sessions_refused(struct sessions *sessions);

#endif
