// SPDX-License-Identifier: Apache-2.0
//
// test/sim/cluster_check.c — what must hold in a simulated cluster, after each turn of a manager, now and
// then, and once all is healed.
//
// Truth        The first manager to apply an entry says what is true of it; whoever applies another one at
//              that index later is wrong. From the history that comes with it follow the keys, with who wrote
//              them, and the tasks.
#include "test/sim/cluster_world.h"

#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/mem.h"
#include "base/str.h"

#define OVERDUE_MS 5000
#define EVENTS_MAX 4096

// --- leaders ---

static void check_leader_log(struct cluster_manager *m) {
    struct cluster_sim *c = m->sim;
    const struct raft *raft = &m->replica->raft;
    const struct cluster_truth *truth = &c->truth;
    uint64_t term;
    for (uint64_t index = raft->log.base_index + 1; index <= truth->last; index++) {
        // What later leaders committed need not be there.
        if (truth->terms[index] == 0 || truth->terms[index] >= raft->term) {
            continue;
        }
        if (!raft_term_at(raft, index, &term) || term != truth->terms[index]) {
            cluster_break(c, "leader completeness: %s leads term %llu without entry %llu", m->name,
                          (unsigned long long)raft->term, (unsigned long long)index);
            return;
        }
    }
}

static void check_role(struct cluster_manager *m) {
    struct cluster_sim *c = m->sim;
    const struct raft *raft = &m->replica->raft;
    if (raft->term < m->seen_term) {
        cluster_break(c, "%s: its term falls", m->name);
    }
    bool is_new = raft->role == RAFT_LEADER && (!m->seen_leading || raft->term != m->seen_term);
    m->seen_term = raft->term;
    m->seen_leading = raft->role == RAFT_LEADER;
    if (!is_new) {
        return;
    }
    size_t slot = raft->term % (sizeof c->leaders / sizeof *c->leaders);
    cluster_note(c, "%s leads term %llu, last %llu", m->name, (unsigned long long)raft->term,
                 (unsigned long long)raft->log.last_index);
    if (c->leaders[slot].term == raft->term && c->leaders[slot].raft_id != m->raft_id) {
        cluster_break(c, "election safety: two leaders in term %llu", (unsigned long long)raft->term);
    }
    c->leaders[slot].term = raft->term;
    c->leaders[slot].raft_id = m->raft_id;
    cluster_totals->elections++;
    check_leader_log(m);
}

// --- entries ---

static void make_room(struct cluster_truth *truth, uint64_t index) {
    if (index < truth->capacity) {
        return;
    }
    size_t was = truth->capacity, capacity = was == 0 ? 1024 : was * 2;
    capacity = capacity > index ? capacity : index + 1024;
    truth->terms = xrealloc(truth->terms, capacity * sizeof *truth->terms);
    truth->sums = xrealloc(truth->sums, capacity * sizeof *truth->sums);
    truth->digests = xrealloc(truth->digests, capacity * sizeof *truth->digests);
    memset(truth->terms + was, 0, (capacity - was) * sizeof *truth->terms);
    memset(truth->sums + was, 0, (capacity - was) * sizeof *truth->sums);
    memset(truth->digests + was, 0, (capacity - was) * sizeof *truth->digests);
    truth->capacity = capacity;
}

// False: it is compacted away already.
static bool entry_at(struct cluster_manager *m, struct store_read *read, uint64_t index,
                     struct log_entry *out) {
    const struct cached_entry *cached = entries_at(&m->replica->entries, index);
    if (cached != NULL) {
        *out = cached->entry;
        return true;
    }
    return log_get(read, index, out, NULL) == 0;
}

static void see_entry(struct cluster_manager *m, struct store_read *read, uint64_t index) {
    struct cluster_sim *c = m->sim;
    struct cluster_truth *truth = &c->truth;
    struct log_entry entry;
    make_room(truth, index);
    if (!entry_at(m, read, index, &entry)) {
        return;
    }
    uint32_t sum = crc32c(0, entry.payload.data, entry.payload.len) ^ entry.type;
    if (truth->terms[index] == 0) {
        truth->terms[index] = entry.term;
        truth->sums[index] = sum;
        cluster_totals->entries++;
    } else if (truth->terms[index] != entry.term || truth->sums[index] != sum) {
        cluster_break(c, "state machine safety: %s applies another entry %llu (of term %llu, not %llu)",
                      m->name, (unsigned long long)index, (unsigned long long)entry.term,
                      (unsigned long long)truth->terms[index]);
    }
}

// --- keys ---

static void see_key(struct cluster_sim *c, const struct event *event) {
    struct cluster_key *key = NULL;
    int64_t version;
    uint64_t number, count;
    for (unsigned i = 0; i < c->knobs.keys; i++) {
        key = id_equal(&c->keys[i].id, &event->id) ? &c->keys[i] : key;
    }
    if (key == NULL || !cluster_key_decode(event->to, &version, &number, &count)) {
        cluster_break(c, "entry %lld writes no key", (long long)event->revision);
        return;
    }
    struct cluster_op *op = number < c->op_count ? &c->ops[number] : NULL;
    if (op != NULL && op->revision != 0) {
        cluster_break(c, "%s: operation %llu is applied at %lld and again at %lld", key->name,
                      (unsigned long long)number, (long long)op->revision, (long long)event->revision);
    } else if (op != NULL && op->state == OP_REFUSED) {
        cluster_break(c, "%s: operation %llu was refused, and is applied at %lld", key->name,
                      (unsigned long long)number, (long long)event->revision);
    } else if (op != NULL && op->told != 0 && op->told != event->revision) {
        cluster_break(c, "%s: operation %llu is applied at %lld, its client was told %lld", key->name,
                      (unsigned long long)number, (long long)event->revision, (long long)op->told);
    }
    if (op != NULL && key->is_counter && count != key->count + 1) {
        cluster_break(c, "%s: counts from %llu to %llu at %lld", key->name, (unsigned long long)key->count,
                      (unsigned long long)count, (long long)event->revision);
    }
    if (op != NULL) {
        op->revision = event->revision;
    }
    key->version = event->revision;
    key->count = count;
    key->op = number;
}

// --- tasks ---

static bool share_slot(const struct cluster_task *a, const struct cluster_task *b) {
    return a != b && a->desired <= TASK_RUNNING && b->desired <= TASK_RUNNING &&
           id_equal(&a->service_id, &b->service_id) &&
           (a->slot > 0 ? a->slot == b->slot : b->slot == 0 && id_equal(&a->node_id, &b->node_id));
}

static void check_slot(struct cluster_sim *c, const struct cluster_task *task) {
    size_t cursor = 0;
    for (const struct cluster_task *other; (other = map_next(&c->truth.tasks, &cursor)) != NULL;) {
        if (share_slot(task, other)) {
            cluster_break(c, "two tasks of slot %lld of %s are to run: %s and %s", (long long)task->slot,
                          task->service_id.text, task->id.text, other->id.text);
        }
    }
}

static bool is_of_node(const struct cluster_sim *c, const char *who, const struct id *node_id) {
    for (unsigned i = 0; i < c->count; i++) {
        if (str_equal(who + strlen("node:"), c->managers[i].name)) {
            return id_equal(&c->managers[i].node_id, node_id);
        }
    }
    return false;
}

static void check_change(struct cluster_sim *c, const struct cluster_task *was,
                         const struct cluster_task *now, const struct event *event) {
    if (str_starts(event->who, "node:") && !is_of_node(c, event->who, &was->node_id)) {
        cluster_break(c, "task %s is reported by %s", now->id.text, event->who);
    } else if (now->state < was->state) {
        cluster_break(c, "task %s falls from %s to %s", now->id.text, task_state_name(was->state),
                      task_state_name(now->state));
    } else if (was->desired > TASK_RUNNING && now->desired < was->desired) {
        cluster_break(c, "the desired state of task %s falls", now->id.text);
    } else if (was->state >= TASK_ASSIGNED && !id_equal(&was->node_id, &now->node_id)) {
        cluster_break(c, "task %s moves to another node", now->id.text);
    }
}

static void see_task(struct cluster_sim *c, const struct event *event) {
    struct cluster_task *was = map_get(&c->truth.tasks, event->id.text);
    if (event->to.len == 0) {
        cluster_note(c, "%lld: task %.6s is gone", (long long)event->revision, event->id.text);
        xfree(map_remove(&c->truth.tasks, event->id.text));
        return;
    }
    AUTO_ARENA arena = arena_make(0);
    struct task task;
    if (wire_decode(&task_schema, event->to, &task, &arena, NULL) < 0) {
        cluster_break(c, "task %s cannot be read", event->id.text);
        return;
    }
    struct cluster_task now = {.id = event->id,
                               .service_id = task.service_id,
                               .node_id = task.node_id,
                               .slot = task.slot,
                               .desired = task.desired,
                               .state = task.status.state};
    cluster_note(c, "%lld: task %.6s of %.6s, slot %lld on %.6s: %s, wanted %s, by %s: %s",
                 (long long)event->revision, now.id.text, now.service_id.text, (long long)now.slot,
                 now.node_id.text, task_state_name(now.state), task_state_name(now.desired), event->who,
                 event->why);
    if (was == NULL) {
        was = NEW(struct cluster_task);
        *was = now;
        map_put(&c->truth.tasks, was->id.text, was);
    } else {
        check_change(c, was, &now, event);
        *was = now;
    }
    check_slot(c, was);
}

// What happened between the last entry that was known and what this manager has applied.
static void see_events(struct cluster_manager *m, struct store_read *read) {
    struct cluster_sim *c = m->sim;
    AUTO_ARENA arena = arena_make(0);
    for (size_t count = 1; count > 0 && !cluster_is_broken(c);) {
        struct events events = {0};
        arena_clear(&arena);
        int rc = store_history(read, &c->truth.position, 0, EVENTS_MAX, 16 * MIB, &arena, &events, &c->err);
        if (rc != 0) {
            cluster_break(c, "%s: the history cannot be read (%d)", m->name, rc);
            return;
        }
        count = events.count;
        for (size_t i = 0; i < count; i++) {
            const struct event *event = &events.items[i];
            if (event->kind == KIND_CONFIG) {
                see_key(c, event);
            } else if (event->kind == KIND_TASK) {
                see_task(c, event);
            }
        }
    }
}

static void see_entries(struct cluster_manager *m, uint64_t applied) {
    struct cluster_sim *c = m->sim;
    struct store_read *read;
    int rc = store_read_begin(m->store, &read, &c->err);
    ASSERT(rc == 0);
    for (uint64_t index = m->seen_applied + 1; index <= applied && !cluster_is_broken(c); index++) {
        see_entry(m, read, index);
    }
    if (applied > c->truth.last) {
        c->truth.last = applied;
        see_events(m, read);
    }
    store_read_end(read);
}

// --- stores ---

static uint64_t digest_of(struct cluster_manager *m) {
    struct cluster_sim *c = m->sim;
    struct store_read *read;
    uint64_t digest = 0;
    int rc = store_read_begin(m->store, &read, &c->err);
    rc = rc < 0 ? rc : store_digest(read, &digest, &c->err);
    if (rc < 0) {
        char text[512];
        cluster_break(c, "%s: %s", m->name, error_text(&c->err, text, sizeof text));
    }
    store_read_end(read);
    return digest;
}

static void check_digest(struct cluster_manager *m, uint64_t applied) {
    struct cluster_sim *c = m->sim;
    uint64_t *known = &c->truth.digests[applied];
    uint64_t digest = digest_of(m);
    m->digest_index = applied;
    cluster_totals->digests++;
    if (*known != 0 && *known != digest) {
        cluster_break(c, "the store of %s differs at %llu from that of another", m->name,
                      (unsigned long long)applied);
    }
    *known = digest;
}

void cluster_check_manager(struct cluster_manager *m) {
    struct cluster_sim *c = m->sim;
    const struct replica *replica = m->replica;
    if (!replica->has_group) {
        return;
    }
    check_role(m);
    uint64_t applied = replica_applied(replica);
    bool is_installed = applied > m->seen_applied && store_local(m->store)->base_index == applied;
    if (applied > replica->raft.commit) {
        cluster_break(c, "%s applies %llu, and only %llu is committed", m->name, (unsigned long long)applied,
                      (unsigned long long)replica->raft.commit);
    }
    if (applied > m->seen_applied && !cluster_is_broken(c)) {
        see_entries(m, applied);
    }
    m->seen_applied = applied;
    if (is_installed) {
        cluster_totals->snapshots++;
        cluster_note(c, "%s has a snapshot at %llu", m->name, (unsigned long long)applied);
    }
    bool is_due = applied > 0 && applied % (uint64_t)c->knobs.pace.digest_interval == 0;
    if ((is_due || is_installed) && !replica->is_turn_open && m->digest_index != applied) {
        check_digest(m, applied);
    }
}

// --- now and then ---

static void check_requests(struct cluster_sim *c, const struct cluster_manager *m) {
    int64_t limit_ms = c->knobs.pace.proposal_ms + OVERDUE_MS;
    bool was_awake = cluster_manager_is_awake(m) && m->stopped_until_ms + limit_ms < c->now_ms;
    LIST_EACH(node, (struct list *)(uintptr_t)&m->requests) {
        const struct cluster_request *request = LIST_ENTRY(node, struct cluster_request, node);
        if (was_awake && request->is_taken && request->since_ms + limit_ms < c->now_ms) {
            cluster_break(c, "%s: a request has had no result for %lld s", m->name,
                          (long long)(c->now_ms - request->since_ms) / 1000);
        }
    }
}

void cluster_check_quiet(struct cluster_sim *c) {
    for (unsigned i = 0; i < c->count; i++) {
        const struct cluster_manager *m = &c->managers[i];
        if (fake_machine_counts(m->machine).second_starts > 0) {
            cluster_break(c, "%s: a task is started a second time", m->name);
        }
        if (m->replica != NULL && m->slow_until_ms + OVERDUE_MS < c->now_ms) {
            check_requests(c, m);
        }
    }
}

// --- after healing ---

static bool is_running(const struct cluster_task *task) {
    return task->desired == TASK_RUNNING && task->state == TASK_RUNNING;
}

static bool service_has_converged(struct cluster_sim *c, const struct service *service, struct buf *why) {
    bool is_global = service->spec.deploy.mode == MODE_GLOBAL;
    size_t wanted = is_global ? c->count : (size_t)service->spec.deploy.replicas, running = 0, others = 0;
    size_t cursor = 0;
    for (const struct cluster_task *task; (task = map_next(&c->truth.tasks, &cursor)) != NULL;) {
        if (id_equal(&task->service_id, &service->meta.id)) {
            running += is_running(task);
            others += !is_running(task) && !task_state_is_over(task->state);
        }
    }
    if (service->removing || running != wanted || others > 0) {
        buf_addf(why, "service %s%s: %zu of %zu run, %zu are neither running nor over", service->meta.name,
                 service->removing ? " (going)" : "", running, wanted, others);
        return false;
    }
    return true;
}

static bool services_have_converged(struct cluster_sim *c, const struct cluster_manager *m, struct buf *why) {
    AUTO_ARENA arena = arena_make(0);
    struct store_read *read;
    struct store_cursor cursor;
    struct id id;
    struct bytes bytes;
    bool is_fine = true;
    int rc = store_read_begin(m->store, &read, NULL);
    rc = rc < 0 ? rc : store_each_begin(read, STORE_ALL, KIND_SERVICE, NULL, &cursor, NULL);
    ASSERT(rc == 0);
    while (is_fine && store_each_next(&cursor, &id, &bytes, NULL) == 0) {
        struct service service;
        rc = wire_decode(&service_schema, bytes, &service, &arena, NULL);
        ASSERT(rc == 0);
        is_fine = service_has_converged(c, &service, why);
    }
    store_each_end(&cursor);
    store_read_end(read);
    return is_fine;
}

static bool machines_have_converged(struct cluster_sim *c, struct buf *why) {
    for (unsigned i = 0; i < c->count; i++) {
        struct cluster_manager *m = &c->managers[i];
        size_t wanted = 0, cursor = 0;
        for (const struct cluster_task *task; (task = map_next(&c->truth.tasks, &cursor)) != NULL;) {
            wanted += id_equal(&task->node_id, &m->node_id) && is_running(task);
        }
        size_t running = fake_machine_counts(m->machine).running;
        if (running != wanted) {
            buf_addf(why, "on %s run %zu tasks, not %zu", m->name, running, wanted);
            return false;
        }
    }
    return true;
}

static bool managers_agree(struct cluster_sim *c, const struct cluster_manager *leader, struct buf *why) {
    uint64_t last = leader->replica->raft.log.last_index;
    for (unsigned i = 0; i < c->count; i++) {
        const struct cluster_manager *m = &c->managers[i];
        bool is_there = m->replica != NULL && m->replica->has_group;
        if (!is_there || replica_applied(m->replica) != last || m->replica->is_turn_open ||
            m->replica->raft.log.last_index != last) {
            buf_addf(why, "%s has applied %llu, the last entry is %llu", m->name,
                     (unsigned long long)(is_there ? replica_applied(m->replica) : 0),
                     (unsigned long long)last);
            return false;
        }
    }
    return true;
}

static bool has_all_results(const struct cluster_sim *c, struct buf *why) {
    for (unsigned i = 0; i < c->count; i++) {
        const struct cluster_manager *m = &c->managers[i];
        if (m->replica == NULL || m->proposals.open.head.next != &m->proposals.open.head ||
            m->replica->queued > 0 || m->replica->read_count > 0) {
            buf_addf(why, "%s has proposals without a result", m->name);
            return false;
        }
    }
    return true;
}

bool cluster_has_converged(struct cluster_sim *c, struct buf *why) {
    const struct cluster_manager *leader = cluster_leader(c);
    buf_clear(why);
    if (leader == NULL) {
        buf_adds(why, "nobody leads");
        return false;
    }
    if (!cluster_operator_is_done(c)) {
        buf_adds(why, "not everybody is a voter");
        return false;
    }
    if (!cluster_clients_are_idle(c)) {
        buf_adds(why, "a client waits");
        return false;
    }
    return managers_agree(c, leader, why) && has_all_results(c, why) &&
           services_have_converged(c, leader, why) && machines_have_converged(c, why);
}

static void check_ops(struct cluster_sim *c) {
    for (size_t i = 0; i < c->op_count; i++) {
        const struct cluster_op *op = &c->ops[i];
        if (op->told != 0 && op->revision != op->told) {
            cluster_break(c, "%s: the write of operation %zu at %lld was acknowledged and is lost",
                          c->keys[op->key].name, i, (long long)op->told);
        }
    }
}

void cluster_check_end(struct cluster_sim *c) {
    uint64_t digest = 0;
    check_ops(c);
    for (unsigned i = 0; i < c->count && !cluster_is_broken(c); i++) {
        struct cluster_manager *m = &c->managers[i];
        uint64_t own = digest_of(m);
        if (digest != 0 && own != digest) {
            cluster_break(c, "at the end the store of %s differs", m->name);
        }
        digest = own;
    }
}
