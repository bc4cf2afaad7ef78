// SPDX-License-Identifier: Apache-2.0
//
// reconciler/agent/session.c — dialing, registering, heartbeats, and putting assignments together.
//
//     RESTING -> DIALING -> REGISTERING -> OPEN
//        ^----------+------------+-----------+    link lost, time over, refused, or led elsewhere
//
// Source       Swarm's agent: 100 ms to 8 s of rest, doubled and random. Here half of each rest is random, so
//              that thousands of agents that lost the same leader do not come back in step.
#include "reconciler/agent/session.h"

#include <string.h>

#include "base/assert.h"
#include "base/str.h"

#define HEARTBEAT_MS_MIN 100 // whatever it is told
#define HEARTBEAT_MS_MAX (10LL * 60 * 1000)
#define FAILURES_MAX 7       // from here on the rest is the longest
#define FAILURES_REMOVED 5   // a rest longer than anybody takes himself for the leader wrongly
#define REPORT_HEAD_BYTES 64 // of a report in a message, or of the message

static const struct sm_state states[SESSION_STATE_COUNT] = {
    [SESSION_RESTING] = {"resting", SM_TO(SESSION_DIALING), false},
    [SESSION_DIALING] = {"dialing", SM_TO(SESSION_REGISTERING) | SM_TO(SESSION_RESTING), false},
    [SESSION_REGISTERING] = {"registering", SM_TO(SESSION_OPEN) | SM_TO(SESSION_RESTING), false},
    [SESSION_OPEN] = {"open", SM_TO(SESSION_RESTING), false},
};
const struct sm_table session_table = {"session", states, SESSION_STATE_COUNT};

// What one step works with.
struct stepping {
    struct session *session;
    int64_t now_ms;
    struct prng *prng;
    struct arena *arena;
    struct session_actions *out;
};

// --- managers ---

static bool take_managers(struct session *session, const struct strings *addresses) {
    size_t count = 0;
    bool is_news = false;
    for (size_t i = 0; i < addresses->count && count < AGENT_MANAGERS_MAX; i++) {
        char address[AGENT_ADDRESS_BYTES];
        if (str_is_empty(addresses->items[i]) || !str_copy(address, sizeof address, addresses->items[i])) {
            continue;
        }
        is_news |= count >= session->managers_count || !str_equal(session->managers[count], address);
        str_copy(session->managers[count++], AGENT_ADDRESS_BYTES, address);
    }
    is_news |= count != session->managers_count;
    session->managers_count = count;
    return is_news;
}

// An empty list says nothing: it is sent when nothing changed.
static void hear_managers(struct stepping *at, const struct strings *addresses) {
    if (addresses->count > 0 && take_managers(at->session, addresses)) {
        at->out->keep_managers = true;
    }
}

struct strings session_managers(const struct session *session, struct arena *arena) {
    struct strings managers = {0};
    for (size_t i = 0; i < session->managers_count; i++) {
        *ARENA_PUSH(arena, &managers) = session->managers[i];
    }
    return managers;
}

// Who was named; else any but the one that was tried last, if there is another.
static bool choose(struct session *session, struct prng *prng) {
    if (session->next[0] != '\0') {
        memcpy(session->dialed, session->next, sizeof session->dialed);
        session->next[0] = '\0';
        return true;
    }
    size_t others = 0;
    for (size_t i = 0; i < session->managers_count; i++) {
        others += !str_equal(session->managers[i], session->dialed);
    }
    if (session->managers_count == 0) {
        return false;
    }
    size_t pick = (size_t)prng_below(prng, others > 0 ? others : session->managers_count);
    for (size_t i = 0; i < session->managers_count; i++) {
        bool is_candidate = others == 0 || !str_equal(session->managers[i], session->dialed);
        if (is_candidate && pick-- == 0) {
            memcpy(session->dialed, session->managers[i], sizeof session->dialed);
            break;
        }
    }
    return true;
}

// --- saying something ---

static void say(struct stepping *at, uint16_t number, const void *payload) {
    struct buf body = {0};
    wire_encode(message_row(number)->payload, payload, &body);
    struct session_message *message = ARENA_PUSH(at->arena, &at->out->messages);
    message->number = number;
    message->body = (struct bytes){arena_copy(at->arena, buf_text(&body), body.len), body.len};
    buf_free(&body);
}

static void say_register(struct stepping *at) {
    const struct session *session = at->session;
    struct session_register asked;
    schema_init(&session_register_schema, &asked);
    asked.version_min = PROTOCOL_VERSION_MIN;
    asked.version_max = PROTOCOL_VERSION;
    asked.cluster_id = session->cluster_id;
    asked.node_id = session->node_id;
    asked.previous = session->id;
    asked.knows_relay = true;
    if (session->description != NULL) {
        asked.description = *session->description;
        asked.trouble = session->trouble;
    }
    say(at, MESSAGE_SESSION_REGISTER, &asked);
}

static void say_description(struct stepping *at) {
    struct session_describe said;
    schema_init(&session_describe_schema, &said);
    said.session_id = at->session->id;
    said.description = *at->session->description;
    said.trouble = at->session->trouble;
    say(at, MESSAGE_SESSION_DESCRIBE, &said);
}

static void say_heartbeat(struct stepping *at) {
    struct session_heartbeat heartbeat;
    schema_init(&session_heartbeat_schema, &heartbeat);
    heartbeat.session_id = at->session->id;
    at->session->due_ms = at->now_ms + at->session->heartbeat_ms;
    say(at, MESSAGE_SESSION_HEARTBEAT, &heartbeat);
}

static void say_leave(struct stepping *at) {
    struct session_leave leave;
    schema_init(&session_leave_schema, &leave);
    leave.session_id = at->session->id;
    say(at, MESSAGE_SESSION_LEAVE, &leave);
}

static size_t report_bytes(const struct task_report *report) {
    AUTO_BUF bytes = {0};
    wire_encode(&task_report_schema, report, &bytes);
    return bytes.len + REPORT_HEAD_BYTES;
}

// As many messages as it takes.
static void say_reports(struct stepping *at, const struct session_event *event) {
    for (size_t i = 0; i < event->reports.count;) {
        struct report_batch batch;
        size_t bytes = REPORT_HEAD_BYTES;
        schema_init(&report_batch_schema, &batch);
        batch.session_id = at->session->id;
        do {
            *ARENA_PUSH(at->arena, &batch.reports) = event->reports.items[i];
            bytes += report_bytes(&event->reports.items[i++]);
        } while (i < event->reports.count && batch.reports.count < REPORT_BATCH_MAX &&
                 bytes + report_bytes(&event->reports.items[i]) <= REPORT_BATCH_BYTES_MAX);
        say(at, MESSAGE_REPORT, &batch);
    }
}

// --- resting and dialing ---

static int64_t rest_ms(const struct stepping *at) {
    int64_t longest_ms = SESSION_REST_MS_MIN << at->session->failures;
    int64_t bound_ms = at->session->is_leaving ? SESSION_REST_LEAVING_MS_MAX : SESSION_REST_MS_MAX;
    longest_ms = longest_ms > bound_ms ? bound_ms : longest_ms;
    return longest_ms / 2 + (int64_t)prng_below(at->prng, (uint64_t)(longest_ms / 2) + 1);
}

static void wipe(size_t count, const struct assigned_content *contents) {
    for (size_t i = 0; i < count; i++) {
        if (contents[i].data.len > 0) {
            explicit_bzero((void *)(uintptr_t)contents[i].data.data, contents[i].data.len);
        }
    }
}

void session_actions_wipe(struct session_actions *actions) {
    wipe(actions->contents.count, actions->contents.items);
}

static void forget_step(struct session *session) {
    wipe(session->contents.count, session->contents.items);
    arena_clear(&session->building);
    session->is_building = false;
    session->building_bytes = 0;
    memset(&session->changed, 0, sizeof session->changed);
    memset(&session->removed, 0, sizeof session->removed);
    memset(&session->contents, 0, sizeof session->contents);
}

static void rest(struct stepping *at, const char *why) {
    struct session *session = at->session;
    forget_step(session);
    sm_move(&session->machine, SESSION_RESTING, why);
    session->due_ms = at->now_ms + rest_ms(at);
    session->failures += session->failures < FAILURES_MAX;
    at->out->trouble = arena_strdup(at->arena, why);
}

static void give_up(struct stepping *at, const char *why) {
    at->out->hang_up = true;
    rest(at, why);
}

static void dial(struct stepping *at) {
    struct session *session = at->session;
    if (!choose(session, at->prng)) {
        session->due_ms = at->now_ms + SESSION_REST_MS_MAX;
        at->out->trouble = "no manager is known";
        return;
    }
    sm_move(&session->machine, SESSION_DIALING, "due");
    session->due_ms = at->now_ms + SESSION_DIAL_MS_MAX;
    at->out->dial = arena_strdup(at->arena, session->dialed);
}

// --- registering ---

static void hear_interval(struct stepping *at, int64_t told_ms) {
    int64_t interval_ms = told_ms < HEARTBEAT_MS_MIN ? HEARTBEAT_MS_MIN : told_ms;
    at->session->heartbeat_ms = interval_ms > HEARTBEAT_MS_MAX ? HEARTBEAT_MS_MAX : interval_ms;
    at->session->due_ms = at->now_ms + at->session->heartbeat_ms;
}

// A session that is new to us, whether we waited for it or the answer came twice for two requests.
static void open_session(struct stepping *at, const struct session_registered *registered) {
    struct session *session = at->session;
    forget_step(session);
    if (session->machine.state == SESSION_REGISTERING) {
        sm_move(&session->machine, SESSION_OPEN, "registered");
    }
    session->id = registered->session_id;
    session->part = 0;
    session->is_asking = false;
    session->redirects = 0;
    session->heard_ms = at->now_ms;
    hear_interval(at, registered->heartbeat_ms);
    memcpy(session->next, session->dialed, sizeof session->next); // should only the link break
    at->out->is_opened = true;
    if (session->is_leaving) {
        say_leave(at);
    }
}

static void on_registered(struct stepping *at, const void *payload) {
    const struct session_registered *registered = payload;
    struct session *session = at->session;
    if (registered->version < PROTOCOL_VERSION_MIN || registered->version > PROTOCOL_VERSION) {
        give_up(at, "the manager speaks a version of the protocol that this node does not");
        return;
    }
    hear_managers(at, &registered->managers);
    bool is_open = session->machine.state == SESSION_OPEN;
    if (!is_open || !id_equal(&session->id, &registered->session_id)) {
        open_session(at, registered);
    }
}

static void on_redirect(struct stepping *at, const void *payload) {
    const struct session_redirect *redirect = payload;
    struct session *session = at->session;
    hear_managers(at, &redirect->managers);
    bool is_named = !str_is_empty(redirect->leader) && !str_equal(redirect->leader, session->dialed) &&
                    str_copy(session->next, sizeof session->next, redirect->leader);
    if (!is_named) {
        session->next[0] = '\0';
    }
    int failures = session->failures;
    give_up(at, is_named ? "led on to the leader" : "no leader is known there");
    if (is_named && session->redirects++ < SESSION_REDIRECTS_MAX) { // it was no failure
        session->due_ms = at->now_ms;
        session->failures = failures;
    }
}

// Whether the node is in the cluster still.
static void hear_place(struct stepping *at, bool is_removed) {
    struct session *session = at->session;
    session->removals = is_removed ? session->removals + 1 : 0;
    session->failures = is_removed ? FAILURES_REMOVED : session->failures;
    at->out->is_removed = session->removals >= SESSION_REMOVALS_MIN || (is_removed && session->is_leaving);
}

static void on_end(struct stepping *at, const void *payload) {
    const struct session_end *end = payload;
    struct session *session = at->session;
    const char *why = arena_printf(at->arena, "the manager ended the session: %s", end->text);
    hear_place(at, end->is_removed);
    // What will not change soon. Of two that have the same identity, each would take the session from the
    // other.
    bool may_change =
        error_is_retryable((int)error_code_from_name(end->code)) || str_equal(end->code, "NOT_FOUND");
    if (!end->is_removed && !may_change) {
        session->failures = FAILURES_MAX;
    }
    give_up(at, why);
}

// --- an open session ---

static void ask_again(struct stepping *at) {
    struct assign_again again;
    struct session *session = at->session;
    forget_step(session);
    session->is_asking = true;
    schema_init(&assign_again_schema, &again);
    again.session_id = session->id;
    again.number = session->part;
    say(at, MESSAGE_ASSIGN_AGAIN, &again);
}

static void on_heartbeat_reply(struct stepping *at, const void *payload) {
    const struct session_heartbeat_reply *reply = payload;
    struct session *session = at->session;
    session->failures = session->removals = 0; // it is a session that lasts
    hear_interval(at, reply->heartbeat_ms);
    hear_managers(at, &reply->managers);
    if (session->is_asking || reply->part != session->part) { // what was sent before it has come before it
        ask_again(at);
    }
    at->out->is_promoted = reply->is_manager;
    at->out->trust = arena_strdup(at->arena, reply->trust);
    at->out->certificate_ms = reply->certificate_ms;
}

static void on_stored(struct stepping *at, const void *payload) {
    const struct report_stored *stored = payload;
    for (size_t i = 0; i < stored->reports.count; i++) {
        *ARENA_PUSH(at->arena, &at->out->stored) =
            (struct session_stored){stored->reports.items[i].task_id, stored->reports.items[i].state};
    }
}

// --- assignments ---

// False: it is too much for one node.
static bool collect(struct session *session, const struct assign_part *part) {
    for (size_t i = 0; i < part->changed.count; i++) {
        struct bytes encoded = part->changed.items[i].assignment;
        session->building_bytes += encoded.len;
        if (session->changed.count == SESSION_STEP_TASKS_MAX ||
            session->building_bytes > SESSION_STEP_BYTES_MAX) {
            return false;
        }
        const void *copy = arena_copy(&session->building, encoded.data, encoded.len);
        *ARENA_PUSH(&session->building, &session->changed) = (struct bytes){copy, encoded.len};
    }
    for (size_t i = 0; i < part->contents.count; i++) {
        struct bytes data = part->contents.items[i].data;
        session->building_bytes += data.len;
        if (session->contents.count == SESSION_STEP_TASKS_MAX ||
            session->building_bytes > SESSION_STEP_BYTES_MAX) {
            return false;
        }
        data.data = arena_copy(&session->building, data.data, data.len);
        *ARENA_PUSH(&session->building, &session->contents) =
            (struct assigned_content){.id = part->contents.items[i].id, .data = data};
    }
    for (size_t i = 0; i < part->removed.count; i++) {
        if (session->removed.count == SESSION_STEP_TASKS_MAX) {
            return false;
        }
        *ARENA_PUSH(&session->building, &session->removed) = part->removed.items[i].task_id;
    }
    return true;
}

static int hand_out(struct stepping *at) {
    struct session *session = at->session;
    for (size_t i = 0; i < session->changed.count; i++) {
        struct bytes encoded = session->changed.items[i];
        struct bytes copy = {arena_copy(at->arena, encoded.data, encoded.len), encoded.len};
        int rc =
            wire_decode(&assignment_schema, copy, ARENA_PUSH(at->arena, &at->out->changed), at->arena, NULL);
        if (rc < 0) {
            return rc;
        }
    }
    for (size_t i = 0; i < session->removed.count; i++) {
        *ARENA_PUSH(at->arena, &at->out->removed) = session->removed.items[i];
    }
    for (size_t i = 0; i < session->contents.count; i++) {
        struct assigned_content *copy = ARENA_PUSH(at->arena, &at->out->contents);
        *copy = session->contents.items[i];
        copy->data.data = arena_copy(at->arena, copy->data.data, copy->data.len);
    }
    at->out->has_step = true;
    at->out->is_complete = session->is_building_set;
    forget_step(session);
    return 0;
}

// Is it what has to come now? The first part of a complete set always is, for it needs nothing before it.
static bool is_expected(const struct session *session, const struct assign_part *part) {
    if (part->number <= session->part) {
        return false;
    }
    if (part->is_first && part->is_complete) {
        return true;
    }
    return !session->is_asking && part->number - 1 == session->part &&
           part->is_first != session->is_building &&
           (part->is_first || part->is_complete == session->is_building_set);
}

static void on_assign(struct stepping *at, const void *payload) {
    const struct assign_part *part = payload;
    struct session *session = at->session;
    if (!is_expected(session, part)) {
        if (!session->is_asking) {
            ask_again(at);
        }
        return;
    }
    if (part->is_first) {
        forget_step(session);
        session->is_building = true;
        session->is_building_set = part->is_complete;
        session->is_asking = false;
    }
    session->part = part->number;
    bool is_collected = collect(session, part);
    wipe(part->contents.count, part->contents.items);
    if (!is_collected) {
        session->failures = FAILURES_MAX;
        give_up(at, "more is assigned to this node than one may hold");
    } else if (part->is_last && hand_out(at) < 0) {
        memset(&at->out->changed, 0, sizeof at->out->changed);
        session->failures = FAILURES_MAX;
        give_up(at, "an assignment that cannot be read");
    }
}

// --- messages ---

#define REGISTERING_OR_OPEN (SM_TO(SESSION_REGISTERING) | SM_TO(SESSION_OPEN))

// In which states a message is heard, and whether it names its session, which is the first member of its
// payload then.
static const struct {
    void (*handle)(struct stepping *at, const void *payload);
    uint64_t heard_in;
    uint16_t number;
    bool is_named;
} handlers[] = {
    {on_registered, REGISTERING_OR_OPEN, MESSAGE_SESSION_REGISTERED, false},
    {on_redirect, REGISTERING_OR_OPEN, MESSAGE_SESSION_REDIRECT, false},
    {on_end, REGISTERING_OR_OPEN, MESSAGE_SESSION_END, false},
    {on_heartbeat_reply, SM_TO(SESSION_OPEN), MESSAGE_SESSION_HEARTBEAT_REPLY, true},
    {on_assign, SM_TO(SESSION_OPEN), MESSAGE_ASSIGN, true},
    {on_stored, SM_TO(SESSION_OPEN), MESSAGE_REPORT_STORED, true},
};
_Static_assert(offsetof(struct session_heartbeat_reply, session_id) == 0, "the session comes first");
_Static_assert(offsetof(struct assign_part, session_id) == 0, "the session comes first");
_Static_assert(offsetof(struct report_stored, session_id) == 0, "the session comes first");

static void on_message(struct stepping *at, const struct session_event *event) {
    struct session *session = at->session;
    for (size_t i = 0; i < sizeof handlers / sizeof *handlers; i++) {
        if (handlers[i].number != event->number ||
            (handlers[i].heard_in & SM_TO(session->machine.state)) == 0) {
            continue;
        }
        const struct schema *schema = message_row(event->number)->payload;
        void *payload = arena_alloc(at->arena, schema->bytes);
        if (wire_decode(schema, event->body, payload, at->arena, NULL) < 0) {
            session->failures = FAILURES_MAX;
            give_up(at, "a message of the manager cannot be read");
        } else if (!handlers[i].is_named || id_equal(payload, &session->id)) {
            session->heard_ms = at->now_ms;
            handlers[i].handle(at, payload);
        }
        return;
    }
}

// --- events ---

static int64_t silent_at_ms(const struct session *session) {
    return session->heard_ms + SESSION_MISSED_MAX * session->heartbeat_ms;
}

static void on_time(struct stepping *at) {
    struct session *session = at->session;
    switch ((enum session_state)session->machine.state) {
    case SESSION_RESTING:
        if (at->now_ms >= session->due_ms) {
            dial(at);
        }
        break;
    case SESSION_DIALING:
    case SESSION_REGISTERING:
        if (at->now_ms >= session->due_ms) {
            give_up(at, "no answer in time");
        }
        break;
    case SESSION_OPEN:
        if (at->now_ms >= silent_at_ms(session)) {
            give_up(at, "the manager does not answer any more");
        } else if (at->now_ms >= session->due_ms) {
            say_heartbeat(at);
        }
        break;
    case SESSION_STATE_COUNT:
        break;
    }
}

static void on_connected(struct stepping *at) {
    if (at->session->machine.state == SESSION_DIALING) {
        sm_move(&at->session->machine, SESSION_REGISTERING, "connected");
        at->session->due_ms = at->now_ms + SESSION_REGISTER_MS_MAX;
        say_register(at);
    }
}

static void on_link_down(struct stepping *at, const struct session_event *event) {
    if (event->is_removed) {
        hear_place(at, true);
    }
    rest(at, event->text);
}

static void on_description(struct stepping *at, const struct session_event *event) {
    struct session *session = at->session;
    const char *trouble = event->trouble != NULL ? event->trouble : "";
    if (session->description != NULL && str_equal(session->trouble, trouble) &&
        schema_equal(&node_description_schema, session->description, event->description)) {
        return;
    }
    struct arena fresh = {0};
    session->description = schema_copy(&node_description_schema, event->description, &fresh);
    session->trouble = arena_strdup(&fresh, trouble);
    arena_free(&session->description_arena);
    session->description_arena = fresh;
    if (session->machine.state == SESSION_OPEN) {
        say_description(at);
    }
}

// Without a session there is one to be had first, and soon: who leaves does not wait for long.
static void on_leave(struct stepping *at) {
    struct session *session = at->session;
    session->is_leaving = true;
    if (session->machine.state == SESSION_OPEN) {
        say_leave(at);
    } else if (session->machine.state == SESSION_RESTING) {
        session->due_ms = at->now_ms;
    }
}

void session_step(struct session *session, const struct session_event *event, int64_t now_ms,
                  struct prng *prng, struct arena *arena, struct session_actions *out) {
    struct stepping at = {session, now_ms, prng, arena, out};
    *out = (struct session_actions){0};
    switch (event->kind) {
    case SESSION_ON_TIME:
        on_time(&at);
        break;
    case SESSION_ON_CONNECTED:
        on_connected(&at);
        break;
    case SESSION_ON_LINK_DOWN:
        if (session->machine.state != SESSION_RESTING) {
            on_link_down(&at, event);
        }
        break;
    case SESSION_ON_MESSAGE:
        on_message(&at, event);
        break;
    case SESSION_ON_REPORTS:
        if (session->machine.state == SESSION_OPEN) {
            say_reports(&at, event);
        }
        break;
    case SESSION_ON_DESCRIPTION:
        on_description(&at, event);
        break;
    case SESSION_ON_LEAVE:
        on_leave(&at);
        break;
    }
}

int64_t session_wake_ms(const struct session *session) {
    bool is_open = session->machine.state == SESSION_OPEN;
    return is_open && silent_at_ms(session) < session->due_ms ? silent_at_ms(session) : session->due_ms;
}

void session_init(struct session *session, const struct id *cluster_id, const struct id *node_id,
                  const struct strings *known, int64_t now_ms) {
    *session = (struct session){.cluster_id = *cluster_id, .node_id = *node_id, .due_ms = now_ms};
    sm_init(&session->machine, &session_table, SESSION_RESTING);
    take_managers(session, known);
}

void session_deinit(struct session *session) {
    arena_free(&session->building);
    arena_free(&session->description_arena);
}
