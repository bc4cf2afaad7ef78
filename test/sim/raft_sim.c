// SPDX-License-Identifier: Apache-2.0
//
// test/sim/raft_sim.c — one random run: knobs and events from a seed, then healing, agreement and progress.
#include "test/sim/raft_sim.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/str.h"
#include "test/sim/raft_world.h"

#define STEP_MS 10
// A leader within ten election timeouts (reliable systems' bar), of the slowest clock.
#define ELECTION_MS_MAX (10 * 10 * 130)

const char *const sim_knob_names[SIM_KNOBS] = {"loss",  "duplicate", "crash",  "cut",
                                               "stall", "transfer",  "change", "compact",
                                               "read",  "campaign",  "skew"};

static unsigned one_of(struct prng *prng, const unsigned *items, size_t count) {
    return items[prng_below(prng, count)];
}
#define PICK(...)                                                                                            \
    one_of(&sim->prng, (const unsigned[]){__VA_ARGS__},                                                      \
           sizeof((const unsigned[]){__VA_ARGS__}) / sizeof(unsigned))

// Each run has its own mixture, so that some are nearly calm and some nearly hopeless.
static void draw_knobs(struct sim *sim) {
    sim->knobs = (struct sim_knobs){
        .nodes = PICK(1, 2, 3, 3, 3, 4, 5, 5, 7),
        .loss = PICK(0, 0, 5, 20, 100, 250),
        .duplicate = PICK(0, 10, 100),
        .delay_max_ms = PICK(2, 10, 40, 150, 400),
        .crash = PICK(0, 2, 5, 15, 40),
        .cut = PICK(0, 2, 5, 15),
        .stall = PICK(0, 0, 3, 10),
        .heal = PICK(10, 40, 100),
        .propose = PICK(100, 500, 1500, 3000),
        .read = PICK(0, 100, 500),
        .transfer = PICK(0, 0, 5, 20),
        .change = PICK(0, 0, 5, 15, 30),
        .compact = PICK(20, 100, 400),
        .campaign = PICK(0, 0, 2, 10),
        .ring = PICK(64, 128, SIM_RING),
        .append_bytes = PICK(64, 256, 2048),
        .inflight = PICK(1, 2, 8, 64),
        .skews_clocks = PICK(0, 1),
    };
}

static void switch_off(struct sim_knobs *knobs, unsigned off) {
#define X(name, member) knobs->member = (off >> SIM_##name) & 1 ? 0 : knobs->member;
    SIM_KNOB_LIST(X)
#undef X
}

static struct sim *new_world(uint64_t seed) {
    struct sim *sim = NEW(struct sim);
    sim->seed = seed;
    sim->next_id = 1;
    prng_seed(&sim->prng, seed);
    prng_seed(&sim->node_prng, seed ^ 0x5eed);
    sim->truth = xcalloc(SIM_LOG_MAX, sizeof *sim->truth);
    sim->truth_state = xcalloc(SIM_LOG_MAX, sizeof *sim->truth_state);
    sim->committed_term = xcalloc(SIM_LOG_MAX, sizeof *sim->committed_term);
    return sim;
}

static void add_first_nodes(struct sim *sim, unsigned voters, unsigned learners) {
    struct raft_configuration first = {.count = voters + learners};
    for (unsigned i = 0; i < first.count; i++) {
        first.members[i] = (struct raft_member){.id = i + 1, .is_voter = i < voters};
    }
    for (unsigned i = 0; i < first.count; i++) {
        world_start(sim, world_add(sim, &first));
    }
}

static struct sim *new_random(const struct sim_case *run, struct buf *trace) {
    struct sim *sim = new_world(run->seed);
    sim->trace = trace;
    draw_knobs(sim);
    switch_off(&sim->knobs, run->off);
    add_first_nodes(sim, sim->knobs.nodes, 0);
    return sim;
}

struct sim *sim_new_manual(unsigned voters, unsigned learners) {
    struct sim *sim = new_world(1);
    sim->is_manual = true;
    sim->knobs = (struct sim_knobs){.ring = SIM_RING, .append_bytes = 2048, .inflight = 64};
    add_first_nodes(sim, voters, learners);
    return sim;
}

void sim_free(struct sim *sim) {
    struct sim_parcel *parcel;
    while ((parcel = world_take(sim)) != NULL) {
        parcel_free(parcel);
    }
    for (unsigned i = 0; i < SIM_NODES_MAX; i++) {
        xfree(sim->nodes[i].log);
        xfree(sim->nodes[i].disk_log);
    }
    xfree(sim->heap);
    xfree(sim->truth);
    xfree(sim->truth_state);
    xfree(sim->committed_term);
    xfree(sim);
}

// --- what happens in a step of 10 ms ---

static bool happens(struct sim *sim, unsigned per_10000) {
    return per_10000 > 0 && prng_below(&sim->prng, 10000) < per_10000;
}

static struct sim_node *any_node(struct sim *sim) {
    return &sim->nodes[prng_below(&sim->prng, sim->node_count)];
}

static void heal_some(struct sim *sim) {
    if (prng_below(&sim->prng, 3) == 0) {
        for (unsigned i = 0; i < SIM_NODES_MAX * SIM_NODES_MAX; i++) {
            sim->cut[i / SIM_NODES_MAX][i % SIM_NODES_MAX] = false;
        }
        return;
    }
    struct sim_node *node = any_node(sim);
    if (node->is_member && !node->is_up) {
        world_start(sim, node);
    }
    node->is_stalled = false;
}

static void cut_some(struct sim *sim) {
    unsigned a = (unsigned)prng_below(&sim->prng, sim->node_count);
    unsigned b = (unsigned)prng_below(&sim->prng, sim->node_count);
    bool is_island = prng_below(&sim->prng, 2) == 0;
    for (unsigned i = 0; i < sim->node_count; i++) {
        if (is_island || i == b) {
            sim->cut[a][i] = true;
            sim->cut[i][a] = sim->cut[i][a] || prng_below(&sim->prng, 3) > 0;
        }
    }
    sim_totals.cuts++;
    world_note(sim, "cut %u%s", a, is_island ? " from all" : "");
}

static void compact_some(struct sim *sim, struct sim_node *node) {
    uint64_t base = node->raft.log.base_index;
    uint64_t applied = node->raft.applied;
    if (applied > base) {
        raft_compact(&node->raft, base + 1 + prng_below(&sim->prng, applied - base));
    }
}

static void disturb(struct sim *sim) {
    const struct sim_knobs *knobs = &sim->knobs;
    if (happens(sim, knobs->heal)) {
        heal_some(sim);
    }
    if (happens(sim, knobs->cut)) {
        cut_some(sim);
    }
    struct sim_node *node = any_node(sim);
    if (!node->is_up) {
        return;
    }
    if (happens(sim, knobs->crash)) {
        world_crash(sim, node);
        return;
    }
    if (happens(sim, knobs->stall)) {
        sim_totals.stalls++;
        node->is_stalled = true; // its clock stands; messages wait in its queue (and are stepped late)
    }
    if (happens(sim, knobs->campaign)) {
        raft_campaign(&node->raft);
    }
}

static void use(struct sim *sim, struct sim_node *node) {
    const struct sim_knobs *knobs = &sim->knobs;
    bool is_leader = node->raft.role == RAFT_LEADER;
    if (is_leader && happens(sim, knobs->propose)) {
        uint64_t first;
        world_propose(sim, node, 1 + prng_below(&sim->prng, 4), &first);
    }
    if (happens(sim, knobs->read)) {
        world_read(sim, node);
    }
    if (happens(sim, knobs->compact) ||
        node->raft.log.last_index - node->raft.log.base_index > knobs->ring / 4) {
        compact_some(sim, node);
    }
    if (is_leader && !sim->is_healed && happens(sim, knobs->change)) {
        world_change(sim, node);
    }
    if (is_leader && !sim->is_healed && happens(sim, knobs->transfer)) {
        raft_transfer(&node->raft, any_node(sim)->id);
    }
}

// A removed node that knows is switched off at last.
static void retire(struct sim *sim, struct sim_node *node) {
    if (node->raft.is_removed && prng_below(&sim->prng, 200) == 0) {
        node->is_up = node->is_member = false;
    }
}

static void step_node(struct sim *sim, struct sim_node *node) {
    while (node->next_tick_ms <= sim->now_ms) {
        node->next_tick_ms += node->tick_ms;
        raft_tick(&node->raft);
        sim_totals.events++;
    }
    use(sim, node);
    check_node(sim, node);
    world_turn(sim, node);
    retire(sim, node);
}

static void report(struct sim *sim) {
    sim->result->is_healed = sim->is_healed;
    sim->result->at_ms = sim->now_ms;
    sim->result->events = sim_totals.events - sim->events_before;
}

static void advance(struct sim *sim) {
    uint64_t until = sim->now_ms + STEP_MS;
    while (sim->heap_count > 0 && sim->heap[0]->at_ms <= until && sim->broken[0] == '\0') {
        struct sim_parcel *parcel = world_take(sim);
        sim->now_ms = parcel->at_ms > sim->now_ms ? parcel->at_ms : sim->now_ms;
        world_deliver(sim, parcel);
        sim_totals.events++;
    }
    sim->now_ms = until;
    report(sim);
    if (!sim->is_healed) {
        disturb(sim);
    }
    for (unsigned i = 0; i < sim->node_count && sim->broken[0] == '\0'; i++) {
        struct sim_node *node = &sim->nodes[i];
        if (node->is_member && node->is_up && !node->is_stalled) {
            step_node(sim, node);
        } else if (node->is_stalled) {
            node->next_tick_ms = sim->now_ms + node->tick_ms;
        }
    }
}

// --- healing ---

static void heal_all(struct sim *sim) {
    world_note(sim, "healed");
    sim->is_healed = true;
    for (unsigned i = 0; i < SIM_NODES_MAX * SIM_NODES_MAX; i++) {
        sim->cut[i / SIM_NODES_MAX][i % SIM_NODES_MAX] = false;
    }
    for (unsigned i = 0; i < sim->node_count; i++) {
        struct sim_node *node = &sim->nodes[i];
        node->is_stalled = false;
        if (node->is_member && !node->is_up) {
            world_start(sim, node);
        }
    }
}

static struct sim_node *leader_of(struct sim *sim) {
    struct sim_node *leader = NULL;
    for (unsigned i = 0; i < sim->node_count; i++) {
        struct sim_node *node = &sim->nodes[i];
        if (node->is_up && node->raft.role == RAFT_LEADER &&
            (leader == NULL || node->raft.term > leader->raft.term)) {
            leader = node;
        }
    }
    return leader;
}

// Is there a leader, and do all members of its configuration have everything applied?
static bool is_agreed(struct sim *sim, uint64_t past) {
    struct sim_node *leader = leader_of(sim);
    if (leader == NULL || leader->applied <= past || leader->applied != leader->raft.log.last_index) {
        return false;
    }
    const struct raft_configuration *now = raft_configuration_now(&leader->raft);
    for (unsigned i = 0; i < now->count; i++) {
        struct sim_node *node = world_node(sim, now->members[i].id);
        if (node == NULL || node->applied != leader->applied || node->state != leader->state) {
            return false;
        }
    }
    return true;
}

// One that has committed in its term, so it is no leader of old that has not noticed yet.
static void want_leader(struct sim *sim) {
    struct sim_node *leader = NULL;
    uint64_t healed_ms = sim->now_ms;
    while (sim->now_ms < healed_ms + ELECTION_MS_MAX && sim->broken[0] == '\0') {
        advance(sim);
        leader = leader_of(sim);
        if (leader != NULL && leader->raft.commit >= leader->raft.term_first_index) {
            uint64_t took_ms = sim->now_ms - healed_ms;
            sim_totals.election_ms_max =
                took_ms > sim_totals.election_ms_max ? took_ms : sim_totals.election_ms_max;
            return;
        }
    }
    world_note_nodes(sim);
    world_break(sim, "liveness: ten election timeouts after everything was healed nobody leads");
}

static void want_progress(struct sim *sim) {
    uint64_t past = sim->truth_last;
    sim->knobs.propose = 2000;
    for (int i = 0; i < 3000 && sim->broken[0] == '\0'; i++) { // 30 s
        if (i == 500) {
            sim->knobs.propose = 0;
        }
        advance(sim);
        if (i > 500 && is_agreed(sim, past)) {
            check_pairs(sim);
            check_agreement(sim, raft_configuration_now(&leader_of(sim)->raft));
            return;
        }
    }
    world_note_nodes(sim);
    world_break(sim, "liveness: 30 s after everything was healed there is no agreement and progress");
}

static void live(struct sim *sim, uint64_t virtual_ms) {
    while (sim->now_ms < virtual_ms && sim->broken[0] == '\0' && sim->truth_last < SIM_LOG_MAX - 4000) {
        advance(sim);
        if (sim->now_ms % 1000 == 0) {
            check_pairs(sim);
        }
    }
    if (sim->broken[0] == '\0') {
        heal_all(sim);
        want_leader(sim);
    }
    if (sim->broken[0] == '\0') {
        want_progress(sim);
    }
}

bool sim_run(const struct sim_case *run, struct sim_result *out, struct buf *trace) {
    struct sim *sim = new_random(run, trace);
    *out = (struct sim_result){0};
    sim->result = out;
    sim->events_before = sim_totals.events;
    live(sim, run->virtual_ms);
    sim_totals.runs++;
    sim_totals.virtual_ms += sim->now_ms;
    report(sim);
    out->is_fine = sim->broken[0] == '\0';
    str_copy(out->what, sizeof out->what, sim->broken);
    sim_free(sim);
    return out->is_fine;
}

// --- totals ---

void sim_totals_add(struct sim_totals *sum, const struct sim_totals *more) {
#define X(name) sum->name += more->name;
    SIM_TOTALS_LIST(X)
#undef X
    if (more->election_ms_max > sum->election_ms_max) {
        sum->election_ms_max = more->election_ms_max;
    }
}

uint64_t sim_faults(const struct sim_totals *totals) {
    return totals->losses + totals->duplicates + totals->cuts + totals->crashes + totals->stalls;
}
