// SPDX-License-Identifier: Apache-2.0
//
// test/sim/cluster_operator.c — who decides which managers there are, and who uses the cluster's services.
//
// The operator looks every now and then and does the next thing that misses: removes a member whose store is
// gone, takes in one that has none, lets others leave and stop voting. He asks the leader, and looks again
// whether it came to be; nothing else tells him.
#include "test/sim/cluster_world.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/str.h"
#include "specs/cluster.h"
#include "specs/node.h"
#include "specs/resource.h"

#define LISTED_MAX 64 // services
#define LOOK_MS 300
#define STEP_MS 8000 // how long the group of the beginning may take for each member

// --- proposing ---

static void on_result(void *context, const struct proposal_result *result) {
    (void)context, (void)result; // he looks himself
}

static void submit(struct cluster_manager *m, struct transaction *transaction, const char *who) {
    struct error err = {0};
    transaction->request_id = "";
    transaction->who = who;
    transaction->why = "test";
    transaction->time_unix_ms = cluster_wall_ms(m);
    (void)proposals_submit(&m->proposals, transaction, on_result, m->sim, &err);
    m->wake_ms = m->sim->now_ms;
}

static int load(const struct cluster_manager *m, enum object_kind kind, const struct id *id,
                struct arena *arena, void **out) {
    struct store_read *read;
    int rc = store_read_begin(m->store, &read, NULL);
    ASSERT(rc == 0);
    rc = store_load(read, kind, id, arena, out, NULL);
    store_read_end(read);
    ASSERT(rc >= 0);
    return rc;
}

// --- nodes ---

static void make_node(const struct cluster_manager *m, struct node *node) {
    schema_init(&node_schema, node);
    node->meta.id = m->node_id;
    node->meta.name = node->spec.name = m->name;
    node->spec.role = ROLE_MANAGER;
    node->description.hostname = m->name;
    node->description.os = "linux";
    node->description.arch = "x86_64";
    node->description.cpus_nano = INT64_C(8000000000);
    node->description.memory_bytes = (int64_t)8 << 30;
    node->status.state = NODE_READY;
}

static void want_node(struct cluster_manager *leader, const struct cluster_manager *m) {
    AUTO_ARENA arena = arena_make(0);
    struct transaction transaction;
    struct node node;
    void *object;
    if (load(leader, KIND_NODE, &m->node_id, &arena, &object) == 0) {
        return;
    }
    schema_init(&transaction_schema, &transaction);
    make_node(m, &node);
    transaction_add(&transaction, CHANGE_CREATE, KIND_NODE, &node, &arena);
    submit(leader, &transaction, "operator");
}

static void want_no_node(struct cluster_manager *leader, const struct cluster_manager *m) {
    AUTO_ARENA arena = arena_make(0);
    struct transaction transaction;
    void *object;
    if (load(leader, KIND_NODE, &m->node_id, &arena, &object) != 0) {
        return;
    }
    schema_init(&transaction_schema, &transaction);
    transaction_add(&transaction, CHANGE_DELETE, KIND_NODE, object, &arena);
    submit(leader, &transaction, "operator");
}

// --- the group ---

static bool is_member(const struct cluster_manager *leader, uint64_t raft_id, bool *is_voter) {
    const struct raft_configuration *committed = &leader->replica->raft.committed_configuration;
    return raft_configuration_has(committed, raft_id, is_voter);
}

static bool is_quiet(const struct cluster_manager *leader) {
    return leader->replica->raft.pending_configuration_index == 0;
}

static struct member member_of(const struct cluster_manager *m, uint64_t raft_id) {
    return (struct member){
        .raft_id = (int64_t)raft_id, .node_id = m->node_id, .address = "", .wants_vote = true};
}

static void change(struct cluster_manager *leader, enum replica_change what, const struct cluster_manager *m,
                   uint64_t raft_id) {
    struct cluster_sim *c = m->sim;
    struct error err = {0};
    const struct member member = member_of(m, raft_id);
    int rc = proposals_change(&leader->proposals, leader->replica, what, &member, on_result, c, &err);
    cluster_note(c, "%s asks for change %d of %s: %s", leader->name, (int)what, m->name,
                 rc < 0 ? err.root : "begun");
    cluster_totals->changes += rc == 0;
    leader->wake_ms = c->now_ms;
}

// A machine without a store becomes a member that waits to be told.
static void await(struct cluster_manager *m) {
    struct cluster_sim *c = m->sim;
    uint64_t raft_id = REPLICA_PLANTED(REMOVED_COMES_BACK) ? 77 + m->number : prng_next(&c->prng) | 1;
    struct error err = {0};
    if (!cluster_manager_is_awake(m) || m->disk != CLUSTER_DISK_GOOD || m->death != ALIVE) {
        return;
    }
    int rc = replica_await(m->replica, raft_id, &err);
    ASSERT(rc == 0);
    m->raft_id = raft_id;
    m->wake_ms = c->now_ms;
    cluster_note(c, "%s waits to be told as %llx", m->name, (unsigned long long)raft_id);
}

// What has to be done for this manager next. True: it is as it should be.
static bool tend(struct cluster_manager *leader, struct cluster_manager *m) {
    bool is_voter = false;
    if (m->lost_id != 0) {
        if (is_member(leader, m->lost_id, &is_voter)) {
            change(leader, MEMBER_REMOVE, m, m->lost_id);
        } else if (is_quiet(leader)) {
            m->lost_id = 0;
        }
        return false;
    }
    if (m->is_away) {
        want_no_node(leader, m);
        return true;
    }
    if (m->raft_id == 0) {
        await(m);
        return false;
    }
    if (is_quiet(leader) && membership_was_removed(&leader->replica->membership, m->raft_id)) {
        cluster_manager_leave(m); // the change that seemed undone came to be after all
        return false;
    }
    want_node(leader, m);
    if (!is_member(leader, m->raft_id, &is_voter)) {
        change(leader, MEMBER_ADD, m, m->raft_id);
        return false;
    }
    if (!is_voter && is_quiet(leader)) {
        const struct member *member = membership_find(&leader->replica->membership, m->raft_id);
        if (member != NULL && !member->wants_vote) {
            change(leader, MEMBER_PROMOTE, m, m->raft_id);
        }
    }
    return is_voter;
}

// One after the other: who is being changed must be done before the next.
void cluster_operator_step(struct cluster_sim *c) {
    struct cluster_manager *leader = cluster_leader(c);
    c->operator_ms = c->now_ms + cluster_about(c, LOOK_MS);
    c->is_changing = true;
    if (leader == NULL || !is_quiet(leader)) {
        return;
    }
    for (unsigned i = 0; i < c->count; i++) {
        if (!tend(leader, &c->managers[i])) {
            return;
        }
    }
    c->is_changing = false;
}

bool cluster_operator_is_done(struct cluster_sim *c) {
    return !c->is_changing;
}

static bool is_short_of_stores(const struct cluster_sim *c) {
    for (unsigned i = 0; i < c->count; i++) {
        if (c->managers[i].lost_id != 0 || c->managers[i].is_damaged) {
            return true;
        }
    }
    return false;
}

// A store may be lost when the others can do without: all of them have theirs and vote.
bool cluster_may_lose_store(struct cluster_sim *c, const struct cluster_manager *m) {
    const struct cluster_manager *leader = cluster_leader(c);
    unsigned voters = 0;
    if (leader == NULL || leader == m || c->is_changing || !is_quiet(leader) || is_short_of_stores(c)) {
        return false;
    }
    for (unsigned i = 0; i < c->count; i++) {
        const struct cluster_manager *other = &c->managers[i];
        bool is_voter = false;
        voters += !other->is_away && is_member(leader, other->raft_id, &is_voter) && is_voter;
    }
    return voters >= 3;
}

// --- a random wish of the operator ---

void cluster_operator_disturb(struct cluster_sim *c) {
    struct cluster_manager *m = &c->managers[cluster_below(c, c->count)];
    struct cluster_manager *leader = cluster_leader(c);
    bool is_voter = false;
    if (leader == NULL || c->is_changing || is_short_of_stores(c)) {
        return;
    }
    if (m->is_away) { // comes back, as another
        m->is_away = false;
        m->start_ms = c->now_ms + 10;
        cluster_totals->joins++;
    } else if (is_member(leader, m->raft_id, &is_voter) && c->count > 2) {
        bool leaves = cluster_below(c, 2) == 0;
        m->is_leaving = leaves;
        change(leader, leaves ? MEMBER_REMOVE : MEMBER_DEMOTE, m, m->raft_id);
    }
}

// Whoever was taken out, as a majority knows, is switched off and emptied.
void cluster_operator_retire(struct cluster_sim *c) {
    struct cluster_manager *leader = cluster_leader(c);
    bool is_voter;
    for (unsigned i = 0; leader != NULL && i < c->count; i++) {
        struct cluster_manager *m = &c->managers[i];
        if (!m->is_leaving || m->raft_id == 0) {
            continue;
        }
        if (is_member(leader, m->raft_id, &is_voter)) {
            m->is_leaving = !is_quiet(leader); // it came to nothing
        } else if (is_quiet(leader)) {
            cluster_manager_leave(m);
        }
    }
}

// --- the beginning ---

static void propose_beginning(struct cluster_manager *m) {
    struct cluster_sim *c = m->sim;
    AUTO_ARENA arena = arena_make(0);
    struct transaction transaction;
    struct cluster cluster;
    struct node node;
    schema_init(&transaction_schema, &transaction);
    schema_init(&cluster_schema, &cluster);
    cluster.meta.id = id_from_prng(&c->prng);
    cluster.meta.name = cluster.spec.name = "default";
    transaction_add(&transaction, CHANGE_CREATE, KIND_CLUSTER, &cluster, &arena);
    make_node(m, &node);
    transaction_add(&transaction, CHANGE_CREATE, KIND_NODE, &node, &arena);
    for (unsigned i = 0; i < c->knobs.keys; i++) {
        AUTO_BUF object = {0};
        cluster_key_encode(&c->keys[i], UINT64_MAX, 0, &object);
        struct change *change = ARENA_PUSH(&arena, &transaction.changes);
        schema_init(&change_schema, change);
        change->op = CHANGE_CREATE;
        change->kind = KIND_CONFIG;
        change->id = c->keys[i].id;
        change->object = (struct bytes){arena_copy(&arena, object.data, object.len), object.len};
    }
    submit(m, &transaction, "operator");
}

static bool is_told(const struct cluster_sim *c) {
    for (unsigned i = 0; i < c->knobs.keys; i++) {
        if (c->keys[i].version == 0) {
            return false;
        }
    }
    return true;
}

void cluster_operator_found(struct cluster_sim *c) {
    for (unsigned i = 0; i < c->knobs.managers; i++) {
        cluster_manager_start(cluster_manager_add(c));
    }
    struct cluster_manager *first = &c->managers[0];
    int rc = replica_found(first->replica, &first->node_id, "", &c->err);
    ASSERT(rc == 0);
    first->raft_id = replica_id(first->replica);
    first->wake_ms = c->now_ms;
    int64_t until_ms = c->now_ms + STEP_MS * (int64_t)(c->knobs.managers + 1);
    while (!cluster_manager_leads(first) && c->now_ms < until_ms && !cluster_is_broken(c)) {
        cluster_step(c, until_ms);
    }
    propose_beginning(first);
    c->operator_ms = c->now_ms;
    c->is_changing = true;
    while ((c->is_changing || !is_told(c)) && c->now_ms < until_ms && !cluster_is_broken(c)) {
        cluster_step(c, until_ms);
    }
    if (c->is_changing || !is_told(c)) {
        cluster_break(c, "a group of %u is not there after %lld s", c->knobs.managers,
                      (long long)until_ms / 1000);
    }
}

// --- services ---

static const char *any_image(struct cluster_sim *c) {
    static const char *const images[] = {"good", "good", "good", "deaf", "fails", "ends", "missing"};
    return images[cluster_below(c, sizeof images / sizeof *images)];
}

static void add_revision(struct cluster_sim *c, struct transaction *transaction, struct arena *arena,
                         const struct service *service) {
    struct revision revision;
    schema_init(&revision_schema, &revision);
    revision.meta.id = id_from_prng(&c->prng);
    revision.meta.name = arena_printf(arena, "%s/%lld", service->meta.id.text, (long long)service->revision);
    revision.service_id = service->meta.id;
    revision.revision = service->revision;
    revision.who = "user";
    revision.spec = service->spec;
    transaction_add(transaction, CHANGE_CREATE, KIND_REVISION, &revision, arena);
}

static void create_service(struct cluster_sim *c, struct transaction *transaction, struct arena *arena) {
    struct service service;
    schema_init(&service_schema, &service);
    service.meta.id = id_from_prng(&c->prng);
    service.meta.name = service.spec.name = arena_printf(arena, "s%u", ++c->service_number);
    service.spec.image = any_image(c);
    service.spec.stop_grace_period_ns = INT64_C(2000000000);
    service.spec.deploy.mode = cluster_below(c, 6) == 0 ? MODE_GLOBAL : MODE_REPLICATED;
    service.spec.deploy.replicas = (int64_t)cluster_below(c, 6);
    service.spec.deploy.restart_policy.delay_ns = INT64_C(1000000000);
    service.revision = service.restart_revision = 1;
    transaction_add(transaction, CHANGE_CREATE, KIND_SERVICE, &service, arena);
    add_revision(c, transaction, arena, &service);
    cluster_totals->services++;
}

static void change_service(struct cluster_sim *c, struct transaction *transaction, struct arena *arena,
                           struct service *service) {
    if (cluster_below(c, 5) == 0) {
        service->removing = true;
        transaction_add(transaction, CHANGE_UPDATE, KIND_SERVICE, service, arena);
        return;
    }
    service->revision++;
    if (cluster_below(c, 3) == 0) {
        service->spec.image = any_image(c);
        service->restart_revision = service->revision;
    } else {
        service->spec.deploy.replicas = (int64_t)cluster_below(c, 8);
    }
    transaction_add(transaction, CHANGE_UPDATE, KIND_SERVICE, service, arena);
    add_revision(c, transaction, arena, service);
}

// The services as this manager shows them, those that are going left out.
static size_t list_services(const struct cluster_manager *m, struct arena *arena,
                            struct service *out[LISTED_MAX]) {
    struct store_read *read;
    struct store_cursor cursor;
    struct id id;
    struct bytes bytes;
    size_t count = 0;
    int rc = store_read_begin(m->store, &read, NULL);
    rc = rc < 0 ? rc : store_each_begin(read, STORE_ALL, KIND_SERVICE, NULL, &cursor, NULL);
    ASSERT(rc == 0);
    while (count < LISTED_MAX && store_each_next(&cursor, &id, &bytes, NULL) == 0) {
        struct service *service = ARENA_NEW(arena, struct service);
        struct bytes copy = {arena_copy(arena, bytes.data, bytes.len), bytes.len};
        rc = wire_decode(&service_schema, copy, service, arena, NULL);
        ASSERT(rc == 0);
        if (!service->removing) {
            out[count++] = service;
        }
    }
    store_each_end(&cursor);
    store_read_end(read);
    return count;
}

// At last every service gets an image that runs.
static void settle_services(struct cluster_sim *c) {
    struct cluster_manager *leader = cluster_leader(c);
    AUTO_ARENA arena = arena_make(0);
    struct service *services[LISTED_MAX];
    size_t count = leader != NULL ? list_services(leader, &arena, services) : 0;
    for (size_t i = 0; i < count; i++) {
        struct service *service = services[i];
        struct transaction transaction;
        if (str_equal(service->spec.image, "good")) {
            continue;
        }
        schema_init(&transaction_schema, &transaction);
        service->spec.image = "good";
        service->restart_revision = ++service->revision;
        transaction_add(&transaction, CHANGE_UPDATE, KIND_SERVICE, service, &arena);
        add_revision(c, &transaction, &arena, service);
        submit(leader, &transaction, "user");
    }
}

void cluster_user_step(struct cluster_sim *c) {
    if (c->is_healing) {
        c->user_ms = c->now_ms + 500;
        settle_services(c);
        return;
    }
    struct cluster_manager *m = &c->managers[cluster_below(c, c->count)];
    c->user_ms = c->now_ms + cluster_about(c, c->knobs.user_ms);
    if (!cluster_manager_is_awake(m) || !replica_has_group(m->replica)) {
        return;
    }
    AUTO_ARENA arena = arena_make(0);
    struct service *services[LISTED_MAX];
    struct transaction transaction;
    schema_init(&transaction_schema, &transaction);
    size_t count = list_services(m, &arena, services);
    if (count < c->knobs.services && cluster_below(c, 3) == 0) {
        create_service(c, &transaction, &arena);
    } else if (count > 0) {
        change_service(c, &transaction, &arena, services[cluster_below(c, count)]);
    }
    if (transaction.changes.count > 0) {
        submit(m, &transaction, "user");
    }
}
