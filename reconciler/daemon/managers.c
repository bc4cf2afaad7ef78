// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/managers.c — the leader keeps the records of nodes and the group of managers alike.
//
// What people see of managers (leader, reachable, address) is in the records of their nodes, so that lists,
// watches and the console have it. And the other way round: whose node was made a worker votes no more, whose
// node was made a worker, left or is gone leaves the group. Who is there, the group knows of managers: whoever
// has not answered for a while is down (silence.h); of workers, their sessions (dispatcher.h). Who answers is
// ready again. Tasks of nodes that are down are replaced elsewhere (reconciler/plan/enforce.c); the node
// stops them when it is back.
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/daemon/daemon.h"
#include "reconciler/daemon/decide.h"

#define CHECK_MS 1000

static const struct replica_member_status *find_status(const struct replica_status *status,
                                                       const struct id *node_id) {
    for (unsigned i = 0; i < status->count; i++) {
        if (id_equal(&status->members[i].node_id, node_id)) {
            return &status->members[i];
        }
    }
    return NULL;
}

// --- records ---

// What is to be in a node's record.
struct truth {
    const struct replica_member_status *manager; // NULL = it is none
    bool is_last;                                // that votes: nobody could take its place
    enum node_state state;
    int64_t silent_since_unix_ms; // if it is down
    bool is_session;              // it is not the group that knows
    const char *trouble;          // why it cannot run tasks; "" = it can, NULL = it has no session to say so
};

static void look_at_member(struct daemon *daemon, const struct replica_member_status *member,
                           const struct id *node_id, struct truth *out) {
    bool is_heard = member->is_reachable || group_hears(daemon, member->raft_id);
    out->silent_since_unix_ms = silence_note(&daemon->group.silence, node_id, is_heard, daemon->now.unix_ms);
    out->state = is_heard ? NODE_READY : out->silent_since_unix_ms > 0 ? NODE_DOWN : out->state;
    dispatcher_release(daemon, node_id);
}

// A worker, or a node that is yet to come into the group, or has left it.
static void look_at_session(struct daemon *daemon, const struct id *node_id, struct truth *out) {
    int64_t silent_ms;
    enum session_presence presence = dispatcher_presence(daemon, node_id, &silent_ms);
    (void)silence_note(&daemon->group.silence, node_id, /*is_heard=*/true, daemon->now.unix_ms);
    out->is_session = true;
    out->trouble = presence == SESSION_HEARD ? dispatcher_trouble(daemon, node_id) : NULL;
    out->silent_since_unix_ms = daemon->now.unix_ms - silent_ms;
    out->state = presence == SESSION_HEARD ? NODE_READY : presence == SESSION_DOWN ? NODE_DOWN : out->state;
}

static struct truth find_truth(struct daemon *daemon, const struct replica_status *status,
                               const struct node *node) {
    const struct replica_member_status *member = find_status(status, &node->meta.id);
    struct truth truth = {.state = node->status.state};
    truth.is_last = member != NULL && member->is_voter && status->voters == 1;
    bool votes = member != NULL && (member->is_voter || member->wants_vote);
    truth.manager = votes && (!node->status.left || truth.is_last) ? member : NULL;
    if (node->status.left && !truth.is_last) {
        truth.state = NODE_DOWN;
    } else if (member != NULL) {
        look_at_member(daemon, member, &node->meta.id, &truth);
    } else {
        look_at_session(daemon, &node->meta.id, &truth);
    }
    return truth;
}

static bool is_manager_true(const struct node *node, const struct replica_member_status *member) {
    if (member == NULL || node->manager == NULL) {
        return (member == NULL) == (node->manager == NULL);
    }
    return node->manager->leader == member->is_leader && node->manager->reachable == member->is_reachable &&
           (str_is_empty(member->address) || str_equal(node->manager->address, member->address));
}

#define TROUBLE "cannot run tasks: " // as managers say of themselves (self.c)

static bool is_trouble_true(const struct node *node, const struct truth *truth) {
    const char *message = node->status.message;
    if (truth->trouble == NULL || truth->state != NODE_READY) {
        return true;
    }
    return str_is_empty(truth->trouble)
               ? !str_starts(message, TROUBLE)
               : str_starts(message, TROUBLE) && str_equal(message + strlen(TROUBLE), truth->trouble);
}

static bool is_true(const struct node *node, const struct truth *truth) {
    bool is_role_true = !truth->is_last || (node->spec.role == ROLE_MANAGER && !node->status.left);
    return is_role_true && node->status.state == truth->state && is_trouble_true(node, truth) &&
           is_manager_true(node, truth->manager);
}

static void correct_state(struct node *node, const struct truth *truth, int64_t now_unix_ms,
                          struct arena *arena) {
    char since[40];
    bool is_down = truth->state == NODE_DOWN;
    node->status.state = truth->state;
    node->status.since_unix_ms = now_unix_ms;
    node->status.message = "";
    if (is_down) {
        clock_format_rfc3339(truth->silent_since_unix_ms, since, sizeof since);
        node->status.message = truth->is_session
                                   ? arena_printf(arena, "heartbeat failure: not heard since %s", since)
                                   : arena_printf(arena, "no answer from it since %s", since);
    }
    log_event(is_down ? LOG_WARN : LOG_INFO, is_down ? "node.down" : "node.ready",
              LOG_STR("node", node->spec.name));
}

static void correct(struct node *node, const struct truth *truth, int64_t now_unix_ms,
                    struct decision *decision, struct arena *arena) {
    const struct replica_member_status *member = truth->manager;
    const char *address = node->manager != NULL ? node->manager->address : "";
    node->manager = NULL;
    if (member != NULL) {
        struct node_manager *manager = ARENA_NEW(arena, struct node_manager);
        address = str_is_empty(member->address) ? address : arena_strdup(arena, member->address);
        *manager = (struct node_manager){
            .leader = member->is_leader, .reachable = member->is_reachable, .address = address};
        node->manager = manager;
    }
    if (truth->is_last) { // two of two may have been demoted, or have left, at the same moment
        node->spec.role = ROLE_MANAGER;
        node->status.left = false;
    }
    if (node->status.state != truth->state) {
        correct_state(node, truth, now_unix_ms, arena);
    }
    if (!is_trouble_true(node, truth)) {
        node->status.message =
            str_is_empty(truth->trouble) ? "" : arena_printf(arena, TROUBLE "%s", truth->trouble);
    }
    transaction_add(&decision->transaction, CHANGE_UPDATE, KIND_NODE, node, arena);
}

// --- the group ---

static const char *const change_events[] = {
    [MEMBER_REMOVE] = "manager.remove", [MEMBER_PROMOTE] = "manager.promote"};

// Tried again at each look, and logged once.
static void note_trouble(struct group *group, const char *text) {
    char before[sizeof group->managers_trouble];
    memcpy(before, group->managers_trouble, sizeof before);
    str_copy(group->managers_trouble, sizeof group->managers_trouble, text);
    if (text[0] != '\0' && !str_equal(before, group->managers_trouble)) {
        log_event(LOG_WARN, "manager.not_changed", LOG_STR("error", text));
    }
}

static void on_changed(void *context, const struct proposal_result *result) {
    note_trouble(&((struct daemon *)context)->group, result->code < 0 ? result->text : "");
}

// True: nothing more for now. A change that is refused must not keep another one from being made, which may be
// what it waits for.
static bool change_member(struct daemon *daemon, const struct replica_member_status *member,
                          enum replica_change change) {
    struct member changed = {.raft_id = (int64_t)member->raft_id};
    struct error err = {0};
    bool leaves_lead = member->is_leader && change != MEMBER_PROMOTE; // its successor makes the change
    int rc = leaves_lead ? replica_transfer(daemon->replica, 0, &err)
                         : proposals_change(&daemon->proposals, daemon->replica, change, &changed, on_changed,
                                            daemon, &err);
    if (rc == 0) {
        log_event(LOG_INFO, change_events[change], LOG_STR("node", member->node_id.text));
    } else if (rc != -ERR_BUSY) {
        note_trouble(&daemon->group, err.root);
        return false;
    }
    return true;
}

// MEMBER_ADD = none.
static enum replica_change change_due(const struct node *node, const struct replica_member_status *member) {
    bool votes = member->is_voter || member->wants_vote;
    if (node == NULL || node->status.left || node->spec.role == ROLE_WORKER) {
        return MEMBER_REMOVE;
    }
    return votes ? MEMBER_ADD : MEMBER_PROMOTE;
}

static int check_members(struct daemon *daemon, struct store_read *read, const struct replica_status *status,
                         struct error *err) {
    AUTO_ARENA arena = arena_make(0);
    for (unsigned i = 0; i < status->count; i++) {
        const struct replica_member_status *member = &status->members[i];
        void *node;
        int rc = store_load(read, KIND_NODE, &member->node_id, &arena, &node, err);
        if (rc < 0) {
            return rc;
        }
        enum replica_change change = change_due(rc == STORE_ABSENT ? NULL : node, member);
        bool is_last = member->is_voter && status->voters == 1;
        if (change != MEMBER_ADD && !is_last && change_member(daemon, member, change)) {
            return 0; // one at a time
        }
    }
    return 0;
}

// --- both ---

struct comparison {
    struct daemon *daemon;
    const struct replica_status *status;
    struct decision *decision;
};

static int compare(void *context, void *object, struct arena *arena, struct error *err) {
    const struct comparison *with = context;
    struct truth truth = find_truth(with->daemon, with->status, object);
    (void)err;
    if (!is_true(object, &truth)) {
        correct(object, &truth, with->daemon->now.unix_ms, with->decision, arena);
    }
    return 0;
}

static void on_result(void *context, const struct proposal_result *result) {
    (void)result; // compared again at the next time
    ((struct daemon *)context)->group.is_managers_proposed = false;
}

static void propose(struct daemon *daemon, struct decision *decision) {
    decision->transaction.who = "system:managers";
    decision->transaction.why = "managers changed";
    decision->transaction.time_unix_ms = daemon->now.unix_ms;
    decision->transaction.only_here = true;
    daemon->group.is_managers_proposed =
        proposals_submit(&daemon->proposals, &decision->transaction, on_result, daemon, NULL) == 0;
}

int managers_step(struct daemon *daemon, struct error *err) {
    struct group *group = &daemon->group;
    if (!daemon->leads) {
        silence_free(&group->silence);
        return 0;
    }
    bool is_due =
        daemon->now.mono_ms >= group->managers_mono_ms || dispatcher_turns(daemon) != group->managers_turns;
    if (group->is_managers_proposed || !is_due) {
        return 0;
    }
    AUTO_ARENA arena = arena_make(0);
    struct decision decision = {0};
    struct replica_status status;
    struct store_read *read;
    group->managers_mono_ms = daemon->now.mono_ms + CHECK_MS;
    group->managers_turns = dispatcher_turns(daemon);
    replica_status(daemon->replica, &status);
    schema_init(&transaction_schema, &decision.transaction);
    int rc = store_read_begin(daemon->store, &read, err);
    if (rc < 0) {
        return rc;
    }
    struct comparison with = {daemon, &status, &decision};
    rc = store_each_object(read, STORE_ALL, KIND_NODE, NULL, &arena, compare, &with, err);
    rc = rc < 0 ? rc : check_members(daemon, read, &status, err);
    store_read_end(read);
    if (rc == 0 && decision.transaction.changes.count > 0) {
        propose(daemon, &decision);
    }
    return rc;
}
