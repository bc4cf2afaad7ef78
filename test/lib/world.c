// SPDX-License-Identifier: Apache-2.0
//
// test/lib/world.c — see world.h. Objects are never freed before the world is: a plan may still point to
// them.
#include "test/lib/world.h"

#include <string.h>

#include "base/str.h"
#include "reconciler/plan/depend.h"

#define BREAK(world, ...)                                                                                    \
    ((world)->broken = (world)->broken != NULL ? (world)->broken : arena_printf(&(world)->arena, __VA_ARGS__))

void world_init(struct world *world, uint64_t seed) {
    *world = (struct world){.now_unix_ms = 1000000, .revision = 1};
    prng_seed(&world->prng, seed);
    schema_init(&cluster_schema, &world->cluster);
}

void world_free(struct world *world) {
    arena_free(&world->arena);
}

struct node *world_node(const struct world *world, const char *name) {
    for (size_t i = 0; i < world->nodes.count; i++) {
        if (str_equal(world->nodes.items[i]->spec.name, name)) {
            return world->nodes.items[i];
        }
    }
    return NULL;
}

struct node *world_add_node(struct world *world, const char *name) {
    struct node *node = ARENA_NEW(&world->arena, struct node);
    schema_init(&node_schema, node);
    node->meta.id = id_from_prng(&world->prng);
    node->meta.version = node->meta.created = ++world->revision;
    node->meta.name = node->spec.name = arena_strdup(&world->arena, name);
    node->description.hostname = node->spec.name;
    node->description.os = "linux";
    node->description.arch = "x86_64";
    node->description.cpus_nano = INT64_C(4000000000);
    node->description.memory_bytes = (int64_t)4 << 30;
    node->status.state = NODE_READY;
    *ARENA_PUSH(&world->arena, &world->nodes) = node;
    return node;
}

// Removal keeps the order, and the room that ARENA_PUSH relies on.
#define REMOVE_AT(list, i)                                                                                   \
    (memmove(&(list)->items[i], &(list)->items[(i) + 1], ((list)->count - (i)-1) * sizeof *(list)->items),   \
     regrow(&(list)->count))

static void regrow(size_t *count) {
    (*count)--;
}

void world_remove_node(struct world *world, struct node *node) {
    for (size_t i = 0; i < world->nodes.count; i++) {
        if (world->nodes.items[i] == node) {
            REMOVE_AT(&world->nodes, i);
            return;
        }
    }
}

struct service *world_service(const struct world *world, const char *name) {
    for (size_t i = 0; i < world->services.count; i++) {
        if (str_equal(world->services.items[i]->spec.name, name)) {
            return world->services.items[i];
        }
    }
    return NULL;
}

static void add_revision(struct world *world, const struct service *service) {
    struct revision *revision = ARENA_NEW(&world->arena, struct revision);
    schema_init(&revision_schema, revision);
    revision->meta.id = id_from_prng(&world->prng);
    revision->meta.version = world->revision;
    revision->service_id = service->meta.id;
    revision->revision = service->revision;
    revision->spec = service->spec;
    *ARENA_PUSH(&world->arena, &world->revisions) = revision;
}

static void take_spec(struct world *world, struct service *service, const struct service_spec *spec) {
    struct revision_spec *kept = ARENA_ARRAY(&world->arena, struct revision_spec, world->revisions.count);
    size_t count = 0;
    for (size_t i = 0; i < world->revisions.count; i++) {
        const struct revision *at = world->revisions.items[i];
        if (id_equal(&at->service_id, &service->meta.id)) {
            kept[count++] = (struct revision_spec){at->revision, &at->spec};
        }
    }
    service_take_spec(service, spec, kept, count, &world->arena);
    if (service->restart_revision == service->revision) {
        service->update_status.state = UPDATE_NONE;
        service->update_status.message = "";
    }
}

bool world_roll_back(struct world *world, struct service *service, int64_t revision) {
    for (size_t i = 0; i < world->revisions.count; i++) {
        const struct revision *at = world->revisions.items[i];
        if (id_equal(&at->service_id, &service->meta.id) && at->revision == revision) {
            world->revision++;
            take_spec(world, service, &at->spec);
            service->update_status.state = UPDATE_ROLLBACK_STARTED;
            service->update_status.started_unix_ms = world->now_unix_ms;
            service->update_status.message = "manually requested rollback";
            service->meta.version = world->revision;
            add_revision(world, service);
            return true;
        }
    }
    return false;
}

struct rollout *world_rollout(const struct world *world, const struct service *service) {
    struct rollout *last = NULL;
    for (size_t i = 0; i < world->rollouts.count; i++) {
        struct rollout *at = world->rollouts.items[i];
        if (id_equal(&at->service_id, &service->meta.id) && (last == NULL || at->number > last->number)) {
            last = at;
        }
    }
    return last;
}

void world_pause(struct world *world, struct service *service, bool is_paused) {
    struct rollout *rollout = world_rollout(world, service);
    if (rollout == NULL || !rollout_is_open(rollout) || rollout_is_paused(rollout) == is_paused) {
        return;
    }
    if (is_paused) {
        rollout_pause(rollout, ROLLOUT_CAUSE_USER, "update paused by a user");
    } else {
        struct id round_id = id_from_prng(&world->prng);
        rollout_resume(rollout, &round_id, world->now_unix_ms);
    }
    rollout_tell(rollout, &service->update_status);
    rollout->meta.version = service->meta.version = ++world->revision;
}

struct service *world_put_service(struct world *world, const struct service_spec *spec) {
    struct service *service = world_service(world, spec->name);
    world->revision++;
    if (service == NULL) {
        service = ARENA_NEW(&world->arena, struct service);
        schema_init(&service_schema, service);
        service->meta.id = id_from_prng(&world->prng);
        service->revision = service->restart_revision = 1;
        service->job_iteration = mode_is_job(spec->deploy.mode) && spec->deploy.schedule == NULL;
        *ARENA_PUSH(&world->arena, &world->services) = service;
    } else {
        enum consequence worst = service_spec_consequence(&service->spec, spec, &world->arena);
        service->job_iteration += service_starts_run(&service->spec, spec, worst);
        const struct schedule *old = service->spec.deploy.schedule, *now = spec->deploy.schedule;
        if (old == NULL || now == NULL || !schema_equal(&schedule_schema, old, now)) {
            service->next_run_unix_ms = 0;
            service->schedule_note = "";
        }
        take_spec(world, service, spec);
    }
    service->meta.version = world->revision;
    service->spec = *spec;
    add_revision(world, service);
    return service;
}

// --- passes ---

static void shuffle_pointers(void *items, size_t count, struct prng *prng) {
    void **list = items;
    for (size_t i = count; prng != NULL && i > 1; i--) {
        size_t j = (size_t)prng_below(prng, i);
        void *kept = list[i - 1];
        list[i - 1] = list[j];
        list[j] = kept;
    }
}

#define EACH_SHUFFLED(world, list, prng, arena, as, body)                                                    \
    do {                                                                                                     \
        void **order_ = arena_copy((arena), (world)->list.items, (world)->list.count * sizeof(void *));      \
        shuffle_pointers(order_, (world)->list.count, (prng));                                               \
        for (size_t i_ = 0; i_ < (world)->list.count; i_++) {                                                \
            as = order_[i_];                                                                                 \
            body;                                                                                            \
        }                                                                                                    \
    } while (0)

// Every service is one that others may depend on.
static void add_dependency(const struct world *world, const struct service *service, struct arena *arena,
                           struct view *out) {
    struct {
        size_t count;
        const struct task **items;
    } tasks = {0};
    for (size_t i = 0; i < world->tasks.count; i++) {
        if (id_equal(&world->tasks.items[i]->service_id, &service->meta.id)) {
            *ARENA_PUSH(arena, &tasks) = world->tasks.items[i];
        }
    }
    view_add_dependency(out, service->spec.name, depend_state(service, tasks.items, tasks.count), arena);
}

void world_view(const struct world *world, struct prng *shuffle, struct arena *arena, struct view *out) {
    struct view view = {
        .revision = world->revision, .now_unix_ms = world->now_unix_ms, .cluster = &world->cluster};
    EACH_SHUFFLED(world, nodes, shuffle, arena, const struct node *node, view_add_node(&view, node, arena));
    EACH_SHUFFLED(world, services, shuffle, arena, const struct service *service,
                  view_add_service(&view, service, arena));
    EACH_SHUFFLED(world, tasks, shuffle, arena, const struct task *task, view_add_task(&view, task, arena));
    EACH_SHUFFLED(world, revisions, shuffle, arena, const struct revision *revision,
                  view_add_revision_record(&view, revision, arena));
    for (size_t i = 0; i < world->services.count; i++) {
        add_dependency(world, world->services.items[i], arena, &view);
    }
    EACH_SHUFFLED(world, rollouts, shuffle, arena, const struct rollout *rollout,
                  view_add_rollout(&view, rollout, arena));
    view_seal(&view, arena);
    *out = view;
}

static void plan_once(const struct view *view, struct prng prng, struct arena *arena, struct plan *plan) {
    *plan = (struct plan){0};
    for (size_t i = 0; i < view->services.count; i++) {
        plan_service(view, view->services.items[i], &prng, arena, plan);
    }
    schedule_tasks(view, arena, plan);
}

void world_plan(const struct view *view, struct prng prng, struct arena *arena, struct plan *plan) {
    struct view with_moves = *view;
    struct rebalance rebalance;
    plan_once(view, prng, arena, plan);
    rebalance_find(&with_moves, plan, arena, &rebalance);
    if (rebalance.moving > 0) {
        plan_once(&with_moves, prng, arena, plan);
    }
    for (size_t i = 0; i < rebalance.wakes.count; i++) {
        plan_wake(plan, rebalance.wakes.items[i].unix_ms);
    }
}

static struct task *find_task(const struct world *world, const struct id *id, size_t *at) {
    for (size_t i = 0; i < world->tasks.count; i++) {
        if (id_equal(&world->tasks.items[i]->meta.id, id)) {
            *at = i;
            return world->tasks.items[i];
        }
    }
    return NULL;
}

static bool node_may_get_tasks(const struct world *world, const struct id *id) {
    for (size_t i = 0; i < world->nodes.count; i++) {
        const struct node *node = world->nodes.items[i];
        if (id_equal(&node->meta.id, id)) {
            return node->status.state == NODE_READY && node->spec.availability == AVAILABILITY_ACTIVE;
        }
    }
    return false;
}

static void check_task(struct world *world, const struct task *old, const struct task *new) {
    if (new->status.state < old->status.state) {
        BREAK(world, "observed state falls from %s to %s", task_state_name(old->status.state),
              task_state_name(new->status.state));
    }
    if (old->desired > TASK_RUNNING && new->desired < old->desired) {
        BREAK(world, "desired state falls from %s", task_state_name(old->desired));
    }
    if (old->status.state >= TASK_ASSIGNED && !id_equal(&old->node_id, &new->node_id)) {
        BREAK(world, "an assigned task moves");
    }
    if (old->status.state < TASK_ASSIGNED && new->status.state >= TASK_ASSIGNED &&
        !node_may_get_tasks(world, &new->node_id)) {
        BREAK(world, "a task is put on a node that is not available");
    }
    if (old->status.state >= TASK_ASSIGNED &&
        new->status.state != old->status.state &&new->status.state != TASK_ORPHANED) {
        BREAK(world, "a planner writes what its agent observes");
    }
}

static void commit_create(struct world *world, const struct plan_change *change) {
    const struct task *made = change->object;
    struct task *task = arena_copy(&world->arena, made, sizeof *task);
    task->meta.version = task->meta.created = world->revision;
    const struct task nothing = {.status.state = TASK_NEW};
    check_task(world, &nothing, task);
    if (!id_equal(&change->id, &made->meta.id) || change->expected_version != 0) {
        BREAK(world, "a create has another id or expects a version");
    }
    // The texts live in the arena of the pass.
    *ARENA_PUSH(&world->arena, &world->tasks) = schema_copy(&task_schema, task, &world->arena);
}

static bool has_node(const struct world *world, const struct id *id) {
    for (size_t i = 0; i < world->nodes.count; i++) {
        if (id_equal(&world->nodes.items[i]->meta.id, id)) {
            return true;
        }
    }
    return false;
}

static void commit_task(struct world *world, const struct plan_change *change) {
    size_t at = 0;
    struct task *task = find_task(world, &change->id, &at);
    if (change->op == CHANGE_CREATE) {
        commit_create(world, change);
        return;
    }
    if (task == NULL || task->meta.version != change->expected_version ||
        task->meta.version == world->revision) {
        BREAK(world, "%s: a task that is absent, of another version, or changed twice", change->why);
        return;
    }
    if (change->op == CHANGE_DELETE) {
        if (task->status.state >= TASK_ASSIGNED && !task_state_is_over(task->status.state) &&
            has_node(world, &task->node_id)) {
            BREAK(world, "%s: a task that may still run is deleted", change->why);
        }
        REMOVE_AT(&world->tasks, at);
        return;
    }
    check_task(world, task, change->object);
    struct task *copy = schema_copy(&task_schema, change->object, &world->arena);
    copy->meta = task->meta;
    copy->meta.version = world->revision;
    *task = *copy;
}

// Where an object of these kinds stands in its list; -1 = nowhere.
#define FIND_AT(list, wanted, out)                                                                           \
    for (size_t i_ = 0; i_ < (list)->count && (out) < 0; i_++) {                                             \
        (out) = id_equal(&(list)->items[i_]->meta.id, (wanted)) ? (int64_t)i_ : -1;                          \
    }

// Puts a written object in the place of the one it changes, or at the end.
#define STORE_AT(world, list, type, schema_, change, at)                                                     \
    do {                                                                                                     \
        struct type *copy_ = schema_copy((schema_), (change)->object, &(world)->arena);                      \
        copy_->meta.version = (world)->revision;                                                             \
        if ((at) < 0) {                                                                                      \
            *ARENA_PUSH(&(world)->arena, (list)) = copy_;                                                    \
        } else {                                                                                             \
            *(list)->items[(at)] = *copy_;                                                                   \
        }                                                                                                    \
    } while (0)

static void check_no_tasks(struct world *world, const struct id *service_id) {
    for (size_t i = 0; i < world->tasks.count; i++) {
        if (id_equal(&world->tasks.items[i]->service_id, service_id)) {
            BREAK(world, "a service goes before its last task");
        }
    }
}

static int64_t version_at(const struct world *world, const struct plan_change *change, int64_t *at) {
    *at = -1;
    switch ((int)change->kind) {
    case KIND_SERVICE:
        FIND_AT(&world->services, &change->id, *at);
        return *at < 0 ? 0 : world->services.items[*at]->meta.version;
    case KIND_REVISION:
        FIND_AT(&world->revisions, &change->id, *at);
        return *at < 0 ? 0 : world->revisions.items[*at]->meta.version;
    case KIND_ROLLOUT:
        FIND_AT(&world->rollouts, &change->id, *at);
        return *at < 0 ? 0 : world->rollouts.items[*at]->meta.version;
    default:
        return -1;
    }
}

static void commit_other(struct world *world, const struct plan_change *change) {
    int64_t at;
    int64_t version = version_at(world, change, &at);
    if (version != change->expected_version || (version == 0) != (change->op == CHANGE_CREATE) ||
        version == world->revision) {
        BREAK(world, "%s: an object that is absent, of another version, or changed twice", change->why);
        return;
    }
    bool is_delete = change->op == CHANGE_DELETE;
    if (change->kind == KIND_SERVICE && is_delete) {
        check_no_tasks(world, &change->id);
        REMOVE_AT(&world->services, (size_t)at);
    } else if (change->kind == KIND_SERVICE) {
        STORE_AT(world, &world->services, service, &service_schema, change, at);
    } else if (change->kind == KIND_REVISION && is_delete) {
        REMOVE_AT(&world->revisions, (size_t)at);
    } else if (change->kind == KIND_REVISION) {
        STORE_AT(world, &world->revisions, revision, &revision_schema, change, at);
    } else if (is_delete) {
        REMOVE_AT(&world->rollouts, (size_t)at);
    } else {
        STORE_AT(world, &world->rollouts, rollout, &rollout_schema, change, at);
    }
}

void world_commit(struct world *world, const struct plan *plan) {
    world->revision++;
    for (size_t i = 0; i < plan->changes.count; i++) {
        const struct plan_change *change = &plan->changes.items[i];
        if (str_is_empty(change->why)) {
            BREAK(world, "a change without a reason");
        }
        (change->kind == KIND_TASK ? commit_task : commit_other)(world, change);
        if (change->with_next && i + 1 == plan->changes.count) {
            BREAK(world, "the change that was to go with another is the last one");
        }
    }
    world_check(world);
}

void world_pass(struct world *world, struct arena *arena, struct plan *plan) {
    struct view view;
    world_view(world, NULL, arena, &view);
    world_plan(&view, world->prng, arena, plan);
    prng_seed(&world->prng, prng_next(&world->prng)); // ids never repeat
    world_commit(world, plan);
}

// --- agents ---

void world_report(struct world *world, struct task *task, int64_t state, int64_t reason) {
    if (state <= task->status.state) {
        return;
    }
    task->status.state = state;
    task->status.reason = reason;
    task->status.since_unix_ms = world->now_unix_ms;
    if (state == TASK_RUNNING) {
        task->running_unix_ms = world->now_unix_ms;
    }
    task->meta.version = ++world->revision;
}

static bool is_up(const struct world *world, const struct id *id) {
    for (size_t i = 0; i < world->nodes.count; i++) {
        if (id_equal(&world->nodes.items[i]->meta.id, id)) {
            return world->nodes.items[i]->status.state == NODE_READY;
        }
    }
    return false;
}

void world_run_agents(struct world *world) {
    for (size_t i = 0; i < world->tasks.count; i++) {
        struct task *task = world->tasks.items[i];
        if (task->status.state < TASK_ASSIGNED || task_state_is_over(task->status.state) ||
            !is_up(world, &task->node_id)) {
            continue;
        }
        world_report(world, task, task->desired > TASK_RUNNING ? TASK_SHUTDOWN : task->desired, REASON_NONE);
    }
}

// --- rules ---

static bool starts_first(const struct world *world, const struct id *service_id) {
    for (size_t i = 0; i < world->services.count; i++) {
        const struct service *service = world->services.items[i];
        if (id_equal(&service->meta.id, service_id)) {
            // Which of both policies is in force may have changed since the new task was made.
            return service->spec.deploy.update_config.order == ORDER_START_FIRST ||
                   service->spec.deploy.rollback_config.order == ORDER_START_FIRST;
        }
    }
    return false;
}

// One of them runs, and the other, which is to take its place, does not yet.
static bool is_handover(const struct world *world, const struct task *a, const struct task *b) {
    return starts_first(world, &a->service_id) &&
           (a->status.state == TASK_RUNNING) != (b->status.state == TASK_RUNNING);
}

static void check_slot(struct world *world, size_t at) {
    const struct task *a = world->tasks.items[at];
    int others = 0;
    for (size_t i = 0; i < world->tasks.count && a->desired <= TASK_RUNNING; i++) {
        const struct task *b = world->tasks.items[i];
        if (a == b || b->desired > TASK_RUNNING || !id_equal(&a->service_id, &b->service_id) ||
            (a->slot > 0 ? a->slot != b->slot : !id_equal(&a->node_id, &b->node_id))) {
            continue;
        }
        if (++others > 1 || !is_handover(world, a, b)) {
            BREAK(world, "several tasks of slot %lld are to run", (long long)a->slot);
        }
    }
}

static void check_slots(struct world *world) {
    for (size_t i = 0; i < world->tasks.count; i++) {
        check_slot(world, i);
    }
}

// What has a name is held once, and a port by one task of a node; no more is held than the node has.
static void check_claims(struct world *world, const struct node *node) {
    AUTO_ARENA arena = {0};
    struct claims claims = {0};
    for (size_t j = 0; j < world->tasks.count; j++) {
        const struct task *task = world->tasks.items[j];
        if (view_holds_resources(task) && id_equal(&task->node_id, &node->meta.id)) {
            claims_add_task(&claims, task, 1, &arena);
        }
    }
    for (size_t i = 0; i < claims.count; i++) {
        const struct claim *claim = &claims.items[i];
        const struct generic_stock *stock = generic_find(&node->description.generic_resources, claim->key);
        bool is_single = strpbrk(claim->key, "=:") != NULL;
        if (claim->count > (is_single ? 1 : stock != NULL ? stock->count : 0)) {
            BREAK(world, "%s holds %lld times %s", node->spec.name, (long long)claim->count, claim->key);
        }
    }
}

static void check_reservations(struct world *world) {
    for (size_t i = 0; i < world->nodes.count; i++) {
        const struct node *node = world->nodes.items[i];
        int64_t cpus = 0;
        int64_t memory = 0;
        check_claims(world, node);
        for (size_t j = 0; j < world->tasks.count; j++) {
            const struct task *task = world->tasks.items[j];
            bool holds = view_holds_resources(task) && id_equal(&task->node_id, &node->meta.id);
            cpus += holds ? task->cpus_nano : 0;
            memory += holds ? task->memory_bytes : 0;
        }
        if (cpus > node->description.cpus_nano || memory > node->description.memory_bytes) {
            BREAK(world, "more is reserved on %s than it has", node->spec.name);
        }
    }
}

void world_check(struct world *world) {
    check_slots(world);
    check_reservations(world);
}

size_t world_count_running(const struct world *world, const struct service *service) {
    size_t count = 0;
    for (size_t i = 0; i < world->tasks.count; i++) {
        const struct task *task = world->tasks.items[i];
        count += id_equal(&task->service_id, &service->meta.id) && task->desired == TASK_RUNNING &&
                 task->status.state == TASK_RUNNING;
    }
    return count;
}
