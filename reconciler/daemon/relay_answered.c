// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/relay_answered.c — a node that is asked for a stream dials the manager that asks.
#include <uv.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/daemon/daemon.h"
#include "reconciler/daemon/relay_parts.h"
#include "transport/agent_links.h"

#define LINK_FRAMES_MAX 256

// --- the link ---

static bool dialed_send(struct relay_end *end, const struct relay_frame *frame) {
    AUTO_BUF body = {0};
    wire_encode(&relay_frame_schema, frame, &body);
    return agent_links_send(end->daemon->relay.links, end->link, MESSAGE_RELAY_ANSWER, buf_bytes(&body));
}

// Not at once: the last frame is to arrive. The other side hangs up when it has it, or the deadline does.
static void dialed_drop(struct relay_end *end) {
    if (end->link == 0) {
        end->state = RELAY_OVER;
    }
}

static const struct relay_carrier dialed_carrier = {dialed_send, dialed_drop};

// --- refusing ---

static void refuse(struct daemon *daemon, const struct id *stream_id, int64_t asker,
                   const struct error *err) {
    struct relay_refused refused;
    struct relay_forward_refused forwarded;
    AUTO_BUF body = {0};
    log_failure(LOG_WARN, "relay.refused", err, LOG_STR("stream", stream_id->text));
    if (worker_is(daemon)) {
        schema_init(&relay_refused_schema, &refused);
        refused.stream_id = *stream_id;
        refused.asker = asker;
        refused.code = error_code_name((int)err->code);
        refused.text = err->root;
        wire_encode(&relay_refused_schema, &refused, &body);
        worker_say(daemon, MESSAGE_RELAY_REFUSED, buf_bytes(&body));
    } else if (daemon->group.peers != NULL) {
        schema_init(&relay_forward_refused_schema, &forwarded);
        forwarded.stream_id = *stream_id;
        forwarded.node_id = daemon->node_id;
        forwarded.code = error_code_name((int)err->code);
        forwarded.text = err->root;
        wire_encode(&relay_forward_refused_schema, &forwarded, &body);
        (void)peers_send(daemon->group.peers, (uint64_t)asker, MESSAGE_RELAY_FORWARD_REFUSED,
                         buf_bytes(&body), /*is_bulk=*/true);
    }
}

// --- callbacks of the links ---

static void on_connected(void *context, uint64_t link) {
    struct daemon *daemon = context;
    struct relay_end *end = relay_find_link(daemon, /*is_asker=*/false, link);
    if (end != NULL && end->state == RELAY_SETTING_UP) {
        AUTO_BUF body = {0};
        struct relay_hello hello;
        schema_init(&relay_hello_schema, &hello);
        hello.stream_id = end->stream_id;
        hello.credit = end->window;
        wire_encode(&relay_hello_schema, &hello, &body);
        end->state = RELAY_GREETING;
        (void)agent_links_send(daemon->relay.links, link, MESSAGE_RELAY_HELLO, buf_bytes(&body));
    }
}

static void on_begin(struct relay_end *end, struct bytes body) {
    AUTO_ARENA arena = arena_make(0);
    struct relay_begin begin;
    struct error err = {0};
    if (wire_decode(&relay_begin_schema, body, &begin, &arena, &err) < 0) {
        relay_end_fail(end, &err);
        return;
    }
    relay_serve(end, begin.kind, begin.request, begin.credit);
}

static void on_message(void *context, uint64_t link, uint16_t number, struct bytes body) {
    struct daemon *daemon = context;
    struct relay_end *end = relay_find_link(daemon, /*is_asker=*/false, link);
    if (end == NULL) {
        return;
    }
    if (number == MESSAGE_RELAY_BEGIN && end->state == RELAY_GREETING) {
        on_begin(end, body);
    } else if (number == MESSAGE_RELAY_INPUT) {
        relay_hear(end, body);
    } else {
        agent_links_hang_up(daemon->relay.links, link);
        relay_lost(end, "the manager says what it should not");
    }
}

static void on_down(void *context, uint64_t link, const char *reason) {
    struct daemon *daemon = context;
    struct relay_end *end = relay_find_link(daemon, /*is_asker=*/false, link);
    if (end == NULL) {
        return;
    }
    if (end->state == RELAY_SETTING_UP) {
        struct error err = {0};
        error_set(&err, ERR_UNREACHABLE, "it cannot reach the manager that asks for its streams: %s", reason);
        refuse(daemon, &end->stream_id, end->asker, &err);
    }
    relay_lost(end, reason);
}

// --- links ---

static void on_readable(uv_poll_t *handle, int status, int events) {
    (void)handle; // the next turn takes what there is
    (void)status;
    (void)events;
}

static void on_poll_closed(uv_handle_t *handle) {
    xfree(handle);
}

static int watch(struct daemon *daemon, struct error *err) {
    struct relay *relay = &daemon->relay;
    relay->poll = NEW(struct uv_poll_s);
    int rc = uv_poll_init(daemon->loop, relay->poll, agent_links_fd(relay->links));
    if (rc != 0) {
        xfree(TAKE(relay->poll));
    }
    rc = rc != 0 ? rc : uv_poll_start(relay->poll, UV_READABLE, on_readable);
    return rc == 0 ? 0 : error_set(err, ERR_SYSTEM, "watch the links of streams: %s", uv_strerror(rc));
}

static int open_links(struct daemon *daemon, struct error *err) {
    struct relay *relay = &daemon->relay;
    const struct agent_links_options options = {
        .callbacks = {
            .on_connected = on_connected, .on_message = on_message, .on_down = on_down, .context = daemon}};
    if (relay->links != NULL) {
        return 0;
    }
    int rc = agent_links_open(&options, &relay->links, err);
    return rc < 0 ? rc : watch(daemon, err);
}

void relay_answer_tick(struct daemon *daemon) {
    struct relay *relay = &daemon->relay;
    if (relay->links == NULL) {
        return;
    }
    agent_links_take(relay->links, LINK_FRAMES_MAX);
    agent_links_tick(relay->links, daemon->now.mono_ms);
}

void relay_answer_hang_up(struct relay_end *end) {
    if (end->link != 0) {
        agent_links_hang_up(end->daemon->relay.links, TAKE(end->link));
    }
}

void relay_answer_free(struct daemon *daemon) {
    struct relay *relay = &daemon->relay;
    if (relay->poll != NULL) {
        uv_close((uv_handle_t *)TAKE(relay->poll), on_poll_closed);
    }
    agent_links_close(TAKE(relay->links));
}

// --- being asked ---

static int dial(struct relay_end *end, const char *address, struct error *err) {
    struct daemon *daemon = end->daemon;
    struct tls *tls = NULL;
    int rc = open_links(daemon, err);
    rc = rc < 0 ? rc : passport_tls(daemon, &tls, err);
    if (rc == 0) {
        const struct agent_dial order = {.address = address, .tls = tls, .cluster_id = daemon->cluster_id};
        rc = agent_links_dial(daemon->relay.links, &order, &end->link, err);
        tls_free(tls);
    }
    return rc;
}

void relay_answer_ask(struct daemon *daemon, const struct relay_ask *ask) {
    struct error err = {0};
    int rc = 0;
    if (relay_find(daemon, /*is_asker=*/false, &ask->stream_id) != NULL) {
        return; // it is under way
    }
    if (daemon->relay.answered_count >= RELAY_ANSWERED_MAX) {
        rc = error_set(&err, ERR_BUSY, "it has %d streams open already", RELAY_ANSWERED_MAX);
    } else {
        struct relay_end *end = relay_new(daemon, /*is_asker=*/false, &ask->stream_id);
        end->node_id = daemon->node_id;
        end->asker = ask->asker;
        end->carrier = &dialed_carrier;
        rc = dial(end, ask->address, &err);
        end->state = rc < 0 ? RELAY_OVER : end->state;
    }
    if (rc < 0) {
        refuse(daemon, &ask->stream_id, ask->asker, &err);
    }
}

void relay_on_ask(struct daemon *daemon, struct bytes body) {
    AUTO_ARENA arena = arena_make(0);
    struct relay_ask ask;
    if (wire_decode(&relay_ask_schema, body, &ask, &arena, NULL) == 0) {
        relay_answer_ask(daemon, &ask);
    }
}
