// SPDX-License-Identifier: Apache-2.0
//
// transport/peers_in.c — the links that others dial: the gate, the hello, what may be said by whom.
//
// A connection that is refused is told why, and then has LINGER_MS to read that and hang up: when we hang up
// first, with bytes of the peer unread, the kernel lets it see an error instead of our reason.
#include "transport/peers_parts.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/log.h"
#include "base/str.h"

// Dialers ask for a sign of life oftener than that (PEERS_REST_PING_MS).
#define INCOMING_SILENCE_MS 10000
// What may wait for a dialer that asks but does not read.
#define PONG_QUEUE_BYTES_MAX (64 * KIB)

// --- accepted ---

void incoming_on_accepted(struct peers *peers, struct nng_stream *stream) {
    struct line *line = line_new(peers, LINE_CALLER);
    line->via = ++peers->last_number;
    snprintf(line->key, sizeof line->key, "%llx", (unsigned long long)line->via);
    (void)map_put(&peers->incoming, line->key, line);
    line_connect(line, stream);
    (void)link_remote(line->link, line->source);
    line->deadline_ms = peers->now_ms + PEERS_HELLO_MS;
    gate_enter(line);
}

// --- refusing ---

bool is_new_refusal(struct peers *peers, uint64_t from, const char *text) {
    uint32_t crc = crc32c(0, text, strlen(text));
    for (unsigned i = 0; i < REFUSALS; i++) {
        if (peers->refusals[i].from == from && peers->refusals[i].text_crc == crc) {
            return false;
        }
    }
    peers->refusals[peers->refusal_next++ % REFUSALS] = (struct refusal){from, crc};
    return true;
}

static void forget_refusals(struct peers *peers, uint64_t from) {
    for (unsigned i = 0; i < REFUSALS; i++) {
        if (peers->refusals[i].from == from) {
            peers->refusals[i] = (struct refusal){0};
        }
    }
}

static void incoming_refuse(struct line *line, enum error_code code, const char *text) {
    struct error err = {0};
    error_set(&err, code, "%s", text);
    if (is_new_refusal(line->peers, line->from, text)) {
        log_failure(LOG_WARN, "peer.refuse", &err, LOG_STR("peer", raft_id_text(line->from).text));
    }
    struct peer_failure failure;
    schema_init(&peer_failure_schema, &failure);
    failure.code = error_code_name((int)code);
    failure.text = err.root;
    line_send(line, MESSAGE_PEER_FAILURE, &failure);
    gate_pass(line);
    line->is_over = true;
    line->is_greeted = line->is_stranger = false;
    line_move(line, LINE_CALLER); // counts with those who are not let in
    line->deadline_ms = line->peers->now_ms + LINGER_MS;
}

// What the cover has told it, it may read while it lingers, too.
void incoming_on_unsecured(struct line *line, const char *reason) {
    char source[INET6_ADDRSTRLEN] = "";
    (void)inet_ntop(AF_INET6, line->source, source, sizeof source);
    if (is_new_refusal(line->peers, /*from=*/0, reason)) {
        log_event(LOG_WARN, "peer.unsecured", LOG_STR("from", source), LOG_STR("error", reason));
    }
    gate_pass(line);
    line->is_over = true;
    line->deadline_ms = line->peers->now_ms + LINGER_MS;
}

// --- hello ---

// Why the certificate is not one of a manager, of this one; ERR_NONE when it is. Not ERR_DENIED: that would
// tell a member that it is none any more.
static enum error_code misidentified(const struct line *line, uint64_t from, char *text, size_t text_bytes) {
    const struct peers_callbacks *callbacks = &line->peers->callbacks;
    const struct identity *peer = link_identity(line->link);
    if (!line->is_covered) {
        return ERR_NONE;
    }
    if (peer == NULL || peer->role != ROLE_MANAGER) {
        snprintf(text, text_bytes, "the caller has %s: only managers call managers",
                 peer == NULL ? "no certificate" : "the certificate of a worker");
        return ERR_CONFLICT;
    }
    if (!callbacks->is_its_node(callbacks->context, from, &peer->node_id)) {
        snprintf(text, text_bytes, "the caller has the certificate of node %.12s, which is not manager %s",
                 peer->node_id.text, raft_id_text(from).text);
        return ERR_CONFLICT;
    }
    return ERR_NONE;
}

// Why a member's call is not for us; ERR_NONE when it is.
static enum error_code misdirected(const struct peers *peers, const struct peer_hello *hello, char *text,
                                   size_t text_bytes) {
    const struct peers_self *self = &peers->self;
    const struct peers_callbacks *callbacks = &peers->callbacks;
    uint64_t from = (uint64_t)hello->from, to = (uint64_t)hello->to;
    if (self->raft_id != 0 && hello->epoch != self->epoch) {
        snprintf(text, text_bytes, "the caller's group is of epoch %lld, this one of epoch %lld",
                 (long long)hello->epoch, (long long)self->epoch);
        return ERR_CONFLICT;
    }
    if (self->raft_id == 0 || to != self->raft_id) {
        snprintf(text, text_bytes, "manager %s is not here, this is %s", raft_id_text(to).text,
                 self->raft_id == 0 ? "none yet" : raft_id_text(self->raft_id).text);
        return ERR_NOT_FOUND;
    }
    if (from == 0 || from == self->raft_id || !callbacks->is_member(callbacks->context, from)) {
        snprintf(text, text_bytes, "manager %s is not a member", raft_id_text(from).text);
        return ERR_DENIED;
    }
    return ERR_NONE;
}

enum error_code hello_mismatch(const struct line *line, const struct caller *caller, char *text,
                               size_t text_bytes) {
    const struct peers *peers = line->peers;
    const struct peers_callbacks *callbacks = &peers->callbacks;
    const struct id *cluster = &peers->self.cluster_id;
    const struct identity *who = link_identity(line->link);
    if (who != NULL && !caller->is_stranger && callbacks->is_blocked != NULL &&
        callbacks->is_blocked(callbacks->context, who)) {
        snprintf(
            text, text_bytes,
            "node %.12s was removed from the cluster: let it leave (muster swarm leave --force), then join "
            "again",
            who->node_id.text);
        return ERR_DENIED;
    }
    if (caller->version_min > PROTOCOL_VERSION || caller->version_max < PROTOCOL_VERSION_MIN) {
        snprintf(text, text_bytes,
                 "the caller speaks protocol %lld to %lld, this manager (%s) %d to %d: update the older one",
                 (long long)caller->version_min, (long long)caller->version_max, MUSTER_VERSION,
                 PROTOCOL_VERSION_MIN, PROTOCOL_VERSION);
        return ERR_UNSUPPORTED;
    }
    if (!id_equal(caller->cluster_id, cluster) && !(caller->is_stranger && id_is_none(caller->cluster_id))) {
        snprintf(text, text_bytes, "the caller is of cluster %.12s, this manager of %.12s",
                 id_is_none(caller->cluster_id) ? "none" : caller->cluster_id->text,
                 id_is_none(cluster) ? "none" : cluster->text);
        return ERR_CONFLICT;
    }
    return ERR_NONE;
}

// Two processes that are one member would vote twice. A copy of a machine is one, or a directory that was put
// back elsewhere while it was in use. Who came first stays; who was started anew finds nobody before it, or
// somebody who is silent.
static enum error_code duplicated(const struct line *newer, const struct peer_hello *hello, char *text,
                                  size_t text_bytes) {
    const struct peers *peers = newer->peers;
    LIST_EACH(node, &peers->lines[LINE_ORDINARY]) {
        const struct line *line = LIST_ENTRY(node, const struct line, node);
        if (line != newer && line->via != 0 && line->is_greeted && !line->is_stranger && !line->is_closing &&
            line->from == (uint64_t)hello->from && line->instance != hello->instance && line->instance != 0 &&
            hello->instance != 0 &&
            line->deadline_ms - peers->now_ms > INCOMING_SILENCE_MS - PEERS_SILENCE_MS) {
            snprintf(text, text_bytes,
                     "manager %s is here already, from %s: two machines have its identity; end the one that "
                     "is a copy, and join it with a state directory of its own",
                     raft_id_text(line->from).text, line->address);
            return ERR_CONFLICT;
        }
    }
    return ERR_NONE;
}

// Before all else: a manager that the cluster went on without, by force, left it in the records; but it was
// not removed, and is not to forget what it has.
static enum error_code outdated(const struct peers *peers, const struct peer_hello *hello, char *text,
                                size_t text_bytes) {
    const struct peers_self *self = &peers->self;
    bool is_ours = hello->to != 0 && self->raft_id != 0 && id_equal(&hello->cluster_id, &self->cluster_id);
    if (!is_ours || hello->epoch >= self->epoch) {
        return ERR_NONE;
    }
    snprintf(text, text_bytes, "the caller's group is of epoch %lld, this one of epoch %lld",
             (long long)hello->epoch, (long long)self->epoch);
    return ERR_OUTDATED;
}

static enum error_code hello_refusal(const struct line *line, const struct peer_hello *hello, char *text,
                                     size_t text_bytes) {
    const struct peers *peers = line->peers;
    struct caller caller = {hello->version_min, hello->version_max, &hello->cluster_id, hello->to == 0};
    enum error_code code = outdated(peers, hello, text, text_bytes);
    code = code != ERR_NONE ? code : hello_mismatch(line, &caller, text, text_bytes);
    if (code != ERR_NONE || caller.is_stranger) {
        return code;
    }
    code = misidentified(line, (uint64_t)hello->from, text, text_bytes);
    code = code != ERR_NONE ? code : misdirected(peers, hello, text, text_bytes);
    return code != ERR_NONE ? code : duplicated(line, hello, text, text_bytes);
}

// A member that dials anew has lost its old link, whether we know that already or not.
static void replace_older(struct line *newer) {
    LIST_EACH(node, &newer->peers->lines[LINE_ORDINARY]) {
        struct line *line = LIST_ENTRY(node, struct line, node);
        if (line != newer && line->via != 0 && line->is_greeted && !line->is_stranger && !line->is_closing &&
            line->from == newer->from && line->is_bulk == newer->is_bulk) {
            line_end(line, "dialed anew");
        }
    }
}

static void incoming_on_hello(struct line *line, const struct peer_hello *hello) {
    char text[300];
    struct peers *peers = line->peers;
    line->from = (uint64_t)hello->from;
    line->is_bulk = hello->is_bulk;
    line->instance = hello->instance;
    enum error_code code = hello_refusal(line, hello, text, sizeof text);
    if (code != ERR_NONE) {
        incoming_refuse(line, code, text);
        return;
    }
    line->is_greeted = true;
    gate_leave(line);
    line->is_stranger = hello->to == 0;
    line_move(line, LINE_ORDINARY);
    link_narrow(line->link, LINK_FROM(SENDER_MANAGER));
    (void)str_copy(line->address, sizeof line->address, hello->address); // too long: none
    if (line->is_stranger) {
        gate_thin_out(peers, LINE_ORDINARY);
    } else {
        link_trust(line->link);
        line->deadline_ms = peers->now_ms + INCOMING_SILENCE_MS;
        replace_older(line);
        forget_refusals(peers, line->from);
        peers_hurry(peers, line->from);
    }
    struct peer_welcome welcome;
    schema_init(&peer_welcome_schema, &welcome);
    welcome.version = hello->version_max < PROTOCOL_VERSION ? hello->version_max : PROTOCOL_VERSION;
    welcome.raft_id = (int64_t)peers->self.raft_id;
    line_send(line, MESSAGE_PEER_WELCOME, &welcome);
}

// --- what is said ---

static void incoming_first(struct line *line, const struct link_letter *letter) {
    AUTO_ARENA arena = arena_make(0);
    struct error err = {0};
    struct peer_hello hello;
    struct bytes body = {letter->body, letter->header.len};
    if (letter->header.number == MESSAGE_AGENT_HELLO) {
        agent_on_hello(line, letter);
    } else if (message_row(letter->header.number)->sender == SENDER_AGENT) {
        agent_refuse(line, ERR_INVALID, "a message before hello");
    } else if (letter->header.number != MESSAGE_PEER_HELLO) {
        incoming_refuse(line, ERR_INVALID, "a message before hello");
    } else if (wire_decode(&peer_hello_schema, body, &hello, &arena, &err) < 0) {
        incoming_refuse(line, ERR_INVALID, err.root);
    } else {
        incoming_on_hello(line, &hello);
    }
}

static void incoming_pong(struct line *line) {
    link_send_within(line->link, MESSAGE_PEER_PONG, 0, (struct bytes){0}, PONG_QUEUE_BYTES_MAX);
}

// Members say all but that, strangers only that; who asks for another certificate must have shown one.
static bool may_say(const struct line *line, uint16_t number) {
    if (number == MESSAGE_RENEW) {
        return line->is_stranger && link_identity(line->link) != NULL;
    }
    return line->is_stranger
               ? number == MESSAGE_JOIN
               : number >= MESSAGE_RAFT && number != MESSAGE_JOIN_REPLY && number != MESSAGE_RENEW_REPLY;
}

void incoming_on_frame(struct line *line, const struct link_letter *letter) {
    struct peers *peers = line->peers;
    uint16_t number = letter->header.number;
    if (!line->is_greeted) {
        incoming_first(line, letter);
        return;
    }
    line->deadline_ms = peers->now_ms + INCOMING_SILENCE_MS;
    if (number == MESSAGE_PEER_PING) {
        incoming_pong(line);
    } else if (message_row(number)->sender != SENDER_MANAGER || !may_say(line, number)) {
        // ERR_DENIED tells a member that it is none any more.
        incoming_refuse(line, line->is_stranger ? ERR_DENIED : ERR_INVALID,
                        line->is_stranger ? "a stranger may only ask to join" : "out of place");
    } else {
        struct bytes body = {letter->body, letter->header.len};
        peers->callbacks.on_packet(peers->callbacks.context, line->from, number, body, line->via);
    }
}

void incoming_tick(struct line *line) {
    bool is_due = !line->is_closing && line->peers->now_ms >= line->deadline_ms;
    if (is_due && !(line->sort == LINE_LEAVING && agent_is_reading(line))) {
        line_end(line, line->is_over ? "refused" : line->is_greeted ? "silent" : "no hello in time");
    }
}
