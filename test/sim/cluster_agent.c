// SPDX-License-Identifier: Apache-2.0
//
// test/sim/cluster_agent.c — the node of a manager: the real agent over a fake machine, and the phases of the
// turn that belong to it (reconciler/daemon/turn.c).
#include <stdio.h>

#include "base/mem.h"
#include "test/sim/cluster_world.h"

#define TICK_MS 1000
#define RETRY_MS 1000

static const struct fake_profile profiles[] = {
    {.image = "fails",
     .prepare_ms = 300,
     .start_ms = 100,
     .remove_ms = 50,
     .run_ms = 9000,
     .exit_code = 1,
     .crash_permille = 300,
     .stop_ms = 100},
    {.image = "ends", .prepare_ms = 300, .start_ms = 100, .remove_ms = 50, .run_ms = 15000, .stop_ms = 100},
    {.image = "missing", .prepare_ms = 300, .reject_permille = 700, .start_ms = 50, .remove_ms = 50},
    {.image = "deaf", .prepare_ms = 200, .start_ms = 100, .remove_ms = 50, .stop_ms = -1},
    {.image = "good", .prepare_ms = 400, .start_ms = 100, .remove_ms = 50, .stop_ms = 300},
};

static int64_t agent_time_ms(void *context) {
    return EPOCH_UNIX_MS + ((const struct cluster_manager *)context)->sim->now_ms;
}

void cluster_agent_make_machine(struct cluster_manager *m) {
    m->machine = fake_machine_new(&(struct fake_options){.seed = prng_next(&m->sim->prng),
                                                         .now_unix_ms = agent_time_ms(m),
                                                         .profile_count = sizeof profiles / sizeof *profiles,
                                                         .profiles = profiles});
}

static void on_event(void *context, const struct executor_event *event) {
    struct cluster_manager *m = context;
    if (m->agent != NULL) {
        cluster_totals->tasks_started += event->kind == EXECUTOR_RUNNING;
        agent_on_event(m->agent, event);
    }
}

static void on_reports(void *context, const struct reports *reports) {
    struct cluster_manager *m = context;
    for (size_t i = 0; i < reports->count; i++) {
        status_post(&m->status, &m->node_id, &reports->items[i]);
    }
}

int cluster_agent_start(struct cluster_manager *m, struct error *err) {
    fake_machine_advance(m->machine, agent_time_ms(m)); // what happened while nobody looked
    m->executor = executor_fake_new(m->machine, on_event, m);
    const struct agent_options options = {.state_dir = m->agent_dir,
                                          .now_unix_ms = agent_time_ms,
                                          .executor = m->executor,
                                          .on_reports = on_reports,
                                          .context = m};
    int rc = agent_new(&options, &m->agent, err);
    return rc < 0 ? rc : agent_recover(m->agent, err);
}

void cluster_agent_stop(struct cluster_manager *m) {
    agent_free(m->agent);
    m->agent = NULL;
    if (m->executor != NULL) {
        m->executor->ops->free(m->executor);
        m->executor = NULL;
    }
}

void cluster_agent_turn(struct cluster_manager *m) {
    fake_machine_advance(m->machine, agent_time_ms(m));
    if (m->tick_ms <= m->sim->now_ms) {
        m->tick_ms = m->sim->now_ms + TICK_MS;
        agent_tick(m->agent);
    }
    agent_flush(m->agent);
}

int64_t cluster_agent_wake_ms(const struct cluster_manager *m) {
    int64_t machine_ms = fake_machine_next_ms(m->machine);
    int64_t wake_ms = agent_task_count(m->agent) > 0 ? m->tick_ms : NEVER;
    if (machine_ms != NEVER && machine_ms - EPOCH_UNIX_MS < wake_ms) {
        wake_ms = machine_ms - EPOCH_UNIX_MS;
    }
    bool can_say =
        m->status.waiting_count > 0 && m->status.travelling_count == 0 && !planner_is_waiting(&m->planner);
    return can_say && m->status_retry_ms < wake_ms ? m->status_retry_ms : wake_ms;
}

// --- step: what the node reports ---

static void acknowledge(struct cluster_manager *m, const struct status_settled_list *settled) {
    for (size_t i = 0; i < settled->count; i++) {
        agent_reported(m->agent, &settled->items[i].task_id, settled->items[i].state);
    }
}

static void on_status_result(void *context, const struct proposal_result *result) {
    struct cluster_manager *m = context;
    AUTO_ARENA arena = arena_make(0);
    struct status_settled_list settled = {0};
    if (result->code == 0) {
        status_stored(&m->status, &arena, &settled);
        acknowledge(m, &settled);
        return;
    }
    status_refused(&m->status);
    if (result->code != -ERR_CONFLICT && result->code != -ERR_NOT_FOUND) {
        m->status_retry_ms = m->sim->now_ms + RETRY_MS;
    }
}

static void propose_status(struct cluster_manager *m, struct transaction *transaction) {
    struct error err = {0};
    AUTO_FREE char *who = xasprintf("node:%s", m->name);
    transaction->who = who;
    transaction->why = "status of tasks";
    transaction->time_unix_ms = cluster_wall_ms(m);
    int rc = proposals_submit(&m->proposals, transaction, on_status_result, m, &err);
    if (rc < 0) {
        on_status_result(m, &(struct proposal_result){.code = rc, .text = err.root});
    }
}

int cluster_agent_step(struct cluster_manager *m, struct error *err) {
    if (m->status.waiting_count == 0 || m->status.travelling_count > 0 || planner_is_waiting(&m->planner) ||
        m->status_retry_ms > m->sim->now_ms) {
        return 0;
    }
    AUTO_ARENA arena = arena_make(0);
    struct transaction transaction;
    struct status_settled_list settled = {0};
    struct store_read *read;
    schema_init(&transaction_schema, &transaction);
    int rc = store_read_begin(m->store, &read, err);
    if (rc < 0) {
        return rc;
    }
    rc = status_compose(&m->status, read, &arena, &transaction, &settled, err);
    store_read_end(read);
    if (rc < 0) {
        return rc;
    }
    acknowledge(m, &settled);
    if (transaction.changes.count > 0) {
        propose_status(m, &transaction);
    }
    return 0;
}

// --- dispatch ---

static bool is_in(const struct assign_step *next, const struct id *id) {
    for (size_t i = 0; i < next->changed.count; i++) {
        if (id_equal(&next->changed.items[i].task.meta.id, id)) {
            return true;
        }
    }
    return false;
}

static bool is_removed(const struct assign_step *next, const struct id *id) {
    for (size_t i = 0; i < next->removed.count; i++) {
        if (id_equal(&next->removed.items[i], id)) {
            return true;
        }
    }
    return false;
}

struct release {
    struct cluster_manager *manager;
    const struct assign_step *next;
};

// What runs here and is wanted must not be stopped by a manager that does not know of it yet.
static void check_release(void *context, const struct id *task_id, enum executor_presence presence) {
    const struct release *release = context;
    struct cluster_manager *m = release->manager;
    const struct assign_step *next = release->next;
    const struct cluster_task *task = map_get(&m->sim->truth.tasks, task_id->text);
    bool is_wanted = task != NULL && task->desired == TASK_RUNNING && task->state == TASK_RUNNING &&
                     id_equal(&task->node_id, &m->node_id) && presence == PRESENCE_RUNNING;
    bool is_kept = next->is_complete ? is_in(next, task_id) : !is_removed(next, task_id);
    if (is_wanted && !is_kept) {
        cluster_break(m->sim, "%s at %lld would stop task %s, which runs and is wanted", m->name,
                      (long long)store_revision(m->store), task->id.text);
    }
}

static void tell_agent(struct cluster_manager *m, const struct assign_step *next) {
    struct release release = {m, next};
    if (next->is_complete || next->removed.count > 0) {
        m->executor->ops->list(m->executor, check_release, &release, NULL);
    }
    const struct assignments changed = {next->changed.count, next->changed.items, next->contents.count,
                                        next->contents.items};
    if (next->is_complete) {
        agent_assign(m->agent, &changed);
    } else if (next->changed.count > 0 || next->removed.count > 0) {
        agent_assign_update(m->agent, &changed, next->removed.items, next->removed.count);
    }
}

static void on_current(void *context, int rc, const struct error *err) {
    struct cluster_manager *m = context;
    (void)err;
    m->is_asking = false;
    m->is_current = rc == 0;
}

static bool has_caught_up(struct cluster_manager *m) {
    if (!m->is_current && !m->is_asking && m->replica->has_group) {
        m->is_current = replica_read(m->replica, on_current, m);
        m->is_asking = !m->is_current;
    }
    return m->is_current;
}

int cluster_agent_dispatch(struct cluster_manager *m, struct error *err) {
    int64_t revision = store_revision(m->store);
    if (m->assigned_revision == revision || !has_caught_up(m)) {
        return 0;
    }
    AUTO_ARENA arena = arena_make(0);
    struct assign_step next;
    struct store_read *read;
    int rc = store_read_begin(m->store, &read, err);
    if (rc < 0) {
        return rc;
    }
    if (store_count(read, KIND_CLUSTER) == 0) { // it has been told nothing yet
        m->assigned_revision = revision;
        store_read_end(read);
        return 0;
    }
    rc = assign_next(&m->assign, read, &arena, &next, NULL, err);
    if (rc == 0) {
        m->assigned_revision = revision;
        tell_agent(m, &next);
    }
    store_read_end(read);
    return rc;
}
