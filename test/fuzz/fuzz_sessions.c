// SPDX-License-Identifier: Apache-2.0
//
// test/fuzz/fuzz_sessions.c — any messages at either end of a session.
//
// Input: which end (1: odd = the agent's); then messages: number (1), length of the body (2, little-endian),
// body. The session is open, and its id always the same, so that inputs can name it. Whatever an end says
// must fit into its message.
#include "test/lib/fuzz.h"

#include "base/assert.h"
#include "reconciler/agent/session.h"
#include "reconciler/dispatch/sessions.h"

struct message {
    const struct message_row *row;
    struct bytes body;
};

// False at the end of the input.
static bool next_message(struct bytes *in, struct message *out) {
    if (in->len < 3) {
        return false;
    }
    size_t len = (size_t)(in->data[1] | in->data[2] << 8);
    len = len > in->len - 3 ? in->len - 3 : len;
    *out = (struct message){message_row(in->data[0]), {in->data + 3, len}};
    in->data += 3 + len;
    in->len -= 3 + len;
    return true;
}

static struct id fixed_id(uint64_t seed) {
    struct prng prng;
    prng_seed(&prng, seed);
    return id_from_prng(&prng);
}

static void encode(const struct schema *schema, const void *payload, struct buf *out) {
    buf_clear(out);
    wire_encode(schema, payload, out);
}

// --- the leader's end ---

static bool on_send(void *context, uint64_t link, uint16_t number, struct bytes body) {
    (void)context;
    (void)link;
    ASSERT(body.len <= message_row(number)->bytes_max);
    return true;
}

static void on_close(void *context, uint64_t link) {
    (void)context;
    (void)link;
}

static void try_leader(struct bytes in) {
    AUTO_BUF body = {0};
    struct prng prng;
    struct id node = fixed_id(1);
    struct message message;
    struct session_register asked;
    prng_seed(&prng, 2); // the first id that comes from it is that of the session
    struct sessions *sessions = sessions_new(&(struct sessions_options){
        .cluster_id = node, .prng = &prng, .callbacks = {on_send, on_close, NULL}});
    sessions_lead(sessions);
    schema_init(&session_register_schema, &asked);
    asked.version_max = PROTOCOL_VERSION;
    asked.cluster_id = asked.node_id = node;
    encode(&session_register_schema, &asked, &body);
    sessions_take(sessions, 1, &node, MESSAGE_SESSION_REGISTER, buf_bytes(&body));
    ASSERT(sessions_count(sessions) == 1);
    for (int64_t now_ms = 0; next_message(&in, &message); now_ms += 400) {
        sessions_tick(sessions, now_ms);
        if (message.row != NULL && message.row->sender == SENDER_AGENT) {
            sessions_take(sessions, 1, &node, message.row->number, message.body);
        }
    }
    sessions_free(sessions);
}

// --- the agent's end ---

static void step(struct session *session, const struct session_event *event, int64_t now_ms,
                 struct prng *prng) {
    AUTO_ARENA arena = {0};
    struct session_actions did;
    session_step(session, event, now_ms, prng, &arena, &did);
    for (size_t i = 0; i < did.messages.count; i++) {
        ASSERT(did.messages.items[i].body.len <= message_row(did.messages.items[i].number)->bytes_max);
    }
    ASSERT(did.has_step || (did.changed.count == 0 && did.removed.count == 0));
}

static void try_agent(struct bytes in) {
    AUTO_BUF body = {0};
    struct prng prng;
    struct id node = fixed_id(1);
    struct session session;
    struct message message;
    struct session_registered registered;
    const char *address = "a:1";
    prng_seed(&prng, 3);
    session_init(&session, &node, &node, &(struct strings){1, &address}, 0);
    step(&session, &(struct session_event){.kind = SESSION_ON_TIME}, 0, &prng);
    step(&session, &(struct session_event){.kind = SESSION_ON_CONNECTED}, 0, &prng);
    schema_init(&session_registered_schema, &registered);
    registered.version = PROTOCOL_VERSION;
    registered.session_id = fixed_id(2);
    encode(&session_registered_schema, &registered, &body);
    step(&session,
         &(struct session_event){
             .kind = SESSION_ON_MESSAGE, .number = MESSAGE_SESSION_REGISTERED, .body = buf_bytes(&body)},
         0, &prng);
    ASSERT(session.machine.state == SESSION_OPEN);
    for (int64_t now_ms = 0; next_message(&in, &message); now_ms += 10) {
        if (message.row != NULL && message.row->sender == SENDER_DISPATCHER) {
            step(&session,
                 &(struct session_event){
                     .kind = SESSION_ON_MESSAGE, .number = message.row->number, .body = message.body},
                 now_ms, &prng);
        }
        step(&session, &(struct session_event){.kind = SESSION_ON_TIME}, now_ms, &prng);
        ASSERT(session_wake_ms(&session) >= 0);
    }
    session_deinit(&session);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bytes rest = {data + 1, size > 0 ? size - 1 : 0};
    if (size > 0 && data[0] % 2 == 1) {
        try_agent(rest);
    } else if (size > 0) {
        try_leader(rest);
    }
    return 0;
}
