// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/managers.c — the leader keeps the records of nodes and the group of managers alike.
//
// What people see of managers (leader, reachable, address) is in the records of their nodes, so that lists,
// watches and the console have it. And the other way round: a manager whose node was made a worker, or whose
// node is gone, leaves the group. Whoever has not answered for a while is down, and ready again when it
// answers: in this version all nodes are managers, so the group knows who is there. Tasks of nodes that are
// down are replaced elsewhere (reconciler/plan/enforce.c); the node stops them when it is back.
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
    const struct replica_member_status *member; // NULL = no manager
    enum node_state state;
    int64_t silent_since_unix_ms; // if it is down
};

static struct truth find_truth(struct daemon *daemon, const struct replica_status *status,
                               const struct node *node) {
    struct truth truth = {.member = find_status(status, &node->meta.id), .state = node->status.state};
    bool is_heard =
        truth.member != NULL && (truth.member->is_reachable || group_hears(daemon, truth.member->raft_id));
    truth.silent_since_unix_ms =
        silence_note(&daemon->group.silence, &node->meta.id, is_heard, daemon->now.unix_ms);
    if (is_heard) {
        truth.state = NODE_READY;
    } else if (truth.silent_since_unix_ms > 0) {
        truth.state = NODE_DOWN;
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

static bool is_true(const struct node *node, const struct truth *truth) {
    return node->status.state == truth->state && is_manager_true(node, truth->member);
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
        node->status.message = arena_printf(arena, "no answer from it since %s", since);
    }
    log_event(is_down ? LOG_WARN : LOG_INFO, is_down ? "node.down" : "node.ready",
              LOG_STR("node", node->spec.name));
}

static void correct(struct node *node, const struct truth *truth, int64_t now_unix_ms,
                    struct decision *decision, struct arena *arena) {
    const struct replica_member_status *member = truth->member;
    const char *address = node->manager != NULL ? node->manager->address : "";
    node->manager = NULL;
    if (member != NULL) {
        struct node_manager *manager = ARENA_NEW(arena, struct node_manager);
        address = str_is_empty(member->address) ? address : arena_strdup(arena, member->address);
        *manager = (struct node_manager){
            .leader = member->is_leader, .reachable = member->is_reachable, .address = address};
        node->manager = manager;
    }
    if (node->status.state != truth->state) {
        correct_state(node, truth, now_unix_ms, arena);
    }
    decision_add(decision, CHANGE_UPDATE, KIND_NODE, node, arena);
}

// --- members who are to leave ---

static void on_left(void *context, const struct proposal_result *result) {
    (void)context;
    if (result->code < 0) {
        log_event(LOG_WARN, "manager.leave", LOG_STR("error", result->text));
    }
}

static void remove_member(struct daemon *daemon, const struct replica_member_status *member) {
    struct member gone = {.raft_id = (int64_t)member->raft_id};
    struct error err = {0};
    log_event(LOG_INFO, "manager.remove", LOG_STR("node", member->node_id.text));
    int rc = member->is_leader ? replica_transfer(daemon->replica, 0, &err) // its successor removes it
                               : proposals_change(&daemon->proposals, daemon->replica, MEMBER_REMOVE, &gone,
                                                  on_left, NULL, &err);
    if (rc < 0 && rc != -ERR_BUSY) {
        log_failure(LOG_WARN, "manager.leave", &err, LOG_STR("node", member->node_id.text));
    }
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
        if ((rc == STORE_ABSENT || ((struct node *)node)->spec.role != ROLE_MANAGER) && status->voters > 1) {
            remove_member(daemon, member);
            return 0; // one at a time
        }
    }
    return 0;
}

// --- both ---

static int compare(struct daemon *daemon, struct store_read *read, const struct replica_status *status,
                   struct decision *decision, struct arena *arena, struct error *err) {
    struct store_cursor cursor;
    struct id id;
    struct bytes bytes;
    int rc = store_each_begin(read, STORE_ALL, KIND_NODE, NULL, &cursor, err);
    if (rc < 0) {
        return rc;
    }
    while ((rc = store_each_next(&cursor, &id, &bytes, err)) == 0) {
        struct node *node = ARENA_NEW(arena, struct node);
        rc = wire_decode(&node_schema, bytes, node, arena, err);
        if (rc < 0) {
            break;
        }
        struct truth truth = find_truth(daemon, status, node);
        if (!is_true(node, &truth)) {
            correct(node, &truth, daemon->now.unix_ms, decision, arena);
        }
    }
    store_each_end(&cursor);
    return rc < 0 ? rc : 0;
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
    if (group->is_managers_proposed || daemon->now.mono_ms < group->managers_mono_ms) {
        return 0;
    }
    AUTO_ARENA arena = arena_make(0);
    struct decision decision = {0};
    struct replica_status status;
    struct store_read *read;
    group->managers_mono_ms = daemon->now.mono_ms + CHECK_MS;
    replica_status(daemon->replica, &status);
    schema_init(&transaction_schema, &decision.transaction);
    int rc = store_read_begin(daemon->store, &read, err);
    if (rc < 0) {
        return rc;
    }
    rc = compare(daemon, read, &status, &decision, &arena, err);
    rc = rc < 0 ? rc : check_members(daemon, read, &status, err);
    store_read_end(read);
    if (rc == 0 && decision.transaction.changes.count > 0) {
        propose(daemon, &decision);
    }
    return rc;
}
