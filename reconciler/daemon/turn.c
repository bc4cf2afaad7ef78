// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/turn.c — the phases of a turn, in their order: this file is the daemon's table of
// contents.
//
//   wait      the loop sleeps until a descriptor, a child or a timer has something (loop.c)
//   take      requests of clients are read: they answer at once, propose a change, or become a stream
//   step      what this node has to say (status of its tasks, its own record) is proposed, and what workers
//             said; a worker says it to the leader (worker.h), and has no other phases but take and reply
//   persist   everything proposed so far becomes durable, in one synced transaction; results go back
//   plan      services that are not as declared get new, stopped or moved tasks, proposed for the next turn
//   dispatch  the agent of this node is told what to hold, and so are those of workers
//   reply     streams (lists, watches, logs) send on, as far as their readers keep up; those between nodes too,
//             of workers as well (relay.h)
//
// Packets of other managers are taken first, and what consensus has to say leaves in persist, some of it
// before the sync and the rest after it (reconciler/store/replica.c). Callbacks of the loop only record;
// phases act; each is bounded, and what is left makes the next turn start at once. Within a turn time
// stands still.
#include "reconciler/daemon/turn.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "reconciler/daemon/control.h"
#include "reconciler/daemon/stream.h"

#define FRAMES_MAX 64
#define RETRY_MS 1000
#define TICK_MS 1000
#define CLOCK_SET_MS 60000 // what is worth a word; clocks that are kept right move by less

// --- step: what this node reports ---

static void acknowledge(struct daemon *daemon, const struct status_settled_list *settled) {
    for (size_t i = 0; i < settled->count; i++) {
        agent_reported(daemon->agent, &settled->items[i].task_id, settled->items[i].state);
    }
}

static void on_status_result(void *context, const struct proposal_result *result) {
    struct daemon *daemon = context;
    AUTO_ARENA arena = arena_make(0);
    struct status_settled_list settled = {0};
    if (result->code == 0) {
        status_stored(&daemon->status, &arena, &settled);
        acknowledge(daemon, &settled);
        return;
    }
    status_refused(&daemon->status);
    if (result->code != -ERR_CONFLICT && result->code != -ERR_NOT_FOUND) {
        log_event(LOG_WARN, "status.refused", LOG_STR("error", result->text));
        daemon->status_retry_mono_ms = daemon->now.mono_ms + RETRY_MS;
    }
}

static void propose_status(struct daemon *daemon, struct transaction *transaction) {
    struct error err = {0};
    AUTO_FREE char *who = xasprintf("node:%s", daemon->node_name);
    transaction->who = who;
    transaction->why = "status of tasks";
    transaction->time_unix_ms = daemon->now.unix_ms;
    int rc = proposals_submit(&daemon->proposals, transaction, on_status_result, daemon, &err);
    if (rc < 0) {
        char text[256];
        on_status_result(daemon,
                         &(struct proposal_result){.code = rc, .text = error_text(&err, text, sizeof text)});
    }
}

// Not while a plan is under way: both would change the same tasks, and one would be refused.
static bool has_status_to_say(const struct daemon *daemon) {
    return daemon->status.waiting_count > 0 && daemon->status.travelling_count == 0 &&
           !planner_is_waiting(&daemon->planner) && daemon->status_retry_mono_ms <= daemon->now.mono_ms;
}

static int step_status(struct daemon *daemon, struct error *err) {
    if (!has_status_to_say(daemon)) {
        return 0;
    }
    AUTO_ARENA arena = arena_make(0);
    struct transaction transaction;
    struct status_settled_list settled = {0};
    struct store_read *read;
    schema_init(&transaction_schema, &transaction);
    int rc = store_read_begin(daemon->store, &read, err);
    if (rc < 0) {
        return rc;
    }
    rc = status_compose(&daemon->status, read, &arena, &transaction, &settled, err);
    store_read_end(read);
    if (rc < 0) {
        return error_wrap(err, rc, "store the status of tasks");
    }
    acknowledge(daemon, &settled);
    if (transaction.changes.count > 0) {
        propose_status(daemon, &transaction);
    }
    return 0;
}

// --- phases ---

static int take(struct daemon *daemon, struct error *err) {
    int rc = group_take(daemon, err);
    if (rc < 0) {
        return rc;
    }
    relay_take(daemon);
    server_take(daemon->server, FRAMES_MAX);
    server_tick(daemon->server, daemon->now.mono_ms);
    return 0;
}

// A manager that has joined learns what cluster it is in from the log.
static int find_cluster(struct daemon *daemon, struct error *err) {
    int64_t revision = store_revision(daemon->store);
    if (daemon_is_initialized(daemon) || !replica_has_group(daemon->replica) ||
        daemon->looked_revision == revision) {
        return 0;
    }
    daemon->looked_revision = revision;
    return daemon_find_cluster(daemon, err);
}

static int step(struct daemon *daemon, struct error *err) {
    if (worker_is(daemon)) {
        worker_step(daemon);
        return 0;
    }
    int rc = find_cluster(daemon, err);
    rc = rc < 0 ? rc : step_status(daemon, err);
    if (rc < 0 || !daemon_is_initialized(daemon)) {
        return rc;
    }
    rc = self_step(daemon, err);
    rc = rc < 0 ? rc : dispatcher_step(daemon, err);
    rc = rc < 0 ? rc : managers_step(daemon, err);
    rc = rc < 0 ? rc : trust_step(daemon, err);
    rc = rc < 0 ? rc : leftovers_step(daemon, err);
    return rc < 0 ? rc : rotation_step(daemon, err);
}

static int persist(struct daemon *daemon, struct error *err) {
    struct proposer *proposer = daemon->proposals.proposer;
    return error_wrap(err, proposer->ops->turn(proposer, err), "write the store");
}

// Whoever comes to lead looks at everything: what the one before remembered is not known here.
static int plan(struct daemon *daemon, struct error *err) {
    const struct proposer *proposer = daemon->proposals.proposer;
    bool leads = daemon_is_initialized(daemon) && !worker_is(daemon) && !leaving_is_stopping(daemon) &&
                 proposer->ops->is_leader(proposer);
    if (leads && !daemon->leads) {
        planner_restart(&daemon->planner);
    }
    daemon->leads = leads;
    return leads ? planner_step(&daemon->planner, &daemon->now, err) : 0;
}

static void tell_agent(struct daemon *daemon, const struct assign_step *next) {
    const struct assignments changed = {next->changed.count, next->changed.items, next->contents.count,
                                        next->contents.items};
    if (next->is_complete) {
        agent_assign(daemon->agent, &changed);
    } else if (next->changed.count > 0 || next->removed.count > 0) {
        agent_assign_update(daemon->agent, &changed, next->removed.items, next->removed.count);
    }
}

// What the agent said of tasks that were not in the store yet has come to nothing: it says it again at once,
// not when it has waited for an acknowledgement for long enough.
static void become_current(struct daemon *daemon) {
    daemon->is_current = true;
    agent_resend(daemon->agent);
}

static void on_current(void *context, int rc, const struct error *err) {
    struct daemon *daemon = context;
    (void)err; // asked again at the next turn
    daemon->is_asking = false;
    if (rc == 0) {
        become_current(daemon);
    }
}

// A manager that comes back, or joins again with an empty store, walks through the past: there its agent's
// tasks are not assigned yet, and would be stopped. Until it has caught up, the agent goes by its own files.
static bool has_caught_up(struct daemon *daemon) {
    if (!daemon->is_current && !daemon->is_asking) {
        daemon->is_asking = !replica_read(daemon->replica, on_current, daemon);
        if (!daemon->is_asking) {
            become_current(daemon);
        }
    }
    return daemon->is_current;
}

static int follow_store(struct daemon *daemon, struct error *err) {
    int64_t revision = store_revision(daemon->store);
    if (leaving_is_stopping(daemon) || daemon->assigned_revision == revision || !has_caught_up(daemon)) {
        return 0;
    }
    AUTO_ARENA arena = arena_make(0);
    struct assign_step next;
    struct store_read *read;
    size_t without_spec = 0;
    int rc = store_read_begin(daemon->store, &read, err);
    if (rc < 0) {
        return rc;
    }
    rc = assign_next(&daemon->assign, read, &arena, &next, &without_spec, err);
    if (rc == 0) {
        daemon->assigned_revision = revision;
        tell_agent(daemon, &next);
    }
    assign_step_wipe(&next);
    store_read_end(read);
    if (without_spec > 0) {
        log_event(LOG_ERROR, "dispatch.no_spec", LOG_INT("tasks", without_spec));
    }
    return rc;
}

static int dispatch(struct daemon *daemon, struct error *err) {
    if (worker_is(daemon) || !daemon_is_initialized(daemon)) {
        return 0;
    }
    int rc = follow_store(daemon, err);
    return rc < 0 ? rc : dispatcher_deliver(daemon, err);
}

static int reply(struct daemon *daemon, struct error *err) {
    relay_step(daemon);
    return streams_step(daemon, err);
}

// Deadlines are on the other clock; what is dated, and certificates, are on this one.
static void look_at_clocks(struct daemon *daemon) {
    struct now now = {.unix_ms = clock_unix_ms(), .mono_ms = clock_mono_ms()};
    int64_t set_ms = (now.unix_ms - daemon->now.unix_ms) - (now.mono_ms - daemon->now.mono_ms);
    if (set_ms > CLOCK_SET_MS || set_ms < -CLOCK_SET_MS) {
        AUTO_ARENA arena = arena_make(0);
        const char *untimely = passport_explain_time(&daemon->group.passport, now.unix_ms, &arena);
        log_event(LOG_WARN, "clock.set", LOG_INT("by_s", set_ms / 1000),
                  LOG_STR("certificate", untimely != NULL ? untimely : "good"));
    }
    daemon->now = now;
}

int turn_run(struct daemon *daemon, struct error *err) {
    static int (*const phases[])(struct daemon *, struct error *) = {take, step,     persist,
                                                                     plan, dispatch, reply};
    look_at_clocks(daemon);
    int rc = 0;
    replica_advance(daemon->replica, daemon->now.mono_ms);
    for (size_t i = 0; rc >= 0 && i < sizeof phases / sizeof *phases; i++) {
        rc = phases[i](daemon, err);
    }
    return rc < 0 ? rc : 0;
}

// --- how long to wait ---

static void at_latest(int64_t *wait_ms, int64_t from_now_ms) {
    from_now_ms = from_now_ms < 0 ? 0 : from_now_ms;
    *wait_ms = from_now_ms < *wait_ms ? from_now_ms : *wait_ms;
}

int64_t turn_wait_ms(const struct daemon *daemon) {
    const struct proposer *proposer = daemon->proposals.proposer;
    int64_t wait_ms = TICK_MS;
    if (daemon->must_stop || proposer->ops->has_work(proposer) || streams_have_work(daemon)) {
        return 0;
    }
    if (worker_is(daemon)) {
        at_latest(&wait_ms, worker_wake_mono_ms(daemon) - daemon->now.mono_ms);
    } else if (daemon_is_initialized(daemon)) {
        bool has_news = daemon->is_current && daemon->assigned_revision != store_revision(daemon->store);
        if (has_news || has_status_to_say(daemon)) {
            return 0;
        }
        int64_t wake = daemon->leads ? planner_wake_mono_ms(&daemon->planner, &daemon->now) : INT64_MAX;
        at_latest(&wait_ms, wake == INT64_MAX ? TICK_MS : wake - daemon->now.mono_ms);
        at_latest(&wait_ms, self_wake_mono_ms(&daemon->self) - daemon->now.mono_ms);
        int64_t dispatcher_wake = dispatcher_wake_mono_ms(daemon);
        at_latest(&wait_ms, dispatcher_wake == INT64_MAX ? TICK_MS : dispatcher_wake - daemon->now.mono_ms);
    }
    int64_t replica_wake = replica_wake_mono_ms(daemon->replica);
    if (replica_wake != INT64_MAX) {
        at_latest(&wait_ms, replica_wake - daemon->now.mono_ms);
    }
    int64_t relay_wake = relay_wake_mono_ms(daemon);
    if (relay_wake != INT64_MAX) {
        at_latest(&wait_ms, relay_wake - daemon->now.mono_ms);
    }
    int64_t group_wake = group_wake_mono_ms(daemon);
    if (group_wake != INT64_MAX) {
        at_latest(&wait_ms, group_wake - daemon->now.mono_ms);
    }
    if (daemon->streams_poll_mono_ms > 0) {
        at_latest(&wait_ms, daemon->streams_poll_mono_ms - daemon->now.mono_ms);
    }
    return wait_ms;
}
