// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/worker.c — events of the links to the session, its actions to the links and to the agent.
#include "reconciler/daemon/worker.h"

#include <string.h>
#include <uv.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/agent/managers_file.h"
#include "reconciler/agent/session.h"
#include "reconciler/daemon/daemon.h"
#include "transport/agent_links.h"

#define FRAMES_MAX 64
#define DIALING_TICK_MS 100

struct worker {
    struct session session;
    struct agent_links *links;
    struct uv_poll_s *poll; // of the links; closing takes a turn of the loop, so it outlives the worker
    uint64_t link;          // that the session has, or dials; 0 = none
    bool is_refused;        // a manager said on that link that the node was removed
    int64_t alone_mono_ms;  // from then on this node is alone; 0 = it was not, or is so already
    bool was_open;
    int64_t since_unix_ms; // it is connected, or not
    char manager[AGENT_ADDRESS_BYTES];
    char trouble[256];
};

bool worker_is(const struct daemon *daemon) {
    return daemon->worker != NULL;
}

// --- what the session wants done ---

static void feed(struct daemon *daemon, const struct session_event *event);

// That it could not be dialed is an event of the next step: the one that asked for it is not over.
static void dial(struct daemon *daemon, const char *address) {
    struct worker *worker = daemon->worker;
    struct tls *tls = NULL;
    struct error err = {0};
    int rc = passport_tls(daemon, &tls, &err);
    if (rc == 0) {
        const struct agent_dial order = {.address = address, .tls = tls, .cluster_id = daemon->cluster_id};
        rc = agent_links_dial(worker->links, &order, &worker->link, &err);
        tls_free(tls);
    }
    if (rc < 0) {
        worker->link = 0;
        log_failure(LOG_WARN, "session.dial", &err, LOG_STR("manager", address)); // it gives up in its time
    }
    (void)str_copy(worker->manager, sizeof worker->manager, address);
}

static void hang_up(struct worker *worker) {
    agent_links_hang_up(worker->links, worker->link);
    worker->link = 0;
    worker->is_refused = false;
}

static void say(struct worker *worker, const struct session_actions *actions) {
    for (size_t i = 0; i < actions->messages.count; i++) {
        const struct session_message *message = &actions->messages.items[i];
        if (!agent_links_send(worker->links, worker->link, message->number, message->body)) {
            return; // what was not said is missed: by a heartbeat, or by who waits for an answer
        }
    }
}

static void hold(struct daemon *daemon, const struct session_actions *actions) {
    const struct assignments changed = {actions->changed.count, actions->changed.items,
                                        actions->contents.count, actions->contents.items};
    if (actions->has_step && actions->is_complete) {
        agent_assign(daemon->agent, &changed);
    } else if (actions->has_step) {
        agent_assign_update(daemon->agent, &changed, actions->removed.items, actions->removed.count);
    }
    for (size_t i = 0; i < actions->stored.count; i++) {
        agent_reported(daemon->agent, &actions->stored.items[i].task_id, actions->stored.items[i].state);
    }
}

static void keep_managers(struct daemon *daemon, struct arena *arena) {
    struct error err = {0};
    const struct managers_file file = {.cluster_id = daemon->cluster_id,
                                       .addresses = session_managers(&daemon->worker->session, arena)};
    if (managers_file_write(daemon->options->state_dir, &file, &err) < 0) {
        log_failure(LOG_ERROR, "session.managers", &err, LOG_NONE);
    }
}

// What keeps it from having a session is told once, until it is something else.
static void note_trouble(struct worker *worker, const char *trouble) {
    if (!worker->was_open && !str_equal(trouble, worker->trouble)) {
        log_event(LOG_WARN, "session.refused", LOG_STR("manager", worker->manager), LOG_STR("why", trouble));
    }
    (void)str_copy(worker->trouble, sizeof worker->trouble, trouble);
}

static void note_state(struct daemon *daemon, const struct session_actions *actions) {
    struct worker *worker = daemon->worker;
    bool is_open = worker->session.machine.state == SESSION_OPEN;
    if (actions->trouble != NULL) {
        note_trouble(worker, actions->trouble);
    }
    if (is_open == worker->was_open) {
        return;
    }
    worker->was_open = is_open;
    worker->since_unix_ms = daemon->now.unix_ms;
    log_event(is_open ? LOG_INFO : LOG_WARN, is_open ? "session.open" : "session.lost",
              LOG_STR("manager", worker->manager), LOG_STR("why", is_open ? "" : worker->trouble));
}

static void act(struct daemon *daemon, const struct session_actions *actions, struct arena *arena) {
    struct worker *worker = daemon->worker;
    if (actions->hang_up) {
        hang_up(worker);
    }
    if (actions->dial != NULL) {
        dial(daemon, actions->dial);
    }
    say(worker, actions);
    note_state(daemon, actions);
    if (leaving_is_stopping(daemon)) {
        return; // whatever it is told, it holds nothing any more
    }
    if (actions->is_opened) {
        worker->alone_mono_ms = 0;
        agent_resend(daemon->agent); // said at the end of the turn
    }
    hold(daemon, actions);
    if (actions->keep_managers) {
        keep_managers(daemon, arena);
    }
    if (actions->is_promoted) {
        renewal_hurry(daemon);
    }
    if (actions->trust != NULL) {
        renewal_hear(daemon, actions->trust, actions->certificate_ms);
    }
    daemon->group.is_removed |= actions->is_removed;
}

static void feed(struct daemon *daemon, const struct session_event *event) {
    AUTO_ARENA arena = arena_make(0);
    struct session_actions actions;
    session_step(&daemon->worker->session, event, daemon->now.mono_ms, &daemon->group.prng, &arena, &actions);
    act(daemon, &actions, &arena);
    session_actions_wipe(&actions);
}

// --- callbacks of the links ---

static void on_connected(void *context, uint64_t link) {
    struct daemon *daemon = context;
    if (link == daemon->worker->link) {
        feed(daemon, &(struct session_event){.kind = SESSION_ON_CONNECTED});
    }
}

static void on_message(void *context, uint64_t link, uint16_t number, struct bytes body) {
    struct daemon *daemon = context;
    if (link == daemon->worker->link && number == MESSAGE_RELAY_ASK) {
        relay_on_ask(daemon, body);
    } else if (link == daemon->worker->link) {
        feed(daemon, &(struct session_event){.kind = SESSION_ON_MESSAGE, .number = number, .body = body});
    }
}

static void on_refused(void *context, uint64_t link, enum error_code code) {
    struct worker *worker = ((struct daemon *)context)->worker;
    worker->is_refused |= link == worker->link && code == ERR_DENIED;
}

static void on_down(void *context, uint64_t link, const char *reason) {
    struct daemon *daemon = context;
    struct worker *worker = daemon->worker;
    if (link == worker->link) {
        const struct session_event event = {
            .kind = SESSION_ON_LINK_DOWN, .text = reason, .is_removed = TAKE(worker->is_refused)};
        worker->link = 0;
        feed(daemon, &event);
    }
}

// --- life ---

static void on_readable(uv_poll_t *handle, int status, int events) {
    (void)handle; // the next turn takes what there is
    (void)status;
    (void)events;
}

static void on_poll_closed(uv_handle_t *handle) {
    xfree(handle);
}

static int watch(struct daemon *daemon, struct worker *worker, struct error *err) {
    worker->poll = NEW(struct uv_poll_s);
    int rc = uv_poll_init(daemon->loop, worker->poll, agent_links_fd(worker->links));
    if (rc != 0) {
        xfree(TAKE(worker->poll));
    }
    rc = rc != 0 ? rc : uv_poll_start(worker->poll, UV_READABLE, on_readable);
    return rc == 0 ? 0 : error_set(err, ERR_SYSTEM, "watch the links to managers: %s", uv_strerror(rc));
}

static int open_session(struct daemon *daemon, struct worker *worker, struct error *err) {
    const struct agent_links_options options = {.callbacks = {.on_connected = on_connected,
                                                              .on_message = on_message,
                                                              .on_down = on_down,
                                                              .on_refused = on_refused,
                                                              .context = daemon}};
    AUTO_ARENA arena = arena_make(0);
    struct managers_file known = {0};
    int rc = managers_file_read(daemon->options->state_dir, &known, &arena, err);
    rc = rc < 0 ? rc : agent_links_open(&options, &worker->links, err);
    rc = rc < 0 ? rc : watch(daemon, worker, err);
    if (rc == 0) {
        session_init(&worker->session, &daemon->cluster_id, &daemon->node_id, &known.addresses,
                     daemon->now.mono_ms);
    }
    return rc;
}

int worker_start(struct daemon *daemon, const struct id *cluster_id, struct error *err) {
    if (worker_is(daemon)) {
        return 0;
    }
    daemon->worker = NEW(struct worker);
    daemon->worker->since_unix_ms = daemon->now.unix_ms;
    daemon->worker->alone_mono_ms = daemon->now.mono_ms + WORKER_ALONE_MS;
    daemon->cluster_id = *cluster_id;
    int rc = open_session(daemon, daemon->worker, err);
    if (rc < 0) {
        worker_free(daemon);
        daemon->cluster_id = (struct id){{0}};
        return error_wrap(err, rc, "begin as a worker");
    }
    daemon->self.is_news = true;
    log_event(LOG_INFO, "worker.begin", LOG_STR("cluster", cluster_id->text));
    daemon_introduce(daemon);
    return 0;
}

void worker_free(struct daemon *daemon) {
    struct worker *worker = TAKE(daemon->worker);
    if (worker == NULL) {
        return;
    }
    if (worker->poll != NULL) {
        uv_close((uv_handle_t *)worker->poll, on_poll_closed);
    }
    agent_links_close(worker->links);
    session_deinit(&worker->session);
    xfree(worker);
}

// --- turns ---

static void describe(struct daemon *daemon) {
    struct self *self = &daemon->self;
    if (daemon->now.mono_ms >= self->probe_mono_ms) {
        self_probe(daemon);
    }
    if (TAKE(self->is_news)) {
        feed(daemon, &(struct session_event){.kind = SESSION_ON_DESCRIPTION,
                                             .description = &self->description,
                                             .trouble = self->trouble});
    }
}

static void begin_again(struct daemon *daemon) {
    struct worker *worker = daemon->worker;
    if (worker->alone_mono_ms == 0 || daemon->now.mono_ms < worker->alone_mono_ms) {
        return;
    }
    worker->alone_mono_ms = 0;
    size_t count = agent_start_again(daemon->agent);
    if (count > 0) {
        log_event(LOG_WARN, "worker.alone", LOG_INT("tasks_again", count));
    }
}

void worker_step(struct daemon *daemon) {
    struct worker *worker = daemon->worker;
    agent_links_take(worker->links, FRAMES_MAX);
    agent_links_tick(worker->links, daemon->now.mono_ms);
    describe(daemon);
    if (daemon->now.mono_ms >= session_wake_ms(&worker->session) && !leaving_is_stopping(daemon)) {
        feed(daemon, &(struct session_event){.kind = SESSION_ON_TIME});
    }
    begin_again(daemon);
}

int64_t worker_wake_mono_ms(const struct daemon *daemon) {
    const struct worker *worker = daemon->worker;
    int64_t wake_ms = self_wake_mono_ms(&daemon->self), session_ms = session_wake_ms(&worker->session);
    if (leaving_is_stopping(daemon)) {
        return wake_ms;
    }
    if (worker->link != 0 && worker->session.machine.state != SESSION_OPEN) { // deadlines of the link
        session_ms = session_ms < daemon->now.mono_ms + DIALING_TICK_MS
                         ? session_ms
                         : daemon->now.mono_ms + DIALING_TICK_MS;
    }
    return session_ms < wake_ms ? session_ms : wake_ms;
}

void worker_report(struct daemon *daemon, const struct reports *reports) {
    const struct session_event event = {.kind = SESSION_ON_REPORTS,
                                        .reports = {reports->count, reports->items}};
    feed(daemon, &event);
}

void worker_say(struct daemon *daemon, uint16_t number, struct bytes body) {
    (void)agent_links_send(daemon->worker->links, daemon->worker->link, number, body);
}

void worker_leave(struct daemon *daemon) {
    feed(daemon, &(struct session_event){.kind = SESSION_ON_LEAVE});
}

void worker_fill_info(const struct daemon *daemon, struct info_reply *info, struct arena *arena) {
    const struct worker *worker = daemon->worker;
    info->manager_addresses = session_managers(&worker->session, arena);
    info->session_manager = worker->was_open ? worker->manager : "";
    info->session_since_unix_ms = worker->since_unix_ms;
    info->session_trouble = worker->was_open ? "" : worker->trouble;
    info->tasks = (int64_t)agent_task_count(daemon->agent);
}
