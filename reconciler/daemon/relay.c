// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/relay.c — the ends of streams of this daemon, their turns, and streams that stay within
// it.
#include "reconciler/daemon/relay.h"

#include "base/assert.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/daemon/daemon.h"
#include "reconciler/daemon/relay_exec.h"
#include "reconciler/daemon/relay_logs.h"
#include "reconciler/daemon/relay_parts.h"
#include "transport/agent_links.h"

_Static_assert(RELAY_INPUT_WINDOW_BYTES + RELAY_DATA_BYTES_MAX + 8 * KIB < AGENT_QUEUE_BYTES_MAX,
               "what may be on the way to a node fits its queue");
_Static_assert(RELAY_WINDOW_BYTES + RELAY_DATA_BYTES_MAX + 8 * KIB < AGENT_LINK_QUEUE_BYTES_MAX,
               "and what may be on the way from it");

#define FRAMES_MAX 64    // of one end within this node, in a turn
#define TURNS_MAX 8      // that an end says something, in a turn
#define ENDS_TICK_MS 500 // deadlines, signs of life

static const struct relay_service relay_services[] = {
    {RELAY_LOGS, relay_logs_open},
    {RELAY_EXEC, relay_exec_open},
};

// --- ends ---

struct relay_end *relay_new(struct daemon *daemon, bool is_asker, const struct id *stream_id) {
    struct relay *relay = &daemon->relay;
    struct relay_end *end = NEW(struct relay_end);
    if (!relay->is_begun) {
        list_init(&relay->ends);
        relay->is_begun = true;
    }
    end->daemon = daemon;
    end->is_asker = is_asker;
    end->stream_id = *stream_id;
    end->window = end->allowed = is_asker ? RELAY_WINDOW_BYTES : RELAY_INPUT_WINDOW_BYTES;
    end->now_ms = end->begun_ms = daemon->now.mono_ms;
    end->deadline_ms = end->now_ms + RELAY_SETUP_MS;
    list_init(&end->inbox);
    list_append(&relay->ends, &end->node);
    *(is_asker ? &relay->asked_count : &relay->answered_count) += 1;
    return end;
}

struct relay_letter {
    struct list_node node;
    struct buf body; // an encoded relay_frame
};

static void letter_free(struct relay_letter *letter) {
    list_remove(&letter->node);
    buf_free(&letter->body);
    xfree(letter);
}

static void end_free(struct relay_end *end) {
    struct relay *relay = &end->daemon->relay;
    *(end->is_asker ? &relay->asked_count : &relay->answered_count) -= 1;
    list_remove(&end->node);
    LIST_EACH(node, &end->inbox) {
        letter_free(LIST_ENTRY(node, struct relay_letter, node));
    }
    if (end->twin != NULL) {
        end->twin->twin = NULL;
    }
    if (!end->is_asker) {
        relay_answer_hang_up(end);
    }
    buf_free(&end->request);
    xfree(end);
}

struct relay_end *relay_find(const struct daemon *daemon, bool is_asker, const struct id *stream_id) {
    const struct list *ends = &daemon->relay.ends;
    for (struct list_node *node = ends->head.next; node != NULL && node != &ends->head; node = node->next) {
        struct relay_end *end = LIST_ENTRY(node, struct relay_end, node);
        if (end->is_asker == is_asker && end->twin == NULL && id_equal(&end->stream_id, stream_id)) {
            return end;
        }
    }
    return NULL;
}

struct relay_end *relay_find_link(const struct daemon *daemon, bool is_asker, uint64_t link) {
    const struct list *ends = &daemon->relay.ends;
    for (struct list_node *node = ends->head.next; node != NULL && node != &ends->head; node = node->next) {
        struct relay_end *end = LIST_ENTRY(node, struct relay_end, node);
        if (end->is_asker == is_asker && link != 0 && end->link == link) {
            return end;
        }
    }
    return NULL;
}

void relay_serve(struct relay_end *end, int64_t kind, struct bytes request, int64_t credit) {
    struct relay_events events = {0};
    struct error err = {0};
    void *context = NULL;
    int rc =
        error_set(&err, ERR_UNSUPPORTED, "its musterd (%s) is too old for that: update it", MUSTER_VERSION);
    end->kind = kind;
    relay_end_run(end, credit);
    for (size_t i = 0; i < sizeof relay_services / sizeof *relay_services; i++) {
        if ((int64_t)relay_services[i].kind == kind) {
            error_clear(&err);
            rc = relay_services[i].open(end->daemon, end, request, &events, &context, &err);
        }
    }
    if (rc < 0) {
        relay_close(end, &err);
        return;
    }
    end->events = events;
    end->context = context;
    end->daemon->relay.must_run = true;
}

void relay_hear(struct relay_end *end, struct bytes body) {
    AUTO_ARENA arena = arena_make(0);
    struct error err = {0};
    struct relay_frame frame;
    if (wire_decode(&relay_frame_schema, body, &frame, &arena, &err) < 0) {
        relay_end_fail(end, &err);
        return;
    }
    relay_end_hear(end, &frame);
    end->daemon->relay.must_run = true;
}

void relay_lost(struct relay_end *end, const char *reason) {
    struct error err = {0};
    end->link = 0;
    error_set(&err, ERR_UNREACHABLE, "the link to it ended: %s", reason);
    if (end->state < RELAY_LINGERING) {
        relay_end_fail(end, &err);
    }
    end->state = RELAY_OVER;
}

// --- within this node ---

static bool local_send(struct relay_end *end, const struct relay_frame *frame) {
    if (end->twin == NULL) {
        return false;
    }
    struct relay_letter *letter = NEW(struct relay_letter);
    wire_encode(&relay_frame_schema, frame, &letter->body);
    list_append(&end->twin->inbox, &letter->node);
    end->daemon->relay.must_run = true;
    return true;
}

static void local_drop(struct relay_end *end) {
    end->state = RELAY_OVER;
}

static const struct relay_carrier local_carrier = {local_send, local_drop};

static void open_local(struct relay_end *end) {
    struct relay_end *twin = relay_new(end->daemon, /*is_asker=*/false, &end->stream_id);
    twin->node_id = end->node_id;
    end->twin = twin;
    twin->twin = end;
    end->carrier = twin->carrier = &local_carrier;
    end->daemon->relay.must_run = true;
}

static void begin_local(struct relay_end *end) {
    struct relay_end *twin = end->twin;
    if (twin == NULL) {
        return;
    }
    relay_end_run(end, twin->window);
    relay_serve(twin, end->kind, buf_bytes(&end->request), end->window);
}

static void step_local(struct relay_end *end) {
    if (end->is_asker && end->state == RELAY_SETTING_UP) {
        begin_local(end);
    }
    for (int i = 0; i < FRAMES_MAX && !list_is_empty(&end->inbox); i++) {
        struct relay_letter *letter = LIST_ENTRY(list_first(&end->inbox), struct relay_letter, node);
        relay_hear(end, buf_bytes(&letter->body));
        letter_free(letter);
    }
    if (end->twin == NULL && list_is_empty(&end->inbox) && end->state == RELAY_RUNNING) {
        relay_lost(end, "it is gone");
    }
    end->daemon->relay.must_run |= !list_is_empty(&end->inbox);
}

// --- asking ---

int relay_open(struct daemon *daemon, const struct relay_order *order, const struct relay_events *events,
               void *context, struct relay_end **out, struct error *err) {
    ASSERT(order->request.len <= RELAY_REQUEST_BYTES_MAX);
    if (daemon->relay.asked_count >= RELAY_ASKED_MAX) {
        return error_set(err, ERR_BUSY, "%d streams to nodes are open on this manager", RELAY_ASKED_MAX);
    }
    struct id stream_id = id_random();
    struct relay_end *end = relay_new(daemon, /*is_asker=*/true, &stream_id);
    end->node_id = order->node_id;
    end->kind = order->kind;
    end->window = end->allowed = order->window_bytes > 0 ? order->window_bytes : RELAY_WINDOW_BYTES;
    end->events = *events;
    end->context = context;
    end->request = buf_make(RELAY_REQUEST_BYTES_MAX);
    buf_add(&end->request, order->request.data, order->request.len);
    if (id_equal(&order->node_id, &daemon->node_id)) {
        open_local(end);
    }
    daemon->relay.must_run = true;
    *out = end;
    return 0;
}

// --- turns ---

void relay_take(struct daemon *daemon) {
    relay_answer_tick(daemon);
}

static void say_what_is_ready(struct relay_end *end) {
    enum relay_turn turn = end->turn;
    for (int i = 0; i < TURNS_MAX && turn == RELAY_MORE; i++) {
        turn = relay_end_turn(end);
    }
}

static void step(struct relay_end *end, bool is_poll) {
    relay_end_tick(end, end->daemon->now.mono_ms);
    if (end->carrier == &local_carrier) {
        step_local(end);
    } else if (end->is_asker && end->state == RELAY_SETTING_UP) {
        relay_ask_again(end);
    }
    if (is_poll && end->turn == RELAY_POLL) {
        end->turn = RELAY_MORE;
    }
    say_what_is_ready(end);
}

void relay_step(struct daemon *daemon) {
    struct relay *relay = &daemon->relay;
    relay->must_run = false;
    if (!relay->is_begun || list_is_empty(&relay->ends)) {
        return;
    }
    bool is_poll = daemon->now.mono_ms >= relay->poll_mono_ms;
    if (is_poll) {
        relay->poll_mono_ms = daemon->now.mono_ms + RELAY_POLL_MS;
    }
    LIST_EACH(node, &relay->ends) {
        step(LIST_ENTRY(node, struct relay_end, node), is_poll);
    }
    LIST_EACH(node, &relay->ends) {
        struct relay_end *end = LIST_ENTRY(node, struct relay_end, node);
        if (end->state == RELAY_OVER) {
            end_free(end);
        }
    }
}

int64_t relay_wake_mono_ms(const struct daemon *daemon) {
    const struct relay *relay = &daemon->relay;
    int64_t wake_ms = INT64_MAX;
    if (!relay->is_begun) {
        return wake_ms;
    }
    for (const struct list_node *node = relay->ends.head.next; node != &relay->ends.head; node = node->next) {
        const struct relay_end *end = LIST_ENTRY(node, const struct relay_end, node);
        bool is_writable = relay_is_writable(end) && end->events.on_turn != NULL;
        if (relay->must_run || (is_writable && end->turn == RELAY_MORE)) {
            return daemon->now.mono_ms;
        }
        int64_t at_ms =
            is_writable && end->turn == RELAY_POLL ? relay->poll_mono_ms : daemon->now.mono_ms + ENDS_TICK_MS;
        wake_ms = at_ms < wake_ms ? at_ms : wake_ms;
    }
    return wake_ms;
}

void relay_free(struct daemon *daemon) {
    struct relay *relay = &daemon->relay;
    struct error err = {0};
    error_set(&err, ERR_UNREACHABLE, "the daemon is stopping");
    relay->is_closing = true;
    for (; relay->is_begun && !list_is_empty(&relay->ends);) {
        struct relay_end *end = LIST_ENTRY(list_first(&relay->ends), struct relay_end, node);
        relay_end_fail(end, &err);
        end_free(end);
    }
    relay_answer_free(daemon);
}
