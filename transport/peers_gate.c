// SPDX-License-Identifier: Apache-2.0
//
// transport/peers_gate.c — who may come in when many come: places, handshakes, and those that hold them up.
//
// A caller has a place from its accept until it has said hello, or is no more. Over TLS it gets one of the
// handshakes once it has said something, in the order in which callers did. What it costs us until then is
// little; what a handshake costs is not spent on one whose turn never comes. When one has got through, the
// next is taken from the same end of the queue; when one has failed, from the other: so who comes after a
// crowd that only waits does not wait for all of it, and a crowd of agents is served in order.
#include "transport/peers_parts.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define GATE_LOOK_MS 50 // between two looks at all callers

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
    line->peers->caller_count++;
    line->heard_ms = line->peers->now_ms;
    if (!line->is_covered) {
        gate_thin_out(line->peers, LINE_CALLER);
    }
}

// --- handshakes ---

static void admit(struct line *line, bool was_last) {
    struct peers *peers = line->peers;
    list_remove(&line->knock_node);
    line->is_shaking = true;
    line->was_last = was_last;
    line->heard_ms = peers->now_ms;
    peers->shaking++;
    link_admit(line->link, tls_accept(peers->tls));
}

// Whoever called a node that has left its cluster since, or was put out of it: there is nobody to speak with.
static void refuse_all(struct peers *peers) {
    while (!list_is_empty(&peers->knocking)) {
        line_end(LIST_ENTRY(list_first(&peers->knocking), struct line, knock_node),
                 "this node is in no cluster any more");
    }
}

static void admit_next(struct peers *peers, bool is_last) {
    if (!tls_has_certificate(peers->tls)) {
        refuse_all(peers);
    }
    if (!list_is_empty(&peers->knocking) && !peers->is_closing) {
        struct list_node *node = is_last ? peers->knocking.head.prev : list_first(&peers->knocking);
        admit(LIST_ENTRY(node, struct line, knock_node), is_last);
    }
}

void gate_on_knocked(struct line *line) {
    struct peers *peers = line->peers;
    if (!line->is_over) {
        list_append(&peers->knocking, &line->knock_node);
        if (peers->shaking < PEERS_HANDSHAKES_MAX) {
            admit_next(peers, /*is_last=*/false);
        }
    }
}

static void finish(struct line *line, bool is_good) {
    if (list_is_linked(&line->knock_node)) {
        list_remove(&line->knock_node);
    }
    if (line->is_shaking) {
        line->is_shaking = false;
        line->peers->shaking--;
        admit_next(line->peers, is_good == line->was_last);
    }
}

void gate_pass(struct line *line) {
    finish(line, /*is_good=*/false);
}

void gate_leave(struct line *line) {
    finish(line, line->is_greeted);
    if (line->has_place) {
        line->has_place = false;
        line->peers->caller_count--;
        line->peers->turned_away += !line->is_greeted;
        gate_give_back(line->peers);
    }
}

size_t peers_caller_count(const struct peers *peers) {
    return peers->caller_count;
}

uint64_t peers_turned_away(const struct peers *peers) {
    return peers->turned_away;
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

// With how many of its address came after it.
struct weighed {
    struct line *line;
    size_t place; // in the order of coming
    size_t newer;
};

static int by_source(const void *a, const void *b) {
    const struct weighed *left = a, *right = b;
    int order = memcmp(left->line->source, right->line->source, sizeof left->line->source);
    return order != 0 ? order : (left->place < right->place) - (left->place > right->place);
}

static int by_weight(const void *a, const void *b) {
    const struct weighed *left = a, *right = b;
    int order = (left->newer < right->newer) - (left->newer > right->newer);
    return order != 0 ? order : (left->place > right->place) - (left->place < right->place);
}

static size_t count_waited_for(struct peers *peers, enum line_sort sort) {
    size_t count = 0;
    LIST_EACH(node, &peers->lines[sort]) {
        count += keeps_us_waiting(LIST_ENTRY(node, struct line, node));
    }
    return count;
}

// The first go first.
static struct weighed *weigh(struct peers *peers, enum line_sort sort, size_t count) {
    struct weighed *out = xcalloc(count, sizeof *out);
    size_t place = 0;
    LIST_EACH(node, &peers->lines[sort]) {
        struct line *line = LIST_ENTRY(node, struct line, node);
        if (keeps_us_waiting(line)) {
            out[place] = (struct weighed){line, place, 0};
            place++;
        }
    }
    qsort(out, count, sizeof *out, by_source); // the newest of each first
    for (size_t i = 1; i < count; i++) {
        bool is_same = memcmp(out[i].line->source, out[i - 1].line->source, sizeof out->line->source) == 0;
        out[i].newer = is_same ? out[i - 1].newer + 1 : 0;
    }
    qsort(out, count, sizeof *out, by_weight);
    return out;
}

// One address with many connections pushes out its own oldest, not those of others.
void gate_thin_out(struct peers *peers, enum line_sort sort) {
    size_t count = count_waited_for(peers, sort);
    if (count > PEERS_STRANGERS_MAX) {
        AUTO_FREE struct weighed *all = weigh(peers, sort, count);
        for (size_t i = 0; i < count - PEERS_STRANGERS_MAX; i++) {
            line_end(all[i].line, "too many at once");
        }
    }
}

// Ticks come as often as the loop turns, thousands of callers perhaps with them.
void gate_tick(struct peers *peers) {
    if (peers->now_ms < peers->gate_ms) {
        return;
    }
    peers->gate_ms = peers->now_ms + GATE_LOOK_MS;
    LIST_EACH(node, &peers->lines[LINE_CALLER]) {
        struct line *line = LIST_ENTRY(node, struct line, node);
        listen_to(line);
        incoming_tick(line);
        if (is_stuck(line)) {
            line_end(line, "others wait");
        }
    }
    gate_thin_out(peers, LINE_CALLER);
}
