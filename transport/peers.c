// SPDX-License-Identifier: Apache-2.0
//
// transport/peers.c — life, members, and the way of each letter to the slot or line it is of.
#include "transport/peers.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "transport/peers_parts.h"

#define LOOK_MS 1000

struct raft_id_text raft_id_text(uint64_t raft_id) {
    struct raft_id_text out;
    snprintf(out.text, sizeof out.text, "%016llx", (unsigned long long)raft_id);
    return out;
}

// --- lines ---

struct line *line_new(struct peers *peers, enum line_sort sort) {
    struct line *line = NEW(struct line);
    line->peers = peers;
    line->sort = sort;
    list_append(&peers->lines[sort], &line->node);
    return line;
}

void line_free(struct line *line) {
    if (line->via != 0) {
        gate_leave(line);
        (void)map_remove(&line->peers->incoming, line->key);
    }
    list_remove(&line->node);
    xfree(line);
}

void line_move(struct line *line, enum line_sort sort) {
    list_remove(&line->node);
    line->sort = sort;
    list_append(&line->peers->lines[sort], &line->node);
}

void line_connect(struct line *line, struct nng_stream *stream) {
    struct mailbox *mailbox = &line->peers->mailbox;
    struct tls *tls = line->peers->tls;
    unsigned senders = LINK_FROM(SENDER_MANAGER) | (line->via != 0 ? LINK_FROM(SENDER_AGENT) : 0);
    line->is_covered = tls != NULL;
    if (line->via != 0 && tls != NULL) {
        line->link = link_new_held(stream, mailbox, senders);
    } else {
        line->link = link_new_covered(stream, mailbox, senders, tls != NULL ? tls_dial(tls) : NULL);
    }
    link_set_owner(line->link, line);
}

void line_end(struct line *line, const char *reason) {
    line->is_over = line->is_closing = true;
    line->slot = NULL;
    gate_pass(line);
    if (line->dial != NULL) {
        dial_cancel(line->dial);
    } else {
        link_close(line->link, reason);
    }
}

void line_send(struct line *line, uint16_t number, const void *payload) {
    const struct message_row *row = message_row(number);
    AUTO_BUF body = buf_make(row->bytes_max);
    wire_encode(row->payload, payload, &body);
    ASSERT(!body.overflow); // small by what goes into it
    link_send(line->link, number, 0, buf_bytes(&body));
}

// --- letters ---

static void line_on_frame(struct line *line, struct link_letter *letter) {
    if (line->is_over) {
        return;
    }
    if (line->sort == LINE_AGENT) {
        agent_on_frame(line, letter);
    } else if (line->via != 0) {
        incoming_on_frame(line, letter);
    } else {
        slot_on_frame(line->slot, letter);
    }
}

// Its certificate was good a moment ago, or the link would not be.
static void line_on_secured(struct line *line) {
    const struct identity *peer = link_identity(line->link);
    line->is_secured = true;
    line->until_ms =
        peer == NULL ? INT64_MAX : line->peers->now_ms + peer->not_after_unix_ms - clock_unix_ms();
    if (!line->is_over && line->via == 0) {
        slot_on_secured(line->slot);
    }
}

static void line_on_unsecured(struct line *line, const char *reason) {
    if (line->is_over) {
        return;
    }
    if (line->via != 0) {
        incoming_on_unsecured(line, reason);
    } else {
        slot_on_unsecured(line->slot, reason);
    }
}

static void line_on_down(struct line *line, const char *reason) {
    struct slot *slot = TAKE(line->slot);
    if (line->sort == LINE_AGENT) {
        agent_gone(line);
    }
    link_free(line->link);
    line_free(line);
    if (slot != NULL) {
        slot->line = NULL;
        slot_lost(slot, reason);
    }
}

static void peers_on_letter(struct peers *peers, struct link_letter *letter) {
    switch (letter->kind) {
    case LINK_ACCEPTED:
        if (peers->is_closing || (peers->tls != NULL && !tls_has_certificate(peers->tls))) {
            link_discard(letter->stream);
            gate_give_back(peers);
        } else {
            incoming_on_accepted(peers, letter->stream);
        }
        break;
    case LINK_ACCEPT_FAILED:
        log_event(LOG_WARN, "peer.accept", LOG_STR("error", letter->reason));
        peers->accept_rests = true;
        break;
    case LINK_DIALED:
        slot_on_dialed(dial_owner(letter->dial), letter);
        break;
    case LINK_KNOCKED:
        gate_on_knocked(link_owner(letter->link));
        break;
    case LINK_SECURED:
        line_on_secured(link_owner(letter->link));
        break;
    case LINK_UNSECURED:
        line_on_unsecured(link_owner(letter->link), letter->reason);
        break;
    case LINK_FRAME:
        line_on_frame(link_owner(letter->link), letter);
        link_consumed(letter);
        break;
    case LINK_WRITABLE:
        agent_on_writable(link_owner(letter->link));
        break;
    case LINK_DOWN:
        line_on_down(link_owner(letter->link), letter->reason);
        break;
    }
}

void peers_take(struct peers *peers, size_t max_frames) {
    ASSERT(!peers->is_working);
    peers->is_working = true;
    for (size_t i = 0; i < max_frames; i++) {
        struct link_letter *letter = (struct link_letter *)mailbox_take(&peers->mailbox);
        if (letter == NULL) {
            break;
        }
        peers_on_letter(peers, letter);
        link_letter_free(letter);
    }
    peers->is_working = false;
}

int peers_fd(const struct peers *peers) {
    return mailbox_fd(&peers->mailbox);
}

// --- time ---

static void asks_tick(struct peers *peers) {
    LIST_EACH(node, &peers->asks) {
        struct ask *ask = LIST_ENTRY(node, struct ask, node);
        if (peers->now_ms >= ask->deadline_ms) {
            struct error err = {0};
            error_set(&err, ERR_UNREACHABLE, "no answer in time");
            ask_end(ask, &err, 0, (struct bytes){0});
        } else {
            slot_tick(&ask->slot);
        }
    }
}

static void incoming_tick_each(struct peers *peers, enum line_sort sort) {
    LIST_EACH(node, &peers->lines[sort]) {
        struct line *line = LIST_ENTRY(node, struct line, node);
        if (line->via != 0) {
            incoming_tick(line);
        }
    }
}

static void look_at_certificate(struct line *line) {
    static const char reason[] = "its certificate has run out";
    if (!line->is_secured || line->is_over || line->peers->now_ms < line->until_ms) {
        return;
    }
    if (line->slot != NULL) {
        slot_lost(line->slot, reason);
    } else {
        line_end(line, reason);
    }
}

// Links are made with certificates that are good then; one that is not renewed in time ends what it carries.
static void look_at_certificates(struct peers *peers) {
    if (peers->now_ms < peers->look_ms) {
        return;
    }
    peers->look_ms = peers->now_ms + LOOK_MS;
    for (int sort = 0; sort < LINE_SORTS; sort++) {
        LIST_EACH(node, &peers->lines[sort]) {
            look_at_certificate(LIST_ENTRY(node, struct line, node));
        }
    }
}

void peers_tick(struct peers *peers, int64_t mono_ms) {
    ASSERT(!peers->is_working);
    peers->is_working = true;
    int64_t passed_ms = peers->last_mono_ms < 0 ? 0 : mono_ms - peers->last_mono_ms;
    peers->now_ms += passed_ms < PEERS_TICK_MS_MAX ? passed_ms : PEERS_TICK_MS_MAX;
    peers->last_mono_ms = mono_ms;
    if (TAKE(peers->accept_rests)) {
        listener_resume(peers->listener);
    }
    for (size_t i = 0; i < peers->member_count; i++) {
        slot_tick(&peers->members[i]->slots[0]);
        slot_tick(&peers->members[i]->slots[1]);
    }
    asks_tick(peers);
    gate_tick(peers);
    incoming_tick_each(peers, LINE_ORDINARY);
    incoming_tick_each(peers, LINE_LEAVING);
    agents_tick(peers);
    look_at_certificates(peers);
    peers->is_working = false;
}

// --- members ---

static struct member *peers_find(const struct peers *peers, uint64_t raft_id) {
    for (size_t i = 0; i < peers->member_count; i++) {
        if (peers->members[i]->raft_id == raft_id) {
            return peers->members[i];
        }
    }
    return NULL;
}

void peers_hurry(struct peers *peers, uint64_t raft_id) {
    struct member *member = peers_find(peers, raft_id);
    if (member != NULL) {
        slot_hurry(&member->slots[0]);
        slot_hurry(&member->slots[1]);
    }
}

static void member_free(struct member *member, const char *reason) {
    slot_reset(&member->slots[0], reason);
    slot_reset(&member->slots[1], reason);
    xfree(member->address);
    xfree(member);
}

// Anew, by its address.
static int member_locate(struct member *member, struct peers *peers, struct error *err) {
    char url[PEER_URL_BYTES];
    struct error unusable = {0};
    int rc = peer_address_url(member->address, peers->tls != NULL, url, &unusable);
    for (int i = 0; i < 2; i++) {
        struct slot *slot = &member->slots[i];
        if (slot->peers != NULL) {
            slot_reset(slot, "it is to be dialed anew");
        }
        slot_init(slot, peers, member->raft_id, rc < 0 ? NULL : url);
        slot->member = member;
        slot->is_bulk = i == 1;
        snprintf(slot->trouble, sizeof slot->trouble, "%s", unusable.root);
    }
    if (rc < 0 && err != NULL) {
        *err = unusable;
    }
    return error_wrap(err, rc, "reach manager %s", raft_id_text(member->raft_id).text);
}

static int peers_set_member(struct peers *peers, const struct peers_member *wanted, struct error *err) {
    struct member *member = peers_find(peers, wanted->raft_id);
    if (member == NULL) {
        ASSERT(peers->member_count < PEERS_MEMBERS_MAX);
        member = NEW(struct member);
        member->raft_id = wanted->raft_id;
        peers->members[peers->member_count++] = member;
    }
    if (member->address != NULL && strcmp(member->address, wanted->address) == 0) {
        return 0;
    }
    xfree(member->address);
    member->address = xstrdup(wanted->address);
    return member_locate(member, peers, err);
}

static bool is_wanted(const struct peers *peers, uint64_t raft_id, const struct peers_member *members,
                      size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (members[i].raft_id == raft_id) {
            return raft_id != peers->self.raft_id;
        }
    }
    return false;
}

// Also from those who were let in as members and are none any more.
static void peers_drop_others(struct peers *peers, const struct peers_member *members, size_t count) {
    struct member *others[PEERS_MEMBERS_MAX];
    size_t kept = 0, dropped = 0;
    for (size_t i = 0; i < peers->member_count; i++) {
        struct member *member = peers->members[i];
        *(is_wanted(peers, member->raft_id, members, count) ? &peers->members[kept++] : &others[dropped++]) =
            member;
    }
    peers->member_count = kept; // before anybody is told
    for (size_t i = 0; i < dropped; i++) {
        member_free(others[i], "not a member any more");
    }
    LIST_EACH(node, &peers->lines[LINE_ORDINARY]) {
        struct line *line = LIST_ENTRY(node, struct line, node);
        if (line->via != 0 && line->is_greeted && !line->is_stranger && !line->is_over &&
            !peers->callbacks.is_member(peers->callbacks.context, line->from)) {
            line_end(line, "not a member any more");
        }
    }
}

int peers_set_members(struct peers *peers, const struct peers_member *members, size_t count,
                      struct error *err) {
    ASSERT(!peers->is_working && count <= PEERS_MEMBERS_MAX);
    peers->is_working = true;
    peers_drop_others(peers, members, count);
    int first = 0;
    for (size_t i = 0; i < count; i++) {
        if (members[i].raft_id != peers->self.raft_id) {
            int rc = peers_set_member(peers, &members[i], first == 0 ? err : NULL);
            first = first == 0 ? rc : first;
        }
    }
    peers->is_working = false;
    return first;
}

// `node_id`: those on which its certificate was shown; NULL: all.
static void end_incoming(struct peers *peers, const struct id *node_id, const char *reason) {
    for (int sort = 0; sort < LINE_SORTS; sort++) {
        LIST_EACH(node, &peers->lines[sort]) {
            struct line *line = LIST_ENTRY(node, struct line, node);
            const struct identity *who = line->is_secured ? link_identity(line->link) : NULL;
            if (line->via != 0 && !line->is_closing &&
                (node_id == NULL || (who != NULL && id_equal(&who->node_id, node_id)))) {
                line_end(line, reason);
            }
        }
    }
}

void peers_cut(struct peers *peers, const struct id *node_id, const char *reason) {
    end_incoming(peers, node_id, reason);
}

static void end_links(struct peers *peers, const char *reason) {
    peers->is_working = true;
    for (size_t i = 0; i < peers->member_count; i++) {
        slot_reset(&peers->members[i]->slots[0], reason);
        slot_reset(&peers->members[i]->slots[1], reason);
    }
    end_incoming(peers, NULL, reason);
    peers->is_working = false;
}

void peers_set_self(struct peers *peers, const struct peers_self *self) {
    ASSERT(!peers->is_working);
    bool is_other = self->raft_id != peers->self.raft_id || self->epoch != peers->self.epoch ||
                    !id_equal(&self->cluster_id, &peers->self.cluster_id);
    char *address = xstrdup(self->address != NULL ? self->address : "");
    xfree(peers->self_address);
    peers->self = *self;
    peers->self.address = peers->self_address = address;
    if (is_other) {
        end_links(peers, "who we are changed");
    }
}

void peers_set_tls(struct peers *peers, struct tls *tls) {
    ASSERT(tls != NULL && peers->callbacks.is_its_node != NULL && !peers->is_working);
    bool was_plain = peers->tls == NULL;
    tls_free(peers->tls);
    peers->tls = tls;
    if (was_plain) {
        end_links(peers, "links are secure from now on");
        for (size_t i = 0; i < peers->member_count; i++) {
            (void)member_locate(peers->members[i], peers, NULL); // what was out of reach may be in it now
        }
        LIST_EACH(node, &peers->asks) {
            slot_reset(&LIST_ENTRY(node, struct ask, node)->slot, "to be asked anew");
        }
    }
}

// --- sending ---

bool peers_send(struct peers *peers, uint64_t to, uint16_t number, struct bytes body, bool is_bulk) {
    struct member *member = peers_find(peers, to);
    ASSERT(body.len <= message_row(number)->bytes_max);
    if (member == NULL) {
        return false;
    }
    bool is_sent = slot_send(&member->slots[is_bulk ? 1 : 0], number, body);
    member->sent += is_sent;
    member->dropped += !is_sent;
    return is_sent;
}

struct line *find_incoming(const struct peers *peers, uint64_t via) {
    char key[LINE_KEY_BYTES];
    snprintf(key, sizeof key, "%llx", (unsigned long long)via);
    return map_get(&peers->incoming, key);
}

bool peers_reply(struct peers *peers, uint64_t via, uint16_t number, struct bytes body) {
    ASSERT(body.len <= message_row(number)->bytes_max);
    struct line *line = find_incoming(peers, via);
    return line != NULL && !line->is_over &&
           link_send_within(line->link, number, 0, body, PEERS_QUEUE_BYTES_MAX);
}

const char *peers_caller(const struct peers *peers, uint64_t via) {
    const struct line *line = find_incoming(peers, via);
    return line != NULL ? line->address : "";
}

const struct identity *peers_identity(const struct peers *peers, uint64_t via) {
    const struct line *line = find_incoming(peers, via);
    return line != NULL && line->is_secured ? link_identity(line->link) : NULL;
}

bool peers_status(const struct peers *peers, uint64_t raft_id, struct peers_status *out) {
    const struct member *member = peers_find(peers, raft_id);
    if (member == NULL) {
        return false;
    }
    const struct slot *slot = &member->slots[0];
    *out =
        (struct peers_status){.is_up = slot->state == SLOT_UP,
                              .is_bulk_up = member->slots[1].state == SLOT_UP,
                              .silent_ms = slot->pings > 0 ? peers->now_ms - slot->alive_ms : 0,
                              .sent = member->sent,
                              .dropped = member->dropped,
                              .queue_bytes = slot->state == SLOT_UP ? link_queue_bytes(slot->line->link) : 0,
                              .trouble = slot->trouble};
    return true;
}

// --- questions ---

void ask_end(struct ask *ask, const struct error *err, uint16_t number, struct bytes body) {
    struct peers *peers = ask->slot.peers;
    list_remove(&ask->node);
    peers->ask_count--;
    if (ask->slot.line != NULL) {
        line_end(ask->slot.line, "answered");
    }
    if (!peers->is_closing) {
        peers->callbacks.on_answer(peers->callbacks.context, ask->number, err, number, body);
    }
    buf_free(&ask->body);
    xfree(ask);
}

int peers_ask(struct peers *peers, const char *address, uint16_t number, struct bytes body,
              int64_t timeout_ms, uint64_t *out, struct error *err) {
    ASSERT((number == MESSAGE_JOIN || number == MESSAGE_RENEW) && body.len <= message_row(number)->bytes_max);
    char url[PEER_URL_BYTES];
    int rc = peer_address_url(address, peers->tls != NULL, url, err);
    if (rc < 0) {
        return rc;
    }
    if (peers->ask_count >= PEERS_ASKS_MAX) {
        return error_set(err, ERR_BUSY, "%u questions wait for their answers", peers->ask_count);
    }
    struct ask *ask = NEW(struct ask);
    ask->number = *out = ++peers->last_number;
    ask->message = number;
    ask->deadline_ms = peers->now_ms + timeout_ms;
    buf_add(&ask->body, body.data, body.len);
    slot_init(&ask->slot, peers, 0, url);
    ask->slot.ask = ask;
    list_append(&peers->asks, &ask->node);
    peers->ask_count++;
    return 0;
}

// --- life ---

int peers_listen(struct peers *peers, const char *address, struct error *err) {
    ASSERT(peers->listener == NULL);
    char url[PEER_URL_BYTES];
    int rc = peer_address_url(address, peers->tls != NULL, url, err);
    rc = rc < 0 ? rc : listener_open(url, &peers->mailbox, &peers->listener, err);
    if (rc == 0) {
        gate_open(peers);
    }
    return error_wrap(err, rc, "listen for managers");
}

int peers_open(const struct peers_options *options, struct peers **out, struct error *err) {
    struct peers *peers = NEW(struct peers);
    ASSERT(IMPLIES(options->tls != NULL, options->callbacks.is_its_node != NULL));
    peers->prng = options->prng;
    peers->instance = (int64_t)(prng_next(options->prng) | 1);
    peers->tls = options->tls;
    peers->callbacks = options->callbacks;
    peers->last_mono_ms = -1;
    peers->self.address = peers->self_address = xstrdup("");
    for (int sort = 0; sort < LINE_SORTS; sort++) {
        list_init(&peers->lines[sort]);
    }
    list_init(&peers->asks);
    list_init(&peers->knocking);
    int rc = mailbox_init(&peers->mailbox, err);
    if (rc == 0 && options->listen != NULL) {
        rc = peers_listen(peers, options->listen, err);
        if (rc < 0) {
            mailbox_deinit(&peers->mailbox);
        }
    }
    if (rc < 0) {
        tls_free(peers->tls);
        xfree(peers->self_address);
        xfree(peers);
        return rc;
    }
    *out = peers;
    return 0;
}

int peers_port(const struct peers *peers) {
    return peers->listener != NULL ? listener_port(peers->listener) : 0;
}

static void peers_end_all(struct peers *peers) {
    for (size_t i = 0; i < peers->member_count; i++) {
        member_free(peers->members[i], "the manager stops");
    }
    peers->member_count = 0;
    LIST_EACH(node, &peers->asks) {
        ask_end(LIST_ENTRY(node, struct ask, node), NULL, 0, (struct bytes){0});
    }
    for (int sort = 0; sort < LINE_SORTS; sort++) {
        LIST_EACH(node, &peers->lines[sort]) {
            struct line *line = LIST_ENTRY(node, struct line, node);
            if (!line->is_closing) {
                line_end(line, "the manager stops");
            }
        }
    }
}

static bool has_lines(struct peers *peers) {
    for (int sort = 0; sort < LINE_SORTS; sort++) {
        if (!list_is_empty(&peers->lines[sort])) {
            return true;
        }
    }
    return false;
}

void peers_close(struct peers *peers) {
    if (peers == NULL) {
        return;
    }
    ASSERT(!peers->is_working);
    peers->is_closing = true;
    if (peers->listener != NULL) {
        listener_close(peers->listener);
    }
    peers_end_all(peers);
    for (;;) {
        peers_take(peers, SIZE_MAX);
        if (!has_lines(peers)) {
            break;
        }
        struct pollfd fd = {.fd = peers_fd(peers), .events = POLLIN};
        (void)poll(&fd, 1, -1);
    }
    mailbox_deinit(&peers->mailbox);
    map_free(&peers->incoming);
    tls_free(peers->tls);
    xfree(peers->self_address);
    xfree(peers);
}
