// SPDX-License-Identifier: Apache-2.0
//
// transport/peers_out.c — the links that we dial: rest, dial, greet, carry, and rest again.
//
// The rest is drawn from 20 ms up to a bound, 200 ms at first, that doubles with each failure up to a second:
// managers that start together do not dial in step, and one that is away is not hammered. It ends when the
// other one calls: it is there, may lead soon, and wants to be answered.
#include "transport/peers_parts.h"

#include <stdio.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

#define REST_MS_MIN 20
#define REST_MS_MAX 200
#define REST_MS_LONGEST 1000
#define PING_BYTES (256 * KIB)
// Less than that may wait for nng's thread only: it does not show that the other side had no room.
#define BACKLOG_BYTES_MIN (64 * KIB)

static int64_t rest_ms(struct slot *slot) {
    int64_t longest = REST_MS_MAX << (slot->failures < 3 ? slot->failures : 3);
    longest = longest < REST_MS_LONGEST ? longest : REST_MS_LONGEST;
    return REST_MS_MIN + (int64_t)prng_below(slot->peers->prng, (uint64_t)(longest - REST_MS_MIN + 1));
}

// True when the trouble is another one than before.
static bool slot_set_trouble(struct slot *slot, const char *text) {
    if (strncmp(slot->trouble, text, sizeof slot->trouble - 1) == 0) {
        return false;
    }
    snprintf(slot->trouble, sizeof slot->trouble, "%s", text);
    return true;
}

static void slot_rest(struct slot *slot) {
    if (slot->line != NULL) {
        line_end(slot->line, "not wanted any more");
        slot->line = NULL;
    }
    slot->state = SLOT_RESTING;
    slot->until_ms = slot->peers->now_ms + rest_ms(slot);
    slot->failures++;
}

static void slot_say_down(struct slot *slot) {
    const struct peers_callbacks *callbacks = &slot->peers->callbacks;
    if (slot->member != NULL && !slot->is_bulk && !slot->peers->is_closing) {
        callbacks->on_down(callbacks->context, slot->raft_id);
    }
}

void slot_lost(struct slot *slot, const char *reason) {
    bool was_up = slot->state == SLOT_UP;
    bool is_news = slot_set_trouble(slot, reason) || was_up;
    slot_rest(slot);
    if (slot->ask != NULL) {
        struct error err = {0};
        error_set(&err, ERR_UNREACHABLE, "%s", reason);
        ask_end(slot->ask, &err, 0, (struct bytes){0});
        return;
    }
    if (is_news && !slot->is_bulk) {
        log_event(LOG_INFO, was_up ? "peer.down" : "peer.unreachable",
                  LOG_STR("peer", raft_id_text(slot->raft_id).text), LOG_STR("at", slot->url),
                  LOG_STR("error", reason));
    }
    if (was_up) {
        slot_say_down(slot);
    }
}

void slot_reset(struct slot *slot, const char *reason) {
    bool was_up = slot->state == SLOT_UP;
    if (slot->line != NULL) {
        line_end(slot->line, reason);
        slot->line = NULL;
    }
    slot->state = SLOT_RESTING;
    slot->until_ms = slot->peers->now_ms;
    slot->failures = 0;
    slot->trouble[0] = '\0';
    slot->refusal_crc = 0;
    if (was_up) {
        slot_say_down(slot);
    }
}

void slot_hurry(struct slot *slot) {
    if (slot->state == SLOT_RESTING) {
        slot->until_ms = slot->peers->now_ms;
    }
}

void slot_init(struct slot *slot, struct peers *peers, uint64_t raft_id, const char *url) {
    *slot = (struct slot){.peers = peers, .raft_id = raft_id, .until_ms = peers->now_ms};
    slot->is_usable = url != NULL && str_copy(slot->url, sizeof slot->url, url);
}

// --- dialing ---

static void slot_dial(struct slot *slot) {
    struct line *line = line_new(slot->peers, LINE_ORDINARY);
    struct error err = {0};
    if (dial_start(slot->url, &slot->peers->mailbox, line, &line->dial, &err) < 0) {
        line_free(line);
        slot_lost(slot, err.root);
        return;
    }
    line->slot = slot;
    slot->line = line;
    slot->state = SLOT_DIALING;
    slot->until_ms = slot->peers->now_ms + PEERS_DIAL_DEADLINE_MS;
}

static void slot_greet(struct slot *slot) {
    const struct peers_self *self = &slot->peers->self;
    struct peer_hello hello;
    schema_init(&peer_hello_schema, &hello);
    hello.version_min = PROTOCOL_VERSION_MIN;
    hello.version_max = PROTOCOL_VERSION;
    hello.cluster_id = self->cluster_id;
    hello.epoch = self->epoch;
    hello.from = (int64_t)self->raft_id;
    hello.to = (int64_t)slot->raft_id;
    hello.address = self->address;
    hello.is_bulk = slot->is_bulk;
    hello.instance = slot->peers->instance;
    line_send(slot->line, MESSAGE_PEER_HELLO, &hello);
    slot->state = SLOT_GREETING;
    slot->until_ms = slot->peers->now_ms + PEERS_DIAL_DEADLINE_MS;
}

void slot_on_dialed(struct line *line, struct link_letter *letter) {
    dial_free(TAKE(line->dial));
    if (letter->stream != NULL && !line->is_over) {
        line_connect(line, TAKE(letter->stream));
        slot_greet(line->slot);
        return;
    }
    if (letter->stream != NULL) {
        link_discard(TAKE(letter->stream));
    }
    struct slot *slot = TAKE(line->slot);
    line_free(line);
    if (slot != NULL) {
        slot->line = NULL;
        slot_lost(slot, letter->reason);
    }
}

// --- what is said ---

static void slot_ping_later(struct slot *slot) {
    slot->unpinged_bytes = 0;
    slot->until_ms = slot->peers->now_ms + (slot->is_bulk ? PEERS_REST_PING_MS : PEERS_PING_MS);
}

static void slot_ping(struct slot *slot) {
    if (slot->pings++ == 0) {
        slot->alive_ms = slot->peers->now_ms; // the wait begins
    }
    slot_ping_later(slot);
    link_send(slot->line->link, MESSAGE_PEER_PING, 0, (struct bytes){0});
}

static void slot_on_pong(struct slot *slot) {
    slot->alive_ms = slot->peers->now_ms;
    slot->pings -= slot->pings > 0;
}

bool slot_send(struct slot *slot, uint16_t number, struct bytes body) {
    if (slot->state != SLOT_UP ||
        !link_send_within(slot->line->link, number, 0, body, PEERS_QUEUE_BYTES_MAX)) {
        return false;
    }
    if (slot->unpinged_bytes == 0 && slot->until_ms > slot->peers->now_ms + PEERS_PING_MS) {
        slot->until_ms = slot->peers->now_ms + PEERS_PING_MS;
    }
    slot->unpinged_bytes += body.len;
    if (slot->unpinged_bytes >= PING_BYTES) {
        slot_ping(slot);
    }
    return true;
}

// --- greeted, or not ---

// Asking the same again will not help, unlike when somebody is away.
void slot_on_unsecured(struct slot *slot, const char *reason) {
    struct error err = {0};
    error_set(&err, ERR_DENIED, "%s", reason);
    if (slot->ask != NULL) {
        ask_end(slot->ask, &err, 0, (struct bytes){0});
    } else {
        slot_lost(slot, reason);
    }
}

// That it is a manager of our cluster is sure already.
void slot_on_secured(struct slot *slot) {
    const struct peers_callbacks *callbacks = &slot->peers->callbacks;
    const struct identity *peer = link_identity(slot->line->link);
    if (slot->raft_id != 0 && !callbacks->is_its_node(callbacks->context, slot->raft_id, &peer->node_id)) {
        slot_lost(slot, "the node that answers there is another one");
    }
}

static void slot_on_welcome(struct slot *slot, const struct peer_welcome *welcome) {
    if (slot->state != SLOT_GREETING || (slot->raft_id != 0 && (uint64_t)welcome->raft_id != slot->raft_id)) {
        slot_lost(slot, "another manager answers there");
        return;
    }
    slot->state = SLOT_UP;
    slot->failures = 0;
    slot->trouble[0] = '\0';
    slot->refusal_crc = 0;
    slot->pings = 0;
    slot->sent_bytes = 0;
    slot->backlog_bytes = 0;
    slot_ping_later(slot);
    if (slot->ask != NULL) {
        link_send(slot->line->link, slot->ask->message, 0, buf_bytes(&slot->ask->body));
        return;
    }
    if (!slot->is_bulk) {
        log_event(LOG_INFO, "peer.up", LOG_STR("peer", raft_id_text(slot->raft_id).text),
                  LOG_STR("at", slot->url));
        const struct peers_callbacks *callbacks = &slot->peers->callbacks;
        callbacks->on_up(callbacks->context, slot->raft_id);
    }
}

static void slot_on_failure(struct slot *slot, const struct peer_failure *failure) {
    struct error err = {0};
    error_set(&err, error_code_from_name(failure->code), "%s", failure->text);
    if (slot->ask != NULL) {
        ask_end(slot->ask, &err, 0, (struct bytes){0});
        return;
    }
    bool was_up = slot->state == SLOT_UP;
    uint32_t crc = crc32c(0, err.root, strlen(err.root));
    bool is_news = crc != slot->refusal_crc && !slot->is_bulk; // whatever else went wrong in between
    slot->refusal_crc = crc;
    (void)slot_set_trouble(slot, err.root);
    slot_rest(slot);
    const struct peers_callbacks *callbacks = &slot->peers->callbacks;
    if (was_up) {
        slot_say_down(slot);
    }
    if (is_news) {
        log_failure(LOG_WARN, "peer.refused", &err, LOG_STR("by", raft_id_text(slot->raft_id).text),
                    LOG_STR("at", slot->url));
        callbacks->on_refused(callbacks->context, slot->raft_id, &err);
    }
}

static void slot_on_answer(struct slot *slot, const struct link_letter *letter) {
    uint16_t wanted =
        slot->ask != NULL && slot->ask->message == MESSAGE_RENEW ? MESSAGE_RENEW_REPLY : MESSAGE_JOIN_REPLY;
    if (slot->ask == NULL || slot->state != SLOT_UP || letter->header.number != wanted) {
        slot_lost(slot, "it says what it should not");
        return;
    }
    ask_end(slot->ask, NULL, letter->header.number, (struct bytes){letter->body, letter->header.len});
}

void slot_on_frame(struct slot *slot, const struct link_letter *letter) {
    AUTO_ARENA arena = arena_make(0);
    struct error err = {0};
    struct bytes body = {letter->body, letter->header.len};
    union {
        struct peer_welcome welcome;
        struct peer_failure failure;
    } said;
    if (letter->header.number == MESSAGE_PEER_PONG) {
        slot_on_pong(slot);
    } else if (letter->header.number == MESSAGE_PEER_WELCOME) {
        if (wire_decode(&peer_welcome_schema, body, &said.welcome, &arena, &err) < 0) {
            slot_lost(slot, err.root);
        } else {
            slot_on_welcome(slot, &said.welcome);
        }
    } else if (letter->header.number == MESSAGE_PEER_FAILURE) {
        if (wire_decode(&peer_failure_schema, body, &said.failure, &arena, &err) < 0) {
            slot_lost(slot, err.root);
        } else {
            slot_on_failure(slot, &said.failure);
        }
    } else {
        slot_on_answer(slot, letter);
    }
}

// --- time ---

// A link lives when its pings are answered, or when a backlog gets shorter: then the other side takes what
// there is. A ping goes out every PING_BYTES too: so one that reads slowly answers now and then, and is not
// taken for dead while its answer waits behind all that the kernel holds.
static void slot_watch(struct slot *slot) {
    struct peers *peers = slot->peers;
    uint64_t sent_bytes = link_sent_bytes(slot->line->link);
    if (slot->backlog_bytes >= BACKLOG_BYTES_MIN && sent_bytes != slot->sent_bytes) {
        slot->alive_ms = peers->now_ms;
    }
    slot->sent_bytes = sent_bytes;
    slot->backlog_bytes = link_queue_bytes(slot->line->link);
    if (slot->pings == 0 && peers->now_ms >= slot->until_ms) {
        slot_ping(slot);
    } else if (slot->pings > 0 && peers->now_ms - slot->alive_ms >= PEERS_SILENCE_MS) {
        slot_lost(slot, "no sign of life");
    }
}

void slot_tick(struct slot *slot) {
    bool is_time = slot->peers->now_ms >= slot->until_ms;
    switch (slot->state) {
    case SLOT_RESTING:
        if (is_time && slot->is_usable && (slot->ask != NULL || slot->peers->self.raft_id != 0)) {
            slot_dial(slot);
        }
        break;
    case SLOT_DIALING:
    case SLOT_GREETING:
        if (is_time) {
            slot_lost(slot, slot->state == SLOT_DIALING ? "no connection in time" : "no welcome in time");
        }
        break;
    case SLOT_UP:
        slot_watch(slot);
        break;
    }
}
