// SPDX-License-Identifier: Apache-2.0
//
// test/sim/cluster_world.c — time that jumps from event to event, and a network that is a heap of packets.
#include "test/sim/cluster_world.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define LINKS_LOOK_MS 200
#define SILENCE_MS 3000 // PEERS_SILENCE_MS
#define HELD_MAX 2000   // packets that wait for one who is stopped: what sockets would hold
#define TURNS_MAX 64    // of one manager in one step

void cluster_note(struct cluster_sim *c, const char *format, ...) {
    if (c->trace == NULL) {
        return;
    }
    va_list args;
    va_start(args, format);
    buf_addf(c->trace, "%9.3f ", (double)c->now_ms / 1000);
    buf_addv(c->trace, format, args);
    buf_addc(c->trace, '\n');
    va_end(args);
}

void cluster_break(struct cluster_sim *c, const char *format, ...) {
    if (cluster_is_broken(c)) {
        return;
    }
    va_list args;
    int at = snprintf(c->broken, sizeof c->broken, "seed %llu at %.3f s: ", (unsigned long long)c->run.seed,
                      (double)c->now_ms / 1000);
    va_start(args, format);
    vsnprintf(c->broken + at, sizeof c->broken - (size_t)at, format, args);
    va_end(args);
    cluster_note(c, "BROKEN %s", c->broken);
}

int64_t cluster_about(struct cluster_sim *c, int64_t ms) {
    return 1 + (int64_t)cluster_below(c, (uint64_t)ms) + (int64_t)cluster_below(c, (uint64_t)ms);
}

bool cluster_chance(struct cluster_sim *c, unsigned per_1000) {
    return per_1000 > 0 && cluster_below(c, 1000) < per_1000;
}

// --- the network ---

static bool is_before(const struct cluster_parcel *a, const struct cluster_parcel *b) {
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static void heap_add(struct cluster_sim *c, struct cluster_parcel *parcel) {
    if (c->heap_count == c->heap_capacity) {
        c->heap_capacity = c->heap_capacity == 0 ? 256 : c->heap_capacity * 2;
        c->heap = xrealloc(c->heap, c->heap_capacity * sizeof *c->heap);
    }
    size_t at = c->heap_count++;
    for (; at > 0 && is_before(parcel, c->heap[(at - 1) / 2]); at = (at - 1) / 2) {
        c->heap[at] = c->heap[(at - 1) / 2];
    }
    c->heap[at] = parcel;
}

static struct cluster_parcel *heap_take(struct cluster_sim *c) {
    struct cluster_parcel *first = c->heap[0], *last = c->heap[--c->heap_count];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < c->heap_count; at = child) {
        if (child + 1 < c->heap_count && is_before(c->heap[child + 1], c->heap[child])) {
            child++;
        }
        if (!is_before(c->heap[child], last)) {
            break;
        }
        c->heap[at] = c->heap[child];
    }
    c->heap[at] = last;
    return first;
}

static struct cluster_manager *by_raft_id(struct cluster_sim *c, uint64_t raft_id) {
    for (unsigned i = 0; i < c->count; i++) {
        if (c->managers[i].raft_id == raft_id) {
            return &c->managers[i];
        }
    }
    return NULL;
}

static void post_one(struct cluster_manager *from, const struct cluster_manager *to,
                     const struct replica_packet *packet) {
    struct cluster_sim *c = from->sim;
    struct cluster_parcel *parcel = xmalloc(sizeof *parcel + packet->body.len + 1);
    int64_t delay_ms = 1 + (int64_t)cluster_below(c, c->knobs.delay_ms);
    delay_ms +=
        cluster_chance(c, c->is_healing ? 0 : c->knobs.delay_long) ? (int64_t)cluster_below(c, 3000) : 0;
    *parcel = (struct cluster_parcel){
        .at_ms = c->now_ms + from->delay_ms + delay_ms,
        .order = ++c->next_order,
        .from = from->number,
        .to = to->number,
        .from_raft_id = from->raft_id,
        .to_raft_id = packet->to,
        .number = packet->number,
        .len = packet->body.len,
    };
    memcpy(parcel->body, packet->body.data, packet->body.len);
    heap_add(c, parcel);
    cluster_totals->packets++;
}

void cluster_post(struct cluster_manager *from, const struct replica_packet *packet) {
    struct cluster_sim *c = from->sim;
    const struct cluster_manager *to = by_raft_id(c, packet->to);
    if (to == NULL || c->cut[from->number][to->number] ||
        (!c->is_healing && cluster_chance(c, c->knobs.loss))) {
        return;
    }
    post_one(from, to, packet);
    // Links are streams: only the core is ready for everything to come twice.
    bool may_repeat = packet->number != MESSAGE_PROPOSE && packet->number != MESSAGE_PROPOSE_REFUSED;
    if (may_repeat && !c->is_healing && cluster_chance(c, c->knobs.duplicate)) {
        post_one(from, to, packet);
    }
}

void cluster_drop_parcels(struct cluster_sim *c) {
    while (c->heap_count > 0) {
        xfree(heap_take(c));
    }
}

static int64_t free_at_ms(const struct cluster_manager *m) {
    return m->stopped_until_ms > m->busy_until_ms ? m->stopped_until_ms : m->busy_until_ms;
}

static void deliver(struct cluster_sim *c, struct cluster_parcel *parcel) {
    struct cluster_manager *m = &c->managers[parcel->to];
    if (m->replica == NULL || replica_id(m->replica) != parcel->to_raft_id ||
        c->cut[parcel->from][parcel->to]) {
        xfree(parcel);
    } else if (free_at_ms(m) > c->now_ms && m->held < HELD_MAX) {
        parcel->at_ms = free_at_ms(m);
        m->held++;
        heap_add(c, parcel);
    } else {
        m->held = m->held > 0 ? m->held - 1 : 0;
        cluster_manager_receive(m, parcel);
        xfree(parcel);
    }
}

static void deliver_due(struct cluster_sim *c) {
    while (c->heap_count > 0 && c->heap[0]->at_ms <= c->now_ms && !cluster_is_broken(c)) {
        deliver(c, heap_take(c));
        cluster_totals->events++;
    }
}

// --- links ---

bool cluster_is_linked(const struct cluster_manager *from, uint64_t raft_id) {
    const struct cluster_manager *to = by_raft_id(from->sim, raft_id);
    return to != NULL && from->links[to->number].is_up;
}

static bool answers(const struct cluster_manager *from, const struct cluster_manager *to) {
    const struct cluster_sim *c = from->sim;
    return to->replica != NULL && to->stopped_until_ms <= c->now_ms && !c->cut[from->number][to->number] &&
           !c->cut[to->number][from->number];
}

// A process that is killed hangs up. Machines that lose their power, and those that are cut off or stopped,
// only fall silent.
static bool hangs_up(const struct cluster_manager *from, const struct cluster_manager *to,
                     const struct cluster_link *link) {
    const struct cluster_sim *c = from->sim;
    bool is_cut = c->cut[from->number][to->number] || c->cut[to->number][from->number];
    bool has_ended = to->life != link->life || (to->replica == NULL && to->life % 4 != 0);
    return has_ended && !is_cut;
}

static void look_at_link(struct cluster_manager *from, const struct cluster_manager *to) {
    struct cluster_sim *c = from->sim;
    struct cluster_link *link = &from->links[to->number];
    bool does_answer = answers(from, to);
    if (!link->is_up) {
        *link = (struct cluster_link){does_answer, to->life, NEVER};
        return;
    }
    link->silent_ms = does_answer ? NEVER : link->silent_ms == NEVER ? c->now_ms : link->silent_ms;
    bool is_silent = link->silent_ms != NEVER && c->now_ms - link->silent_ms >= SILENCE_MS;
    if (is_silent || hangs_up(from, to, link)) {
        link->is_up = false;
        replica_link_lost(from->replica, to->raft_id != 0 ? to->raft_id : to->lost_id);
        from->wake_ms = c->now_ms;
    }
}

static void look_at_links(struct cluster_sim *c) {
    c->links_ms = c->now_ms + LINKS_LOOK_MS;
    for (unsigned i = 0; i < c->count; i++) {
        for (unsigned j = 0; j < c->count && cluster_manager_is_awake(&c->managers[i]); j++) {
            if (i != j) {
                look_at_link(&c->managers[i], &c->managers[j]);
            }
        }
    }
}

// --- time ---

static void at_latest(int64_t *next_ms, int64_t at_ms) {
    *next_ms = at_ms < *next_ms ? at_ms : *next_ms;
}

static int64_t manager_next_ms(const struct cluster_manager *m) {
    if (m->replica == NULL) {
        return m->start_ms;
    }
    return m->wake_ms > free_at_ms(m) ? m->wake_ms : free_at_ms(m);
}

static int64_t next_event_ms(const struct cluster_sim *c) {
    int64_t next_ms = c->heap_count > 0 ? c->heap[0]->at_ms : NEVER;
    for (unsigned i = 0; i < c->count; i++) {
        at_latest(&next_ms, manager_next_ms(&c->managers[i]));
    }
    for (unsigned i = 0; i < c->knobs.clients; i++) {
        at_latest(&next_ms, c->clients[i].next_ms);
    }
    at_latest(&next_ms, c->links_ms);
    at_latest(&next_ms, c->operator_ms);
    at_latest(&next_ms, c->user_ms);
    at_latest(&next_ms, cluster_troubles_next_ms(c));
    return next_ms > c->now_ms ? next_ms : c->now_ms + 1;
}

static void run_manager(struct cluster_sim *c, struct cluster_manager *m) {
    if (m->replica == NULL && m->start_ms <= c->now_ms) {
        cluster_manager_start(m);
    }
    for (int i = 0; i < TURNS_MAX && m->replica != NULL && manager_next_ms(m) <= c->now_ms; i++) {
        if (cluster_is_broken(c)) {
            return;
        }
        cluster_manager_turn(m);
        cluster_totals->events++;
    }
    if (m->wake_ms <= c->now_ms) {
        m->wake_ms = c->now_ms + 1;
    }
}

void cluster_step(struct cluster_sim *c, int64_t until_ms) {
    int64_t next_ms = next_event_ms(c);
    c->now_ms = next_ms < until_ms ? next_ms : until_ms;
    deliver_due(c);
    if (c->links_ms <= c->now_ms) {
        look_at_links(c);
    }
    if (cluster_troubles_next_ms(c) <= c->now_ms) {
        cluster_troubles_step(c);
    }
    for (unsigned i = 0; i < c->knobs.clients; i++) {
        if (c->clients[i].next_ms <= c->now_ms) {
            cluster_client_step(&c->clients[i], c);
        }
    }
    if (c->user_ms <= c->now_ms) {
        cluster_user_step(c);
    }
    if (c->operator_ms <= c->now_ms) {
        cluster_operator_step(c);
    }
    for (unsigned i = 0; i < c->count && !cluster_is_broken(c); i++) {
        run_manager(c, &c->managers[i]);
    }
}
