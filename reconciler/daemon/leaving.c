// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/leaving.c — this node leaves its cluster: by itself, or because it was removed.
//
// Model        ASKS -> SAYS -> WAITS -> STOPS. On a fresh read it looks whether the managers can spare it; it
//              says good-bye in its record, so its tasks are replaced elsewhere at once; it waits until the
//              leader has taken it out of the group (managers.c), which the others tell by refusing it; then
//              it stops its tasks, and the daemon begins anew with nothing. Who was removed begins at STOPS.
//              The last manager, when told to, goes there too: nobody else has the state.
// Force        Goes on where no quorum answers or none would be left. The others keep a dead member then.
// Failure      The file `leaving` in the state directory is there from the first task that is stopped until
//              the last one is gone: whenever the daemon is killed in between, the next start finds it,
//              throws the state of the cluster away and goes on stopping.
#include <fcntl.h>
#include <string.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/agent/managers_file.h"
#include "reconciler/daemon/certificates.h"
#include "reconciler/daemon/daemon.h"
#include "reconciler/daemon/decide.h"

#define LEAVE_MS 20000
#define LEAVE_AS_WORKER_MS 5000 // then its session tells the leader by its silence
#define LEAVING_FILE "leaving"

enum leaving_step { LEAVING_ASKS, LEAVING_SAYS, LEAVING_WAITS, LEAVING_STOPS };

struct leaving {
    struct answer answer; // first: the conversation's state
    bool is_forced;
    enum leaving_step step;
    bool is_open;      // a read or a proposal will call back
    bool is_told;      // the agent, to hold nothing
    bool is_forgotten; // the cluster: this daemon began without it
    int64_t deadline_mono_ms;
};

static void on_closed(struct answer *answer) {
    (void)answer; // it goes on
}

static struct leaving *leaving_new(struct daemon *daemon, struct conversation *conversation, bool is_forced) {
    struct leaving *leaving = NEW(struct leaving);
    *leaving = (struct leaving){.answer = {daemon, conversation, on_closed},
                                .is_forced = is_forced,
                                .deadline_mono_ms = daemon->now.mono_ms + LEAVE_MS};
    if (conversation != NULL) {
        conversation_set_state(conversation, leaving);
    }
    daemon->group.leaving = leaving;
    return leaving;
}

void leaving_free(struct daemon *daemon) {
    struct leaving *leaving = TAKE(daemon->group.leaving);
    if (leaving != NULL) {
        if (leaving->answer.conversation != NULL) {
            conversation_set_state(leaving->answer.conversation, NULL);
        }
        xfree(leaving);
    }
}

bool leaving_is_stopping(const struct daemon *daemon) {
    return daemon->group.leaving != NULL && daemon->group.leaving->step == LEAVING_STOPS;
}

static void fail(struct daemon *daemon, const struct error *err) {
    struct conversation *conversation = TAKE(daemon->group.leaving->answer.conversation);
    if (conversation != NULL) {
        server_fail(conversation, err);
    }
    leaving_free(daemon);
}

// --- the file ---

static int write_mark(const struct daemon *daemon, struct error *err) {
    AUTO_FREE char *path = xasprintf("%s/" LEAVING_FILE, daemon->options->state_dir);
    AUTO_FREE char *text = xasprintf("left cluster %s; its state goes, its tasks are stopped\n",
                                     daemon_is_initialized(daemon) ? daemon->cluster_id.text : "-");
    return fs_replace(AT_FDCWD, path, text, strlen(text), 0600, /*sync=*/true, err);
}

static int remove_mark(const struct daemon *daemon, struct error *err) {
    AUTO_FREE char *path = xasprintf("%s/" LEAVING_FILE, daemon->options->state_dir);
    return fs_remove_tree(AT_FDCWD, path, err);
}

int leaving_forget(struct daemon *daemon, const char *store_dir, struct error *err) {
    AUTO_FREE char *path = xasprintf("%s/" LEAVING_FILE, daemon->options->state_dir);
    if (!fs_exists(path)) {
        return 0;
    }
    int rc = fs_remove_tree(AT_FDCWD, store_dir, err);
    rc = rc < 0 ? rc : certificates_forget(daemon->options->state_dir, err);
    rc = rc < 0 ? rc : managers_file_forget(daemon->options->state_dir, err);
    if (rc < 0) {
        return error_wrap(err, rc, "forget the cluster that was left");
    }
    struct leaving *leaving = leaving_new(daemon, /*conversation=*/NULL, /*is_forced=*/true);
    leaving->step = LEAVING_STOPS;
    leaving->is_forgotten = true;
    return 0;
}

// --- STOPS ---

static void stop(struct daemon *daemon) {
    struct leaving *leaving = daemon->group.leaving;
    struct error err = {0};
    if (write_mark(daemon, &err) < 0) {
        log_failure(LOG_ERROR, "cluster.leave", &err, LOG_NONE);
        fail(daemon, &err);
        return;
    }
    log_event(LOG_INFO, "cluster.leave", LOG_STR("cluster", daemon->cluster_id.text),
              LOG_INT("tasks", agent_task_count(daemon->agent)));
    leaving->step = LEAVING_STOPS;
}

// A client is answered by the daemon that was in the cluster; the one without begins at once.
static void begin_anew(struct daemon *daemon) {
    struct conversation *conversation = TAKE(daemon->group.leaving->answer.conversation);
    if (conversation != NULL) {
        struct init_reply reply = {.node_id = daemon->node_id, .cluster_id = daemon->cluster_id};
        server_send(conversation, MESSAGE_INIT_REPLY, &reply);
        server_done(conversation, store_revision(daemon->store));
    }
    daemon->must_stop = daemon->begins_anew = true;
}

static void step_stop(struct daemon *daemon) {
    struct leaving *leaving = daemon->group.leaving;
    struct error err = {0};
    if (!leaving->is_told) {
        agent_assign(daemon->agent, &(struct assignments){0});
        leaving->is_told = true;
    }
    if (agent_task_count(daemon->agent) > 0 || daemon->must_stop) {
        return;
    }
    if (!leaving->is_forgotten) {
        begin_anew(daemon);
    } else if (remove_mark(daemon, &err) < 0) {
        log_failure(LOG_ERROR, "cluster.leave", &err, LOG_NONE); // tried again
    } else {
        log_event(LOG_INFO, "cluster.left", LOG_NONE);
        leaving_free(daemon);
    }
}

// --- ASKS, SAYS ---

// What keeps it from leaving in good order.
static void hinder(struct daemon *daemon, struct error *err) {
    if (daemon->group.leaving->is_forced) {
        log_failure(LOG_WARN, "cluster.leave", err, LOG_BOOL("forced", true));
        stop(daemon);
        return;
    }
    group_explain(daemon, err);
    error_wrap(err, -(int)err->code, "leave the swarm (--force leaves all the same)");
    fail(daemon, err);
}

static void on_said(void *context, const struct proposal_result *result) {
    struct daemon *daemon = context;
    struct leaving *leaving = daemon->group.leaving;
    struct error err = {0};
    leaving->is_open = false;
    if (result->code == -ERR_CONFLICT) { // the record was changed in between
        leaving->step = LEAVING_ASKS;
    } else if (result->code < 0) {
        error_set(&err, (enum error_code) - result->code, "%s", result->text);
        hinder(daemon, &err);
    } else {
        leaving->step = LEAVING_WAITS;
    }
}

static void compose_good_bye(struct daemon *daemon, struct node *node, struct decision *decision,
                             struct arena *arena) {
    decide_good_bye(decision, node, "it left the swarm", daemon->now.unix_ms, arena);
    decision->transaction.who = arena_printf(arena, "node:%s", daemon->node_name);
    decision->transaction.why = "swarm leave";
    decision->transaction.makes_room = true;
    decision->transaction.time_unix_ms = daemon->now.unix_ms;
}

// STORE_ABSENT: there is nothing to say, it was removed or has said so before.
static int decide(struct daemon *daemon, struct decision *decision, struct arena *arena, struct error *err) {
    struct store_read *read;
    void *object;
    int rc = store_read_begin(daemon->store, &read, err);
    if (rc < 0) {
        return rc;
    }
    rc = store_load(read, KIND_NODE, &daemon->node_id, arena, &object, err);
    struct node *node = object;
    if (rc == 0 && node->status.left) {
        rc = STORE_ABSENT;
    }
    if (rc == 0 && node->spec.role == ROLE_MANAGER && !daemon->group.leaving->is_forced) {
        rc = decide_spare_manager(decision, read, &daemon->node_id, arena, err);
    }
    store_read_end(read);
    if (rc == 0) {
        compose_good_bye(daemon, node, decision, arena);
    }
    return rc;
}

static void say(struct daemon *daemon) {
    struct leaving *leaving = daemon->group.leaving;
    AUTO_ARENA arena = arena_make(0);
    struct decision decision = {0};
    struct error err = {0};
    schema_init(&transaction_schema, &decision.transaction);
    int rc = decide(daemon, &decision, &arena, &err);
    if (rc == STORE_ABSENT) {
        leaving->step = LEAVING_WAITS;
        return;
    }
    rc = rc < 0 ? rc : proposals_submit(&daemon->proposals, &decision.transaction, on_said, daemon, &err);
    if (rc < 0) {
        hinder(daemon, &err);
        return;
    }
    leaving->step = LEAVING_SAYS;
    leaving->is_open = true;
}

static void on_fresh(void *context, int rc, const struct error *err) {
    struct daemon *daemon = context;
    daemon->group.leaving->is_open = false;
    if (rc < 0) {
        struct error failure = *err;
        hinder(daemon, &failure);
    } else {
        say(daemon);
    }
}

// A worker waits for the end of its session; where it has none, for one, in which it can say so.
static void ask_as_worker(struct daemon *daemon) {
    struct leaving *leaving = daemon->group.leaving;
    worker_leave(daemon);
    leaving->step = LEAVING_WAITS;
    leaving->deadline_mono_ms = daemon->now.mono_ms + LEAVE_AS_WORKER_MS;
}

static void ask(struct daemon *daemon) {
    struct leaving *leaving = daemon->group.leaving;
    if (worker_is(daemon)) {
        ask_as_worker(daemon);
        return;
    }
    leaving->is_open = !replica_read(daemon->replica, on_fresh, daemon);
    if (!leaving->is_open) {
        say(daemon);
    }
}

// --- WAITS ---

static bool is_last_manager(const struct daemon *daemon) {
    struct replica_status status;
    bool votes = false;
    replica_status(daemon->replica, &status);
    for (unsigned i = 0; i < status.count; i++) {
        votes |= status.members[i].is_voter && status.members[i].raft_id == status.raft_id;
    }
    return votes && status.voters == 1;
}

static int refuse_last(struct error *err) {
    return error_set(err, ERR_GUARD,
                     "this node is the last manager: when it leaves, all state of the swarm is erased. Use "
                     "--force to do that");
}

static void step_wait(struct daemon *daemon) {
    struct error err = {0};
    bool is_late = daemon->now.mono_ms >= daemon->group.leaving->deadline_mono_ms;
    if (daemon->group.is_removed || daemon->group.is_refused || (is_late && worker_is(daemon))) {
        stop(daemon);
    } else if (is_last_manager(daemon)) { // another one was faster
        refuse_last(&err);
        fail(daemon, &err);
    } else if (is_late) {
        error_set(&err, ERR_TIMEOUT,
                  "the managers know that this node leaves, and have not let it go yet: try again");
        hinder(daemon, &err);
    }
}

void leaving_step(struct daemon *daemon) {
    const struct leaving *leaving = daemon->group.leaving;
    if (leaving == NULL && daemon->group.is_removed) {
        log_event(LOG_WARN, "cluster.removed", LOG_STR("cluster", daemon->cluster_id.text));
        leaving_new(daemon, /*conversation=*/NULL, /*is_forced=*/true);
        stop(daemon);
    } else if (leaving != NULL && leaving->step == LEAVING_ASKS && !leaving->is_open) {
        ask(daemon);
    } else if (leaving != NULL && leaving->step == LEAVING_WAITS) {
        step_wait(daemon);
    }
    if (leaving_is_stopping(daemon)) {
        step_stop(daemon);
    }
}

// --- the request of a client ---

static int check(const struct daemon *daemon, bool is_forced, struct error *err) {
    bool is_member = replica_has_group(daemon->replica) || worker_is(daemon);
    if (daemon->group.leaving != NULL) {
        return error_set(err, ERR_BUSY, "this node is leaving already");
    }
    if (!is_member && daemon->group.joining == NULL) {
        return error_set(err, ERR_CONFLICT, "this node is not part of a swarm");
    }
    if (is_forced) {
        return 0;
    }
    if (outdated_is(daemon)) {
        return outdated_explain(daemon, err);
    }
    if (!daemon_is_initialized(daemon)) {
        return error_set(err, ERR_BUSY, "this node is still joining: wait, or use --force to give that up");
    }
    return is_last_manager(daemon) ? refuse_last(err) : 0;
}

void control_leave(const struct request *request) {
    struct daemon *daemon = request->daemon;
    const struct swarm_leave_request *leave = request->payload;
    struct error err = {0};
    if (check(daemon, leave->force, &err) < 0) {
        server_fail(request->conversation, &err);
        return;
    }
    leaving_new(daemon, request->conversation, leave->force);
    if (!daemon_is_initialized(daemon) || is_last_manager(daemon) || outdated_is(daemon)) {
        stop(daemon); // there is nobody to tell
    }
}
