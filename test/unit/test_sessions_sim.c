// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_sessions_sim.c — both ends of 50 sessions in one process, on virtual time from one seed: the
// registry of each of two managers, over one store, and the agents, joined by links that carry the encoded
// messages.
//
// Model        Links keep the order of what they carry, have little room, and break, which either side may
//              notice late. In every other seed they lose and repeat single messages too. Nodes die, or are
//              started anew; tasks come, are stopped and go; after a while the other manager leads, and some
//              agents cannot reach it for a time. Then all is left in peace.
// Checked      at every moment: nobody is down earlier or later than its silence says; what is acknowledged
//              is stored; no task is let go that the node should hold. In the end: each agent holds what
//              the store assigns to it, the store knows what each task came to, and who lives is heard.
// Repeating    SEED=n runs one; SEEDS=n runs the first n.
#include "test/lib/check.h"
#include "test/lib/store_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/str.h"
#include "reconciler/agent/session.h"
#include "reconciler/dispatch/sessions.h"
#include "specs/cluster.h"
#include "specs/node.h"

#define AGENTS 50
#define BIG_AGENTS 4 // hold so much that their sets take several parts
#define SEEDS_DEFAULT 8
#define STEP_MS 10
#define TROUBLE_MS 70000
#define END_MS 150000
#define LEAD_MS 30000    // when the other manager comes to lead
#define CUT_MS 20000     // for how long some agents cannot reach it
#define SILENCE_MS 15000 // 3 heartbeats
#define NEW_LEADER_MS 30000
#define EARLY_MS 200 // a registry knows the time of its last tick
#define LATE_MS 1000
#define SMALL 10
#define BIG 11
#define NEVER INT64_MAX

// --- the world ---

struct parcel {
    struct parcel *next;
    int64_t due_ms;
    uint16_t number;
    size_t len;
    uint8_t body[];
};
struct pipe {
    struct parcel *first, *last;
    int64_t busy_until_ms;
    size_t bytes;
};
enum side { AGENT_SIDE, MANAGER_SIDE };
// A link. A side that knows of its end takes no part in it any more.
struct wire {
    uint64_t number;
    int agent, manager;
    struct pipe to[2];
    bool is_over[2];
    int64_t notice_ms[2]; // when it will know; NEVER = it may go on
    bool is_up;           // the agent was told so
    int64_t up_ms;
    bool is_closing; // by the manager, once what is on its way is through
};

struct held {
    struct id id;
    int64_t desired, state, next_ms, sent_ms;
    bool is_unsent, is_acknowledged;
};

// In the order in which they came: what depends on a map's order does not repeat itself.
struct holding {
    size_t count, capacity;
    struct held *items;
};

struct agent_node {
    struct id node_id;
    struct session session;
    struct holding tasks;
    uint64_t wire; // 0 = none
    bool is_dead;
    int64_t cut_until_ms;
    struct arena managers_arena;
    struct strings managers; // as kept for the next start
    int64_t flush_ms;
};

struct manager {
    const char *address;
    struct sessions *sessions;
    bool leads, is_dead;
    int64_t lead_ms;
    int64_t heard_ms[AGENTS]; // -1 = not since it leads
    uint64_t taking;          // the wire of the last sessions_take…
    bool was_ended;           // and whether that ended it
    struct transaction *transaction;
    struct arena arena; // of it
    int64_t result_ms;
    int64_t compose_ms;
    int64_t revision; // that was routed
};

struct world {
    uint64_t seed;
    struct store_fixture store;
    struct prng prng;
    int64_t now_ms;
    bool is_lossy, is_quiet;
    struct agent_node agents[AGENTS];
    struct manager managers[2];
    struct wire *wires;
    size_t wire_count, wire_capacity;
    uint64_t last_wire;
    unsigned last_task;
    struct holding live; // tasks, for the operator
    size_t releases, sets, downs, acknowledged, refused;
};

#define BREAK(w, ...)                                                                                        \
    do {                                                                                                     \
        fprintf(stderr, "SEED=%llu at %lld ms: ", (unsigned long long)(w)->seed, (long long)(w)->now_ms);    \
        fprintf(stderr, __VA_ARGS__);                                                                        \
        fprintf(stderr, "\n");                                                                               \
        abort();                                                                                             \
    } while (0)

static int64_t between(struct world *w, int64_t low, int64_t high) {
    return low + (int64_t)prng_below(&w->prng, (uint64_t)(high - low) + 1);
}

static bool chance(struct world *w, unsigned permille) {
    return prng_below(&w->prng, 1000) < permille;
}

static struct held *find_held(const struct holding *holding, const struct id *id) {
    for (size_t i = 0; i < holding->count; i++) {
        if (id_equal(&holding->items[i].id, id)) {
            return &holding->items[i];
        }
    }
    return NULL;
}

static struct held *add_held(struct holding *holding, const struct id *id) {
    if (holding->count == holding->capacity) {
        holding->capacity = holding->capacity == 0 ? 8 : 2 * holding->capacity;
        holding->items = xrealloc(holding->items, holding->capacity * sizeof *holding->items);
    }
    struct held *held = &holding->items[holding->count++];
    *held = (struct held){.id = *id};
    return held;
}

static void drop_held(struct holding *holding, const struct held *held) {
    size_t at = (size_t)(held - holding->items);
    memmove(&holding->items[at], &holding->items[at + 1], (--holding->count - at) * sizeof *held);
}

// --- the store ---

static int put(struct world *w, enum change_op op, enum object_kind kind, const void *object) {
    AUTO_BUF bytes = {0};
    wire_encode(object_schema(kind), object, &bytes);
    struct store_object stored = {kind, object_meta_const(object)->id, buf_bytes(&bytes)};
    return store_try(&w->store, op, stored, 0).code;
}

// False: it is not there. In the arena.
static bool find_task(struct world *w, const struct id *id, struct arena *arena, struct task **out) {
    struct store_read *read = store_begin_read(&w->store);
    void *object = NULL;
    int rc = store_load(read, KIND_TASK, id, arena, &object, NULL);
    *out = rc == 0 ? schema_copy(&task_schema, object, arena) : NULL;
    store_read_end(read);
    return rc == 0;
}

static void put_service(struct world *w, unsigned number, const char *name, size_t bytes) {
    AUTO_ARENA arena = {0};
    struct service service;
    schema_init(&service_schema, &service);
    service.meta.id = store_id(number);
    service.meta.name = service.spec.name = name;
    service.spec.image = "busybox";
    service.revision = 1;
    char *text = arena_alloc(&arena, bytes + 1);
    memset(text, 'x', bytes);
    service.spec.labels = pairs_set(&arena, &service.spec.labels, "much", text);
    ASSERT(put(w, CHANGE_CREATE, KIND_SERVICE, &service) == 0);
}

static void put_node(struct world *w, int number) {
    char name[16];
    struct node node;
    schema_init(&node_schema, &node);
    snprintf(name, sizeof name, "n%d", number);
    node.meta.id = w->agents[number].node_id;
    node.meta.name = node.spec.name = name;
    ASSERT(put(w, CHANGE_CREATE, KIND_NODE, &node) == 0);
}

static void add_task(struct world *w, int node) {
    struct task task;
    schema_init(&task_schema, &task);
    task.meta.id = store_id(1000 + w->last_task++);
    task.service_id = store_id(node < BIG_AGENTS ? BIG : SMALL);
    task.node_id = w->agents[node].node_id;
    task.slot = w->last_task;
    task.revision = 1;
    task.desired = TASK_RUNNING;
    task.status.state = TASK_ASSIGNED;
    ASSERT(put(w, CHANGE_CREATE, KIND_TASK, &task) == 0);
    add_held(&w->live, &task.meta.id);
}

// What managers do to tasks.
static void operate(struct world *w) {
    AUTO_ARENA arena = {0};
    struct task *task;
    if (w->live.count == 0 || chance(w, 500)) {
        add_task(w, chance(w, 200) ? (int)between(w, 0, BIG_AGENTS - 1) : (int)between(w, 0, AGENTS - 1));
        return;
    }
    const struct held *live = &w->live.items[prng_below(&w->prng, w->live.count)];
    ASSERT(find_task(w, &live->id, &arena, &task));
    if (task->desired == TASK_RUNNING) {
        task->desired = TASK_SHUTDOWN;
        ASSERT(put(w, CHANGE_UPDATE, KIND_TASK, task) == 0);
    } else {
        ASSERT(put(w, CHANGE_DELETE, KIND_TASK, task) == 0);
        drop_held(&w->live, live);
    }
}

// --- wires ---

static struct wire *find_wire(struct world *w, uint64_t number) {
    for (size_t i = 0; i < w->wire_count; i++) {
        if (w->wires[i].number == number) {
            return &w->wires[i];
        }
    }
    return NULL;
}

static void pipe_clear(struct pipe *pipe) {
    for (struct parcel *parcel; (parcel = pipe->first) != NULL;) {
        pipe->first = parcel->next;
        xfree(parcel);
    }
    *pipe = (struct pipe){0};
}

static void pipe_put(struct world *w, struct pipe *pipe, uint16_t number, struct bytes body) {
    struct parcel *parcel = xmalloc(sizeof *parcel + body.len + 1);
    int64_t sent_ms = w->now_ms > pipe->busy_until_ms ? w->now_ms : pipe->busy_until_ms;
    *parcel = (struct parcel){
        .due_ms = sent_ms + between(w, 1, 20) + (int64_t)body.len / 2000, .number = number, .len = body.len};
    if (body.len > 0) {
        memcpy(parcel->body, body.data, body.len);
    }
    pipe->busy_until_ms = parcel->due_ms;
    *(pipe->first == NULL ? &pipe->first : &pipe->last->next) = parcel;
    pipe->last = parcel;
    pipe->bytes += body.len;
}

static bool wire_send(struct world *w, struct wire *wire, enum side to, uint16_t number, struct bytes body) {
    struct pipe *pipe = &wire->to[to];
    ASSERT(body.len <= message_row(number)->bytes_max);
    if (wire->is_over[1 - to] || wire->is_closing || (pipe->bytes > 0 && pipe->bytes + body.len > 300000)) {
        return false;
    }
    if (w->is_lossy && !w->is_quiet && chance(w, 20)) {
        return true; // and nobody will see it
    }
    pipe_put(w, pipe, number, body);
    if (w->is_lossy && !w->is_quiet && chance(w, 20)) {
        pipe_put(w, pipe, number, body);
    }
    return true;
}

// One side ends it; the other will know after a while.
static void wire_end(struct world *w, struct wire *wire, enum side side, int64_t notice_ms) {
    wire->is_over[side] = true;
    if (wire->notice_ms[1 - side] == NEVER) {
        wire->notice_ms[1 - side] = w->now_ms + notice_ms;
    }
}

static void break_wire(struct world *w, struct wire *wire) {
    for (int side = 0; side < 2; side++) { // a manager may not notice for as long as that is quiet
        wire->notice_ms[side] = w->now_ms + (chance(w, 500) ? 0 : between(w, 0, 20000));
    }
}

// --- agents ---

static void step_agent(struct world *w, int number, const struct session_event *event);

static void let_go(struct world *w, const struct agent_node *agent, const struct id *id) {
    AUTO_ARENA arena = {0};
    struct task *task;
    w->releases++;
    if (find_task(w, id, &arena, &task)) {
        BREAK(w, "node %s lets task %s go, which it should hold", agent->node_id.text, id->text);
    }
}

static void hold(struct world *w, struct agent_node *agent, const struct task *task) {
    struct held *held = find_held(&agent->tasks, &task->meta.id);
    if (held == NULL) {
        held = add_held(&agent->tasks, &task->meta.id);
        held->state = task->status.state;
        held->is_acknowledged = true;
    }
    held->desired = task->desired;
    held->next_ms = w->now_ms + between(w, 100, 2000);
}

static void take_set(struct world *w, struct agent_node *agent, const struct session_actions *did) {
    struct holding before = agent->tasks;
    agent->tasks = (struct holding){0};
    w->sets++;
    for (size_t i = 0; i < did->changed.count; i++) {
        const struct task *task = &did->changed.items[i].task;
        struct held *held = find_held(&before, &task->meta.id);
        if (held != NULL) {
            *add_held(&agent->tasks, &held->id) = *held;
            drop_held(&before, held);
        }
        hold(w, agent, task);
    }
    for (size_t i = 0; i < before.count; i++) {
        let_go(w, agent, &before.items[i].id);
    }
    xfree(before.items);
}

static void take_step(struct world *w, struct agent_node *agent, const struct session_actions *did) {
    if (did->is_complete) {
        take_set(w, agent, did);
        return;
    }
    for (size_t i = 0; i < did->changed.count; i++) {
        hold(w, agent, &did->changed.items[i].task);
    }
    for (size_t i = 0; i < did->removed.count; i++) {
        struct held *held = find_held(&agent->tasks, &did->removed.items[i]);
        if (held != NULL) {
            let_go(w, agent, &held->id);
            drop_held(&agent->tasks, held);
        }
    }
}

static void take_acknowledgements(struct world *w, struct agent_node *agent,
                                  const struct session_actions *did) {
    for (size_t i = 0; i < did->stored.count; i++) {
        AUTO_ARENA arena = {0};
        const struct session_stored *stored = &did->stored.items[i];
        struct held *held = find_held(&agent->tasks, &stored->task_id);
        struct task *task;
        if (find_task(w, &stored->task_id, &arena, &task) && task->status.state < stored->state) {
            BREAK(w, "state %lld of task %s is acknowledged; %lld is stored", (long long)stored->state,
                  stored->task_id.text, (long long)task->status.state);
        }
        if (held != NULL && stored->state >= held->state && !held->is_unsent) {
            held->is_acknowledged = true;
            w->acknowledged++;
        }
    }
}

static void say_all_again(struct agent_node *agent) {
    for (size_t i = 0; i < agent->tasks.count; i++) {
        agent->tasks.items[i].is_unsent |= !agent->tasks.items[i].is_acknowledged;
    }
}

static struct wire *wire_new(struct world *w, int agent, int manager) {
    if (w->wire_count == w->wire_capacity) {
        w->wire_capacity = w->wire_capacity == 0 ? 64 : 2 * w->wire_capacity;
        w->wires = xrealloc(w->wires, w->wire_capacity * sizeof *w->wires);
    }
    struct wire *wire = &w->wires[w->wire_count++];
    *wire = (struct wire){.number = ++w->last_wire,
                          .agent = agent,
                          .manager = manager,
                          .notice_ms = {NEVER, NEVER},
                          .up_ms = w->now_ms + between(w, 5, 100)};
    return wire;
}

static void dial(struct world *w, int number, const char *address) {
    struct agent_node *agent = &w->agents[number];
    int manager = str_equal(address, w->managers[1].address) ? 1 : 0;
    struct wire *wire = wire_new(w, number, manager);
    agent->wire = wire->number;
    if (w->managers[manager].is_dead || agent->cut_until_ms > w->now_ms) {
        wire->is_over[MANAGER_SIDE] = true; // there is nobody at the other end
        wire->up_ms = NEVER;
        wire->notice_ms[AGENT_SIDE] = w->now_ms + between(w, 1, 3000);
    }
}

static void keep_managers(struct agent_node *agent) {
    AUTO_ARENA arena = {0};
    struct strings managers = session_managers(&agent->session, &arena);
    arena_clear(&agent->managers_arena);
    agent->managers = (struct strings){0};
    for (size_t i = 0; i < managers.count; i++) {
        const char *address = arena_strdup(&agent->managers_arena, managers.items[i]);
        *ARENA_PUSH(&agent->managers_arena, &agent->managers) = address;
    }
}

static void act(struct world *w, int number, const struct session_actions *did) {
    struct agent_node *agent = &w->agents[number];
    struct wire *wire = find_wire(w, agent->wire);
    if (did->hang_up) {
        if (wire != NULL) {
            wire_end(w, wire, AGENT_SIDE, chance(w, 500) ? 0 : between(w, 0, 20000));
        }
        agent->wire = 0;
    }
    if (did->dial != NULL) {
        dial(w, number, did->dial);
    }
    for (size_t i = 0; i < did->messages.count; i++) {
        if (wire != NULL) {
            (void)wire_send(w, wire, MANAGER_SIDE, did->messages.items[i].number,
                            did->messages.items[i].body);
        }
    }
    if (did->is_opened) {
        say_all_again(agent);
    }
    if (did->has_step) {
        take_step(w, agent, did);
    }
    take_acknowledgements(w, agent, did);
    if (did->keep_managers) {
        keep_managers(agent);
    }
}

static void step_agent(struct world *w, int number, const struct session_event *event) {
    AUTO_ARENA arena = {0};
    struct session_actions did;
    session_step(&w->agents[number].session, event, w->now_ms, &w->prng, &arena, &did);
    act(w, number, &did);
}

// Tasks go their way.
static void work(struct world *w, struct held *held) {
    if (held->next_ms > w->now_ms || held->state >= TASK_COMPLETE) {
        return;
    }
    int64_t before = held->state;
    if (held->desired >= TASK_SHUTDOWN) {
        held->state = TASK_SHUTDOWN;
    } else if (held->state < TASK_RUNNING) {
        held->state = held->state < TASK_PREPARING ? TASK_PREPARING : TASK_RUNNING;
    }
    held->next_ms = w->now_ms + between(w, 100, 2000);
    if (held->state != before) {
        held->is_unsent = true;
        held->is_acknowledged = false;
    }
}

static void flush(struct world *w, int number) {
    AUTO_ARENA arena = {0};
    struct agent_node *agent = &w->agents[number];
    LIST_OF(struct task_report) reports = {0};
    agent->flush_ms = w->now_ms + 100;
    for (size_t i = 0; i < agent->tasks.count; i++) {
        struct held *held = &agent->tasks.items[i];
        work(w, held);
        if (held->is_unsent || (!held->is_acknowledged && w->now_ms - held->sent_ms > 5000)) {
            struct task_report *report = ARENA_PUSH(&arena, &reports);
            schema_init(&task_report_schema, report);
            report->task_id = held->id;
            report->status.state = held->state;
            held->is_unsent = false;
            held->sent_ms = w->now_ms;
        }
    }
    struct session_event event = {.kind = SESSION_ON_REPORTS};
    event.reports.count = reports.count;
    event.reports.items = reports.items;
    step_agent(w, number, &event);
}

static void start_agent(struct world *w, int number) {
    struct agent_node *agent = &w->agents[number];
    struct id cluster = store_id(5);
    char name[16];
    struct node_description description;
    schema_init(&node_description_schema, &description);
    snprintf(name, sizeof name, "h%d", number);
    description.hostname = name;
    session_init(&agent->session, &cluster, &agent->node_id, &agent->managers, w->now_ms);
    step_agent(w, number,
               &(struct session_event){.kind = SESSION_ON_DESCRIPTION, .description = &description});
}

static void restart_agent(struct world *w, int number) {
    struct agent_node *agent = &w->agents[number];
    struct wire *wire = find_wire(w, agent->wire);
    if (wire != NULL) {
        wire_end(w, wire, AGENT_SIDE, between(w, 0, 20000));
    }
    agent->wire = 0;
    session_deinit(&agent->session);
    start_agent(w, number);
}

static void kill_agent(struct world *w, int number) {
    struct wire *wire = find_wire(w, w->agents[number].wire);
    w->agents[number].is_dead = true;
    if (wire != NULL) {
        wire_end(w, wire, AGENT_SIDE, chance(w, 500) ? 0 : 100000);
    }
}

// --- managers ---

static struct manager *leader_of(struct world *w) {
    return w->managers[0].leads ? &w->managers[0] : w->managers[1].leads ? &w->managers[1] : NULL;
}

// Callbacks know the world and which manager they are of.
struct place {
    struct world *world;
    int manager;
} places[2];

static bool on_send(void *context, uint64_t link, uint16_t number, struct bytes body) {
    const struct place *place = context;
    struct manager *manager = &place->world->managers[place->manager];
    struct wire *wire = find_wire(place->world, link);
    manager->was_ended |=
        link == manager->taking && (number == MESSAGE_SESSION_END || number == MESSAGE_SESSION_REDIRECT);
    return wire != NULL && wire_send(place->world, wire, AGENT_SIDE, number, body);
}

static void on_close(void *context, uint64_t link) {
    const struct place *place = context;
    struct wire *wire = find_wire(place->world, link);
    if (wire != NULL) {
        wire->is_closing = true;
        wire->is_over[MANAGER_SIDE] = true;
    }
}

static void start_manager(struct world *w, int number, const char *address) {
    struct manager *manager = &w->managers[number];
    static const char *addresses[] = {"m0:1", "m1:1"};
    places[number] = (struct place){w, number};
    manager->address = address;
    manager->sessions = sessions_new(&(struct sessions_options){
        .cluster_id = store_id(5), .prng = &w->prng, .callbacks = {on_send, on_close, &places[number]}});
    sessions_set_managers(manager->sessions, &(struct strings){2, addresses});
}

static void lead(struct world *w, int number) {
    struct manager *manager = &w->managers[number];
    sessions_lead(manager->sessions);
    manager->leads = true;
    manager->lead_ms = w->now_ms;
    manager->revision = 0;
    for (int i = 0; i < AGENTS; i++) {
        manager->heard_ms[i] = -1;
    }
}

// The result of what it proposed.
static void end_proposal(struct world *w, struct manager *manager) {
    bool is_lost = chance(w, manager->leads ? 50 : 500); // the next leader does not have it
    w->store.transaction = *manager->transaction;
    w->store.transaction.who = "system:agents";
    w->store.transaction.why = "status of tasks";
    w->store.transaction.time_unix_ms = 1700000000000 + w->now_ms;
    if (!is_lost && store_send(&w->store).code == 0) {
        sessions_stored(manager->sessions);
    } else {
        w->refused++;
        w->store.transaction = (struct transaction){0};
        sessions_refused(manager->sessions);
    }
    arena_free(&manager->arena);
    manager->transaction = NULL;
}

static void propose(struct world *w, struct manager *manager) {
    struct transaction *transaction = ARENA_NEW(&manager->arena, struct transaction);
    struct store_read *read = store_begin_read(&w->store);
    schema_init(&transaction_schema, transaction);
    ASSERT(sessions_compose(manager->sessions, read, &manager->arena, transaction, NULL) == 0);
    store_read_end(read);
    manager->compose_ms = w->now_ms + 100;
    if (transaction->changes.count == 0) {
        arena_free(&manager->arena);
        return;
    }
    manager->transaction = transaction;
    manager->result_ms = w->now_ms + between(w, 10, 100);
}

static void turn(struct world *w, struct manager *manager) {
    if (manager->sessions == NULL) {
        return;
    }
    if (w->now_ms % 100 == 0) {
        sessions_tick(manager->sessions, w->now_ms);
    }
    if (manager->transaction != NULL && manager->result_ms <= w->now_ms) {
        end_proposal(w, manager);
    }
    if (!manager->leads) {
        return;
    }
    int64_t revision = store_revision(w->store.store);
    if (revision != manager->revision || sessions_has_work(manager->sessions)) {
        struct store_read *read = store_begin_read(&w->store);
        ASSERT(sessions_step(manager->sessions, read, NULL) == 0);
        store_read_end(read);
        manager->revision = revision;
    }
    if (manager->transaction == NULL && manager->compose_ms <= w->now_ms &&
        sessions_has_news(manager->sessions)) {
        propose(w, manager);
    }
}

// --- what arrives ---

static void arrive_at_agent(struct world *w, const struct wire *wire, const struct parcel *parcel) {
    struct agent_node *agent = &w->agents[wire->agent];
    if (!agent->is_dead && agent->wire == wire->number) {
        step_agent(w, wire->agent,
                   &(struct session_event){.kind = SESSION_ON_MESSAGE,
                                           .number = parcel->number,
                                           .body = {parcel->body, parcel->len}});
    }
}

static void arrive_at_manager(struct world *w, const struct wire *wire, const struct parcel *parcel) {
    struct manager *manager = &w->managers[wire->manager];
    int agent = wire->agent;
    if (manager->sessions == NULL) {
        return;
    }
    manager->was_ended = false;
    manager->taking = wire->number;
    sessions_take(manager->sessions, wire->number, &w->agents[agent].node_id, parcel->number,
                  (struct bytes){parcel->body, parcel->len});
    if (manager->leads && !manager->was_ended) {
        manager->heard_ms[agent] = w->now_ms;
    }
}

// Wires may be added meanwhile: they move.
static void deliver(struct world *w, size_t at, enum side side) {
    while (w->wires[at].to[side].first != NULL && w->wires[at].to[side].first->due_ms <= w->now_ms) {
        struct pipe *pipe = &w->wires[at].to[side];
        struct parcel *parcel = pipe->first;
        pipe->first = parcel->next;
        pipe->bytes -= parcel->len;
        struct wire wire = w->wires[at];
        if (!wire.is_over[side] && side == AGENT_SIDE) {
            arrive_at_agent(w, &wire, parcel);
        } else if (!wire.is_over[side]) {
            arrive_at_manager(w, &wire, parcel);
        }
        xfree(parcel);
        if (side == AGENT_SIDE && !wire.is_over[MANAGER_SIDE] && w->managers[wire.manager].sessions != NULL) {
            sessions_link_writable(w->managers[wire.manager].sessions, wire.number);
        }
    }
}

static void notice(struct world *w, size_t at, enum side side) {
    struct wire wire = w->wires[at];
    w->wires[at].is_over[side] = true;
    struct agent_node *agent = &w->agents[wire.agent];
    if (side == MANAGER_SIDE && w->managers[wire.manager].sessions != NULL) {
        sessions_link_down(w->managers[wire.manager].sessions, wire.number);
    } else if (side == AGENT_SIDE && agent->wire == wire.number && !agent->is_dead) {
        agent->wire = 0;
        step_agent(w, wire.agent, &(struct session_event){.kind = SESSION_ON_LINK_DOWN, .text = "link lost"});
    }
}

static void run_wire(struct world *w, size_t at) {
    struct wire *wire = &w->wires[at];
    if (!wire->is_up && !wire->is_over[AGENT_SIDE] && wire->up_ms <= w->now_ms) {
        wire->is_up = true;
        step_agent(w, wire->agent, &(struct session_event){.kind = SESSION_ON_CONNECTED});
    }
    deliver(w, at, AGENT_SIDE);
    deliver(w, at, MANAGER_SIDE);
    wire = &w->wires[at];
    if (wire->is_closing && wire->to[AGENT_SIDE].first == NULL && wire->notice_ms[AGENT_SIDE] == NEVER) {
        wire->notice_ms[AGENT_SIDE] = w->now_ms;
    }
    for (enum side side = AGENT_SIDE; side <= MANAGER_SIDE; side++) {
        if (!w->wires[at].is_over[side] && w->wires[at].notice_ms[side] <= w->now_ms) {
            notice(w, at, side);
        }
    }
}

static void sweep_wires(struct world *w) {
    for (size_t i = 0; i < w->wire_count;) {
        struct wire *wire = &w->wires[i];
        if (wire->is_over[0] && wire->is_over[1]) {
            pipe_clear(&wire->to[0]);
            pipe_clear(&wire->to[1]);
            *wire = w->wires[--w->wire_count];
        } else {
            i++;
        }
    }
}

// --- trouble ---

static void change_leader(struct world *w) {
    struct manager *old = &w->managers[0];
    if (old->leads && w->now_ms >= LEAD_MS - 2000) {
        old->leads = false;
        if (chance(w, 500)) {
            sessions_follow(old->sessions, "");
        } else {
            old->is_dead = true;
            sessions_free(TAKE(old->sessions));
            old->transaction = NULL;
            arena_free(&old->arena);
            for (size_t i = 0; i < w->wire_count; i++) {
                if (w->wires[i].manager == 0) {
                    wire_end(w, &w->wires[i], MANAGER_SIDE, chance(w, 700) ? 0 : 100000);
                }
            }
        }
        sessions_follow(w->managers[1].sessions, "");
        for (int i = 0; i < AGENTS; i += 5) {
            w->agents[i].cut_until_ms = LEAD_MS + CUT_MS;
        }
    }
    if (!w->managers[1].leads && w->now_ms >= LEAD_MS) {
        lead(w, 1);
        if (!old->is_dead) {
            sessions_follow(old->sessions, w->managers[1].address);
        }
    }
}

static void trouble(struct world *w) {
    change_leader(w);
    if (w->is_quiet) {
        return;
    }
    if (w->now_ms % 200 == 0) {
        operate(w);
    }
    if (chance(w, 5) && w->wire_count > 0) {
        break_wire(w, &w->wires[prng_below(&w->prng, w->wire_count)]);
    }
    int victim = (int)between(w, 0, AGENTS - 1);
    if (w->now_ms % 5000 == 0 && !w->agents[victim].is_dead) {
        if (w->now_ms % 20000 == 0) {
            kill_agent(w, victim);
        } else {
            restart_agent(w, victim);
        }
    }
}

// --- what must hold ---

static void check_presence(struct world *w) {
    const struct manager *leader = leader_of(w);
    if (leader == NULL || w->now_ms % 100 != 0) {
        return;
    }
    for (int i = 0; i < AGENTS; i++) {
        int64_t silent_ms, heard_ms = leader->heard_ms[i];
        int64_t due_ms = heard_ms < 0 ? leader->lead_ms + NEW_LEADER_MS : heard_ms + SILENCE_MS;
        bool is_down = sessions_presence(leader->sessions, &w->agents[i].node_id, &silent_ms) == SESSION_DOWN;
        w->downs += is_down;
        if (is_down && w->now_ms < due_ms - EARLY_MS) {
            BREAK(w, "node %d is down %lld ms before its time", i, (long long)(due_ms - w->now_ms));
        }
        if (!is_down && w->now_ms > due_ms + LATE_MS) {
            BREAK(w, "node %d is not down %lld ms after its time", i, (long long)(w->now_ms - due_ms));
        }
    }
}

static void check_task(struct world *w, const struct id *id, const struct task *task, size_t *held_counts) {
    for (int i = 0; i < AGENTS; i++) {
        struct agent_node *agent = &w->agents[i];
        if (agent->is_dead || !id_equal(&task->node_id, &agent->node_id)) {
            continue;
        }
        const struct held *held = find_held(&agent->tasks, id);
        if (held == NULL) {
            BREAK(w, "node %d does not hold task %s", i, id->text);
        }
        if (held->desired != task->desired) {
            BREAK(w, "node %d does not know what is wanted of task %s", i, id->text);
        }
        if (held->state != task->status.state) {
            BREAK(w, "task %s is in state %lld; %lld is stored", id->text, (long long)held->state,
                  (long long)task->status.state);
        }
        held_counts[i]++;
    }
}

static void check_end(struct world *w) {
    const struct manager *leader = leader_of(w);
    struct store_read *read = store_begin_read(&w->store);
    struct store_cursor cursor;
    struct id id;
    struct bytes bytes;
    size_t held_counts[AGENTS] = {0};
    ASSERT(store_each_begin(read, STORE_ALL, KIND_TASK, NULL, &cursor, NULL) == 0);
    while (store_each_next(&cursor, &id, &bytes, NULL) == 0) {
        AUTO_ARENA arena = {0};
        struct task task;
        ASSERT(wire_decode(&task_schema, bytes, &task, &arena, NULL) == 0);
        check_task(w, &id, &task, held_counts);
    }
    store_each_end(&cursor);
    for (int i = 0; i < AGENTS; i++) {
        int64_t silent_ms;
        const struct agent_node *agent = &w->agents[i];
        bool is_heard = sessions_presence(leader->sessions, &agent->node_id, &silent_ms) == SESSION_HEARD;
        void *node;
        AUTO_ARENA arena = {0};
        if (is_heard == agent->is_dead) {
            BREAK(w, "node %d lives and is not heard, or the other way round", i);
        }
        if (!agent->is_dead && agent->tasks.count != held_counts[i]) {
            BREAK(w, "node %d holds %zu tasks; %zu are its", i, agent->tasks.count, held_counts[i]);
        }
        ASSERT(store_load(read, KIND_NODE, &agent->node_id, &arena, &node, NULL) == 0);
        if (!agent->is_dead && ((struct node *)node)->description.hostname[0] != 'h') {
            BREAK(w, "what node %d says of itself is not stored", i);
        }
    }
    store_read_end(read);
}

// --- a run ---

static void begin(struct world *w, uint64_t seed) {
    *w = (struct world){.seed = seed, .is_lossy = seed % 2 == 1};
    prng_seed(&w->prng, seed);
    store_fixture_begin(&w->store, NULL);
    struct cluster cluster;
    schema_init(&cluster_schema, &cluster);
    cluster.meta.id = store_id(5);
    cluster.meta.name = "default";
    ASSERT(put(w, CHANGE_CREATE, KIND_CLUSTER, &cluster) == 0);
    put_service(w, SMALL, "small", 10);
    put_service(w, BIG, "big", 60000);
    start_manager(w, 0, "m0:1");
    start_manager(w, 1, "m1:1");
    sessions_follow(w->managers[1].sessions, w->managers[0].address);
    for (int i = 0; i < AGENTS; i++) {
        static const char *first[] = {"m1:1"}; // it will be led on
        struct agent_node *agent = &w->agents[i];
        agent->node_id = store_id(100 + (unsigned)i);
        agent->managers = (struct strings){1, first};
        put_node(w, i);
        for (int j = 0; j < (i < BIG_AGENTS ? 6 : 2); j++) {
            add_task(w, i);
        }
        start_agent(w, i);
    }
    lead(w, 0);
}

static void end(struct world *w) {
    for (int i = 0; i < AGENTS; i++) {
        xfree(w->agents[i].tasks.items);
        session_deinit(&w->agents[i].session);
        arena_free(&w->agents[i].managers_arena);
    }
    xfree(w->live.items);
    for (int i = 0; i < 2; i++) {
        sessions_free(w->managers[i].sessions);
        arena_free(&w->managers[i].arena);
    }
    for (size_t i = 0; i < w->wire_count; i++) {
        pipe_clear(&w->wires[i].to[0]);
        pipe_clear(&w->wires[i].to[1]);
    }
    xfree(w->wires);
    store_fixture_end(&w->store);
}

static void run_step(struct world *w) {
    w->is_quiet = w->now_ms >= TROUBLE_MS;
    trouble(w);
    for (size_t i = 0; i < w->wire_count; i++) {
        run_wire(w, i);
    }
    sweep_wires(w);
    for (int i = 0; i < AGENTS; i++) {
        if (w->agents[i].is_dead) {
            continue;
        }
        if (session_wake_ms(&w->agents[i].session) <= w->now_ms) {
            step_agent(w, i, &(struct session_event){.kind = SESSION_ON_TIME});
        }
        if (w->agents[i].flush_ms <= w->now_ms) {
            flush(w, i);
        }
    }
    turn(w, &w->managers[0]);
    turn(w, &w->managers[1]);
    check_presence(w);
}

static void run(uint64_t seed) {
    struct world *w = NEW(struct world);
    begin(w, seed);
    for (; w->now_ms < END_MS; w->now_ms += STEP_MS) {
        run_step(w);
    }
    check_end(w);
    print_message("seed %llu: %zu sets, %zu tasks let go, %zu times down, %zu reports acknowledged, %zu "
                  "transactions refused\n",
                  (unsigned long long)seed, w->sets, w->releases, w->downs, w->acknowledged, w->refused);
    assert_true(w->sets > AGENTS && w->releases > 0 && w->downs > 0 && w->acknowledged > 0);
    end(w);
    xfree(w);
}

static void agents_hold_what_is_assigned_and_nobody_is_called_down_who_is_heard(void **state) {
    (void)state;
    const char *one = getenv("SEED"), *many = getenv("SEEDS");
    int64_t first = 1, count = SEEDS_DEFAULT;
    if (one != NULL) {
        assert_true(str_to_int(one, &first));
        count = 1;
    } else if (many != NULL) {
        assert_true(str_to_int(many, &count));
    }
    for (int64_t seed = first; seed < first + count; seed++) {
        run((uint64_t)seed);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(agents_hold_what_is_assigned_and_nobody_is_called_down_who_is_heard),
};
CHECK_MAIN(tests)
