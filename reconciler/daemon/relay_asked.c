// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/relay_asked.c — a manager asks nodes for streams, for itself or for another manager,
// and takes the links that they dial for it.
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/daemon/daemon.h"
#include "reconciler/daemon/relay_parts.h"

// --- the link that a node dialed ---

static bool incoming_send(struct relay_end *end, const struct relay_frame *frame) {
    AUTO_BUF body = {0};
    wire_encode(&relay_frame_schema, frame, &body);
    return peers_agent_send(end->daemon->group.peers, end->link, MESSAGE_RELAY_INPUT, buf_bytes(&body));
}

static void incoming_drop(struct relay_end *end) {
    if (end->link != 0 && !end->daemon->relay.is_closing) {
        peers_agent_close(end->daemon->group.peers, TAKE(end->link));
    }
    end->state = RELAY_OVER;
}

static const struct relay_carrier incoming_carrier = {incoming_send, incoming_drop};

static bool say_begin(const struct relay_end *end, uint64_t link) {
    AUTO_BUF body = {0};
    struct relay_begin begin;
    schema_init(&relay_begin_schema, &begin);
    begin.kind = end->kind;
    begin.request = buf_bytes(&end->request);
    begin.credit = end->window;
    wire_encode(&relay_begin_schema, &begin, &body);
    return peers_agent_send(end->daemon->group.peers, link, MESSAGE_RELAY_BEGIN, buf_bytes(&body));
}

// A stream has one link; a node that was asked twice may bring two.
static void on_hello(struct daemon *daemon, uint64_t link, const struct id *node_id, struct bytes body) {
    AUTO_ARENA arena = arena_make(0);
    struct relay_hello hello;
    struct relay_end *end = NULL;
    if (wire_decode(&relay_hello_schema, body, &hello, &arena, NULL) == 0) {
        end = relay_find(daemon, /*is_asker=*/true, &hello.stream_id);
    }
    if (end == NULL || end->state != RELAY_SETTING_UP || !id_equal(&end->node_id, node_id) ||
        !say_begin(end, link)) {
        peers_agent_close(daemon->group.peers, link);
        return;
    }
    end->link = link;
    end->carrier = &incoming_carrier;
    buf_free(&end->request);
    relay_end_run(end, hello.credit);
}

// --- asking for it ---

static void note_trouble(struct relay_end *end, const char *text) {
    (void)str_copy(end->trouble, sizeof end->trouble, text);
}

static bool say_manager(struct daemon *daemon, uint64_t raft_id, uint16_t number, const void *payload) {
    AUTO_BUF body = {0};
    wire_encode(message_row(number)->payload, payload, &body);
    return daemon->group.peers != NULL &&
           peers_send(daemon->group.peers, raft_id, number, buf_bytes(&body), /*is_bulk=*/true);
}

static void ask_manager(struct relay_end *end, uint64_t raft_id, const char *trouble) {
    struct relay_forward forward;
    schema_init(&relay_forward_schema, &forward);
    forward.stream_id = end->stream_id;
    forward.node_id = end->node_id;
    if (!say_manager(end->daemon, raft_id, MESSAGE_RELAY_FORWARD, &forward)) {
        note_trouble(end, trouble);
    }
}

static const char *address_of(const struct daemon *daemon, uint64_t raft_id) {
    const struct member *member = membership_find(replica_membership(daemon->replica), raft_id);
    bool is_self = raft_id == replica_id(daemon->replica);
    return member != NULL && !str_is_empty(member->address) ? member->address
           : is_self                                        ? daemon->group.address
                                                            : "";
}

static int ask_session(struct daemon *daemon, const struct id *node_id, const struct id *stream_id,
                       uint64_t asker, struct error *err) {
    struct relay_ask ask;
    schema_init(&relay_ask_schema, &ask);
    ask.stream_id = *stream_id;
    ask.asker = (int64_t)asker;
    ask.address = address_of(daemon, asker);
    if (str_is_empty(ask.address)) {
        return error_set(err, ERR_UNREACHABLE, "where the manager is that asks for it is not known");
    }
    return daemon->dispatcher.sessions != NULL
               ? sessions_ask_relay(daemon->dispatcher.sessions, node_id, &ask, err)
               : error_set(err, ERR_UNREACHABLE, "this manager has no sessions yet");
}

static void ask(struct relay_end *end) {
    struct daemon *daemon = end->daemon;
    const struct member *member = membership_find_node(replica_membership(daemon->replica), &end->node_id);
    struct replica_status status;
    struct error err = {0};
    replica_status(daemon->replica, &status);
    if (member != NULL && (uint64_t)member->raft_id != status.raft_id) {
        ask_manager(end, (uint64_t)member->raft_id, "there is no link to it");
    } else if (status.leader == status.raft_id) {
        if (ask_session(daemon, &end->node_id, &end->stream_id, status.raft_id, &err) < 0) {
            note_trouble(end, err.root);
        }
    } else if (status.leader != 0) {
        ask_manager(end, status.leader, "there is no link to the manager that leads");
    } else {
        note_trouble(end, "no manager leads, and only that one can ask it");
    }
}

void relay_ask_again(struct relay_end *end) {
    if (end->asked_ms == 0 || end->now_ms - end->asked_ms >= RELAY_ASK_MS) {
        end->asked_ms = end->now_ms;
        ask(end);
    }
}

// --- who cannot ---

// What will not change ends it; the rest may be another way in a moment.
static void on_refused(struct daemon *daemon, const struct id *stream_id, const struct id *node_id,
                       const char *code, const char *text) {
    struct relay_end *end = relay_find(daemon, /*is_asker=*/true, stream_id);
    struct error err = {0};
    if (end == NULL || end->state != RELAY_SETTING_UP || !id_equal(&end->node_id, node_id)) {
        return;
    }
    note_trouble(end, text);
    error_set(&err, error_code_from_name(code), "%s", text);
    if (!error_is_retryable((int)err.code)) {
        relay_end_fail(end, &err);
    }
}

static void refuse_manager(struct daemon *daemon, uint64_t to, const struct id *stream_id,
                           const struct id *node_id, const char *code, const char *text) {
    struct relay_forward_refused refused;
    schema_init(&relay_forward_refused_schema, &refused);
    refused.stream_id = *stream_id;
    refused.node_id = *node_id;
    refused.code = code;
    refused.text = text;
    (void)say_manager(daemon, to, MESSAGE_RELAY_FORWARD_REFUSED, &refused);
}

static void on_agent_refused(struct daemon *daemon, const struct id *node_id, struct bytes body) {
    AUTO_ARENA arena = arena_make(0);
    struct relay_refused refused;
    if (wire_decode(&relay_refused_schema, body, &refused, &arena, NULL) < 0) {
        return;
    }
    if ((uint64_t)refused.asker == replica_id(daemon->replica)) {
        on_refused(daemon, &refused.stream_id, node_id, refused.code, refused.text);
    } else {
        refuse_manager(daemon, (uint64_t)refused.asker, &refused.stream_id, node_id, refused.code,
                       refused.text);
    }
}

// --- what is said ---

bool relay_on_agent(struct daemon *daemon, uint64_t link, const struct id *node_id, uint16_t number,
                    struct bytes body) {
    struct relay_end *end = relay_find_link(daemon, /*is_asker=*/true, link);
    if (number == MESSAGE_RELAY_REFUSED && end == NULL) {
        on_agent_refused(daemon, node_id, body);
    } else if (number == MESSAGE_RELAY_HELLO && end == NULL) {
        on_hello(daemon, link, node_id, body);
    } else if (number == MESSAGE_RELAY_ANSWER && end != NULL) {
        relay_hear(end, body);
    } else if (number == MESSAGE_RELAY_ANSWER || end != NULL) {
        peers_agent_close(daemon->group.peers, link);
        if (end != NULL) {
            relay_lost(end, "it says what it should not");
        }
    } else {
        return false;
    }
    return true;
}

bool relay_on_agent_down(struct daemon *daemon, uint64_t link) {
    struct relay_end *end = relay_find_link(daemon, /*is_asker=*/true, link);
    if (end == NULL) {
        return false;
    }
    relay_lost(end, "it was cut");
    return true;
}

static void on_forward(struct daemon *daemon, uint64_t from, const struct relay_forward *forward) {
    struct error err = {0};
    if (id_equal(&forward->node_id, &daemon->node_id)) {
        const struct relay_ask own = {
            .stream_id = forward->stream_id, .asker = (int64_t)from, .address = address_of(daemon, from)};
        relay_answer_ask(daemon, &own);
        return;
    }
    int rc = group_leads(daemon)
                 ? ask_session(daemon, &forward->node_id, &forward->stream_id, from, &err)
                 : error_set(&err, ERR_UNREACHABLE, "the manager that was asked for it does not lead");
    if (rc < 0) {
        refuse_manager(daemon, from, &forward->stream_id, &forward->node_id, error_code_name(rc), err.root);
    }
}

void relay_on_manager(struct daemon *daemon, uint64_t from, uint16_t number, struct bytes body) {
    AUTO_ARENA arena = arena_make(0);
    struct relay_forward forward;
    struct relay_forward_refused refused;
    if (number == MESSAGE_RELAY_FORWARD &&
        wire_decode(&relay_forward_schema, body, &forward, &arena, NULL) == 0) {
        on_forward(daemon, from, &forward);
    } else if (number == MESSAGE_RELAY_FORWARD_REFUSED &&
               wire_decode(&relay_forward_refused_schema, body, &refused, &arena, NULL) == 0) {
        on_refused(daemon, &refused.stream_id, &refused.node_id, refused.code, refused.text);
    }
}
