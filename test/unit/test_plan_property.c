// SPDX-License-Identifier: Apache-2.0
//
// test/unit/test_plan_property.c — planners and scheduler in random worlds: what holds after every pass,
// whatever happened before it, and that a world left alone comes to rest.
//
// After each event a pass must give the same plan again, and the same from a view put together in another
// order; a second pass over the planned world must want nothing. world_commit checks slots, reservations,
// versions and states. A failing run names its seed and step.
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "test/lib/check.h"
#include "test/lib/world.h"

#define SEEDS 600
#define STEPS 60

static struct world world;
static struct prng chance;
static uint64_t seed;
static int step;
static size_t moves; // of all worlds

#define MUST(condition, ...)                                                                                 \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            print_error("seed %llu, step %d: ", (unsigned long long)seed, step);                             \
            fail_msg(__VA_ARGS__);                                                                           \
        }                                                                                                    \
    } while (0)

static uint64_t below(uint64_t bound) {
    return prng_below(&chance, bound);
}

// --- what happens ---

static void policy_at_random(struct update_config *policy) {
    policy->order = below(3) == 0 ? ORDER_START_FIRST : ORDER_STOP_FIRST;
    policy->parallelism = (int64_t)below(4);
    policy->delay_ns = (int64_t)below(3) * INT64_C(1500000000);
    policy->monitor_ns = (int64_t)below(3) * INT64_C(2500000000);
    policy->failure_action = (enum failure_action)below(3);
    policy->max_failure_ratio = (double)below(3) / 4;
    policy->progress_deadline_ns = below(4) == 0 ? INT64_C(20000000000) : 0;
}

static const struct {
    const char *name;
    enum service_mode mode;
} services[] = {
    {"web", MODE_REPLICATED},       {"db", MODE_REPLICATED},    {"everywhere", MODE_GLOBAL},
    {"batch", MODE_REPLICATED_JOB}, {"sweep", MODE_GLOBAL_JOB}, {"minutely", MODE_REPLICATED_JOB},
};
#define SERVICES (sizeof services / sizeof *services)

static enum service_mode mode_of(const char *name) {
    size_t i = 0;
    while (i < SERVICES - 1 && !str_equal(services[i].name, name)) {
        i++;
    }
    return services[i].mode;
}

static struct schedule *schedule_at_random(void) {
    struct schedule *schedule = ARENA_NEW(&world.arena, struct schedule);
    schema_init(&schedule_schema, schedule);
    schedule->cron = "* * * * *";
    schedule->overlap = below(2) == 0 ? OVERLAP_FORBID : OVERLAP_REPLACE;
    schedule->missed = below(2) == 0 ? MISSED_RUN_ONCE : MISSED_SKIP;
    schedule->deadline_ns = below(3) == 0 ? INT64_C(3000000000) : 0;
    schedule->successful_history = (int64_t)below(3);
    schedule->failed_history = (int64_t)below(2);
    schedule->suspend = below(5) == 0;
    return schedule;
}

static void claim_at_random(struct service_spec *spec) {
    static struct placement_preference preferences[] = {{.spread = "node.labels.zone"},
                                                        {.spread = "node.hostname"}};
    static struct generic_resource gpu[] = {{.kind = "gpu", .value = 1}};
    static struct port port[] = {{.target = 80, .published = 8080, .mode = PUBLISH_HOST}};
    spec->deploy.placement.preferences.count = (size_t)below(3);
    spec->deploy.placement.preferences.items = preferences;
    spec->deploy.resources.reservations.generic_resources.count = below(4) == 0;
    spec->deploy.resources.reservations.generic_resources.items = gpu;
    spec->ports.count = below(6) == 0;
    spec->ports.items = port;
    spec->deploy.rebalance.on_join = below(3) == 0;
    spec->deploy.rebalance.max_moves = 1 + (int64_t)below(2);
    spec->deploy.rebalance.cool_down_ns = (int64_t)below(3) * INT64_C(10000000000);
    spec->deploy.update_config.parallelism = (int64_t)below(3);
}

static struct service_spec spec_at_random(const char *name) {
    static const char *const images[] = {"a:1", "a:2"};
    struct service_spec spec;
    schema_init(&service_spec_schema, &spec);
    spec.name = name;
    spec.image = images[below(2)];
    spec.deploy.mode = mode_of(name);
    spec.deploy.replicas = (int64_t)below(7);
    spec.deploy.max_concurrent = below(2) == 0 ? (int64_t)below(4) : 0;
    spec.force_update = mode_is_job(spec.deploy.mode) ? (int64_t)below(2) : 0;
    spec.deploy.resources.reservations.cpus_nano = (int64_t)below(3) * INT64_C(500000000);
    spec.deploy.placement.max_replicas_per_node = below(4) == 0 ? 2 : 0;
    spec.deploy.schedule = str_equal(name, "minutely") ? schedule_at_random() : NULL;
    struct restart_policy *policy = &spec.deploy.restart_policy;
    policy->condition = below(4) == 0 ? RESTART_ON_FAILURE : RESTART_ANY;
    policy->delay_ns = (int64_t)below(3) * INT64_C(2500000000);
    policy->max_attempts = below(4) == 0 ? 2 : 0;
    policy->backoff.factor = below(3) == 0 ? 2 : 1;
    policy_at_random(&spec.deploy.update_config);
    policy_at_random(&spec.deploy.rollback_config);
    if (below(3) == 0) {
        static const char *constraint[] = {"node.labels.zone == a"};
        spec.deploy.placement.constraints = (struct strings){1, constraint};
    }
    claim_at_random(&spec);
    return spec;
}

static void add_node(unsigned number) {
    char name[16];
    snprintf(name, sizeof name, "n%u", number);
    struct node *node = world_add_node(&world, name);
    node->description.cpus_nano = (int64_t)(1 + below(4)) * INT64_C(1000000000);
    node->spec.labels = pairs_set(&world.arena, &node->spec.labels, "zone", below(2) == 0 ? "a" : "b");
    static const char *const stocks[] = {"gpu=2", "gpu=u1,u2", "ssd=1"};
    MUST(generic_add(&node->description.generic_resources, stocks[below(3)], &world.arena, NULL) == 0, "stock");
}

static void change_node(void) {
    static const enum node_state states[] = {NODE_READY, NODE_READY, NODE_DOWN, NODE_DISCONNECTED};
    static const enum node_availability availabilities[] = {AVAILABILITY_ACTIVE, AVAILABILITY_ACTIVE,
                                                            AVAILABILITY_PAUSE, AVAILABILITY_DRAIN};
    struct node *node = world.nodes.items[below(world.nodes.count)];
    if (below(2) == 0) {
        node->status.state = states[below(4)];
        node->status.since_unix_ms = world.now_unix_ms;
    } else {
        node->spec.availability = availabilities[below(4)];
    }
    if (below(4) == 0) {
        node->spec.labels = pairs_set(&world.arena, &node->spec.labels, "zone", below(2) == 0 ? "a" : "b");
    }
    node->meta.version = ++world.revision;
}

static void change_service(void) {
    const char *name = services[below(SERVICES)].name;
    const struct service *old = world_service(&world, name);
    if (old != NULL && old->removing) {
        return;
    }
    if (old != NULL && below(6) == 0) {
        struct service *service = world_service(&world, name);
        service->removing = true;
        service->meta.version = ++world.revision;
        return;
    }
    if (old != NULL && below(4) == 0) {
        world_service(&world, name)->rebalance_asked_unix_ms = world.now_unix_ms;
        return;
    }
    struct service_spec spec = spec_at_random(name);
    world_put_service(&world, &spec);
}

static void change_rollout(void) {
    if (world.services.count == 0) {
        return;
    }
    struct service *service = world.services.items[below(world.services.count)];
    if (service->removing) {
        return;
    }
    switch (below(3)) {
    case 0:
        world_roll_back(&world, service, service->revision - 1 - (int64_t)below(3));
        break;
    case 1:
        world_pause(&world, service, /* is_paused */ true);
        break;
    default:
        world_pause(&world, service, /* is_paused */ false);
        break;
    }
}

static void report_at_random(void) {
    static const int64_t ends[] = {TASK_COMPLETE, TASK_FAILED, TASK_FAILED, TASK_REJECTED};
    if (world.tasks.count == 0) {
        return;
    }
    struct task *task = world.tasks.items[below(world.tasks.count)];
    if (task->status.state >= TASK_ASSIGNED && !task_state_is_over(task->status.state)) {
        bool is_late = below(3) == 0; // it had ended by itself before it was told to stop
        int64_t to = task->desired > TASK_RUNNING ? (is_late ? TASK_COMPLETE : TASK_SHUTDOWN)
                     : below(3) == 0              ? ends[below(4)]
                                                  : task->desired;
        world_report(&world, task, to, to == TASK_FAILED ? REASON_EXIT_NONZERO : REASON_NONE);
    }
}

static void happen(void) {
    switch (below(9)) {
    case 8:
        change_rollout();
        break;
    case 0:
        change_service();
        break;
    case 1:
        change_node();
        break;
    case 2:
        world_run_agents(&world);
        break;
    case 3:
        world.now_unix_ms += (int64_t)below(8000);
        break;
    default:
        report_at_random();
        break;
    }
}

// --- what must hold ---

static void print_plan(const struct plan *plan, struct buf *out) {
    for (size_t i = 0; i < plan->changes.count; i++) {
        const struct plan_change *change = &plan->changes.items[i];
        buf_addf(out, "%d %d %s %lld %s ", (int)change->op, (int)change->kind, change->id.text,
                 (long long)change->expected_version, change->why);
        if (change->object != NULL) {
            json_write(object_schema(change->kind), change->object, JSON_COMPACT, TEXT_STATUS, out);
        }
        buf_addc(out, '\n');
    }
    buf_addf(out, "wake %lld\n", (long long)plan->wake_unix_ms);
}

static const struct service *service_by_id(const struct id *id) {
    for (size_t i = 0; i < world.services.count; i++) {
        if (id_equal(&world.services.items[i]->meta.id, id)) {
            return world.services.items[i];
        }
    }
    return NULL;
}

static const struct task *task_by_id(const struct id *id) {
    for (size_t i = 0; i < world.tasks.count; i++) {
        if (id_equal(&world.tasks.items[i]->meta.id, id)) {
            return world.tasks.items[i];
        }
    }
    return NULL;
}

// As the plan leaves it: a rollback changes it.
static const struct service *service_after(const struct plan *plan, const struct id *id) {
    for (size_t i = 0; i < plan->changes.count; i++) {
        if (plan->changes.items[i].object != NULL && id_equal(&plan->changes.items[i].id, id)) {
            return plan->changes.items[i].object;
        }
    }
    for (size_t i = 0; i < world.services.count; i++) {
        if (id_equal(&world.services.items[i]->meta.id, id)) {
            return world.services.items[i];
        }
    }
    return NULL;
}

// No task is let go before its delay, nor beyond the number of attempts.
static void check_restarts(const struct plan *plan) {
    for (size_t i = 0; i < plan->changes.count; i++) {
        const struct plan_change *change = &plan->changes.items[i];
        const struct task *task = change->kind == KIND_TASK ? change->object : NULL;
        if (task == NULL || task->desired > TASK_RUNNING) {
            continue;
        }
        const struct task *before = task_by_id(&task->replaces);
        const struct service *service = service_after(plan, &task->service_id);
        MUST(task->desired != TASK_RUNNING || task->start_after_unix_ms <= world.now_unix_ms,
             "a task runs before its delay is over: %s", change->why);
        if (service == NULL || change->op != CHANGE_CREATE || before == NULL) {
            continue;
        }
        const struct restart_policy *policy = &service->spec.deploy.restart_policy;
        bool is_delayed = task->start_after_unix_ms > 0;
        MUST(!is_delayed ||
                 task->start_after_unix_ms >= before->status.since_unix_ms + policy->delay_ns / 1000000,
             "a delay that is too short: %s", change->why);
        MUST(policy->max_attempts == 0 || task->attempt <= policy->max_attempts, "attempt %lld of %lld",
             (long long)task->attempt, (long long)policy->max_attempts);
    }
}

// Of the tasks that run, no more are stopped for an update in one pass than parallelism says, and none of a
// rollout that is paused.
static void check_parallelism(const struct plan *plan) {
    for (size_t i = 0; i < world.services.count; i++) {
        const struct service *service = world.services.items[i];
        const struct rollout *rollout = world_rollout(&world, service);
        int64_t stopped = 0;
        for (size_t j = 0; j < plan->changes.count; j++) {
            const struct task *task =
                plan->changes.items[j].kind == KIND_TASK ? plan->changes.items[j].object : NULL;
            stopped += task != NULL && id_equal(&task->service_id, &service->meta.id) &&
                       task->status.state == TASK_RUNNING &&
                       str_starts(plan->changes.items[j].why, "update:");
        }
        MUST(stopped == 0 || (rollout != NULL && !rollout_is_paused(rollout)),
             "a paused rollout stops tasks");
        MUST(stopped == 0 || rollout->policy.parallelism == 0 || stopped <= rollout->policy.parallelism,
             "%lld tasks are stopped at once, of %lld", (long long)stopped,
             (long long)rollout->policy.parallelism);
    }
}

// A slot of a job that is begun, or may still be at it.
static bool is_busy(const struct task *task) {
    bool is_there = false;
    for (size_t i = 0; i < world.nodes.count; i++) {
        const struct node *node = world.nodes.items[i];
        is_there = is_there || (id_equal(&node->meta.id, &task->node_id) && node->status.state != NODE_DOWN);
    }
    return !task_state_is_over(task->status.state) &&
           (task->desired <= TASK_RUNNING || (task->status.state >= TASK_ASSIGNED && is_there));
}

static bool is_first_of_slot(size_t at, bool (*counts)(const struct task *task)) {
    const struct task *task = world.tasks.items[at];
    for (size_t i = 0; i < at; i++) {
        const struct task *other = world.tasks.items[i];
        if (other->slot == task->slot && id_equal(&other->service_id, &task->service_id) && counts(other)) {
            return false;
        }
    }
    return counts(task);
}

static bool is_complete(const struct task *task) {
    const struct service *service = service_by_id(&task->service_id);
    return task->status.state == TASK_COMPLETE && service != NULL &&
           task->job_iteration == service->job_iteration;
}

static int64_t busy_slots(void) {
    const struct service *service = world_service(&world, "batch");
    int64_t busy = 0;
    for (size_t i = 0; service != NULL && i < world.tasks.count; i++) {
        busy +=
            id_equal(&world.tasks.items[i]->service_id, &service->meta.id) && is_first_of_slot(i, is_busy);
    }
    return busy;
}

// Nobody begins what was completed in this run, nor more than may be at it at once.
static void check_jobs(const struct plan *plan, int64_t busy_before) {
    for (size_t i = 0; i < plan->changes.count; i++) {
        const struct plan_change *change = &plan->changes.items[i];
        const struct task *made = change->kind == KIND_TASK ? change->object : NULL;
        const struct service *service = made != NULL ? service_by_id(&made->service_id) : NULL;
        if (service == NULL || change->op != CHANGE_CREATE || !mode_is_job(service->spec.deploy.mode)) {
            continue;
        }
        for (size_t j = 0; j < world.tasks.count; j++) {
            const struct task *other = world.tasks.items[j];
            bool is_same =
                made->slot > 0 ? made->slot == other->slot : id_equal(&made->node_id, &other->node_id);
            MUST(!is_same || !id_equal(&made->service_id, &other->service_id) ||
                     made->job_iteration != other->job_iteration || other->status.state != TASK_COMPLETE,
                 "slot %lld is begun anew after it completed", (long long)made->slot);
        }
    }
    const struct service *batch = world_service(&world, "batch");
    int64_t at_once = batch != NULL ? batch->spec.deploy.max_concurrent : 0;
    int64_t busy = busy_slots();
    MUST(at_once == 0 || busy <= at_once || busy <= busy_before,
         "%lld slots are busy, %lld may be, %lld were", (long long)busy, (long long)at_once,
         (long long)busy_before);
}

// Start-first: who runs on a drained node may do so until its successor runs; that is there, or is due when
// the delay of one that ended is over.
static bool waits_for_successor(const struct task *task) {
    for (size_t i = 0; i < world.tasks.count; i++) {
        const struct task *other = world.tasks.items[i];
        bool is_on_its_way = other->desired <= TASK_RUNNING && other->status.state < TASK_RUNNING;
        bool is_due =
            task_state_is_over(other->status.state) && other->start_after_unix_ms > world.now_unix_ms;
        if (other != task && other->slot == task->slot && id_equal(&other->service_id, &task->service_id) &&
            (is_on_its_way || is_due)) {
            return task->status.state == TASK_RUNNING;
        }
    }
    return false;
}

static void check_nodes(void) {
    for (size_t i = 0; i < world.tasks.count; i++) {
        const struct task *task = world.tasks.items[i];
        if (waits_for_successor(task)) {
            continue;
        }
        for (size_t j = 0; task->desired <= TASK_RUNNING && j < world.nodes.count; j++) {
            const struct node *node = world.nodes.items[j];
            MUST(!id_equal(&node->meta.id, &task->node_id) ||
                     (node->status.state != NODE_DOWN && node->spec.availability != AVAILABILITY_DRAIN),
                 "a task is to run on %s, which is down or drained", node->spec.name);
        }
    }
}

// Only a service at rest gives running tasks away, as many at once as it allows; and each goes to a node that
// has at least two fewer, by what prefers or by nodes: never is anything moved back.
static void check_moves(const struct plan *plan) {
    for (size_t i = 0; i < world.services.count; i++) {
        const struct service *service = world.services.items[i];
        const struct deploy *deploy = &service->spec.deploy;
        int64_t moved = 0;
        bool is_rolled_back = false; // in this very pass: then it wants another number
        for (size_t j = 0; j < plan->changes.count; j++) {
            const struct plan_change *change = &plan->changes.items[j];
            const struct task *task = change->kind == KIND_TASK ? change->object : NULL;
            is_rolled_back |= change->kind == KIND_SERVICE && id_equal(&change->id, &service->meta.id);
            moved += task != NULL && change->op == CHANGE_CREATE && task->moved &&
                     task_by_id(&task->replaces)->desired <= TASK_RUNNING &&
                     task_by_id(&task->replaces)->status.state == TASK_RUNNING &&
                     id_equal(&task->service_id, &service->meta.id);
        }
        int64_t allowed = deploy->update_config.parallelism > 0 ? deploy->update_config.parallelism : 1;
        allowed = allowed > deploy->rebalance.max_moves ? allowed : deploy->rebalance.max_moves;
        MUST(moved <= allowed, "%s moves %lld tasks at once", service->spec.name, (long long)moved);
        MUST(moved == 0 || is_rolled_back || (int64_t)world_count_running(&world, service) >= deploy->replicas,
             "%s moves tasks though not all run", service->spec.name);
        moves += (size_t)moved;
    }
}

// One pass, checked; returns the number of its changes.
static size_t pass(struct arena *arena) {
    struct view view, other, after;
    struct plan plan, again, shuffled, second;
    AUTO_BUF text = {0}, text_again = {0}, text_shuffled = {0};
    struct prng order = chance;
    arena_clear(arena);
    world_view(&world, NULL, arena, &view);
    world_view(&world, &order, arena, &other);
    world_plan(&view, world.prng, arena, &plan);
    world_plan(&view, world.prng, arena, &again);
    world_plan(&other, world.prng, arena, &shuffled);
    print_plan(&plan, &text);
    print_plan(&again, &text_again);
    print_plan(&shuffled, &text_shuffled);
    MUST(strcmp(buf_text(&text), buf_text(&text_again)) == 0, "the same view gives another plan");
    MUST(strcmp(buf_text(&text), buf_text(&text_shuffled)) == 0, "another order gives another plan:\n%s\n%s",
         buf_text(&text), buf_text(&text_shuffled));
    plan_apply(&view, &plan, arena, &after);
    world_plan(&after, world.prng, arena, &second);
    AUTO_BUF text_second = {0};
    print_plan(&second, &text_second);
    if (second.changes.count > 0) {
        print_error("after\n%s", buf_text(&text)); // fail_msg cuts what is long
    }
    MUST(second.changes.count == 0, "a second pass wants more:\n%s", buf_text(&text_second));
    check_restarts(&plan);
    check_moves(&plan);
    prng_seed(&world.prng, prng_next(&world.prng)); // ids never repeat
    int64_t busy = busy_slots();
    world_commit(&world, &plan);
    MUST(world.broken == NULL, "%s", world.broken);
    check_jobs(&plan, busy);
    check_nodes();
    check_parallelism(&plan);
    return plan.changes.count;
}

// --- rest ---

// All nodes are there, and no run begins any more.
static void mend(void) {
    const struct service *minutely = world_service(&world, "minutely");
    if (minutely != NULL && !minutely->removing) {
        struct service_spec spec = minutely->spec;
        struct schedule *schedule = schedule_at_random();
        schedule->suspend = true;
        spec.deploy.schedule = schedule;
        world_put_service(&world, &spec);
    }
    for (size_t i = 0; i < world.nodes.count; i++) {
        world.nodes.items[i]->status.state = NODE_READY;
        world.nodes.items[i]->spec.availability = AVAILABILITY_ACTIVE;
        world.nodes.items[i]->meta.version = ++world.revision;
    }
}

// All is done that was not given up, or has no node.
static void check_job_at_rest(const struct service *service) {
    const struct deploy *deploy = &service->spec.deploy;
    int64_t done = 0, unplaced = 0;
    bool is_begun = service->job_iteration > 0;
    for (size_t i = 0; i < world.tasks.count; i++) {
        const struct task *task = world.tasks.items[i];
        if (id_equal(&task->service_id, &service->meta.id)) {
            bool is_present = task->job_iteration == service->job_iteration;
            MUST(is_present || (deploy->schedule != NULL && task_state_is_over(task->status.state)),
                 "a task of run %lld is left", (long long)task->job_iteration);
            done += is_present && is_first_of_slot(i, is_complete) && task->slot > 0;
            unplaced += task->desired <= TASK_RUNNING && task->status.state == TASK_PENDING;
        }
    }
    MUST(deploy->mode != MODE_REPLICATED_JOB || deploy->restart_policy.max_attempts > 0 || unplaced > 0 ||
             done == deploy->replicas || !is_begun,
         "%s: %lld of %lld are done", service->spec.name, (long long)done, (long long)deploy->replicas);
}

static void check_service_at_rest(const struct service *service) {
    const struct deploy *deploy = &service->spec.deploy;
    int64_t running = 0, unplaced = 0, old = 0;
    MUST(!service->removing, "%s is still there", service->spec.name);
    for (size_t i = 0; i < world.tasks.count; i++) {
        const struct task *task = world.tasks.items[i];
        if (!id_equal(&task->service_id, &service->meta.id) || waits_for_successor(task)) {
            continue;
        }
        bool is_wanted = task->desired <= TASK_RUNNING;
        running += is_wanted && task->status.state == TASK_RUNNING;
        unplaced += is_wanted && task->status.state == TASK_PENDING;
        old +=
            is_wanted && task->status.state == TASK_RUNNING && service_is_outdated(service, task->revision);
    }
    if (mode_is_job(deploy->mode)) {
        check_job_at_rest(service);
        return;
    }
    if (deploy->restart_policy.condition != RESTART_ANY || deploy->restart_policy.max_attempts > 0) {
        return; // a slot that is given up holds an update where it is
    }
    const struct rollout *rollout = world_rollout(&world, service);
    bool is_open = rollout != NULL && rollout_is_open(rollout);
    bool is_stopped = is_open && (rollout_is_paused(rollout) || rollout->cause == ROLLOUT_CAUSE_NO_ROOM);
    MUST(old == 0 || unplaced > 0 || is_stopped, "%s runs an old revision", service->spec.name);
    MUST(!is_open || is_stopped || unplaced > 0, "%s: its rollout does not end", service->spec.name);
    MUST(rollout == NULL || service->update_status.state == UPDATE_NONE || is_open ||
             service->update_status.state == UPDATE_COMPLETED ||
             service->update_status.state == UPDATE_ROLLBACK_COMPLETED,
         "%s: is %s without an open rollout", service->spec.name,
         update_state_names[service->update_status.state]);
    if (deploy->mode == MODE_REPLICATED) {
        MUST(running + unplaced == deploy->replicas, "%s: %lld run and %lld wait of %lld", service->spec.name,
             (long long)running, (long long)unplaced, (long long)deploy->replicas);
    }
}

static void end_jobs(void) {
    for (size_t i = 0; i < world.tasks.count; i++) {
        struct task *task = world.tasks.items[i];
        if (task->job_iteration > 0 && task->status.state == TASK_RUNNING && task->desired <= TASK_RUNNING) {
            world_report(&world, task, TASK_COMPLETE, REASON_NONE);
        }
    }
}

static void come_to_rest(struct arena *arena) {
    int quiet = 0;
    mend();
    for (step = STEPS; step < STEPS + 500 && quiet < 20; step++) {
        uint64_t revision = (uint64_t)world.revision;
        world.now_unix_ms += 5000;
        world_run_agents(&world);
        end_jobs();
        bool agents_acted = (uint64_t)world.revision != revision;
        quiet = pass(arena) == 0 && !agents_acted ? quiet + 1 : 0;
    }
    MUST(quiet == 20, "it does not come to rest");
    for (size_t i = 0; i < world.services.count; i++) {
        check_service_at_rest(world.services.items[i]);
    }
    world.now_unix_ms += 3600000;
    MUST(pass(arena) == 0, "an hour later something is to be done");
}

static void random_worlds(void **state) {
    (void)state;
    struct arena arena = {0};
    size_t changes = 0;
    for (seed = 1; seed <= SEEDS; seed++) {
        prng_seed(&chance, seed);
        world_init(&world, seed);
        for (unsigned i = 0; i < 1 + (unsigned)(seed % 5); i++) {
            add_node(i);
        }
        for (step = 0; step < STEPS; step++) {
            happen();
            if (below(3) != 0) {
                changes += pass(&arena);
            }
        }
        come_to_rest(&arena);
        world_free(&world);
    }
    arena_free(&arena);
    assert_true(moves > SEEDS / 20);
    assert_true(changes > (size_t)SEEDS * 10); // the worlds are not idle ones
}

int main(void) {
    static const struct CMUnitTest tests[] = {cmocka_unit_test(random_worlds)};
    return cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL);
}
