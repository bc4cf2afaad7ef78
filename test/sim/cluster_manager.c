// SPDX-License-Identifier: Apache-2.0
//
// test/sim/cluster_manager.c — a manager of the simulator: its life, its turn, and how it dies.
//
// Its turn is that of reconciler/daemon/turn.c: what its tasks did, what clients ask, persist, plan,
// dispatch, reply. Answers leave in the last phase; of those that were given before a commit in which it
// dies, the simulator decides whether they still left.
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "test/sim/cluster_world.h"

#define MAP_BYTES ((size_t)64 * MIB)
#define HISTORY_BYTES ((int64_t)512 * KIB)
#define AGENT_TICK_MS 1000

bool cluster_manager_is_awake(const struct cluster_manager *m) {
    return m->replica != NULL && m->stopped_until_ms <= m->sim->now_ms && m->busy_until_ms <= m->sim->now_ms;
}

bool cluster_manager_leads(const struct cluster_manager *m) {
    const struct proposer *proposer = m->replica != NULL ? replica_proposer(m->replica) : NULL;
    return proposer != NULL && proposer->ops->is_leader(proposer);
}

struct cluster_manager *cluster_leader(struct cluster_sim *c) {
    struct cluster_manager *leader = NULL;
    for (unsigned i = 0; i < c->count; i++) {
        struct cluster_manager *m = &c->managers[i];
        if (cluster_manager_is_awake(m) && cluster_manager_leads(m) &&
            (leader == NULL || m->replica->raft.term > leader->replica->raft.term)) {
            leader = m;
        }
    }
    return leader;
}

int64_t cluster_wall_ms(const struct cluster_manager *m) {
    return EPOCH_UNIX_MS + m->sim->now_ms + m->wall_offset_ms;
}

// --- its disk ---

static int before_commit(void *context, struct error *err) {
    struct cluster_manager *m = context;
    bool is_time = m->death != ALIVE && --m->die_in <= 0;
    cluster_totals->commits++;
    if (m->death == DIES_IN_COMMIT && is_time) {
        m->death = DIES_NOW;
        return error_set(err, ERR_SYSTEM, "power is lost");
    }
    if (m->disk == CLUSTER_DISK_FULL) {
        return error_sys(err, 28 /* ENOSPC */, "write the store");
    }
    if (m->disk == CLUSTER_DISK_BROKEN) {
        m->death = DIES_NOW;
        return error_sys(err, 5 /* EIO */, "write the store");
    }
    if (m->death == DIES_AFTER_COMMIT && is_time) {
        m->death = DIES_NOW;
    }
    if (m->slow_until_ms > m->sim->now_ms) {
        m->delay_ms += 1 + (int64_t)cluster_below(m->sim, (uint64_t)m->slow_ms);
    }
    return 0;
}

// --- what it says ---

static void on_send(void *context, const struct replica_packet *packet) {
    struct cluster_manager *m = context;
    if (m->death != DIES_NOW) {
        cluster_post(m, packet);
    }
}

static bool is_linked(void *context, uint64_t raft_id) {
    return cluster_is_linked(context, raft_id);
}

void cluster_tell(struct cluster_manager *m, const struct cluster_answer *answer) {
    const struct cluster_client *client = &m->sim->clients[answer->client];
    bool is_wanted = client->is_waiting && client->serial == answer->serial;
    if (m->death != DIES_NOW && is_wanted) {
        ASSERT(m->told_count < TOLD_MAX);
        m->told[m->told_count++] = *answer;
    }
}

static void reply(struct cluster_manager *m) {
    for (size_t i = 0; i < m->told_count; i++) {
        cluster_client_answered(m->sim, &m->told[i]);
    }
    m->told_count = 0;
}

// --- life ---

struct cluster_manager *cluster_manager_add(struct cluster_sim *c) {
    ASSERT(c->count < PLACES_MAX);
    struct cluster_manager *m = &c->managers[c->count];
    *m = (struct cluster_manager){.sim = c, .number = c->count++, .start_ms = NEVER, .wake_ms = NEVER};
    m->node_id = id_from_prng(&c->prng);
    m->faults = (struct store_faults){before_commit, m};
    snprintf(m->name, sizeof m->name, "m%u", m->number);
    snprintf(m->store_dir, sizeof m->store_dir, "%s/%u/store", c->dir, m->number);
    snprintf(m->agent_dir, sizeof m->agent_dir, "%s/%u/agent", c->dir, m->number);
    list_init(&m->requests);
    cluster_agent_make_machine(m);
    return m;
}

static int open_store(struct cluster_manager *m, struct error *err) {
    bool must_check = m->is_damaged, may_check = cluster_below(m->sim, 16) == 0;
    const struct store_options options = {
        .dir = m->store_dir,
        .map_bytes = MAP_BYTES,
        .history_bytes = HISTORY_BYTES,
        .reserve_bytes = -1,
        .faults = &m->faults,
        .check_here = !must_check && may_check,
        .skip_check = !must_check && !may_check,
    };
    return store_open(&options, &m->store, err);
}

static int open_parts(struct cluster_manager *m, struct error *err) {
    struct cluster_sim *c = m->sim;
    const struct replica_options options = {
        .store = m->store,
        .node_id = m->node_id,
        .callbacks = {.send = on_send, .is_linked = is_linked, .context = m},
        .pace = c->knobs.pace,
        .seed = prng_next(&c->prng),
        .now_mono_ms = c->now_ms,
    };
    struct replica *replica;
    int rc = replica_open(&options, &replica, err);
    if (rc < 0) {
        return rc;
    }
    m->replica = replica;
    proposals_init(&m->proposals, replica_proposer(replica));
    planner_init(&m->planner, m->store, &m->proposals, prng_next(&c->prng));
    m->planner.is_simulated = true;
    m->assign = (struct assign){.node_id = m->node_id};
    return cluster_agent_start(m, err);
}

static void close_parts(struct cluster_manager *m) {
    cluster_agent_stop(m);
    if (m->replica != NULL) {
        planner_deinit(&m->planner);
        proposals_deinit(&m->proposals);
        status_free(&m->status);
        m->replica = NULL;
    }
    cluster_requests_drop(m);
    store_close(m->store);
    m->store = NULL;
}

// Nothing of its store is to be trusted: the daemon moves it aside and waits to be taken in anew.
static void quarantine(struct cluster_manager *m) {
    struct cluster_sim *c = m->sim;
    cluster_note(c, "%s is found damaged", m->name);
    error_clear(&c->err);
    cluster_totals->quarantines++;
    close_parts(m);
    cluster_manager_forget(m);
    m->start_ms = c->now_ms + 100;
}

void cluster_manager_start(struct cluster_manager *m) {
    struct cluster_sim *c = m->sim;
    m->death = ALIVE;
    m->life++;
    memset(m->links, 0, sizeof m->links);
    m->start_ms = NEVER;
    m->wake_ms = c->now_ms;
    m->busy_until_ms = m->stopped_until_ms = 0;
    m->seen_applied = m->seen_term = m->digest_index = 0;
    m->seen_leading = m->leads = m->is_current = m->is_asking = false;
    m->assigned_revision = m->status_retry_ms = m->tick_ms = 0;
    m->delay_ms = 0;
    m->held = 0;
    int rc = open_store(m, &c->err);
    rc = rc < 0 ? rc : open_parts(m, &c->err);
    if (rc == -ERR_CORRUPT && m->is_damaged) {
        quarantine(m);
        return;
    }
    if (rc < 0 && (m->disk != CLUSTER_DISK_GOOD || m->death == DIES_NOW)) {
        close_parts(m);
        m->start_ms = c->now_ms + 500;
        return;
    }
    if (rc < 0) {
        char text[512];
        cluster_break(c, "%s does not start: %s", m->name, error_text(&c->err, text, sizeof text));
        close_parts(m);
        return;
    }
    m->is_damaged = false;
    cluster_note(c, "%s starts: raft id %llx, applied %llu, last %llu", m->name,
                 (unsigned long long)replica_id(m->replica), (unsigned long long)replica_applied(m->replica),
                 (unsigned long long)m->replica->raft.log.last_index);
    m->seen_applied = replica_applied(m->replica);
}

void cluster_manager_kill(struct cluster_manager *m, int64_t start_after_ms) {
    m->told_count = 0;
    close_parts(m);
    m->start_ms = start_after_ms == NEVER ? NEVER : m->sim->now_ms + start_after_ms;
    m->wake_ms = NEVER;
    m->sim->links_ms = m->sim->now_ms; // the others hear of it
    m->disk = m->disk == CLUSTER_DISK_BROKEN ? CLUSTER_DISK_GOOD : m->disk;
}

void cluster_manager_forget(struct cluster_manager *m) {
    struct cluster_sim *c = m->sim;
    if (m->replica != NULL) {
        cluster_manager_kill(m, NEVER);
    }
    int rc = fs_remove_tree(AT_FDCWD, m->store_dir, &c->err);
    ASSERT(rc == 0);
    m->lost_id = m->raft_id != 0 ? m->raft_id : m->lost_id;
    m->raft_id = 0;
    m->is_damaged = false;
    m->copy_index = 0;
}

void cluster_manager_leave(struct cluster_manager *m) {
    struct cluster_sim *c = m->sim;
    cluster_note(c, "%s has left", m->name);
    cluster_manager_forget(m);
    m->lost_id = 0;
    m->is_leaving = false;
    m->is_away = !c->is_healing;
    m->start_ms = c->is_healing ? c->now_ms : NEVER;
    fake_machine_free(m->machine); // with its tasks
    int rc = fs_remove_tree(AT_FDCWD, m->agent_dir, &c->err);
    ASSERT(rc == 0);
    cluster_agent_make_machine(m);
    cluster_totals->removals++;
}

void cluster_manager_free(struct cluster_manager *m) {
    close_parts(m);
    fake_machine_free(m->machine);
}

// Its turn failed, or it was to die in it.
static void go_down(struct cluster_manager *m, int rc) {
    struct cluster_sim *c = m->sim;
    char text[512];
    error_text(&c->err, text, sizeof text);
    error_clear(&c->err);
    if (rc < 0 && m->death != DIES_NOW) {
        cluster_break(c, "%s ends by itself: %s", m->name, text);
    }
    cluster_note(c, "%s dies: %s", m->name, rc < 0 ? text : "after a commit");
    if (cluster_below(c, 2) == 0) { // they left before it died
        reply(m);
    }
    cluster_manager_kill(m, cluster_about(c, cluster_below(c, 3) == 0 ? 10 : 1500));
}

// --- the turn ---

static int take(struct cluster_manager *m, struct error *err) {
    (void)err;
    cluster_agent_turn(m);
    LIST_EACH(node, &m->requests) {
        struct cluster_request *request = LIST_ENTRY(node, struct cluster_request, node);
        if (!request->is_taken) {
            cluster_request_take(request);
        }
    }
    return 0;
}

static int persist(struct cluster_manager *m, struct error *err) {
    struct proposer *proposer = m->proposals.proposer;
    return proposer->ops->turn(proposer, err);
}

static int plan(struct cluster_manager *m, struct error *err) {
    bool leads = cluster_manager_leads(m);
    if (leads && !m->leads) {
        planner_restart(&m->planner);
    }
    m->leads = leads;
    const struct now now = {cluster_wall_ms(m), m->sim->now_ms};
    return leads ? planner_step(&m->planner, &now, err) : 0;
}

static bool has_work(const struct cluster_manager *m) {
    const struct proposer *proposer = m->proposals.proposer;
    return proposer->ops->has_work(proposer) ||
           (m->is_current && m->assigned_revision != store_revision(m->store));
}

static int64_t wake_ms(const struct cluster_manager *m) {
    int64_t now_ms = m->sim->now_ms, wake = replica_wake_mono_ms(m->replica);
    const struct now now = {cluster_wall_ms(m), now_ms};
    if (has_work(m)) {
        return now_ms;
    }
    int64_t others[] = {m->leads ? planner_wake_mono_ms(&m->planner, &now) : NEVER, cluster_agent_wake_ms(m)};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        wake = others[i] < wake ? others[i] : wake;
    }
    return wake;
}

void cluster_manager_turn(struct cluster_manager *m) {
    static int (*const phases[])(struct cluster_manager *, struct error *) = {
        take, cluster_agent_step, persist, plan, cluster_agent_dispatch};
    struct cluster_sim *c = m->sim;
    int rc = 0;
    m->delay_ms = 0;
    replica_advance(m->replica, c->now_ms);
    for (size_t i = 0; rc >= 0 && m->death != DIES_NOW && i < sizeof phases / sizeof *phases; i++) {
        rc = phases[i](m, &c->err);
    }
    if (rc < 0 || m->death == DIES_NOW) {
        go_down(m, rc);
        return;
    }
    cluster_check_manager(m);
    reply(m);
    m->busy_until_ms = c->now_ms + m->delay_ms;
    m->wake_ms = wake_ms(m);
}

void cluster_manager_receive(struct cluster_manager *m, const struct cluster_parcel *parcel) {
    struct cluster_sim *c = m->sim;
    m->delay_ms = 0;
    replica_advance(m->replica, c->now_ms);
    int rc = replica_receive(m->replica, parcel->from_raft_id, parcel->number,
                             (struct bytes){parcel->body, parcel->len}, &c->err);
    if (rc < 0 || m->death == DIES_NOW) {
        go_down(m, rc);
        return;
    }
    cluster_check_manager(m);
    m->busy_until_ms = c->now_ms + m->delay_ms;
    m->wake_ms = c->now_ms;
}

void cluster_note_managers(struct cluster_sim *c) {
    for (unsigned i = 0; i < c->count; i++) {
        const struct cluster_manager *m = &c->managers[i];
        if (m->replica == NULL || !m->replica->has_group) {
            cluster_note(c, "%s %s", m->name, m->replica == NULL ? "is down" : "belongs to no group");
            continue;
        }
        const struct replica *replica = m->replica;
        const struct raft *raft = &replica->raft;
        cluster_note(c,
                     "%s %llx %s of %llx, term %llu vote %llx log %llu-%llu persisted %llu commit %llu "
                     "applied %llu, %u members%s%s%s, waits %zu",
                     m->name, (unsigned long long)raft->options.id, raft_role_names[raft->role],
                     (unsigned long long)raft->leader, (unsigned long long)raft->term,
                     (unsigned long long)raft->vote, (unsigned long long)raft->log.base_index,
                     (unsigned long long)raft->log.last_index, (unsigned long long)raft->persisted,
                     (unsigned long long)raft->commit, (unsigned long long)replica_applied(replica),
                     raft_configuration_now(raft)->count,
                     raft->pending_configuration_index > 0 ? " (pending)" : "",
                     replica->is_full ? " full" : "", raft->is_removed ? " removed" : "", replica->queued);
    }
}
