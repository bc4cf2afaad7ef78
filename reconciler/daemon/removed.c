// SPDX-License-Identifier: Apache-2.0
//
// reconciler/daemon/removed.c — what the records say of a node, and the history of those that go.
#include "reconciler/daemon/removed.h"

#include "reconciler/daemon/daemon.h"

#define NEW_MS 60000 // no manager that answers is further behind
#define EVENTS_MAX 256
#define EVENTS_BYTES_MAX (256 * KIB)

static bool is_in_group(const struct daemon *daemon, const struct id *node_id) {
    return membership_find_node(replica_membership(daemon->replica), node_id) != NULL;
}

// In the arena; NULL = there is none, or it cannot be read.
static const struct node *find_record(struct daemon *daemon, const struct id *node_id, struct arena *arena) {
    struct store_read *read;
    void *node = NULL;
    if (store_read_begin(daemon->store, &read, NULL) < 0) {
        return NULL;
    }
    int rc = store_load(read, KIND_NODE, node_id, arena, &node, NULL);
    store_read_end(read);
    return rc == 0 ? node : NULL;
}

static bool was_seen(const struct removed *removed, const struct id *node_id) {
    for (unsigned i = 0; i < REMOVED_SEEN_MAX; i++) {
        if (id_equal(&removed->seen[i], node_id)) {
            return true;
        }
    }
    return false;
}

bool removed_is(struct daemon *daemon, const struct identity *shown) {
    AUTO_ARENA arena = arena_make(0);
    int64_t age_ms = daemon->now.unix_ms - shown->not_before_unix_ms - CERTIFICATE_SLACK_MS;
    struct replica_status status;
    replica_status(daemon->replica, &status);
    if (!daemon_is_initialized(daemon) || !daemon->is_current || status.leader == 0 ||
        is_in_group(daemon, &shown->node_id)) {
        return false;
    }
    if (find_record(daemon, &shown->node_id, &arena) != NULL) {
        return false;
    }
    return was_seen(&daemon->group.removed, &shown->node_id) || (daemon->leads && age_ms >= NEW_MS);
}

bool removed_is_worker(struct daemon *daemon, const struct id *node_id) {
    AUTO_ARENA arena = arena_make(0);
    const struct node *node = find_record(daemon, node_id, &arena);
    return node != NULL && !node->status.left && node->spec.role == ROLE_WORKER &&
           !is_in_group(daemon, node_id);
}

static bool is_end(const struct event *event, struct arena *arena) {
    struct node node;
    return event->op == CHANGE_DELETE ||
           (wire_decode(&node_schema, event->to, &node, arena, NULL) == 0 && node.status.left);
}

static int cut(struct daemon *daemon, struct store_read *read, struct error *err) {
    struct removed *removed = &daemon->group.removed;
    for (size_t count = 1; count > 0;) {
        AUTO_ARENA arena = arena_make(0);
        struct events events = {0};
        int rc = store_history(read, &removed->position, UINT64_C(1) << KIND_NODE, EVENTS_MAX,
                               EVENTS_BYTES_MAX, &arena, &events, err);
        if (rc < 0) {
            return rc;
        }
        if (rc == STORE_SKIPPED) { // it was away for longer than links live
            removed->position = store_position_after(store_revision(daemon->store));
            return 0;
        }
        count = events.count;
        for (size_t i = 0; i < count; i++) {
            const struct event *event = &events.items[i];
            if (event->op == CHANGE_DELETE) {
                removed->seen[removed->seen_next++ % REMOVED_SEEN_MAX] = event->id;
            }
            if (is_end(event, &arena) && !is_in_group(daemon, &event->id)) {
                peers_cut(daemon->group.peers, &event->id, "it was removed from the cluster");
            }
        }
    }
    return 0;
}

int removed_step(struct daemon *daemon, struct error *err) {
    struct removed *removed = &daemon->group.removed;
    int64_t revision = store_revision(daemon->store);
    struct store_read *read;
    if (removed->revision == 0) {
        removed->position = store_position_after(revision);
    }
    if (daemon->group.peers == NULL || removed->revision == revision) {
        return 0;
    }
    removed->revision = revision;
    int rc = store_read_begin(daemon->store, &read, err);
    if (rc < 0) {
        return rc;
    }
    rc = cut(daemon, read, err);
    store_read_end(read);
    return rc;
}
