// SPDX-License-Identifier: Apache-2.0
//
// transport/peers_agents.c — the links that agents dial: who is let in, what may be said, what there is room
// for.
//
// How long an agent may be silent is decided by those who know its heartbeat (reconciler/dispatch); only one
// that never says anything is hung up on here, because nobody else knows of it.
#include "transport/peers_parts.h"

#include <stdio.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/log.h"

#define LOOK_MS 1000 // between two looks at all of them
// After its deadline, for one that reads slowly what is still queued.
#define LEAVE_MS_MAX 3000

// --- refusing ---

static void log_refusal(const struct line *line, const struct error *err) {
    const struct identity *who = line->is_secured ? link_identity(line->link) : NULL;
    const char *node = who != NULL ? who->node_id.text : "";
    if (is_new_refusal(line->peers, crc32c(0, node, strlen(node)), err->root)) {
        log_failure(LOG_WARN, "agent.refuse", err, LOG_STR("node", node));
    }
}

// It may still read what is queued.
static void agent_leave(struct line *line) {
    gate_pass(line);
    line->is_over = true;
    line->deadline_ms = line->peers->now_ms + LINGER_MS;
    if (line->sort == LINE_AGENT) {
        line->peers->agent_count--;
        line_move(line, LINE_LEAVING);
    }
}

void agent_refuse(struct line *line, enum error_code code, const char *text) {
    struct error err = {0};
    struct agent_failure failure;
    error_set(&err, code, "%s", text);
    log_refusal(line, &err);
    schema_init(&agent_failure_schema, &failure);
    failure.code = error_code_name((int)code);
    failure.text = err.root;
    line_send(line, MESSAGE_AGENT_FAILURE, &failure);
    agent_gone(line);
}

void agent_gone(struct line *line) {
    const struct peers_callbacks *callbacks = &line->peers->callbacks;
    bool was_in = line->sort == LINE_AGENT;
    agent_leave(line); // before anybody is told: what is called back finds no such link
    if (was_in && !line->peers->is_closing) {
        callbacks->on_agent_down(callbacks->context, line->via);
    }
}

bool agent_is_reading(const struct line *line) {
    return link_queue_bytes(line->link) > 0 && line->peers->now_ms < line->deadline_ms + LEAVE_MS_MAX;
}

// --- hello ---

static enum error_code agent_refusal(const struct line *line, const struct agent_hello *hello, char *text,
                                     size_t text_bytes) {
    const struct peers *peers = line->peers;
    struct caller caller = {hello->version_min, hello->version_max, &hello->cluster_id, false};
    if (peers->callbacks.on_agent == NULL) {
        snprintf(text, text_bytes, "no agents are let in here");
        return ERR_UNSUPPORTED;
    }
    if (link_identity(line->link) == NULL) {
        snprintf(text, text_bytes, "the agent has no certificate: its node has to join first");
        return ERR_DENIED;
    }
    if (peers->agent_count >= AGENTS_MAX) {
        snprintf(text, text_bytes, "%d agents are connected: no more are let in", AGENTS_MAX);
        return ERR_BUSY;
    }
    return hello_mismatch(line, &caller, text, text_bytes);
}

static void agent_admit(struct line *line, const struct agent_hello *hello) {
    struct peers *peers = line->peers;
    struct agent_welcome welcome;
    line->is_greeted = true;
    gate_leave(line);
    line->deadline_ms = peers->now_ms + AGENT_FIRST_MS;
    line_move(line, LINE_AGENT);
    peers->agent_count++;
    link_narrow(line->link, LINK_FROM(SENDER_AGENT));
    link_trust(line->link);
    schema_init(&agent_welcome_schema, &welcome);
    welcome.version = hello->version_max < PROTOCOL_VERSION ? hello->version_max : PROTOCOL_VERSION;
    line_send(line, MESSAGE_AGENT_WELCOME, &welcome);
}

void agent_on_hello(struct line *line, const struct link_letter *letter) {
    AUTO_ARENA arena = arena_make(0);
    struct error err = {0};
    struct agent_hello hello;
    char text[200];
    struct bytes body = {letter->body, letter->header.len};
    if (wire_decode(&agent_hello_schema, body, &hello, &arena, &err) < 0) {
        agent_refuse(line, ERR_INVALID, err.root);
        return;
    }
    enum error_code code = agent_refusal(line, &hello, text, sizeof text);
    if (code != ERR_NONE) {
        agent_refuse(line, code, text);
        return;
    }
    agent_admit(line, &hello);
}

// --- what is said ---

// Frames that came before the link was narrowed are looked at here.
void agent_on_frame(struct line *line, const struct link_letter *letter) {
    const struct peers_callbacks *callbacks = &line->peers->callbacks;
    uint16_t number = letter->header.number;
    if (message_row(number)->sender != SENDER_AGENT || number == MESSAGE_AGENT_HELLO) {
        agent_refuse(line, ERR_INVALID, "out of place");
        return;
    }
    line->is_heard = true;
    struct bytes body = {letter->body, letter->header.len};
    callbacks->on_agent(callbacks->context, line->via, &link_identity(line->link)->node_id, number, body);
}

void agent_on_writable(struct line *line) {
    const struct peers_callbacks *callbacks = &line->peers->callbacks;
    if (line->sort == LINE_AGENT && !line->is_over) {
        callbacks->on_agent_writable(callbacks->context, line->via);
    }
}

static struct line *find_agent(const struct peers *peers, uint64_t link) {
    struct line *line = find_incoming(peers, link);
    return line != NULL && line->sort == LINE_AGENT && !line->is_over ? line : NULL;
}

bool peers_agent_send(struct peers *peers, uint64_t link, uint16_t number, struct bytes body) {
    ASSERT(message_row(number)->sender == SENDER_DISPATCHER && body.len <= message_row(number)->bytes_max);
    struct line *line = find_agent(peers, link);
    size_t alone = FRAME_HEADER_BYTES + body.len;
    size_t room = alone > AGENT_QUEUE_BYTES_MAX ? alone : AGENT_QUEUE_BYTES_MAX;
    return line != NULL && link_send_within(line->link, number, 0, body, room);
}

void peers_agent_close(struct peers *peers, uint64_t link) {
    struct line *line = find_agent(peers, link);
    if (line != NULL) {
        agent_leave(line);
    }
}

size_t peers_agent_count(const struct peers *peers) {
    return peers->agent_count;
}

void agents_tick(struct peers *peers) {
    if (peers->now_ms < peers->agents_ms) {
        return;
    }
    peers->agents_ms = peers->now_ms + LOOK_MS;
    LIST_EACH(node, &peers->lines[LINE_AGENT]) {
        struct line *line = LIST_ENTRY(node, struct line, node);
        if (!line->is_heard && !line->is_closing && peers->now_ms >= line->deadline_ms) {
            line_end(line, "it says nothing");
        }
    }
}
