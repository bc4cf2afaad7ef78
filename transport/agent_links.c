// SPDX-License-Identifier: Apache-2.0
//
// transport/agent_links.c — each link from its dial to its last letter.
#include "transport/agent_links.h"

#include <poll.h>
#include <stdio.h>

#include "base/map.h"
#include "base/mem.h"
#include "transport/link.h"
#include "transport/peer_address.h"

// Lines belong to one of the two lists and are freed on LINK_DOWN, or on a LINK_DIALED that did not become a
// link: so a line stays there while a letter of it is dealt with, whatever a callback does.
struct agent_line {
    struct list_node node;
    struct agent_links *links;
    uint64_t number;
    char key[20]; // the same, for `by_number`
    struct id cluster_id;
    struct dial *dial; // of the two, the one that is there
    struct link *link;
    struct cover *cover; // until there is the link
    bool is_connected, is_over;
    int64_t deadline_ms;
};

struct agent_links {
    struct agent_links_callbacks callbacks;
    struct mailbox mailbox;
    struct list connecting, connected; // those that are over are where they were
    struct map by_number;
    uint64_t last_number;
    int64_t last_mono_ms, now_ms; // counted by ticks
    bool is_working, is_closing;
};

// --- lines ---

static struct agent_line *line_new(struct agent_links *links) {
    struct agent_line *line = NEW(struct agent_line);
    line->links = links;
    line->number = ++links->last_number;
    line->deadline_ms = links->now_ms + AGENT_LINK_DEADLINE_MS;
    snprintf(line->key, sizeof line->key, "%llx", (unsigned long long)line->number);
    list_append(&links->connecting, &line->node);
    (void)map_put(&links->by_number, line->key, line);
    return line;
}

static void line_free(struct agent_line *line) {
    (void)map_remove(&line->links->by_number, line->key);
    list_remove(&line->node);
    if (line->cover != NULL) {
        line->cover->ops->free(line->cover);
    }
    xfree(line);
}

// Nothing it says counts any more.
static void line_end(struct agent_line *line, const char *reason) {
    line->is_over = true;
    if (line->dial != NULL) {
        dial_cancel(line->dial);
    } else {
        link_close(line->link, reason);
    }
}

static void line_say_down(struct agent_line *line, const char *reason) {
    struct agent_links *links = line->links;
    line->is_over = true;
    if (!links->is_closing) {
        links->callbacks.on_down(links->callbacks.context, line->number, reason);
    }
}

// Ends it, and tells the owner why.
static void line_lost(struct agent_line *line, const char *reason) {
    if (!line->is_over) {
        line_end(line, reason);
        line_say_down(line, reason);
    }
}

static void line_greet(struct agent_line *line) {
    AUTO_BUF body = {0};
    struct agent_hello hello;
    schema_init(&agent_hello_schema, &hello);
    hello.version_min = PROTOCOL_VERSION_MIN;
    hello.version_max = PROTOCOL_VERSION;
    hello.cluster_id = line->cluster_id;
    wire_encode(&agent_hello_schema, &hello, &body);
    link_send(line->link, MESSAGE_AGENT_HELLO, 0, buf_bytes(&body));
}

// --- letters ---

static void line_on_dialed(struct agent_line *line, struct link_letter *letter) {
    dial_free(TAKE(line->dial));
    if (letter->stream != NULL && !line->is_over) {
        line->link = link_new_covered(TAKE(letter->stream), &line->links->mailbox,
                                      LINK_FROM(SENDER_DISPATCHER), TAKE(line->cover));
        link_set_owner(line->link, line);
        line_greet(line);
        return;
    }
    if (letter->stream != NULL) {
        link_discard(TAKE(letter->stream));
    }
    if (!line->is_over) {
        line_say_down(line, letter->reason);
    }
    line_free(line);
}

static void line_on_welcome(struct agent_line *line) {
    struct agent_links *links = line->links;
    line->is_connected = true;
    link_trust(line->link);
    list_remove(&line->node);
    list_append(&links->connected, &line->node);
    links->callbacks.on_connected(links->callbacks.context, line->number);
}

static void line_on_failure(struct agent_line *line, struct bytes body) {
    AUTO_ARENA arena = arena_make(0);
    struct agent_failure failure;
    struct error err = {0};
    const struct agent_links_callbacks *callbacks = &line->links->callbacks;
    int rc = wire_decode(&agent_failure_schema, body, &failure, &arena, &err);
    if (rc == 0 && callbacks->on_refused != NULL) {
        callbacks->on_refused(callbacks->context, line->number, error_code_from_name(failure.code));
    }
    line_lost(line, rc < 0 ? err.root : failure.text);
}

static void line_on_frame(struct agent_line *line, const struct link_letter *letter) {
    struct agent_links *links = line->links;
    uint16_t number = letter->header.number;
    struct bytes body = {letter->body, letter->header.len};
    if (line->is_over) {
        return;
    }
    if (number == MESSAGE_AGENT_FAILURE) {
        line_on_failure(line, body);
    } else if ((number == MESSAGE_AGENT_WELCOME) == line->is_connected) {
        line_lost(line, "it says what it should not");
    } else if (number == MESSAGE_AGENT_WELCOME) {
        line_on_welcome(line);
    } else {
        links->callbacks.on_message(links->callbacks.context, line->number, number, body);
    }
}

static void line_on_letter(struct link_letter *letter) {
    struct agent_line *line =
        letter->kind == LINK_DIALED ? dial_owner(letter->dial) : link_owner(letter->link);
    switch (letter->kind) {
    case LINK_DIALED:
        line_on_dialed(line, letter);
        break;
    case LINK_UNSECURED:
        line_lost(line, letter->reason);
        break;
    case LINK_FRAME:
        line_on_frame(line, letter);
        link_consumed(letter);
        break;
    case LINK_DOWN:
        if (!line->is_over) {
            line_say_down(line, letter->reason);
        }
        link_free(line->link);
        line_free(line);
        break;
    case LINK_KNOCKED:
    case LINK_SECURED:
    case LINK_WRITABLE:
        break;
    case LINK_ACCEPTED:
    case LINK_ACCEPT_FAILED:
        UNREACHABLE("nobody is called");
    }
}

void agent_links_take(struct agent_links *links, size_t max_frames) {
    ASSERT(!links->is_working);
    links->is_working = true;
    for (size_t i = 0; i < max_frames; i++) {
        struct link_letter *letter = (struct link_letter *)mailbox_take(&links->mailbox);
        if (letter == NULL) {
            break;
        }
        line_on_letter(letter);
        link_letter_free(letter);
    }
    links->is_working = false;
}

// --- what the owner does ---

void agent_links_tick(struct agent_links *links, int64_t mono_ms) {
    ASSERT(!links->is_working);
    links->is_working = true;
    int64_t passed_ms = links->last_mono_ms < 0 ? 0 : mono_ms - links->last_mono_ms;
    links->now_ms += passed_ms < AGENT_LINKS_TICK_MS_MAX ? passed_ms : AGENT_LINKS_TICK_MS_MAX;
    links->last_mono_ms = mono_ms;
    LIST_EACH(node, &links->connecting) {
        struct agent_line *line = LIST_ENTRY(node, struct agent_line, node);
        if (links->now_ms >= line->deadline_ms && !line->is_over) {
            line_lost(line, "no welcome in time");
        }
    }
    links->is_working = false;
}

int agent_links_dial(struct agent_links *links, const struct agent_dial *dial, uint64_t *out_link,
                     struct error *err) {
    char url[PEER_URL_BYTES];
    int rc = peer_address_url(dial->address, /*is_secure=*/true, url, err);
    if (rc < 0) {
        return rc;
    }
    struct agent_line *line = line_new(links);
    line->cluster_id = dial->cluster_id;
    rc = dial_start(url, &links->mailbox, line, &line->dial, err);
    if (rc < 0) {
        line_free(line);
        return rc;
    }
    line->cover = tls_dial(dial->tls);
    *out_link = line->number;
    return 0;
}

static struct agent_line *find_line(const struct agent_links *links, uint64_t link) {
    char key[sizeof((struct agent_line *)NULL)->key];
    snprintf(key, sizeof key, "%llx", (unsigned long long)link);
    struct agent_line *line = map_get(&links->by_number, key);
    return line != NULL && !line->is_over ? line : NULL;
}

bool agent_links_send(struct agent_links *links, uint64_t link, uint16_t number, struct bytes body) {
    struct agent_line *line = find_line(links, link);
    ASSERT(message_row(number)->sender == SENDER_AGENT && body.len <= message_row(number)->bytes_max);
    return line != NULL && line->is_connected &&
           link_send_within(line->link, number, 0, body, AGENT_LINK_QUEUE_BYTES_MAX);
}

void agent_links_hang_up(struct agent_links *links, uint64_t link) {
    struct agent_line *line = find_line(links, link);
    if (line != NULL) {
        line_end(line, "not wanted any more");
    }
}

// --- life ---

int agent_links_open(const struct agent_links_options *options, struct agent_links **out, struct error *err) {
    struct agent_links *links = NEW(struct agent_links);
    links->callbacks = options->callbacks;
    links->last_mono_ms = -1;
    list_init(&links->connecting);
    list_init(&links->connected);
    int rc = mailbox_init(&links->mailbox, err);
    if (rc < 0) {
        xfree(links);
        return rc;
    }
    *out = links;
    return 0;
}

int agent_links_fd(const struct agent_links *links) {
    return mailbox_fd(&links->mailbox);
}

static void end_all(struct list *lines) {
    LIST_EACH(node, lines) {
        struct agent_line *line = LIST_ENTRY(node, struct agent_line, node);
        line_end(line, "the agent stops");
    }
}

void agent_links_close(struct agent_links *links) {
    if (links == NULL) {
        return;
    }
    ASSERT(!links->is_working);
    links->is_closing = true;
    end_all(&links->connecting);
    end_all(&links->connected);
    for (;;) {
        agent_links_take(links, SIZE_MAX);
        if (list_is_empty(&links->connecting) && list_is_empty(&links->connected)) {
            break;
        }
        struct pollfd fd = {.fd = mailbox_fd(&links->mailbox), .events = POLLIN};
        (void)poll(&fd, 1, -1);
    }
    mailbox_deinit(&links->mailbox);
    map_free(&links->by_number);
    xfree(links);
}
