// SPDX-License-Identifier: Apache-2.0
//
// transport/peers_gate.c — who may come in when many come: places, handshakes, and those that hold them up.
//
// A caller has a place from its accept until it has said hello, or is no more. Over TLS it gets one of the
// handshakes once it has said something, in the order in which callers did. What it costs us until then is
// little; what a handshake costs is not spent on one whose turn never comes.
#include "transport/peers_parts.h"

#include <string.h>

#define WEIGHED_MAX (2 * PEERS_CALLERS_MAX)

// --- places ---

void gate_open(struct peers *peers) {
    peers->accepted_max = PEERS_CALLERS_MAX;
    listener_limit(peers->listener, peers->accepted_max);
}

void gate_give_back(struct peers *peers) {
    if (!peers->is_closing) {
        listener_limit(peers->listener, ++peers->accepted_max);
    }
}

void gate_enter(struct line *line) {
    line->has_place = true;
    line->heard_ms = line->peers->now_ms;
    if (!line->is_covered) {
        gate_thin_out(line->peers, LINE_CALLER);
    }
}

void gate_leave(struct line *line) {
    gate_pass(line);
    if (line->has_place) {
        line->has_place = false;
        gate_give_back(line->peers);
    }
}

// --- handshakes ---

static void admit_next(struct peers *peers) {
    while (peers->shaking < PEERS_HANDSHAKES_MAX && !list_is_empty(&peers->knocking)) {
        struct line *line = LIST_ENTRY(list_first(&peers->knocking), struct line, knock_node);
        list_remove(&line->knock_node);
        line->is_shaking = true;
        line->heard_ms = peers->now_ms;
        peers->shaking++;
        link_admit(line->link);
    }
}

void gate_on_knocked(struct line *line) {
    if (!line->is_over) {
        list_append(&line->peers->knocking, &line->knock_node);
        admit_next(line->peers);
    }
}

void gate_pass(struct line *line) {
    if (list_is_linked(&line->knock_node)) {
        list_remove(&line->knock_node);
    }
    if (line->is_shaking) {
        line->is_shaking = false;
        line->peers->shaking--;
        admit_next(line->peers);
    }
}

// --- those that hold up others ---

// One that waits for us has done its part.
static void listen_to(struct line *line) {
    uint64_t bytes = link_received_bytes(line->link);
    if (bytes != line->heard_bytes || list_is_linked(&line->knock_node)) {
        line->heard_bytes = bytes;
        line->heard_ms = line->peers->now_ms;
    }
}

static bool is_stuck(const struct line *line) {
    struct peers *peers = line->peers;
    return line->is_shaking && !line->is_closing && !list_is_empty(&peers->knocking) &&
           peers->now_ms - line->heard_ms >= PEERS_HASTE_MS;
}

// A plain caller has nothing to do before its hello.
static bool keeps_us_waiting(const struct line *line) {
    int64_t patience_ms = line->is_covered ? PEERS_PATIENCE_MS : 0;
    bool is_late = line->peers->now_ms - line->heard_ms >= patience_ms;
    return line->via != 0 && !line->is_closing && (line->sort == LINE_CALLER ? is_late : line->is_stranger);
}

struct weighed {
    struct line *line;
    unsigned weight; // how many of its address there are
};

static bool is_of_source(const struct line *line, const struct line *other) {
    return memcmp(line->source, other->source, sizeof line->source) == 0;
}

static size_t weigh(struct peers *peers, enum line_sort sort, struct weighed *out) {
    size_t count = 0;
    LIST_EACH(node, &peers->lines[sort]) {
        struct line *line = LIST_ENTRY(node, struct line, node);
        if (keeps_us_waiting(line) && count < WEIGHED_MAX) {
            out[count++] = (struct weighed){line, 0};
        }
    }
    for (size_t i = 0; i < count && count > PEERS_STRANGERS_MAX; i++) {
        for (size_t j = 0; j < count; j++) {
            out[i].weight += is_of_source(out[i].line, out[j].line);
        }
    }
    return count;
}

static struct line *take_oldest_of_most(struct weighed *all, size_t count) {
    struct weighed *most = &all[0];
    for (size_t i = 1; i < count; i++) {
        most = all[i].weight > most->weight ? &all[i] : most;
    }
    most->weight = 0; // it is out
    for (size_t i = 0; i < count; i++) {
        all[i].weight -= all[i].weight > 0 && is_of_source(all[i].line, most->line);
    }
    return most->line;
}

// One address with many connections pushes out its own oldest, not those of others.
void gate_thin_out(struct peers *peers, enum line_sort sort) {
    struct weighed all[WEIGHED_MAX];
    size_t count = weigh(peers, sort, all);
    for (size_t left = count; left > PEERS_STRANGERS_MAX; left--) {
        line_end(take_oldest_of_most(all, count), "too many at once");
    }
}

void gate_tick(struct peers *peers) {
    LIST_EACH(node, &peers->lines[LINE_CALLER]) {
        struct line *line = LIST_ENTRY(node, struct line, node);
        listen_to(line);
        if (is_stuck(line)) {
            line_end(line, "others wait");
        }
    }
    gate_thin_out(peers, LINE_CALLER);
}
