// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/dispatcher.c — sessions between the links and the store.
#include "reconciler/daemon/dispatcher.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/daemon/daemon.h"
#include "reconciler/daemon/vault.h"
#include "specs/cluster.h"

#define TICK_MS 500
#define RETRY_MS 1000

// --- callbacks of the sessions ---

static bool on_send(void *context, uint64_t link, uint16_t number, struct bytes body) {
    return peers_agent_send(((struct daemon *)context)->group.peers, link, number, body);
}

static void on_close(void *context, uint64_t link) {
    peers_agent_close(((struct daemon *)context)->group.peers, link);
}

// --- callbacks of the links ---

// A manager that does not know its cluster yet leads nobody anywhere: the agent asks the next one.
void dispatcher_on_agent(void *context, uint64_t link, const struct id *node_id, uint16_t number,
                         struct bytes body) {
    struct daemon *daemon = context;
    if (daemon->dispatcher.sessions == NULL || outdated_is(daemon)) {
        peers_agent_close(daemon->group.peers, link);
        return;
    }
    if (relay_on_agent(daemon, link, node_id, number, body)) {
        return;
    }
    sessions_take(daemon->dispatcher.sessions, link, node_id, number, body);
}

void dispatcher_on_agent_down(void *context, uint64_t link) {
    struct dispatcher *dispatcher = &((struct daemon *)context)->dispatcher;
    if (!relay_on_agent_down(context, link) && dispatcher->sessions != NULL) {
        sessions_link_down(dispatcher->sessions, link);
    }
}

void dispatcher_on_agent_writable(void *context, uint64_t link) {
    struct dispatcher *dispatcher = &((struct daemon *)context)->dispatcher;
    if (dispatcher->sessions != NULL) {
        sessions_link_writable(dispatcher->sessions, link);
    }
}

// --- life ---

static void open(struct daemon *daemon) {
    const struct sessions_options options = {.cluster_id = daemon->cluster_id,
                                             .prng = &daemon->group.prng,
                                             .callbacks = {on_send, on_close, daemon},
                                             .vault = {vault_open, daemon}};
    daemon->dispatcher.sessions = sessions_new(&options);
}

void dispatcher_free(struct daemon *daemon) {
    sessions_free(daemon->dispatcher.sessions);
    daemon->dispatcher = (struct dispatcher){0};
}

// --- what there is to know ---

// At each turn: who registers takes what it is told for all there are, and might find nobody.
static void follow_managers(struct daemon *daemon) {
    AUTO_ARENA arena = arena_make(0);
    struct strings addresses = group_addresses(daemon, &arena);
    if (addresses.count > 0) {
        sessions_set_managers(daemon->dispatcher.sessions, &addresses);
    }
}

static void follow_leader(struct daemon *daemon) {
    struct dispatcher *dispatcher = &daemon->dispatcher;
    if (daemon->leads) {
        sessions_lead(dispatcher->sessions);
    } else {
        sessions_follow(dispatcher->sessions, group_leader_address(daemon));
    }
    dispatcher->leads = daemon->leads;
}

static int follow_settings(struct daemon *daemon, struct error *err) {
    struct dispatcher *dispatcher = &daemon->dispatcher;
    AUTO_ARENA arena = arena_make(0);
    struct store_read *read;
    void *cluster;
    int64_t revision = store_revision(daemon->store);
    if (dispatcher->settings_revision == revision) {
        return 0;
    }
    int rc = store_read_begin(daemon->store, &read, err);
    if (rc < 0) {
        return rc;
    }
    rc = store_load(read, KIND_CLUSTER, &daemon->cluster_id, &arena, &cluster, err);
    store_read_end(read);
    if (rc == 0) {
        const struct cluster_spec *spec = &((struct cluster *)cluster)->spec;
        AUTO_BUF trust = {0};
        renewal_mark_trust(((struct cluster *)cluster)->trust, &trust);
        sessions_set(dispatcher->sessions, spec->dispatcher_heartbeat_ns / NS_PER_MS, 0);
        sessions_set_trust(dispatcher->sessions, buf_text(&trust), spec->cert_expiry_ns / NS_PER_MS);
        dispatcher->settings_revision = revision;
    }
    return rc < 0 ? error_wrap(err, rc, "read the settings of the cluster") : 0;
}

// --- what agents said ---

static void on_result(void *context, const struct proposal_result *result) {
    struct daemon *daemon = context;
    if (result->code == 0) {
        sessions_stored(daemon->dispatcher.sessions);
        return;
    }
    sessions_refused(daemon->dispatcher.sessions);
    if (result->code != -ERR_CONFLICT && result->code != -ERR_NOT_FOUND) {
        log_event(LOG_WARN, "session.refused", LOG_STR("error", result->text));
        daemon->dispatcher.retry_mono_ms = daemon->now.mono_ms + RETRY_MS;
    }
}

static void propose(struct daemon *daemon, const struct transaction *transaction) {
    struct error err = {0};
    char text[256];
    int rc = proposals_submit(&daemon->proposals, transaction, on_result, daemon, &err);
    if (rc < 0) {
        on_result(daemon, &(struct proposal_result){.code = rc, .text = error_text(&err, text, sizeof text)});
    }
}

// Not while a plan is under way: both would change the same tasks, and one would be refused.
static bool has_news(const struct daemon *daemon) {
    const struct dispatcher *dispatcher = &daemon->dispatcher;
    return daemon->leads && dispatcher->leads && sessions_has_news(dispatcher->sessions) &&
           !planner_is_waiting(&daemon->planner) && dispatcher->retry_mono_ms <= daemon->now.mono_ms;
}

static int store_news(struct daemon *daemon, struct error *err) {
    AUTO_ARENA arena = arena_make(0);
    struct transaction transaction;
    struct store_read *read;
    if (!has_news(daemon)) {
        return 0;
    }
    schema_init(&transaction_schema, &transaction);
    transaction.who = "system:agents";
    transaction.why = "what agents report";
    transaction.time_unix_ms = daemon->now.unix_ms;
    transaction.only_here = true;
    int rc = store_read_begin(daemon->store, &read, err);
    if (rc < 0) {
        return rc;
    }
    rc = sessions_compose(daemon->dispatcher.sessions, read, &arena, &transaction, err);
    store_read_end(read);
    if (rc == 0 && transaction.changes.count > 0) {
        propose(daemon, &transaction);
    }
    return rc;
}

// --- turns ---

int dispatcher_step(struct daemon *daemon, struct error *err) {
    struct dispatcher *dispatcher = &daemon->dispatcher;
    if (daemon->group.peers == NULL || !group_is_manager(daemon)) {
        return 0;
    }
    if (dispatcher->sessions == NULL) {
        open(daemon);
    }
    int rc = follow_settings(daemon, err);
    if (rc < 0) {
        return rc;
    }
    follow_managers(daemon);
    follow_leader(daemon);
    sessions_tick(dispatcher->sessions, daemon->now.mono_ms);
    return store_news(daemon, err);
}

static bool has_to_deliver(const struct daemon *daemon) {
    const struct dispatcher *dispatcher = &daemon->dispatcher;
    return daemon->leads && dispatcher->leads &&
           (sessions_has_work(dispatcher->sessions) ||
            dispatcher->delivered_revision != store_revision(daemon->store));
}

int dispatcher_deliver(struct daemon *daemon, struct error *err) {
    struct dispatcher *dispatcher = &daemon->dispatcher;
    struct store_read *read;
    if (!has_to_deliver(daemon)) {
        return 0;
    }
    int rc = store_read_begin(daemon->store, &read, err);
    if (rc < 0) {
        return rc;
    }
    dispatcher->delivered_revision = store_read_revision(read);
    rc = sessions_step(dispatcher->sessions, read, err);
    store_read_end(read);
    return rc;
}

int64_t dispatcher_wake_mono_ms(const struct daemon *daemon) {
    const struct dispatcher *dispatcher = &daemon->dispatcher;
    if (dispatcher->sessions == NULL || !daemon->leads) {
        return INT64_MAX;
    }
    if (sessions_has_work(dispatcher->sessions) || has_news(daemon)) {
        return 0;
    }
    return daemon->now.mono_ms + TICK_MS;
}

// --- who is there ---

enum session_presence dispatcher_presence(struct daemon *daemon, const struct id *node_id,
                                          int64_t *out_silent_ms) {
    const struct dispatcher *dispatcher = &daemon->dispatcher;
    *out_silent_ms = 0;
    return dispatcher->sessions != NULL && dispatcher->leads
               ? sessions_presence(dispatcher->sessions, node_id, out_silent_ms)
               : SESSION_AWAITED;
}

const char *dispatcher_trouble(const struct daemon *daemon, const struct id *node_id) {
    const struct dispatcher *dispatcher = &daemon->dispatcher;
    return dispatcher->sessions != NULL ? sessions_trouble(dispatcher->sessions, node_id) : "";
}

void dispatcher_release(struct daemon *daemon, const struct id *node_id) {
    if (daemon->dispatcher.sessions != NULL) {
        sessions_release(daemon->dispatcher.sessions, node_id);
    }
}

uint64_t dispatcher_turns(const struct daemon *daemon) {
    return daemon->dispatcher.sessions != NULL ? sessions_turns(daemon->dispatcher.sessions) : 0;
}
