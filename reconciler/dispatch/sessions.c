// SPDX-License-Identifier: Apache-2.0
//
// reconciler/dispatch/sessions.c — who is there: registering, heartbeats, and who is silent for too long.
//
// Two lists are in the order of silence, so that a tick looks only at those whose time is over: nodes that
// were heard, and nodes that a new leader waits for, which have longer.
#include "reconciler/dispatch/sessions.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/dispatch/sessions_parts.h"

#define REGISTER_COST_MS 1000

struct sessions *sessions_new(const struct sessions_options *options) {
    struct sessions *sessions = NEW(struct sessions);
    sessions->options = *options;
    list_init(&sessions->heard);
    list_init(&sessions->unheard);
    list_init(&sessions->work);
    list_init(&sessions->blocked);
    list_init(&sessions->described);
    sessions_set(sessions, 0, 0);
    return sessions;
}

// An agent hears of a shorter interval when it has been heard by the longer one.
void sessions_set(struct sessions *sessions, int64_t heartbeat_ms, int missed_max) {
    int64_t before_ms = sessions->heartbeat_ms;
    sessions->heartbeat_ms = heartbeat_ms > 0 ? heartbeat_ms : SESSIONS_HEARTBEAT_MS;
    if (sessions->heartbeat_ms < before_ms && sessions_count(sessions) > 0) {
        sessions->slower_ms = before_ms;
        sessions->slower_until_ms = sessions->now_ms + 2 * before_ms;
    }
    sessions->missed_max = missed_max > 0 ? missed_max : SESSIONS_MISSED_MAX;
}

void sessions_set_trust(struct sessions *sessions, const char *trust, int64_t certificate_ms) {
    if (!str_copy(sessions->trust, sizeof sessions->trust, trust)) {
        sessions->trust[0] = '\0'; // so many authorities there are not
    }
    sessions->certificate_ms = certificate_ms;
}

static bool are_equal(const struct strings *a, const struct strings *b) {
    bool is_same = a->count == b->count;
    for (size_t i = 0; is_same && i < a->count; i++) {
        is_same = str_equal(a->items[i], b->items[i]);
    }
    return is_same;
}

void sessions_set_managers(struct sessions *sessions, const struct strings *addresses) {
    struct arena arena = {0};
    struct strings managers = {0};
    for (size_t i = 0; i < addresses->count && managers.count < AGENT_MANAGERS_MAX; i++) {
        if (strlen(addresses->items[i]) < AGENT_ADDRESS_BYTES) {
            const char *address = arena_strdup(&arena, addresses->items[i]);
            *ARENA_PUSH(&arena, &managers) = address;
        }
    }
    if (are_equal(&managers, &sessions->managers)) {
        arena_free(&arena);
        return;
    }
    arena_free(&sessions->managers_arena);
    sessions->managers_arena = arena;
    sessions->managers = managers;
    sessions->managers_version++;
}

size_t sessions_count(const struct sessions *sessions) {
    return sessions->by_link.count;
}

// --- links ---

static struct session_node *find_link(const struct sessions *sessions, uint64_t link) {
    char key[17];
    snprintf(key, sizeof key, "%016" PRIx64, link);
    return map_get(&sessions->by_link, key);
}

static void close_session(struct sessions *sessions, struct session_node *node) {
    ASSERT(node->is_open);
    map_remove(&sessions->by_link, node->link_key);
    delivery_end(node);
    node->is_open = false;
}

// Whatever was wrong: a link that is ended carries no session any more.
static void close_link(struct sessions *sessions, uint64_t link) {
    struct session_node *node = find_link(sessions, link);
    if (node != NULL) {
        close_session(sessions, node);
    }
    sessions->options.callbacks.close(sessions->options.callbacks.context, link);
}

// --- saying something ---

static bool say(struct sessions *sessions, uint64_t link, uint16_t number, const void *payload) {
    const struct message_row *row = message_row(number);
    buf_clear(&sessions->body);
    wire_encode(row->payload, payload, &sessions->body);
    ASSERT(sessions->body.len <= row->bytes_max);
    return sessions->options.callbacks.send(sessions->options.callbacks.context, link, number,
                                            buf_bytes(&sessions->body));
}

bool session_send(struct sessions *sessions, const struct session_node *node, uint16_t number,
                  const void *payload) {
    return say(sessions, node->link, number, payload);
}

// Nobody may hear it: an agent whose session is not known here is told so at its next word.
static void say_end(struct sessions *sessions, uint64_t link, const struct session_end *end) {
    say(sessions, link, MESSAGE_SESSION_END, end);
    close_link(sessions, link);
}

static struct session_end end_of(const struct id *session_id, enum error_code code, const char *text) {
    struct session_end end;
    schema_init(&session_end_schema, &end);
    end.session_id = *session_id;
    end.code = error_code_name((int)code);
    end.text = text;
    return end;
}

static void refuse(struct sessions *sessions, uint64_t link, enum error_code code, const char *text) {
    static const struct id none = {{0}};
    struct session_end end = end_of(&none, code, text);
    say_end(sessions, link, &end);
}

static void say_redirect(struct sessions *sessions, uint64_t link) {
    struct session_redirect redirect;
    schema_init(&session_redirect_schema, &redirect);
    redirect.leader = sessions->leader;
    redirect.managers = sessions->managers;
    say(sessions, link, MESSAGE_SESSION_REDIRECT, &redirect);
    close_link(sessions, link);
}

// All at the same moment would be a burst in each interval; so each is told a little less, each time.
static int64_t next_heartbeat_ms(struct sessions *sessions) {
    int64_t spread_ms = sessions->heartbeat_ms / 10;
    return sessions->heartbeat_ms - (int64_t)prng_below(sessions->options.prng, (uint64_t)spread_ms + 1);
}

// --- nodes ---

struct session_node *sessions_find(const struct sessions *sessions, const struct id *node_id) {
    return map_get(&sessions->by_node, node_id->text);
}

static void node_move(struct session_node *node, struct list *list, int64_t now_ms) {
    if (list_is_linked(&node->age)) {
        list_remove(&node->age);
    }
    list_append(list, &node->age);
    node->heard_ms = now_ms;
}

static struct session_node *node_get(struct sessions *sessions, const struct id *node_id) {
    struct session_node *node = sessions_find(sessions, node_id);
    if (node == NULL) {
        node = NEW(struct session_node);
        node->node_id = *node_id;
        map_put(&sessions->by_node, node->node_id.text, node);
        node_move(node, &sessions->unheard, sessions->now_ms);
    }
    return node;
}

static void node_troubled(struct sessions *sessions, struct session_node *node, const char *trouble) {
    if (!str_equal(node->trouble != NULL ? node->trouble : "", trouble)) {
        xfree(node->trouble);
        node->trouble = str_is_empty(trouble) ? NULL : xstrdup(trouble);
        sessions->turns++;
    }
}

static void node_heard(struct sessions *sessions, struct session_node *node) {
    sessions->turns += !node->was_heard || node->is_down;
    node->was_heard = true;
    node->is_down = false;
    node_move(node, &sessions->heard, sessions->now_ms);
}

// Each message costs its node some time; what that comes to is bounded.
static bool may_say(const struct sessions *sessions, struct session_node *node, int64_t cost_ms) {
    int64_t from_ms = node->talked_ms > sessions->now_ms ? node->talked_ms : sessions->now_ms;
    if (from_ms + cost_ms > sessions->now_ms + SESSION_TALK_MS) {
        return false;
    }
    node->talked_ms = from_ms + cost_ms;
    return true;
}

static void open_session(struct sessions *sessions, struct session_node *node, uint64_t link) {
    ASSERT(!node->is_open);
    node->is_open = true;
    node->link = link;
    node->id = id_from_prng(sessions->options.prng);
    node->managers_told = sessions->managers_version;
    node->was_told_manager = false;
    node->was_challenged = node->is_challenged = false;
    snprintf(node->link_key, sizeof node->link_key, "%016" PRIx64, link);
    map_put(&sessions->by_link, node->link_key, node);
    delivery_begin(sessions, node);
}

void session_end(struct sessions *sessions, struct session_node *node, enum error_code code,
                 const char *text) {
    struct session_end end = end_of(&node->id, code, text);
    close_session(sessions, node);
    say_end(sessions, node->link, &end);
}

static void node_free(struct session_node *node) {
    if (list_is_linked(&node->age)) {
        list_remove(&node->age);
    }
    hearsay_forget(node);
    xfree(node->trouble);
    xfree(node);
}

static void drop(struct sessions *sessions, struct session_node *node) {
    map_remove(&sessions->by_node, node->node_id.text);
    node_free(node);
}

void sessions_forget(struct sessions *sessions, struct session_node *node, const char *text) {
    if (node->is_open) {
        struct session_end end = end_of(&node->id, ERR_DENIED, text);
        end.is_removed = true;
        close_session(sessions, node);
        say_end(sessions, node->link, &end);
    }
    drop(sessions, node);
}

void sessions_release(struct sessions *sessions, const struct id *node_id) {
    struct session_node *node = sessions_find(sessions, node_id);
    if (node != NULL && !node->is_open) {
        drop(sessions, node);
    }
}

// --- who leads ---

static void forget_all(struct sessions *sessions) {
    size_t cursor = 0;
    for (struct session_node *node; (node = map_next(&sessions->by_node, &cursor)) != NULL;) {
        if (node->is_open) {
            close_session(sessions, node);
        }
        node_free(node);
    }
    map_free(&sessions->by_node);
    map_free(&sessions->by_link);
    sessions->by_node = sessions->by_link = (struct map){0};
    status_free(&sessions->status);
    sessions->is_started = false; // what travels comes back, though nothing follows from that any more
}

void sessions_lead(struct sessions *sessions) {
    sessions->leads = true;
    sessions->leader[0] = '\0';
}

void sessions_follow(struct sessions *sessions, const char *leader) {
    str_copy(sessions->leader, sizeof sessions->leader, leader);
    if (!sessions->leads) {
        return;
    }
    LIST_EACH(at, &sessions->heard) { // not in the order of a map: simulations repeat themselves
        const struct session_node *node = LIST_ENTRY(at, struct session_node, age);
        if (node->is_open) {
            say_redirect(sessions, node->link);
        }
    }
    sessions->leads = false;
    forget_all(sessions);
}

void sessions_free(struct sessions *sessions) {
    if (sessions != NULL) {
        forget_all(sessions);
        arena_free(&sessions->managers_arena);
        arena_free(&sessions->arena);
        buf_free(&sessions->body);
        xfree(sessions);
    }
}

// --- registering ---

// 0, or why not.
static enum error_code check_register(const struct sessions *sessions, const struct id *peer,
                                      const struct session_register *asked, const char **out_text) {
    if (asked->version_min > PROTOCOL_VERSION || asked->version_max < PROTOCOL_VERSION_MIN) {
        *out_text = "no common version of the protocol: update the older of the two";
        return ERR_UNSUPPORTED;
    }
    if (!id_equal(&asked->cluster_id, &sessions->options.cluster_id)) {
        *out_text = "this manager belongs to another cluster";
        return ERR_DENIED;
    }
    if (!id_equal(&asked->node_id, peer)) {
        *out_text = "the certificate is that of another node";
        return ERR_DENIED;
    }
    return ERR_NONE;
}

// How things are, and when the next heartbeat is due.
static bool tell(struct sessions *sessions, struct session_node *node, int64_t heartbeat_ms) {
    struct session_heartbeat_reply reply;
    schema_init(&session_heartbeat_reply_schema, &reply);
    reply.session_id = node->id;
    reply.heartbeat_ms = heartbeat_ms;
    reply.part = node->delivery.number;
    if (node->managers_told != sessions->managers_version) {
        reply.managers = sessions->managers;
    }
    reply.is_manager = node->is_manager;
    reply.trust = sessions->trust;
    reply.certificate_ms = sessions->certificate_ms;
    if (!session_send(sessions, node, MESSAGE_SESSION_HEARTBEAT_REPLY, &reply)) {
        return false;
    }
    node->managers_told = sessions->managers_version;
    node->was_told_manager = node->is_manager;
    return true;
}

// Two machines with one identity would take the session from each other, and both would run the node's tasks.
// Who came first stays, as long as it is there. An agent that was started anew has no session either:
// mostly its old link has ended with it. When its machine lost power it has not, and nobody notices before
// something is said on it; what is back at that address then ends it.
static bool is_duplicate(const struct session_node *node, uint64_t link,
                         const struct session_register *asked) {
    return node->is_open && node->link != link && !id_equal(&asked->previous, &node->id);
}

// A sound agent answers what it is told here with a heartbeat.
static void challenge(struct sessions *sessions, struct session_node *node) {
    if (!node->is_challenged) {
        log_event(LOG_INFO, "session.challenge", LOG_STR("node", node->node_id.text));
    }
    node->was_challenged = node->is_challenged = true;
    node->challenged_ms = sessions->now_ms;
    (void)tell(sessions, node, SESSION_CHALLENGE_MS); // without room: at the next attempt
}

static bool is_known_to_live(const struct sessions *sessions, const struct session_node *node) {
    return node->was_challenged && !node->is_challenged &&
           sessions->now_ms - node->challenged_ms < sessions->heartbeat_ms;
}

// Who is told to come again does so soon.
static void refuse_duplicate(struct sessions *sessions, struct session_node *node, uint64_t link) {
    if (!is_known_to_live(sessions, node)) {
        challenge(sessions, node);
        refuse(sessions, link, ERR_BUSY, "this node is here already: whether it still is, is being asked");
        return;
    }
    log_event(LOG_WARN, "session.duplicate", LOG_STR("node", node->node_id.text),
              LOG_STR("why", "a second machine with this identity, while the first is there"));
    refuse(sessions, link, ERR_CONFLICT,
           "this node is here already: when two machines have its identity, end the one that is a copy, and "
           "join it with a state directory of its own");
}

// By a link that its agent gave up, or once more by the same one.
static void replace(struct sessions *sessions, struct session_node *node, uint64_t link) {
    if (node->link == link) {
        close_session(sessions, node);
    } else {
        session_end(sessions, node, ERR_CONFLICT, "this node was registered by another link");
    }
}

static void on_register(struct sessions *sessions, uint64_t link, const struct id *peer,
                        const void *payload) {
    const struct session_register *asked = payload;
    const char *text;
    enum error_code code = check_register(sessions, peer, asked, &text);
    if (code != ERR_NONE) {
        refuse(sessions, link, code, text);
        return;
    }
    if (!sessions->leads) {
        say_redirect(sessions, link);
        return;
    }
    struct session_node *node = node_get(sessions, peer);
    struct session_registered registered;
    if (!may_say(sessions, node, REGISTER_COST_MS)) {
        refuse(sessions, link, ERR_BUSY, "this node registers too often");
        return;
    }
    if (is_duplicate(node, link, asked)) {
        refuse_duplicate(sessions, node, link);
        return;
    }
    if (node->is_open) {
        replace(sessions, node, link);
    }
    node_heard(sessions, node);
    open_session(sessions, node, link);
    hearsay_describe(sessions, node, &asked->description);
    node_troubled(sessions, node, asked->trouble);
    node->knows_relay = asked->knows_relay;
    schema_init(&session_registered_schema, &registered);
    registered.version = PROTOCOL_VERSION;
    registered.session_id = node->id;
    registered.heartbeat_ms = next_heartbeat_ms(sessions);
    registered.managers = sessions->managers;
    if (!session_send(sessions, node, MESSAGE_SESSION_REGISTERED, &registered)) {
        session_end(sessions, node, ERR_BUSY, "no room to answer");
    }
}

// --- messages of a session ---

int sessions_ask_relay(struct sessions *sessions, const struct id *node_id, const struct relay_ask *ask,
                       struct error *err) {
    const struct session_node *node = sessions_find(sessions, node_id);
    if (!sessions->leads || node == NULL || !node->is_open) {
        return error_set(err, ERR_UNREACHABLE, "it has no session with the manager that leads");
    }
    if (!node->knows_relay) {
        return error_set(err, ERR_UNSUPPORTED, "its musterd is too old for that: update it");
    }
    return session_send(sessions, node, MESSAGE_RELAY_ASK, ask)
               ? 0
               : error_set(err, ERR_BUSY, "there is no room on the link to it");
}

bool session_tell(struct sessions *sessions, struct session_node *node) {
    return tell(sessions, node, next_heartbeat_ms(sessions));
}

static void on_heartbeat(struct sessions *sessions, struct session_node *node, const void *payload) {
    (void)payload;
    (void)session_tell(sessions, node); // it asks again
}

static void on_leave(struct sessions *sessions, struct session_node *node, const void *payload) {
    (void)payload;
    hearsay_leave(sessions, node);
}

static void on_describe(struct sessions *sessions, struct session_node *node, const void *payload) {
    const struct session_describe *said = payload;
    hearsay_describe(sessions, node, &said->description);
    node_troubled(sessions, node, said->trouble);
}

static void on_again(struct sessions *sessions, struct session_node *node, const void *payload) {
    log_event(LOG_INFO, "session.again", LOG_STR("node", node->node_id.text),
              LOG_INT("taken", ((const struct assign_again *)payload)->number),
              LOG_INT("sent", node->delivery.number));
    delivery_again(sessions, node);
}

static void on_report(struct sessions *sessions, struct session_node *node, const void *payload) {
    hearsay_report(sessions, node, payload);
}

// The session is the first member of each of these payloads.
static const struct {
    uint16_t number;
    int64_t cost_ms;
    void (*handle)(struct sessions *sessions, struct session_node *node, const void *payload);
} handlers[] = {
    {MESSAGE_SESSION_HEARTBEAT, 20, on_heartbeat},
    {MESSAGE_SESSION_DESCRIBE, 1000, on_describe},
    {MESSAGE_SESSION_LEAVE, 1000, on_leave},
    {MESSAGE_ASSIGN_AGAIN, 1000, on_again},
    {MESSAGE_REPORT, 2, on_report},
};
_Static_assert(offsetof(struct session_heartbeat, session_id) == 0, "the session comes first");
_Static_assert(offsetof(struct session_describe, session_id) == 0, "the session comes first");
_Static_assert(offsetof(struct session_leave, session_id) == 0, "the session comes first");
_Static_assert(offsetof(struct assign_again, session_id) == 0, "the session comes first");
_Static_assert(offsetof(struct report_batch, session_id) == 0, "the session comes first");

static void handle(struct sessions *sessions, uint64_t link, uint16_t number, const void *payload) {
    struct session_node *node = find_link(sessions, link);
    for (size_t i = 0; i < sizeof handlers / sizeof *handlers; i++) {
        if (handlers[i].number != number) {
            continue;
        }
        const struct id *named = payload;
        if (node == NULL || !id_equal(named, &node->id)) {
            struct session_end end = end_of(named, ERR_NOT_FOUND, "this session is over: register again");
            say_end(sessions, link, &end);
            return;
        }
        if (!may_say(sessions, node, handlers[i].cost_ms)) {
            session_end(sessions, node, ERR_BUSY, "this node says too much");
            return;
        }
        node_heard(sessions, node);
        node->is_challenged = false;
        handlers[i].handle(sessions, node, payload);
    }
}

void sessions_take(struct sessions *sessions, uint64_t link, const struct id *peer, uint16_t number,
                   struct bytes body) {
    const struct message_row *row = message_row(number);
    struct session_node *node = find_link(sessions, link);
    ASSERT(row != NULL && row->sender == SENDER_AGENT);
    arena_clear(&sessions->arena);
    void *payload = arena_alloc(&sessions->arena, row->payload->bytes);
    if (wire_decode(row->payload, body, payload, &sessions->arena, NULL) == 0) {
        if (number == MESSAGE_SESSION_REGISTER) {
            on_register(sessions, link, peer, payload);
        } else {
            handle(sessions, link, number, payload);
        }
    } else if (node != NULL) {
        session_end(sessions, node, ERR_INVALID, "a message that cannot be read");
    } else {
        refuse(sessions, link, ERR_INVALID, "a message that cannot be read");
    }
}

void sessions_link_down(struct sessions *sessions, uint64_t link) {
    struct session_node *node = find_link(sessions, link);
    if (node != NULL) {
        close_session(sessions, node);
    }
}

void sessions_link_writable(struct sessions *sessions, uint64_t link) {
    struct session_node *node = find_link(sessions, link);
    if (node != NULL) {
        delivery_resume(sessions, node);
    }
}

// --- time ---

static void expire(struct sessions *sessions, struct list *list, int64_t grace_ms) {
    for (struct list_node *first; (first = list_first(list)) != NULL;) {
        struct session_node *node = LIST_ENTRY(first, struct session_node, age);
        if (sessions->now_ms - node->heard_ms < grace_ms) {
            return;
        }
        list_remove(&node->age);
        node->is_down = true;
        sessions->turns++;
        if (node->is_open) {
            session_end(sessions, node, ERR_TIMEOUT, "no heartbeat for too long");
        }
    }
}

void sessions_tick(struct sessions *sessions, int64_t mono_ms) {
    int64_t passed_ms = sessions->has_ticked ? mono_ms - sessions->ticked_mono_ms : 0;
    sessions->now_ms += passed_ms > SESSIONS_TICK_MS_MAX ? SESSIONS_TICK_MS_MAX : passed_ms;
    sessions->ticked_mono_ms = mono_ms;
    sessions->has_ticked = true;
    bool may_be_slower =
        sessions->now_ms < sessions->slower_until_ms && sessions->slower_ms > sessions->heartbeat_ms;
    int64_t grace_ms = (may_be_slower ? sessions->slower_ms : sessions->heartbeat_ms) * sessions->missed_max;
    expire(sessions, &sessions->heard, grace_ms);
    expire(sessions, &sessions->unheard, SESSIONS_NEW_LEADER_FACTOR * grace_ms);
    delivery_tick(sessions);
}

const char *sessions_trouble(const struct sessions *sessions, const struct id *node_id) {
    const struct session_node *node = sessions_find(sessions, node_id);
    return node != NULL && node->trouble != NULL ? node->trouble : "";
}

uint64_t sessions_turns(const struct sessions *sessions) {
    return sessions->turns;
}

enum session_presence sessions_presence(struct sessions *sessions, const struct id *node_id,
                                        int64_t *out_silent_ms) {
    ASSERT(sessions->leads);
    const struct session_node *node = node_get(sessions, node_id);
    *out_silent_ms = sessions->now_ms - node->heard_ms;
    if (node->is_down) {
        return SESSION_DOWN;
    }
    return node->is_open ? SESSION_HEARD : SESSION_AWAITED;
}
